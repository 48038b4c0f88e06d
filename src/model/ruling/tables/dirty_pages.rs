//! DIRTY_PAGES with a head of 12 bytes (version 8 at 595dff9, 1526-1617; 0.9.1 at cda5e5f^, 1483-1569). The texts do
//! not say whether structures come with the bits, nor what argsz counts.

use vfio_user_wire::dirty_pages_flags::{GET_BITMAP, START, STOP};
use vfio_user_wire::tables::{DirtyPages, Table};

use super::super::super::dirty_log::Logging;
use super::super::super::permits::Permits;
use super::super::super::session::{Given, State};
use super::super::super::spans::span;
use super::super::super::tables::{one_range, payload_size, ranges};
use super::super::super::{Command, Judgements, LetGo};
use super::bitmaps;
use super::table;
use crate::verdict::Class::{Note, Violation};

pub(super) fn permits(state: &State, command: &Command) -> Permits {
    let Some((head, rest)) = DirtyPages::parse(&command.payload) else { return Permits::either().testing("V8-26") };
    let (flags, argsz) = (head.flags, head.argsz);
    if !state.offer.dirty_pages || !state.migrating.server || !state.migrating.client {
        return Permits::either();
    }
    if ![START, STOP, GET_BITMAP].contains(&flags) {
        return Permits::refusal("V8-20", Note, "a refusal: flags ask for one of three actions");
    }
    if flags == GET_BITMAP {
        let one = one_range(table(state), &command.payload).is_some();
        return match (one, table(state)) {
            (true, Table::V8c) => Permits::either().testing("V8-27"),
            (true, Table::V8) | (false, _) => Permits::either().testing("V8-20"),
        };
    }
    if argsz as usize != command.payload.len() {
        return Permits::either().testing("V8-21");
    }
    // What the client before has begun, a server that takes no action when it leaves (269-270) goes on with.
    let plain = rest.is_empty() && command.fds.is_empty() && { head.data } == 0 && state.alone;
    // Of a map that is not made of pages nobody can say which of them are dirty.
    let of_pages = state.maps.are_of_pages(state.migrating.page_size.unwrap_or(1));
    match (state.log.logging, flags) {
        _ if !plain => Permits::either(),
        (_, START) if !of_pages => Permits::either().testing("V8-26"),
        (Logging::Never | Logging::Refused | Logging::Stopped, START) if !state.migration.may_be_stopped() => {
            Permits::success("V8-26", Violation, "success: the server logs dirty pages")
        }
        (Logging::Surely, STOP) => Permits::success("V8-26", Violation, "success: logging was started"),
        _ => Permits::either().testing("V8-26"),
    }
}

/// Judges the bits of a successful reply.
pub(super) fn judge(state: &State, command: &Command, payload: &[u8], out: &mut Judgements) {
    let asked = ranges(table(state), &command.payload);
    let table = table(state);
    let requirement = if table == Table::V8 { "V8-20" } else { "V8-27" };
    let whole = payload_size(table, asked.iter().map(|asked| asked.bitmap)) == payload.len() as u64;
    match asked.as_slice() {
        // Version 8 can be read to want the bits alone (1587-1588).
        [one] if table == Table::V8 && one.bitmap.size == payload.len() as u64 => {
            bitmaps::judge_bits(state, one, payload, 0, requirement, out);
        }
        asked if whole => bitmaps::judge(state, table, asked, payload, requirement, out),
        _ => {}
    }
}

pub(super) fn apply(state: &mut State, command: &Command, given: Given<'_>) {
    state.refuse_fds(command, LetGo::Stray);
    let Some((head, _)) = DirtyPages::parse(&command.payload) else { return };
    let everything = (0, u128::MAX);
    match head.flags {
        // What was told may be forgotten; what was asked for is not always known.
        GET_BITMAP => match (given, ranges(table(state), &command.payload).as_slice()) {
            (_, []) => state.log.lose(everything),
            (Given::Error, asked) => asked.iter().for_each(|asked| state.log.lose(span(asked.iova, asked.size))),
            (_, asked) => asked.iter().for_each(|asked| state.log.told(span(asked.iova, asked.size))),
        },
        // It may begin anew, and what a refusal does to the log is nowhere said.
        START => state.log.lose(everything),
        _ => {}
    }
    match (head.flags, given, state.log.logging) {
        (START, Given::Ok(_), Logging::Never | Logging::Refused | Logging::Stopped) => {
            state.log.started(state.migrating.page_size, &[]);
        }
        (STOP, Given::Ok(_), _) => state.log.stopped(),
        (START | GET_BITMAP, Given::Ok(_) | Given::Error, Logging::Surely) => {}
        (_, Given::Error, Logging::Never | Logging::Refused | Logging::Stopped) => {}
        _ => state.log.doubt(),
    }
}
