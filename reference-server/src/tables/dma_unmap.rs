//! DMA_UNMAP with a table (593-698).

use nix::errno::Errno;
use vfio_user_wire::dma_unmap_flags::GET_DIRTY_BITMAP;
use vfio_user_wire::tables::{DmaUnmapEntries, Table, Unmapping};

use super::bitmap::structure;
use super::room;
use crate::answer::Answer;
use crate::dma_table::Map;
use crate::legacy::bitmap::checked;
use crate::memory::Memory;
use crate::session::{Agreed, Session};

/// Removes windows of client memory, all of the table's or none; the caller stops what the device was doing there. What the
/// log has of a window goes with it.
pub(super) fn dma_unmap(
    table: Table,
    agreed: &Agreed,
    session: &mut Session,
    payload: &[u8],
    memory: &mut dyn Memory,
) -> Result<(Answer, Vec<Map>), Errno> {
    let entries: Result<Vec<Unmapping>, _> = DmaUnmapEntries::new(payload, table).collect();
    let entries = entries.map_err(|_| Errno::EINVAL)?;
    admit(table, agreed, session, &entries)?;
    let mut answer = Answer::default();
    let mut maps = Vec::new();
    for Unmapping { region, bitmap } in &entries {
        let map = session.maps.remove(region.address, region.size)?;
        match bitmap {
            None => session.log.forget(map.address, map.last),
            Some(asked) => {
                let bits = session.log.take_bitmap(map.address, map.last, asked.pgsize, asked.size)?;
                answer.payload.extend(structure(table, *asked));
                answer.payload.extend(bits);
            }
        }
        if map.direct {
            memory.unmap(map.address);
        }
        maps.push(map);
    }
    Ok((answer, maps))
}

/// Whether all of it can be done.
fn admit(table: Table, agreed: &Agreed, session: &Session, entries: &[Unmapping]) -> Result<(), Errno> {
    let mut reply = 0;
    for Unmapping { region, bitmap } in entries {
        if region.flags & !GET_DIRTY_BITMAP != 0 {
            return Err(Errno::EINVAL);
        }
        session.maps.exactly(region.address, region.size)?;
        if let Some(asked) = bitmap {
            if !session.log.is_on() {
                return Err(Errno::EINVAL);
            }
            reply += table.bitmap_structure() as u64 + checked(*asked, agreed, region.size)?;
        }
    }
    let mut addresses: Vec<u64> = entries.iter().map(|entry| entry.region.address).collect();
    addresses.sort_unstable();
    addresses.dedup();
    if addresses.len() < entries.len() {
        return Err(Errno::ENOENT);
    }
    room(agreed, reply)
}
