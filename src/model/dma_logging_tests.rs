//! The log of DMA writes: when it may begin and end.

use std::sync::Arc;

use nix::errno::Errno;
use vfio_user_wire::feature::{DmaLoggingRange, DmaLoggingReport, DmaLoggingStart};
use vfio_user_wire::message::{DeviceFeature, DmaMap};
use vfio_user_wire::{Limits, NO_REPLY, V0_9_2, device_state, feature_flags, feature_index, migration_flags};

use super::samples::{Said, command, exchange};
use super::{FdKind, Offer, PassedFd, Session};
use crate::verdict::Class::{self, Note, Violation};

pub(super) const PAGE: u64 = 0x1000;
pub(super) const NOTHING: [(&str, Class); 0] = [];

#[derive(Clone)]
pub(super) struct Client {
    pub(super) session: Session,
    sent: usize,
}

impl Client {
    pub(super) fn new() -> Client {
        Client::of(true)
    }

    /// Of a server that has the log, or not.
    fn of(dma_logging: bool) -> Client {
        let limits = Limits { max_msg_fds: 8, ..Limits::default() };
        let migration_flags = Some(migration_flags::STOP_COPY | migration_flags::PRE_COPY);
        let offer = Offer { dma: true, dma_table: true, dma_logging, migration_flags, limits, ..Offer::default() };
        let mut client = Client { session: Session::new(&V0_9_2, Arc::new(offer)), sent: 0 };
        assert_eq!(client.command("VERSION", vec![0; 4], &[], Some(vec![0; 4])), []);
        client
    }

    /// What a successful reply with that payload breaks, or an error where there is none.
    pub(super) fn command(&mut self, name: &str, payload: Vec<u8>, fds: &[PassedFd], answer: Option<Vec<u8>>) -> Said {
        let command = command(&V0_9_2, self.sent, name, payload, fds);
        let said = exchange(&mut self.session, self.sent, command, answer.ok_or(Errno::EINVAL));
        self.sent += 1;
        said
    }

    fn feature(&mut self, operation: u32, index: u16, room: usize, data: &[u8], answer: Option<&[u8]>) -> Said {
        let reply = answer.map(|answer| payload(8 + answer.len(), operation, index, answer));
        self.command("DEVICE_FEATURE", payload(8 + data.len() + room, operation, index, data), &[], reply)
    }

    fn start_in_pages(&mut self, page_size: u64, ranges: &[(u64, u64)], succeeds: bool) -> Said {
        let start = DmaLoggingStart { page_size, num_ranges: ranges.len() as u32, reserved: 0 };
        let ranges =
            ranges.iter().flat_map(|(iova, length)| DmaLoggingRange { iova: *iova, length: *length }.bytes().to_vec());
        let data: Vec<u8> = start.bytes().iter().copied().chain(ranges).collect();
        self.feature(feature_flags::SET, feature_index::DMA_LOGGING_START, 0, &data, succeeds.then_some(&data))
    }

    pub(super) fn start(&mut self, ranges: &[(u64, u64)], succeeds: bool) -> Said {
        self.start_in_pages(PAGE, ranges, succeeds)
    }

    pub(super) fn stop(&mut self, succeeds: bool) -> Said {
        let answer: &[u8] = &[];
        self.feature(feature_flags::SET, feature_index::DMA_LOGGING_STOP, 0, &[], succeeds.then_some(answer))
    }

    pub(super) fn report_of_pages(&mut self, iova: u64, length: u64, page_size: u64, succeeds: bool) -> Said {
        let report = DmaLoggingReport { iova, length, page_size };
        let bitmap = vec![0; report.bitmap_size().unwrap_or(8) as usize];
        let answer = [report.bytes(), bitmap.as_slice()].concat();
        let (get, index) = (feature_flags::GET, feature_index::DMA_LOGGING_REPORT);
        self.feature(get, index, bitmap.len(), report.bytes(), succeeds.then_some(&answer))
    }

    pub(super) fn report(&mut self, iova: u64, length: u64, succeeds: bool) -> Said {
        self.report_of_pages(iova, length, PAGE, succeeds)
    }

    pub(super) fn map(&mut self, address: u64, size: u64) {
        let (map, file) = map(address, size);
        assert_eq!(self.command("DMA_MAP", map, &[file], Some(Vec::new())), NOTHING);
    }

    /// Asks for a map, and for no answer.
    pub(super) fn map_perhaps(&mut self, address: u64, size: u64) {
        let (map, file) = map(address, size);
        let mut command = command(&V0_9_2, self.sent, "DMA_MAP", map, &[file]);
        command.header.flags |= NO_REPLY;
        self.session.sent(self.sent, command);
        self.sent += 1;
    }

