//! What a server's own commands must be.

use pretty_assertions::assert_eq;
use serde_json::{Value, json};
use vfio_user_wire::message::DmaAccess;
use vfio_user_wire::{Frame, NO_REPLY, V0_9_2};

use super::samples::Said;
use super::tests::{N, V, negotiated};
use super::{Channel, Judgement, Negotiated, Offer, judge_request};

const ACCESS: DmaAccess = DmaAccess { address: 0x1000, count: 4 };

fn frame(name: &str, access: DmaAccess, data: &[u8]) -> Frame {
    let (number, _) = V0_9_2.command(name).unwrap();
    Frame::command(1, number, [access.bytes(), data].concat())
}

/// What is said of a command to a client that takes 8 bytes at one time; `mapped` is what the device may do there.
fn judged(frame: &Frame, mapped: Option<u32>) -> Vec<Judgement> {
    let (header, payload, agreed) = (&frame.header, &frame.payload, negotiated(json!({ "max_data_xfer_size": 8 })));
    judge_request(&V0_9_2, &Offer::default(), header, payload, &agreed, Channel::Only, &|_, _| mapped)
}

fn breaks(said: Vec<Judgement>) -> Said {
    said.into_iter().filter_map(|said| Some((said.requirement, said.broken?.class))).collect()
}

#[test]
fn a_servers_own_command_stays_in_mapped_memory_and_within_the_clients_limit() {
    let judge = |name: &str, access, data: &[u8], mapped| breaks(judged(&frame(name, access, data), mapped));
    assert_eq!(judge("DMA_READ", ACCESS, &[], Some(3)), []);
    assert_eq!(judge("DMA_WRITE", ACCESS, &[0; 4], Some(2)), []);
    assert_eq!(judge("DMA_WRITE", ACCESS, &[0; 3], Some(3)), [("DMARW-01", V)]);
    assert_eq!(judge("DMA_READ", DmaAccess { count: 9, ..ACCESS }, &[], Some(3)), [("DMARW-03", V), ("MSZ-06", V)]);
    assert_eq!(judge("DMA_READ", ACCESS, &[], None), [("DMAP-09", V), ("DMARW-02", V)]);
    assert_eq!(judge("DMA_READ", ACCESS, &[], Some(2)), [("DMARW-07", V)]);
    assert_eq!(judge("DMA_WRITE", ACCESS, &[0; 4], Some(1)), [("DMARW-07", V)]);
    assert_eq!(judge("DEVICE_RESET", ACCESS, &[], Some(3)), [("HDR-15", V)]);
}

#[test]
fn a_read_of_the_servers_has_no_data_and_wants_its_reply() {
    let longer = judged(&frame("DMA_READ", ACCESS, &[0; 4]), Some(3));
    let broken = longer.iter().find_map(|said| said.broken.as_ref()).unwrap();
    assert_eq!((broken.expected.as_str(), broken.actual.as_str()), ("32 bytes", "36 bytes"));
    let posted = |mut frame: Frame| {
        frame.header.flags = NO_REPLY;
        breaks(judged(&frame, Some(3)))
    };
    assert_eq!(posted(frame("DMA_READ", ACCESS, &[])), [("DMARW-10", N)]);
    assert_eq!(posted(frame("DMA_WRITE", ACCESS, &[0; 4])), []);
}

#[test]
fn a_servers_own_command_comes_on_the_twin_socket_where_there_is_one() {
    let judge = |client: Value, server: Value, channel| {
        let (client, server) = (negotiated(client).client, negotiated(server).client);
        let frame = frame("DMA_READ", ACCESS, &[]);
        let (header, payload, agreed) = (&frame.header, &frame.payload, Negotiated { client, server });
        breaks(judge_request(&V0_9_2, &Offer::default(), header, payload, &agreed, channel, &|_, _| Some(3)))
    };
    let twin = || json!({ "twin_socket": { "supported": true, "fd_index": 0 } });
    assert_eq!(judge(twin(), twin(), Channel::Twin), []);
    assert_eq!(judge(twin(), twin(), Channel::Main), [("TWIN-06", V)]);
    assert_eq!(judge(twin(), json!({}), Channel::Only), [("TWIN-09", N)]);
    assert_eq!(judge(json!({}), json!({}), Channel::Only), []);
}
