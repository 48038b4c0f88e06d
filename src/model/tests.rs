//! Each rule against a reply that keeps it and one that breaks just it; what is right comes from the specification's
//! tables, whose lines the register cites.

use pretty_assertions::assert_eq;
use serde_json::json;
use vfio_user_wire::message::{DeviceInfo, DmaMap, DmaUnmap, IrqInfo, RegionAccess, RegionInfo, RegionIoFds, Version};
use vfio_user_wire::{
    ERROR, Header, IoEventFd, NO_REPLY, SparseArea, V0_9_2, VersionData, region, region_info_flags, sparse_mmap_bytes,
};

use super::{Command, Negotiated, Reply, TwinSocket, judge_order, judge_reply, judge_twin_socket, samples};
use crate::verdict::Class;

pub(super) fn command(name: &str, payload: &[u8]) -> Command {
    samples::command(&V0_9_2, 7, name, payload.to_vec(), &[])
}

pub(super) fn negotiated(client: serde_json::Value) -> Negotiated {
    let capabilities = client.as_object().unwrap().clone();
    Negotiated { client: VersionData::with_capabilities(capabilities), server: VersionData::default() }
}

/// The requirements that a reply breaks, and how much each weighs.
pub(super) fn broken(
    command: &Command,
    header: Header,
    payload: &[u8],
    fds: usize,
    negotiated: &Negotiated,
) -> Vec<(&'static str, Class)> {
    let reply = Reply { header: &header, payload, fds };
    let judgements = judge_reply(&V0_9_2, command, &reply, negotiated);
    judgements.into_iter().filter_map(|judgement| Some((judgement.requirement, judgement.broken?.class))).collect()
}

pub(super) fn answered(command: &Command, payload: &[u8]) -> Vec<(&'static str, Class)> {
    broken(command, command.header.reply(payload.len()), payload, 0, &negotiated(json!({ "max_msg_fds": 2 })))
}

pub(super) const V: Class = Class::Violation;
pub(super) const N: Class = Class::Note;

fn info() -> DeviceInfo {
    DeviceInfo { argsz: 16, flags: 3, num_regions: 9, num_irqs: 5 }
}

#[test]
fn a_reply_by_the_table_breaks_nothing() {
    let request = DeviceInfo { argsz: 16, ..DeviceInfo::default() };
    assert_eq!(answered(&command("DEVICE_GET_INFO", request.bytes()), info().bytes()), []);
    assert_eq!(answered(&command("DMA_MAP", DmaMap::default().bytes()), &[]), []);
    let unmap = DmaUnmap { argsz: 24, flags: 0, address: 0x1000, size: 0x2000 };
    assert_eq!(answered(&command("DMA_UNMAP", unmap.bytes()), unmap.bytes()), []);
    let read = RegionAccess { offset: 4, region: 7, count: 2 };
    assert_eq!(answered(&command("REGION_READ", read.bytes()), &[read.bytes(), &[1, 2]].concat()), []);
}

#[test]
fn headers() {
    let sent = command("DEVICE_GET_INFO", DeviceInfo { argsz: 16, ..DeviceInfo::default() }.bytes());
    let good = sent.header.reply(16);
    let judge = |header: Header| broken(&sent, header, info().bytes(), 0, &Negotiated::default());
    assert_eq!(judge(Header { id: 8, ..good }), [("HDR-02", V)]);
    assert_eq!(judge(Header { command: 5, ..good }), [("HDR-04", V)]);
    assert_eq!(judge(Header { flags: 0, ..good }), [("HDR-06", V)]);
    assert_eq!(judge(Header { error: 5, ..good }), [("HDR-07", N)]);
    assert_eq!(judge(Header { flags: 0x11, ..good }), [("HDR-11", N)]);
    assert_eq!(judge(Header { flags: 0x41, ..good }), [("HDR-12", N)]);
}

