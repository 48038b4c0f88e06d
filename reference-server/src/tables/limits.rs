//! What a client takes while DMA commands carry tables (448-458).

use vfio_user_wire::tables::{self, Table};
use vfio_user_wire::{DEFAULT_MAX_FDS, DEFAULT_MAX_MSG_SIZE, HEADER_SIZE, Limits, VersionData, message};

/// The largest message that this server states to take. It sends no larger one either.
pub(crate) const MAX_MSG_SIZE: u64 = 1 << 20;

/// The client's limits, as later protocols have them: of a message with data the rest is the data. And the most bytes of one
/// message: to a client that says nothing this server says nothing either, so that each takes the same of the other.
pub(crate) fn limits(table: Table, client: &VersionData) -> (Limits, u64) {
    let (max_fds, access) = match table {
        Table::V8 => ("max_fds", tables::DmaAccess::LAYOUT),
        Table::V8c => ("max_msg_fds", message::DmaAccess::LAYOUT),
    };
    let max_msg_size = client.number("max_msg_size").unwrap_or(DEFAULT_MAX_MSG_SIZE).min(MAX_MSG_SIZE);
    let limits = Limits {
        max_msg_fds: client.number(max_fds).unwrap_or(DEFAULT_MAX_FDS),
        max_data_xfer_size: max_msg_size.saturating_sub((HEADER_SIZE + access.size) as u64),
        ..Limits::default()
    };
    (limits, max_msg_size)
}
