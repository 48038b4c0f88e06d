//! MIG_DATA_READ: the device's state, read as a stream while it is saved (specification 1843-1893).

use crate::field::{Body, Direction, Message, Tail};
use crate::layout;

layout! {
    /// The fixed part of MIG_DATA_READ, both ways, and of the request of MIG_DATA_WRITE.
    pub struct MigrationData: 8 {
        /// In a request the most that the reply's payload may take; in the reply to a read its size, data included.
        /// Bytes.
        argsz: u32 @ 0,
        /// Bytes of migration data to transfer; in the reply to a read bytes that follow, where fewer than asked for
        /// mean that there are no more.
        size: u32 @ 4,
    }
}

/// Reads migration data in the states PRE_COPY and STOP_COPY; refused in any other.
pub const MIG_DATA_READ: Message = Message {
    name: "MIG_DATA_READ",
    direction: Direction::ToServer,
    request: Body::fixed(&MigrationData::LAYOUT),
    reply: Body::with_tail(&MigrationData::LAYOUT, Tail::Data),
    variants: &[],
    clause: "MIG_DATA_READ 1843-1893",
};
