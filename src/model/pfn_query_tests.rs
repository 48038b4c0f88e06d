//! The query of dirty pages by page number, in the registers behind those of migration: what may be answered, and which pages it
//! tells of.

use pretty_assertions::assert_eq;
use vfio_user_wire::V0_9_1;
use vfio_user_wire::dirty_pages_flags::{START, STOP};
use vfio_user_wire::legacy::migration_state::{PRE_COPY, RUNNING, STOP_AND_COPY};
use vfio_user_wire::legacy::{DirtyPages, dirty_pfns};

use super::Offer;
use super::legacy_tests::{Client, NOTHING};
use super::migration_region_tests::{access, offer};
use super::rulings_tests::{EITHER, refused, succeeds};
use super::samples::{Said, command, judged};
use crate::verdict::Class::{Note, Violation};

/// Where the registers stand.
const PENDING_BYTES: u64 = 8;
const DATA_OFFSET: u64 = 16;
const START_PFN: u64 = 32;
const PAGE_SIZE: u64 = 40;
const TOTAL_PFNS: u64 = 48;
const COPIED_PFNS: u64 = 56;

/// A client that can ask for dirty pages by number, its device in pre-copy.
fn saving() -> Client {
    let mut client = Client::new(offer(true));
    client.state(RUNNING);
    assert_eq!(client.set(PRE_COPY, true), NOTHING);
    client
}

fn ask_for(client: &mut Client, start: u64, page_size: u64, pages: u64) {
    for (offset, value) in [(START_PFN, start), (PAGE_SIZE, page_size), (TOTAL_PFNS, pages)] {
        assert_eq!(client.writes(offset, &value.to_ne_bytes(), true), NOTHING);
    }
}

#[test]
fn pages_are_asked_for_by_number() {
    assert_eq!(saving().writes(START_PFN, &[0; 8], false), [("L-PFN-01", Violation)]);
    assert_eq!(saving().reads_u64(COPIED_PFNS, 3), [("L-PFN-08", Note)]);
    let mut client = saving();
    ask_for(&mut client, 0x100, 4096, 70);
    assert_eq!(client.reads(COPIED_PFNS, 8, None), [("L-PFN-02", Violation)]);
    assert_eq!(client.reads_u64(COPIED_PFNS, 71), [("L-PFN-05", Violation)]);
    assert_eq!(client.reads_u64(COPIED_PFNS, u64::MAX), NOTHING);
    assert_eq!(client.reads_u64(COPIED_PFNS, 0), NOTHING);
    let mut client = saving();
    ask_for(&mut client, 0x100, 0, 70);
    assert_eq!(client.reads(COPIED_PFNS, 8, None), NOTHING);
    assert!(client.reads_u64(COPIED_PFNS, 70).contains(&("L-PFN-07", Violation)));
    let mut client = Client::new(offer(true));
    client.state(RUNNING);
    assert_eq!(client.reads_u64(COPIED_PFNS, 1), [("L-PFN-09", Violation)]);
}

#[test]
fn the_bitmap_stands_at_data_offset() {
    let mut client = saving();
    ask_for(&mut client, 0x100, 4096, 70);
    assert_eq!(client.reads_u64(COPIED_PFNS, 70), NOTHING);
    assert_eq!(client.reads(DATA_OFFSET, 8, None), [("L-PFN-04", Violation)]);
    ask_for(&mut client, 0x100, 4096, 70);
    assert_eq!(client.reads_u64(COPIED_PFNS, 70), NOTHING);
    let said = client.reads_u64(DATA_OFFSET, 32);
    assert!(said.contains(&("L-PFN-04", Violation)));
    assert_eq!(client.reads_u64(DATA_OFFSET, 0x1000), [("L-MR-17", Note)]);
    assert_eq!(client.reads(0x1000, 9, None), [("L-PFN-04", Violation)]);
    // The device has written none of them.
    let one = [0, 0, 0, 0, 0, 0, 0, 0, 1];
    assert_eq!(client.reads(0x1000, 9, Some(&one)), [("L-PFN-04", Violation)]);
}

/// The same, and the device has written page 0x100 + 64; 66 pages are asked for.
fn dirty() -> Client {
    let mut client = Client::new(Offer { dma: true, dma_table: true, ..offer(true) });
    assert_eq!(client.map(Ok(())), NOTHING);
    client.state(RUNNING);
    client.set(PRE_COPY, true);
    client.write(64);
    ask_for(&mut client, 0x100, 4096, 66);
    client
}

