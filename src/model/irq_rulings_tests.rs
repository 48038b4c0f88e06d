//! What DEVICE_SET_IRQS may be answered with, and what is signalled then.

use pretty_assertions::assert_eq;
use vfio_user_wire::Limits;
use vfio_user_wire::irq_set_flags::{ACTION_MASK, ACTION_TRIGGER, ACTION_UNMASK, DATA_BOOL, DATA_EVENTFD, DATA_NONE};
use vfio_user_wire::message::IrqSet;

use super::rulings_tests::{EITHER, after, breaks, command, offer, refused, succeeds};
use super::{Command, FdKind, LetGo, Offer, OfferedIrq, PassedFd, samples};
use crate::verdict::Class::{Note, Violation};

fn set(flags: u32, index: u32, start: u32, count: u32, data: &[u8], fds: &[PassedFd]) -> Command {
    let set = IrqSet { argsz: 20 + data.len() as u32, flags, index, start, count };
    command("DEVICE_SET_IRQS", &[set.bytes(), data].concat(), fds)
}

fn eventfds(count: u64) -> Vec<PassedFd> {
    (0..count).map(|id| PassedFd { id, kind: FdKind::Eventfd }).collect()
}

#[test]
fn interrupts_that_there_are_not() {
    let fresh = after(offer(), &[]);
    let none = |index, start, count| {
        breaks(&fresh, set(DATA_EVENTFD | ACTION_TRIGGER, index, start, count, &[], &eventfds(u64::from(count))))
    };
    assert_eq!(none(5, 0, 1), refused("SETIRQS-13", Violation));
    assert_eq!(none(0, 0, 1), refused("IRQINFO-03", Violation));
    assert_eq!(none(0, 0, 0), EITHER);
    assert_eq!(none(1, 4, 1), refused("SETIRQS-12", Violation));
    assert_eq!(none(1, u32::MAX, 2), refused("SETIRQS-12", Violation));
    assert_eq!(none(1, 3, 1), succeeds("IRQINFO-05", Violation));
}

#[test]
fn flags_of_interrupts_exclude_each_other() {
    let fresh = after(offer(), &[]);
    let flags = |flags| breaks(&fresh, set(flags, 1, 0, 1, &[], &[]));
    assert_eq!(flags(DATA_NONE | DATA_BOOL | ACTION_TRIGGER), refused("SETIRQS-06", Note));
    assert_eq!(flags(DATA_NONE | ACTION_TRIGGER | ACTION_MASK), refused("SETIRQS-07", Note));
    assert_eq!(flags(DATA_NONE | ACTION_UNMASK | ACTION_MASK), refused("SETIRQS-07", Note));
    assert_eq!(flags(DATA_NONE), refused("SETIRQS-08", Note));
    assert_eq!(flags(ACTION_TRIGGER), refused("SETIRQS-08", Note));
    assert_eq!(flags(DATA_BOOL | ACTION_TRIGGER), refused("SETIRQS-16", Violation));
    assert_eq!(flags(DATA_NONE | ACTION_TRIGGER | 1 << 20), EITHER);
    let mut short = set(DATA_NONE | ACTION_TRIGGER, 1, 0, 1, &[], &[]);
    short.payload[0] = 19;
    assert_eq!(breaks(&fresh, short), refused("SETIRQS-19", Note));
    assert_eq!(breaks(&fresh, set(DATA_NONE | ACTION_TRIGGER, 1, 0, 1, &[1], &[])), EITHER);
}

#[test]
fn interrupts_are_assigned() {
    let fresh = after(offer(), &[]);
    let assign =
        |index, start, count, fds: &[PassedFd]| set(DATA_EVENTFD | ACTION_TRIGGER, index, start, count, &[], fds);
    assert_eq!(breaks(&fresh, assign(1, 0, 1, &eventfds(1))), succeeds("IRQINFO-05", Violation));
    assert_eq!(breaks(&fresh, assign(1, 0, 2, &eventfds(2))), succeeds("SETIRQS-25", Violation));
    assert_eq!(breaks(&fresh, assign(1, 0, 2, &eventfds(1))), refused("SETIRQS-14", Note));
    let other = PassedFd { id: 1, kind: FdKind::Other };
    assert_eq!(breaks(&fresh, assign(1, 0, 1, &[other])), EITHER);
    // Set up as a whole: from the first one on, and once.
    assert_eq!(breaks(&fresh, assign(2, 0, 1, &eventfds(1))), succeeds("IRQINFO-05", Violation));
    assert_eq!(breaks(&fresh, assign(2, 1, 1, &eventfds(1))), EITHER);
    let one = after(offer(), &[assign(2, 0, 1, &eventfds(1))]);
    assert_eq!(breaks(&one, assign(2, 0, 1, &eventfds(1))), EITHER);
    // One type at a time.
    assert_eq!(breaks(&one, assign(1, 0, 1, &eventfds(1))), EITHER);
    let same = after(offer(), &[assign(1, 0, 1, &eventfds(1))]);
    assert_eq!(breaks(&same, assign(1, 1, 1, &eventfds(1))), succeeds("IRQINFO-05", Violation));
}

