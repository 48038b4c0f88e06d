//! The migration region (1667-1838), and what tells that there is one (976-1008).

use pretty_assertions::assert_eq;
use vfio_user_reference_server::{Errno, Feature, Memory, Profile, Settings};
use vfio_user_wire::legacy::MigrationInfo;
use vfio_user_wire::message::{DmaAccess, RegionAccess, RegionInfo};
use vfio_user_wire::{Capability, CapabilityBody, capabilities};

use super::{A, PAGE, migrating, with};
use crate::client::{Client, FAILED, command, region_write};

/// Its index on this device.
pub(super) const REGION: u32 = 9;
pub(super) const STOPPED: u32 = 0;
pub(super) const RUNNING: u32 = 1;
pub(super) const STOP_AND_COPY: u32 = 2;
pub(super) const PRE_COPY: u32 = 3;
pub(super) const RESUMING: u32 = 4;
const ERROR: u32 = 6;

const PENDING_BYTES: u64 = 8;
pub(super) const DATA_OFFSET: u64 = 16;
const DATA_SIZE: u64 = 24;

pub(super) fn refused_read(client: &mut Client, offset: u64, count: u32) -> i32 {
    client.refused("REGION_READ", RegionAccess { offset, region: REGION, count }.bytes())
}

pub(super) fn refused_write(client: &mut Client, offset: u64, data: &[u8]) -> i32 {
    client.refused("REGION_WRITE", &region_write(REGION, offset, data))
}

/// A register of 8 bytes.
pub(super) fn register(client: &mut Client, offset: u64) -> u64 {
    u64::from_ne_bytes(client.read(REGION, offset, 8).try_into().unwrap())
}

pub(super) fn state(client: &mut Client) -> u32 {
    u32::from_ne_bytes(client.read(REGION, 0, 4).try_into().unwrap())
}

pub(super) fn set(client: &mut Client, state: u32) {
    assert!(client.write(REGION, 0, &state.to_ne_bytes()).is_empty());
}

/// Brings a new device into a state.
fn device_in(state: u32) -> Client {
    let mut client = migrating();
    if state != RUNNING {
        set(&mut client, state);
    }
    client
}

/// One iteration; `None` where nothing is to be read.
fn piece(client: &mut Client, chunk: u32) -> Option<Vec<u8>> {
    let pending = register(client, PENDING_BYTES);
    if pending == 0 {
        return None;
    }
    let offset = register(client, DATA_OFFSET);
    let size = register(client, DATA_SIZE);
    assert!(0 < size && size <= pending, "{size} of {pending}");
    let parts = (0..size).step_by(chunk as usize);
    Some(parts.flat_map(|at| client.read(REGION, offset + at, chunk.min((size - at) as u32))).collect())
}

fn drain(client: &mut Client, chunk: u32) -> Vec<Vec<u8>> {
    std::iter::from_fn(|| piece(client, chunk)).collect()
}

/// How a client gives a piece to the device.
#[derive(Debug, Clone, Copy)]
enum Giving {
    /// By a message each.
    Messages,
    /// By messages with that many bytes, and with the size of all of them behind.
    Parts(usize),
    /// By its mapping.
    Mapping,
}

fn give(client: &mut Client, piece: &[u8], giving: Giving) {
    let offset = register(client, DATA_OFFSET);
    let part = if let Giving::Parts(part) = giving { part } else { piece.len() };
    match giving {
        Giving::Messages | Giving::Parts(_) => {
            for (index, bytes) in piece.chunks(part).enumerate() {
                client.write(REGION, offset + (index * part) as u64, bytes);
            }
        }
        Giving::Mapping => client.memory.region_write(REGION, offset, piece).unwrap(),
    }
    if !matches!(giving, Giving::Messages) {
        client.write(REGION, DATA_SIZE, &(piece.len() as u64).to_ne_bytes());
    }
}

fn written() -> Client {
    let mut client = migrating();
    client.write(0, 0x1000, b"scratch");
    client.write(1, 0x1000, b"mirrored");
    client.write(2, 0, &[0x5a; 256 << 10]);
    client.write(7, 4, &[6, 4]);
    client
}

fn is_restored(client: &mut Client) -> bool {
    client.read(0, 0x1000, 7) == b"scratch"
        && client.read(1, 0x1000, 8) == b"mirrored"
        && client.read(2, 0, 256 << 10) == [0x5a; 256 << 10]
        && client.read(7, 4, 2) == [6, 4]
}

fn region_info(client: &mut Client, argsz: u32) -> (RegionInfo, Vec<Capability>) {
    let request = RegionInfo { argsz, index: REGION, ..RegionInfo::default() };
    let reply = client.ok("DEVICE_GET_REGION_INFO", request.bytes());
    let (info, _) = RegionInfo::parse(&reply).unwrap();
    (info, capabilities(&reply, info.cap_offset).unwrap())
}

