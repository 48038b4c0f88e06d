//! Hostile servers that are called in place of being sent to.

use std::cell::RefCell;
use std::io;
use std::os::fd::OwnedFd;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use vfio_user_conformance::session::Direct;
use vfio_user_conformance::target::{DirectServer, DirectTarget, Target};
use vfio_user_reference_server::Profile;

use super::{Hostile, Out, Script};

/// The largest payload that is made: what a called server holds is memory of this process.
const LARGEST: usize = 128 << 10;
/// How often bytes come that come without end.
const ENDLESS: usize = 1500;

/// Starts a hostile server for each case, called.
#[derive(Debug)]
pub(crate) struct Called {
    profile: Profile,
    temper: u8,
    script: Script,
    started: AtomicUsize,
}

impl Called {
    pub(crate) fn target(profile: Profile, temper: u8, script: Script) -> Target {
        Target::Direct(Arc::new(Called { profile, temper, script, started: AtomicUsize::new(0) }))
    }
}

impl DirectTarget for Called {
    fn start(&self) -> io::Result<Box<dyn DirectServer>> {
        let number = self.started.fetch_add(1, Ordering::Relaxed);
        let hostile = Hostile::new(self.profile, self.temper, self.script.for_server(number), LARGEST)?;
        Ok(Box::new(Server(Rc::new(RefCell::new(hostile)))))
    }
}

#[derive(Debug)]
struct Server(Rc<RefCell<Hostile>>);

impl DirectServer for Server {
    fn connect(&mut self) -> Option<Box<dyn Direct>> {
        if !self.0.borrow_mut().connect() {
            return None;
        }
        Some(Box::new(Client { server: Rc::clone(&self.0), rest: None, repeated: None, closed: false, stalled: false }))
    }
}

/// One client's way to it.
#[derive(Debug)]
struct Client {
    server: Rc<RefCell<Hostile>>,
    /// Bytes that come in pieces, how many of them have come, and the size of a piece.
    rest: Option<(Vec<u8>, usize, usize)>,
    /// What comes again and again, and how often it does.
    repeated: Option<(Vec<u8>, usize)>,
    closed: bool,
    stalled: bool,
}

impl Direct for Client {
    fn give(&mut self, bytes: &[u8], fds: Vec<OwnedFd>) {
        if !self.closed && !self.stalled {
            self.server.borrow_mut().take(bytes, fds);
        }
    }

    fn take(&mut self) -> Option<(Vec<u8>, Vec<OwnedFd>)> {
        if let Some((bytes, at, piece)) = &mut self.rest {
            let left = bytes.get(*at..).unwrap_or_default();
            let now = left.get(..*piece).unwrap_or(left).to_vec();
            *at += now.len();
            if !now.is_empty() {
                return Some((now, Vec::new()));
            }
            self.rest = None;
        }
        if let Some((bytes, times)) = &mut self.repeated {
            if *times > 0 {
                *times -= 1;
                return Some((bytes.clone(), Vec::new()));
            }
            self.repeated = None;
        }
        if self.closed || self.stalled {
            return None;
        }
        let next = self.server.borrow_mut().next();
        match next? {
            Out::Bytes { bytes, .. } if bytes.is_empty() => self.take(),
            Out::Bytes { bytes, fds, piece, .. } => {
                let first = bytes.get(..piece).unwrap_or(&bytes).to_vec();
                self.rest = Some((bytes, first.len(), piece));
                Some((first, fds))
            }
            Out::Repeated(bytes, times) => {
                self.repeated = Some((bytes, times.min(ENDLESS)));
                self.take()
            }
            Out::Stall => {
                self.stalled = true;
                None
            }
            Out::Shutdown | Out::Close => {
                self.closed = true;
                None
            }
        }
    }

    fn shutdown(&mut self) {
        self.closed = true;
    }

    fn is_closed(&self) -> bool {
        self.closed
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        self.server.borrow_mut().disconnect();
    }
}
