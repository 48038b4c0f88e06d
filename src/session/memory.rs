//! The memory that the client lends to the device, and the serving of DMA_READ and DMA_WRITE from it.
//!
//! By pread and pwrite: a mapping of the harness would keep a memfd from being sealed.

use std::os::fd::OwnedFd;
use std::sync::Arc;

use nix::errno::Errno;
use vfio_user_wire::message::DmaAccess;

/// The most that is read at one time, in bytes: more than any case lets a device transfer.
const MOST: u64 = 4 << 20;

/// A range of IOVAs that the client has mapped.
#[derive(Debug, Clone)]
pub struct LentRange {
    /// First IOVA.
    pub address: u64,
    /// Bytes.
    pub size: u64,
    /// readable (1), writeable (2).
    pub flags: u32,
    /// The file behind it, and the offset of the range in it; without one it reads as zeroes and forgets writes.
    pub file: Option<(Arc<OwnedFd>, u64)>,
}

impl LentRange {
    fn end(&self) -> u128 {
        u128::from(self.address) + u128::from(self.size)
    }

    fn contains(&self, address: u64) -> bool {
        address >= self.address && u128::from(address) < self.end()
    }
}

/// All ranges that the client has mapped now.
#[derive(Debug, Default)]
pub struct ClientMemory {
    ranges: Vec<LentRange>,
    /// Of a table that failed, and may have failed in part (version 8 at 595dff9, 580-583).
    perhaps: Vec<LentRange>,
}

impl ClientMemory {
    /// A map that the server accepted, or may have.
    pub fn lend(&mut self, range: LentRange) {
        self.ranges.push(range);
    }

    /// The map is gone.
    pub fn take_back(&mut self, address: u64, size: u64) {
        let is = |range: &LentRange| range.address == address && range.size == size;
        if let Some(at) = self.ranges.iter().position(is) {
            self.ranges.remove(at);
        }
        self.perhaps.retain(|range| !is(range));
    }

    /// Maps that were refused after all: of each the last one lent with its address and size, an earlier one stays. Of
    /// several some may be there.
    pub fn refused(&mut self, refused: &[LentRange]) {
        for refused in refused {
            let is = |range: &LentRange| range.address == refused.address && range.size == refused.size;
            if let Some(at) = self.ranges.iter().rposition(is) {
                self.ranges.remove(at);
            }
        }
        if refused.len() > 1 {
            self.perhaps.extend_from_slice(refused);
        }
    }

    /// What the device may do with every byte of the range, readable (1) and writeable (2); `None` where a byte lies in
    /// no current map.
    pub fn access(&self, address: u64, count: u64) -> Option<u32> {
        let pieces = self.pieces(address, count)?;
        Some(pieces.iter().fold(3, |flags, (range, ..)| flags & range.flags))
    }

    /// What DMA_READ asks for.
    ///
    /// # Errors
    /// EFAULT for an address that is not lent, as QEMU's clients answer an error for it.
    pub fn read(&self, access: &DmaAccess) -> Result<Vec<u8>, Errno> {
        let (address, count) = (access.address, access.count);
        let pieces = self.pieces(address, count).ok_or(Errno::EFAULT)?;
        let mut data = Vec::new();
        for (range, from, length) in pieces {
            let start = data.len();
            data.resize(start + length, 0);
            if let Some((file, offset)) = &range.file {
                let at = offset.checked_add(from - range.address).ok_or(Errno::EFAULT)?;
                read_at(file, data.get_mut(start..).unwrap_or_default(), at)?;
            }
        }
        Ok(data)
    }

    /// Does what DMA_WRITE asks.
    ///
    /// # Errors
    /// EFAULT for an address that is not lent.
    pub fn write(&self, access: &DmaAccess, data: &[u8]) -> Result<(), Errno> {
        let (address, count) = (access.address, access.count);
        if count != data.len() as u64 {
            return Err(Errno::EINVAL);
        }
        let mut rest = data;
        for (range, from, length) in self.pieces(address, count).ok_or(Errno::EFAULT)? {
            let (now, later) = rest.split_at(length.min(rest.len()));
            if let Some((file, offset)) = &range.file {
                let at = offset.checked_add(from - range.address).ok_or(Errno::EFAULT)?;
                write_at(file, now, at)?;
            }
            rest = later;
        }
        Ok(())
    }

    /// The parts of `count` bytes at `address`, each inside one range; `None` where a byte is lent by none, or where
    /// there are more than a message can carry.
    fn pieces(&self, address: u64, count: u64) -> Option<Vec<(&LentRange, u64, usize)>> {
        if count > MOST {
            return None;
        }
        let mut pieces = Vec::new();
        let (mut at, mut left) = (address, count);
        while left > 0 {
            let range = self.ranges.iter().chain(self.perhaps.iter().rev()).find(|range| range.contains(at))?;
            let here = u128::from(left).min(range.end() - u128::from(at)) as u64;
            pieces.push((range, at, here as usize));
            left -= here;
            if left > 0 {
                at = at.checked_add(here)?;
            }
        }
        Some(pieces)
    }
}

/// Reads all of it; by the descriptor that is there, since another one may not be to be had.
fn read_at(file: &OwnedFd, mut buffer: &mut [u8], mut at: u64) -> Result<(), Errno> {
    while !buffer.is_empty() {
        let offset = i64::try_from(at).map_err(|_| Errno::EFAULT)?;
        match nix::sys::uio::pread(file, buffer, offset) {
            Ok(0) => return Err(Errno::EFAULT),
            Ok(read) => {
                buffer = buffer.split_at_mut(read.min(buffer.len())).1;
                at += read as u64;
            }
            Err(Errno::EINTR) => {}
            Err(_) => return Err(Errno::EFAULT),
        }
    }
    Ok(())
}

fn write_at(file: &OwnedFd, mut data: &[u8], mut at: u64) -> Result<(), Errno> {
    while !data.is_empty() {
        let offset = i64::try_from(at).map_err(|_| Errno::EFAULT)?;
        match nix::sys::uio::pwrite(file, data, offset) {
            Ok(written) => {
                data = data.split_at(written.min(data.len())).1;
                at += written as u64;
            }
            Err(Errno::EINTR) => {}
            Err(_) => return Err(Errno::EFAULT),
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_more_is_read_at_one_time_than_any_case_lends() {
        let mut memory = ClientMemory::default();
        memory.lend(LentRange { address: 0x1000, size: 1 << 40, flags: 3, file: None });
        let read = |count| memory.read(&DmaAccess { address: 0x1000, count }).map(|data| data.len() as u64);
        assert_eq!(read(MOST), Ok(MOST));
        assert_eq!(read(MOST + 1), Err(Errno::EFAULT));
    }
}