#[test]
fn an_error_reply_is_the_header_alone() {
    let sent = command("DMA_MAP", DmaMap::default().bytes());
    let refused = sent.header.error_reply(22);
    assert_eq!(broken(&sent, refused, &[], 0, &Negotiated::default()), []);
    let padded = Header { size: 24, ..refused };
    assert_eq!(broken(&sent, padded, &[0; 8], 0, &Negotiated::default()), [("HDR-10", V)]);
}

#[test]
fn a_reply_that_nobody_asked_for_weighs_by_what_clients_post() {
    let posted = |name: &str, payload: &[u8]| {
        let mut sent = command(name, payload);
        sent.header.flags = NO_REPLY;
        sent
    };
    let map = posted("DMA_MAP", DmaMap::default().bytes());
    assert_eq!(broken(&map, map.header.reply(0), &[], 0, &Negotiated::default()), [("CONC-03", V)]);
    assert_eq!(broken(&map, map.header.error_reply(22), &[], 0, &Negotiated::default()), [("CONC-04", V)]);
    let query = posted("DEVICE_GET_INFO", DeviceInfo { argsz: 16, ..DeviceInfo::default() }.bytes());
    assert_eq!(broken(&query, query.header.reply(16), info().bytes(), 0, &Negotiated::default()), [("CONC-03", N)]);
    let version = posted("VERSION", Version::default().bytes());
    assert_eq!(broken(&version, version.header.reply(4), &[0; 4], 0, &Negotiated::default()), []);
}

#[test]
fn descriptors_stay_within_the_clients_limit() {
    let sent = command("DEVICE_GET_REGION_INFO", RegionInfo { argsz: 32, ..RegionInfo::default() }.bytes());
    let mappable = RegionInfo { argsz: 32, flags: 7, size: 4096, ..RegionInfo::default() };
    let judge = |fds, most| {
        let negotiated = negotiated(json!({ "max_msg_fds": most }));
        broken(&sent, sent.header.reply(32), mappable.bytes(), fds, &negotiated)
    };
    assert_eq!(judge(1, 1), []);
    assert_eq!(judge(2, 1), [("VER-14", V)]);
    assert_eq!(judge(1, 0), [("VER-14", V)]);
    // MMAP without a descriptor, where the client could have taken one.
    assert_eq!(judge(0, 1), [("REGINFO-05", V)]);
    assert_eq!(judge(0, 0), []);
}

#[test]
fn payloads_are_as_long_as_the_table_says() {
    let sent = command("DEVICE_GET_INFO", DeviceInfo { argsz: 16, ..DeviceInfo::default() }.bytes());
    assert_eq!(answered(&sent, &info().bytes()[..12]), [("INFO-01", V)]);
    assert_eq!(answered(&sent, &[info().bytes(), &[0; 4]].concat()), [("INFO-01", V)]);
    assert_eq!(answered(&command("DMA_MAP", DmaMap::default().bytes()), &[0; 32]), [("DMAP-08", V)]);
    assert_eq!(answered(&command("DEVICE_RESET", &[]), &[0; 4]), [("RESET-01", V)]);
}

#[test]
fn what_policies_leave_open_is_a_note() {
    // cut to an argsz below the fixed part.
    let sent = command("DEVICE_GET_INFO", DeviceInfo { argsz: 8, ..DeviceInfo::default() }.bytes());
    assert_eq!(answered(&sent, &info().bytes()[..8]), [("INFO-01", N)]);
    // an access of 0 bytes answered by the header alone.
    let sent = command("REGION_READ", RegionAccess { offset: 0, region: 7, count: 0 }.bytes());
    assert_eq!(answered(&sent, &[]), [("RREAD-01", N)]);
    // DMA_UNMAP of a server without DMA.
    assert_eq!(answered(&command("DMA_UNMAP", DmaUnmap::default().bytes()), &[]), [("DUNMAP-05", N)]);
}

