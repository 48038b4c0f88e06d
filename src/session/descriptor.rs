//! The descriptors that a case gives to the server, and what they show of it.

use std::ffi::CString;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::sync::atomic::{AtomicU64, Ordering};

use nix::errno::Errno;
use nix::fcntl::{FcntlArg, OFlag, SealFlag, fcntl, open};
use nix::poll::PollFlags;
use nix::sys::eventfd::{EfdFlags, EventFd};
use nix::sys::memfd::{MFdFlags, memfd_create};
use nix::sys::socket::{AddressFamily, SockFlag, SockType, socketpair};
use nix::sys::stat::Mode;
use nix::unistd::{ftruncate, pipe2};

use super::{Deadline, Interrupt, Waited, wait};
use crate::model::{FdKind, PassedFd};

/// The number of the next descriptor.
static NEXT: AtomicU64 = AtomicU64::new(1);

/// A descriptor for the server, and what the client keeps to watch it.
#[derive(Debug)]
pub struct Held {
    /// What is sent. `None` once the client's copy was closed so that the server's closing shows.
    given: Option<OwnedFd>,
    /// The end that shows signals and closing; for an eventfd the eventfd itself.
    watched: Option<OwnedFd>,
    kind: Kind,
    id: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Memory {
        size: u64,
        writable: bool,
    },
    Eventfd,
    /// 8 bytes a signal; end of file when the server has closed it.
    Stream,
    Other,
}

/// What a descriptor shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Signals {
    /// Signals that were read.
    pub count: u64,
    /// The server holds its end no longer.
    pub closed: bool,
}

impl Held {
    /// `size` bytes of zeroed memory that can be sealed; with `read_only` opened for reading only.
    ///
    /// # Errors
    /// Those of memfd_create(2), ftruncate(2) and open(2).
    pub fn memfd(size: u64, read_only: bool) -> io::Result<Held> {
        let flags = MFdFlags::MFD_CLOEXEC | MFdFlags::MFD_ALLOW_SEALING;
        let memory = memfd_create(c"vfio-user-conformance", flags)?;
        ftruncate(&memory, i64::try_from(size).map_err(|_| io::Error::from(io::ErrorKind::FileTooLarge))?)?;
        let given = if read_only {
            let path = format!("/proc/self/fd/{}", memory.as_raw_fd());
            Some(open(path.as_str(), OFlag::O_RDONLY | OFlag::O_CLOEXEC, Mode::empty())?)
        } else {
            None
        };
        Ok(Held::new(given, Some(memory), Kind::Memory { size, writable: !read_only }))
    }

    /// Cuts the memory off at `size` bytes, whoever has mapped it.
    ///
    /// # Errors
    /// Those of ftruncate(2).
    pub fn truncate(&self, size: u64) -> io::Result<()> {
        let memory = self.memory().ok_or_else(|| io::Error::from(io::ErrorKind::InvalidInput))?;
        ftruncate(memory, i64::try_from(size).map_err(|_| io::Error::from(io::ErrorKind::FileTooLarge))?)?;
        Ok(())
    }

    /// A blocking eventfd with this counter.
    ///
    /// # Errors
    /// Those of eventfd(2).
    pub fn eventfd(counter: u64) -> io::Result<Held> {
        let eventfd = EventFd::from_value_and_flags(0, EfdFlags::EFD_CLOEXEC)?;
        if counter > 0 {
            eventfd.write(counter)?;
        }
        Ok(Held::new(None, Some(OwnedFd::from(eventfd)), Kind::Eventfd))
    }

    /// A socketpair; with `closed` the end that is not given is closed at once.
    ///
    /// # Errors
    /// Those of socketpair(2).
    pub fn socketpair(closed: bool) -> io::Result<Held> {
        let (given, watched) = socketpair(AddressFamily::Unix, SockType::Stream, None, SockFlag::SOCK_CLOEXEC)?;
        Ok(Held::new(Some(given), (!closed).then_some(watched), Kind::Stream))
    }

    /// A pipe, of which the writing end is given; with `closed` the reading end is closed at once.
    ///
    /// # Errors
    /// Those of pipe(2).
    pub fn pipe(closed: bool) -> io::Result<Held> {
        let (reading, writing) = pipe2(OFlag::O_CLOEXEC)?;
        let watched = (!closed).then_some(reading);
        Ok(Held::new(Some(writing), watched, Kind::Stream))
    }