/// What is said of these bits of those pages.
fn said(bits: &[u8]) -> Said {
    let mut client = dirty();
    assert_eq!(client.reads_u64(COPIED_PFNS, 66), NOTHING);
    assert_eq!(client.reads_u64(DATA_OFFSET, 0x1000), NOTHING);
    client.reads(0x1000, bits.len(), Some(bits))
}

#[test]
fn what_the_device_wrote_while_saving_is_told() {
    assert_eq!(dirty().reads_u64(COPIED_PFNS, 0), [("L-PFN-03", Violation)]);
    assert_eq!(said(&[0, 0, 0, 0, 0, 0, 0, 0, 1]), NOTHING);
    assert_eq!(said(&[0; 9]), [("L-PFN-04", Violation)]);
    assert_eq!(said(&[1, 0, 0, 0, 0, 0, 0, 0, 1]), [("L-PFN-04", Violation)]);
}

#[test]
fn inputs_of_the_query_are_numbers_of_pages() {
    // As many pages as there are addresses for.
    const PAGES: u64 = 1 << 52;
    for (offset, usual, odd) in [(START_PFN, PAGES - 1, PAGES), (PAGE_SIZE, 4096, 0), (TOTAL_PFNS, 70, 0)] {
        assert_eq!(saving().writes(offset, &u64::to_ne_bytes(usual), false), [("L-PFN-01", Violation)], "{offset}");
        assert_eq!(saving().writes(offset, &u64::to_ne_bytes(odd), false), NOTHING, "{offset}");
    }
}

#[test]
fn a_bitmap_is_as_long_as_the_pages_that_were_copied() {
    let refused = |count| {
        let mut client = saving();
        ask_for(&mut client, 0x100, 4096, 70);
        assert_eq!(client.reads_u64(COPIED_PFNS, 3), NOTHING);
        assert_eq!(client.reads_u64(DATA_OFFSET, 0x1000), NOTHING);
        client.reads(0x1000, count, None)
    };
    assert_eq!(refused(1), [("L-PFN-04", Violation)]);
    // In whole u64s, or in whole bytes.
    assert_eq!(refused(8), [("L-PFN-04", Violation)]);
    assert_eq!(refused(9), NOTHING);
}

#[test]
fn pages_lie_below_the_last_address() {
    let asked = |start, page_size, pages| {
        let mut client = saving();
        ask_for(&mut client, start, page_size, pages);
        client.breaks("REGION_READ", access(COPIED_PFNS, 8, &[]))
    };
    const PAGES: u64 = 1 << 52;
    assert_eq!(asked(PAGES - 70, 4096, 70), succeeds("L-PFN-02", Violation));
    for (start, page_size, pages) in [(PAGES - 70, 4096, 71), (0x100, 0, 70), (0x100, 3, 70), (0x100, 4096, 0)] {
        assert_eq!(asked(start, page_size, pages), refused("L-PFN-07", Note), "{start:#x} {page_size} {pages}");
    }
    // Larger pages, and as many as may not fit into the region.
    assert_eq!(asked(0x100, 8192, 70), EITHER);
    assert_eq!(asked(0x100, 4096, 1 << 20), succeeds("L-PFN-02", Violation));
    assert_eq!(asked(0x100, 4096, (1 << 20) + 1), EITHER);
}

#[test]
fn what_an_access_puts_to_the_test() {
    let read = |offset, count| saving().tests("REGION_READ", access(offset, count, &[]));
    assert_eq!(read(COPIED_PFNS, 8), Some("L-PFN-08"));
    let write = |offset, count: usize| saving().tests("REGION_WRITE", access(offset, count, &vec![0; count]));
    for (offset, requirement) in [(DATA_OFFSET, "L-MR-24"), (START_PFN, "L-PFN-06"), (COPIED_PFNS, "L-PFN-06")] {
        assert_eq!((read(offset, 4), write(offset, 4)), (Some(requirement), Some(requirement)), "{offset}");
    }
}

#[test]
fn inputs_that_were_written_may_stand_there_still() {
    let mut client = saving();
    ask_for(&mut client, 0x100, 4096, 70);
    assert_eq!(client.set(STOP_AND_COPY, true), NOTHING);
    assert_eq!(client.reads_u64(COPIED_PFNS, 3), NOTHING);
}

