//! What is excused in a reply, and what it puts to the test.

use pretty_assertions::assert_eq;
use serde_json::json;
use vfio_user_wire::V0_9_2;
use vfio_user_wire::message::{DeviceInfo, DmaUnmap, IrqInfo, RegionAccess};

use super::tests::{N, V, answered, command, negotiated};
use super::{Reply, judge_reply};

#[test]
fn a_payload_that_is_too_short_is_excused_where_a_policy_says_so() {
    let access = |name, count| command(name, RegionAccess { offset: 0, region: 7, count }.bytes());
    let info = |argsz| command("DEVICE_GET_INFO", DeviceInfo { argsz, ..DeviceInfo::default() }.bytes());
    let irq_info = command("DEVICE_GET_IRQ_INFO", IrqInfo { argsz: 16, ..IrqInfo::default() }.bytes());
    let unmap = command("DMA_UNMAP", DmaUnmap { argsz: 24, flags: 0, address: 0x1000, size: 0x1000 }.bytes());
    // an access of 0 bytes answered by the header alone.
    assert_eq!(answered(&access("REGION_READ", 0), &[]), [("RREAD-01", N)]);
    assert_eq!(answered(&access("REGION_WRITE", 0), &[]), [("RWRITE-01", N)]);
    assert_eq!(answered(&access("REGION_READ", 0), &[0; 8]), [("RREAD-01", V)]);
    assert_eq!(answered(&access("REGION_READ", 4), &[]), [("RREAD-01", V)]);
    assert_eq!(answered(&irq_info, &[]), [("IRQINFO-01", V)]);
    // DMA_UNMAP without its entry.
    assert_eq!(answered(&unmap, &[]), [("DUNMAP-05", N)]);
    assert_eq!(answered(&unmap, &[0; 8]), [("DUNMAP-05", V)]);
    assert_eq!(answered(&info(16), &[]), [("INFO-01", V)]);
    // cut to an argsz below the fixed part.
    assert_eq!(answered(&info(12), &[0; 12]), [("INFO-01", N)]);
    assert_eq!(answered(&info(12), &[0; 8]), [("INFO-01", V)]);
    assert!(answered(&info(20), &[0; 20]).contains(&("INFO-01", V)));
}

#[test]
fn an_unmap_comes_back_with_its_size_or_with_the_argsz_that_was_asked() {
    let entry = |argsz| DmaUnmap { argsz, flags: 0, address: 0x1000, size: 0x2000 };
    let said = |argsz| answered(&command("DMA_UNMAP", entry(32).bytes()), entry(argsz).bytes());
    assert_eq!(said(24), []);
    assert_eq!(said(32), []);
    assert_eq!(said(40), [("DUNMAP-06", N)]);
}

#[test]
fn the_clients_limit_of_descriptors_is_tested_by_those_that_come_or_where_none_may() {
    let sent = command("DEVICE_RESET", &[]);
    let tested = |fds, most| {
        let reply = Reply { header: &sent.header.reply(0), payload: &[], fds };
        let said = judge_reply(&V0_9_2, &sent, &reply, &negotiated(json!({ "max_msg_fds": most })));
        said.iter().any(|said| said.requirement == "VER-14")
    };
    assert!(tested(1, 1) && tested(0, 0));
    assert!(!tested(0, 1));
}
