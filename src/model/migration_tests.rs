//! The state of migration, as the answers tell it.

use std::sync::Arc;

use nix::errno::Errno;
use vfio_user_wire::device_state::{ERROR, PRE_COPY, PRE_COPY_P2P, RESUMING, RUNNING, RUNNING_P2P, STOP, STOP_COPY};
use vfio_user_wire::irq_set_flags::{ACTION_TRIGGER, DATA_EVENTFD, DATA_NONE};
use vfio_user_wire::message::{DmaMap, IrqSet};
use vfio_user_wire::{Limits, V0_9_2, feature_flags, feature_index, migration_flags};

use super::samples::{Said, command, exchange, judged};
use super::{FdKind, Offer, OfferedIrq, PassedFd, Session};
use crate::verdict::Class::{Note, Violation};

struct Client {
    session: Session,
    sent: usize,
}

impl Client {
    fn new(migration_flags: u64) -> Client {
        let offer = Offer {
            migration_flags: Some(migration_flags),
            reset: Some(true),
            dma: true,
            irqs: vec![OfferedIrq { index: 2, flags: 1, count: 1 }],
            limits: Limits { max_msg_fds: 1, ..Limits::default() },
            ..Offer::default()
        };
        let mut client = Client { session: Session::new(&V0_9_2, Arc::new(offer)), sent: 0 };
        assert_eq!(client.command("VERSION", vec![0; 4], Some(vec![0; 4])), []);
        client
    }

    /// What a successful reply with that payload breaks, or an error where there is none.
    fn command(&mut self, name: &str, payload: Vec<u8>, answer: Option<Vec<u8>>) -> Said {
        let command = command(&V0_9_2, self.sent, name, payload, &[]);
        let said = exchange(&mut self.session, self.sent, command, answer.ok_or(Errno::EINVAL));
        self.sent += 1;
        said
    }

    /// MIG_DEVICE_STATE, with these data; a success echoes them.
    fn feature(&mut self, operation: u32, argsz: u32, data: &[u32], succeeds: bool) -> Said {
        let payload = feature(operation, argsz, data);
        self.command("DEVICE_FEATURE", payload.clone(), succeeds.then_some(payload))
    }

    fn set(&mut self, state: u32, succeeds: bool) -> Said {
        self.feature(feature_flags::SET, 16, &[state, 0], succeeds)
    }

    fn get(&mut self, state: u32) -> Said {
        let flags = feature_flags::GET | u32::from(feature_index::MIG_DEVICE_STATE);
        self.command("DEVICE_FEATURE", words([16, flags]), Some(words([16, flags, state, 0])))
    }

    fn info(&mut self, succeeds: bool) -> Said {
        let payload = words([16, 3, 9, 5]);
        self.command("DEVICE_GET_INFO", words([16, 0, 0, 0]), succeeds.then_some(payload))
    }

    fn reset(&mut self) -> Said {
        self.command("DEVICE_RESET", Vec::new(), Some(Vec::new()))
    }
}

/// A client of a device that is in that state for sure.
fn in_state(state: u32) -> Client {
    let mut client = Client::new(5);
    assert_eq!(client.get(state), []);
    client
}

fn feature(operation: u32, argsz: u32, data: &[u32]) -> Vec<u8> {
    let head = words([argsz, operation | u32::from(feature_index::MIG_DEVICE_STATE)]);
    head.into_iter().chain(data.iter().flat_map(|word| word.to_ne_bytes())).collect()
}

fn words<const N: usize>(words: [u32; N]) -> Vec<u8> {
    words.iter().flat_map(|word| word.to_ne_bytes()).collect()
}

#[test]
fn nothing_is_asked_of_a_device_whose_state_nobody_knows() {
    assert_eq!(Client::new(5).set(STOP, false), []);
    assert_eq!(Client::new(5).set(RUNNING, true), []);
    assert_eq!(Client::new(5).set(ERROR, true), [("MIGFSM-13", Violation)]);
    assert_eq!(Client::new(1).set(PRE_COPY, true), [("MIGFSM-24", Violation)]);
}

