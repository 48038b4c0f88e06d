//! What holds for every successful reply of the protocols with tables: version 8, and 0.9.1 in the beginning.

use vfio_user_wire::legacy::{Bitmap, RangeLayout};
use vfio_user_wire::message::{DMA_UNMAP, REGION_WRITE, RegionAccess, VERSION, Version};
use vfio_user_wire::tables::{
    BitmapRanges, Bitmaps, DIRTY_PAGES_V8, DirtyPages, DirtyPagesGetV8, DirtyPagesGetV8c, DmaUnmapEntries, Table,
};
use vfio_user_wire::{HEADER_SIZE, dirty_pages_flags};

use super::judgement::{header_mark, payload_mark};
use super::{Command, Judgements, Reply};

/// Judges a successful reply; whether nothing else is to be said of it.
pub(super) fn judge(table: Table, command: &Command, reply: &Reply<'_>, out: &mut Judgements) -> bool {
    let Some(message) = command.message else { return false };
    match message.name {
        name if name == DMA_UNMAP.name => judge_unmap(table, command, reply, out),
        name if name == DIRTY_PAGES_V8.name => judge_dirty_pages(table, command, reply, out),
        name if name == VERSION.name && table == Table::V8 => {
            let data = reply.payload.get(Version::LAYOUT.size..).unwrap_or_default();
            let found = data.is_empty() || data.trim_ascii_start().starts_with(b"{");
            let actual = || "other bytes".to_owned();
            out.must("V8-03", found, "version data behind the version, or none", actual, header_mark("size"));
            return false;
        }
        name if name == REGION_WRITE.name && table == Table::V8 => {
            if let Some((answer, _)) = RegionAccess::parse(reply.payload) {
                let count = answer.count;
                let mark = RegionAccess::LAYOUT.field("count").and_then(payload_mark);
                out.must("V8-15", count == 0, "count 0", || format!("count {count}"), mark);
            }
            return false;
        }
        _ => return false,
    }
    true
}

/// The bitmaps of those regions that asked for one, each behind its structure, and nothing else.
fn judge_unmap(table: Table, command: &Command, reply: &Reply<'_>, out: &mut Judgements) {
    let asked: Result<Vec<_>, _> = DmaUnmapEntries::new(&command.payload, table).collect();
    let Ok(asked) = asked else { return };
    let asked: Vec<Bitmap> = asked.iter().filter_map(|entry| entry.bitmap).collect();
    let needed = payload_size(table, asked.iter().copied());
    // A server that needs no DMA may ignore the command (622-623): whether this one does, the state tells.
    if !asked.is_empty() && reply.payload.is_empty() {
        return;
    }
    let right = are(table, &asked, reply.payload);
    let expected = match asked.len() {
        0 => "no payload: no region asked for a bitmap".to_owned(),
        count => {
            let whole = needed.saturating_add(HEADER_SIZE as u64);
            format!("{whole} bytes: {count} bitmaps, each behind its structure as in the request")
        }
    };
    let as_long = reply.payload.len() as u64 == needed;
    let actual = || if as_long { "other structures".to_owned() } else { size(reply) };
    out.must("V8-10", right, &expected, actual, header_mark("size"));
}

/// The payload is these structures, each with its bits behind it, and nothing else.
fn are(table: Table, asked: &[Bitmap], payload: &[u8]) -> bool {
    let came = Bitmaps::new(payload, table).map(|bitmap| bitmap.map(|(bitmap, _)| bitmap));
    came.eq(asked.iter().map(|bitmap| Ok(*bitmap)))
}

fn size(reply: &Reply<'_>) -> String {
    format!("{} bytes", HEADER_SIZE + reply.payload.len())
}

