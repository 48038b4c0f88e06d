//! The stream: cut, joined, crowded, abandoned.

use std::io::Write;
use std::net::Shutdown;
use std::os::fd::AsRawFd;
use std::os::unix::net::{UnixListener, UnixStream};
use std::thread;

use nix::errno::Errno;
use pretty_assertions::assert_eq;
use vfio_user_reference_server::{Endpoint, serve};
use vfio_user_wire::message::{DeviceInfo, DmaAccess, DmaMap, RegionAccess};
use vfio_user_wire::{Frame, Header, NO_REPLY, V0_9_2};

use crate::client::{Client, memfd, region_write, served};

fn info() -> Vec<u8> {
    DeviceInfo { argsz: 16, ..DeviceInfo::default() }.bytes().to_vec()
}

#[test]
fn a_message_may_come_byte_by_byte() {
    let (mut client, _) = served();
    let request = client.command("REGION_WRITE", &region_write(0, 0x1000, b"in pieces"));
    for byte in request.bytes() {
        client.stream.write_all(&[byte]).unwrap();
    }
    client.reply(&request);
    assert_eq!(client.read(0, 0x1000, 9), b"in pieces");
}

#[test]
fn many_messages_may_come_in_one_piece() {
    let (mut client, _) = served();
    let requests: Vec<Frame> = (0..100).map(|_| client.command("DEVICE_GET_INFO", &info())).collect();
    client.stream.write_all(&requests.iter().flat_map(Frame::bytes).collect::<Vec<u8>>()).unwrap();
    for request in requests {
        client.reply(&request);
    }
}

#[test]
fn descriptors_belong_to_the_message_that_they_came_with() {
    let (mut client, _) = served();
    let plain = client.command("DEVICE_GET_INFO", &info());
    let file = memfd(0x1000);
    let map = DmaMap { argsz: 32, flags: 3, offset: 0, address: 0, size: 0x1000 };
    let map = client.command("DMA_MAP", map.bytes());
    client.send(&plain, &[]);
    client.send(&map, &[file.as_raw_fd()]);
    client.send(&plain, &[]);
    for request in [&plain, &map, &plain] {
        assert!(!client.reply(request).0.header.is_error());
    }
    assert_eq!(client.dma(1, 0, 8), 1);
    let many = vec![file.as_raw_fd(); 253];
    client.ok("DEVICE_GET_INFO", &info(), &many);
}

#[test]
fn the_largest_transfers_pass() {
    let (mut client, _) = served();
    let data: Vec<u8> = (0..1u32 << 18).flat_map(u32::to_ne_bytes).collect();
    client.write(2, 0, &data);
    assert_eq!(client.read(2, 0, 1 << 20), data);
    let too_much = region_write(2, 0, &vec![0; (1 << 20) + 1]);
    assert_eq!(client.refused("REGION_WRITE", &too_much, &[]), Errno::EINVAL as i32);
    client.ok("DEVICE_RESET", &[], &[]);
}

#[test]
fn a_lying_size_is_refused_and_the_connection_ends() {
    for size in [0, 15, 0x8000_0000, u32::MAX] {
        let (mut client, server) = served();
        let header = Header { id: 77, command: 4, size, flags: 0, error: 0 };
        client.send(&Frame { header, payload: vec![0; 100] }, &[]);
        let (reply, _) = client.receive().unwrap();
        assert_eq!((reply.header.size, reply.header.flags, reply.payload.len()), (16, 0x21, 0));
        assert!(client.receive().is_none());
        server.join().unwrap().unwrap();
    }
}

#[test]
fn commands_are_served_while_a_dma_message_is_outstanding() {
    let (mut client, _) = served();
    let map = DmaMap { argsz: 32, flags: 3, offset: 0, address: 0x1000, size: 0x1000 };
    client.ok("DMA_MAP", map.bytes(), &[]);
    let registers = [0x1000u64.to_ne_bytes().as_slice(), &4u32.to_ne_bytes(), &[0; 4], &2u32.to_ne_bytes()].concat();
    client.write(0, 0x10, &registers);
    let (command, _) = client.receive().unwrap();
    assert_eq!(V0_9_2.name_of(command.header.command), "DMA_READ");
    assert_eq!(command.payload, DmaAccess { address: 0x1000, count: 4 }.bytes());
    assert_eq!(client.read(0, 0x24, 4), 3u32.to_ne_bytes());
    let data = [DmaAccess { address: 0x1000, count: 4 }.bytes(), b"data"].concat();
    client.send(&Frame::reply(&command.header, data), &[]);
    assert_eq!(client.read(0, 0x24, 4), 1u32.to_ne_bytes());
    assert_eq!(client.read(0, 0x4000, 4), b"data");
}

#[test]
fn a_half_closed_client_gets_its_answers() {
    let (mut client, server) = served();
    let request = client.command("DEVICE_GET_INFO", &info());
    client.send(&request, &[]);
    client.stream.shutdown(Shutdown::Write).unwrap();
    client.reply(&request);
    assert!(client.receive().is_none());
    server.join().unwrap().unwrap();
}

#[test]
fn a_client_that_never_reads_is_left_and_the_next_is_served() {
    let path = std::env::temp_dir().join(format!("reference-server-{}-next", std::process::id()));
    let listener = UnixListener::bind(&path).unwrap();
    let (stop, stopped) = UnixStream::pair().unwrap();
    let server = thread::spawn(move || {
        use std::os::fd::AsFd;
        serve(Endpoint::Fd(listener.into()), Some(stopped.as_fd()))
    });

    let mut client = Client::on(UnixStream::connect(&path).unwrap());
    client.negotiate();
    client.stream.set_nonblocking(true).unwrap();
    let read = RegionAccess { offset: 0, region: 2, count: 0x10000 };
    let read = client.command("REGION_READ", read.bytes()).bytes();
    // Until the server takes no more.
    while client.stream.write(&read).is_ok_and(|count| count == read.len()) {}
    drop(client);

    let mut client = Client::on(UnixStream::connect(&path).unwrap());
    client.negotiate();
    client.write(0, 0x1000, b"kept");
    // What a client posted before it left is done, even where its replies found nobody.
    let unread = client.command("REGION_READ", RegionAccess { offset: 0, region: 2, count: 1 << 20 }.bytes());
    client.send(&unread, &[]);
    let mut posted = client.command("REGION_WRITE", &region_write(0, 0x1004, b"posted"));
    posted.header.flags |= NO_REPLY;
    client.send(&posted, &[]);
    client.stream.write_all(&[1; 7]).unwrap();
    drop(client);

    let mut client = Client::on(UnixStream::connect(&path).unwrap());
    client.negotiate();
    assert_eq!(client.read(0, 0x1000, 10), b"keptposted");
    drop(stop);
    server.join().unwrap().unwrap();
    assert!(client.receive().is_none());
    std::fs::remove_file(&path).unwrap();
}
