//! What the server shares with its client: maps of the client's memory, mappable regions and doorbells of its own.

use std::os::fd::OwnedFd;
use std::sync::Arc;

use nix::errno::Errno;

/// What the device may do with a DMA map.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Access {
    /// The device may read the memory.
    pub readable: bool,
    /// The device may write the memory.
    pub writeable: bool,
}

/// Performs at once what the machine must know the outcome of. A map is named by its first IOVA.
pub trait Memory {
    /// Maps `size` bytes of the file behind `fd`, from `offset` on. The descriptor itself need not be kept.
    ///
    /// # Errors
    /// The errno for the reply to DMA_MAP.
    fn map(&mut self, address: u64, fd: OwnedFd, offset: u64, size: u64, access: Access) -> Result<(), Errno>;

    /// Lets go of a map and of everything held for it.
    fn unmap(&mut self, address: u64);

    /// Copies out of a map, from `offset` bytes into it.
    ///
    /// # Errors
    /// Where the file behind the map has no such bytes any more.
    fn read(&mut self, address: u64, offset: u64, bytes: &mut [u8]) -> Result<(), Errno>;

    /// Copies into a map, at `offset` bytes into it.
    ///
    /// # Errors
    /// Where the file behind the map has no such bytes any more.
    fn write(&mut self, address: u64, offset: u64, bytes: &[u8]) -> Result<(), Errno>;

    /// Reads bytes of a mappable region, as a client that mapped it sees them.
    ///
    /// # Errors
    /// Where the region has no such bytes.
    fn region_read(&mut self, region: u32, offset: u64, bytes: &mut [u8]) -> Result<(), Errno>;

    /// Writes bytes of a mappable region.
    ///
    /// # Errors
    /// Where the region has no such bytes.
    fn region_write(&mut self, region: u32, offset: u64, bytes: &[u8]) -> Result<(), Errno>;

    /// Sets all of a mappable region to zero.
    ///
    /// # Errors
    /// Where the region is not mappable.
    fn region_clear(&mut self, region: u32) -> Result<(), Errno>;

    /// The descriptor that a client maps the region by; `None` for a region that is not mappable.
    fn region_fd(&self, region: u32) -> Option<Arc<OwnedFd>>;

    /// A new eventfd, for a client that rings a doorbell without a message.
    ///
    /// # Errors
    /// Where the system gives none.
    fn doorbell(&mut self) -> Result<Arc<OwnedFd>, Errno>;

    /// A new ioregionfd, ours and the client's end, for a client that writes without a message of this protocol.
    ///
    /// # Errors
    /// Where the system gives none.
    fn io_region(&mut self) -> Result<(Arc<OwnedFd>, Arc<OwnedFd>), Errno>;

    /// How many writes have come on our end of an ioregionfd since this was asked last. It never waits.
    fn written(&mut self, ours: &Arc<OwnedFd>) -> u64;

    /// How often that doorbell was rung since this was asked last. It never waits, whatever the client did to the
    /// descriptor.
    fn rung(&mut self, doorbell: &Arc<OwnedFd>) -> u64;
}