#[test]
fn ways_are_asked_for_from_where_the_device_is() {
    let mut client = Client::new(5);
    assert_eq!(client.get(RUNNING), []);
    assert_eq!(client.set(STOP_COPY, false), [("MIGFSM-16", Violation)]);
    // It may have come as far as STOP, from which this is another way.
    assert_eq!(client.set(STOP_COPY, false), []);
    assert_eq!(client.get(STOP), []);
    assert_eq!(client.set(STOP_COPY, true), []);
    assert_eq!(client.set(PRE_COPY, true), [("MIGFSM-12", Violation)]);
}

#[test]
fn what_was_set_is_what_get_says() {
    let mut client = Client::new(5);
    assert_eq!(client.set(STOP, true), []);
    assert_eq!(client.get(RUNNING), [("MIGFSM-02", Violation)]);
    assert_eq!(client.get(STOP), [("MIGFSM-33", Note)]);
    assert_eq!(client.set(RUNNING, true), []);
    assert_eq!(client.info(true), []);
    assert_eq!(client.get(STOP), [("MIGFSM-33", Note)]);
    assert_eq!(client.get(8), [("MIGFSM-15", Violation)]);
    assert_eq!(client.get(5), [("MIGFSM-14", Violation)]);
}

#[test]
fn what_was_loaded_decides_whether_resuming_ends() {
    let mut client = Client::new(5);
    assert_eq!(client.set(RESUMING, true), []);
    assert_eq!(client.set(RUNNING, false), []);
    assert_eq!(client.get(PRE_COPY), [("MIGFSM-25", Violation)]);
    let mut client = Client::new(5);
    assert_eq!(client.set(RESUMING, true), []);
    assert_eq!(client.set(RUNNING, false), []);
    assert_eq!(client.get(ERROR), []);
    assert_eq!(client.set(RUNNING, true), [("MIGFSM-26", Violation)]);
}

#[test]
fn a_reset_leads_to_running_out_of_error_at_the_least() {
    let mut client = Client::new(5);
    client.get(ERROR);
    assert_eq!(client.reset(), []);
    assert_eq!(client.get(ERROR), [("RESET-03", Violation)]);
    client.get(STOP);
    assert_eq!(client.reset(), []);
    assert_eq!(client.get(STOP), [("RESET-04", Note)]);
    // It may have stayed where it was, and the state that is asked for be the same.
    assert_eq!(client.reset(), []);
    assert_eq!(client.set(STOP, false), []);
}

#[test]
fn a_stopped_device_may_be_refused_other_commands() {
    let mut client = Client::new(5);
    assert_eq!(client.info(false), [("INFO-01", Violation)]);
    assert_eq!(client.set(STOP, true), []);
    assert!(client.session.is_stopped());
    assert_eq!(client.info(false), [("MIGFSM-30", Note)]);
    let map = DmaMap { argsz: 32, flags: 1, size: 0x1000, ..DmaMap::default() };
    assert_eq!(client.command("DMA_MAP", map.bytes().to_vec(), None), [("MIGFSM-30", Note)]);
    // Migration itself is no other command.
    let get = feature_flags::GET | u32::from(feature_index::MIGRATION);
    assert_eq!(client.command("DEVICE_FEATURE", words([16, get]), None), [("FEAT-12", Violation)]);
    assert_eq!(client.set(RUNNING, true), []);
    assert_eq!(client.info(false), [("INFO-01", Violation)]);
}

/// What another client asks of the device is not this one's to know the end of.
#[test]
fn another_client_may_have_changed_the_state() {
    let mut client = Client::new(1);
    client.set(STOP, true);
    assert_ne!(client.get(RUNNING), []);
    for name in ["DEVICE_RESET", "DEVICE_FEATURE"] {
        let mut client = Client::new(1);
        client.set(STOP, true);
        let payload = match name {
            "DEVICE_RESET" => Vec::new(),
            _ => feature(feature_flags::SET, 16, &[RUNNING, 0]),
        };
        client.session.overheard(&command(&V0_9_2, 7, name, payload, &[]));
        assert_eq!(client.get(RUNNING), [], "{name}");
    }
    // What leaves the state as it is.
    let other_feature = words([8, feature_flags::SET | u32::from(feature_index::DMA_LOGGING_STOP)]);
    for (name, payload) in [
        ("VERSION", vec![0; 4]),
        ("DEVICE_FEATURE", feature(feature_flags::GET, 16, &[])),
        ("DEVICE_FEATURE", other_feature),
    ] {
        let mut client = Client::new(1);
        client.set(STOP, true);
        client.session.overheard(&command(&V0_9_2, 7, name, payload, &[]));
        assert_eq!(client.get(RUNNING), [("MIGFSM-02", Violation)], "{name}");
    }
}

