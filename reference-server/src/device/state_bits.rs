//! The states of migration as the bits of `device_state`, and the changes that a client may ask for (0.9.1, 1709-1747).

use vfio_user_wire::device_state as current;
use vfio_user_wire::legacy::migration_state::{ERROR, PRE_COPY, RESUMING, RUNNING, STOP_AND_COPY, STOPPED};

use crate::settings::Profile;

/// The bits, and the same state of [`current`].
const STATES: [(u32, u32); 6] = [
    (STOPPED, current::STOP),
    (RUNNING, current::RUNNING),
    (STOP_AND_COPY, current::STOP_COPY),
    (PRE_COPY, current::PRE_COPY),
    (RESUMING, current::RESUMING),
    (ERROR, current::ERROR),
];

/// The ones of the table (1733-1747).
const CHANGES: [(u32, u32); 9] = [
    (STOPPED, RUNNING),
    (RUNNING, STOPPED),
    (RUNNING, STOP_AND_COPY),
    (RUNNING, PRE_COPY),
    (RUNNING, RESUMING),
    (STOP_AND_COPY, STOPPED),
    (STOP_AND_COPY, RUNNING),
    (PRE_COPY, STOP_AND_COPY),
    (RESUMING, RUNNING),
];

/// Those of them that the table of version 8 has not (at 595dff9, 1023-1037).
const NOT_IN_V8: [(u32, u32); 2] = [(STOPPED, RUNNING), (STOP_AND_COPY, RUNNING)];

/// The bits of a state.
pub(super) fn bits(state: u32) -> u32 {
    STATES.iter().find(|(_, known)| *known == state).map_or(ERROR, |(bits, _)| *bits)
}

/// The state of these bits; `None` where they make none.
pub(super) fn state(bits: u32) -> Option<u32> {
    STATES.iter().find(|(known, _)| *known == bits).map(|(_, state)| *state)
}

/// A client may ask for the change from the one to the other, or for none at all.
pub(super) fn may_change(profile: Profile, from: u32, to: u32) -> bool {
    let left_out = profile == Profile::V8 && NOT_IN_V8.contains(&(from, to));
    from == to || CHANGES.contains(&(from, to)) && !left_out
}
