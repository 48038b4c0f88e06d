//! Which descriptor each interrupt should signal now, and how often each descriptor should have been signalled.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::ops::Range;

use crate::verdict::Class;

/// An interrupt: its index and its sub-index.
type Vector = (u32, u32);

/// Why the server should hold a descriptor no longer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LetGo {
    /// Another one took its place.
    Replaced,
    /// Its sub-index was de-assigned.
    Deassigned,
    /// Its index was disabled.
    Disabled,
    /// The command that brought it was refused.
    Refused,
    /// It came with a command that takes none.
    Stray,
    /// The client is gone.
    Disconnected,
}

impl LetGo {
    /// What a descriptor that stays open breaks.
    pub fn held_breaks(self) -> (&'static str, Class) {
        match self {
            LetGo::Replaced => ("SETIRQS-11", Class::Violation),
            LetGo::Deassigned => ("SETIRQS-10", Class::Note),
            LetGo::Disabled => ("SETIRQS-09", Class::Note),
            LetGo::Refused => ("SEC-02", Class::Violation),
            LetGo::Stray => ("SETIRQS-15", Class::Violation),
            LetGo::Disconnected => ("DISC-03", Class::Note),
        }
    }

    /// What a signal on it breaks.
    fn signal_breaks(self) -> &'static str {
        match self {
            LetGo::Replaced => "SETIRQS-11",
            LetGo::Deassigned => "SETIRQS-10",
            LetGo::Disabled => "SETIRQS-09",
            LetGo::Refused => "SETIRQS-14",
            LetGo::Stray => "SETIRQS-15",
            LetGo::Disconnected => "DISC-03",
        }
    }
}

/// What asks for the signals of interrupts that the device raises: it may make one of several.
const RAISED: &str = "SETIRQS-30";

