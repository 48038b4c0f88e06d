//! DIRTY_PAGES: what the device wrote by DMA (0.9.1 at 190f85b^, 1555-1665).

use super::{BitmapRange, RangeLayout, RangeLayoutError};
use crate::field::{Body, Direction, Message, Tail, Variant};
use crate::layout;

layout! {
    /// The fixed part of DIRTY_PAGES: the whole request of START and of STOP.
    pub struct DirtyPages: 8 {
        /// For START and STOP bytes of this structure; for GET_BITMAP in the request the most that the reply's payload
        /// may take, in the reply what it needs, the bits included. Bytes.
        argsz: u32 @ 0,
        /// What to do, one of them.
        flags: u32 @ 4 { start = 0x1, stop = 0x2, get_bitmap = 0x4 },
    }
}

layout! {
    /// DIRTY_PAGES with GET_BITMAP, both ways, and its range in the narrow layout; in the wide one 8 unused bytes
    /// follow. In the reply the bits stand behind that.
    pub struct DirtyPagesGet: 40 {
        /// In the request the most that the reply's payload may take; in the reply what it needs, the bits included.
        /// Bytes.
        argsz: u32 @ 0,
        /// GET_BITMAP.
        flags: u32 @ 4 { start = 0x1, stop = 0x2, get_bitmap = 0x4 },
        /// First IOVA.
        iova: u64 @ 8,
        /// Bytes of the range.
        size: u64 @ 16,
        /// Bytes of memory for each bit.
        bitmap_pgsize: u64 @ 24,
        /// Bytes of the bits.
        bitmap_size: u64 @ 32,
    }
}

/// GET_BITMAP. Flags exclude each other; a bit that no text names changes nothing about the payloads.
const GET_BITMAP: Variant = Variant {
    mask: 0x7,
    flags: 0x4,
    request: Body::with_tail(&DirtyPagesGet::LAYOUT, Tail::Unused),
    reply: Body::with_tail(&DirtyPagesGet::LAYOUT, Tail::RangeBitmap),
};

/// Starts or stops the logging of pages that the server makes dirty, or asks for what was logged of one range. A server
/// need not have it.
pub const DIRTY_PAGES: Message = Message {
    name: "DIRTY_PAGES",
    direction: Direction::ToServer,
    request: Body::fixed(&DirtyPages::LAYOUT),
    reply: Body::EMPTY,
    variants: &[GET_BITMAP],
    clause: "0.9.1 at 190f85b^, DIRTY_PAGES 1555-1665",
};

impl DirtyPagesGet {
    /// Its range.
    pub fn range(&self) -> BitmapRange {
        let DirtyPagesGet { iova, size, bitmap_pgsize, bitmap_size, .. } = *self;
        BitmapRange { iova, size, bitmap_pgsize, bitmap_size }
    }

    /// The layout of this reply's range, and the bits in the `tail` behind it.
    ///
    /// # Errors
    /// Where the reply has neither layout. One that had no room for its bits, whose `argsz` is more than it was allowed,
    /// is such a reply as well: [`RangeLayout::told_by`] alone says its layout.
    pub fn bits<'a>(&self, tail: &'a [u8]) -> Result<(RangeLayout, &'a [u8]), RangeLayoutError> {
        let argsz = self.argsz;
        let layout = RangeLayout::told_by(argsz, self.bitmap_size)?;
        let payload = DirtyPagesGet::LAYOUT.size + tail.len();
        let bits = tail.get(layout.unused()..).filter(|_| payload as u64 == u64::from(argsz));
        bits.map(|bits| (layout, bits)).ok_or(RangeLayoutError::Length { argsz, payload })
    }
}