/// Out of RUNNING a reset leads to RUNNING.
#[test]
fn a_device_that_was_never_stopped_is_not_stopped_by_the_reset_of_another_client() {
    let after = |name, payload| {
        let mut client = Client::new(1);
        client.session.overheard(&command(&V0_9_2, 7, name, payload, &[]));
        client.info(false)
    };
    assert_eq!(after("DEVICE_RESET", vec![]), [("INFO-01", Violation)]);
    assert_eq!(after("DEVICE_FEATURE", feature(feature_flags::SET, 16, &[STOP, 0])), [("MIGFSM-30", Note)]);
}

#[test]
fn every_way_is_told_by_its_own_clause() {
    for (from, to, requirement) in [
        (RUNNING, STOP, "MIGFSM-03"),
        (STOP_COPY, STOP, "MIGFSM-04"),
        (PRE_COPY, RUNNING, "MIGFSM-06"),
        (STOP, RUNNING, "MIGFSM-07"),
        (RUNNING, PRE_COPY, "MIGFSM-08"),
        (STOP, STOP_COPY, "MIGFSM-09"),
        (PRE_COPY, STOP_COPY, "MIGFSM-10"),
        (STOP, RESUMING, "MIGFSM-11"),
        (RUNNING, STOP_COPY, "MIGFSM-16"),
        (RUNNING, RESUMING, "MIGFSM-17"),
        (STOP, PRE_COPY, "MIGFSM-18"),
        (STOP_COPY, RUNNING, "MIGFSM-19"),
        (STOP_COPY, RESUMING, "MIGFSM-20"),
        (PRE_COPY, STOP, "MIGFSM-22"),
        (PRE_COPY, RESUMING, "MIGFSM-22"),
    ] {
        assert_eq!(in_state(from).set(to, false), [(requirement, Violation)], "{from} {to}");
    }
}

#[test]
fn the_state_can_be_asked_for() {
    let flags = feature_flags::GET | u32::from(feature_index::MIG_DEVICE_STATE);
    assert_eq!(Client::new(5).command("DEVICE_FEATURE", words([16, flags]), None), [("FEAT-06", Violation)]);
    assert_eq!(Client::new(5).command("DEVICE_FEATURE", words([15, flags]), None), []);
    assert_eq!(Client::new(5).command("DEVICE_FEATURE", words([16, flags, 0]), None), []);
}

#[test]
fn a_feature_has_its_methods_and_no_others() {
    let asked = |operation: u32, index: u16, succeeds: bool| {
        let flags = operation | u32::from(index);
        let data = if operation & feature_flags::SET != 0 && operation & feature_flags::PROBE == 0 { 8 } else { 0 };
        let payload = [words([8 + data, flags]), vec![0; data as usize]].concat();
        Client::new(5).command("DEVICE_FEATURE", payload.clone(), succeeds.then_some(payload))
    };
    let (get, set, probe) = (feature_flags::GET, feature_flags::SET, feature_flags::PROBE);
    assert_eq!(asked(set, feature_index::MIGRATION, true), [("FEAT-14", Violation)]);
    assert_eq!(asked(set, feature_index::MIGRATION, false), []);
    assert_eq!(asked(get | set, feature_index::MIG_DEVICE_STATE, false), []);
    assert!(asked(get | set, feature_index::MIG_DEVICE_STATE, true).contains(&("FEAT-02", Note)));
    assert_eq!(asked(probe | set, feature_index::MIGRATION, true), [("FEAT-04", Violation)]);
    assert_eq!(asked(probe | get, feature_index::MIGRATION, false), [("FEAT-04", Note)]);
    assert_eq!(asked(probe | get | set, feature_index::MIG_DEVICE_STATE, false), [("FEAT-04", Note)]);
    assert_eq!(asked(probe | get | set, feature_index::MIG_DEVICE_STATE, true), []);
}

#[test]
fn in_error_a_reset_is_asked_for_and_nothing_else() {
    assert_eq!(in_state(ERROR).info(false), []);
    assert_eq!(in_state(ERROR).command("DEVICE_RESET", vec![], None), [("MIGFSM-30", Note)]);
}

