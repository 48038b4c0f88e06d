//! The log of DMA writes, by DEVICE_FEATURE.

use std::sync::Mutex;

use vfio_user_reference_server::Errno;
use vfio_user_wire::feature::{DmaLoggingRange, DmaLoggingReport, DmaLoggingStart};
use vfio_user_wire::message::DeviceFeature;
use vfio_user_wire::{Frame, HEADER_SIZE, feature_flags as flags, feature_index as index};

use crate::dma::{Window, with_windows};
use crate::fault::{Fault, fault};
use crate::wrapper::{Answer, Faulty, Step, answers, around, commands, get, is, replies_to};

/// No server can show these.
pub(crate) const NO_FAULT: &[(&str, &str)] = &[];

const PAGE: u64 = 4096;
/// The fixed part of DEVICE_FEATURE, and with it that of DMA_LOGGING_REPORT.
const HEAD: usize = 8;
const BITMAP: usize = 32;

pub(crate) fn faults() -> Vec<Fault> {
    [asked(), started(), stopped(), replied(), bits(), ranges(), lost(), crashes()].into_iter().flatten().collect()
}

/// What a DEVICE_FEATURE asks of the log: its feature and operation.
fn log(frame: &Frame) -> Option<(u16, u32)> {
    let (head, _) = DeviceFeature::parse(&frame.payload).filter(|_| is(frame, "DEVICE_FEATURE"))?;
    (index::DMA_LOGGING_START..=index::DMA_LOGGING_REPORT)
        .contains(&head.index())
        .then_some((head.index(), head.operation()))
}

fn start(frame: &Frame) -> Option<DmaLoggingStart> {
    log(frame).filter(|asked| *asked == (index::DMA_LOGGING_START, flags::SET))?;
    DmaLoggingStart::parse(&frame.payload[HEAD..]).map(|(start, _)| start)
}

fn stops(frame: &Frame) -> bool {
    log(frame) == Some((index::DMA_LOGGING_STOP, flags::SET))
}

fn report(frame: &Frame) -> Option<DmaLoggingReport> {
    log(frame).filter(|asked| *asked == (index::DMA_LOGGING_REPORT, flags::GET))?;
    DmaLoggingReport::parse(&frame.payload[HEAD..]).map(|(report, _)| report)
}

fn ranges_of(frame: &Frame) -> Vec<DmaLoggingRange> {
    let Some((start, tail)) = frame.payload.get(HEAD..).and_then(DmaLoggingStart::parse) else { return Vec::new() };
    start.ranges(tail).0.to_vec()
}

fn feature(index: u16, operation: u32, argsz: u32, data: &[&[u8]]) -> Vec<u8> {
    let head = DeviceFeature { argsz, flags: operation | u32::from(index) };
    [head.bytes().to_vec(), data.concat()].concat()
}

fn start_payload(page_size: u64, ranges: &[DmaLoggingRange]) -> Vec<u8> {
    let start = DmaLoggingStart { page_size, num_ranges: ranges.len() as u32, reserved: 0 };
    let mut data: Vec<&[u8]> = vec![start.bytes()];
    data.extend(ranges.iter().map(DmaLoggingRange::bytes));
    feature(index::DMA_LOGGING_START, flags::SET, u32::MAX, &data)
}

/// The pages that are dirty, asked for behind the client's back; `None` where the server refuses.
fn take(step: &mut Step<'_>, iova: u64, length: u64, page_size: u64) -> Option<Vec<u64>> {
    let report = DmaLoggingReport { iova, length, page_size };
    let payload = feature(index::DMA_LOGGING_REPORT, flags::GET, u32::MAX, &[report.bytes()]);
    let reply = step.ask("DEVICE_FEATURE", &payload, Vec::new());
    words(&reply).map(|words| pages(&words))
}

/// What a report asks for, where it has room for the reply.
fn roomy(frame: &Frame) -> Option<DmaLoggingReport> {
    report(frame).filter(|report| {
        let needed = report.bitmap_size().and_then(|size| size.checked_add(BITMAP as u64));
        needed.is_some_and(|needed| get(frame, "argsz") >= needed)
    })
}

/// The log is emptied behind the client's back.
fn begin_anew(step: &mut Step<'_>, started: &[u8]) {
    step.ask("DEVICE_FEATURE", &feature(index::DMA_LOGGING_STOP, flags::SET, 8, &[]), Vec::new());
    step.ask("DEVICE_FEATURE", started, Vec::new());
}

