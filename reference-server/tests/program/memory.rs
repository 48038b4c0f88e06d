//! Client memory, regions and eventfds as the kernel shares them.

use std::fs::File;
use std::io::Read;
use std::os::fd::AsRawFd;
use std::os::unix::fs::FileExt;
use std::os::unix::net::UnixStream;

use nix::errno::Errno;
use nix::fcntl::{FcntlArg, OFlag, SealFlag, fcntl};
use nix::sys::eventfd::{EfdFlags, EventFd};
use pretty_assertions::assert_eq;
use vfio_user_reference_server::Profile;
use vfio_user_wire::message::{DmaMap, DmaUnmap, IrqSet, RegionInfo, RegionIoFds};

use crate::client::{Client, memfd, served, served_by};

const A: u64 = 0x10_0000;
const DONE: u8 = 1;
const FAILED: u8 = 2;

fn seal(file: &File) -> Result<i32, Errno> {
    fcntl(file, FcntlArg::F_ADD_SEALS(SealFlag::F_SEAL_WRITE))
}

fn unmap(client: &mut Client, address: u64, size: u64) {
    let entry = DmaUnmap { argsz: 24, flags: 0, address, size };
    assert_eq!(client.ok("DMA_UNMAP", entry.bytes(), &[]), entry.bytes());
}

#[test]
fn the_device_reads_and_writes_client_memory() {
    let (mut client, _) = served();
    let file = memfd(0x4000);
    client.map(&file, 0x1000, A, 0x2000, 3);
    assert_eq!(client.dma(1, A + 0x10, 4), DONE);
    let mut bytes = [0; 6];
    file.read_exact_at(&mut bytes, 0x100f).unwrap();
    assert_eq!(bytes, [0, 0xa5, 0xa5, 0xa5, 0xa5, 0]);
    file.write_all_at(b"client", 0x1ffa).unwrap();
    assert_eq!(client.dma(2, A + 0xffa, 6), DONE);
    assert_eq!(client.read(0, 0x4000, 6), b"client");
}

#[test]
fn an_unmap_lets_go_of_the_file_before_its_reply() {
    let (mut client, _) = served();
    let file = memfd(0x1000);
    client.map(&file, 0, A, 0x1000, 3);
    assert_eq!(seal(&file), Err(Errno::EBUSY));
    unmap(&mut client, A, 0x1000);
    seal(&file).unwrap();
}

#[test]
fn a_disconnect_lets_go_of_everything() {
    let (mut client, server) = served();
    let file = memfd(0x1000);
    client.map(&file, 0, A, 0x1000, 3);
    let (near, mut far) = UnixStream::pair().unwrap();
    let set = IrqSet { argsz: 20, flags: 4 | 32, index: 2, start: 0, count: 1 };
    client.ok("DEVICE_SET_IRQS", set.bytes(), &[near.as_raw_fd()]);
    drop((near, client));
    server.join().unwrap().unwrap();
    seal(&file).unwrap();
    assert_eq!(far.read(&mut [0; 8]).unwrap(), 0);
}

#[test]
fn a_truncated_file_fails_the_operation_and_nothing_else() {
    let (mut client, _) = served();
    let file = memfd(0x10_0000);
    client.map(&file, 0, A, 0x10_0000, 3);
    file.set_len(0).unwrap();
    assert_eq!(client.dma(1, A, 0x10_0000), FAILED);
    assert_eq!(client.dma(2, A, 16), FAILED);
    file.set_len(0x1000).unwrap();
    assert_eq!(client.dma(1, A, 0x1001), FAILED);
    assert_eq!(client.dma(1, A, 0x1000), DONE);
}

#[test]
fn what_cannot_be_mapped_is_refused() {
    let (mut client, _) = served();
    let map = DmaMap { argsz: 32, flags: 3, offset: 0, address: A, size: 0x1000 };
    let (socket, _peer) = UnixStream::pair().unwrap();
    assert_eq!(client.refused("DMA_MAP", map.bytes(), &[socket.as_raw_fd()]), Errno::ENODEV as i32);
    let read_only = File::open("/proc/self/exe").unwrap();
    assert_eq!(client.refused("DMA_MAP", map.bytes(), &[read_only.as_raw_fd()]), Errno::EACCES as i32);
    let huge = DmaMap { size: 1 << 62, ..map };
    assert_eq!(client.refused("DMA_MAP", huge.bytes(), &[memfd(0x1000).as_raw_fd()]), Errno::ENOMEM as i32);
    client.map(&memfd(0x1000), 0, A, 0x1000, 3);
}

#[test]
fn a_mappable_region_is_the_same_by_message() {
    let (mut client, _) = served();
    for region in [1, 2] {
        let request = RegionInfo { argsz: 4096, index: region, ..RegionInfo::default() };
        let (reply, mut fds) = client.call("DEVICE_GET_REGION_INFO", request.bytes(), &[]);
        let (info, _) = RegionInfo::parse(&reply.payload).unwrap();
        let file = File::from(fds.pop().unwrap());
        client.write(region, 0x1000, b"by message");
        let mut bytes = [0; 10];
        file.read_exact_at(&mut bytes, info.offset + 0x1000).unwrap();
        assert_eq!(&bytes, b"by message");
        file.write_all_at(b"by mapping", info.offset + 0x1000).unwrap();
        assert_eq!(client.read(region, 0x1000, 10), b"by mapping");
        assert_eq!(file.set_len(0).unwrap_err().raw_os_error(), Some(Errno::EPERM as i32));
        assert_eq!(seal(&file), Err(Errno::EPERM));
    }
    assert_eq!(client.read(0, 0x38, 8), b"by mappi");
    client.ok("DEVICE_RESET", &[], &[]);
    assert_eq!(client.read(1, 0x1000, 10), [0; 10]);
}

