//! DMA by the device (specification 1394-1472, and docs/conformance-device.md).

use pretty_assertions::assert_eq;
use vfio_user_reference_server::Effect;
use vfio_user_wire::message::{DmaAccess, DmaWriteReply};
use vfio_user_wire::{Frame, Header};

use crate::client::{BUSY, Client, DMA_COMMAND, DONE, FAILED, IDLE, command, dma_command, dma_unmap};

const A: u64 = 0x10_0000;
const RESULT: u64 = 0x4000;

fn read_reply(address: u64, data: &[u8]) -> Vec<u8> {
    [DmaAccess { address, count: data.len() as u64 }.bytes(), data].concat()
}

/// A client with one page of memory without a descriptor, and the DMA_READ of 16 bytes of it.
fn reading() -> (Client, Frame) {
    let mut client = Client::new();
    client.map(A, 0x1000, 3);
    let frame = command(&client.dma(2, A, 16));
    assert_eq!(dma_command(&frame), ("DMA_READ".to_owned(), A, 16));
    (client, frame)
}

#[test]
fn memory_with_a_descriptor_is_copied_at_once() {
    let mut client = Client::new();
    client.map_fd(A, 0x1000, 3);
    assert!(client.dma(1, A + 8, 8).is_empty());
    assert_eq!(client.dma_status(), DONE);
    let bytes = &client.memory.maps[&A].bytes;
    assert_eq!((&bytes[..8], &bytes[8..16], bytes[16]), ([0; 8].as_slice(), [0xa5; 8].as_slice(), 0));
    assert!(client.dma(2, A + 4, 8).is_empty());
    assert_eq!(client.read(0, RESULT, 8), [0, 0, 0, 0, 0xa5, 0xa5, 0xa5, 0xa5]);
}

#[test]
fn memory_without_one_is_written_by_message() {
    let mut client = Client::new();
    client.map(A, 0x1000, 2);
    let frame = command(&client.dma(1, A + 8, 8));
    assert_eq!(dma_command(&frame), ("DMA_WRITE".to_owned(), A + 8, 8));
    assert_eq!(frame.payload[16..], [0xa5; 8]);
    assert_eq!(client.dma_status(), BUSY);
    assert!(client.answer(&frame, DmaAccess { address: A + 8, count: 8 }.bytes().to_vec()).is_empty());
    assert_eq!(client.dma_status(), DONE);
}

#[test]
fn a_write_may_be_confirmed_in_three_ways() {
    let wide = DmaAccess { address: A, count: 8 }.bytes().to_vec();
    let narrow = DmaWriteReply { address: A, count: 8 }.bytes().to_vec();
    for payload in [wide, narrow, Vec::new()] {
        let mut client = Client::new();
        client.map(A, 0x1000, 3);
        let frame = command(&client.dma(1, A, 8));
        client.answer(&frame, payload);
        assert_eq!(client.dma_status(), DONE);
    }
}

#[test]
fn memory_without_one_is_read_by_message() {
    let (mut client, frame) = reading();
    assert_eq!(frame.payload.len(), 16);
    assert!(client.answer(&frame, read_reply(A, b"0123456789abcdef")).is_empty());
    assert_eq!(client.dma_status(), DONE);
    assert_eq!(client.read(0, RESULT, 16), b"0123456789abcdef");
}

