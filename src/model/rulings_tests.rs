//! What single commands may be answered with: each against the clause that its success, or its refusal, would break.

use std::sync::Arc;

use nix::errno::Errno;
use pretty_assertions::assert_eq;
use vfio_user_wire::irq_set_flags::{ACTION_MASK, ACTION_TRIGGER, ACTION_UNMASK, DATA_BOOL, DATA_EVENTFD, DATA_NONE};
use vfio_user_wire::message::{
    DeviceInfo, DmaMap, IrqInfo, IrqSet, MultiWrite, RegionAccess, RegionInfo, RegionIoFds, SingleWrite, Version,
};
use vfio_user_wire::{Limits, SparseArea, V0_9_2, sparse_mmap_bytes};

use super::permits::Rule;
use super::samples::{self, Said};
use super::{
    Command, FdKind, LetGo, Offer, OfferedIoFds, OfferedIrq, OfferedRegion, PassedFd, Reply, ScratchRange, Session,
};
use crate::verdict::Class::{self, Note, Violation};

/// What breaks nothing, whether it succeeds or is refused.
const EITHER: (Said, Said) = (Vec::new(), Vec::new());

fn offer() -> Offer {
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

fn command(name: &str, payload: &[u8], fds: &[PassedFd]) -> Command {
    samples::command(&V0_9_2, 7, name, payload.to_vec(), fds)
}

/// A session in which these commands have succeeded.
fn after(offer: Offer, commands: &[Command]) -> Session {
    let mut session = Session::new(&V0_9_2, Arc::new(offer));
    let version = command("VERSION", &[0; 4], &[]);
    for (ticket, sent) in std::iter::once(&version).chain(commands).enumerate() {
        let agreed = b"\0\0\0\0{\"capabilities\":{\"write_multiple\":true}}\0";
        let payload = if ticket == 0 { agreed.to_vec() } else { Vec::new() };
        samples::exchange(&mut session, ticket, sent.clone(), Ok(payload));
    }
    session
}

/// What a success of the command breaks, and what its refusal breaks.
fn breaks(session: &Session, command: Command) -> (Said, Said) {
    let mut session = session.clone();
    session.sent(1000, command);
    let permits = session.permits(1000);
    let rules = |rules: &[Rule]| rules.iter().map(|rule| (rule.requirement, rule.class)).collect();
    (rules(&permits.ok), rules(&permits.error))
}

fn said(name: &str, payload: &[u8]) -> (Said, Said) {
    breaks(&after(offer(), &[]), command(name, payload, &[]))
}

/// Success is due, or that is a finding.
fn succeeds(requirement: &'static str, class: Class) -> (Said, Said) {
    (Vec::new(), vec![(requirement, class)])
}

/// A refusal is due, or that is a finding.
fn refused(requirement: &'static str, class: Class) -> (Said, Said) {
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

fn set(flags: u32, index: u32, start: u32, count: u32, data: &[u8], fds: &[PassedFd]) -> Command {
    let set = IrqSet { argsz: 20 + data.len() as u32, flags, index, start, count };
    command("DEVICE_SET_IRQS", &[set.bytes(), data].concat(), fds)
}

fn eventfds(count: u64) -> Vec<PassedFd> {
    (0..count).map(|id| PassedFd { id, kind: FdKind::Eventfd }).collect()
}

#[test]
fn interrupts_that_there_are_not() {
    let fresh = after(offer(), &[]);
    let none = |index, start, count| {
        breaks(&fresh, set(DATA_EVENTFD | ACTION_TRIGGER, index, start, count, &[], &eventfds(u64::from(count))))
    };
    assert_eq!(none(5, 0, 1), refused("SETIRQS-13", Violation));
    assert_eq!(none(0, 0, 1), refused("IRQINFO-03", Violation));
    assert_eq!(none(0, 0, 0), EITHER);
    assert_eq!(none(1, 4, 1), refused("SETIRQS-12", Violation));
    assert_eq!(none(1, u32::MAX, 2), refused("SETIRQS-12", Violation));
    assert_eq!(none(1, 3, 1), succeeds("IRQINFO-05", Violation));
}

#[test]
fn flags_of_interrupts_exclude_each_other() {
    let fresh = after(offer(), &[]);
    let flags = |flags| breaks(&fresh, set(flags, 1, 0, 1, &[], &[]));
    assert_eq!(flags(DATA_NONE | DATA_BOOL | ACTION_TRIGGER), refused("SETIRQS-06", Note));
    assert_eq!(flags(DATA_NONE | ACTION_TRIGGER | ACTION_MASK), refused("SETIRQS-07", Note));
    assert_eq!(flags(DATA_NONE | ACTION_UNMASK | ACTION_MASK), refused("SETIRQS-07", Note));
    assert_eq!(flags(DATA_NONE), refused("SETIRQS-08", Note));
    assert_eq!(flags(ACTION_TRIGGER), refused("SETIRQS-08", Note));
    assert_eq!(flags(DATA_BOOL | ACTION_TRIGGER), refused("SETIRQS-16", Violation));
    assert_eq!(flags(DATA_NONE | ACTION_TRIGGER | 1 << 20), EITHER);
    let mut short = set(DATA_NONE | ACTION_TRIGGER, 1, 0, 1, &[], &[]);
    short.payload[0] = 19;
    assert_eq!(breaks(&fresh, short), refused("SETIRQS-19", Note));
    assert_eq!(breaks(&fresh, set(DATA_NONE | ACTION_TRIGGER, 1, 0, 1, &[1], &[])), EITHER);
}

#[test]
fn interrupts_are_assigned() {
    let fresh = after(offer(), &[]);
    let assign =
        |index, start, count, fds: &[PassedFd]| set(DATA_EVENTFD | ACTION_TRIGGER, index, start, count, &[], fds);
    assert_eq!(breaks(&fresh, assign(1, 0, 1, &eventfds(1))), succeeds("IRQINFO-05", Violation));
    assert_eq!(breaks(&fresh, assign(1, 0, 2, &eventfds(2))), succeeds("SETIRQS-25", Violation));
    assert_eq!(breaks(&fresh, assign(1, 0, 2, &eventfds(1))), refused("SETIRQS-14", Note));
    let other = PassedFd { id: 1, kind: FdKind::Other };
    assert_eq!(breaks(&fresh, assign(1, 0, 1, &[other])), EITHER);
    // Set up as a whole: from the first one on, and once.
    assert_eq!(breaks(&fresh, assign(2, 0, 1, &eventfds(1))), succeeds("IRQINFO-05", Violation));
    assert_eq!(breaks(&fresh, assign(2, 1, 1, &eventfds(1))), EITHER);
    let one = after(offer(), &[assign(2, 0, 1, &eventfds(1))]);
    assert_eq!(breaks(&one, assign(2, 0, 1, &eventfds(1))), EITHER);
    // One type at a time.
    assert_eq!(breaks(&one, assign(1, 0, 1, &eventfds(1))), EITHER);
    let same = after(offer(), &[assign(1, 0, 1, &eventfds(1))]);
    assert_eq!(breaks(&same, assign(1, 1, 1, &eventfds(1))), succeeds("IRQINFO-05", Violation));
}

#[test]
fn interrupts_that_are_assigned_do_what_they_are_told() {
    let fresh = after(offer(), &[]);
    let assigned = |index, count| {
        let fds = eventfds(u64::from(count));
        after(offer(), &[set(DATA_EVENTFD | ACTION_TRIGGER, index, 0, count, &[], &fds)])
    };
    let none = |action, index, count| set(DATA_NONE | action, index, 0, count, &[], &[]);
    let trigger = none(ACTION_TRIGGER, 1, 2);
    assert_eq!(breaks(&assigned(1, 2), trigger.clone()), succeeds("SETIRQS-03", Note));
    assert_eq!(breaks(&fresh, trigger.clone()), EITHER);
    assert_eq!(breaks(&assigned(1, 1), trigger), EITHER);
    let bools = set(DATA_BOOL | ACTION_TRIGGER, 1, 0, 2, &[1, 0], &[]);
    assert_eq!(breaks(&assigned(1, 2), bools), succeeds("SETIRQS-04", Note));
    let take_back = set(DATA_EVENTFD | ACTION_TRIGGER, 1, 0, 2, &[], &[]);
    assert_eq!(breaks(&assigned(1, 2), take_back.clone()), succeeds("SETIRQS-10", Violation));
    assert_eq!(breaks(&assigned(1, 1), take_back.clone()), EITHER);
    assert_eq!(breaks(&fresh, take_back), succeeds("SETIRQS-31", Note));
    let take_back = set(DATA_EVENTFD | ACTION_TRIGGER, 2, 0, 2, &[], &[]);
    assert_eq!(breaks(&assigned(2, 2), take_back), EITHER);
    let disable = none(ACTION_TRIGGER, 1, 0);
    assert_eq!(breaks(&assigned(1, 1), disable.clone()), succeeds("SETIRQS-09", Violation));
    assert_eq!(breaks(&fresh, disable), succeeds("SETIRQS-32", Note));
    for action in [ACTION_MASK, ACTION_UNMASK] {
        assert_eq!(breaks(&assigned(1, 1), none(action, 1, 1)), refused("SETIRQS-20", Note));
        assert_eq!(breaks(&assigned(4, 1), none(action, 4, 1)), succeeds("IRQINFO-06", Violation));
        assert_eq!(breaks(&fresh, none(action, 4, 1)), EITHER);
    }
    // Descriptors that nobody asked for.
    let stray = set(DATA_NONE | ACTION_TRIGGER, 1, 0, 1, &[], &eventfds(1));
    assert_eq!(breaks(&assigned(1, 1), stray), EITHER);
}

fn access(region: u32, offset: u64, count: u32, data: &[u8]) -> Vec<u8> {
    [RegionAccess { offset, region, count }.bytes(), data].concat()
}

#[test]
fn reads_of_regions() {
    let read = |region, offset, count| said("REGION_READ", &access(region, offset, count, &[]));
    assert_eq!(read(0, 0, 4), succeeds("RREAD-01", Violation));
    assert_eq!(read(0, 0xff8, 8), succeeds("RREAD-01", Violation));
    assert_eq!(read(0, 2, 4), EITHER);
    assert_eq!(read(0, 0, 3), EITHER);
    assert_eq!(read(0, 0, 0), EITHER);
    assert_eq!(read(7, 0x40, 4), succeeds("RREAD-01", Violation));
    assert_eq!(read(7, 0x40, 8), EITHER);
    assert_eq!(read(7, 0, 256), succeeds("RREAD-16", Note));
    assert_eq!(read(7, 0x100, 256), EITHER);
    assert_eq!(read(1, 0, 4), EITHER);
    assert_eq!(read(9, 0, 4), refused("RREAD-04", Note));
    assert_eq!(read(2, 0, 4), refused("RREAD-10", Note));
    assert_eq!(read(3, 0, 4), refused("RREAD-09", Note));
    assert_eq!(read(0, 0xffc, 8), refused("RREAD-05", Note));
    assert_eq!(read(0, u64::MAX, 4), refused("RREAD-06", Note));
    // More than the server takes at one time.
    assert_eq!(read(0, 0, 0x801), EITHER);
    assert_eq!(said("REGION_READ", &access(0, 0, 4, &[0])), EITHER);
}

#[test]
fn writes_to_regions() {
    let write =
        |region, offset, count: u32| said("REGION_WRITE", &access(region, offset, count, &vec![0; count as usize]));
    assert_eq!(write(0, 0, 4), succeeds("RWRITE-01", Note));
    assert_eq!(write(0, 2, 4), EITHER);
    assert_eq!(write(0, 0, 0), EITHER);
    assert_eq!(write(0, 0, 0x800), succeeds("RWRITE-07", Violation));
    assert_eq!(write(0, 0, 0x801), EITHER);
    assert_eq!(write(9, 0, 4), refused("RWRITE-04", Note));
    assert_eq!(write(2, 0, 4), refused("RWRITE-04", Note));
    assert_eq!(write(0, 0xffd, 4), refused("RWRITE-04", Note));
    assert_eq!(write(0, u64::MAX, 4), refused("RWRITE-04", Note));
    assert_eq!(write(1, 0, 4), refused("RWRITE-05", Note));
    assert_eq!(write(7, 0, 4), EITHER);
    assert_eq!(said("REGION_WRITE", &access(0, 0, 4, &[0; 3])), refused("RWRITE-03", Violation));
    assert_eq!(said("REGION_WRITE", &access(0, 0, 4, &[0; 5])), EITHER);
}

#[test]
fn several_writes_in_one_message() {
    let write = |region, offset, count| SingleWrite { offset, region, count, data: 0 };
    let some = |wr_cnt, writes: &[SingleWrite]| {
        let writes = writes.iter().flat_map(|write| write.bytes().to_vec()).collect::<Vec<_>>();
        said("REGION_WRITE_MULTI", &[MultiWrite { wr_cnt }.bytes(), writes.as_slice()].concat())
    };
    let good = write(0, 0, 4);
    assert_eq!(some(1, &[good]), succeeds("VER-21", Violation));
    assert_eq!(some(2, &[good, write(0, 8, 8)]), succeeds("VER-21", Violation));
    assert_eq!(some(2, &[good]), refused("WMULTI-06", Note));
    // Not as many as came, too long, none, not there, or of no known effect.
    assert_eq!(some(1, &[good, good]), EITHER);
    assert_eq!(some(0, &[]), EITHER);
    for other in [write(0, 0, 9), write(0, 0, 0), write(9, 0, 4), write(1, 0, 4), write(0, 2, 4), write(7, 0, 4)] {
        assert_eq!(some(2, &[good, other]), EITHER);
    }
    // A region that is written and not read.
    let scratch = vec![ScratchRange { region: 3, offset: 0, length: 0x100 }];
    let sent = [MultiWrite { wr_cnt: 1 }.bytes(), write(3, 0, 4).bytes()].concat();
    let blind = after(Offer { scratch, ..offer() }, &[]);
    assert_eq!(breaks(&blind, command("REGION_WRITE_MULTI", &sent, &[])), succeeds("VER-21", Violation));
    // It was not agreed on.
    let mut session = Session::new(&V0_9_2, Arc::new(offer()));
    let version = command("VERSION", &[0; 4], &[]);
    session.sent(0, version.clone());
    let reply = Reply { header: &version.header.reply(4), payload: &[0; 4], fds: 0 };
    session.answered(0, &version, &reply);
    let sent = command("REGION_WRITE_MULTI", &[MultiWrite { wr_cnt: 1 }.bytes(), good.bytes()].concat(), &[]);
    assert_eq!(breaks(&session, sent), refused("WMULTI-01", Note));
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
    assert_eq!(cut("DEVICE_SET_IRQS", 19), refused("HDR-20", Violation));
    assert_eq!(cut("REGION_WRITE", 15), refused("HDR-20", Violation));
}

#[test]
fn a_mask_is_seen_in_what_the_device_raises() {
    let raised = |index, first| {
        let assign = set(DATA_EVENTFD | ACTION_TRIGGER, index, 0, 1, &[], &eventfds(1));
        let mut session = after(offer(), &[assign, first]);
        session.raised(index, 0);
        session.signals(0).map(|signals| (signals.most.0, signals.most.1))
    };
    let mask = |index| set(DATA_NONE | ACTION_MASK, index, 0, 1, &[], &[]);
    assert_eq!(raised(4, mask(4)), Some((0, "SETIRQS-17")));
    // Of a type that has no masks nobody can say what became of that.
    assert_eq!(raised(1, mask(1)).map(|(most, _)| most), Some(1));
}

#[test]
fn a_descriptor_is_held_where_the_command_takes_one() {
    let let_go = |flags| after(offer(), &[set(flags, 4, 0, 1, &[], &eventfds(1))]).let_go(0);
    assert_eq!(let_go(DATA_EVENTFD | ACTION_TRIGGER), None);
    assert_eq!(let_go(DATA_EVENTFD | ACTION_MASK), None);
    assert_eq!(let_go(DATA_NONE | ACTION_TRIGGER), Some(LetGo::Stray));
}

#[test]
fn what_is_no_eventfd_is_not_looked_at() {
    let assigned = |kind| {
        let fd = PassedFd { id: 7, kind };
        after(offer(), &[set(DATA_EVENTFD | ACTION_TRIGGER, 1, 0, 1, &[], &[fd])]).signals(7)
    };
    assert!(assigned(FdKind::Eventfd).is_some());
    assert!(assigned(FdKind::Other).is_none());
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
fn what_a_write_was_answered_with_is_what_is_read() {
    let read = |session: &mut Session, data: &[u8]| {
        let read = command("REGION_READ", &access(0, 0x10, 4, &[]), &[]);
        samples::exchange(session, 100, read, Ok(access(0, 0x10, 4, data)))
    };
    let after_write = |answer: Result<Vec<u8>, Errno>, data: &[u8]| {
        let mut session = after(offer(), &[]);
        samples::exchange(&mut session, 50, command("REGION_WRITE", &access(0, 0x10, 4, &[1, 2, 3, 4]), &[]), answer);
        read(&mut session, data)
    };
    let done = || Ok(access(0, 0x10, 4, &[]));
    assert_eq!(after_write(done(), &[1, 2, 3, 4]), []);
    assert_eq!(after_write(done(), &[1, 2, 3, 5]), [("RWRITE-02", Violation)]);
    assert_eq!(after_write(Ok(access(0, 0x10, 3, &[])), &[1, 2, 3, 5]), []);
    assert_eq!(after_write(Err(Errno::EIO), &[0; 4]), []);
    let after_writes = |wr_cnt, answer: Result<u64, Errno>, data: &[u8]| {
        let write = |offset, data| SingleWrite { offset, region: 0, count: 4, data };
        let writes =
            [write(0x20, 0), write(0x10, 0x0403_0201)].iter().flat_map(|write| write.bytes().to_vec()).collect();
        let sent = [MultiWrite { wr_cnt }.bytes().to_vec(), writes].concat();
        let mut session = after(offer(), &[]);
        let answer = answer.map(|wr_cnt| MultiWrite { wr_cnt }.bytes().to_vec());
        samples::exchange(&mut session, 50, command("REGION_WRITE_MULTI", &sent, &[]), answer);
        read(&mut session, data)
    };
    assert_eq!(after_writes(2, Ok(2), &[1, 2, 3, 4]), []);
    assert_eq!(after_writes(2, Ok(2), &[0; 4]), [("WMULTI-02", Violation)]);
    // Not all of them; refused; one more than wr_cnt says.
    assert_eq!(after_writes(2, Ok(1), &[0; 4]), []);
    assert_eq!(after_writes(2, Err(Errno::EIO), &[0; 4]), []);
    assert_eq!(after_writes(1, Ok(1), &[0; 4]), []);
}

#[test]
fn no_more_writes_are_done_than_came() {
    let write = SingleWrite { offset: 0, region: 0, count: 4, data: 0 };
    let said = |wr_cnt, answer| {
        let sent = [MultiWrite { wr_cnt }.bytes(), write.bytes()].concat();
        let mut session = after(offer(), &[]);
        let answer = Ok(MultiWrite { wr_cnt: answer }.bytes().to_vec());
        samples::exchange(&mut session, 50, command("REGION_WRITE_MULTI", &sent, &[]), answer)
    };
    assert_eq!(said(1, 1), []);
    assert_eq!(said(1, 0), [("WMULTI-03", Violation)]);
    assert_eq!(said(1, 2), [("WMULTI-03", Violation)]);
    assert!(said(2, 2).contains(&("WMULTI-06", Violation)));
    assert!(!said(2, 1).contains(&("WMULTI-06", Violation)));
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
fn a_number_that_no_command_has_may_be_dropped() {
    let silent = |number| {
        let mut session = after(offer(), &[]);
        let mut sent = command("DEVICE_RESET", &[], &[]);
        (sent.header.command, sent.message) = (number, None);
        session.sent(1000, sent);
        let permits = session.permits(1000);
        let of = |rules: &[Rule]| rules.iter().map(|rule| (rule.requirement, rule.class)).collect::<Said>();
        (of(&permits.ok), of(&permits.silent))
    };
    assert_eq!(silent(999), (vec![("HDR-23", Note)], vec![("HDR-23", Note)]));
    // DIRTY_PAGES of 0.9.1 is a command elsewhere.
    assert_eq!(silent(14), (Vec::new(), vec![("HDR-14", Violation)]));
}

#[test]
fn the_byte_that_differs_is_named() {
    let mut session = after(offer(), &[]);
    let done = Ok(access(0, 0x10, 4, &[]));
    samples::exchange(&mut session, 50, command("REGION_WRITE", &access(0, 0x10, 4, &[1, 2, 3, 4]), &[]), done);
    let read = command("REGION_READ", &access(0, 0x10, 4, &[]), &[]);
    let said = samples::judged(&mut session, 51, read, Ok(access(0, 0x10, 4, &[1, 2, 9, 4])));
    let broken = said.into_iter().find_map(|said| said.broken).unwrap();
    assert_eq!((broken.expected.as_str(), broken.actual.as_str()), ("0x03 at 0x12, as it was written", "0x09"));
    let mark = broken.field.unwrap();
    assert_eq!((mark.name.as_str(), mark.offset, mark.length), ("data", 16 + 16 + 2, 1));
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
fn scratch_bytes_that_may_have_changed_are_anything() {
    let mut session = after(offer(), &[command("REGION_WRITE", &access(0, 0x10, 1, &[7]), &[])]);
    let done = Ok(access(0, 0x10, 1, &[]));
    samples::exchange(&mut session, 50, command("REGION_WRITE", &access(0, 0x10, 1, &[7]), &[]), done);
    let read = |session: &mut Session, data| {
        let read = command("REGION_READ", &access(0, 0x10, 1, &[]), &[]);
        samples::exchange(session, 51, read, Ok(access(0, 0x10, 1, &[data])))
    };
    assert_eq!(read(&mut session.clone(), 8), [("RWRITE-02", Violation)]);
    session.forget_scratch();
    assert_eq!(read(&mut session, 8), []);
}

#[test]
fn every_trigger_signals_but_of_what_is_masked() {
    let signalled = |irq: OfferedIrq, then: &[Command]| {
        let assign = set(DATA_EVENTFD | ACTION_TRIGGER, irq.index, 0, 1, &[], &eventfds(1));
        let offer = Offer { irqs: vec![irq], ..offer() };
        let signals = after(offer, &[&[assign], then].concat()).signals(0).unwrap();
        (signals.least.0, signals.most.0)
    };
    let irq = |flags| OfferedIrq { index: 4, flags, count: 1 };
    let of = |action| set(DATA_NONE | action, 4, 0, 1, &[], &[]);
    let (trigger, mask, unmask) = (of(ACTION_TRIGGER), of(ACTION_MASK), of(ACTION_UNMASK));
    assert_eq!(signalled(irq(1), &[trigger.clone(), trigger.clone()]), (2, 2));
    // Eventfd and maskable; and automasked.
    assert_eq!(signalled(irq(3), &[trigger.clone(), trigger.clone()]), (2, 2));
    assert_eq!(signalled(irq(7), &[trigger.clone(), trigger.clone()]), (1, 2));
    assert_eq!(signalled(irq(7), &[trigger.clone(), unmask.clone(), trigger.clone()]), (2, 2));
    assert_eq!(signalled(irq(3), &[mask.clone(), trigger.clone()]), (0, 1));
    assert_eq!(signalled(irq(3), &[mask, unmask, trigger]), (1, 1));
}

#[test]
fn as_many_descriptors_as_a_server_takes_are_its_limit() {
    let assigned = |most, count| {
        let limits = Limits { max_msg_fds: most, ..Limits::default() };
        let session = after(Offer { limits, ..offer() }, &[]);
        breaks(&session, set(DATA_EVENTFD | ACTION_TRIGGER, 1, 0, count, &[], &eventfds(u64::from(count))))
    };
    assert_eq!(assigned(2, 2), succeeds("SETIRQS-25", Violation));
    assert_eq!(assigned(3, 2), succeeds("IRQINFO-05", Violation));
    assert_eq!(assigned(1, 1), succeeds("IRQINFO-05", Violation));
    assert_eq!(assigned(1, 2), EITHER);
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
    let mut other = area(0);
    other[20] = 9;
    assert!(said(cut(other)).contains(&("REGINFO-16", Violation)));
}
