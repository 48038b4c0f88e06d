//! What single commands may be answered with: each against the clause that its success, or its refusal, would break.

use std::sync::Arc;

use pretty_assertions::assert_eq;
use vfio_user_wire::legacy::DIRTY_PAGES;
use vfio_user_wire::message::{
    DMA_MAP, DMA_READ, DeviceFeature, DeviceInfo, DmaMap, IrqInfo, RegionAccess, RegionInfo, RegionIoFds, Version,
};
use vfio_user_wire::{Limits, NO_REPLY, SparseArea, V0_9_1, V0_9_2, feature_flags, feature_index, sparse_mmap_bytes};

use super::permits::{Kind, Rule};
use super::samples::{self, Said};
use super::{
    Command, FdKind, Offer, OfferedIoFds, OfferedIrq, OfferedRegion, PassedFd, ScratchRange, Session, is_known,
};
use crate::verdict::Class::{self, Note, Violation};

/// What breaks nothing, whether it succeeds or is refused.
pub(super) const EITHER: (Said, Said) = (Vec::new(), Vec::new());

pub(super) fn offer() -> Offer {
    let region = |index, size, flags, argsz| OfferedRegion { index, size, flags, argsz };
    Offer {
        num_regions: Some(9),
        num_irqs: Some(5),
        reset: Some(true),
        dma: true,
        dma_table: true,
        limits: Limits { max_msg_fds: 2, max_data_xfer_size: 0x800, ..Limits::default() },
        regions: vec![
            region(0, 0x1000, 3, 32),
            region(1, 0x1000, 1, 64),
            region(2, 0, 0, 32),
            region(3, 0x1000, 2, 32),
            region(7, 0x1000, 3, 32),
            region(8, 0, 0, 32),
        ],
        irqs: vec![
            OfferedIrq { index: 0, flags: 1, count: 0 },
            OfferedIrq { index: 1, flags: 1, count: 4 },
            OfferedIrq { index: 2, flags: 9, count: 4 },
            OfferedIrq { index: 3, flags: 1, count: 1 },
            OfferedIrq { index: 4, flags: 3, count: 1 },
        ],
        scratch: vec![ScratchRange { region: 0, offset: 0, length: 0x1000 }],
        ..Offer::default()
    }
}

pub(super) fn command(name: &str, payload: &[u8], fds: &[PassedFd]) -> Command {
    samples::command(&V0_9_2, 7, name, payload.to_vec(), fds)
}

/// A session in which these commands have succeeded.
pub(super) fn after(offer: Offer, commands: &[Command]) -> Session {
    let agreed = samples::states(offer.limits);
    let mut session = Session::new(&V0_9_2, Arc::new(offer));
    let version = command("VERSION", &[0; 4], &[]);
    for (ticket, sent) in std::iter::once(&version).chain(commands).enumerate() {
        let payload = if ticket == 0 { agreed.clone() } else { Vec::new() };
        samples::exchange(&mut session, ticket, sent.clone(), Ok(payload));
    }
    session
}

/// What a success of the command breaks, and what its refusal breaks.
pub(super) fn breaks(session: &Session, command: Command) -> (Said, Said) {
    let mut session = session.clone();
    session.sent(1000, command);
    let permits = session.permits(1000);
    let rules = |rules: &[Rule]| rules.iter().map(|rule| (rule.requirement, rule.class)).collect();
    (rules(&permits.ok), rules(&permits.error))
}

pub(super) fn said(name: &str, payload: &[u8]) -> (Said, Said) {
    breaks(&after(offer(), &[]), command(name, payload, &[]))
}

/// Success is due, or that is a finding.
pub(super) fn succeeds(requirement: &'static str, class: Class) -> (Said, Said) {
    (Vec::new(), vec![(requirement, class)])
}

/// A refusal is due, or that is a finding.
pub(super) fn refused(requirement: &'static str, class: Class) -> (Said, Said) {
    (vec![(requirement, class)], Vec::new())
}