#[test]
fn a_message_moves_no_more_than_the_client_takes() {
    let mut client = Client::with(r#"{"max_data_xfer_size":4}"#);
    client.map(A, 0x1000, 3);
    let first = command(&client.dma(2, A, 10));
    let second = command(&client.answer(&first, read_reply(A, b"0123")));
    let third = command(&client.answer(&second, read_reply(A + 4, b"4567")));
    assert_eq!([&first, &second, &third].map(|frame| dma_command(frame).2), [4, 4, 2]);
    assert_eq!(dma_command(&third).1, A + 8);
    let [one, two, three] = [&first, &second, &third].map(|frame| frame.header.id);
    assert!(one != two && two != three);
    client.answer(&third, read_reply(A + 8, b"89"));
    assert_eq!(client.read(0, RESULT, 10), b"0123456789");
}

#[test]
fn a_message_moves_a_mebibyte_at_the_most() {
    for capabilities in ["{}", r#"{"max_data_xfer_size":4294967296}"#] {
        let mut client = Client::with(capabilities);
        client.map(A, 0x20_0000, 3);
        let frame = command(&client.dma(1, A, 0x18_0000));
        assert_eq!(dma_command(&frame).2, 0x10_0000);
        let frame = command(&client.answer(&frame, Vec::new()));
        assert_eq!(dma_command(&frame), ("DMA_WRITE".to_owned(), A + 0x10_0000, 0x8_0000));
    }
}

#[test]
fn a_range_may_span_adjacent_maps() {
    let mut client = Client::new();
    client.map_fd(A, 0x1000, 3);
    client.map(A + 0x1000, 0x1000, 3);
    client.map_fd(A + 0x2000, 0x1000, 3);
    let frame = command(&client.dma(1, A + 0xff8, 0x1010));
    assert_eq!(dma_command(&frame), ("DMA_WRITE".to_owned(), A + 0x1000, 0x1000));
    assert_eq!(client.memory.maps[&A].bytes[0xff7..], [0, 0xa5, 0xa5, 0xa5, 0xa5, 0xa5, 0xa5, 0xa5, 0xa5]);
    assert_eq!(client.memory.maps[&(A + 0x2000)].bytes[0], 0);
    client.answer(&frame, Vec::new());
    assert_eq!(client.memory.maps[&(A + 0x2000)].bytes[..9], [0xa5, 0xa5, 0xa5, 0xa5, 0xa5, 0xa5, 0xa5, 0xa5, 0]);
    assert_eq!(client.dma_status(), DONE);
}

#[test]
fn nothing_is_transferred_where_a_byte_is_out_of_reach() {
    let mut client = Client::new();
    client.map_fd(A, 0x1000, 1);
    client.map(A + 0x1000, 0x1000, 2);
    client.map(u64::MAX - 0xfff, 0x1000, 3);
    let out_of_reach = [
        (1, A, 8),            // not writeable
        (2, A + 0x1000, 8),   // not readable
        (2, A + 0xffc, 8),    // the second half is not readable
        (1, A - 4, 8),        // not mapped at its start
        (1, A + 0x1ffc, 8),   // not mapped at its end
        (2, u64::MAX - 3, 8), // past the last address
        (1, 0, 1),            // not mapped at all
        (2, A, 0x4001),       // more than the result window holds
        (1, A + 0x1000, 0x20_0001),
        (3, A, 8), // no such command
    ];
    for (direction, iova, length) in out_of_reach {
        assert!(client.dma(direction, iova, length).is_empty(), "{iova:#x} + {length}");
        assert_eq!(client.dma_status(), FAILED, "{iova:#x} + {length}");
    }
    assert_eq!(client.memory.maps[&A].bytes, [0; 0x1000]);
    let frame = command(&client.dma(2, u64::MAX - 3, 4));
    assert_eq!(dma_command(&frame).2, 4);
}

#[test]
fn a_truncated_file_fails_the_operation() {
    let mut client = Client::new();
    client.map_fd(A, 0x1000, 3);
    client.memory.truncated = true;
    for direction in [1, 2] {
        client.dma(direction, A, 8);
        assert_eq!(client.dma_status(), FAILED);
    }
}

#[test]
fn a_reply_that_lies_fails_the_operation() {
    let lies = [
        read_reply(A + 1, &[0; 16]),
        read_reply(A, &[0; 15]),
        read_reply(A, &[0; 17]),
        read_reply(A, &[0; 16])[..31].to_vec(),
        [read_reply(A, &[0; 16]), vec![0]].concat(),
        vec![0; 8],
        Vec::new(),
    ];
    for lie in lies {
        let (mut client, frame) = reading();
        assert!(client.answer(&frame, lie).is_empty());
        assert_eq!(client.dma_status(), FAILED);
        assert_eq!(client.read(0, RESULT, 16), [0; 16]);
    }
    let (mut client, frame) = reading();
    client.receive(Frame::error(&frame.header, 14), Vec::new());
    assert_eq!(client.dma_status(), FAILED);
    let (mut client, frame) = reading();
    let other = Header { command: 12, ..frame.header };
    client.answer(&Frame { header: other, payload: Vec::new() }, read_reply(A, &[0; 16]));
    assert_eq!(client.dma_status(), FAILED);
}

#[test]
fn a_write_confirmed_wrongly_fails() {
    let wide = |address, count| DmaAccess { address, count }.bytes().to_vec();
    let narrow = |address, count| DmaWriteReply { address, count }.bytes().to_vec();
    for lie in [wide(A, 7), wide(A + 1, 8), narrow(A, 9), narrow(0, 8), vec![0; 4]] {
        let mut client = Client::new();
        client.map(A, 0x1000, 3);
        let frame = command(&client.dma(1, A, 8));
        client.answer(&frame, lie);
        assert_eq!(client.dma_status(), FAILED);
    }
}

#[test]
fn a_reply_with_another_id_is_ignored() {
    let (mut client, frame) = reading();
    let other = Header { id: frame.header.id.wrapping_add(1), ..frame.header };
    assert!(client.answer(&Frame { header: other, payload: Vec::new() }, Vec::new()).is_empty());
    assert_eq!(client.dma_status(), BUSY);
    client.answer(&frame, read_reply(A, &[7; 16]));
    assert_eq!(client.dma_status(), DONE);
    assert!(client.answer(&frame, read_reply(A, &[8; 16])).is_empty());
    assert_eq!(client.read(0, RESULT, 1), [7]);
}

#[test]
fn the_doorbell_is_dead_while_the_engine_is_busy() {
    let (mut client, frame) = reading();
    assert!(client.write(0, DMA_COMMAND, &1u32.to_ne_bytes()).is_empty());
    client.answer(&frame, read_reply(A, &[7; 16]));
    assert_eq!(client.dma_status(), DONE);
}

#[test]
fn an_unmap_ends_what_is_under_way_in_the_map() {
    let (mut client, frame) = reading();
    client.map(A + 0x1000, 0x1000, 3);
    client.ok("DMA_UNMAP", &dma_unmap(A + 0x1000, 0x1000));
    assert_eq!(client.dma_status(), BUSY);
    client.ok("DMA_UNMAP", &dma_unmap(A, 0x1000));
    assert_eq!(client.dma_status(), FAILED);
    assert!(client.answer(&frame, read_reply(A, &[7; 16])).is_empty());
    assert_eq!(client.read(0, RESULT, 16), [0; 16]);
    assert_eq!(client.dma_status(), FAILED);
}

#[test]
fn a_reset_abandons_what_is_under_way_and_keeps_the_maps() {
    let (mut client, frame) = reading();
    client.ok("DEVICE_RESET", &[]);
    assert_eq!(client.dma_status(), IDLE);
    assert!(client.answer(&frame, read_reply(A, &[7; 16])).is_empty());
    assert_eq!(client.dma_status(), IDLE);
    assert!(matches!(client.dma(2, A, 16).as_slice(), [Effect::Send { .. }]));
}

#[test]
fn a_disconnect_fails_what_is_under_way() {
    let (mut client, _) = reading();
    client.reconnect();
    assert_eq!(client.dma_status(), FAILED);
}

#[test]
fn no_bytes_are_transferred_at_once() {
    let mut client = Client::new();
    assert!(client.dma(1, A, 0).is_empty());
    assert_eq!(client.dma_status(), DONE);
}
