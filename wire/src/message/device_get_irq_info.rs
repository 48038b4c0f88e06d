//! DEVICE_GET_IRQ_INFO: one interrupt type of the device (specification 1099-1178).

use crate::field::{Body, Direction, Message};
use crate::layout;

layout! {
    /// The payload of DEVICE_GET_IRQ_INFO, both ways.
    pub struct IrqInfo: 16 {
        /// In the request the most that the reply's payload may take; in the reply what it needs, 16. Bytes.
        argsz: u32 @ 0,
        /// What the interrupt type can do.
        flags: u32 @ 4 { eventfd = 0x1, maskable = 0x2, automasked = 0x4, noresize = 0x8 },
        /// Which interrupt type.
        index: u32 @ 8,
        /// How many interrupts it has.
        count: u32 @ 12,
    }
}

/// Asks for an interrupt type's flags and count.
pub const DEVICE_GET_IRQ_INFO: Message = Message {
    name: "DEVICE_GET_IRQ_INFO",
    direction: Direction::ToServer,
    request: Body::fixed(&IrqInfo::LAYOUT),
    reply: Body::fixed(&IrqInfo::LAYOUT),
    variants: &[],
    clause: "DEVICE_GET_IRQ_INFO 1099-1178",
};
