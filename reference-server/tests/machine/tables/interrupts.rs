//! Interrupts by message (169-171, 1467-1502).

use pretty_assertions::assert_eq;
use vfio_user_reference_server::{Effect, Errno};
use vfio_user_wire::irq_set_flags::{ACTION_MASK, ACTION_TRIGGER, ACTION_UNMASK, DATA_EVENTFD, DATA_NONE};

use super::with;
use crate::client::{Client, IRQ_INDEX, irq_set};

/// The sub-indexes that were raised by message when the device raised an interrupt.
fn raised(client: &mut Client, index: u32, vector: u32) -> Vec<Vec<u8>> {
    let registers: Vec<u8> = [index, vector, 1].iter().flat_map(|value| value.to_ne_bytes()).collect();
    by_message(&client.write(0, IRQ_INDEX, &registers))
}

fn by_message(effects: &[Effect]) -> Vec<Vec<u8>> {
    let payload = |effect: &Effect| match effect {
        Effect::Send { frame, .. } if frame.header.command == 12 && frame.header.flags == 0 => frame.payload.clone(),
        other => panic!("{other:?}"),
    };
    effects.iter().map(payload).collect()
}

fn enable(client: &mut Client, index: u32, start: u32, count: u32) {
    client.ok("DEVICE_SET_IRQS", &irq_set(DATA_EVENTFD | ACTION_TRIGGER, index, start, count, &[]));
}

#[test]
fn a_client_that_gives_no_descriptor_is_told_by_message() {
    let mut client = with("{}");
    assert!(raised(&mut client, 2, 3).is_empty(), "nothing is enabled");
    enable(&mut client, 2, 2, 3);
    assert_eq!(raised(&mut client, 2, 3), [vec![3, 0, 0, 0]]);
    assert!(raised(&mut client, 2, 5).is_empty());
    // The reply brings nothing, and nothing waits for it.
    assert_eq!(raised(&mut client, 2, 4), [vec![4, 0, 0, 0]]);
    client.set_irqs(DATA_EVENTFD | ACTION_TRIGGER, 2, 3, 1, &[], 1);
    assert_eq!(client.raise(2, 3).len(), 1, "by descriptor again");
    client.ok("DEVICE_SET_IRQS", &irq_set(DATA_NONE | ACTION_TRIGGER, 2, 0, 0, &[]));
    assert!(raised(&mut client, 2, 4).is_empty(), "disabled");
}

#[test]
fn a_masked_one_waits() {
    let mut client = with("{}");
    enable(&mut client, 2, 0, 1);
    client.ok("DEVICE_SET_IRQS", &irq_set(DATA_NONE | ACTION_MASK, 2, 0, 1, &[]));
    assert!(raised(&mut client, 2, 0).is_empty());
    let unmask = irq_set(DATA_NONE | ACTION_UNMASK, 2, 0, 1, &[]);
    let (_, mut effects) = client.send("DEVICE_SET_IRQS", &unmask, Vec::new());
    effects.pop();
    assert_eq!(by_message(&effects), [vec![0, 0, 0, 0]]);
}

#[test]
fn what_the_type_has_not_is_refused() {
    let mut client = with("{}");
    for (index, start, count) in [(5, 0, 1), (1, 4, 1), (1, 0, 5), (2, 1, u32::MAX)] {
        let request = irq_set(DATA_EVENTFD | ACTION_TRIGGER, index, start, count, &[]);
        assert_eq!(client.refused("DEVICE_SET_IRQS", &request), Errno::EINVAL as i32);
    }
    enable(&mut client, 1, 0, 1);
    let more = irq_set(DATA_EVENTFD | ACTION_TRIGGER, 1, 1, 1, &[]);
    assert_eq!(client.refused("DEVICE_SET_IRQS", &more), Errno::EINVAL as i32, "a type that does not grow");
}
