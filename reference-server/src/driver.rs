//! One client of a machine: bytes and descriptors in, messages out. Where they come from and go to is the host's matter.

use std::collections::VecDeque;
use std::mem;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;

use vfio_user_wire::{Frame, HEADER_SIZE, Header};

use crate::effect::{Channel, Effect};
use crate::host::signal;
use crate::machine::{FRAME_LIMIT, Machine};
use crate::memory::Memory;

/// What the kernel passes in one message at the most (SCM_MAX_FD).
pub(crate) const MAX_FDS: usize = 253;

/// The message that is arriving on a channel.
#[derive(Debug, Default)]
struct Arriving {
    bytes: Vec<u8>,
    /// The descriptors that came with it.
    fds: Vec<OwnedFd>,
}

/// A message on its way to the client.
#[derive(Debug)]
pub struct Leaving {
    /// Where it is to be sent.
    pub channel: Channel,
    /// The message.
    pub frame: Frame,
    /// What goes with its first byte.
    pub fds: Vec<Arc<OwnedFd>>,
}

/// One client, from connect to disconnect.
#[derive(Debug)]
pub struct Driver {
    main: Arriving,
    twin: Arriving,
    twin_socket: Option<Arc<OwnedFd>>,
    outgoing: VecDeque<Leaving>,
    /// Nothing more is taken from the client; it is to be left when all is sent.
    ending: bool,
}

impl Driver {
    /// A client has connected.
    pub fn connect(machine: &mut dyn Machine) -> Driver {
        machine.connect();
        let (main, twin) = (Arriving::default(), Arriving::default());
        Driver { main, twin, twin_socket: None, outgoing: VecDeque::new(), ending: false }
    }

    fn arriving(&mut self, channel: Channel) -> &mut Arriving {
        match channel {
            Channel::Main => &mut self.main,
            Channel::Twin => &mut self.twin,
        }
    }

    /// The twin socket, while it is in use.
    pub fn twin_socket(&self) -> Option<Arc<OwnedFd>> {
        self.twin_socket.clone()
    }

    /// How many bytes the message that is arriving lacks, as far as is known. A host that gets descriptors with a read
    /// must not read beyond: nothing tells where among the bytes of a longer read they started.
    pub fn lacking(&mut self, channel: Channel) -> usize {
        let bytes = &self.arriving(channel).bytes;
        let wanted = Header::parse(bytes).map_or(HEADER_SIZE, |(header, _)| header.size as usize);
        wanted.saturating_sub(bytes.len())
    }

    /// Takes what the client sent, descriptors with its first byte, and does what the machine makes of each message that
    /// is whole. What is behind the end of the session is dropped.
    pub fn take(
        &mut self,
        channel: Channel,
        mut bytes: &[u8],
        fds: Vec<OwnedFd>,
        machine: &mut dyn Machine,
        memory: &mut dyn Memory,
    ) {
        let arriving = self.arriving(channel);
        arriving.fds.extend(fds);
        // A message takes no more descriptors than one sending can carry; the rest is closed.
        arriving.fds.truncate(MAX_FDS);
        while self.is_taking(channel) && !bytes.is_empty() {
            let (now, later) = bytes.split_at(self.lacking(channel).min(bytes.len()));
            bytes = later;
            self.arriving(channel).bytes.extend_from_slice(now);
            self.arrived(channel, machine, memory);
        }
    }

    fn arrived(&mut self, channel: Channel, machine: &mut dyn Machine, memory: &mut dyn Memory) {
        let mut effects = Vec::new();
        let arriving = self.arriving(channel);
        match Frame::split(&arriving.bytes, FRAME_LIMIT) {
            Ok(None) => return,
            Ok(Some((frame, _))) => {
                arriving.bytes.clear();
                let fds = mem::take(&mut arriving.fds);
                match channel {
                    Channel::Main => machine.receive(frame, fds, memory, &mut effects),
                    Channel::Twin => machine.receive_on_twin(frame, memory, &mut effects),
                }
            }
            Err(_) => {
                arriving.fds.clear();
                let header = Header::parse(&arriving.bytes).map(|(header, _)| header);
                self.end(channel, machine);
                if let (Channel::Main, Some(header)) = (channel, header) {
                    machine.refuse(&header, &mut effects);
                }
            }
        }
        for effect in effects {
            match effect {
                Effect::Send { channel, frame, fds } => self.outgoing.push_back(Leaving { channel, frame, fds }),
                Effect::Twin { socket } => self.twin_socket = Some(socket),
                Effect::Signal { fd, .. } => signal(OwnedFd::as_fd(&fd)),
                Effect::Close => self.ending = true,
            }
        }
    }

    /// The client will send no more there.
    pub fn end(&mut self, channel: Channel, machine: &mut dyn Machine) {
        match channel {
            Channel::Main => self.ending = true,
            Channel::Twin => {
                if self.twin_socket.take().is_some() {
                    machine.twin_ended();
                }
            }
        }
    }

    /// What the client sends there is taken.
    pub fn is_taking(&self, channel: Channel) -> bool {
        !self.ending && (channel == Channel::Main || self.twin_socket.is_some())
    }

    /// Nothing more is taken from the client.
    pub fn is_ending(&self) -> bool {
        self.ending
    }

    /// The next message to send.
    pub fn next_message(&mut self) -> Option<Leaving> {
        self.outgoing.pop_front()
    }

    /// The client is gone, or is left.
    pub fn disconnect(self, machine: &mut dyn Machine, memory: &mut dyn Memory) {
        machine.disconnect(memory);
    }
}
