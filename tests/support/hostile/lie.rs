//! Lies in a message whose fields are known.

use vfio_user_wire::message::{DEVICE_GET_REGION_INFO, VERSION, Version};
use vfio_user_wire::{Body, Dialect, Frame, HEADER_SIZE, Header, Message};

use super::Script;
use super::{capability, json};

/// The largest payload that is made of an honest one.
const MOST: usize = 5 << 20;

/// Gives some fields of the header or of the payload other values.
pub(crate) fn in_fields(script: &mut Script, dialect: &Dialect, frame: &mut Frame) {
    for _ in 0..=script.below(3) {
        let length = HEADER_SIZE + frame.payload.len();
        let fixed = body(dialect, frame).fixed.filter(|_| script.byte() < 192);
        let layout = fixed.unwrap_or(&Header::LAYOUT);
        let field = script.pick(layout.fields);
        let target = if fixed.is_some() { &mut frame.payload } else { &mut frame.header.bytes().to_vec() };
        let value = script.edgy(field.read(target).unwrap_or_default(), length);
        field.write(target, value);
        if fixed.is_none()
            && let Some((header, _)) = Header::parse(target)
        {
            frame.header = header;
        }
    }
}

/// Gives some of the words behind the fixed part other values: counts, offsets, sizes, bits.
pub(crate) fn behind_fields(script: &mut Script, dialect: &Dialect, frame: &mut Frame) {
    let fixed = body(dialect, frame).fixed_size();
    let words = frame.payload.len().saturating_sub(fixed) / 4;
    for _ in 0..=script.below(3) {
        let at = fixed + 4 * script.below(words.clamp(1, 1 << 16));
        let length = frame.payload.len();
        if let Some(word) = frame.payload.get_mut(at..at + 4) {
            let old = word.first_chunk().map_or(0, |word| u32::from_ne_bytes(*word));
            word.copy_from_slice(&(script.edgy(old.into(), length) as u32).to_ne_bytes());
        }
    }
}

/// Another payload: cut, grown, or of another shape where the message has one. The size is true.
pub(crate) fn in_payload(script: &mut Script, dialect: &Dialect, frame: &mut Frame, largest: usize) {
    let is = |message: &Message| dialect.message(frame.header.command).is_some_and(|known| known.name == message.name);
    if is(&VERSION) && script.byte() < 200 {
        let fixed = frame.payload.len().min(Version::LAYOUT.size);
        let honest = frame.payload.split_off(fixed);
        frame.payload.extend(json::version_data(script, &honest, largest));
    } else if !is(&VERSION) && script.byte() < 100 {
        in_fields(script, dialect, frame);
    } else if is(&DEVICE_GET_REGION_INFO) && script.byte() < 200 {
        frame.payload = capability::region_info(script, &frame.payload);
    } else {
        let length = frame.payload.len();
        let wanted = match script.below(8) {
            0 => 0,
            1 => length.saturating_sub(1),
            2 => script.below(length.clamp(1, 1 << 16)),
            3 => length + 1,
            4 => length + 4096,
            5 => script.edgy(length as u64, length) as usize % MOST,
            6 => length * 2,
            _ => length + script.below(64),
        };
        frame.payload.resize(wanted.min(MOST).min(largest), script.byte());
    }
    frame.header.size = (HEADER_SIZE + frame.payload.len()) as u32;
}

/// What the fixed part of a message is: of a reply or of a command.
fn body(dialect: &Dialect, frame: &Frame) -> Body {
    let reply = frame.header.is_reply();
    dialect.message(frame.header.command).map_or(Body::EMPTY, |message| {
        if reply { message.reply_of(&frame.payload) } else { message.request_of(&frame.payload) }
    })
}
