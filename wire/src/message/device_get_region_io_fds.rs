//! DEVICE_GET_REGION_IO_FDS: descriptors that take accesses to parts of a region (specification 935-1097).

use crate::field::{Body, Direction, Message, Tail};
use crate::layout;

layout! {
    /// The fixed part of DEVICE_GET_REGION_IO_FDS, both ways; sub-regions follow it in the reply.
    pub struct RegionIoFds: 16 {
        /// In the request the most that the reply's payload may take; in the reply what it needs. Bytes.
        argsz: u32 @ 0,
        /// 0.
        flags: u32 @ 4,
        /// Which region.
        index: u32 @ 8,
        /// In the request 0; in the reply how many sub-regions there are.
        count: u32 @ 12,
    }
}

/// Asks for the sub-regions that have an ioeventfd or an ioregionfd, and for those descriptors. A server without them
/// refuses.
pub const DEVICE_GET_REGION_IO_FDS: Message = Message {
    name: "DEVICE_GET_REGION_IO_FDS",
    direction: Direction::ToServer,
    request: Body::fixed(&RegionIoFds::LAYOUT),
    reply: Body::with_tail(&RegionIoFds::LAYOUT, Tail::SubRegions),
    variants: &[],
    clause: "DEVICE_GET_REGION_IO_FDS 935-1097",
};
