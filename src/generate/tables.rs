//! The tables of DMA_MAP, DMA_UNMAP and DIRTY_PAGES in version 8, and in the beginning of 0.9.1.

use vfio_user_wire::tables::Table;

use crate::case::{Argument, Bytes, Expression, Name, Send, Value};

use super::draw::{Draft, Edge};
use super::message::{Message, hexadecimal, integer, word};
use super::weights;

/// Bytes of the pages that a bitmap is asked for, where nothing odd is.
pub(super) const PAGE: u64 = 4096;
/// The bitmap of a longer region is asked for in too few bytes.
const LONGEST: u64 = 1 << 28;

/// What a table has besides the region that was drawn.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) enum Entries {
    /// Nothing.
    One,
    /// Some more.
    Few,
    /// Many more.
    Many,
    /// Not even that one.
    None,
    /// A descriptor too few.
    FdMissing,
    /// A descriptor too many.
    FdLeft,
    /// Bits without a meaning.
    Flags,
    /// A bitmap is asked for each region.
    Bitmaps,
    /// A bitmap is asked for some of them.
    Mixed,
    /// Bitmaps of pages of another size, which take as many bytes.
    BitmapPage,
    /// Bitmaps of another size than the regions take.
    BitmapSize,
}

/// A region of a table.
struct Region {
    address: u64,
    size: u64,
    offset: u64,
    protections: u64,
    flags: Option<u64>,
    /// Bytes of a page, and of the bits.
    bitmap: Option<(u64, u64)>,
}

impl Region {
    /// What a message of later versions says.
    fn of(message: &Message) -> Region {
        let (flags, words) = (message.get("flags"), message.words_of("flags"));
        let protections = match (flags, words.as_slice()) {
            (Some(flags), _) => flags,
            (None, ["readable"]) => 1,
            (None, ["writeable"]) => 2,
            (None, _) => 3,
        };
        let get = |key| message.get(key).unwrap_or_default();
        Region {
            address: get("address"),
            size: get("size"),
            offset: get("offset"),
            protections,
            flags: None,
            bitmap: None,
        }
    }

    /// The bytes of a further one.
    fn entry(&self, table: Table) -> Bytes {
        let flags = self.flags.unwrap_or_default();
        let mut words = vec![(8, self.address), (8, self.size), (8, self.offset), (4, self.protections), (4, flags)];
        words.extend(self.bitmap.into_iter().flat_map(|(page, bytes)| [(8, page), (8, bytes)]));
        if self.bitmap.is_some() && table == Table::V8 {
            words.push((8, 0));
        }
        Bytes::Joined(words.into_iter().map(|(width, value)| Bytes::Integer(width, hexadecimal(value))).collect())
    }
}

