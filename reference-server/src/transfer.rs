//! One operation of the device's DMA engine.

use nix::errno::Errno;
use vfio_user_wire::Frame;
use vfio_user_wire::message::{DmaAccess, DmaWriteReply};

use crate::dirty_log::DirtyLog;
use crate::dma_table::{DmaTable, Map};
use crate::memory::Memory;
use crate::settings::Profile;
use crate::tables::dma_access;

/// The most bytes that are copied through a map in one go.
const CHUNK: u64 = 64 << 10;

/// Which way the bytes go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Direction {
    /// The device writes client memory: every byte is this one.
    Write(u8),
    /// The device reads client memory.
    Read,
}

/// A command of the server's that has no reply yet.
#[derive(Debug, Clone, Copy)]
struct Outstanding {
    id: u16,
    address: u64,
    count: u64,
}

/// An operation under way: one piece after the other, one message outstanding at a time.
#[derive(Debug)]
pub(crate) struct Transfer {
    profile: Profile,
    direction: Direction,
    iova: u64,
    length: u64,
    done: u64,
    read: Vec<u8>,
    outstanding: Option<Outstanding>,
}

/// How far an operation got.
#[derive(Debug)]
pub(crate) enum Progress {
    /// All bytes are transferred; what was read.
    Done(Vec<u8>),
    /// It cannot go on.
    Failed,
    /// This command must be sent and its reply awaited.
    Waiting(Frame),
}

impl Transfer {
    /// An operation on `length` bytes at `iova`; `None` where any of them is not mapped, or not for that direction: no
    /// byte is transferred then (specification 599-600, 634-637).
    pub(crate) fn new(
        profile: Profile,
        maps: &DmaTable,
        direction: Direction,
        iova: u64,
        length: u64,
    ) -> Option<Transfer> {
        let mut done = 0;
        while done < length {
            let at = iova.checked_add(done)?;
            let map = permitted(maps, direction, at)?;
            done = done.saturating_add((map.last - at).saturating_add(1));
        }
        // The last byte, too, must have an address.
        iova.checked_add(length.saturating_sub(1))?;
        Some(Transfer { profile, direction, iova, length, done: 0, read: Vec::new(), outstanding: None })
    }

    /// Goes on until a message is needed or nothing is left. A message takes the id `id` and at most `max_count` bytes.
    pub(crate) fn advance(
        &mut self,
        maps: &DmaTable,
        logs: &mut [&mut DirtyLog],
        max_count: u64,
        id: u16,
        memory: &mut dyn Memory,
    ) -> Progress {
        while self.done < self.length {
            let at = self.iova.wrapping_add(self.done);
            let Some(map) = permitted(maps, self.direction, at) else { return Progress::Failed };
            let piece = (map.last - at).saturating_add(1).min(self.length - self.done);
            if !map.direct {
                return Progress::Waiting(self.command(id, at, piece.min(max_count)));
            }
            // What goes by message the client sees. A copy that fails may have written a part, so it is logged before.
            if let Direction::Write(_) = self.direction {
                logs.iter_mut().for_each(|log| log.written(at, piece.min(CHUNK)));
            }
            if self.copy(map.address, at - map.address, piece.min(CHUNK), memory).is_err() {
                return Progress::Failed;
            }
        }
        Progress::Done(std::mem::take(&mut self.read))
    }

    /// Takes the reply to the outstanding command; `None` where it is a reply to something else. `Some(false)` says
    /// that the reply is an error, or lies.
    pub(crate) fn reply(&mut self, reply: &Frame) -> Option<bool> {
        let outstanding = self.outstanding.filter(|outstanding| outstanding.id == reply.header.id)?;
        self.outstanding = None;
        if reply.header.is_error() || reply.header.command != self.number() {
            return Some(false);
        }
        let taken = match self.direction {
            Direction::Read => self.take_data(&outstanding, &reply.payload),
            Direction::Write(_) => self.confirms(&outstanding, &reply.payload),
        };
        if taken {
            self.done += outstanding.count;
        }
        Some(taken)
    }

    /// Whether what is still to do touches `map`.
    pub(crate) fn touches(&self, map: &Map) -> bool {
        let first = self.iova.wrapping_add(self.done);
        let last = self.iova.wrapping_add(self.length.saturating_sub(1));
        self.done < self.length && first <= map.last && map.address <= last
    }

    /// The number of its command.
    fn number(&self) -> u16 {
        let name = match self.direction {
            Direction::Read => "DMA_READ",
            Direction::Write(_) => "DMA_WRITE",
        };
        self.profile.dialect().command(name).map_or(0, |(number, _)| number)
    }

    fn command(&mut self, id: u16, address: u64, count: u64) -> Frame {
        self.outstanding = Some(Outstanding { id, address, count });
        let mut payload = match self.profile {
            Profile::V8 => dma_access::head(address, count),
            _ => DmaAccess { address, count }.bytes().to_vec(),
        };
        if let Direction::Write(pattern) = self.direction {
            payload.resize(payload.len().saturating_add(count as usize), pattern);
        }
        Frame::command(id, self.number(), payload)
    }

    fn copy(&mut self, map: u64, offset: u64, count: u64, memory: &mut dyn Memory) -> Result<(), Errno> {
        match self.direction {
            Direction::Write(pattern) => memory.write(map, offset, &vec![pattern; count as usize])?,
            Direction::Read => {
                let mut bytes = vec![0; count as usize];
                memory.read(map, offset, &mut bytes)?;
                self.read.append(&mut bytes);
            }
        }
        self.done += count;
        Ok(())
    }

    fn take_data(&mut self, asked: &Outstanding, payload: &[u8]) -> bool {
        let parsed = match self.profile {
            Profile::V8 => dma_access::parse(payload),
            _ => DmaAccess::parse(payload).map(|(access, data)| (access.address, access.count, data)),
        };
        let Some((address, count, data)) = parsed else { return false };
        if address != asked.address || count != asked.count || data.len() as u64 != asked.count {
            return false;
        }
        self.read.extend_from_slice(data);
        true
    }

    /// The table gives the count of a DMA_WRITE reply 4 bytes (1463-1472); clients in use send 8, or no payload at all.
    fn confirms(&self, asked: &Outstanding, payload: &[u8]) -> bool {
        if payload.is_empty() {
            return true;
        }
        if self.profile == Profile::V8 {
            return dma_access::confirms(asked.address, asked.count, payload);
        }
        if let Some((reply, _)) = DmaAccess::parse(payload) {
            return reply.address == asked.address && reply.count == asked.count;
        }
        DmaWriteReply::parse(payload)
            .is_some_and(|(reply, _)| reply.address == asked.address && u64::from(reply.count) == asked.count)
    }
}

fn permitted(maps: &DmaTable, direction: Direction, iova: u64) -> Option<&Map> {
    maps.covering(iova).filter(|map| match direction {
        Direction::Read => map.access.readable,
        Direction::Write(_) => map.access.writeable,
    })
}