#[test]
fn device_info_says_what_a_pci_device_must() {
    let sent = command("DEVICE_GET_INFO", DeviceInfo { argsz: 16, ..DeviceInfo::default() }.bytes());
    let judge = |info: DeviceInfo| answered(&sent, info.bytes());
    assert_eq!(judge(DeviceInfo { argsz: 32, ..info() }), [("INFO-02", V)]);
    assert_eq!(judge(DeviceInfo { flags: 1, ..info() }), [("INFO-04", V)]);
    assert_eq!(judge(DeviceInfo { num_regions: 8, ..info() }), [("INFO-05", V)]);
    // How many regions another device has is its own affair.
    assert_eq!(judge(DeviceInfo { flags: 1, num_regions: 2, ..info() }), [("INFO-04", V)]);
    assert_eq!(judge(DeviceInfo { flags: 7, ..info() }), [("INFO-07", N)]);
    assert_eq!(judge(DeviceInfo { num_regions: 101, ..info() }), [("INFO-11", N)]);
}

#[test]
fn what_a_request_names_comes_back() {
    let sent = command("DEVICE_GET_IRQ_INFO", IrqInfo { argsz: 16, index: 2, ..IrqInfo::default() }.bytes());
    let irq = IrqInfo { argsz: 16, flags: 1, index: 1, count: 4 };
    assert_eq!(answered(&sent, irq.bytes()), [("IRQINFO-02", V)]);
    let read = RegionAccess { offset: 4, region: 7, count: 2 };
    let sent = command("REGION_READ", read.bytes());
    let judge = |access: RegionAccess, data: &[u8]| answered(&sent, &[access.bytes(), data].concat());
    assert_eq!(judge(RegionAccess { offset: 0, ..read }, &[1, 2]), [("RREAD-01", V)]);
    assert_eq!(judge(read, &[1]), [("RREAD-02", V)]);
    assert_eq!(judge(RegionAccess { count: 3, ..read }, &[1, 2, 3]), [("RREAD-03", V)]);
    let sent = command("REGION_WRITE", &[read.bytes(), &[1, 2]].concat());
    let judge = |access: RegionAccess| answered(&sent, access.bytes());
    assert_eq!(judge(read), []);
    assert_eq!(judge(RegionAccess { offset: 0, ..read }), [("RWRITE-01", V)]);
    assert_eq!(judge(RegionAccess { region: 6, ..read }), [("RWRITE-01", V)]);
    assert_eq!(judge(RegionAccess { count: 3, ..read }), [("RWRITE-01", V)]);
}

#[test]
fn a_region_without_bytes_has_no_flags_and_one_of_the_devices_own_a_type() {
    let judge = |index, flags, size| {
        let info = RegionInfo { argsz: 32, flags, index, size, ..RegionInfo::default() };
        answered(&command("DEVICE_GET_REGION_INFO", info.bytes()), info.bytes())
    };
    assert_eq!(judge(region::VGA, 0, 0), []);
    assert_eq!(judge(region::VGA, region_info_flags::READ, 0), [("REGINFO-17", N)]);
    assert_eq!(judge(region::VGA, region_info_flags::READ, 0x1000), []);
    assert_eq!(judge(region::COUNT, 0, 0), []);
    assert_eq!(judge(region::COUNT, region_info_flags::READ, 0x1000), [("REGINFO-13", V)]);
}

