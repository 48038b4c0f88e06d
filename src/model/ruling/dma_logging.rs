//! DMA_LOGGING_START, DMA_LOGGING_STOP and DMA_LOGGING_REPORT of DEVICE_FEATURE.

use vfio_user_wire::feature::{DmaLoggingReport, DmaLoggingStart};
use vfio_user_wire::message::DeviceFeature;
use vfio_user_wire::{device_state, feature_flags, feature_index};

use super::super::dirty_log::Logging;
use super::super::judgement::bytes_mark;
use super::super::permits::Permits;
use super::super::session::{Given, State};
use super::super::spans::{Span, common, span};
use super::super::{Command, Judgements, dirty_bitmap};
use crate::verdict::Class::{Note, Violation};

/// Every host has pages of this size.
const PAGE: u64 = 4096;
/// So many ranges a page of memory holds: what the kernel takes.
const MOST_RANGES: usize = 256;
/// Bytes of a bitmap that no server finds too long.
const SHORT: u64 = 64 << 10;
/// Bytes of a bitmap that a server may find too long.
const LONG: u64 = 1 << 20;

/// What a request says.
enum Request {
    Start {
        start: DmaLoggingStart,
        ranges: Vec<(u64, u64)>,
        surplus: usize,
    },
    Stop {
        data: usize,
    },
    Report(DmaLoggingReport),
    /// An operation that the feature does not have.
    NoMethod,
}

/// `None` for all that is not the log's business: other features, PROBE, data that are too short.
fn request(command: &Command) -> Option<(DeviceFeature, Request)> {
    let (head, data) = DeviceFeature::parse(&command.payload)?;
    let method = match head.index() {
        feature_index::DMA_LOGGING_START | feature_index::DMA_LOGGING_STOP => feature_flags::SET,
        feature_index::DMA_LOGGING_REPORT => feature_flags::GET,
        _ => return None,
    };
    let operation = head.operation();
    if operation != method {
        let other = operation == feature_flags::GET || operation == feature_flags::SET;
        return other.then_some((head, Request::NoMethod));
    }
    let request = match head.index() {
        feature_index::DMA_LOGGING_START => {
            let (start, tail) = DmaLoggingStart::parse(data)?;
            let (ranges, rest) = start.ranges(tail);
            let ranges = ranges.iter().map(|range| (range.iova, range.length)).collect();
            Request::Start { start, ranges, surplus: rest.len() }
        }
        feature_index::DMA_LOGGING_STOP => Request::Stop { data: data.len() },
        _ => Request::Report(DmaLoggingReport::parse(data)?.0),
    };
    Some((head, request))
}

/// What may be answered; `None` for all that is not the log's business.
pub(super) fn permits(state: &State, command: &Command) -> Option<Permits> {
    let (head, request) = request(command)?;
    let permits = match request {
        Request::NoMethod => {
            Permits::refusal("DLOG-02", Violation, "a refusal: the feature does not have that operation")
        }
        Request::Start { start, ranges, surplus } => permits_start(state, command, &head, &start, &ranges, surplus),
        Request::Stop { data } => permits_stop(state, command, &head, data),
        Request::Report(report) => permits_report(state, command, &head, &report),
    };
    let running = !state.migration.was_touched() || state.migration.states().only() == Some(device_state::RUNNING);
    Some(if running { permits } else { in_any_state(permits) })
}

/// Where success is due of a device that runs, it is of another one, if less surely.
fn in_any_state(mut permits: Permits) -> Permits {
    for rule in &mut permits.error {
        (rule.requirement, rule.class) = ("DLOG-28", Note);
    }
    permits
}

/// Nothing about it is out of the ordinary besides what it says.
fn is_usual(command: &Command, head: &DeviceFeature) -> bool {
    command.fds.is_empty() && { head.argsz } as usize >= command.payload.len()
}

