//! Interrupts: what the client assigned, what is masked, what waits.

use std::os::fd::OwnedFd;
use std::sync::Arc;

use nix::errno::Errno;
use vfio_user_wire::irq_info_flags as flags;

use crate::effect::{Effect, IrqEvent};
use crate::settings::Settings;
use crate::tables::vm_interrupt;
use crate::without::Feature;

/// One interrupt type of the device.
#[derive(Debug, Clone, Copy)]
pub(crate) struct IrqType {
    /// As DEVICE_GET_IRQ_INFO states them.
    pub(crate) flags: u32,
    /// How many interrupts it has.
    pub(crate) count: u32,
}

impl IrqType {
    /// All of the flags in `mask` are set.
    pub(crate) fn has(&self, mask: u32) -> bool {
        self.flags & mask == mask
    }
}

/// INTx, MSI, MSI-X, ERR, REQ.
const TYPES: [IrqType; 5] = [
    IrqType { flags: flags::EVENTFD | flags::MASKABLE | flags::AUTOMASKED, count: 1 },
    IrqType { flags: flags::EVENTFD | flags::NORESIZE, count: 4 },
    IrqType { flags: flags::EVENTFD | flags::MASKABLE, count: 32 },
    IrqType { flags: flags::EVENTFD, count: 1 },
    IrqType { flags: flags::EVENTFD, count: 1 },
];

/// How many interrupt types the device has.
pub(crate) fn irq_types(settings: Settings) -> u32 {
    if settings.lacks(Feature::InterruptTypes) { 0 } else { TYPES.len() as u32 }
}

/// The interrupt type of that index. One that is not there has a count of 0.
pub(crate) fn irq_type(settings: Settings, index: u32) -> Option<IrqType> {
    let kind = TYPES.get(index as usize).filter(|_| index < irq_types(settings))?;
    Some(if settings.lacks(Feature::Interrupts) { IrqType { flags: 0, count: 0 } } else { *kind })
}

/// How a client is told that an interrupt fired.
#[derive(Debug, Clone)]
enum Telling {
    Eventfd(Arc<OwnedFd>),
    /// By a command, which version 8 has.
    Message,
}

/// One interrupt.
#[derive(Debug, Default)]
struct Line {
    trigger: Option<Telling>,
    mask: Option<Arc<OwnedFd>>,
    unmask: Option<Arc<OwnedFd>>,
    masked: bool,
    pending: bool,
}

/// All interrupts of a session.
#[derive(Debug)]
pub(crate) struct IrqTable {
    types: Vec<Vec<Line>>,
}

impl Default for IrqTable {
    fn default() -> Self {
        let lines = |kind: &IrqType| (0..kind.count).map(|_| Line::default()).collect();
        IrqTable { types: TYPES.iter().map(lines).collect() }
    }
}

impl IrqTable {
    fn line(&mut self, index: u32, vector: u32) -> Result<&mut Line, Errno> {
        self.types.get_mut(index as usize).and_then(|lines| lines.get_mut(vector as usize)).ok_or(Errno::EINVAL)
    }

    /// Fires an interrupt: tells the client as it asked for, or waits for the unmasking where it is masked. A client that
    /// asked for nothing is told nothing.
    pub(crate) fn trigger(&mut self, index: u32, vector: u32, effects: &mut Vec<Effect>) -> Result<(), Errno> {
        let automasked = TYPES.get(index as usize).is_some_and(|kind| kind.has(flags::AUTOMASKED));
        let line = self.line(index, vector)?;
        let Some(telling) = &line.trigger else { return Ok(()) };
        if line.masked {
            line.pending = true;
            return Ok(());
        }
        effects.push(match telling {
            Telling::Eventfd(fd) => Effect::Signal { index, vector, event: IrqEvent::Trigger, fd: Arc::clone(fd) },
            Telling::Message => vm_interrupt(vector),
        });
        if automasked {
            // 1171-1173: the type masks itself until the client unmasks it.
            self.mask(index, vector, effects)?;
        }
        Ok(())
    }

    /// Masks an interrupt and tells so (1282).
    pub(crate) fn mask(&mut self, index: u32, vector: u32, effects: &mut Vec<Effect>) -> Result<(), Errno> {
        let line = self.line(index, vector)?;
        line.masked = true;
        if let Some(fd) = &line.mask {
            effects.push(Effect::Signal { index, vector, event: IrqEvent::Mask, fd: Arc::clone(fd) });
        }
        Ok(())
    }

    /// Unmasks an interrupt, tells so, and delivers what waited.
    pub(crate) fn unmask(&mut self, index: u32, vector: u32, effects: &mut Vec<Effect>) -> Result<(), Errno> {
        let line = self.line(index, vector)?;
        line.masked = false;
        if let Some(fd) = &line.unmask {
            effects.push(Effect::Signal { index, vector, event: IrqEvent::Unmask, fd: Arc::clone(fd) });
        }
        if std::mem::take(&mut line.pending) {
            self.trigger(index, vector, effects)?;
        }
        Ok(())
    }

    /// Assigns an eventfd to an event, in place of the one it had; `None` de-assigns it.
    pub(crate) fn assign(
        &mut self,
        index: u32,
        vector: u32,
        event: IrqEvent,
        fd: Option<OwnedFd>,
    ) -> Result<(), Errno> {
        let line = self.line(index, vector)?;
        let fd = fd.map(Arc::new);
        match event {
            IrqEvent::Trigger => {
                if fd.is_none() {
                    line.masked = false;
                    line.pending = false;
                }
                line.trigger = fd.map(Telling::Eventfd);
            }
            IrqEvent::Mask => line.mask = fd,
            IrqEvent::Unmask => line.unmask = fd,
        }
        Ok(())
    }

    /// Has a client told of an interrupt by message.
    pub(crate) fn tell_by_message(&mut self, index: u32, vector: u32) -> Result<(), Errno> {
        self.line(index, vector)?.trigger = Some(Telling::Message);
        Ok(())
    }

    /// Whether interrupts `start..start + count` may be enabled: a NORESIZE type that is enabled does not grow
    /// (1174-1176).
    pub(crate) fn may_enable(&self, index: u32, start: u32, count: u32) -> bool {
        let Some(lines) = self.types.get(index as usize) else { return false };
        let enabled = |line: &Line| line.trigger.is_some();
        let grows = || lines.iter().skip(start as usize).take(count as usize).any(|line| !enabled(line));
        let noresize = TYPES.get(index as usize).is_some_and(|kind| kind.has(flags::NORESIZE));
        !(noresize && lines.iter().any(enabled) && grows())
    }

    /// Disables a whole type: every descriptor is closed, nothing is masked or waits (1255-1257).
    pub(crate) fn disable(&mut self, index: u32) -> Result<(), Errno> {
        let lines = self.types.get_mut(index as usize).ok_or(Errno::EINVAL)?;
        lines.fill_with(Line::default);
        Ok(())
    }

    /// Forgets what waits; what the client set up stays.
    pub(crate) fn reset(&mut self) {
        for line in self.types.iter_mut().flatten() {
            line.pending = false;
        }
    }
}
