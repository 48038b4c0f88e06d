//! DEVICE_FEATURE.

use vfio_user_wire::message::DeviceFeature;
use vfio_user_wire::{feature, feature_flags as flags, feature_index as index};

use super::super::permits::Permits;
use super::super::session::{Given, State};
use super::super::{Command, Judgements, LetGo};
use super::{dma_logging, migration};
use crate::verdict::Class::{Note, Violation};

pub(super) fn permits(state: &State, command: &Command) -> Permits {
    let Some((head, _)) = DeviceFeature::parse(&command.payload) else { return Permits::either() };
    let (feature, operation) = (head.index(), head.operation());
    if operation & !(flags::GET | flags::SET | flags::PROBE) != 0 {
        return Permits::refusal("FEAT-10", Note, "a refusal: bits 19 to 31 mean nothing");
    }
    let Some(known) = feature::feature(feature) else {
        return Permits::refusal("FEAT-07", Note, "a refusal: there is no such feature in vfio-user");
    };
    match operation {
        0 => return Permits::refusal("FEAT-03", Note, "a refusal: it is neither GET nor SET nor PROBE"),
        both if both == flags::GET | flags::SET => {
            return Permits::refusal("FEAT-02", Note, "a refusal: GET and SET exclude each other");
        }
        _ => {}
    }
    let of_migration = matches!(feature, index::MIGRATION | index::MIG_DEVICE_STATE);
    if !of_migration {
        return dma_logging::permits(state, command).unwrap_or_else(Permits::either);
    }
    if state.offer.migration_flags.is_none() {
        // Whether it has none, or did not say, the case knows.
        return Permits::either().testing("FEAT-15");
    }
    let lacks = |method: u32, there: bool| operation & method != 0 && !there;
    if lacks(flags::GET, known.get.is_some()) || lacks(flags::SET, known.set.is_some()) {
        let requirement = if operation & flags::PROBE != 0 { "FEAT-04" } else { "FEAT-14" };
        return Permits::refusal(requirement, Violation, format!("a refusal: {} has no such method", known.name));
    }
    if operation & flags::PROBE != 0 {
        return permits_probe(command, &head);
    }
    if operation == flags::GET {
        migration::permits_get(command, &head)
    } else {
        migration::permits_set(state, command, &head)
    }
}

/// PROBE of what the device has.
fn permits_probe(command: &Command, head: &DeviceFeature) -> Permits {
    if (head.argsz as usize) < command.payload.len() {
        return Permits::either().testing("FEAT-18");
    }
    if command.payload.len() != DeviceFeature::LAYOUT.size || !command.fds.is_empty() {
        return Permits::either();
    }
    Permits::success("FEAT-04", Note, "success: the device has the feature, and these methods of it")
}

pub(super) fn judge(state: &State, command: &Command, payload: &[u8], out: &mut Judgements) {
    let Some((head, _)) = DeviceFeature::parse(&command.payload) else { return };
    if (head.index(), head.operation()) == (index::MIG_DEVICE_STATE, flags::GET) {
        migration::judge_state(state, payload, out);
    }
    dma_logging::judge(state, command, payload, out);
}

pub(super) fn apply(state: &mut State, command: &Command, given: Given<'_>) {
    state.refuse_fds(command, LetGo::Stray);
    dma_logging::apply(state, command, given);
    migration::apply(state, command, given);
}
