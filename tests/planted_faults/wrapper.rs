//! Wrappers around the reference server's state machine: each changes one thing in its messages or effects.
//!
//! [`around`] sees everything and can do anything; the others are the common uses of it. A fault that must also see
//! clients come and go implements [`Machine`] itself.

use std::os::fd::OwnedFd;
use std::sync::Arc;

use serde_json::{Map, Value};
use vfio_user_reference_server::{Access, Channel, Effect, Errno, Extra, Machine, Memory, Profile, Server, Settings};
use vfio_user_wire::message::Version;
use vfio_user_wire::{Body, Frame, HEADER_SIZE, Header, V0_9_2, VersionData};

/// A faulty machine.
pub(crate) type Faulty = Box<dyn Machine>;

/// A message that arrived, and all that is there to deal with it.
pub(crate) struct Step<'a> {
    /// Where.
    pub(crate) channel: Channel,
    /// The server that would have got it.
    pub(crate) server: &'a mut Server,
    /// The message.
    pub(crate) frame: Frame,
    /// What came with it.
    pub(crate) fds: Vec<OwnedFd>,
    pub(crate) memory: &'a mut dyn Memory,
    /// What will be done, in this order.
    pub(crate) effects: &'a mut Vec<Effect>,
}

impl<'a> Step<'a> {
    /// One on the main socket.
    pub(crate) fn main(
        server: &'a mut Server,
        frame: Frame,
        fds: Vec<OwnedFd>,
        memory: &'a mut dyn Memory,
        effects: &'a mut Vec<Effect>,
    ) -> Step<'a> {
        Step { channel: Channel::Main, server, frame, fds, memory, effects }
    }

    /// Lets the server deal with it.
    pub(crate) fn pass(self) {
        match self.channel {
            Channel::Main => self.server.receive(self.frame, self.fds, self.memory, self.effects),
            Channel::Twin => self.server.receive_on_twin(self.frame, self.memory, self.effects),
        }
    }

    /// The same, and then something more to the server.
    pub(crate) fn pass_then(self, then: impl FnOnce(&mut Server, &mut dyn Memory)) {
        self.server.receive(self.frame, self.fds, self.memory, self.effects);
        then(self.server, self.memory);
    }

    /// The same, with a change to what it does.
    pub(crate) fn pass_and(self, change: impl FnOnce(&mut Vec<Effect>)) {
        let Step { channel, server, frame, fds, memory, effects } = self;
        let mut done = Vec::new();
        Step { channel, server, frame, fds, memory, effects: &mut done }.pass();
        change(&mut done);
        effects.append(&mut done);
    }

    /// Answers in its place, where an answer is wanted.
    pub(crate) fn answer(self, answer: Answer) {
        let header = self.frame.header;
        match answer {
            Answer::Ok(_) | Answer::Error(_) if header.no_reply() => {}
            Answer::Ok(payload) => self.effects.push(send(Frame::reply(&header, payload))),
            Answer::Error(errno) => self.effects.push(send(Frame::error(&header, errno as u32))),
            Answer::Close => self.effects.push(Effect::Close),
            Answer::Nothing => {}
        }
    }
}

/// An answer that is not the server's.
pub(crate) enum Answer {
    /// A successful reply.
    Ok(Vec<u8>),
    /// An error reply.
    Error(Errno),
    /// The connection is closed.
    Close,
    /// Silence.
    Nothing,
}

struct Around<F> {
    server: Server,
    receive: F,
}

impl<F: FnMut(Step<'_>)> Machine for Around<F> {
    fn connect(&mut self) {
        self.server.connect();
    }

    fn receive(&mut self, frame: Frame, fds: Vec<OwnedFd>, memory: &mut dyn Memory, effects: &mut Vec<Effect>) {
        (self.receive)(Step::main(&mut self.server, frame, fds, memory, effects));
    }

    fn receive_on_twin(&mut self, frame: Frame, memory: &mut dyn Memory, effects: &mut Vec<Effect>) {
        let (channel, server, fds) = (Channel::Twin, &mut self.server, Vec::new());
        (self.receive)(Step { channel, server, frame, fds, memory, effects });
    }

    fn refuse(&mut self, header: &Header, effects: &mut Vec<Effect>) {
        self.server.refuse(header, effects);
    }

    fn twin_ended(&mut self) {
        self.server.twin_ended();
    }

    fn disconnect(&mut self, memory: &mut dyn Memory) {
        self.server.disconnect(memory);
    }
}

