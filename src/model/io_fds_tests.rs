//! Sub-regions with their descriptors: what a reply to DEVICE_GET_REGION_IO_FDS must say of them.

use pretty_assertions::assert_eq;
use serde_json::json;
use vfio_user_wire::IoEventFd;
use vfio_user_wire::message::RegionIoFds;

use super::Command;
use super::tests::{N, V, broken, command, marked, negotiated};
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
