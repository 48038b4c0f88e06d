//! The migration region of 0.9.1, as the answers tell it.

use vfio_user_wire::legacy::migration_state::{ERROR, PRE_COPY, RESUMING, RUNNING, STOP_AND_COPY, STOPPED};
use vfio_user_wire::message::{DeviceInfo, RegionAccess, RegionInfo};
use vfio_user_wire::{SparseArea, V0_9_1, sparse_mmap_bytes, type_bytes};

use super::legacy_tests::Client;
use super::samples::{Said, command, judged};
use super::{Offer, OfferedMigrationRegion, OfferedRegion};
use crate::verdict::Class::{self, Note, Violation};

const REGION: u32 = 9;
const NOTHING: [(&str, Class); 0] = [];

fn offer(pfn_query: bool) -> Offer {
    Offer {
        regions: vec![
            OfferedRegion { index: REGION, size: 0x3000, flags: 3, argsz: 48 },
            OfferedRegion { index: 0, size: 0x1000, flags: 3, argsz: 32 },
        ],
        migration_region: Some(OfferedMigrationRegion { index: REGION, pfn_query }),
        ..Offer::default()
    }
}

fn client() -> Client {
    Client::new(offer(false))
}

fn access(offset: u64, count: usize, data: &[u8]) -> Vec<u8> {
    [RegionAccess { offset, region: REGION, count: count as u32 }.bytes(), data].concat()
}

impl Client {
    /// A read that gets these bytes, or an error.
    fn reads(&mut self, offset: u64, count: usize, data: Option<&[u8]>) -> Said {
        self.ask("REGION_READ", access(offset, count, &[]), data.map(|data| access(offset, count, data)))
    }

    fn reads_u64(&mut self, offset: u64, value: u64) -> Said {
        self.reads(offset, 8, Some(&value.to_ne_bytes()))
    }

    fn writes(&mut self, offset: u64, data: &[u8], succeeds: bool) -> Said {
        let reply = access(offset, data.len(), &[]);
        self.ask("REGION_WRITE", access(offset, data.len(), data), succeeds.then_some(reply))
    }

    fn state(&mut self, state: u32) -> Said {
        self.reads(0, 4, Some(&state.to_ne_bytes()))
    }

    fn set(&mut self, state: u32, succeeds: bool) -> Said {
        self.writes(0, &state.to_ne_bytes(), succeeds)
    }
}

