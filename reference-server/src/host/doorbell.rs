//! Doorbells: eventfds that the client, or KVM for it, signals.

use std::os::fd::{AsRawFd, OwnedFd};
use std::sync::Arc;

use nix::errno::Errno;
use nix::libc;
use nix::sys::eventfd::{EfdFlags, EventFd};

/// A doorbell that nobody has rung.
pub(super) fn new() -> Result<Arc<OwnedFd>, Errno> {
    Ok(Arc::new(EventFd::from_flags(EfdFlags::EFD_CLOEXEC)?.into()))
}

/// How often it was rung since this was asked last. O_NONBLOCK would be the client's to clear, for the open file is
/// shared; so each read says itself that it does not wait.
pub(super) fn rung(doorbell: &OwnedFd) -> u64 {
    let mut count = 0u64;
    let into = libc::iovec { iov_base: (&raw mut count).cast(), iov_len: size_of_val(&count) };
    // SAFETY: `into` is `count` and its length; the offset -1 reads as read(2) does.
    let read = unsafe { libc::preadv2(doorbell.as_raw_fd(), &raw const into, 1, -1, libc::RWF_NOWAIT) };
    if usize::try_from(read) == Ok(size_of::<u64>()) { count } else { 0 }
}