/// The server of a version of the protocol, with all that it can have.
pub(crate) fn server_of(profile: Profile) -> Server {
    let with = (profile != Profile::V0_9_2).then_some(Extra::PfnQuery);
    Server::with(Settings { profile, with, ..Settings::default() })
}

/// Every message goes through `receive`.
pub(crate) fn around(receive: impl FnMut(Step<'_>) + 'static) -> Faulty {
    around_server(Server::new(), receive)
}

/// The same, with a server that is not the usual one.
pub(crate) fn around_server(server: Server, receive: impl FnMut(Step<'_>) + 'static) -> Faulty {
    Box::new(Around { server, receive })
}

/// Changes what the server does at a message, in any way.
pub(crate) fn effects(mut change: impl FnMut(&Frame, &mut Vec<Effect>) + 'static) -> Faulty {
    around(move |step| {
        let message = step.frame.clone();
        step.pass_and(|effects| change(&message, effects));
    })
}

/// Changes replies, given the command that they answer. A size that is left alone stays true.
pub(crate) fn replies(mut change: impl FnMut(&Frame, &mut Frame) + 'static) -> Faulty {
    effects(move |command, effects| {
        for effect in effects {
            let Effect::Send { frame, .. } = effect else { continue };
            if frame.header.is_reply() {
                let size = frame.header.size;
                change(command, frame);
                if frame.header.size == size {
                    frame.header.size = (HEADER_SIZE + frame.payload.len()) as u32;
                }
            }
        }
    })
}

/// Changes the successful replies to one command.
pub(crate) fn replies_to(name: &'static str, mut change: impl FnMut(&Frame, &mut Frame) + 'static) -> Faulty {
    replies(move |command, reply| {
        if is(command, name) && !reply.header.is_error() {
            change(command, reply);
        }
    })
}

/// Changes error replies.
pub(crate) fn error_replies(mut change: impl FnMut(&Frame, &mut Frame) + 'static) -> Faulty {
    replies(move |command, reply| {
        if reply.header.is_error() {
            change(command, reply);
        }
    })
}

/// Changes commands and their descriptors before the server sees them; replies carry the id and the number that were
/// sent.
pub(crate) fn commands(mut change: impl FnMut(&mut Frame, &mut Vec<OwnedFd>) + 'static) -> Faulty {
    around(move |mut step| {
        let sent = step.frame.header;
        if sent.message_type() == 0 {
            change(&mut step.frame, &mut step.fds);
        }
        step.pass_and(|effects| {
            for effect in effects {
                if let Effect::Send { frame, .. } = effect
                    && frame.header.is_reply()
                {
                    (frame.header.id, frame.header.command) = (sent.id, sent.command);
                }
            }
        });
    })
}

/// Changes the server's own commands.
pub(crate) fn own_commands(mut change: impl FnMut(&mut Frame) + 'static) -> Faulty {
    effects(move |_, effects| {
        for effect in effects {
            if let Effect::Send { frame, .. } = effect
                && !frame.header.is_reply()
            {
                change(frame);
            }
        }
    })
}

/// Answers some commands in the server's place, which never sees them.
pub(crate) fn answers(mut answer: impl FnMut(&Frame) -> Option<Answer> + 'static) -> Faulty {
    around(move |step| match answer(&step.frame) {
        Some(answer) if step.frame.header.message_type() == 0 => step.answer(answer),
        _ => step.pass(),
    })
}

/// Deals with headers whose size no message can have.
pub(crate) fn refusals(refuse: impl FnMut(&mut Server, &Header, &mut Vec<Effect>) + 'static) -> Faulty {
    Box::new(Refusals { server: Server::new(), refuse })
}

struct Refusals<F> {
    server: Server,
    refuse: F,
}

impl<F: FnMut(&mut Server, &Header, &mut Vec<Effect>)> Machine for Refusals<F> {
    fn connect(&mut self) {
        self.server.connect();
    }

    fn receive(&mut self, frame: Frame, fds: Vec<OwnedFd>, memory: &mut dyn Memory, effects: &mut Vec<Effect>) {
        self.server.receive(frame, fds, memory, effects);
    }

    fn receive_on_twin(&mut self, frame: Frame, memory: &mut dyn Memory, effects: &mut Vec<Effect>) {
        self.server.receive_on_twin(frame, memory, effects);
    }

    fn refuse(&mut self, header: &Header, effects: &mut Vec<Effect>) {
        (self.refuse)(&mut self.server, header, effects);
    }

    fn twin_ended(&mut self) {
        self.server.twin_ended();
    }

    fn disconnect(&mut self, memory: &mut dyn Memory) {
        self.server.disconnect(memory);
    }
}

/// What goes wrong with memory: each method does what the server asked for, unless a fault says otherwise.
pub(crate) trait Twist {
    fn map(
        &mut self,
        memory: &mut dyn Memory,
        address: u64,
        fd: OwnedFd,
        offset: u64,
        size: u64,
        access: Access,
    ) -> Result<(), Errno> {
        memory.map(address, fd, offset, size, access)
    }

    fn unmap(&mut self, memory: &mut dyn Memory, address: u64) {
        memory.unmap(address);
    }

    fn read(&mut self, memory: &mut dyn Memory, address: u64, offset: u64, bytes: &mut [u8]) -> Result<(), Errno> {
        memory.read(address, offset, bytes)
    }

    fn write(&mut self, memory: &mut dyn Memory, address: u64, offset: u64, bytes: &[u8]) -> Result<(), Errno> {
        memory.write(address, offset, bytes)
    }

    fn region_read(
        &mut self,
        memory: &mut dyn Memory,
        region: u32,
        offset: u64,
        bytes: &mut [u8],
    ) -> Result<(), Errno> {
        memory.region_read(region, offset, bytes)
    }

    fn region_write(&mut self, memory: &mut dyn Memory, region: u32, offset: u64, bytes: &[u8]) -> Result<(), Errno> {
        memory.region_write(region, offset, bytes)
    }

    fn region_clear(&mut self, memory: &mut dyn Memory, region: u32) -> Result<(), Errno> {
        memory.region_clear(region)
    }

    fn region_fd(&self, memory: &dyn Memory, region: u32) -> Option<Arc<OwnedFd>> {
        memory.region_fd(region)
    }

    fn doorbell(&mut self, memory: &mut dyn Memory) -> Result<Arc<OwnedFd>, Errno> {
        memory.doorbell()
    }

    fn rung(&mut self, memory: &mut dyn Memory, doorbell: &Arc<OwnedFd>) -> u64 {
        memory.rung(doorbell)
    }
}

/// The reference server with a fault in its memory.
pub(crate) fn memory(twist: impl Twist + 'static) -> Faulty {
    Box::new(Twisting { server: Server::new(), twist })
}

struct Twisting<T> {
    server: Server,
    twist: T,
}

impl<T: Twist> Machine for Twisting<T> {
    fn connect(&mut self) {
        self.server.connect();
    }

    fn receive(&mut self, frame: Frame, fds: Vec<OwnedFd>, memory: &mut dyn Memory, effects: &mut Vec<Effect>) {
        self.server.receive(frame, fds, &mut Twisted { memory, twist: &mut self.twist }, effects);
    }

    fn receive_on_twin(&mut self, frame: Frame, memory: &mut dyn Memory, effects: &mut Vec<Effect>) {
        self.server.receive_on_twin(frame, &mut Twisted { memory, twist: &mut self.twist }, effects);
    }

    fn refuse(&mut self, header: &Header, effects: &mut Vec<Effect>) {
        self.server.refuse(header, effects);
    }

    fn twin_ended(&mut self) {
        self.server.twin_ended();
    }

    fn disconnect(&mut self, memory: &mut dyn Memory) {
        self.server.disconnect(&mut Twisted { memory, twist: &mut self.twist });
    }
}

/// Memory behind a twist.
pub(crate) struct Twisted<'a, T> {
    pub(crate) memory: &'a mut dyn Memory,
    pub(crate) twist: &'a mut T,
}

impl<T: Twist> Memory for Twisted<'_, T> {
    fn map(&mut self, address: u64, fd: OwnedFd, offset: u64, size: u64, access: Access) -> Result<(), Errno> {
        self.twist.map(self.memory, address, fd, offset, size, access)
    }

    fn unmap(&mut self, address: u64) {
        self.twist.unmap(self.memory, address);
    }

    fn read(&mut self, address: u64, offset: u64, bytes: &mut [u8]) -> Result<(), Errno> {
        self.twist.read(self.memory, address, offset, bytes)
    }

    fn write(&mut self, address: u64, offset: u64, bytes: &[u8]) -> Result<(), Errno> {
        self.twist.write(self.memory, address, offset, bytes)
    }

    fn region_read(&mut self, region: u32, offset: u64, bytes: &mut [u8]) -> Result<(), Errno> {
        self.twist.region_read(self.memory, region, offset, bytes)
    }

    fn region_write(&mut self, region: u32, offset: u64, bytes: &[u8]) -> Result<(), Errno> {
        self.twist.region_write(self.memory, region, offset, bytes)
    }

    fn region_clear(&mut self, region: u32) -> Result<(), Errno> {
        self.twist.region_clear(self.memory, region)
    }

    fn region_fd(&self, region: u32) -> Option<Arc<OwnedFd>> {
        self.twist.region_fd(self.memory, region)
    }

    fn doorbell(&mut self) -> Result<Arc<OwnedFd>, Errno> {
        self.twist.doorbell(self.memory)
    }

    fn io_region(&mut self) -> Result<(Arc<OwnedFd>, Arc<OwnedFd>), Errno> {
        self.memory.io_region()
    }

    fn written(&mut self, ours: &Arc<OwnedFd>) -> u64 {
        self.memory.written(ours)
    }

    fn rung(&mut self, doorbell: &Arc<OwnedFd>) -> u64 {
        self.twist.rung(self.memory, doorbell)
    }
}

