//! Conditions on the bitmap of DMA_LOGGING_REPORT.

use vfio_user_wire::HEADER_SIZE;
use vfio_user_wire::feature::{DmaLoggingReport, dirty_pages};
use vfio_user_wire::message::DeviceFeature;

use crate::case::{Expression, Pages, Relation};
use crate::session::pages_text;
use crate::verdict::FieldMark;

use super::Fault;
use super::expect::Miss;

/// Pages of a range, as spans with exclusive ends, in order.
pub(super) struct PageSet {
    spans: Vec<(u64, u64)>,
}

impl PageSet {
    /// What a line names, of the range that this request asks for.
    pub(super) fn new(
        pages: &[Pages],
        request: &[u8],
        value: &dyn Fn(&Expression) -> Result<u64, Fault>,
    ) -> Result<PageSet, Fault> {
        let mut spans = Vec::new();
        for pages in pages {
            let (first, end) = match pages {
                Pages::One(page) => {
                    let page = value(page)?;
                    (page, page.saturating_add(1))
                }
                Pages::Span(first, end) => (value(first)?, value(end)?),
                Pages::Last => {
                    let count = asked_for(request).and_then(|report| report.pages()).unwrap_or_default();
                    (count.saturating_sub(1), count)
                }
            };
            spans.push((first, end));
        }
        spans.sort_unstable();
        Ok(PageSet { spans })
    }

    fn has(&self, page: u64) -> bool {
        self.spans.iter().any(|(first, end)| (*first..*end).contains(&page))
    }

    /// Sets the bits of these pages.
    pub(super) fn set_in(&self, bitmap: &mut [u8]) {
        let bits = bitmap.len() as u64 * 8;
        for page in self.spans.iter().flat_map(|(first, end)| *first..(*end).min(bits)) {
            if let Some(word) = bitmap.as_chunks_mut::<8>().0.get_mut((page / 64) as usize) {
                *word = (u64::from_ne_bytes(*word) | 1 << (page % 64)).to_ne_bytes();
            }
        }
    }

    /// Why a bitmap that begins `offset` bytes into the payload does not relate so to these pages.
    pub(super) fn misses(&self, relation: Relation, bitmap: &[u8], offset: usize) -> Option<Miss> {
        let is_set = |page: u64| {
            let word = bitmap.as_chunks::<8>().0.get((page / 64) as usize);
            word.is_some_and(|word| u64::from_ne_bytes(*word) & (1 << (page % 64)) != 0)
        };
        let end = bitmap.len() as u64 * 8;
        // One page behind the bitmap stands for all of them.
        let all = || self.spans.iter().flat_map(|(first, last)| *first..(*last).min(end.max(*first) + 1));
        let missing = (relation != Relation::HasNone).then(|| all().find(|page| !is_set(*page))).flatten();
        let surplus = match relation {
            Relation::Has => None,
            Relation::HasNone => all().find(|page| is_set(*page)),
            _ => dirty_pages(bitmap).find(|page| !self.has(*page)),
        };
        let at = missing.into_iter().chain(surplus).min()?;
        let wanted = pages_text(self.spans.iter().flat_map(|(first, end)| *first..*end));
        let expected = match relation {
            Relation::Has => format!("the bits of {wanted} set"),
            Relation::HasNone => format!("the bits of {wanted} clear"),
            _ => format!("the bits of {wanted} set, and no others"),
        };
        let byte = (at / 64 * 8) as usize;
        let field = FieldMark {
            name: "pages".to_owned(),
            offset: HEADER_SIZE + offset + byte.min(bitmap.len().saturating_sub(8)),
            length: 8,
        };
        Some(Miss { expected, actual: format!("{} set", pages_text(dirty_pages(bitmap))), field: Some(field) })
    }
}

/// The range that a request of DMA_LOGGING_REPORT asks for.
pub(super) fn asked_for(request: &[u8]) -> Option<DmaLoggingReport> {
    let (_, data) = DeviceFeature::parse(request)?;
    DmaLoggingReport::parse(data).map(|(report, _)| report)
}
