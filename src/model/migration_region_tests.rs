//! The migration region of 0.9.1, as the answers tell it.

use std::sync::Arc;

use pretty_assertions::assert_eq;
use vfio_user_wire::dirty_pages_flags::START;
use vfio_user_wire::irq_set_flags::{ACTION_TRIGGER, DATA_EVENTFD};
use vfio_user_wire::legacy::migration_state::{ERROR, PRE_COPY, RESUMING, RUNNING, STOP_AND_COPY, STOPPED};
use vfio_user_wire::message::{DeviceInfo, IrqSet, RegionAccess, RegionInfo};
use vfio_user_wire::region_info_flags::{CAPS, MMAP, READ, WRITE};
use vfio_user_wire::{Limits, NO_REPLY, SparseArea, V0_9_1, V8, V8C, sparse_mmap_bytes, type_bytes};

use super::legacy_tests::{Client, NOTHING, version};
use super::rulings_tests::succeeds;
use super::samples::{Said, command, exchange, judged};
use super::{FdKind, Offer, OfferedIrq, OfferedMigrationRegion, OfferedRegion, PassedFd, ScratchRange, Session};
use crate::verdict::Class::{self, Note, Violation};

pub(super) const REGION: u32 = 9;
/// Flags of a region.
const READ_WRITE_CAPS: u32 = READ | WRITE | CAPS;
pub(super) const READ_WRITE_MMAP_CAPS: u32 = READ_WRITE_CAPS | MMAP;

pub(super) fn offer(pfn_query: bool) -> Offer {
    Offer {
        regions: vec![
            OfferedRegion { index: REGION, size: 0x3000, flags: 3, argsz: 48 },
            OfferedRegion { index: 0, size: 0x1000, flags: 3, argsz: 32 },
        ],
        migration_region: Some(OfferedMigrationRegion { index: REGION, pfn_query }),
        ..Offer::default()
    }
}

pub(super) fn client() -> Client {
    Client::new(offer(false))
}

pub(super) fn access(offset: u64, count: usize, data: &[u8]) -> Vec<u8> {
    [RegionAccess { offset, region: REGION, count: count as u32 }.bytes(), data].concat()
}

impl Client {
    /// A read that gets these bytes, or an error.
    pub(super) fn reads(&mut self, offset: u64, count: usize, data: Option<&[u8]>) -> Said {
        self.ask("REGION_READ", access(offset, count, &[]), data.map(|data| access(offset, count, data)))
    }

    pub(super) fn reads_u64(&mut self, offset: u64, value: u64) -> Said {
        self.reads(offset, 8, Some(&value.to_ne_bytes()))
    }

    pub(super) fn writes(&mut self, offset: u64, data: &[u8], succeeds: bool) -> Said {
        let reply = access(offset, data.len(), &[]);
        self.ask("REGION_WRITE", access(offset, data.len(), data), succeeds.then_some(reply))
    }

    pub(super) fn state(&mut self, state: u32) -> Said {
        self.reads(0, 4, Some(&state.to_ne_bytes()))
    }

    pub(super) fn set(&mut self, state: u32, succeeds: bool) -> Said {
        self.writes(0, &state.to_ne_bytes(), succeeds)
    }

    /// The full region info with these capabilities.
    pub(super) fn region_info(&mut self, index: u32, capabilities: &[u8], flags: u32, size: u64) -> Said {
        let request = RegionInfo { argsz: 4096, index, ..RegionInfo::default() };
        let argsz = 32 + capabilities.len() as u32;
        let info = RegionInfo { argsz, flags, index, cap_offset: 32, size, offset: 0 };
        let reply = [info.bytes(), capabilities].concat();
        self.ask("DEVICE_GET_REGION_INFO", request.bytes().to_vec(), Some(reply))
    }
}

/// A client whose device is in that state for sure.
pub(super) fn in_state(state: u32) -> Client {
    let mut client = client();
    assert_eq!(client.state(state), NOTHING);
    client
}

