//! DMA_UNMAP.

use super::draw::{Draft, Edge};
use super::message::Message;
use super::shadow::Mapped;
use super::tables::{PAGE, bitmap_bytes};
use super::weights;

/// A DMA_UNMAP.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) enum Unmap {
    /// A map.
    Exact,
    /// A map, with room for more than the reply.
    ArgszEnough,
    /// A map without its last page.
    ShortByPage,
    /// A map without its last byte.
    ShortByByte,
    /// A map and the page behind it.
    LongByPage,
    /// A map and the byte behind it.
    LongByByte,
    /// A map without its first page.
    LateStart,
    /// A map and the page before it.
    EarlyStart,
    /// Two maps that touch.
    SpanTwo,
    /// What is unmapped already.
    Twice,
    /// What was never mapped.
    Unknown,
    /// No bytes.
    SizeZero,
    /// Over 2^64.
    Wrap,
    /// No room for the reply.
    ArgszShort,
    /// Bits that are unused.
    Flags,
    /// What unmapped everything in an older protocol.
    Everything,
}

impl Draft<'_> {
    /// A DMA_UNMAP.
    pub(super) fn unmap(&mut self) -> Message {
        for _ in 0..8 {
            let Some(unmap) = self.dice.row(weights::UNMAP) else { break };
            if let Some(message) = self.unmap_of(unmap) {
                self.edges.push(Edge::Unmap(unmap));
                return self.table_of_unmaps(message);
            }
        }
        // Nothing is there to be unmapped.
        self.map()
    }

    /// Which unmap is drawn.
    pub(super) fn unmap_row(&mut self) -> Unmap {
        self.dice.row(weights::UNMAP).unwrap_or(Unmap::Exact)
    }

    pub(super) fn unmap_of(&mut self, unmap: Unmap) -> Option<Message> {
        let page = self.offer.page;
        let part = |draft: &mut Self, address: u64, size: u64| {
            draft.shadow.disturb(address, size);
            gone(address, size)
        };
        Some(match unmap {
            Unmap::Exact => {
                let (address, size) = self.take()?;
                gone(address, size)
            }
            Unmap::ArgszEnough => {
                let (address, size) = self.take()?;
                let argsz = self.dice.one([25, 32, 4096]);
                gone(address, size).integer("argsz", argsz)
            }
            Unmap::ShortByPage => {
                let (address, size) = self.some_map().filter(|(_, size)| *size > page)?;
                part(self, address, size - page)
            }
            Unmap::ShortByByte => {
                let (address, size) = self.some_map()?;
                part(self, address, size - 1)
            }
            Unmap::LongByPage => {
                let (address, size) = self.some_map()?;
                part(self, address, size.checked_add(page)?)
            }
            Unmap::LongByByte => {
                let (address, size) = self.some_map()?;
                part(self, address, size.checked_add(1)?)
            }
            Unmap::LateStart => {
                let (address, size) = self.some_map().filter(|(_, size)| *size > page)?;
                part(self, address + page, size - page)
            }
            Unmap::EarlyStart => {
                let (address, size) = self.some_map()?;
                part(self, address.checked_sub(page)?, size.checked_add(page)?)
            }
            Unmap::SpanTwo => {
                let maps = &self.shadow.maps;
                let touching = |low: &Mapped| maps.iter().find(|high| high.address == low.end()).map(Mapped::end);
                let pairs = maps.iter().filter_map(|low| Some((low.address, touching(low)?.checked_sub(low.address)?)));
                let pairs: Vec<(u64, u64)> = pairs.collect();
                let (address, size) = self.dice.pick(&pairs)?;
                part(self, address, size)
            }
            Unmap::Twice => {
                let past = self.dice.pick(&self.shadow.gone)?;
                if !self.shadow.is_free(past.address, past.size) {
                    return None;
                }
                gone(past.address, past.size)
            }
            Unmap::Unknown => {
                let (address, size) = self.fresh();
                gone(address, size)
            }
            Unmap::SizeZero => {
                let address = self.some_map().map_or(0x1_0000, |(address, _)| address);
                gone(address, 0)
            }
            Unmap::Wrap => {
                let address = 0u64.wrapping_sub(page);
                part(self, address, 2 * page)
            }
            Unmap::ArgszShort => {
                let (address, size) = self.some_map()?;
                let argsz = self.dice.one([0, 8, 23]);
                part(self, address, size).integer("argsz", argsz)
            }
            Unmap::Flags => {
                let (address, size) = self.some_map()?;
                let flags = self.dice.one([1, 2, 0x8000_0000]);
                part(self, address, size).hex("flags", flags)
            }
            Unmap::Everything => {
                self.shadow.unsettle();
                gone(0, 0).integer("flags", 2)
            }
        })
    }

    /// The unmap of a map that is there, which asks what was written in it: in the protocols before 0.9.2.
    pub(super) fn unmap_with_bitmap(&mut self, address: u64, size: u64) -> Message {
        self.take_away(address, size);
        let message = gone(address, size).words("flags", "get_dirty_bitmap");
        if self.has_tables() {
            let bytes = bitmap_bytes(size);
            return message.integer("bitmap_pgsize", PAGE).integer("bitmap_size", bytes);
        }
        message
    }

    /// A map that is about to be unmapped.
    fn take(&mut self) -> Option<(u64, u64)> {
        let (address, size) = self.some_map()?;
        self.take_away(address, size);
        Some((address, size))
    }

    fn take_away(&mut self, address: u64, size: u64) {
        if let Some(at) = self.shadow.maps.iter().position(|map| (map.address, map.size) == (address, size)) {
            let map = self.shadow.maps.remove(at);
            self.shadow.gone.push(map);
        }
        self.shadow.disturb(address, size);
    }
}

fn gone(address: u64, size: u64) -> Message {
    Message::command("unmap", "DMA_UNMAP").hex("address", address).hex("size", size)
}
