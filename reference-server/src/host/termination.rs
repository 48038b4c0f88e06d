//! SIGTERM as a readable descriptor (specification 1971).

use std::io;
use std::os::fd::{AsFd, BorrowedFd};

use nix::sys::signal::{SigSet, Signal};
use nix::sys::signalfd::{SfdFlags, SignalFd};

/// Becomes readable when SIGTERM arrives.
#[derive(Debug)]
pub(super) struct Termination {
    fd: SignalFd,
}

impl Termination {
    /// Blocks SIGTERM for the calling thread and takes it up here; other threads of the process must block it, too.
    pub(super) fn new() -> io::Result<Termination> {
        let signals = SigSet::from(Signal::SIGTERM);
        signals.thread_block()?;
        Ok(Termination { fd: SignalFd::with_flags(&signals, SfdFlags::SFD_CLOEXEC | SfdFlags::SFD_NONBLOCK)? })
    }
}

impl AsFd for Termination {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}
