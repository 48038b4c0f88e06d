//! Sub-regions with their descriptors: what a reply to DEVICE_GET_REGION_IO_FDS must say of them.

use pretty_assertions::assert_eq;
use serde_json::json;
use vfio_user_wire::message::RegionIoFds;
use vfio_user_wire::{IoEventFd, V0_9_1};

use super::rulings_tests::{self, after, offer};
use super::samples::judged;
use super::tests::{N, V, broken, command, marked, negotiated};
use super::{Command, Reply, judge_reply};
use crate::verdict::Class;

/// Two sub-regions of a region, with different descriptors, as the table has them.
fn io_fds() -> (RegionIoFds, [IoEventFd; 2]) {
    let one = IoEventFd { offset: 8, size: 4, flags: 1, datamatch: 1, ..IoEventFd::default() };
    let any = IoEventFd { offset: 0x40, fd_index: 1, ..IoEventFd::default() };
    (RegionIoFds { argsz: 96, flags: 0, index: 1, count: 2 }, [one, any])
}

/// A request of a client that has room for so many bytes.
fn request(argsz: u32) -> Command {
    command("DEVICE_GET_REGION_IO_FDS", RegionIoFds { argsz, index: 1, ..RegionIoFds::default() }.bytes())
}

/// What is said of a reply to a client that takes four descriptors and left room for so many bytes.
fn said_of_io_fds(argsz: u32, payload: &[u8], fds: usize) -> Vec<(&'static str, Class)> {
    let sent = request(argsz);
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
    // Entries of 56 bytes stay that where they point at what came, or no others do.
    let wide = |any: IoEventFd| {
        let tail: &[&[u8]] = &[one.bytes(), &[0; 16], any.bytes(), &[0; 16]];
        judge(4096, RegionIoFds { argsz: 128, ..right }, tail, 2)
    };
    assert_eq!(wide(any), []);
    assert_eq!(wide(IoEventFd { fd_index: 2, size: 8, ..any }), [("IOFDS-07", V)]);
    // What is neither.
    assert_eq!(judge(4096, RegionIoFds { argsz: 113, ..right }, both, 2), [("IOFDS-03", V)]);
    assert_eq!(judge(4096, RegionIoFds { argsz: 48, count: 0, ..right }, &[&[0; 32]], 0), [("IOFDS-03", V)]);
    assert_eq!(judge(4096, RegionIoFds { argsz: 80, ..right }, both, 2), [("MSZ-03", N), ("IOFDS-03", V)]);
    assert_eq!(judge(4096, RegionIoFds { count: 3, ..right }, both, 2), [("IOFDS-03", V)]);
    assert_eq!(judge(4096, RegionIoFds { flags: 1, ..right }, both, 2), [("IOFDS-04", V)]);
    assert_eq!(judge(4096, RegionIoFds { index: 0, ..right }, both, 2), [("IOFDS-05", V)]);
    // Too little room.
    assert_eq!(judge(16, right, &[], 0), []);
    assert_eq!(judge(56, right, &[one.bytes()], 1), []);
    assert_eq!(judge(16, right, both, 2), [("IOFDS-13", V), ("MSZ-01", V)]);
    assert_eq!(judge(95, right, both, 2), [("IOFDS-13", V), ("MSZ-01", V)]);
    assert_eq!(judge(15, right, &[], 0), []);
    assert_eq!(judge(15, right, both, 2), [("IOFDS-14", V)]);
    // Just as much as is needed: all of it must be there.
    assert_eq!(judge(96, right, both, 2), []);
    assert_eq!(judge(96, right, both, 0), [("IOFDS-06", V)]);
    // Nothing there (policy A-13).
    assert_eq!(judge(4096, RegionIoFds { argsz: 16, count: 0, ..right }, &[], 0), [("IOFDS-06", N)]);
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
    let none = IoEventFd { fd_index: u32::MAX, ..one };
    assert_eq!(judge(none, 2), [("IOFDS-07", N)]);
    // Of entries that name no descriptor, one that came is one all the same.
    let of_none = |fds| said_of_io_fds(4096, &[right.bytes(), none.bytes(), none.bytes()].concat(), fds);
    assert_eq!(of_none(1), [("IOFDS-07", N)]);
    assert_eq!(of_none(0), [("IOFDS-06", N)]);
    // A client that takes none gets none.
    let sent = request(4096);
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
fn what_is_wrong_with_a_sub_region_is_marked_where_it_stands() {
    let sent = request(4096);
    let (right, [one, any]) = io_fds();
    let second = |any: IoEventFd| [right.bytes(), one.bytes(), any.bytes()].concat();
    let at = 16 + 16 + 40;
    let mark = |any| marked(&sent, &second(any), 2);
    assert_eq!(mark(IoEventFd { fd_index: 2, ..any }), [("sub_regions[1].fd_index".to_owned(), at + 16, 4)]);
    assert_eq!(mark(IoEventFd { kind: 2, ..any }), [("sub_regions[1].kind".to_owned(), at + 20, 4)]);
}

#[test]
fn a_literal_argsz_is_a_note_of_its_own() {
    let (info, [one, any]) = io_fds();
    let literal = RegionIoFds { argsz: 32 + 80, ..info };
    let said = |any: IoEventFd, fds| said_of_io_fds(4096, &[literal.bytes(), one.bytes(), any.bytes()].concat(), fds);
    assert_eq!(said(IoEventFd { fd_index: 2, ..any }, 2), [("IOFDS-03", N), ("IOFDS-07", V)]);
    // Beyond the client's limit no descriptor can come.
    assert_eq!(said(IoEventFd { fd_index: 4, ..any }, 4), [("IOFDS-03", N)]);
    // The last text of 0.9.1 has 16 where 0.9.2 has 32 (at 190f85b^, 1074).
    let sent = request(4096);
    let payload = [literal.bytes(), one.bytes(), any.bytes()].concat();
    let header = sent.header.reply(payload.len());
    let reply = Reply { header: &header, payload: &payload, fds: 2 };
    let said = judge_reply(&V0_9_1, &sent, &reply, &negotiated(json!({ "max_msg_fds": 4 })));
    let said = said.into_iter().filter_map(|said| Some((said.requirement, said.broken?.class)));
    assert_eq!(said.collect::<Vec<_>>(), [("IOFDS-03", V)]);
}

#[test]
fn sub_regions_lie_inside_their_region() {
    let (_, [one, any]) = io_fds();
    let said = |index, entries: &[IoEventFd]| {
        let (count, array) = (entries.len() as u32, entries.iter().flat_map(|entry| entry.bytes()));
        let info = RegionIoFds { argsz: 16 + 40 * count, flags: 0, index, count };
        let payload = info.bytes().iter().chain(array).copied().collect();
        let sent = rulings_tests::command(
            "DEVICE_GET_REGION_IO_FDS",
            RegionIoFds { argsz: 4096, index, ..RegionIoFds::default() }.bytes(),
            &[],
        );
        let mut judged = judged(&mut after(offer(), &[]), 50, sent, Ok(payload)).into_iter();
        let broken = judged.find(|said| ["IOFDS-12", "IOFDS-16"].contains(&said.requirement));
        broken.and_then(|said| Some((said.requirement, said.broken?)))
    };
    let second = |offset, size| {
        let (requirement, broken) = said(0, &[one, IoEventFd { offset, size, ..any }])?;
        Some((requirement, broken.class, broken.field?.offset))
    };
    assert_eq!(second(0xff8, 8), None);
    for (offset, size) in [(0xff9, 8), (0xffc, 0x1000), (u64::MAX, 1)] {
        assert_eq!(second(offset, size), Some(("IOFDS-12", N, 16 + 16 + 40)), "{offset:#x}");
    }
    // There is no such region.
    let none = |entries: &[IoEventFd]| said(9, entries).map(|(requirement, broken)| (requirement, broken.class));
    assert_eq!((none(&[one]), none(&[])), (Some(("IOFDS-16", V)), Some(("IOFDS-16", N))));
}
