//! What is reported of the log of DMA writes.

use vfio_user_wire::feature::DmaLoggingReport;
use vfio_user_wire::message::DmaUnmap;
use vfio_user_wire::{device_state, feature_flags, feature_index};

use super::dma_logging_tests::{Client, NOTHING, PAGE, payload};
use crate::verdict::Class::{Note, Violation};

/// Four pages are mapped, and what is written in these ranges is logged.
fn begun(ranges: &[(u64, u64)]) -> Client {
    let mut client = Client::new();
    client.map(0, 4 * PAGE);
    client.start(ranges, true);
    client
}

/// The device has written two of the four pages at one time.
fn written_in(ranges: &[(u64, u64)]) -> Client {
    let mut client = begun(ranges);
    client.session.device_writes(PAGE, 2 * PAGE);
    client.session.device_finished(true);
    client
}

fn written() -> Client {
    written_in(&[])
}

#[test]
fn what_is_mapped_is_reported() {
    let said = |iova, length, page_size| begun(&[]).report_of_pages(iova, length, page_size, false);
    assert_eq!(said(0, 4 * PAGE, PAGE), [("DLOG-12", Violation)]);
    assert_eq!(said(0, 2 * PAGE, PAGE), [("DLOG-25", Note)]);
    assert_eq!(said(0, 4 * PAGE, 2 * PAGE), [("DLOG-09", Note)]);
    // Nothing is mapped there; a range that is none of pages; no page at all.
    assert_eq!(said(0x10_0000, PAGE, PAGE), NOTHING);
    assert_eq!(said(0, PAGE / 2, PAGE), NOTHING);
    assert_eq!(said(PAGE / 2, PAGE, PAGE), NOTHING);
    assert_eq!(said(0, 0, PAGE), NOTHING);
    assert_eq!(begun(&[]).report_of_pages(0, 3 * PAGE, 3 * PAGE, true), [("DLOG-08", Note)]);
    assert_eq!(begun(&[]).report(0, 4 * PAGE, true), NOTHING);
    // What may be mapped besides, and what is mapped at the end of all addresses.
    let mut client = Client::new();
    client.map(0, 2 * PAGE);
    client.start(&[], true);
    client.map_perhaps(0, 4 * PAGE);
    assert_eq!(client.report(0, 4 * PAGE, false), [("DLOG-25", Note)]);
    client.map(PAGE.wrapping_neg(), PAGE);
    assert_eq!(client.report(PAGE.wrapping_neg(), PAGE, false), [("DLOG-12", Violation)]);
}

#[test]
fn a_long_bitmap_may_be_refused() {
    let refused = |bitmap: u64| {
        let length = bitmap * 8 * PAGE;
        let mut client = Client::new();
        client.map(0, length);
        client.start(&[], true);
        client.report(0, length, false)
    };
    assert_eq!(refused(64 << 10), [("DLOG-12", Violation)]);
    assert_eq!(refused((64 << 10) + 8), NOTHING);
}

#[test]
fn what_is_not_in_the_ranges_need_not_be_reported() {
    let mut client = begun(&[(0, 2 * PAGE)]);
    assert_eq!(client.report(0, 4 * PAGE, false), NOTHING);
    assert_eq!(client.report(0, 2 * PAGE, false), [("DLOG-25", Note)]);
}

#[test]
fn what_a_bit_stands_for_is_known_where_the_ranges_are_made_of_pages() {
    let unwritten = |range| begun(&[range]).bits(0, 4, 1);
    assert_eq!(unwritten((0, 4 * PAGE)), [("DLOG-12", Violation)]);
    assert_eq!(unwritten((PAGE / 2, 4 * PAGE)), NOTHING);
    assert_eq!(unwritten((0, 4 * PAGE + PAGE / 2)), NOTHING);
}

#[test]
fn what_was_told_is_not_told_again() {
    let mut client = written();
    assert_eq!(client.bits(PAGE, 1, 1), NOTHING);
    // What lies beside it is still to be told.
    assert_eq!(client.clone().bits(0, 4, 0), [("DLOG-13", Violation)]);
    assert_eq!(client.bits(0, 4, 1 << 2), NOTHING);
    assert_eq!(client.bits(0, 4, 0), NOTHING);
    // In pages of a size that nobody knows it was perhaps told, too.
    let mut client = written_in(&[(PAGE / 2, 4 * PAGE)]);
    assert_eq!(client.clone().bits(0, 4, 0), [("DLOG-12", Violation)]);
    assert_eq!(client.bits(PAGE, 1, 1), NOTHING);
    assert_eq!(client.bits(0, 4, 0), NOTHING);
}

#[test]
fn a_new_log_is_empty() {
    let mut client = written();
    client.stop(true);
    client.start(&[], true);
    assert_eq!(client.clone().bits(0, 4, 0), NOTHING);
    assert_eq!(client.bits(0, 4, 1 << 1), [("DLOG-30", Note)]);
    // What was under way when it began may be in it.
    let mut client = Client::new();
    client.map(0, 4 * PAGE);
    client.session.device_writes(PAGE, PAGE);
    client.start(&[], true);
    client.session.device_finished(true);
    assert_eq!(client.clone().bits(0, 4, 0), NOTHING);
    assert_eq!(client.bits(0, 4, 1 << 1), NOTHING);
}