    /// An existing file or directory.
    ///
    /// # Errors
    /// Those of open(2).
    pub fn path(path: &str, flags: OFlag) -> io::Result<Held> {
        let path = CString::new(path)?;
        let given = open(path.as_c_str(), flags | OFlag::O_CLOEXEC, Mode::empty())?;
        Ok(Held::new(Some(given), None, Kind::Other))
    }

    fn new(given: Option<OwnedFd>, watched: Option<OwnedFd>, kind: Kind) -> Held {
        Held { given, watched, kind, id: NEXT.fetch_add(1, Ordering::Relaxed) }
    }

    /// How the model knows it.
    pub fn passed(&self) -> PassedFd {
        let kind = match self.kind {
            Kind::Memory { size, writable } => FdKind::Memory { size, writable },
            Kind::Eventfd => FdKind::Eventfd,
            Kind::Stream | Kind::Other => FdKind::Other,
        };
        PassedFd { id: self.id, kind }
    }

    /// Its closing by the server can be seen.
    pub fn shows_closing(&self) -> bool {
        self.kind == Kind::Stream && self.watched.is_some()
    }

    /// What to send.
    pub fn descriptor(&self) -> Option<BorrowedFd<'_>> {
        self.given.as_ref().or(self.watched.as_ref()).map(AsFd::as_fd)
    }

    /// The memory behind a memfd.
    pub fn memory(&self) -> Option<&OwnedFd> {
        matches!(self.kind, Kind::Memory { .. }).then_some(self.watched.as_ref()).flatten()
    }

    /// It is one that can show signals.
    pub fn can_signal(&self) -> bool {
        matches!(self.kind, Kind::Eventfd | Kind::Stream) && self.watched.is_some()
    }

    /// Lets go of the client's copy of what was given, so that end of file shows when the server closes its own.
    pub fn let_go(&mut self) {
        if self.kind == Kind::Stream {
            self.given = None;
        }
    }

    /// Reads what is there, after waiting until there is something; with a deadline of now it only looks.
    ///
    /// # Errors
    /// Those of poll(2) and read(2), which only a fault of ours can cause.
    pub fn signals(&self, deadline: Deadline, interrupt: &Interrupt) -> io::Result<Signals> {
        let Some(watched) = &self.watched else { return Ok(Signals { count: 0, closed: false }) };
        let (waited, ready) = wait(&[(watched.as_fd(), PollFlags::POLLIN)], deadline, interrupt)?;
        if waited != Waited::Ready {
            return Ok(Signals { count: 0, closed: false });
        }
        let mut bytes = [0u8; 4096];
        let hung_up = ready.first().is_some_and(|flags| flags.contains(PollFlags::POLLHUP));
        // An eventfd is shared with the server, which may have taken the signal meanwhile, or made it non-blocking.
        match read_now(watched, &mut bytes) {
            Ok(8) if self.kind == Kind::Eventfd => {
                let counter = bytes.first_chunk().copied().map_or(0, u64::from_ne_bytes);
                Ok(Signals { count: counter, closed: false })
            }
            Ok(0) | Err(Errno::ECONNRESET) => Ok(Signals { count: 0, closed: self.kind == Kind::Stream }),
            Ok(read) => Ok(Signals { count: (read as u64).div_ceil(8), closed: false }),
            Err(Errno::EAGAIN) => Ok(Signals { count: 0, closed: hung_up }),
            Err(error) => Err(error.into()),
        }
    }

    /// Adds F_SEAL_WRITE: `true` where it could be added, `false` where a writable mapping forbids it (EBUSY).
    ///
    /// # Errors
    /// Any other error of fcntl(2).
    pub fn seal(&self) -> io::Result<bool> {
        let Some(memory) = self.memory() else { return Err(io::Error::from(io::ErrorKind::InvalidInput)) };
        match fcntl(memory, FcntlArg::F_ADD_SEALS(SealFlag::F_SEAL_WRITE)) {
            Ok(_) => Ok(true),
            Err(Errno::EBUSY) => Ok(false),
            Err(error) => Err(error.into()),
        }
    }
}

/// A read that never waits, whatever the descriptor's own flags.
fn read_now(fd: &OwnedFd, bytes: &mut [u8]) -> Result<usize, Errno> {
    let buffer = libc::iovec { iov_base: bytes.as_mut_ptr().cast(), iov_len: bytes.len() };
    // SAFETY: the buffer is live and as long as it says; the offset -1 means the file's own position.
    let read = unsafe { libc::preadv2(fd.as_raw_fd(), &buffer, 1, -1, libc::RWF_NOWAIT) };
    Errno::result(read).map(|read| read as usize)
}
