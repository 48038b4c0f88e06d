//! MIG_DEVICE_STATE: the state of the device's migration (specification 1651-1752).

use super::{Exchange, Feature};
use crate::field::Body;
use crate::layout;

layout! {
    /// The data of MIG_DEVICE_STATE: of SET, both ways, and of the reply to GET. The states are those of
    /// [`device_state`](crate::device_state).
    pub struct MigDeviceState: 8 {
        /// The state that the device is in; for SET the one that it goes to: 1 STOP, 2 RUNNING, 3 STOP_COPY,
        /// 4 RESUMING, 6 PRE_COPY, and in a reply 0 ERROR.
        device_state: u32 @ 0,
        /// Unused: MIG_DATA_READ and MIG_DATA_WRITE carry the data.
        data_fd: u32 @ 4,
    }
}

/// Tells the device's state, or brings it into another one before the reply. A refused SET leaves the device in the
/// state that it had, in one on the way, or in ERROR, which only DEVICE_RESET ends.
pub const MIG_DEVICE_STATE: Feature = Feature {
    name: "MIG_DEVICE_STATE",
    get: Some(Exchange { request: Body::EMPTY, reply: Body::fixed(&MigDeviceState::LAYOUT) }),
    set: Some(Exchange { request: Body::fixed(&MigDeviceState::LAYOUT), reply: Body::fixed(&MigDeviceState::LAYOUT) }),
    clause: "MIG_DEVICE_STATE 1651-1752",
};
