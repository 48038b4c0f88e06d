//! REGION_WRITE_MULTI.

use vfio_user_wire::message::{MultiWrite, RegionAccess, SingleWrite};
use vfio_user_wire::region_info_flags::WRITE;

use super::super::judgement::payload_mark;
use super::super::permits::Permits;
use super::super::session::{Given, State};
use super::super::{Command, Judgements, LetGo};
use super::regions::{Place, natural, place};
use crate::verdict::Class::{Note, Violation};

/// As many writes as QEMU puts into one message.
const USUAL: u64 = 200;

/// What can be said of a write before it is answered.
enum Promise {
    /// It is done: an access that every device takes, to scratch.
    Done,
    /// It cannot have been done as it stands; the requirement that says so.
    Fails(&'static str),
    /// Nobody knows.
    Open,
}

fn access(write: &SingleWrite) -> RegionAccess {
    RegionAccess { offset: write.offset, region: write.region, count: write.count }
}

fn promise(state: &State, write: &SingleWrite) -> Promise {
    let access = access(write);
    if write.count > 8 {
        return Promise::Fails("WMULTI-04");
    }
    if write.count == 0 {
        return Promise::Open;
    }
    match place(state, &access) {
        Place::NoRegion | Place::Empty => Promise::Fails("WMULTI-07"),
        // Some of its bytes may lie inside.
        Place::Outside { size, .. } if { access.offset } >= size => Promise::Fails("WMULTI-07"),
        Place::Inside { flags }
            if flags & WRITE != 0
                && natural(&access)
                && state.offer.is_scratch(access.region, access.offset, u64::from(access.count)) =>
        {
            Promise::Done
        }
        Place::Unknown | Place::Outside { .. } | Place::Inside { .. } => Promise::Open,
    }
}

/// The writes of a request, and whether its payload holds just these.
fn writes(command: &Command) -> Option<(MultiWrite, &[SingleWrite], bool)> {
    let (request, tail) = MultiWrite::parse(&command.payload)?;
    let (writes, surplus) = request.writes(tail);
    let exact = surplus.is_empty() && writes.len() as u64 == { request.wr_cnt };
    Some((request, writes, exact))
}

pub(super) fn permits(state: &State, command: &Command) -> Permits {
    if !state.write_multiple {
        let expected = "a refusal: write_multiple was not returned";
        return Permits::refusal("WMULTI-01", Note, expected);
    }
    let Some((request, writes, exact)) = writes(command) else { return Permits::either() };
    let (asked, there) = (request.wr_cnt, writes.len() as u64);
    if asked > there {
        return Permits::refusal(
            "WMULTI-06",
            Note,
            format!("a refusal: {there} writes came where wr_cnt says {asked}"),
        );
    }
    if asked == 0 {
        return Permits::either().testing("WMULTI-09");
    }
    if !exact {
        return Permits::either().testing("WMULTI-06");
    }
    for write in writes {
        if let Promise::Fails(requirement) = promise(state, write) {
            return Permits::either().testing(requirement);
        }
    }
    let done = writes.iter().all(|write| matches!(promise(state, write), Promise::Done));
    // A server's limit of a transfer may be meant to hold for the message.
    let small = asked <= USUAL && command.payload.len() as u64 <= state.offer.limits.max_data_xfer_size;
    if done && small && command.fds.is_empty() {
        return Permits::success("VER-21", Violation, "success: write_multiple was returned");
    }
    Permits::either()
}

pub(super) fn judge(state: &State, command: &Command, payload: &[u8], out: &mut Judgements) {
    let Some((request, writes, exact)) = writes(command) else { return };
    let Some((answer, _)) = MultiWrite::parse(payload) else { return };
    let (asked, got, there) = (request.wr_cnt, answer.wr_cnt, writes.len() as u64);
    let mark = || MultiWrite::LAYOUT.field("wr_cnt").and_then(payload_mark);
    let completed = || format!("wr_cnt {got}");
    let requirement = if exact { "WMULTI-03" } else { "WMULTI-06" };
    out.must(requirement, got <= asked, &format!("a wr_cnt of at most {asked}"), completed, mark());
    if got > asked {
        return;
    }
    if asked > there {
        let expected = format!("a wr_cnt of at most {there}, the writes that came");
        out.must("WMULTI-06", got <= there, &expected, completed, mark());
        return;
    }
    let promises: Vec<Promise> = writes.iter().map(|write| promise(state, write)).collect();
    for promise in &promises {
        if let Promise::Fails(requirement) = promise {
            let expected = format!("a wr_cnt below {asked}: not all of these writes can be done");
            return out.must(requirement, got < asked, &expected, completed, mark());
        }
    }
    let all = promises.iter().all(|promise| matches!(promise, Promise::Done));
    if all && asked <= USUAL {
        out.must(requirement, got == asked, &format!("wr_cnt {asked}"), completed, mark());
    }
}

pub(super) fn apply(state: &mut State, command: &Command, given: Given<'_>) {
    state.refuse_fds(command, LetGo::Stray);
    let Some((request, _, _)) = writes(command) else { return };
    // Whatever wr_cnt says, a server may go by the payload.
    let (_, tail) = command.payload.split_at(MultiWrite::LAYOUT.size.min(command.payload.len()));
    let (all, _) = MultiWrite { wr_cnt: u64::MAX }.writes(tail);
    let asked = usize::try_from(request.wr_cnt).unwrap_or(usize::MAX);
    let done = match given {
        Given::Ok(payload) => {
            MultiWrite::parse(payload).is_some_and(|(answer, _)| { answer.wr_cnt } == { request.wr_cnt })
        }
        Given::Error => false,
        // Posted writes have been done where any server must do them (WMULTI-08).
        Given::Unknown => command.header.no_reply() && !permits(state, command).error.is_empty(),
    };
    for (at, write) in all.iter().enumerate() {
        let RegionAccess { region, offset, count } = access(write);
        let scratch = state.offer.is_scratch(region, offset, u64::from(count));
        match write.written() {
            Some(data) if done && at < asked && scratch && !state.migration.may_be_stopped() => {
                state.scratch.written("WMULTI-02", region, offset, data)
            }
            _ => state.scratch.forget(region, offset, u64::from(count)),
        }
    }
}
