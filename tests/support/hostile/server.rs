//! One hostile server: the reference server, and what a script makes of its messages.

use std::collections::VecDeque;
use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::sync::atomic::{AtomicU64, Ordering};

use nix::sys::socket::{MsgFlags, recv, send};
use vfio_user_reference_server::{Channel, Driver, Extra, HostMemory, Leaving, Profile, Server, Settings};
use vfio_user_wire::{Dialect, ERROR, TYPE_COMMAND};

use super::files::{Kept, MOST_FDS};
use super::{Script, commands, lie};

static REPLIES: AtomicU64 = AtomicU64::new(0);

/// How many hostile replies this process has sent: each message, run of raw bytes or silence that an honest server would not
/// have answered with; a flood is one.
pub(crate) fn hostile_replies() -> u64 {
    REPLIES.load(Ordering::Relaxed)
}

/// What goes out, in its order.
#[derive(Debug)]
pub(crate) enum Out {
    /// Bytes, and what goes with the first of them.
    Bytes {
        bytes: Vec<u8>,
        fds: Vec<OwnedFd>,
        /// The server's own end of the connection goes with them, too.
        own: bool,
        /// The most that goes out at one time.
        piece: usize,
    },
    /// The same bytes so many times.
    Repeated(Vec<u8>, usize),
    /// No more is sent.
    Shutdown,
    /// Nothing is read, and nothing sent, any more.
    Stall,
    /// The end.
    Close,
}

/// A server with at most one client at a time.
pub(crate) struct Hostile {
    dialect: &'static Dialect,
    machine: Server,
    memory: HostMemory,
    driver: Option<Driver>,
    script: Script,
    /// So many of 256 messages are not honest.
    temper: u8,
    kept: Kept,
    outgoing: VecDeque<Out>,
    /// What comes late.
    held: Vec<Out>,
    twin: Vec<u8>,
    /// The largest payload that is made, in bytes.
    largest: usize,
}

impl std::fmt::Debug for Hostile {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Hostile").field("script", &self.script).finish_non_exhaustive()
    }
}

impl Hostile {
    pub(crate) fn new(profile: Profile, temper: u8, script: Script, largest: usize) -> io::Result<Hostile> {
        let with = (profile == Profile::V0_9_1).then_some(Extra::PfnQuery);
        let settings = Settings { profile, with, ..Settings::default() };
        Ok(Hostile {
            dialect: profile.dialect(),
            machine: Server::with(settings),
            memory: HostMemory::new()?,
            driver: None,
            script,
            temper,
            kept: Kept::default(),
            outgoing: VecDeque::new(),
            held: Vec::new(),
            twin: Vec::new(),
            largest,
        })
    }

    /// Takes a client; `false` where there is one.
    pub(crate) fn connect(&mut self) -> bool {
        if self.driver.is_some() {
            return false;
        }
        self.driver = Some(Driver::connect(&mut self.machine));
        self.outgoing.clear();
        self.held.clear();
        if self.is_hostile() && self.script.byte() < 32 {
            count();
            self.push_raw();
        }
        true
    }

    /// The client is gone.
    pub(crate) fn disconnect(&mut self) {
        if let Some(driver) = self.driver.take() {
            driver.disconnect(&mut self.machine, &mut self.memory);
        }
        self.kept = Kept::default();
        self.twin.clear();
    }

    /// What the client sent.
    pub(crate) fn take(&mut self, bytes: &[u8], fds: Vec<OwnedFd>) {
        if self.temper > 0 {
            self.kept.keep(&fds);
        }
        if let Some(driver) = &mut self.driver {
            driver.take(Channel::Main, bytes, fds, &mut self.machine, &mut self.memory);
        }
        self.carry_on();
    }

    /// Something was held back.
    pub(crate) fn is_late(&self) -> bool {
        !self.held.is_empty()
    }

    /// Nobody has said anything for a while.
    pub(crate) fn idle(&mut self) {
        self.outgoing.extend(self.held.drain(..));
    }