#[test]
fn region_info_stays_within_argsz_and_its_chain_within_the_payload() {
    let request =
        |argsz| command("DEVICE_GET_REGION_INFO", RegionInfo { argsz, index: 1, ..RegionInfo::default() }.bytes());
    let full = |chain: &[u8]| {
        let fixed = RegionInfo {
            argsz: 32 + chain.len() as u32,
            flags: 0xf,
            index: 1,
            cap_offset: 32,
            size: 0x4000,
            offset: 0,
        };
        [fixed.bytes(), chain].concat()
    };
    let judge = |argsz, payload: &[u8]| {
        let sent = request(argsz);
        broken(&sent, sent.header.reply(payload.len()), payload, 1, &Negotiated::default())
    };
    let area = |offset, size| sparse_mmap_bytes(&[SparseArea { offset, size }], 0);
    assert_eq!(judge(4096, &full(&area(0x1000, 0x1000))), []);
    assert_eq!(judge(40, &full(&area(0x1000, 0x1000))), [("MSZ-01", V)]);
    assert_eq!(judge(4096, &full(&area(0x3000, 0x2000))), [("REGINFO-10", V)]);
    assert_eq!(judge(4096, &full(&area(0x1000, 0x800))), [("REGINFO-10", N)]);
    // A chain that comes back to itself.
    assert_eq!(judge(4096, &full(&sparse_mmap_bytes(&[], 32))), [("REGINFO-08", V)]);
    // nr_areas is what decides: of two areas it leaves one out, or counts one that is not there.
    let counted = |nr_areas| {
        let mut chain = sparse_mmap_bytes(&[SparseArea { offset: 0x1000, size: 0x1000 }; 2], 0);
        chain[32..40].copy_from_slice(&0x2000u64.to_ne_bytes());
        chain[8] = nr_areas;
        full(&chain)
    };
    assert_eq!(judge(4096, &counted(2)), []);
    assert_eq!(judge(4096, &counted(1)), [("REGINFO-09", V)]);
    assert_eq!(judge(4096, &counted(3)), [("REGINFO-09", V), ("REGINFO-08", V)]);
    // Truncated, and yet with a capability offset (policy A-06).
    let cut = RegionInfo { argsz: 64, flags: 0xf, index: 1, cap_offset: 32, size: 0x4000, offset: 0 };
    assert_eq!(judge(32, cut.bytes()), [("REGINFO-07", N)]);
    // A byte more than argsz counts, and no padding.
    let more = [full(&[]), vec![1]].concat();
    assert!(judge(4096, &more).contains(&("REGINFO-02", V)));
    // Behind the last byte.
    let mut behind = full(&area(0x1000, 0x1000));
    let end = behind.len() as u8;
    behind[12] = end;
    assert_eq!(judge(4096, &behind), [("REGINFO-07", V)]);
}

/// Two sub-regions of a region, with different descriptors, as the table has them.
fn io_fds() -> (RegionIoFds, [IoEventFd; 2]) {
    let one = IoEventFd { offset: 8, size: 4, flags: 1, datamatch: 1, ..IoEventFd::default() };
    let any = IoEventFd { offset: 0x40, fd_index: 1, ..IoEventFd::default() };
    (RegionIoFds { argsz: 96, flags: 0, index: 1, count: 2 }, [one, any])
}

/// What is said of a reply to a client that takes four descriptors and left room for so many bytes.
fn said_of_io_fds(argsz: u32, payload: &[u8], fds: usize) -> Vec<(&'static str, Class)> {
    let sent = command("DEVICE_GET_REGION_IO_FDS", RegionIoFds { argsz, index: 1, ..RegionIoFds::default() }.bytes());
    broken(&sent, sent.header.reply(payload.len()), payload, fds, &negotiated(json!({ "max_msg_fds": 4 })))
}

#[test]
fn io_fds_say_how_large_they_are() {
    let (right, [one, any]) = io_fds();
    let judge = |argsz, info: RegionIoFds, tail: &[&[u8]], fds| {
        said_of_io_fds(argsz, &[info.bytes(), &tail.concat()].concat(), fds)
    };
    let both: &[&[u8]] = &[one.bytes(), any.bytes()];
    assert_eq!(judge(4096, right, both, 2), []);
    // Larger entries, as libraries in use have them: what is behind the 40 bytes is their own.
    let large: &[&[u8]] = &[one.bytes(), &[0; 8], any.bytes(), &[0; 8]];
    assert_eq!(judge(4096, RegionIoFds { argsz: 112, ..right }, large, 2), []);
    // A literal reading of 998-999.
    assert_eq!(judge(4096, RegionIoFds { argsz: 112, ..right }, both, 2), [("IOFDS-03", N)]);
    // The same where the payload is as long as argsz says: the entries that point at what came are those of that reading.
    let pio = IoEventFd { flags: 2, ..any };
    let literal: &[&[u8]] = &[one.bytes(), &[0; 8], pio.bytes(), &[0; 24]];
    assert_eq!(judge(4096, RegionIoFds { argsz: 128, ..right }, literal, 2), [("IOFDS-03", N)]);
    assert_eq!(judge(4096, RegionIoFds { argsz: 80, ..right }, both, 2), [("MSZ-03", N), ("IOFDS-03", V)]);
    assert_eq!(judge(4096, RegionIoFds { count: 3, ..right }, both, 2), [("IOFDS-03", V)]);
    assert_eq!(judge(4096, RegionIoFds { flags: 1, ..right }, both, 2), [("IOFDS-04", V)]);
    assert_eq!(judge(4096, RegionIoFds { index: 0, ..right }, both, 2), [("IOFDS-05", V)]);
    // Too little room.
    assert_eq!(judge(16, right, &[], 0), []);
    assert_eq!(judge(56, right, &[one.bytes()], 1), []);
    assert_eq!(judge(95, right, both, 2), [("IOFDS-13", V), ("MSZ-01", V)]);
    assert_eq!(judge(15, right, &[], 0), []);
    assert_eq!(judge(15, right, both, 2), [("IOFDS-14", V)]);
    // Nothing there (policy A-13).
    assert_eq!(judge(4096, RegionIoFds { argsz: 16, count: 0, ..right }, &[], 0), [("IOFDS-06", N)]);
}

