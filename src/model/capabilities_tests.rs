//! The capability chain of a region info reply.

use pretty_assertions::assert_eq;
use vfio_user_wire::message::RegionInfo;
use vfio_user_wire::region_info_flags::{CAPS, MMAP, READ, WRITE};
use vfio_user_wire::{SparseArea, region_subtype, region_type, sparse_mmap_bytes, type_bytes};

use super::tests::{N, V, broken, command, marked};
use super::{Command, Negotiated};
use crate::verdict::Class;

const FIXED: usize = RegionInfo::LAYOUT.size;
const HEADER: usize = vfio_user_wire::HEADER_SIZE;

fn request() -> Command {
    command("DEVICE_GET_REGION_INFO", RegionInfo { argsz: 4096, index: 1, ..RegionInfo::default() }.bytes())
}

/// A full reply, for a region of 32 KiB, with a chain that begins `first` bytes behind the fixed part.
fn reply(first: usize, chain: &[u8]) -> Vec<u8> {
    let (argsz, cap_offset) = ((FIXED + chain.len()) as u32, (FIXED + first) as u32);
    let info = RegionInfo { argsz, flags: READ | WRITE | MMAP | CAPS, index: 1, cap_offset, size: 0x8000, offset: 0 };
    [info.bytes(), chain].concat()
}

fn breaks(payload: &[u8]) -> Vec<(&'static str, Class)> {
    let request = request();
    broken(&request, request.header.reply(payload.len()), payload, 1, &Negotiated::default())
}

fn said(chain: &[u8]) -> Vec<(&'static str, Class)> {
    breaks(&reply(0, chain))
}

fn area(offset: u64, size: u64) -> SparseArea {
    SparseArea { offset, size }
}

/// A sparse mmap capability of one area: 32 bytes.
fn sparse(next: usize) -> Vec<u8> {
    sparse_mmap_bytes(&[area(0x1000, 0x1000)], next as u32)
}

/// A type capability that ends the chain: 16 bytes.
fn kind() -> Vec<u8> {
    type_bytes(region_type::MIGRATION, region_subtype::MIGRATION, 0)
}

#[test]
fn capabilities_stand_one_behind_the_other() {
    assert_eq!(said(&[sparse(FIXED + 32), kind()].concat()), []);
    // Behind it, and not 8-byte aligned; aligned, and before it.
    assert_eq!(said(&[sparse(FIXED + 36), vec![0; 4], kind()].concat()), [("REGINFO-08", N)]);
    assert_eq!(breaks(&reply(16, &[kind(), sparse(FIXED)].concat())), [("REGINFO-08", N)]);
    // Of one that is cut in its head nobody can say how many areas it has.
    assert_eq!(said(&sparse(0)[..8]), [("REGINFO-08", V)]);
    assert_eq!(said(&sparse(0)[..24]), [("REGINFO-09", V), ("REGINFO-08", V)]);
}

#[test]
fn a_sparse_mmap_capability_has_its_areas_and_nothing_else() {
    let changed = |at: usize, value: u8| {
        let mut chain = sparse(0);
        chain[at] = value;
        chain
    };
    let (version, reserved) = (changed(2, 2), changed(12, 1));
    assert_eq!(said(&version), [("REGINFO-09", V)]);
    assert_eq!(said(&reserved), [("REGINFO-09", N)]);
    assert_eq!(marked(&request(), &reply(0, &reserved), 1), [("reserved".to_owned(), HEADER + FIXED + 12, 4)]);
    // An area more than it counts, at the end of the chain or not.
    let surplus = |next| [sparse(next), area(0x4000, 0x1000).bytes().to_vec()].concat();
    assert_eq!(said(&surplus(0)), [("REGINFO-09", V)]);
    assert_eq!(said(&[surplus(FIXED + 48), kind()].concat()), [("REGINFO-09", V)]);
    assert_eq!(marked(&request(), &reply(0, &surplus(0)), 1), [("nr_areas".to_owned(), HEADER + FIXED + 8, 4)]);
    // What is less than an area is none.
    assert_eq!(said(&[sparse(FIXED + 40), vec![1; 8], kind()].concat()), []);
    // Zeroes that argsz does not count are padding.
    assert_eq!(breaks(&[reply(0, &sparse(0)), vec![0; 16]].concat()), [("MSZ-03", N)]);
}

#[test]
fn areas_may_touch_and_do_not_overlap() {
    let areas = |areas: &[SparseArea]| said(&sparse_mmap_bytes(areas, 0));
    let (low, high) = (area(0x1000, 0x2000), area(0x3000, 0x2000));
    assert_eq!(areas(&[]), []);
    assert_eq!(areas(&[low, high]), []);
    assert_eq!(areas(&[high, low]), []);
    for over in [area(0, 0x2000), area(0x2000, 0x2000), area(0, 0x8000), low] {
        assert_eq!(areas(&[low, over]), [("REGINFO-10", N)], "{over:?}");
        assert_eq!(areas(&[over, low]), [("REGINFO-10", N)], "{over:?}");
    }
}
