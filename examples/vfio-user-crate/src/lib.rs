//! A PCI device with some bytes that keep what is written to them and a register that raises its interrupt, behind the
//! `vfio_user` crate's server.

mod config;
mod device;
mod maps;

use std::os::unix::net::UnixListener;
use std::path::Path;

use vfio_user::{Error, Server};

use device::Device;

/// It can be reset.
const RESETTABLE: bool = true;

/// Serves one client that connects to a socket.
pub fn serve(listener: UnixListener) -> Result<(), Error> {
    Server::from_owned_fd(listener.into(), RESETTABLE, device::irqs(), device::regions()).run(&mut Device::default())
}

/// The same, at a path.
pub fn serve_at(path: &Path) -> Result<(), Error> {
    Server::new(path, RESETTABLE, device::irqs(), device::regions())?.run(&mut Device::default())
}
