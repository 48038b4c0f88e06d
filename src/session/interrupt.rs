//! Waiting for descriptors, a deadline, or the user's Ctrl-C: the only place where the harness blocks on a server.

use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, poll};
use nix::sys::eventfd::{EfdFlags, EventFd};

use super::Deadline;

/// The wish to stop, raised once by a signal handler's thread and seen by every wait.
#[derive(Debug, Clone)]
pub struct Interrupt {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    raised: AtomicBool,
    wake: EventFd,
}

impl Interrupt {
    /// One that is not raised.
    ///
    /// # Errors
    /// Where no eventfd can be had.
    pub fn new() -> io::Result<Interrupt> {
        let wake = EventFd::from_flags(EfdFlags::EFD_CLOEXEC | EfdFlags::EFD_NONBLOCK)?;
        Ok(Interrupt { shared: Arc::new(Shared { raised: AtomicBool::new(false), wake }) })
    }

    /// Raises it: every wait returns from now on.
    pub fn raise(&self) {
        self.shared.raised.store(true, Ordering::SeqCst);
        // The counter can only be full if it was written before, and then the waits return all the same.
        let _ = self.shared.wake.write(1);
    }

    /// It was raised.
    pub fn raised(&self) -> bool {
        self.shared.raised.load(Ordering::SeqCst)
    }
}

/// Why a wait returned.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Waited {
    /// At least one descriptor is ready.
    Ready,
    /// The deadline passed.
    Deadline,
    /// The user wants to stop.
    Interrupted,
}

/// Waits until one of `fds` has the events asked of it, or an error or hang-up; which ones, `ready` says.
///
/// # Errors
/// Those of poll(2), which only a fault of ours can cause.
pub fn wait(
    fds: &[(BorrowedFd<'_>, PollFlags)],
    deadline: Deadline,
    interrupt: &Interrupt,
) -> io::Result<(Waited, Vec<PollFlags>)> {
    loop {
        let mut polled: Vec<PollFd<'_>> = fds.iter().map(|(fd, flags)| PollFd::new(*fd, *flags)).collect();
        polled.push(PollFd::new(interrupt.shared.wake.as_fd(), PollFlags::POLLIN));
        match poll(&mut polled, deadline.poll_timeout()) {
            Err(Errno::EINTR) => {}
            Err(error) => return Err(error.into()),
            Ok(_) => {
                if interrupt.raised() {
                    return Ok((Waited::Interrupted, vec![PollFlags::empty(); fds.len()]));
                }
                let ready: Vec<PollFlags> =
                    polled.iter().take(fds.len()).map(|fd| fd.revents().unwrap_or(PollFlags::empty())).collect();
                if ready.iter().any(|flags| !flags.is_empty()) {
                    return Ok((Waited::Ready, ready));
                }
                if deadline.passed() {
                    return Ok((Waited::Deadline, ready));
                }
            }
        }
    }
}
