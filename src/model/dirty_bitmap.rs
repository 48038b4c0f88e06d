//! What holds for every successful reply to DMA_LOGGING_REPORT.

use vfio_user_wire::feature::DmaLoggingReport;
use vfio_user_wire::message::DeviceFeature;

use super::Judgements;
use super::dirty_bits::{self, Bits, Names};
use super::dirty_log::DirtyLog;
use super::judgement::bytes_mark;
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

/// Judges the reply, its bits by what the log should hold; `None` where nobody knows that.
pub(super) fn judge(
    log: Option<&DirtyLog>,
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
        // The fixed part may come where there is no room for it either (341-347).
        let most = room.max(BITMAP as u64);
        let expected = format!("a payload of at most {most} bytes, as argsz is {room}, and argsz {needed}");
        let right = payload.len() as u64 <= most && argsz == needed;
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
    let enough = bitmap.len() as u64 >= size && bitmap.len().is_multiple_of(8);
    let class = if enough { Note } else { Violation };
    out.check("DLOG-11", bitmap.len() as u64 == size, class, &all, came, None);
    if !enough {
        return;
    }
    let class = if argsz == room.saturating_add(needed - DATA as u64) { Note } else { Violation };
    let right = argsz == needed || argsz == payload.len() as u64;
    let expected = format!("argsz {needed}, the size of the whole payload");
    out.check("DLOG-15", right, class, &expected, || format!("argsz {argsz}"), argsz_mark());
    let bits = Bits { iova, length, page_size, bits: bitmap, at: BITMAP };
    let beyond = bits.beyond();
    let expected = format!("no bit set behind those of {pages} pages");
    let actual = || format!("that of page {}", beyond.unwrap_or_default());
    out.must("DLOG-13", beyond.is_none(), &expected, actual, beyond.and_then(|page| bits.mark(page)));
    if let Some(log) = log
        && beyond.is_none()
        && answer == *report
    {
        dirty_bits::judge(log, bits, NAMES, out);
    }
}

#[cfg(test)]
mod tests {
    use pretty_assertions::assert_eq;

    use super::*;
    use crate::model::Broken;
    use crate::verdict::Class;

    const PAGE: u64 = 0x1000;

    /// A report of 100 pages, which needs 16 bytes of bitmap.
    const REPORT: DmaLoggingReport = DmaLoggingReport { iova: 0x10_0000, length: 100 * PAGE, page_size: PAGE };

    fn head(argsz: u64) -> DeviceFeature {
        DeviceFeature { argsz: argsz as u32, flags: 0 }
    }

    fn said(room: u64, argsz: u64, report: &DmaLoggingReport, bitmap: &[u8]) -> Vec<(&'static str, Class)> {
        of(room, &[head(argsz).bytes(), report.bytes(), bitmap].concat())
    }

    fn of(room: u64, payload: &[u8]) -> Vec<(&'static str, Class)> {
        broken(room, &REPORT, payload).into_iter().map(|(requirement, broken)| (requirement, broken.class)).collect()
    }

    fn broken(room: u64, report: &DmaLoggingReport, payload: &[u8]) -> Vec<(&'static str, Broken)> {
        let (mut log, mut out) = (DirtyLog::default(), Judgements::default());
        log.started(Some(PAGE), &[]);
        judge(Some(&log), &head(room), report, payload, &mut out);
        let judgements = out.into_vec().into_iter();
        judgements.filter_map(|judgement| Some((judgement.requirement, judgement.broken?))).collect()
    }

