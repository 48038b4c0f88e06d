//! DIRTY_PAGES of 0.9.1 (at 190f85b^, 1555-1665).

use vfio_user_wire::dirty_pages_flags::{GET_BITMAP, START, STOP};
use vfio_user_wire::legacy::{DirtyPages, DirtyPagesGet, RangeLayout};
use vfio_user_wire::{bitmap_size, device_state};

use super::super::super::dirty_bits::{self, Bits, Names};
use super::super::super::dirty_log::Logging;
use super::super::super::judgement::bytes_mark;
use super::super::super::legacy::dirty_pages::{ACTIONS, asked, bits, needed};
use super::super::super::permits::Permits;
use super::super::super::session::{Given, State};
use super::super::super::spans::span;
use super::super::super::{Command, Judgements, LetGo};
use crate::verdict::Class::{Note, Violation};

/// Bytes of a bitmap that no server finds too long.
pub(super) const SHORT: u64 = 64 << 10;
/// Bytes of a bitmap, or of a reply, that a server may find too long.
const LONG: u64 = 1 << 20;
/// Bytes of the structure of START and STOP.
const HEAD: usize = DirtyPages::LAYOUT.size;

pub(super) fn permits(state: &State, command: &Command) -> Permits {
    let Some((head, tail)) = DirtyPages::parse(&command.payload) else { return Permits::either() };
    let flags = head.flags;
    if !state.migrating.server {
        return Permits::refusal("L-DP-02", Note, "a refusal: the server does not support migration");
    }
    match flags & ACTIONS {
        0 if flags == 0 => return Permits::refusal("L-DP-09", Violation, "a refusal: flags ask for nothing"),
        action if action.count_ones() > 1 => {
            return Permits::refusal("L-DP-08", Violation, "a refusal: flags exclude each other");
        }
        _ if flags & !ACTIONS != 0 => {
            return Permits::refusal(
                "L-DP-09",
                Note,
                "a refusal: no more than bits 0 to 2 of the flags mean something",
            );
        }
        _ => {}
    }
    if !state.migrating.client {
        return Permits::either();
    }
    let plain = { head.argsz } as usize == HEAD && tail.is_empty() && command.fds.is_empty();
    let permits = match flags & ACTIONS {
        START => permits_start(state, &head, plain),
        STOP => permits_stop(state, &head, plain),
        _ => match asked(command) {
            Some(request) => permits_get(state, command, &request),
            None => Permits::either(),
        },
    };
    let runs = [device_state::RUNNING, device_state::PRE_COPY].map(Some).contains(&state.migration.states().only());
    if runs || !state.migration.was_touched() { permits } else { in_any_state(permits) }
}

/// Where success is due of a device that runs, it is of another one, if less surely.
fn in_any_state(mut permits: Permits) -> Permits {
    for rule in &mut permits.error {
        (rule.requirement, rule.class) = ("L-DP-30", Note);
    }
    permits
}

/// What DIRTY_PAGES has begun. While the state is saved for the query by page number, pages are logged anyway, and nobody can
/// say whether DIRTY_PAGES sees that log.
pub(super) fn logging(state: &State) -> Logging {
    if state.transfer.logs { Logging::Perhaps } else { state.log.logging }
}

fn permits_start(state: &State, head: &DirtyPages, plain: bool) -> Permits {
    if !plain {
        let permits = Permits::either();
        return if { head.argsz } as usize == HEAD { permits } else { permits.testing("L-DP-04") };
    }
    match logging(state) {
        Logging::Surely => Permits::either().testing("L-DP-25"),
        Logging::Perhaps => Permits::either(),
        // Another client may have begun it.
        _ if !state.alone => Permits::either(),
        // Of a map that is not made of pages nobody can say which of them are dirty.
        _ if !state.maps.are_of_pages(state.migrating.page_size.unwrap_or(1)) => Permits::either(),
        _ if !state.offer.dirty_pages || !state.offer.dma => Permits::either().testing("L-DP-01"),
        Logging::Never | Logging::Refused | Logging::Stopped => {
            Permits::success("L-DP-05", Violation, "success: the server logs dirty pages")
        }
    }
}

