//! What holds for every successful reply to DEVICE_FEATURE.

use vfio_user_wire::feature::Migration;
use vfio_user_wire::message::{DEVICE_FEATURE, DeviceFeature};
use vfio_user_wire::{feature_flags as flags, feature_index as index, migration_flags};

use super::judgement::{bytes_mark, header_mark, payload_mark};
use super::{Command, Judgements, Reply};
use crate::verdict::{Class, FieldMark};

const HEAD: usize = DeviceFeature::LAYOUT.size;

pub(super) fn judge(command: &Command, reply: &Reply<'_>, out: &mut Judgements) {
    let Some((head, _)) = DeviceFeature::parse(&command.payload) else { return };
    let operation = head.operation();
    if operation & flags::PROBE != 0 {
        repeated(command, &head, reply, "FEAT-05", out);
    } else if operation == flags::SET && head.index() != index::DMA_LOGGING_START {
        repeated(command, &head, reply, "FEAT-05", out);
        if head.index() == index::MIG_DEVICE_STATE {
            repeated(command, &head, reply, "MIGFSM-32", out);
        }
    } else if operation == flags::GET && matches!(head.index(), index::MIGRATION | index::MIG_DEVICE_STATE) {
        got(command, &head, reply, out);
    }
}

/// The reply to SET and PROBE is the request's payload again (1595-1596). Where argsz is not the size of that, the reply
/// may say the size that it needs; where it is less, the reply may be cut to it (343-347).
fn repeated(
    command: &Command,
    head: &DeviceFeature,
    reply: &Reply<'_>,
    requirement: &'static str,
    out: &mut Judgements,
) {
    let (sent, came) = (command.payload.as_slice(), reply.payload);
    let needed = DeviceFeature { argsz: sent.len() as u32, ..*head };
    let corrected = [needed.bytes(), sent.get(HEAD..).unwrap_or_default()].concat();
    let argsz = head.argsz as usize;
    let cut = (HEAD..=argsz.max(HEAD)).contains(&came.len()) && corrected.starts_with(came);
    let (requirement, whole) = if argsz < sent.len() { ("FEAT-18", cut) } else { (requirement, false) };
    let at = sent.iter().zip(came).position(|(sent, came)| sent != came);
    let actual = || match at {
        _ if sent.len() != came.len() => format!("{} bytes", came.len()),
        Some(at) => format!("another byte at {at}"),
        None => String::new(),
    };
    let mark = if sent.len() == came.len() { at.and_then(|at| marked(came, at)) } else { header_mark("size") };
    let expected = format!("the {} bytes of the request's payload", sent.len());
    out.must(requirement, came == sent || came == corrected || whole, &expected, actual, mark);
}

/// The reply to GET: the fixed part and the data, and in argsz the size of both (1596-1597, policy A-08); or the fixed part
/// with that argsz, where the client has no room for more (policy A-09).
fn got(command: &Command, head: &DeviceFeature, reply: &Reply<'_>, out: &mut Judgements) {
    let whole = command.reply_body().fixed_size();
    let came = reply.payload;
    let Some((answer, data)) = DeviceFeature::parse(came) else {
        let expected = format!("a payload of {whole} bytes");
        return out.must("FEAT-06", false, &expected, || format!("{} bytes", came.len()), header_mark("size"));
    };
    let (asked, argsz) = (head.argsz as usize, answer.argsz as usize);
    let said = || format!("argsz {argsz}");
    if asked < whole {
        let room = asked.max(HEAD);
        let expected = format!("no more than {room} bytes, and argsz {whole}: what all of it needs");
        let right = came.len() <= room && argsz == whole;
        let actual = || format!("{} bytes and argsz {argsz}", came.len());
        return out.must("FEAT-09", right, &expected, actual, mark("argsz"));
    }
    let expected = format!("a payload of {whole} bytes");
    out.must("FEAT-06", came.len() == whole, &expected, || format!("{} bytes", came.len()), header_mark("size"));
    let sum = asked + whole - HEAD;
    let class = if argsz == sum { Class::Note } else { Class::Violation };
    let expected = format!("argsz {whole}: the fixed part and the data");
    for id in ["FEAT-06", "FEAT-16"] {
        out.check(id, argsz == whole, class, &expected, said, mark("argsz"));
    }
    let (asked, repeated) = (head.flags, answer.flags);
    let expected = format!("flags {asked:#x}, as in the request");
    out.should("FEAT-06", repeated == asked, &expected, || format!("flags {repeated:#x}"), mark("flags"));
    if head.index() == index::MIGRATION
        && let Some((migration, _)) = Migration::parse(data)
    {
        let flags = migration.flags;
        let mark = || bytes_mark("migration_flags", HEAD, Migration::LAYOUT.size);
        let said = || format!("{flags:#x}");
        let stop_copy = flags & migration_flags::STOP_COPY != 0;
        out.must("FEAT-12", stop_copy, "STOP_COPY (bit 0) at the least", said, mark());
        let known = migration_flags::STOP_COPY | migration_flags::P2P | migration_flags::PRE_COPY;
        out.must("FEAT-13", flags & !known == 0, "only bits 0 to 2", said, mark());
        let p2p = flags & migration_flags::P2P != 0;
        out.should("FEAT-13", !p2p, "no P2P (bit 1): vfio-user does not use its states", said, mark());
    }
}

fn mark(name: &str) -> Option<FieldMark> {
    DeviceFeature::LAYOUT.field(name).and_then(payload_mark)
}

/// The field of a payload in which this byte lies.
fn marked(payload: &[u8], at: usize) -> Option<FieldMark> {
    let layout = DEVICE_FEATURE.reply_of(payload).fixed.unwrap_or(&DeviceFeature::LAYOUT);
    let field = layout.fields.iter().find(|field| (field.offset..field.offset + field.width).contains(&at));
    field.and_then(payload_mark).or_else(|| bytes_mark("data", at, 1))
}
