//! REGION_WRITE: a write to a device region (specification 1350-1392).

use super::RegionAccess;
use crate::field::{Body, Direction, Message, Tail};

/// Writes to a region.
pub const REGION_WRITE: Message = Message {
    name: "REGION_WRITE",
    direction: Direction::ToServer,
    request: Body::with_tail(&RegionAccess::LAYOUT, Tail::Data),
    reply: Body::fixed(&RegionAccess::LAYOUT),
    variants: &[],
    clause: "REGION_WRITE 1350-1392",
};
