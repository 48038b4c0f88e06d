//! What is drawn how often: every weight of the generator, in relation to the others of its table.

use super::device::Act;
use super::dirty_pages::DirtyPages;
use super::dma_map::Map;
use super::dma_unmap::Unmap;
use super::features::Feature;
use super::irqs::Irqs;
use super::leave::Leave;
use super::log::Log;
use super::malformed::{Lie, Shape};
use super::migration::Migrate;
use super::migration_region::Register;
use super::opening::Opening;
use super::queries::Query;
use super::regions::{Read, Write};
use super::tables::Entries;
use super::write_multi::Multi;

/// Whether a client may do it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// It may.
    Plain,
    /// It must not, or nobody can say: not in calm sequences, three times as often in wild ones.
    Odd,
}

use Kind::{Odd, Plain};

/// A weight, its kind, and what it is for.
pub(super) type Row<T> = (u32, Kind, T);

/// How long a sequence is, in `>` lines: the least and the most.
pub(super) const LENGTH: &[Row<(u64, u64)>] =
    &[(15, Plain, (1, 2)), (15, Plain, (3, 5)), (35, Plain, (5, 12)), (35, Plain, (12, 25)), (15, Plain, (25, 50))];

/// How adventurous a sequence is.
pub(super) const MOOD: &[Row<super::dice::Mood>] = &[
    (30, Plain, super::dice::Mood::Calm),
    (50, Plain, super::dice::Mood::Mixed),
    (20, Plain, super::dice::Mood::Wild),
];

/// Of a hundred sequences in which the device does DMA, so many have a twin socket.
pub(super) const TWIN: u64 = 30;

/// Of a hundred sequences, so many begin with a VERSION of their own.
pub(super) const OPENS: u64 = 12;

pub(super) const OPENING: &[Row<Opening>] = &[
    (3, Plain, Opening::Usual),
    (3, Plain, Opening::Minor),
    (3, Plain, Opening::NoData),
    (3, Plain, Opening::NoCapabilities),
    (3, Plain, Opening::Unknown),
    (3, Odd, Opening::Major),
    (3, Odd, Opening::WrongType),
    (3, Odd, Opening::Malformed),
    (3, Odd, Opening::Bytes),
    (2, Odd, Opening::Long),
    (3, Odd, Opening::Short),
    (1, Odd, Opening::Quiet),
    (2, Odd, Opening::Late),
];

/// What comes next.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) enum Turn {
    /// One command, and its answer.
    Single,
    /// Several commands before the first answer is asked for.
    Pipeline,
    /// A write of what was read from a region that cannot be written.
    ReadOnly,
    /// The device acts.
    Device,
    /// A look at a descriptor.
    Look,
    /// A look at a memfd by a seal.
    Seal,
    /// The client goes away.
    Leave,
}

pub(super) const TURN: &[Row<Turn>] = &[
    (60, Plain, Turn::Single),
    (18, Plain, Turn::Pipeline),
    (1, Odd, Turn::ReadOnly),
    (9, Plain, Turn::Device),
    (9, Plain, Turn::Look),
    (3, Plain, Turn::Seal),
    (3, Plain, Turn::Leave),
];

/// What the device does, where it can.
pub(super) const ACT: &[Row<Act>] =
    &[(5, Plain, Act::WriteSurely), (1, Plain, Act::Write), (1, Plain, Act::Read), (5, Plain, Act::Raise)];

/// How many messages a pipeline has: the least and the most.
pub(super) const PIPELINE: &[Row<(u64, u64)>] = &[(6, Plain, (2, 3)), (3, Plain, (4, 6)), (1, Plain, (7, 12))];

/// Which command. Where the target keeps no table of DMA maps, those of DMA count a quarter.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) enum Family {
    Map,
    Unmap,
    Irqs,
    Read,
    Write,
    WriteMulti,
    Query,
    Feature,
    Log,
    DirtyPages,
    Register,
    Migration,
}