    /// What goes out next.
    pub(crate) fn next(&mut self) -> Option<Out> {
        self.carry_on();
        self.outgoing.pop_front()
    }

    /// Until nobody has anything to say: the twin socket is a real one.
    fn carry_on(&mut self) {
        loop {
            while let Some(leaving) = self.driver.as_mut().and_then(Driver::next_message) {
                self.leave(leaving);
            }
            let Some(driver) = &mut self.driver else { return };
            if driver.is_ending() {
                if !matches!(self.outgoing.back(), Some(Out::Close)) {
                    self.outgoing.push_back(Out::Close);
                }
                return;
            }
            let Some(twin) = driver.twin_socket() else { return };
            let flags = MsgFlags::MSG_DONTWAIT | MsgFlags::MSG_NOSIGNAL;
            self.twin.drain(..send(twin.as_raw_fd(), &self.twin, flags).unwrap_or(0));
            let mut bytes = vec![0; 1 << 16];
            match recv(twin.as_raw_fd(), &mut bytes, MsgFlags::MSG_DONTWAIT) {
                Err(nix::errno::Errno::EAGAIN) => return,
                Ok(0) | Err(_) => driver.end(Channel::Twin, &mut self.machine),
                Ok(count) => {
                    driver.take(Channel::Twin, &bytes[..count], Vec::new(), &mut self.machine, &mut self.memory);
                }
            }
        }
    }

    fn is_hostile(&mut self) -> bool {
        !self.script.is_over() && self.script.byte() < self.temper
    }

