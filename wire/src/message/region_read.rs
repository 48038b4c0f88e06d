//! REGION_READ: a read of a device region (specification 1298-1348).

use crate::field::{Body, Direction, Message, Tail};
use crate::layout;

layout! {
    /// The fixed part of REGION_READ and REGION_WRITE, both ways; data follows in a write and in the reply to a read.
    pub struct RegionAccess: 16 {
        /// Offset into the region, bytes.
        offset: u64 @ 0,
        /// Which region.
        region: u32 @ 8,
        /// Bytes to transfer; in the reply bytes transferred.
        count: u32 @ 12,
    }
}

/// Reads from a region.
pub const REGION_READ: Message = Message {
    name: "REGION_READ",
    direction: Direction::ToServer,
    request: Body::fixed(&RegionAccess::LAYOUT),
    reply: Body::with_tail(&RegionAccess::LAYOUT, Tail::Data),
    variants: &[],
    clause: "REGION_READ 1298-1348",
};
