//! DMA_UNMAP: the end of a DMA_MAP (specification 662-703).

use crate::field::{Body, Direction, Message};
use crate::layout;

layout! {
    /// The request of DMA_UNMAP, and its reply: the request's entry again.
    pub struct DmaUnmap: 24 {
        /// In the request the most that the reply's payload may take; in the reply what it needs. Bytes.
        argsz: u32 @ 0,
        /// Unused in 0.9.2.
        flags: u32 @ 4,
        /// First IOVA of the region, as it was mapped.
        address: u64 @ 8,
        /// Bytes of the region, as it was mapped.
        size: u64 @ 16,
    }
}

/// Takes a region of client memory away from the server.
pub const DMA_UNMAP: Message = Message {
    name: "DMA_UNMAP",
    direction: Direction::ToServer,
    request: Body::fixed(&DmaUnmap::LAYOUT),
    reply: Body::fixed(&DmaUnmap::LAYOUT),
    variants: &[],
    clause: "DMA_UNMAP 662-703",
};
