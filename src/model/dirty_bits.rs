//! Whether the bits of a bitmap are where the device wrote, and nowhere else.

use vfio_user_wire::dirty_pages;

use super::Judgements;
use super::dirty_log::{DirtyLog, Logging, Surplus};
use super::judgement::bytes_mark;
use super::spans::{Span, span};
use crate::verdict::Class::{self, Note, Violation};
use crate::verdict::FieldMark;

/// So many pages are looked at for what would have been wrong.
const MANY: u64 = 4096;

/// What a wrong bit breaks.
#[derive(Debug, Clone, Copy)]
pub(super) struct Names {
    /// It is clear, and the device wrote there.
    pub(super) missing: &'static str,
    /// It is set, and nothing explains it.
    pub(super) unwritten: &'static str,
    /// Either of them, where the pages are not those of the log.
    pub(super) other_pages: &'static str,
    /// It is set, and the device has only read there.
    pub(super) read: &'static str,
    /// It is set, and was told before: a note.
    pub(super) told: &'static str,
    /// It is set, and what was written was written before the logging began: a note.
    pub(super) before: &'static str,
}

/// A bitmap as it came.
#[derive(Debug, Clone, Copy)]
pub(super) struct Bits<'a> {
    pub(super) iova: u64,
    pub(super) length: u64,
    pub(super) page_size: u64,
    pub(super) bits: &'a [u8],
    /// Where in the payload they begin.
    pub(super) at: usize,
}

impl Bits<'_> {
    /// The u64 with the bit of a page.
    pub(super) fn mark(&self, page: u64) -> Option<FieldMark> {
        bytes_mark("pages", self.at + (page / 64 * 8) as usize, 8)
    }

    /// How many pages it is of.
    pub(super) fn pages(&self) -> u64 {
        self.length.div_ceil(self.page_size.max(1))
    }

    /// The first bit that is set behind those of the range.
    pub(super) fn beyond(&self) -> Option<u64> {
        dirty_pages(self.bits).find(|page| *page >= self.pages())
    }

    fn is_set(&self, page: u64) -> bool {
        // The last u64 may have come without its end.
        let word = self.bits.chunks(8).nth((page / 64) as usize).unwrap_or_default();
        let mut whole = [0; 8];
        whole.iter_mut().zip(word).for_each(|(byte, came)| *byte = *came);
        u64::from_ne_bytes(whole) & (1 << (page % 64)) != 0
    }

    fn page(&self, page: u64) -> Span {
        let start = u128::from(self.iova) + u128::from(page) * u128::from(self.page_size);
        (start, start + u128::from(self.page_size))
    }
}

/// Judges the bits by what the log should hold.
pub(super) fn judge(log: &DirtyLog, bits: Bits<'_>, names: Names, out: &mut Judgements) {
    let (iova, page_size) = (bits.iova, bits.page_size);
    // A range that begins inside a page has pages that are none of the log's.
    if page_size == 0 || !iova.is_multiple_of(page_size) {
        return;
    }
    let other_pages = log.page_size.is_some_and(|unit| unit != page_size);
    if log.page_size.is_some() {
        let mut worst: Option<(u64, &'static str, Class, &'static str)> = None;
        let breaks = |surplus| match surplus {
            Surplus::Told => (names.told, Note, "it was reported before, and not written since"),
            Surplus::Before => (names.before, Note, "it was written before the logging began"),
            Surplus::Read => (names.read, Violation, "the device has only read it"),
            Surplus::Nothing if other_pages => (names.other_pages, Violation, "the device has not written it"),
            Surplus::Nothing => (names.unwritten, Violation, "the device has not written it"),
        };
        for page in dirty_pages(bits.bits) {
            let Some(surplus) = log.surplus(bits.page(page)) else { continue };
            let (requirement, class, why) = breaks(surplus);
            if worst.is_none_or(|(_, _, known, _)| known < class) {
                worst = Some((page, requirement, class, why));
            }
            if class == Violation {
                break;
            }
        }
        if let Some((page, requirement, class, why)) = worst {
            let expected = format!("the bit of page {page} clear: {why}");
            out.check(requirement, false, class, &expected, || "it is set".to_owned(), bits.mark(page));
        }
        // What a bit that is rightly clear would have broken.
        for page in (0..bits.pages().min(MANY)).filter(|page| !bits.is_set(*page)) {
            if let Some(surplus) = log.surplus(bits.page(page)) {
                out.must(breaks(surplus).0, true, "", String::new, None);
            }
        }
    }
    if log.logging != Logging::Surely {
        return;
    }
    for ((start, end), loss) in log.surely(span(iova, bits.length)) {
        let number = |address: u128| ((address - u128::from(iova)) / u128::from(page_size)) as u64;
        let missing = if other_pages { names.other_pages } else { names.missing };
        let (requirement, class) = loss.unwrap_or((missing, Violation));
        let Some(page) = (number(start)..=number(end - 1)).find(|page| !bits.is_set(*page)) else {
            out.must(requirement, true, "", String::new, None);
            continue;
        };
        let expected = format!("the bit of page {page} set: the device wrote it, and no reply has told it");
        out.check(requirement, false, class, &expected, || "it is clear".to_owned(), bits.mark(page));
    }
}

