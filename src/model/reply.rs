//! What holds for every reply.

use vfio_user_wire::message::{
    DEVICE_FEATURE, DEVICE_GET_INFO, DEVICE_GET_IRQ_INFO, DEVICE_GET_REGION_INFO, DEVICE_GET_REGION_IO_FDS,
    DEVICE_RESET, DEVICE_SET_IRQS, DMA_MAP, DMA_UNMAP, MIG_DATA_READ, MIG_DATA_WRITE, REGION_READ, REGION_WRITE,
    REGION_WRITE_MULTI, VERSION,
};
use vfio_user_wire::{Dialect, HEADER_SIZE, Message, NO_REPLY, TYPE_MASK, TYPE_REPLY};

use crate::verdict::Class;

use super::edition::Edition;
use super::judgement::{header_mark, payload_mark};
use super::{
    Command, Judgement, Judgements, Negotiated, Reply, device_feature, device_info, io_fds, irq_info, legacy, mig_data,
    region_access, region_info, version,
};

/// The rule for a successful reply to one message.
type Rule = fn(Edition, &Command, &Reply<'_>, &Negotiated, &mut Judgements);

/// A message, the requirement that its reply's payload is the table's, and its rule.
type RuleOf = (&'static Message, &'static str, Rule);

/// Which rule is whose.
const RULES: &[RuleOf] = &[
    (&VERSION, "VER-08", version::judge),
    (&DMA_MAP, "DMAP-08", nothing_more),
    (&DMA_UNMAP, "DUNMAP-05", unmap),
    (&DEVICE_GET_INFO, "INFO-01", device_info::judge),
    (&DEVICE_GET_REGION_INFO, "REGINFO-01", region_info::judge),
    (&DEVICE_GET_REGION_IO_FDS, "IOFDS-02", io_fds::judge),
    (&DEVICE_GET_IRQ_INFO, "IRQINFO-01", irq_info::judge),
    (&DEVICE_SET_IRQS, "SETIRQS-01", nothing_more),
    (&REGION_READ, "RREAD-01", region_access::judge_read),
    (&REGION_WRITE, "RWRITE-01", region_access::judge_write),
    (&REGION_WRITE_MULTI, "WMULTI-03", nothing_more),
    (&DEVICE_RESET, "RESET-01", nothing_more),
    (&MIG_DATA_READ, "MIGDATA-03", mig_data::judge_read),
    (&MIG_DATA_WRITE, "MIGDATA-10", nothing_more),
];

/// Judges a reply that was matched to `command`: header, size, fixed fields, limits.
///
/// Only what the bytes of this exchange say is judged; what the case wanted is the case's to check.
pub fn judge_reply(dialect: &Dialect, command: &Command, reply: &Reply<'_>, negotiated: &Negotiated) -> Vec<Judgement> {
    let edition = Edition::of(dialect);
    let mut out = Judgements::default();
    let (header, sent) = (reply.header, &command.header);
    let (number, flags, error, size) = (header.command, header.flags, header.error, header.size);
    out.must("HDR-01", true, "", String::new, None);
    out.must(
        "HDR-02",
        header.id == sent.id,
        &format!("message ID {:#x}", { sent.id }),
        || format!("message ID {:#x}", { header.id }),
        header_mark("id"),
    );
    out.must(
        "HDR-04",
        number == sent.command,
        &format!("command {}", { sent.command }),
        || format!("command {number}"),
        header_mark("command"),
    );
    if sent.no_reply() {
        unwanted(command, header.is_error(), &mut out);
    }
    let kind = flags & TYPE_MASK;
    out.must("HDR-06", kind == TYPE_REPLY, "Type 1 (reply)", || format!("Type {kind}"), header_mark("flags"));
    out.should(
        "HDR-11",
        flags & NO_REPLY == 0,
        "No_reply clear in a reply",
        || format!("flags {flags:#x}"),
        header_mark("flags"),
    );
    out.should(
        "HDR-12",
        flags & !0x3f == 0,
        "bits 6-31 of flags clear",
        || format!("flags {flags:#x}"),
        header_mark("flags"),
    );
    let most = edition.client_fds(negotiated);
    if reply.fds > 0 || most == 0 {
        let expected = format!("at most {most} file descriptors in one message, as the client's max_msg_fds says");
        out.must("VER-14", reply.fds as u64 <= most, &expected, || format!("{} file descriptors", reply.fds), None);
    }
    legacy::judge_size(edition, command, reply, negotiated, &mut out);
    if header.is_error() {
        if command.message.is_some_and(|message| message.name == REGION_WRITE.name) {
            let expected = "a failed write answered with the header alone";
            out.must("RWRITE-10", reply.payload.is_empty(), expected, || format!("{size} bytes"), header_mark("size"));
        }
        if command.message.is_some_and(|message| message.name == DEVICE_FEATURE.name) {
            let expected = "a failed DEVICE_FEATURE answered with the header alone";
            out.must("FEAT-17", reply.payload.is_empty(), expected, || format!("{size} bytes"), header_mark("size"));
        }
        let all = format!("an error reply of the header alone, {HEADER_SIZE} bytes");
        out.must("HDR-10", reply.payload.is_empty(), &all, || format!("{size} bytes"), header_mark("size"));
        return out.into_vec();
    }
    out.should(
        "HDR-07",
        error == 0,
        "error field 0 where the Error bit is clear",
        || format!("error {error}"),
        header_mark("error"),
    );
    if legacy::judge(edition, command, reply, &mut out) {
        return out.into_vec();
    }
    if let Some((message, requirement, rule)) =
        RULES.iter().find(|(message, ..)| command.message.is_some_and(|known| known.name == message.name))
    {
        let body = command.reply_body();
        let fixed = body.fixed_size();
        let open_end = body.tail != vfio_user_wire::Tail::None;
        let right = if open_end { reply.payload.len() >= fixed } else { reply.payload.len() == fixed };
        let expected = match (fixed, open_end) {
            (0, _) => "a successful reply without payload, 16 bytes in all".to_owned(),
            (_, false) => format!("a payload of {fixed} bytes, {} in all", HEADER_SIZE + fixed),
            (_, true) => format!("a payload of at least {fixed} bytes"),
        };
        let class = if excused(command, message, reply.payload.len()) { Class::Note } else { Class::Violation };
        let actual = || format!("a payload of {} bytes", reply.payload.len());
        out.check(requirement, right, class, &expected, actual, header_mark("size"));
        if reply.payload.len() >= fixed {
            rule(edition, command, reply, negotiated, &mut out);
        }
    }
    if command.message.is_some_and(|message| message.name == DEVICE_FEATURE.name) {
        device_feature::judge(command, reply, &mut out);
    }
    out.into_vec()
}

/// Judges the order of replies: `overtaken` is an earlier command on the same connection that has none yet.
pub fn judge_order(command: &Command, overtaken: Option<&Command>) -> Vec<Judgement> {
    let mut out = Judgements::default();
    let first = overtaken
        .map(|earlier| format!("the reply to {} (id {:#x})", earlier.name(), { earlier.header.id }))
        .unwrap_or_default();
    let actual = || format!("the reply to {} (id {:#x})", command.name(), { command.header.id });
    out.should(
        "CONC-06",
        overtaken.is_none(),
        &format!("{first} first: replies in the order of the commands"),
        actual,
        header_mark("id"),
    );
    out.into_vec()
}

/// Payloads that are too short by the table, and by policy no more than a note: none at all for an access of 0 bytes
/// and for DMA_UNMAP (A-49: a server without DMA; where it has DMA, a case asks for the entry), and one cut to an
/// argsz below the fixed part.
fn excused(command: &Command, message: &Message, payload: usize) -> bool {
    let request = command.request();
    let access = message.name == REGION_READ.name || message.name == REGION_WRITE.name;
    (payload == 0 && access && request.get("count") == Some(0))
        || (payload == 0 && message.name == DMA_UNMAP.name)
        || request
            .get("argsz")
            .is_some_and(|argsz| argsz == payload as u64 && payload < command.reply_body().fixed_size())
}

/// A reply to a command with No_reply. Clients in use send posted writes, maps and interrupts so, and QEMU, which waits for no
/// reply to them, leaves its payload on the stream; VERSION is open (470-472 against 450-452).
fn unwanted(command: &Command, failed: bool, out: &mut Judgements) {
    let posted = [DMA_MAP, DMA_UNMAP, DEVICE_SET_IRQS, DEVICE_RESET, REGION_WRITE, REGION_WRITE_MULTI];
    let name = command.name();
    let (class, why) = match command.message {
        Some(message) if message.name == VERSION.name => return,
        Some(message) if posted.iter().any(|posted| posted.name == message.name) => {
            (Class::Violation, ", which its client does not wait for")
        }
        _ => (Class::Note, ""),
    };
    let id = if failed { "CONC-04" } else { "CONC-03" };
    out.check(
        id,
        false,
        class,
        "no reply to a command with No_reply",
        || format!("a reply to {name}{why}"),
        header_mark("id"),
    );
}

fn nothing_more(_: Edition, _: &Command, _: &Reply<'_>, _: &Negotiated, _: &mut Judgements) {}

fn unmap(_: Edition, command: &Command, reply: &Reply<'_>, _: &Negotiated, out: &mut Judgements) {
    let (request, answer) = (command.request(), DMA_UNMAP.reply.decode(reply.payload));
    for name in ["address", "size"] {
        let (Some(sent), Some(got)) = (request.get(name), answer.get(name)) else { continue };
        let mark = DMA_UNMAP.reply.fixed.and_then(|layout| layout.field(name)).and_then(payload_mark);
        out.must(
            "DUNMAP-05",
            sent == got,
            &format!("{name} {sent:#x}, as in the request"),
            || format!("{name} {got:#x}"),
            mark,
        );
    }
    if let (Some(asked), Some(argsz)) = (request.get("argsz"), answer.get("argsz")) {
        let mark = DMA_UNMAP.reply.fixed.and_then(|layout| layout.field("argsz")).and_then(payload_mark);
        let expected = format!("argsz 24, or {asked} as in the request");
        out.should("DUNMAP-06", argsz == 24 || argsz == asked, &expected, || format!("argsz {argsz}"), mark);
    }
}
