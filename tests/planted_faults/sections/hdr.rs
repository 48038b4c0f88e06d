//! Header and message framing.

use std::os::fd::OwnedFd;
use std::os::unix::net::UnixListener;

use vfio_user_reference_server::{Channel, Effect, Errno, FRAME_LIMIT, Machine};
use vfio_user_wire::{ERROR, Frame, HEADER_SIZE, Header, NO_REPLY, TYPE_MASK, V0_9_2};

use crate::dma::has_command;
use crate::fault::{Fault, fault, loop_fault};
use crate::loops::{as_told, serve_by_length, serve_clients, serve_messages, structure};
use crate::twin::{sends_on, with_twin};
use crate::wrapper::{
    Answer, Faulty, Step, answers, around, commands, effects, error_replies, get, hang, is, own_commands, put,
    refusals, replies, replies_to, send,
};

/// No server can show these.
pub(crate) const NO_FAULT: &[(&str, &str)] =
    &[("HDR-09", "it permits every value of a field: no error reply can break it")];

pub(crate) fn faults() -> Vec<Fault> {
    [headers(), errors(), lengths(), numbers(), pieces(), channels()].into_iter().flatten().collect()
}

/// Faults of servers with a twin socket.
fn channels() -> Vec<Fault> {
    vec![
        // What was opened last is written to.
        fault("HDR-31", "everything-on-the-twin-socket", || sends_on(|_| Some(Channel::Twin))),
        fault("HDR-31", "refusals-on-the-twin-socket", || {
            sends_on(|frame| frame.header.is_error().then_some(Channel::Twin))
        }),
        fault("HDR-32", "a-command-meanwhile-is-lost", || meanwhile(|_| {})),
        fault("HDR-32", "a-command-meanwhile-is-refused", || {
            meanwhile(|step| step.answer(Answer::Error(Errno::EBUSY)))
        })
        .also("DMAP-03", "a map is refused that should be made")
        .perhaps("INFO-06", "an interrupt that is there is asked for in vain, where the device still waits"),
        fault("HDR-32", "the-reply-is-lost-for-a-command-meanwhile", || {
            let (mut waiting, mut lost) = (false, false);
            with_twin(move |step, twin| {
                lost |= twin && waiting && step.channel == Channel::Main;
                if step.channel == Channel::Twin && lost {
                    return;
                }
                step.pass_and(|effects| waiting = has_command(effects));
            })
        }),
    ]
}

