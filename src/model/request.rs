//! What holds for every command that the server sends.

use vfio_user_wire::message::{DMA_READ, DMA_WRITE, DmaAccess};
use vfio_user_wire::tables::{Interrupt, VM_INTERRUPT};
use vfio_user_wire::{Dialect, Direction, HEADER_SIZE, Header};

use super::edition::Edition;
use super::judgement::{header_mark, payload_mark};
use super::{Channel, Judgement, Judgements, Negotiated, Offer, legacy, twin};

/// Judges a command of a server that offers this; `mapped` says what the device may do with every byte of a range, readable (1) and
/// writeable (2), and `None` where a byte lies in no map that the client made and has not taken back.
pub fn judge_request(
    dialect: &Dialect,
    offer: &Offer,
    header: &Header,
    payload: &[u8],
    negotiated: &Negotiated,
    channel: Channel,
    mapped: &dyn Fn(u64, u64) -> Option<u32>,
) -> Vec<Judgement> {
    let mut out = Judgements::default();
    let number = header.command;
    let known = dialect.message(number).filter(|message| message.direction == Direction::ToClient);
    let only = "DMA_READ or DMA_WRITE: the only commands of a server";
    out.must("HDR-15", known.is_some(), only, || dialect.name_of(number), header_mark("command"));
    let Some(message) = known else { return out.into_vec() };
    twin::judge_request(channel, negotiated, &mut out);
    legacy::judge_request_size(Edition::of(dialect), header.size, negotiated, &mut out);
    if message.name == VM_INTERRUPT.name {
        judge_interrupt(offer, payload, &mut out);
    }
    let write = message.name == DMA_WRITE.name;
    let Some(layout) = message.request.fixed.filter(|_| write || message.name == DMA_READ.name) else {
        return out.into_vec();
    };
    let field = |name| layout.field(name).and_then(|field| field.read(payload));
    let access = field("address").zip(field("count"));
    let data = payload.len().saturating_sub(layout.size) as u64;
    let right = access.is_some_and(|(_, count)| if write { count == data } else { data == 0 });
    let head = HEADER_SIZE + layout.size;
    let expected = if write { format!("{head} bytes and as much data as count says") } else { format!("{head} bytes") };
    let actual = || format!("{} bytes", HEADER_SIZE + payload.len());
    // Version 8 counts in 4 bytes.
    let requirement = if layout.size == DmaAccess::LAYOUT.size { "DMARW-01" } else { "V8-16" };
    out.must(requirement, right, &expected, actual, header_mark("size"));
    if let Some((address, count)) = access {
        let mark = |name| layout.field(name).and_then(payload_mark);
        let most = negotiated.client_limits().max_data_xfer_size;
        let expected = format!("a count of at most {most}, the client's max_data_xfer_size");
        for id in ["DMARW-03", "MSZ-06"] {
            out.must(id, count <= most, &expected, || format!("count {count}"), mark("count"));
        }
        let flags = mapped(address, count);
        let actual = || format!("{count} bytes at {address:#x}");
        for id in ["DMAP-09", "DMARW-02"] {
            let expected = "an access inside memory that is mapped now";
            out.must(id, flags.is_some(), expected, actual, mark("address"));
        }
        if let Some(flags) = flags {
            let (bit, what) = if write { (2, "writeable") } else { (1, "readable") };
            // Flags 0 is open (policy A-03).
            let allowed = flags == 0 || flags & bit != 0;
            out.must("DMARW-07", allowed, &format!("an access to memory that is {what}"), actual, mark("address"));
        }
    }
    let read_without_reply = message.name == DMA_READ.name && header.no_reply();
    let expected = "a DMA_READ that wants its reply";
    out.should("DMARW-10", !read_without_reply, expected, || "No_reply set".to_owned(), header_mark("flags"));
    out.into_vec()
}

/// Judges a VM_INTERRUPT of version 8 (at 595dff9, 1467-1502): of which type it is, it does not say.
fn judge_interrupt(offer: &Offer, payload: &[u8], out: &mut Judgements) {
    let size = Interrupt::LAYOUT.size;
    let expected = format!("a payload of {size} bytes, {} in all", HEADER_SIZE + size);
    let actual = || format!("a payload of {} bytes", payload.len());
    out.must("V8-18", payload.len() == size, &expected, actual, header_mark("size"));
    let most = offer.irqs.iter().map(|irq| irq.count).max();
    if let Some(((interrupt, _), most)) = Interrupt::parse(payload).zip(most) {
        let sub_index = interrupt.sub_index;
        let expected = format!("a sub-index below {most}, the most that a type of interrupts has");
        let mark = Interrupt::LAYOUT.field("sub_index").and_then(payload_mark);
        out.must("V8-18", sub_index < most, &expected, || format!("sub-index {sub_index}"), mark);
    }
}
