//! What holds for every successful reply to DMA_LOGGING_REPORT.

use vfio_user_wire::feature::{DmaLoggingReport, dirty_pages};
use vfio_user_wire::message::DeviceFeature;

use super::Judgements;
use super::dirty_log::{Logging, Surplus};
use super::judgement::bytes_mark;
use super::session::State;
use super::spans::{Span, span};
use crate::verdict::Class::{self, Note, Violation};

/// Where the data begins, and where the bitmap does.
const DATA: usize = DeviceFeature::LAYOUT.size;
const BITMAP: usize = DATA + DmaLoggingReport::LAYOUT.size;

/// Bytes of payload with a bitmap of so many.
pub(super) fn payload_size(bitmap: u64) -> u64 {
    (BITMAP as u64).saturating_add(bitmap)
}

/// Judges the reply, its bits by what the device wrote.
pub(super) fn judge(
    state: &State,
    head: &DeviceFeature,
    report: &DmaLoggingReport,
    payload: &[u8],
    out: &mut Judgements,
) {
    let (iova, length, page_size, room) = (report.iova, report.length, report.page_size, u64::from(head.argsz));
    let asked = span(iova, length);
    let (Some(pages), Some(size)) = (report.pages(), report.bitmap_size()) else { return };
    if length == 0 || asked.1 > 1 << 64 || !page_size.is_power_of_two() {
        return;
    }
    let needed = payload_size(size);
    let argsz = DeviceFeature::parse(payload).map_or(0, |(answer, _)| u64::from(answer.argsz));
    let came = || format!("a payload of {} bytes", payload.len());
    let all = format!("a payload of {needed} bytes: {BITMAP}, and 8 for every 64 of {pages} pages");
    let argsz_mark = || bytes_mark("argsz", 0, 4);
    if room < needed {
        let expected = format!("at most the {room} bytes that argsz has room for, and argsz {needed}");
        let right = payload.len() as u64 <= room && argsz == needed;
        out.must("DLOG-16", right, &expected, || format!("{}, argsz {argsz}", came()), argsz_mark());
        return;
    }
    let Some((answer, bitmap)) = payload.get(DATA..).and_then(DmaLoggingReport::parse) else {
        return out.must("DLOG-10", false, &all, came, None);
    };
    let said = || {
        format!("iova {:#x}, length {:#x}, page_size {:#x}", { answer.iova }, { answer.length }, { answer.page_size })
    };
    let expected = format!("iova {iova:#x}, length {length:#x}, page_size {page_size:#x}, as in the request");
    out.must("DLOG-10", answer == *report, &expected, said, bytes_mark("iova", DATA, BITMAP - DATA));
    let longer = bitmap.len() as u64 > size && bitmap.len().is_multiple_of(8);
    let whole = bitmap.len() as u64 == size;
    out.check("DLOG-11", whole, if longer { Note } else { Violation }, &all, came, None);
    if !whole && !longer {
        return;
    }
    let class = if argsz == room.saturating_add(needed - DATA as u64) { Note } else { Violation };
    let right = argsz == needed || longer && argsz == payload.len() as u64;
    let expected = format!("argsz {needed}, the size of the whole payload");
    out.check("DLOG-15", right, class, &expected, || format!("argsz {argsz}"), argsz_mark());
    let beyond = dirty_pages(bitmap).find(|page| *page >= pages);
    let expected = format!("no bit set behind those of {pages} pages");
    let actual = || format!("that of page {}", beyond.unwrap_or_default());
    out.must("DLOG-13", beyond.is_none(), &expected, actual, beyond.and_then(mark));
    if beyond.is_none() && answer == *report {
        judge_bits(state, report, bitmap, out);
    }
}

/// The u64 with the bit of a page.
fn mark(page: u64) -> Option<crate::verdict::FieldMark> {
    bytes_mark("pages", BITMAP + (page / 64 * 8) as usize, 8)
}

/// Where the device wrote, and where it did not.
fn judge_bits(state: &State, report: &DmaLoggingReport, bitmap: &[u8], out: &mut Judgements) {
    let (iova, page_size) = (report.iova, report.page_size);
    let log = &state.log;
    // A range that begins inside a page has pages that are none of the log's.
    if !state.alone || !iova.is_multiple_of(page_size) {
        return;
    }
    let asked = span(iova, report.length);
    let other_pages = log.page_size.is_some_and(|unit| unit != page_size);
    if log.page_size.is_some() {
        let mut worst: Option<(u64, &'static str, Class, &'static str)> = None;
        for page in dirty_pages(bitmap) {
            let Some(surplus) = log.surplus(page_at(iova, page_size, page)) else { continue };
            let (requirement, class, why) = match surplus {
                Surplus::Told => ("DLOG-14", Note, "it was reported before, and not written since"),
                Surplus::Before => ("DLOG-30", Note, "it was written before the logging began"),
                Surplus::Read => ("DLOG-06", Violation, "the device has only read it"),
                Surplus::Nothing if other_pages => ("DLOG-09", Violation, "the device has not written it"),
                Surplus::Nothing => ("DLOG-12", Violation, "the device has not written it"),
            };
            if worst.is_none_or(|(_, _, known, _)| known < class) {
                worst = Some((page, requirement, class, why));
            }
            if class == Violation {
                break;
            }
        }
        if let Some((page, requirement, class, why)) = worst {
            let expected = format!("the bit of page {page} clear: {why}");
            out.check(requirement, false, class, &expected, || "it is set".to_owned(), mark(page));
        }
    }
    if log.logging != Logging::Surely {
        return;
    }
    let is_set = |page: u64| {
        let word = bitmap.as_chunks::<8>().0.get((page / 64) as usize);
        word.is_some_and(|word| u64::from_ne_bytes(*word) & (1 << (page % 64)) != 0)
    };
    for ((start, end), loss) in log.surely(asked) {
        let number = |address: u128| ((address - u128::from(iova)) / u128::from(page_size)) as u64;
        let Some(page) = (number(start)..=number(end - 1)).find(|page| !is_set(*page)) else { continue };
        let (requirement, class) = loss.unwrap_or((if other_pages { "DLOG-09" } else { "DLOG-12" }, Violation));
        let expected = format!("the bit of page {page} set: the device wrote it, and no reply has told it");
        out.check(requirement, false, class, &expected, || "it is clear".to_owned(), mark(page));
    }
    out.must("DLOG-12", true, "", String::new, None);
}

fn page_at(iova: u64, page_size: u64, page: u64) -> Span {
    let start = u128::from(iova) + u128::from(page) * u128::from(page_size);
    (start, start + u128::from(page_size))
}
