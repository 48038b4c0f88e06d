//! The twin socket (specification 206-226, 542-593).

use pretty_assertions::assert_eq;
use vfio_user_reference_server::{Channel, Effect, Feature, Machine, Server, Without};
use vfio_user_wire::message::DmaAccess;
use vfio_user_wire::{Frame, NO_REPLY};

use crate::client::{BUSY, Client, DONE, FAILED, dma_command, succeeded, version};

const A: u64 = 0x10_0000;
const WANTS: &str = r#"{"capabilities":{"max_msg_fds":1,"twin_socket":{"supported":true}}}"#;

/// What VERSION with that data gives: the reply's data, and whether there is a twin socket.
fn negotiated(client: &mut Client, data: &str) -> (String, bool) {
    let (request, mut effects) = client.send("VERSION", &version(0, 1, &format!("{data}\0")), Vec::new());
    let twin = matches!(effects.last(), Some(Effect::Twin { .. }));
    if twin {
        effects.pop();
    }
    let Some(Effect::Send { fds, .. }) = effects.last() else { panic!("no reply: {effects:?}") };
    assert_eq!(fds.len(), usize::from(twin));
    let data = succeeded(&request, &effects).get(4..).unwrap_or_default().to_vec();
    (String::from_utf8(data).unwrap(), twin)
}

/// A client with a twin socket, and memory without a descriptor.
fn twinned() -> Client {
    let mut client = Client::connected();
    assert!(negotiated(&mut client, WANTS).1);
    client.map(A, 0x1000, 3);
    client
}

/// The one command among `effects`, which must be on the twin socket.
fn on_twin(effects: &[Effect]) -> Frame {
    let [Effect::Send { channel: Channel::Twin, frame, .. }] = effects else { panic!("{effects:?}") };
    frame.clone()
}

fn say_on_twin(client: &mut Client, frame: Frame) -> Vec<Effect> {
    let mut effects = Vec::new();
    client.server.receive_on_twin(frame, &mut client.memory, &mut effects);
    effects
}

fn write_reply(command: &Frame) -> Frame {
    Frame::reply(&command.header, DmaAccess { address: A, count: 8 }.bytes().to_vec())
}

#[test]
fn a_client_that_wants_one_gets_its_end() {
    let (data, twin) = negotiated(&mut Client::connected(), WANTS);
    assert_eq!(data, "{\"capabilities\":{\"max_msg_fds\":16,\"twin_socket\":{\"supported\":true,\"fd_index\":0}}}\0");
    assert!(twin);
}

#[test]
fn nobody_else_gets_one() {
    for data in [
        r#"{"capabilities":{}}"#,
        r#"{"capabilities":{"twin_socket":{}}}"#,
        r#"{"capabilities":{"twin_socket":{"supported":false}}}"#,
        r#"{"capabilities":{"max_msg_fds":0,"twin_socket":{"supported":true}}}"#,
    ] {
        let (answer, twin) = negotiated(&mut Client::connected(), data);
        assert_eq!((answer.contains("twin_socket"), twin), (false, false), "{data}");
    }
}

#[test]
fn a_server_may_be_without() {
    let mut client = Client::connected();
    client.server = Server::with(Without::from_iter([Feature::TwinSocket]));
    client.server.connect();
    assert_eq!(negotiated(&mut client, WANTS), ("{\"capabilities\":{\"max_msg_fds\":16}}\0".to_owned(), false));
}

#[test]
fn without_a_reply_there_is_none() {
    let mut client = Client::connected();
    let mut frame = client.command("VERSION", &version(0, 1, &format!("{WANTS}\0")));
    frame.header.flags |= NO_REPLY;
    assert!(client.receive(frame, Vec::new()).is_empty());
}

#[test]
fn commands_go_there_and_replies_come_from_there() {
    let mut client = twinned();
    let command = on_twin(&client.dma(1, A, 8));
    assert_eq!(dma_command(&command), ("DMA_WRITE".to_owned(), A, 8));
    assert!(client.receive(write_reply(&command), Vec::new()).is_empty());
    assert_eq!(client.dma_status(), BUSY, "it is not awaited on the main socket");
    assert!(say_on_twin(&mut client, write_reply(&command)).is_empty());
    assert_eq!(client.dma_status(), DONE);
}

#[test]
fn a_clients_command_does_not_belong_there() {
    let mut client = twinned();
    let command = client.command("DEVICE_RESET", &[]);
    let effects = say_on_twin(&mut client, command);
    assert!(on_twin(&effects).header.is_error());
}

#[test]
fn its_end_ends_what_waits_and_no_more() {
    let mut client = twinned();
    on_twin(&client.dma(1, A, 8));
    client.server.twin_ended();
    assert_eq!(client.dma_status(), FAILED);
    assert!(client.dma(1, A, 8).is_empty());
    assert_eq!(client.dma_status(), FAILED);
    client.map_fd(2 * A, 0x1000, 3);
    assert!(client.dma(1, 2 * A, 8).is_empty());
    assert_eq!(client.dma_status(), DONE);
}

#[test]
fn the_next_client_has_none() {
    let mut client = twinned();
    client.reconnect();
    client.map(A, 0x1000, 3);
    let [Effect::Send { channel: Channel::Main, .. }] = client.dma(1, A, 8).as_slice() else {
        panic!("another socket")
    };
}
