//! DIRTY_PAGES with a head of 12 bytes (version 8 at 595dff9, 1526-1617; 0.9.1 at cda5e5f^, 1483-1569). Its bits are not
//! judged: the texts do not say whether structures come with them, nor what argsz counts.

use vfio_user_wire::dirty_pages_flags::{GET_BITMAP, START, STOP};
use vfio_user_wire::tables::{DirtyPages, Table};

use super::super::super::dirty_log::Logging;
use super::super::super::permits::Permits;
use super::super::super::session::{Given, State};
use super::super::super::tables::one_range;
use super::super::super::{Command, LetGo};
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
    let plain = rest.is_empty() && command.fds.is_empty() && { head.data } == 0;
    match (state.log.logging, flags) {
        _ if !plain => Permits::either(),
        (Logging::Never | Logging::Refused | Logging::Stopped, START) if !state.migration.may_be_stopped() => {
            Permits::success("V8-26", Violation, "success: the server logs dirty pages")
        }
        (Logging::Surely, STOP) => Permits::success("V8-26", Violation, "success: logging was started"),
        _ => Permits::either().testing("V8-26"),
    }
}

pub(super) fn apply(state: &mut State, command: &Command, given: Given<'_>) {
    state.refuse_fds(command, LetGo::Stray);
    let Some((head, _)) = DirtyPages::parse(&command.payload) else { return };
    match (head.flags, given, state.log.logging) {
        (START, Given::Ok(_), Logging::Never | Logging::Refused | Logging::Stopped) => {
            state.log.started(state.migrating.page_size, &[]);
        }
        (START, Given::Error, Logging::Never) => state.log.logging = Logging::Refused,
        (STOP, Given::Ok(_), _) => state.log.stopped(),
        (START | STOP | GET_BITMAP, Given::Ok(_) | Given::Error, Logging::Surely) if head.flags != STOP => {}
        (_, Given::Error, Logging::Never | Logging::Refused | Logging::Stopped) => {}
        _ => state.log.doubt(),
    }
}
