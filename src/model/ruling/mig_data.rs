//! MIG_DATA_READ and MIG_DATA_WRITE.

use vfio_user_wire::message::MigrationData;

use super::super::mig_data::HEAD;
use super::super::permits::Permits;
use super::super::session::{Given, State};
use super::super::{Command, Judgements, LetGo};
use crate::verdict::Class::Violation;

pub(super) fn permits_read(state: &State, command: &Command) -> Permits {
    let Some((request, surplus)) = MigrationData::parse(&command.payload) else { return Permits::either() };
    let (argsz, size) = (u64::from(request.argsz), u64::from(request.size));
    if !surplus.is_empty() || !command.fds.is_empty() {
        return Permits::either().testing("MIGDATA-18");
    }
    if argsz < HEAD + size {
        return Permits::either().testing("MIGDATA-07");
    }
    if size > state.offer.limits.max_data_xfer_size {
        return Permits::either().testing("MIGDATA-08");
    }
    Permits::either()
}

pub(super) fn judge_read(_: &State, _: &Command, _: &[u8], _: &mut Judgements) {}

pub(super) fn apply_read(state: &mut State, command: &Command, _: Given<'_>) {
    state.refuse_fds(command, LetGo::Stray);
}

pub(super) fn permits_write(_: &State, command: &Command) -> Permits {
    let Some((request, data)) = MigrationData::parse(&command.payload) else { return Permits::either() };
    let size = u64::from(request.size);
    if size > data.len() as u64 {
        let expected = format!("a refusal: {} bytes came where size says {size}", data.len());
        return Permits::refusal("MIGDATA-12", Violation, expected);
    }
    Permits::either()
}

pub(super) fn apply_write(state: &mut State, command: &Command, given: Given<'_>) {
    state.refuse_fds(command, LetGo::Stray);
    if !matches!(given, Given::Error) {
        state.scratch.forget_all();
    }
}
