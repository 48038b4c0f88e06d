//! DEVICE_RESET (specification 1474-1478).

use crate::field::{Body, Direction, Message};

/// Resets the device.
pub const DEVICE_RESET: Message = Message {
    name: "DEVICE_RESET",
    direction: Direction::ToServer,
    request: Body::EMPTY,
    reply: Body::EMPTY,
    variants: &[],
    clause: "DEVICE_RESET 1474-1478",
};