#[test]
fn a_report_that_has_no_room_loses_nothing() {
    // Rounded up, too.
    for page_size in [PAGE, 8 * PAGE] {
        let mut client = written();
        let report = DmaLoggingReport { iova: 0, length: 4 * PAGE, page_size };
        let of = |argsz, data| payload(argsz, feature_flags::GET, feature_index::DMA_LOGGING_REPORT, data);
        assert_eq!(client.command("DEVICE_FEATURE", of(32, report.bytes()), &[], Some(of(40, &[]))), NOTHING);
        assert_eq!(client.clone().bits(0, 4, 1 << 1 | 1 << 2), NOTHING);
        assert_eq!(client.bits(0, 4, 0), [("DLOG-16", Violation)]);
    }
}

#[test]
fn an_unmap_of_a_part_of_a_map_may_have_lost_what_it_names() {
    for answer in [None, Some(Vec::new())] {
        let unmapped = |iova| {
            let mut client = written();
            let unmap = DmaUnmap { argsz: 24, flags: 0, address: iova, size: PAGE };
            client.command("DMA_UNMAP", unmap.bytes().to_vec(), &[], answer.clone());
            client.bits(0, 4, 1 << 2)
        };
        assert_eq!(unmapped(PAGE), [("DLOG-36", Note)]);
        assert_eq!(unmapped(3 * PAGE), [("DLOG-12", Violation)]);
    }
}

#[test]
fn a_report_that_was_refused_loses_nothing() {
    let refused = || {
        let mut client = written();
        client.report(PAGE, PAGE, false);
        client
    };
    assert_eq!(refused().bits(0, 4, 1 << 1 | 1 << 2), NOTHING);
    assert_eq!(refused().bits(0, 4, 1 << 2), [("DLOG-16", Note)]);
    assert_eq!(refused().bits(0, 4, 1 << 1), [("DLOG-12", Violation)]);
}

#[test]
fn what_a_report_of_odd_pages_told_is_not_missed() {
    let told = |iova, length, page_size| {
        let mut client = written();
        let said = client.report_of_pages(iova, length, page_size, true);
        assert_eq!(client.bits(0, 4, 0), NOTHING);
        said
    };
    assert_eq!(told(0, 3 * PAGE, 3 * PAGE), [("DLOG-08", Note)]);
    assert_eq!(told(0, PAGE, 0), [("DLOG-08", Note)]);
    // Rounded up, it is of all that was written.
    for (iova, length) in [(0, PAGE), (PAGE, 0), (PAGE, 8 * PAGE)] {
        assert_eq!(told(iova, length, 8 * PAGE), NOTHING);
    }
}

#[test]
fn what_comes_by_message_need_not_be_logged() {
    let finished = |sends: &[u64]| {
        let mut client = begun(&[]);
        client.session.device_writes(PAGE, 2 * PAGE);
        sends.iter().for_each(|page| client.session.device_sends(page * PAGE, PAGE));
        client.session.device_finished(true);
        client.bits(0, 4, 1 << 2)
    };
    assert_eq!(finished(&[1]), NOTHING);
    assert_eq!(finished(&[]), [("DLOG-12", Violation)]);
}

#[test]
fn a_log_outlives_every_state_of_migration() {
    let lost = |operation| {
        let mut client = written();
        assert_eq!(client.state(operation, device_state::RUNNING), NOTHING);
        client.bits(0, 4, 0)
    };
    assert_eq!(lost(feature_flags::SET), [("DLOG-28", Violation)]);
    assert_eq!(lost(feature_flags::GET), [("DLOG-12", Violation)]);
}

#[test]
fn what_a_report_puts_to_the_test() {
    let of_range = |iova, length, room| {
        let report = DmaLoggingReport { iova, length, page_size: PAGE };
        let mut client = Client::new();
        client.start(&[], true);
        client.tests(feature_flags::GET, feature_index::DMA_LOGGING_REPORT, room, report.bytes())
    };
    let of_size = |bitmap_size: u64, room| of_range(0, bitmap_size * 8 * PAGE, room);
    assert_eq!(of_size(8, 7), Some("DLOG-16"));
    assert_eq!(of_size(1 << 20, 1 << 20), None);
    assert_eq!(of_size((1 << 20) + 8, 1 << 21), Some("DLOG-27"));
    let last = PAGE.wrapping_neg();
    for (iova, length) in [(0, 0), (last, 2 * PAGE), (PAGE / 2, PAGE), (0, PAGE / 2)] {
        assert_eq!(of_range(iova, length, 8), Some("DLOG-26"));
    }
    // There are such pages, and nothing is mapped there.
    assert_eq!(of_range(last, PAGE, 8), Some("DLOG-24"));
}
