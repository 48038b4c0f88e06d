//! DEVICE_SET_IRQS (specification 1180-1296).

use std::ops::Range;
use std::os::fd::OwnedFd;

use nix::errno::Errno;
use vfio_user_wire::message::IrqSet;
use vfio_user_wire::{irq_info_flags, irq_set_flags as flags};

use super::enough;
use crate::answer::Answer;
use crate::device::Device;
use crate::effect::{Effect, IrqEvent};
use crate::irq_table::{IrqTable, irq_type};
use crate::settings::Settings;

/// Assigns, masks, unmasks or triggers interrupts, or disables a type.
pub(crate) fn device_set_irqs(
    settings: Settings,
    irqs: &mut IrqTable,
    device: &mut Device,
    payload: &[u8],
    fds: Vec<OwnedFd>,
    effects: &mut Vec<Effect>,
) -> Result<Answer, Errno> {
    let (request, bools) = IrqSet::parse(payload).ok_or(Errno::EINVAL)?;
    enough(request.argsz, IrqSet::LAYOUT.size)?;
    let IrqSet { flags: set, index, start, count, .. } = request;
    let event = action(set)?;
    let kind = irq_type(settings, index).ok_or(Errno::EINVAL)?;
    if count == 0 {
        // 1255-1257 name only one meaning of a count of 0.
        if start == 0 && set == flags::DATA_NONE | flags::ACTION_TRIGGER {
            irqs.disable(index)?;
            return Ok(Answer::default());
        }
        return Err(Errno::EINVAL);
    }
    let vectors = vectors(settings, &request)?;
    if event != IrqEvent::Trigger && !kind.has(irq_info_flags::MASKABLE) {
        return Err(Errno::EINVAL);
    }
    match set & flags::DATA_MASK {
        flags::DATA_EVENTFD if fds.is_empty() => {
            for vector in vectors {
                irqs.assign(index, vector, event, None)?;
            }
        }
        flags::DATA_EVENTFD => {
            if fds.len() != count as usize || !may_assign(irqs, event, &request) {
                return Err(Errno::EINVAL);
            }
            for (vector, fd) in vectors.zip(fds) {
                irqs.assign(index, vector, event, Some(fd))?;
            }
        }
        flags::DATA_BOOL => {
            let bools = bools.get(..count as usize).ok_or(Errno::EINVAL)?;
            for (vector, _) in vectors.zip(bools).filter(|(_, wanted)| **wanted != 0) {
                act(irqs, device, (index, vector), event, effects)?;
            }
        }
        _ => {
            for vector in vectors {
                act(irqs, device, (index, vector), event, effects)?;
            }
        }
    }
    Ok(Answer::default())
}

/// The sub-indexes of a request, all of which the type has.
pub(crate) fn vectors(settings: Settings, request: &IrqSet) -> Result<Range<u32>, Errno> {
    let IrqSet { index, start, count, .. } = *request;
    let kind = irq_type(settings, index).ok_or(Errno::EINVAL)?;
    if start >= kind.count || count > kind.count - start {
        return Err(Errno::EINVAL);
    }
    Ok(start..start + count)
}

/// The one action of these flags, which have one kind of data beside it and no other bit (1225-1228).
fn action(set: u32) -> Result<IrqEvent, Errno> {
    let known = set & !(flags::DATA_MASK | flags::ACTION_MASK_ALL) == 0;
    if !known || (set & flags::DATA_MASK).count_ones() != 1 {
        return Err(Errno::EINVAL);
    }
    match set & flags::ACTION_MASK_ALL {
        flags::ACTION_MASK => Ok(IrqEvent::Mask),
        flags::ACTION_UNMASK => Ok(IrqEvent::Unmask),
        flags::ACTION_TRIGGER => Ok(IrqEvent::Trigger),
        _ => Err(Errno::EINVAL),
    }
}

fn may_assign(irqs: &IrqTable, event: IrqEvent, request: &IrqSet) -> bool {
    event != IrqEvent::Trigger || irqs.may_enable(request.index, request.start, request.count)
}

fn act(
    irqs: &mut IrqTable,
    device: &mut Device,
    (index, vector): (u32, u32),
    event: IrqEvent,
    effects: &mut Vec<Effect>,
) -> Result<(), Errno> {
    match event {
        IrqEvent::Mask => irqs.mask(index, vector, effects),
        IrqEvent::Unmask => irqs.unmask(index, vector, effects),
        IrqEvent::Trigger => {
            device.registers.triggers = device.registers.triggers.wrapping_add(1);
            irqs.trigger(index, vector, effects)
        }
    }
}
