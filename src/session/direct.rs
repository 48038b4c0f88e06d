//! A server at the other end of no socket.

use std::fmt::Debug;
use std::os::fd::OwnedFd;

/// A client's way to a server in the same thread, in place of a socket. All that the server makes of what it is given is
/// there when the call returns: nothing needs to be waited for. Dropping it closes the connection.
pub trait Direct: Debug {
    /// Gives the server bytes, cut anywhere; `fds` belong to the first.
    fn give(&mut self, bytes: &[u8], fds: Vec<OwnedFd>);

    /// The next bytes of the server, and the descriptors that belong to the first.
    fn take(&mut self) -> Option<(Vec<u8>, Vec<OwnedFd>)>;

    /// No more will be given.
    fn shutdown(&mut self);

    /// The server has closed the connection: what can be taken still is the last of it.
    fn is_closed(&self) -> bool;
}
