//! What reads and writes of regions may be answered with, and what is read of what was written.

use std::sync::Arc;

use nix::errno::Errno;
use pretty_assertions::assert_eq;
use vfio_user_wire::message::{MultiWrite, RegionAccess, SingleWrite};
use vfio_user_wire::{Limits, NO_REPLY, V0_9_2};

use super::rulings_tests::{EITHER, after, breaks, command, offer, refused, said, succeeds};
use super::samples::{self, Said};
use super::{Command, Offer, Reply, ScratchRange, Session};
use crate::verdict::Class::{Note, Violation};

fn access(region: u32, offset: u64, count: u32, data: &[u8]) -> Vec<u8> {
    [RegionAccess { offset, region, count }.bytes(), data].concat()
}

fn single(region: u32, offset: u64, count: u32) -> SingleWrite {
    SingleWrite { offset, region, count, data: 0x0403_0201 }
}

fn write_multi(wr_cnt: u64, writes: &[SingleWrite]) -> Command {
    let writes: Vec<u8> = writes.iter().flat_map(|write| write.bytes().to_vec()).collect();
    command("REGION_WRITE_MULTI", &[MultiWrite { wr_cnt }.bytes(), &writes].concat(), &[])
}

/// What is said of a reply that tells of so many writes.
fn completed(session: &mut Session, sent: Command, wr_cnt: u64) -> Said {
    samples::exchange(session, 50, sent, Ok(MultiWrite { wr_cnt }.bytes().to_vec()))
}