const STATES: [u32; 5] = [STOPPED, RUNNING, STOP_AND_COPY, PRE_COPY, RESUMING];

#[test]
fn the_table_says_which_states_lead_where() {
    let open = [
        (STOPPED, RUNNING, "L-MR-07"),
        (RUNNING, STOPPED, "L-MR-07"),
        (RUNNING, STOP_AND_COPY, "L-MR-07"),
        (RUNNING, PRE_COPY, "L-MR-09"),
        (RUNNING, RESUMING, "L-MR-07"),
        (STOP_AND_COPY, STOPPED, "L-MR-07"),
        (STOP_AND_COPY, RUNNING, "L-MR-07"),
        (PRE_COPY, STOP_AND_COPY, "L-MR-07"),
    ];
    for from in STATES {
        for to in STATES.into_iter().filter(|to| *to != from) {
            assert_eq!(
                in_state(from).set(to, (from, to) == (RESUMING, RUNNING)),
                refusal(&open, from, to),
                "{from} {to}"
            );
            let known = open.iter().any(|(a, b, _)| (*a, *b) == (from, to)) || (from, to) == (RESUMING, RUNNING);
            let said: &[(&str, Class)] = if known { &[] } else { &[("L-MR-08", Violation)] };
            assert_eq!(in_state(from).set(to, true), said, "{from} {to}");
        }
    }
    // What was loaded decides.
    assert_eq!(in_state(RESUMING).set(RUNNING, false), NOTHING);
}

