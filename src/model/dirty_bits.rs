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
