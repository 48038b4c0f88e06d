//! VERSION: the first message of a session (specification 461-593).

use crate::field::{Body, Direction, Message, Tail};
use crate::layout;

layout! {
    /// The fixed part of VERSION, the same in the request and in the reply; optional JSON follows.
    pub struct Version: 4 {
        /// Major version: the reply's must be the proposed one.
        major: u16 @ 0,
        /// Minor version: the reply's must not exceed the proposed one.
        minor: u16 @ 2,
    }
}

/// Negotiates version and capabilities.
pub const VERSION: Message = Message {
    name: "VERSION",
    direction: Direction::ToServer,
    request: Body::with_tail(&Version::LAYOUT, Tail::Json),
    reply: Body::with_tail(&Version::LAYOUT, Tail::Json),
    variants: &[],
    clause: "Version 461-593",
};
