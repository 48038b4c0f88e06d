//! The log of DMA writes: when it may begin and end, and what may be asked of it.

use std::sync::Arc;

use nix::errno::Errno;
use vfio_user_wire::feature::{DmaLoggingRange, DmaLoggingReport, DmaLoggingStart};
use vfio_user_wire::message::{DeviceFeature, DmaMap, DmaUnmap};
use vfio_user_wire::{Limits, V0_9_2, feature_flags, feature_index};

use super::samples::{Said, command, exchange};
use super::{FdKind, Offer, PassedFd, Session};
use crate::verdict::Class::{self, Note, Violation};

const PAGE: u64 = 0x1000;
const NOTHING: [(&str, Class); 0] = [];

struct Client {
    session: Session,
    sent: usize,
}

impl Client {
    fn new() -> Client {
        let limits = Limits { max_msg_fds: 8, ..Limits::default() };
        let offer = Offer { dma: true, dma_table: true, dma_logging: true, limits, ..Offer::default() };
        let mut client = Client { session: Session::new(&V0_9_2, Arc::new(offer)), sent: 0 };
        assert_eq!(client.command("VERSION", vec![0; 4], &[], Some(vec![0; 4])), []);
        client
    }

    /// What a successful reply with that payload breaks, or an error where there is none.
    fn command(&mut self, name: &str, payload: Vec<u8>, fds: &[PassedFd], answer: Option<Vec<u8>>) -> Said {
        let command = command(&V0_9_2, self.sent, name, payload, fds);
        let said = exchange(&mut self.session, self.sent, command, answer.ok_or(Errno::EINVAL));
        self.sent += 1;
        said
    }

    fn feature(&mut self, operation: u32, index: u16, room: usize, data: &[u8], answer: Option<&[u8]>) -> Said {
        let head = |size: usize| DeviceFeature { argsz: size as u32, flags: operation | u32::from(index) };
        let request = [head(8 + data.len() + room).bytes(), data].concat();
        let reply = answer.map(|answer| [head(8 + answer.len()).bytes(), answer].concat());
        self.command("DEVICE_FEATURE", request, &[], reply)
    }

    fn start_in_pages(&mut self, page_size: u64, ranges: &[(u64, u64)], succeeds: bool) -> Said {
        let start = DmaLoggingStart { page_size, num_ranges: ranges.len() as u32, reserved: 0 };
        let ranges =
            ranges.iter().flat_map(|(iova, length)| DmaLoggingRange { iova: *iova, length: *length }.bytes().to_vec());
        let data: Vec<u8> = start.bytes().iter().copied().chain(ranges).collect();
        self.feature(feature_flags::SET, feature_index::DMA_LOGGING_START, 0, &data, succeeds.then_some(&data))
    }

    fn start(&mut self, ranges: &[(u64, u64)], succeeds: bool) -> Said {
        self.start_in_pages(PAGE, ranges, succeeds)
    }

    fn stop(&mut self, succeeds: bool) -> Said {
        let answer: &[u8] = &[];
        self.feature(feature_flags::SET, feature_index::DMA_LOGGING_STOP, 0, &[], succeeds.then_some(answer))
    }

    fn report_of_pages(&mut self, iova: u64, length: u64, page_size: u64, succeeds: bool) -> Said {
        let report = DmaLoggingReport { iova, length, page_size };
        let bitmap = vec![0; report.bitmap_size().unwrap_or(8) as usize];
        let answer = [report.bytes(), bitmap.as_slice()].concat();
        let (get, index) = (feature_flags::GET, feature_index::DMA_LOGGING_REPORT);
        self.feature(get, index, bitmap.len(), report.bytes(), succeeds.then_some(&answer))
    }

    fn report(&mut self, iova: u64, length: u64, succeeds: bool) -> Said {
        self.report_of_pages(iova, length, PAGE, succeeds)
    }

    fn map(&mut self, address: u64, size: u64) {
        let map = DmaMap { argsz: 32, flags: 3, offset: 0, address, size };
        let file = PassedFd { id: address, kind: FdKind::Memory { size, writable: true } };
        assert_eq!(self.command("DMA_MAP", map.bytes().to_vec(), &[file], Some(Vec::new())), NOTHING);
    }
}

