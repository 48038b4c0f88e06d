//! DMA_MAP (specification 595-660).

use std::os::fd::OwnedFd;

use nix::errno::Errno;
use vfio_user_wire::message::DmaMap;

use super::enough;
use crate::answer::Answer;
use crate::dma_table::{DmaTable, Map, PAGE};
use crate::memory::{Access, Memory};
use crate::settings::Settings;
use crate::without::Feature;

/// The device may read the memory.
const READABLE: u32 = 1;
/// The device may write the memory.
const WRITEABLE: u32 = 2;

/// Adds a window of client memory.
pub(crate) fn dma_map(
    settings: Settings,
    maps: &mut DmaTable,
    payload: &[u8],
    fds: Vec<OwnedFd>,
    memory: &mut dyn Memory,
) -> Result<Answer, Errno> {
    let (request, _) = DmaMap::parse(payload).ok_or(Errno::EINVAL)?;
    enough(request.argsz, DmaMap::LAYOUT.size)?;
    let DmaMap { flags, offset, address, size, .. } = request;
    // Memory that may neither be read nor written is no memory.
    if flags == 0 || flags & !(READABLE | WRITEABLE) != 0 {
        return Err(Errno::EINVAL);
    }
    let access = Access { readable: flags & READABLE != 0, writeable: flags & WRITEABLE != 0 };
    let mut fds = fds.into_iter();
    let (fd, surplus) = (fds.next(), fds.next());
    // Nothing is mapped that the device would never access.
    let direct = fd.is_some() && !settings.lacks(Feature::Dma);
    let map = Map::new(address, size, access, direct)?;
    let offset_fits = if fd.is_some() { offset.is_multiple_of(PAGE) } else { offset == 0 };
    // 646: "a file descriptor".
    if surplus.is_some() || !offset_fits {
        return Err(Errno::EINVAL);
    }
    maps.admits(&map)?;
    if let Some(fd) = fd.filter(|_| direct) {
        memory.map(address, fd, offset, size, access)?;
    }
    maps.insert(map);
    Ok(Answer::default())
}