#[test]
fn device_info() {
    let info = |info: DeviceInfo| said("DEVICE_GET_INFO", info.bytes());
    let of = |argsz| DeviceInfo { argsz, ..DeviceInfo::default() };
    assert_eq!(info(of(16)), succeeds("INFO-01", Violation));
    assert_eq!(info(of(17)), succeeds("INFO-12", Note));
    assert_eq!(info(of(15)), EITHER);
    assert_eq!(info(DeviceInfo { flags: 1, ..of(16) }), EITHER);
}

#[test]
fn region_info() {
    let info =
        |argsz, index| said("DEVICE_GET_REGION_INFO", RegionInfo { argsz, index, ..RegionInfo::default() }.bytes());
    assert_eq!(info(32, 0), succeeds("INFO-05", Violation));
    assert_eq!(info(32, 8), succeeds("INFO-05", Note));
    assert_eq!(info(33, 0), succeeds("REGINFO-02", Note));
    assert_eq!(info(63, 1), succeeds("MSZ-04", Violation));
    assert_eq!(info(64, 1), succeeds("INFO-05", Violation));
    assert_eq!(info(31, 0), EITHER);
    assert_eq!(info(32, 9), refused("REGINFO-12", Note));
    // It was never told of.
    assert_eq!(info(32, 4), EITHER);
}

#[test]
fn irq_info() {
    let info = |argsz, index| said("DEVICE_GET_IRQ_INFO", IrqInfo { argsz, index, ..IrqInfo::default() }.bytes());
    assert_eq!(info(16, 2), succeeds("INFO-06", Violation));
    assert_eq!(info(16, 3), succeeds("INFO-06", Note));
    assert_eq!(info(16, 4), succeeds("INFO-06", Note));
    assert_eq!(info(17, 2), succeeds("MSZ-02", Note));
    assert_eq!(info(15, 2), EITHER);
    assert_eq!(info(16, 5), refused("IRQINFO-04", Note));
}

#[test]
fn reset() {
    assert_eq!(said("DEVICE_RESET", &[]), succeeds("RESET-05", Violation));
    assert_eq!(said("DEVICE_RESET", &[0]), EITHER);
    let other = PassedFd { id: 1, kind: FdKind::Other };
    assert_eq!(breaks(&after(offer(), &[]), command("DEVICE_RESET", &[], &[other])), EITHER);
    let without = after(Offer { reset: Some(false), ..offer() }, &[]);
    assert_eq!(breaks(&without, command("DEVICE_RESET", &[], &[])), refused("RESET-05", Note));
}

/// What is said of a proposal, as the first message.
fn proposed(major: u16, minor: u16, data: &[u8]) -> (Said, Said) {
    let session = Session::new(&V0_9_2, Arc::new(offer()));
    breaks(&session, command("VERSION", &[Version { major, minor }.bytes(), data].concat(), &[]))
}

#[test]
fn versions_that_are_proposed() {
    let empty = b"{\"capabilities\":{}}\0";
    assert_eq!(proposed(0, 1, b""), succeeds("VER-09", Violation));
    assert_eq!(proposed(u16::MAX, 1, empty), refused("VER-02", Violation));
    assert_eq!(proposed(1, 0, empty), refused("VER-02", Note));
    assert_eq!(proposed(0, 1, empty), succeeds("VER-03", Note));
    assert_eq!(proposed(0, 0, empty), succeeds("VER-04", Violation));
    assert_eq!(proposed(0, 1, b"{}\0"), succeeds("VER-11", Violation));
    assert_eq!(proposed(0, 1, b"{\"a\":1}\0"), succeeds("VER-22", Note));
    // What is no text with a NUL behind it, or no object.
    for odd in [&b"{}"[..], b"{}\0\0", b"{\0", b"[]\0"] {
        assert_eq!(proposed(0, 1, odd), EITHER, "{odd:?}");
    }
    let long = format!("{{\"capabilities\":{{\"a\":\"{}\"}}}}\0", "a".repeat(512));
    assert_eq!(proposed(0, 1, long.as_bytes()), EITHER);
}

