//! `< mapped`: the contents of a region, by mmap() of the descriptor that its info reply carried.

use std::io::{IoSlice, IoSliceMut};
use std::num::NonZeroUsize;
use std::os::fd::AsFd;

use nix::sys::mman::{MapFlags, ProtFlags, mmap, munmap};
use nix::sys::stat::{SFlag, fstat};
use nix::sys::uio::{RemoteIoVec, process_vm_readv, process_vm_writev};
use vfio_user_wire::message::RegionInfo;
use vfio_user_wire::{CapabilityBody, capabilities, region_info_flags};

use crate::case::{Argument, Bytes, Name, Value};
use crate::session::is_want;
use crate::verdict::Evidence;

use super::judge::Line;
use super::{Fault, Player, Stop};

/// The most that is mapped at one time.
const MOST: u64 = 1 << 30;

impl Player<'_> {
    /// Maps `length` bytes (the whole region where it is left out) at `offset` of the region, stores `store` there if
    /// given, and compares with `wanted` if given.
    pub(super) fn expect_mapped(
        &mut self,
        line: Line<'_>,
        label: &Name,
        arguments: &[Argument],
        wanted: Option<&Bytes>,
    ) -> Result<(), Stop> {
        let integer = |player: &Self, key: &str| match arguments.iter().find(|argument| argument.key.value == key) {
            Some(argument) => player.environment.field(None, &argument.value, &player.talk).map(Some),
            None => Ok(None),
        };
        let wanted = wanted.map(|bytes| self.environment.bytes(bytes, &self.talk)).transpose()?;
        let store =
            match arguments.iter().find(|argument| argument.key.value == "store").map(|argument| &argument.value.value)
            {
                Some(Value::Bytes(bytes)) => Some(self.environment.bytes(bytes, &self.talk)?),
                _ => None,
            };
        if store.is_some() {
            self.talk.ends.iter_mut().for_each(|end| end.session.forget_scratch());
        }
        let answer = super::environment::answer_of(&self.talk, &label.value)
            .ok_or_else(|| Fault::of_target(format!("`{}` has no reply", label.value)))?;
        let (info, _) = RegionInfo::parse(&answer.payload)
            .ok_or_else(|| Fault::of_target(format!("what answered `{}` is no region info", label.value)))?;
        let offset = integer(self, "offset")?.unwrap_or(0);
        if let Some(bytes) = wanted.as_ref().or(store.as_ref())
            && !can_be_mapped(&answer.payload, &info, offset, bytes.len() as u64)
        {
            return Err(Stop::Skip(format!("the region says that offset {offset:#x} of it cannot be mapped")));
        }
        let span = wanted.as_ref().or(store.as_ref()).map_or(info.size, |bytes| bytes.len() as u64);
        let length = integer(self, "length")?.unwrap_or(span).min(MOST);
        let Some(fd) = answer.fds.first() else {
            let expected = "a file descriptor to map".to_owned();
            return self.conclude(line, false, &expected, || "none came".to_owned(), Evidence::Received);
        };
        // A mapping starts on a page: the rest of the offset is skipped inside it.
        let start = info.offset.wrapping_add(offset);
        let (page, skip) = (start & !0xfff, (start & 0xfff) as usize);
        let expected = format!("mmap() of {length:#x} bytes at {start:#x} of the region's descriptor");
        // Only what the region allows: the descriptor may be open for reading alone.
        let write = store.is_some() || info.flags & region_info_flags::WRITE != 0;
        let mapped = Mapping::new(fd.as_fd(), page, length as usize + skip, write);
        let mapping = match mapped {
            Ok(mapping) => mapping,
            Err(error) if is_want(Some(error as i32)) => return Err(std::io::Error::from(error).into()),
            Err(error) => {
                return self.conclude(line, false, &expected, || format!("it fails with {error}"), Evidence::Received);
            }
        };
        if let Some(end) = file_end(fd.as_fd()).filter(|end| start.saturating_add(length) > *end) {
            return self.conclude(line, false, &expected, || format!("its file ends at {end:#x}"), Evidence::Received);
        }
        if let Some(store) = &store
            && let Err(error) = mapping.write(skip, store)
        {
            return self.conclude(
                line,
                false,
                "a store into the mapping",
                || format!("it fails with {error}"),
                Evidence::Received,
            );
        }
        let Some(wanted) = wanted else {
            return self.conclude(line, true, "", String::new, Evidence::Received);
        };
        let mut got = vec![0; wanted.len()];
        if let Err(error) = mapping.read(skip, &mut got) {
            return self.conclude(
                line,
                false,
                "a load from the mapping",
                || format!("it fails with {error}"),
                Evidence::Received,
            );
        }
        let brief = |bytes: &[u8]| crate::session::hex(bytes.get(..bytes.len().min(16)).unwrap_or_default());
        let expected = format!("{} at {offset:#x} of the mapped region", brief(&wanted));
        self.conclude(line, got == wanted, &expected, || format!("{} is there", brief(&got)), Evidence::Received)
    }
}

