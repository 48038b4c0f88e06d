//! DEVICE_FEATURE: features of the device, asked for, set and probed (specification 1533-1841).

use crate::constants::feature_flags;
use crate::feature::VARIANTS;
use crate::field::{Body, Direction, Message, Tail};
use crate::layout;

layout! {
    /// The fixed part of DEVICE_FEATURE, both ways; what follows is the [feature](crate::feature)'s to say.
    pub struct DeviceFeature: 8 {
        /// In the request the most that the reply's payload may take; in the reply to GET what it needs, data included.
        /// Bytes.
        argsz: u32 @ 0,
        /// The feature's index in the low 16 bits; above them what to do: GET or SET, or PROBE with any of them.
        flags: u32 @ 4 {
            migration = 1 of 0xffff,
            mig_device_state = 2 of 0xffff,
            dma_logging_start = 6 of 0xffff,
            dma_logging_stop = 7 of 0xffff,
            dma_logging_report = 8 of 0xffff,
            get = 0x10000,
            set = 0x20000,
            probe = 0x40000,
        },
    }
}

/// Gets or sets a feature of the device, or finds out whether it has the feature. The reply to SET and to PROBE is the
/// request's payload again; a feature or an operation that the device does not have is refused.
pub const DEVICE_FEATURE: Message = Message {
    name: "DEVICE_FEATURE",
    direction: Direction::ToServer,
    request: Body::with_tail(&DeviceFeature::LAYOUT, Tail::Feature),
    reply: Body::with_tail(&DeviceFeature::LAYOUT, Tail::Feature),
    variants: &VARIANTS,
    clause: "DEVICE_FEATURE 1533-1841",
};

impl DeviceFeature {
    /// The feature's index.
    pub fn index(&self) -> u16 {
        (self.flags & feature_flags::MASK) as u16
    }

    /// What is to be done: the flags without the index.
    pub fn operation(&self) -> u32 {
        self.flags & !feature_flags::MASK
    }
}
