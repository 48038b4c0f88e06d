//! What holds for every successful reply to DEVICE_GET_INFO.

use vfio_user_wire::device_info_flags::{PCI, RESET};
use vfio_user_wire::message::DeviceInfo;
use vfio_user_wire::region;

use super::edition::Edition;
use super::judgement::payload_mark;
use super::{Command, Judgements, Negotiated, Reply};

pub(super) fn judge(_: Edition, _: &Command, reply: &Reply<'_>, _: &Negotiated, out: &mut Judgements) {
    let Some((info, _)) = DeviceInfo::parse(reply.payload) else { return };
    let mark = |name| DeviceInfo::LAYOUT.field(name).and_then(payload_mark);
    let (argsz, flags, regions, irqs) = (info.argsz, info.flags, info.num_regions, info.num_irqs);
    out.must("INFO-02", argsz == 16, "argsz 16", || format!("argsz {argsz}"), mark("argsz"));
    out.must("INFO-04", flags & PCI != 0, "the PCI flag (bit 1)", || format!("flags {flags:#x}"), mark("flags"));
    out.should(
        "INFO-07",
        flags & !(RESET | PCI) == 0,
        "only bits 0 and 1 in flags",
        || format!("flags {flags:#x}"),
        mark("flags"),
    );
    if flags & PCI != 0 {
        let expected = format!("num_regions of at least {} for a PCI device", region::COUNT);
        out.must(
            "INFO-05",
            regions >= region::COUNT,
            &expected,
            || format!("num_regions {regions}"),
            mark("num_regions"),
        );
    }
    let expected = "at most 100 regions and 50 interrupt types, as QEMU takes them";
    out.should(
        "INFO-11",
        regions <= 100 && irqs <= 50,
        expected,
        || format!("num_regions {regions}, num_irqs {irqs}"),
        mark("num_regions"),
    );
}
