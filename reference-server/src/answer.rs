//! How a command ends.

use std::os::fd::OwnedFd;
use std::sync::Arc;

use nix::errno::Errno;

use crate::effect::Effect;

/// A command that succeeded.
#[derive(Debug, Default)]
pub(crate) struct Answer {
    /// The reply's payload.
    pub(crate) payload: Vec<u8>,
    /// What goes with the reply.
    pub(crate) fds: Vec<Arc<OwnedFd>>,
    /// What is done behind the reply: a command of the server's own that the client's command gave rise to, or the taking of a
    /// twin socket.
    pub(crate) then: Option<Effect>,
}

impl Answer {
    /// A reply with that payload and nothing else.
    pub(crate) fn payload(bytes: &[u8]) -> Answer {
        Answer { payload: bytes.to_vec(), ..Answer::default() }
    }
}

/// A command that failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Refusal {
    /// The error field of the reply.
    pub(crate) errno: Errno,
    /// The connection ends with it.
    pub(crate) close: bool,
}

impl From<Errno> for Refusal {
    fn from(errno: Errno) -> Refusal {
        Refusal { errno, close: false }
    }
}

/// `errno` as the error field of a header has it.
pub(crate) fn error_field(errno: Errno) -> u32 {
    (errno as i32).unsigned_abs()
}