/// What happens to a command on the main socket while the device waits for an answer on the other.
fn meanwhile(happens: fn(Step<'_>)) -> Faulty {
    let mut waiting = false;
    with_twin(move |step, twin| {
        if twin && waiting && step.channel == Channel::Main {
            return happens(step);
        }
        step.pass_and(|effects| waiting = has_command(effects));
    })
}

fn headers() -> Vec<Fault> {
    vec![
        // A way of its own for what must be fast, which forgets the header.
        loop_fault("HDR-01", "data-alone", read_without_header),
        fault("HDR-02", "the-next-id", || replies(|_, reply| reply.header.id = reply.header.id.wrapping_add(1))),
        fault("HDR-02", "ids-of-8-bits", || replies(|_, reply| reply.header.id &= 0xff)),
        fault("HDR-02", "no-id-in-errors", || error_replies(|_, reply| reply.header.id = 0)),
        fault("HDR-03", "the-id-is-a-key", replay_by_id)
            .also("RREAD-01", "the reply that is replayed has another offset"),
        fault("HDR-04", "no-command-in-errors", || error_replies(|_, reply| reply.header.command = 0)),
        fault("HDR-04", "no-command-in-replies", || replies(|_, reply| reply.header.command = 0)),
        fault("HDR-05", "data-not-counted", || replies_to("REGION_READ", |_, reply| reply.header.size = 32))
            .also("RREAD-02", "the count that is stated is not the count of bytes that seem to be there"),
        fault("HDR-05", "no-size-in-errors", || error_replies(|_, reply| reply.header.size = 0)),
        fault("HDR-06", "no-type-in-errors", || error_replies(|_, reply| reply.header.flags = ERROR)),
        fault("HDR-06", "flags-of-the-command", || {
            replies(|command, reply| {
                if !reply.header.is_error() {
                    reply.header.flags = command.header.flags;
                }
            })
        }),
        // EAGAIN, as some call inside the server left it.
        fault("HDR-07", "errno-of-the-last-system-call", || {
            replies(|_, reply| reply.header.error = if reply.header.is_error() { reply.header.error } else { 11 })
        })
        .noted(),
        // The buffer of the refusal before is not cleared.
        fault("HDR-07", "error-bit-sticks", || {
            let mut refused = false;
            replies(move |_, reply| {
                if std::mem::replace(&mut refused, reply.header.is_error()) {
                    reply.header.flags |= ERROR;
                }
            })
        })
        .also("HDR-10", "with that bit the result is a payload too many")
        .also("INFO-01", "with that bit the query has failed"),
        fault("HDR-11", "no-reply-in-replies", || replies(|_, reply| reply.header.flags |= NO_REPLY)),
        fault("HDR-12", "flags-sign-extended", || replies(|_, reply| reply.header.flags |= 0x8000_0000)),
        // They are taken for replies, which answer nothing.
        fault("HDR-13", "error-bit-makes-a-reply", || {
            answers(|command| command.header.is_error().then_some(Answer::Nothing))
        }),
        fault("HDR-14", "two-replies", || {
            effects(|command, effects| {
                if is(command, "DEVICE_GET_INFO") {
                    effects.extend(effects.first().cloned());
                }
            })
        }),
        fault("HDR-14", "a-refusal-without-a-reply", || {
            effects(|command, effects| {
                if is(command, "DEVICE_GET_REGION_INFO") {
                    effects.retain(|effect| !matches!(effect, Effect::Send { frame, .. } if frame.header.is_error()));
                }
            })
        }),
        // DMA_READ is 10 and DMA_WRITE 11, as in the first texts.
        fault("HDR-15", "numbers-of-version-8", || own_commands(|command| command.header.command -= 1))
            .also("DMARW-01", "a DMA_WRITE is taken for a DMA_READ with data"),
    ]
}

fn errors() -> Vec<Fault> {
    vec![
        fault("HDR-08", "errno-without-the-bit", || {
            error_replies(|command, reply| {
                if is(command, "DMA_MAP") {
                    reply.header.flags &= !ERROR;
                }
            })
        })
        .also("DMAP-05", "without that bit the map has succeeded"),
        fault("HDR-10", "the-request-in-errors", || {
            error_replies(|command, reply| reply.payload = command.payload.clone())
        })
        .also("RWRITE-10", "which says the same of REGION_WRITE"),
        fault("HDR-10", "the-structure-in-errors", || {
            error_replies(|command, reply| reply.payload = vec![0; structure(&command.header)])
        })
        .also("RWRITE-10", "which says the same of REGION_WRITE"),
    ]
}

fn lengths() -> Vec<Fault> {
    vec![
        fault("HDR-17", "reset-whatever-the-size", || {
            refusals(|server, header, effects| {
                if V0_9_2.message(header.command).is_some_and(|message| message.name == "DEVICE_RESET") {
                    effects.push(send(Frame::reply(header, Vec::new())));
                } else {
                    server.refuse(header, effects);
                }
            })
        }),
        // For as much memory as the header wants.
        fault("HDR-18", "waiting-for-memory", || {
            refusals(|server, header, effects| {
                if header.size as usize > FRAME_LIMIT {
                    hang();
                }
                server.refuse(header, effects);
            })
        }),
        fault("HDR-18", "no-memory-for-what-is-announced", || {
            refusals(|server, header, effects| {
                assert!(header.size < 1 << 30, "memory allocation of {} bytes failed", { header.size });
                server.refuse(header, effects);
            })
        })
        .by_process(),
        loop_fault("HDR-19", "no-more-than-the-structure", |listener, stop| {
            serve_by_length(&listener, &stop, |header| {
                let open_end = V0_9_2
                    .message(header.command)
                    .is_none_or(|message| message.request.tail != vfio_user_wire::Tail::None);
                if open_end { as_told(header) } else { as_told(header).min(structure(header)) }
            });
        })
        .also("HDR-14", "what is taken for a command gets a reply"),
        loop_fault("HDR-20", "no-less-than-the-structure", |listener, stop| {
            serve_by_length(&listener, &stop, |header| as_told(header).max(structure(header)));
        })
        .perhaps("HDR-14", "what is taken for a command gets a reply"),
        fault("HDR-20", "missing-fields-are-zero", || {
            commands(|frame, _| {
                let size = structure(&frame.header);
                if !frame.payload.is_empty() && frame.payload.len() < size {
                    frame.payload.resize(size, 0);
                    frame.header.size = (HEADER_SIZE + size) as u32;
                }
            })
        }),
        loop_fault("HDR-26", "a-header-alone-is-half-a-command", |listener, stop| {
            serve_by_length(&listener, &stop, |header| match as_told(header) {
                0 => structure(header),
                told => told,
            });
        })
        .perhaps("HDR-14", "what is taken for a command gets a reply"),
    ]
}

fn numbers() -> Vec<Fault> {
    vec![
        fault("HDR-21", "replies-are-carried-out", || carry_out_type(|kind| kind == 1)),
        fault("HDR-22", "any-type-is-a-command", || carry_out_type(|kind| kind > 1)),
        loop_fault("HDR-23", "unknown-payload-left-in-the-stream", |listener, stop| {
            serve_by_length(&listener, &stop, |header| {
                if V0_9_2.message(header.command).is_none() { 0 } else { as_told(header) }
            });
        })
        .also("HDR-14", "what is taken for a command gets a reply"),
        fault("HDR-24", "dma-for-the-client", || {
            answers(|command| {
                (is(command, "DMA_READ") || is(command, "DMA_WRITE")).then(|| Answer::Ok(command.payload.clone()))
            })
        }),
        // A table of handlers, and an index that nobody checks.
        fault("HDR-25", "past-the-table-of-handlers", || {
            answers(|command| {
                assert!(command.header.command < 1000, "no handler for command {}", { command.header.command });
                None
            })
        })
        .by_process(),
        fault("HDR-30", "address-in-cap-offset", || {
            let mut address = 0x7f3a_10c0_u64;
            replies_to("DEVICE_GET_REGION_INFO", move |_, reply| {
                if get(reply, "cap_offset") == 0 {
                    address += 0x1240;
                    put(reply, "cap_offset", address);
                }
            })
        }),
        fault("HDR-30", "stale-bytes-behind-unmap-flags", || {
            let mut stale = 0x5a00;
            replies_to("DMA_UNMAP", move |_, reply| {
                stale += 7;
                put(reply, "flags", stale);
            })
        }),
        fault("HDR-33", "optional-commands-are-nothing", || {
            answers(|command| [6, 15, 16, 17, 18].contains(&{ command.header.command }).then_some(Answer::Nothing))
        }),
    ]
}

fn pieces() -> Vec<Fault> {
    vec![
        loop_fault("HDR-27", "a-header-comes-whole", |listener, stop| {
            serve_messages(&listener, &stop, |client| {
                let (header, _) = Header::parse(&client.receive(HEADER_SIZE)?)?;
                Some(Frame { header, payload: client.exactly(as_told(&header))? })
            });
        }),
        loop_fault("HDR-28", "a-payload-comes-whole", |listener, stop| {
            serve_messages(&listener, &stop, |client| {
                let header = client.header()?;
                let size = as_told(&header);
                Some(Frame { header, payload: if size == 0 { Vec::new() } else { client.receive(size)? } })
            });
        })
        .perhaps("HDR-14", "what is taken for a command gets a reply"),
        // What else came with a message is lost.
        loop_fault("HDR-29", "a-message-for-each-recv", |listener, stop| {
            serve_messages(&listener, &stop, |client| {
                let mut bytes = client.receive(4 << 20)?;
                loop {
                    match Frame::split(&bytes, FRAME_LIMIT).ok()? {
                        Some((frame, _)) => return Some(frame),
                        None => bytes.extend(client.receive(4 << 20)?),
                    }
                }
            });
        }),
    ]
}

/// Reads are answered without a header.
fn read_without_header(listener: UnixListener, stop: OwnedFd) {
    serve_clients(&listener, &stop, |client| {
        while let Some(frame) = client.message() {
            let mut effects = client.carry_out(frame);
            if let [Effect::Send { frame, .. }] = effects.as_mut_slice()
                && is(frame, "REGION_READ")
            {
                if !client.send(&frame.payload, &[]) {
                    break;
                }
                effects.clear();
            }
            if !client.perform(effects) {
                break;
            }
        }
        true
    });
}

/// A command with an id that was answered before gets that answer once more.
fn replay_by_id() -> Faulty {
    let mut answered: Option<Frame> = None;
    replies(move |command, reply| {
        if !is(command, "REGION_READ") {
            return;
        }
        match answered.as_ref().filter(|before| before.header.id == command.header.id) {
            Some(before) => *reply = before.clone(),
            None => answered = Some(reply.clone()),
        }
    })
}

/// Messages of these types are carried out as commands, replies to DMA commands apart.
fn carry_out_type(carried_out: fn(u32) -> bool) -> Faulty {
    around(move |mut step| {
        let header = &mut step.frame.header;
        if carried_out(header.flags & TYPE_MASK) && !(11..=12).contains(&{ header.command }) {
            header.flags &= !TYPE_MASK;
        }
        step.pass();
    })
}