/// What it breaks that 4 bytes at 0x10 of region 0 read so.
fn reads(session: &mut Session, data: &[u8; 4]) -> Said {
    let read = command("REGION_READ", &access(0, 0x10, 4, &[]), &[]);
    samples::exchange(session, 100, read, Ok(access(0, 0x10, 4, data)))
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
fn no_more_is_written_at_one_time_than_the_server_takes() {
    let limits = Limits { max_data_xfer_size: 4, ..Limits::default() };
    let session = after(Offer { limits, ..offer() }, &[]);
    let write =
        |count: u8| breaks(&session, command("REGION_WRITE", &access(0, 0, count.into(), &vec![0; count.into()]), &[]));
    assert_eq!(write(2), succeeds("RWRITE-01", Note));
    assert_eq!(write(4), succeeds("RWRITE-07", Violation));
    assert_eq!(write(8), EITHER);
}

#[test]
fn where_no_byte_is_none_is_read_or_written() {
    // What it breaks that 4 bytes are asked for and so many told of.
    let read = |region, offset, got: u32| {
        let read = command("REGION_READ", &access(region, offset, 4, &[]), &[]);
        samples::exchange(&mut after(offer(), &[]), 50, read, Ok(access(region, offset, got, &vec![0; got as usize])))
    };
    let write = |region, offset, got| {
        let write = command("REGION_WRITE", &access(region, offset, 4, &[0; 4]), &[]);
        samples::exchange(&mut after(offer(), &[]), 50, write, Ok(access(region, offset, got, &[])))
    };
    for (region, offset, inside, of_read) in
        [(9, 0, 0, "RREAD-04"), (2, 0, 0, "RREAD-10"), (0, 0xffe, 2, "RREAD-05"), (0, u64::MAX, 0, "RREAD-06")]
    {
        assert_eq!(read(region, offset, inside), [(of_read, Note)]);
        assert_eq!(read(region, offset, inside + 1), [(of_read, Violation)]);
        assert_eq!(write(region, offset, inside), [("RWRITE-04", Note)]);
        assert_eq!(write(region, offset, inside + 1), [("RWRITE-04", Violation)]);
    }
    assert_eq!(read(0, 0, 4), []);
    assert_eq!(read(0, 0, 3), [("RREAD-03", Note)]);
    assert_eq!(write(0, 0, 4), []);
    assert_eq!(write(0, 0, 3), [("RWRITE-01", Note)]);
}

#[test]
fn several_writes_in_one_message() {
    let fresh = after(offer(), &[]);
    let some = |wr_cnt, writes: &[SingleWrite]| breaks(&fresh, write_multi(wr_cnt, writes));
    let good = single(0, 0, 4);
    assert_eq!(some(1, &[good]), succeeds("VER-21", Violation));
    assert_eq!(some(2, &[good, single(0, 8, 8)]), succeeds("VER-21", Violation));
    assert_eq!(some(2, &[good]), refused("WMULTI-06", Note));
    // Not as many as came, too long, none, not there, or of no known effect.
    assert_eq!(some(1, &[good, good]), EITHER);
    assert_eq!(some(0, &[]), EITHER);
    for other in [single(0, 0, 9), single(0, 0, 0), single(9, 0, 4), single(1, 0, 4), single(0, 2, 4), single(7, 0, 4)]
    {
        assert_eq!(some(2, &[good, other]), EITHER);
    }
    // A region that is written and not read, and one that is read and not written.
    let of_scratch = |region| {
        let scratch = vec![ScratchRange { region, offset: 0, length: 0x100 }];
        breaks(&after(Offer { scratch, ..offer() }, &[]), write_multi(1, &[single(region, 0, 4)]))
    };
    assert_eq!(of_scratch(3), succeeds("VER-21", Violation));
    assert_eq!(of_scratch(1), EITHER);
    // It was not agreed on.
    let mut session = Session::new(&V0_9_2, Arc::new(offer()));
    let version = command("VERSION", &[0; 4], &[]);
    session.sent(0, version.clone());
    let reply = Reply { header: &version.header.reply(4), payload: &[0; 4], fds: 0 };
    session.answered(0, &version, &reply);
    assert_eq!(breaks(&session, write_multi(1, &[good])), refused("WMULTI-01", Note));
}

#[test]
fn as_many_writes_as_qemu_sends_are_taken() {
    let taken =
        |offer, count: usize| breaks(&after(offer, &[]), write_multi(count as u64, &vec![single(0, 0, 4); count]));
    let roomy = || Offer { limits: Limits::default(), ..offer() };
    assert_eq!(taken(roomy(), 200), succeeds("VER-21", Violation));
    assert_eq!(taken(roomy(), 201), EITHER);
    // The limit of a transfer may be meant to hold for the message.
    let most = (0x800 - MultiWrite::LAYOUT.size) / SingleWrite::LAYOUT.size;
    assert_eq!(taken(offer(), most), succeeds("VER-21", Violation));
    assert_eq!(taken(offer(), most + 1), EITHER);
    // Of more, a part may be done.
    let all = write_multi(201, &[single(0, 0, 4); 201]);
    assert_eq!(completed(&mut after(roomy(), &[]), all, 200), []);
}

#[test]
fn a_write_that_cannot_be_done_is_not_counted() {
    let good = single(0, 0, 4);
    let said = |other, answer| completed(&mut after(offer(), &[]), write_multi(2, &[good, other]), answer);
    for (bad, requirement) in [
        (single(0, 0, 9), "WMULTI-04"),
        (single(9, 0, 4), "WMULTI-07"),
        (single(2, 0, 4), "WMULTI-07"),
        (single(0, 0x1000, 4), "WMULTI-07"),
    ] {
        assert_eq!(said(bad, 2), [(requirement, Violation)]);
        assert_eq!(said(bad, 1), []);
    }
    // Whether these can be done, the device knows.
    for open in [single(0, 0, 0), single(0, 2, 4), single(7, 0, 4)] {
        assert_eq!(said(open, 2), []);
        assert_eq!(said(open, 1), []);
    }
}

#[test]
fn what_a_write_was_answered_with_is_what_is_read() {
    let after_write = |answer: Result<Vec<u8>, Errno>, data| {
        let mut session = after(offer(), &[]);
        samples::exchange(&mut session, 50, command("REGION_WRITE", &access(0, 0x10, 4, &[1, 2, 3, 4]), &[]), answer);
        reads(&mut session, data)
    };
    let done = || Ok(access(0, 0x10, 4, &[]));
    assert_eq!(after_write(done(), &[1, 2, 3, 4]), []);
    assert_eq!(after_write(done(), &[1, 2, 3, 5]), [("RWRITE-02", Violation)]);
    assert_eq!(after_write(Ok(access(0, 0x10, 3, &[])), &[1, 2, 3, 5]), []);
    assert_eq!(after_write(Err(Errno::EIO), &[0; 4]), []);
    let after_writes = |wr_cnt, answer: Result<u64, Errno>, data| {
        let mut session = after(offer(), &[]);
        let sent = write_multi(wr_cnt, &[single(0, 0x20, 4), single(0, 0x10, 4)]);
        samples::exchange(&mut session, 50, sent, answer.map(|wr_cnt| MultiWrite { wr_cnt }.bytes().to_vec()));
        reads(&mut session, data)
    };
    assert_eq!(after_writes(2, Ok(2), &[1, 2, 3, 4]), []);
    assert_eq!(after_writes(2, Ok(2), &[0; 4]), [("WMULTI-02", Violation)]);
    // Not all of them; refused; one more than wr_cnt says.
    assert_eq!(after_writes(2, Ok(1), &[0; 4]), []);
    assert_eq!(after_writes(2, Err(Errno::EIO), &[0; 4]), []);
    assert_eq!(after_writes(1, Ok(1), &[0; 4]), []);
}

#[test]
fn a_posted_write_is_done_where_every_server_must_do_it() {
    // What it breaks that 4 bytes read as zero, behind a write that has no answer.
    let lost = |flags, mut write: Command| {
        write.header.flags = flags;
        let mut session = after(offer(), &[]);
        session.sent(50, write);
        reads(&mut session, &[0; 4])
    };
    let write = |count: usize| command("REGION_WRITE", &access(0, 0x10, count as u32, &[1, 2, 3, 4][..count]), &[]);
    assert_eq!(lost(NO_REPLY, write(4)), [("RWRITE-02", Violation)]);
    assert_eq!(lost(NO_REPLY, write(3)), []);
    assert_eq!(lost(0, write(4)), [("CONC-06", Note)]);
    let good = single(0, 0x10, 4);
    assert_eq!(lost(NO_REPLY, write_multi(1, &[good])), [("WMULTI-02", Violation)]);
    assert_eq!(lost(NO_REPLY, write_multi(2, &[good, single(0, 2, 4)])), []);
    assert_eq!(lost(0, write_multi(1, &[good])), [("CONC-06", Note)]);
}

#[test]
fn no_more_writes_are_done_than_came() {
    let said = |wr_cnt, answer| completed(&mut after(offer(), &[]), write_multi(wr_cnt, &[single(0, 0, 4)]), answer);
    assert_eq!(said(1, 1), []);
    assert_eq!(said(1, 0), [("WMULTI-03", Violation)]);
    assert_eq!(said(1, 2), [("WMULTI-03", Violation)]);
    assert!(said(2, 2).contains(&("WMULTI-06", Violation)));
    assert!(!said(2, 1).contains(&("WMULTI-06", Violation)));
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