/// The fields at which a reply breaks something: name, offset in the message, length.
pub(super) fn marked(command: &Command, payload: &[u8], fds: usize) -> Vec<(String, usize, usize)> {
    let header = command.header.reply(payload.len());
    let reply = Reply { header: &header, payload, fds };
    let judgements = judge_reply(&V0_9_2, command, &reply, &negotiated(json!({ "max_msg_fds": 4 })));
    let marks = judgements.into_iter().filter_map(|judgement| judgement.broken?.field);
    marks.map(|mark| (mark.name, mark.offset, mark.length)).collect()
}

#[test]
fn what_is_wrong_is_marked_where_it_stands() {
    let mark = |name: &str, offset, length| vec![(name.to_owned(), offset, length)];
    let sent =
        command("DEVICE_GET_REGION_IO_FDS", RegionIoFds { argsz: 4096, index: 1, ..RegionIoFds::default() }.bytes());
    let (right, [one, any]) = io_fds();
    let second = |any: IoEventFd| [right.bytes(), one.bytes(), any.bytes()].concat();
    let at = 16 + 16 + 40;
    assert_eq!(
        marked(&sent, &second(IoEventFd { fd_index: 2, ..any }), 2),
        mark("sub_regions[1].fd_index", at + 16, 4)
    );
    assert_eq!(marked(&sent, &second(IoEventFd { kind: 2, ..any }), 2), mark("sub_regions[1].kind", at + 20, 4));
    let sent = command("DEVICE_GET_REGION_INFO", RegionInfo { argsz: 4096, index: 1, ..RegionInfo::default() }.bytes());
    let areas = [SparseArea { offset: 0, size: 0x1000 }, SparseArea { offset: 0x4000, size: 0x1000 }];
    let chain = sparse_mmap_bytes(&areas, 0);
    let argsz = 32 + chain.len() as u32;
    let info = RegionInfo { argsz, flags: 0xf, index: 1, cap_offset: 32, size: 0x4000, offset: 0 };
    assert_eq!(marked(&sent, &[info.bytes(), &chain].concat(), 1), mark("area", 16 + 32 + 16 + 16, 16));
    let mut more = chain;
    more[8] = 3;
    let marks = marked(&sent, &[info.bytes(), &more].concat(), 1);
    assert_eq!(marks, [mark("nr_areas", 16 + 32 + 8, 4), mark("capabilities", 16 + 32, 48)].concat());
    // The first of two that weigh the same.
    let read = RegionAccess { offset: 4, region: 7, count: 2 };
    let elsewhere = RegionAccess { offset: 0, region: 6, ..read };
    let marks = marked(&command("REGION_READ", read.bytes()), &[elsewhere.bytes(), &[0; 2]].concat(), 0);
    assert_eq!(marks, mark("offset", 16, 8));
    let sent = command("DEVICE_GET_INFO", DeviceInfo { argsz: 16, ..DeviceInfo::default() }.bytes());
    assert_eq!(marked(&sent, &[0; 12], 0), mark("header.size", 4, 4));
}

