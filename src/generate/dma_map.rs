//! DMA_MAP.

use crate::case::{Descriptor, Value};

use super::draw::{Draft, Edge};
use super::message::{Message, hexadecimal, integer, word};
use super::shadow::{Mapped, Memory};
use super::weights;

/// A DMA_MAP.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) enum Map {
    /// Where nothing is.
    Fresh,
    /// The same without a descriptor.
    ByMessage,
    /// The end of a file.
    Offset,
    /// From where another one ends.
    TouchAfter,
    /// Up to where another one begins.
    TouchBefore,
    /// What was unmapped.
    Again,
    /// A file that is mapped already, somewhere else.
    SameFile,
    /// For the device to read only.
    Readable,
    /// For the device to write only.
    Writeable,
    /// Up to 2^64, exactly.
    Top,
    /// 2^40 bytes.
    Huge,
    /// Over the first page of another one.
    OverlapStart,
    /// Over its first byte.
    OverlapStartByte,
    /// Over its last page.
    OverlapEnd,
    /// Over its last byte.
    OverlapEndByte,
    /// A page of another one.
    Inside,
    /// Another one, with a page on both sides.
    Around,
    /// Another one's range.
    Identical,
    /// Over 2^64.
    Wrap,
    /// No bytes.
    SizeZero,
    /// An address inside a page.
    UnalignedAddress,
    /// A part of a page.
    UnalignedSize,
    /// An offset inside a page.
    UnalignedOffset,
    /// More than the file has.
    PastFile,
    /// An offset near 2^64.
    OffsetWrap,
    /// Neither readable nor writeable.
    NoAccess,
    /// Bits without a meaning.
    UnknownFlags,
    /// Two descriptors.
    TwoFds,
    /// A descriptor of no memory.
    WrongFd,
    /// A file that was opened for reading, to be written.
    ReadOnlyFile,
    /// An argsz that is wrong.
    Argsz,
}

