//! DEVICE_SET_IRQS (specification 1180-1296).

use std::io::Read;
use std::os::unix::net::UnixStream;

use pretty_assertions::assert_eq;
use vfio_user_reference_server::{Errno, IrqEvent, Machine};

use crate::client::{Client, Signal, fd, irq_set};

const NONE: u32 = 1;
const BOOL: u32 = 2;
const EVENTFD: u32 = 4;
const MASK: u32 = 8;
const UNMASK: u32 = 16;
const TRIGGER: u32 = 32;

const INTX: u32 = 0;
const MSI: u32 = 1;
const MSIX: u32 = 2;

fn fired(index: u32, vectors: &[u32]) -> Vec<Signal> {
    vectors.iter().map(|vector| (index, *vector, IrqEvent::Trigger)).collect()
}

/// A client that assigned eventfds to all interrupts of a type.
fn assigned(index: u32, count: u32) -> Client {
    let mut client = Client::new();
    client.set_irqs(EVENTFD | TRIGGER, index, 0, count, &[], count as usize);
    client
}

#[test]
fn each_interrupt_has_its_own_eventfd() {
    let mut client = assigned(MSIX, 8);
    for vector in 0..8 {
        assert_eq!(client.raise(MSIX, vector), fired(MSIX, &[vector]));
    }
    assert_eq!(client.set_irqs(NONE | TRIGGER, MSIX, 2, 3, &[], 0), fired(MSIX, &[2, 3, 4]));
    assert_eq!(client.set_irqs(BOOL | TRIGGER, MSIX, 5, 3, &[1, 0, 255], 0), fired(MSIX, &[5, 7]));
    assert_eq!(client.raise(INTX, 0), []);
}

#[test]
fn de_assigning_silences_exactly_what_was_named() {
    let mut client = assigned(MSIX, 8);
    client.set_irqs(EVENTFD | TRIGGER, MSIX, 1, 2, &[], 0);
    assert_eq!(client.set_irqs(NONE | TRIGGER, MSIX, 0, 8, &[], 0), fired(MSIX, &[0, 3, 4, 5, 6, 7]));
}

#[test]
fn a_count_of_none_disables_the_type() {
    let mut client = assigned(MSIX, 8);
    client.set_irqs(EVENTFD | TRIGGER, INTX, 0, 1, &[], 1);
    client.set_irqs(NONE | TRIGGER, MSIX, 0, 0, &[], 0);
    assert_eq!(client.set_irqs(NONE | TRIGGER, MSIX, 0, 8, &[], 0), []);
    assert_eq!(client.raise(INTX, 0), fired(INTX, &[0]));
    for (flags, start) in [(NONE | TRIGGER, 1), (NONE | MASK, 0), (BOOL | TRIGGER, 0), (EVENTFD | TRIGGER, 0)] {
        let payload = irq_set(flags, MSIX, start, 0, &[]);
        assert_eq!(client.refused("DEVICE_SET_IRQS", &payload), Errno::EINVAL as i32);
    }
}

#[test]
fn what_was_never_assigned_can_be_taken_back() {
    let mut client = Client::new();
    client.set_irqs(EVENTFD | TRIGGER, MSIX, 0, 1, &[], 0);
    client.set_irqs(NONE | TRIGGER, MSIX, 0, 0, &[], 0);
    assert_eq!(client.set_irqs(NONE | TRIGGER, MSIX, 0, 8, &[], 0), []);
}

#[test]
fn flags_name_one_kind_of_data_and_one_action() {
    let mut client = assigned(MSIX, 1);
    for flags in 0..0x80 {
        let well_formed = (flags & 7u32).count_ones() == 1 && (flags & 0x38).count_ones() == 1 && flags & 0x40 == 0;
        if !well_formed {
            let payload = irq_set(flags, MSIX, 0, 1, &[1]);
            assert_eq!(client.refused("DEVICE_SET_IRQS", &payload), Errno::EINVAL as i32, "{flags:#x}");
        }
    }
    assert_eq!(client.raise(MSIX, 0), fired(MSIX, &[0]));
}

