//! Conditions on bitmaps: those of DMA_LOGGING_REPORT, and those of DIRTY_PAGES and DMA_UNMAP of 0.9.1 and version 8.

use vfio_user_wire::feature::{DmaLoggingReport, dirty_pages};
use vfio_user_wire::legacy::{DirtyPagesGet, DmaUnmapGet};
use vfio_user_wire::message::{DMA_UNMAP, DeviceFeature};
use vfio_user_wire::tables::{DirtyPagesGetV8c, DmaUnmapGetV8c};
use vfio_user_wire::{HEADER_SIZE, Message, Tail, bitmap_size};

use crate::case::{Expression, Pages, Relation};
use crate::model::Command;
use crate::session::pages_text;
use crate::verdict::FieldMark;

use super::Fault;
use super::expect::Miss;

/// Pages of a range, as spans with exclusive ends, in order.
pub(super) struct PageSet {
    spans: Vec<(u64, u64)>,
}

impl PageSet {
    /// What a line names, of the range that this command asks for.
    pub(super) fn new(
        pages: &[Pages],
        command: Option<&Command>,
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
                    let asked = command.and_then(|command| Asked::of(command.message?, &command.payload));
                    let count = asked.and_then(|asked| asked.pages()).unwrap_or_default();
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

/// The bitmap that a request asks for.
pub(super) struct Asked {
    /// Bytes of the range.
    length: u64,
    /// Bytes of memory for each bit.
    page_size: u64,
    /// Bytes of the bits, where the request says that.
    room: Option<u64>,
}

impl Asked {
    /// What a request with this payload asks for; `None` where it asks for no bitmap.
    pub(super) fn of(message: &Message, payload: &[u8]) -> Option<Asked> {
        match message.reply_of(payload).tail {
            Tail::RangeBitmap => DirtyPagesGet::parse(payload).map(|(get, _)| Asked {
                length: get.size,
                page_size: get.bitmap_pgsize,
                room: Some(get.bitmap_size),
            }),
            Tail::Bitmap if message.name == DMA_UNMAP.name => DmaUnmapGet::parse(payload).map(|(get, _)| Asked {
                length: get.size,
                page_size: get.bitmap_pgsize,
                room: Some(get.bitmap_size),
            }),
            // The first region, whose structure begins alike in either text.
            Tail::Bitmaps if message.name == DMA_UNMAP.name => DmaUnmapGetV8c::parse(payload).map(|(get, _)| Asked {
                length: get.size,
                page_size: get.bitmap_pgsize,
                room: Some(get.bitmap_size),
            }),
            Tail::Bitmaps => DirtyPagesGetV8c::parse(payload).map(|(get, _)| Asked {
                length: get.size,
                page_size: get.bitmap_pgsize,
                room: Some(get.bitmap_size),
            }),
            Tail::Bitmap => {
                let (_, data) = DeviceFeature::parse(payload)?;
                let (report, _) = DmaLoggingReport::parse(data)?;
                Some(Asked { length: report.length, page_size: report.page_size, room: None })
            }
            _ => None,
        }
    }

    fn pages(&self) -> Option<u64> {
        (self.page_size > 0).then(|| self.length.div_ceil(self.page_size))
    }

    /// Bytes that the bits of this range take.
    pub(super) fn exact(&self) -> u64 {
        bitmap_size(self.length, self.page_size).unwrap_or_default()
    }

    /// Bytes of the bits that are to come.
    pub(super) fn room(&self) -> u64 {
        self.room.unwrap_or_else(|| self.exact())
    }
}

/// The bits in the reply to a command, which stand behind its fixed part, or behind the 8 unused bytes of a wide range.
pub(super) fn bits_in<'p>(command: &Command, payload: &'p [u8]) -> &'p [u8] {
    let body = command.reply_body();
    let told = match body.tail {
        Tail::RangeBitmap => {
            DirtyPagesGet::parse(payload).and_then(|(get, tail)| get.bits(tail).ok()).map(|(_, bits)| bits)
        }
        // Version 8 can be read to want the bits alone (1587-1588).
        Tail::Bitmaps if payload.len() < body.fixed_size() => Some(payload),
        _ => None,
    };
    told.unwrap_or_else(|| payload.get(body.fixed_size()..).unwrap_or_default())
}
