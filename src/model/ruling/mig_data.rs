//! MIG_DATA_READ and MIG_DATA_WRITE.

use vfio_user_wire::Message;
use vfio_user_wire::device_state::{PRE_COPY, STOP_COPY};
use vfio_user_wire::message::{
    DEVICE_FEATURE, DEVICE_GET_INFO, DEVICE_GET_IRQ_INFO, DEVICE_GET_REGION_INFO, DEVICE_RESET, MIG_DATA_READ,
    MIG_DATA_WRITE, MigrationData,
};

use super::super::judgement::payload_mark;
use super::super::mig_data::HEAD;
use super::super::permits::Permits;
use super::super::session::{Given, State};
use super::super::{Command, Judgements, LetGo};
use crate::verdict::Class::{Note, Violation};

/// The largest read that every server is asked to serve: clients in use read no more at one time.
const USUAL: u64 = 1 << 20;

/// What a read asks for, where it is well formed and has room for it.
fn asked(state: &State, command: &Command) -> Option<u64> {
    let (request, surplus) = MigrationData::parse(&command.payload)?;
    let (argsz, size) = (u64::from(request.argsz), u64::from(request.size));
    let limit = state.offer.limits.max_data_xfer_size.min(USUAL);
    (surplus.is_empty() && command.fds.is_empty() && size > 0 && size <= limit && argsz >= HEAD + size).then_some(size)
}

pub(super) fn permits_read(state: &State, command: &Command) -> Permits {
    let Some((request, surplus)) = MigrationData::parse(&command.payload) else { return Permits::either() };
    if state.offer.migration_flags.is_none() {
        return Permits::either().testing("MIGDATA-17");
    }
    let saving = state.migration.is_saving();
    if saving == Some(false) {
        let expected = format!("a refusal: nothing is saved in {}", state.migration.states());
        return Permits::refusal("MIGDATA-01", Note, expected);
    }
    if asked(state, command).is_some() {
        return match saving {
            Some(true) => Permits::success("MIGDATA-19", Violation, "success: the device is being saved"),
            _ => Permits::either(),
        };
    }
    let (argsz, size) = (u64::from(request.argsz), u64::from(request.size));
    Permits::either().testing(if !surplus.is_empty() {
        "MIGDATA-18"
    } else if argsz < HEAD + size {
        "MIGDATA-07"
    } else if size == 0 {
        "MIGDATA-09"
    } else {
        "MIGDATA-08"
    })
}

pub(super) fn judge_read(state: &State, _: &Command, payload: &[u8], out: &mut Judgements) {
    let Some((_, data)) = MigrationData::parse(payload) else { return };
    let came = || format!("{} bytes of data", data.len());
    let mark = || MigrationData::LAYOUT.field("size").and_then(payload_mark);
    if state.migration.is_saving() == Some(false) {
        let expected = format!("no data: nothing is saved in {}", state.migration.states());
        out.must("MIGDATA-01", data.is_empty(), &expected, came, mark());
    } else if state.migration.is_read() {
        let expected = "no data: a read before got less than it asked for, which says that there are no more";
        out.must("MIGDATA-04", data.is_empty(), expected, came, mark());
    }
}

pub(super) fn apply_read(state: &mut State, command: &Command, given: Given<'_>) {
    state.refuse_fds(command, LetGo::Stray);
    let Given::Ok(payload) = given else { return };
    let data = MigrationData::parse(payload).map_or(&[] as &[u8], |(_, data)| data);
    let Some(size) = asked(state, command) else { return };
    let short = (data.len() as u64) < size;
    if short {
        state.migration.was_read();
    }
    state.carried.was_read(data, short && state.migration.states().only() == Some(STOP_COPY));
}

/// What goes on between reads or writes of a whole stream, and is none of its own: only questions leave the device as it is.
pub(super) fn interrupt(state: &mut State, command: &Command, given: Given<'_>) {
    let plain = |message: &'static Message| match message.name {
        name if name == MIG_DATA_READ.name => asked(state, command).is_some() && matches!(given, Given::Ok(_)),
        name if name == MIG_DATA_WRITE.name => {
            let whole =
                MigrationData::parse(&command.payload).is_some_and(|(head, data)| head.size as usize == data.len());
            whole && command.fds.is_empty() && matches!(given, Given::Ok(_))
        }
        // A change of the state tells of itself.
        name if name == DEVICE_FEATURE.name => !matches!(given, Given::Unknown),
        name => [DEVICE_GET_INFO.name, DEVICE_GET_REGION_INFO.name, DEVICE_GET_IRQ_INFO.name].contains(&name),
    };
    // A device in PRE_COPY runs, and whatever it does goes into the rest of its data.
    let is = |message: &Message| command.message.is_some_and(|other| other.name == message.name);
    if state.migration.states().only() == Some(PRE_COPY) && !is(&MIG_DATA_READ) && !is(&DEVICE_RESET) {
        return;
    }
    if command.header.flags != 0 || !command.message.is_some_and(plain) {
        state.carried.leave();
    }
}

pub(super) fn permits_write(state: &State, command: &Command) -> Permits {
    let Some((request, data)) = MigrationData::parse(&command.payload) else { return Permits::either() };
    let size = u64::from(request.size);
    if size > data.len() as u64 {
        let expected = format!("a refusal: {} bytes came where size says {size}", data.len());
        return Permits::refusal("MIGDATA-12", Violation, expected);
    }
    if state.offer.migration_flags.is_none() {
        return Permits::either().testing("MIGDATA-17");
    }
    if state.migration.is_resuming() == Some(false) {
        let expected = format!("a refusal: nothing is restored in {}", state.migration.states());
        return Permits::refusal("MIGDATA-02", Note, expected);
    }
    // Whether the data are any good is for the server to say.
    Permits::either()
}

/// What is written where nothing is restored must come to nothing.
pub(super) fn apply_write(state: &mut State, command: &Command, given: Given<'_>) {
    state.refuse_fds(command, LetGo::Stray);
    if !matches!(given, Given::Error) && state.migration.is_resuming() != Some(false) {
        state.scratch.forget_all();
    }
    if let (Given::Ok(_), Some((_, data))) = (given, MigrationData::parse(&command.payload)) {
        state.carried.was_written(data);
    }
}
