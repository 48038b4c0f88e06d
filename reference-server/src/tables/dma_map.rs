//! DMA_MAP with a table (502-590).

use std::os::fd::OwnedFd;

use nix::errno::Errno;
use vfio_user_wire::message;
use vfio_user_wire::tables::{DmaMap, dma_map_entries};

use crate::answer::Answer;
use crate::command::dma_map as current;
use crate::dma_table::DmaTable;
use crate::memory::Memory;
use crate::settings::{Profile, Settings};

/// The flag of an entry that has a descriptor.
const MAPPABLE: u32 = 1;
/// Protections of `sys/mman.h`: a device that executes what it reads is none of this server's business. 0.9.1 supports the other
/// two alone (at cda5e5f^, 561-562).
const READ_WRITE: u32 = 3;
const EXEC: u32 = 4;

/// Adds windows of client memory: all of the table's, or none (580-589).
pub(super) fn dma_map(
    settings: Settings,
    maps: &mut DmaTable,
    payload: &[u8],
    fds: Vec<OwnedFd>,
    memory: &mut dyn Memory,
) -> Result<Answer, Errno> {
    let (entries, rest) = dma_map_entries(payload);
    let mappable = entries.iter().filter(|entry| entry.flags & MAPPABLE != 0).count();
    // 571-573: each mappable entry has its own descriptor.
    if !rest.is_empty() || mappable != fds.len() {
        return Err(Errno::EINVAL);
    }
    let mut fds = fds.into_iter();
    for (index, entry) in entries.iter().enumerate() {
        let fd = if entry.flags & MAPPABLE != 0 { fds.next() } else { None };
        if let Err(errno) = add(settings, maps, entry, fd, memory) {
            for added in entries.iter().take(index) {
                let map = maps.remove(added.address, added.size)?;
                if map.direct {
                    memory.unmap(map.address);
                }
            }
            return Err(errno);
        }
    }
    Ok(Answer::default())
}

fn add(
    settings: Settings,
    maps: &mut DmaTable,
    entry: &DmaMap,
    fd: Option<OwnedFd>,
    memory: &mut dyn Memory,
) -> Result<(), Errno> {
    let DmaMap { address, size, offset, protections, flags } = *entry;
    let known = if settings.profile == Profile::V8 { READ_WRITE | EXEC } else { READ_WRITE };
    if flags & !MAPPABLE != 0 || protections & !known != 0 {
        return Err(Errno::EINVAL);
    }
    // Only a descriptor gives the offset a meaning.
    let offset = if fd.is_some() { offset } else { 0 };
    let argsz = message::DmaMap::LAYOUT.size as u32;
    let request = message::DmaMap { argsz, flags: protections & READ_WRITE, offset, address, size };
    current::dma_map(settings, maps, request.bytes(), fd.into_iter().collect(), memory).map(|_| ())
}
