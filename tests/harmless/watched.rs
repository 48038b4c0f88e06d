//! The reference server, watched: every byte that a client writes to its device is noted, whatever way it takes.

use std::collections::BTreeMap;
use std::fmt;
use std::fs::File;
use std::io::Write;
use std::os::fd::OwnedFd;
use std::str::FromStr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use vfio_user_reference_server::{Access, Effect, Errno, Extra, Machine, Memory, Profile, Server, Settings};
use vfio_user_wire::message::{
    DEVICE_GET_REGION_INFO, DEVICE_RESET, MIG_DATA_READ, MIG_DATA_WRITE, MigrationData, MultiWrite, REGION_WRITE,
    REGION_WRITE_MULTI, RegionAccess,
};
use vfio_user_wire::{Frame, Header};

/// Bytes that are looked at together.
const PAGE: usize = 0x1000;
/// No region that can be mapped is larger.
const MOST_PAGES: usize = 4096;

/// Something that a client did to the device.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Seen {
    /// The command, `store` for what came through a mapping, `doorbell` for a descriptor of a sub-region.
    pub(crate) what: String,
    /// Which region; 0 where it is none.
    pub(crate) region: u32,
    /// First byte.
    pub(crate) offset: u64,
    /// Bytes.
    pub(crate) length: u64,
}

impl fmt::Display for Seen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} {:#x} {:#x}", self.what, self.region, self.offset, self.length)
    }
}

impl FromStr for Seen {
    type Err = String;

    fn from_str(line: &str) -> Result<Seen, String> {
        let words: Vec<&str> = line.split(' ').collect();
        let number = |at: usize| {
            let word = words.get(at).and_then(|word| word.strip_prefix("0x")).ok_or(line)?;
            u64::from_str_radix(word, 16).map_err(|error| format!("{line}: {error}"))
        };
        let [what, region, ..] = words.as_slice() else { return Err(line.to_owned()) };
        let region = region.parse().map_err(|error| format!("{line}: {error}"))?;
        Ok(Seen { what: (*what).to_owned(), region, offset: number(2)?, length: number(3)? })
    }
}

/// Where it is noted.
#[derive(Debug, Clone)]
pub(crate) struct Notes {
    place: Place,
    /// The migration data that servers gave out.
    saved: Arc<Mutex<Vec<u8>>>,
}

/// In this process, or in a file that several servers write to.
#[derive(Debug, Clone)]
enum Place {
    Here(Arc<Mutex<Vec<Seen>>>),
    In(Arc<File>),
}

impl Notes {
    pub(crate) fn here() -> Notes {
        Notes { place: Place::Here(Arc::default()), saved: Arc::default() }
    }

    pub(crate) fn in_file(file: File) -> Notes {
        Notes { place: Place::In(Arc::new(file)), saved: Arc::default() }
    }

    /// What was seen since this was asked last, where it is noted here.
    pub(crate) fn take(&self) -> Vec<Seen> {
        locked(&self.saved).clear();
        match &self.place {
            Place::Here(notes) => std::mem::take(&mut *locked(notes)),
            Place::In(_) => Vec::new(),
        }
    }

