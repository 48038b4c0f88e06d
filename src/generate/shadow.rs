//! A guess of the state that a session is in: it steers what is drawn next, and judges nothing.

use std::collections::{BTreeMap, BTreeSet};

use super::migration::DeviceState;

/// A DMA map that is probably there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Mapped {
    /// First IOVA.
    pub(super) address: u64,
    /// Bytes.
    pub(super) size: u64,
    /// Offset in the file.
    pub(super) offset: u64,
    /// The memfd behind it.
    pub(super) memory: Option<String>,
    /// Without a descriptor: the device's DMA comes by message.
    pub(super) by_message: bool,
    /// What the device may do with it: read (1), write (2).
    pub(super) access: u64,
    /// The label of its DMA_MAP, where it has one.
    pub(super) label: Option<String>,
    /// Where it was accepted, it is there: nothing drawn since could have taken it away, and all of it lies in the file.
    pub(super) sure: bool,
}

impl Mapped {
    /// One past its last byte.
    pub(super) fn end(&self) -> u64 {
        self.address.saturating_add(self.size)
    }
}

/// A memfd.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Memory {
    pub(super) name: String,
    pub(super) size: u64,
    /// It was in a DMA_MAP.
    pub(super) lent: bool,
    /// It can be used no more.
    pub(super) sealed: bool,
    /// It was opened for reading only.
    pub(super) read_only: bool,
}

/// A descriptor that shows signals or its closing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Watched {
    pub(super) name: String,
    pub(super) socket: bool,
    /// It was in a message.
    pub(super) given: bool,
    /// Looking at it may have closed the client's own copy: it can be given no more.
    pub(super) spent: bool,
}

/// What is probably so.
#[derive(Debug, Default)]
pub(super) struct Shadow {
    /// The client that sends; `None` for the first one.
    pub(super) client: Option<String>,
    /// How many clients there were besides the first.
    pub(super) clients: usize,
    /// Nobody is connected any more.
    pub(super) left: bool,
    /// A message of this client waits for no reply: a line without a label would ask for it.
    pub(super) muted: bool,
    /// Maps that are probably there, in the order in which they were made.
    pub(super) maps: Vec<Mapped>,
    /// Maps that are probably gone.
    pub(super) gone: Vec<Mapped>,
    /// Every range that a DMA_MAP of this client asked for.
    pub(super) attempted: Vec<(u64, u64)>,
    /// The device may still be at work for an action that nobody waited for.
    pub(super) busy: bool,
    /// The device's DMA writes are probably logged.
    pub(super) logging: bool,
    /// The state of the device's migration.
    pub(super) state: DeviceState,
    /// The device may be stopped, and then does nothing.
    pub(super) halted: bool,
    /// Its migration region may give data.
    pub(super) saving: bool,
    /// memfds.
    pub(super) memories: Vec<Memory>,
    /// Descriptors for interrupts.
    pub(super) watched: Vec<Watched>,
    /// Vectors that probably have a descriptor: index and sub-index.
    pub(super) vectors: BTreeMap<(u32, u32), String>,
    /// Vectors that are probably masked.
    pub(super) masked: BTreeSet<(u32, u32)>,
    /// The vector that was drawn last.
    pub(super) latest: Option<(u32, u32)>,
    /// Vectors that were ever given one.
    pub(super) once: BTreeSet<(u32, u32)>,
    /// Where bytes were written: region, offset, length.
    pub(super) written: Vec<(u32, u64, u64)>,
    /// Message IDs that were given by name.
    pub(super) ids: Vec<u64>,
    names: BTreeSet<String>,
}

impl Shadow {
    /// `base` with the first number behind it, from `first`, that gives a new name; 1 is left out where it is the first.
    /// Labels and descriptors share names.
    pub(super) fn name(&mut self, base: &str, first: usize) -> String {
        let mut number = first;
        loop {
            let name = if number == 1 && first == 1 { base.to_owned() } else { format!("{base}{number}") };
            number += 1;
            if self.names.insert(name.clone()) {
                return name;
            }
        }
    }

    /// A DMA command for this range was drawn: nothing that it reaches is sure any more.
    pub(super) fn disturb(&mut self, address: u64, size: u64) {
        for map in &mut self.maps {
            map.sure &= !overlap((map.address, map.size), (address, size));
        }
    }

    /// Nothing is sure any more.
    pub(super) fn unsettle(&mut self) {
        self.maps.iter_mut().for_each(|map| map.sure = false);
    }

    /// A DMA_MAP of this range was drawn; whether no other one reached it before.
    pub(super) fn attempt(&mut self, address: u64, size: u64) -> bool {
        let alone = !self.attempted.iter().any(|other| overlap(*other, (address, size)));
        self.attempted.push((address, size));
        self.disturb(address, size);
        alone
    }

    /// No map is probably there.
    pub(super) fn is_free(&self, address: u64, size: u64) -> bool {
        !self.maps.iter().any(|map| overlap((map.address, map.size), (address, size)))
    }

    /// The client left: what it lent and assigned is gone.
    pub(super) fn leave(&mut self) {
        self.logging = false;
        self.maps.clear();
        self.gone.clear();
        self.attempted.clear();
        self.vectors.clear();
        self.masked.clear();
        self.latest = None;
        self.once.clear();
        self.ids.clear();
        self.left = true;
        self.muted = false;
    }
}

/// Two ranges, as address and size, have a byte in common; a range that wraps has both its ends.
fn overlap(one: (u64, u64), two: (u64, u64)) -> bool {
    let parts = |(address, size): (u64, u64)| {
        let (start, end) = (u128::from(address), u128::from(address) + u128::from(size));
        [(start, end), (0, end.saturating_sub(1 << 64))]
    };
    parts(one).iter().any(|one| parts(two).iter().any(|two| one.0.max(two.0) < one.1.min(two.1)))
}
