//! DMA_UNMAP with a table of regions (version 8 at 595dff9, 593-698; 0.9.1 at cda5e5f^, 597-681).

use super::bitmaps::{Table, WideBitmap};
use super::rest::{CutOff, Rest};
use crate::constants::dma_unmap_flags;
use crate::field::{Body, Direction, Message, Tail, Variant};
use crate::layout;
use crate::legacy::Bitmap;

layout! {
    /// A region of DMA_UNMAP that asks for no bitmap: the request has any number of regions.
    pub struct DmaUnmap: 32 {
        /// First IOVA.
        address: u64 @ 0,
        /// Bytes.
        size: u64 @ 8,
        /// In version 8 that of the map; in 0.9.1 0.
        offset: u64 @ 16,
        /// In version 8 those of the map; in 0.9.1 0.
        protections: u32 @ 24 { read = 0x1, write = 0x2, rw = 0x3, exec = 0x4 },
        /// Whether to tell which pages were dirty.
        flags: u32 @ 28 { get_dirty_bitmap = 0x1 },
    }
}

layout! {
    /// A region of DMA_UNMAP of version 8 that asks for a bitmap.
    pub struct DmaUnmapGetV8: 56 {
        /// First IOVA.
        address: u64 @ 0,
        /// Bytes.
        size: u64 @ 8,
        /// That of the map.
        offset: u64 @ 16,
        /// Those of the map.
        protections: u32 @ 24 { read = 0x1, write = 0x2, rw = 0x3, exec = 0x4 },
        /// Whether to tell which pages were dirty.
        flags: u32 @ 28 { get_dirty_bitmap = 0x1 },
        /// Bytes of memory for each bit.
        bitmap_pgsize: u64 @ 32,
        /// Bytes of the bits.
        bitmap_size: u64 @ 40,
        /// Unused.
        bitmap_data: u64 @ 48,
    }
}

layout! {
    /// A region of DMA_UNMAP of 0.9.1 that asks for a bitmap.
    pub struct DmaUnmapGetV8c: 48 {
        /// First IOVA.
        address: u64 @ 0,
        /// Bytes.
        size: u64 @ 8,
        /// 0.
        offset: u64 @ 16,
        /// 0.
        protections: u32 @ 24 { read = 0x1, write = 0x2, rw = 0x3, exec = 0x4 },
        /// Whether to tell which pages were dirty.
        flags: u32 @ 28 { get_dirty_bitmap = 0x1 },
        /// Bytes of memory for each bit.
        bitmap_pgsize: u64 @ 32,
        /// Bytes of the bits.
        bitmap_size: u64 @ 40,
    }
}

const GET_DIRTY_BITMAP_V8: Variant = Variant {
    mask: 0x1,
    flags: 0x1,
    request: Body::with_tail(&DmaUnmapGetV8::LAYOUT, Tail::Entries),
    reply: Body::with_tail(&WideBitmap::LAYOUT, Tail::Bitmaps),
};

const GET_DIRTY_BITMAP_V8C: Variant = Variant {
    mask: 0x1,
    flags: 0x1,
    request: Body::with_tail(&DmaUnmapGetV8c::LAYOUT, Tail::Entries),
    reply: Body::with_tail(&Bitmap::LAYOUT, Tail::Bitmaps),
};

/// Takes regions of client memory away from the server. The reply has the bitmaps of those regions that asked for one,
/// and nothing else. By the text all regions ask or none does.
pub const DMA_UNMAP_V8: Message = Message {
    name: "DMA_UNMAP",
    direction: Direction::ToServer,
    request: Body::with_tail(&DmaUnmap::LAYOUT, Tail::Entries),
    reply: Body::EMPTY,
    variants: &[GET_DIRTY_BITMAP_V8],
    clause: "version 8 at 595dff9, VFIO_USER_DMA_UNMAP 593-698",
};

/// The same in 0.9.1, where some regions may ask and others not. The payloads are those of a table whose first region
/// asks as most do: where it does not ask, bitmaps may come all the same, for other regions.
pub const DMA_UNMAP_V8C: Message =
    Message { variants: &[GET_DIRTY_BITMAP_V8C], clause: "0.9.1 at cda5e5f^, DMA_UNMAP 597-681", ..DMA_UNMAP_V8 };

/// One region of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Unmapping {
    /// The region.
    pub region: DmaUnmap,
    /// The bitmap that it asks for.
    pub bitmap: Option<Bitmap>,
}

/// The regions of a request: where each stands depends on the flags of those before. They are read as they are asked
/// for: nothing is allocated. What is cut off is the last item.
#[derive(Debug, Clone)]
pub struct DmaUnmapEntries<'a> {
    table: Table,
    rest: Rest<'a>,
}

impl<'a> DmaUnmapEntries<'a> {
    /// The regions of a request with that payload.
    pub fn new(payload: &'a [u8], table: Table) -> DmaUnmapEntries<'a> {
        DmaUnmapEntries { table, rest: Rest::new(payload) }
    }
}

impl Iterator for DmaUnmapEntries<'_> {
    type Item = Result<Unmapping, CutOff>;

    fn next(&mut self) -> Option<Self::Item> {
        let structure = self.table.bitmap_structure();
        self.rest.entry(|rest| {
            let region: DmaUnmap = rest.structure(DmaUnmap::LAYOUT.size)?;
            let asks = region.flags & dma_unmap_flags::GET_DIRTY_BITMAP != 0;
            let bitmap = if asks { Some(rest.structure(structure)?) } else { None };
            Ok(Unmapping { region, bitmap })
        })
    }
}
