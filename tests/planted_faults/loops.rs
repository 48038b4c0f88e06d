//! Loops around the reference server's state machine, for faults in how messages are cut out of the stream, and in how
//! clients are taken.

use std::io::{IoSliceMut, Write};
use std::os::fd::{AsFd, AsRawFd, FromRawFd, OwnedFd};
use std::os::unix::net::{UnixListener, UnixStream};

use nix::cmsg_space;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::socket::{ControlMessage, ControlMessageOwned, MsgFlags, recvmsg, sendmsg};
use vfio_user_reference_server::{Effect, Feature, HostMemory, Machine, Server, Without};
use vfio_user_wire::{Frame, HEADER_SIZE, Header, V0_9_2};

/// A connected client.
pub(crate) struct Client<'a> {
    pub(crate) stream: UnixStream,
    pub(crate) stop: &'a OwnedFd,
    pub(crate) server: &'a mut Server,
    pub(crate) memory: &'a mut HostMemory,
    /// Descriptors that came and belong to no message yet.
    pub(crate) fds: Vec<OwnedFd>,
}

/// Takes clients one after the other, and lets `talk` deal with each; it says whether to take another.
pub(crate) fn serve_clients(listener: &UnixListener, stop: &OwnedFd, mut talk: impl FnMut(&mut Client<'_>) -> bool) {
    let without = Without::from_iter([Feature::TwinSocket]);
    let (mut server, mut memory) = (Server::with(without), HostMemory::new().unwrap());
    while readable(listener, stop) {
        let Ok((stream, _)) = listener.accept() else { return };
        server.connect();
        let mut client = Client { stream, stop, server: &mut server, memory: &mut memory, fds: Vec::new() };
        let go_on = talk(&mut client);
        drop(client);
        server.disconnect(&mut memory);
        if !go_on {
            return;
        }
    }
}

/// Serves each client the messages that `next` gets out of its stream, until there are no more.
pub(crate) fn serve_messages(listener: &UnixListener, stop: &OwnedFd, next: impl Fn(&mut Client<'_>) -> Option<Frame>) {
    serve_clients(listener, stop, |client| {
        while let Some(frame) = next(client) {
            let effects = client.carry_out(frame);
            if !client.perform(effects) {
                break;
            }
        }
        true
    });
}

/// Serves messages whose payload is as long as `length` says, whatever their header says.
pub(crate) fn serve_by_length(listener: &UnixListener, stop: &OwnedFd, length: impl Fn(&Header) -> usize) {
    serve_messages(listener, stop, |client| {
        let header = client.header()?;
        Some(Frame { header, payload: client.exactly(length(&header))? })
    });
}

/// What the header says, as far as that can be believed.
pub(crate) fn as_told(header: &Header) -> usize {
    (header.size as usize).saturating_sub(HEADER_SIZE).min(2 << 20)
}

/// The size of the command's structure; 0 for an unknown command.
pub(crate) fn structure(header: &Header) -> usize {
    V0_9_2.message(header.command).map_or(0, |message| message.request.fixed_size())
}

impl Client<'_> {
    /// What one recv() brings, of at most `most` bytes; `None` at the end.
    pub(crate) fn receive(&mut self, most: usize) -> Option<Vec<u8>> {
        if !readable(&self.stream, self.stop) {
            return None;
        }
        let mut bytes = vec![0; most];
        let mut space = cmsg_space!([i32; 253]);
        let mut slices = [IoSliceMut::new(&mut bytes)];
        let flags = MsgFlags::MSG_CMSG_CLOEXEC;
        let message = recvmsg::<()>(self.stream.as_raw_fd(), &mut slices, Some(&mut space), flags).ok()?;
        for control in message.cmsgs().ok()? {
            if let ControlMessageOwned::ScmRights(numbers) = control {
                // SAFETY: the kernel has just opened them for this process, and nobody else knows of them.
                self.fds.extend(numbers.into_iter().map(|number| unsafe { OwnedFd::from_raw_fd(number) }));
            }
        }
        let count = message.bytes;
        bytes.truncate(count);
        (count > 0).then_some(bytes)
    }

    /// So many bytes, however they arrive.
    pub(crate) fn exactly(&mut self, count: usize) -> Option<Vec<u8>> {
        let mut bytes = Vec::new();
        while bytes.len() < count {
            bytes.extend(self.receive(count - bytes.len())?);
        }
        Some(bytes)
    }

    /// A header, however it arrives.
    pub(crate) fn header(&mut self) -> Option<Header> {
        Header::parse(&self.exactly(HEADER_SIZE)?).map(|(header, _)| header)
    }

    /// A message, however it arrives.
    pub(crate) fn message(&mut self) -> Option<Frame> {
        let header = self.header()?;
        Some(Frame { header, payload: self.exactly(as_told(&header))? })
    }

    /// The socket takes more without waiting.
    pub(crate) fn has_room(&self) -> bool {
        let mut polled = [PollFd::new(self.stream.as_fd(), PollFlags::POLLOUT)];
        poll(&mut polled, PollTimeout::ZERO).is_ok_and(|ready| ready > 0)
    }

    /// Lets the server deal with a message.
    pub(crate) fn carry_out(&mut self, frame: Frame) -> Vec<Effect> {
        let mut effects = Vec::new();
        let fds = std::mem::take(&mut self.fds);
        self.server.receive(frame, fds, self.memory, &mut effects);
        effects
    }

    /// Does what the server wants done, and waits where the client does not read; `false` where that ends the session.
    pub(crate) fn perform(&mut self, effects: Vec<Effect>) -> bool {
        effects.into_iter().all(|effect| match effect {
            Effect::Send { frame, fds, .. } => {
                self.send(&frame.bytes(), &fds.iter().map(|fd| fd.as_raw_fd()).collect::<Vec<_>>())
            }
            Effect::Signal { fd, .. } => {
                // What cannot be signalled at once is not: as in the reference server.
                let _ = nix::unistd::write(&fd, &1u64.to_ne_bytes());
                true
            }
            // No loop that goes wrong in reading messages has a second socket to read.
            Effect::Twin { .. } => true,
            Effect::Close => false,
        })
    }

    /// Sends bytes, with descriptors on the first.
    pub(crate) fn send(&mut self, bytes: &[u8], fds: &[i32]) -> bool {
        let rights = [ControlMessage::ScmRights(fds)];
        let control = if fds.is_empty() { &[] } else { rights.as_slice() };
        let slices = [std::io::IoSlice::new(bytes)];
        match sendmsg::<()>(self.stream.as_raw_fd(), &slices, control, MsgFlags::MSG_NOSIGNAL, None) {
            Ok(sent) => self.stream.write_all(&bytes[sent..]).is_ok(),
            Err(_) => false,
        }
    }
}

/// Waits until there is something to read; `false` where the server must stop first.
pub(crate) fn readable(of: &impl AsFd, stop: &OwnedFd) -> bool {
    let mut polled = [PollFd::new(of.as_fd(), PollFlags::POLLIN), PollFd::new(stop.as_fd(), PollFlags::POLLIN)];
    poll(&mut polled, PollTimeout::NONE).is_ok() && polled[1].revents() == Some(PollFlags::empty())
}

/// Waits until the server must stop.
pub(crate) fn until_stopped(stop: &OwnedFd) {
    // An error ends the wait as well.
    let _ = poll(&mut [PollFd::new(stop.as_fd(), PollFlags::POLLIN)], PollTimeout::NONE);
}
