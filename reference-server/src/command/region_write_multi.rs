//! REGION_WRITE_MULTI (specification 1480-1531).

use nix::errno::Errno;
use vfio_user_wire::message::{MultiWrite, SingleWrite};
use vfio_user_wire::region_info_flags;

use crate::device::{Device, Rung};
use crate::memory::Memory;
use crate::region::admit;
use crate::settings::Settings;

/// The writes of a request, every one of which can be done: otherwise none is.
///
/// # Errors
/// EINVAL where there are fewer writes than wr_cnt says; what is wrong with the first write that cannot be done.
pub(crate) fn region_write_multi(settings: Settings, payload: &[u8]) -> Result<Vec<SingleWrite>, Errno> {
    let (request, tail) = MultiWrite::parse(payload).ok_or(Errno::EINVAL)?;
    // Bytes behind the last write are surplus payload.
    let (writes, _) = request.writes(tail);
    if writes.len() as u64 != request.wr_cnt {
        return Err(Errno::EINVAL);
    }
    for write in writes {
        // 1518-1519: a write has 8 bytes at the most.
        let data = write.written().ok_or(Errno::EINVAL)?;
        admit(settings, write.region, write.offset, data.len() as u32, region_info_flags::WRITE)?;
    }
    Ok(writes.to_vec())
}

/// Does one of them; the caller answers the doorbells.
pub(crate) fn write_one(device: &mut Device, write: &SingleWrite, memory: &mut dyn Memory) -> Result<Rung, Errno> {
    device.write(write.region, write.offset, write.written().ok_or(Errno::EINVAL)?, memory)
}