/// The bits as they would stand in the kernel's order, if they came in another one.
fn other_orders(bits: &[u8]) -> [Vec<u8>; 3] {
    let backwards = |bytes: &[u8]| bytes.iter().map(|byte| byte.reverse_bits()).collect::<Vec<u8>>();
    let words = bits.as_chunks::<8>().0.iter();
    let swapped: Vec<u8> = words.flat_map(|word| u64::from_ne_bytes(*word).swap_bytes().to_ne_bytes()).collect();
    [backwards(bits), backwards(&swapped), swapped]
}

/// The first page that was surely written and is not told of, whatever the order of the bits.
pub(super) fn missing_in_any_order(log: &DirtyLog, bits: Bits<'_>) -> Option<u64> {
    if log.logging != Logging::Surely {
        return None;
    }
    let missing = |bits: Bits<'_>| {
        let surely = log.surely(span(bits.iova, bits.length)).filter(|(_, loss)| loss.is_none());
        let number = |address: u128| ((address - u128::from(bits.iova)) / u128::from(bits.page_size)) as u64;
        let mut pages = surely.flat_map(|((start, end), _)| number(start)..=number(end - 1));
        pages.find(|page| !bits.is_set(*page))
    };
    let page = missing(bits)?;
    let right = |turned: &Vec<u8>| missing(Bits { bits: turned, ..bits }).is_none();
    (!other_orders(bits.bits).iter().any(right)).then_some(page)
}

/// Judges the bits of 0.9.1, whose text does not say in which order they stand: where another order than the kernel's
/// makes them right, that breaks `order`, as a note. Bits behind those of the range are a note of it, too.
pub(super) fn judge_in_any_order(
    log: &DirtyLog,
    bits: Bits<'_>,
    names: Names,
    order: &'static str,
    out: &mut Judgements,
) {
    let said = |bits: Bits<'_>| {
        let mut said = Judgements::default();
        judge(log, bits, names, &mut said);
        said.into_vec()
    };
    let usual = said(bits);
    let wrong = usual.iter().any(super::Judgement::is_violation) || bits.beyond().is_some();
    if wrong {
        for turned in other_orders(bits.bits) {
            let turned = Bits { bits: &turned, ..bits };
            if turned.beyond().is_none() && !said(turned).iter().any(super::Judgement::is_violation) {
                let actual = || "the bits of the pages in another order".to_owned();
                return out.should(order, false, "page p at bit p % 64 of u64 p / 64", actual, bits.mark(0));
            }
        }
    }
    let beyond = bits.beyond();
    let expected = format!("no bit set behind those of {} pages", bits.pages());
    let actual = || format!("that of page {}", beyond.unwrap_or_default());
    out.should(order, beyond.is_none(), &expected, actual, beyond.and_then(|page| bits.mark(page)));
    if beyond.is_none() {
        usual.into_iter().for_each(|judgement| out.push(judgement));
    }
}

#[cfg(test)]
mod tests {
    use pretty_assertions::assert_eq;

    use super::*;

    const PAGE: u64 = 0x1000;
    const NAMES: Names = Names {
        missing: "missing",
        unwritten: "unwritten",
        other_pages: "other-pages",
        read: "read",
        told: "told",
        before: "before",
    };

    /// A log of pages of 4 KiB that has begun.
    fn log() -> DirtyLog {
        let mut log = DirtyLog::default();
        log.started(Some(PAGE), &[]);
        log
    }

    fn page(number: u64) -> Span {
        span(number * PAGE, PAGE)
    }

    /// The device writes some pages, one after the other, and says each time that it has.
    fn wrote(log: &mut DirtyLog, pages: &[u64]) {
        for number in pages {
            log.writes(page(*number));
            log.finished(true, &[page(*number)]);
        }
    }

