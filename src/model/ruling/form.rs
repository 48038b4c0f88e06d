//! What may be answered to a message for its form alone, whatever it asks for.

use vfio_user_wire::legacy::DIRTY_PAGES;
use vfio_user_wire::message::{
    DEVICE_FEATURE, DEVICE_GET_INFO, DEVICE_GET_IRQ_INFO, DEVICE_GET_REGION_INFO, DEVICE_GET_REGION_IO_FDS, DMA_MAP,
    DMA_UNMAP, DeviceFeature, REGION_READ, VERSION,
};
use vfio_user_wire::{
    Direction, HEADER_SIZE, Message, TYPE_COMMAND, TYPE_MASK, TYPE_REPLY, V0_9_1, V0_9_2, feature_flags,
};

use super::super::Command;
use super::super::edition::Edition;
use super::super::permits::{Permits, Rule};
use super::super::session::{Phase, State};
use crate::verdict::Class::{self, Note, Violation};

/// `None` where the message is a well-formed command that can be expected to be carried out.
pub(super) fn permits(state: &State, command: &Command) -> Option<Permits> {
    if (command.header.size as usize) < HEADER_SIZE && command.header.flags & TYPE_MASK == TYPE_COMMAND {
        let refused = "a refusal: the size counts the 16 bytes of the header";
        let dropped = Rule { requirement: "HDR-17", class: Note, expected: refused.to_owned() };
        return Some(Permits { silent: vec![dropped], ..Permits::refusal("HDR-17", Violation, refused) });
    }
    if state.phase == Phase::Lost {
        return Some(Permits::anything());
    }
    let (number, flags, error) = (command.header.command, command.header.flags, command.header.error);
    match flags & TYPE_MASK {
        TYPE_COMMAND => {}
        TYPE_REPLY => {
            let nothing = "no answer: a message of type Reply answers nothing here, and is no command";
            let rule = |class| vec![Rule { requirement: "HDR-21", class, expected: nothing.to_owned() }];
            return Some(Permits { ok: rule(Violation), error: rule(Note), ..Permits::anything() });
        }
        _ => return Some(Permits::anything().unless("HDR-22", Note, "no execution of a message of undefined type")),
    }
    if command.header.no_reply() {
        return Some(Permits::anything());
    }
    let Some(message) = command.message else { return Some(unknown(state, number)) };
    if message.direction != Direction::ToServer {
        let refused = "an error reply: it is a command of the server's";
        return Some(Permits::refusal("HDR-24", Note, refused).open("HDR-24", Note, refused));
    }
    // The Error bit and the error field have no meaning in a command, nor have the bits that are not defined.
    if error != 0 || flags & !TYPE_MASK != 0 {
        return Some(Permits::either());
    }
    let is_version = message.name == VERSION.name;
    match state.phase {
        Phase::Connected | Phase::Refused if !is_version => {
            return Some(Permits::refusal("VER-28", Note, "a refusal: nothing was negotiated yet"));
        }
        Phase::Perhaps => return Some(Permits::either()),
        _ => {}
    }
    if let Some((requirement, class)) = too_short(state, message, &command.payload) {
        let bare = command.payload.is_empty() && message.name != VERSION.name;
        let tested = if bare { "HDR-26" } else { requirement };
        let expected = format!(
            "a refusal: {} bytes of payload are less than the {} of the structure",
            command.payload.len(),
            message.request_of(&command.payload).fixed_size()
        );
        return Some(Permits::refusal(requirement, class, expected).testing(tested));
    }
    if command.fds.len() as u64 > state.offer.limits.max_msg_fds {
        return Some(Permits::either().testing("SEC-05"));
    }
    None
}

fn sets(payload: &[u8]) -> bool {
    DeviceFeature::parse(payload).is_some_and(|(head, _)| head.operation() == feature_flags::SET)
}

fn unknown(state: &State, number: u16) -> Permits {
    // A server may offer what other versions of the protocol have, DIRTY_PAGES above all.
    let elsewhere = [V0_9_1, V0_9_2].iter().any(|dialect| dialect.message(number).is_some());
    if state.phase != Phase::Negotiated || elsewhere {
        return Permits::either();
    }
    let expected = "an error reply: no command has this number";
    let dropped = Rule { requirement: "HDR-23", class: Note, expected: expected.to_owned() };
    Permits { silent: vec![dropped], ..Permits::refusal("HDR-23", Note, expected).open("HDR-23", Note, expected) }
}

/// What success breaks where the payload does not hold the structure. Where only bytes are missing that must be zero,
/// it is no more than a note (736).
fn too_short(state: &State, message: &Message, payload: &[u8]) -> Option<(&'static str, Class)> {
    if payload.len() >= message.request_of(payload).fixed_size() {
        return None;
    }
    // An empty table is a whole one; what is cut off, its ruling tells.
    let tables = matches!(state.edition(), Edition::Tables(_));
    if tables && [DMA_MAP.name, DMA_UNMAP.name, DIRTY_PAGES.name].contains(&message.name) {
        return None;
    }
    // A server that does nothing with maps may not look at them.
    let map = if state.offer.dma_table { Violation } else { Note };
    let index = if payload.len() < 12 { Violation } else { Note };
    // The structure itself is there; what it asks for a bitmap with is not.
    let asks_bitmap = payload.len() >= message.request.fixed_size();
    Some(match message.name {
        name if name == DMA_UNMAP.name && asks_bitmap => ("L-UNM-01", map),
        name if name == DIRTY_PAGES.name => (if asks_bitmap { "L-DP-11" } else { "L-DP-03" }, Violation),
        name if name == DMA_MAP.name => ("DMAP-01", map),
        name if name == DMA_UNMAP.name => ("DUNMAP-01", map),
        name if name == DEVICE_GET_REGION_INFO.name => ("REGINFO-20", index),
        name if name == DEVICE_GET_REGION_IO_FDS.name => ("HDR-20", index),
        name if name == DEVICE_GET_IRQ_INFO.name => ("HDR-20", index),
        name if name == DEVICE_GET_INFO.name => ("HDR-20", Note),
        name if name == REGION_READ.name => ("RREAD-12", Violation),
        name if name == VERSION.name => ("VER-27", Violation),
        name if name == DEVICE_FEATURE.name && payload.len() < 8 => ("FEAT-01", Violation),
        name if name == DEVICE_FEATURE.name && sets(payload) => ("FEAT-11", Violation),
        _ => ("HDR-20", Violation),
    })
}
