//! What is to be sent, for a client that may be slow to read it.

use std::collections::VecDeque;
use std::io::IoSlice;
use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::sync::Arc;

use nix::errno::Errno;
use nix::sys::socket::{ControlMessage, MsgFlags, sendmsg};
use vfio_user_wire::Frame;

/// Beyond this many waiting bytes no further command is taken.
const BOUND: usize = 1 << 20;

/// A message on its way out.
#[derive(Debug)]
struct Waiting {
    bytes: Vec<u8>,
    sent: usize,
    fds: Vec<Arc<OwnedFd>>,
}

/// Messages that wait for room in the socket.
#[derive(Debug, Default)]
pub(super) struct Outgoing {
    queue: VecDeque<Waiting>,
    waiting: usize,
    /// The client is gone, and nothing can be sent any more.
    deaf: bool,
}

impl Outgoing {
    /// Queues a message.
    pub(super) fn push(&mut self, frame: &Frame, fds: Vec<Arc<OwnedFd>>) {
        if self.deaf {
            return;
        }
        let bytes = frame.bytes();
        self.waiting += bytes.len();
        self.queue.push_back(Waiting { bytes, sent: 0, fds });
    }

    /// Nothing waits.
    pub(super) fn is_empty(&self) -> bool {
        self.queue.is_empty()
    }

    /// The client reads too slowly for more.
    pub(super) fn is_full(&self) -> bool {
        self.waiting > BOUND
    }

    /// Nothing more can be sent.
    pub(super) fn is_deaf(&self) -> bool {
        self.deaf
    }

    /// Sends as much as the socket takes now. Where the client is gone all is dropped: the commands that it sent before
    /// it left are executed nevertheless.
    pub(super) fn write(&mut self, socket: BorrowedFd<'_>) {
        while let Some(message) = self.queue.front_mut() {
            let raw: Vec<RawFd> = message.fds.iter().map(|fd| fd.as_raw_fd()).collect();
            let rights = [ControlMessage::ScmRights(&raw)];
            // Descriptors go with the first byte, and only once.
            let control = if raw.is_empty() { &[] } else { rights.as_slice() };
            let rest = [IoSlice::new(message.bytes.get(message.sent..).unwrap_or_default())];
            let flags = MsgFlags::MSG_DONTWAIT | MsgFlags::MSG_NOSIGNAL;
            match sendmsg::<()>(socket.as_raw_fd(), &rest, control, flags, None) {
                Ok(count) => {
                    message.sent += count;
                    message.fds.clear();
                    self.waiting -= count;
                    if message.sent >= message.bytes.len() {
                        self.queue.pop_front();
                    }
                }
                Err(Errno::EAGAIN) => return,
                Err(Errno::EINTR) => {}
                Err(_) => *self = Outgoing { deaf: true, ..Outgoing::default() },
            }
        }
    }
}
