//! How long the harness waits for what.

use std::time::Duration;

/// How long the harness waits for what; all of it scales with `--timeout`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timeouts {
    /// For a reply, a signal, a change in memory.
    pub reply: Duration,
    /// For the reply to a command that may take long (specification 262-265: DEVICE_RESET).
    pub long: Duration,
    /// For a reply that need not come.
    pub settle: Duration,
    /// For a server to accept its first connection.
    pub start: Duration,
    /// For a server's end, after it closed a connection, where it is known to end then.
    pub exit: Duration,
}

impl Timeouts {
    /// All of them, from the one for a reply.
    pub fn from_reply(reply: Duration) -> Timeouts {
        Timeouts { reply, long: reply * 5, settle: reply / 8, start: reply * 5, exit: reply }
    }
}

impl Default for Timeouts {
    fn default() -> Self {
        Timeouts::from_reply(Duration::from_secs(2))
    }
}