#[test]
fn a_log_that_has_not_begun_is_not_reported() {
    let mut client = Client::new();
    assert_eq!(client.report(0, PAGE, false), NOTHING);
    assert_eq!(client.report(0, PAGE, true), [("DLOG-07", Violation)]);
    let mut client = Client::new();
    client.start(&[], false);
    assert_eq!(client.report(0, PAGE, false), NOTHING);
    assert_eq!(client.report(0, PAGE, true), [("DLOG-34", Note)]);
    let mut client = Client::new();
    client.start(&[], true);
    client.stop(true);
    assert_eq!(client.report(0, PAGE, false), NOTHING);
    assert_eq!(client.report(0, PAGE, true), [("DLOG-07", Note)]);
}

#[test]
fn another_client_may_have_begun_it() {
    let (mut first, mut second) = (Client::new(), Client::new());
    second.session.meet(&mut first.session);
    assert_eq!(second.report(0, PAGE, true), NOTHING);
    assert_eq!(second.report(0, PAGE, false), NOTHING);
    second.start(&[], false);
    assert_eq!(second.report(0, PAGE, true), NOTHING);
}

#[test]
fn a_log_begins_and_ends() {
    let mut client = Client::new();
    assert_eq!(client.start(&[], false), [("DLOG-04", Violation)]);
    assert_eq!(client.start(&[], true), NOTHING);
    // Twice: either.
    assert_eq!(client.start(&[], false), NOTHING);
    assert_eq!(client.stop(false), [("DLOG-37", Violation)]);
    let mut client = Client::new();
    client.start(&[], true);
    assert_eq!(client.stop(true), NOTHING);
    assert_eq!(client.stop(false), NOTHING);
    assert_eq!(client.start(&[], false), [("DLOG-37", Violation)]);
}

#[test]
fn ranges_that_a_client_has_can_be_logged() {
    let refused = |ranges: &[(u64, u64)]| Client::new().start(ranges, false);
    let range = |number: u64| (number * 0x10_0000, PAGE);
    let ranges = |count: u64| (0..count).map(range).collect::<Vec<_>>();
    assert_eq!(refused(&ranges(1)), [("DLOG-33", Violation)]);
    assert_eq!(refused(&ranges(2)), [("DLOG-33", Violation)]);
    assert_eq!(refused(&ranges(3)), [("DLOG-33", Note)]);
    assert_eq!(refused(&ranges(4)), [("DLOG-38", Note)]);
    // More than a page of memory holds.
    assert_eq!(refused(&ranges(256)), [("DLOG-38", Note)]);
    assert_eq!(refused(&ranges(257)), NOTHING);
    // One beside the other, up to the last address.
    assert_eq!(refused(&[(0, PAGE), (PAGE, PAGE)]), [("DLOG-33", Violation)]);
    assert_eq!(refused(&[(PAGE.wrapping_neg(), PAGE)]), [("DLOG-33", Violation)]);
    // Odd ones may be refused, and taken.
    for odd in [(0, 0), (1, PAGE), (0, PAGE + 1), (PAGE.wrapping_neg(), 2 * PAGE)] {
        assert_eq!(refused(&[odd]), NOTHING);
        assert_eq!(Client::new().start(&[odd], true), NOTHING);
    }
    assert_eq!(refused(&[(0, 2 * PAGE), (PAGE, 2 * PAGE)]), NOTHING);
}

#[test]
fn pages_of_any_size_may_be_asked_for() {
    let refused = |page_size, ranges: &[(u64, u64)]| Client::new().start_in_pages(page_size, ranges, false);
    assert_eq!(refused(2 * PAGE, &[]), [("DLOG-04", Note)]);
    assert_eq!(refused(2 * PAGE, &[(0, 2 * PAGE)]), [("DLOG-04", Note)]);
    // The kernel wants ranges made of them.
    assert_eq!(refused(2 * PAGE, &[(PAGE, 2 * PAGE)]), NOTHING);
    assert_eq!(refused(2 * PAGE, &[(0, PAGE)]), NOTHING);
    assert_eq!(refused(3 * PAGE, &[]), NOTHING);
}

