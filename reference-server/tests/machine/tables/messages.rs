//! VERSION, the numbers of commands, and what they carry otherwise than later (291-326, 392-499, 701-762, 1359-1411).

use pretty_assertions::assert_eq;
use vfio_user_reference_server::{Effect, Errno, Machine, Profile};
use vfio_user_wire::Frame;
use vfio_user_wire::message::{IrqInfo, RegionAccess, RegionInfo};

use super::{A, PAGE, entry, map, migrating, table, with};
use crate::client::{Client, succeeded, version};

fn agreed(capabilities: &str) -> String {
    let data = format!("{{\"capabilities\":{capabilities}}}\0");
    let reply = Client::of(Profile::V8).ok("VERSION", &version(0, 1, &data));
    String::from_utf8(reply[4..].to_vec()).unwrap()
}

#[test]
fn the_reply_selects_what_its_text_knows() {
    assert_eq!(
        agreed(
            r#"{"max_fds":1,"max_msg_size":4096,"migration":{"pgsize":4096},"max_msg_fds":2,"write_multiple":true}"#
        ),
        "{\"capabilities\":{\"max_fds\":16,\"max_msg_size\":1048576,\"migration\":{\"pgsize\":4096}}}\0"
    );
    assert_eq!(agreed(r#"{"twin_socket":{"supported":true}}"#), "{\"capabilities\":{}}\0");
    for capabilities in [r#"{"max_fds":"1"}"#, r#"{"max_msg_size":28}"#, r#"{"max_msg_size":-1}"#] {
        let data = format!("{{\"capabilities\":{capabilities}}}\0");
        let (_, effects) = Client::of(Profile::V8).send("VERSION", &version(0, 1, &data), Vec::new());
        assert_eq!(effects.len(), 2, "{capabilities}");
    }
}

/// The payload of the reply to a command of that number.
fn numbered(client: &mut Client, command: u16, payload: &[u8]) -> Vec<u8> {
    let frame = Frame::command(7, command, payload.to_vec());
    let header = frame.header;
    let effects = client.receive(frame, Vec::new());
    succeeded(&header, &effects)
}

#[test]
fn the_numbers_are_its_own() {
    let mut client = with("{}");
    let irq = IrqInfo { argsz: 16, flags: 0, index: 1, count: 0 };
    let IrqInfo { count, .. } = IrqInfo::parse(&numbered(&mut client, 6, irq.bytes())).unwrap().0;
    assert_eq!(count, 4);
    let access = RegionAccess { offset: 0, region: 0, count: 4 };
    assert_eq!(numbered(&mut client, 8, access.bytes()).len(), 20);
    assert!(numbered(&mut client, 13, &[]).is_empty());
    for command in [10, 11, 12, 15, 16] {
        let frame = Frame::command(7, command, vec![0; 32]);
        let effects = client.receive(frame, Vec::new());
        assert!(matches!(effects.as_slice(), [Effect::Send { frame, .. }] if frame.header.is_error()), "{command}");
    }
}

#[test]
fn device_get_info_needs_no_payload() {
    let mut client = with("{}");
    for payload in [vec![], vec![0; 16]] {
        assert_eq!(client.ok("DEVICE_GET_INFO", &payload), [16, 0, 0, 0, 3, 0, 0, 0, 10, 0, 0, 0, 5, 0, 0, 0]);
    }
}

#[test]
fn the_reply_to_a_write_counts_nothing() {
    let mut client = with("{}");
    let write = [RegionAccess { offset: 0x1000, region: 0, count: 4 }.bytes(), b"abcd"].concat();
    assert_eq!(client.ok("REGION_WRITE", &write), RegionAccess { offset: 0x1000, region: 0, count: 0 }.bytes());
    assert_eq!(client.read(0, 0x1000, 4), b"abcd");
}

#[test]
fn no_reply_is_longer_than_the_client_takes() {
    let mut client = with(r#"{"max_msg_size":100}"#);
    assert_eq!(client.read(0, 0x1000, 68).len(), 68);
    client.write(0, 8, &[1, 0, 0, 0]);
    let access = RegionAccess { offset: 0, region: 0, count: 69 };
    assert_eq!(client.refused("REGION_READ", access.bytes()), Errno::E2BIG as i32);
    assert_eq!(client.register(4), 1, "what was not told is still there");
    let info = RegionInfo { argsz: 1000, index: 1, ..RegionInfo::default() };
    assert_eq!(client.ok("DEVICE_GET_REGION_INFO", info.bytes()).len(), 80);
    let mut client = with("{}");
    let access = RegionAccess { offset: 0x1000, region: 0, count: 4096 - 31 };
    assert_eq!(client.refused("REGION_READ", access.bytes()), Errno::E2BIG as i32);
}

#[test]
fn a_disconnect_takes_nothing_away() {
    let mut client = with("{}");
    map(&mut client, &[entry(A, PAGE, true)]);
    client.server.disconnect(&mut client.memory);
    client.server.connect();
    assert_eq!(client.refused("DEVICE_RESET", &[]), Errno::EINVAL as i32, "but for what was agreed on");
    client.negotiate("{}");
    assert!(client.memory.maps.contains_key(&A));
    assert_eq!(client.refused("DMA_MAP", &table(&[entry(A, PAGE, false)])), Errno::EEXIST as i32);
}

#[test]
fn a_device_that_is_stopped_does_not_run_again_by_itself() {
    let state = |client: &mut Client| client.read(9, 0, 4)[0];
    for (through, last) in [(0u32, 0), (2, 2)] {
        let mut client = migrating();
        client.write(9, 0, &through.to_ne_bytes());
        let write = [RegionAccess { offset: 0, region: 9, count: 4 }.bytes(), &[1, 0, 0, 0]].concat();
        assert_eq!(client.refused("REGION_WRITE", &write), Errno::EINVAL as i32);
        assert_eq!(state(&mut client), last);
    }
    let mut client = migrating();
    for wanted in [3u32, 2, 0] {
        client.write(9, 0, &wanted.to_ne_bytes());
        assert_eq!(u32::from(state(&mut client)), wanted);
    }
}
