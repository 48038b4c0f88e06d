//! DMA_WRITE: the server writes client memory by message (specification 1434-1472).

use super::DmaAccess;
use crate::field::{Body, Direction, Message, Tail};
use crate::layout;

layout! {
    /// The reply to DMA_WRITE by the specification's table, whose count has 4 bytes; clients in use send 8.
    pub struct DmaWriteReply: 12 {
        /// First IOVA.
        address: u64 @ 0,
        /// Bytes transferred.
        count: u32 @ 8,
    }
}

/// Writes client memory.
pub const DMA_WRITE: Message = Message {
    name: "DMA_WRITE",
    direction: Direction::ToClient,
    request: Body::with_tail(&DmaAccess::LAYOUT, Tail::Data),
    reply: Body::fixed(&DmaWriteReply::LAYOUT),
    variants: &[],
    clause: "DMA_WRITE 1434-1472",
};
