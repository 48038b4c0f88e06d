//! DIRTY_PAGES with a table (1526-1617).

use nix::errno::Errno;
use vfio_user_wire::legacy::{Bitmap, BitmapRange, RangeLayout};
use vfio_user_wire::tables::{BitmapRanges, DirtyPages, Table};

use super::bitmap::structure;
use super::room;
use crate::answer::Answer;
use crate::command::enough;
use crate::dirty_log::{DirtyLog, bounds};
use crate::legacy::bitmap::checked;
use crate::legacy::dirty_pages::{asks_for_bitmaps, pgsize};
use crate::session::Agreed;
use crate::settings::Settings;

/// Starts or stops the log of what the device writes, or tells what is in it.
pub(super) fn dirty_pages(
    table: Table,
    settings: Settings,
    agreed: &Agreed,
    log: &mut DirtyLog,
    payload: &[u8],
) -> Result<Answer, Errno> {
    let pgsize = pgsize(settings, agreed)?;
    let (request, ranges) = DirtyPages::parse(payload).ok_or(Errno::EINVAL)?;
    enough(request.argsz, DirtyPages::LAYOUT.size)?;
    if asks_for_bitmaps(request.flags, pgsize, log)? {
        get_bitmap(table, agreed, log, ranges)
    } else {
        Ok(Answer::default())
    }
}

/// The bitmap of each range, behind its structure, as in the reply to DMA_UNMAP (1591-1593). A range has the bitmap structure
/// that its own table gives; that of 0.9.1 is 8 bytes shorter than its place in the range.
fn get_bitmap(table: Table, agreed: &Agreed, log: &mut DirtyLog, ranges: &[u8]) -> Result<Answer, Errno> {
    let layout = match table {
        Table::V8 => RangeLayout::Wide,
        Table::V8c => RangeLayout::Narrow,
    };
    let ranges: Result<Vec<BitmapRange>, _> = BitmapRanges::new(ranges, layout).collect();
    let ranges = ranges.map_err(|_| Errno::EINVAL)?;
    // 1590-1591.
    if ranges.is_empty() || !log.is_on() {
        return Err(Errno::EINVAL);
    }
    let mut asked = Vec::new();
    let mut reply = 0;
    for range in ranges {
        let (first, last) = bounds(range.iova, range.size).ok_or(Errno::EINVAL)?;
        let size = checked(range.bitmap(), agreed, range.size)?;
        reply += table.bitmap_structure() as u64 + size;
        asked.push((first, last, Bitmap { pgsize: range.bitmap_pgsize, size }));
    }
    room(agreed, reply)?;
    let mut answer = Answer::default();
    for (first, last, bitmap) in asked {
        answer.payload.extend(structure(table, bitmap));
        answer.payload.extend(log.take_bitmap(first, last, bitmap.pgsize, bitmap.size)?);
    }
    Ok(answer)
}