    #[test]
    fn a_report_is_as_large_as_its_pages_ask() {
        let needed = payload_size(16);
        assert_eq!(needed, 8 + 24 + 16);
        assert_eq!(said(needed, needed, &REPORT, &[0; 16]), []);
        assert_eq!(said(needed + 100, needed, &REPORT, &[0; 16]), []);
        assert_eq!(said(needed, needed, &REPORT, &[0; 8]), [("DLOG-11", Violation)]);
        assert_eq!(said(needed, needed, &REPORT, &[0; 20]), [("DLOG-11", Violation)]);
        // Longer, and the size says so.
        assert_eq!(said(needed, needed, &REPORT, &[0; 24]), [("DLOG-11", Note)]);
        assert_eq!(said(needed, needed + 8, &REPORT, &[0; 24]), [("DLOG-11", Note)]);
        assert_eq!(said(needed, needed, &REPORT, &[1; 24]), [("DLOG-11", Note), ("DLOG-13", Violation)]);
        assert_eq!(said(needed, needed + 8, &REPORT, &[0; 16]), [("DLOG-15", Violation)]);
        assert_eq!(said(needed, needed - 8, &REPORT, &[0; 16]), [("DLOG-15", Violation)]);
        // The room asked for, and the size of the data once more.
        assert_eq!(said(needed, 2 * needed - 8, &REPORT, &[0; 16]), [("DLOG-15", Note)]);
        assert_eq!(of(needed, &[0; 31]), [("DLOG-10", Violation)]);
    }

    #[test]
    fn a_report_repeats_what_it_is_about() {
        let needed = payload_size(16);
        let other = DmaLoggingReport { iova: 0, ..REPORT };
        // Its bits are of something else.
        assert_eq!(said(needed, needed, &other, &[[1; 8], [0; 8]].concat()), [("DLOG-10", Violation)]);
        let broken = broken(needed, &REPORT, &[head(needed).bytes(), other.bytes(), &[0; 16]].concat());
        let mark = broken[0].1.field.as_ref().unwrap();
        assert_eq!((mark.offset, mark.length), (16 + 8, 24));
    }

    #[test]
    fn a_range_that_is_none_may_come_back_as_the_server_rounds_it() {
        let is_judged = |iova, length, page_size| {
            let report = DmaLoggingReport { iova, length, page_size };
            let payload = [head(payload_size(16)).bytes(), report.bytes(), &[1; 16]].concat();
            !broken(payload_size(16), &report, &payload).is_empty()
        };
        let last = PAGE.wrapping_neg();
        assert!(is_judged(last, PAGE, PAGE));
        assert!(!is_judged(last, 2 * PAGE, PAGE));
        assert!(!is_judged(0, 0, PAGE));
        assert!(!is_judged(0, 3 * PAGE, 3 * PAGE));
    }

    #[test]
    fn a_report_that_has_no_room_says_how_much_it_needs() {
        let needed = payload_size(16);
        assert_eq!(of(needed - 1, head(needed).bytes()), []);
        assert_eq!(of(needed - 1, head(needed - 1).bytes()), [("DLOG-16", Violation)]);
        assert_eq!(said(needed - 1, needed, &REPORT, &[0; 16]), [("DLOG-16", Violation)]);
        for room in [0, 8, 31, 32] {
            assert_eq!(said(room, needed, &REPORT, &[]), []);
            assert_eq!(said(room, needed, &REPORT, &[0; 8]), [("DLOG-16", Violation)]);
        }
    }

    #[test]
    fn bits_are_judged_where_the_pages_are_known() {
        let needed = payload_size(16);
        let mut bitmap = [0; 16];
        bitmap[0] = 1;
        assert_eq!(said(needed, needed, &REPORT, &bitmap), [("DLOG-12", Violation)]);
        // Behind the last of 100 pages.
        let mut bitmap = [0; 16];
        bitmap[8 + 36 / 8] = 1 << (36 % 8);
        assert_eq!(said(needed, needed, &REPORT, &bitmap), [("DLOG-13", Violation)]);
        bitmap[0] = 1;
        assert_eq!(said(needed, needed, &REPORT, &bitmap), [("DLOG-13", Violation)]);
        let mut bitmap = [0; 16];
        bitmap[8 + 35 / 8] = 1 << (35 % 8);
        assert_eq!(said(needed, needed, &REPORT, &bitmap), [("DLOG-12", Violation)]);
    }
}
