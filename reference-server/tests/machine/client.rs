//! A client that calls the machine in place of a socket.

use std::fs::File;
use std::os::fd::OwnedFd;

use vfio_user_reference_server::{Effect, IrqEvent, Machine, Server, Settings};
use vfio_user_wire::message::{DmaAccess, DmaMap, DmaUnmap, IrqSet, RegionAccess, Version};
use vfio_user_wire::{Dialect, Frame, Header, NO_REPLY, TYPE_REPLY, V0_9_2};

use crate::fake_memory::FakeMemory;

/// Registers of BAR0, by docs/conformance-device.md.
pub(crate) const DMA_IOVA: u64 = 0x10;
pub(crate) const DMA_COMMAND: u64 = 0x20;
pub(crate) const DMA_STATUS: u64 = 0x24;
pub(crate) const IRQ_INDEX: u64 = 0x28;
pub(crate) const IDLE: u32 = 0;
pub(crate) const DONE: u32 = 1;
pub(crate) const FAILED: u32 = 2;
pub(crate) const BUSY: u32 = 3;

pub(crate) struct Client {
    pub(crate) server: Server,
    pub(crate) memory: FakeMemory,
    pub(crate) dialect: &'static Dialect,
    next_id: u16,
}

/// What a signal effect says.
pub(crate) type Signal = (u32, u32, IrqEvent);

impl Client {
    /// Connected, and nothing said.
    pub(crate) fn connected() -> Client {
        Client::of(Settings::default())
    }

    /// Connected to another server than the one by default, and nothing said.
    pub(crate) fn of(settings: impl Into<Settings>) -> Client {
        let settings = settings.into();
        let (server, memory) = (Server::with(settings), FakeMemory::new());
        let mut client = Client { server, memory, dialect: settings.profile.dialect(), next_id: 100 };
        client.server.connect();
        client
    }

    /// Negotiated, with those capabilities.
    pub(crate) fn with(capabilities: &str) -> Client {
        let mut client = Client::connected();
        client.negotiate(capabilities);
        client
    }

