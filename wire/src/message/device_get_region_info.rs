//! DEVICE_GET_REGION_INFO: one region of the device (specification 774-932).

use crate::field::{Body, Direction, Message, Tail};
use crate::layout;

layout! {
    /// The payload of DEVICE_GET_REGION_INFO, both ways; capabilities may follow it in the reply.
    pub struct RegionInfo: 32 {
        /// In the request the most that the reply's payload may take; in the reply what it needs. Bytes.
        argsz: u32 @ 0,
        /// What the client may do with the region.
        flags: u32 @ 4 { read = 0x1, write = 0x2, mmap = 0x4, caps = 0x8 },
        /// Which region.
        index: u32 @ 8,
        /// Where the first capability stands, from the start of this structure; 0 for none.
        cap_offset: u32 @ 12,
        /// Bytes of the region; 0 for one that is not there.
        size: u64 @ 16,
        /// Offset for mmap() on the descriptor in the reply.
        offset: u64 @ 24,
    }
}

/// Asks for a region's size, flags, capabilities and descriptor.
pub const DEVICE_GET_REGION_INFO: Message = Message {
    name: "DEVICE_GET_REGION_INFO",
    direction: Direction::ToServer,
    request: Body::fixed(&RegionInfo::LAYOUT),
    reply: Body::with_tail(&RegionInfo::LAYOUT, Tail::Capabilities),
    variants: &[],
    clause: "DEVICE_GET_REGION_INFO 774-932",
};