/// Of a hundred sequences, so many have commands of a family at all: what one server cannot take must not end each of
/// them, and few families together go deeper.
pub(super) const FAMILY_KEPT: u64 = 70;

pub(super) const FAMILY: &[Row<Family>] = &[
    (24, Plain, Family::Map),
    (16, Plain, Family::Unmap),
    (26, Plain, Family::Irqs),
    (12, Plain, Family::Read),
    (14, Plain, Family::Write),
    (5, Plain, Family::WriteMulti),
    (12, Plain, Family::Query),
    (6, Plain, Family::Feature),
    (8, Plain, Family::Log),
    (10, Plain, Family::DirtyPages),
    (6, Plain, Family::Register),
];

pub(super) const FAMILY_WITHOUT_TABLE: &[Row<Family>] = &[
    (6, Plain, Family::Map),
    (4, Plain, Family::Unmap),
    (26, Plain, Family::Irqs),
    (12, Plain, Family::Read),
    (14, Plain, Family::Write),
    (5, Plain, Family::WriteMulti),
    (12, Plain, Family::Query),
    (6, Plain, Family::Feature),
    (8, Plain, Family::Log),
    (10, Plain, Family::DirtyPages),
    (6, Plain, Family::Register),
];

/// Of a hundred sequences for a device that can be migrated, so many do something about that.
pub(super) const MIGRATES: u64 = 25;

pub(super) const MIGRATION: Row<Family> = (24, Plain, Family::Migration);

/// Of a hundred of those, so many do little else: what comes of a way shows only where one leads from its end.
pub(super) const MOSTLY_MIGRATES: u64 = 50;

pub(super) const MOSTLY_MIGRATION: Row<Family> = (150, Plain, Family::Migration);

/// Of a hundred changes of the state, after so many it is asked for at once.
pub(super) const STATE_ASKED: u64 = 35;

/// Of a hundred turns of a sequence that does something about migration, so many carry the device's data.
pub(super) const CARRIED: u64 = 8;

pub(super) const MIGRATE: &[Row<Migrate>] = &[
    (16, Plain, Migrate::Step),
    (10, Plain, Migrate::Way),
    (3, Plain, Migrate::Same),
    (6, Plain, Migrate::Ask),
    (14, Plain, Migrate::Read),
    (2, Plain, Migrate::ReadNothing),
    (4, Plain, Migrate::Reset),
    (3, Odd, Migrate::NoWay),
    (3, Odd, Migrate::ReadArgsz),
    (2, Odd, Migrate::ReadLarge),
    (4, Odd, Migrate::Write),
    (3, Odd, Migrate::WriteSize),
];

pub(super) const MAP: &[Row<Map>] = &[
    (24, Plain, Map::Fresh),
    (10, Plain, Map::ByMessage),
    (6, Plain, Map::Offset),
    (8, Plain, Map::TouchAfter),
    (6, Plain, Map::TouchBefore),
    (10, Plain, Map::Again),
    (5, Plain, Map::SameFile),
    (3, Plain, Map::Readable),
    (3, Plain, Map::Writeable),
    (3, Plain, Map::Top),
    (1, Plain, Map::Huge),
    (4, Odd, Map::OverlapStart),
    (2, Odd, Map::OverlapStartByte),
    (4, Odd, Map::OverlapEnd),
    (2, Odd, Map::OverlapEndByte),
    (4, Odd, Map::Inside),
    (3, Odd, Map::Around),
    (4, Odd, Map::Identical),
    (2, Odd, Map::Wrap),
    (2, Odd, Map::SizeZero),
    (2, Odd, Map::UnalignedAddress),
    (2, Odd, Map::UnalignedSize),
    (1, Odd, Map::UnalignedOffset),
    (2, Odd, Map::PastFile),
    (1, Odd, Map::OffsetWrap),
    (1, Odd, Map::NoAccess),
    (2, Odd, Map::UnknownFlags),
    (2, Odd, Map::TwoFds),
    (2, Odd, Map::WrongFd),
    (1, Odd, Map::ReadOnlyFile),
    (2, Odd, Map::Argsz),
];

