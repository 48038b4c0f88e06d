//! The sub-regions behind a reply to DEVICE_GET_REGION_IO_FDS (specification 997-1097).

use std::iter::Take;
use std::slice::ChunksExact;

use crate::io_fd::io_fd_type;
use crate::layout;
use crate::message::RegionIoFds;

layout! {
    /// A sub-region whose writes signal an ioeventfd. Its type is [`io_fd_type::IOEVENTFD`].
    pub struct IoEventFd: 40 {
        /// Offset in the region, bytes.
        offset: u64 @ 0,
        /// Bytes; 0 where the width of an access does not matter.
        size: u64 @ 8,
        /// Which of the descriptors that came with the reply; sub-regions may share one.
        fd_index: u32 @ 16,
        /// The type, ioeventfd: 0.
        kind: u32 @ 20,
        /// Those of KVM_IOEVENTFD: only writes of `datamatch`, an I/O port, a virtio-ccw device.
        flags: u32 @ 24 { datamatch = 0x1, pio = 0x2, virtio_ccw_notify = 0x8 },
        /// Unused.
        padding: u32 @ 28,
        /// The value that has to be written.
        datamatch: u64 @ 32,
    }
}

layout! {
    /// A sub-region whose accesses become messages on an ioregionfd. Its type is [`io_fd_type::IOREGIONFD`].
    pub struct IoRegionFd: 40 {
        /// Offset in the region, bytes.
        offset: u64 @ 0,
        /// Bytes; 0, with `posted_writes`, where the width of an access does not matter.
        size: u64 @ 8,
        /// Which of the descriptors that came with the reply; sub-regions may share one.
        fd_index: u32 @ 16,
        /// The type, ioregionfd: 1.
        kind: u32 @ 20,
        /// Those of KVM_SET_IOREGION as it was proposed: an I/O port, writes that nobody waits for.
        flags: u32 @ 24 { pio = 0x1, posted_writes = 0x2 },
        /// Unused.
        padding: u32 @ 28,
        /// What the messages on the descriptor carry back to the server.
        user_data: u64 @ 32,
    }
}

/// A sub-region.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SubRegion<'a> {
    /// With an ioeventfd.
    IoEventFd(IoEventFd),
    /// With an ioregionfd.
    IoRegionFd(IoRegionFd),
    /// Of a type that this protocol does not define.
    Unknown {
        /// The type.
        kind: u32,
        /// The whole entry.
        bytes: &'a [u8],
    },
}

impl SubRegion<'_> {
    /// The least that a sub-region takes, in bytes.
    pub const SIZE: usize = 40;

    /// The sub-region in an entry's `bytes`; `None` where they are fewer than 40. Bytes behind those belong to no
    /// field.
    pub fn parse(bytes: &[u8]) -> Option<SubRegion<'_>> {
        let (event, _) = IoEventFd::parse(bytes)?;
        match event.kind {
            io_fd_type::IOEVENTFD => Some(SubRegion::IoEventFd(event)),
            io_fd_type::IOREGIONFD => IoRegionFd::parse(bytes).map(|(region, _)| SubRegion::IoRegionFd(region)),
            kind => Some(SubRegion::Unknown { kind, bytes }),
        }
    }
}

/// What is wrong with the array that `argsz` and `count` of a reply tell of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum StrideError {
    /// `argsz` has no room for the fixed part.
    #[error("argsz is {0}, less than the 16 bytes of the fixed part")]
    NoFixedPart(u32),
    /// The array cannot be divided into that many entries.
    #[error("an array of {array} bytes does not divide into {count} sub-regions")]
    Uneven {
        /// Bytes of the array.
        array: u32,
        /// How many entries there should be.
        count: u32,
    },
    /// The entries are too small for a sub-region.
    #[error("a sub-region takes 40 bytes, an entry has {0}")]
    Narrow(u32),
}

impl RegionIoFds {
    /// Bytes from one sub-region of this reply to the next: what `argsz` has room for behind the fixed part, divided by
    /// `count`; 40 where there are no sub-regions. The formula of the specification (998-999) takes 32 bytes off, but
    /// the fixed part has 16.
    ///
    /// # Errors
    /// Where the division leaves a rest, or less than a sub-region.
    pub fn stride(&self) -> Result<usize, StrideError> {
        let (argsz, count) = (self.argsz, self.count);
        let array = argsz.checked_sub(RegionIoFds::LAYOUT.size as u32).ok_or(StrideError::NoFixedPart(argsz))?;
        match (array.checked_div(count), array.checked_rem(count)) {
            (None, _) if array == 0 => Ok(SubRegion::SIZE),
            (Some(stride), Some(0)) if stride as usize >= SubRegion::SIZE => Ok(stride as usize),
            (Some(stride), Some(0)) => Err(StrideError::Narrow(stride)),
            _ => Err(StrideError::Uneven { array, count }),
        }
    }
}

/// The sub-regions behind the fixed part of a reply. They are read as they are asked for: nothing is allocated.
#[derive(Debug, Clone)]
pub struct SubRegions<'a> {
    entries: Take<ChunksExact<'a, u8>>,
}

impl<'a> SubRegions<'a> {
    /// The sub-regions in `tail`, `stride` bytes apart, which is at the least 40: `count` of them, or fewer where
    /// `tail` holds fewer whole ones, as in a reply that had no room for them.
    pub fn new(tail: &'a [u8], stride: usize, count: u32) -> SubRegions<'a> {
        SubRegions { entries: tail.chunks_exact(stride.max(SubRegion::SIZE)).take(count as usize) }
    }
}

impl<'a> Iterator for SubRegions<'a> {
    type Item = SubRegion<'a>;

    fn next(&mut self) -> Option<SubRegion<'a>> {
        self.entries.next().and_then(SubRegion::parse)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        self.entries.size_hint()
    }
}

impl ExactSizeIterator for SubRegions<'_> {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn argsz_tells_how_large_an_entry_is() {
        let stride = |argsz, count| RegionIoFds { argsz, count, ..RegionIoFds::default() }.stride();
        assert_eq!(stride(96, 2), Ok(40));
        assert_eq!(stride(112, 2), Ok(48));
        assert_eq!(stride(16, 0), Ok(40));
        assert_eq!(stride(56, 0), Err(StrideError::Uneven { array: 40, count: 0 }));
        assert_eq!(stride(97, 2), Err(StrideError::Uneven { array: 81, count: 2 }));
        assert_eq!(stride(94, 2), Err(StrideError::Narrow(39)));
        assert_eq!(stride(15, 0), Err(StrideError::NoFixedPart(15)));
    }

    #[test]
    fn there_are_as_many_as_there_are_whole_ones() {
        let sub_regions = SubRegions::new(&[0; 90], 40, 3);
        assert_eq!((sub_regions.len(), sub_regions.count()), (2, 2));
        assert_eq!(SubRegions::new(&[0; 90], 40, 1).len(), 1);
    }
}
