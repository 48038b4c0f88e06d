//! The migration state that the device may be in.

use vfio_user_wire::device_state::{ERROR, PRE_COPY, PRE_COPY_P2P, RESUMING, RUNNING, RUNNING_P2P, STOP, STOP_COPY};
use vfio_user_wire::message::{DEVICE_FEATURE, DEVICE_RESET, DeviceFeature};
use vfio_user_wire::{feature_flags, feature_index, migration_flags};

use super::{Command, Offer};
use crate::verdict::Class::{self, Note, Violation};

/// A set of states.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct States(u8);

impl States {
    /// Every state that a device can be in.
    pub(super) const ANY: States =
        States(1 << ERROR | 1 << STOP | 1 << RUNNING | 1 << STOP_COPY | 1 << RESUMING | 1 << PRE_COPY);

    pub(super) fn one(state: u32) -> States {
        States(1u8.checked_shl(state).unwrap_or_default())
    }

    pub(super) fn has(self, state: u32) -> bool {
        self.0 & States::one(state).0 != 0
    }

    pub(super) fn and(self, other: States) -> States {
        States(self.0 | other.0)
    }

    /// The only one.
    pub(super) fn only(self) -> Option<u32> {
        (self.0.count_ones() == 1).then_some(self.0.trailing_zeros())
    }

    pub(super) fn iter(self) -> impl Iterator<Item = u32> {
        (0..8).filter(move |state| self.has(*state))
    }
}

impl std::fmt::Display for States {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let names: Vec<&str> = self.iter().map(name).collect();
        f.write_str(&names.join(" or "))
    }
}

/// What the specification calls a state.
pub(super) fn name(state: u32) -> &'static str {
    match state {
        ERROR => "ERROR",
        STOP => "STOP",
        RUNNING => "RUNNING",
        STOP_COPY => "STOP_COPY",
        RESUMING => "RESUMING",
        RUNNING_P2P => "RUNNING_P2P",
        PRE_COPY => "PRE_COPY",
        PRE_COPY_P2P => "PRE_COPY_P2P",
        _ => "no state",
    }
}

