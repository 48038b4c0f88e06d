//! One client, from connect to disconnect.

use std::io::{self, Read};
use std::net::Shutdown;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixStream;

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use super::incoming::receive;
use super::outgoing::Outgoing;
use crate::driver::{Driver, Leaving};
use crate::effect::Channel;
use crate::machine::Machine;
use crate::memory::Memory;

/// The most bytes taken in one go.
const CHUNK: usize = 64 << 10;
/// The most bytes of what a client still sends that are read before its connection is closed.
const DRAINED: usize = 1 << 20;

/// A client's sockets and what is on its way through them.
#[derive(Debug)]
pub(super) struct Connection {
    stream: UnixStream,
    driver: Driver,
    main: Outgoing,
    twin: Outgoing,
}

impl Connection {
    /// Serves the client until it or the machine ends the connection, or `stop` becomes readable; `Ok(true)` says that
    /// it was `stop`.
    ///
    /// # Errors
    /// Where polling fails. A client that vanishes is no error.
    pub(super) fn serve(
        stream: UnixStream,
        machine: &mut dyn Machine,
        memory: &mut dyn Memory,
        stop: Option<BorrowedFd<'_>>,
    ) -> io::Result<bool> {
        let driver = Driver::connect(machine);
        let mut connection = Connection { stream, driver, main: Outgoing::default(), twin: Outgoing::default() };
        let stopped = connection.pump(machine, memory, stop);
        connection.driver.disconnect(machine, memory);
        close(connection.stream);
        stopped
    }

    fn pump(
        &mut self,
        machine: &mut dyn Machine,
        memory: &mut dyn Memory,
        stop: Option<BorrowedFd<'_>>,
    ) -> io::Result<bool> {
        while !(self.driver.is_ending() && self.main.is_empty()) {
            let ready = self.wait(stop)?;
            if ready.stop {
                return Ok(true);
            }
            self.write(machine);
            if ready.main && self.take(Channel::Main, machine, memory).is_err() {
                break;
            }
            if ready.twin && self.take(Channel::Twin, machine, memory).is_err() {
                self.driver.end(Channel::Twin, machine);
            }
        }
        Ok(false)
    }

    /// Waits for something to do.
    fn wait(&self, stop: Option<BorrowedFd<'_>>) -> io::Result<Ready> {
        let twin = self.driver.twin_socket().filter(|_| self.driver.is_taking(Channel::Twin));
        let (main_events, twin_events) = (self.events(Channel::Main), self.events(Channel::Twin));
        let mut polled = vec![PollFd::new(self.stream.as_fd(), main_events)];
        polled.extend(twin.as_ref().map(|twin| PollFd::new(twin.as_fd(), twin_events)));
        polled.extend(stop.map(|stop| PollFd::new(stop, PollFlags::POLLIN)));
        match poll(&mut polled, PollTimeout::NONE) {
            Ok(_) | Err(Errno::EINTR) => {}
            Err(errno) => return Err(errno.into()),
        }
        let mut ready = polled.iter().map(|polled| polled.revents().is_some_and(|events| !events.is_empty()));
        let main = ready.next().unwrap_or(false) && main_events.contains(PollFlags::POLLIN);
        let twin = twin.is_some() && ready.next().unwrap_or(false) && twin_events.contains(PollFlags::POLLIN);
        Ok(Ready { main, twin, stop: ready.next().unwrap_or(false) })
    }

    /// What to wait for on a socket.
    fn events(&self, channel: Channel) -> PollFlags {
        let outgoing = match channel {
            Channel::Main => &self.main,
            Channel::Twin => &self.twin,
        };
        let mut events = PollFlags::empty();
        // A client that does not read what it is sent gets no more of it.
        events.set(PollFlags::POLLIN, self.driver.is_taking(channel) && !outgoing.is_full());
        events.set(PollFlags::POLLOUT, !outgoing.is_empty());
        events
    }

    /// Reads of the message that is arriving what is there, and lets the machine answer it once it is whole.
    fn take(&mut self, channel: Channel, machine: &mut dyn Machine, memory: &mut dyn Memory) -> io::Result<()> {
        let (mut chunk, mut fds) = (vec![0; self.driver.lacking(channel).min(CHUNK)], Vec::new());
        let twin = self.driver.twin_socket();
        let socket = match (channel, &twin) {
            (Channel::Main, _) => self.stream.as_fd(),
            (Channel::Twin, Some(twin)) => twin.as_fd(),
            (Channel::Twin, None) => return Ok(()),
        };
        match receive(socket, &mut chunk, &mut fds) {
            Ok(0) => self.driver.end(channel, machine),
            Ok(count) => self.driver.take(channel, chunk.get(..count).unwrap_or_default(), fds, machine, memory),
            Err(error) if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted) => {}
            Err(error) => return Err(error),
        }
        while let Some(Leaving { channel, frame, fds }) = self.driver.next_message() {
            match channel {
                Channel::Main => self.main.push(&frame, fds),
                Channel::Twin => self.twin.push(&frame, fds),
            }
        }
        self.write(machine);
        Ok(())
    }

    fn write(&mut self, machine: &mut dyn Machine) {
        self.main.write(self.stream.as_fd());
        if let Some(twin) = self.driver.twin_socket() {
            self.twin.write(twin.as_fd());
            if self.twin.is_deaf() {
                // A command that was lost is never answered.
                self.driver.end(Channel::Twin, machine);
            }
        }
    }
}

/// What there is to do.
#[derive(Debug, Clone, Copy)]
struct Ready {
    main: bool,
    twin: bool,
    stop: bool,
}

/// Closes. A client whose bytes were left unread would see an error in place of the end, so they are read first, as far
/// as they are there.
fn close(mut stream: UnixStream) {
    // The client may be gone; then there is nothing to end.
    let _ = stream.shutdown(Shutdown::Write);
    if stream.set_nonblocking(true).is_ok() {
        let mut chunk = vec![0; CHUNK];
        let mut drained = 0;
        while let Ok(count @ 1..) = stream.read(&mut chunk) {
            drained += count;
            if drained > DRAINED {
                break;
            }
        }
    }
}