/// A client whose device is in that state for sure.
fn in_state(state: u32) -> Client {
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
fn data_are_read_in_iterations() {
    let mut client = in_state(STOP_AND_COPY);
    assert_eq!(client.reads(8, 8, None), [("L-MR-02", Violation)]);
    assert_eq!(client.reads_u64(8, 100), NOTHING);
    assert_eq!(client.reads_u64(8, 99), [("L-MR-14", Violation)]);
    assert_eq!(client.writes(8, &[0; 8], true), NOTHING);
    assert_eq!(client.reads_u64(8, 0), [("L-MR-13", Violation)]);
    assert_eq!(client.reads_u64(8, 100), [("L-MR-14", Violation)]);
    assert_eq!(client.reads(16, 8, None), [("L-MR-17", Violation)]);
    assert_eq!(client.reads_u64(8, 100), NOTHING);
    assert_eq!(client.reads_u64(16, 16), [("L-MR-16", Violation)]);
    assert_eq!(client.reads_u64(8, 100), NOTHING);
    assert_eq!(client.reads_u64(16, 0x1000), NOTHING);
    assert_eq!(client.reads_u64(16, 0x1800), [("L-MR-17", Note)]);
    assert_eq!(client.writes(16, &[0; 8], true), NOTHING);
    assert_eq!(client.reads_u64(16, 0), [("L-MR-16", Violation), ("L-MR-15", Violation)]);
    assert_eq!(client.reads_u64(16, 0x1000), [("L-MR-17", Note)]);
    assert_eq!(client.reads_u64(24, 101), [("L-MR-18", Note)]);
    assert_eq!(client.reads_u64(24, 0), [("L-MR-18", Note)]);
    assert_eq!(client.reads_u64(24, 0x2001), [("L-MR-16", Violation), ("L-MR-18", Note)]);
    assert_eq!(client.reads_u64(24, 0x40), NOTHING);
    assert_eq!(client.reads(0x1000, 0x40, None), [("L-MR-17", Violation)]);
    assert_eq!(client.reads(0x1000, 0x40, Some(&[0; 0x40])), NOTHING);
    // What comes of reading on without a new iteration is nowhere said.
    assert_eq!(client.reads(0x1000, 0x40, None), NOTHING);
    assert_eq!(client.reads_u64(24, 0), NOTHING);
    assert_eq!(client.reads_u64(16, 0x1800), NOTHING);
    assert_eq!(client.reads_u64(8, 36), NOTHING);
    // In pre-copy there can be more from one moment to the next.
    let mut client = in_state(PRE_COPY);
    assert_eq!(client.reads_u64(8, 100), NOTHING);
    assert_eq!(client.reads_u64(8, 200), NOTHING);
    assert_eq!(client.reads_u64(16, 0x1000), NOTHING);
    assert_eq!(client.set(STOP_AND_COPY, false), [("L-MR-20", Violation)]);
}

#[test]
fn a_resuming_device_says_where_data_go() {
    let mut client = in_state(RESUMING);
    assert_eq!(client.reads(16, 8, None), [("L-MR-21", Violation)]);
    assert_eq!(client.reads_u64(16, 0x4000), [("L-MR-16", Violation)]);
    assert_eq!(client.reads_u64(16, 0x1000), NOTHING);
    assert_eq!(client.writes(0x1000, &[1; 16], false), NOTHING);
    assert_eq!(client.writes(0x1000, &[1; 16], true), NOTHING);
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
fn without_anything_pending_nothing_is_made_available() {
    let size = |pending| {
        let mut client = in_state(STOP_AND_COPY);
        assert_eq!(client.reads_u64(8, pending), NOTHING);
        assert_eq!(client.reads_u64(16, 0x1000), NOTHING);
        client.reads(24, 8, None)
    };
    assert_eq!(size(1), [("L-MR-17", Violation)]);
    assert_eq!(size(0), NOTHING);
}

#[test]
fn data_that_are_written_put_the_load_to_the_test() {
    let tests = |state| {
        let mut client = in_state(state);
        client.session.sent(50, command(&V0_9_1, 50, "REGION_WRITE", access(0x1000, 4, &[0; 4]), &[]));
        client.session.permits(50).tests
    };
    assert_eq!(tests(RESUMING), Some("L-MR-21"));
    assert_eq!(tests(STOPPED), Some("L-MR-26"));
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
    let request = RegionInfo { argsz: 4096, index: 11, ..RegionInfo::default() };
    let argsz = 32 + capabilities.len() as u32;
    let info = RegionInfo { argsz, flags, index: 11, cap_offset: 32, size, offset: 0 };
    let reply = [info.bytes(), capabilities].concat();
    client().ask("DEVICE_GET_REGION_INFO", request.bytes().to_vec(), Some(reply))
}

#[test]
fn the_region_has_its_type_and_maps_no_register() {
    const READ_WRITE_CAPS: u32 = 1 | 2 | 8;
    assert_eq!(region_info(&type_bytes(3, 1, 0), READ_WRITE_CAPS, 0x3000), NOTHING);
    assert_eq!(region_info(&type_bytes(3, 2, 0), READ_WRITE_CAPS, 0x3000), [("L-REG-02", Note)]);
    assert_eq!(region_info(&type_bytes(3, 1, 0), READ_WRITE_CAPS, 0x10), [("L-MR-01", Violation)]);
    let mut second = type_bytes(3, 1, 0);
    second[2] = 2;
    assert_eq!(region_info(&second, READ_WRITE_CAPS, 0x3000), [("L-REG-01", Violation)]);
    let sparse = |offset| {
        let first = type_bytes(3, 1, 48);
        [first, sparse_mmap_bytes(&[SparseArea { offset, size: 0x1000 }], 0)].concat()
    };
    assert_eq!(sparse(0).len(), 48);
    let mapped = |said: Said| said.contains(&("L-MR-27", Violation));
    assert!(!mapped(region_info(&sparse(0x1000), READ_WRITE_CAPS | 4, 0x3000)));
    assert!(mapped(region_info(&sparse(0), READ_WRITE_CAPS | 4, 0x3000)));
    assert!(mapped(region_info(&type_bytes(3, 1, 0), READ_WRITE_CAPS | 4, 0x3000)));
}

/// A client that can ask for dirty pages by number, its device in pre-copy.
fn saving() -> Client {
    let mut client = Client::new(offer(true));
    client.state(RUNNING);
    assert_eq!(client.set(PRE_COPY, true), NOTHING);
    client
}

fn ask_for(client: &mut Client, start: u64, page_size: u64, pages: u64) {
    for (offset, value) in [(32, start), (40, page_size), (48, pages)] {
        assert_eq!(client.writes(offset, &value.to_ne_bytes(), true), NOTHING);
    }
}

#[test]
fn pages_are_asked_for_by_number() {
    assert_eq!(saving().writes(32, &[0; 8], false), [("L-PFN-01", Violation)]);
    assert_eq!(saving().reads_u64(56, 3), [("L-PFN-08", Note)]);
    let mut client = saving();
    ask_for(&mut client, 0x100, 4096, 70);
    assert_eq!(client.reads(56, 8, None), [("L-PFN-02", Violation)]);
    assert_eq!(client.reads_u64(56, 71), [("L-PFN-05", Violation)]);
    assert_eq!(client.reads_u64(56, u64::MAX), NOTHING);
    assert_eq!(client.reads_u64(56, 0), NOTHING);
    let mut client = saving();
    ask_for(&mut client, 0x100, 0, 70);
    assert_eq!(client.reads(56, 8, None), NOTHING);
    assert!(client.reads_u64(56, 70).contains(&("L-PFN-07", Violation)));
    let mut client = Client::new(offer(true));
    client.state(RUNNING);
    assert_eq!(client.reads_u64(56, 1), [("L-PFN-09", Violation)]);
}

#[test]
fn the_bitmap_stands_at_data_offset() {
    let mut client = saving();
    ask_for(&mut client, 0x100, 4096, 70);
    assert_eq!(client.reads_u64(56, 70), NOTHING);
    assert_eq!(client.reads(16, 8, None), [("L-PFN-04", Violation)]);
    ask_for(&mut client, 0x100, 4096, 70);
    assert_eq!(client.reads_u64(56, 70), NOTHING);
    let said = client.reads_u64(16, 32);
    assert!(said.contains(&("L-PFN-04", Violation)));
    assert_eq!(client.reads_u64(16, 0x1000), [("L-MR-17", Note)]);
    assert_eq!(client.reads(0x1000, 9, None), [("L-PFN-04", Violation)]);
    // The device has written none of them.
    let one = [0, 0, 0, 0, 0, 0, 0, 0, 1];
    assert_eq!(client.reads(0x1000, 9, Some(&one)), [("L-PFN-04", Violation)]);
}

#[test]
fn what_the_device_wrote_while_saving_is_told() {
    let dirty = || {
        let mut client = Client::new(Offer { dma: true, dma_table: true, ..offer(true) });
        assert_eq!(client.map(Ok(())), NOTHING);
        client.state(RUNNING);
        client.set(PRE_COPY, true);
        client.write(64);
        ask_for(&mut client, 0x100, 4096, 66);
        client
    };
    assert_eq!(dirty().reads_u64(56, 0), [("L-PFN-03", Violation)]);
    let bits = |bits: [u8; 9]| {
        let mut client = dirty();
        assert_eq!(client.reads_u64(56, 66), NOTHING);
        assert_eq!(client.reads_u64(16, 0x1000), NOTHING);
        client.reads(0x1000, 9, Some(&bits))
    };
    assert_eq!(bits([0, 0, 0, 0, 0, 0, 0, 0, 1]), NOTHING);
    assert_eq!(bits([0; 9]), [("L-PFN-04", Violation)]);
    assert_eq!(bits([1, 0, 0, 0, 0, 0, 0, 0, 1]), [("L-PFN-04", Violation)]);
}

#[test]
fn a_portion_is_read_where_the_client_takes_as_much() {
    let refused = |count: u64, limit: &str| {
        let capabilities = format!(r#"{{"capabilities":{{{limit}}}}}"#);
        let mut client = Client::with_versions(offer(false), &capabilities, &capabilities);
        client.state(STOP_AND_COPY);
        client.reads_u64(8, count);
        client.reads_u64(16, 0x1000);
        assert_eq!(client.reads_u64(24, count), NOTHING);
        client.reads(0x1000, count as usize, None)
    };
    assert_eq!(refused(64, r#""max_data_xfer_size":64"#), [("L-MR-17", Violation)]);
    assert_eq!(refused(65, r#""max_data_xfer_size":64"#), NOTHING);
    assert_eq!(refused(64, r#""max_msg_size":96"#), [("L-MR-17", Violation)]);
    assert_eq!(refused(65, r#""max_msg_size":96"#), NOTHING);
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
fn what_was_announced_is_forgotten_with_the_state() {
    let mut client = in_state(STOP_AND_COPY);
    assert_eq!(client.reads_u64(8, 100), NOTHING);
    assert_eq!(client.reads_u64(8, 50), [("L-MR-14", Violation)]);
    let mut client = in_state(STOP_AND_COPY);
    assert_eq!(client.reads_u64(8, 100), NOTHING);
    for state in [STOPPED, RUNNING, STOP_AND_COPY] {
        assert_eq!(client.set(state, true), NOTHING);
    }
    assert_eq!(client.reads_u64(8, 50), NOTHING);
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
fn no_page_can_be_asked_for() {
    let mut client = saving();
    for (offset, value) in [(32, 0x100u64), (40, 4096), (48, 0)] {
        client.writes(offset, &value.to_ne_bytes(), true);
    }
    assert_eq!(client.reads(56, 8, None), NOTHING);
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
    let lost = vec![("L-MR-04", Violation)];
    assert_eq!((read(0, false), read(9, true)), (lost.clone(), lost));
}

#[test]
fn inputs_of_the_query_are_numbers_of_pages() {
    for (offset, usual, odd) in [(32, 0x100, u64::MAX), (40, 4096, 0), (48, 70, 0)] {
        assert_eq!(saving().writes(offset, &u64::to_ne_bytes(usual), false), [("L-PFN-01", Violation)], "{offset}");
        assert_eq!(saving().writes(offset, &u64::to_ne_bytes(odd), false), NOTHING, "{offset}");
    }
}

#[test]
fn a_bitmap_is_as_long_as_the_pages_that_were_copied() {
    let refused = |count| {
        let mut client = saving();
        ask_for(&mut client, 0x100, 4096, 70);
        assert_eq!(client.reads_u64(56, 3), NOTHING);
        assert_eq!(client.reads_u64(16, 0x1000), NOTHING);
        client.reads(0x1000, count, None)
    };
    assert_eq!(refused(1), [("L-PFN-04", Violation)]);
    assert_eq!(refused(9), NOTHING);
}