fn judge_dirty_pages(table: Table, command: &Command, reply: &Reply<'_>, out: &mut Judgements) {
    let Some((head, _)) = DirtyPages::parse(&command.payload) else { return };
    let actual = || size(reply);
    match head.flags {
        dirty_pages_flags::START | dirty_pages_flags::STOP => {
            out.must("V8-26", reply.payload.is_empty(), "no payload", actual, header_mark("size"));
        }
        dirty_pages_flags::GET_BITMAP => {
            let (asked, came) = (ranges(table, &command.payload), reply.payload.len() as u64);
            if asked.is_empty() {
                return;
            }
            let bitmaps: Vec<Bitmap> = asked.iter().map(|asked| asked.bitmap).collect();
            let bits = bitmaps.iter().fold(0u64, |all, bitmap| all.saturating_add(bitmap.size));
            // Version 8 can be read to want the bits alone (1587-1588).
            let right = are(table, &bitmaps, reply.payload) || table == Table::V8 && came == bits;
            let other =
                !right && (first_alone(table, &bitmaps, reply.payload) || kernels(table, command, &bitmaps, reply));
            let requirement = if table == Table::V8 || bitmaps.len() > 1 { "V8-20" } else { "V8-27" };
            let expected = match bitmaps.len() {
                1 => format!("the bitmap structure of the request and its {bits} bytes"),
                count => format!("the {count} bitmap structures of the request, each with its bytes"),
            };
            if other {
                out.should(requirement, false, &expected, actual, header_mark("size"));
            } else {
                out.must(requirement, right, &expected, actual, header_mark("size"));
            }
        }
        _ => {}
    }
}

/// The bitmap of the first of several ranges and no other: both texts speak of one range that follows the head (version 8
/// at 595dff9, 1582-1585; 0.9.1 at cda5e5f^, 1528-1531).
fn first_alone(table: Table, asked: &[Bitmap], payload: &[u8]) -> bool {
    let [first, _, ..] = asked else { return false };
    are(table, &[*first], payload) || table == Table::V8 && payload.len() as u64 == first.size
}

/// 0.9.1 names the kernel's bitmap structure for this reply, and gives it the 24 bytes that it has there in a range of 40
/// (0.9.1 at cda5e5f^, 1532-1535 and 1546-1553).
fn kernels(table: Table, command: &Command, asked: &[Bitmap], reply: &Reply<'_>) -> bool {
    let wide = DirtyPages::parse(&command.payload)
        .is_some_and(|(_, rest)| rest.len().is_multiple_of(RangeLayout::Wide.size()));
    let is = |bitmaps: &[Bitmap]| are(Table::V8, bitmaps, reply.payload);
    table == Table::V8c && wide && (is(asked) || asked.first().is_some_and(|first| is(&[*first])))
}

/// A region or a range, and the bitmap that it asked for.
#[derive(Debug, Clone, Copy)]
pub(super) struct Asked {
    pub(super) iova: u64,
    pub(super) size: u64,
    pub(super) bitmap: Bitmap,
}

/// Bytes of payload of bitmaps, each behind its structure.
pub(super) fn payload_size(table: Table, bitmaps: impl Iterator<Item = Bitmap>) -> u64 {
    let structure = table.bitmap_structure() as u64;
    bitmaps.fold(0, |all: u64, bitmap| all.saturating_add(structure).saturating_add(bitmap.size))
}

/// The ranges of a DIRTY_PAGES that asks for bitmaps; none where they are cut off, or may be of two layouts.
pub(super) fn ranges(table: Table, payload: &[u8]) -> Vec<Asked> {
    let Some((head, rest)) = DirtyPages::parse(payload) else { return Vec::new() };
    let layouts: &[RangeLayout] = match table {
        Table::V8 => &[RangeLayout::Wide],
        Table::V8c => &[RangeLayout::Narrow, RangeLayout::Wide],
    };
    let fits = |layout: &&RangeLayout| rest.len().is_multiple_of(layout.size());
    let fitting: Vec<RangeLayout> = layouts.iter().filter(fits).copied().collect();
    let [layout] = fitting.as_slice() else { return Vec::new() };
    if head.flags != dirty_pages_flags::GET_BITMAP {
        return Vec::new();
    }
    let ranges = BitmapRanges::new(rest, *layout).map_while(Result::ok);
    ranges
        .map(|range| Asked {
            iova: range.iova,
            size: range.size,
            bitmap: Bitmap { pgsize: range.bitmap_pgsize, size: range.bitmap_size },
        })
        .collect()
}

/// The bitmap that a request for just one range asks for.
pub(super) fn one_range(table: Table, payload: &[u8]) -> Option<Bitmap> {
    let (wide, narrow) = (DirtyPagesGetV8::LAYOUT.size, DirtyPagesGetV8c::LAYOUT.size);
    let one = payload.len() == wide || table == Table::V8c && payload.len() == narrow;
    let (request, _) = DirtyPagesGetV8c::parse(payload).filter(|_| one)?;
    Some(Bitmap { pgsize: request.bitmap_pgsize, size: request.bitmap_size })
}
