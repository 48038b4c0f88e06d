//! DMA_READ and DMA_WRITE, whose count has 4 bytes (1341-1357, 1413-1465).

use pretty_assertions::assert_eq;
use vfio_user_wire::Frame;
use vfio_user_wire::tables::DmaAccess;

use super::{A, PAGE, entry, map, with};
use crate::client::{BUSY, Client, DONE, FAILED, command};

fn mapped() -> Client {
    let mut client = with("{}");
    map(&mut client, &[entry(A, 4 * PAGE, false)]);
    client
}

fn access(address: u64, count: u32) -> Vec<u8> {
    DmaAccess { address, count }.bytes().to_vec()
}

#[test]
fn a_read_brings_its_data_behind_12_bytes() {
    let mut client = mapped();
    let frame: Frame = command(&client.dma(2, A + 8, 4));
    assert_eq!((frame.header.command, frame.payload.clone()), (10, access(A + 8, 4)));
    assert_eq!(client.dma_status(), BUSY);
    assert!(client.answer(&frame, [access(A + 8, 4), b"data".to_vec()].concat()).is_empty());
    assert_eq!((client.dma_status(), client.read(0, 0x4000, 4)), (DONE, b"data".to_vec()));
}

#[test]
fn a_write_is_confirmed_with_a_count_of_0() {
    for (count, status) in [(0, DONE), (4, DONE), (3, FAILED)] {
        let mut client = mapped();
        let frame = command(&client.dma(1, A, 4));
        assert_eq!((frame.header.command, frame.payload.clone()), (11, [access(A, 4), vec![0xa5; 4]].concat()));
        client.answer(&frame, access(A, count));
        assert_eq!(client.dma_status(), status, "{count}");
    }
}

#[test]
fn no_message_is_longer_than_either_side_takes() {
    let mut client = mapped();
    let frame = command(&client.dma(1, A, 8192));
    assert_eq!(frame.bytes().len(), 4096);
    let frame = command(&client.answer(&frame, access(A, 0)));
    assert_eq!((frame.bytes().len(), frame.payload[..12].to_vec()), (4096, access(A + 4068, 4068)));
}
