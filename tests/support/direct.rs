//! A machine of the reference server's kind, called in place of being sent to: no socket, no thread, no process.
#![allow(dead_code, reason = "helpers of tests, of which each uses some")]

use std::cell::RefCell;
use std::fmt::{self, Debug, Formatter};
use std::io;
use std::os::fd::OwnedFd;
use std::rc::Rc;
use std::sync::Arc;

use vfio_user_conformance::session::Direct;
use vfio_user_conformance::target::{DirectServer, DirectTarget, Target};
use vfio_user_reference_server::{Driver, HostMemory, Machine};

/// Servers around a machine that `make` makes for each. A second client at the same time is refused.
pub(crate) struct DirectMachine {
    name: String,
    make: Box<dyn Fn() -> Box<dyn Machine> + Send + Sync>,
}

impl DirectMachine {
    /// A target that is called by this name in messages for developers.
    pub(crate) fn target(name: &str, make: impl Fn() -> Box<dyn Machine> + Send + Sync + 'static) -> Target {
        Target::Direct(Arc::new(DirectMachine { name: name.to_owned(), make: Box::new(make) }))
    }
}

impl Debug for DirectMachine {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)
    }
}

impl DirectTarget for DirectMachine {
    fn start(&self) -> io::Result<Box<dyn DirectServer>> {
        let device = Device { machine: (self.make)(), memory: HostMemory::new()?, taken: false };
        Ok(Box::new(Server(Rc::new(RefCell::new(device)))))
    }
}

/// What outlives its clients.
struct Device {
    machine: Box<dyn Machine>,
    memory: HostMemory,
    /// It has a client.
    taken: bool,
}

impl Debug for Device {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.debug_struct("Device").field("memory", &self.memory).field("taken", &self.taken).finish_non_exhaustive()
    }
}

#[derive(Debug)]
struct Server(Rc<RefCell<Device>>);

impl DirectServer for Server {
    fn connect(&mut self) -> Option<Box<dyn Direct>> {
        let mut device = self.0.borrow_mut();
        if std::mem::replace(&mut device.taken, true) {
            return None;
        }
        let driver = Driver::connect(device.machine.as_mut());
        Some(Box::new(Client { device: Rc::clone(&self.0), driver: Some(driver), rest: Vec::new() }))
    }
}

/// One client's way to the machine.
#[derive(Debug)]
struct Client {
    device: Rc<RefCell<Device>>,
    /// `None` once the server has left the client.
    driver: Option<Driver>,
    /// What the server sent before it left, last first.
    rest: Vec<Sent>,
}

/// A message, and the descriptors that go with it.
type Sent = (Vec<u8>, Vec<OwnedFd>);

impl Client {
    /// The session is over; what was sent before can be taken still.
    fn leave(&mut self) {
        let Some(mut driver) = self.driver.take() else { return };
        self.rest.extend(std::iter::from_fn(|| next(&mut driver)));
        self.rest.reverse();
        let Device { machine, memory, taken } = &mut *self.device.borrow_mut();
        driver.disconnect(machine.as_mut(), memory);
        *taken = false;
    }
}

impl Direct for Client {
    fn give(&mut self, bytes: &[u8], fds: Vec<OwnedFd>) {
        let Some(driver) = &mut self.driver else { return };
        let mut device = self.device.borrow_mut();
        let Device { machine, memory, .. } = &mut *device;
        driver.take(bytes, fds, machine.as_mut(), memory);
        drop(device);
        if driver.is_ending() {
            self.leave();
        }
    }

    fn take(&mut self) -> Option<Sent> {
        match &mut self.driver {
            Some(driver) => next(driver),
            None => self.rest.pop(),
        }
    }

    fn shutdown(&mut self) {
        self.leave();
    }

    fn is_closed(&self) -> bool {
        self.driver.is_none()
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        self.leave();
    }
}

fn next(driver: &mut Driver) -> Option<Sent> {
    let (frame, fds) = driver.next_message()?;
    // A descriptor that cannot be had is missing, as it would be behind a socket.
    Some((frame.bytes(), fds.iter().filter_map(|fd| fd.try_clone().ok()).collect()))
}
