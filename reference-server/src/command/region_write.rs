//! REGION_WRITE (specification 1350-1392).

use nix::errno::Errno;
use vfio_user_wire::message::RegionAccess;
use vfio_user_wire::region_info_flags;

use crate::answer::Answer;
use crate::device::{Device, Rung};
use crate::memory::Memory;
use crate::region::admit;
use crate::settings::Settings;

/// Writes to a region; the caller answers the doorbells.
pub(crate) fn region_write(
    settings: Settings,
    device: &mut Device,
    payload: &[u8],
    memory: &mut dyn Memory,
) -> Result<(Answer, Rung), Errno> {
    let (access, data) = RegionAccess::parse(payload).ok_or(Errno::EINVAL)?;
    admit(settings, access.region, access.offset, access.count, region_info_flags::WRITE)?;
    // Bytes behind the data are surplus payload; too few are data that never came.
    let data = data.get(..access.count as usize).ok_or(Errno::EINVAL)?;
    let rung = device.write(access.region, access.offset, data, memory)?;
    Ok((Answer::payload(access.bytes()), rung))
}
