//! Dirty pages asked for by page number, in registers of the migration region. They were proposed for the kernel's region, which
//! never had them (patch "vfio: header for vfio live migration region", January 2020).

use nix::errno::Errno;
use vfio_user_wire::legacy::dirty_pfns;
use vfio_user_wire::{bitmap_size, dirty_pages};

use super::migration_region::{BITMAP, BITMAP_SIZE};
use crate::dirty_log::{DirtyLog, bounds};
use crate::memory::Memory;
use crate::region::MIGRATION;

/// The registers, and the log behind them.
#[derive(Debug, Default)]
pub(crate) struct DirtyPfns {
    /// What the device wrote since it is being saved.
    pub(crate) log: DirtyLog,
    pub(super) start_pfn: u64,
    pub(super) page_size: u64,
    pub(super) total_pfns: u64,
    /// A bitmap is in its place.
    pub(super) told: bool,
}

impl DirtyPfns {
    /// Reads `copied_pfns`: puts the bitmap of as many of the pages as there is room for in its place, and says how many.
    ///
    /// # Errors
    /// EINVAL for a range that is none, and on a device that is not being saved.
    pub(super) fn copy(&mut self, memory: &mut dyn Memory) -> Result<u64, Errno> {
        self.told = false;
        let DirtyPfns { start_pfn, page_size, total_pfns, .. } = *self;
        if !page_size.is_power_of_two() || !self.log.is_on() {
            return Err(Errno::EINVAL);
        }
        let range = start_pfn.checked_mul(page_size).zip(total_pfns.checked_mul(page_size));
        let (first, last) = range.and_then(|(iova, length)| bounds(iova, length)).ok_or(Errno::EINVAL)?;
        if !self.log.has_any(first, last) {
            return Ok(dirty_pfns::NONE);
        }
        let copied = total_pfns.min(BITMAP_SIZE * 8);
        let length = copied * page_size;
        let size = bitmap_size(length, page_size).ok_or(Errno::EINVAL)?;
        let bitmap = self.log.take_bitmap(first, first + (length - 1), page_size, size)?;
        if copied == total_pfns && dirty_pages(&bitmap).count() as u64 == total_pfns {
            return Ok(dirty_pfns::ALL);
        }
        memory.region_write(MIGRATION, BITMAP, &bitmap)?;
        self.told = true;
        Ok(copied)
    }
}