#[test]
fn ranges_are_checked_without_overflow() {
    let mut client = assigned(MSIX, 8);
    let outside = [(MSIX, 32, 1), (MSIX, 31, 2), (MSIX, 0, 33), (MSIX, 284, u32::MAX), (MSIX, u32::MAX, 2), (3, 0, 2)];
    for (index, start, count) in outside.into_iter().chain([(5, 0, 1), (u32::MAX, 0, 1), (5, 0, 0)]) {
        let payload = irq_set(NONE | TRIGGER, index, start, count, &[]);
        assert_eq!(client.refused("DEVICE_SET_IRQS", &payload), Errno::EINVAL as i32);
    }
}

#[test]
fn as_many_descriptors_as_interrupts_or_none() {
    let mut client = assigned(MSIX, 8);
    for (count, fds) in [(2, 1), (1, 2), (2, 3)] {
        let payload = irq_set(EVENTFD | TRIGGER, MSIX, 0, count, &[]);
        let fds = (0..fds).map(|_| fd()).collect();
        assert_eq!(client.refused_fds("DEVICE_SET_IRQS", &payload, fds), Errno::EINVAL as i32);
    }
    assert_eq!(client.set_irqs(NONE | TRIGGER, MSIX, 0, 8, &[], 0).len(), 8);
    assert_eq!(client.set_irqs(NONE | TRIGGER, MSIX, 0, 1, &[], 3), fired(MSIX, &[0]));
}

#[test]
fn booleans_must_be_there() {
    let mut client = assigned(MSIX, 8);
    let payload = irq_set(BOOL | TRIGGER, MSIX, 0, 3, &[1, 1]);
    assert_eq!(client.refused("DEVICE_SET_IRQS", &payload), Errno::EINVAL as i32);
    assert_eq!(client.set_irqs(BOOL | TRIGGER, MSIX, 0, 3, &[1, 1, 1, 1], 0), fired(MSIX, &[0, 1, 2]));
    let mut short = irq_set(NONE | TRIGGER, MSIX, 0, 1, &[]);
    short[..4].copy_from_slice(&19u32.to_ne_bytes());
    assert_eq!(client.refused("DEVICE_SET_IRQS", &short), Errno::EINVAL as i32);
}

#[test]
fn a_masked_interrupt_waits_for_its_unmasking() {
    let mut client = assigned(MSIX, 8);
    client.set_irqs(NONE | MASK, MSIX, 0, 2, &[], 0);
    assert_eq!(client.raise(MSIX, 0), []);
    assert_eq!(client.raise(MSIX, 0), []);
    assert_eq!(client.raise(MSIX, 2), fired(MSIX, &[2]));
    assert_eq!(client.set_irqs(BOOL | UNMASK, MSIX, 0, 2, &[1, 1], 0), fired(MSIX, &[0]));
    assert_eq!(client.set_irqs(NONE | UNMASK, MSIX, 0, 2, &[], 0), []);
    assert_eq!(client.raise(MSIX, 0), fired(MSIX, &[0]));
}

#[test]
fn intx_masks_itself() {
    let mut client = assigned(INTX, 1);
    assert_eq!(client.raise(INTX, 0), fired(INTX, &[0]));
    assert_eq!(client.raise(INTX, 0), []);
    assert_eq!(client.set_irqs(NONE | UNMASK, INTX, 0, 1, &[], 0), fired(INTX, &[0]));
    assert_eq!(client.raise(INTX, 0), []);
    client.set_irqs(NONE | TRIGGER, INTX, 0, 0, &[], 0);
    client.set_irqs(EVENTFD | TRIGGER, INTX, 0, 1, &[], 1);
    assert_eq!(client.raise(INTX, 0), fired(INTX, &[0]));
}

#[test]
fn masking_and_unmasking_are_told() {
    let mut client = assigned(INTX, 1);
    client.set_irqs(EVENTFD | MASK, INTX, 0, 1, &[], 1);
    client.set_irqs(EVENTFD | UNMASK, INTX, 0, 1, &[], 1);
    let (masked, unmasked) = ((INTX, 0, IrqEvent::Mask), (INTX, 0, IrqEvent::Unmask));
    assert_eq!(client.set_irqs(NONE | MASK, INTX, 0, 1, &[], 0), [masked]);
    assert_eq!(client.set_irqs(NONE | UNMASK, INTX, 0, 1, &[], 0), [unmasked]);
    assert_eq!(client.raise(INTX, 0), [(INTX, 0, IrqEvent::Trigger), masked]);
    client.set_irqs(EVENTFD | UNMASK, INTX, 0, 1, &[], 0);
    assert_eq!(client.set_irqs(NONE | UNMASK, INTX, 0, 1, &[], 0), []);
}