/// A bitmap with bits for those pages, and the head of its reply.
fn reply_with(report: &DmaLoggingReport, dirty: &[u64]) -> Vec<u8> {
    let size = report.bitmap_size().unwrap() as usize;
    let mut words = vec![0u64; size / 8];
    for page in dirty {
        words[(page / 64) as usize] |= 1 << (page % 64);
    }
    let bytes: Vec<u8> = words.iter().flat_map(|word| word.to_ne_bytes()).collect();
    feature(index::DMA_LOGGING_REPORT, flags::GET, (BITMAP + size) as u32, &[report.bytes(), &bytes])
}

fn words(reply: &Frame) -> Option<Vec<u64>> {
    let bitmap = reply.payload.get(BITMAP..).filter(|_| !reply.header.is_error())?;
    Some(bitmap.as_chunks::<8>().0.iter().map(|word| u64::from_ne_bytes(*word)).collect())
}

fn pages(words: &[u64]) -> Vec<u64> {
    (0..words.len() as u64 * 64).filter(|page| words[(page / 64) as usize] & (1 << (page % 64)) != 0).collect()
}

/// Changes the pages that a report shows.
fn shows(mut change: impl FnMut(&DmaLoggingReport, Vec<u64>) -> Vec<u64> + 'static) -> Faulty {
    replies_to("DEVICE_FEATURE", move |command, reply| {
        if let (Some(report), Some(words)) = (report(command), words(reply)) {
            let argsz = reply.payload[..4].to_vec();
            reply.payload = reply_with(&report, &change(&report, pages(&words)));
            reply.payload[..4].copy_from_slice(&argsz);
        }
    })
}

/// Changes the whole replies to reports.
fn reports(mut change: impl FnMut(&mut Frame) + 'static) -> Faulty {
    replies_to("DEVICE_FEATURE", move |command, reply| {
        if report(command).is_some() && words(reply).is_some() {
            change(reply);
        }
    })
}

/// Answers starts in the server's place.
fn starts(mut answer: impl FnMut(&DmaLoggingStart, &Frame) -> Option<Answer> + 'static) -> Faulty {
    answers(move |command| answer(&start(command)?, command))
}

/// Answers reports in the server's place.
fn refuses(mut answer: impl FnMut(&DmaLoggingReport) -> Option<Answer> + 'static) -> Faulty {
    answers(move |command| answer(&report(command)?))
}

/// The server gets another start than the client sent, and the client the reply that belongs to its own.
fn started_as(mut change: impl FnMut(Vec<DmaLoggingRange>) -> Vec<DmaLoggingRange> + 'static) -> Faulty {
    around(move |mut step| {
        let Some(asked) = start(&step.frame) else { return step.pass() };
        let sent = step.frame.payload.clone();
        step.frame.payload = start_payload(asked.page_size, &change(ranges_of(&step.frame)));
        step.frame.header.size = (HEADER_SIZE + step.frame.payload.len()) as u32;
        step.pass_and(|effects| {
            for effect in effects {
                if let vfio_user_reference_server::Effect::Send { frame, .. } = effect
                    && !frame.header.is_error()
                {
                    let page_size = frame.payload[HEAD..HEAD + 8].to_vec();
                    frame.payload.clone_from(&sent);
                    frame.payload[HEAD..HEAD + 8].copy_from_slice(&page_size);
                    frame.header.size = (HEADER_SIZE + frame.payload.len()) as u32;
                }
            }
        });
    })
}