#[test]
fn where_nothing_is_copied_nothing_stands_at_data_offset() {
    for copied in [dirty_pfns::NONE, dirty_pfns::ALL, 71] {
        let mut client = saving();
        ask_for(&mut client, 0x100, 4096, 70);
        client.reads_u64(COPIED_PFNS, copied);
        assert_eq!(client.reads(DATA_OFFSET, 8, None), NOTHING, "{copied}");
    }
    // It was read.
    let mut client = saving();
    ask_for(&mut client, 0x100, 4096, 70);
    assert_eq!(client.reads_u64(COPIED_PFNS, 70), NOTHING);
    assert_eq!(client.reads_u64(DATA_OFFSET, 0x1000), NOTHING);
    assert_eq!(client.reads(0x1000, 9, Some(&[0; 9])), NOTHING);
    assert_eq!(client.reads(DATA_OFFSET, 8, None), NOTHING);
    // What stands there of the device's state is no bitmap.
    let mut client = saving();
    assert_eq!(client.reads_u64(PENDING_BYTES, 100), NOTHING);
    assert_eq!(client.reads_u64(DATA_OFFSET, START_PFN), [("L-MR-16", Violation)]);
}

#[test]
fn bits_behind_those_of_the_pages_mean_nothing() {
    assert_eq!(said(&[0, 0, 0, 0, 0, 0, 0, 0, 0b1111_1101]), NOTHING);
    assert_eq!(said(&[0, 0, 0, 0, 0, 0, 0, 0, 1, 255, 255, 255, 255, 255, 255, 255]), NOTHING);
    // The last of them, and some in the middle, which the device has not written.
    assert_eq!(said(&[0, 0, 0, 0, 0, 0, 0, 0, 0b11]), [("L-PFN-04", Violation)]);
    assert_eq!(said(&[0, 0, 0, 1, 0, 0, 0, 0, 1]), [("L-PFN-04", Violation)]);
}

#[test]
fn a_bitmap_that_was_not_read_may_be_lost() {
    let mut client = dirty();
    for _ in 0..2 {
        assert_eq!(client.reads_u64(COPIED_PFNS, 66), NOTHING);
    }
    assert_eq!(client.reads_u64(DATA_OFFSET, 0x1000), NOTHING);
    assert_eq!(client.reads(0x1000, 9, Some(&[0; 9])), [("L-PFN-05", Note)]);
}

#[test]
fn the_log_may_have_the_pages_that_were_asked_for_first() {
    let said = |first: Option<u64>| {
        let mut client = dirty();
        if let Some(page_size) = first {
            ask_for(&mut client, 0x10_0000 / page_size, page_size, 33);
            assert_eq!(client.reads_u64(COPIED_PFNS, 33), NOTHING);
            ask_for(&mut client, 0x100, 4096, 66);
        }
        assert_eq!(client.reads_u64(COPIED_PFNS, 66), NOTHING);
        assert_eq!(client.reads_u64(DATA_OFFSET, 0x1000), NOTHING);
        client.reads(0x1000, 9, Some(&[0, 0, 0, 0, 0, 0, 0, 0, 0b11]))
    };
    assert_eq!(said(None), [("L-PFN-04", Violation)]);
    assert_eq!(said(Some(8192)), NOTHING);
}

#[test]
fn whether_dirty_pages_sees_this_log_nobody_can_say() {
    let stop = || DirtyPages { argsz: 8, flags: STOP }.bytes().to_vec();
    let mut client = saving();
    assert_eq!(client.breaks("DIRTY_PAGES", stop()), EITHER);
    assert_eq!(client.set(STOP_AND_COPY, true), NOTHING);
    assert_eq!(client.breaks("DIRTY_PAGES", stop()), EITHER);
    let none_after = |flags, succeeds| {
        let mut client = dirty();
        assert_eq!(client.dirty(8, flags, succeeds), NOTHING);
        client.reads_u64(COPIED_PFNS, dirty_pfns::NONE)
    };
    assert_eq!(none_after(0, false), [("L-PFN-03", Violation)]);
    assert_eq!(none_after(START, true), NOTHING);
}

#[test]
fn all_pages_are_called_so() {
    let mut client = Client::new(offer(true));
    client.state(RUNNING);
    let sent = command(&V0_9_1, 50, "REGION_READ", access(COPIED_PFNS, 8, &[]), &[]);
    let all = access(COPIED_PFNS, 8, &dirty_pfns::ALL.to_ne_bytes());
    let said = judged(&mut client.session, 50, sent, Ok(all)).into_iter().find_map(|said| said.broken).unwrap();
    assert_eq!((said.expected.as_str(), said.actual.as_str()), ("an error, or copied_pfns 0", "all of them"));
}