#[test]
fn interrupts_that_are_assigned_do_what_they_are_told() {
    let fresh = after(offer(), &[]);
    let assigned = |index, count| {
        let fds = eventfds(u64::from(count));
        after(offer(), &[set(DATA_EVENTFD | ACTION_TRIGGER, index, 0, count, &[], &fds)])
    };
    let none = |action, index, count| set(DATA_NONE | action, index, 0, count, &[], &[]);
    let trigger = none(ACTION_TRIGGER, 1, 2);
    assert_eq!(breaks(&assigned(1, 2), trigger.clone()), succeeds("SETIRQS-03", Note));
    assert_eq!(breaks(&fresh, trigger.clone()), EITHER);
    assert_eq!(breaks(&assigned(1, 1), trigger), EITHER);
    let bools = set(DATA_BOOL | ACTION_TRIGGER, 1, 0, 2, &[1, 0], &[]);
    assert_eq!(breaks(&assigned(1, 2), bools), succeeds("SETIRQS-04", Note));
    let take_back = set(DATA_EVENTFD | ACTION_TRIGGER, 1, 0, 2, &[], &[]);
    assert_eq!(breaks(&assigned(1, 2), take_back.clone()), succeeds("SETIRQS-10", Violation));
    assert_eq!(breaks(&assigned(1, 1), take_back.clone()), EITHER);
    assert_eq!(breaks(&fresh, take_back), succeeds("SETIRQS-31", Note));
    let take_back = set(DATA_EVENTFD | ACTION_TRIGGER, 2, 0, 2, &[], &[]);
    assert_eq!(breaks(&assigned(2, 2), take_back), EITHER);
    let disable = none(ACTION_TRIGGER, 1, 0);
    assert_eq!(breaks(&assigned(1, 1), disable.clone()), succeeds("SETIRQS-09", Violation));
    assert_eq!(breaks(&fresh, disable), succeeds("SETIRQS-32", Note));
    for action in [ACTION_MASK, ACTION_UNMASK] {
        assert_eq!(breaks(&assigned(1, 1), none(action, 1, 1)), refused("SETIRQS-20", Note));
        assert_eq!(breaks(&assigned(4, 1), none(action, 4, 1)), succeeds("IRQINFO-06", Violation));
        assert_eq!(breaks(&fresh, none(action, 4, 1)), EITHER);
    }
    // Descriptors that nobody asked for.
    let stray = set(DATA_NONE | ACTION_TRIGGER, 1, 0, 1, &[], &eventfds(1));
    assert_eq!(breaks(&assigned(1, 1), stray), EITHER);
}

#[test]
fn a_mask_is_seen_in_what_the_device_raises() {
    let raised = |index, first| {
        let assign = set(DATA_EVENTFD | ACTION_TRIGGER, index, 0, 1, &[], &eventfds(1));
        let mut session = after(offer(), &[assign, first]);
        session.raised(index, 0);
        session.signals(0).map(|signals| (signals.most.0, signals.most.1))
    };
    let mask = |index| set(DATA_NONE | ACTION_MASK, index, 0, 1, &[], &[]);
    assert_eq!(raised(4, mask(4)), Some((0, "SETIRQS-17")));
    // Of a type that has no masks nobody can say what became of that.
    assert_eq!(raised(1, mask(1)).map(|(most, _)| most), Some(1));
}

