//! Header, framing and errors.

use vfio_user_reference_server::{Channel, Effect, Errno};

use crate::layer::{Served, around, effects, error_replies, own_commands, taken};
use crate::liberty::{Liberty, liberty};
use crate::wrapper::is;

/// Errors as systems have them: small ones, the last of Linux, the kernel's own, those of other systems, negative ones.
const ERRNOS: [u32; 11] = [1, 5, 14, 95, 133, 134, 524, 4095, 0x7fff_ffff, 0xffff_ffff, 0xffff_ffea];
/// Commands whose refusal is an answer to what a client may send: they are never closed upon.
const ASKED: [&str; 7] = [
    "VERSION",
    "DMA_MAP",
    "DEVICE_GET_REGION_IO_FDS",
    "DEVICE_RESET",
    "DEVICE_FEATURE",
    "MIG_DATA_READ",
    "REGION_WRITE_MULTI",
];

pub(crate) fn liberties() -> Vec<Liberty> {
    vec![
        liberty("errors-without-an-errno", "447-448: it may be zero even if the Error bit is set", |served| {
            error_replies(served, |command, reply| {
                // 653-655 names one.
                if !is(command, "DMA_MAP") {
                    reply.header.error = 0;
                }
            })
        })
        .seen_by(&["HDR-*", "DUNMAP-*", "SETIRQS-*", "RREAD-*", "FEAT-*"]),
        liberty("errors-of-any-number", "447: an optional UNIX errno value, of whatever system", |served| {
            let mut next = ERRNOS.iter().cycle();
            error_replies(served, move |command, reply| {
                if !is(command, "DMA_MAP") {
                    reply.header.error = *next.next().unwrap();
                }
            })
        })
        .seen_by(&["HDR-*", "DUNMAP-*", "SETIRQS-*", "RREAD-*", "FEAT-*"]),
        liberty("closes-on-what-no-client-may-send", "312-317: input is validated; nothing says how", closes)
            .seen_by(&["HDR-*", "DUNMAP-*", "SETIRQS-*", "RREAD-*", "RWRITE-*", "REGINFO-*", "IRQINFO-*", "INFO-*"])
        .noted("HDR-23", "a close in place of an error")
        .noted("HDR-24", "a close in place of an error")
        .noted("HDR-25", "a close in place of an error")
        .noted("HDR-26", "a close in place of an error")
        .noted("INFO-09", "a close in place of an error")
        .noted("IRQINFO-08", "a close in place of an error")
        .noted("IRQINFO-10", "a close in place of an error")
        .noted("REGINFO-14", "a close in place of an error")
        .noted("SETIRQS-20", "a close in place of an error")
        .noted("SETIRQS-28", "a close in place of an error")
        .noted("SETIRQS-29", "a close in place of an error"),
        liberty("closes-on-any-malformed-size", "312-317; 339-340", |served| {
            around(served, |message| {
                let known = vfio_user_wire::V0_9_2.message(message.frame.header.command);
                let short = known.is_some_and(|known| message.frame.payload.len() < known.request.fixed_size());
                if short && message.is_command() && !is(&message.frame, "VERSION") { message.close() } else { message.pass() }
            })
        })
        .seen_by(&["HDR-20", "HDR-26", "DMAP-01", "DUNMAP-01", "REGINFO-20", "RREAD-12", "FEAT-01", "FEAT-11"])
        .noted("HDR-26", "a close in place of an error"),
        liberty("refuses-what-is-longer-than-its-structure", "339-340 says what a size is, and not that more is to be taken", |served| {
            around(served, |message| {
                let known = vfio_user_wire::V0_9_2.message(message.frame.header.command);
                let long = known.is_some_and(|known| {
                    let fixed = ["DMA_MAP", "DMA_UNMAP", "DEVICE_GET_INFO", "DEVICE_GET_REGION_INFO", "DEVICE_GET_IRQ_INFO", "DEVICE_RESET", "REGION_READ"];
                    fixed.contains(&known.name) && message.frame.payload.len() > known.request.fixed_size()
                });
                if long && message.is_command() { message.refuse(Errno::EINVAL) } else { message.pass() }
            })
        })
        .seen_by(&["HDR-19", "REGINFO-23", "RESET-07", "RREAD-12"])
        .noted("REGINFO-23", "policy A-05: refused"),
        liberty("drops-what-is-no-command", "436-440: a reply acknowledges a command; 2 to 15 have no meaning", |served| {
            around(served, |message| {
                if message.channel == Channel::Main && message.frame.header.message_type() > 1 {
                    taken();
                } else {
                    message.pass();
                }
            })
        })
        .seen_by(&["HDR-21", "HDR-22"]),
        liberty("closes-on-what-is-no-command", "436-440; 312-317", |served| {
            let mut asked = 0u32;
            around(served, move |message| {
                let kind = message.frame.header.message_type();
                if message.channel == Channel::Main && (kind > 1 || kind == 1 && asked == 0) {
                    return message.close();
                }
                if kind == 1 {
                    asked = asked.saturating_sub(1);
                }
                if is(&message.frame, "VERSION") {
                    asked = 0;
                }
                message.pass_and(|effects| {
                    let own = effects.iter().filter(|effect| matches!(effect, Effect::Send { frame, channel: Channel::Main, .. } if !frame.header.is_reply()));
                    asked += own.count() as u32;
                });
            })
        })
        .seen_by(&["HDR-21", "HDR-22", "SEC-01"]),
        liberty("no-reply-whatever-is-asked", "441-443: no reply is needed, so a query is not even looked at", |served| {
            around(served, |message| {
                let query = ["DEVICE_GET_INFO", "DEVICE_GET_REGION_INFO", "DEVICE_GET_IRQ_INFO", "DEVICE_GET_REGION_IO_FDS"];
                if message.is_command() && message.frame.header.no_reply() && query.iter().any(|name| is(&message.frame, name)) {
                    taken();
                } else {
                    message.pass();
                }
            })
        })
        .seen_by(&["CONC-03", "CONC-04", "CONC-09"]),
        liberty("own-commands-share-one-id", "427-430: ids belong to the sender and can be re-used, even concurrently", |served| {
            shares_id(served, |_| 0)
        })
        .seen_by(&["DMARW-*", "TWIN-*", "CONC-07"]),
        liberty("own-commands-have-the-client-s-ids", "427-430: ids belong to the sender", |served| {
            shares_id(served, |last| last)
        })
        .seen_by(&["DMARW-*", "TWIN-*", "CONC-07"]),
        liberty("own-commands-have-an-error-field", "448: it is reserved in a command", |served| {
            own_commands(served, |frame| frame.header.error = 0x55)
        })
        .seen_by(&["DMARW-*", "HDR-15"]),
    ]
}

/// Leaves a client that sends what it must not.
fn closes(served: Served) -> Served {
    effects(served, |command, effects| {
        for effect in effects {
            let Effect::Send { frame, .. } = effect else { continue };
            if frame.header.is_reply() && frame.header.is_error() && !ASKED.iter().any(|name| is(command, name)) {
                *effect = Effect::Close;
                taken();
            }
        }
    })
}

/// Sends the server's own commands under ids that are made of the id of the client's last command.
fn shares_id(served: Served, id: fn(u16) -> u16) -> Served {
    let mut under_way = std::collections::HashMap::new();
    let mut last = 0;
    around(served, move |mut message| {
        let header = &mut message.frame.header;
        if header.message_type() == 0 {
            last = header.id;
        } else if let Some(known) = under_way.get(&{ header.id }) {
            header.id = *known;
        }
        message.pass_and(|effects| {
            for effect in effects {
                if let Effect::Send { frame, .. } = effect
                    && !frame.header.is_reply()
                {
                    taken();
                    under_way.insert(id(last), frame.header.id);
                    frame.header.id = id(last);
                }
            }
        });
    })
}