#[test]
fn capabilities_that_are_proposed() {
    let said = |capability: &str| proposed(0, 1, format!("{{\"capabilities\":{{{capability}}}}}\0").as_bytes());
    for usual in [
        "\"max_msg_fds\":1",
        "\"max_msg_fds\":16",
        "\"max_data_xfer_size\":65536",
        "\"max_data_xfer_size\":67108864",
        "\"max_dma_maps\":1",
        "\"max_dma_maps\":65535",
        "\"pgsizes\":4096",
        "\"migration\":{\"pgsize\":4096}",
        "\"write_multiple\":false",
        "\"twin_socket\":{\"supported\":true}",
    ] {
        assert_eq!(said(usual), succeeds("VER-03", Note), "{usual}");
    }
    for unusual in [
        "\"max_msg_fds\":0",
        "\"max_msg_fds\":17",
        "\"max_data_xfer_size\":65535",
        "\"max_data_xfer_size\":67108865",
        "\"max_dma_maps\":0",
        "\"max_dma_maps\":65536",
        "\"pgsizes\":8192",
        "\"migration\":{\"pgsize\":8192}",
        "\"write_multiple\":1",
        "\"twin_socket\":{\"supported\":1}",
        "\"twin_socket\":{\"fd_index\":\"1\"}",
        "\"twin_socket\":true",
        "\"x\":{}",
        "\"x\":[]",
    ] {
        assert_eq!(said(unusual), EITHER, "{unusual}");
    }
    assert_eq!(said("\"x\":1"), succeeds("VER-22", Violation));
    assert_eq!(said("\"twin_socket\":{\"supported\":true,\"fd_index\":1}"), succeeds("TWIN-11", Note));
    // No more than a note where the server hangs up.
    let mut session = Session::new(&V0_9_2, Arc::new(offer()));
    let usual = r#""max_msg_fds":1,"max_data_xfer_size":65536,"max_dma_maps":1,"pgsizes":4096,"write_multiple":true"#;
    let data = format!("\0\0\x01\0{{\"capabilities\":{{{usual},\"twin_socket\":{{\"fd_index\":1}}}}}}\0");
    session.sent(0, command("VERSION", data.as_bytes(), &[]));
    let closed = session.permits(0).closed;
    assert_eq!(closed.iter().map(|rule| (rule.requirement, rule.class)).collect::<Said>(), [("TWIN-11", Note)]);
}