impl Draft<'_> {
    /// A DMA_MAP, where the version has a table in it: with what was drawn as its first region.
    pub(super) fn table_of_maps(&mut self, first: Message) -> Message {
        let Some(table) = self.offer.profile.dialect().table else { return first };
        let entries = self.dice.row(weights::MAPPED).unwrap_or(Entries::One);
        self.edges.push(Edge::Mapped(entries));
        let more = match entries {
            Entries::Few | Entries::FdMissing | Entries::FdLeft => self.dice.range(1, 3),
            Entries::Many => self.dice.range(8, 20),
            _ => 0,
        };
        let most = self.offer.limits.max_msg_fds;
        let (mut fds, mut memory) = (first.descriptors("fd"), first.descriptors("memory"));
        let mut regions = vec![Region::of(&first)];
        let with_file = |region: &mut Region, fds: usize| region.flags = Some(u64::from(fds > 0));
        regions.iter_mut().for_each(|region| with_file(region, fds.len()));
        for _ in 0..more {
            let row = if entries == Entries::Many { super::dma_map::Map::ByMessage } else { self.map_row() };
            let Some(message) = self.map_of(row) else { continue };
            let own = message.descriptors("fd");
            if (fds.len() + own.len()) as u64 > most {
                break;
            }
            self.edges.push(Edge::Map(row));
            let mut region = Region::of(&message);
            with_file(&mut region, own.len());
            regions.push(region);
            fds.extend(own);
            memory.extend(message.descriptors("memory"));
        }
        match entries {
            Entries::FdMissing => drop(fds.pop()),
            Entries::FdLeft => fds.push(self.spare()),
            Entries::Flags => {
                let bits = self.dice.one([2, 0x8000_0000, 0xffff_fffe]);
                regions.iter_mut().for_each(|region| region.flags = region.flags.map(|flags| flags | bits));
            }
            _ => {}
        }
        if !matches!(entries, Entries::One | Entries::Few | Entries::Many) {
            self.shadow.unsettle();
        }
        let usual = u64::from(!fds.is_empty());
        let mut message = self.table(table, "map", "DMA_MAP", &regions, usual);
        message.named = first.named;
        if !fds.is_empty() {
            message = message.fds(&fds);
        }
        if !memory.is_empty() {
            let names = memory.iter().map(|name| (word(name), None)).collect();
            message = message.with("memory", Value::Names(names));
        }
        if entries == Entries::None { message.integer("payload", 0) } else { message }
    }

    /// A DMA_UNMAP, where the version has a table in it: with what was drawn as its first region.
    pub(super) fn table_of_unmaps(&mut self, first: Message) -> Message {
        let Some(table) = self.offer.profile.dialect().table else { return first };
        let entries = self.dice.row(weights::UNMAPPED).unwrap_or(Entries::One);
        // Without a log a bitmap has nothing to show.
        let bitmaps = !matches!(entries, Entries::One | Entries::Few | Entries::None | Entries::Flags);
        let entries = if bitmaps && !self.shadow.logging && self.dice.chance(70) { Entries::Few } else { entries };
        self.edges.push(Edge::Unmapped(entries));
        let more = match entries {
            Entries::Few | Entries::Mixed => self.dice.range(1, 3),
            Entries::Bitmaps | Entries::BitmapPage | Entries::BitmapSize => self.dice.one([0, 0, 1, 2]),
            _ => 0,
        };
        let mut regions = vec![self.unmapping(&first)];
        for _ in 0..more {
            let row = self.unmap_row();
            let Some(message) = self.unmap_of(row) else { continue };
            self.edges.push(Edge::Unmap(row));
            regions.push(self.unmapping(&message));
        }
        let odd_page = self.dice.one([0, 1, 512, 0x2000, u64::MAX]);
        let odd_size = self.dice.one([0, 1, 7, 0x1000, u64::MAX]);
        for (at, region) in regions.iter_mut().enumerate() {
            let bytes = bitmap_bytes(region.size);
            region.bitmap = match entries {
                Entries::Bitmaps => Some((PAGE, bytes)),
                Entries::Mixed if at % 2 == 0 => Some((PAGE, bytes)),
                Entries::BitmapPage => Some((odd_page, bytes)),
                Entries::BitmapSize => Some((PAGE, odd_size)),
                _ => None,
            };
            if region.bitmap.is_some() {
                region.flags = Some(1);
            }
            if entries == Entries::Flags {
                region.flags = Some(self.dice.one([2, 0x8000_0000]));
            }
        }
        let message = self.table(table, "unmap", "DMA_UNMAP", &regions, 0);
        if entries == Entries::None { message.integer("payload", 0) } else { message }
    }

    /// DMA commands and DIRTY_PAGES carry tables.
    pub(super) fn has_tables(&self) -> bool {
        self.offer.profile.dialect().table.is_some()
    }

    /// A region as it is unmapped: with what it was mapped with, where that is known.
    fn unmapping(&self, message: &Message) -> Region {
        let region = Region::of(message);
        let known = |map: &&super::shadow::Mapped| (map.address, map.size) == (region.address, region.size);
        let maps = self.shadow.gone.iter().rev().chain(self.shadow.maps.iter().rev());
        let (offset, protections) = maps.into_iter().find(known).map_or((0, 3), |map| (map.offset, map.access));
        let flags = message.get("flags").unwrap_or_default();
        // One bit asks for a bitmap, of any region that later versions could not ask for one.
        let bitmap = (flags & 1 != 0).then(|| (PAGE, bitmap_bytes(region.size)));
        let (offset, protections) =
            if table_offset(self.offer.profile.dialect().table) { (offset, protections) } else { (0, 0) };
        Region { offset, protections, flags: Some(flags), bitmap, ..region }
    }

    /// The message: the fields of the first region, and the others behind it. `usual` are the flags of a region that says
    /// nothing of them.
    fn table(&self, table: Table, role: &'static str, name: &str, regions: &[Region], usual: u64) -> Message {
        let mut message = Message::command(role, name);
        let Some((first, others)) = regions.split_first() else { return message };
        message = message.hex("address", first.address).hex("size", first.size);
        if first.offset > 0 {
            message = message.hex("offset", first.offset);
        }
        message = match first.protections {
            3 if name == "DMA_MAP" || table == Table::V8 => message,
            0 if name != "DMA_MAP" && table == Table::V8c => message,
            1 => message.words("protections", "read"),
            2 => message.words("protections", "write"),
            3 => message.words("protections", "rw"),
            other => message.hex("protections", other),
        };
        message = match (first.flags.unwrap_or(usual), first.bitmap) {
            (flags, None) if flags == usual => message,
            (flags, None) => message.hex("flags", flags),
            (flags, Some((page, bytes))) => {
                let message =
                    if flags == 1 { message.words("flags", "get_dirty_bitmap") } else { message.hex("flags", flags) };
                message.integer("bitmap_pgsize", page).integer("bitmap_size", bytes)
            }
        };
        others.iter().fold(message, |message, region| message.and("entry", Value::Bytes(region.entry(table))))
    }
}

