//! DIRTY_PAGES with a head of 12 bytes and any number of ranges (version 8 at 595dff9, 1526-1617; 0.9.1 at cda5e5f^,
//! 1483-1569).

use super::WideBitmap;
use super::rest::{CutOff, Rest};
use crate::field::{Body, Direction, Message, Tail, Variant};
use crate::layout;
use crate::legacy::{Bitmap, BitmapRange, RangeLayout};

layout! {
    /// The head of DIRTY_PAGES, the whole request of START and of STOP; ranges follow it for GET_BITMAP. The kernel's
    /// head, and so libvfio-user's of that time, has 8 bytes: `data` is no field there but what follows.
    pub struct DirtyPages: 12 {
        /// Bytes of this structure; what it counts for GET_BITMAP, the text leaves open.
        argsz: u32 @ 0,
        /// What to do, one of them.
        flags: u32 @ 4 { start = 0x1, stop = 0x2, get_bitmap = 0x4 },
        /// Unused; in 0.9.1 0.
        data: u32 @ 8,
    }
}

layout! {
    /// DIRTY_PAGES of version 8 with GET_BITMAP, and its first range.
    pub struct DirtyPagesGetV8: 52 {
        /// Bytes of this structure, with the other ranges or not.
        argsz: u32 @ 0,
        /// GET_BITMAP.
        flags: u32 @ 4 { start = 0x1, stop = 0x2, get_bitmap = 0x4 },
        /// Unused.
        data: u32 @ 8,
        /// First IOVA.
        iova: u64 @ 12,
        /// Bytes of the range.
        size: u64 @ 20,
        /// Bytes of memory for each bit.
        bitmap_pgsize: u64 @ 28,
        /// Bytes of the bits.
        bitmap_size: u64 @ 36,
        /// Unused.
        bitmap_data: u64 @ 44,
    }
}

layout! {
    /// DIRTY_PAGES of 0.9.1 with GET_BITMAP, and its first range in the narrow layout; in the wide one 8 unused bytes
    /// follow.
    pub struct DirtyPagesGetV8c: 44 {
        /// Bytes of this structure, with the other ranges or not.
        argsz: u32 @ 0,
        /// GET_BITMAP.
        flags: u32 @ 4 { start = 0x1, stop = 0x2, get_bitmap = 0x4 },
        /// 0.
        data: u32 @ 8,
        /// First IOVA.
        iova: u64 @ 12,
        /// Bytes of the range.
        size: u64 @ 20,
        /// Bytes of memory for each bit.
        bitmap_pgsize: u64 @ 28,
        /// Bytes of the bits.
        bitmap_size: u64 @ 36,
    }
}

layout! {
    /// A range of version 8: that of [`BitmapRange`] in its wide layout.
    pub struct WideBitmapRange: 40 {
        /// First IOVA.
        iova: u64 @ 0,
        /// Bytes of the range.
        size: u64 @ 8,
        /// Bytes of memory for each bit.
        bitmap_pgsize: u64 @ 16,
        /// Bytes of the bits.
        bitmap_size: u64 @ 24,
        /// Unused.
        bitmap_data: u64 @ 32,
    }
}

/// The flags exclude each other; a bit that no text names changes nothing about the payloads.
const GET_BITMAP_V8: Variant = Variant {
    mask: 0x7,
    flags: 0x4,
    request: Body::with_tail(&DirtyPagesGetV8::LAYOUT, Tail::Entries),
    reply: Body::with_tail(&WideBitmap::LAYOUT, Tail::Bitmaps),
};

const GET_BITMAP_V8C: Variant = Variant {
    mask: 0x7,
    flags: 0x4,
    request: Body::with_tail(&DirtyPagesGetV8c::LAYOUT, Tail::Entries),
    reply: Body::with_tail(&Bitmap::LAYOUT, Tail::Bitmaps),
};

/// Starts or stops the logging of pages that the server makes dirty, or asks for what was logged. The reply to
/// GET_BITMAP is that of DMA_UNMAP: the bitmaps, and nothing else. libvfio-user of that time left out their structures,
/// too, which a sentence in brackets (1587-1588) can be read to ask for.
pub const DIRTY_PAGES_V8: Message = Message {
    name: "DIRTY_PAGES",
    direction: Direction::ToServer,
    request: Body::fixed(&DirtyPages::LAYOUT),
    reply: Body::EMPTY,
    variants: &[GET_BITMAP_V8],
    clause: "version 8 at 595dff9, VFIO_USER_DIRTY_PAGES 1526-1617",
};

/// The same in 0.9.1.
pub const DIRTY_PAGES_V8C: Message =
    Message { variants: &[GET_BITMAP_V8C], clause: "0.9.1 at cda5e5f^, DIRTY_PAGES 1483-1569", ..DIRTY_PAGES_V8 };

/// The ranges behind the head of a request. They are read as they are asked for: nothing is allocated. What is cut off
/// is the last item.
#[derive(Debug, Clone)]
pub struct BitmapRanges<'a> {
    layout: RangeLayout,
    rest: Rest<'a>,
}

impl<'a> BitmapRanges<'a> {
    /// The ranges of a request, `tail` being what follows the 12 bytes of its head.
    pub fn new(tail: &'a [u8], layout: RangeLayout) -> BitmapRanges<'a> {
        BitmapRanges { layout, rest: Rest::new(tail) }
    }
}

impl Iterator for BitmapRanges<'_> {
    type Item = Result<BitmapRange, CutOff>;

    fn next(&mut self) -> Option<Self::Item> {
        let size = self.layout.size();
        self.rest.entry(|rest| rest.structure(size))
    }
}