#[test]
fn maps_of_memory() {
    let map = |address, size| DmaMap { argsz: 32, flags: 3, offset: 0, address, size };
    let with = |map: DmaMap, fds: &[PassedFd]| command("DMA_MAP", map.bytes(), fds);
    let one = after(offer(), &[with(map(0x10000, 0x2000), &[])]);
    let said = |map| breaks(&one, with(map, &[]));
    assert_eq!(said(map(0x20000, 0x1000)), succeeds("DMAP-03", Violation));
    assert_eq!(said(DmaMap { flags: 1, ..map(0x20000, 0x1000) }), succeeds("DMAP-25", Violation));
    // On either side of the one that is there, and over it.
    assert_eq!(said(map(0xf000, 0x1000)), succeeds("DMAP-07", Violation));
    assert_eq!(said(map(0x12000, 0x1000)), succeeds("DMAP-07", Violation));
    for address in [0xf000, 0x10000, 0x11000] {
        assert_eq!(said(map(address, 0x2000)), refused("DMAP-05", Violation));
    }
    assert_eq!(said(map(0xf000, 0x4000)), refused("DMAP-05", Violation));
    assert_eq!(said(map(0x1000u64.wrapping_neg(), 0x1000)), succeeds("DMAP-16", Note));
    assert_eq!(said(DmaMap { argsz: 31, ..map(0x20000, 0x1000) }), refused("DMAP-02", Note));
    // Of no size, past the end, no pages, unknown or no access.
    for odd in [
        map(0x20000, 0),
        map(0x1000u64.wrapping_neg(), 0x2000),
        map(0x20800, 0x1000),
        map(0x20000, 0x800),
        DmaMap { flags: 0, ..map(0x20000, 0x1000) },
        DmaMap { flags: 7, ..map(0x20000, 0x1000) },
        DmaMap { argsz: 33, ..map(0x20000, 0x1000) },
        DmaMap { offset: 0x1000, ..map(0x20000, 0x1000) },
    ] {
        assert_eq!(said(odd), EITHER, "{odd:?}");
    }
    let file = |id, size, writable| PassedFd { id, kind: FdKind::Memory { size, writable } };
    let of = |map, fds: &[PassedFd]| breaks(&one, with(map, fds));
    assert_eq!(of(map(0x20000, 0x1000), &[file(1, 0x1000, true)]), succeeds("DMAP-04", Violation));
    assert_eq!(of(map(0x20000, 0x2000), &[file(1, 0x1000, true)]), EITHER);
    assert_eq!(of(map(0x20000, 0x1000), &[file(1, 0x1000, false)]), EITHER);
    let second = DmaMap { offset: 0x1000, ..map(0x20000, 0x1000) };
    assert_eq!(of(second, &[file(1, 0x2000, true)]), succeeds("DMAP-04", Violation));
    assert_eq!(of(second, &[file(1, 0x1fff, true)]), EITHER);
    assert_eq!(of(map(0x20000, 0x1000), &[file(1, 0x1000, true), file(2, 0x1000, true)]), EITHER);
    let lent = after(offer(), &[with(map(0x10000, 0x1000), &[file(1, 0x2000, true)])]);
    let again = with(second, &[file(1, 0x2000, true)]);
    assert_eq!(breaks(&lent, again), succeeds("DMAP-28", Violation));
}

#[test]
fn what_is_too_short_for_its_structure_is_refused() {
    let cut = |name, size| said(name, &vec![0; size]);
    assert_eq!(cut("DEVICE_GET_INFO", 8), refused("HDR-20", Note));
    assert_eq!(cut("DEVICE_GET_REGION_INFO", 8), refused("REGINFO-20", Violation));
    assert_eq!(cut("DEVICE_GET_REGION_INFO", 12), refused("REGINFO-20", Note));
    for name in ["DEVICE_GET_IRQ_INFO", "DEVICE_GET_REGION_IO_FDS"] {
        assert_eq!(cut(name, 8), refused("HDR-20", Violation), "{name}");
        assert_eq!(cut(name, 12), refused("HDR-20", Note), "{name}");
    }
    assert_eq!(cut("DMA_MAP", 31), refused("DMAP-01", Violation));
    assert_eq!(cut("DMA_UNMAP", 23), refused("DUNMAP-01", Violation));
    assert_eq!(cut("REGION_READ", 15), refused("RREAD-12", Violation));
    assert_eq!(cut("DEVICE_FEATURE", 7), refused("FEAT-01", Violation));
    let feature = |operation, index| {
        let head = DeviceFeature { argsz: 8, flags: operation | u32::from(index) };
        said("DEVICE_FEATURE", head.bytes())
    };
    assert_eq!(feature(feature_flags::SET, feature_index::MIG_DEVICE_STATE), refused("FEAT-11", Violation));
    assert_eq!(feature(feature_flags::GET, feature_index::DMA_LOGGING_REPORT), refused("HDR-20", Violation));
    assert_eq!(cut("VERSION", 3), refused("VER-27", Violation));
    assert_eq!(cut("DEVICE_SET_IRQS", 19), refused("HDR-20", Violation));
    assert_eq!(cut("REGION_WRITE", 15), refused("HDR-20", Violation));
}

#[test]
fn a_server_that_has_had_a_posted_version_may_have_agreed_or_not() {
    let mut session = Session::new(&V0_9_2, Arc::new(offer()));
    let mut posted = command("VERSION", &[0; 4], &[]);
    posted.header.flags = NO_REPLY;
    session.sent(0, posted);
    assert_eq!(breaks(&session, command("DEVICE_RESET", &[], &[])), EITHER);
}

