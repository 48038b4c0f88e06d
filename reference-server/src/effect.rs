//! What the server wants done to the outside world.

use std::os::fd::OwnedFd;
use std::sync::Arc;

use vfio_user_wire::Frame;

/// One of a client's sockets (specification 206-212).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Channel {
    /// The one that the client connected: its commands and their replies, and all else where there is no other.
    Main,
    /// The twin socket: the server's own commands and their replies.
    Twin,
}

/// One thing to do, in the order in which the machine gave them.
#[derive(Debug, Clone)]
pub enum Effect {
    /// Send a message: a reply, or a command of the server's own.
    Send {
        /// Where.
        channel: Channel,
        /// The message.
        frame: Frame,
        /// What goes with its first byte.
        fds: Vec<Arc<OwnedFd>>,
    },
    /// Take this socket as the twin socket, of which the client gets the other end.
    Twin {
        /// The server's end.
        socket: Arc<OwnedFd>,
    },
    /// Write 1 to an eventfd, without ever blocking.
    Signal {
        /// Interrupt type.
        index: u32,
        /// Sub-index.
        vector: u32,
        /// What happened to the interrupt.
        event: IrqEvent,
        /// The descriptor that the client assigned to that event.
        fd: Arc<OwnedFd>,
    },
    /// Close the connection, once all that was sent is out.
    Close,
}

/// What a descriptor of DEVICE_SET_IRQS can be assigned to (specification 1240-1252).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum IrqEvent {
    /// The interrupt fires.
    Trigger,
    /// The interrupt is masked.
    Mask,
    /// The interrupt is unmasked.
    Unmask,
}
