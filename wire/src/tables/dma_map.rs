//! DMA_MAP with a table of regions (version 8 at 595dff9, 502-590; 0.9.1 at cda5e5f^, 522-595).

use crate::entries::entries;
use crate::field::{Body, Direction, Message, Tail};
use crate::layout;

layout! {
    /// A region of DMA_MAP: the request has any number of them, and a descriptor for each that is mappable, in order. The
    /// reply has no payload.
    pub struct DmaMap: 32 {
        /// First IOVA of the region.
        address: u64 @ 0,
        /// Bytes of the region.
        size: u64 @ 8,
        /// Offset of the region in the file behind the descriptor.
        offset: u64 @ 16,
        /// What the device may do with the region, as in `sys/mman.h`; 0.9.1 knows reading and writing alone.
        protections: u32 @ 24 { read = 0x1, write = 0x2, rw = 0x3, exec = 0x4 },
        /// Whether a descriptor for it comes with the message.
        flags: u32 @ 28 { mappable = 0x1 },
    }
}

/// Makes regions of client memory known to the server.
pub const DMA_MAP_V8: Message = Message {
    name: "DMA_MAP",
    direction: Direction::ToServer,
    request: Body::with_tail(&DmaMap::LAYOUT, Tail::Entries),
    reply: Body::EMPTY,
    variants: &[],
    clause: "version 8 at 595dff9, VFIO_USER_DMA_MAP 502-590",
};

/// The same in 0.9.1.
pub const DMA_MAP_V8C: Message = DMA_MAP_V8.in_text("0.9.1 at cda5e5f^, DMA_MAP 522-595");

/// The regions of a request with that payload, and what follows the last whole one.
pub fn dma_map_entries(payload: &[u8]) -> (&[DmaMap], &[u8]) {
    entries(payload, u64::MAX)
}
