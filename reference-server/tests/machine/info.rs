//! DEVICE_GET_INFO, DEVICE_GET_REGION_INFO, DEVICE_GET_IRQ_INFO (specification 706-932, 1099-1178).

use pretty_assertions::assert_eq;
use vfio_user_reference_server::{Effect, Errno};
use vfio_user_wire::message::{DeviceInfo, IrqInfo, RegionInfo};
use vfio_user_wire::{CapabilityBody, SparseArea, capabilities};

use crate::client::{Client, succeeded};

/// The region info, what follows it, and how many descriptors came with it.
fn region_info(client: &mut Client, index: u32, argsz: u32) -> (RegionInfo, Vec<u8>, usize) {
    let request = RegionInfo { argsz, index, ..RegionInfo::default() };
    let (request, effects) = client.send("DEVICE_GET_REGION_INFO", request.bytes(), Vec::new());
    let payload = succeeded(&request, &effects);
    let Some(Effect::Send { fds, .. }) = effects.last() else { panic!("no reply") };
    (RegionInfo::parse(&payload).unwrap().0, payload, fds.len())
}

#[test]
fn the_device_can_be_reset_and_is_pci() {
    for argsz in [16, 32, u32::MAX] {
        let request = DeviceInfo { argsz, ..DeviceInfo::default() };
        let reply = DeviceInfo { argsz: 16, flags: 3, num_regions: 9, num_irqs: 5 };
        assert_eq!(Client::new().ok("DEVICE_GET_INFO", request.bytes()), reply.bytes());
    }
}

#[test]
fn argsz_must_have_room_for_the_fixed_part() {
    let mut client = Client::new();
    let (device, irq) =
        (DeviceInfo { argsz: 15, ..DeviceInfo::default() }, IrqInfo { argsz: 15, ..IrqInfo::default() });
    let region = RegionInfo { argsz: 31, ..RegionInfo::default() };
    assert_eq!(client.refused("DEVICE_GET_INFO", device.bytes()), Errno::EINVAL as i32);
    assert_eq!(client.refused("DEVICE_GET_IRQ_INFO", irq.bytes()), Errno::EINVAL as i32);
    assert_eq!(client.refused("DEVICE_GET_REGION_INFO", region.bytes()), Errno::EINVAL as i32);
}

#[test]
fn every_region_is_described() {
    let mut client = Client::new();
    // Size, flags, descriptors.
    let expected = [
        (0x10000, 0b0011, 0),
        (0x10000, 0b1111, 1),
        (0x20_0000, 0b0111, 1),
        (0, 0, 0),
        (0x1000, 0b0001, 0),
        (0, 0, 0),
        (0, 0, 0),
        (256, 0b0011, 0),
        (0, 0, 0),
    ];
    for (index, expected) in (0..).zip(expected) {
        let (info, payload, fds) = region_info(&mut client, index, 4096);
        assert_eq!((info.size, info.flags, fds), expected, "region {index}");
        assert_eq!((info.index, info.argsz as usize), (index, payload.len()));
    }
    for index in [9, u32::MAX] {
        let request = RegionInfo { argsz: 32, index, ..RegionInfo::default() };
        assert_eq!(client.refused("DEVICE_GET_REGION_INFO", request.bytes()), Errno::EINVAL as i32);
    }
}

#[test]
fn bar1_says_which_areas_can_be_mapped() {
    let (info, payload, _) = region_info(&mut Client::new(), 1, 80);
    let chain = capabilities(&payload, info.cap_offset).unwrap();
    let areas = vec![SparseArea { offset: 0x1000, size: 0x2000 }, SparseArea { offset: 0x8000, size: 0x4000 }];
    assert_eq!(chain.len(), 1);
    assert_eq!((chain[0].offset, chain[0].version), (32, 1));
    assert_eq!(chain[0].body, CapabilityBody::SparseMmap { reserved: 0, areas });
}

#[test]
fn what_does_not_fit_is_left_out_and_counted() {
    for argsz in [32, 40, 79] {
        let (info, payload, fds) = region_info(&mut Client::new(), 1, argsz);
        assert_eq!((info.argsz, info.cap_offset, info.flags, payload.len(), fds), (80, 0, 0b0111, 32, 1));
    }
}

#[test]
fn a_client_that_takes_no_descriptors_maps_nothing() {
    let mut client = Client::with(r#"{"max_msg_fds":0}"#);
    let (info, payload, fds) = region_info(&mut client, 1, 4096);
    assert_eq!((info.argsz, info.cap_offset, info.flags, payload.len(), fds), (32, 0, 0b0011, 32, 0));
}

#[test]
fn a_client_that_says_nothing_takes_one_descriptor() {
    assert_eq!(region_info(&mut Client::with("{}"), 1, 4096).2, 1);
}

#[test]
fn every_interrupt_type_is_described() {
    let mut client = Client::new();
    for (index, (flags, count)) in (0..).zip([(0b0111, 1), (0b1001, 4), (0b0011, 32), (0b0001, 1), (0b0001, 1)]) {
        let request = IrqInfo { argsz: 16, index, ..IrqInfo::default() };
        let reply = IrqInfo { argsz: 16, flags, index, count };
        assert_eq!(client.ok("DEVICE_GET_IRQ_INFO", request.bytes()), reply.bytes());
    }
    for index in [5, u32::MAX] {
        let request = IrqInfo { argsz: 16, index, ..IrqInfo::default() };
        assert_eq!(client.refused("DEVICE_GET_IRQ_INFO", request.bytes()), Errno::EINVAL as i32);
    }
}
