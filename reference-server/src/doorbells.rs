//! The doorbells that a client can ring without a message (specification 938-957): parts of BAR0, each with an eventfd
//! that takes the writes there.

use std::os::fd::OwnedFd;
use std::sync::Arc;

use nix::errno::Errno;
use vfio_user_wire::{IoEventFd, io_event_fd_flags, io_fd_type, region};

use crate::memory::Memory;

/// One part of BAR0; `fd_index` is the number of its eventfd.
const fn sub_region(offset: u64, fd_index: u32) -> IoEventFd {
    IoEventFd { offset, size: 0, fd_index, kind: io_fd_type::IOEVENTFD, flags: 0, padding: 0, datamatch: 0 }
}

/// `count_event`, where a 0 does nothing, so that only one value is signalled; `kick0` and `kick1`, which no value and
/// no width makes a difference to, and which ring the same bell.
const SUB_REGIONS: [IoEventFd; 3] = [
    IoEventFd { size: 4, flags: io_event_fd_flags::DATAMATCH, datamatch: 1, ..sub_region(0x08, 0) },
    sub_region(0x40, 1),
    sub_region(0x44, 1),
];

/// How many eventfds there are.
const COUNT: usize = 2;

/// The sub-regions of a region of which the eventfds are among the first `fds`.
pub(crate) fn sub_regions(region: u32, fds: u64) -> impl Iterator<Item = &'static IoEventFd> {
    SUB_REGIONS.iter().filter(move |sub_region| region == region::BAR0 && u64::from(sub_region.fd_index) < fds)
}

/// The eventfds of one client, none before it asks for them. Nobody but that client can ring them.
#[derive(Debug, Default)]
pub(crate) struct Doorbells {
    fds: Vec<Arc<OwnedFd>>,
}

impl Doorbells {
    /// The first `count` of them.
    pub(crate) fn fds(&mut self, count: usize, memory: &mut dyn Memory) -> Result<Vec<Arc<OwnedFd>>, Errno> {
        while self.fds.len() < count.min(COUNT) {
            self.fds.push(memory.doorbell()?);
        }
        Ok(self.fds.iter().take(count).cloned().collect())
    }

    /// How many events they bring since this was asked last.
    pub(crate) fn rung(&self, memory: &mut dyn Memory) -> u32 {
        let rung: u64 = self.fds.iter().map(|fd| memory.rung(fd)).fold(0, u64::wrapping_add);
        // What wraps around in a register of 32 bits anyway.
        rung as u32
    }
}
