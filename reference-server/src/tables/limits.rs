//! What a client of version 8 takes (448-458).

use vfio_user_wire::tables::DmaAccess;
use vfio_user_wire::{DEFAULT_MAX_FDS, DEFAULT_MAX_MSG_SIZE, HEADER_SIZE, Limits, VersionData};

/// The largest message that this server states to take. It sends no larger one either.
pub(crate) const MAX_MSG_SIZE: u64 = 1 << 20;

/// The most bytes of one message to the client. To a client that says nothing this server says nothing either, so that each
/// takes the same of the other.
pub(crate) fn max_msg_size(client: &VersionData) -> u64 {
    client.number("max_msg_size").unwrap_or(DEFAULT_MAX_MSG_SIZE).min(MAX_MSG_SIZE)
}

/// The client's limits, as later protocols have them: of a message with data the rest is the data.
pub(crate) fn limits(client: &VersionData) -> Limits {
    let around = HEADER_SIZE as u64 + DmaAccess::LAYOUT.size as u64;
    Limits {
        max_msg_fds: client.number("max_fds").unwrap_or(DEFAULT_MAX_FDS),
        max_data_xfer_size: max_msg_size(client).saturating_sub(around),
        ..Limits::default()
    }
}
