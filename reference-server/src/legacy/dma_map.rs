//! DMA_MAP (0.9.1, 593-658).

use std::os::fd::OwnedFd;

use nix::errno::Errno;
use vfio_user_wire::legacy::DmaMap;

use crate::answer::Answer;
use crate::command::dma_map as current;
use crate::dma_table::DmaTable;
use crate::memory::Memory;
use crate::settings::Settings;

/// A descriptor comes with the message. The last text has this flag no more, earlier ones have it.
const MAPPABLE: u32 = 4;

/// Adds a window of client memory.
pub(super) fn dma_map(
    settings: Settings,
    maps: &mut DmaTable,
    payload: &[u8],
    fds: Vec<OwnedFd>,
    memory: &mut dyn Memory,
) -> Result<Answer, Errno> {
    let (request, _) = DmaMap::parse(payload).ok_or(Errno::EINVAL)?;
    if request.flags & MAPPABLE != 0 && fds.is_empty() {
        return Err(Errno::EINVAL);
    }
    let request = DmaMap { flags: request.flags & !MAPPABLE, ..request };
    current::dma_map(settings, maps, request.bytes(), fds, memory)
}