    /// A bitmap of `pages` pages from 0 on with these bits set.
    fn words(pages: u64, set: &[u64]) -> Vec<u8> {
        let mut words = vec![0u64; pages.div_ceil(64) as usize];
        set.iter().for_each(|page| words[(page / 64) as usize] |= 1 << (page % 64));
        words.into_iter().flat_map(u64::to_ne_bytes).collect()
    }

    fn bits(pages: u64, page_size: u64, bits: &[u8]) -> Bits<'_> {
        Bits { iova: 0, length: pages * page_size, page_size, bits, at: 32 }
    }

    fn broken(out: Judgements) -> Vec<(&'static str, Class, usize)> {
        let broken =
            out.into_vec().into_iter().filter_map(|judgement| Some((judgement.requirement, judgement.broken?)));
        broken.map(|(name, broken)| (name, broken.class, broken.field.map_or(0, |field| field.offset))).collect()
    }

    /// What is said of a bitmap of 128 pages: the requirements, how much each weighs, and where in the message.
    fn said(log: &DirtyLog, set: &[u64]) -> Vec<(&'static str, Class, usize)> {
        let mut out = Judgements::default();
        judge(log, bits(128, PAGE, &words(128, set)), NAMES, &mut out);
        broken(out)
    }

    #[test]
    fn a_bit_is_set_where_the_device_wrote_and_nowhere_else() {
        let mut log = log();
        wrote(&mut log, &[3, 70]);
        assert_eq!(said(&log, &[3, 70]), []);
        assert_eq!(said(&log, &[3]), [("missing", Violation, 16 + 32 + 8)]);
        assert_eq!(said(&log, &[70]), [("missing", Violation, 16 + 32)]);
        assert_eq!(said(&log, &[3, 70, 71]), [("unwritten", Violation, 16 + 32 + 8)]);
        assert_eq!(said(&log, &[2, 70]), [("unwritten", Violation, 16 + 32), ("missing", Violation, 16 + 32)]);
    }

    #[test]
    fn every_page_of_a_write_has_its_bit() {
        let mut log = log();
        let written = (u128::from(PAGE) * 5 + 0x10, u128::from(PAGE) * 7 + 1);
        log.writes(written);
        log.finished(true, &[written]);
        assert_eq!(said(&log, &[5, 6, 7]), []);
        for missing in [&[6, 7], &[5, 7], &[5, 6]] {
            assert_eq!(said(&log, missing), [("missing", Violation, 16 + 32)]);
        }
    }

    #[test]
    fn a_bit_that_can_be_explained_weighs_less() {
        let mut log = DirtyLog::default();
        wrote(&mut log, &[1]);
        log.started(Some(PAGE), &[]);
        log.reads(page(2));
        wrote(&mut log, &[3]);
        log.told(span(0, 128 * PAGE));
        let at = 16 + 32;
        assert_eq!(said(&log, &[]), []);
        assert_eq!(said(&log, &[1]), [("before", Note, at)]);
        assert_eq!(said(&log, &[2]), [("read", Violation, at)]);
        assert_eq!(said(&log, &[3]), [("told", Note, at)]);
        assert_eq!(said(&log, &[4]), [("unwritten", Violation, at)]);
        // The worst of them stands for all, and the first of those that are as bad.
        assert_eq!(said(&log, &[1, 3]), [("before", Note, at)]);
        assert_eq!(said(&log, &[1, 3, 4]), [("unwritten", Violation, at)]);
        // Written again since.
        wrote(&mut log, &[3]);
        assert_eq!(said(&log, &[3]), []);
    }

    #[test]
    fn what_may_have_been_written_may_be_told_or_not() {
        let mut log = log();
        // Not over.
        log.writes(page(1));
        assert_eq!(said(&log, &[]), []);
        assert_eq!(said(&log, &[1]), []);
        // Failed.
        log.finished(false, &[page(1)]);
        assert_eq!(said(&log, &[]), []);
        log.uses(page(2));
        assert_eq!(said(&log, &[2]), []);
        // By message, which the client may have logged itself.
        log.writes(page(3));
        log.message(page(3));
        log.finished(true, &[page(3)]);
        assert_eq!(said(&log, &[3]), []);
        assert_eq!(said(&log, &[]), []);
    }

    #[test]
    fn what_could_be_lost_breaks_what_it_is_lost_by() {
        let mut log = log();
        wrote(&mut log, &[1, 2]);
        log.endanger(page(1), ("unmapped", Note));
        log.endanger_others((0, 2 * u128::from(PAGE)), ("moved", Violation));
        assert_eq!(said(&log, &[2]), [("unmapped", Note, 16 + 32)]);
        assert_eq!(said(&log, &[1]), [("moved", Violation, 16 + 32)]);
        // Where it is excused, it stays so.
        log.endanger(page(1), ("moved", Violation));
        assert_eq!(said(&log, &[2]), [("unmapped", Note, 16 + 32)]);
    }

    #[test]
    fn pages_of_another_size_than_the_logs_are_a_matter_of_their_own() {
        let mut log = log();
        wrote(&mut log, &[2, 9]);
        let said = |set: &[u64]| {
            let mut out = Judgements::default();
            judge(&log, bits(16, 2 * PAGE, &words(16, set)), NAMES, &mut out);
            broken(out).into_iter().map(|(name, class, _)| (name, class)).collect::<Vec<_>>()
        };
        assert_eq!(said(&[1, 4]), []);
        assert_eq!(said(&[1]), [("other-pages", Violation)]);
        assert_eq!(said(&[1, 4, 5]), [("other-pages", Violation)]);
    }

    #[test]
    fn nothing_is_said_where_nobody_knows() {
        let mut log = log();
        wrote(&mut log, &[1]);
        // A range that begins inside a page.
        let (mut out, set) = (Judgements::default(), words(128, &[5]));
        judge(&log, Bits { iova: 0x800, ..bits(128, PAGE, &set) }, NAMES, &mut out);
        assert_eq!(broken(out), []);
        log.doubt();
        assert_eq!(said(&log, &[5]), []);
        assert_eq!(said(&log, &[]), []);
        log.stopped();
        assert_eq!(said(&log, &[]), []);
    }

    #[test]
    fn what_holds_is_told_to_hold() {
        let mut log = log();
        wrote(&mut log, &[1]);
        log.reads(page(2));
        let mut out = Judgements::default();
        judge(&log, bits(128, PAGE, &words(128, &[1])), NAMES, &mut out);
        let held: Vec<&str> = out.into_vec().into_iter().map(|judgement| judgement.requirement).collect();
        assert_eq!(held, ["unwritten", "read", "missing"]);
    }

    #[test]
    fn bits_lie_behind_their_range_or_not() {
        assert_eq!(bits(65, PAGE, &words(128, &[64])).beyond(), None);
        assert_eq!(bits(65, PAGE, &words(128, &[3, 65])).beyond(), Some(65));
        // A part of a page is one.
        let set = words(128, &[65]);
        let part = Bits { length: 65 * PAGE + 1, ..bits(65, PAGE, &set) };
        assert_eq!((part.pages(), part.beyond()), (66, None));
    }

    #[test]
    fn a_bitmap_in_another_order_is_a_note_where_that_makes_it_right() {
        let mut log = log();
        wrote(&mut log, &[3]);
        let said = |bitmap: &[u8]| {
            let mut out = Judgements::default();
            judge_in_any_order(&log, bits(64, PAGE, bitmap), NAMES, "order", &mut out);
            broken(out).into_iter().map(|(name, class, _)| (name, class)).collect::<Vec<_>>()
        };
        let right = words(64, &[3]);
        let backwards: Vec<u8> = right.iter().map(|byte| byte.reverse_bits()).collect();
        let swapped: Vec<u8> = right.iter().rev().copied().collect();
        let both: Vec<u8> = backwards.iter().rev().copied().collect();
        assert_eq!(said(&right), []);
        for turned in [backwards, swapped, both] {
            assert_eq!(said(&turned), [("order", Note)]);
            assert_eq!(missing_in_any_order(&log, bits(64, PAGE, &turned)), None);
        }
        assert_eq!(said(&words(64, &[])), [("missing", Violation)]);
        assert_eq!(missing_in_any_order(&log, bits(64, PAGE, &words(64, &[]))), Some(3));
        assert_eq!(missing_in_any_order(&log, bits(64, PAGE, &right)), None);
        assert_eq!(said(&words(64, &[3, 9])), [("unwritten", Violation)]);
        log.endanger(page(3), ("unmapped", Note));
        assert_eq!(missing_in_any_order(&log, bits(64, PAGE, &words(64, &[]))), None);
    }

    #[test]
    fn bits_behind_the_range_are_a_note_where_no_order_makes_them_right() {
        let mut log = log();
        wrote(&mut log, &[3]);
        let mut out = Judgements::default();
        let set = words(64, &[3, 20, 21, 22]);
        judge_in_any_order(&log, bits(20, PAGE, &set), NAMES, "order", &mut out);
        assert_eq!(broken(out), [("order", Note, 16 + 32)]);
    }
}