    /// A report of so many pages with these bits.
    pub(super) fn bits(&mut self, iova: u64, pages: u64, bits: u64) -> Said {
        let report = DmaLoggingReport { iova, length: pages * PAGE, page_size: PAGE };
        let answer = [report.bytes(), &bits.to_ne_bytes()].concat();
        self.feature(feature_flags::GET, feature_index::DMA_LOGGING_REPORT, 8, report.bytes(), Some(&answer))
    }

    /// What a request puts to the test.
    pub(super) fn tests(&mut self, operation: u32, index: u16, room: usize, data: &[u8]) -> Option<&'static str> {
        let request = payload(8 + data.len() + room, operation, index, data);
        self.session.sent(self.sent, command(&V0_9_2, self.sent, "DEVICE_FEATURE", request, &[]));
        self.session.permits(self.sent).tests
    }

    /// Asks for the state of migration, and gets this one, or sets it.
    pub(super) fn state(&mut self, operation: u32, state: u32) -> Said {
        let data = [state, 0].map(u32::to_ne_bytes).concat();
        let (asked, room) = if operation == feature_flags::SET { (data.as_slice(), 0) } else { (&[][..], data.len()) };
        self.feature(operation, feature_index::MIG_DEVICE_STATE, room, asked, Some(&data))
    }
}

/// The payload of a DEVICE_FEATURE.
pub(super) fn payload(argsz: usize, operation: u32, index: u16, data: &[u8]) -> Vec<u8> {
    let head = DeviceFeature { argsz: argsz as u32, flags: operation | u32::from(index) };
    [head.bytes(), data].concat()
}

fn map(address: u64, size: u64) -> (Vec<u8>, PassedFd) {
    let map = DmaMap { argsz: 32, flags: 3, offset: 0, address, size };
    (map.bytes().to_vec(), PassedFd { id: address, kind: FdKind::Memory { size, writable: true } })
}

#[test]
fn a_log_that_has_not_begun_is_not_reported() {
    let mut client = Client::new();
    assert_eq!(client.report(0, PAGE, false), NOTHING);
    assert_eq!(client.report(0, PAGE, true), [("DLOG-07", Violation)]);
    // Perhaps it has begun by itself.
    assert_eq!(client.report(0, PAGE, true), NOTHING);
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
    let second = || {
        let (mut first, mut second) = (Client::new(), Client::new());
        second.session.meet(&mut first.session);
        second
    };
    assert_eq!(second().report(0, PAGE, true), NOTHING);
    assert_eq!(second().report(0, PAGE, false), NOTHING);
    let mut refused = second();
    assert_eq!(refused.start(&[], false), NOTHING);
    assert_eq!(refused.report(0, PAGE, true), NOTHING);
    // Or ended it.
    let mut started = second();
    assert_eq!(started.start(&[], true), NOTHING);
    assert_eq!(started.stop(false), NOTHING);
    started.stop(true);
    assert_eq!(started.report(0, PAGE, true), NOTHING);
}