pub(super) const UNMAP: &[Row<Unmap>] = &[
    (40, Plain, Unmap::Exact),
    (2, Plain, Unmap::ArgszEnough),
    (4, Odd, Unmap::ShortByPage),
    (2, Odd, Unmap::ShortByByte),
    (4, Odd, Unmap::LongByPage),
    (2, Odd, Unmap::LongByByte),
    (3, Odd, Unmap::LateStart),
    (2, Odd, Unmap::EarlyStart),
    (6, Odd, Unmap::SpanTwo),
    (6, Odd, Unmap::Twice),
    (3, Odd, Unmap::Unknown),
    (2, Odd, Unmap::SizeZero),
    (2, Odd, Unmap::Wrap),
    (3, Odd, Unmap::ArgszShort),
    (2, Odd, Unmap::Flags),
    (1, Odd, Unmap::Everything),
];

/// What a table of DMA_MAP has besides its first region.
pub(super) const MAPPED: &[Row<Entries>] = &[
    (20, Plain, Entries::One),
    (20, Plain, Entries::Few),
    (1, Plain, Entries::Many),
    (2, Odd, Entries::None),
    (3, Odd, Entries::FdMissing),
    (2, Odd, Entries::FdLeft),
    (2, Odd, Entries::Flags),
];

/// What a table of DMA_UNMAP has besides its first region.
pub(super) const UNMAPPED: &[Row<Entries>] = &[
    (20, Plain, Entries::One),
    (16, Plain, Entries::Few),
    (8, Plain, Entries::Bitmaps),
    (2, Odd, Entries::None),
    (2, Odd, Entries::Flags),
    (3, Odd, Entries::Mixed),
    (3, Odd, Entries::BitmapPage),
    (3, Odd, Entries::BitmapSize),
];

pub(super) const IRQS: &[Row<Irqs>] = &[
    (20, Plain, Irqs::Assign),
    (5, Plain, Irqs::AssignLast),
    (10, Plain, Irqs::Replace),
    (3, Plain, Irqs::SameFd),
    (8, Plain, Irqs::Deassign),
    (8, Plain, Irqs::Disable),
    (16, Plain, Irqs::Trigger),
    (6, Plain, Irqs::TriggerRange),
    (5, Plain, Irqs::TriggerBool),
    (7, Plain, Irqs::Mask),
    (7, Plain, Irqs::Unmask),
    (2, Plain, Irqs::MaskBool),
    (2, Plain, Irqs::UnmaskBool),
    (2, Plain, Irqs::UnmaskEventfd),
    (1, Plain, Irqs::MaskEventfd),
    (3, Odd, Irqs::PastEnd),
    (3, Odd, Irqs::OverEnd),
    (2, Odd, Irqs::Wrap),
    (1, Odd, Irqs::CountHuge),
    (2, Odd, Irqs::CountZero),
    (3, Odd, Irqs::FewFds),
    (3, Odd, Irqs::ManyFds),
    (2, Odd, Irqs::StrayFd),
    (3, Odd, Irqs::BoolShort),
    (2, Odd, Irqs::BoolLong),
    (2, Odd, Irqs::SeveralData),
    (2, Odd, Irqs::NoData),
    (2, Odd, Irqs::SeveralActions),
    (2, Odd, Irqs::NoAction),
    (1, Odd, Irqs::UnknownFlags),
    (3, Odd, Irqs::WrongIndex),
    (2, Odd, Irqs::AbsentIndex),
    (2, Odd, Irqs::WrongFd),
    (2, Odd, Irqs::Argsz),
];

pub(super) const READ: &[Row<Read>] = &[
    (14, Plain, Read::Width),
    (12, Plain, Read::Back),
    (6, Plain, Read::LastByte),
    (3, Plain, Read::OddWidth),
    (2, Plain, Read::LimitBelow),
    (2, Plain, Read::LimitAt),
    (2, Odd, Read::LimitAbove),
    (4, Odd, Read::PastEnd),
    (4, Odd, Read::Crossing),
    (2, Odd, Read::NearTop),
    (2, Odd, Read::Wrap),
    (3, Odd, Read::CountZero),
    (3, Odd, Read::Absent),
    (2, Odd, Read::BadIndex),
    (1, Odd, Read::CountHuge),
];

