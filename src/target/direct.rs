//! A server in the thread that plays its client: no process, thread, or socket. For a million steps, which must not take a
//! day.

use std::fmt::Debug;
use std::io;

use crate::session::Direct;

/// Makes servers that are called in place of being sent to.
pub trait DirectTarget: Debug + Send + Sync {
    /// A server of its own.
    ///
    /// # Errors
    /// Where this machine has no more of something that it takes.
    fn start(&self) -> io::Result<Box<dyn DirectServer>>;
}

/// One of them, with its device.
pub trait DirectServer: Debug {
    /// Connects a client; `None` where it takes no further one.
    fn connect(&mut self) -> Option<Box<dyn Direct>>;
}
