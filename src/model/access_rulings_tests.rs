//! What reads and writes of regions may be answered with, and what is read of what was written.

use std::sync::Arc;

use nix::errno::Errno;
use pretty_assertions::assert_eq;
use vfio_user_wire::V0_9_2;
use vfio_user_wire::message::{MultiWrite, RegionAccess, SingleWrite};

use super::rulings_tests::{EITHER, after, breaks, command, offer, refused, said, succeeds};
use super::{Offer, Reply, ScratchRange, Session, samples};
use crate::verdict::Class::{Note, Violation};

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