#[test]
fn io_fds_point_at_what_came() {
    let (right, [one, any]) = io_fds();
    let judge =
        |first: IoEventFd, fds| said_of_io_fds(4096, &[right.bytes(), first.bytes(), any.bytes()].concat(), fds);
    assert_eq!(judge(one, 0), [("IOFDS-06", V)]);
    assert_eq!(judge(one, 1), [("IOFDS-07", V)]);
    assert_eq!(judge(one, 3), []);
    assert_eq!(judge(one, 5), [("VER-14", V), ("IOFDS-17", V)]);
    assert_eq!(judge(IoEventFd { fd_index: u32::MAX, ..one }, 2), [("IOFDS-07", N)]);
    // A client that takes none gets none.
    let sent =
        command("DEVICE_GET_REGION_IO_FDS", RegionIoFds { argsz: 4096, index: 1, ..RegionIoFds::default() }.bytes());
    let payload = [right.bytes(), one.bytes(), any.bytes()].concat();
    let none = negotiated(json!({ "max_msg_fds": 0 }));
    assert_eq!(broken(&sent, sent.header.reply(payload.len()), &payload, 0, &none), []);
    // The other one may be what the client's limit had no room for.
    assert_eq!(judge(IoEventFd { fd_index: 4, ..one }, 4), []);
    assert_eq!(judge(IoEventFd { kind: 2, flags: !0, ..one }, 2), [("IOFDS-08", N)]);
    assert_eq!(judge(IoEventFd { flags: 4, ..one }, 2), [("IOFDS-10", V)]);
    assert_eq!(judge(IoEventFd { kind: 1, size: 0, flags: 1, ..one }, 2), [("IOFDS-11", N)]);
    assert_eq!(judge(IoEventFd { kind: 1, size: 0, flags: 2, ..one }, 2), []);
}

#[test]
fn a_version_reply_keeps_to_what_was_proposed() {
    let proposed = VersionData::with_capabilities(json!({ "max_msg_fds": 4 }).as_object().unwrap().clone());
    let sent = command("VERSION", &[Version { major: 0, minor: 1 }.bytes(), &proposed.bytes()].concat());
    let judge = |major, minor, data: &[u8]| answered(&sent, &[Version { major, minor }.bytes(), data].concat());
    assert_eq!(judge(0, 1, b"{\"capabilities\":{\"max_msg_fds\":8}}\0"), []);
    assert_eq!(judge(0, 0, b""), []);
    assert_eq!(judge(1, 1, b""), [("VER-02", V)]);
    assert_eq!(judge(0, 2, b""), [("VER-03", V)]);
    assert_eq!(judge(0, 1, b"{}"), [("VER-08", V)]);
    assert_eq!(judge(0, 1, b"[]\0"), [("VER-10", V)]);
    assert_eq!(judge(0, 1, b"{\"capabilities\":[]}\0"), [("VER-12", V)]);
    assert_eq!(judge(0, 1, b"{\"capabilities\":{\"pgsizes\":4096}}\0"), [("VER-06", N)]);
    let twin = b"{\"capabilities\":{\"twin_socket\":{\"supported\":true}}}\0";
    assert_eq!(judge(0, 1, twin), [("TWIN-01", V), ("VER-06", V)]);
    assert_eq!(judge(0, 1, b"{\"capabilities\":{\"max_msg_fds\":17}}\0"), [("VER-34", N)]);
}