/// A device of protocol 0.9.1, and the file behind the data of its migration region.
fn migrating(state: u32) -> (Client, File) {
    let mut client = served_by(Profile::V0_9_1);
    let request = RegionInfo { argsz: 4096, index: 9, ..RegionInfo::default() };
    let (reply, mut fds) = client.call("DEVICE_GET_REGION_INFO", request.bytes(), &[]);
    let (RegionInfo { offset, .. }, _) = RegionInfo::parse(&reply.payload).unwrap();
    assert_eq!(offset, 0);
    client.write(0, 0x1000, b"scratch");
    client.write(9, 0, &state.to_ne_bytes());
    (client, File::from(fds.pop().unwrap()))
}

#[test]
fn migration_data_goes_through_mappings() {
    let (mut one, source) = migrating(2);
    let (mut other, target) = migrating(4);
    other.write(0, 0x1000, b"another");
    loop {
        let register = |client: &mut Client, at| u64::from_ne_bytes(client.read(9, at, 8).try_into().unwrap());
        if register(&mut one, 8) == 0 {
            break;
        }
        let (offset, size) = (register(&mut one, 16), register(&mut one, 24));
        let mut data = vec![0; size as usize];
        source.read_exact_at(&mut data, offset).unwrap();
        assert_eq!(data, one.read(9, offset, size as u32));
        let offset = register(&mut other, 16);
        target.write_all_at(&data, offset).unwrap();
        other.write(9, 24, &size.to_ne_bytes());
    }
    other.write(9, 0, &1u32.to_ne_bytes());
    assert_eq!(other.read(0, 0x1000, 7), b"scratch");
}

#[test]
fn a_doorbell_rings_without_a_message() {
    let (mut client, _) = served();
    let request = RegionIoFds { argsz: 4096, ..RegionIoFds::default() };
    let (_, fds) = client.call("DEVICE_GET_REGION_IO_FDS", request.bytes(), &[]);
    let events = |client: &mut Client| u32::from_ne_bytes(client.read(0, 4, 4).try_into().unwrap());
    assert_eq!((fds.len(), events(&mut client)), (3, 0));
    for fd in &fds[..2] {
        nix::unistd::write(fd, &1u64.to_ne_bytes()).unwrap();
    }
    assert_eq!((events(&mut client), events(&mut client)), (2, 0));
    // A write of 4 bytes as a message: what is done, `user_data`, the offset, the data. A read, and what is none, count for nothing.
    let message = |first: u64| [first, 0x48, 0, 1].map(u64::to_ne_bytes).concat();
    for bytes in [message(0x21), message(0x21), message(0x20), vec![1; 31], vec![1; 33]] {
        nix::unistd::write(&fds[2], &bytes).unwrap();
    }
    assert_eq!((events(&mut client), events(&mut client)), (2, 0));
    // The open file is shared: the client may make it a nonblocking one, which changes nothing for the server.
    fcntl(&fds[0], FcntlArg::F_SETFL(OFlag::O_NONBLOCK)).unwrap();
    assert_eq!(events(&mut client), 0);
    nix::unistd::write(&fds[0], &(u64::MAX - 1).to_ne_bytes()).unwrap();
    assert_eq!(events(&mut client), u32::MAX - 1);
}

/// An eventfd on MSI-X 0.
fn assigned(client: &mut Client, eventfd: &EventFd) {
    let set = IrqSet { argsz: 20, flags: 4 | 32, index: 2, start: 0, count: 1 };
    client.ok("DEVICE_SET_IRQS", set.bytes(), &[eventfd.as_raw_fd()]);
}

fn raise(client: &mut Client) {
    let registers: Vec<u8> = [2u32, 0, 1].iter().flat_map(|value| value.to_ne_bytes()).collect();
    client.write(0, 0x28, &registers);
}

#[test]
fn an_interrupt_is_signalled_before_the_reply() {
    let (mut client, _) = served();
    let eventfd = EventFd::from_flags(EfdFlags::EFD_NONBLOCK).unwrap();
    assigned(&mut client, &eventfd);
    for _ in 0..3 {
        raise(&mut client);
    }
    assert_eq!(eventfd.read().unwrap(), 3);
}

#[test]
fn a_full_eventfd_blocks_nobody() {
    let (mut client, _) = served();
    let eventfd = EventFd::from_flags(EfdFlags::empty()).unwrap();
    assigned(&mut client, &eventfd);
    eventfd.write(u64::MAX - 1).unwrap();
    raise(&mut client);
    assert_eq!(eventfd.read().unwrap(), u64::MAX - 1);
    raise(&mut client);
    assert_eq!(eventfd.read().unwrap(), 1);
}

#[test]
fn an_eventfd_may_be_a_socket_or_a_pipe() {
    let (mut client, _) = served();
    let set = IrqSet { argsz: 20, flags: 4 | 32, index: 2, start: 0, count: 1 };
    let (near, mut far) = UnixStream::pair().unwrap();
    client.ok("DEVICE_SET_IRQS", set.bytes(), &[near.as_raw_fd()]);
    raise(&mut client);
    let mut one = [0; 8];
    far.read_exact(&mut one).unwrap();
    assert_eq!(u64::from_ne_bytes(one), 1);
    drop(far);
    raise(&mut client);

    let (mut reader, writer) = std::io::pipe().unwrap();
    client.ok("DEVICE_SET_IRQS", set.bytes(), &[writer.as_raw_fd()]);
    raise(&mut client);
    reader.read_exact(&mut one).unwrap();
    assert_eq!(u64::from_ne_bytes(one), 1);
    drop(reader);
    raise(&mut client);
    client.ok("DEVICE_RESET", &[], &[]);
}
