//! DMA_UNMAP (0.9.1, 660-746).

use nix::errno::Errno;
use vfio_user_wire::dma_unmap_flags as flags;
use vfio_user_wire::legacy::{DmaUnmap, DmaUnmapGet};

use super::bitmap::checked;
use crate::answer::Answer;
use crate::command::enough;
use crate::dma_table::Map;
use crate::memory::Memory;
use crate::session::{Agreed, Session};

/// Removes one window of client memory, or all of them; the caller stops what the device was doing there. What the log has
/// of a window goes with it.
pub(super) fn dma_unmap(
    agreed: &Agreed,
    session: &mut Session,
    payload: &[u8],
    memory: &mut dyn Memory,
) -> Result<(Answer, Vec<Map>), Errno> {
    let (request, _) = DmaUnmap::parse(payload).ok_or(Errno::EINVAL)?;
    enough(request.argsz, DmaUnmap::LAYOUT.size)?;
    let (answer, maps) = match request.flags {
        0 => {
            let map = session.maps.remove(request.address, request.size)?;
            session.log.forget(map.address, map.last);
            (entry(request), vec![map])
        }
        flags::GET_DIRTY_BITMAP => unmap_with_bitmap(agreed, session, payload)?,
        // 701-703: no other flag, and neither address nor size.
        flags::ALL if request.address == 0 && request.size == 0 => {
            session.log.forget(0, u64::MAX);
            (entry(request), session.maps.remove_all())
        }
        _ => return Err(Errno::EINVAL),
    };
    for map in maps.iter().filter(|map| map.direct) {
        memory.unmap(map.address);
    }
    Ok((answer, maps))
}

/// 739-740: the entry of the request; 344-345: argsz is what the reply takes.
fn entry(request: DmaUnmap) -> Answer {
    Answer::payload(DmaUnmap { argsz: DmaUnmap::LAYOUT.size as u32, ..request }.bytes())
}

fn unmap_with_bitmap(agreed: &Agreed, session: &mut Session, payload: &[u8]) -> Result<(Answer, Vec<Map>), Errno> {
    let (request, _) = DmaUnmapGet::parse(payload).ok_or(Errno::EINVAL)?;
    let size = checked(request.bitmap(), agreed, request.size)?;
    let needed = DmaUnmapGet::LAYOUT.size + size as usize;
    // Once it is unmapped nobody can ask again, so a reply that has not room for all is none.
    enough(request.argsz, needed)?;
    if !session.log.is_on() {
        return Err(Errno::EINVAL);
    }
    let map = session.maps.remove(request.address, request.size)?;
    let bitmap = session.log.take_bitmap(map.address, map.last, request.bitmap_pgsize, size)?;
    let head = DmaUnmapGet { argsz: needed as u32, ..request };
    Ok((Answer::payload(&[head.bytes(), &bitmap].concat()), vec![map]))
}
