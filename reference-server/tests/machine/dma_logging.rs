//! The log of DMA writes (specification 1754-1841, and docs/conformance-device.md).

use nix::errno::Errno;
use vfio_user_wire::feature::{DmaLoggingRange, DmaLoggingReport, DmaLoggingStart, dirty_pages};
use vfio_user_wire::message::{DeviceFeature, DmaAccess};
use vfio_user_wire::{feature_flags, feature_index};

use crate::client::{Client, command, dma_unmap};

const A: u64 = 0x10_0000;
const PAGE: u64 = 4096;
const SIZE: u64 = 64 * PAGE;

fn request(flags: u32, data: &[u8], room: usize) -> Vec<u8> {
    let argsz = (8 + data.len() + room) as u32;
    [DeviceFeature { argsz, flags }.bytes(), data].concat()
}

fn start(page_size: u64, ranges: &[(u64, u64)]) -> Vec<u8> {
    let num_ranges = ranges.len() as u32;
    let mut data = DmaLoggingStart { page_size, num_ranges, reserved: 0 }.bytes().to_vec();
    for (iova, length) in ranges {
        data.extend(DmaLoggingRange { iova: *iova, length: *length }.bytes());
    }
    request(feature_flags::SET | u32::from(feature_index::DMA_LOGGING_START), &data, 0)
}

fn stop() -> Vec<u8> {
    request(feature_flags::SET | u32::from(feature_index::DMA_LOGGING_STOP), &[], 0)
}

fn report_in(room: usize, iova: u64, length: u64, page_size: u64) -> Vec<u8> {
    let report = DmaLoggingReport { iova, length, page_size };
    request(feature_flags::GET | u32::from(feature_index::DMA_LOGGING_REPORT), report.bytes(), room)
}

impl Client {
    fn feature(&mut self, payload: &[u8]) -> Vec<u8> {
        self.ok("DEVICE_FEATURE", payload)
    }

    /// The pages of a report, whose reply must be whole.
    fn pages(&mut self, iova: u64, length: u64, page_size: u64) -> Vec<u64> {
        let room = DmaLoggingReport { iova, length, page_size }.bitmap_size().unwrap() as usize;
        let request = report_in(room, iova, length, page_size);
        let reply = self.feature(&request);
        assert_eq!(reply[..32], request[..]);
        assert_eq!(reply.len(), 32 + room);
        dirty_pages(&reply[32..]).collect()
    }

    fn all(&mut self) -> Vec<u64> {
        self.pages(A, SIZE, PAGE)
    }
}

/// One map, and all of it logged.
fn logging() -> Client {
    let mut client = Client::new();
    client.map_fd(A, SIZE, 3);
    client.feature(&start(PAGE, &[]));
    client
}

#[test]
fn what_is_written_is_reported_once() {
    let mut client = logging();
    client.dma(1, A + 5 * PAGE - 8, 16);
    client.dma(1, A + 63 * PAGE, 1);
    client.dma(2, A + 9 * PAGE, 16);
    assert_eq!(client.all(), [4, 5, 63]);
    assert_eq!(client.all(), [0u64; 0]);
    client.dma(1, A + 4 * PAGE, 1);
    assert_eq!(client.all(), [4]);
}

#[test]
fn what_is_not_asked_for_stays() {
    let mut client = logging();
    client.dma(1, A, 4 * PAGE as u32);
    assert_eq!(client.pages(A + PAGE, PAGE, PAGE), [0]);
    assert_eq!(client.pages(A + 2 * PAGE, 512, 512), [0]);
    assert_eq!(client.pages(A + 2 * PAGE, PAGE, 512), (1..8).collect::<Vec<u64>>());
    assert_eq!(client.all(), [0, 3]);
}

#[test]
fn pages_of_other_sizes_have_a_part_in_what_was_written() {
    let mut client = logging();
    client.dma(1, A + 5 * PAGE, 1);
    assert_eq!(client.pages(A, SIZE, 1024), [20, 21, 22, 23]);
    client.dma(1, A + 5 * PAGE, 1);
    assert_eq!(client.pages(A, SIZE, 4 * PAGE), [1]);
}