    fn note(&self, what: &str, region: u32, offset: u64, length: u64) {
        let seen = Seen { what: what.to_owned(), region, offset, length };
        match &self.place {
            Place::Here(notes) => locked(notes).push(seen),
            // One write to a file that is appended to.
            Place::In(file) => (&**file).write_all(format!("{seen}\n").as_bytes()).unwrap(),
        }
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The server, and what is seen.
pub(crate) struct Watched {
    server: Server,
    profile: Profile,
    notes: Notes,
    /// What the regions that can be mapped held when the server last wrote there; `None` before the first message.
    regions: Option<BTreeMap<u32, Vec<u8>>>,
    /// This client was told how to map a region.
    told: bool,
    /// The descriptors of sub-regions that were given out.
    doorbells: Vec<Arc<OwnedFd>>,
    io_regions: Vec<Arc<OwnedFd>>,
}

impl Watched {
    pub(crate) fn new(profile: Profile, notes: Notes) -> Watched {
        let with = (profile != Profile::V0_9_2).then_some(Extra::PfnQuery);
        let server = Server::with(Settings { profile, with, ..Settings::default() });
        Watched { server, profile, notes, regions: None, told: false, doorbells: Vec::new(), io_regions: Vec::new() }
    }

    fn look_at(&mut self, frame: &Frame) {
        let name = self.profile.dialect().message(frame.header.command).map_or("", |message| message.name);
        let note = |what: &str, region, offset, length| self.notes.note(what, region, offset, length);
        if frame.header.is_reply() {
            return;
        }
        self.told |= name == DEVICE_GET_REGION_INFO.name;
        if name == REGION_WRITE.name {
            if let Some((access, data)) = RegionAccess::parse(&frame.payload) {
                note(name, access.region, access.offset, data.len() as u64);
            }
        } else if name == REGION_WRITE_MULTI.name {
            if let Some((multi, tail)) = MultiWrite::parse(&frame.payload) {
                for write in multi.writes(tail).0 {
                    note(name, write.region, write.offset, u64::from(write.count));
                }
            }
        } else if name == MIG_DATA_WRITE.name {
            // What stands behind that is no data.
            let whole = MigrationData::parse(&frame.payload);
            let data = whole.map_or(&[][..], |(head, data)| data.get(..head.size as usize).unwrap_or(data));
            let given = data.is_empty() || locked(&self.notes.saved).windows(data.len()).any(|given| given == data);
            note(if given { name } else { "made-up-migration-data" }, 0, 0, data.len() as u64);
        } else if name == DEVICE_RESET.name {
            note(name, 0, 0, 0);
        }
    }

    /// Lets the server work, with a memory that is watched.
    fn watch<T>(&mut self, memory: &mut dyn Memory, work: impl FnOnce(&mut Server, &mut dyn Memory) -> T) -> T {
        let regions = self.regions.get_or_insert_with(|| {
            let known = (0..16).filter(|region| memory.region_fd(*region).is_some()).collect::<Vec<_>>();
            known.into_iter().map(|region| (region, contents(memory, region))).collect()
        });
        let (doorbells, io_regions) = (&mut self.doorbells, &mut self.io_regions);
        work(&mut self.server, &mut Watching { memory, notes: &self.notes, regions, doorbells, io_regions })
    }
}

/// All bytes of a mappable region.
fn contents(memory: &mut dyn Memory, region: u32) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut page = [0; PAGE];
    while bytes.len() < MOST_PAGES * PAGE && memory.region_read(region, bytes.len() as u64, &mut page).is_ok() {
        bytes.extend_from_slice(&page);
    }
    bytes
}

impl Machine for Watched {
    fn connect(&mut self) {
        self.server.connect();
    }

    fn receive(&mut self, frame: Frame, fds: Vec<OwnedFd>, memory: &mut dyn Memory, effects: &mut Vec<Effect>) {
        self.look_at(&frame);
        let before = effects.len();
        self.watch(memory, |server, memory| server.receive(frame, fds, memory, effects));
        for effect in effects.iter().skip(before) {
            let Effect::Send { frame, .. } = effect else { continue };
            let message = self.profile.dialect().message(frame.header.command);
            let saved = message.is_some_and(|message| message.name == MIG_DATA_READ.name) && !frame.header.is_error();
            if let Some((_, data)) = MigrationData::parse(&frame.payload).filter(|_| saved) {
                locked(&self.notes.saved).extend_from_slice(data);
            }
        }
    }

    fn receive_on_twin(&mut self, frame: Frame, memory: &mut dyn Memory, effects: &mut Vec<Effect>) {
        self.look_at(&frame);
        self.watch(memory, |server, memory| server.receive_on_twin(frame, memory, effects));
    }

    fn refuse(&mut self, header: &Header, effects: &mut Vec<Effect>) {
        self.server.refuse(header, effects);
    }

    fn twin_ended(&mut self) {
        self.server.twin_ended();
    }

