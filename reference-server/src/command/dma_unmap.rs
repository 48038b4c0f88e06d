//! DMA_UNMAP (specification 662-703).

use nix::errno::Errno;
use vfio_user_wire::message::DmaUnmap;

use super::enough;
use crate::answer::Answer;
use crate::dma_table::{DmaTable, Map};
use crate::memory::Memory;

/// Removes a window of client memory; the caller stops what the device was doing in it.
pub(crate) fn dma_unmap(maps: &mut DmaTable, payload: &[u8], memory: &mut dyn Memory) -> Result<(Answer, Map), Errno> {
    let (request, _) = DmaUnmap::parse(payload).ok_or(Errno::EINVAL)?;
    enough(request.argsz, DmaUnmap::LAYOUT.size)?;
    if request.flags != 0 {
        return Err(Errno::EINVAL);
    }
    let map = maps.remove(request.address, request.size)?;
    if map.direct {
        memory.unmap(map.address);
    }
    // 703: the entry of the request; 342: argsz is what the reply takes.
    let entry = DmaUnmap { argsz: DmaUnmap::LAYOUT.size as u32, ..request };
    Ok((Answer::payload(entry.bytes()), map))
}
