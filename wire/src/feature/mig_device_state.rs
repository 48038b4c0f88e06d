//! MIG_DEVICE_STATE: the state of the device's migration (specification 1651-1752).

use super::{Exchange, Feature, NO_DATA, fields, with_data};
use crate::field::{Body, Field, Layout};
use crate::layout;

layout! {
    /// The data of MIG_DEVICE_STATE: of SET, both ways, and of the reply to GET. The states are those of
    /// [`device_state`](crate::device_state).
    pub struct MigDeviceState: 8 {
        /// The state that the device is in; for SET the one that it goes to. ERROR stands in replies alone, and vfio-user
        /// has no use for the P2P states.
        device_state: u32 @ 0 {
            error = 0 of 0xffffffff,
            stop = 1 of 0xffffffff,
            running = 2 of 0xffffffff,
            stop_copy = 3 of 0xffffffff,
            resuming = 4 of 0xffffffff,
            running_p2p = 5 of 0xffffffff,
            pre_copy = 6 of 0xffffffff,
            pre_copy_p2p = 7 of 0xffffffff,
        },
        /// Unused: MIG_DATA_READ and MIG_DATA_WRITE carry the data.
        data_fd: u32 @ 4,
    }
}

const FIELDS: [Field; 4] = fields(&MigDeviceState::LAYOUT);
const PAYLOAD: Layout = with_data("DeviceFeatureMigDeviceState", &MigDeviceState::LAYOUT, &FIELDS);

/// Tells the device's state, or brings it into another one before the reply. A refused SET leaves the device in the
/// state that it had, in one on the way, or in ERROR, which only DEVICE_RESET ends.
pub const MIG_DEVICE_STATE: Feature = Feature {
    name: "MIG_DEVICE_STATE",
    get: Some(Exchange { request: NO_DATA, reply: Body::fixed(&PAYLOAD) }),
    set: Some(Exchange { request: Body::fixed(&PAYLOAD), reply: Body::fixed(&PAYLOAD) }),
    clause: "MIG_DEVICE_STATE 1651-1752",
};
