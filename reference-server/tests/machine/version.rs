//! VERSION (specification 461-593).

use pretty_assertions::assert_eq;
use vfio_user_reference_server::{Effect, Errno, Machine};

use crate::client::{Client, failed, version};

/// The refusal's errno; the connection must end behind it.
fn refused_and_closed(payload: &[u8]) -> i32 {
    let mut client = Client::connected();
    let (request, effects) = client.send("VERSION", payload, Vec::new());
    let [Effect::Send { frame, .. }, Effect::Close] = effects.as_slice() else { panic!("{effects:?}") };
    failed(&request, frame)
}

fn agreed(minor: u16, data: &str) -> Vec<u8> {
    Client::connected().ok("VERSION", &version(0, minor, data))
}

#[test]
fn the_reply_selects_only_what_was_proposed() {
    assert_eq!(
        agreed(1, "{\"capabilities\":{\"pgsizes\":4096,\"zork\":{},\"migration\":{\"pgsize\":4096}}}\0"),
        version(0, 1, "{\"capabilities\":{\"pgsizes\":4096}}\0")
    );
    let all = "{\"capabilities\":{\"max_msg_fds\":1,\"max_data_xfer_size\":4096,\"max_dma_maps\":9,\"pgsizes\":4096,\
               \"twin_socket\":{\"supported\":false,\"fd_index\":0},\"write_multiple\":true}}\0";
    assert_eq!(
        agreed(1, all),
        version(
            0,
            1,
            "{\"capabilities\":{\"max_msg_fds\":16,\"max_data_xfer_size\":1048576,\"max_dma_maps\":65535,\
             \"pgsizes\":4096,\"write_multiple\":true}}\0"
        )
    );
    assert_eq!(agreed(1, "{\"capabilities\":{\"write_multiple\":false}}\0"), version(0, 1, "{\"capabilities\":{}}\0"));
}

#[test]
fn version_data_and_capabilities_are_optional() {
    assert_eq!(agreed(1, ""), version(0, 1, ""));
    assert_eq!(agreed(1, "{}\0"), version(0, 1, "{\"capabilities\":{}}\0"));
}

#[test]
fn the_minor_is_the_smaller_one() {
    for (proposed, reply) in [(0, 0), (1, 1), (2, 1), (65535, 1)] {
        assert_eq!(agreed(proposed, ""), version(0, reply, ""));
    }
}

#[test]
fn another_major_ends_the_connection() {
    assert_eq!(refused_and_closed(&version(1, 0, "")), Errno::EPROTONOSUPPORT as i32);
    assert_eq!(refused_and_closed(&version(65535, 0, "")), Errno::EPROTONOSUPPORT as i32);
}

#[test]
fn malformed_data_ends_the_connection() {
    let malformed = ["{}", "\0", "{\0", "{}\0x\0", "[]\0", "null\0", "{\"capabilities\":[]}\0", "{}{}\0"];
    let mistyped = [
        r#"{"max_msg_fds":"8"}"#,
        r#"{"max_msg_fds":-1}"#,
        r#"{"max_data_xfer_size":1e3}"#,
        r#"{"max_data_xfer_size":0}"#,
        r#"{"max_dma_maps":true}"#,
        r#"{"pgsizes":null}"#,
        r#"{"twin_socket":true}"#,
        r#"{"twin_socket":{"supported":1}}"#,
        r#"{"write_multiple":1}"#,
    ];
    let mistyped = mistyped.map(|capabilities| format!("{{\"capabilities\":{capabilities}}}\0"));
    for data in malformed.into_iter().chain(mistyped.iter().map(String::as_str)) {
        assert_eq!(refused_and_closed(&version(0, 1, data)), Errno::EINVAL as i32, "{data:?}");
    }
    assert_eq!(refused_and_closed(&[0, 0]), Errno::EINVAL as i32);
}

#[test]
fn nothing_is_executed_before_version() {
    let mut client = Client::connected();
    assert_eq!(client.refused("DEVICE_RESET", &[]), Errno::EINVAL as i32);
    client.negotiate("{}");
    client.ok("DEVICE_RESET", &[]);
}

#[test]
fn a_second_version_fails_and_harms_nothing() {
    let mut client = Client::new();
    assert_eq!(client.refused("VERSION", &version(0, 1, "")), Errno::EINVAL as i32);
    client.ok("DEVICE_RESET", &[]);
}

#[test]
fn a_new_connection_negotiates_anew() {
    let mut client = Client::new();
    client.server.disconnect(&mut client.memory);
    client.server.connect();
    assert_eq!(client.refused("DEVICE_RESET", &[]), Errno::EINVAL as i32);
}