#[test]
fn what_is_mapped_is_reported() {
    let begun = || {
        let mut client = Client::new();
        client.map(0, 4 * PAGE);
        client.start(&[], true);
        client
    };
    let said = |iova, length, page_size| begun().report_of_pages(iova, length, page_size, false);
    assert_eq!(said(0, 4 * PAGE, PAGE), [("DLOG-12", Violation)]);
    assert_eq!(said(0, 2 * PAGE, PAGE), [("DLOG-25", Note)]);
    assert_eq!(said(0, 4 * PAGE, 2 * PAGE), [("DLOG-09", Note)]);
    // Nothing is mapped there; a range that is none of pages; no page at all.
    assert_eq!(said(0x10_0000, PAGE, PAGE), NOTHING);
    assert_eq!(said(0, PAGE / 2, PAGE), NOTHING);
    assert_eq!(said(PAGE / 2, PAGE, PAGE), NOTHING);
    assert_eq!(said(0, 0, PAGE), NOTHING);
    assert_eq!(begun().report_of_pages(0, 3 * PAGE, 3 * PAGE, true), [("DLOG-08", Note)]);
    assert_eq!(begun().report(0, 4 * PAGE, true), NOTHING);
}

#[test]
fn what_is_not_in_the_ranges_need_not_be_reported() {
    let mut client = Client::new();
    client.map(0, 4 * PAGE);
    client.start(&[(0, 2 * PAGE)], true);
    assert_eq!(client.report(0, 4 * PAGE, false), NOTHING);
    assert_eq!(client.report(0, 2 * PAGE, false), [("DLOG-25", Note)]);
}

#[test]
fn there_are_as_many_ranges_as_num_ranges_says() {
    let said = |num_ranges, ranges: usize, succeeds: bool| {
        let start = DmaLoggingStart { page_size: PAGE, num_ranges, reserved: 0 };
        let range = DmaLoggingRange { iova: 0, length: PAGE };
        let data = [start.bytes().to_vec(), range.bytes().repeat(ranges)].concat();
        let (set, index) = (feature_flags::SET, feature_index::DMA_LOGGING_START);
        Client::new().feature(set, index, 0, &data, succeeds.then_some(&data))
    };
    assert_eq!(said(1, 1, false), [("DLOG-33", Violation)]);
    assert_eq!(said(2, 1, true), [("DLOG-17", Note)]);
    assert_eq!(said(2, 1, false), NOTHING);
    // What is behind them may be left out.
    assert_eq!(said(1, 2, true), NOTHING);
    assert_eq!(said(1, 2, false), NOTHING);
}

/// Four pages are mapped, and the device has written two of them at one time.
fn written() -> Client {
    let mut client = Client::new();
    client.map(0, 4 * PAGE);
    client.start(&[], true);
    client.session.device_writes(PAGE, 2 * PAGE);
    client.session.device_finished(true);
    client
}

impl Client {
    /// A report of so many pages with these bits.
    fn bits(&mut self, iova: u64, pages: u64, bits: u64) -> Said {
        let report = DmaLoggingReport { iova, length: pages * PAGE, page_size: PAGE };
        let answer = [report.bytes(), &bits.to_ne_bytes()].concat();
        self.feature(feature_flags::GET, feature_index::DMA_LOGGING_REPORT, 8, report.bytes(), Some(&answer))
    }
}

#[test]
fn what_was_told_is_not_told_again() {
    let mut client = written();
    assert_eq!(client.bits(PAGE, 1, 1), NOTHING);
    assert_eq!(client.bits(0, 4, 1 << 2), NOTHING);
    assert_eq!(client.bits(0, 4, 0), NOTHING);
}