#[test]
fn only_the_ranges_are_logged() {
    let mut client = Client::new();
    client.map_fd(A, SIZE, 3);
    client.feature(&start(PAGE, &[(A + PAGE, PAGE), (A + 8 * PAGE, 2 * PAGE)]));
    client.dma(1, A, 16 * PAGE as u32);
    assert_eq!(client.all(), [1, 8, 9]);
}

#[test]
fn what_was_unmapped_is_still_there() {
    let mut client = logging();
    client.dma(1, A, 1);
    client.ok("DMA_UNMAP", &dma_unmap(A, SIZE));
    assert_eq!(client.all(), [0]);
}

#[test]
fn what_went_by_message_is_the_client_s() {
    let mut client = Client::new();
    client.map(A, SIZE, 3);
    client.feature(&start(PAGE, &[]));
    let frame = command(&client.dma(1, A, 8));
    client.answer(&frame, DmaAccess { address: A, count: 8 }.bytes().to_vec());
    assert_eq!(client.all(), [0u64; 0]);
}

#[test]
fn a_reply_without_room_tells_nothing_and_loses_nothing() {
    let mut client = logging();
    client.dma(1, A, 1);
    let reply = client.feature(&report_in(0, A, SIZE, PAGE));
    let (head, data) = DeviceFeature::parse(&reply).unwrap();
    assert_eq!(({ head.argsz }, data.len()), (40, 0));
    assert_eq!(client.all(), [0]);
}

#[test]
fn the_log_has_pages_that_it_can_have() {
    for (asked, chosen) in [(1, PAGE), (PAGE, PAGE), (1 << 20, 1 << 20), (1 << 40, 1 << 30)] {
        let mut client = Client::new();
        let reply = client.feature(&start(asked, &[(A, SIZE)]));
        assert_eq!(reply, start(chosen, &[(A, SIZE)]));
    }
}

#[test]
fn what_makes_no_log_is_refused() {
    let mut client = Client::new();
    let refused = |client: &mut Client, payload: &[u8]| Errno::from_raw(client.refused("DEVICE_FEATURE", payload));
    assert_eq!(refused(&mut client, &report_in(64, A, SIZE, PAGE)), Errno::EINVAL);
    for page_size in [0, 3, u64::MAX] {
        assert_eq!(refused(&mut client, &start(page_size, &[])), Errno::EINVAL);
    }
    for ranges in [&[(A, 0)][..], &[(u64::MAX, 2)], &[(A, SIZE), (A + SIZE - 1, 1)], &[(A, 1), (A, 1)]] {
        assert_eq!(refused(&mut client, &start(PAGE, ranges)), Errno::EINVAL);
    }
    let mut short = start(PAGE, &[(A, SIZE)]);
    short.truncate(39);
    assert_eq!(refused(&mut client, &short), Errno::EINVAL);
    client.feature(&start(PAGE, &[(0, 1), (1, u64::MAX)]));
    assert_eq!(refused(&mut client, &start(PAGE, &[])), Errno::EBUSY);
    for (length, page_size, errno) in [
        (SIZE, 0, Errno::EINVAL),
        (SIZE, 3, Errno::EINVAL),
        (0, PAGE, Errno::EINVAL),
        (u64::MAX, PAGE, Errno::EINVAL),
        (1 << 60, 1, Errno::E2BIG),
    ] {
        assert_eq!(refused(&mut client, &report_in(64, A, length, page_size)), errno);
    }
}

#[test]
fn stopping_forgets_and_so_does_a_disconnect() {
    let mut client = logging();
    client.dma(1, A, 1);
    client.feature(&stop());
    client.feature(&stop());
    client.feature(&start(PAGE, &[]));
    assert_eq!(client.all(), [0u64; 0]);
    client.reconnect();
    client.refused("DEVICE_FEATURE", &report_in(64, A, SIZE, PAGE));
}
