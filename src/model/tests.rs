//! Each rule against a reply that keeps it and one that breaks just it; what is right comes from the specification's
//! tables, whose lines the register cites.

use pretty_assertions::assert_eq;
use serde_json::json;
use vfio_user_wire::message::{DeviceInfo, DmaMap, DmaUnmap, IrqInfo, RegionAccess, RegionInfo, Version};
use vfio_user_wire::{
    ERROR, Header, NO_REPLY, SparseArea, V0_9_2, VersionData, region, region_info_flags, sparse_mmap_bytes,
};

use super::{Command, Negotiated, Reply, judge_order, judge_reply, samples};
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
