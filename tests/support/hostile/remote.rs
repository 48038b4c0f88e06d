//! Hostile servers in a process of their own, behind real sockets: what they hold is no memory of the harness, and no
//! descriptor of it.

use std::io::{self, IoSlice, IoSliceMut};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::os::unix::net::UnixListener;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use nix::cmsg_space;
use nix::sys::socket::{
    AddressFamily, ControlMessage, ControlMessageOwned, MsgFlags, SockFlag, SockType, recvmsg, sendmsg, socketpair,
};
use vfio_user_conformance::target::{Serve, Target};

use super::threaded::serve_hostile;
use super::{Hostile, Script, hostile_replies, served};

/// The longest script that is sent, with what stands before it.
const LONGEST: usize = 1 << 17;

/// The way to the process that serves.
#[derive(Debug, Clone)]
pub(crate) struct Remote(Arc<OwnedFd>);

impl Remote {
    /// Both ends of the way: this one, and the one for the process that serves.
    ///
    /// # Errors
    /// Those of socketpair(2).
    pub(crate) fn pair() -> io::Result<(Remote, OwnedFd)> {
        let (ours, theirs) = socketpair(AddressFamily::Unix, SockType::SeqPacket, None, SockFlag::empty())?;
        nix::fcntl::fcntl(&ours, nix::fcntl::FcntlArg::F_SETFD(nix::fcntl::FdFlag::FD_CLOEXEC))?;
        Ok((Remote(Arc::new(ours)), theirs))
    }

    /// Servers of a version, each with its own part of the script.
    pub(crate) fn target(&self, version: u8, temper: u8, script: &[u8]) -> Target {
        let servers =
            Servers { way: self.clone(), version, temper, script: script.into(), started: AtomicUsize::new(0) };
        Target::Thread(Arc::new(servers))
    }

    /// How many hostile replies that process has sent.
    pub(crate) fn replies(&self) -> u64 {
        let asked = sendmsg::<()>(self.0.as_raw_fd(), &[IoSlice::new(&[0])], &[], MsgFlags::empty(), None);
        let mut bytes = [0; 8];
        let told = asked.and_then(|_| nix::sys::socket::recv(self.0.as_raw_fd(), &mut bytes, MsgFlags::empty()));
        if told == Ok(8) { u64::from_le_bytes(bytes) } else { 0 }
    }
}

#[derive(Debug)]
struct Servers {
    way: Remote,
    version: u8,
    temper: u8,
    script: Box<[u8]>,
    started: AtomicUsize,
}

impl Serve for Servers {
    fn serve(&self, listener: UnixListener, stop: OwnedFd) {
        let number = self.started.fetch_add(1, Ordering::Relaxed) as u32;
        let head = [&[1, self.version, self.temper], number.to_le_bytes().as_slice()].concat();
        let fds = [listener.as_raw_fd(), stop.as_raw_fd()];
        let slices = [IoSlice::new(&head), IoSlice::new(&self.script)];
        // A server that cannot be started is one that does not answer.
        let _ =
            sendmsg::<()>(self.way.0.as_raw_fd(), &slices, &[ControlMessage::ScmRights(&fds)], MsgFlags::empty(), None);
    }
}

/// Serves what the other end of `way` asks for, each in a thread, until that end is closed.
///
/// # Errors
/// Those of recvmsg(2).
pub(crate) fn serve(way: &OwnedFd) -> io::Result<()> {
    loop {
        let mut bytes = vec![0; LONGEST];
        let mut space = cmsg_space!([RawFd; 2]);
        let mut slices = [IoSliceMut::new(&mut bytes)];
        let flags = MsgFlags::MSG_CMSG_CLOEXEC;
        let message = recvmsg::<()>(way.as_raw_fd(), &mut slices, Some(&mut space), flags)?;
        let mut fds: Vec<OwnedFd> = Vec::new();
        for control in message.cmsgs()? {
            if let ControlMessageOwned::ScmRights(numbers) = control {
                // SAFETY: the kernel has just opened them for this process, and nobody else knows of them.
                fds.extend(numbers.into_iter().map(|number| unsafe { OwnedFd::from_raw_fd(number) }));
            }
        }
        let count = message.bytes;
        bytes.truncate(count);
        match bytes.as_slice() {
            [] => return Ok(()),
            [1, version, temper, a, b, c, d, script @ ..] => {
                let number = u32::from_le_bytes([*a, *b, *c, *d]) as usize;
                let script = Script::new(script).for_server(number);
                let (Some(stop), Some(listener)) = (fds.pop(), fds.pop()) else { continue };
                let (version, temper) = (served(*version), *temper);
                std::thread::spawn(move || {
                    if let Ok(mut hostile) = Hostile::new(version, temper, script, usize::MAX) {
                        serve_hostile(&mut hostile, &UnixListener::from(listener), &stop);
                    }
                });
            }
            _ => {
                let replies = hostile_replies().to_le_bytes();
                let _ = sendmsg::<()>(way.as_raw_fd(), &[IoSlice::new(&replies)], &[], MsgFlags::empty(), None);
            }
        }
    }
}
