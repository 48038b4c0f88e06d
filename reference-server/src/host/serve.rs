//! Serving clients, one after the other.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, RawFd};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::PathBuf;

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use super::connection::Connection;
use super::endpoint::{Endpoint, Source};
use super::memory::HostMemory;
use super::termination::Termination;
use crate::machine::Machine;
use crate::memory::Memory;
use crate::server::Server;
use crate::settings::Settings;

/// Why serving could not start, or ended.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// The socket file cannot be made.
    #[error("cannot create the socket {}: {source}", .path.display())]
    Bind {
        /// Where it should be.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// The descriptor is no socket.
    #[error("the descriptor to serve on is no socket: {0}")]
    NoSocket(io::Error),
    /// The program was started without that descriptor.
    #[error("descriptor {number} cannot be served on: {source}")]
    Inherited {
        /// The descriptor.
        number: RawFd,
        /// Why not.
        source: io::Error,
    },
    /// No memory for the device.
    #[error("the device's memory cannot be had: {0}")]
    Memory(io::Error),
    /// SIGTERM cannot be waited for.
    #[error("SIGTERM cannot be waited for: {0}")]
    Termination(io::Error),
    /// No client can be accepted.
    #[error("cannot accept a client: {0}")]
    Accept(io::Error),
    /// The loop cannot wait.
    #[error("cannot wait for messages: {0}")]
    Wait(io::Error),
}

/// Serves a fresh device as a program of its own does: until SIGTERM, or until the only client has left where the socket
/// was connected.
///
/// # Errors
/// Where serving cannot start or go on. What a client does is no error.
pub fn run(endpoint: Endpoint, settings: impl Into<Settings>) -> Result<(), ServeError> {
    let termination = Termination::new().map_err(ServeError::Termination)?;
    let mut memory = HostMemory::new().map_err(ServeError::Memory)?;
    serve_with(&mut Server::with(settings), &mut memory, endpoint, Some(termination.as_fd()))
}

/// Serves a fresh device until `stop` becomes readable, or until the only client has left where the socket was
/// connected. Signals are left alone.
///
/// # Errors
/// As [`run`].
pub fn serve(endpoint: Endpoint, stop: Option<BorrowedFd<'_>>) -> Result<(), ServeError> {
    let mut memory = HostMemory::new().map_err(ServeError::Memory)?;
    serve_with(&mut Server::new(), &mut memory, endpoint, stop)
}

/// Serves any machine with any memory.
///
/// # Errors
/// As [`run`].
pub fn serve_with(
    machine: &mut dyn Machine,
    memory: &mut dyn Memory,
    endpoint: Endpoint,
    stop: Option<BorrowedFd<'_>>,
) -> Result<(), ServeError> {
    match endpoint.open()? {
        Source::Connected(stream) => {
            Connection::serve(stream, machine, memory, stop).map_err(ServeError::Wait)?;
        }
        Source::Listener { listener, .. } => {
            while let Some(stream) = accept(&listener, stop)? {
                if Connection::serve(stream, machine, memory, stop).map_err(ServeError::Wait)? {
                    break;
                }
            }
        }
    }
    Ok(())
}

/// The next client; `None` where `stop` became readable first.
fn accept(listener: &UnixListener, stop: Option<BorrowedFd<'_>>) -> Result<Option<UnixStream>, ServeError> {
    loop {
        let mut polled = vec![PollFd::new(listener.as_fd(), PollFlags::POLLIN)];
        polled.extend(stop.map(|stop| PollFd::new(stop, PollFlags::POLLIN)));
        match poll(&mut polled, PollTimeout::NONE) {
            Ok(_) | Err(Errno::EINTR) => {}
            Err(errno) => return Err(ServeError::Wait(errno.into())),
        }
        let mut ready = polled.iter().map(|polled| polled.revents().is_some_and(|events| !events.is_empty()));
        let (client, stopped) = (ready.next().unwrap_or(false), ready.next().unwrap_or(false));
        if stopped {
            return Ok(None);
        }
        if !client {
            continue;
        }
        match listener.accept() {
            Ok((stream, _)) => return Ok(Some(stream)),
            Err(error) if passes(&error) => {}
            Err(error) => return Err(ServeError::Accept(error)),
        }
    }
}

/// The client that was to be accepted is gone; the next one may not be.
fn passes(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted | io::ErrorKind::ConnectionAborted)
}
