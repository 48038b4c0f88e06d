//! A client on a real socket, with a deadline on every read.

use std::fs::File;
use std::io::{IoSlice, IoSliceMut, Write};
use std::os::fd::{AsFd, AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::os::unix::net::UnixStream;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use nix::cmsg_space;
use nix::errno::Errno;
use nix::sys::memfd::{MFdFlags, memfd_create};
use nix::sys::socket::{ControlMessage, ControlMessageOwned, MsgFlags, recvmsg, sendmsg};
use vfio_user_reference_server::{Endpoint, HostMemory, ServeError, Server, Settings, serve, serve_with};
use vfio_user_wire::message::{DmaMap, RegionAccess, Version};
use vfio_user_wire::{Frame, HEADER_SIZE, Header, V0_9_2};

pub(crate) struct Client {
    pub(crate) stream: UnixStream,
    next_id: u16,
}

/// A thread that serves the other end of a socket pair.
pub(crate) fn served() -> (Client, JoinHandle<Result<(), ServeError>>) {
    let (near, far) = UnixStream::pair().unwrap();
    let server = thread::spawn(move || serve(Endpoint::Fd(far.into()), None));
    let mut client = Client::on(near);
    client.negotiate();
    (client, server)
}

/// The same with another server than the one by default, whose commands have the same numbers.
pub(crate) fn served_by(settings: impl Into<Settings>) -> Client {
    let (near, far) = UnixStream::pair().unwrap();
    let mut server = Server::with(settings);
    thread::spawn(move || serve_with(&mut server, &mut HostMemory::new().unwrap(), Endpoint::Fd(far.into()), None));
    let mut client = Client::on(near);
    client.negotiate();
    client
}

impl Client {
    pub(crate) fn on(stream: UnixStream) -> Client {
        stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        Client { stream, next_id: 0 }
    }

    pub(crate) fn negotiate(&mut self) {
        let data = b"{\"capabilities\":{\"max_msg_fds\":8}}\0";
        self.ok("VERSION", &[Version { major: 0, minor: 1 }.bytes(), data].concat(), &[]);
    }

    pub(crate) fn command(&mut self, name: &str, payload: &[u8]) -> Frame {
        self.next_id += 1;
        Frame::command(self.next_id, V0_9_2.command(name).unwrap().0, payload.to_vec())
    }

    pub(crate) fn send(&mut self, frame: &Frame, fds: &[RawFd]) {
        let bytes = frame.bytes();
        let rights = [ControlMessage::ScmRights(fds)];
        let control = if fds.is_empty() { &[] } else { rights.as_slice() };
        let iov = [IoSlice::new(&bytes)];
        let sent = sendmsg::<()>(self.stream.as_raw_fd(), &iov, control, MsgFlags::empty(), None).unwrap();
        self.stream.write_all(&bytes[sent..]).unwrap();
    }

    /// The next message and its descriptors; `None` at the end.
    pub(crate) fn receive(&mut self) -> Option<(Frame, Vec<OwnedFd>)> {
        let (mut bytes, mut fds) = (Vec::new(), Vec::new());
        loop {
            let wanted = Header::parse(&bytes).map_or(HEADER_SIZE, |(header, _)| header.size as usize);
            if bytes.len() >= HEADER_SIZE && bytes.len() == wanted {
                return Some((Frame::split(&bytes, usize::MAX).unwrap().unwrap().0, fds));
            }
            let mut chunk = vec![0; wanted - bytes.len()];
            let mut control = cmsg_space!([RawFd; 16]);
            let mut iov = [IoSliceMut::new(&mut chunk)];
            let flags = MsgFlags::MSG_CMSG_CLOEXEC;
            let received = match recvmsg::<()>(self.stream.as_raw_fd(), &mut iov, Some(&mut control), flags) {
                // A socket with a deadline is not read again by itself.
                Err(Errno::EINTR) => continue,
                received => received.unwrap(),
            };
            let count = received.bytes;
            for message in received.cmsgs().unwrap() {
                if let ControlMessageOwned::ScmRights(raw) = message {
                    // SAFETY: the kernel just made them for this process.
                    fds.extend(raw.into_iter().map(|raw| unsafe { OwnedFd::from_raw_fd(raw) }));
                }
            }
            if count == 0 {
                assert!(bytes.is_empty(), "the end came inside a message");
                return None;
            }
            bytes.extend(&chunk[..count]);
        }
    }

    /// The reply to that command.
    pub(crate) fn reply(&mut self, request: &Frame) -> (Frame, Vec<OwnedFd>) {
        let (reply, fds) = self.receive().expect("a reply");
        let [asked, answered] = [&request.header, &reply.header].map(|header| (header.id, header.command));
        assert_eq!((asked, true), (answered, reply.header.is_reply()));
        (reply, fds)
    }

    pub(crate) fn call(&mut self, name: &str, payload: &[u8], fds: &[RawFd]) -> (Frame, Vec<OwnedFd>) {
        let request = self.command(name, payload);
        self.send(&request, fds);
        self.reply(&request)
    }

    pub(crate) fn ok(&mut self, name: &str, payload: &[u8], fds: &[RawFd]) -> Vec<u8> {
        let (reply, _) = self.call(name, payload, fds);
        assert!(!reply.header.is_error(), "{name} failed: {:?}", reply.header);
        reply.payload
    }

    pub(crate) fn refused(&mut self, name: &str, payload: &[u8], fds: &[RawFd]) -> i32 {
        let (reply, _) = self.call(name, payload, fds);
        assert!(reply.header.is_error(), "{name} succeeded");
        reply.header.error as i32
    }

    pub(crate) fn read(&mut self, region: u32, offset: u64, count: u32) -> Vec<u8> {
        self.ok("REGION_READ", RegionAccess { offset, region, count }.bytes(), &[])[16..].to_vec()
    }

    pub(crate) fn write(&mut self, region: u32, offset: u64, data: &[u8]) {
        self.ok("REGION_WRITE", &region_write(region, offset, data), &[]);
    }

    /// Makes the device do DMA and says how it went.
    pub(crate) fn dma(&mut self, command: u32, iova: u64, length: u32) -> u8 {
        let mut registers = iova.to_ne_bytes().to_vec();
        registers.extend([length, 0xa5, command].iter().flat_map(|value| value.to_ne_bytes()));
        self.write(0, 0x10, &registers);
        u32::from_ne_bytes(self.read(0, 0x24, 4).try_into().unwrap()) as u8
    }

    pub(crate) fn map(&mut self, fd: &impl AsFd, offset: u64, address: u64, size: u64, flags: u32) {
        let map = DmaMap { argsz: 32, flags, offset, address, size };
        self.ok("DMA_MAP", map.bytes(), &[fd.as_fd().as_raw_fd()]);
    }
}

pub(crate) fn region_write(region: u32, offset: u64, data: &[u8]) -> Vec<u8> {
    [RegionAccess { offset, region, count: data.len() as u32 }.bytes(), data].concat()
}

/// Client memory.
pub(crate) fn memfd(size: u64) -> File {
    let fd = memfd_create(c"client", MFdFlags::MFD_CLOEXEC | MFdFlags::MFD_ALLOW_SEALING).unwrap();
    let file = File::from(fd);
    file.set_len(size).unwrap();
    file
}
