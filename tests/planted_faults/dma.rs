//! What faults of DMA have in common: the windows that a client has mapped, and what the device is told to do.

use std::os::fd::OwnedFd;
use std::sync::Arc;

use vfio_user_reference_server::{Effect, Errno, Machine};
use vfio_user_wire::message::{DmaMap, DmaUnmap, RegionAccess};
use vfio_user_wire::{Frame, V0_9_2};

use crate::wrapper::{Faulty, Step, around, get, is, put, send};

/// The smallest page.
pub(crate) const PAGE: u64 = 4096;
/// Where the DMA registers of BAR0 stand: iova, length and pattern, and behind them the doorbell.
const REGISTERS: u64 = 0x10;
const DOORBELL: u64 = 0x20;

/// Memory of the client's, as DMA_MAP has it.
#[derive(Clone)]
pub(crate) struct Window {
    pub(crate) address: u64,
    pub(crate) size: u64,
    pub(crate) flags: u64,
    pub(crate) offset: u64,
    /// What came with it.
    pub(crate) file: Option<Arc<OwnedFd>>,
}

impl Window {
    /// What a DMA_MAP or DMA_UNMAP names.
    pub(crate) fn named(frame: &Frame) -> Window {
        let field = |name| get(frame, name);
        Window {
            address: field("address"),
            size: field("size"),
            flags: field("flags"),
            offset: if is(frame, "DMA_MAP") { field("offset") } else { 0 },
            file: None,
        }
    }

    /// Its last address; windows that wrap are no windows.
    pub(crate) fn last(&self) -> u64 {
        self.address.saturating_add(self.size.saturating_sub(1))
    }

    pub(crate) fn holds(&self, address: u64) -> bool {
        (self.address..=self.last()).contains(&address)
    }

    pub(crate) fn overlaps(&self, other: &Window) -> bool {
        self.address <= other.last() && other.address <= self.last()
    }

    pub(crate) fn is(&self, other: &Window) -> bool {
        (self.address, self.size) == (other.address, other.size)
    }

    /// The inode behind it.
    pub(crate) fn inode(&self) -> Option<u64> {
        inode(self.file.as_ref()?)
    }

    fn descriptor(&self) -> Vec<OwnedFd> {
        self.file.iter().map(|fd| fd.try_clone().unwrap()).collect()
    }
}

pub(crate) fn inode(fd: &OwnedFd) -> Option<u64> {
    nix::sys::stat::fstat(fd).ok().map(|stat| stat.st_ino)
}

/// Memory of the server's own.
pub(crate) fn memfd(size: u64) -> OwnedFd {
    let fd = nix::sys::memfd::memfd_create(c"planted", nix::sys::memfd::MFdFlags::MFD_CLOEXEC).unwrap();
    nix::unistd::ftruncate(&fd, size as i64).unwrap();
    fd
}

/// What the client has mapped, as the replies told it.
#[derive(Default)]
pub(crate) struct Windows {
    /// In the order in which they came.
    pub(crate) all: Vec<Window>,
    /// Those that were unmapped, the last one last.
    pub(crate) gone: Vec<Window>,
}

impl Windows {
    pub(crate) fn holding(&self, address: u64) -> Option<&Window> {
        self.all.iter().find(|window| window.holds(address))
    }

    pub(crate) fn exact(&self, window: &Window) -> Option<&Window> {
        self.all.iter().find(|known| known.is(window))
    }

    fn learn(&mut self, command: &Frame, file: Option<OwnedFd>, effects: &[Effect]) {
        let named = Window::named(command);
        if is(command, "VERSION") {
            *self = Windows::default();
        } else if failed(effects) {
        } else if is(command, "DMA_MAP") {
            self.all.retain(|window| !window.overlaps(&named));
            self.all.push(Window { file: file.map(Arc::new), ..named });
        } else if is(command, "DMA_UNMAP") {
            self.gone.extend(self.all.extract_if(.., |window| window.is(&named)));
        }
    }
}

/// One of the effects is an error reply.
pub(crate) fn failed(effects: &[Effect]) -> bool {
    effects.iter().any(|effect| matches!(effect, Effect::Send { frame, .. } if frame.header.is_error()))
}

/// One of the effects is an error reply with that errno.
pub(crate) fn failed_with(effects: &[Effect], errno: Errno) -> bool {
    failed(effects)
        && effects
            .iter()
            .any(|effect| matches!(effect, Effect::Send { frame, .. } if frame.header.error == errno as u32))
}