fn permits_start(
    state: &State,
    command: &Command,
    head: &DeviceFeature,
    start: &DmaLoggingStart,
    ranges: &[(u64, u64)],
    surplus: usize,
) -> Permits {
    let (page_size, reserved) = (start.page_size, start.reserved);
    if (ranges.len() as u64) < u64::from(start.num_ranges) {
        let expected = "a refusal: the payload has not as many ranges as num_ranges says";
        return Permits::refusal("DLOG-17", Note, expected);
    }
    // Another client may have begun it.
    if !state.offer.dma_logging || !is_usual(command, head) || surplus > 0 || !state.alone {
        return Permits::either();
    }
    match state.log.logging {
        Logging::Surely => return Permits::either().testing("DLOG-20"),
        Logging::Perhaps => return Permits::either(),
        Logging::Never | Logging::Refused | Logging::Stopped => {}
    }
    if !page_size.is_power_of_two() {
        return Permits::either().testing("DLOG-04");
    }
    if reserved != 0 {
        return Permits::either().testing("DLOG-19");
    }
    let odd = |(iova, length): &(u64, u64)| {
        *length == 0 || iova % PAGE != 0 || length % PAGE != 0 || u128::from(*iova) + u128::from(*length) > 1 << 64
    };
    let mut sorted: Vec<Span> = ranges.iter().map(|(iova, length)| span(*iova, *length)).collect();
    sorted.sort_unstable();
    let overlap = sorted.windows(2).any(|pair| matches!(pair, [one, two] if common(*one, *two).is_some()));
    if ranges.iter().any(odd) || overlap {
        return Permits::either().testing("DLOG-18");
    }
    if !state.offer.dma {
        return Permits::either().testing("DLOG-32");
    }
    // The kernel wants ranges made of the pages that it is asked for.
    let fits = |(iova, length): &(u64, u64)| iova.is_multiple_of(page_size) && length.is_multiple_of(page_size);
    if page_size != PAGE && ranges.iter().all(fits) {
        return Permits::success("DLOG-04", Note, "success, with another page_size where this one cannot be had");
    }
    match ranges.len() {
        _ if page_size != PAGE => Permits::either(),
        count if count > MOST_RANGES => Permits::either(),
        count if count > 3 => Permits::success("DLOG-38", Note, "success: the ranges fit into one page of memory"),
        3 => Permits::success("DLOG-33", Note, "success: a client has three ranges at the most"),
        0 if state.log.logging == Logging::Stopped => {
            Permits::success("DLOG-37", Violation, "success: logging was stopped, and can begin again")
        }
        0 => Permits::success("DLOG-04", Violation, "success: every server has pages of 4096 bytes, or picks others"),
        _ => Permits::success("DLOG-33", Violation, "success: one range, or one below and one above 4 GiB"),
    }
}

fn permits_stop(state: &State, command: &Command, head: &DeviceFeature, data: usize) -> Permits {
    if !state.offer.dma_logging || !is_usual(command, head) || !state.alone {
        return Permits::either();
    }
    match (state.log.logging, data) {
        (Logging::Surely, 0) => Permits::success("DLOG-37", Violation, "success: logging was started"),
        (Logging::Surely, length) if length == DmaLoggingStart::LAYOUT.size => {
            Permits::success("DLOG-22", Note, "success: the section's table is for both features")
        }
        (Logging::Surely | Logging::Perhaps, _) => Permits::either(),
        _ => Permits::either().testing("DLOG-21"),
    }
}

