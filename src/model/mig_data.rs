//! What holds for every successful reply to MIG_DATA_READ.

use vfio_user_wire::message::MigrationData;

use super::edition::Edition;
use super::judgement::payload_mark;
use super::{Command, Judgements, Negotiated, Reply};

/// Bytes before the data.
pub(super) const HEAD: u64 = MigrationData::LAYOUT.size as u64;

pub(super) fn judge_read(_: Edition, command: &Command, reply: &Reply<'_>, _: &Negotiated, out: &mut Judgements) {
    let Some((answer, data)) = MigrationData::parse(reply.payload) else { return };
    let request = command.request();
    let (Some(most), Some(asked)) = (request.get("argsz"), request.get("size")) else { return };
    let (argsz, size, came) = (u64::from(answer.argsz), u64::from(answer.size), data.len() as u64);
    let mark = |name| MigrationData::LAYOUT.field(name).and_then(payload_mark);
    if most < HEAD + asked {
        out.must(
            "MIGDATA-07",
            HEAD + came <= most.max(HEAD),
            &format!("no more than the {most} bytes of argsz"),
            || format!("a payload of {} bytes", HEAD + came),
            mark("argsz"),
        );
        // The head alone says how much there would be, as in other replies with an argsz (343-347).
        if came == 0 && argsz > HEAD {
            return;
        }
    }
    let sizes = format!("argsz {} and size {came} for {came} bytes of data", HEAD + came);
    let said = || format!("argsz {argsz} and size {size}");
    let wrong = if size == came { "argsz" } else { "size" };
    out.must("MIGDATA-03", size == came && argsz == HEAD + came, &sizes, said, mark(wrong));
    let expected = format!("at most the {asked} bytes that were asked for");
    out.must("MIGDATA-04", size <= asked, &expected, || format!("size {size}"), mark("size"));
}
