//! DEVICE_GET_INFO of version 8, whose request has no payload (version 8 at 595dff9, 701-762).

use crate::field::{Body, Direction, Message};
use crate::message::DeviceInfo;

/// Asks for the device's attributes and counts.
pub const DEVICE_GET_INFO: Message = Message {
    name: "DEVICE_GET_INFO",
    direction: Direction::ToServer,
    request: Body::EMPTY,
    reply: Body::fixed(&DeviceInfo::LAYOUT),
    variants: &[],
    clause: "version 8 at 595dff9, VFIO_USER_DEVICE_GET_INFO 701-762",
};