/// Sees each message with what was started last, `None` while nothing is.
fn while_logging(mut receive: impl FnMut(Step<'_>, Option<&[u8]>) + 'static) -> Faulty {
    let mut started: Option<Vec<u8>> = None;
    around(move |step| {
        let now = if start(&step.frame).is_some() { Some(step.frame.payload.clone()) } else { None };
        let ends = stops(&step.frame) || is(&step.frame, "VERSION");
        receive(step, started.as_deref());
        if ends {
            started = None;
        }
        started = started.take().or(now);
    })
}

fn asked() -> Vec<Fault> {
    vec![
        fault("DLOG-01", "a-table-of-what-the-protocol-has", || {
            answers(|command| {
                let (_, operation) = log(command)?;
                (operation & flags::PROBE == 0).then_some(Answer::Error(Errno::ENOTTY))
            })
        }),
        fault("DLOG-01", "the-log-is-not-in-the-table", || {
            answers(|command| (log(command)?.1 & flags::PROBE != 0).then_some(Answer::Error(Errno::ENOTTY)))
        })
        .noted(),
        fault("DLOG-02", "what-cannot-be-got-is-empty", || {
            answers(|command| {
                let (feature, operation) = log(command)?;
                (feature != index::DMA_LOGGING_REPORT && operation == flags::GET)
                    .then(|| Answer::Ok(command.payload.clone()))
            })
        }),
        fault("DLOG-02", "methods-are-not-probed", || {
            answers(|command| (log(command)?.1 & flags::PROBE != 0).then(|| Answer::Ok(command.payload.clone())))
        }),
        fault("DLOG-07", "nothing-is-dirty-before-a-start", || {
            while_logging(|step, started| match report(&step.frame) {
                Some(report) if started.is_none() => step.answer(Answer::Ok(reply_with(&report, &[]))),
                _ => step.pass(),
            })
        }),
        fault("DLOG-08", "a-page-of-any-size", || {
            refuses(|report| {
                let odd = !{ report.page_size }.is_power_of_two() && report.page_size > 0;
                odd.then(|| Answer::Ok(reply_with(report, &[])))
            })
        }),
        fault("DLOG-27", "as-much-as-is-asked-for", || {
            refuses(|report| (report.pages()? > 1 << 40).then_some(Answer::Nothing))
        }),
        // It looks for the maps that the ranges are about, until there are some.
        fault("DLOG-32", "waits-for-a-map", || {
            answers(|command| {
                let waits = start(command).is_some_and(|start| start.num_ranges > 0);
                if is(command, "DMA_MAP") {
                    Some(Answer::Error(Errno::ENOTSUP))
                } else {
                    waits.then_some(Answer::Nothing)
                }
            })
        }),
    ]
}

fn started() -> Vec<Fault> {
    vec![
        fault("DLOG-03", "the-ranges-are-not-repeated", || {
            replies_to("DEVICE_FEATURE", |command, reply| {
                if start(command).is_some() {
                    reply.payload.truncate(24);
                }
            })
        }),
        fault("DLOG-03", "only-the-head-is-repeated", || {
            replies_to("DEVICE_FEATURE", |command, reply| {
                if start(command).is_some() {
                    reply.payload.truncate(HEAD);
                }
            })
        }),
        fault("DLOG-04", "no-page-is-chosen", || {
            replies_to("DEVICE_FEATURE", |command, reply| {
                if start(command).is_some() {
                    reply.payload[HEAD..HEAD + 8].fill(0);
                }
            })
        }),
        fault("DLOG-04", "one-page-or-none", || {
            starts(|start, _| (start.page_size != PAGE).then_some(Answer::Error(Errno::EINVAL)))
        })
        .noted(),
        fault("DLOG-17", "as-many-ranges-as-there-are", || {
            commands(|frame, _| {
                if start(frame).is_some() {
                    let there = ((frame.payload.len() - 24) / 16) as u32;
                    frame.payload[16..20].copy_from_slice(&there.to_ne_bytes());
                }
            })
        })
        .noted(),
        fault("DLOG-20", "off-after-a-second-start", || {
            while_logging(|mut step, started| {
                if started.is_some() && start(&step.frame).is_some() {
                    step.ask("DEVICE_FEATURE", &feature(index::DMA_LOGGING_STOP, flags::SET, 8, &[]), Vec::new());
                    return step.answer(Answer::Error(Errno::EBUSY));
                }
                step.pass();
            })
        }),
        fault("DLOG-20", "a-second-start-begins-anew", || {
            while_logging(|mut step, started| {
                if let (Some(_), Some(_)) = (started, start(&step.frame)) {
                    let asked = step.frame.payload.clone();
                    begin_anew(&mut step, &asked);
                    return step.answer(Answer::Ok(asked));
                }
                step.pass();
            })
        })
        .noted(),
        fault("DLOG-34", "on-although-it-was-refused", || {
            around(|mut step| {
                let lies =
                    start(&step.frame).is_some_and(|start| start.num_ranges as usize > ranges_of(&step.frame).len());
                if lies {
                    step.ask("DEVICE_FEATURE", &start_payload(PAGE, &[]), Vec::new());
                }
                step.pass();
            })
        }),
        fault("DLOG-38", "a-few-ranges-at-the-most", || {
            starts(|start, _| (start.num_ranges > 16).then_some(Answer::Error(Errno::E2BIG)))
        }),
        fault("DLOG-33", "one-range", || {
            starts(|start, _| (start.num_ranges > 1).then_some(Answer::Error(Errno::EINVAL)))
        }),
        fault("DLOG-33", "two-ranges", || {
            starts(|start, _| (start.num_ranges > 2).then_some(Answer::Error(Errno::EINVAL)))
        })
        .noted(),
        fault("DLOG-33", "the-first-range", || started_as(|ranges| ranges.into_iter().take(1).collect())),
        fault("DLOG-33", "ranges-of-32-bits", || {
            started_as(|ranges| {
                let low = |range: DmaLoggingRange| DmaLoggingRange { length: range.length & 0xffff_ffff, ..range };
                ranges.into_iter().map(low).filter(|range| range.iova < 1 << 32).collect()
            })
        }),
    ]
}

fn stopped() -> Vec<Fault> {
    let stop = |answer: fn(&Frame) -> Option<Answer>| {
        move || answers(move |command| if stops(command) { answer(command) } else { None })
    };
    vec![
        fault(
            "DLOG-22",
            "the-table-is-for-both",
            stop(|command| (command.payload.len() < 24).then_some(Answer::Error(Errno::EINVAL))),
        ),
        fault(
            "DLOG-22",
            "no-data-and-no-more",
            stop(|command| (command.payload.len() > HEAD).then_some(Answer::Error(Errno::EINVAL))),
        )
        .noted(),
        fault("DLOG-37", "started-once", || {
            let mut starts = 0;
            answers(move |command| {
                starts = if is(command, "VERSION") { 0 } else { starts + u32::from(start(command).is_some()) };
                (start(command).is_some() && starts > 1).then_some(Answer::Error(Errno::EBUSY))
            })
        }),
        fault("DLOG-07", "the-log-outlives-its-end", || {
            answers(|command| stops(command).then(|| Answer::Ok(command.payload.clone())))
        })
        .noted(),
        fault("DLOG-30", "an-end-that-forgets-nothing", || {
            let mut running = false;
            answers(move |command| {
                running &= !is(command, "VERSION");
                let again = running && start(command).is_some();
                running |= start(command).is_some();
                (stops(command) || again).then(|| Answer::Ok(command.payload.clone()))
            })
        }),
        fault("DLOG-30", "logged-from-the-first", || {
            let (mut first, mut on) = (true, false);
            around(move |mut step| {
                first |= is(&step.frame, "VERSION");
                on &= !is(&step.frame, "VERSION") && !stops(&step.frame);
                if first && is(&step.frame, "DMA_MAP") {
                    (first, on) = (false, true);
                    step.ask("DEVICE_FEATURE", &start_payload(PAGE, &[]), Vec::new());
                }
                if on && start(&step.frame).is_some() {
                    let payload = step.frame.payload.clone();
                    return step.answer(Answer::Ok(payload));
                }
                step.pass();
            })
        }),
    ]
}

fn replied() -> Vec<Fault> {
    vec![
        fault("DLOG-10", "the-range-is-not-repeated", || reports(|reply| reply.payload[8..16].fill(0))),
        fault("DLOG-10", "the-page-of-the-log", || {
            reports(|reply| reply.payload[24..BITMAP].copy_from_slice(&(64 * PAGE).to_ne_bytes()))
        }),
        // A byte for every 8 pages.
        fault("DLOG-11", "whole-bytes", || {
            replies_to("DEVICE_FEATURE", |command, reply| {
                if let (Some(report), Some(_)) = (report(command), words(reply)) {
                    reply.payload.truncate(BITMAP + report.pages().unwrap().div_ceil(8) as usize);
                }
            })
        }),
        fault("DLOG-11", "one-word-more", || reports(|reply| reply.payload.extend([0; 8]))).noted(),
        fault("DLOG-15", "the-data-alone", || {
            reports(|reply| {
                let argsz = reply.payload.len() as u32 - 8;
                reply.payload[..4].copy_from_slice(&argsz.to_ne_bytes());
            })
        }),
        fault("DLOG-15", "what-was-asked-and-the-data", || {
            replies_to("DEVICE_FEATURE", |command, reply| {
                if report(command).is_some() && words(reply).is_some() {
                    let argsz = get(command, "argsz") as u32 + reply.payload.len() as u32 - 8;
                    reply.payload[..4].copy_from_slice(&argsz.to_ne_bytes());
                }
            })
        })
        .noted(),
        fault("DLOG-16", "told-to-nobody", || {
            around(|mut step| {
                if let Some(report) = report(&step.frame)
                    && get(&step.frame, "argsz") >= 8
                {
                    let needed = BITMAP as u64 + report.bitmap_size().unwrap_or(0);
                    if get(&step.frame, "argsz") < needed {
                        take(&mut step, report.iova, report.length, report.page_size);
                    }
                }
                step.pass();
            })
        }),
        fault("DLOG-16", "argsz-is-not-looked-at", || {
            commands(|frame, _| {
                if report(frame).is_some() {
                    frame.payload[..4].fill(0xff);
                }
            })
        }),
    ]
}

fn bits() -> Vec<Fault> {
    vec![
        fault("DLOG-12", "the-highest-bit-first", || {
            shows(|_, pages| pages.into_iter().map(|page| page & !7 | (7 - (page & 7))).collect())
        }),
        // The printed formula, as far as a bitmap of the right size can have it.
        fault("DLOG-12", "the-bit-of-the-address", || {
            shows(|report, pages| {
                let first = report.iova / report.page_size;
                pages.into_iter().map(|page| page & !63 | ((first + page) * PAGE % 64)).collect()
            })
        }),
        fault("DLOG-12", "bytes-from-the-last-on", || {
            shows(|_, pages| {
                pages.into_iter().map(|page| page & !63 | ((7 - (page >> 3 & 7)) << 3) | (page & 7)).collect()
            })
        })
        .also("DLOG-13", "in a short range the wrong bit lies behind its end"),
        fault("DLOG-12", "the-page-where-it-ends-is-forgotten", || {
            with_windows(|mut step, _| {
                let doorbell = step.doorbell().filter(|doorbell| doorbell.writes() && doorbell.length > 1);
                let Some(doorbell) = doorbell else { return step.pass() };
                let last = (doorbell.iova + doorbell.length - 1) & !(PAGE - 1);
                let crosses = last > doorbell.iova;
                let known = if crosses { take(&mut step, last, PAGE, PAGE).unwrap_or_default() } else { vec![0] };
                let Step { server, channel, frame, fds, memory, effects } = step;
                Step { server, channel, frame, fds, memory, effects }.pass();
                if known.is_empty() {
                    let frame = Frame::command(0, 0, Vec::new());
                    let fds = Vec::new();
                    take(&mut Step { server, channel, frame, fds, memory, effects }, last, PAGE, PAGE);
                }
            })
        }),
        fault("DLOG-09", "the-first-of-the-smaller-pages", || {
            shows(|report, pages| {
                let first = |page: &u64| (report.iova + page * report.page_size).is_multiple_of(0x10000);
                pages.into_iter().filter(|page| report.page_size >= 0x10000 || first(page)).collect()
            })
        }),
        fault("DLOG-09", "a-larger-page-by-its-first", || {
            around(|mut step| {
                let Some(report) = roomy(&step.frame).filter(|report| report.page_size > PAGE) else {
                    return step.pass();
                };
                let (iova, length, page_size) = (report.iova, report.length, report.page_size);
                let factor = page_size / PAGE;
                let Some(dirty) = take(&mut step, iova, length, PAGE) else { return step.pass() };
                let first: Vec<u64> =
                    dirty.iter().filter(|page| page.is_multiple_of(factor)).map(|page| page / factor).collect();
                step.answer(Answer::Ok(reply_with(&report, &first)));
            })
        }),
        fault("DLOG-13", "the-rest-of-the-word", || {
            around(|mut step| {
                let Some(report) = roomy(&step.frame) else { return step.pass() };
                let (iova, length, page_size) = (report.iova, report.length, report.page_size);
                if !page_size.is_power_of_two() || length > 1 << 40 {
                    return step.pass();
                }
                let whole = length.div_ceil(64 * page_size) * 64 * page_size;
                let Some(dirty) = take(&mut step, iova, whole, page_size) else { return step.pass() };
                step.answer(Answer::Ok(reply_with(&report, &dirty)));
            })
        }),
        fault("DLOG-13", "a-report-clears-all", || {
            while_logging(|mut step, started| {
                let Some((report, started)) = roomy(&step.frame).zip(started) else { return step.pass() };
                let Some(dirty) = take(&mut step, report.iova, report.length, report.page_size) else {
                    return step.pass();
                };
                begin_anew(&mut step, started);
                step.answer(Answer::Ok(reply_with(&report, &dirty)));
            })
        }),
        fault("DLOG-14", "nothing-is-cleared", || {
            let mut told: Vec<(u64, u64)> = Vec::new();
            shows(move |report, mut dirty| {
                let size = report.page_size;
                told.extend(dirty.iter().map(|page| (report.iova + page * size, size)));
                let again = |(iova, _): &(u64, u64)| (iova.checked_sub(report.iova)?).checked_div(size);
                dirty.extend(told.iter().filter_map(again).filter(|page| *page < report.pages().unwrap()));
                dirty
            })
        }),
        fault("DLOG-06", "reads-are-logged", || reads_are_logged()),
    ]
}

/// The device's reads count as writes.
fn reads_are_logged() -> Faulty {
    let mut read: Vec<(u64, u64)> = Vec::new();
    around(move |mut step| {
        if let Some(doorbell) = step.doorbell().filter(|doorbell| !doorbell.writes()) {
            read.push((doorbell.iova, doorbell.length));
        }
        let Some(report) = roomy(&step.frame) else { return step.pass() };
        let (iova, length, size) = (report.iova, report.length, report.page_size);
        let Some(mut dirty) = take(&mut step, iova, length, size) else { return step.pass() };
        let inside = read.iter().filter(|(at, _)| at.wrapping_sub(iova) < length);
        dirty.extend(inside.map(|(at, _)| (at - iova) / size));
        step.answer(Answer::Ok(reply_with(&report, &dirty)));
    })
}

/// Which pages a report shows, by the windows that are there and those that are gone; `None` leaves it to the server.
type Shown = fn(&DmaLoggingReport, &[Window], &[Window]) -> Option<Vec<u64>>;

/// Reports show the pages that `dirty` gives.
fn windows_show(dirty: Shown) -> Faulty {
    with_windows(move |step, windows| {
        let Some(report) = roomy(&step.frame) else { return step.pass() };
        match dirty(&report, &windows.all, &windows.gone) {
            Some(pages) => step.answer(Answer::Ok(reply_with(&report, &pages))),
            None => step.pass(),
        }
    })
}

/// Every page of the range.
fn all(report: &DmaLoggingReport) -> Vec<u64> {
    (0..report.pages().unwrap()).collect()
}

fn meets(report: &DmaLoggingReport, window: &Window) -> bool {
    let (iova, length) = (report.iova, report.length);
    iova <= window.last() && window.address <= iova.saturating_add(length.saturating_sub(1)) && length > 0
}

fn ranges() -> Vec<Fault> {
    vec![
        fault("DLOG-05", "no-range-is-nothing", || {
            started_as(|ranges| {
                let nowhere = DmaLoggingRange { iova: 0xffff_0000_0000_0000, length: PAGE };
                if ranges.is_empty() { vec![nowhere] } else { ranges }
            })
        }),
        fault("DLOG-23", "dirty-where-nothing-is-logged", || {
            let mut started: Vec<DmaLoggingRange> = Vec::new();
            answers(move |command| {
                if start(command).is_some() {
                    started = ranges_of(command);
                }
                let report = report(command)?;
                let inside = |range: &DmaLoggingRange| report.iova.wrapping_sub(range.iova) < range.length;
                let outside = !started.is_empty() && !started.iter().any(inside);
                outside.then(|| Answer::Ok(reply_with(&report, &all(&report))))
            })
        }),
        fault("DLOG-23", "outside-clears-inside", || {
            while_logging(|mut step, started| {
                if let (Some(report), Some(started)) = (report(&step.frame), started)
                    && report.iova == 0x1001_0000
                {
                    begin_anew(&mut step, started);
                }
                step.pass();
            })
        })
        .noted(),
        fault("DLOG-24", "dirty-where-nothing-is-mapped", || {
            windows_show(|report, windows, _| {
                (!windows.iter().any(|window| meets(report, window))).then(|| all(report))
            })
        }),
        // It looks for the map, and counts from there.
        fault("DLOG-25", "counted-from-the-start-of-the-map", || {
            with_windows(|mut step, windows| {
                let Some(report) = roomy(&step.frame) else { return step.pass() };
                let window = windows.holding(report.iova).filter(|window| window.address < report.iova).cloned();
                let Some(window) = window else { return step.pass() };
                let before = (report.iova - window.address) / report.page_size.max(1);
                let Some(dirty) = take(&mut step, report.iova, report.length, report.page_size) else {
                    return step.pass();
                };
                let pages = report.pages().unwrap();
                let dirty: Vec<u64> = dirty.iter().map(|page| page + before).filter(|page| *page < pages).collect();
                step.answer(Answer::Ok(reply_with(&report, &dirty)));
            })
        }),
        fault("DLOG-25", "one-map-for-each-report", || {
            with_windows(|step, windows| {
                let one = report(&step.frame)
                    .is_none_or(|report| windows.all.iter().filter(|window| meets(&report, window)).count() < 2);
                if one { step.pass() } else { step.answer(Answer::Error(Errno::EINVAL)) }
            })
        })
        .noted(),
        fault("DLOG-25", "the-first-map-alone", || {
            with_windows(|mut step, windows| {
                let Some(report) = roomy(&step.frame) else { return step.pass() };
                let mut met: Vec<&Window> = windows.all.iter().filter(|window| meets(&report, window)).collect();
                met.sort_by_key(|window| window.address);
                if met.len() < 2 {
                    return step.pass();
                }
                let end = met[0].last().saturating_sub(report.iova) / report.page_size.max(1);
                let Some(dirty) = take(&mut step, report.iova, report.length, report.page_size) else {
                    return step.pass();
                };
                let dirty: Vec<u64> = dirty.into_iter().filter(|page| *page <= end).collect();
                step.answer(Answer::Ok(reply_with(&report, &dirty)));
            })
        }),
        fault("DLOG-31", "the-page-behind-is-written", || {
            windows_show(|report, windows, _| {
                let by_message = windows.iter().any(|window| meets(report, window) && window.file.is_none());
                by_message.then(|| vec![3])
            })
        }),
        fault("DLOG-36", "gone-with-the-map", || {
            with_windows(|step, windows| {
                let gone = report(&step.frame).is_some_and(|report| {
                    windows.gone.iter().any(|window| meets(&report, window))
                        && !windows.all.iter().any(|window| meets(&report, window))
                });
                if gone { step.answer(Answer::Error(Errno::ENOENT)) } else { step.pass() }
            })
        })
        .noted(),
        fault("DLOG-36", "all-of-what-is-gone", || {
            windows_show(|report, windows, gone| {
                let mapped = windows.iter().any(|window| meets(report, window));
                (!mapped && gone.iter().any(|window| meets(report, window))).then(|| all(report))
            })
        }),
        fault("DLOG-35", "one-log-for-the-program", one_log),
    ]
}

/// What any of the program's devices wrote.
static WRITTEN: Mutex<Vec<(u64, u64)>> = Mutex::new(Vec::new());

fn one_log() -> Faulty {
    around(|mut step| {
        if is(&step.frame, "VERSION") {
            WRITTEN.lock().unwrap().clear();
        }
        if let Some(doorbell) = step.doorbell().filter(|doorbell| doorbell.writes()) {
            WRITTEN.lock().unwrap().push((doorbell.iova, doorbell.length));
        }
        let Some(report) = roomy(&step.frame) else { return step.pass() };
        let (iova, length, size) = (report.iova, report.length, report.page_size);
        let written = WRITTEN.lock().unwrap().clone();
        let inside = written.iter().filter(|(at, _)| at.wrapping_sub(iova) < length);
        let dirty: Vec<u64> = inside.map(|(at, _)| (at - iova) / size).collect();
        step.answer(Answer::Ok(reply_with(&report, &dirty)));
    })
}

fn lost() -> Vec<Fault> {
    vec![
        fault("DISC-11", "the-log-outlives-its-client", || {
            let mut started = false;
            around(move |step| {
                started |= start(&step.frame).is_some();
                match report(&step.frame).filter(|_| started) {
                    Some(report) => step.answer(Answer::Ok(reply_with(&report, &[]))),
                    None => step.pass(),
                }
            })
        }),
        fault("DLOG-28", "a-new-state-begins-anew", || {
            while_logging(|mut step, started| {
                let changes = DeviceFeature::parse(&step.frame.payload).is_some_and(|(head, _)| {
                    is(&step.frame, "DEVICE_FEATURE")
                        && (head.index(), head.operation()) == (index::MIG_DEVICE_STATE, flags::SET)
                });
                if let Some(started) = started.filter(|_| changes) {
                    begin_anew(&mut step, started);
                }
                step.pass();
            })
        }),
        fault("DLOG-28", "while-it-runs", || {
            let mut running = true;
            answers(move |command| {
                running |= is(command, "VERSION");
                if let Some((head, data)) = DeviceFeature::parse(&command.payload)
                    && is(command, "DEVICE_FEATURE")
                    && (head.index(), head.operation()) == (index::MIG_DEVICE_STATE, flags::SET)
                {
                    running = data.first() == Some(&2);
                }
                (!running && log(command).is_some()).then_some(Answer::Error(Errno::EBUSY))
            })
        })
        .noted(),
        fault("DLOG-29", "the-maps-that-were-there", || {
            let mut old: Option<Vec<u64>> = None;
            with_windows(move |step, windows| {
                if start(&step.frame).is_some() {
                    old = Some(windows.all.iter().map(|window| window.address).collect());
                }
                let new = report(&step.frame)
                    .is_some_and(|report| old.as_ref().is_some_and(|old| !old.contains(&{ report.iova })));
                let Some(report) = report(&step.frame).filter(|_| new) else { return step.pass() };
                step.answer(Answer::Ok(reply_with(&report, &[])));
            })
        })
        .also("DLOG-05", "the case with a new map has no ranges"),
        fault("DLOG-29", "an-unmap-begins-anew", || {
            while_logging(|mut step, started| {
                if let Some(started) = started.filter(|_| is(&step.frame, "DMA_UNMAP")) {
                    begin_anew(&mut step, started);
                }
                step.pass();
            })
        }),
        fault("DLOG-21", "no-start-after-an-end", || {
            let mut ended = false;
            answers(move |command| {
                ended = stops(command) || ended && !is(command, "VERSION");
                (ended && start(command).is_some()).then_some(Answer::Error(Errno::EBUSY))
            })
        }),
    ]
}

/// Servers that die of it.
fn crashes() -> Vec<Fault> {
    fn dies(when: fn(&Frame) -> bool) -> Faulty {
        answers(move |command| {
            assert!(!when(command), "planted");
            None
        })
    }
    fn odd(range: &DmaLoggingRange) -> bool {
        let (iova, length) = (range.iova, range.length);
        length == 0 || iova.checked_add(length - 1).is_none()
    }
    vec![
        fault("DLOG-08", "divided-by-nothing", || {
            dies(|command| report(command).is_some_and(|report| report.page_size == 0))
        })
        .by_process(),
        fault("DLOG-17", "ranges-behind-the-message", || {
            dies(|command| start(command).is_some_and(|start| start.num_ranges as usize > ranges_of(command).len()))
        })
        .by_process(),
        fault("DLOG-18", "an-end-before-the-start", || {
            dies(|command| start(command).is_some() && ranges_of(command).iter().any(odd))
        })
        .by_process(),
        fault("DLOG-18", "a-tree-without-overlaps", || {
            dies(|command| {
                let mut ranges = ranges_of(command);
                ranges.sort_by_key(|range| range.iova);
                let overlap = |pair: &[DmaLoggingRange]| {
                    u128::from(pair[0].iova) + u128::from(pair[0].length) > u128::from(pair[1].iova)
                };
                start(command).is_some() && ranges.windows(2).any(overlap)
            })
        })
        .by_process(),
        fault("DLOG-19", "reserved-is-asserted", || {
            dies(|command| start(command).is_some_and(|start| start.reserved != 0))
        })
        .by_process(),
        fault("DLOG-21", "ends-what-is-not-there", || {
            let mut started = false;
            answers(move |command| {
                started = start(command).is_some() || started && !is(command, "VERSION");
                assert!(started || !stops(command), "planted");
                started &= !stops(command);
                None
            })
        })
        .by_process(),
        fault("DLOG-26", "the-last-byte-of-nothing", || {
            dies(|command| report(command).is_some_and(|report| report.length == 0))
        })
        .by_process(),
        fault("DLOG-26", "past-the-last-address", || {
            dies(|command| report(command).is_some_and(|report| { report.iova }.checked_add(report.length).is_none()))
        })
        .by_process(),
    ]
}
