//! The region for migration of older protocols (0.9.1, 1667-1838): registers, and a section for data that a client can map.

use nix::errno::Errno;
use vfio_user_wire::Field;
use vfio_user_wire::device_state::{PRE_COPY, RESUMING, RUNNING, STOP_COPY};
use vfio_user_wire::legacy::{MigrationInfo, MigrationInfoPfn};

use super::dirty_pfns::DirtyPfns;
use super::state_bits::{bits, may_change, state};
use super::{Device, block};
use crate::memory::Memory;
use crate::region::{MIGRATION, MIGRATION_DATA};
use crate::settings::Extra;

/// Where migration data is read and written, which is where the section for data begins.
const DATA: u64 = MIGRATION_DATA.offset;
/// The most of it at one time.
const DATA_SIZE: u64 = 64 << 10;
/// Where bitmaps of dirty pages are, behind that.
pub(super) const BITMAP: u64 = DATA + DATA_SIZE;
/// Bytes of the longest one.
pub(super) const BITMAP_SIZE: u64 = 4 << 10;

/// What the registers remember.
#[derive(Debug, Default)]
pub(crate) struct MigrationRegion {
    /// Bytes that were put in the section for the client to read; `None` since it began a new iteration.
    staged: Option<u64>,
    /// Bytes that came by message since the client last wrote `data_size` or began at the section's start.
    written: u64,
    pub(crate) dirty_pfns: DirtyPfns,
}

/// Which of the states a client reads the device's state in.
fn is_saving(state: u32) -> bool {
    matches!(state, PRE_COPY | STOP_COPY)
}

impl Device {
    /// Reads a register or a part of the section for data.
    pub(super) fn read_migration_region(
        &mut self,
        offset: u64,
        bytes: &mut [u8],
        memory: &mut dyn Memory,
    ) -> Result<(), Errno> {
        if offset >= DATA {
            return memory.region_read(MIGRATION, offset, bytes);
        }
        let Some(register) = self.register(offset, bytes.len())? else {
            bytes.fill(0);
            return Ok(());
        };
        let value = match register.name {
            "device_state" => u64::from(bits(self.state())),
            "pending_bytes" => self.pending_bytes(memory)?,
            "data_offset" => self.data_offset(memory)?,
            "data_size" => self.migration_region.staged.unwrap_or(0),
            "copied_pfns" => self.migration_region.dirty_pfns.copy(memory)?,
            // What is written only.
            _ => return Err(Errno::EINVAL),
        };
        let mut registers = vec![0; MigrationInfoPfn::LAYOUT.size];
        register.write(&mut registers, value);
        block::load(&registers, 0, offset, bytes);
        Ok(())
    }

    /// Writes a register or migration data.
    pub(super) fn write_migration_region(
        &mut self,
        offset: u64,
        bytes: &[u8],
        memory: &mut dyn Memory,
    ) -> Result<(), Errno> {
        if offset >= DATA {
            return self.write_data(offset - DATA, bytes);
        }
        let Some(register) = self.register(offset, bytes.len())? else { return Ok(()) };
        let mut registers = vec![0; MigrationInfoPfn::LAYOUT.size];
        block::store(&mut registers, 0, offset, bytes);
        let value = register.read(&registers).ok_or(Errno::EINVAL)?;
        let region = &mut self.migration_region;
        match register.name {
            "device_state" => self.write_state(value as u32, memory)?,
            "data_size" => self.write_data_size(value, memory)?,
            "start_pfn" => region.dirty_pfns.start_pfn = value,
            "page_size" => region.dirty_pfns.page_size = value,
            "total_pfns" => region.dirty_pfns.total_pfns = value,
            // What is read only.
            _ => return Err(Errno::EINVAL),
        }
        Ok(())
    }

    /// The register that these bytes are; `None` for bytes of `reserved`, access to which is ignored (1774-1775).
    ///
    /// # Errors
    /// EINVAL for what is no register as a whole, nor a part of `reserved`.
    fn register(&self, offset: u64, count: usize) -> Result<Option<&'static Field>, Errno> {
        let layout = match self.settings.with {
            Some(Extra::PfnQuery) => &MigrationInfoPfn::LAYOUT,
            None => &MigrationInfo::LAYOUT,
        };
        let (start, end) = (offset as usize, offset as usize + count);
        let within = |field: &Field| field.offset <= start && end <= field.offset + field.width;
        if layout.field("reserved").is_some_and(within) {
            return Ok(None);
        }
        let field = layout.fields.iter().find(|field| field.offset == start && field.width == count);
        field.map(Some).ok_or(Errno::EINVAL)
    }

    /// 1777-1778, 1804-1811: bytes that are still to come. With it a new iteration begins: what was put in the section has been
    /// read.
    fn pending_bytes(&mut self, memory: &mut dyn Memory) -> Result<u64, Errno> {
        self.migration_region.staged = None;
        self.migration_region.dirty_pfns.told = false;
        if is_saving(self.state()) { Ok(self.saving(memory)?.left() as u64) } else { Ok(0) }
    }

    /// 1813-1817: while the device is being saved the data is there when the reply is.
    fn data_offset(&mut self, memory: &mut dyn Memory) -> Result<u64, Errno> {
        if self.migration_region.dirty_pfns.told {
            return Ok(BITMAP);
        }
        if is_saving(self.state()) && self.migration_region.staged.is_none() {
            let piece = self.saving(memory)?.read(DATA_SIZE as usize);
            memory.region_write(MIGRATION, DATA, &piece)?;
            self.migration_region.staged = Some(piece.len() as u64);
        }
        Ok(DATA)
    }

    /// 1829-1833: migration data by message is taken in at once. A piece begins where the section does, and may come in several
    /// writes.
    fn write_data(&mut self, offset: u64, bytes: &[u8]) -> Result<(), Errno> {
        let (written, end) = (self.migration_region.written, offset + bytes.len() as u64);
        if end > DATA_SIZE || offset != 0 && offset != written {
            return Err(Errno::EINVAL);
        }
        self.loading()?.write(bytes);
        self.migration_region.written = end;
        Ok(())
    }

    /// 1788-1794: how much the client has put in the section. Where that came by message it is known already.
    fn write_data_size(&mut self, size: u64, memory: &mut dyn Memory) -> Result<(), Errno> {
        let written = self.migration_region.written;
        let load = self.loading()?;
        if written == 0 && size <= DATA_SIZE {
            let mut piece = vec![0; size as usize];
            memory.region_read(MIGRATION, DATA, &mut piece)?;
            load.write(&piece);
        } else if size != written {
            return Err(Errno::EINVAL);
        }
        self.migration_region.written = 0;
        Ok(())
    }

    /// 1702-1709: the device is in the new state when this returns. Where that fails it is in the one before it, or in the error
    /// state.
    fn write_state(&mut self, wanted: u32, memory: &mut dyn Memory) -> Result<(), Errno> {
        let from = self.state();
        let to =
            state(wanted).filter(|_| may_change(self.settings.profile, bits(from), wanted)).ok_or(Errno::EINVAL)?;
        if from == RESUMING && to == RUNNING {
            // 1747: a device into which nothing was written runs on as it was.
            self.drop_blank_load();
        }
        self.change_state(to, memory)?;
        // 1826-1827: what the client was about to read in the pre-copy state is still there.
        if from != to && from != PRE_COPY {
            self.migration_region = MigrationRegion::default();
            if is_saving(to) && self.settings.with == Some(Extra::PfnQuery) {
                self.migration_region.dirty_pfns.log.start_everywhere(1)?;
            }
        }
        Ok(())
    }
}
