//! DEVICE_GET_IRQ_INFO (specification 1099-1178).

use nix::errno::Errno;
use vfio_user_wire::message::IrqInfo;

use super::enough;
use crate::answer::Answer;
use crate::irq_table::irq_type;
use crate::settings::Settings;

/// Describes an interrupt type.
pub(crate) fn device_get_irq_info(settings: Settings, payload: &[u8]) -> Result<Answer, Errno> {
    let (request, _) = IrqInfo::parse(payload).ok_or(Errno::EINVAL)?;
    enough(request.argsz, IrqInfo::LAYOUT.size)?;
    let kind = irq_type(settings, request.index).ok_or(Errno::EINVAL)?;
    let info =
        IrqInfo { argsz: IrqInfo::LAYOUT.size as u32, flags: kind.flags, index: request.index, count: kind.count };
    Ok(Answer::payload(info.bytes()))
}
