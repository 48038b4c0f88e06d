//! The windows of client memory that the device may access.

use std::collections::BTreeMap;

use nix::errno::Errno;
use vfio_user_wire::DEFAULT_MAX_DMA_MAPS;

use crate::memory::Access;

/// Every map is a whole number of these.
pub(crate) const PAGE: u64 = 4096;

/// One window.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Map {
    /// First IOVA.
    pub(crate) address: u64,
    /// Last IOVA: the window at the end of the address space has no end that a u64 can hold.
    pub(crate) last: u64,
    /// What the device may do.
    pub(crate) access: Access,
    /// It came with a descriptor and is mapped here; otherwise it is reached by message.
    pub(crate) direct: bool,
}

impl Map {
    /// A window of `size` bytes.
    ///
    /// # Errors
    /// EINVAL where it is empty, not made of pages, or wraps past 2^64.
    pub(crate) fn new(address: u64, size: u64, access: Access, direct: bool) -> Result<Map, Errno> {
        if size == 0 || !size.is_multiple_of(PAGE) || !address.is_multiple_of(PAGE) {
            return Err(Errno::EINVAL);
        }
        let last = address.checked_add(size - 1).ok_or(Errno::EINVAL)?;
        Ok(Map { address, last, access, direct })
    }
}

/// All windows, by their first IOVA.
#[derive(Debug, Default)]
pub(crate) struct DmaTable {
    maps: BTreeMap<u64, Map>,
}

impl DmaTable {
    /// Whether `map` can be added.
    ///
    /// # Errors
    /// EEXIST over an existing window (specification 653-655), ENOSPC where the table is full.
    pub(crate) fn admits(&self, map: &Map) -> Result<(), Errno> {
        // Windows do not overlap, so the one that starts last before the new one's end also ends last.
        let before_end = self.maps.range(..=map.last).next_back();
        if before_end.is_some_and(|(_, other)| other.last >= map.address) {
            return Err(Errno::EEXIST);
        }
        if self.maps.len() as u64 >= DEFAULT_MAX_DMA_MAPS {
            return Err(Errno::ENOSPC);
        }
        Ok(())
    }

    /// Adds a window that the table admits.
    pub(crate) fn insert(&mut self, map: Map) {
        self.maps.insert(map.address, map);
    }

    /// Removes the window that is exactly these bytes.
    ///
    /// # Errors
    /// ENOENT where there is none (693-694).
    pub(crate) fn remove(&mut self, address: u64, size: u64) -> Result<Map, Errno> {
        self.exactly(address, size)?;
        self.maps.remove(&address).ok_or(Errno::ENOENT)
    }

    /// There is a window that is exactly these bytes.
    ///
    /// # Errors
    /// ENOENT where there is none.
    pub(crate) fn exactly(&self, address: u64, size: u64) -> Result<(), Errno> {
        let map = self.maps.get(&address).ok_or(Errno::ENOENT)?;
        let last = size.checked_sub(1).and_then(|size| address.checked_add(size));
        if last == Some(map.last) { Ok(()) } else { Err(Errno::ENOENT) }
    }

    /// Removes all windows.
    pub(crate) fn remove_all(&mut self) -> Vec<Map> {
        std::mem::take(&mut self.maps).into_values().collect()
    }

    /// The window that holds the byte at `iova`.
    pub(crate) fn covering(&self, iova: u64) -> Option<&Map> {
        self.maps.range(..=iova).next_back().map(|(_, map)| map).filter(|map| map.last >= iova)
    }

    /// The addresses of the windows that are mapped here.
    pub(crate) fn direct(&self) -> Vec<u64> {
        self.maps.values().filter(|map| map.direct).map(|map| map.address).collect()
    }
}
