//! DMA_WRITE of version 8 (version 8 at 595dff9, 1341-1357, 1440-1465).

use super::DmaAccess;
use crate::field::{Body, Direction, Message, Tail};

/// Writes client memory. The count in the reply is 0.
pub const DMA_WRITE: Message = Message {
    name: "DMA_WRITE",
    direction: Direction::ToClient,
    request: Body::with_tail(&DmaAccess::LAYOUT, Tail::Data),
    reply: Body::fixed(&DmaAccess::LAYOUT),
    variants: &[],
    clause: "version 8 at 595dff9, DMA Read/Write Data 1341-1357, VFIO_USER_DMA_WRITE 1440-1465",
};
