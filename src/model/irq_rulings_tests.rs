//! What DEVICE_SET_IRQS may be answered with, and what is signalled then.

use nix::errno::Errno;
use pretty_assertions::assert_eq;
use vfio_user_wire::irq_set_flags::{ACTION_MASK, ACTION_TRIGGER, ACTION_UNMASK, DATA_BOOL, DATA_EVENTFD, DATA_NONE};
use vfio_user_wire::message::IrqSet;
use vfio_user_wire::{Limits, NO_REPLY};

use super::rulings_tests::{EITHER, after, breaks, command, offer, refused, succeeds};
use super::{Command, FdKind, LetGo, Offer, OfferedIrq, PassedFd, Session, samples};
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
    let mut short = set(DATA_NONE | ACTION_TRIGGER, 1, 0, 1, &[], &[]);
    short.payload[0] = 19;
    assert_eq!(breaks(&fresh, short), refused("SETIRQS-19", Note));
}

/// A session in which the first `count` interrupts of the type are assigned.
fn assigned(index: u32, count: u32) -> Session {
    let fds = eventfds(u64::from(count));
    after(offer(), &[set(DATA_EVENTFD | ACTION_TRIGGER, index, 0, count, &[], &fds)])
}

#[test]
fn what_is_odd_in_a_trigger_leaves_the_answer_open() {
    let said = |command| breaks(&assigned(1, 2), command);
    let trigger = || set(DATA_NONE | ACTION_TRIGGER, 1, 0, 1, &[], &[]);
    assert_eq!(said(trigger()), succeeds("SETIRQS-03", Note));
    // A flag that means nothing (SETIRQS-24), another argsz (SETIRQS-19), a byte too many (SETIRQS-16).
    assert_eq!(said(set(DATA_NONE | ACTION_TRIGGER | 1 << 20, 1, 0, 1, &[], &[])), EITHER);
    let mut roomy = trigger();
    roomy.payload[0] = 21;
    assert_eq!(said(roomy), EITHER);
    assert_eq!(said(set(DATA_NONE | ACTION_TRIGGER, 1, 0, 1, &[1], &[])), EITHER);
    assert_eq!(said(set(DATA_BOOL | ACTION_TRIGGER, 1, 0, 1, &[1, 1], &[])), EITHER);
    // None of the interrupts, and yet not all of the type (SETIRQS-28).
    assert_eq!(said(set(DATA_NONE | ACTION_TRIGGER, 1, 1, 0, &[], &[])), EITHER);
    assert_eq!(said(set(DATA_BOOL | ACTION_TRIGGER, 1, 0, 0, &[], &[])), EITHER);
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
    // A type that cannot signal eventfds.
    let mute = after(Offer { irqs: vec![OfferedIrq { index: 1, flags: 2, count: 1 }], ..offer() }, &[]);
    assert_eq!(breaks(&mute, assign(1, 0, 1, &eventfds(1))), EITHER);
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
fn what_is_triggered_without_a_descriptor_is_harmless() {
    let tests = |session: &Session| {
        let mut session = session.clone();
        session.sent(1000, set(DATA_NONE | ACTION_TRIGGER, 1, 0, 2, &[], &[]));
        session.permits(1000).tests
    };
    assert_eq!(tests(&after(offer(), &[])), Some("SETIRQS-22"));
    assert_eq!(tests(&assigned(1, 1)), None);
}

/// How often each of the first `fds` descriptors should have been signalled.
fn counts(session: &Session, fds: u64) -> Vec<(u64, u64)> {
    (0..fds).filter_map(|fd| session.signals(fd)).map(|signals| (signals.least.0, signals.most.0)).collect()
}

#[test]
fn a_trigger_fires_where_its_byte_is_1() {
    let mut session = assigned(1, 3);
    let trigger = set(DATA_BOOL | ACTION_TRIGGER, 1, 0, 3, &[1, 0, 2], &[]);
    samples::exchange(&mut session, 50, trigger, Ok(vec![]));
    // What is neither 0 nor 1 is true, and if nothing comes of it that is a note (SETIRQS-05).
    assert_eq!(counts(&session, 3), [(1, 1), (0, 0), (0, 1)]);
    // From the second one on.
    let mut session = assigned(1, 3);
    samples::exchange(&mut session, 50, set(DATA_BOOL | ACTION_TRIGGER, 1, 1, 2, &[0, 1], &[]), Ok(vec![]));
    assert_eq!(counts(&session, 3), [(0, 0), (0, 0), (1, 1)]);
}

#[test]
fn a_trigger_that_is_not_answered_may_have_fired() {
    let mut session = assigned(1, 1);
    let mut posted = set(DATA_NONE | ACTION_TRIGGER, 1, 0, 1, &[], &[]);
    posted.header.flags |= NO_REPLY;
    session.sent(50, posted);
    samples::exchange(&mut session, 51, command("DEVICE_RESET", &[], &[]), Err(Errno::EINVAL));
    assert_eq!(counts(&session, 1), [(0, 1)]);
}

#[test]
fn what_is_accepted_against_its_own_contradictions_may_have_done_anything() {
    let trigger = || set(DATA_NONE | ACTION_TRIGGER, 1, 0, 2, &[], &[]);
    let then = |odd| {
        let mut session = assigned(1, 2);
        samples::exchange(&mut session, 50, odd, Ok(vec![]));
        breaks(&session, trigger())
    };
    let sure = succeeds("SETIRQS-03", Note);
    let bools = |data: &[u8]| set(DATA_BOOL | ACTION_TRIGGER, 1, 0, 2, data, &[]);
    assert_eq!(then(bools(&[1])), EITHER);
    assert_eq!(then(bools(&[1, 0])), sure);
    assert_eq!(then(bools(&[1, 0, 1])), sure);
    for flags in
        [DATA_NONE, ACTION_TRIGGER, DATA_NONE | DATA_BOOL | ACTION_TRIGGER, DATA_NONE | ACTION_MASK | ACTION_TRIGGER]
    {
        assert_eq!(then(set(flags, 1, 0, 2, &[], &[])), EITHER, "{flags:#x}");
    }
    // Descriptors that tell of masking take no other's place (SETIRQS-18).
    let others = [8, 9].map(|id| PassedFd { id, kind: FdKind::Eventfd });
    assert_eq!(then(set(DATA_EVENTFD | ACTION_MASK, 1, 0, 2, &[], &others)), sure);
}

#[test]
fn what_is_accepted_against_its_own_contradictions_may_have_fired() {
    let (less, past) =
        (set(DATA_BOOL | ACTION_TRIGGER, 1, 0, 2, &[1], &[]), set(DATA_NONE | ACTION_TRIGGER, 1, 0, 5, &[], &[]));
    let unclear = set(DATA_NONE | ACTION_MASK | ACTION_TRIGGER, 1, 0, 2, &[], &[]);
    for odd in [less, past, unclear] {
        let mut session = assigned(1, 2);
        samples::exchange(&mut session, 50, odd, Ok(vec![]));
        assert_eq!(counts(&session, 2), [(0, 1); 2]);
    }
}

#[test]
fn another_client_may_have_taken_what_is_assigned() {
    let trigger = || set(DATA_NONE | ACTION_TRIGGER, 1, 0, 1, &[], &[]);
    let mut session = assigned(1, 1);
    session.overheard(&set(DATA_EVENTFD | ACTION_TRIGGER, 1, 0, 1, &[], &eventfds(1)));
    assert_eq!(breaks(&session, trigger()), EITHER);
    samples::exchange(&mut session, 50, trigger(), Ok(vec![]));
    assert_eq!(counts(&session, 1), [(0, 1)]);
}

#[test]
fn a_server_may_say_that_it_has_4_294_967_295_interrupts() {
    let offer = || Offer { irqs: vec![OfferedIrq { index: 4, flags: 3, count: u32::MAX }], ..offer() };
    let assign = |start| set(DATA_EVENTFD | ACTION_TRIGGER, 4, start, 1, &[], &eventfds(1));
    let all = |flags| set(flags, 4, 0, u32::MAX, &[], &[]);
    let signals = |before: &[Command]| counts(&after(offer(), before), 1);
    let trigger = || all(DATA_NONE | ACTION_TRIGGER);
    assert_eq!(signals(&[assign(7), trigger()]), [(1, 1)]);
    let mask = || all(DATA_NONE | ACTION_MASK);
    assert_eq!(signals(&[assign(7), mask(), trigger()]), [(0, 1)]);
    // What is assigned later may be masked as well; which ones are is not followed.
    assert_eq!(signals(&[mask(), assign(7), trigger()]), [(0, 1)]);
    assert_eq!(signals(&[mask(), assign(7), trigger(), all(DATA_NONE | ACTION_UNMASK)]), [(0, 2)]);
    assert_eq!(signals(&[assign(7), all(DATA_BOOL | ACTION_MASK), trigger()]), [(1, 1)]);
    let mut refused = after(offer(), &[assign(7)]);
    samples::exchange(&mut refused, 50, trigger(), Err(Errno::EINVAL));
    assert_eq!(counts(&refused, 1), [(0, 1)]);
}

#[test]
fn a_mask_is_of_the_sub_indexes_that_it_names() {
    let offer = || Offer { irqs: vec![OfferedIrq { index: 4, flags: 3, count: 3 }], ..offer() };
    let assign = || set(DATA_EVENTFD | ACTION_TRIGGER, 4, 0, 3, &[], &eventfds(3));
    let mut session = after(offer(), &[assign(), set(DATA_BOOL | ACTION_MASK, 4, 0, 3, &[1, 0, 2], &[])]);
    (0..3).for_each(|sub| session.raised(4, sub));
    assert_eq!(counts(&session, 3), [(0, 0), (1, 1), (0, 1)]);
}

/// The special case of 1255-1257 is told by its data, start and count: which action it needs is not said there.
#[test]
fn the_special_case_that_disables_may_hold_for_any_action() {
    let raised = |action, start| {
        let assign = set(DATA_EVENTFD | ACTION_TRIGGER, 1, 0, 1, &[], &eventfds(1));
        let mut session = after(offer(), &[assign, set(DATA_NONE | action, 1, start, 0, &[], &[])]);
        session.raised(1, 0);
        counts(&session, 1)
    };
    assert_eq!(
        [ACTION_TRIGGER, ACTION_MASK, ACTION_UNMASK].map(|action| raised(action, 0)),
        [[(0, 0)], [(0, 1)], [(0, 1)]]
    );
    assert_eq!([ACTION_MASK, ACTION_UNMASK].map(|action| raised(action, 1)), [[(1, 1)], [(1, 1)]]);
}

#[test]
fn a_mask_lasts_until_something_may_have_undone_it() {
    let assign = || set(DATA_EVENTFD | ACTION_TRIGGER, 4, 0, 1, &[], &eventfds(1));
    let of = |flags, count| set(flags, 4, 0, count, &[], &[]);
    let mask = || of(DATA_NONE | ACTION_MASK, 1);
    let masked = || after(offer(), &[assign(), mask()]);
    let raised = |mut session: Session| {
        samples::exchange(&mut session, 51, assign(), Ok(vec![]));
        session.raised(4, 0);
        session.signals(0).map(|signals| signals.most.0)
    };
    let then = |command, answer| {
        let mut session = masked();
        samples::exchange(&mut session, 50, command, answer);
        raised(session)
    };
    assert_eq!((then(mask(), Ok(vec![])), then(assign(), Ok(vec![]))), (Some(0), Some(0)));
    // It may come before anything is assigned.
    assert_eq!(raised(after(offer(), &[mask()])), Some(0));
    let (disable, deassign) = (of(DATA_NONE | ACTION_TRIGGER, 0), of(DATA_EVENTFD | ACTION_TRIGGER, 1));
    assert_eq!((then(disable, Ok(vec![])), then(deassign, Ok(vec![]))), (Some(1), Some(1)));
    assert_eq!(then(of(DATA_NONE | ACTION_UNMASK, 1), Err(Errno::EINVAL)), Some(1));
    let mut unanswered = masked();
    unanswered.sent(50, mask());
    assert_eq!(raised(unanswered), Some(1));
}

#[test]
fn what_a_reset_does_to_interrupts_is_open() {
    let mut session = assigned(1, 1);
    samples::exchange(&mut session, 50, command("DEVICE_RESET", &[], &[]), Ok(vec![]));
    let again = |flags, count| breaks(&session, set(flags, 1, 0, count, &[], &[]));
    assert_eq!(again(DATA_NONE | ACTION_TRIGGER, 1), EITHER);
    assert_eq!(again(DATA_EVENTFD | ACTION_TRIGGER, 1), EITHER);
    // Where nothing is assigned, to refuse this is a note.
    assert_eq!(again(DATA_NONE | ACTION_TRIGGER, 0), succeeds("SETIRQS-32", Note));
}

#[test]
fn a_client_that_is_gone_leaves_no_descriptor_behind() {
    let mut session = assigned(1, 2);
    assert_eq!((session.let_go(0), session.may_hold(1)), (None, true));
    session.disconnected();
    assert_eq!((session.let_go(0), session.let_go(1)), (Some(LetGo::Disconnected), Some(LetGo::Disconnected)));
}