/// Every message goes through `receive`, with the windows that were mapped before it.
pub(crate) fn with_windows(mut receive: impl FnMut(Step<'_>, &Windows) + 'static) -> Faulty {
    let mut windows = Windows::default();
    around(move |Step { channel, server, frame, fds, memory, effects }| {
        let command = frame.clone();
        let file = fds.first().map(|fd| fd.try_clone().unwrap());
        let mut done = Vec::new();
        receive(Step { channel, server, frame, fds, memory, effects: &mut done }, &windows);
        windows.learn(&command, file, &done);
        effects.append(&mut done);
    })
}

/// What the device is told to do.
pub(crate) struct Doorbell {
    /// 1: write client memory; 2: read it.
    pub(crate) command: u64,
    pub(crate) iova: u64,
    pub(crate) length: u64,
}

impl Doorbell {
    pub(crate) fn writes(&self) -> bool {
        self.command == 1
    }
}

impl Step<'_> {
    /// Lets the server carry out a command that no client sent.
    pub(crate) fn ask(&mut self, name: &str, payload: &[u8], fds: Vec<OwnedFd>) -> Frame {
        let number = V0_9_2.command(name).unwrap().0;
        let mut effects = Vec::new();
        self.server.receive(Frame::command(0, number, payload.to_vec()), fds, self.memory, &mut effects);
        let Some(Effect::Send { frame, .. }) = effects.into_iter().next() else { panic!("{name} has no reply") };
        frame
    }

    /// Maps a window behind the client's back.
    pub(crate) fn map(&mut self, window: &Window) -> bool {
        let map = DmaMap {
            argsz: 32,
            flags: window.flags as u32,
            offset: window.offset,
            address: window.address,
            size: window.size,
        };
        !self.ask("DMA_MAP", map.bytes(), window.descriptor()).header.is_error()
    }

    /// Unmaps a window behind the client's back.
    pub(crate) fn unmap(&mut self, window: &Window) -> bool {
        let unmap = DmaUnmap { argsz: 24, flags: 0, address: window.address, size: window.size };
        !self.ask("DMA_UNMAP", unmap.bytes(), Vec::new()).header.is_error()
    }

    /// What the device is told to do, where the message is the one that rings.
    pub(crate) fn doorbell(&mut self) -> Option<Doorbell> {
        let frame = &self.frame;
        if !is(frame, "REGION_WRITE") || get(frame, "region") != 0 || get(frame, "offset") != DOORBELL {
            return None;
        }
        let command = u32::from_ne_bytes(frame.payload.get(16..20)?.try_into().ok()?).into();
        let read = RegionAccess { offset: REGISTERS, region: 0, count: 12 };
        let reply = self.ask("REGION_READ", read.bytes(), Vec::new());
        let iova = u64::from_ne_bytes(reply.payload.get(16..24)?.try_into().ok()?);
        let length = u32::from_ne_bytes(reply.payload.get(24..28)?.try_into().ok()?).into();
        Some(Doorbell { command, iova, length })
    }

    /// Success, with the entry that DMA_UNMAP repeats, and nothing done.
    pub(crate) fn say_done(self) {
        if self.frame.header.no_reply() {
            return;
        }
        let mut payload = self.frame.payload;
        payload.truncate(if V0_9_2.command("DMA_UNMAP").unwrap().0 == self.frame.header.command { 24 } else { 0 });
        let mut reply = Frame::reply(&self.frame.header, payload);
        if !reply.payload.is_empty() {
            put(&mut reply, "argsz", 24);
        }
        self.effects.push(send(reply));
    }
}

/// The device reaches one window more when its doorbell rings: `surplus` names it.
pub(crate) fn reaches_also(mut surplus: impl FnMut(&Doorbell, &Windows) -> Option<Window> + 'static) -> Faulty {
    let mut mapped: Option<Window> = None;
    with_windows(move |mut step, windows| {
        let doorbell = step.doorbell();
        if (doorbell.is_some() || is(&step.frame, "DMA_MAP") || is(&step.frame, "DMA_UNMAP"))
            && let Some(window) = mapped.take()
        {
            step.unmap(&window);
        }
        mapped = doorbell.and_then(|doorbell| surplus(&doorbell, windows)).filter(|window| step.map(window));
        step.pass();
    })
}

/// The device sends a command.
pub(crate) fn has_command(effects: &[Effect]) -> bool {
    effects.iter().any(|effect| matches!(effect, Effect::Send { frame, .. } if !frame.header.is_reply()))
}
