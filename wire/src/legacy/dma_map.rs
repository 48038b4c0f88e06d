//! DMA_MAP of 0.9.1: that of 0.9.2, and a flag of its early days (0.9.1 at 190f85b^, 593-658; at 9ed0776, 522-590).

use crate::field::{Body, Direction, Message};
use crate::layout;

layout! {
    /// The request of DMA_MAP; the reply has no payload.
    pub struct DmaMap: 32 {
        /// Bytes of this structure.
        argsz: u32 @ 0,
        /// What the device may do with the region. `mappable`, that a descriptor comes with the message, was there up to
        /// commit 1abe697 alone.
        flags: u32 @ 4 { readable = 0x1, writeable = 0x2, rw = 0x3, mappable = 0x4 },
        /// Offset of the region in the file behind the descriptor; 0 without one.
        offset: u64 @ 8,
        /// First IOVA of the region.
        address: u64 @ 16,
        /// Bytes of the region.
        size: u64 @ 24,
    }
}

/// Makes a region of client memory known to the server.
pub const DMA_MAP: Message = Message {
    name: "DMA_MAP",
    direction: Direction::ToServer,
    request: Body::fixed(&DmaMap::LAYOUT),
    reply: Body::EMPTY,
    variants: &[],
    clause: "0.9.1 at 190f85b^, DMA_MAP 593-658 (`mappable`: at 9ed0776, 549-569)",
};