#[test]
fn a_log_begins_and_ends() {
    let mut client = Client::new();
    assert_eq!(client.start(&[], false), [("DLOG-04", Violation)]);
    assert_eq!(client.start(&[], true), NOTHING);
    // Twice: either.
    assert_eq!(client.start(&[], false), NOTHING);
    assert_eq!(client.stop(false), [("DLOG-37", Violation)]);
    // It may have ended all the same.
    assert_eq!(client.stop(false), NOTHING);
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
fn what_is_odd_about_a_request_may_be_refused() {
    let start = DmaLoggingStart { page_size: PAGE, ..DmaLoggingStart::default() };
    let report = DmaLoggingReport { iova: 0, length: 4 * PAGE, page_size: PAGE };
    let (set, get) = (feature_flags::SET, feature_flags::GET);
    for (operation, index, data, room, due) in [
        (set, feature_index::DMA_LOGGING_START, start.bytes(), 0, "DLOG-04"),
        (set, feature_index::DMA_LOGGING_STOP, &[], 0, "DLOG-37"),
        (get, feature_index::DMA_LOGGING_REPORT, report.bytes(), 8, "DLOG-12"),
    ] {
        let refused = |argsz: usize, data: &[u8], fds: &[PassedFd]| {
            let mut client = Client::new();
            client.map(0, 4 * PAGE);
            if index != feature_index::DMA_LOGGING_START {
                client.start(&[], true);
            }
            client.command("DEVICE_FEATURE", payload(argsz, operation, index, data), fds, None)
        };
        let argsz = 8 + data.len() + room;
        let fd = PassedFd { id: 1, kind: FdKind::Other };
        assert_eq!(refused(argsz, data, &[]), [(due, Violation)]);
        assert_eq!(refused(argsz - 1, data, &[]), NOTHING);
        assert_eq!(refused(argsz, data, &[fd]), NOTHING);
        assert_eq!(refused(argsz + 8, &[data, &[0; 8]].concat(), &[]), NOTHING);
    }
}

#[test]
fn a_server_without_the_log_may_refuse_to_begin() {
    assert_eq!(Client::of(false).start(&[], false), NOTHING);
    assert_eq!(Client::of(false).start(&[], true), NOTHING);
}

#[test]
fn a_log_may_begin_in_every_state_of_migration() {
    let begun = |state| {
        let mut client = Client::new();
        client.state(feature_flags::GET, state);
        let refused = client.session.clone();
        let start = client.start(&[], false);
        client.session = refused;
        client.start(&[], true);
        (start, client.stop(false))
    };
    let running = (vec![("DLOG-04", Violation)], vec![("DLOG-37", Violation)]);
    assert_eq!(begun(device_state::RUNNING), running);
    let note = |requirement| (vec![(requirement, Note)], vec![(requirement, Note)]);
    assert_eq!(begun(device_state::PRE_COPY), note("DLOG-28"));
    // As every command.
    assert_eq!(begun(device_state::STOP), note("MIGFSM-30"));
}

#[test]
fn there_are_as_many_ranges_as_num_ranges_says() {
    let (set, index) = (feature_flags::SET, feature_index::DMA_LOGGING_START);
    let start = |num_ranges, ranges: usize| {
        let start = DmaLoggingStart { page_size: PAGE, num_ranges, reserved: 0 };
        let range = DmaLoggingRange { iova: 0, length: PAGE };
        [start.bytes().to_vec(), range.bytes().repeat(ranges)].concat()
    };
    let said = |num_ranges, ranges, succeeds: bool| {
        let data = start(num_ranges, ranges);
        Client::new().feature(set, index, 0, &data, succeeds.then_some(&data))
    };
    assert_eq!(said(1, 1, false), [("DLOG-33", Violation)]);
    assert_eq!(said(2, 1, true), [("DLOG-17", Note)]);
    assert_eq!(said(2, 1, false), NOTHING);
    // What is behind them may be left out.
    assert_eq!(said(1, 2, true), NOTHING);
    assert_eq!(said(1, 2, false), NOTHING);
    // What a server makes of ranges that are not there, and what its bits stand for then, nobody can say.
    let mut client = Client::new();
    assert_eq!(client.feature(set, index, 0, &start(2, 1), Some(&start(1, 1))), [("DLOG-17", Note)]);
    assert_eq!(client.bits(0, 1, 1), NOTHING);
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
fn a_start_comes_back_as_far_as_argsz_has_room() {
    let start = DmaLoggingStart { page_size: PAGE, ..DmaLoggingStart::default() };
    let said = |argsz, answer: &[u8]| {
        let of = |argsz, data| payload(argsz, feature_flags::SET, feature_index::DMA_LOGGING_START, data);
        Client::new().command("DEVICE_FEATURE", of(argsz, start.bytes()), &[], Some(of(24, answer)))
    };
    let other = DmaLoggingStart { reserved: 1, ..start };
    assert_eq!(said(24, &[]), [("DLOG-03", Violation)]);
    assert_eq!(said(8, &[]), NOTHING);
    assert_eq!(said(100, start.bytes()), NOTHING);
    assert_eq!(said(100, other.bytes()), [("DLOG-03", Violation)]);
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
fn the_log_is_begun_and_ended_by_set_and_reported_by_get() {
    let (set, get, probe) = (feature_flags::SET, feature_flags::GET, feature_flags::PROBE);
    for (index, right, wrong) in [
        (feature_index::DMA_LOGGING_START, set, get),
        (feature_index::DMA_LOGGING_STOP, set, get),
        (feature_index::DMA_LOGGING_REPORT, get, set),
    ] {
        let said = |operation, succeeds: bool| {
            let data = DmaLoggingReport { iova: 0, length: PAGE, page_size: PAGE };
            let data = data.bytes();
            Client::new().feature(operation, index, 8, data, succeeds.then_some(data))
        };
        assert_eq!(said(wrong, false), NOTHING);
        assert!(said(wrong, true).contains(&("DLOG-02", Violation)));
        assert_eq!(said(probe | right, true), NOTHING);
        assert_eq!(said(probe | right, false), NOTHING);
    }
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
fn what_a_stop_puts_to_the_test() {
    let of = |begun, data: &[u8]| {
        let mut client = Client::new();
        client.start(&[], begun);
        client.tests(feature_flags::SET, feature_index::DMA_LOGGING_STOP, 0, data)
    };
    assert_eq!(of(false, &[]), Some("DLOG-21"));
    assert_eq!(of(true, &[]), Some("DLOG-37"));
    assert_eq!(of(true, &[0; 8]), None);
}
