//! DMA_READ of version 8, whose count has 4 bytes (version 8 at 595dff9, 1341-1357, 1413-1438).

use crate::field::{Body, Direction, Message, Tail};
use crate::layout;

layout! {
    /// The fixed part of DMA_READ and DMA_WRITE, both ways; data follows in a write and in the reply to a read.
    pub struct DmaAccess: 12 {
        /// First IOVA.
        address: u64 @ 0,
        /// Bytes to transfer; in the reply to a read bytes transferred, in the reply to a write 0.
        count: u32 @ 8,
    }
}

/// Reads client memory.
pub const DMA_READ: Message = Message {
    name: "DMA_READ",
    direction: Direction::ToClient,
    request: Body::fixed(&DmaAccess::LAYOUT),
    reply: Body::with_tail(&DmaAccess::LAYOUT, Tail::Data),
    variants: &[],
    clause: "version 8 at 595dff9, DMA Read/Write Data 1341-1357, VFIO_USER_DMA_READ 1413-1438",
};
