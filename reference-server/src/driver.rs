//! One client of a machine: bytes and descriptors in, messages out. Where they come from and go to is the host's matter.

use std::collections::VecDeque;
use std::mem;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;

use vfio_user_wire::{Frame, HEADER_SIZE, Header};

use crate::effect::Effect;
use crate::host::signal;
use crate::machine::{FRAME_LIMIT, Machine};
use crate::memory::Memory;

/// What the kernel passes in one message at the most (SCM_MAX_FD).
pub(crate) const MAX_FDS: usize = 253;

/// One client, from connect to disconnect.
#[derive(Debug)]
pub struct Driver {
    /// The message that is arriving.
    bytes: Vec<u8>,
    /// The descriptors that came with it.
    fds: Vec<OwnedFd>,
    outgoing: VecDeque<(Frame, Vec<Arc<OwnedFd>>)>,
    /// Nothing more is taken from the client; it is to be left when all is sent.
    ending: bool,
}

impl Driver {
    /// A client has connected.
    pub fn connect(machine: &mut dyn Machine) -> Driver {
        machine.connect();
        Driver { bytes: Vec::new(), fds: Vec::new(), outgoing: VecDeque::new(), ending: false }
    }

    /// How many bytes the message that is arriving lacks, as far as is known. A host that gets descriptors with a read
    /// must not read beyond: nothing tells where among the bytes of a longer read they started.
    pub fn lacking(&self) -> usize {
        let wanted = Header::parse(&self.bytes).map_or(HEADER_SIZE, |(header, _)| header.size as usize);
        wanted.saturating_sub(self.bytes.len())
    }

    /// Takes what the client sent, descriptors with its first byte, and does what the machine makes of each message that
    /// is whole. What is behind the end of the session is dropped.
    pub fn take(&mut self, mut bytes: &[u8], fds: Vec<OwnedFd>, machine: &mut dyn Machine, memory: &mut dyn Memory) {
        self.fds.extend(fds);
        // A message takes no more descriptors than one sending can carry; the rest is closed.
        self.fds.truncate(MAX_FDS);
        while !self.ending && !bytes.is_empty() {
            let (now, later) = bytes.split_at(self.lacking().min(bytes.len()));
            bytes = later;
            self.bytes.extend_from_slice(now);
            self.arrived(machine, memory);
        }
    }

    fn arrived(&mut self, machine: &mut dyn Machine, memory: &mut dyn Memory) {
        let mut effects = Vec::new();
        match Frame::split(&self.bytes, FRAME_LIMIT) {
            Ok(None) => return,
            Ok(Some((frame, _))) => {
                self.bytes.clear();
                machine.receive(frame, mem::take(&mut self.fds), memory, &mut effects);
            }
            Err(_) => {
                self.fds.clear();
                self.ending = true;
                if let Some((header, _)) = Header::parse(&self.bytes) {
                    machine.refuse(&header, &mut effects);
                }
            }
        }
        for effect in effects {
            match effect {
                Effect::Send { frame, fds } => self.outgoing.push_back((frame, fds)),
                Effect::Signal { fd, .. } => signal(OwnedFd::as_fd(&fd)),
                Effect::Close => self.ending = true,
            }
        }
    }

    /// The client will send no more.
    pub fn end(&mut self) {
        self.ending = true;
    }

    /// Nothing more is taken from the client.
    pub fn is_ending(&self) -> bool {
        self.ending
    }

    /// The next message to send, and what goes with its first byte.
    pub fn next_message(&mut self) -> Option<(Frame, Vec<Arc<OwnedFd>>)> {
        self.outgoing.pop_front()
    }

    /// The client is gone, or is left.
    pub fn disconnect(self, machine: &mut dyn Machine, memory: &mut dyn Memory) {
        machine.disconnect(memory);
    }
}
