//! A machine of the reference server's kind, called in place of being sent to: no socket, no thread, no process.
#![allow(dead_code, reason = "helpers of tests, of which each uses some")]

use std::cell::RefCell;
use std::collections::VecDeque;
use std::fmt::{self, Debug, Formatter};
use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::rc::Rc;
use std::sync::Arc;

use nix::errno::Errno;
use nix::sys::socket::{MsgFlags, recv, send};
use vfio_user_conformance::session::Direct;
use vfio_user_conformance::target::{DirectServer, DirectTarget, Target};
use vfio_user_reference_server::{Channel, Driver, HostMemory, Leaving, Machine};

/// The words of `needs` for what only a server in a process of its own can show.
pub(crate) const BY_PROCESS: [&str; 4] = ["spawned", "conventions", "exits", "pid"];
/// Cases that cannot be played by calls: who is called does not read the twin socket while more is written to it than it holds.
pub(crate) const NOT_BY_CALLS: [&str; 1] = ["dma-read.reply-long/twin"];

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
        Some(Box::new(Client {
            device: Rc::clone(&self.0),
            driver: Some(driver),
            leaving: VecDeque::new(),
            twin: Vec::new(),
        }))
    }
}

/// One client's way to the machine.
#[derive(Debug)]
struct Client {
    device: Rc<RefCell<Device>>,
    /// `None` once the server has left the client.
    driver: Option<Driver>,
    /// What the server sent on the main socket and nobody has taken.
    leaving: VecDeque<Sent>,
    /// The same of the twin socket, which has not taken it yet.
    twin: Vec<u8>,
}

/// A message, and the descriptors that go with it.
type Sent = (Vec<u8>, Vec<OwnedFd>);

impl Client {
    /// Carries on until nobody has anything to say: the twin socket is a real one, and there is no loop to read it.
    fn work(&mut self) {
        let Some(driver) = &mut self.driver else { return };
        let Device { machine, memory, .. } = &mut *self.device.borrow_mut();
        loop {
            let twin = driver.twin_socket();
            while let Some(Leaving { channel, frame, fds }) = driver.next_message() {
                match channel {
                    Channel::Main => {
                        // A descriptor that cannot be had is missing, as it would be behind a socket.
                        let fds = fds.iter().filter_map(|fd| fd.try_clone().ok()).collect();
                        self.leaving.push_back((frame.bytes(), fds));
                    }
                    Channel::Twin => self.twin.extend(frame.bytes()),
                }
            }
            let Some(twin) = twin else { return };
            // A client that is gone, or does not read, shows below, or waits for what is lost.
            let flags = MsgFlags::MSG_DONTWAIT | MsgFlags::MSG_NOSIGNAL;
            self.twin.drain(..send(twin.as_raw_fd(), &self.twin, flags).unwrap_or(0));
            let mut bytes = vec![0; 1 << 16];
            match recv(twin.as_raw_fd(), &mut bytes, MsgFlags::MSG_DONTWAIT) {
                Err(Errno::EAGAIN) => return,
                Ok(0) | Err(_) => driver.end(Channel::Twin, machine.as_mut()),
                Ok(count) => driver.take(Channel::Twin, &bytes[..count], Vec::new(), machine.as_mut(), memory),
            }
        }
    }

    /// The session is over; what was sent before can be taken still.
    fn leave(&mut self) {
        self.work();
        let Some(driver) = self.driver.take() else { return };
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
        driver.take(Channel::Main, bytes, fds, machine.as_mut(), memory);
        let ending = driver.is_ending();
        drop(device);
        if ending {
            self.leave();
        } else {
            self.work();
        }
    }

    fn take(&mut self) -> Option<Sent> {
        self.work();
        self.leaving.pop_front()
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
