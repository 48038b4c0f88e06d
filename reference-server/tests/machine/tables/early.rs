//! 0.9.1 while its DMA commands carried tables: what it has otherwise than version 8. Lines are those of its own text, at
//! commit cda5e5f^.

use pretty_assertions::assert_eq;
use vfio_user_reference_server::{Errno, Machine, Profile};
use vfio_user_wire::dirty_pages_flags::{GET_BITMAP, START};
use vfio_user_wire::legacy::{Bitmap, BitmapRange};
use vfio_user_wire::message::{DmaAccess, RegionAccess};
use vfio_user_wire::tables::{DirtyPages, DmaMap};

use super::dirty_pages::head;
use super::{A, PAGE, entry, fds, map, table, unmapping};
use crate::client::{Client, command, version};

fn with(capabilities: &str) -> Client {
    let mut client = Client::of(Profile::V8C);
    client.negotiate(capabilities);
    client
}

fn migrating() -> Client {
    with(r#"{"max_msg_fds":8,"max_msg_size":1000000,"migration":{"pgsize":4096}}"#)
}

fn logging() -> Client {
    let mut client = migrating();
    map(&mut client, &[entry(A, 64 * PAGE, true), entry(2 * A, PAGE, true), entry(3 * A, PAGE, true)]);
    client.ok("DIRTY_PAGES", &head(START));
    client.dma(1, A + 3 * PAGE, 1);
    client.dma(1, 3 * A, 1);
    client
}

fn bitmap() -> Bitmap {
    Bitmap { pgsize: PAGE, size: 8 }
}

/// A region that asks for its bitmap.
fn asking(address: u64, size: u64) -> Vec<u8> {
    let mut entry = unmapping(address, size);
    entry[28] = 1;
    [entry.as_slice(), bitmap().bytes()].concat()
}

/// A bitmap with its structure, as a reply has it.
fn told(bits: u64) -> Vec<u8> {
    [bitmap().bytes(), &bits.to_ne_bytes()].concat()
}

fn get(ranges: &[(u64, u64)], unused: usize) -> Vec<u8> {
    let range = |(iova, size): &(u64, u64)| {
        let range = BitmapRange { iova: *iova, size: *size, bitmap_pgsize: PAGE, bitmap_size: 8 };
        [range.bytes(), &vec![0; unused]].concat()
    };
    let ranges: Vec<u8> = ranges.iter().flat_map(range).collect();
    [DirtyPages { argsz: 12, flags: GET_BITMAP, data: 0 }.bytes(), &ranges].concat()
}

#[test]
fn the_reply_selects_what_its_text_knows() {
    let data = r#"{"capabilities":{"max_fds":3,"max_msg_fds":2,"max_msg_size":4096,"max_data_xfer_size":64,"migration":{},"twin_socket":{"supported":true}}}"#;
    let reply = Client::of(Profile::V8C).ok("VERSION", &version(0, 1, &format!("{data}\0")));
    assert_eq!(
        String::from_utf8_lossy(&reply[4..]),
        "{\"capabilities\":{\"max_msg_fds\":16,\"max_msg_size\":1048576,\"migration\":{\"pgsize\":4096}}}\0"
    );
}

#[test]
fn regions_that_ask_for_a_bitmap_stand_beside_those_that_do_not() {
    let mut client = logging();
    let regions = [unmapping(2 * A, PAGE), asking(A, 64 * PAGE), asking(3 * A, PAGE)];
    assert_eq!(client.refused("DMA_UNMAP", &regions.concat()[..120]), Errno::EINVAL as i32);
    assert_eq!(client.ok("DMA_UNMAP", &regions.concat()), [told(1 << 3), told(1)].concat());
    assert!(client.memory.maps.is_empty());
}

#[test]
fn a_range_has_the_structure_of_its_own_table() {
    let mut client = logging();
    let ranges = [(A, 64 * PAGE), (3 * A, PAGE)];
    assert_eq!(client.refused("DIRTY_PAGES", &get(&ranges[..1], 8)), Errno::EINVAL as i32);
    assert_eq!(client.ok("DIRTY_PAGES", &get(&ranges, 0)), [told(1 << 3), told(1)].concat());
    assert_eq!(client.ok("DIRTY_PAGES", &get(&ranges[..1], 0)), told(0));
}

#[test]
fn execution_is_no_protection_that_it_supports() {
    let mut client = with("{}");
    let entries = [DmaMap { protections: 5, ..entry(A, PAGE, true) }];
    assert_eq!(client.refused_fds("DMA_MAP", &table(&entries), fds(1)), Errno::EINVAL as i32);
}

#[test]
fn accesses_are_those_of_later_versions() {
    let mut client = with("{}");
    let write = [RegionAccess { offset: 0x1000, region: 0, count: 4 }.bytes(), b"abcd"].concat();
    assert_eq!(client.ok("REGION_WRITE", &write), write[..16]);
    map(&mut client, &[entry(A, 2 * PAGE, false)]);
    let frame = command(&client.dma(1, A, 8192));
    assert_eq!((frame.header.command, frame.bytes().len()), (12, 4096));
    let piece = DmaAccess { address: A, count: 4064 };
    assert_eq!(frame.payload[..16], *piece.bytes());
    let next = command(&client.answer(&frame, piece.bytes().to_vec()));
    assert_eq!(next.payload[..16], *DmaAccess { address: A + 4064, count: 4064 }.bytes());
    let too_much = RegionAccess { offset: 0x1000, region: 0, count: 4065 };
    assert_eq!(client.refused("REGION_READ", too_much.bytes()), Errno::E2BIG as i32);
}

#[test]
fn a_client_that_leaves_takes_its_maps_along() {
    let mut client = with("{}");
    map(&mut client, &[entry(A, PAGE, true)]);
    client.server.disconnect(&mut client.memory);
    client.server.connect();
    assert!(client.memory.maps.is_empty());
    client.negotiate("{}");
    map(&mut client, &[entry(A, PAGE, false)]);
}

#[test]
fn a_device_that_is_stopped_runs_again() {
    let mut client = migrating();
    for wanted in [0u32, 1, 2, 1] {
        client.write(9, 0, &wanted.to_ne_bytes());
        assert_eq!(u32::from(client.read(9, 0, 4)[0]), wanted);
    }
}