fn permits_report(state: &State, command: &Command, head: &DeviceFeature, report: &DmaLoggingReport) -> Permits {
    let (iova, length, page_size) = (report.iova, report.length, report.page_size);
    let log = &state.log;
    match log.logging {
        Logging::Surely => {}
        _ if !state.alone => return Permits::either(),
        Logging::Never => return Permits::refusal("DLOG-07", Violation, "a refusal: logging was never started"),
        Logging::Refused => return Permits::refusal("DLOG-34", Note, "a refusal: logging was refused"),
        Logging::Stopped => return Permits::refusal("DLOG-07", Note, "a refusal: logging was stopped"),
        Logging::Perhaps => return Permits::either(),
    }
    if !page_size.is_power_of_two() {
        return Permits::refusal("DLOG-08", Note, "a refusal: page_size is no power of two");
    }
    if !is_of_pages(report) {
        return Permits::either().testing("DLOG-26");
    }
    let (asked, size) = (span(iova, length), report.bitmap_size().unwrap_or(u64::MAX));
    if size > LONG {
        return Permits::either().testing("DLOG-27");
    }
    let surplus = command.payload.len() > DeviceFeature::LAYOUT.size + DmaLoggingReport::LAYOUT.size;
    if u64::from(head.argsz) < dirty_bitmap::payload_size(size) {
        return Permits::either().testing("DLOG-16");
    }
    if size > SHORT || !command.fds.is_empty() || surplus {
        return Permits::either();
    }
    if !log.covers(asked) {
        return Permits::either().testing("DLOG-23");
    }
    if state.maps.was_unmapped(iova, length) {
        return Permits::success("DLOG-36", Note, "success: a client asks once more after its unmap");
    }
    let reached = state.maps.with_file(asked);
    let whole = state.maps.exact(iova, length).is_some_and(|map| map.sure && map.file.is_some());
    match log.page_size {
        None => Permits::either(),
        Some(_) if reached.is_empty() => Permits::either().testing("DLOG-24"),
        Some(unit) if unit != page_size => {
            Permits::success("DLOG-09", Note, "success: page_size need not be that of the log")
        }
        Some(_) if whole => Permits::success("DLOG-12", Violation, "success: the range is just one that is mapped"),
        Some(_) => Permits::success("DLOG-25", Note, "success: any range can be asked for"),
    }
}

/// It asks for some whole pages of a size that pages can have.
fn is_of_pages(report: &DmaLoggingReport) -> bool {
    let (iova, length, page_size) = (report.iova, report.length, report.page_size);
    let whole = iova.is_multiple_of(page_size) && length.is_multiple_of(page_size);
    page_size.is_power_of_two() && whole && length > 0 && span(iova, length).1 <= 1 << 64
}

/// Judges a successful reply.
pub(super) fn judge(state: &State, command: &Command, payload: &[u8], out: &mut Judgements) {
    match request(command) {
        Some((head, Request::Start { start, ranges, .. })) if ranges.len() as u64 == u64::from(start.num_ranges) => {
            judge_start(command, &head, &start, payload, out)
        }
        Some((head, Request::Report(report))) => {
            dirty_bitmap::judge(state.alone.then_some(&state.log), &head, &report, payload, out)
        }
        Some(_) | None => {}
    }
}

fn judge_start(command: &Command, head: &DeviceFeature, start: &DmaLoggingStart, payload: &[u8], out: &mut Judgements) {
    const DATA: usize = DeviceFeature::LAYOUT.size;
    let asked = start.page_size;
    let request = command.payload.as_slice();
    if ({ head.argsz } as usize) < request.len() {
        return;
    }
    let differs = |at: &usize| !(DATA..DATA + 8).contains(at) && request.get(*at) != payload.get(*at);
    let same_argsz = { head.argsz } as usize == request.len();
    let first = if same_argsz { 0 } else { size_of_val(&{ head.argsz }) };
    let at = (first..request.len().max(payload.len())).find(differs);
    out.must(
        "DLOG-03",
        at.is_none(),
        "the request's payload again, but for page_size",
        || {
            let at = at.unwrap_or_default();
            format!("{} bytes of payload for {}, the first difference at {at}", payload.len(), request.len())
        },
        at.and_then(|at| bytes_mark("data", at.min(payload.len().saturating_sub(1)), 1)),
    );
    let Some((chosen, _)) = payload.get(DATA..).and_then(DmaLoggingStart::parse) else { return };
    let chosen = chosen.page_size;
    let class = if asked.is_power_of_two() { Violation } else { Note };
    out.check(
        "DLOG-04",
        chosen.is_power_of_two(),
        class,
        "a page_size that is a power of two",
        || format!("page_size {chosen:#x}"),
        bytes_mark("page_size", DATA, 8),
    );
}

