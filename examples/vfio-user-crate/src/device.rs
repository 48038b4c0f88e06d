//! The device: registers, an interrupt, and what the client has mapped for it.

use std::fs::File;
use std::io::{ErrorKind, Result, Write};

use vfio_bindings::bindings::vfio::{
    VFIO_IRQ_INFO_EVENTFD, VFIO_IRQ_SET_ACTION_TRIGGER, VFIO_IRQ_SET_ACTION_TYPE_MASK, VFIO_IRQ_SET_DATA_EVENTFD,
    VFIO_IRQ_SET_DATA_NONE, VFIO_IRQ_SET_DATA_TYPE_MASK, VFIO_PCI_BAR0_REGION_INDEX, VFIO_PCI_CONFIG_REGION_INDEX,
    VFIO_PCI_INTX_IRQ_INDEX, VFIO_PCI_NUM_IRQS, VFIO_PCI_NUM_REGIONS, VFIO_REGION_INFO_FLAG_READ,
    VFIO_REGION_INFO_FLAG_WRITE, vfio_region_info,
};
use vfio_user::{DmaMapFlags, DmaUnmapFlags, IrqInfo, ServerBackend, ServerRegion};

use crate::config::{self, Config};
use crate::maps::Maps;

/// Bytes of BAR0.
pub(crate) const REGISTERS: usize = 0x1000;
/// A write of anything but 0 raises the interrupt; it reads as 0.
const RAISE: usize = 0x00;
/// The bytes that keep what is written to them.
const SCRATCH: std::ops::Range<usize> = 0x100..0x200;

/// The regions that a PCI device has, all but two of them empty.
pub(crate) fn regions() -> Vec<ServerRegion> {
    let region = |index| {
        let size = size_of_region(index) as u64;
        let flags = if size == 0 { 0 } else { VFIO_REGION_INFO_FLAG_READ | VFIO_REGION_INFO_FLAG_WRITE };
        let region_info = vfio_region_info { argsz: 32, flags, index, cap_offset: 0, size, offset: 0 };
        ServerRegion { region_info, sparse_areas: Vec::new(), mmap_fd: None }
    };
    (0..VFIO_PCI_NUM_REGIONS).map(region).collect()
}

/// The interrupt types that it has, all but one of them without an interrupt.
pub(crate) fn irqs() -> Vec<IrqInfo> {
    let irq = |index| IrqInfo { index, flags: VFIO_IRQ_INFO_EVENTFD, count: interrupts(index) };
    (0..VFIO_PCI_NUM_IRQS).map(irq).collect()
}

fn size_of_region(index: u32) -> usize {
    match index {
        VFIO_PCI_BAR0_REGION_INDEX => REGISTERS,
        VFIO_PCI_CONFIG_REGION_INDEX => config::SIZE,
        _ => 0,
    }
}

fn interrupts(index: u32) -> u32 {
    u32::from(index == VFIO_PCI_INTX_IRQ_INDEX)
}

/// One device, as its client finds it.
#[derive(Debug)]
pub(crate) struct Device {
    config: Config,
    scratch: [u8; SCRATCH.end - SCRATCH.start],
    interrupt: Option<File>,
    maps: Maps,
}

impl Default for Device {
    fn default() -> Device {
        let scratch = [0; SCRATCH.end - SCRATCH.start];
        Device { config: Config::default(), scratch, interrupt: None, maps: Maps::default() }
    }
}

impl Device {
    fn raise(&mut self) -> Result<()> {
        match &mut self.interrupt {
            Some(eventfd) => eventfd.write_all(&1u64.to_ne_bytes()),
            None => Ok(()),
        }
    }
}

/// Where an access begins, if all of it lies within the region.
fn within(region: u32, offset: u64, length: usize) -> Result<usize> {
    let begin = usize::try_from(offset)
        .ok()
        .filter(|begin| begin.checked_add(length).is_some_and(|end| end <= size_of_region(region)));
    begin.filter(|_| length > 0).ok_or_else(|| ErrorKind::InvalidInput.into())
}

impl ServerBackend for Device {
    fn region_read(&mut self, region: u32, offset: u64, data: &mut [u8]) -> Result<()> {
        let begin = within(region, offset, data.len())?;
        if region == VFIO_PCI_CONFIG_REGION_INDEX {
            self.config.read(begin, data);
            return Ok(());
        }
        for (at, byte) in (begin..).zip(data) {
            *byte = if SCRATCH.contains(&at) { self.scratch[at - SCRATCH.start] } else { 0 };
        }
        Ok(())
    }

    fn region_write(&mut self, region: u32, offset: u64, data: &[u8]) -> Result<()> {
        let begin = within(region, offset, data.len())?;
        if region == VFIO_PCI_CONFIG_REGION_INDEX {
            self.config.write(begin, data);
            return Ok(());
        }
        for (at, byte) in (begin..).zip(data) {
            if SCRATCH.contains(&at) {
                self.scratch[at - SCRATCH.start] = *byte;
            } else if at == RAISE && *byte != 0 {
                self.raise()?;
            }
        }
        Ok(())
    }

    fn dma_map(&mut self, _: DmaMapFlags, _: u64, address: u64, size: u64, file: Option<File>) -> Result<()> {
        self.maps.add(address, size, file)
    }

    fn dma_unmap(&mut self, flags: DmaUnmapFlags, address: u64, size: u64) -> Result<()> {
        if flags == DmaUnmapFlags::UNMAP_ALL && address == 0 && size == 0 {
            self.maps.clear();
            return Ok(());
        }
        if !flags.is_empty() {
            return Err(ErrorKind::InvalidInput.into());
        }
        self.maps.remove(address, size)
    }

    fn reset(&mut self) -> Result<()> {
        self.config = Config::default();
        self.scratch.fill(0);
        Ok(())
    }

    fn set_irqs(&mut self, index: u32, flags: u32, start: u32, count: u32, mut fds: Vec<File>) -> Result<()> {
        const TRIGGER: u32 = VFIO_IRQ_SET_ACTION_TRIGGER;
        let end = start.checked_add(count).filter(|end| *end <= interrupts(index));
        let known = flags & !(VFIO_IRQ_SET_DATA_TYPE_MASK | VFIO_IRQ_SET_ACTION_TYPE_MASK) == 0;
        if !known || end.is_none() || interrupts(index) == 0 {
            return Err(ErrorKind::InvalidInput.into());
        }
        match (flags & VFIO_IRQ_SET_ACTION_TYPE_MASK, flags & VFIO_IRQ_SET_DATA_TYPE_MASK, count) {
            (TRIGGER, VFIO_IRQ_SET_DATA_NONE, 0) => self.interrupt = None,
            (TRIGGER, VFIO_IRQ_SET_DATA_NONE, 1) if fds.is_empty() => self.raise()?,
            // Without a descriptor, the interrupt is nobody's again.
            (TRIGGER, VFIO_IRQ_SET_DATA_EVENTFD, 1) if fds.len() <= 1 => self.interrupt = fds.pop(),
            _ => return Err(ErrorKind::InvalidInput.into()),
        }
        Ok(())
    }
}
