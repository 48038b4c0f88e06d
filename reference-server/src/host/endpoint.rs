//! Where clients come from.

use std::fs;
use std::io;
use std::os::fd::{FromRawFd, OwnedFd, RawFd};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::PathBuf;

use nix::fcntl::{FcntlArg, FdFlag, fcntl};
use nix::sys::socket::{getsockopt, sockopt};

use super::serve::ServeError;

/// Where to serve (specification 1972-1976).
#[derive(Debug)]
pub enum Endpoint {
    /// A socket file to create, and to remove in the end.
    SocketPath(PathBuf),
    /// A UNIX stream socket, listening or already connected.
    Fd(OwnedFd),
}

impl Endpoint {
    /// Takes over a descriptor that the program was started with.
    ///
    /// # Errors
    /// Where no such descriptor is open, or it is one of 0, 1 and 2, which are not for sockets (1969).
    pub fn inherited(number: RawFd) -> Result<Endpoint, ServeError> {
        if number <= 2 {
            return Err(ServeError::Inherited { number, source: io::Error::from_raw_os_error(nix::libc::EBADF) });
        }
        // SAFETY: the caller was given the number to use as its own; whether it is open is asked at once.
        let fd = unsafe { OwnedFd::from_raw_fd(number) };
        match fcntl(&fd, FcntlArg::F_SETFD(FdFlag::FD_CLOEXEC)) {
            Ok(_) => Ok(Endpoint::Fd(fd)),
            Err(errno) => {
                // Not open: there is nothing to close.
                std::mem::forget(fd);
                Err(ServeError::Inherited { number, source: errno.into() })
            }
        }
    }

    /// Binds what is to be bound.
    pub(super) fn open(self) -> Result<Source, ServeError> {
        match self {
            Endpoint::SocketPath(path) => match UnixListener::bind(&path) {
                Ok(listener) => {
                    let file = SocketFile { path };
                    listener.set_nonblocking(true).map_err(ServeError::Accept)?;
                    Ok(Source::Listener { listener, _file: Some(file) })
                }
                Err(source) => Err(ServeError::Bind { path, source }),
            },
            Endpoint::Fd(fd) => match getsockopt(&fd, sockopt::AcceptConn) {
                Ok(true) => Ok(Source::Listener { listener: UnixListener::from(fd), _file: None }),
                Ok(false) => Ok(Source::Connected(UnixStream::from(fd))),
                Err(errno) => Err(ServeError::NoSocket(errno.into())),
            },
        }
    }
}

/// What clients are taken from.
#[derive(Debug)]
pub(super) enum Source {
    /// One client after the other.
    Listener {
        /// The socket.
        listener: UnixListener,
        /// Removed when dropped.
        _file: Option<SocketFile>,
    },
    /// One client.
    Connected(UnixStream),
}

/// A socket file of our own.
#[derive(Debug)]
pub(super) struct SocketFile {
    path: PathBuf,
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        // Somebody else may have removed it.
        let _ = fs::remove_file(&self.path);
    }
}