#[test]
fn what_a_server_said_that_it_does_not_take_exceeds_it() {
    let exceeds = |limits, before: &[Command], last| {
        let mut session = after(Offer { limits, ..offer() }, before);
        session.sent(1000, last);
        session.exceeds(1000).is_some()
    };
    let usual = offer().limits;
    let fds = |count| (0..count).map(|id| PassedFd { id, kind: FdKind::Other }).collect::<Vec<_>>();
    assert!(!exceeds(usual, &[], command("DEVICE_RESET", &[], &fds(usual.max_msg_fds))));
    assert!(exceeds(usual, &[], command("DEVICE_RESET", &[], &fds(usual.max_msg_fds + 1))));
    for name in ["REGION_READ", "REGION_WRITE"] {
        let access = |count| command(name, RegionAccess { offset: 0, region: 0, count }.bytes(), &[]);
        let most = usual.max_data_xfer_size as u32;
        assert!(!exceeds(usual, &[], access(most)), "{name}");
        assert!(exceeds(usual, &[], access(most + 1)), "{name}");
    }
    let map = DmaMap { argsz: 32, flags: 3, offset: 0, address: 0x1000, size: 0x1000 };
    let with = |map: DmaMap| command("DMA_MAP", map.bytes(), &[]);
    let one = Limits { max_dma_maps: 1, ..usual };
    assert!(!exceeds(one, &[], with(map)));
    assert!(exceeds(one, &[with(map)], with(DmaMap { address: 0x2000, ..map })));
    // Half a page, which is less than the smallest of pgsizes.
    for half in [DmaMap { address: 0x800, ..map }, DmaMap { size: 0x800, ..map }, DmaMap { offset: 0x800, ..map }] {
        assert!(exceeds(usual, &[], with(half)), "{half:?}");
    }
}

#[test]
fn what_a_server_takes_is_what_it_told_this_client() {
    let of = |max_msg_fds| Limits { max_msg_fds, ..Limits::default() };
    let most = |proposed: &[u8], stated| {
        let mut session = Session::new(&V0_9_2, Arc::new(Offer { limits: of(8), ..offer() }));
        let version = command("VERSION", proposed, &[]);
        samples::exchange(&mut session, 0, version, Ok(stated));
        let exceeds = |count: &u64| {
            let fds = (0..*count).map(|id| PassedFd { id, kind: FdKind::Other }).collect::<Vec<_>>();
            let mut session = session.clone();
            session.sent(1, command("DEVICE_RESET", &[], &fds));
            session.exceeds(1).is_some()
        };
        (1..20).find(exceeds).unwrap() - 1
    };
    for (stated, taken) in [(8, 8), (4, 4), (16, 8)] {
        assert_eq!(most(&[0; 4], samples::states(of(stated))), taken, "{stated}");
    }
    // The default, where nothing is said.
    assert_eq!(most(&[0; 4], vec![0; 4]), 1);
    // Less than it said to others it may take of a client that takes no more itself.
    for (proposed, stated, taken) in [(4, 4, 4), (2, 4, 4), (16, 4, 8), (8, 4, 8), (16, 8, 8)] {
        assert_eq!(most(&samples::states(of(proposed)), samples::states(of(stated))), taken, "{proposed} {stated}");
    }
}

#[test]
fn sub_regions() {
    let io_fds = |fds| vec![OfferedIoFds { region: 0, fds, argsz: 48 }];
    let refusal = |fds, argsz| {
        let request = RegionIoFds { argsz, flags: 0, index: 0, count: 0 };
        let session = after(Offer { io_fds: io_fds(fds), ..offer() }, &[]);
        breaks(&session, command("DEVICE_GET_REGION_IO_FDS", request.bytes(), &[]))
    };
    assert_eq!(refusal(1, 48), succeeds("IOFDS-19", Note));
    assert_eq!(refusal(1, 47), succeeds("IOFDS-13", Note));
    assert_eq!(refusal(1, 15), EITHER);
    // More than the client takes.
    assert_eq!(refusal(2, 48), EITHER);
}

