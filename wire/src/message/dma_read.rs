//! DMA_READ: the server reads client memory by message (specification 1394-1432).

use crate::field::{Body, Direction, Message, Tail};
use crate::layout;

layout! {
    /// The fixed part of DMA_READ, both ways, and of the request of DMA_WRITE.
    pub struct DmaAccess: 16 {
        /// First IOVA.
        address: u64 @ 0,
        /// Bytes to transfer; in the reply bytes transferred.
        count: u64 @ 8,
    }
}

/// Reads client memory.
pub const DMA_READ: Message = Message {
    name: "DMA_READ",
    direction: Direction::ToClient,
    request: Body::fixed(&DmaAccess::LAYOUT),
    reply: Body::with_tail(&DmaAccess::LAYOUT, Tail::Data),
    variants: &[],
    clause: "DMA_READ 1394-1432",
};
