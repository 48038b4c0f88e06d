//! Data that go through the migration region of 0.9.1: where they stand, how many there are, and when they are there.

use pretty_assertions::assert_eq;
use vfio_user_wire::legacy::migration_state::{PRE_COPY, RESUMING, RUNNING, STOP_AND_COPY, STOPPED};

use super::legacy_tests::{Client, NOTHING};
use super::migration_region_tests::{READ_WRITE_MMAP_CAPS, REGION, access, client, in_state, offer, sparse};
use crate::verdict::Class::{Note, Violation};

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
fn without_anything_pending_nothing_is_made_available() {
    let size = |pending| {
        let mut client = in_state(STOP_AND_COPY);
        assert_eq!(client.reads_u64(8, pending), NOTHING);
        assert_eq!(client.reads_u64(16, 0x1000), NOTHING);
        client.reads(24, 8, None)
    };
    assert_eq!(size(1), [("L-MR-17", Violation)]);
    assert_eq!(size(0), NOTHING);
    let mut client = in_state(STOP_AND_COPY);
    assert_eq!(client.reads(16, 8, None), NOTHING);
    assert_eq!(client.reads_u64(8, 0), NOTHING);
    assert_eq!(client.reads_u64(16, 5), NOTHING);
    assert_eq!(client.reads(16, 8, None), NOTHING);
}

#[test]
fn data_that_were_read_in_part_are_there_still() {
    let mut client = in_state(STOP_AND_COPY);
    for (register, value) in [(8, 100), (16, 0x1000), (24, 0x40)] {
        assert_eq!(client.reads_u64(register, value), NOTHING);
    }
    assert_eq!(client.reads(0x1000, 0x20, Some(&[0; 0x20])), NOTHING);
    assert_eq!(client.reads(24, 8, None), [("L-MR-17", Violation)]);
}

#[test]
fn another_client_may_have_begun_another_iteration() {
    let mut client = client();
    client.meet_another();
    assert_eq!(client.state(STOP_AND_COPY), NOTHING);
    for (register, value) in [(8, 100), (16, 0x1000), (16, 0x1800)] {
        assert_eq!(client.reads_u64(register, value), NOTHING);
    }
}

#[test]
fn data_that_can_be_mapped_begin_with_a_page() {
    let said = |data_offset| {
        let mut client = in_state(STOP_AND_COPY);
        client.region_info(REGION, &sparse(0x1000, 0x1800), READ_WRITE_MMAP_CAPS, 0x3000);
        assert_eq!(client.reads_u64(8, 100), NOTHING);
        client.reads_u64(16, data_offset)
    };
    assert_eq!(said(0x1800), [("L-MR-32", Note)]);
    assert_eq!(said(0x27ff), [("L-MR-32", Note)]);
    for outside_or_whole in [0x800, 0x1000, 0x2000, 0x2800, 0x2900] {
        assert_eq!(said(outside_or_whole), NOTHING, "{outside_or_whole:#x}");
    }
}

#[test]
fn data_that_are_written_put_the_load_to_the_test() {
    let tests = |state| in_state(state).tests("REGION_WRITE", access(0x1000, 4, &[0; 4]));
    assert_eq!(tests(RESUMING), Some("L-MR-21"));
    assert_eq!(tests(STOPPED), Some("L-MR-26"));
    assert_eq!(in_state(RESUMING).tests("REGION_WRITE", access(0, 4, &RUNNING.to_ne_bytes())), Some("L-MR-07"));
}

#[test]
fn a_portion_is_read_where_the_client_takes_as_much() {
    let refused = |count: u64, limit: &str| {
        let capabilities = format!(r#"{{"capabilities":{{"migration":{{"pgsize":4096}},{limit}}}}}"#);
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
