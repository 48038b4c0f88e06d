//! DEVICE_GET_INFO: what the device has (specification 706-772).

use crate::field::{Body, Direction, Message};
use crate::layout;

layout! {
    /// The payload of DEVICE_GET_INFO, both ways.
    pub struct DeviceInfo: 16 {
        /// In the request the most that the reply's payload may take; in the reply what it needs, 16. Bytes.
        argsz: u32 @ 0,
        /// Attributes of the device.
        flags: u32 @ 4 { reset = 0x1, pci = 0x2 },
        /// How many region indexes there are.
        num_regions: u32 @ 8,
        /// How many interrupt types there are.
        num_irqs: u32 @ 12,
    }
}

/// Asks for the device's attributes and counts.
pub const DEVICE_GET_INFO: Message = Message {
    name: "DEVICE_GET_INFO",
    direction: Direction::ToServer,
    request: Body::fixed(&DeviceInfo::LAYOUT),
    reply: Body::fixed(&DeviceInfo::LAYOUT),
    variants: &[],
    clause: "DEVICE_GET_INFO 706-772",
};
