//! What holds for every successful reply to DEVICE_GET_IRQ_INFO.

use vfio_user_wire::message::IrqInfo;

use super::edition::Edition;
use super::judgement::payload_mark;
use super::{Command, Judgements, Negotiated, Reply};

pub(super) fn judge(_: Edition, command: &Command, reply: &Reply<'_>, _: &Negotiated, out: &mut Judgements) {
    let Some((info, _)) = IrqInfo::parse(reply.payload) else { return };
    let mark = |name| IrqInfo::LAYOUT.field(name).and_then(payload_mark);
    let (argsz, flags, index) = (info.argsz, info.flags, info.index);
    out.must("IRQINFO-01", argsz == 16, "argsz 16", || format!("argsz {argsz}"), mark("argsz"));
    if let Some(asked) = command.request().get("index") {
        out.must(
            "IRQINFO-02",
            u64::from(index) == asked,
            &format!("index {asked}, as in the request"),
            || format!("index {index}"),
            mark("index"),
        );
    }
    out.should(
        "IRQINFO-09",
        flags & !0xf == 0,
        "only bits 0-3 in flags",
        || format!("flags {flags:#x}"),
        mark("flags"),
    );
}
