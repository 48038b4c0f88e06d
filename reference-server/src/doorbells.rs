//! The doorbells that a client can ring without a message (specification 938-957): parts of BAR0, each with a descriptor
//! that takes the writes there.

use std::os::fd::OwnedFd;
use std::sync::Arc;

use nix::errno::Errno;
use vfio_user_wire::{IoEventFd, IoRegionFd, SubRegion, io_event_fd_flags, io_fd_type, io_region_fd_flags, region};

use crate::memory::Memory;

/// A part of BAR0 with an eventfd; `fd_index` is the number of its descriptor.
const fn event(offset: u64, fd_index: u32) -> IoEventFd {
    IoEventFd { offset, size: 0, fd_index, kind: io_fd_type::IOEVENTFD, flags: 0, padding: 0, datamatch: 0 }
}

/// `count_event`, where a 0 does nothing, so that only one value is signalled; `kick0` and `kick1`, which no value and
/// no width makes a difference to, and which ring the same bell; `kick2`, whose writes come as messages that nobody
/// waits for (1080-1082).
const SUB_REGIONS: [SubRegion<'static>; 4] = [
    SubRegion::IoEventFd(IoEventFd { size: 4, flags: io_event_fd_flags::DATAMATCH, datamatch: 1, ..event(0x08, 0) }),
    SubRegion::IoEventFd(event(0x40, 1)),
    SubRegion::IoEventFd(event(0x44, 1)),
    SubRegion::IoRegionFd(IoRegionFd {
        offset: 0x48,
        size: 0,
        fd_index: 2,
        kind: io_fd_type::IOREGIONFD,
        flags: io_region_fd_flags::POSTED_WRITES,
        padding: 0,
        user_data: 0x48,
    }),
];

/// The sub-regions of a region of which the descriptors are among the first `fds`, with the number of each one's.
pub(crate) fn sub_regions(region: u32, fds: u64) -> impl Iterator<Item = (&'static [u8], usize)> {
    let known = SUB_REGIONS.iter().filter_map(|sub_region| match sub_region {
        SubRegion::IoEventFd(event) => Some((event.bytes(), event.fd_index as usize)),
        SubRegion::IoRegionFd(region) => Some((region.bytes(), region.fd_index as usize)),
        SubRegion::Unknown { .. } => None,
    });
    known.filter(move |(_, fd_index)| region == region::BAR0 && (*fd_index as u64) < fds)
}

/// The descriptors of one client, none before it asks for them. Nobody but that client can use them.
#[derive(Debug, Default)]
pub(crate) struct Doorbells {
    bells: Vec<Bell>,
}

/// What a descriptor is.
#[derive(Debug)]
enum Bell {
    /// An eventfd.
    Event(Arc<OwnedFd>),
    /// A socket whose other end is the client's.
    Messages { ours: Arc<OwnedFd>, clients: Arc<OwnedFd> },
}

impl Doorbells {
    /// The first `count` of them.
    pub(crate) fn fds(&mut self, count: usize, memory: &mut dyn Memory) -> Result<Vec<Arc<OwnedFd>>, Errno> {
        while self.bells.len() < count {
            self.bells.push(match self.bells.len() {
                0 | 1 => Bell::Event(memory.doorbell()?),
                _ => {
                    let (ours, clients) = memory.io_region()?;
                    Bell::Messages { ours, clients }
                }
            });
        }
        let fds = self.bells.iter().map(|bell| match bell {
            Bell::Event(fd) | Bell::Messages { clients: fd, .. } => Arc::clone(fd),
        });
        Ok(fds.take(count).collect())
    }

    /// How many events they bring since this was asked last.
    pub(crate) fn rung(&self, memory: &mut dyn Memory) -> u32 {
        let rung = self.bells.iter().map(|bell| match bell {
            Bell::Event(fd) => memory.rung(fd),
            Bell::Messages { ours, .. } => memory.written(ours),
        });
        // What wraps around in a register of 32 bits anyway.
        rung.fold(0, u64::wrapping_add) as u32
    }
}
