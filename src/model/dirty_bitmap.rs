//! What holds for every successful reply to DMA_LOGGING_REPORT.

use vfio_user_wire::feature::DmaLoggingReport;
use vfio_user_wire::message::DeviceFeature;

use super::Judgements;
use super::dirty_bits::{self, Bits, Names};
use super::judgement::bytes_mark;
use super::session::State;
use super::spans::span;
use crate::verdict::Class::{Note, Violation};

/// Where the data begins, and where the bitmap does.
const DATA: usize = DeviceFeature::LAYOUT.size;
const BITMAP: usize = DATA + DmaLoggingReport::LAYOUT.size;

/// What a wrong bit breaks.
const NAMES: Names = Names {
    missing: "DLOG-12",
    unwritten: "DLOG-12",
    other_pages: "DLOG-09",
    read: "DLOG-06",
    told: "DLOG-14",
    before: "DLOG-30",
};

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
    let bits = Bits { iova, length, page_size, bits: bitmap, at: BITMAP };
    let beyond = bits.beyond();
    let expected = format!("no bit set behind those of {pages} pages");
    let actual = || format!("that of page {}", beyond.unwrap_or_default());
    out.must("DLOG-13", beyond.is_none(), &expected, actual, beyond.and_then(|page| bits.mark(page)));
    if beyond.is_none() && answer == *report && state.alone {
        dirty_bits::judge(&state.log, bits, NAMES, out);
    }
}