    fn disconnect(&mut self, memory: &mut dyn Memory) {
        if let (true, Some(regions)) = (std::mem::take(&mut self.told), &mut self.regions) {
            for (region, known) in regions {
                let now = contents(memory, *region);
                let pages = now.chunks(PAGE).zip(known.chunks(PAGE)).enumerate();
                for (page, (now, known)) in pages.filter(|(_, (now, known))| now != known) {
                    for (at, _) in now.iter().zip(known).enumerate().filter(|(_, (now, known))| now != known) {
                        self.notes.note("store", *region, (page * PAGE + at) as u64, 1);
                    }
                }
                *known = now;
            }
        }
        let rung: u64 = self.doorbells.iter().map(|doorbell| memory.rung(doorbell)).sum();
        let written: u64 = self.io_regions.iter().map(|ours| memory.written(ours)).sum();
        (0..rung + written).for_each(|_| self.notes.note("doorbell", 0, 0, 0));
        self.watch(memory, |server, memory| server.disconnect(memory));
    }
}

/// A memory that keeps in mind what the server itself writes to its regions, and notes what comes through descriptors.
struct Watching<'a> {
    memory: &'a mut dyn Memory,
    notes: &'a Notes,
    regions: &'a mut BTreeMap<u32, Vec<u8>>,
    doorbells: &'a mut Vec<Arc<OwnedFd>>,
    io_regions: &'a mut Vec<Arc<OwnedFd>>,
}

impl Memory for Watching<'_> {
    fn map(&mut self, address: u64, fd: OwnedFd, offset: u64, size: u64, access: Access) -> Result<(), Errno> {
        self.memory.map(address, fd, offset, size, access)
    }

    fn unmap(&mut self, address: u64) {
        self.memory.unmap(address);
    }

    fn read(&mut self, address: u64, offset: u64, bytes: &mut [u8]) -> Result<(), Errno> {
        self.memory.read(address, offset, bytes)
    }

    fn write(&mut self, address: u64, offset: u64, bytes: &[u8]) -> Result<(), Errno> {
        self.memory.write(address, offset, bytes)
    }

    fn region_read(&mut self, region: u32, offset: u64, bytes: &mut [u8]) -> Result<(), Errno> {
        self.memory.region_read(region, offset, bytes)
    }

    fn region_write(&mut self, region: u32, offset: u64, bytes: &[u8]) -> Result<(), Errno> {
        self.memory.region_write(region, offset, bytes)?;
        let known = self.regions.get_mut(&region).and_then(|known| known.get_mut(offset as usize..));
        known.into_iter().flatten().zip(bytes).for_each(|(known, now)| *known = *now);
        Ok(())
    }

    fn region_clear(&mut self, region: u32) -> Result<(), Errno> {
        self.memory.region_clear(region)?;
        self.regions.get_mut(&region).into_iter().for_each(|known| known.fill(0));
        Ok(())
    }

    fn region_fd(&self, region: u32) -> Option<Arc<OwnedFd>> {
        self.memory.region_fd(region)
    }

    fn doorbell(&mut self) -> Result<Arc<OwnedFd>, Errno> {
        self.memory.doorbell().inspect(|doorbell| self.doorbells.push(Arc::clone(doorbell)))
    }

    fn io_region(&mut self) -> Result<(Arc<OwnedFd>, Arc<OwnedFd>), Errno> {
        self.memory.io_region().inspect(|(ours, _)| self.io_regions.push(Arc::clone(ours)))
    }

    fn written(&mut self, ours: &Arc<OwnedFd>) -> u64 {
        let count = self.memory.written(ours);
        (0..count).for_each(|_| self.notes.note("doorbell", 0, 0, 0));
        count
    }

    fn rung(&mut self, doorbell: &Arc<OwnedFd>) -> u64 {
        let count = self.memory.rung(doorbell);
        // Nobody rings so often, but the counter can be made to say so.
        (0..count.min(8)).for_each(|_| self.notes.note("doorbell", 0, 0, 0));
        count
    }
}
