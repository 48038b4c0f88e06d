//! What is asked of a device comes out as when it was first asked, and there is nothing past its last index.

use pretty_assertions::assert_eq;
use vfio_user_wire::device_info_flags::{PCI, RESET};
use vfio_user_wire::irq_info_flags::EVENTFD;
use vfio_user_wire::message::{DeviceInfo, IrqInfo, RegionInfo};
use vfio_user_wire::region_info_flags::{READ, WRITE};

use super::rulings_tests::{EITHER, after, breaks, command, offer};
use super::samples::{Said, exchange};
use super::{FdKind, LetGo, Offer, PassedFd};
use crate::verdict::Class::{Note, Violation};

/// What an answer to a query breaks.
fn answered(name: &str, request: &[u8], reply: &[u8]) -> Said {
    exchange(&mut after(offer(), &[]), 50, command(name, request, &[]), Ok(reply.to_vec()))
}

#[test]
fn device_info_is_stable() {
    let said = |num_regions, num_irqs| {
        let info = DeviceInfo { argsz: 16, flags: RESET | PCI, num_regions, num_irqs };
        answered("DEVICE_GET_INFO", DeviceInfo { argsz: 16, ..DeviceInfo::default() }.bytes(), info.bytes())
    };
    assert_eq!(said(9, 5), []);
    assert_eq!(said(10, 5), [("INFO-08", Note)]);
    assert_eq!(said(9, 6), [("INFO-08", Note)]);
}

#[test]
fn regions_keep_their_sizes_and_end_with_the_last_index() {
    let said = |index, size| {
        let request = RegionInfo { argsz: 32, index, ..RegionInfo::default() };
        let flags = if size == 0 { 0 } else { READ | WRITE };
        answered("DEVICE_GET_REGION_INFO", request.bytes(), RegionInfo { flags, size, ..request }.bytes())
    };
    assert_eq!(said(0, 0x1000), []);
    assert_eq!(said(0, 0x2000), [("REGINFO-04", Note)]);
    // The first index that there is not: of size 0 it is none.
    assert_eq!(said(9, 0), [("REGINFO-12", Note)]);
    assert!(said(9, 0x1000).contains(&("REGINFO-12", Violation)));
}

#[test]
fn interrupts_end_with_the_last_index() {
    let said = |index, count| {
        let request = IrqInfo { argsz: 16, index, ..IrqInfo::default() };
        answered("DEVICE_GET_IRQ_INFO", request.bytes(), IrqInfo { flags: EVENTFD, count, ..request }.bytes())
    };
    assert_eq!(said(4, 1), []);
    assert_eq!(said(5, 0), [("IRQINFO-04", Note)]);
    assert_eq!(said(5, 1), [("IRQINFO-04", Violation)]);
    // A type that did not answer when it was first asked.
    let silent = after(Offer { irqs: Vec::new(), ..offer() }, &[]);
    let request = IrqInfo { argsz: 16, index: 1, ..IrqInfo::default() };
    assert_eq!(breaks(&silent, command("DEVICE_GET_IRQ_INFO", request.bytes(), &[])), EITHER);
}

#[test]
fn a_query_takes_no_descriptor() {
    let request = DeviceInfo { argsz: 16, ..DeviceInfo::default() };
    let fd = PassedFd { id: 3, kind: FdKind::Eventfd };
    let session = after(offer(), &[command("DEVICE_GET_INFO", request.bytes(), &[fd])]);
    assert_eq!(session.let_go(3), Some(LetGo::Stray));
}