fn permits_stop(state: &State, head: &DirtyPages, plain: bool) -> Permits {
    if !plain {
        let permits = Permits::either();
        return if { head.argsz } as usize == HEAD { permits } else { permits.testing("L-DP-04") };
    }
    match logging(state) {
        Logging::Surely if state.alone => Permits::success("L-DP-07", Violation, "success: logging was started"),
        Logging::Surely | Logging::Perhaps => Permits::either(),
        _ => Permits::either().testing("L-DP-26"),
    }
}

fn permits_get(state: &State, command: &Command, request: &DirtyPagesGet) -> Permits {
    let (iova, size, argsz) = (request.iova, request.size, u64::from(request.argsz));
    let (page_size, room) = (request.bitmap_pgsize, request.bitmap_size);
    let log = &state.log;
    match logging(state) {
        Logging::Surely => {}
        _ if !state.alone => return Permits::either(),
        // What is asked for may be nothing, or no more than what argsz it takes.
        Logging::Never if size == 0 || argsz < needed(RangeLayout::Narrow, room) => {
            return Permits::refusal("L-DP-10", Note, "a refusal: logging was never started");
        }
        Logging::Never => return Permits::refusal("L-DP-10", Violation, "a refusal: logging was never started"),
        Logging::Refused => return Permits::refusal("L-DP-10", Note, "a refusal: logging was refused"),
        Logging::Stopped => return Permits::refusal("L-DP-07", Note, "a refusal: logging was stopped"),
        Logging::Perhaps => return Permits::either(),
    }
    if !page_size.is_power_of_two() {
        return Permits::refusal("L-DP-22", Note, "a refusal: pgsize is no power of two");
    }
    let end = u128::from(iova) + u128::from(size);
    if size == 0 || end > 1 << 64 || !iova.is_multiple_of(page_size) || !size.is_multiple_of(page_size) {
        return Permits::either().testing("L-DP-23");
    }
    if room < size.div_ceil(page_size).div_ceil(8) {
        let expected = format!("a refusal: a bitmap of {room} bytes has not a bit for every page");
        // A server may look at argsz first, and cut its reply.
        let class = if argsz < needed(RangeLayout::Narrow, room) { Note } else { Violation };
        return Permits::refusal("L-DP-20", class, expected);
    }
    if room > LONG || argsz > LONG + needed(RangeLayout::Wide, 0) {
        return Permits::either().testing("L-DP-28");
    }
    if bitmap_size(size, page_size) != Some(room) {
        return Permits::either().testing("L-DP-20");
    }
    if command.payload.len() >= HEAD + 2 * RangeLayout::Narrow.size() {
        return Permits::either().testing("L-DP-12");
    }
    if log.page_size != Some(page_size) {
        return Permits::either().testing("L-DP-21");
    }
    // A server of one layout may refuse a range in the other.
    let layout = log.layout.or(state.offer.range_layout);
    let Some(layout) = layout.filter(|layout| command.payload.len() == HEAD + layout.size()) else {
        return Permits::either();
    };
    if argsz < (HEAD + layout.size()) as u64 {
        return Permits::either().testing("L-DP-14");
    }
    if !command.fds.is_empty() || room > SHORT {
        return Permits::either();
    }
    let whole = state.maps.exact(iova, size).is_some_and(|map| map.sure);
    if !whole {
        return Permits::either().testing("L-DP-23");
    }
    if state.maps.with_file(span(iova, size)).is_empty() {
        return Permits::either().testing("L-DP-24");
    }
    if state.migrating.too_long(needed(layout, room)) {
        return Permits::either().testing("L-VER-04");
    }
    if argsz < needed(layout, room) {
        return Permits::success("L-DP-14", Note, "success, with the argsz that it takes and no bitmap");
    }
    if argsz > needed(layout, room) {
        return Permits::success("L-DP-32", Note, "success: argsz is only a ceiling");
    }
    let requirement = match () {
        () if state.migrating.differ => "L-VER-02",
        () if log.asked => "L-DP-06",
        () => "L-DP-05",
    };
    Permits::success(requirement, Violation, "success: the range is just one that is mapped, and logging was started")
}

