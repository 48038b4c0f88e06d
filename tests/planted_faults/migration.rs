//! What faults of migration have in common: the state that the device is brought into, and the stream of its data.

use vfio_user_reference_server::{Effect, Errno, Machine, Memory, Server};
use vfio_user_wire::device_state::{STOP, STOP_COPY};
use vfio_user_wire::message::MigrationData;
use vfio_user_wire::{Frame, V0_9_2, feature_flags, feature_index};

use crate::wrapper::{Answer, Faulty, Step, around, get, is};

pub(crate) const READ: &str = "MIG_DATA_READ";
pub(crate) const WRITE: &str = "MIG_DATA_WRITE";

/// The flags of a DEVICE_FEATURE that asks for the state.
pub(crate) const GET_STATE: u32 = feature_flags::GET | feature_index::MIG_DEVICE_STATE as u32;

/// Bytes before the data.
pub(crate) const HEAD: usize = MigrationData::LAYOUT.size;

/// The state that a DEVICE_FEATURE asks for.
pub(crate) fn wanted(command: &Frame) -> Option<u32> {
    let set = feature_flags::SET | u32::from(feature_index::MIG_DEVICE_STATE);
    let asked = is(command, "DEVICE_FEATURE") && get(command, "flags") == u64::from(set);
    let state = command.payload.get(8..12).filter(|_| asked)?;
    Some(u32::from_ne_bytes(state.try_into().ok()?))
}

/// A command of the fault's own, and the reply to it.
pub(crate) fn ask(server: &mut Server, memory: &mut dyn Memory, name: &str, payload: Vec<u8>) -> Option<Frame> {
    let (number, _) = V0_9_2.command(name)?;
    let mut effects = Vec::new();
    server.receive(Frame::command(0x7777, number, payload), Vec::new(), memory, &mut effects);
    effects.into_iter().find_map(|effect| match effect {
        Effect::Send { frame, .. } => Some(frame),
        _ => None,
    })
}

/// Brings the device into a state; whether that succeeded.
pub(crate) fn set_state(server: &mut Server, memory: &mut dyn Memory, state: u32) -> bool {
    let set = feature_flags::SET | u32::from(feature_index::MIG_DEVICE_STATE);
    let payload: Vec<u8> = [16, set, state, 0].iter().flat_map(|word: &u32| word.to_ne_bytes()).collect();
    ask(server, memory, "DEVICE_FEATURE", payload).is_some_and(|reply| !reply.header.is_error())
}

/// The state that the device is in.
pub(crate) fn state(server: &mut Server, memory: &mut dyn Memory) -> Option<u32> {
    let get: Vec<u8> = [16, GET_STATE].iter().flat_map(|word: &u32| word.to_ne_bytes()).collect();
    let reply = ask(server, memory, "DEVICE_FEATURE", get)?;
    Some(u32::from_ne_bytes(reply.payload.get(8..12)?.try_into().ok()?))
}

/// Writes migration data; whether it was taken.
pub(crate) fn write(server: &mut Server, memory: &mut dyn Memory, data: &[u8]) -> bool {
    let size = data.len() as u32;
    let payload = [MigrationData { argsz: size + 8, size }.bytes(), data].concat();
    ask(server, memory, WRITE, payload).is_some_and(|reply| !reply.header.is_error())
}

/// All that there is to read.
pub(crate) fn drain(server: &mut Server, memory: &mut dyn Memory) -> Vec<u8> {
    let mut stream = Vec::new();
    loop {
        let size = 1 << 20;
        let payload = MigrationData { argsz: size + 8, size }.bytes().to_vec();
        let reply = ask(server, memory, READ, payload);
        let data = reply.as_ref().and_then(|reply| reply.payload.get(HEAD..)).unwrap_or_default();
        if data.is_empty() {
            return stream;
        }
        stream.extend_from_slice(data);
    }
}

/// A successful reply to a read.
pub(crate) fn data(bytes: &[u8]) -> Answer {
    let size = bytes.len() as u32;
    Answer::Ok([MigrationData { argsz: size + 8, size }.bytes(), bytes].concat())
}

/// The migration data that a device has to give, and how much of it was read.
#[derive(Debug, Default)]
pub(crate) struct Saved {
    pub(crate) bytes: Vec<u8>,
    pub(crate) at: usize,
}

impl Saved {
    /// The next bytes.
    pub(crate) fn next(&mut self, size: usize) -> Vec<u8> {
        let rest = self.bytes.get(self.at..).unwrap_or_default();
        let bytes = rest.get(..size).unwrap_or(rest).to_vec();
        self.at += bytes.len();
        bytes
    }
}

/// In STOP_COPY reads are answered by `read` from all that the device has to give; other messages pass, and reads without
/// room for what they ask for are refused.
pub(crate) fn reads(mut read: impl FnMut(&Frame, &mut Saved) -> Answer + 'static) -> Faulty {
    reads_with(move |command, saved| {
        let roomy = get(command, "argsz") >= get(command, "size") + HEAD as u64;
        if roomy { read(command, saved) } else { Answer::Error(Errno::EINVAL) }
    })
}

/// The same, but for the refusal.
pub(crate) fn reads_with(mut read: impl FnMut(&Frame, &mut Saved) -> Answer + 'static) -> Faulty {
    let mut saved: Option<Saved> = None;
    around(move |step| {
        let changes = wanted(&step.frame).is_some() || is(&step.frame, "DEVICE_RESET");
        if let (true, Some(saved)) = (is(&step.frame, READ), &mut saved) {
            let answer = read(&step.frame, saved);
            return step.answer(answer);
        }
        step.pass_then(|server, memory| {
            if changes && state(server, memory) != Some(STOP_COPY) {
                saved = None;
            } else if changes && saved.is_none() {
                saved = Some(Saved { bytes: drain(server, memory), at: 0 });
            }
        });
    })
}

/// While the device is stopped, messages go through `receive`.
pub(crate) fn while_stopped(receive: impl Fn(Step<'_>) + 'static) -> Faulty {
    let mut stopped = false;
    around(move |step| {
        if let Some(to) = wanted(&step.frame) {
            stopped = matches!(to, STOP | STOP_COPY);
        }
        if stopped { receive(step) } else { step.pass() }
    })
}