/// The message has that name.
pub(crate) fn is(frame: &Frame, name: &str) -> bool {
    V0_9_2.message(frame.header.command).is_some_and(|message| message.name == name)
}

/// A field of a message by its name in the case language; 0 where the payload does not reach it.
pub(crate) fn get(frame: &Frame, field: &str) -> u64 {
    layout(frame).and_then(|body| body.fixed?.field(field)?.read(&frame.payload)).unwrap_or(0)
}

/// Sets a field of a message.
pub(crate) fn put(frame: &mut Frame, field: &str, value: u64) {
    if let Some(field) = layout(frame).and_then(|body| body.fixed?.field(field)) {
        field.write(&mut frame.payload, value);
    }
}

fn layout(frame: &Frame) -> Option<&'static Body> {
    let message = V0_9_2.message(frame.header.command)?;
    Some(if frame.header.is_reply() { &message.reply } else { &message.request })
}

/// The capabilities that a VERSION or its reply names.
pub(crate) fn capabilities(version: &Frame) -> Map<String, Value> {
    let data = Version::parse(&version.payload).and_then(|(_, data)| VersionData::parse(data).ok());
    data.and_then(|data| data.capabilities().cloned()).unwrap_or_default()
}

/// Sets the capabilities that a VERSION or its reply names.
pub(crate) fn set_capabilities(version: &mut Frame, capabilities: Map<String, Value>) {
    version.payload.truncate(4);
    version.payload.extend(VersionData::with_capabilities(capabilities).bytes());
    version.header.size = (HEADER_SIZE + version.payload.len()) as u32;
}

/// Sends a message without descriptors.
pub(crate) fn send(frame: Frame) -> Effect {
    Effect::Send { channel: Channel::Main, frame, fds: Vec::new() }
}

/// Never comes back: for a server that is stuck.
pub(crate) fn hang() -> ! {
    loop {
        std::thread::park();
    }
}
