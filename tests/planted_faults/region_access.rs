//! What faults of the migration region have in common: the accesses to it, and the state that the device is brought into.

use vfio_user_reference_server::{Errno, Memory, Profile, Server};
use vfio_user_wire::legacy::migration_state::RUNNING;
use vfio_user_wire::message::RegionAccess;
use vfio_user_wire::{Frame, region};

use crate::migration::ask;
use crate::wrapper::{Answer, Faulty, Step, around_server, is, server_of};

/// The index of the region in the reference server.
pub(crate) const REGION: u32 = region::COUNT;
pub(crate) const PENDING: u64 = 8;
pub(crate) const PLACE: u64 = 16;
pub(crate) const SIZE: u64 = 24;
/// Where the reference server has its data.
pub(crate) const DATA: u64 = 0x1000;
const HEAD: usize = RegionAccess::LAYOUT.size;

/// An access to the migration region.
#[derive(Debug, Clone)]
pub(crate) struct Access {
    pub(crate) writes: bool,
    pub(crate) offset: u64,
    pub(crate) count: usize,
    /// What is written.
    pub(crate) data: Vec<u8>,
}

impl Access {
    pub(crate) fn new(command: &Frame) -> Option<Access> {
        let writes = is(command, "REGION_WRITE");
        let (access, data) = RegionAccess::parse(&command.payload).filter(|_| writes || is(command, "REGION_READ"))?;
        let RegionAccess { offset, region, count } = access;
        (region == REGION).then(|| Access { writes, offset, count: count as usize, data: data.to_vec() })
    }

    /// It reads the register there.
    pub(crate) fn reads(&self, offset: u64) -> bool {
        !self.writes && self.offset == offset
    }

    /// It writes the register there.
    pub(crate) fn writes(&self, offset: u64) -> bool {
        self.writes && self.offset == offset
    }

    /// It is one of a register as a whole.
    pub(crate) fn is_whole(&self) -> bool {
        matches!((self.offset, self.count), (0 | 4, 4) | (8 | 16 | 24 | 32 | 40 | 48 | 56, 8))
    }

    /// The state that it asks for.
    pub(crate) fn wanted(&self) -> Option<u32> {
        let bytes = self.data.as_slice().try_into().ok().filter(|_| self.writes(0))?;
        Some(u32::from_ne_bytes(bytes))
    }

    /// A successful reply.
    pub(crate) fn ok(&self, data: &[u8]) -> Answer {
        let count = self.count as u32;
        let head = RegionAccess { offset: self.offset, region: REGION, count };
        Answer::Ok([head.bytes(), if self.writes { &[] } else { data }].concat())
    }
}

/// A server whose accesses to the region go through `receive`, with the state that the device is in; all else passes.
pub(crate) fn accesses(mut receive: impl FnMut(u32, &Access, Step<'_>) + 'static) -> Faulty {
    around_server(server_of(Profile::V0_9_1), move |step| match Access::new(&step.frame) {
        Some(access) => receive(state_of(step.server, step.memory).unwrap_or(RUNNING), &access, step),
        None => step.pass(),
    })
}

/// Accesses that are answered in the server's place.
pub(crate) fn answered(mut answer: impl FnMut(u32, &Access) -> Option<Answer> + 'static) -> Faulty {
    accesses(move |state, access, step| match answer(state, access) {
        Some(answer) => step.answer(answer),
        None => step.pass(),
    })
}

/// Another number in a register that can be read.
pub(crate) fn numbers(mut change: impl FnMut(u32, &Access, u64) -> u64 + 'static) -> Faulty {
    accesses(move |state, access, step| {
        if access.writes || !access.is_whole() {
            return step.pass();
        }
        let answer = match read(step.server, step.memory, access.offset, access.count) {
            Some(data) => {
                let mut bytes = [0; 8];
                bytes.iter_mut().zip(data).for_each(|(to, from)| *to = from);
                let value = change(state, access, u64::from_ne_bytes(bytes));
                access.ok(value.to_ne_bytes().get(..access.count).unwrap_or_default())
            }
            None => Answer::Error(Errno::EINVAL),
        };
        step.answer(answer);
    })
}

/// An access that the server may not survive.
pub(crate) fn panics(when: impl Fn(u32, &Access) -> bool + 'static) -> Faulty {
    answered(move |state, access| {
        assert!(!when(state, access), "out of bounds");
        None
    })
}

/// Reads from the region.
pub(crate) fn read(server: &mut Server, memory: &mut dyn Memory, offset: u64, count: usize) -> Option<Vec<u8>> {
    let payload = RegionAccess { offset, region: REGION, count: count as u32 }.bytes().to_vec();
    let reply = ask(server, memory, "REGION_READ", payload).filter(|reply| !reply.header.is_error())?;
    Some(reply.payload.get(HEAD..)?.to_vec())
}

/// Writes to the region; whether that succeeded.
pub(crate) fn write(server: &mut Server, memory: &mut dyn Memory, offset: u64, data: &[u8]) -> bool {
    let access = RegionAccess { offset, region: REGION, count: data.len() as u32 };
    let reply = ask(server, memory, "REGION_WRITE", [access.bytes(), data].concat());
    reply.is_some_and(|reply| !reply.header.is_error())
}

/// The state that the device is in.
pub(crate) fn state_of(server: &mut Server, memory: &mut dyn Memory) -> Option<u32> {
    Some(u32::from_ne_bytes(read(server, memory, 0, 4)?.try_into().ok()?))
}
