//! DIRTY_PAGES of the protocols before 0.9.2: START, STOP and GET_BITMAP.

use super::dma_unmap::Unmap;
use super::draw::{Draft, Edge};
use super::message::Message;
use super::tables;
use super::weights;

/// Bytes of the pages that a bitmap is asked for, where nothing odd is.
const PAGE: u64 = 4096;
/// Ranges are not longer than this, so that their bitmaps stay small.
const LONGEST: u64 = 1 << 28;
/// Bytes of a reply without its bits, in the larger of its two layouts.
const HEAD: u64 = 48;

/// A request to the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) enum DirtyPages {
    /// The beginning.
    Start,
    /// The end.
    Stop,
    /// A map.
    Get,
    /// One page of a map.
    GetOne,
    /// Two maps, or one twice.
    GetSeveral,
    /// What was unmapped, or never mapped.
    GetGone,
    /// Pages of another size.
    GetPage,
    /// What is no page, or no usual one.
    GetNoPage,
    /// Too little room for the reply.
    GetRoom,
    /// More room than the reply takes.
    GetMoreRoom,
    /// A bitmap of another size than the range takes.
    GetSize,
    /// No bytes, or over 2^64.
    GetOdd,
    /// Several requests at once, or none.
    Flags,
    /// No range.
    GetNothing,
    /// An argsz that START and STOP do not have.
    Argsz,
}

impl Draft<'_> {
    /// A request to the log.
    pub(super) fn dirty_pages(&mut self) -> Message {
        let request = self.dice.row(weights::DIRTY_PAGES).unwrap_or(DirtyPages::Get);
        // Without a log there is only one thing that it can show.
        let request = if self.shadow.logging || self.dice.chance(20) { request } else { DirtyPages::Start };
        let request = match request {
            DirtyPages::GetSeveral if !self.has_tables() => DirtyPages::Get,
            request => request,
        };
        self.edges.push(Edge::DirtyPages(request));
        let (iova, size) = self.mapped();
        let table = self.has_tables();
        match request {
            DirtyPages::Start => self.begin_dirty_pages(),
            DirtyPages::Stop => {
                self.shadow.logging = false;
                command("stop")
            }
            DirtyPages::Get => self.get(iova, size, PAGE),
            DirtyPages::GetSeveral => {
                let (other, length) = self.mapped();
                self.get(iova, size, PAGE).and("entry", tables::range(other, length))
            }
            DirtyPages::GetOne => {
                let page = self.dice.range(0, (size / PAGE).max(1) - 1);
                self.get(iova.saturating_add(page * PAGE), PAGE, PAGE)
            }
            DirtyPages::GetGone => {
                let gone: Vec<(u64, u64)> = self.shadow.gone.iter().map(|map| (map.address, map.size)).collect();
                let fresh = self.fresh();
                let (iova, size) = self.dice.pick(&gone).unwrap_or(fresh);
                self.get(iova, size.clamp(PAGE, LONGEST), PAGE)
            }
            DirtyPages::GetPage => {
                let page = self.dice.one([512, 0x2000, 0x1_0000]);
                self.get(iova, size, page)
            }
            DirtyPages::GetNoPage => {
                let page = self.dice.one([0, 1, 3, u64::MAX]);
                self.get(iova, size, PAGE).integer("bitmap_pgsize", page)
            }
            DirtyPages::GetRoom => {
                let room = self.dice.one([0, 8, 39, 40, 47]);
                self.get(iova, size, PAGE).integer("argsz", room)
            }
            DirtyPages::GetMoreRoom => self.get(iova, size, PAGE).integer("argsz", 0x1_0000),
            DirtyPages::GetSize => {
                let bytes = self.dice.one([0, 1, 7, 0x1000, u64::MAX, 1 << 63]);
                self.get(iova, size, PAGE).integer("bitmap_size", bytes)
            }
            DirtyPages::GetOdd => {
                let (iova, size) = self.dice.one([(iova, 0), (u64::MAX - 1, 4), (iova + 1, PAGE), (iova, PAGE + 1)]);
                self.get(iova, size, PAGE).integer("bitmap_size", 8)
            }
            DirtyPages::Flags => {
                let flags = self.dice.one([0, 3, 5, 6, 7, 8, 0x8000_0001]);
                Message::command("dirty", "DIRTY_PAGES").hex("flags", flags)
            }
            DirtyPages::GetNothing => {
                let head = if table { 12 } else { 8 };
                command("get_bitmap").integer("argsz", 4096).integer("payload", head)
            }
            DirtyPages::Argsz => {
                let argsz = self.dice.one([0, 4, 100]);
                command("start").integer("argsz", argsz)
            }
        }
    }

    /// The log is begun.
    pub(super) fn begin_dirty_pages(&mut self) -> Message {
        self.shadow.logging = true;
        command("start")
    }

    /// What the device has written into a map, mostly by asking the log, or by taking the map away.
    pub(super) fn ask_dirty_pages(&mut self, (iova, size): (u64, u64)) -> Message {
        if self.dice.chance(60) {
            self.edges.push(Edge::DirtyPages(DirtyPages::Get));
            return self.get(iova, size.min(LONGEST), PAGE);
        }
        self.edges.push(Edge::Unmap(Unmap::Exact));
        self.unmap_with_bitmap(iova, size)
    }

    /// A range, with what its bits take; in a table argsz is of the request.
    fn get(&self, iova: u64, size: u64, page: u64) -> Message {
        let bytes = size.div_ceil(page).div_ceil(64) * 8;
        let get = command("get_bitmap");
        let get = if self.has_tables() { get } else { get.integer("argsz", HEAD + bytes) };
        get.hex("iova", iova).hex("size", size).integer("bitmap_pgsize", page).integer("bitmap_size", bytes)
    }
}

fn command(flags: &str) -> Message {
    Message::command("dirty", "DIRTY_PAGES").words("flags", flags)
}
