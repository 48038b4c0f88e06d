//! A dialect that nobody speaks, declared here and nowhere else: what reads messages needs only its tables.

use pretty_assertions::assert_eq;
use vfio_user_wire::{
    Body, Decoded, Dialect, Direction, Frame, HEADER_SIZE, Message, Tail, V0_9_2, Variant, layout, message,
};

layout! {
    /// How the toy is to squeak.
    pub struct Squeak: 15 {
        /// How loud,
        /// in decibels.
        loudness: u8 @ 0,
        /// How it squeaks.
        flags: u16 @ 1 { high = 0x1, long = 0x2, both = 0x3 },
        /// How often.
        times: u32 @ 3,
        /// When, in nanoseconds.
        when: u64 @ 7,
    }
}

layout! {
    /// How the toy did squeak.
    pub struct Squeaked: 4 {
        /// How often.
        times: u32 @ 0,
    }
}

layout! {
    /// The toy has narrow addresses.
    pub struct ToyUnmap: 8 {
        /// First address.
        address: u32 @ 0,
        /// Bytes.
        size: u32 @ 4,
    }
}

/// A long squeak is not answered with a number.
const LONG: Variant = Variant { mask: 3, flags: 2, request: Body::fixed(&Squeak::LAYOUT), reply: Body::EMPTY };

const SQUEAK: Message = Message {
    name: "SQUEAK",
    direction: Direction::ToServer,
    request: Body::with_tail(&Squeak::LAYOUT, Tail::Data),
    reply: Body::fixed(&Squeaked::LAYOUT),
    variants: &[LONG],
    clause: "The toy's manual, 1-2",
};

/// The name is known in 0.9.2, where it has another number and another layout.
const DMA_UNMAP: Message = Message {
    name: "DMA_UNMAP",
    direction: Direction::ToServer,
    request: Body::fixed(&ToyUnmap::LAYOUT),
    reply: Body::EMPTY,
    variants: &[],
    clause: "The toy's manual, 3",
};

const TOY: Dialect = Dialect {
    name: "toy",
    table: None,
    commands: &[(1, &SQUEAK), (2, &DMA_UNMAP), (13, &message::VERSION), (0xffff, &message::REGION_READ)],
};

/// What a transcript does: the name of a frame's message and the values of its fields.
fn told(dialect: &Dialect, frame: &Frame) -> String {
    let Some(message) = dialect.message(frame.header.command) else { return dialect.name_of(frame.header.command) };
    let body = if frame.header.is_reply() { &message.reply } else { &message.request };
    let Decoded { fields, tail, short } = body.decode(&frame.payload);
    let mut told = message.name.to_owned();
    for decoded in fields {
        told += &format!(" {}={:#x}", decoded.field.name, decoded.value);
    }
    if !tail.is_empty() {
        told += &format!(" +{} bytes", tail.len());
    }
    if short {
        told += " cut";
    }
    told
}

fn squeak() -> Frame {
    let squeak = Squeak { loudness: 0x50, flags: 3, times: 0x0102_0304, when: 0x1122_3344_5566_7788 };
    Frame::command(7, 1, [squeak.bytes(), b"eek"].concat())
}

#[test]
fn a_message_of_the_toys_own_is_read_by_its_table() {
    let frame = squeak();
    assert_eq!(told(&TOY, &frame), "SQUEAK loudness=0x50 flags=0x3 times=0x1020304 when=0x1122334455667788 +3 bytes");
    let reply = Frame::reply(&frame.header, Squeaked { times: 2 }.bytes().to_vec());
    assert_eq!(told(&TOY, &reply), "SQUEAK times=0x2");
}

#[test]
fn a_cut_payload_gives_the_fields_that_are_whole() {
    let mut frame = squeak();
    frame.payload.truncate(14);
    assert_eq!(told(&TOY, &frame), "SQUEAK loudness=0x50 flags=0x3 times=0x1020304 cut");
    frame.payload.truncate(2);
    assert_eq!(told(&TOY, &frame), "SQUEAK loudness=0x50 cut");
}

#[test]
fn the_same_bytes_mean_something_else_in_0_9_2() {
    let frame = squeak();
    assert!(told(&V0_9_2, &frame).starts_with("VERSION major="));
    let odd = Frame::command(7, 0xffff, vec![]);
    assert_eq!(told(&V0_9_2, &odd), "command 65535");
    assert_eq!(told(&TOY, &odd), "REGION_READ cut");
    assert_eq!(told(&TOY, &Frame::command(7, 3, vec![])), "command 3");
}

#[test]
fn numbers_and_layouts_are_the_dialects_own() {
    assert_eq!(TOY.command("VERSION"), Some((13, &message::VERSION)));
    assert_eq!(V0_9_2.command("VERSION"), Some((1, &message::VERSION)));
    assert_eq!(TOY.command("DMA_UNMAP").map(|(number, known)| (number, known.request.fixed_size())), Some((2, 8)));
    assert_eq!(V0_9_2.command("DMA_UNMAP").map(|(number, known)| (number, known.request.fixed_size())), Some((3, 24)));
    assert_eq!(TOY.command("DMA_MAP"), None);
    assert_eq!(V0_9_2.command("SQUEAK"), None);
}

#[test]
fn flags_can_ask_for_another_payload() {
    for flags in [0u16, 1, 2, 3, 6] {
        let squeak = Squeak { loudness: 0, flags, times: 0, when: 0 };
        let is_long = flags & 3 == 2;
        assert_eq!(SQUEAK.request_of(squeak.bytes()), if is_long { LONG.request } else { SQUEAK.request }, "{flags}");
        assert_eq!(SQUEAK.reply_of(squeak.bytes()), if is_long { Body::EMPTY } else { SQUEAK.reply }, "{flags}");
    }
    assert_eq!(SQUEAK.request_of(&[0, 2]), SQUEAK.request);
    assert_eq!(DMA_UNMAP.request_of(&[2; 8]), DMA_UNMAP.request);
}

#[test]
fn the_table_has_what_the_declaration_says() {
    let layout = Squeak::LAYOUT;
    assert_eq!((layout.name, layout.size, layout.fields.len()), ("Squeak", 15, 4));
    let flags = layout.field("flags").unwrap();
    assert_eq!((flags.offset, flags.width, flags.max(), flags.meaning), (1, 2, 0xffff, "How it squeaks."));
    let bits: Vec<(&str, u64)> = flags.bits.iter().map(|bit| (bit.name, bit.mask)).collect();
    assert_eq!(bits, [("high", 1), ("long", 2), ("both", 3)]);
    assert_eq!(layout.field("loudness").unwrap().meaning, "How loud, in decibels.");
    assert!(layout.field("loudness").unwrap().bits.is_empty());
    assert_eq!(layout.field("when").unwrap().max(), u64::MAX);
    assert_eq!(layout.field("colour"), None);
}

#[test]
fn a_field_can_be_made_to_lie_by_its_table() {
    let frame = squeak();
    let mut bytes = frame.bytes();
    let times = Squeak::LAYOUT.field("times").unwrap();
    times.write(&mut bytes[HEADER_SIZE..], u64::MAX);
    let (lying, used) = Frame::split(&bytes, 64).unwrap().unwrap();
    assert_eq!(used, bytes.len());
    assert_eq!(told(&TOY, &lying), "SQUEAK loudness=0x50 flags=0x3 times=0xffffffff when=0x1122334455667788 +3 bytes");
}
