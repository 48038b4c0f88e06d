//! Memory as the kernel gives it: mapped files of the client's, memfds of the server's own.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, IoSlice, IoSliceMut};
use std::num::NonZeroUsize;
use std::os::fd::OwnedFd;
use std::os::unix::fs::FileExt;
use std::ptr::NonNull;
use std::sync::Arc;

use nix::errno::Errno;
use nix::fcntl::{FallocateFlags, FcntlArg, SealFlag, fallocate, fcntl};
use nix::libc::{c_void, off_t};
use nix::sys::memfd::{MFdFlags, memfd_create};
use nix::sys::mman::{MapFlags, ProtFlags, mmap, munmap};
use nix::sys::uio::{RemoteIoVec, process_vm_readv, process_vm_writev};
use nix::unistd::Pid;

use super::{doorbell, io_region};
use crate::memory::{Access, Memory};
use crate::region::{Region, mappable};

/// The memory of one server process.
#[derive(Debug)]
pub struct HostMemory {
    maps: BTreeMap<u64, Mapping>,
    regions: BTreeMap<u32, Backing>,
}

impl HostMemory {
    /// No maps, and regions that are all zero.
    ///
    /// # Errors
    /// Where the system gives no memfd.
    pub fn new() -> io::Result<HostMemory> {
        let backed = mappable().map(|(index, region)| Backing::new(region).map(|backing| (index, backing)));
        Ok(HostMemory { maps: BTreeMap::new(), regions: backed.collect::<io::Result<_>>()? })
    }

    fn mapping(&self, address: u64) -> Result<&Mapping, Errno> {
        self.maps.get(&address).ok_or(Errno::EFAULT)
    }

    fn backing(&self, region: u32) -> Result<&Backing, Errno> {
        self.regions.get(&region).ok_or(Errno::EINVAL)
    }
}

impl Memory for HostMemory {
    fn map(&mut self, address: u64, fd: OwnedFd, offset: u64, size: u64, access: Access) -> Result<(), Errno> {
        self.maps.insert(address, Mapping::new(&fd, offset, size, access)?);
        Ok(())
    }

    fn unmap(&mut self, address: u64) {
        self.maps.remove(&address);
    }

    fn read(&mut self, address: u64, offset: u64, bytes: &mut [u8]) -> Result<(), Errno> {
        let remote = self.mapping(address)?.range(offset, bytes.len())?;
        let wanted = bytes.len();
        // The kernel copies: where the file was truncated under the map, that is an error and no SIGBUS.
        let copied = process_vm_readv(Pid::this(), &mut [IoSliceMut::new(bytes)], &[remote])?;
        if copied == wanted { Ok(()) } else { Err(Errno::EFAULT) }
    }

    fn write(&mut self, address: u64, offset: u64, bytes: &[u8]) -> Result<(), Errno> {
        let remote = self.mapping(address)?.range(offset, bytes.len())?;
        let copied = process_vm_writev(Pid::this(), &[IoSlice::new(bytes)], &[remote])?;
        if copied == bytes.len() { Ok(()) } else { Err(Errno::EFAULT) }
    }

    fn region_read(&mut self, region: u32, offset: u64, bytes: &mut [u8]) -> Result<(), Errno> {
        let backing = self.backing(region)?;
        backing.file.read_exact_at(bytes, backing.start + offset).map_err(errno)
    }

    fn region_write(&mut self, region: u32, offset: u64, bytes: &[u8]) -> Result<(), Errno> {
        let backing = self.backing(region)?;
        backing.file.write_all_at(bytes, backing.start + offset).map_err(errno)
    }

    fn region_clear(&mut self, region: u32) -> Result<(), Errno> {
        let backing = self.backing(region)?;
        let hole = FallocateFlags::FALLOC_FL_PUNCH_HOLE | FallocateFlags::FALLOC_FL_KEEP_SIZE;
        fallocate(&backing.file, hole, backing.start as off_t, backing.size as off_t)
    }

    fn region_fd(&self, region: u32) -> Option<Arc<OwnedFd>> {
        self.regions.get(&region).map(|backing| Arc::clone(&backing.fd))
    }

    fn doorbell(&mut self) -> Result<Arc<OwnedFd>, Errno> {
        doorbell::new()
    }

    fn rung(&mut self, doorbell: &Arc<OwnedFd>) -> u64 {
        doorbell::rung(doorbell)
    }

    fn io_region(&mut self) -> Result<(Arc<OwnedFd>, Arc<OwnedFd>), Errno> {
        io_region::new()
    }

    fn written(&mut self, ours: &Arc<OwnedFd>) -> u64 {
        io_region::written(ours)
    }
}

fn errno(error: io::Error) -> Errno {
    error.raw_os_error().map_or(Errno::EFAULT, Errno::from_raw)
}

/// The file behind a mappable region.
#[derive(Debug)]
struct Backing {
    /// What clients get.
    fd: Arc<OwnedFd>,
    /// The same file, for accesses by message.
    file: File,
    /// Where the region starts in the file.
    start: u64,
    size: u64,
}

impl Backing {
    /// A file of zeroes. Its size is sealed, for a client that shrank it could make accesses fail.
    fn new(region: &Region) -> io::Result<Backing> {
        let fd = memfd_create(c"vfio-user region", MFdFlags::MFD_CLOEXEC | MFdFlags::MFD_ALLOW_SEALING)?;
        let file = File::from(fd.try_clone()?);
        file.set_len(region.file_offset + region.size)?;
        let seals = SealFlag::F_SEAL_SHRINK | SealFlag::F_SEAL_GROW | SealFlag::F_SEAL_SEAL;
        fcntl(&file, FcntlArg::F_ADD_SEALS(seals))?;
        Ok(Backing { fd: Arc::new(fd), file, start: region.file_offset, size: region.size })
    }
}

/// A mapped piece of a client's file; unmapped when dropped.
#[derive(Debug)]
struct Mapping {
    start: NonNull<c_void>,
    length: NonZeroUsize,
}

impl Mapping {
    fn new(fd: &OwnedFd, offset: u64, size: u64, access: Access) -> Result<Mapping, Errno> {
        let length = usize::try_from(size).ok().and_then(NonZeroUsize::new).ok_or(Errno::EINVAL)?;
        let offset = off_t::try_from(offset).map_err(|_| Errno::EINVAL)?;
        let mut protection = ProtFlags::PROT_NONE;
        protection.set(ProtFlags::PROT_READ, access.readable);
        protection.set(ProtFlags::PROT_WRITE, access.writeable);
        // SAFETY: a new mapping at an address of the kernel's choice changes no memory that Rust knows of, and
        // nothing here ever makes a reference into it.
        let start = unsafe { mmap(None, length, protection, MapFlags::MAP_SHARED, fd, offset)? };
        Ok(Mapping { start, length })
    }

    /// `count` bytes from `offset` on, for process_vm_readv and process_vm_writev.
    fn range(&self, offset: u64, count: usize) -> Result<RemoteIoVec, Errno> {
        let offset = usize::try_from(offset).map_err(|_| Errno::EFAULT)?;
        if offset.checked_add(count).is_none_or(|end| end > self.length.get()) {
            return Err(Errno::EFAULT);
        }
        Ok(RemoteIoVec { base: self.start.as_ptr().addr() + offset, len: count })
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        // SAFETY: the range was mapped by `new`, and nothing refers into it. It is valid, so this cannot fail.
        let _ = unsafe { munmap(self.start, self.length.get()) };
    }
}
