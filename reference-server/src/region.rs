//! The regions of the conformance device.

use nix::errno::Errno;
use vfio_user_wire::{
    DEFAULT_MAX_DATA_XFER_SIZE, SparseArea, region, region_info_flags as flags, region_subtype, region_type,
};

use crate::settings::Settings;
use crate::without::Feature;

/// One region.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Region {
    /// Bytes; 0 for a region that is not there.
    pub(crate) size: u64,
    /// READ, WRITE, MMAP.
    pub(crate) flags: u32,
    /// What can be mapped, where that is not all of it.
    pub(crate) areas: &'static [SparseArea],
    /// Where its first byte stands in the file that a client maps.
    pub(crate) file_offset: u64,
    /// Type and subtype of one that only its type tells the use of.
    pub(crate) kind: Option<(u32, u32)>,
}

const ABSENT: Region = Region { size: 0, flags: 0, areas: &[], file_offset: 0, kind: None };

/// By index, as many as a PCI device has at the least.
const REGIONS: [Region; region::COUNT as usize] = [
    Region { size: 64 << 10, flags: flags::READ | flags::WRITE, ..ABSENT },
    Region {
        size: 64 << 10,
        flags: flags::READ | flags::WRITE | flags::MMAP,
        areas: &[SparseArea { offset: MIRRORED, size: 0x2000 }, SparseArea { offset: 0x8000, size: 0x4000 }],
        // Not 0, so that a client that forgets the base offset maps something else.
        file_offset: 0x4000,
        kind: None,
    },
    Region { size: 2 << 20, flags: flags::READ | flags::WRITE | flags::MMAP, ..ABSENT },
    ABSENT,
    Region { size: 4 << 10, flags: flags::READ, ..ABSENT },
    ABSENT,
    ABSENT,
    Region { size: 256, flags: flags::READ | flags::WRITE, ..ABSENT },
    ABSENT,
];

/// Where in BAR1 the bytes are that the register `mirror` shows.
pub(crate) const MIRRORED: u64 = 0x1000;

/// The index of the region for migration, which older protocols have; no text says which it is.
pub(crate) const MIGRATION: u32 = region::COUNT;

/// What of it can be mapped: the section for data.
pub(crate) const MIGRATION_DATA: SparseArea = SparseArea { offset: 0x1000, size: 0x11000 };

const MIGRATION_REGION: Region = Region {
    size: MIGRATION_DATA.offset + MIGRATION_DATA.size,
    flags: flags::READ | flags::WRITE | flags::MMAP,
    areas: &[MIGRATION_DATA],
    file_offset: 0,
    kind: Some((region_type::MIGRATION, region_subtype::MIGRATION)),
};

/// How many region indexes the device has.
pub(crate) fn region_count(settings: Settings) -> u32 {
    if settings.has_migration_region() { MIGRATION + 1 } else { region::COUNT }
}

/// The region of that index; one that is not there has size 0.
pub(crate) fn region(settings: Settings, index: u32) -> Option<Region> {
    if index == MIGRATION && settings.has_migration_region() {
        return Some(MIGRATION_REGION);
    }
    let absent = settings.lacks(Feature::Regions) && index != region::CONFIG;
    REGIONS.get(index as usize).map(|region| if absent { ABSENT } else { *region })
}

/// The regions that a client can map, with their indexes.
pub(crate) fn mappable() -> impl Iterator<Item = (u32, &'static Region)> {
    (0u32..).zip(REGIONS.iter().chain([&MIGRATION_REGION])).filter(|(_, region)| region.flags & flags::MMAP != 0)
}

/// Whether `count` bytes at `offset` of region `index` may be accessed in the way `needed` (READ or WRITE) says.
///
/// # Errors
/// EINVAL for a region that is not there, for more than this server's max_data_xfer_size (specification 1303-1304) and
/// for bytes outside of the region; EPERM where the region has not the flag.
pub(crate) fn admit(settings: Settings, index: u32, offset: u64, count: u32, needed: u32) -> Result<(), Errno> {
    let region = region(settings, index).filter(|region| region.size != 0).ok_or(Errno::EINVAL)?;
    if region.flags & needed == 0 {
        return Err(Errno::EPERM);
    }
    let count = u64::from(count);
    if count > DEFAULT_MAX_DATA_XFER_SIZE || offset.checked_add(count).is_none_or(|end| end > region.size) {
        return Err(Errno::EINVAL);
    }
    Ok(())
}
