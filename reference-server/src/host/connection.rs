//! One client, from connect to disconnect.

use std::io::{self, Read};
use std::net::Shutdown;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixStream;

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use super::incoming::receive;
use super::outgoing::Outgoing;
use crate::driver::Driver;
use crate::machine::Machine;
use crate::memory::Memory;

/// The most bytes taken in one go.
const CHUNK: usize = 64 << 10;
/// The most bytes of what a client still sends that are read before its connection is closed.
const DRAINED: usize = 1 << 20;

/// A client's socket and what is on its way through it.
#[derive(Debug)]
pub(super) struct Connection {
    stream: UnixStream,
    driver: Driver,
    outgoing: Outgoing,
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
        let mut connection = Connection { stream, driver, outgoing: Outgoing::default() };
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
        while !(self.driver.is_ending() && self.outgoing.is_empty()) {
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
        let taking = !self.driver.is_ending() && !self.outgoing.is_full();
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

    /// Reads of the message that is arriving what is there, and lets the machine answer it once it is whole.
    fn take(&mut self, machine: &mut dyn Machine, memory: &mut dyn Memory) -> io::Result<()> {
        let (mut chunk, mut fds) = (vec![0; self.driver.lacking().min(CHUNK)], Vec::new());
        match receive(&self.stream, &mut chunk, &mut fds) {
            Ok(0) => self.driver.end(),
            Ok(count) => self.driver.take(chunk.get(..count).unwrap_or_default(), fds, machine, memory),
            Err(error) if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted) => {}
            Err(error) => return Err(error),
        }
        while let Some((frame, fds)) = self.driver.next_message() {
            self.outgoing.push(&frame, fds);
        }
        self.outgoing.write(&self.stream);
        Ok(())
    }
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