/// How often a descriptor should have been signalled since that was last looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Signals {
    /// At least so often; fewer breaks the requirement.
    pub least: (u64, &'static str),
    /// At most so often; more breaks the requirement.
    pub most: (u64, &'static str),
}

#[derive(Debug, Clone, Copy, Default)]
struct Tally {
    least: u64,
    most: u64,
    /// What triggered it last.
    by: Option<&'static str>,
}

/// Which descriptor each interrupt should signal now.
#[derive(Debug, Clone, Default)]
pub(super) struct Irqs {
    /// What each sub-index may be bound to: one possibility where it is sure. What is not there is bound to nothing.
    slots: BTreeMap<Vector, Vec<Option<u64>>>,
    /// Sub-indexes that may be masked.
    masked: BTreeSet<Vector>,
    /// Sub-indexes that are masked for sure: a MASK succeeded, and nothing came that may have undone it.
    silenced: BTreeSet<Vector>,
    /// Sub-indexes that fired while they may have been masked: the signal may come later, to whoever is bound then.
    pended: BTreeSet<Vector>,
    /// Sub-indexes that the device was told to raise while it was stopped.
    hushed: BTreeSet<Vector>,
    let_go: HashMap<u64, LetGo>,
    tallies: HashMap<u64, Tally>,
    /// Descriptors that the server may hold for something that is not followed here.
    untracked: HashSet<u64>,
    /// Descriptors that may not take a signal, for they are no eventfds.
    deaf: HashSet<u64>,
    /// Types of which the client may be told by message.
    told: BTreeSet<u32>,
    /// Types of which more were masked at one time than are followed.
    veiled: BTreeSet<u32>,
}

impl Irqs {
    /// A sub-index of the type may be bound.
    pub(super) fn any_bound(&self, index: u32) -> bool {
        let bound = |slot: &Vec<Option<u64>>| slot.iter().any(Option::is_some);
        self.told.contains(&index) || self.slots.range((index, 0)..=(index, u32::MAX)).any(|(_, slot)| bound(slot))
    }

    /// A sub-index of the type is bound for sure.
    pub(super) fn surely_bound(&self, index: u32) -> bool {
        self.slots.range((index, 0)..=(index, u32::MAX)).any(|(_, slot)| !slot.contains(&None))
    }

    /// A sub-index of another type may be bound.
    pub(super) fn others_bound(&self, index: u32) -> bool {
        self.told.iter().any(|other| *other != index)
            || self.slots.iter().any(|((other, _), slot)| *other != index && slot.iter().any(Option::is_some))
    }

    /// Sub-indexes of the range that may be bound: no others can fire.
    pub(super) fn bound(&self, index: u32, range: Range<u32>) -> Vec<u32> {
        let (start, end) = (range.start, range.end.max(range.start));
        self.slots.range((index, start)..(index, end)).map(|((_, sub), _)| *sub).collect()
    }

    /// Interrupts of the type may come by message, until it is disabled.
    pub(super) fn tells(&mut self, index: u32) {
        self.told.insert(index);
    }

    /// Every sub-index of the range is bound to an eventfd for sure.
    pub(super) fn all_bound(&self, index: u32, start: u32, count: u32) -> bool {
        (0..count).all(|n| match self.slots.get(&(index, start.saturating_add(n))).map(Vec::as_slice) {
            Some([Some(fd)]) => !self.deaf.contains(fd),
            _ => false,
        })
    }

    /// The sub-indexes from `start` on are bound to these descriptors, for sure or perhaps.
    pub(super) fn assign(&mut self, index: u32, start: u32, fds: &[u64], sure: bool) {
        for (n, fd) in (0u32..).zip(fds) {
            self.put((index, start.saturating_add(n)), Some(*fd), sure, LetGo::Replaced);
        }
    }

    /// A range is bound to nothing, for sure or perhaps.
    pub(super) fn deassign(&mut self, index: u32, start: u32, count: u32, sure: bool) {
        for sub in self.bound(index, start..start.saturating_add(count)) {
            self.put((index, sub), None, sure, LetGo::Deassigned);
        }
    }

    /// Every sub-index of the type is bound to nothing, for sure or perhaps.
    pub(super) fn disable(&mut self, index: u32, sure: bool) {
        if sure {
            self.told.remove(&index);
        }
        let bound: Vec<Vector> = self.slots.range((index, 0)..=(index, u32::MAX)).map(|(vector, _)| *vector).collect();
        for vector in bound {
            self.put(vector, None, sure, LetGo::Disabled);
        }
    }

    fn put(&mut self, vector: Vector, fd: Option<u64>, sure: bool, why: LetGo) {
        let slot = self.slots.entry(vector).or_insert_with(|| vec![None]);
        if sure {
            let before = std::mem::replace(slot, vec![fd]);
            if fd.is_none() {
                self.slots.remove(&vector);
            }
            for fd in before.into_iter().flatten() {
                self.let_go(fd, why);
            }
        } else if !slot.contains(&fd) {
            slot.push(fd);
        }
    }

    /// A descriptor that came with a command and is not kept.
    pub(super) fn let_go(&mut self, fd: u64, why: LetGo) {
        self.let_go.insert(fd, why);
    }

    /// These are no eventfds: whether a signal reaches them is open.
    pub(super) fn deafen(&mut self, fds: impl Iterator<Item = u64>) {
        self.deaf.extend(fds);
    }

    /// The server may hold these for something that is not followed here.
    pub(super) fn lose(&mut self, fds: &[u64]) {
        self.untracked.extend(fds);
    }

    /// An interrupt fires, for sure or perhaps; `requirement` is what asks for the signal.
    pub(super) fn fire(&mut self, index: u32, sub: u32, sure: bool, automasked: bool, requirement: &'static str) {
        let vector = (index, sub);
        let Some(slot) = self.slots.get(&vector) else { return };
        let unmasked = !self.masked.contains(&vector) && !self.veiled.contains(&index);
        let certain = sure && slot.len() == 1 && unmasked;
        for fd in slot.iter().flatten() {
            let tally = self.tallies.entry(*fd).or_default();
            tally.most += 1;
            tally.least = match requirement {
                RAISED => tally.least.max(u64::from(certain)),
                _ => tally.least + u64::from(certain),
            };
            tally.by = Some(requirement);
        }
        if !unmasked {
            self.pended.insert(vector);
        }
        if automasked {
            self.masked.insert(vector);
        }
    }

    /// The device raises an interrupt; what is masked for sure waits, if anything comes of it at all.
    pub(super) fn raise(&mut self, index: u32, sub: u32, automasked: bool, sure: bool) {
        let vector = (index, sub);
        if !self.silenced.contains(&vector) {
            return self.fire(index, sub, sure, automasked, RAISED);
        }
        for fd in self.slots.get(&vector).into_iter().flatten().flatten() {
            self.tallies.entry(*fd).or_default().by = Some("SETIRQS-17");
        }
        self.pended.insert(vector);
    }

    /// The device was told to raise an interrupt while it is stopped: nothing may come of that before it runs again.
    pub(super) fn hush(&mut self, index: u32, sub: u32, requirement: &'static str) {
        for fd in self.slots.get(&(index, sub)).into_iter().flatten().flatten() {
            self.tallies.entry(*fd).or_default().by = Some(requirement);
        }
        self.hushed.insert((index, sub));
    }

    /// The device may run again: what it was told meanwhile it may do now.
    pub(super) fn resume(&mut self) {
        for (index, sub) in std::mem::take(&mut self.hushed) {
            self.fire(index, sub, false, true, RAISED);
        }
    }

    /// A range is masked for sure.
    pub(super) fn silence(&mut self, index: u32, vectors: &[u32]) {
        self.silenced.extend(vectors.iter().map(|sub| (index, *sub)));
    }

    /// Masks of the type may have been undone.
    pub(super) fn doubt_masks(&mut self, index: u32) {
        self.silenced.retain(|(other, _)| *other != index);
    }

    /// Masks of any type may have been undone.
    pub(super) fn doubt_all_masks(&mut self) {
        self.silenced.clear();
    }

    /// A range was masked.
    pub(super) fn mask(&mut self, index: u32, vectors: &[u32]) {
        self.masked.extend(vectors.iter().map(|sub| (index, *sub)));
    }

    /// So many of the type were masked or unmasked that those which are not bound are not followed.
    pub(super) fn veil(&mut self, index: u32) {
        self.veiled.insert(index);
    }

    /// A range was unmasked: what fired meanwhile may be signalled now, and mask the interrupt again.
    pub(super) fn unmask(&mut self, index: u32, vectors: &[u32], automasked: bool) {
        for sub in vectors.iter().copied() {
            self.masked.remove(&(index, sub));
            self.silenced.remove(&(index, sub));
            if self.deliver((index, sub)) && automasked {
                self.masked.insert((index, sub));
            }
        }
    }

    /// What pends may be signalled now; `false` where nothing does.
    fn deliver(&mut self, vector: Vector) -> bool {
        if !self.pended.remove(&vector) {
            return false;
        }
        for fd in self.slots.get(&vector).into_iter().flatten().flatten() {
            self.tallies.entry(*fd).or_default().most += 1;
        }
        true
    }

    /// Nothing is known any more.
    pub(super) fn doubt_all(&mut self) {
        self.doubt_all_masks();
        for (vector, slot) in &mut self.slots {
            if !slot.contains(&None) {
                slot.push(None);
            }
            self.masked.insert(*vector);
        }
    }

    /// The client is gone.
    pub(super) fn disconnect(&mut self) {
        let held: Vec<u64> = self.slots.values().flatten().flatten().copied().collect();
        self.slots.clear();
        self.doubt_all_masks();
        for fd in held {
            self.let_go(fd, LetGo::Disconnected);
        }
    }

    /// The server may hold the descriptor.
    pub(super) fn may_hold(&self, fd: u64) -> bool {
        self.untracked.contains(&fd) || self.slots.values().any(|slot| slot.contains(&Some(fd)))
    }

    /// Why the server should hold the descriptor no longer; `None` where it may hold it, or never was given it.
    pub(super) fn why_let_go(&self, fd: u64) -> Option<LetGo> {
        if self.may_hold(fd) { None } else { self.let_go.get(&fd).copied() }
    }

    /// How often the descriptor should have been signalled; `None` where that is not followed.
    pub(super) fn signals(&self, fd: u64) -> Option<Signals> {
        if self.untracked.contains(&fd) || self.deaf.contains(&fd) {
            return None;
        }
        let tally = self.tallies.get(&fd).copied().unwrap_or_default();
        let by = tally.by.unwrap_or("SETIRQS-02");
        let too_many = self.why_let_go(fd).map_or(by, LetGo::signal_breaks);
        Some(Signals { least: (tally.least, by), most: (tally.most, too_many) })
    }

    /// Its signals were looked at and taken.
    pub(super) fn looked_at(&mut self, fd: u64) {
        self.tallies.remove(&fd);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BY: &str = "SETIRQS-03";

    #[test]
    fn a_replaced_descriptor_is_let_go_and_signalled_no_more() {
        let mut irqs = Irqs::default();
        irqs.assign(2, 0, &[7], true);
        irqs.fire(2, 0, true, false, BY);
        irqs.assign(2, 0, &[8], true);
        irqs.fire(2, 0, true, false, BY);
        assert_eq!(irqs.signals(7), Some(Signals { least: (1, BY), most: (1, "SETIRQS-11") }));
        assert_eq!(irqs.why_let_go(7), Some(LetGo::Replaced));
        assert_eq!(irqs.signals(8), Some(Signals { least: (1, BY), most: (1, BY) }));
        assert_eq!(irqs.why_let_go(8), None);
    }

    #[test]
    fn what_is_bound_twice_is_held_until_both_are_gone() {
        let mut irqs = Irqs::default();
        irqs.assign(2, 0, &[7, 7], true);
        irqs.deassign(2, 0, 1, true);
        assert_eq!(irqs.why_let_go(7), None);
        irqs.disable(2, true);
        assert_eq!(irqs.why_let_go(7), Some(LetGo::Disabled));
    }

    #[test]
    fn what_may_have_happened_is_asked_of_nobody() {
        let mut irqs = Irqs::default();
        irqs.assign(0, 0, &[7], true);
        irqs.assign(0, 0, &[8], false);
        irqs.fire(0, 0, true, false, BY);
        for fd in [7, 8] {
            assert_eq!(irqs.signals(fd).map(|signals| (signals.least.0, signals.most.0)), Some((0, 1)));
            assert_eq!(irqs.why_let_go(fd), None);
        }
    }

    #[test]
    fn what_the_device_raises_is_silent_while_masked_for_sure() {
        let mut irqs = Irqs::default();
        irqs.assign(2, 0, &[7], true);
        irqs.mask(2, &[0]);
        irqs.silence(2, &[0]);
        irqs.raise(2, 0, false, true);
        assert_eq!(irqs.signals(7), Some(Signals { least: (0, "SETIRQS-17"), most: (0, "SETIRQS-17") }));
        irqs.assign(2, 0, &[8], true);
        irqs.raise(2, 0, false, true);
        assert_eq!(irqs.signals(8).map(|signals| signals.most.0), Some(0));
        irqs.unmask(2, &[0], false);
        irqs.raise(2, 0, false, true);
        assert_eq!(irqs.signals(8).map(|signals| (signals.least.0, signals.most.0)), Some((1, 2)));
        irqs.silence(2, &[0]);
        irqs.doubt_masks(2);
        irqs.raise(2, 0, false, true);
        assert_eq!(irqs.signals(8).map(|signals| signals.most.0), Some(3));
    }

    #[test]
    fn what_the_device_raises_may_come_as_one() {
        let mut irqs = Irqs::default();
        irqs.assign(2, 0, &[7], true);
        for _ in 0..3 {
            irqs.raise(2, 0, false, true);
        }
        assert_eq!(irqs.signals(7), Some(Signals { least: (1, RAISED), most: (3, RAISED) }));
        // What the client triggers each comes by itself.
        irqs.fire(2, 0, true, false, BY);
        irqs.fire(2, 0, true, false, BY);
        assert_eq!(irqs.signals(7), Some(Signals { least: (3, BY), most: (5, BY) }));
    }

    #[test]
    fn a_masked_interrupt_may_fire_or_not_and_later_for_whoever_is_bound_then() {
        let mut irqs = Irqs::default();
        irqs.assign(0, 0, &[7], true);
        irqs.fire(0, 0, true, true, BY);
        irqs.fire(0, 0, true, true, BY);
        assert_eq!(irqs.signals(7).map(|signals| (signals.least.0, signals.most.0)), Some((1, 2)));
        irqs.assign(0, 0, &[8], true);
        irqs.unmask(0, &[0], true);
        irqs.looked_at(8);
        irqs.fire(0, 0, true, true, BY);
        assert_eq!(irqs.signals(7).map(|signals| (signals.least.0, signals.most.0)), Some((1, 2)));
        // It may have masked itself with what was delivered at the unmasking.
        assert_eq!(irqs.signals(8).map(|signals| (signals.least.0, signals.most.0)), Some((0, 1)));
    }

    #[test]
    fn where_nobody_knows_who_is_masked_the_device_may_raise() {
        let mut irqs = Irqs::default();
        irqs.assign(2, 0, &[7], true);
        irqs.mask(2, &[0]);
        irqs.silence(2, &[0]);
        irqs.doubt_all_masks();
        irqs.raise(2, 0, false, true);
        assert_eq!(irqs.signals(7).map(|signals| signals.most.0), Some(1));
    }

    #[test]
    fn what_a_stopped_device_was_told_to_raise_may_come_when_it_runs() {
        let mut irqs = Irqs::default();
        irqs.assign(2, 0, &[7], true);
        irqs.hush(2, 0, "MIGFSM-31");
        assert_eq!(irqs.signals(7), Some(Signals { least: (0, "MIGFSM-31"), most: (0, "MIGFSM-31") }));
        irqs.resume();
        assert_eq!(irqs.signals(7).map(|signals| (signals.least.0, signals.most.0)), Some((0, 1)));
        // Once.
        irqs.resume();
        assert_eq!(irqs.signals(7).map(|signals| signals.most.0), Some(1));
    }
}
