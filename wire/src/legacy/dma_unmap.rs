//! DMA_UNMAP of 0.9.1, which can tell what was dirty (0.9.1 at 190f85b^, 660-746; at 9ed0776, 592-673).

use super::Bitmap;
use crate::field::{Body, Direction, Message, Tail, Variant};
use crate::layout;

layout! {
    /// The request of DMA_UNMAP, and its reply: the request's entry again.
    pub struct DmaUnmap: 24 {
        /// In the request the most that the reply's payload may take; in the reply what it needs. Bytes.
        argsz: u32 @ 0,
        /// What else to do: tell which pages were dirty, or unmap everything (since commit 080e664), not both.
        flags: u32 @ 4 { get_dirty_bitmap = 0x1, all = 0x2 },
        /// First IOVA of the region, as it was mapped; 0 with `all`.
        address: u64 @ 8,
        /// Bytes of the region, as it was mapped; 0 with `all`.
        size: u64 @ 16,
    }
}

layout! {
    /// DMA_UNMAP that asks for a bitmap, both ways; in the reply the bits follow.
    pub struct DmaUnmapGet: 40 {
        /// In the request the most that the reply's payload may take; in the reply what it needs, the bits included.
        /// Bytes.
        argsz: u32 @ 0,
        /// What else to do.
        flags: u32 @ 4 { get_dirty_bitmap = 0x1, all = 0x2 },
        /// First IOVA of the region, as it was mapped.
        address: u64 @ 8,
        /// Bytes of the region, as it was mapped.
        size: u64 @ 16,
        /// Bytes of memory for each bit.
        bitmap_pgsize: u64 @ 24,
        /// Bytes of the bits.
        bitmap_size: u64 @ 32,
    }
}

/// A bitmap and nothing else: with `all` there is none.
const GET_DIRTY_BITMAP: Variant = Variant {
    mask: 0x3,
    flags: 0x1,
    request: Body::fixed(&DmaUnmapGet::LAYOUT),
    reply: Body::with_tail(&DmaUnmapGet::LAYOUT, Tail::Bitmap),
};

/// Takes a region of client memory away from the server, or all of them.
pub const DMA_UNMAP: Message = Message {
    name: "DMA_UNMAP",
    direction: Direction::ToServer,
    request: Body::fixed(&DmaUnmap::LAYOUT),
    reply: Body::fixed(&DmaUnmap::LAYOUT),
    variants: &[GET_DIRTY_BITMAP],
    clause: "0.9.1 at 190f85b^, DMA_UNMAP 660-746",
};

impl DmaUnmapGet {
    /// Its bitmap.
    pub fn bitmap(&self) -> Bitmap {
        Bitmap { pgsize: self.bitmap_pgsize, size: self.bitmap_size }
    }
}
