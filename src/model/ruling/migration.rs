//! The features MIGRATION and MIG_DEVICE_STATE, and what other commands may get while the device is stopped.

use vfio_user_wire::device_state::{ERROR, PRE_COPY, RESUMING, RUNNING, STOP, STOP_COPY};
use vfio_user_wire::feature::MigDeviceState;
use vfio_user_wire::message::{DEVICE_FEATURE, DEVICE_RESET, DeviceFeature, VERSION};
use vfio_user_wire::{feature_flags, feature_index};

use super::super::judgement::payload_mark;
use super::super::migration::{States, Way, name, way};
use super::super::permits::{Permits, Rule};
use super::super::session::{Given, State};
use super::super::{Command, Judgements};
use crate::verdict::Class::{Note, Violation};

/// Bytes of a payload with data of either feature.
const WHOLE: usize = DeviceFeature::LAYOUT.size + MigDeviceState::LAYOUT.size;

/// GET of MIGRATION.
pub(super) fn permits_get(command: &Command, head: &DeviceFeature) -> Permits {
    if (head.argsz as usize) < WHOLE {
        return Permits::either().testing("FEAT-09");
    }
    if command.payload.len() != DeviceFeature::LAYOUT.size || !command.fds.is_empty() {
        return Permits::either();
    }
    let requirement = if head.index() == feature_index::MIGRATION { "FEAT-12" } else { "FEAT-06" };
    Permits::success(requirement, Violation, "success: the device can be migrated")
}

/// SET of MIG_DEVICE_STATE.
pub(super) fn permits_set(state: &State, command: &Command, head: &DeviceFeature) -> Permits {
    let Some((wanted, surplus)) = wanted(command) else { return Permits::either() };
    let (to, data_fd) = (wanted.device_state, wanted.data_fd);
    let mut permits = permits_change(state, to);
    if (head.argsz as usize) < command.payload.len() {
        permits.error.clear();
        return permits.testing("FEAT-18");
    }
    if !surplus || !command.fds.is_empty() {
        permits.error.clear();
    } else if data_fd != 0 && data_fd != u32::MAX && !permits.error.is_empty() {
        let expected = "success: data_fd is unused".to_owned();
        permits.error = vec![Rule { requirement: "MIGFSM-28", class: Note, expected }];
    }
    permits
}

/// What asking for a state may bring, where the device may be in one of several: only what is right for all of them is
/// asked for.
fn permits_change(state: &State, to: u32) -> Permits {
    let states = state.migration.states();
    let ways: Vec<Way> = states.iter().map(|from| way(&state.offer, from, to)).collect();
    match ways.as_slice() {
        [Way::Open(requirement), ..] if ways.iter().all(|way| matches!(way, Way::Open(_))) => {
            let expected = format!("success: from {states} there is a way to {}", name(to));
            Permits::success(requirement, Violation, expected)
        }
        [Way::Closed(requirement, class), ..] if ways.iter().all(|way| matches!(way, Way::Closed(..))) => {
            let expected = format!("a refusal: from {states} there is no way to {} ({to})", name(to));
            Permits::refusal(requirement, *class, expected)
        }
        [Way::Loaded(_)] if state.carried.is_whole() && matches!(to, STOP | RUNNING) => {
            let expected = "success: all that was read of the device was written to it".to_owned();
            Permits::success("MIGDATA-14", Violation, expected)
        }
        [Way::Loaded(requirement)] => Permits::either().testing(requirement),
        [Way::Same] => Permits::either().testing("MIGFSM-23"),
        _ => Permits::either(),
    }
}

/// The data of a SET, and whether nothing follows it.
fn wanted(command: &Command) -> Option<(MigDeviceState, bool)> {
    let (_, data) = DeviceFeature::parse(&command.payload)?;
    let (wanted, surplus) = MigDeviceState::parse(data)?;
    Some((wanted, surplus.is_empty()))
}

