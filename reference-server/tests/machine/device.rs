//! The registers and the configuration space (docs/conformance-device.md).

use pretty_assertions::assert_eq;
use vfio_user_reference_server::Registers;

use crate::client::{Client, IRQ_INDEX};

#[test]
fn registers_have_their_reset_values() {
    let mut client = Client::new();
    let reset = Registers { magic: 0x5646_5543, ..Registers::default() };
    assert_eq!(client.read(0, 0, 0x4c), reset.bytes());
    client.write(0, 0x0, &[0xff; 0x20]);
    client.write(0, 0x24, &[0xff; 0xc]);
    client.write(0, 0x34, &[0xff; 0xc]);
    let (iova, length, pattern) = (u64::MAX, u32::MAX, u32::MAX);
    let written = Registers {
        events: 1,
        dma_iova: iova,
        dma_length: length,
        dma_pattern: pattern,
        irq_index: u32::MAX,
        irq_vector: u32::MAX,
        ..reset
    };
    assert_eq!(client.read(0, 0, 0x4c), written.bytes());
    client.write(0, 0x1000, b"scratch");
    client.write(1, 0x1000, b"bytes");
    client.write(2, 0x1000, b"bytes");
    client.write(7, 0x3c, &[9]);
    client.ok("DEVICE_RESET", &[]);
    assert_eq!(client.read(0, 0, 0x4c), reset.bytes());
    assert_eq!(client.read(0, 0x1000, 7), [0; 7]);
    assert_eq!(client.read(1, 0x1000, 5), [0; 5]);
    assert_eq!(client.read(2, 0x1000, 5), [0; 5]);
    assert_eq!(client.read(7, 0x3c, 1), [0]);
}

#[test]
fn events_are_counted_until_they_are_read() {
    let mut client = Client::new();
    for value in [1u32, 7, 0] {
        client.write(0, 0x08, &value.to_ne_bytes());
    }
    assert_eq!(client.read(0, 0, 4).len(), 4);
    assert_eq!(client.read(0, 8, 4), [0; 4]);
    assert_eq!(client.register(4), 2);
    assert_eq!(client.register(4), 0);
}

#[test]
fn a_kick_counts_whatever_is_written() {
    let mut client = Client::new();
    client.write(0, 0x40, &[0]);
    client.write(0, 0x47, &[7]);
    client.write(0, 0x4b, &[7]);
    assert_eq!(client.register(4), 3);
    client.write(0, 0x3c, &[0; 4]);
    client.write(0, 0x4c, &[0; 4]);
    assert_eq!(client.register(4), 0);
    client.write(0, 0x3f, &[1; 13]);
    assert_eq!((client.register(4), client.read(0, 0x40, 12)), (3, vec![0; 12]));
}

#[test]
fn triggers_are_counted_with_an_eventfd_or_without() {
    let mut client = Client::new();
    client.raise(2, 31);
    client.set_irqs(1 | 32, 2, 0, 3, &[], 0);
    assert_eq!((client.register(0x0c), client.register(0x34)), (4, 1));
    client.raise(2, 32);
    assert_eq!((client.register(0x0c), client.register(0x34)), (4, 2));
    client.raise(5, 0);
    assert_eq!(client.register(0x34), 2);
    assert_eq!(client.register(IRQ_INDEX), 5);
}

#[test]
fn the_mirror_shows_bar1_as_it_is() {
    let mut client = Client::new();
    client.write(1, 0x1000, b"mirrored?");
    assert_eq!(client.read(0, 0x38, 8), b"mirrored");
}

#[test]
fn an_access_may_cover_everything() {
    let mut client = Client::new();
    client.write(0, 0x1000, &[0x11; 0x2000]);
    let all = client.read(0, 0, 0x10000);
    assert_eq!(all[..4], 0x5646_5543u32.to_ne_bytes());
    assert_eq!(all[0xfff..0x1001], [0, 0x11]);
    assert_eq!(all[0x2fff..0x3001], [0x11, 0]);
    assert_eq!((all[0x800c], all[0x807c], all[0x8080]), (1, 1, 0));
    client.write(0, 0, &vec![0; 0x10000]);
    assert_eq!(client.read(0, 0x800c, 1), [0]);
    assert_eq!(client.read(0, 0, 4), 0x5646_5543u32.to_ne_bytes());
}

#[test]
fn configuration_space_keeps_its_read_only_bits() {
    let mut client = Client::new();
    client.write(7, 0, &[0xff; 256]);
    let config = client.read(7, 0, 256);
    let word = |at: usize| u32::from_le_bytes(config[at..at + 4].try_into().unwrap());
    assert_eq!([0x00, 0x04, 0x08, 0x2c].map(word), [0xc0f0_1234, 0x0010_0546, 0xff00_0001, 0xc0f0_1234]);
    let bars = [0x10, 0x14, 0x18, 0x1c, 0x20, 0x24, 0x30].map(word);
    assert_eq!(bars, [0xffff_0000, 0xffff_0000, 0xffe0_000c, !0, 0xffff_f000, 0, 0]);
    assert_eq!([0x34, 0x3c, 0x40, 0x44, 0x48, 0x4c].map(word), [0x40, 0x1ff, 0xf5_5005, !3, !0, 0xffff]);
    assert_eq!([0x50, 0x54, 0x58, 0x5c].map(word), [0xc01f_0011, 0x8000, 0x8800, 0]);
    assert!(config[0x60..].iter().all(|byte| *byte == 0));
}

#[test]
fn device_state_outlives_the_connection() {
    let mut client = Client::new();
    client.write(0, 0x1000, b"kept");
    client.write(2, 0, b"kept");
    client.write(0, 0x08, &1u32.to_ne_bytes());
    client.reconnect();
    assert_eq!((client.read(0, 0x1000, 4), client.read(2, 0, 4)), (b"kept".to_vec(), b"kept".to_vec()));
    assert_eq!(client.register(4), 1);
}
