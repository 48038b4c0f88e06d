//! The version data that a client proposes where a case says nothing of it.

use vfio_user_wire::Dialect;

/// The version data that QEMU 11 sends.
const QEMU: &str = r#"{"capabilities": {"pgsizes": 4096, "max_msg_fds": 16, "max_dma_maps": 65535, "max_data_xfer_size": 1048576, "migration": {"max_bitmap_size": 268435456, "pgsize": 4096}, "write_multiple": true}}"#;

/// The same, from a client that wants a twin socket.
pub const TWIN_PROPOSAL: &str = r#"{"capabilities": {"pgsizes": 4096, "max_msg_fds": 16, "max_dma_maps": 65535, "max_data_xfer_size": 1048576, "migration": {"max_bitmap_size": 268435456, "pgsize": 4096}, "write_multiple": true, "twin_socket": {"supported": true}}}"#;

/// What a client of version 8 would say in their place: its names, and the limits that it can have at most.
const VERSION_8: &str =
    r#"{"capabilities": {"max_fds": 16, "max_msg_fds": 16, "max_msg_size": 1048608, "migration": {"pgsize": 4096}}}"#;

/// The version data that a client of this version sends: a server may require any of its capabilities (specification 478-479).
pub fn usual_proposal(dialect: &Dialect) -> &'static str {
    if dialect.table.is_some() { VERSION_8 } else { QEMU }
}

/// The payload of VERSION 0.0 with that data.
pub fn version_payload(data: &str) -> Vec<u8> {
    [&[0; 4], data.as_bytes(), &[0]].concat()
}
