//! DMA_MAP: memory of the client that the device may access (specification 595-660).

use crate::field::{Body, Direction, Message};
use crate::layout;

layout! {
    /// The request of DMA_MAP; the reply has no payload.
    pub struct DmaMap: 32 {
        /// Bytes of this structure.
        argsz: u32 @ 0,
        /// What the device may do with the region.
        flags: u32 @ 4 { readable = 0x1, writeable = 0x2, rw = 0x3 },
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
    clause: "DMA_MAP 595-660",
};