    pub(crate) fn new() -> Client {
        Client::with(r#"{"max_msg_fds":16}"#)
    }

    pub(crate) fn negotiate(&mut self, capabilities: &str) {
        self.ok("VERSION", &version(0, 1, &format!("{{\"capabilities\":{capabilities}}}\0")));
    }

    pub(crate) fn reconnect(&mut self) {
        self.server.disconnect(&mut self.memory);
        self.server.connect();
        self.negotiate("{}");
    }

    /// The effects of any message.
    pub(crate) fn receive(&mut self, frame: Frame, fds: Vec<OwnedFd>) -> Vec<Effect> {
        let mut effects = Vec::new();
        self.server.receive(frame, fds, &mut self.memory, &mut effects);
        effects
    }

    /// The effects of a command.
    pub(crate) fn send(&mut self, name: &str, payload: &[u8], fds: Vec<OwnedFd>) -> (Header, Vec<Effect>) {
        let frame = self.command(name, payload);
        (frame.header, self.receive(frame, fds))
    }

    pub(crate) fn command(&mut self, name: &str, payload: &[u8]) -> Frame {
        self.next_id = self.next_id.wrapping_add(1);
        Frame::command(self.next_id, self.dialect.command(name).unwrap().0, payload.to_vec())
    }

    /// The payload of the successful reply, which must be the last effect.
    pub(crate) fn ok(&mut self, name: &str, payload: &[u8]) -> Vec<u8> {
        self.ok_fds(name, payload, Vec::new())
    }

    pub(crate) fn ok_fds(&mut self, name: &str, payload: &[u8], fds: Vec<OwnedFd>) -> Vec<u8> {
        let (request, effects) = self.send(name, payload, fds);
        succeeded(&request, &effects)
    }

    /// The errno of the refusal, which must be the only effect.
    pub(crate) fn refused(&mut self, name: &str, payload: &[u8]) -> i32 {
        self.refused_fds(name, payload, Vec::new())
    }

    pub(crate) fn refused_fds(&mut self, name: &str, payload: &[u8], fds: Vec<OwnedFd>) -> i32 {
        let (request, effects) = self.send(name, payload, fds);
        let [Effect::Send { frame, fds, .. }] = effects.as_slice() else { panic!("no lone reply: {effects:?}") };
        assert!(fds.is_empty());
        failed(&request, frame)
    }

    /// A command with No_reply.
    pub(crate) fn post(&mut self, name: &str, payload: &[u8]) -> Vec<Effect> {
        let mut frame = self.command(name, payload);
        frame.header.flags |= NO_REPLY;
        self.receive(frame, Vec::new())
    }

    pub(crate) fn read(&mut self, region: u32, offset: u64, count: u32) -> Vec<u8> {
        let access = RegionAccess { offset, region, count };
        let reply = self.ok("REGION_READ", access.bytes());
        let (echo, data) = RegionAccess::parse(&reply).unwrap();
        assert_eq!((echo, data.len()), (access, count as usize));
        data.to_vec()
    }

    pub(crate) fn register(&mut self, offset: u64) -> u32 {
        u32::from_ne_bytes(self.read(0, offset, 4).try_into().unwrap())
    }

    /// The effects of a write, without its reply.
    pub(crate) fn write(&mut self, region: u32, offset: u64, data: &[u8]) -> Vec<Effect> {
        let (request, mut effects) = self.send("REGION_WRITE", &region_write(region, offset, data), Vec::new());
        let at = effects.iter().position(|effect| is_reply(effect, &request)).expect("a reply");
        let reply = succeeded(&request, &[effects.remove(at)]);
        let count = if self.dialect.name == "v8" { 0 } else { data.len() as u32 };
        assert_eq!(reply, RegionAccess { offset, region, count }.bytes());
        effects
    }

    pub(crate) fn map(&mut self, address: u64, size: u64, flags: u32) {
        assert!(self.ok("DMA_MAP", &dma_map(address, size, flags)).is_empty());
    }

    pub(crate) fn map_fd(&mut self, address: u64, size: u64, flags: u32) {
        assert!(self.ok_fds("DMA_MAP", &dma_map(address, size, flags), vec![fd()]).is_empty());
    }

    /// Makes the device do DMA: 1 writes, 2 reads. The effects beside the replies.
    pub(crate) fn dma(&mut self, command: u32, iova: u64, length: u32) -> Vec<Effect> {
        let mut registers = iova.to_ne_bytes().to_vec();
        registers.extend(length.to_ne_bytes());
        registers.extend(0xa5u32.to_ne_bytes());
        assert!(self.write(0, DMA_IOVA, &registers).is_empty());
        self.write(0, DMA_COMMAND, &command.to_ne_bytes())
    }

    pub(crate) fn dma_status(&mut self) -> u32 {
        self.register(DMA_STATUS)
    }

    /// Makes the device raise an interrupt; what was signalled.
    pub(crate) fn raise(&mut self, index: u32, vector: u32) -> Vec<Signal> {
        let registers: Vec<u8> = [index, vector, 1].iter().flat_map(|value| value.to_ne_bytes()).collect();
        signals(&self.write(0, IRQ_INDEX, &registers))
    }

    /// DEVICE_SET_IRQS that succeeds; what was signalled.
    pub(crate) fn set_irqs(
        &mut self,
        flags: u32,
        index: u32,
        start: u32,
        count: u32,
        data: &[u8],
        fds: usize,
    ) -> Vec<Signal> {
        let fds = (0..fds).map(|_| fd()).collect();
        let (request, mut effects) = self.send("DEVICE_SET_IRQS", &irq_set(flags, index, start, count, data), fds);
        let reply = effects.pop().expect("a reply");
        assert!(succeeded(&request, &[reply]).is_empty());
        signals(&effects)
    }

    /// Answers a command of the server's.
    pub(crate) fn answer(&mut self, command: &Frame, payload: Vec<u8>) -> Vec<Effect> {
        self.receive(Frame::reply(&command.header, payload), Vec::new())
    }
}

/// The payload of the successful reply that `effects` end with.
pub(crate) fn succeeded(request: &Header, effects: &[Effect]) -> Vec<u8> {
    let Some(Effect::Send { frame, .. }) = effects.last() else { panic!("no reply: {effects:?}") };
    let Header { id, command, size, flags, error } = frame.header;
    let expected = (request.id, request.command, 16 + frame.payload.len() as u32, TYPE_REPLY, 0);
    assert_eq!((id, command, size, flags, error), expected);
    frame.payload.clone()
}

/// The errno of a failing reply.
pub(crate) fn failed(request: &Header, frame: &Frame) -> i32 {
    assert_eq!((frame.header.id, frame.header.command), (request.id, request.command));
    assert_eq!((frame.header.size, frame.header.flags, frame.payload.len()), (16, 0x21, 0));
    frame.header.error as i32
}

fn is_reply(effect: &Effect, request: &Header) -> bool {
    matches!(effect, Effect::Send { frame, .. } if frame.header.is_reply() && frame.header.id == request.id)
}

/// The one command of the server's among `effects`, which must be all.
pub(crate) fn command(effects: &[Effect]) -> Frame {
    let [Effect::Send { frame, fds, .. }] = effects else { panic!("no lone command: {effects:?}") };
    assert!(fds.is_empty());
    assert_eq!((frame.header.flags, frame.header.error), (0, 0));
    assert_eq!(frame.header.size as usize, 16 + frame.payload.len());
    frame.clone()
}

/// Name, address and count of a DMA command.
pub(crate) fn dma_command(frame: &Frame) -> (String, u64, u64) {
    let (access, _) = DmaAccess::parse(&frame.payload).unwrap();
    (V0_9_2.name_of(frame.header.command), access.address, access.count)
}

pub(crate) fn signals(effects: &[Effect]) -> Vec<Signal> {
    let signal = |effect: &Effect| match effect {
        Effect::Signal { index, vector, event, .. } => (*index, *vector, *event),
        other => panic!("no signal: {other:?}"),
    };
    effects.iter().map(signal).collect()
}

pub(crate) fn fd() -> OwnedFd {
    File::open("/dev/null").unwrap().into()
}

pub(crate) fn version(major: u16, minor: u16, data: &str) -> Vec<u8> {
    [Version { major, minor }.bytes(), data.as_bytes()].concat()
}

pub(crate) fn dma_map(address: u64, size: u64, flags: u32) -> Vec<u8> {
    DmaMap { argsz: 32, flags, offset: 0, address, size }.bytes().to_vec()
}

pub(crate) fn dma_unmap(address: u64, size: u64) -> Vec<u8> {
    DmaUnmap { argsz: 24, flags: 0, address, size }.bytes().to_vec()
}

pub(crate) fn irq_set(flags: u32, index: u32, start: u32, count: u32, data: &[u8]) -> Vec<u8> {
    let argsz = 20 + data.len() as u32;
    [IrqSet { argsz, flags, index, start, count }.bytes(), data].concat()
}

pub(crate) fn region_write(region: u32, offset: u64, data: &[u8]) -> Vec<u8> {
    [RegionAccess { offset, region, count: data.len() as u32 }.bytes(), data].concat()
}
