//! Twin sockets: what a reply may say of one, which descriptor it is, and what comes on it.

use pretty_assertions::assert_eq;
use serde_json::{Value, json};
use vfio_user_wire::message::{DmaAccess, Version};
use vfio_user_wire::{Frame, V0_9_2, VersionData};

use super::tests::{N, V, broken, command, negotiated};
use super::{Channel, Negotiated, TwinSocket, judge_request, judge_twin_socket};

fn data(of: Value) -> VersionData {
    VersionData::with_capabilities(of.as_object().unwrap().clone())
}

#[test]
fn a_twin_socket_is_all_there_or_not_at_all() {
    let judge = |client: Value, server: Value, fds| {
        let version = Version { major: 0, minor: 1 };
        let sent = command("VERSION", &[version.bytes(), &data(client).bytes()].concat());
        let payload = [version.bytes(), &data(server).bytes()].concat();
        broken(&sent, sent.header.reply(payload.len()), &payload, fds, &negotiated(json!({ "max_msg_fds": 16 })))
    };
    let wants = || json!({ "twin_socket": { "supported": true } });
    let gives = |twin: Value| json!({ "twin_socket": twin });
    let whole = || gives(json!({ "supported": true, "fd_index": 0 }));
    assert_eq!(judge(wants(), whole(), 1), []);
    assert_eq!(judge(wants(), gives(json!({ "supported": true, "fd_index": 1 })), 2), []);
    for twin in [json!({}), json!({ "supported": false }), json!({ "supported": false, "fd_index": 0 })] {
        assert_eq!(judge(wants(), gives(twin), 0), []);
    }
    assert_eq!(judge(wants(), json!({}), 0), []);
    for twin in [json!({ "supported": true }), json!({ "supported": true, "fd_index": "0" })] {
        assert_eq!(judge(wants(), gives(twin), 1), [("TWIN-03", V), ("TWIN-04", V)]);
    }
    assert_eq!(judge(wants(), whole(), 0), [("TWIN-03", V), ("TWIN-04", V)]);
    assert_eq!(judge(wants(), json!({}), 1), [("TWIN-04", V)]);
    assert_eq!(judge(wants(), gives(json!({ "supported": "yes" })), 0), [("TWIN-04", V)]);
    assert_eq!(judge(wants(), gives(json!(true)), 0), [("TWIN-04", V)]);
    let takes_none = json!({ "max_msg_fds": 0, "twin_socket": { "supported": true } });
    assert_eq!(judge(takes_none.clone(), whole(), 0), [("TWIN-10", V), ("TWIN-03", V), ("TWIN-04", V)]);
    assert_eq!(judge(takes_none, json!({}), 0), []);
    let wants_none = || json!({ "twin_socket": { "supported": false } });
    assert_eq!(judge(wants_none(), json!({}), 0), []);
    assert_eq!(judge(wants_none(), json!({}), 1), [("TWIN-01", V)]);
    assert_eq!(judge(wants_none(), whole(), 1), [("TWIN-01", V), ("VER-06", V)]);
}

#[test]
fn a_twin_socket_is_a_fresh_stream() {
    let good = TwinSocket { connected: true, stream: true, fresh: true };
    let judge = |socket| -> Vec<_> {
        judge_twin_socket(socket)
            .into_iter()
            .filter_map(|judgement| judgement.broken.map(|broken| broken.class))
            .collect()
    };
    assert_eq!(judge(good), []);
    assert_eq!(judge(TwinSocket { connected: false, ..good }), [V]);
    assert_eq!(judge(TwinSocket { fresh: false, ..good }), [V]);
    assert_eq!(judge(TwinSocket { stream: false, ..good }), [N]);
}

#[test]
fn a_servers_own_command_comes_on_the_twin_socket_where_there_is_one() {
    let (number, _) = V0_9_2.command("DMA_READ").unwrap();
    let frame = Frame::command(1, number, DmaAccess { address: 0x1000, count: 4 }.bytes().to_vec());
    let judge = |client: Value, server: Value, channel| -> Vec<_> {
        let negotiated = Negotiated { client: data(client), server: data(server) };
        judge_request(
            &V0_9_2,
            &super::Offer::default(),
            &frame.header,
            &frame.payload,
            &negotiated,
            channel,
            &|_, _| Some(3),
        )
        .into_iter()
        .filter_map(|judgement| Some((judgement.requirement, judgement.broken?.class)))
        .collect()
    };
    let twin = || json!({ "twin_socket": { "supported": true, "fd_index": 0 } });
    assert_eq!(judge(twin(), twin(), Channel::Twin), []);
    assert_eq!(judge(twin(), twin(), Channel::Main), [("TWIN-06", V)]);
    assert_eq!(judge(twin(), json!({}), Channel::Only), [("TWIN-09", N)]);
    assert_eq!(judge(json!({}), json!({}), Channel::Only), []);
    // A client that takes no descriptor cannot be given one (TWIN-10).
    let takes_none = json!({ "max_msg_fds": 0, "twin_socket": { "supported": true } });
    assert_eq!(judge(takes_none, json!({}), Channel::Only), []);
}

#[test]
fn the_reply_says_which_descriptor_is_the_twin_socket() {
    let index = |client, server| Negotiated { client: data(client), server: data(server) }.twin_index();
    let wants = || json!({ "twin_socket": { "supported": true } });
    let gives =
        |supported: bool, fd_index: u64| json!({ "twin_socket": { "supported": supported, "fd_index": fd_index } });
    for at in [0, 1, 2] {
        assert_eq!(index(wants(), gives(true, at)), Some(at as usize));
    }
    assert_eq!(index(json!({}), gives(true, 1)), None);
    assert_eq!(index(wants(), gives(false, 1)), None);
    assert_eq!(index(wants(), wants()), None);
}