#[test]
fn what_is_not_maskable_is_not_masked() {
    let mut client = Client::new();
    for index in [MSI, 3, 4] {
        for flags in [NONE | MASK, BOOL | UNMASK, EVENTFD | MASK] {
            let payload = irq_set(flags, index, 0, 1, &[1]);
            assert_eq!(client.refused("DEVICE_SET_IRQS", &payload), Errno::EINVAL as i32);
        }
        client.set_irqs(EVENTFD | TRIGGER, index, 0, 1, &[], 1);
        assert_eq!(client.raise(index, 0), fired(index, &[0]));
    }
}

#[test]
fn a_noresize_type_does_not_grow() {
    let mut client = Client::new();
    client.set_irqs(EVENTFD | TRIGGER, MSI, 0, 2, &[], 2);
    for (start, count) in [(2, 1), (1, 2), (0, 4)] {
        let fds = (0..count).map(|_| fd()).collect();
        let payload = irq_set(EVENTFD | TRIGGER, MSI, start, count, &[]);
        assert_eq!(client.refused_fds("DEVICE_SET_IRQS", &payload, fds), Errno::EINVAL as i32);
    }
    client.set_irqs(EVENTFD | TRIGGER, MSI, 1, 1, &[], 1);
    assert_eq!(client.set_irqs(NONE | TRIGGER, MSI, 0, 4, &[], 0), fired(MSI, &[0, 1]));
    client.set_irqs(NONE | TRIGGER, MSI, 0, 0, &[], 0);
    client.set_irqs(EVENTFD | TRIGGER, MSI, 0, 4, &[], 4);
    let mut client = Client::new();
    client.set_irqs(EVENTFD | TRIGGER, MSIX, 0, 4, &[], 4);
    client.set_irqs(EVENTFD | TRIGGER, MSIX, 4, 4, &[], 4);
    assert_eq!(client.set_irqs(NONE | TRIGGER, MSIX, 0, 8, &[], 0).len(), 8);
}

/// The other end of a descriptor that the client assigned to MSI-X 0.
fn watched(client: &mut Client) -> UnixStream {
    let (near, far) = UnixStream::pair().unwrap();
    client.ok_fds("DEVICE_SET_IRQS", &irq_set(EVENTFD | TRIGGER, MSIX, 0, 1, &[]), vec![near.into()]);
    far.set_nonblocking(true).unwrap();
    far
}

fn is_closed(mut far: &UnixStream) -> bool {
    far.read(&mut [0]).is_ok_and(|count| count == 0)
}

#[test]
fn descriptors_are_closed_when_they_have_served() {
    let mut client = Client::new();
    let first = watched(&mut client);
    let second = watched(&mut client);
    assert!(is_closed(&first) && !is_closed(&second));
    client.set_irqs(EVENTFD | TRIGGER, MSIX, 0, 1, &[], 0);
    assert!(is_closed(&second));
    let third = watched(&mut client);
    client.set_irqs(NONE | TRIGGER, MSIX, 0, 0, &[], 0);
    assert!(is_closed(&third));
    let fourth = watched(&mut client);
    client.ok("DEVICE_RESET", &[]);
    assert!(!is_closed(&fourth));
    client.server.disconnect(&mut client.memory);
    assert!(is_closed(&fourth));
}

#[test]
fn a_reset_drops_what_waits_and_keeps_what_was_assigned() {
    let mut client = assigned(MSIX, 8);
    client.set_irqs(NONE | MASK, MSIX, 0, 1, &[], 0);
    client.raise(MSIX, 0);
    client.ok("DEVICE_RESET", &[]);
    assert_eq!(client.set_irqs(NONE | UNMASK, MSIX, 0, 1, &[], 0), []);
    assert_eq!(client.raise(MSIX, 0), fired(MSIX, &[0]));
}
