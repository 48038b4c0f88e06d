//! DEVICE_GET_REGION_IO_FDS (specification 935-1097), and the doorbells behind its descriptors
//! (docs/conformance-device.md).

use std::os::fd::OwnedFd;
use std::sync::Arc;

use pretty_assertions::assert_eq;
use vfio_user_reference_server::{Effect, Errno, Feature, Server, Without};
use vfio_user_wire::message::RegionIoFds;
use vfio_user_wire::{IoEventFd, IoRegionFd, SubRegion, SubRegions};

use crate::client::{Client, succeeded};

const NAME: &str = "DEVICE_GET_REGION_IO_FDS";
const EVENTS: u64 = 4;

fn request(argsz: u32, index: u32) -> RegionIoFds {
    RegionIoFds { argsz, index, ..RegionIoFds::default() }
}

/// What BAR0 is said to have, and the descriptors.
fn io_fds(client: &mut Client, argsz: u32) -> (RegionIoFds, Vec<SubRegion<'static>>, Vec<Arc<OwnedFd>>) {
    let (header, effects) = client.send(NAME, request(argsz, 0).bytes(), Vec::new());
    let payload = succeeded(&header, &effects);
    let Some(Effect::Send { fds, .. }) = effects.last() else { panic!("no reply") };
    let (info, tail) = RegionIoFds::parse(&payload).unwrap();
    let known = SubRegions::new(tail, 40, info.count).map(|sub_region| match sub_region {
        SubRegion::IoEventFd(event) => SubRegion::IoEventFd(event),
        SubRegion::IoRegionFd(region) => SubRegion::IoRegionFd(region),
        other => panic!("{other:?}"),
    });
    (info, known.collect(), fds.clone())
}

/// A reply about `count` sub-regions.
fn info(count: u32) -> RegionIoFds {
    RegionIoFds { argsz: 16 + 40 * count, flags: 0, index: 0, count }
}

#[test]
fn four_sub_regions_have_three_descriptors() {
    let mut client = Client::new();
    let (reply, known, fds) = io_fds(&mut client, u32::MAX);
    let any = |offset| SubRegion::IoEventFd(IoEventFd { offset, fd_index: 1, ..IoEventFd::default() });
    let one = SubRegion::IoEventFd(IoEventFd { offset: 8, size: 4, flags: 1, datamatch: 1, ..IoEventFd::default() });
    let posted = IoRegionFd { offset: 0x48, fd_index: 2, kind: 1, flags: 2, user_data: 0x48, ..IoRegionFd::default() };
    let posted = SubRegion::IoRegionFd(posted);
    assert_eq!((reply, known, fds.len()), (info(4), vec![one, any(0x40), any(0x44), posted], 3));
    let (_, _, again) = io_fds(&mut client, 176);
    assert!(fds.iter().zip(&again).all(|(one, other)| Arc::ptr_eq(one, other)));
}

#[test]
fn what_does_not_fit_is_left_out() {
    let mut client = Client::new();
    for argsz in [16, 56, 175] {
        let (reply, known, fds) = io_fds(&mut client, argsz);
        assert_eq!((reply, known.len(), fds.len()), (info(4), 0, 0));
    }
    for argsz in [0, 15] {
        assert_eq!(client.refused(NAME, request(argsz, 0).bytes()), Errno::EINVAL as i32);
    }
}

#[test]
fn a_client_is_told_of_what_it_can_take() {
    let mut client = Client::with(r#"{"max_msg_fds":1}"#);
    let (reply, known, fds) = io_fds(&mut client, 4096);
    assert_eq!((reply, known.len(), fds.len()), (info(1), 1, 1));
    let mut client = Client::with(r#"{"max_msg_fds":0}"#);
    assert_eq!(client.refused(NAME, request(4096, 0).bytes()), Errno::ENOTSUP as i32);
}

#[test]
fn what_a_client_must_not_ask_is_refused() {
    let mut client = Client::new();
    for wrong in [
        RegionIoFds { flags: 1, ..request(4096, 0) },
        RegionIoFds { count: 1, ..request(4096, 0) },
        request(4096, 9),
        request(4096, u32::MAX),
    ] {
        assert_eq!(client.refused(NAME, wrong.bytes()), Errno::EINVAL as i32);
    }
    assert_eq!(client.refused(NAME, &request(4096, 0).bytes()[..12]), Errno::EINVAL as i32);
    for without in [1, 2, 3, 8] {
        assert_eq!(client.refused(NAME, request(4096, without).bytes()), Errno::ENOTSUP as i32);
    }
    client.server = Server::with(Without::from_iter([Feature::IoFds]));
    client.reconnect();
    assert_eq!(client.refused(NAME, request(4096, 0).bytes()), Errno::ENOSYS as i32);
}

#[test]
fn what_rings_is_an_event() {
    let mut client = Client::new();
    io_fds(&mut client, 4096);
    client.memory.doorbells[0].1 = 1;
    assert_eq!((client.register(EVENTS), client.register(EVENTS)), (1, 0));
    client.memory.doorbells[0].1 = 2;
    client.memory.doorbells[1].1 = 3;
    client.memory.doorbells[2].1 = 4;
    client.write(0, 0x08, &1u32.to_ne_bytes());
    assert_eq!(client.register(EVENTS), 10);
    client.memory.doorbells[1].1 = 1;
    client.ok("DEVICE_RESET", &[]);
    assert_eq!(client.register(EVENTS), 0);
}

#[test]
fn a_client_that_left_rings_nothing() {
    let mut client = Client::new();
    let (_, _, fds) = io_fds(&mut client, 4096);
    client.reconnect();
    client.memory.doorbells[0].1 = 1;
    assert_eq!(client.register(EVENTS), 0);
    let (_, _, new) = io_fds(&mut client, 4096);
    assert!(!Arc::ptr_eq(&fds[0], &new[0]));
}