#[test]
fn an_unmap_that_was_refused_may_have_lost_what_it_names() {
    let refused = |iova| {
        let mut client = written();
        let unmap = DmaUnmap { argsz: 24, flags: 0, address: iova, size: PAGE };
        client.command("DMA_UNMAP", unmap.bytes().to_vec(), &[], None);
        client.bits(0, 4, 1 << 2)
    };
    assert_eq!(refused(PAGE), [("DLOG-36", Note)]);
    assert_eq!(refused(3 * PAGE), [("DLOG-12", Violation)]);
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
        let mut client = Client::new();
        client.map(0, 4 * PAGE);
        client.start(&[], true);
        client.session.device_writes(PAGE, 2 * PAGE);
        sends.iter().for_each(|page| client.session.device_sends(page * PAGE, PAGE));
        client.session.device_finished(true);
        client.bits(0, 4, 1 << 2)
    };
    assert_eq!(finished(&[1]), NOTHING);
    assert_eq!(finished(&[]), [("DLOG-12", Violation)]);
}

#[test]
fn what_the_device_reads_is_not_logged_and_what_it_uses_may_be() {
    let said = |made: fn(&mut Session)| {
        let mut client = Client::new();
        client.map(0, 4 * PAGE);
        client.start(&[], true);
        made(&mut client.session);
        client.bits(0, 4, 1 << 3)
    };
    assert_eq!(said(|_| ()), [("DLOG-12", Violation)]);
    assert_eq!(said(|session| session.device_reads(3 * PAGE, 1)), [("DLOG-06", Violation)]);
    assert_eq!(said(|session| session.device_uses(3 * PAGE, 1)), NOTHING);
}

#[test]
fn a_start_comes_back_as_it_was_sent() {
    let said = |answer: &[u8]| {
        let start = DmaLoggingStart { page_size: PAGE, num_ranges: 0, reserved: 0 };
        let (set, index) = (feature_flags::SET, feature_index::DMA_LOGGING_START);
        Client::new().feature(set, index, 0, start.bytes(), Some(answer))
    };
    let other = DmaLoggingStart { page_size: 2 * PAGE, num_ranges: 0, reserved: 0 };
    assert_eq!(said(other.bytes()), NOTHING);
    let other = DmaLoggingStart { page_size: PAGE, num_ranges: 1, reserved: 0 };
    assert_eq!(said(other.bytes()), [("DLOG-03", Violation)]);
}

#[test]
fn a_stop_may_have_the_data_of_a_start() {
    let refused = |data: &[u8]| {
        let mut client = Client::new();
        client.start(&[], true);
        client.feature(feature_flags::SET, feature_index::DMA_LOGGING_STOP, 0, data, None)
    };
    assert_eq!(refused(&[]), [("DLOG-37", Violation)]);
    assert_eq!(refused(&[0; 16]), [("DLOG-22", Note)]);
    assert_eq!(refused(&[0; 8]), NOTHING);
}

#[test]
fn a_method_that_there_is_not_leaves_the_log_as_it_is() {
    let stop = |succeeds: bool| {
        let mut client = Client::new();
        client.start(&[], true);
        let answer: &[u8] = &[];
        client.feature(feature_flags::GET, feature_index::DMA_LOGGING_START, 16, &[], succeeds.then_some(answer));
        client.stop(false)
    };
    assert_eq!(stop(false), [("DLOG-37", Violation)]);
    // Nobody knows what came of that.
    assert_eq!(stop(true), NOTHING);
}

#[test]
fn what_a_report_puts_to_the_test() {
    let tests = |bitmap_size: u64, room: u64| {
        let mut client = Client::new();
        client.start(&[], true);
        let report = DmaLoggingReport { iova: 0, length: bitmap_size * 8 * PAGE, page_size: PAGE };
        let flags = feature_flags::GET | u32::from(feature_index::DMA_LOGGING_REPORT);
        let head = DeviceFeature { argsz: (32 + room) as u32, flags };
        let sent = command(&V0_9_2, 50, "DEVICE_FEATURE", [head.bytes(), report.bytes()].concat(), &[]);
        client.session.sent(50, sent);
        client.session.permits(50).tests
    };
    assert_eq!(tests(8, 7), Some("DLOG-16"));
    assert_eq!(tests(1 << 20, 1 << 20), None);
    assert_eq!(tests((1 << 20) + 8, 1 << 21), Some("DLOG-27"));
}