#[test]
fn a_way_is_asked_for_where_every_state_that_it_may_be_in_has_it() {
    let set = |id, state| command(&V0_9_2, id, "DEVICE_FEATURE", feature(feature_flags::SET, 16, &[state, 0]), &[]);
    let mut client = in_state(STOP);
    client.session.sent(50, set(50, RUNNING));
    client.session.sent(51, set(51, RUNNING));
    let refused = |ticket| client.session.permits(ticket).error.first().map(|rule| rule.requirement);
    assert_eq!(refused(50), Some("MIGFSM-07"));
    // It may have come there already.
    assert_eq!(refused(51), None);
    let reset = || {
        let mut client = in_state(STOP);
        client.reset();
        client
    };
    assert_eq!(reset().set(RUNNING, false), []);
    assert_eq!(reset().set(STOP_COPY, false), [("MIGFSM-09", Violation)]);
}

#[test]
fn what_a_stopped_device_is_to_raise_comes_when_it_runs() {
    let raised = |states: &[u32]| {
        let mut client = Client::new(5);
        let set = IrqSet { argsz: 20, flags: 4 | 32, index: 2, start: 0, count: 1 };
        let eventfd = [PassedFd { id: 7, kind: FdKind::Eventfd }];
        let assign = command(&V0_9_2, 50, "DEVICE_SET_IRQS", set.bytes().to_vec(), &eventfd);
        assert_eq!(exchange(&mut client.session, 50, assign, Ok(vec![])), []);
        client.sent = 51;
        client.get(STOP);
        client.session.raised(2, 0);
        states.iter().for_each(|state| assert_eq!(client.set(*state, true), []));
        client.session.signals(7).map(|signals| (signals.least.0, signals.most))
    };
    assert_eq!(raised(&[]), Some((0, (0, "MIGFSM-29"))));
    assert_eq!(raised(&[STOP_COPY, STOP]), Some((0, (0, "MIGFSM-29"))));
    assert_eq!(raised(&[RUNNING]).map(|(least, (most, _))| (least, most)), Some((0, 1)));
}

#[test]
fn a_refused_change_ends_where_it_began_on_its_way_or_in_error() {
    let ways: [(u32, u32, &[u32]); 11] = [
        (RUNNING, STOP, &[]),
        (RUNNING, STOP_COPY, &[STOP]),
        (RUNNING, RESUMING, &[STOP]),
        (STOP_COPY, RUNNING, &[STOP]),
        (STOP_COPY, RESUMING, &[STOP]),
        (RESUMING, RUNNING, &[STOP]),
        (RESUMING, STOP_COPY, &[STOP]),
        (STOP, PRE_COPY, &[RUNNING]),
        (PRE_COPY, STOP, &[RUNNING]),
        (RESUMING, PRE_COPY, &[STOP, RUNNING]),
        (PRE_COPY, RESUMING, &[RUNNING, STOP]),
    ];
    for (from, to, between) in ways {
        for state in [ERROR, STOP, RUNNING, STOP_COPY, RESUMING, PRE_COPY] {
            let mut client = in_state(from);
            client.set(to, false);
            let right = state == from || state == ERROR || between.contains(&state);
            let said: &[_] = if right { &[] } else { &[("MIGFSM-25", Violation)] };
            assert_eq!(client.get(state), said, "{from} {to} {state}");
        }
    }
}

#[test]
fn states_that_this_protocol_does_not_use() {
    let set = |flags, state, succeeds| Client::new(flags).set(state, succeeds);
    let get = |flags, state| Client::new(flags).get(state);
    let (without, with) = (migration_flags::STOP_COPY, migration_flags::STOP_COPY | migration_flags::P2P);
    for state in [RUNNING_P2P, PRE_COPY_P2P] {
        assert_eq!(set(without, state, true), [("MIGFSM-14", Violation)]);
        assert_eq!(set(with, state, true), [("MIGFSM-14", Note)]);
        assert_eq!((set(without, state, false), set(with, state, false)), (vec![], vec![]));
        assert_eq!(get(without, state), [("MIGFSM-14", Violation)]);
    }
    for state in [8, 0xabcd, u32::MAX] {
        assert_eq!(set(without, state, true), [("MIGFSM-15", Violation)]);
        assert_eq!(set(without, state, false), []);
    }
}

