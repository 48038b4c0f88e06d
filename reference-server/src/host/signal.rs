//! Signalling an interrupt.

use std::os::fd::{AsFd, AsRawFd, BorrowedFd};

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::socket::{MsgFlags, send};
use nix::unistd::write;

/// Writes 1 to the descriptor if it takes it now. A client whose eventfd is full, or whose socket or pipe nobody reads,
/// misses an interrupt; it does not stop the server.
pub(crate) fn signal(fd: BorrowedFd<'_>) {
    let one = 1u64.to_ne_bytes();
    match send(fd.as_raw_fd(), &one, MsgFlags::MSG_DONTWAIT | MsgFlags::MSG_NOSIGNAL) {
        Err(Errno::ENOTSOCK) => {}
        _ => return,
    }
    // O_NONBLOCK would be set for the client, too: the open file is shared. So ask first.
    let mut polled = [PollFd::new(fd, PollFlags::POLLOUT)];
    let ready = poll(&mut polled, PollTimeout::ZERO).is_ok_and(|ready| ready > 0);
    let writable = polled.iter().all(|polled| polled.revents() == Some(PollFlags::POLLOUT));
    if ready && writable {
        // What cannot be delivered is lost.
        let _ = write(fd.as_fd(), &one);
    }
}
