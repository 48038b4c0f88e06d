//! The reference server: one reading of the vfio-user specification, version 0.9.2 and two before it, and the conformance
//! device.
//!
//! [`Server`] is a state machine without I/O. It takes one message and the descriptors that came with it, and answers
//! with [`Effect`]s: messages to send, interrupts to signal, the end of the connection. What it must know the outcome
//! of before it can answer (mapping client memory, copying through a map) it asks of the [`Memory`] it is handed.
//!
//! [`run`] and [`serve`] are the thin loop: sockets, `mmap()`, eventfds. The loop drives any [`Machine`], so a wrapper
//! around [`Server`] sees every message and every effect. [`Driver`] is the part of it that needs no socket.
//!
//! The device is described register by register in `docs/conformance-device.md`.

mod answer;
mod command;
mod device;
mod dirty_log;
mod dma_table;
mod doorbells;
mod driver;
mod effect;
mod host;
mod irq_table;
mod legacy;
mod machine;
mod memory;
mod range_set;
mod region;
mod server;
mod session;
mod settings;
mod tables;
mod transfer;
mod without;

pub use device::Registers;
pub use driver::{Driver, Leaving};
pub use effect::{Channel, Effect, IrqEvent};
pub use host::{Endpoint, HostMemory, ServeError, run, serve, serve_with};
pub use machine::{FRAME_LIMIT, Machine};
pub use memory::{Access, Memory};
pub use nix::errno::Errno;
pub use server::Server;
pub use settings::{Extra, Profile, Settings};
pub use without::{Feature, Without};
