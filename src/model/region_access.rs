//! What holds for every successful reply to REGION_READ and REGION_WRITE.

use vfio_user_wire::message::RegionAccess;
use vfio_user_wire::tables::Table;

use super::edition::Edition;
use super::judgement::payload_mark;
use super::{Command, Judgements, Negotiated, Reply};
use crate::verdict::Class;

pub(super) fn judge_read(edition: Edition, command: &Command, reply: &Reply<'_>, _: &Negotiated, out: &mut Judgements) {
    echo("RREAD-01", edition, command, reply, out);
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

pub(super) fn judge_write(
    edition: Edition,
    command: &Command,
    reply: &Reply<'_>,
    _: &Negotiated,
    out: &mut Judgements,
) {
    echo("RWRITE-01", edition, command, reply, out);
    let Some((answer, _)) = RegionAccess::parse(reply.payload) else { return };
    if let Some(asked) = command.request().get("count") {
        let count = u64::from(answer.count);
        let mark = RegionAccess::LAYOUT.field("count").and_then(payload_mark);
        out.check(
            "RWRITE-01",
            count <= asked,
            Class::Violation,
            &format!("count {asked}"),
            || format!("count {count}"),
            mark,
        );
    }
}

fn echo(requirement: &'static str, edition: Edition, command: &Command, reply: &Reply<'_>, out: &mut Judgements) {
    let Some((answer, _)) = RegionAccess::parse(reply.payload) else { return };
    let request = command.request();
    // Version 8 has the two fields in the reply, and does not say what they are there (at 595dff9, 1318-1334, 1381-1384).
    let class = if edition == Edition::Tables(Table::V8) { Class::Note } else { Class::Violation };
    for (name, got) in [("offset", answer.offset), ("region", u64::from(answer.region))] {
        let Some(asked) = request.get(name) else { continue };
        let mark = RegionAccess::LAYOUT.field(name).and_then(payload_mark);
        out.check(
            requirement,
            got == asked,
            class,
            &format!("{name} {asked:#x}, as in the request"),
            || format!("{name} {got:#x}"),
            mark,
        );
    }
}
