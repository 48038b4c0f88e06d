//! DEVICE_SET_IRQS: interrupts assigned, masked and triggered (specification 1180-1296).

use crate::field::{Body, Direction, Message, Tail};
use crate::layout;

layout! {
    /// The fixed part of DEVICE_SET_IRQS; DATA_BOOL has a byte per sub-index behind it. The reply has no payload.
    pub struct IrqSet: 20 {
        /// Bytes of the request's payload, data included.
        argsz: u32 @ 0,
        /// One kind of data and one action.
        flags: u32 @ 4 { none = 0x1, bool = 0x2, eventfd = 0x4, mask = 0x8, unmask = 0x10, trigger = 0x20 },
        /// Which interrupt type.
        index: u32 @ 8,
        /// First sub-index.
        start: u32 @ 12,
        /// How many sub-indexes.
        count: u32 @ 16,
    }
}

/// Assigns eventfds to interrupts, masks, unmasks or triggers them.
pub const DEVICE_SET_IRQS: Message = Message {
    name: "DEVICE_SET_IRQS",
    direction: Direction::ToServer,
    request: Body::with_tail(&IrqSet::LAYOUT, Tail::Bools),
    reply: Body::EMPTY,
    variants: &[],
    clause: "DEVICE_SET_IRQS 1180-1296",
};
