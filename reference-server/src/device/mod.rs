//! The conformance device: what reads and writes of its regions do. `docs/conformance-device.md` describes it.

mod block;
mod config_space;
mod dirty_pfns;
mod image;
mod migration;
mod migration_region;
mod registers;
mod state;
mod state_bits;

use nix::errno::Errno;
use vfio_user_wire::region;

use crate::memory::Memory;
use crate::region::{MIGRATION, MIRRORED, mappable};
use crate::settings::Settings;
use config_space::ConfigSpace;
use migration::Migration;
use migration_region::MigrationRegion;
pub use registers::Registers;
pub(crate) use registers::{Rung, status};

/// BAR1: partly mappable.
const BAR1: u32 = region::BAR0 + 1;
/// BAR2: mappable as a whole.
const BAR2: u32 = region::BAR0 + 2;
/// BAR4: cannot be written.
const BAR4: u32 = region::BAR0 + 4;

/// Where the blocks of BAR0 behind the registers stand, and their bytes.
const SCRATCH: (u64, usize) = (0x1000, 0x2000);
const RESULT: (u64, usize) = (0x4000, 0x4000);
const MSIX_TABLE: (u64, usize) = (0x8000, MSIX_VECTORS * MSIX_ENTRY.len());
/// More than max_msg_fds, so that a client must assign them in several messages.
const MSIX_VECTORS: usize = 32;

/// An entry of the MSI-X table after a reset: masked.
const MSIX_ENTRY: [u8; 16] = [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0];

/// The most bytes of one DMA write.
pub(crate) const MAX_DMA_WRITE: u32 = 2 << 20;
/// The most bytes of one DMA read: what the result window holds.
pub(crate) const MAX_DMA_READ: u32 = RESULT.1 as u32;

/// The state of the device, which outlives a connection.
#[derive(Debug)]
pub(crate) struct Device {
    /// The registers of BAR0.
    pub(crate) registers: Registers,
    scratch: Vec<u8>,
    result: Vec<u8>,
    msix_table: Vec<u8>,
    config: ConfigSpace,
    migration: Migration,
    pub(crate) migration_region: MigrationRegion,
    settings: Settings,
}

impl Default for Device {
    fn default() -> Self {
        Device::new(Settings::default())
    }
}

impl Device {
    /// As it is after a reset, without what it lacks.
    pub(crate) fn new(settings: Settings) -> Device {
        Device {
            registers: registers::initial(),
            scratch: vec![0; SCRATCH.1],
            result: vec![0; RESULT.1],
            msix_table: MSIX_ENTRY.repeat(MSIX_VECTORS),
            config: ConfigSpace::new(settings),
            migration: Migration::default(),
            migration_region: MigrationRegion::default(),
            settings,
        }
    }

    /// Reads bytes that lie inside the region.
    pub(crate) fn read(
        &mut self,
        region: u32,
        offset: u64,
        bytes: &mut [u8],
        memory: &mut dyn Memory,
    ) -> Result<(), Errno> {
        match region {
            region::BAR0 => self.read_bar0(offset, bytes, memory)?,
            BAR1 | BAR2 => memory.region_read(region, offset, bytes)?,
            BAR4 => {
                for (byte, at) in bytes.iter_mut().zip(offset..) {
                    *byte = pattern(at);
                }
            }
            region::CONFIG => block::load(self.config.bytes(), 0, offset, bytes),
            MIGRATION => self.read_migration_region(offset, bytes, memory)?,
            _ => return Err(Errno::EINVAL),
        }
        Ok(())
    }

    /// Writes bytes that lie inside the region, and says which doorbells that rang.
    pub(crate) fn write(
        &mut self,
        region: u32,
        offset: u64,
        bytes: &[u8],
        memory: &mut dyn Memory,
    ) -> Result<Rung, Errno> {
        match region {
            region::BAR0 => return Ok(self.write_bar0(offset, bytes)),
            BAR1 | BAR2 => memory.region_write(region, offset, bytes)?,
            region::CONFIG => self.config.store(usize::try_from(offset).map_err(|_| Errno::EINVAL)?, bytes),
            MIGRATION => self.write_migration_region(offset, bytes, memory)?,
            _ => return Err(Errno::EINVAL),
        }
        Ok(Rung::default())
    }

    /// The client is gone, and its memory with it.
    pub(crate) fn forget_client(&mut self) {
        self.migration_region.dirty_pfns.log.forget(0, u64::MAX);
    }

    /// Counts events.
    pub(crate) fn count_events(&mut self, events: u32) {
        self.registers.events = self.registers.events.wrapping_add(events);
    }

    /// Puts the bytes that the DMA engine read into the result window.
    pub(crate) fn store_result(&mut self, bytes: &[u8]) {
        block::store(&mut self.result, 0, 0, bytes);
    }

    /// Everything as it was at the start.
    pub(crate) fn reset(&mut self, memory: &mut dyn Memory) -> Result<(), Errno> {
        *self = Device::new(self.settings);
        for (index, _) in mappable() {
            memory.region_clear(index)?;
        }
        Ok(())
    }

    fn read_bar0(&mut self, offset: u64, bytes: &mut [u8], memory: &mut dyn Memory) -> Result<(), Errno> {
        let end = offset.saturating_add(bytes.len() as u64);
        if offset < Registers::LAYOUT.size as u64 {
            let mut mirror = [0; 8];
            memory.region_read(BAR1, MIRRORED, &mut mirror)?;
            let registers = Registers { mirror: u64::from_ne_bytes(mirror), ..self.registers };
            block::load(registers.bytes(), 0, offset, bytes);
            let events = Registers::LAYOUT.field("events");
            if events.is_some_and(|field| offset < (field.offset + field.width) as u64 && end > field.offset as u64) {
                self.registers.events = 0;
            }
        }
        block::load(&self.scratch, SCRATCH.0, offset, bytes);
        block::load(&self.result, RESULT.0, offset, bytes);
        block::load(&self.msix_table, MSIX_TABLE.0, offset, bytes);
        Ok(())
    }

    fn write_bar0(&mut self, offset: u64, bytes: &[u8]) -> Rung {
        block::store(&mut self.scratch, SCRATCH.0, offset, bytes);
        block::store(&mut self.msix_table, MSIX_TABLE.0, offset, bytes);
        self.registers.store(block::meet(0, offset).1, bytes)
    }
}

/// What BAR4 holds at that offset.
fn pattern(offset: u64) -> u8 {
    let [low, high, ..] = offset.to_le_bytes();
    low ^ high.wrapping_mul(0x1d)
}