/// Judges the bits of a successful reply to GET_BITMAP.
pub(super) fn judge(state: &State, command: &Command, payload: &[u8], out: &mut Judgements) {
    let Some(request) = asked(command) else { return };
    let (iova, length, page_size) = (request.iova, request.size, request.bitmap_pgsize);
    let usual = state.alone && page_size.is_power_of_two() && length > 0 && span(iova, length).1 <= 1 << 64;
    let Some((_, at)) = bits(&request, payload).filter(|_| usual) else { return };
    let came = payload.get(at..).unwrap_or_default();
    let needed = bitmap_size(length, page_size).and_then(|size| usize::try_from(size).ok()).unwrap_or(usize::MAX);
    let (came, padding) = came.split_at(needed.min(came.len()));
    let wrong = padding.iter().position(|byte| *byte != 0);
    if !padding.is_empty() {
        let mark = wrong.and_then(|wrong| bytes_mark("bitmap", at + came.len() + wrong, 1));
        let actual = || "other bytes".to_owned();
        out.must("L-DP-20", wrong.is_none(), "zeroes behind the bits of the range", actual, mark);
    }
    let whole = state.maps.exact(iova, length).is_some_and(|map| map.sure);
    let missing = match () {
        () if !whole => "L-DP-23",
        () if state.migrating.differ => "L-VER-02",
        () if state.log.asked => "L-DP-06",
        () => "L-DP-05",
    };
    let names = Names {
        missing,
        unwritten: "L-DP-29",
        other_pages: "L-DP-21",
        read: "L-DP-29",
        told: "L-DP-27",
        before: "L-DP-05",
    };
    let bits = Bits { iova, length, page_size, bits: came, at };
    dirty_bits::judge_in_any_order(&state.log, bits, names, "L-DP-19", out);
}

/// Does to the log what a request did.
pub(super) fn apply(state: &mut State, command: &Command, given: Given<'_>) {
    state.refuse_fds(command, LetGo::Stray);
    let Some((head, _)) = DirtyPages::parse(&command.payload) else { return };
    let everything = (0, u128::MAX);
    if state.transfer.logs && !matches!(given, Given::Error) {
        state.transfer.logs = false;
        return state.log.doubt();
    }
    match { head.flags } & ACTIONS {
        START => match (given, state.log.logging) {
            (Given::Ok(_), Logging::Never | Logging::Refused | Logging::Stopped) => {
                state.log.started(state.migrating.page_size, &[]);
            }
            (Given::Ok(_) | Given::Error, Logging::Surely) => state.log.endanger(everything, ("L-DP-25", Note)),
            (Given::Error, Logging::Never) => state.log.logging = Logging::Refused,
            (Given::Error, _) => {}
            (Given::Ok(_) | Given::Unknown, _) => state.log.doubt(),
        },
        STOP => match given {
            Given::Ok(_) => state.log.stopped(),
            Given::Error if state.log.logging != Logging::Surely => {}
            Given::Error | Given::Unknown => state.log.doubt(),
        },
        GET_BITMAP => {
            if let Some(request) = asked(command) {
                apply_get(state, &request, given);
            }
        }
        _ if matches!(given, Given::Error) => {}
        _ => state.log.doubt(),
    }
}

fn apply_get(state: &mut State, request: &DirtyPagesGet, given: Given<'_>) {
    let range = span(request.iova, request.size);
    let whole = state.maps.exact(request.iova, request.size).is_some();
    let log = &mut state.log;
    match given {
        Given::Ok(_) if !matches!(log.logging, Logging::Surely | Logging::Perhaps) => log.doubt(),
        Given::Ok(payload) => match bits(request, payload) {
            Some((layout, _)) => {
                log.layout = Some(layout);
                log.told(range);
                if !whole {
                    log.endanger_others(range, ("L-DP-23", Violation));
                }
            }
            None => log.endanger(range, ("L-DP-14", Violation)),
        },
        Given::Error => log.endanger(range, ("L-DP-14", Note)),
        Given::Unknown => log.told(range),
    }
}
