//! Which requirement a command puts to the test where any answer conforms: what a crash, or silence, is told by.

use std::sync::Arc;

use pretty_assertions::assert_eq;
use vfio_user_wire::legacy::{DirtyPages, DmaMap, DmaUnmap};
use vfio_user_wire::message::{DeviceInfo, MigrationData, RegionAccess, RegionInfo, RegionIoFds, Version};
use vfio_user_wire::{Dialect, Limits, V0_9_1, V0_9_2, V8, V8C};

use super::legacy_tests::version;
use super::samples::{command, exchange};
use super::{FdKind, Offer, OfferedMigrationRegion, OfferedRegion, PassedFd, Session};

fn offer() -> Offer {
    Offer {
        num_regions: Some(10),
        limits: Limits { max_data_xfer_size: 0x800, ..Limits::default() },
        regions: vec![OfferedRegion { index: 9, size: 0x3000, flags: 3, argsz: 48 }],
        migration_region: Some(OfferedMigrationRegion { index: 9, pfn_query: false }),
        migration_flags: Some(1),
        pgsize: Some(4096),
        dma: true,
        dma_table: true,
        dirty_pages: true,
        ..Offer::default()
    }
}

/// A session of a server that answers everything.
fn session(dialect: &'static Dialect, offer: Offer) -> Session {
    let mut session = Session::new(dialect, Arc::new(offer));
    let data = version(r#"{"capabilities":{"migration":{"pgsize":4096}}}"#);
    exchange(&mut session, 0, command(dialect, 0, "VERSION", data.clone(), &[]), Ok(data));
    session
}

/// What is put to the test by a command behind VERSION, by its payload.
fn tests(dialect: &'static Dialect, name: &str, payload: Vec<u8>) -> Option<&'static str> {
    let mut session = session(dialect, offer());
    session.sent(1, command(dialect, 1, name, payload, &[]));
    session.permits(1).tests
}

fn access(region: u32, offset: u64, count: u32) -> Vec<u8> {
    RegionAccess { offset, region, count }.bytes().to_vec()
}

#[test]
fn reads_of_regions() {
    let of = |offset, count| tests(&V0_9_2, "REGION_READ", access(9, offset, count));
    assert_eq!(of(0x2fff, 2), Some("RREAD-05"));
    assert_eq!(of(0x2fff, 0x800), Some("RREAD-05"));
    assert_eq!(of(0x2fff, 0x801), Some("RREAD-11"));
    assert_eq!(of(0, 0x801), Some("RREAD-11"));
    assert_eq!(of(0, 0x800), None);
    for odd in [3, 5, 6, 7] {
        assert_eq!(of(0, odd), Some("RREAD-13"));
    }
}

#[test]
fn writes_of_regions() {
    let of = |offset, count: u32| {
        tests(&V0_9_2, "REGION_WRITE", [access(9, offset, count), vec![0; count as usize]].concat())
    };
    assert_eq!(of(0x2fff, 0x800), Some("RWRITE-04"));
    assert_eq!(of(0x2fff, 0x801), Some("RWRITE-11"));
    assert_eq!(of(0, 0x801), Some("RWRITE-11"));
    assert_eq!(of(0, 0x800), None);
}

#[test]
fn reads_of_migration_data() {
    let of = |argsz, size| tests(&V0_9_2, "MIG_DATA_READ", MigrationData { argsz, size }.bytes().to_vec());
    assert_eq!(of(15, 8), Some("MIGDATA-07"));
    assert_eq!(of(16, 8), None);
    assert_eq!(of(8, 0), Some("MIGDATA-09"));
    assert_eq!(of(u32::MAX, 0x801), Some("MIGDATA-08"));
    assert_eq!(of(8 + 0x801, 0x801), Some("MIGDATA-08"));
    let longer = [MigrationData { argsz: 16, size: 8 }.bytes(), &[0]].concat();
    assert_eq!(tests(&V0_9_2, "MIG_DATA_READ", longer), Some("MIGDATA-18"));
}

#[test]
fn versions() {
    let of = |data: &[u8]| {
        let mut session = Session::new(&V0_9_2, Arc::new(offer()));
        let payload = [Version { major: 0, minor: 1 }.bytes(), data].concat();
        session.sent(0, command(&V0_9_2, 0, "VERSION", payload, &[]));
        session.permits(0).tests
    };
    assert_eq!(of(b"{"), Some("VER-24"));
    assert_eq!(of(&[b'{'; 8192]), Some("VER-26"));
    let long = format!("{{\"capabilities\":{{\"a\":\"{}\"}}}}\0", "a".repeat(8192));
    assert_eq!(of(long.as_bytes()), Some("VER-26"));
    // 512 bytes are not long.
    assert_eq!(of(&[b'{'; 512]), Some("VER-24"));
    assert_eq!(of(format!("{:511}\0", "{\"capabilities\":{}}").as_bytes()), Some("VER-03"));
    // L-VER-07 is of 0.9.1.
    assert_eq!(of(b"{\"capabilities\":{\"migration\":{}}}\0"), Some("VER-25"));
}

#[test]
fn the_migration_region() {
    let of = |offset, count| tests(&V0_9_1, "REGION_READ", access(9, offset, count));
    for register in [8, 16, 24] {
        assert_eq!(of(register, 8), Some("L-MR-25"));
    }
    assert_eq!(of(8, 4), Some("L-MR-24"));
    assert_eq!(of(0x1000, 16), Some("L-MR-26"));
}

#[test]
fn dirty_pages() {
    let start = |argsz| tests(&V0_9_1, "DIRTY_PAGES", DirtyPages { argsz, flags: 1 }.bytes().to_vec());
    assert_eq!(start(8), Some("L-DP-05"));
    assert_eq!(start(9), Some("L-DP-04"));
    let stop = |argsz| tests(&V0_9_1, "DIRTY_PAGES", DirtyPages { argsz, flags: 2 }.bytes().to_vec());
    assert_eq!(stop(8), Some("L-DP-26"));
    assert_eq!(stop(7), Some("L-DP-04"));
}

#[test]
fn maps_that_are_mappable() {
    let map = |flags| DmaMap { argsz: 32, flags, offset: 0, address: 0x1000, size: 0x1000 }.bytes().to_vec();
    let (usual, mappable) = (3, 7);
    assert_eq!(tests(&V0_9_1, "DMA_MAP", map(usual)), Some("DMAP-03"));
    assert_eq!(tests(&V0_9_1, "DMA_MAP", map(mappable)), Some("L-DMAP-01"));
    assert_eq!(tests(&V0_9_2, "DMA_MAP", map(mappable)), None);
    // Where the text has the flag, a descriptor without it is for nobody knows what.
    let with = |capabilities: &str, fds: &[PassedFd]| {
        let limits = Limits { max_msg_fds: 1, ..Limits::default() };
        let mut session = Session::new(&V0_9_1, Arc::new(Offer { limits, ..offer() }));
        let data = version(capabilities);
        exchange(&mut session, 0, command(&V0_9_1, 0, "VERSION", data.clone(), &[]), Ok(data));
        session.sent(1, command(&V0_9_1, 1, "DMA_MAP", map(usual), fds));
        session.permits(1).tests
    };
    let early = r#"{"capabilities":{"max_msg_size":4096}}"#;
    let file = [PassedFd { id: 1, kind: FdKind::Memory { size: 0x1000, writable: true } }];
    assert_eq!(with(early, &file), Some("L-DMAP-01"));
    assert_eq!(with(early, &[]), Some("DMAP-03"));
    assert_eq!(with(r#"{"capabilities":{}}"#, &file), Some("DMAP-04"));
}

#[test]
fn unmaps_for_a_bitmap() {
    let of = |argsz, bitmap_size: u64| {
        let unmap = DmaUnmap { argsz, flags: 1, address: 0x1000, size: 0x1000 };
        let bitmap = [0x1000, bitmap_size].map(u64::to_ne_bytes).concat();
        tests(&V0_9_1, "DMA_UNMAP", [unmap.bytes(), bitmap.as_slice()].concat())
    };
    assert_eq!(of(48, 8), Some("L-UNM-07"));
    assert_eq!(of(47, 8), Some("L-UNM-08"));
    assert_eq!(of(56, 16), Some("L-UNM-09"));
}

#[test]
fn tables_of_version_8() {
    let entry = |flags: u32| {
        let entry = [[0x1000u64, 0x1000, 0].map(u64::to_ne_bytes).concat(), [3, flags].map(u32::to_ne_bytes).concat()];
        let bitmap = [0x1000u64, 8, 0].map(u64::to_ne_bytes).concat();
        [entry.concat(), if flags == 1 { bitmap } else { Vec::new() }].concat()
    };
    assert_eq!(tests(&V8, "DMA_UNMAP", entry(0)), Some("V8-11"));
    assert_eq!(tests(&V8, "DMA_UNMAP", entry(1)), Some("V8-10"));
    assert_eq!(tests(&V8, "DMA_UNMAP", [entry(1), entry(0)].concat()), None);
    assert_eq!(tests(&V8, "DEVICE_GET_INFO", vec![]), Some("V8-12"));
    assert_eq!(tests(&V8, "DEVICE_GET_INFO", vec![0; 8]), None);
    assert_eq!(tests(&V8, "DEVICE_GET_INFO", DeviceInfo::default().bytes().to_vec()), Some("V8-12"));
    let pages = |dialect, ranges| {
        let range = [0x1000u64, 0x1000, 0x1000, 8].map(u64::to_ne_bytes).concat().repeat(ranges);
        tests(dialect, "DIRTY_PAGES", [[12u32, 4, 0].map(u32::to_ne_bytes).concat(), range].concat())
    };
    assert_eq!(pages(&V8C, 1), Some("V8-27"));
    assert_eq!(pages(&V8C, 2), Some("V8-20"));
    assert_eq!(tests(&V8, "DIRTY_PAGES", [11u32, 1, 0].map(u32::to_ne_bytes).concat()), Some("V8-21"));
}

#[test]
fn sub_regions() {
    let of = |argsz, flags, index, count| {
        let request = RegionIoFds { argsz, flags, index, count };
        tests(&V0_9_2, "DEVICE_GET_REGION_IO_FDS", request.bytes().to_vec())
    };
    assert_eq!(of(15, 0, 9, 0), Some("IOFDS-14"));
    assert_eq!(of(16, 1, 9, 0), Some("IOFDS-15"));
    assert_eq!(of(16, 0, 9, 1), Some("IOFDS-15"));
    assert_eq!(of(16, 0, 9, 0), Some("IOFDS-01"));
    assert_eq!(of(16, 0, 10, 0), Some("IOFDS-16"));
}

#[test]
fn what_is_too_short() {
    assert_eq!(tests(&V0_9_2, "DEVICE_GET_INFO", vec![]), Some("HDR-26"));
    assert_eq!(tests(&V0_9_2, "DEVICE_GET_INFO", vec![0; 8]), Some("HDR-20"));
    assert_eq!(tests(&V0_9_2, "VERSION", vec![]), Some("VER-27"));
    assert_eq!(tests(&V0_9_2, "VERSION", vec![0; 2]), Some("VER-27"));
}

#[test]
fn what_has_no_room() {
    let info = |argsz, index| RegionInfo { argsz, index, ..RegionInfo::default() }.bytes().to_vec();
    assert_eq!(tests(&V0_9_2, "DEVICE_GET_REGION_INFO", info(32, 10)), Some("REGINFO-12"));
    assert_eq!(tests(&V0_9_2, "DEVICE_GET_REGION_INFO", info(32, 0)), None);
}