#[test]
fn what_is_no_command_is_not_carried_out() {
    let of_type = |flags| {
        let mut sent = command("DEVICE_RESET", &[], &[]);
        sent.header.flags = flags;
        breaks(&after(offer(), &[]), sent)
    };
    assert_eq!(of_type(1), (vec![("HDR-21", Violation)], vec![("HDR-21", Note)]));
    assert_eq!(of_type(2), refused("HDR-22", Note));
    // No reply is wanted; the Error bit, which says nothing of a command.
    assert_eq!(of_type(0x10), EITHER);
    assert_eq!(of_type(0x20), EITHER);
}

#[test]
fn a_number_that_no_command_has_is_refused() {
    let breaks = |number| {
        let mut session = after(offer(), &[]);
        let mut sent = command("DEVICE_RESET", &[], &[]);
        (sent.header.command, sent.message) = (number, V0_9_2.message(number));
        session.sent(1000, sent);
        let permits = session.permits(1000);
        [Kind::Ok, Kind::Closed, Kind::Silent]
            .map(|kind| permits.breaks(kind).iter().map(|rule| (rule.requirement, rule.class)).collect::<Said>())
    };
    assert_eq!(breaks(999), [("HDR-23", Note); 3].map(|note| vec![note]));
    // DIRTY_PAGES of 0.9.1 is a command elsewhere.
    assert_eq!(breaks(14), [vec![], vec![], vec![("HDR-14", Violation)]]);
    // What is a command is answered.
    let (reset, _) = V0_9_2.command("DEVICE_RESET").unwrap();
    assert_eq!(breaks(reset), [vec![], vec![("HDR-14", Violation)], vec![("HDR-14", Violation)]]);
}

#[test]
fn messages_of_another_text_cannot_be_judged() {
    assert!(is_known(&V0_9_2, &DMA_MAP) && is_known(&V0_9_1, &DIRTY_PAGES));
    assert!(!is_known(&V0_9_2, &DIRTY_PAGES));
    // A command of the server's is none of a client's.
    assert!(is_known(&V0_9_2, &DMA_READ));
}

#[test]
fn an_answer_that_was_due_is_told_to_have_come() {
    let mut session = after(offer(), &[]);
    session.take_tested();
    let said = samples::judged(&mut session, 50, command("DEVICE_RESET", &[], &[]), Ok(vec![]));
    assert!(said.iter().any(|said| said.requirement == "RESET-05" && said.broken.is_none()));
    assert_eq!(session.take_tested(), [(50, "RESET-05")]);
}

#[test]
fn what_is_cut_is_the_beginning_of_what_was_whole() {
    let request = |argsz| RegionInfo { argsz, index: 1, ..RegionInfo::default() };
    let area = |offset| sparse_mmap_bytes(&[SparseArea { offset, size: 0x1000 }], 0);
    let info = RegionInfo { argsz: 64, flags: 0xd, index: 1, cap_offset: 32, size: 0x1000, offset: 0 };
    let said = |payload: Vec<u8>| {
        let mut session = after(offer(), &[]);
        let ask = |argsz| command("DEVICE_GET_REGION_INFO", request(argsz).bytes(), &[]);
        let whole = [info.bytes(), area(0).as_slice()].concat();
        samples::exchange(&mut session, 50, ask(64), Ok(whole));
        samples::exchange(&mut session, 51, ask(56), Ok(payload))
    };
    let cut = |chain: Vec<u8>| [info.bytes(), &chain[..24]].concat();
    assert!(!said(cut(area(0))).contains(&("REGINFO-16", Violation)));
    assert!(!said([info.bytes(), area(0x800).as_slice()].concat()).contains(&("REGINFO-16", Violation)));
    let mut other = area(0);
    other[20] = 9;
    assert!(said(cut(other)).contains(&("REGINFO-16", Violation)));
}
