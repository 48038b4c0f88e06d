//! Descriptors of every kind, and files that shrink.

use std::fs::{File, OpenOptions};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::OpenOptionsExt;
use std::os::unix::net::{UnixDatagram, UnixListener, UnixStream};

use nix::fcntl::{FcntlArg, OFlag, SealFlag, fcntl};
use nix::sys::epoll::{Epoll, EpollCreateFlags};
use nix::sys::eventfd::{EfdFlags, EventFd};
use nix::sys::memfd::{MFdFlags, memfd_create};
use nix::sys::signal::SigSet;
use nix::sys::signalfd::SignalFd;
use nix::unistd::ftruncate;

use super::Script;

/// The most that go with one message (SCM_MAX_FD).
pub(crate) const MOST_FDS: usize = 253;

/// What a server keeps of the descriptors that it gave away.
#[derive(Debug, Default)]
pub(crate) struct Kept {
    /// Files that can be cut off under a mapping.
    files: Vec<OwnedFd>,
    /// Other ends of sockets, and of pipes.
    ends: Vec<OwnedFd>,
}

impl Kept {
    /// A descriptor of some kind; none where this machine has none to give.
    pub(crate) fn any(&mut self, script: &mut Script) -> Option<OwnedFd> {
        match script.below(18) {
            0 => File::open("/dev/null").ok().map(Into::into),
            1 => self.memory(script),
            2 => EventFd::from_value_and_flags(0, EfdFlags::EFD_CLOEXEC).ok().map(Into::into),
            3 => {
                let full = EventFd::from_value_and_flags(0, EfdFlags::EFD_CLOEXEC | EfdFlags::EFD_NONBLOCK).ok()?;
                full.write(u64::MAX - 1).ok()?;
                Some(full.into())
            }
            4 => self.pair(UnixStream::pair().ok().map(|(a, b)| (a.into(), b.into()))),
            5 => UnixStream::pair().ok().map(|(given, _)| given.into()),
            6 => self.pair(UnixDatagram::pair().ok().map(|(a, b)| (a.into(), b.into()))),
            7 => UnixDatagram::unbound().ok().map(Into::into),
            8 => UnixListener::bind_addr(&abstract_address()?).ok().map(Into::into),
            9 => self.pair(std::io::pipe().ok().map(|(reading, writing)| (reading.into(), writing.into()))),
            10 => self.pair(std::io::pipe().ok().map(|(reading, writing)| (writing.into(), reading.into()))),
            11 => std::io::pipe().ok().map(|(_, writing)| writing.into()),
            12 => File::open("/").ok().map(Into::into),
            13 => {
                OpenOptions::new().read(true).custom_flags(OFlag::O_PATH.bits()).open("/dev/null").ok().map(Into::into)
            }
            14 => OpenOptions::new().read(true).open("/dev/zero").ok().map(Into::into),
            15 => File::open("/proc/self/maps").ok().map(Into::into),
            16 => Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC).ok().map(|epoll| epoll.0),
            _ if script.byte() < 128 => {
                OpenOptions::new().read(true).write(true).open("/dev/ptmx").ok().map(Into::into)
            }
            _ => SignalFd::new(&SigSet::empty()).ok().map(Into::into),
        }
    }

    /// A memfd: empty, of a page, of a byte too few, sparse and huge, open for reading alone, sealed.
    pub(crate) fn memory(&mut self, script: &mut Script) -> Option<OwnedFd> {
        let file = memfd_create(c"hostile", MFdFlags::MFD_CLOEXEC | MFdFlags::MFD_ALLOW_SEALING).ok()?;
        let size = *script.pick(&[0x1000, 0, 1, 0xfff, 0x1001, 0x10000, 0x20_0000, 1 << 40, i64::MAX & !0xfff]);
        ftruncate(&file, size).ok()?;
        match script.below(6) {
            0 => _ = fcntl(&file, FcntlArg::F_ADD_SEALS(SealFlag::all())),
            1 => _ = fcntl(&file, FcntlArg::F_ADD_SEALS(SealFlag::F_SEAL_SHRINK | SealFlag::F_SEAL_WRITE)),
            _ => {}
        }
        self.files.extend(file.try_clone());
        Some(file)
    }

    /// What was sent, or came from the client: it may be a file that can be cut off.
    pub(crate) fn keep(&mut self, sent: &[OwnedFd]) {
        if self.files.len() < 16 {
            self.files.extend(sent.iter().filter_map(|fd| fd.try_clone().ok()));
        }
    }

    fn pair(&mut self, ends: Option<(OwnedFd, OwnedFd)>) -> Option<OwnedFd> {
        let (given, kept) = ends?;
        self.ends.push(kept);
        Some(given)
    }

    /// Cuts off every file that was given away or came, or seals it.
    pub(crate) fn shrink(&self, script: &mut Script) {
        let size = *script.pick(&[0, 1, 0xfff, 0x1000]);
        let seals =
            *script.pick(&[SealFlag::empty(), SealFlag::F_SEAL_SEAL, SealFlag::all(), SealFlag::F_SEAL_FUTURE_WRITE]);
        for file in &self.files {
            _ = ftruncate(file, size);
            if !seals.is_empty() {
                _ = fcntl(file, FcntlArg::F_ADD_SEALS(seals));
            }
        }
    }

    /// Bytes into the other ends, as far as they take them.
    pub(crate) fn write(&self, bytes: &[u8]) {
        use nix::sys::socket::{MsgFlags, send};
        use std::os::fd::AsRawFd;
        let flags = MsgFlags::MSG_DONTWAIT | MsgFlags::MSG_NOSIGNAL;
        self.ends.iter().for_each(|end| _ = send(end.as_fd().as_raw_fd(), bytes, flags));
    }

    /// Closes the other ends.
    pub(crate) fn close(&mut self) {
        self.ends.clear();
    }
}

fn abstract_address() -> Option<std::os::unix::net::SocketAddr> {
    use std::os::linux::net::SocketAddrExt;
    use std::sync::atomic::{AtomicU64, Ordering};
    static NEXT: AtomicU64 = AtomicU64::new(0);
    let name = format!("hostile-{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
    std::os::unix::net::SocketAddr::from_abstract_name(name).ok()
}