/// GET of MIG_DEVICE_STATE says what state it is.
pub(super) fn judge_state(state: &State, payload: &[u8], out: &mut Judgements) {
    let Some((is, _)) = DeviceFeature::parse(payload).and_then(|(_, data)| MigDeviceState::parse(data)) else { return };
    let is = is.device_state;
    let mark = || {
        let field = DEVICE_FEATURE.reply_of(payload).fixed.and_then(|layout| layout.field("device_state"));
        field.and_then(payload_mark)
    };
    let actual = || format!("{} ({is})", name(is));
    if is > vfio_user_wire::device_state::PRE_COPY_P2P {
        return out.must("MIGFSM-15", false, "a state: 0 to 7", actual, mark());
    }
    let p2p = state.offer.migration_flags.unwrap_or_default() & vfio_user_wire::migration_flags::P2P != 0;
    if !States::ANY.has(is) {
        return out.must("MIGFSM-14", p2p, "a state that vfio-user uses", actual, mark());
    }
    if let Some(due) = state.migration.due() {
        out.check(due.requirement, due.states.has(is), due.class, &due.states.to_string(), actual, mark());
    }
}

/// Follows the state.
pub(super) fn apply(state: &mut State, command: &Command, given: Given<'_>) {
    let Some((head, _)) = DeviceFeature::parse(&command.payload) else { return };
    match (head.index(), head.operation(), given) {
        (feature_index::MIG_DEVICE_STATE, feature_flags::GET, Given::Ok(payload)) => {
            let is = DeviceFeature::parse(payload).and_then(|(_, data)| MigDeviceState::parse(data));
            if let Some((is, _)) = is {
                state.migration.seen(is.device_state);
            }
        }
        (feature_index::MIG_DEVICE_STATE, operation, _)
            if operation & feature_flags::SET != 0 && operation & feature_flags::PROBE == 0 =>
        {
            let Some((wanted, _)) = wanted(command) else {
                if matches!(given, Given::Ok(_)) {
                    state.migration.touch();
                    state.carried.leave();
                }
                return;
            };
            let to = wanted.device_state;
            // What is loaded takes the place of what the device was (1709-1712, 1727-1729).
            if to == RESUMING || state.migration.states().has(RESUMING) {
                state.scratch.forget_all();
            }
            carry(state, to, matches!(given, Given::Ok(_)) && operation == feature_flags::SET);
            match given {
                Given::Ok(_) if operation == feature_flags::SET => state.migration.set(to),
                Given::Error => state.migration.not_set(to),
                Given::Ok(_) | Given::Unknown => state.migration.perhaps_set(to),
            }
            if !state.migration.is_stopped() {
                state.irqs.resume();
            }
        }
        _ => {}
    }
}

/// Follows the data of a device whose state was changed, or perhaps was.
fn carry(state: &mut State, to: u32, changed: bool) {
    match (state.migration.states().only().filter(|_| changed && state.alone), to) {
        (Some(PRE_COPY), STOP_COPY) => state.carried.stops(&state.scratch),
        (Some(RUNNING | STOP), STOP_COPY | PRE_COPY) => state.carried.saves(&state.scratch),
        (Some(RUNNING | STOP | STOP_COPY), RESUMING) => state.carried.loads(),
        (Some(RESUMING), STOP | RUNNING) => {
            if let Some(scratch) = state.carried.is_loaded() {
                state.scratch = scratch;
            }
        }
        _ => state.carried.leave(),
    }
}

/// While the device is stopped, a server that refuses a command gets no more than a note (policy A-27), and in ERROR only
/// the reset is asked for.
pub(super) fn stopped(state: &State, command: &Command, permits: &mut Permits) {
    let Some(message) = command.message else { return };
    let Some((head, _)) = DeviceFeature::parse(&command.payload) else { return refuse(state, message.name, permits) };
    let of_migration = head.index() == feature_index::MIGRATION || head.index() == feature_index::MIG_DEVICE_STATE;
    if message.name != DEVICE_FEATURE.name || !of_migration {
        refuse(state, message.name, permits);
    }
}

fn refuse(state: &State, message: &str, permits: &mut Permits) {
    let spared = [VERSION.name, "MIG_DATA_READ", "MIG_DATA_WRITE"].contains(&message);
    if spared || permits.error.is_empty() || !state.migration.may_be_stopped() {
        return;
    }
    permits.error.clear();
    if state.migration.states().only() != Some(ERROR) || message == DEVICE_RESET.name {
        let expected = "success: the device is stopped, and the server serves all the same".to_owned();
        permits.error.push(Rule { requirement: "MIGFSM-30", class: Note, expected });
    }
}