fn refusal(open: &[(u32, u32, &'static str)], from: u32, to: u32) -> Said {
    open.iter()
        .filter(|(a, b, _)| (*a, *b) == (from, to))
        .map(|(_, _, requirement)| (*requirement, Violation))
        .collect()
}

#[test]
fn only_states_can_be_asked_for() {
    for state in [5, 6, 7] {
        assert_eq!(client().set(state, true), [("L-MR-10", Violation)]);
        assert_eq!(client().set(state, false), NOTHING);
    }
    assert_eq!(client().set(8, true), [("L-MR-11", Note)]);
    assert_eq!(client().state(5), [("L-MR-10", Violation)]);
    assert_eq!(client().state(9), [("L-MR-11", Note)]);
    assert_eq!(client().reads(0, 4, None), [("L-MR-02", Violation)]);
}

#[test]
fn what_was_written_is_read() {
    let mut client = in_state(RUNNING);
    assert_eq!(client.set(STOPPED, true), NOTHING);
    assert_eq!(client.state(RUNNING), [("L-MR-04", Violation)]);
    let mut client = in_state(STOPPED);
    assert_eq!(client.set(PRE_COPY, false), NOTHING);
    assert_eq!(client.state(PRE_COPY), [("L-MR-05", Violation)]);
    let mut client = in_state(STOPPED);
    assert_eq!(client.set(PRE_COPY, false), NOTHING);
    assert_eq!(client.reads(0, 4, None), [("L-MR-29", Violation)]);
    assert_eq!(client.state(ERROR), NOTHING);
    assert_eq!(client.set(RUNNING, false), NOTHING);
}

#[test]
fn what_does_nothing_does_not_change_the_state() {
    let mut client = in_state(STOPPED);
    assert_eq!(client.writes(4, &[0; 4], false), [("L-MR-12", Note)]);
    assert_eq!(client.writes(4, &[1; 4], true), NOTHING);
    assert_eq!(client.state(RUNNING), [("L-MR-12", Violation)]);
    let mut client = in_state(RUNNING);
    assert_eq!(client.reads(16, 8, None), NOTHING);
    assert_eq!(client.state(STOPPED), [("L-MR-25", Violation)]);
}

#[test]
fn reads_out_of_order_do_not_change_the_state() {
    for register in [8, 16, 24] {
        let mut client = in_state(RUNNING);
        assert_eq!(client.reads(register, 8, None), NOTHING);
        assert_eq!(client.state(STOPPED), [("L-MR-25", Violation)], "{register}");
    }
    let mut client = in_state(STOP_AND_COPY);
    assert_eq!(client.reads(24, 8, None), NOTHING);
    assert_eq!(client.state(RUNNING), [("L-MR-25", Violation)]);
    let mut client = in_state(RUNNING);
    assert_eq!(client.set(STOP_AND_COPY, true), NOTHING);
    for (register, value) in [(8, 100), (16, 0x1000), (24, 0x40)] {
        assert_eq!(client.reads_u64(register, value), NOTHING);
    }
    assert_eq!(client.state(RUNNING), [("L-MR-04", Violation)]);
}

#[test]
fn a_stopped_device_is_silent_and_may_refuse_all_but_migration() {
    let mut client = in_state(STOP_AND_COPY);
    let info = DeviceInfo { argsz: 16, ..DeviceInfo::default() }.bytes().to_vec();
    assert_eq!(client.ask("DEVICE_GET_INFO", info, None), [("L-MR-28", Note)]);
    let request = client.session.requested("DMA_READ").unwrap();
    assert_eq!((request.requirement, request.is_violation()), ("L-MR-30", true));
    assert!(in_state(RESUMING).session.requested("DMA_READ").is_none());
    assert!(in_state(PRE_COPY).session.requested("DMA_READ").is_none());
}

#[test]
fn where_the_device_is_already_and_out_of_the_error_state_any_answer_is_right() {
    for state in STATES {
        for succeeds in [true, false] {
            assert_eq!(in_state(state).set(state, succeeds), NOTHING, "{state}");
            assert_eq!(in_state(ERROR).set(state, succeeds), NOTHING, "{state}");
        }
    }
}

#[test]
fn what_is_right_for_one_of_several_states_is_not_asked_for() {
    // What comes of the state, the text does not say.
    let reset = |state| {
        let mut client = in_state(state);
        assert_eq!(client.ask("DEVICE_RESET", vec![], Some(vec![])), NOTHING);
        client
    };
    assert_eq!(reset(STOPPED).set(RUNNING, false), NOTHING);
    assert_eq!(reset(STOPPED).set(STOP_AND_COPY, true), NOTHING);
    assert_eq!(reset(STOP_AND_COPY).set(STOPPED, false), [("L-MR-07", Violation)]);
}

#[test]
fn odd_accesses_get_any_answer() {
    for succeeds in [true, false] {
        assert_eq!(in_state(RUNNING).writes(0, &[0], succeeds), NOTHING);
        assert_eq!(in_state(RUNNING).reads(8, 4, succeeds.then_some(&[0; 4])), NOTHING);
        assert_eq!(in_state(RUNNING).reads(0x800, 4, succeeds.then_some(&[0; 4])), NOTHING);
    }
}

fn region_info(capabilities: &[u8], flags: u32, size: u64) -> Said {
    client().region_info(11, capabilities, flags, size)
}

#[test]
fn the_region_has_its_type_and_maps_no_register() {
    assert_eq!(region_info(&type_bytes(3, 1, 0), READ_WRITE_CAPS, 0x3000), NOTHING);
    assert_eq!(region_info(&type_bytes(3, 2, 0), READ_WRITE_CAPS, 0x3000), [("L-REG-02", Note)]);
    assert_eq!(region_info(&type_bytes(3, 1, 0), READ_WRITE_CAPS, 0x10), [("L-MR-01", Violation)]);
    let mut second = type_bytes(3, 1, 0);
    second[2] = 2;
    assert_eq!(region_info(&second, READ_WRITE_CAPS, 0x3000), [("L-REG-01", Violation)]);
    assert_eq!(sparse(0, 0x1000).len(), 48);
    let mapped =
        |capabilities: &[u8]| region_info(capabilities, READ_WRITE_MMAP_CAPS, 0x3000).contains(&("L-MR-27", Violation));
    assert!(mapped(&sparse(0, 0x1000)) && mapped(&sparse(31, 1)));
    assert!(!mapped(&sparse(0x1000, 0x1000)) && !mapped(&sparse(32, 0x1000)) && !mapped(&sparse(0, 0)));
    assert!(mapped(&type_bytes(3, 1, 0)));
}

/// The capabilities of a migration region of which an area can be mapped.
pub(super) fn sparse(offset: u64, size: u64) -> Vec<u8> {
    [type_bytes(3, 1, 48), sparse_mmap_bytes(&[SparseArea { offset, size }], 0)].concat()
}

#[test]
fn only_a_write_of_the_state_changes_the_state() {
    let known = |name: &str, offset: u64| {
        let mut client = in_state(RUNNING);
        let data: &[u8] = if name == "REGION_WRITE" { &[0; 4] } else { &[] };
        let payload = access(offset, 4, data);
        client.session.overheard(&command(&V0_9_1, 7, name, payload, &[]));
        client.session.device_state().is_some()
    };
    assert!(!known("REGION_WRITE", 0));
    assert!(known("REGION_READ", 0));
    assert!(known("REGION_WRITE", 4));
}

#[test]
fn what_is_wrong_with_the_type_is_marked() {
    let mut old = type_bytes(3, 1, 0);
    old[2] = 2;
    assert_eq!(type_mark(&old), ("version".to_owned(), 16 + 32 + 2, 2));
    assert_eq!(type_mark(&type_bytes(3, 2, 0)), ("type".to_owned(), 16 + 32 + 8, 8));
}

/// What of a type capability is marked.
fn type_mark(capability: &[u8]) -> (String, usize, usize) {
    let mut client = client();
    let request = RegionInfo { argsz: 4096, index: 11, ..RegionInfo::default() };
    let info = RegionInfo { argsz: 48, flags: 1 | 2 | 8, index: 11, cap_offset: 32, size: 0x3000, offset: 0 };
    let sent = command(&V0_9_1, 7, "DEVICE_GET_REGION_INFO", request.bytes().to_vec(), &[]);
    let said = judged(&mut client.session, 7, sent, Ok([info.bytes(), capability].concat()));
    let mark = said.into_iter().find_map(|said| said.broken?.field).unwrap();
    (mark.name, mark.offset, mark.length)
}

#[test]
fn what_the_register_should_say_is_known() {
    for state in STATES.into_iter().chain([ERROR]) {
        assert_eq!(in_state(state).session.migration_register(), Some(state));
    }
}

#[test]
fn an_odd_write_to_the_state_may_have_changed_it() {
    let read = |offset, succeeds| {
        let mut client = in_state(RUNNING);
        assert_eq!(client.set(STOPPED, true), NOTHING);
        client.writes(offset, &[0], succeeds);
        client.state(RUNNING)
    };
    assert_eq!((read(0, true), read(3, true)), (vec![], vec![]));
    for (offset, succeeds) in [(0, false), (4, true), (9, true)] {
        assert_eq!(read(offset, succeeds), [("L-MR-04", Violation)], "{offset}");
    }
    // A byte more than it says.
    let read = |succeeds: bool| {
        let mut client = in_state(RUNNING);
        assert_eq!(client.set(STOPPED, true), NOTHING);
        client.ask("REGION_WRITE", access(0, 4, &[0; 5]), succeeds.then(|| access(0, 4, &[])));
        client.state(RUNNING)
    };
    assert_eq!((read(true), read(false)), (vec![], vec![("L-MR-04", Violation)]));
}

/// An access to the first bytes of another region.
fn elsewhere(data: &[u8]) -> Vec<u8> {
    [RegionAccess { offset: 0, region: 0, count: 1 }.bytes(), data].concat()
}

#[test]
fn what_is_no_whole_access_to_the_region_is_none_to_its_registers() {
    assert_eq!(in_state(RUNNING).ask("REGION_READ", access(0, 4, &[0]), None), NOTHING);
    assert_eq!(in_state(RUNNING).ask("REGION_READ", elsewhere(&[]), None), NOTHING);
    // A write of no bytes writes nothing.
    let mut client = in_state(STOP_AND_COPY);
    assert_eq!(client.reads_u64(8, 100), NOTHING);
    assert_eq!(client.writes(8, &[], true), NOTHING);
    assert_eq!(client.reads_u64(8, 50), [("L-MR-14", Violation)]);
}

#[test]
fn what_comes_between_may_have_changed_the_state() {
    let after = |name: &str, payload: Vec<u8>, reply: Vec<u8>| {
        let mut client = in_state(RUNNING);
        assert_eq!(client.set(STOPPED, true), NOTHING);
        assert_eq!(client.ask(name, payload, Some(reply)), NOTHING);
        client.state(RUNNING)
    };
    assert_eq!(after("REGION_READ", elsewhere(&[]), elsewhere(&[0])), [("L-MR-04", Note)]);
    assert_eq!(after("REGION_WRITE", elsewhere(&[0]), elsewhere(&[])), [("L-MR-04", Note)]);
    assert_eq!(after("REGION_READ", access(4, 4, &[]), access(4, 4, &[0; 4])), [("L-MR-04", Violation)]);
}

#[test]
fn what_is_loaded_takes_the_place_of_what_was_written() {
    let said = |states: &[u32]| {
        let scratch = vec![ScratchRange { region: 0, offset: 0, length: 1 }];
        let mut client = Client::new(Offer { scratch, ..offer(false) });
        client.state(RUNNING);
        assert_eq!(client.ask("REGION_WRITE", elsewhere(&[7]), Some(elsewhere(&[]))), NOTHING);
        states.iter().for_each(|state| assert_eq!(client.set(*state, true), NOTHING));
        client.ask("REGION_READ", elsewhere(&[]), Some(elsewhere(&[8])))
    };
    assert_eq!(said(&[STOPPED, RUNNING]), [("RWRITE-02", Violation)]);
    assert_eq!(said(&[RESUMING, RUNNING]), NOTHING);
}

#[test]
fn what_a_stopped_device_is_to_raise_comes_when_it_runs() {
    let raised = |states: &[u32]| {
        let irqs = vec![OfferedIrq { index: 2, flags: 1, count: 1 }];
        let limits = Limits { max_msg_fds: 1, ..Limits::default() };
        let mut client = Client::new(Offer { irqs, limits, ..offer(false) });
        let set = IrqSet { argsz: 20, flags: DATA_EVENTFD | ACTION_TRIGGER, index: 2, start: 0, count: 1 };
        let eventfd = [PassedFd { id: 7, kind: FdKind::Eventfd }];
        let assign = command(&V0_9_1, 50, "DEVICE_SET_IRQS", set.bytes().to_vec(), &eventfd);
        assert_eq!(exchange(&mut client.session, 50, assign, Ok(vec![])), NOTHING);
        client.state(STOPPED);
        client.session.raised(2, 0);
        states.iter().for_each(|state| assert_eq!(client.set(*state, true), NOTHING));
        client.session.signals(7).map(|signals| (signals.least.0, signals.most.0))
    };
    assert_eq!(raised(&[]), Some((0, 0)));
    assert_eq!(raised(&[RUNNING]), Some((0, 1)));
}

#[test]
fn dirty_pages_are_logged_in_whatever_state() {
    let started = |state| {
        let able = Offer { dma: true, dirty_pages: true, ..offer(false) };
        let mut client = Client::new(able);
        client.state(state);
        client.dirty(8, START, false)
    };
    for state in [RUNNING, PRE_COPY] {
        assert_eq!(started(state), [("L-DP-05", Violation)]);
    }
    for state in [STOPPED, STOP_AND_COPY] {
        assert_eq!(started(state), [("L-DP-30", Note)]);
    }
}

#[test]
fn a_client_that_offers_no_migration_need_not_be_shown_the_region() {
    let info = RegionInfo { argsz: 48, index: REGION, ..RegionInfo::default() };
    let said = |capabilities: &str| {
        let client = Client::with_versions(offer(false), capabilities, capabilities);
        [("DEVICE_GET_REGION_INFO", info.bytes().to_vec()), ("REGION_READ", access(0, 4, &[]))]
            .map(|(name, payload)| client.breaks(name, payload).1.is_empty())
    };
    assert_eq!(said(r#"{"capabilities":{"migration":{"pgsize":4096}}}"#), [false; 2]);
    assert_eq!(said("{}"), [true; 2]);
    // The regions before it are known as ever.
    let bar0 = RegionInfo { argsz: 32, ..RegionInfo::default() }.bytes().to_vec();
    let shown = Client::with_versions(offer(false), "{}", "{}").breaks("DEVICE_GET_REGION_INFO", bar0);
    assert_eq!(shown, succeeds("INFO-05", Violation));
}

#[test]
fn a_finding_names_the_states_and_the_lines_of_the_text() {
    let refused = |dialect, state: u32| {
        let mut session = Session::new(dialect, Arc::new(offer(false)));
        let migration = version(r#"{"capabilities":{"migration":{"pgsize":4096}}}"#);
        exchange(&mut session, 0, command(dialect, 0, "VERSION", migration.clone(), &[]), Ok(migration));
        let stopped = access(0, 4, &STOPPED.to_ne_bytes());
        exchange(&mut session, 1, command(dialect, 1, "REGION_READ", access(0, 4, &[]), &[]), Ok(stopped));
        session.sent(2, command(dialect, 2, "REGION_WRITE", access(0, 4, &state.to_ne_bytes()), &[]));
        session.permits(2).ok.pop().unwrap().expected
    };
    let no_way = "a refusal: from stopped there is no way to pre-copy";
    assert_eq!(refused(&V0_9_1, PRE_COPY), format!("{no_way} (0.9.1 at 190f85b^, 1735-1747)"));
    assert_eq!(refused(&V8C, PRE_COPY), format!("{no_way} (0.9.1 at cda5e5f^, 1639-1651)"));
    assert_eq!(refused(&V8, PRE_COPY), format!("{no_way} (version 8 at 595dff9, 1025-1037)"));
    for (dialect, lines) in [
        (&V0_9_1, "0.9.1 at 190f85b^, 1726-1731"),
        (&V8C, "0.9.1 at cda5e5f^, 1630-1635"),
        (&V8, "version 8 at 595dff9, 1016-1021"),
    ] {
        assert_eq!(refused(dialect, 5), format!("a refusal: 5 is no state that can be asked for ({lines})"));
    }
}

#[test]
fn what_became_of_a_write_is_open_where_nobody_answered_or_more_came_between() {
    let stopped = || {
        let mut client = in_state(RUNNING);
        assert_eq!(client.set(STOPPED, true), NOTHING);
        client
    };
    assert_eq!(stopped().state(RUNNING), [("L-MR-04", Violation)]);
    // It may have been the access to "reserved" that had an effect (L-MR-12).
    let mut client = stopped();
    assert_eq!(client.writes(4, &[1; 4], true), NOTHING);
    assert_eq!(client.state(RUNNING), [("L-MR-04", Note)]);
    // What a reset does to the state, no text says (policy A-28).
    let mut client = stopped();
    assert_eq!(client.ask("DEVICE_RESET", vec![], Some(vec![])), NOTHING);
    assert_eq!(client.state(RUNNING), NOTHING);
    let mut client = stopped();
    let mut posted = command(&V0_9_1, 50, "REGION_WRITE", access(0, 4, &RUNNING.to_ne_bytes()), &[]);
    posted.header.flags |= NO_REPLY;
    client.session.sent(50, posted);
    let read = command(&V0_9_1, 51, "REGION_READ", access(0, 4, &[]), &[]);
    assert_eq!(exchange(&mut client.session, 51, read, Ok(access(0, 4, &RUNNING.to_ne_bytes()))), NOTHING);
}
