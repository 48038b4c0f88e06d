//! VM_INTERRUPT: the device raises an interrupt by message (version 8 at 595dff9, 1467-1502). No later text has it.

use crate::field::{Body, Direction, Message};
use crate::layout;

layout! {
    /// The payload of VM_INTERRUPT. Of which type the interrupt is, it does not say.
    pub struct Interrupt: 4 {
        /// Which interrupt of its type.
        sub_index: u32 @ 0,
    }
}

/// Raises an interrupt. The table gives command and reply one size, 20; nothing says what a reply would carry, and
/// libvfio-user of that time took one without a payload.
pub const VM_INTERRUPT: Message = Message {
    name: "VM_INTERRUPT",
    direction: Direction::ToClient,
    request: Body::fixed(&Interrupt::LAYOUT),
    reply: Body::EMPTY,
    variants: &[],
    clause: "version 8 at 595dff9, VFIO_USER_VM_INTERRUPT 1467-1502",
};