impl Draft<'_> {
    /// A DMA_MAP.
    pub(super) fn map(&mut self) -> Message {
        for _ in 0..8 {
            let Some(map) = self.dice.row(weights::MAP) else { break };
            if let Some(message) = self.map_of(map) {
                self.edges.push(Edge::Map(map));
                return self.table_of_maps(message);
            }
        }
        self.edges.push(Edge::Map(Map::Fresh));
        let (address, size) = self.fresh();
        let message = self.lend(address, size, 0, None);
        self.table_of_maps(message)
    }

    /// Which map is drawn.
    pub(super) fn map_row(&mut self) -> Map {
        self.dice.row(weights::MAP).unwrap_or(Map::Fresh)
    }

    pub(super) fn map_of(&mut self, map: Map) -> Option<Message> {
        let page = self.offer.page;
        let (address, size) = self.fresh();
        Some(match map {
            Map::Fresh => self.lend(address, size, 0, None),
            Map::ByMessage => self.lend_by_message(address, size),
            Map::Offset => {
                let memory = self.memory(4 * page, false);
                self.lend(address, page, memory.size.checked_sub(page)?, Some(memory))
            }
            Map::TouchAfter => {
                let (start, before) = self.some_map()?;
                let address = start.checked_add(before)?;
                self.lend_if_free(address, size)?
            }
            Map::TouchBefore => {
                let address = self.some_map()?.0.checked_sub(size)?;
                self.lend_if_free(address, size)?
            }
            Map::Again => {
                let gone = self.dice.pick(&self.shadow.gone)?;
                self.lend_if_free(gone.address, gone.size)?
            }
            Map::SameFile => {
                let names: Vec<String> = self.shadow.maps.iter().filter_map(|map| map.memory.clone()).collect();
                let name = self.dice.pick(&names)?;
                let memory = self.shadow.memories.iter().find(|memory| memory.name == name && !memory.sealed)?.clone();
                self.lend(address, size.min(memory.size), 0, Some(memory))
            }
            Map::Readable if self.dice.chance(40) => {
                let message = self.lend_by_message(address, size).words("flags", "readable");
                self.only_readable();
                message
            }
            Map::Readable => self.lend_as(address, size, "readable"),
            Map::Writeable => self.lend_as(address, size, "writeable"),
            Map::Top => {
                let address = 0u64.wrapping_sub(size);
                self.lend_if_free(address, size)?
            }
            Map::Huge => {
                let huge = 1 << 40;
                self.shadow.attempt(huge, huge);
                request(huge, huge, "readable|writeable")
            }
            Map::OverlapStart => {
                let (start, _) = self.some_map()?;
                self.over(start.checked_sub(size.checked_sub(page)?)?, size)
            }
            Map::OverlapStartByte => {
                let (start, _) = self.some_map()?;
                self.over(start.checked_sub(size - 1)?, size)
            }
            Map::OverlapEnd => {
                let (start, other) = self.some_map()?;
                self.over(start.checked_add(other.checked_sub(page)?)?, size)
            }
            Map::OverlapEndByte => {
                let (start, other) = self.some_map()?;
                self.over(start.checked_add(other)?.checked_sub(1)?, size)
            }
            Map::Inside => {
                let (start, other) = self.some_map().filter(|(_, size)| *size >= 2 * page)?;
                let at = self.dice.range(0, other / page - 1) * page;
                self.over(start.checked_add(at)?, page)
            }
            Map::Around => {
                let (start, other) = self.some_map()?;
                self.over(start.checked_sub(page)?, other.checked_add(2 * page)?)
            }
            Map::Identical => {
                let (start, other) = self.some_map()?;
                self.over(start, other)
            }
            Map::Wrap => self.over(0u64.wrapping_sub(page), 2 * page),
            Map::SizeZero => self.over(address, 0),
            Map::UnalignedAddress => {
                let inside = self.dice.one([1, page / 2, page.saturating_sub(1)]);
                self.over(address + inside, size)
            }
            Map::UnalignedSize => {
                let less = self.dice.one([1, page / 2, page.saturating_sub(1)]);
                self.over(address, size - less)
            }
            Map::UnalignedOffset => {
                let inside = self.dice.one([1, page / 2]);
                self.over(address, page).hex("offset", inside)
            }
            Map::PastFile => {
                let memory = self.memory(2 * page, false);
                let offset = self.dice.one([memory.size.saturating_sub(page), memory.size, 1 << 40]);
                self.over_with(address, 2 * page, Some(memory)).hex("offset", offset)
            }
            Map::OffsetWrap => {
                let offset = self.dice.one([0u64.wrapping_sub(page), 1 << 63, (1 << 63) - page]);
                self.over(address, size).hex("offset", offset)
            }
            Map::NoAccess => self.over(address, size).integer("flags", 0),
            Map::UnknownFlags => {
                let flags = self.dice.one([0x7, 0x13, 0x8000_0003, 0x4, 0xffff_ffff]);
                self.over(address, size).hex("flags", flags)
            }
            Map::TwoFds => {
                let memory = self.memory(size, false);
                let message = self.over_with(address, size, None);
                self.lent(&memory.name);
                message.fds(&[memory.name.clone(), memory.name])
            }
            Map::WrongFd => {
                let wrong = self.wrong_descriptor();
                self.over_with(address, size, None).fds(&[wrong])
            }
            Map::ReadOnlyFile => {
                let memory = self.memory(size, true);
                self.over_with(address, size, Some(memory))
            }
            Map::Argsz => {
                let argsz = self.dice.one([0, 16, 31, 33, 4096, 0xffff_ffff]);
                self.over(address, size).integer("argsz", argsz)
            }
        })
    }

    /// A range where nothing is, at a multiple of 16 pages.
    pub(super) fn fresh(&mut self) -> (u64, u64) {
        let page = self.offer.page;
        let size = self.dice.one([1, 1, 2, 4, 16]) * page;
        let low = self.dice.range(1, 64);
        let free = |index: &u64| {
            !self.shadow.attempted.iter().any(|(at, other)| {
                let start = index * 16 * page;
                *at < start + 16 * page && start < at.saturating_add(*other)
            })
        };
        let index = (low..low + 200).find(free).unwrap_or(low);
        (index * 16 * page, size)
    }

    /// The range of a map that is probably there, mostly the last one.
    pub(super) fn some_map(&mut self) -> Option<(u64, u64)> {
        let last = self.shadow.maps.last().map(|map| (map.address, map.size));
        if self.dice.chance(50) && last.is_some() {
            return last;
        }
        self.dice.pick(&self.shadow.maps).map(|map| (map.address, map.size))
    }

    fn lend_if_free(&mut self, address: u64, size: u64) -> Option<Message> {
        self.shadow.is_free(address, size).then(|| self.lend(address, size, 0, None))
    }

    /// A map that should be accepted, of `memory` or of any that is large enough.
    fn lend(&mut self, address: u64, size: u64, offset: u64, memory: Option<Memory>) -> Message {
        let memory = memory.unwrap_or_else(|| self.memory(offset.saturating_add(size), false));
        let message = request(address, size, "readable|writeable");
        let message = if offset > 0 { message.hex("offset", offset) } else { message };
        let sure = self.shadow.attempt(address, size) && offset.saturating_add(size) <= memory.size;
        self.lent(&memory.name);
        let name = memory.name.clone();
        self.added(address, size, offset, Some(name), false, sure, message.fds(&[memory.name]))
    }

    fn lend_as(&mut self, address: u64, size: u64, flags: &str) -> Message {
        let message = self.lend(address, size, 0, None).words("flags", flags);
        if flags == "readable" {
            self.only_readable();
        } else if let Some(map) = self.shadow.maps.last_mut() {
            map.access = 2;
        }
        message
    }

    /// The device may not write what was lent last.
    fn only_readable(&mut self) {
        if let Some(map) = self.shadow.maps.last_mut() {
            (map.access, map.sure) = (1, false);
        }
    }

    /// DMA comes by message: mostly with memory to serve it from.
    fn lend_by_message(&mut self, address: u64, size: u64) -> Message {
        let message = request(address, size, "readable|writeable");
        let alone = self.shadow.attempt(address, size);
        if self.dice.chance(25) {
            return self.added(address, size, 0, None, true, false, message);
        }
        let memory = self.memory(size, false);
        // It lies under a map of the harness's own making only; the server never has it.
        let name = memory.name.clone();
        let message = message.with("memory", Value::Names(vec![(word(&memory.name), None)]));
        self.added(address, size, 0, Some(name), true, alone, message)
    }

    #[allow(clippy::too_many_arguments, reason = "the fields of a map, once each")]
    fn added(
        &mut self,
        address: u64,
        size: u64,
        offset: u64,
        memory: Option<String>,
        by_message: bool,
        sure: bool,
        mut message: Message,
    ) -> Message {
        let device = self.offer.dma_write.is_some_and(|(_, fills)| fills) && self.shadow.client.is_none();
        message.named = device && sure && self.dice.chance(weights::NAMED);
        self.shadow.gone.retain(|map| (map.address, map.size) != (address, size));
        self.shadow.maps.push(Mapped { address, size, offset, memory, by_message, access: 3, label: None, sure });
        message
    }

    /// A map that should be refused, or that nobody can say anything about.
    fn over(&mut self, address: u64, size: u64) -> Message {
        let memory = if self.dice.chance(70) { Some(self.memory(size, false)) } else { None };
        self.over_with(address, size, memory)
    }

    fn over_with(&mut self, address: u64, size: u64, memory: Option<Memory>) -> Message {
        self.shadow.attempt(address, size);
        let message = request(address, size, "readable|writeable");
        let Some(memory) = memory else { return message };
        self.lent(&memory.name);
        message.fds(&[memory.name])
    }

    fn lent(&mut self, name: &str) {
        for memory in self.shadow.memories.iter_mut().filter(|memory| memory.name == name) {
            memory.lent = true;
        }
    }

    /// A memfd of at least `size` bytes: one that is there, or a new one.
    fn memory(&mut self, size: u64, read_only: bool) -> Memory {
        let page = self.offer.page;
        let fits = |memory: &&Memory| memory.size >= size && !memory.sealed && memory.read_only == read_only;
        let known: Vec<Memory> = self.shadow.memories.iter().filter(fits).cloned().collect();
        let reuse = if known.len() > 2 { 80 } else { 30 };
        if self.dice.chance(reuse)
            && let Some(memory) = self.dice.pick(&known)
        {
            return memory;
        }
        let pages = size.div_ceil(page).clamp(1, 64);
        let pages = if self.dice.chance(30) { pages.next_multiple_of(4) } else { pages };
        let name = self.shadow.name(if read_only { "rom" } else { "ram" }, 1);
        let size = pages * page;
        let made =
            if read_only { Descriptor::MemfdReadOnly(hexadecimal(size)) } else { Descriptor::Memfd(hexadecimal(size)) };
        self.make(&name, made);
        let memory = Memory { name, size, lent: false, sealed: false, read_only };
        self.shadow.memories.push(memory.clone());
        memory
    }
}

fn request(address: u64, size: u64, flags: &str) -> Message {
    Message::command("map", "DMA_MAP").hex("address", address).hex("size", size).words("flags", flags)
}

/// `fill:BYTE:LENGTH`.
pub(super) fn fill(byte: u64, length: u64) -> crate::case::Bytes {
    crate::case::Bytes::Fill(integer(byte), integer(length))
}
