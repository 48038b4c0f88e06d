//! What holds for every successful reply to REGION_READ and REGION_WRITE.

use vfio_user_wire::message::RegionAccess;

use super::edition::Edition;
use super::judgement::payload_mark;
use super::{Command, Judgements, Negotiated, Reply};

pub(super) fn judge_read(_: Edition, command: &Command, reply: &Reply<'_>, _: &Negotiated, out: &mut Judgements) {
    echo("RREAD-01", command, reply, out);
    let Some((answer, data)) = RegionAccess::parse(reply.payload) else { return };
    let count = u64::from(answer.count);
    let mark = || RegionAccess::LAYOUT.field("count").and_then(payload_mark);
    out.must(
        "RREAD-02",
        count == data.len() as u64,
        &format!("count {} for {} bytes of data", data.len(), data.len()),
        || format!("count {count}"),
        mark(),
    );
    if let Some(asked) = command.request().get("count") {
        out.must(
            "RREAD-03",
            count <= asked,
            &format!("at most the {asked} bytes that were asked for"),
            || format!("count {count}"),
            mark(),
        );
    }
}

pub(super) fn judge_write(_: Edition, command: &Command, reply: &Reply<'_>, _: &Negotiated, out: &mut Judgements) {
    echo("RWRITE-01", command, reply, out);
    let Some((answer, _)) = RegionAccess::parse(reply.payload) else { return };
    if let Some(asked) = command.request().get("count") {
        let count = u64::from(answer.count);
        let mark = RegionAccess::LAYOUT.field("count").and_then(payload_mark);
        out.check(
            "RWRITE-01",
            count <= asked,
            crate::verdict::Class::Violation,
            &format!("count {asked}"),
            || format!("count {count}"),
            mark,
        );
    }
}

fn echo(requirement: &'static str, command: &Command, reply: &Reply<'_>, out: &mut Judgements) {
    let Some((answer, _)) = RegionAccess::parse(reply.payload) else { return };
    let request = command.request();
    for (name, got) in [("offset", answer.offset), ("region", u64::from(answer.region))] {
        let Some(asked) = request.get(name) else { continue };
        let mark = RegionAccess::LAYOUT.field(name).and_then(payload_mark);
        out.must(
            requirement,
            got == asked,
            &format!("{name} {asked:#x}, as in the request"),
            || format!("{name} {got:#x}"),
            mark,
        );
    }
}
