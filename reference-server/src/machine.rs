//! What the loop drives.

use std::os::fd::OwnedFd;

use vfio_user_wire::{DEFAULT_MAX_DATA_XFER_SIZE, Frame, Header};

use crate::effect::Effect;
use crate::memory::Memory;

/// The largest message that is taken, header included: the largest transfer and room for a message that breaks a limit
/// by a little, so that it can be answered in step.
pub const FRAME_LIMIT: usize = DEFAULT_MAX_DATA_XFER_SIZE as usize + (64 << 10);

/// A server as its loop sees it.
pub trait Machine {
    /// A client has connected.
    fn connect(&mut self);

    /// One whole message arrived, with the descriptors that came with it.
    fn receive(&mut self, frame: Frame, fds: Vec<OwnedFd>, memory: &mut dyn Memory, effects: &mut Vec<Effect>);

    /// One whole message arrived on the twin socket, where no descriptors belong.
    fn receive_on_twin(&mut self, frame: Frame, memory: &mut dyn Memory, effects: &mut Vec<Effect>);

    /// A header arrived on the main socket whose size field is below 16 or above [`FRAME_LIMIT`]: there is no telling where the next
    /// message starts.
    fn refuse(&mut self, header: &Header, effects: &mut Vec<Effect>);

    /// Nothing comes from the twin socket any more: the client closed it, or sent what is no message. The main socket is as
    /// it was.
    fn twin_ended(&mut self);

    /// The client is gone.
    fn disconnect(&mut self, memory: &mut dyn Memory);
}
