//! The thin loop: sockets, mappings, eventfds, SIGTERM.

mod connection;
mod doorbell;
mod endpoint;
mod incoming;
mod io_region;
mod memory;
mod outgoing;
mod serve;
mod signal;
mod termination;

pub use endpoint::Endpoint;
pub use memory::HostMemory;
pub use serve::{ServeError, run, serve, serve_with};
pub(crate) use signal::signal;
