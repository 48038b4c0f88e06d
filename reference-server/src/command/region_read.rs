//! REGION_READ (specification 1298-1348).

use nix::errno::Errno;
use vfio_user_wire::message::RegionAccess;
use vfio_user_wire::region_info_flags;

use crate::answer::Answer;
use crate::device::Device;
use crate::memory::Memory;
use crate::region::admit;
use crate::settings::Settings;

/// Reads from a region.
pub(crate) fn region_read(
    settings: Settings,
    device: &mut Device,
    payload: &[u8],
    memory: &mut dyn Memory,
) -> Result<Answer, Errno> {
    let (access, _) = RegionAccess::parse(payload).ok_or(Errno::EINVAL)?;
    admit(settings, access.region, access.offset, access.count, region_info_flags::READ)?;
    let mut data = vec![0; access.count as usize];
    device.read(access.region, access.offset, &mut data, memory)?;
    let mut answer = Answer::payload(access.bytes());
    answer.payload.append(&mut data);
    Ok(answer)
}