pub(super) const WRITE: &[Row<Write>] = &[
    (20, Plain, Write::Scratch),
    (5, Plain, Write::LastByte),
    (4, Plain, Write::OddWidth),
    (8, Plain, Write::Config),
    (2, Plain, Write::LimitBelow),
    (2, Plain, Write::LimitAt),
    (2, Odd, Write::LimitAbove),
    (4, Odd, Write::PastEnd),
    (4, Odd, Write::Crossing),
    (3, Odd, Write::NearTop),
    (2, Odd, Write::Wrap),
    (3, Odd, Write::CountZero),
    (3, Odd, Write::CountAbove),
    (3, Odd, Write::CountBelow),
    (2, Odd, Write::Absent),
    (1, Odd, Write::BadIndex),
];

pub(super) const MULTI: &[Row<Multi>] = &[
    (6, Plain, Multi::One),
    (12, Plain, Multi::Few),
    (6, Plain, Multi::SamePlace),
    (2, Plain, Multi::Many),
    (5, Odd, Multi::Failing),
    (3, Odd, Multi::Nothing),
    (3, Odd, Multi::CountAbove),
    (3, Odd, Multi::CountBelow),
    (2, Odd, Multi::CountHuge),
];

pub(super) const QUERY: &[Row<Query>] = &[
    (6, Plain, Query::Info),
    (6, Plain, Query::RegionInfo),
    (6, Plain, Query::IrqInfo),
    (5, Plain, Query::Reset),
    (4, Plain, Query::IoFds),
    (3, Odd, Query::InfoArgsz),
    (5, Odd, Query::RegionInfoArgsz),
    (3, Odd, Query::IrqInfoArgsz),
    (4, Odd, Query::RegionInfoIndex),
    (4, Odd, Query::IrqInfoIndex),
    (3, Odd, Query::IoFdsArgsz),
    (2, Odd, Query::IoFdsIndex),
    (2, Odd, Query::IoFdsFields),
    (1, Odd, Query::Version),
    (1, Odd, Query::VersionOdd),
    (3, Odd, Query::Unknown),
    (2, Odd, Query::Backwards),
];

pub(super) const FEATURE: &[Row<Feature>] = &[
    (4, Plain, Feature::Migration),
    (4, Plain, Feature::State),
    (6, Plain, Feature::Probe),
    (3, Odd, Feature::MigrationArgsz),
    (3, Odd, Feature::ProbeArgsz),
    (2, Odd, Feature::ProbeData),
    (3, Odd, Feature::ProbeLacking),
    (3, Odd, Feature::Unknown),
    (2, Odd, Feature::Nothing),
    (2, Odd, Feature::Both),
    (3, Odd, Feature::Bits),
    (2, Odd, Feature::Set),
    (3, Odd, Feature::Short),
];

pub(super) const DIRTY_PAGES: &[Row<DirtyPages>] = &[
    (4, Plain, DirtyPages::Start),
    (4, Plain, DirtyPages::Stop),
    (8, Plain, DirtyPages::Get),
    (3, Plain, DirtyPages::GetOne),
    (3, Plain, DirtyPages::GetSeveral),
    (3, Odd, DirtyPages::GetGone),
    (2, Odd, DirtyPages::GetPage),
    (2, Odd, DirtyPages::GetNoPage),
    (4, Plain, DirtyPages::GetRoom),
    (3, Plain, DirtyPages::GetMoreRoom),
    (3, Odd, DirtyPages::GetSize),
    (3, Odd, DirtyPages::GetOdd),
    (3, Odd, DirtyPages::Flags),
    (2, Odd, DirtyPages::GetNothing),
    (2, Odd, DirtyPages::Argsz),
];

