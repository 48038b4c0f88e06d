//! The twin socket, as a real one.

use std::io::Write;
use std::net::Shutdown;
use std::os::unix::net::UnixStream;
use std::thread;

use pretty_assertions::assert_eq;
use vfio_user_reference_server::{Endpoint, serve};
use vfio_user_wire::Frame;
use vfio_user_wire::message::{DmaAccess, DmaMap, Version};

use crate::client::{Client, region_write};

const A: u64 = 0x10_0000;
const DMA_IOVA: u64 = 0x10;
const DMA_STATUS: u64 = 0x24;

/// A client with memory without a descriptor, and its twin socket.
fn served() -> (Client, Client) {
    let (near, far) = UnixStream::pair().unwrap();
    thread::spawn(move || serve(Endpoint::Fd(far.into()), None));
    let mut client = Client::on(near);
    let data = b"{\"capabilities\":{\"twin_socket\":{\"supported\":true}}}\0";
    let (_, fds) = client.call("VERSION", &[Version { major: 0, minor: 1 }.bytes(), data].concat(), &[]);
    let twin = UnixStream::from(fds.into_iter().next().expect("the end of a twin socket"));
    let map = DmaMap { argsz: 32, flags: 3, offset: 0, address: A, size: 0x1000 };
    client.ok("DMA_MAP", map.bytes(), &[]);
    (client, Client::on(twin))
}

/// The device writes 8 bytes.
fn ring(client: &mut Client) {
    let registers = [&A.to_ne_bytes()[..], &8u32.to_ne_bytes(), &1u32.to_ne_bytes(), &1u32.to_ne_bytes()].concat();
    client.ok("REGION_WRITE", &region_write(0, DMA_IOVA, &registers), &[]);
}

fn status(client: &mut Client) -> Vec<u8> {
    client.read(0, DMA_STATUS, 4)
}

#[test]
fn dma_goes_by_it() {
    let (mut client, mut twin) = served();
    ring(&mut client);
    let (command, fds) = twin.receive().unwrap();
    assert!(fds.is_empty() && !command.header.is_reply());
    assert_eq!(status(&mut client), 3u32.to_ne_bytes(), "busy");
    twin.send(&Frame::reply(&command.header, DmaAccess { address: A, count: 8 }.bytes().to_vec()), &[]);
    while status(&mut client) == 3u32.to_ne_bytes() {}
    assert_eq!(status(&mut client), 1u32.to_ne_bytes(), "done");
}

#[test]
fn what_is_no_message_ends_it_alone() {
    let (mut client, mut twin) = served();
    twin.stream.write_all(&[0; 16]).unwrap();
    assert!(twin.receive().is_none());
    ring(&mut client);
    assert_eq!(status(&mut client), 2u32.to_ne_bytes(), "failed");
}

#[test]
fn what_cannot_be_sent_on_it_has_failed() {
    let (mut client, twin) = served();
    twin.stream.shutdown(Shutdown::Read).unwrap();
    ring(&mut client);
    assert_eq!(status(&mut client), 2u32.to_ne_bytes(), "failed");
}

#[test]
fn it_is_closed_with_the_other() {
    let (client, mut twin) = served();
    drop(client);
    assert!(twin.receive().is_none());
}
