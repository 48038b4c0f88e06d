//! MIG_DATA_READ and MIG_DATA_WRITE, and what they carry (specification 1843-1928, and docs/conformance-device.md).

use pretty_assertions::assert_eq;
use vfio_user_reference_server::Errno;
use vfio_user_wire::device_state::{ERROR, PRE_COPY, RESUMING, RUNNING, STOP, STOP_COPY};
use vfio_user_wire::message::MigrationData;
use vfio_user_wire::{feature_flags, feature_index};

use crate::client::Client;

fn feature(operation: u32, state: &[u32]) -> Vec<u8> {
    let flags = operation | u32::from(feature_index::MIG_DEVICE_STATE);
    [16, flags].iter().chain(state).flat_map(|word| word.to_ne_bytes()).collect()
}

fn set(client: &mut Client, state: u32) {
    client.ok("DEVICE_FEATURE", &feature(feature_flags::SET, &[state, 0]));
}

fn state(client: &mut Client) -> u32 {
    let reply = client.ok("DEVICE_FEATURE", &feature(feature_flags::GET, &[]));
    u32::from_ne_bytes(reply[8..12].try_into().unwrap())
}

fn request(size: u32) -> Vec<u8> {
    MigrationData { argsz: size + 8, size }.bytes().to_vec()
}

fn read(client: &mut Client, size: u32) -> Vec<u8> {
    let reply = client.ok("MIG_DATA_READ", &request(size));
    let (head, data) = MigrationData::parse(&reply).unwrap();
    let length = data.len() as u32;
    assert_eq!(head, MigrationData { argsz: length + 8, size: length });
    data.to_vec()
}

fn drain(client: &mut Client, chunk: u32) -> Vec<u8> {
    let mut stream = Vec::new();
    loop {
        let piece = read(client, chunk);
        if piece.is_empty() {
            return stream;
        }
        stream.extend(piece);
    }
}

fn write(client: &mut Client, data: &[u8]) {
    assert!(client.ok("MIG_DATA_WRITE", &[&request(data.len() as u32)[..], data].concat()).is_empty());
}

#[test]
fn another_device_becomes_what_the_first_was() {
    let mut one = Client::new();
    one.write(0, 0x1000, b"scratch");
    one.write(0, 0x8000, &[7; 16]);
    one.write(0, 0x08, &[1, 0, 0, 0]);
    one.write(0, 0x10, &[9; 8]);
    one.write(1, 0x1000, b"mirrored");
    one.write(2, (2 << 20) - 4, b"last");
    one.write(7, 4, &[6, 4]);
    set(&mut one, STOP_COPY);
    for chunk in [1, 7, 1 << 20] {
        let stream = drain(&mut one, chunk);
        let mut other = Client::new();
        other.write(2, 0, b"other");
        set(&mut other, RESUMING);
        stream.chunks(chunk as usize).for_each(|piece| write(&mut other, piece));
        assert_eq!(other.read(2, 0, 5), b"other", "as it was until then");
        set(&mut other, STOP);
        for (region, offset, count) in
            [(0, 0x1000, 7), (0, 0x8000, 16), (0, 0x38, 8), (0, 0x10, 8), (2, 0, 5), (7, 0, 256)]
        {
            assert_eq!(other.read(region, offset, count), one.read(region, offset, count), "{region} {offset:#x}");
        }
        assert_eq!(other.read(2, (2 << 20) - 4, 4), b"last");
        assert_eq!(other.register(4), 1, "events");
        set(&mut one, STOP);
        set(&mut one, STOP_COPY);
    }
}

#[test]
fn what_changes_while_the_device_runs_comes_later_in_the_stream() {
    let mut one = Client::new();
    one.write(0, 0x1000, b"early");
    set(&mut one, PRE_COPY);
    let mut stream = drain(&mut one, 100);
    assert!(!stream.is_empty());
    one.write(2, 0, b"between");
    stream.extend(read(&mut one, 10));
    one.write(0, 0x1000, &[0; 5]);
    set(&mut one, STOP_COPY);
    stream.extend(drain(&mut one, 100));
    let mut other = Client::new();
    set(&mut other, RESUMING);
    write(&mut other, &stream);
    set(&mut other, RUNNING);
    assert_eq!(other.read(0, 0x1000, 5), [0; 5]);
    assert_eq!(other.read(2, 0, 7), b"between");
}

#[test]
fn what_is_no_state_ends_in_error() {
    let mut one = Client::new();
    set(&mut one, STOP_COPY);
    let stream = drain(&mut one, 4096);
    set(&mut one, RUNNING);
    one.write(0, 0x1000, b"scratch");
    let mut damaged = stream.clone();
    damaged[40] ^= 1;
    for wrong in [&stream[..0], &stream[1..], &stream[..stream.len() - 1], &damaged, &[&stream[..], &[0]].concat()] {
        set(&mut one, RESUMING);
        write(&mut one, wrong);
        assert_eq!(one.refused("DEVICE_FEATURE", &feature(feature_flags::SET, &[RUNNING, 0])), Errno::EINVAL as i32);
        assert_eq!(state(&mut one), ERROR);
        assert_eq!(one.refused("MIG_DATA_READ", &request(1)), Errno::EINVAL as i32);
        assert_eq!(one.refused("MIG_DATA_WRITE", &request(0)), Errno::EINVAL as i32);
        one.ok("DEVICE_RESET", &[]);
        assert_eq!(state(&mut one), RUNNING);
    }
}

#[test]
fn data_flows_in_its_states_alone() {
    let mut one = Client::new();
    for (state, reads, writes) in [
        (RUNNING, false, false),
        (STOP, false, false),
        (PRE_COPY, true, false),
        (STOP_COPY, true, false),
        (RESUMING, false, true),
    ] {
        set(&mut one, state);
        if reads {
            drop(read(&mut one, 1))
        } else {
            assert_eq!(one.refused("MIG_DATA_READ", &request(1)), 22)
        }
        let (head, size) = (request(1), request(2));
        if writes {
            one.ok("MIG_DATA_WRITE", &[&head[..], &[0]].concat());
            assert_eq!(one.refused("MIG_DATA_WRITE", &[&size[..], &[0]].concat()), 22, "a byte that never came");
        } else {
            assert_eq!(one.refused("MIG_DATA_WRITE", &[&head[..], &[0]].concat()), 22);
        }
    }
}

#[test]
fn a_read_that_does_not_fit_takes_nothing() {
    let mut one = Client::new();
    set(&mut one, STOP_COPY);
    let small = MigrationData { argsz: 15, size: 8 };
    assert_eq!(one.refused("MIG_DATA_READ", small.bytes()), 22);
    assert_eq!(one.refused("MIG_DATA_READ", &request((1 << 20) + 1)), 22);
    assert_eq!(one.refused("MIG_DATA_READ", &request(8)[..7]), 22);
    assert_eq!(read(&mut one, 8), b"VUCSTATE");
}