/// DMA_UNMAP says again what the map said.
fn table_offset(table: Option<Table>) -> bool {
    table == Some(Table::V8)
}

/// Bytes of the bits of a range, in pages of the usual size.
pub(super) fn bitmap_bytes(size: u64) -> u64 {
    if size > LONGEST { 8 } else { size.div_ceil(PAGE).div_ceil(64) * 8 }
}

/// A further range of DIRTY_PAGES.
pub(super) fn range(iova: u64, size: u64) -> Value {
    let words = [iova, size, PAGE, bitmap_bytes(size), 0];
    let words = words.map(|value| Bytes::Integer(8, if value < 10_000 { integer(value) } else { hexadecimal(value) }));
    Value::Bytes(Bytes::Joined(words.into()))
}

/// How many regions a line has besides its first.
pub(super) fn entries(send: &Send) -> usize {
    send.arguments.iter().filter(|argument| *argument.key == "entry").count()
}

/// Leaves out one of those, and in DMA_MAP the descriptor that is its own.
pub(super) fn leave_out(send: &mut Send, entry: usize) {
    let is_entry = |argument: &&Argument| *argument.key == "entry";
    let mappable: Vec<bool> = send.arguments.iter().filter(is_entry).map(|argument| has_fd(&argument.value)).collect();
    let named = |argument: &&Argument| matches!(argument.key.as_str(), "fd" | "fds");
    let flags = send.arguments.iter().find(|argument| *argument.key == "flags").map(|argument| &argument.value.value);
    let first = match flags {
        Some(Value::Integer(Expression::Number { value, .. })) => value & 1 != 0,
        Some(Value::Words(_)) => true,
        _ => send.arguments.iter().any(|argument| named(&argument)),
    };
    let own = usize::from(first) + mappable.iter().take(entry).filter(|mappable| **mappable).count();
    if mappable.get(entry) == Some(&true)
        && let Some(argument) = send.arguments.iter_mut().find(|argument| named(&&**argument))
        && let Value::Names(names) = &mut argument.value.value
    {
        let times = |times: &Option<Expression>| match times {
            Some(Expression::Number { value, .. }) => *value as usize,
            _ => 1,
        };
        let mut each: Vec<Name> = names.iter().flat_map(|(name, count)| vec![name.clone(); times(count)]).collect();
        if own < each.len() {
            each.remove(own);
        }
        *names = each.into_iter().map(|name| (name, None)).collect();
    }
    let mut at = 0;
    send.arguments.retain(|argument| {
        let here = *argument.key == "entry";
        at += usize::from(here);
        !(here && at == entry + 1)
    });
    send.arguments.retain(|argument| !matches!(&argument.value.value, Value::Names(names) if names.is_empty()));
}

/// The region of an entry has a descriptor.
fn has_fd(entry: &Value) -> bool {
    match entry {
        Value::Bytes(Bytes::Joined(parts)) => matches!(
            parts.get(4),
            Some(Bytes::Integer(4, Expression::Number { value, .. })) if value & 1 != 0
        ),
        _ => false,
    }
}
