//! VERSION: where a server may close instead of an answer, and what its reply may say.

use std::sync::Arc;

use pretty_assertions::assert_eq;
use serde_json::{Value, json};
use vfio_user_wire::message::Version;
use vfio_user_wire::{HEADER_SIZE, V0_9_2, VersionData};

use super::rulings_tests::offer;
use super::samples::Said;
use super::tests::{N, V, answered, command};
use super::{Session, negotiated};

/// A payload of VERSION 0.1 with these capabilities.
fn payload(capabilities: Value) -> Vec<u8> {
    let Value::Object(capabilities) = capabilities else { panic!("{capabilities} is no object") };
    [Version { major: 0, minor: 1 }.bytes(), &VersionData::with_capabilities(capabilities).bytes()].concat()
}

#[test]
fn a_server_may_close_where_a_capability_is_missing_that_it_may_require() {
    let closed = |capabilities: Value| -> Said {
        let mut session = Session::new(&V0_9_2, Arc::new(offer()));
        session.sent(0, command("VERSION", &payload(capabilities)));
        session.permits(0).closed.iter().map(|rule| (rule.requirement, rule.class)).collect()
    };
    let all = json!({
        "max_msg_fds": 1, "max_data_xfer_size": 1 << 20, "max_dma_maps": 65535, "pgsizes": 4096, "write_multiple": true,
    });
    assert_eq!(closed(all.clone()), [("HDR-14", V)]);
    for name in all.as_object().unwrap().keys() {
        let mut fewer = all.clone();
        fewer.as_object_mut().unwrap().remove(name);
        assert_eq!(closed(fewer), [], "{name}");
    }
}

#[test]
fn a_reply_states_what_qemu_takes() {
    let said = |name: &str, value: u64| {
        let payload = payload(json!({ name: value }));
        answered(&command("VERSION", &payload), &payload)
    };
    for (name, most) in [("max_msg_fds", 16), ("max_data_xfer_size", 64 << 20), ("max_dma_maps", 65535)] {
        assert_eq!(said(name, most), [], "{name}");
        assert_eq!(said(name, most + 1), [("VER-34", N)], "{name}");
    }
    // Powers of two, none of them below 4096.
    for right in [4096, 0x20_1000] {
        assert_eq!(said("pgsizes", right), []);
    }
    for wrong in [0, 2048, 4097] {
        assert_eq!(said("pgsizes", wrong), [("VER-20", N)]);
    }
}

#[test]
fn a_reply_to_qemu_is_no_longer_than_its_request() {
    let said = |asked: usize, answer: usize| {
        let message = |size: usize| {
            let mut payload = Version { major: 0, minor: 1 }.bytes().to_vec();
            payload.extend(b"{}");
            payload.resize(size - HEADER_SIZE - 1, b' ');
            [payload, vec![0]].concat()
        };
        answered(&command("VERSION", &message(asked)), &message(answer))
    };
    const QEMU: usize = 214;
    assert_eq!(said(QEMU, QEMU), []);
    assert_eq!(said(QEMU, QEMU + 1), [("VER-33", N)]);
    for other in [QEMU - 1, QEMU + 1] {
        assert_eq!(said(other, QEMU + 1), []);
    }
}

#[test]
fn the_twin_socket_is_the_descriptor_that_the_reply_names() {
    let index = |client, server| negotiated(&payload(client), &payload(server)).twin_index();
    let wants = || json!({ "twin_socket": { "supported": true } });
    let gives = |fd_index: u64| json!({ "twin_socket": { "supported": true, "fd_index": fd_index } });
    for at in [0, 1, 2] {
        assert_eq!(index(wants(), gives(at)), Some(at as usize));
    }
    assert_eq!(index(json!({}), gives(0)), None);
    assert_eq!(index(wants(), json!({})), None);
}