#[test]
fn what_is_accepted_against_the_text_may_have_changed_the_state() {
    let mut client = in_state(RUNNING);
    assert_eq!(client.set(ERROR, true), [("MIGFSM-13", Violation)]);
    assert_eq!(client.get(RUNNING), []);
    let mut client = in_state(RUNNING);
    client.feature(feature_flags::GET | feature_flags::SET, 16, &[STOP, 0], true);
    assert_eq!(client.get(RUNNING), []);
}

#[test]
fn what_is_no_set_leaves_the_state_as_it_is() {
    let stop = &[STOP, 0];
    for (operation, data, succeeds) in [
        (feature_flags::PROBE | feature_flags::SET, &stop[..], true),
        (feature_flags::PROBE | feature_flags::SET, &[], true),
        (feature_flags::GET, stop, false),
        (0, &[], true),
    ] {
        let mut client = in_state(RUNNING);
        client.feature(operation, 16, data, succeeds);
        assert_eq!(client.get(STOP), [("MIGFSM-33", Note)], "{operation:#x}");
    }
}

#[test]
fn a_change_is_asked_for_by_its_data_alone() {
    let refused = |to, data_fd: i32| in_state(RUNNING).feature(feature_flags::SET, 16, &[to, data_fd as u32], false);
    assert_eq!(refused(STOP, 0), [("MIGFSM-03", Violation)]);
    assert_eq!(refused(STOP, -1), [("MIGFSM-03", Violation)]);
    assert_eq!(refused(STOP, 3), [("MIGFSM-28", Note)]);
    assert_eq!(refused(ERROR, 3), []);
    let of = |argsz, data: &[u32]| in_state(RUNNING).feature(feature_flags::SET, argsz, data, false);
    assert_eq!(of(17, &[STOP, 0]), [("MIGFSM-03", Violation)]);
    // Less than there is (FEAT-18), and more than belongs there.
    assert_eq!(of(15, &[STOP, 0]), []);
    assert_eq!(of(20, &[STOP, 0, 0]), []);
}

#[test]
fn what_a_change_puts_to_the_test() {
    let tests = |client: &Client, argsz, to| {
        let mut session = client.session.clone();
        let set = feature(feature_flags::SET, argsz, &[to, 0]);
        session.sent(50, command(&V0_9_2, 50, "DEVICE_FEATURE", set, &[]));
        session.permits(50).tests
    };
    assert_eq!(tests(&in_state(RESUMING), 16, STOP), Some("MIGFSM-05"));
    assert_eq!(tests(&in_state(RESUMING), 16, RUNNING), Some("MIGFSM-21"));
    assert_eq!(tests(&in_state(STOP), 16, STOP), Some("MIGFSM-23"));
    assert_eq!(tests(&in_state(STOP), 15, RUNNING), Some("FEAT-18"));
    let mut reset = in_state(STOP);
    reset.reset();
    assert_eq!(tests(&reset, 16, STOP), None);
}

#[test]
fn a_finding_says_what_the_states_are_called() {
    let mut client = in_state(RUNNING);
    client.set(STOP, true);
    let get = |data: &[u32]| feature(feature_flags::GET, 16, data);
    let sent = command(&V0_9_2, 50, "DEVICE_FEATURE", get(&[]), &[]);
    let said = judged(&mut client.session, 50, sent, Ok(get(&[RUNNING, 0])));
    let broken = said.into_iter().find_map(|said| said.broken).unwrap();
    assert_eq!((broken.expected.as_str(), broken.actual.as_str()), ("STOP", "RUNNING (2)"));
}

#[test]
fn a_trigger_may_come_to_nothing_while_the_device_is_stopped() {
    let triggered = |state| {
        let mut client = in_state(state);
        let set = |flags| IrqSet { argsz: 20, flags, index: 2, start: 0, count: 1 }.bytes().to_vec();
        let eventfd = [PassedFd { id: 7, kind: FdKind::Eventfd }];
        for (id, flags, fds) in [(50, DATA_EVENTFD, &eventfd[..]), (51, DATA_NONE, &[])] {
            let sent = command(&V0_9_2, id, "DEVICE_SET_IRQS", set(flags | ACTION_TRIGGER), fds);
            exchange(&mut client.session, id, sent, Ok(vec![]));
        }
        client.session.signals(7).map(|signals| (signals.least.0, signals.most.0))
    };
    assert_eq!(triggered(RUNNING), Some((1, 1)));
    assert_eq!(triggered(STOP), Some((0, 1)));
}