    /// A message of the honest server, or what comes in its place.
    fn leave(&mut self, leaving: Leaving) {
        let Leaving { channel, mut frame, fds } = leaving;
        let mut fds: Vec<OwnedFd> = fds.iter().filter_map(|fd| fd.try_clone().ok()).collect();
        self.kept.keep(&fds);
        if !self.is_hostile() {
            return self.push(channel, frame.bytes(), fds);
        }
        count();
        let (script, dialect) = (&mut self.script, self.dialect);
        // What a server says of itself decides most of what is asked of it.
        let of_itself = matches!(frame.header.command, 1 | 4..=7) && script.byte() < 96;
        match if of_itself { 7 } else { script.below(32) } {
            0..=4 => lie::in_fields(script, dialect, &mut frame),
            5 | 6 => lie::behind_fields(script, dialect, &mut frame),
            7..=9 => lie::in_payload(script, dialect, &mut frame, self.largest),
            10 => frame.header.size = script.edgy(frame.header.size.into(), frame.payload.len()) as u32,
            11 => return,
            12 => {
                self.held.push(Out::Bytes { bytes: frame.bytes(), fds, own: false, piece: usize::MAX });
                return;
            }
            13 => {
                let times = *script.pick(&[1, 2, 20, 1, 2, 3, 1, 1200]);
                if channel == Channel::Main {
                    self.outgoing.push_back(Out::Repeated(frame.bytes(), times));
                }
            }
            14 => frame.header.id = script.u16(),
            15 => {
                frame.header.flags |= ERROR;
                frame.header.error = script.edgy(22, 16) as u32;
                if script.byte() < 128 {
                    frame.payload.clear();
                    frame.header.size = 16;
                }
            }
            16 => frame.header.flags = TYPE_COMMAND,
            17 | 18 => {
                let most = *script.pick(&[1, 2, 4, 16, MOST_FDS]);
                fds.clear();
                fds.extend((0..most).filter_map(|_| self.kept.any(script)));
            }
            19 => {
                let most = *script.pick(&[1, 2, 15, 16, MOST_FDS - 1]);
                let kind = script.clone();
                // Many of one kind: what one descriptor costs is soon there.
                fds.extend((0..most).filter_map(|_| self.kept.any(&mut kind.clone())));
                fds.truncate(MOST_FDS);
            }
            20 => {
                fds.clear();
                fds.extend(self.kept.memory(script));
            }
            21 | 22 => {
                let times = *script.pick(&[1, 2, 8, 1, 2, 3, 4, 1, 2, 3, 4, 5, 6, 7, 16, 10_100]);
                if times > 16 && channel == Channel::Main {
                    let command = commands::command(&mut self.script, self.dialect);
                    self.outgoing.push_back(Out::Repeated(command.bytes(), times));
                }
                for _ in 0..times.min(16) {
                    let command = commands::command(&mut self.script, self.dialect);
                    self.push(channel, command.bytes(), Vec::new());
                }
            }
            23 => {
                let raw = script.below(64);
                let raw = script.bytes(raw);
                return self.push(channel, raw, fds);
            }
            24 => self.push_raw(),
            25 => {
                let piece = *script.pick(&[1, 1, 2, 15, 17]);
                self.outgoing.push_back(Out::Bytes { bytes: frame.bytes(), fds, own: false, piece });
                return;
            }
            26 => {
                let out = match script.below(8) {
                    0 => Out::Shutdown,
                    1 | 2 => Out::Stall,
                    3 => Out::Repeated(vec![script.byte(); 4096], usize::MAX),
                    4 => Out::Repeated(frame.bytes(), usize::MAX),
                    _ => Out::Close,
                };
                self.push(channel, frame.bytes(), fds);
                self.outgoing.push_back(out);
                return;
            }
            27 => {
                let (size, sent) = (
                    *script.pick(&[u32::MAX, 4 << 20, 9 << 20, 1 << 20, 17]),
                    *script.pick(&[0, 1000, 100_000, 4 << 20, 9 << 20]),
                );
                frame.header.size = size;
                frame.payload.resize(sent.min(self.largest), 0);
            }
            28 => self.kept.shrink(script),
            29 => {
                // The answer to what was not asked yet.
                frame.header.id = frame.header.id.wrapping_add(1);
                frame.header.command = script.below(20) as u16;
            }
            30 => {
                let count = script.below(256);
                let bytes = script.bytes(count);
                self.kept.write(&bytes);
                self.kept.close();
                if let Some(twin) = self.driver.as_ref().and_then(Driver::twin_socket) {
                    let flags = MsgFlags::MSG_DONTWAIT | MsgFlags::MSG_NOSIGNAL;
                    _ = send(twin.as_raw_fd(), &bytes, flags);
                }
            }
            _ => {
                self.outgoing.push_back(Out::Bytes { bytes: frame.bytes(), fds, own: true, piece: usize::MAX });
                return;
            }
        }
        // One lie does not keep from the next.
        if self.script.byte() < 40 {
            lie::in_fields(&mut self.script, self.dialect, &mut frame);
        }
        self.push(channel, frame.bytes(), fds);
        if self.script.byte() < 128 {
            self.idle();
        }
    }

    fn push(&mut self, channel: Channel, bytes: Vec<u8>, fds: Vec<OwnedFd>) {
        match channel {
            Channel::Main => self.outgoing.push_back(Out::Bytes { bytes, fds, own: false, piece: usize::MAX }),
            Channel::Twin => self.twin.extend(bytes),
        }
    }

    /// Messages that nobody made.
    fn push_raw(&mut self) {
        let count = self.script.below(4) + 1;
        for _ in 0..count {
            let mut bytes = vec![0; 16];
            let header = vfio_user_wire::Header::LAYOUT;
            for field in header.fields {
                let value = self.script.edgy(1, 16);
                field.write(&mut bytes, value);
            }
            let payload = self.script.below(128);
            bytes.extend(self.script.bytes(payload));
            if let (Some(size), true) = (header.field("size"), self.script.byte() < 200) {
                let length = bytes.len() as u64;
                size.write(&mut bytes, length);
            }
            self.push(Channel::Main, bytes, Vec::new());
        }
    }
}

fn count() {
    REPLIES.fetch_add(1, Ordering::Relaxed);
}