/// What comes of asking for a state.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Way {
    /// It is gone to; the requirement says so.
    Open(&'static str),
    /// What was loaded decides.
    Loaded(&'static str),
    /// It is refused; success weighs so much.
    Closed(&'static str, Class),
    /// The device is there already.
    Same,
}

/// What comes of asking a device in the state `from` for the state `to`.
pub(super) fn way(offer: &Offer, from: u32, to: u32) -> Way {
    let flags = offer.migration_flags.unwrap_or_default();
    match (from, to) {
        (_, ERROR) => Way::Closed("MIGFSM-13", Violation),
        (_, RUNNING_P2P | PRE_COPY_P2P) => {
            Way::Closed("MIGFSM-14", if flags & migration_flags::P2P == 0 { Violation } else { Note })
        }
        (_, 8..) => Way::Closed("MIGFSM-15", Violation),
        (_, PRE_COPY) if flags & migration_flags::PRE_COPY == 0 => Way::Closed("MIGFSM-24", Violation),
        (ERROR, _) => Way::Closed("MIGFSM-26", Violation),
        _ if from == to => Way::Same,
        (STOP_COPY, PRE_COPY) => Way::Closed("MIGFSM-12", Violation),
        (RUNNING, STOP) => Way::Open("MIGFSM-03"),
        (STOP_COPY, STOP) => Way::Open("MIGFSM-04"),
        (RESUMING, STOP) => Way::Loaded("MIGFSM-05"),
        (PRE_COPY, RUNNING) => Way::Open("MIGFSM-06"),
        (STOP, RUNNING) => Way::Open("MIGFSM-07"),
        (RUNNING, PRE_COPY) => Way::Open("MIGFSM-08"),
        (STOP, STOP_COPY) => Way::Open("MIGFSM-09"),
        (PRE_COPY, STOP_COPY) => Way::Open("MIGFSM-10"),
        (STOP, RESUMING) => Way::Open("MIGFSM-11"),
        (RUNNING, STOP_COPY) => Way::Open("MIGFSM-16"),
        (RUNNING, RESUMING) => Way::Open("MIGFSM-17"),
        (STOP, PRE_COPY) => Way::Open("MIGFSM-18"),
        (STOP_COPY, RUNNING) => Way::Open("MIGFSM-19"),
        (STOP_COPY, RESUMING) => Way::Open("MIGFSM-20"),
        (RESUMING, _) => Way::Loaded("MIGFSM-21"),
        _ => Way::Open("MIGFSM-22"),
    }
}

/// The states on the way from one to the other, both ends left out (1745-1752).
fn between(from: u32, to: u32) -> States {
    let none = States(0);
    match (from, to) {
        (RUNNING, STOP_COPY | RESUMING) | (STOP_COPY, RUNNING | RESUMING) | (RESUMING, RUNNING | STOP_COPY) => {
            States::one(STOP)
        }
        (STOP, PRE_COPY) | (PRE_COPY, STOP) => States::one(RUNNING),
        (RESUMING, PRE_COPY) | (PRE_COPY, RESUMING) => States::one(STOP).and(States::one(RUNNING)),
        _ => none,
    }
}

/// What the state should be, and what another one breaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Due {
    pub(super) states: States,
    pub(super) requirement: &'static str,
    pub(super) class: Class,
}

/// What is known of the state.
#[derive(Debug, Clone, Default)]
pub(super) struct Migration {
    /// `None` as long as nobody asked for it or changed it: a device that was left alone runs.
    states: Option<States>,
    due: Option<Due>,
    /// All of the migration data that there is in this state was read.
    read: bool,
}

impl Migration {
    /// What it may be.
    pub(super) fn states(&self) -> States {
        self.states.unwrap_or(States::ANY)
    }

    /// What GET must say.
    pub(super) fn due(&self) -> Option<Due> {
        self.due
    }

    /// The device does nothing of its own accord, perhaps.
    pub(super) fn may_be_stopped(&self) -> bool {
        self.states.is_some_and(|states| states.iter().any(|state| !runs(state)))
    }

    /// The device does nothing of its own accord, for sure.
    pub(super) fn is_stopped(&self) -> bool {
        self.states.is_some_and(|states| !states.iter().any(runs))
    }

    /// Its data can be read; `None` where nobody knows.
    pub(super) fn is_saving(&self) -> Option<bool> {
        self.all(|state| matches!(state, PRE_COPY | STOP_COPY))
    }

    /// Its data can be written; `None` where nobody knows.
    pub(super) fn is_resuming(&self) -> Option<bool> {
        self.all(|state| state == RESUMING)
    }

    fn all(&self, test: fn(u32) -> bool) -> Option<bool> {
        let mut states = self.states?.iter().map(test);
        let first = states.next()?;
        states.all(|other| other == first).then_some(first)
    }

    /// A read got less than it asked for: in STOP_COPY that was all, in PRE_COPY there can be more later.
    pub(super) fn was_read(&mut self) {
        self.read = self.states() == States::one(STOP_COPY);
    }

    /// There are no more data to read.
    pub(super) fn is_read(&self) -> bool {
        self.read
    }

    /// GET says so.
    pub(super) fn seen(&mut self, state: u32) {
        if States::ANY.has(state) {
            self.be(States::one(state), Some(("MIGFSM-33", Note)));
        } else {
            self.doubt();
        }
    }

    /// SET succeeded.
    pub(super) fn set(&mut self, to: u32) {
        if States::ANY.has(to) && to != ERROR {
            self.be(States::one(to), Some(("MIGFSM-02", Violation)));
        } else {
            self.doubt();
        }
    }

    /// SET was refused: the state is the old one, one on the way, or ERROR (1734-1738).
    pub(super) fn not_set(&mut self, to: u32) {
        let on_the_way = self.states().iter().map(|from| between(from, to)).fold(States::one(ERROR), States::and);
        self.be(self.states().and(on_the_way), Some(("MIGFSM-25", Violation)));
    }

    /// What became of a SET nobody knows.
    pub(super) fn perhaps_set(&mut self, to: u32) {
        self.not_set(to);
        let wanted = if States::ANY.has(to) { States::one(to) } else { States::ANY };
        self.be(self.states().and(wanted), None);
    }

    /// `device_state` of the migration region says so.
    pub(super) fn found(&mut self, state: u32) {
        self.be(States::one(state), None);
    }

    /// A write to `device_state` succeeded.
    pub(super) fn went(&mut self, to: u32) {
        self.be(States::one(to), Some(("L-MR-04", Violation)));
    }

    /// A write to `device_state` was refused: the state is the old one, or ERROR (0.9.1 at 190f85b^, 1704-1708).
    pub(super) fn stayed(&mut self) {
        let due = self.states.is_some().then_some(("L-MR-05", Violation));
        self.be(self.states().and(States::one(ERROR)), due);
    }

    /// What became of a write to `device_state` nobody knows.
    pub(super) fn perhaps_went(&mut self, to: u32) {
        self.be(self.states().and(States::one(ERROR)).and(States::one(to)), None);
    }

    /// Something was done that does not change the state; where it has changed, that breaks `requirement`.
    pub(super) fn keeps(&mut self, requirement: &'static str) {
        match (&mut self.due, self.states) {
            // Which of the two it was, nobody could tell.
            (Some(due), _) if due.requirement != requirement => due.class = Note,
            (_, Some(states)) => {
                self.due = Some(Due { states: states.and(States::one(ERROR)), requirement, class: Violation });
            }
            (_, None) => {}
        }
    }

    /// The device was reset, and the text does not say what comes of its state.
    pub(super) fn perhaps_reset(&mut self) {
        if let Some(states) = self.states {
            self.be(states.and(States::one(RUNNING)), None);
        }
    }

    /// The device was reset. Out of ERROR it must have come to RUNNING; out of another state it should have, and a server
    /// may think otherwise (policy A-28).
    pub(super) fn reset(&mut self) {
        self.read = false;
        let Some(states) = self.states else { return };
        let running = States::one(RUNNING);
        let failed = states.only() == Some(ERROR);
        let (requirement, class) = if failed { ("RESET-03", Violation) } else { ("RESET-04", Note) };
        self.states = Some(if failed { running } else { states.and(running) });
        self.due = Some(Due { states: running, requirement, class });
    }

    /// Another command has come between: where the state is not as it should be, it may have been so at first.
    pub(super) fn pass(&mut self) {
        if let Some(due) = self.due.as_mut().filter(|due| matches!(due.requirement, "MIGFSM-02" | "MIGFSM-25")) {
            (due.requirement, due.class) = ("MIGFSM-33", Note);
        }
        if let Some(due) = self.due.as_mut().filter(|due| due.requirement.starts_with("L-MR-")) {
            due.class = Note;
        }
    }

    /// Something may have changed it, if ever anything did.
    pub(super) fn doubt(&mut self) {
        if self.states.is_some() {
            self.touch();
        }
    }

    /// Another client sends this.
    pub(super) fn overheard(&mut self, command: &Command) {
        if command.message.is_some_and(|message| message.name == DEVICE_RESET.name) {
            self.doubt()
        } else {
            self.touch()
        }
    }

    /// Somebody asked for it, or changed it.
    pub(super) fn was_touched(&self) -> bool {
        self.states.is_some()
    }

    /// Another client may have changed it.
    pub(super) fn touch(&mut self) {
        self.be(States::ANY, None);
    }

    fn be(&mut self, states: States, due: Option<(&'static str, Class)>) {
        self.read &= self.states == Some(states) && due.is_some_and(|(requirement, _)| requirement == "MIGFSM-33");
        self.states = Some(states);
        self.due = due.map(|(requirement, class)| Due { states, requirement, class });
    }
}

/// The command may change the state.
pub(super) fn changes_state(command: &Command) -> bool {
    let name = command.message.map(|message| message.name);
    if name == Some(DEVICE_RESET.name) {
        return true;
    }
    name == Some(DEVICE_FEATURE.name)
        && DeviceFeature::parse(&command.payload).is_none_or(|(head, _)| {
            head.index() == feature_index::MIG_DEVICE_STATE && head.operation() & feature_flags::SET != 0
        })
}

/// It does DMA and raises interrupts.
fn runs(state: u32) -> bool {
    matches!(state, RUNNING | PRE_COPY)
}