pub(super) const REGISTER: &[Row<Register>] = &[
    (6, Plain, Register::State),
    (2, Odd, Register::NoState),
    (6, Plain, Register::Ask),
    (4, Plain, Register::Pending),
    (4, Plain, Register::Offset),
    (3, Plain, Register::Size),
    (2, Odd, Register::WriteReadOnly),
    (2, Odd, Register::Reserved),
    (2, Odd, Register::Width),
];

pub(super) const LOG: &[Row<Log>] = &[
    (4, Plain, Log::Start),
    (3, Plain, Log::StartRanges),
    (3, Plain, Log::StartPage),
    (2, Odd, Log::StartPageOdd),
    (3, Odd, Log::StartRangesOdd),
    (2, Odd, Log::StartCount),
    (4, Plain, Log::Stop),
    (6, Plain, Log::Report),
    (3, Plain, Log::ReportPrefix),
    (3, Plain, Log::ReportSuffix),
    (2, Plain, Log::ReportOne),
    (3, Plain, Log::ReportSpan),
    (3, Plain, Log::ReportGone),
    (3, Plain, Log::ReportPage),
    (2, Odd, Log::ReportPageOdd),
    (3, Odd, Log::ReportOdd),
    (3, Odd, Log::ReportRoom),
];

/// What is asked of the log once the device has written something.
pub(super) const REPORT: &[Row<Log>] = &[
    (8, Plain, Log::Report),
    (3, Plain, Log::ReportPrefix),
    (3, Plain, Log::ReportSuffix),
    (2, Plain, Log::ReportOne),
    (2, Plain, Log::ReportSpan),
    (3, Plain, Log::ReportPage),
    (2, Odd, Log::ReportRoom),
];

/// Of a hundred writes of the device, so many begin the log where it is off.
pub(super) const BEGUN: u64 = 35;
/// Of a hundred writes of the device that are logged, so many are asked for at once.
pub(super) const ASKED: u64 = 50;

/// What is done to a message besides: `Shape::None` for most.
pub(super) const SHAPE: &[Row<Shape>] = &[
    (160, Plain, Shape::None),
    (8, Plain, Shape::Cut),
    (6, Plain, Shape::SameId),
    (4, Plain, Shape::GivenId),
    (5, Odd, Shape::Short),
    (4, Odd, Shape::Long),
    (2, Odd, Shape::Empty),
    (1, Odd, Shape::TypeReply),
    (1, Odd, Shape::TypeUnknown),
    (2, Odd, Shape::StrayFd),
    (1, Odd, Shape::MostFds),
    (1, Odd, Shape::TooManyFds),
];

/// Of a hundred commands that the target does not offer, so many are sent all the same.
pub(super) const NOT_OFFERED: u64 = 5;
/// Of a hundred messages that are not the last of a pipeline, so many ask for no reply.
pub(super) const NO_REPLY: u64 = 15;
/// Of a hundred messages that can join the one before, so many do.
pub(super) const JOINED: u64 = 40;
/// Of a hundred pipelines, so many have their answers asked for in another order.
pub(super) const SHUFFLED: u64 = 20;
/// Of a hundred maps that the device could be made to use, so many have a label by which a later line asks whether they
/// are there.
pub(super) const NAMED: u64 = 60;
/// Of a hundred sequences, so many look at every descriptor and memfd at their end.
pub(super) const LAST_LOOK: u64 = 50;

pub(super) const LEAVE: &[Row<Leave>] =
    &[(4, Plain, Leave::Idle), (4, Plain, Leave::Unread), (3, Plain, Leave::Half), (4, Odd, Leave::Lie)];

/// Messages of which nobody can say where they end, or whose header is none of a command's.
pub(super) const LIE: &[Row<Lie>] = &[
    (4, Plain, Lie::SizeSmall),
    (2, Plain, Lie::SizeBelowPayload),
    (2, Plain, Lie::SizeAbovePayload),
    (1, Plain, Lie::SizeHuge),
    (2, Plain, Lie::Flags),
    (1, Plain, Lie::Error),
    (2, Plain, Lie::Noise),
];
