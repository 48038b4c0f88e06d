//! A hostile server behind a real socket.

use std::io::{self, IoSlice, IoSliceMut};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::os::unix::net::{UnixListener, UnixStream};

use nix::cmsg_space;
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::socket::{ControlMessage, ControlMessageOwned, MsgFlags, Shutdown, recvmsg, sendmsg, shutdown};

use super::files::MOST_FDS;
use super::{Hostile, Out};

/// How long what comes late is held back, in milliseconds.
const LATE: u16 = 3;

/// Serves clients one after the other, until `stop` is readable.
pub(crate) fn serve_hostile(hostile: &mut Hostile, listener: &UnixListener, stop: &OwnedFd) {
    while ready(&[(listener.as_fd(), PollFlags::POLLIN)], stop, PollTimeout::NONE) {
        let Ok((stream, _)) = listener.accept() else { return };
        hostile.connect();
        // Ours to forgive: a client may be gone at any time.
        let _ = serve_client(hostile, &stream, stop);
        hostile.disconnect();
    }
}

fn serve_client(hostile: &mut Hostile, stream: &UnixStream, stop: &OwnedFd) -> io::Result<()> {
    stream.set_nonblocking(true)?;
    loop {
        while let Some(out) = hostile.next() {
            match out {
                Out::Bytes { bytes, mut fds, own, piece } => {
                    fds.truncate(MOST_FDS - usize::from(own));
                    if own {
                        fds.push(stream.as_fd().try_clone_to_owned()?);
                    }
                    for chunk in bytes.chunks(piece) {
                        send_all(stream, chunk, &std::mem::take(&mut fds), stop)?;
                    }
                }
                Out::Repeated(bytes, times) => {
                    for _ in 0..times {
                        send_all(stream, &bytes, &[], stop)?;
                    }
                }
                Out::Shutdown => shutdown(stream.as_raw_fd(), Shutdown::Write)?,
                Out::Stall => {
                    // Neither read nor written: until the client or the harness has had enough.
                    ready(&[(stream.as_fd(), PollFlags::empty())], stop, PollTimeout::NONE);
                    return Ok(());
                }
                Out::Close => return Ok(()),
            }
        }
        let timeout = if hostile.is_late() { LATE.into() } else { PollTimeout::NONE };
        if !ready(&[(stream.as_fd(), PollFlags::POLLIN)], stop, timeout) {
            return Ok(());
        }
        match receive(stream) {
            Ok((bytes, _)) if bytes.is_empty() => return Ok(()),
            Ok((bytes, fds)) => hostile.take(&bytes, fds),
            Err(Errno::EAGAIN) => hostile.idle(),
            Err(error) => return Err(error.into()),
        }
    }
}

/// Waits for one of these, or for the time; `false` where the server must stop.
fn ready(fds: &[(BorrowedFd<'_>, PollFlags)], stop: &OwnedFd, timeout: PollTimeout) -> bool {
    let mut polled: Vec<PollFd<'_>> = fds.iter().map(|(fd, flags)| PollFd::new(*fd, *flags)).collect();
    polled.push(PollFd::new(stop.as_fd(), PollFlags::POLLIN));
    poll(&mut polled, timeout).is_ok() && polled.last().and_then(PollFd::revents) == Some(PollFlags::empty())
}

fn send_all(stream: &UnixStream, mut bytes: &[u8], fds: &[OwnedFd], stop: &OwnedFd) -> io::Result<()> {
    let raw: Vec<RawFd> = fds.iter().map(AsRawFd::as_raw_fd).collect();
    let mut attached = !raw.is_empty();
    while !bytes.is_empty() {
        let rights = [ControlMessage::ScmRights(&raw)];
        let control = if attached { rights.as_slice() } else { &[] };
        let flags = MsgFlags::MSG_NOSIGNAL | MsgFlags::MSG_DONTWAIT;
        match sendmsg::<()>(stream.as_raw_fd(), &[IoSlice::new(bytes)], control, flags, None) {
            Ok(sent) => {
                attached = false;
                bytes = &bytes[sent..];
            }
            Err(Errno::EAGAIN) => {
                // Who neither reads nor writes cannot be told from who is slow: only the end of either side ends it.
                if !ready(&[(stream.as_fd(), PollFlags::POLLOUT)], stop, PollTimeout::NONE) {
                    return Err(Errno::ECANCELED.into());
                }
            }
            // The kernel takes no such descriptor here, or no more of them: the bytes go alone.
            Err(Errno::ETOOMANYREFS | Errno::EINVAL | Errno::EBADF) if attached => attached = false,
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}

fn receive(stream: &UnixStream) -> Result<(Vec<u8>, Vec<OwnedFd>), Errno> {
    let mut bytes = vec![0; 1 << 16];
    let mut space = cmsg_space!([RawFd; MOST_FDS]);
    let mut slices = [IoSliceMut::new(&mut bytes)];
    let flags = MsgFlags::MSG_CMSG_CLOEXEC | MsgFlags::MSG_DONTWAIT;
    let message = recvmsg::<()>(stream.as_raw_fd(), &mut slices, Some(&mut space), flags)?;
    let mut fds = Vec::new();
    for control in message.cmsgs()? {
        if let ControlMessageOwned::ScmRights(numbers) = control {
            // SAFETY: the kernel has just opened them for this process, and nobody else knows of them.
            fds.extend(numbers.into_iter().map(|number| unsafe { OwnedFd::from_raw_fd(number) }));
        }
    }
    let count = message.bytes;
    bytes.truncate(count);
    Ok((bytes, fds))
}