#[test]
fn a_twin_socket_is_all_there_or_not_at_all() {
    let judge = |client: serde_json::Value, server: serde_json::Value, fds| {
        let data = |of: serde_json::Value| VersionData::with_capabilities(of.as_object().unwrap().clone()).bytes();
        let version = Version { major: 0, minor: 1 };
        let sent = command("VERSION", &[version.bytes(), &data(client)].concat());
        let payload = [version.bytes(), &data(server)].concat();
        broken(&sent, sent.header.reply(payload.len()), &payload, fds, &negotiated(json!({ "max_msg_fds": 16 })))
    };
    let wants = || json!({ "twin_socket": { "supported": true } });
    let gives = |twin: serde_json::Value| json!({ "twin_socket": twin });
    let whole = || gives(json!({ "supported": true, "fd_index": 0 }));
    assert_eq!(judge(wants(), whole(), 1), []);
    assert_eq!(judge(wants(), gives(json!({ "supported": true, "fd_index": 1 })), 2), []);
    for twin in [json!({}), json!({ "supported": false }), json!({ "supported": false, "fd_index": 0 })] {
        assert_eq!(judge(wants(), gives(twin), 0), []);
    }
    assert_eq!(judge(wants(), json!({}), 0), []);
    for twin in [json!({ "supported": true }), json!({ "supported": true, "fd_index": "0" })] {
        assert_eq!(judge(wants(), gives(twin), 1), [("TWIN-03", V), ("TWIN-04", V)]);
    }
    assert_eq!(judge(wants(), whole(), 0), [("TWIN-03", V), ("TWIN-04", V)]);
    assert_eq!(judge(wants(), json!({}), 1), [("TWIN-04", V)]);
    assert_eq!(judge(wants(), gives(json!({ "supported": "yes" })), 0), [("TWIN-04", V)]);
    assert_eq!(judge(wants(), gives(json!(true)), 0), [("TWIN-04", V)]);
    let takes_none = json!({ "max_msg_fds": 0, "twin_socket": { "supported": true } });
    assert_eq!(judge(takes_none.clone(), whole(), 0), [("TWIN-10", V), ("TWIN-03", V), ("TWIN-04", V)]);
    assert_eq!(judge(takes_none, json!({}), 0), []);
    let wants_none = || json!({ "twin_socket": { "supported": false } });
    assert_eq!(judge(wants_none(), json!({}), 0), []);
    assert_eq!(judge(wants_none(), json!({}), 1), [("TWIN-01", V)]);
    assert_eq!(judge(wants_none(), whole(), 1), [("TWIN-01", V), ("VER-06", V)]);
}

#[test]
fn a_twin_socket_is_a_fresh_stream() {
    let good = TwinSocket { connected: true, stream: true, fresh: true };
    let judge = |socket| -> Vec<_> {
        judge_twin_socket(socket)
            .into_iter()
            .filter_map(|judgement| judgement.broken.map(|broken| broken.class))
            .collect()
    };
    assert_eq!(judge(good), []);
    assert_eq!(judge(TwinSocket { connected: false, ..good }), [V]);
    assert_eq!(judge(TwinSocket { fresh: false, ..good }), [V]);
    assert_eq!(judge(TwinSocket { stream: false, ..good }), [N]);
}

#[test]
fn a_reply_that_overtakes_another_is_a_note() {
    let (first, second) = (command("DEVICE_RESET", &[]), command("DMA_MAP", DmaMap::default().bytes()));
    assert_eq!(judge_order(&second, None).iter().filter(|judgement| judgement.broken.is_some()).count(), 0);
    let judgements = judge_order(&second, Some(&first));
    assert_eq!(judgements[0].requirement, "CONC-06");
    let broken = judgements[0].broken.as_ref().unwrap();
    assert_eq!(broken.class, N);
    assert!(broken.expected.starts_with("the reply to DEVICE_RESET (id 0x7)"));
    assert_eq!(broken.actual, "the reply to DMA_MAP (id 0x7)");
    let mut unknown = first;
    (unknown.header.command, unknown.message) = (999, None);
    assert_eq!(unknown.name(), "command 999");
}

#[test]
fn the_error_bit_alone_makes_no_error_of_a_command() {
    // Header 444-445: the Error bit says something in replies only.
    let mut sent = command("DEVICE_RESET", &[]);
    sent.header.flags = ERROR;
    assert!(!sent.wants_reply(), "whether a server answers this is its own choice");
    assert_eq!(broken(&sent, sent.header.reply(0), &[], 0, &Negotiated::default()), []);
}
