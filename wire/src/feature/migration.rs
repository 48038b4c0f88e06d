//! MIGRATION: whether the device can be migrated, and how (specification 1620-1649).

use super::{Exchange, Feature, NO_DATA, fields, with_data};
use crate::field::{Body, Field, Layout};
use crate::layout;

layout! {
    /// The data of the reply to GET of MIGRATION.
    pub struct Migration: 8 {
        /// The states that the device has besides RUNNING and ERROR. STOP_COPY is always set, and stands for STOP,
        /// STOP_COPY and RESUMING; P2P has no use in vfio-user.
        flags: u64 @ 0 { stop_copy = 0x1, p2p = 0x2, pre_copy = 0x4 },
    }
}

/// The fixed part has `flags` already.
const FIELDS: [Field; 3] = {
    let mut fields = fields(&Migration::LAYOUT);
    fields[2].name = "migration_flags";
    fields
};
const PAYLOAD: Layout = with_data("DeviceFeatureMigration", &Migration::LAYOUT, &FIELDS);

/// Tells what migration the device supports. It cannot be set; a device without migration refuses.
pub const MIGRATION: Feature = Feature {
    name: "MIGRATION",
    get: Some(Exchange { request: NO_DATA, reply: Body::fixed(&PAYLOAD) }),
    set: None,
    clause: "MIGRATION 1620-1649",
};