#[test]
fn a_descriptor_is_held_where_the_command_takes_one() {
    let let_go = |flags| after(offer(), &[set(flags, 4, 0, 1, &[], &eventfds(1))]).let_go(0);
    assert_eq!(let_go(DATA_EVENTFD | ACTION_TRIGGER), None);
    assert_eq!(let_go(DATA_EVENTFD | ACTION_MASK), None);
    assert_eq!(let_go(DATA_NONE | ACTION_TRIGGER), Some(LetGo::Stray));
}

#[test]
fn what_is_no_eventfd_is_not_looked_at() {
    let assigned = |kind| {
        let fd = PassedFd { id: 7, kind };
        after(offer(), &[set(DATA_EVENTFD | ACTION_TRIGGER, 1, 0, 1, &[], &[fd])]).signals(7)
    };
    assert!(assigned(FdKind::Eventfd).is_some());
    assert!(assigned(FdKind::Other).is_none());
}

#[test]
fn every_trigger_signals_but_of_what_is_masked() {
    let signalled = |irq: OfferedIrq, then: &[Command]| {
        let assign = set(DATA_EVENTFD | ACTION_TRIGGER, irq.index, 0, 1, &[], &eventfds(1));
        let offer = Offer { irqs: vec![irq], ..offer() };
        let signals = after(offer, &[&[assign], then].concat()).signals(0).unwrap();
        (signals.least.0, signals.most.0)
    };
    let irq = |flags| OfferedIrq { index: 4, flags, count: 1 };
    let of = |action| set(DATA_NONE | action, 4, 0, 1, &[], &[]);
    let (trigger, mask, unmask) = (of(ACTION_TRIGGER), of(ACTION_MASK), of(ACTION_UNMASK));
    assert_eq!(signalled(irq(1), &[trigger.clone(), trigger.clone()]), (2, 2));
    // Eventfd and maskable; and automasked.
    assert_eq!(signalled(irq(3), &[trigger.clone(), trigger.clone()]), (2, 2));
    assert_eq!(signalled(irq(7), &[trigger.clone(), trigger.clone()]), (1, 2));
    assert_eq!(signalled(irq(7), &[trigger.clone(), unmask.clone(), trigger.clone()]), (2, 2));
    assert_eq!(signalled(irq(3), &[mask.clone(), trigger.clone()]), (0, 1));
    assert_eq!(signalled(irq(3), &[mask, unmask, trigger]), (1, 1));
}

#[test]
fn as_many_descriptors_as_a_server_takes_are_its_limit() {
    let assigned = |most, count| {
        let limits = Limits { max_msg_fds: most, ..Limits::default() };
        let session = after(Offer { limits, ..offer() }, &[]);
        breaks(&session, set(DATA_EVENTFD | ACTION_TRIGGER, 1, 0, count, &[], &eventfds(u64::from(count))))
    };
    assert_eq!(assigned(2, 2), succeeds("SETIRQS-25", Violation));
    assert_eq!(assigned(3, 2), succeeds("IRQINFO-05", Violation));
    assert_eq!(assigned(1, 1), succeeds("IRQINFO-05", Violation));
    assert_eq!(assigned(1, 2), EITHER);
}

#[test]
fn what_should_not_have_been_accepted_is_not_followed() {
    let followed = |count, fds: u64| {
        let assign = set(DATA_EVENTFD | ACTION_TRIGGER, 1, 0, count, &[], &eventfds(fds));
        after(offer(), &[assign]).signals(0).is_some()
    };
    assert!(followed(1, 1) && followed(2, 2));
    assert!(!followed(2, 1) && !followed(1, 2) && !followed(5, 5));
}

#[test]
fn what_a_reset_does_to_interrupts_is_open() {
    let assign = set(DATA_EVENTFD | ACTION_TRIGGER, 1, 0, 1, &[], &eventfds(1));
    let mut session = after(offer(), &[assign]);
    samples::exchange(&mut session, 50, command("DEVICE_RESET", &[], &[]), Ok(vec![]));
    let again = |flags, count| breaks(&session, set(flags, 1, 0, count, &[], &[]));
    assert_eq!(again(DATA_NONE | ACTION_TRIGGER, 1), EITHER);
    assert_eq!(again(DATA_EVENTFD | ACTION_TRIGGER, 1), EITHER);
    // Where nothing is assigned, to refuse this is a note.
    assert_eq!(again(DATA_NONE | ACTION_TRIGGER, 0), succeeds("SETIRQS-32", Note));
}