/// Does to the log what a request did.
pub(super) fn apply(state: &mut State, command: &Command, given: Given<'_>) {
    let Some((head, request)) = request(command) else { return changes_state(state, command) };
    match request {
        Request::Start { start, ranges, .. } => apply_start(state, &start, &ranges, given),
        Request::Stop { .. } => match given {
            Given::Ok(_) => state.log.stopped(),
            Given::Error if state.log.logging != Logging::Surely => {}
            Given::Error | Given::Unknown => state.log.doubt(),
        },
        Request::Report(report) => apply_report(state, &head, &report, given),
        Request::NoMethod if matches!(given, Given::Error) => {}
        Request::NoMethod => state.log.doubt(),
    }
}

/// The device goes into another state of its migration, which is no business of the log's.
fn changes_state(state: &mut State, command: &Command) {
    let Some((head, _)) = DeviceFeature::parse(&command.payload) else { return };
    if (head.index(), head.operation()) == (feature_index::MIG_DEVICE_STATE, feature_flags::SET) {
        state.log.endanger((0, u128::MAX), ("DLOG-28", Violation));
    }
}

fn apply_start(state: &mut State, start: &DmaLoggingStart, ranges: &[(u64, u64)], given: Given<'_>) {
    let log = &mut state.log;
    let again = ("DLOG-20", Note);
    match (given, log.logging) {
        (Given::Ok(payload), Logging::Never | Logging::Refused | Logging::Stopped) => {
            let data = payload.get(DeviceFeature::LAYOUT.size..).and_then(DmaLoggingStart::parse);
            let chosen = data.map(|(data, _)| data.page_size).filter(|size| size.is_power_of_two());
            // Pages that are counted from the start of a range, and not from 0, are other pages.
            let aligned = |page: &u64| {
                ranges.iter().all(|(iova, length)| iova.is_multiple_of(*page) && length.is_multiple_of(*page))
            };
            let whole = ranges.len() as u64 == u64::from(start.num_ranges);
            log.started(chosen.filter(|page| whole && aligned(page)), ranges);
        }
        (Given::Error, Logging::Surely) => log.endanger((0, u128::MAX), again),
        (Given::Error, Logging::Never) => log.logging = Logging::Refused,
        (Given::Error, Logging::Refused | Logging::Stopped | Logging::Perhaps) => {}
        (Given::Ok(_) | Given::Unknown, _) => log.doubt(),
    }
}

fn apply_report(state: &mut State, head: &DeviceFeature, report: &DmaLoggingReport, given: Given<'_>) {
    let asked = span(report.iova, report.length);
    let needed = report.bitmap_size().map(dirty_bitmap::payload_size);
    let room = needed.is_none_or(|needed| u64::from(head.argsz) >= needed);
    let log = &mut state.log;
    match given {
        Given::Ok(_) if !matches!(log.logging, Logging::Surely | Logging::Perhaps) => log.doubt(),
        Given::Error => log.endanger(asked, ("DLOG-16", Note)),
        Given::Ok(_) if !room => log.endanger(asked, ("DLOG-16", Violation)),
        // A server that takes it may round up (DLOG-08, DLOG-26): what it has told then nobody can say.
        Given::Ok(_) | Given::Unknown if !is_of_pages(report) => log.lose((0, u128::MAX)),
        Given::Ok(_) => {
            log.told(asked);
            log.endanger_others(asked, ("DLOG-13", Violation));
        }
        Given::Unknown => log.told(asked),
    }
}