/// Whether the sparse areas of a region, where it has some, hold so many bytes.
fn can_be_mapped(payload: &[u8], info: &RegionInfo, offset: u64, length: u64) -> bool {
    let chain = capabilities(payload, info.cap_offset).unwrap_or_default().into_iter();
    let areas = chain.filter_map(|capability| match capability.body {
        CapabilityBody::SparseMmap { areas, .. } => Some(areas),
        _ => None,
    });
    let areas: Vec<_> = areas.flatten().collect();
    let inside = |start: u64, size: u64| offset >= start && (offset - start).saturating_add(length) <= size;
    areas.is_empty() || areas.into_iter().any(|area| inside(area.offset, area.size))
}

/// Where the last page of a file ends, behind which a mapping of it faults; `None` for what is no file.
fn file_end(fd: std::os::fd::BorrowedFd<'_>) -> Option<u64> {
    let stat = fstat(fd).ok()?;
    let regular = SFlag::from_bits_truncate(stat.st_mode) & SFlag::S_IFMT == SFlag::S_IFREG;
    u64::try_from(stat.st_size).ok().filter(|_| regular).map(|size| size.next_multiple_of(0x1000))
}

/// A shared mapping, read and written through the kernel: a file that the server truncates under it gives an error
/// instead of a SIGBUS.
struct Mapping {
    address: std::ptr::NonNull<std::ffi::c_void>,
    length: usize,
}

impl Mapping {
    fn new(fd: std::os::fd::BorrowedFd<'_>, offset: u64, length: usize, write: bool) -> nix::Result<Mapping> {
        let length = NonZeroUsize::new(length).ok_or(nix::errno::Errno::EINVAL)?;
        let offset = i64::try_from(offset).map_err(|_| nix::errno::Errno::EOVERFLOW)?;
        let protection = if write { ProtFlags::PROT_READ | ProtFlags::PROT_WRITE } else { ProtFlags::PROT_READ };
        // SAFETY: the kernel chooses the address, so no memory in use is replaced; the mapping is only reached through
        // process_vm_readv and process_vm_writev.
        let address = unsafe { mmap(None, length, protection, MapFlags::MAP_SHARED, fd, offset) }?;
        Ok(Mapping { address, length: length.get() })
    }

    fn remote(&self, offset: usize, length: usize) -> nix::Result<RemoteIoVec> {
        let end = offset.checked_add(length).filter(|end| *end <= self.length).ok_or(nix::errno::Errno::EFAULT)?;
        Ok(RemoteIoVec { base: self.address.as_ptr() as usize + end - length, len: length })
    }

    fn read(&self, offset: usize, into: &mut [u8]) -> nix::Result<()> {
        let (length, remote) = (into.len(), self.remote(offset, into.len())?);
        let read = process_vm_readv(nix::unistd::getpid(), &mut [IoSliceMut::new(into)], &[remote])?;
        if read == length { Ok(()) } else { Err(nix::errno::Errno::EFAULT) }
    }

    fn write(&self, offset: usize, from: &[u8]) -> nix::Result<()> {
        let remote = self.remote(offset, from.len())?;
        let written = process_vm_writev(nix::unistd::getpid(), &[IoSlice::new(from)], &[remote])?;
        if written == from.len() { Ok(()) } else { Err(nix::errno::Errno::EFAULT) }
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        // SAFETY: address and length are those of the mapping made in `new`, and nothing refers to it.
        let unmapped = unsafe { munmap(self.address, self.length) };
        debug_assert!(unmapped.is_ok());
    }
}
