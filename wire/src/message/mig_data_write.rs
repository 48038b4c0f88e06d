//! MIG_DATA_WRITE: the device's state, written as a stream while it is restored (specification 1895-1928).

use super::MigrationData;
use crate::field::{Body, Direction, Message, Tail};

/// Writes migration data in the state RESUMING; refused in any other.
pub const MIG_DATA_WRITE: Message = Message {
    name: "MIG_DATA_WRITE",
    direction: Direction::ToServer,
    request: Body::with_tail(&MigrationData::LAYOUT, Tail::Data),
    reply: Body::EMPTY,
    variants: &[],
    clause: "MIG_DATA_WRITE 1895-1928",
};
