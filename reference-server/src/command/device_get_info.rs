//! DEVICE_GET_INFO (specification 706-772).

use nix::errno::Errno;
use vfio_user_wire::device_info_flags as flags;
use vfio_user_wire::message::DeviceInfo;

use super::enough;
use crate::answer::Answer;
use crate::irq_table::irq_types;
use crate::region::region_count;
use crate::settings::Settings;

/// Says what the device has.
pub(crate) fn device_get_info(settings: Settings, payload: &[u8]) -> Result<Answer, Errno> {
    let (request, _) = DeviceInfo::parse(payload).ok_or(Errno::EINVAL)?;
    enough(request.argsz, DeviceInfo::LAYOUT.size)?;
    let info = DeviceInfo {
        argsz: DeviceInfo::LAYOUT.size as u32,
        flags: flags::RESET | flags::PCI,
        num_regions: region_count(settings),
        num_irqs: irq_types(settings),
    };
    Ok(Answer::payload(info.bytes()))
}