#[test]
fn its_type_tells_what_it_is() {
    let mut client = migrating();
    let reply = client.ok("DEVICE_GET_INFO", &[16, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
    assert_eq!(reply[8], 10);
    let (info, found) = region_info(&mut client, 1000);
    assert_eq!((info.flags, info.size, info.argsz, info.cap_offset), (0xf, 0x12000, 32 + 16 + 32, 32));
    let [kind, sparse] = found.as_slice() else { panic!("{found:?}") };
    assert_eq!((kind.id, kind.version, &kind.body), (2, 1, &CapabilityBody::Type { kind: 3, subtype: 1 }));
    let CapabilityBody::SparseMmap { areas, .. } = &sparse.body else { panic!("{sparse:?}") };
    assert_eq!(areas.iter().map(|area| (area.offset, area.size)).collect::<Vec<_>>(), [(0x1000, 0x11000)]);
    let (RegionInfo { flags, .. }, _) = region_info(&mut client, 32);
    assert_eq!(flags, 0x7);

    let mut client = with(r#"{"max_msg_fds":0,"migration":{}}"#);
    let (info, found) = region_info(&mut client, 1000);
    assert_eq!((info.flags, info.argsz, found.len()), (0xb, 32 + 16, 1));
}

#[test]
fn it_is_there_for_every_client_of_a_device_that_has_migration() {
    assert_eq!(state(&mut with("{}")), RUNNING);
    let without = [Feature::Migration].into_iter().collect();
    let mut client = Client::of(Settings { without, ..Profile::V0_9_1.into() });
    client.negotiate(r#"{"migration":{"pgsize":4096}}"#);
    assert_eq!(client.ok("DEVICE_GET_INFO", &[16, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0])[8], 9);
    assert_eq!(refused_read(&mut client, 0, 4), Errno::EINVAL as i32);
    assert_eq!(refused_write(&mut client, 0, &[0; 4]), Errno::EINVAL as i32);
}

#[test]
fn the_changes_of_the_table_are_made_and_no_others() {
    let allowed = [(0, 1), (1, 0), (1, 2), (1, 3), (1, 4), (2, 0), (2, 1), (3, 2), (4, 1)];
    for from in [STOPPED, RUNNING, STOP_AND_COPY, PRE_COPY, RESUMING] {
        for to in [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 33, 255, u32::MAX] {
            let mut client = device_in(from);
            if allowed.contains(&(from, to)) || from == to {
                set(&mut client, to);
                assert_eq!(state(&mut client), to, "{from} to {to}");
            } else {
                assert_eq!(refused_write(&mut client, 0, &to.to_ne_bytes()), Errno::EINVAL as i32, "{from} to {to}");
                assert_eq!(state(&mut client), from, "{from} to {to}");
            }
            client.ok("DEVICE_RESET", &[]);
            assert_eq!(state(&mut client), RUNNING);
        }
    }
}

#[test]
fn another_device_becomes_what_the_first_was() {
    let mut one = written();
    set(&mut one, STOP_AND_COPY);
    let pieces = drain(&mut one, 1 << 20);
    assert!(pieces.len() > 2, "{}", pieces.len());
    for giving in [Giving::Messages, Giving::Parts(4000), Giving::Mapping] {
        let mut other = migrating();
        set(&mut other, RESUMING);
        pieces.iter().for_each(|piece| give(&mut other, piece, giving));
        assert!(!is_restored(&mut other));
        set(&mut other, RUNNING);
        assert!(is_restored(&mut other), "{giving:?}");
    }
}

#[test]
fn what_changes_in_the_pre_copy_state_comes_behind() {
    let mut one = written();
    set(&mut one, PRE_COPY);
    let mut pieces = drain(&mut one, 4000);
    assert_eq!(register(&mut one, PENDING_BYTES), 0);
    one.write(0, 0x1000, b"SCRATCH");
    assert!(register(&mut one, PENDING_BYTES) > 0);
    pieces.extend(piece(&mut one, 4000));
    one.write(0, 0x1000, b"scratch");
    // The client has begun an iteration, and ends it in the other state.
    let (pending, offset) = (register(&mut one, PENDING_BYTES), register(&mut one, DATA_OFFSET));
    set(&mut one, STOP_AND_COPY);
    let size = register(&mut one, DATA_SIZE);
    assert_eq!(size, pending);
    pieces.push(one.read(REGION, offset, size as u32));
    pieces.extend(drain(&mut one, 1 << 20));
    let mut other = migrating();
    set(&mut other, RESUMING);
    pieces.iter().for_each(|piece| give(&mut other, piece, Giving::Messages));
    set(&mut other, RUNNING);
    assert!(is_restored(&mut other));
}

#[test]
fn an_iteration_begins_with_pending_bytes() {
    let mut client = written();
    set(&mut client, STOP_AND_COPY);
    let pending = register(&mut client, PENDING_BYTES);
    assert_eq!(register(&mut client, PENDING_BYTES), pending);
    assert_eq!(register(&mut client, DATA_SIZE), 0, "nothing is there yet");
    let offset = register(&mut client, DATA_OFFSET);
    let size = register(&mut client, DATA_SIZE);
    assert_eq!((offset, size), (0x1000, 0x10000));
    let data = client.read(REGION, offset, size as u32);
    assert_eq!((register(&mut client, DATA_OFFSET), register(&mut client, DATA_SIZE)), (offset, size));
    assert_eq!(client.read(REGION, offset, size as u32), data);
    assert_eq!(register(&mut client, PENDING_BYTES), pending - size);
}

#[test]
fn a_state_that_makes_no_sense_ends_in_the_error_state() {
    let mut one = written();
    set(&mut one, STOP_AND_COPY);
    let mut pieces = drain(&mut one, 1 << 20);
    pieces[1][77] ^= 1;
    let mut other = migrating();
    set(&mut other, RESUMING);
    pieces.iter().for_each(|piece| give(&mut other, piece, Giving::Messages));
    assert_eq!(refused_write(&mut other, 0, &RUNNING.to_ne_bytes()), Errno::EINVAL as i32);
    assert_eq!(state(&mut other), ERROR);
    assert_eq!(refused_write(&mut other, 0, &RUNNING.to_ne_bytes()), Errno::EINVAL as i32);
    other.ok("DEVICE_RESET", &[]);
    assert_eq!(state(&mut other), RUNNING);
}

#[test]
fn registers_are_accessed_as_they_are() {
    for of in [RUNNING, STOP_AND_COPY, RESUMING] {
        let mut client = device_in(of);
        for (offset, count) in [
            (0, 1),
            (0, 2),
            (0, 3),
            (0, 8),
            (1, 3),
            (2, 4),
            (3, 2),
            (8, 4),
            (9, 8),
            (12, 4),
            (16, 4),
            (24, 16),
            (28, 8),
        ] {
            assert_eq!(refused_read(&mut client, offset, count), Errno::EINVAL as i32, "{offset} {count}");
            let data = vec![0; count as usize];
            assert_eq!(refused_write(&mut client, offset, &data), Errno::EINVAL as i32, "{offset} {count}");
        }
        assert_eq!(state(&mut client), of);
    }
}

#[test]
fn what_is_read_only_or_no_register_is_not_written() {
    let mut client = device_in(STOP_AND_COPY);
    let pending = register(&mut client, PENDING_BYTES);
    for offset in [PENDING_BYTES, DATA_OFFSET, DATA_SIZE, 32, 56, 0xff8, 0x1000] {
        assert_eq!(refused_write(&mut client, offset, &[1; 8]), Errno::EINVAL as i32, "{offset:#x}");
    }
    for offset in [32, 56, 0xff8, 0xffc] {
        assert_eq!(refused_read(&mut client, offset, 8), Errno::EINVAL as i32, "{offset:#x}");
    }
    assert_eq!(register(&mut client, PENDING_BYTES), pending);
    let end = MigrationInfo::LAYOUT.size as u64;
    assert_eq!((register(&mut client, DATA_OFFSET), end), (0x1000, 32));
}

#[test]
fn an_access_to_reserved_does_nothing() {
    let mut client = migrating();
    for (offset, count) in [(4, 4), (4, 1), (5, 2), (7, 1)] {
        client.write(REGION, offset, &vec![0xff; count as usize]);
        assert_eq!(client.read(REGION, offset, count), vec![0; count as usize]);
    }
    assert_eq!(state(&mut client), RUNNING);
}

#[test]
fn data_is_taken_where_it_belongs() {
    let mut client = device_in(RESUMING);
    client.write(REGION, 0x1000, &[1; 8]);
    for (offset, data) in [(0x1004, vec![1; 8]), (0x1009, vec![1; 8]), (0x1000, vec![1; 0x10001]), (0x11000, vec![1])] {
        assert_eq!(refused_write(&mut client, offset, &data), Errno::EINVAL as i32, "{offset:#x}");
    }
    for size in [0, 7, 9, u64::MAX] {
        assert_eq!(refused_write(&mut client, DATA_SIZE, &size.to_ne_bytes()), Errno::EINVAL as i32, "{size}");
    }
    client.write(REGION, DATA_SIZE, &8u64.to_ne_bytes());
    client.write(REGION, DATA_SIZE, &5u64.to_ne_bytes());
    for size in [0x10001, u64::MAX] {
        assert_eq!(refused_write(&mut client, DATA_SIZE, &size.to_ne_bytes()), Errno::EINVAL as i32, "{size}");
    }
}

#[test]
fn a_device_that_stops_does_nothing_more() {
    for to in [STOPPED, STOP_AND_COPY, RESUMING] {
        let mut client = migrating();
        client.map(A, PAGE, 3);
        let frame = command(&client.dma(2, A, 8));
        set(&mut client, to);
        assert_eq!(client.dma_status(), FAILED);
        let reply = [DmaAccess { address: A, count: 8 }.bytes(), &[7; 8]].concat();
        assert!(client.answer(&frame, reply).is_empty());
        assert_eq!(client.dma_status(), FAILED, "too late");
        assert!(client.dma(2, A, 8).is_empty());
        assert!(client.raise(0, 0).is_empty());
    }
    let mut client = device_in(PRE_COPY);
    client.map(A, PAGE, 3);
    command(&client.dma(2, A, 8));
}
