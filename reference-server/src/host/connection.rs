//! One client, from connect to disconnect.

use std::io::{self, Read};
use std::net::Shutdown;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream;

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use super::incoming::{Arrival, Incoming};
use super::outgoing::Outgoing;
use super::signal::signal;
use crate::effect::Effect;
use crate::machine::Machine;
use crate::memory::Memory;

/// The most bytes of what a client still sends that are read before its connection is closed.
const DRAINED: usize = 1 << 20;

/// A client's socket and what is on its way through it.
#[derive(Debug)]
pub(super) struct Connection {
    stream: UnixStream,
    incoming: Incoming,
    outgoing: Outgoing,
    /// Nothing more is taken from the client; it ends when all is sent.
    ending: bool,
}

impl Connection {
    pub(super) fn new(stream: UnixStream) -> Connection {
        Connection { stream, incoming: Incoming::default(), outgoing: Outgoing::default(), ending: false }
    }

    /// Serves the client until it or the machine ends the connection, or `stop` becomes readable; `Ok(true)` says that
    /// it was `stop`.
    ///
    /// # Errors
    /// Where polling fails. A client that vanishes is no error.
    pub(super) fn serve(
        mut self,
        machine: &mut dyn Machine,
        memory: &mut dyn Memory,
        stop: Option<BorrowedFd<'_>>,
    ) -> io::Result<bool> {
        machine.connect();
        let stopped = self.pump(machine, memory, stop);
        machine.disconnect(memory);
        self.close();
        stopped
    }

    fn pump(
        &mut self,
        machine: &mut dyn Machine,
        memory: &mut dyn Memory,
        stop: Option<BorrowedFd<'_>>,
    ) -> io::Result<bool> {
        while !(self.ending && self.outgoing.is_empty()) {
            let (readable, stopped) = self.wait(stop)?;
            if stopped {
                return Ok(true);
            }
            self.outgoing.write(&self.stream);
            if readable && self.take(machine, memory).is_err() {
                break;
            }
        }
        Ok(false)
    }

    /// Waits for something to do; says whether to read, and whether to stop.
    fn wait(&self, stop: Option<BorrowedFd<'_>>) -> io::Result<(bool, bool)> {
        // A client that does not read its replies gets no more of them.
        let taking = !self.ending && !self.outgoing.is_full();
        let mut events = PollFlags::empty();
        events.set(PollFlags::POLLIN, taking);
        events.set(PollFlags::POLLOUT, !self.outgoing.is_empty());
        let mut polled = vec![PollFd::new(self.stream.as_fd(), events)];
        polled.extend(stop.map(|stop| PollFd::new(stop, PollFlags::POLLIN)));
        match poll(&mut polled, PollTimeout::NONE) {
            Ok(_) | Err(Errno::EINTR) => {}
            Err(errno) => return Err(errno.into()),
        }
        let mut ready = polled.iter().map(|polled| polled.revents().is_some_and(|events| !events.is_empty()));
        let client = ready.next().unwrap_or(false);
        Ok((client && taking, ready.next().unwrap_or(false)))
    }

    /// Reads, and lets the machine answer a message that is whole.
    fn take(&mut self, machine: &mut dyn Machine, memory: &mut dyn Memory) -> io::Result<()> {
        let mut effects = Vec::new();
        match self.incoming.read(&self.stream)? {
            Arrival::Message(frame, fds) => machine.receive(frame, fds, memory, &mut effects),
            Arrival::Unframeable(header) => {
                machine.refuse(&header, &mut effects);
                self.ending = true;
            }
            Arrival::Partial => {}
            Arrival::End => self.ending = true,
        }
        for effect in effects {
            self.perform(effect);
        }
        self.outgoing.write(&self.stream);
        Ok(())
    }

    fn perform(&mut self, effect: Effect) {
        match effect {
            Effect::Send { frame, fds } => self.outgoing.push(&frame, fds),
            Effect::Signal { fd, .. } => signal(OwnedFd::as_fd(&fd)),
            Effect::Close => self.ending = true,
        }
    }

    /// Closes. A client whose bytes were left unread would see an error in place of the end, so they are read first, as
    /// far as they are there.
    fn close(mut self) {
        // The client may be gone; then there is nothing to end.
        let _ = self.stream.shutdown(Shutdown::Write);
        if self.stream.set_nonblocking(true).is_ok() {
            let mut chunk = vec![0; 64 << 10];
            let mut drained = 0;
            while let Ok(count @ 1..) = self.stream.read(&mut chunk) {
                drained += count;
                if drained > DRAINED {
                    break;
                }
            }
        }
    }
}
