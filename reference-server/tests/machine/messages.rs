//! What all messages share: the header, No_reply, sizes (specification 242-265, 334-459).

use pretty_assertions::assert_eq;
use vfio_user_reference_server::{Effect, Errno, Machine};
use vfio_user_wire::message::{DeviceInfo, RegionAccess};
use vfio_user_wire::{Frame, Header, NO_REPLY, TYPE_REPLY};

use crate::client::{Client, dma_map, dma_unmap, failed, region_write};

fn info() -> Vec<u8> {
    DeviceInfo { argsz: 16, ..DeviceInfo::default() }.bytes().to_vec()
}

#[test]
fn unknown_and_unassigned_commands_are_not_implemented() {
    let mut client = Client::new();
    for number in [0, 14, 19, 999, 0xffff] {
        let frame = Frame::command(7, number, vec![0; 4096]);
        let request = frame.header;
        let effects = client.receive(frame, Vec::new());
        let [Effect::Send { frame, .. }] = effects.as_slice() else { panic!("{effects:?}") };
        assert_eq!(failed(&request, frame), Errno::ENOSYS as i32);
    }
}

#[test]
fn a_client_may_not_send_the_servers_commands() {
    let mut client = Client::new();
    assert_eq!(client.refused("DMA_READ", &[0; 16]), Errno::EINVAL as i32);
    assert_eq!(client.refused("DMA_WRITE", &[0; 16]), Errno::EINVAL as i32);
}

#[test]
fn a_reply_to_nothing_is_ignored() {
    let mut client = Client::new();
    let mut frame = client.command("DEVICE_GET_INFO", &info());
    frame.header.flags = TYPE_REPLY;
    assert!(client.receive(frame, Vec::new()).is_empty());
}

#[test]
fn undefined_types_are_refused() {
    let mut client = Client::new();
    for kind in 2..=15 {
        let mut frame = client.command("DEVICE_GET_INFO", &info());
        frame.header.flags = kind;
        let request = frame.header;
        let effects = client.receive(frame, Vec::new());
        let [Effect::Send { frame, .. }] = effects.as_slice() else { panic!("{effects:?}") };
        assert_eq!(failed(&request, frame), Errno::EINVAL as i32);
    }
}

#[test]
fn the_error_field_of_a_command_means_nothing() {
    let mut client = Client::new();
    let mut frame = client.command("DEVICE_GET_INFO", &info());
    frame.header.flags |= 0x20;
    frame.header.error = 77;
    let request = frame.header;
    let effects = client.receive(frame, Vec::new());
    assert_eq!(crate::client::succeeded(&request, &effects).len(), 16);
}

#[test]
fn no_reply_means_none_and_the_command_is_executed() {
    let mut client = Client::new();
    assert!(client.post("REGION_WRITE", &region_write(0, 0x1000, b"posted")).is_empty());
    assert_eq!(client.read(0, 0x1000, 6), b"posted");
    assert!(client.post("REGION_WRITE", &region_write(8, 0, b"posted")).is_empty());
    assert!(client.post("DEVICE_GET_INFO", &[]).is_empty());
    assert!(client.post("DMA_MAP", &dma_map(0, 0x1000, 3)).is_empty());
    client.ok("DMA_UNMAP", &dma_unmap(0, 0x1000));
    let unknown =
        Frame { header: Header { flags: NO_REPLY, ..Frame::command(1, 999, Vec::new()).header }, payload: Vec::new() };
    assert!(client.receive(unknown, Vec::new()).is_empty());
}

#[test]
fn a_posted_read_has_its_side_effect() {
    let mut client = Client::new();
    client.write(0, 0x08, &1u32.to_ne_bytes());
    client.write(0, 0x08, &1u32.to_ne_bytes());
    assert!(client.post("REGION_READ", RegionAccess { offset: 4, region: 0, count: 4 }.bytes()).is_empty());
    assert_eq!(client.register(4), 0);
}

#[test]
fn surplus_payload_is_ignored_and_short_payload_refused() {
    let mut client = Client::new();
    assert_eq!(client.ok("DEVICE_GET_INFO", &[info(), vec![0xff; 4064]].concat()).len(), 16);
    assert!(client.ok("DEVICE_RESET", &[0xff; 16]).is_empty());
    let short = [
        ("DMA_MAP", 31),
        ("DMA_UNMAP", 23),
        ("DEVICE_GET_INFO", 15),
        ("DEVICE_GET_REGION_INFO", 31),
        ("DEVICE_GET_IRQ_INFO", 15),
        ("DEVICE_SET_IRQS", 19),
        ("REGION_READ", 15),
        ("REGION_WRITE", 15),
    ];
    for (name, size) in short {
        assert_eq!(client.refused(name, &vec![0xff; size]), Errno::EINVAL as i32, "{name}");
        assert_eq!(client.refused(name, &[]), Errno::EINVAL as i32, "{name}");
    }
}

#[test]
fn a_lying_size_ends_the_connection() {
    let mut client = Client::new();
    let header = Header { id: 9, command: 4, size: 15, flags: 0, error: 0 };
    let mut effects = Vec::new();
    client.server.refuse(&header, &mut effects);
    let [Effect::Send { frame, .. }, Effect::Close] = effects.as_slice() else { panic!("{effects:?}") };
    assert_eq!(failed(&header, frame), Errno::EINVAL as i32);

    let mut effects = Vec::new();
    client.server.refuse(&Header { flags: TYPE_REPLY, ..header }, &mut effects);
    assert!(matches!(effects.as_slice(), [Effect::Close]));
}
