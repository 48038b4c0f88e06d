//! Interrupts by message (169-171, 1467-1502).

use nix::errno::Errno;
use vfio_user_wire::message::IrqSet;
use vfio_user_wire::tables::Interrupt;
use vfio_user_wire::{Frame, V8, irq_set_flags as flags};

use crate::command::device_set_irqs::vectors;
use crate::command::enough;
use crate::effect::{Channel, Effect};
use crate::irq_table::IrqTable;
use crate::settings::Settings;

/// The id of the command. Its reply says nothing, so that all of them can have the same; no other command has it.
const ID: u16 = 0;

/// Raises an interrupt.
pub(crate) fn vm_interrupt(vector: u32) -> Effect {
    let number = V8.command("VM_INTERRUPT").map_or(0, |(number, _)| number);
    let frame = Frame::command(ID, number, Interrupt { sub_index: vector }.bytes().to_vec());
    Effect::Send { channel: Channel::Main, frame, fds: Vec::new() }
}

/// DEVICE_SET_IRQS with DATA_EVENTFD and no descriptor, which has a meaning in later texts alone, is taken to ask for
/// interrupts by message: the client says how it wants them (170-171), and nothing else could say so. `false` where the
/// request is another one.
pub(super) fn enable(settings: Settings, irqs: &mut IrqTable, payload: &[u8]) -> Result<bool, Errno> {
    let (request, _) = IrqSet::parse(payload).ok_or(Errno::EINVAL)?;
    enough(request.argsz, IrqSet::LAYOUT.size)?;
    if request.flags != flags::DATA_EVENTFD | flags::ACTION_TRIGGER || request.count == 0 {
        return Ok(false);
    }
    let vectors = vectors(settings, &request)?;
    if !irqs.may_enable(request.index, request.start, request.count) {
        return Err(Errno::EINVAL);
    }
    for vector in vectors {
        irqs.tell_by_message(request.index, vector)?;
    }
    Ok(true)
}
