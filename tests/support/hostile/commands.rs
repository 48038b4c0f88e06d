//! Commands of the server, which nobody asked for.

use vfio_user_wire::{Dialect, Direction, Frame, Message};

use super::Script;

/// One of any number, with a payload that may fit it.
pub(crate) fn command(script: &mut Script, dialect: &Dialect) -> Frame {
    let own: Vec<(u16, &Message)> = dialect
        .commands
        .iter()
        .filter(|(_, message)| message.direction == Direction::ToClient)
        .map(|(number, message)| (*number, *message))
        .collect();
    let id = script.u16();
    let (number, message) = match script.below(4) {
        0 => (script.u16(), None),
        1 => (script.below(20) as u16, None),
        _ => {
            let (number, message) = *script.pick(&own);
            (number, Some(message))
        }
    };
    let mut payload = vec![0; message.map_or(0, |message| message.request.fixed_size())];
    if let Some(layout) = message.and_then(|message| message.request.fixed) {
        for field in layout.fields {
            // Where cases map their memory, so that some of it is served.
            let usual = *script.pick(&[0x1_0000, 0x10_0000, 0x1000, 16, 0]);
            let value = if script.byte() < 100 { script.edgy(usual, 0x1000) } else { usual };
            field.write(&mut payload, value);
        }
    }
    let data = *script.pick(&[0, 16, 1, 0x1000, 0x1_0000]);
    payload.resize(payload.len() + data, script.byte());
    let mut frame = Frame::command(id, number, payload);
    if script.byte() < 40 {
        frame.header.flags = script.edgy(0, 16) as u32;
    }
    if script.byte() < 10 {
        frame.header.size = script.edgy(frame.header.size.into(), 16) as u32;
    }
    frame
}
