//! MIG_DATA_READ and MIG_DATA_WRITE.

use vfio_user_reference_server::{Errno, Feature, Memory, Server, Without};
use vfio_user_wire::device_state::{PRE_COPY, RESUMING, RUNNING, STOP, STOP_COPY};
use vfio_user_wire::irq_set_flags;
use vfio_user_wire::message::{IrqSet, RegionAccess};

use crate::fault::{Fault, fault};
use crate::migration::{HEAD, READ, Saved, WRITE, ask, data, drain, reads, reads_with, set_state, wanted, write};
use crate::queries::{ignores, panics, refuses};
use crate::wrapper::{Answer, Faulty, Step, answers, around, around_server, commands, get, is, put, replies_to};

/// No server can show these.
pub(crate) const NO_FAULT: &[(&str, &str)] = &[];

pub(crate) fn faults() -> Vec<Fault> {
    [read(), sizes(), written(), stream(), carried()].into_iter().flatten().collect()
}

/// In which states it is read.
fn read() -> Vec<Fault> {
    vec![
        fault("MIGDATA-01", "the-stream-outlives-its-session", || {
            let mut left = None;
            around(move |step| {
                if let Some(state) = wanted(&step.frame) {
                    left =
                        (state != STOP_COPY).then(|| drain(step.server, step.memory)).filter(|rest| !rest.is_empty());
                }
                match &left {
                    Some(rest) if is(&step.frame, READ) => {
                        let size = get(&step.frame, "size") as usize;
                        step.answer(data(rest.get(..size).unwrap_or(rest)));
                    }
                    _ => step.pass(),
                }
            })
        }),
        fault("MIGDATA-01", "nothing-instead-of-a-refusal", || {
            around(|step| {
                if !is(&step.frame, READ) {
                    return step.pass();
                }
                let payload = step.frame.payload.clone();
                let reply = ask(step.server, step.memory, READ, payload);
                match reply.filter(|reply| !reply.header.is_error()) {
                    Some(reply) => step.answer(Answer::Ok(reply.payload)),
                    None => step.answer(data(&[])),
                }
            })
        })
        .noted(),
        fault("MIGDATA-17", "commands-of-a-feature-that-is-not-there", || {
            without_migration(|step| match () {
                () if is(&step.frame, READ) => step.answer(data(&[])),
                () if is(&step.frame, WRITE) => step.answer(Answer::Ok(Vec::new())),
                () => step.pass(),
            })
        }),
        fault("MIGDATA-19", "none-in-pre-copy", || {
            let mut state = RUNNING;
            answers(move |command| {
                state = wanted(command).unwrap_or(state);
                (is(command, READ) && state == PRE_COPY).then_some(Answer::Error(Errno::EINVAL))
            })
        }),
        fault("MIGDATA-19", "not-implemented", || refuses(READ, |_| true)),
    ]
}

/// How much is read.
fn sizes() -> Vec<Fault> {
    vec![
        // As in a reply that is as large as was asked for, whatever there was to put into it.
        fault("MIGDATA-03", "as-many-bytes-as-were-asked-for", || {
            replies_to(READ, |command, reply| reply.payload.resize(HEAD + get(command, "size") as usize, 0))
        })
        .also("MIGDATA-04", "bytes behind the end"),
        fault("MIGDATA-03", "the-size-that-was-asked-for", || {
            replies_to(READ, |command, reply| put(reply, "size", get(command, "size")))
        }),
        fault("MIGDATA-03", "the-argsz-of-the-request", || {
            replies_to(READ, |command, reply| put(reply, "argsz", get(command, "argsz") + 8))
        }),
        fault("MIGDATA-03", "argsz-without-its-head", || {
            replies_to(READ, |_, reply| put(reply, "argsz", (reply.payload.len() - HEAD) as u64))
        }),
        fault("MIGDATA-04", "pieces-of-its-own-size", || reads(|_, saved| data(&saved.next(4096)))),
        fault("MIGDATA-04", "short-in-the-middle", || {
            reads(|command, saved| data(&saved.next((get(command, "size") as usize).min(48))))
        }),
        fault("MIGDATA-06", "an-error-at-the-end", || {
            reads(|command, saved| match saved.next(get(command, "size") as usize) {
                bytes if bytes.is_empty() => Answer::Error(Errno::ENODATA),
                bytes => data(&bytes),
            })
        }),
        fault("MIGDATA-07", "argsz-is-not-looked-at", || {
            commands(|command, _| {
                if is(command, READ) {
                    put(command, "argsz", get(command, "size") + 8);
                }
            })
        }),
        fault("MIGDATA-07", "what-is-refused-is-lost", || {
            reads_with(|command, saved| {
                let bytes = saved.next(get(command, "size") as usize);
                if get(command, "argsz") < (HEAD + bytes.len()) as u64 {
                    return Answer::Error(Errno::EINVAL);
                }
                data(&bytes)
            })
        }),
        fault("MIGDATA-08", "memory-for-whatever-is-asked", || {
            panics(READ, |command| get(command, "size") > 1 << 30, "memory allocation of 4294967280 bytes failed")
        })
        .by_process(),
        fault("MIGDATA-08", "no-answer-to-a-large-size", || ignores(READ, |command| get(command, "size") > 1 << 20)),
        fault("MIGDATA-08", "cut-down-to-the-limit", || {
            reads(|command, saved| match get(command, "size") as usize {
                size if size > 1 << 20 => data(&saved.next(16)),
                size => data(&saved.next(size)),
            })
        })
        .noted(),
        fault("MIGDATA-09", "0-means-all", || {
            reads(|command, saved| match get(command, "size") as usize {
                0 => data(&saved.next(1 << 20)),
                size => data(&saved.next(size)),
            })
        })
        .also("MIGDATA-04", "more than was asked for"),
        fault("MIGDATA-09", "0-reads-on", || {
            reads(|command, saved| {
                let size = get(command, "size") as usize;
                if size == 0 {
                    saved.at += 1;
                }
                data(&saved.next(size))
            })
        }),
        fault("MIGDATA-18", "the-request-is-part-of-the-reply", || {
            replies_to(READ, |command, reply| {
                reply.payload.resize(reply.payload.len() + command.payload.len() - HEAD, 0)
            })
        })
        .also("MIGDATA-03", "more bytes than size says"),
    ]
}

/// How it is written.
fn written() -> Vec<Fault> {
    vec![
        fault("MIGDATA-02", "restored-in-any-state", || {
            let mut state = RUNNING;
            around(move |step| {
                state = wanted(&step.frame).unwrap_or(state);
                if !is(&step.frame, WRITE) || state == RESUMING {
                    return step.pass();
                }
                let data = step.frame.payload.get(HEAD..).unwrap_or_default();
                set_state(step.server, step.memory, RESUMING);
                write(step.server, step.memory, data);
                if !set_state(step.server, step.memory, state) {
                    ask(step.server, step.memory, "DEVICE_RESET", Vec::new());
                    set_state(step.server, step.memory, state);
                }
                step.answer(Answer::Ok(Vec::new()));
            })
        }),
        fault("MIGDATA-02", "dropped-in-other-states", || {
            let mut state = RUNNING;
            answers(move |command| {
                state = wanted(command).unwrap_or(state);
                (is(command, WRITE) && state != RESUMING).then_some(Answer::Ok(Vec::new()))
            })
        })
        .noted(),
        fault("MIGDATA-10", "a-head-as-in-reads", || {
            replies_to(WRITE, |command, reply| reply.payload = command.payload[..HEAD].to_vec())
        }),
        fault("MIGDATA-11", "argsz-counts-the-data", || {
            refuses(WRITE, |command| get(command, "argsz") < get(command, "size") + HEAD as u64)
        })
        .noted(),
        fault("MIGDATA-12", "what-is-not-there-is-zero", || {
            commands(|command, _| {
                let size = (get(command, "size") as usize).min(1 << 20);
                if is(command, WRITE) && HEAD + size > command.payload.len() {
                    command.payload.resize(HEAD + size, 0);
                    put(command, "size", size as u64);
                }
            })
        }),
        fault("MIGDATA-12", "bytes-behind-the-data-are-data", || {
            commands(|command, _| {
                if is(command, WRITE) && command.payload.len() > HEAD + get(command, "size") as usize {
                    let all = (command.payload.len() - HEAD) as u64;
                    put(command, "size", all);
                }
            })
        }),
        fault("MIGDATA-13", "whole-words-alone", || refuses(WRITE, |command| !get(command, "size").is_multiple_of(4))),
        fault("MIGDATA-13", "the-last-piece-alone", || {
            let mut whole = Vec::new();
            around(move |step| {
                if is(&step.frame, WRITE) {
                    whole = step.frame.payload.get(HEAD..).unwrap_or_default().to_vec();
                    return step.answer(Answer::Ok(Vec::new()));
                }
                if wanted(&step.frame).is_some() {
                    write(step.server, step.memory, &std::mem::take(&mut whole));
                }
                step.pass();
            })
        }),
        fault("MIGDATA-15", "64-kib-at-a-time", || refuses(WRITE, |command| get(command, "size") > 64 << 10)).noted(),
    ]
}

/// Its parts, and its beginnings.
fn stream() -> Vec<Fault> {
    vec![
        fault("MIGDATA-05", "each-piece-with-a-length-before-it", || {
            reads(|command, saved| {
                let size = get(command, "size") as usize;
                if saved.at == saved.bytes.len() {
                    return data(&[]);
                }
                let mut piece = 1u32.to_ne_bytes().to_vec();
                piece.truncate(size.saturating_sub(1));
                let rest = saved.next(size.saturating_sub(piece.len()));
                piece.extend(rest);
                data(&piece)
            })
        }),
        fault("MIGDATA-05", "nothing-in-small-pieces", || {
            reads(|command, saved| match get(command, "size") as usize {
                size if size < 64 => data(&[]),
                size => data(&saved.next(size)),
            })
        }),
        fault("MIGDATA-16", "nothing-the-second-time", || {
            let mut sessions = 0;
            around(move |step| {
                sessions += u32::from(wanted(&step.frame) == Some(STOP_COPY));
                if is(&step.frame, READ) && sessions > 1 { step.answer(data(&[])) } else { step.pass() }
            })
        }),
        fault("MIGDATA-16", "the-second-session-goes-on-with-the-first", || {
            let mut at = None;
            reads(move |command, saved| {
                saved.at = saved.at.max(at.unwrap_or_default());
                let bytes = saved.next(get(command, "size") as usize);
                at = Some(saved.at);
                data(&bytes)
            })
        }),
        fault("MIGDATA-20", "two-buffers-that-change-places", || {
            reads(|command, saved: &mut Saved| {
                let size = (get(command, "size") as usize).max(1);
                let (number, total) = (saved.at / size, saved.bytes.len());
                saved.at += size;
                let from = (number ^ 1).saturating_mul(size);
                let bytes = saved.bytes.get(from.min(total)..from.saturating_add(size).min(total)).unwrap_or_default();
                data(bytes)
            })
        })
        .also("MIGDATA-04", "the short piece is not the last"),
    ]
}

/// What it is for.
fn carried() -> Vec<Fault> {
    vec![
        fault("MIGDATA-14", "scratch-bytes-are-left-out", || keeps(0, 0x1000, 0x2000)),
        fault("MIGDATA-14", "the-last-scratch-bytes-are-left-out", || keeps(0, 0x2800, 0x800)),
        fault("MIGDATA-14", "what-is-mapped-is-left-out", || keeps(1, 0, 0x10000)),
        fault("MIGDATA-14", "the-last-of-what-is-mapped-in-part-is-left-out", || keeps(1, 0xf000, 0x1000)),
        fault("MIGDATA-14", "the-counter-is-left-out", || {
            around(|step| {
                let restored = wanted(&step.frame) == Some(RUNNING);
                step.pass_then(|server, memory| {
                    if restored {
                        region(server, memory, "REGION_READ", 0, 4, 4, &[]);
                    }
                });
            })
        }),
        fault("MIGDATA-14", "it-does-not-run-again", || {
            let mut restored = false;
            answers(move |command| {
                let state = wanted(command);
                restored |= state == Some(RESUMING);
                (restored && state == Some(RUNNING)).then_some(Answer::Error(Errno::EIO))
            })
        }),
        fault("MIGDATA-14", "interrupts-are-forgotten", || {
            around(|step| {
                let begins = wanted(&step.frame) == Some(RESUMING);
                step.pass_then(|server, memory| {
                    for index in (0..5u32).filter(|_| begins) {
                        let none = irq_set_flags::DATA_NONE | irq_set_flags::ACTION_TRIGGER;
                        let off = IrqSet { argsz: 20, flags: none, index, start: 0, count: 0 };
                        ask(server, memory, "DEVICE_SET_IRQS", off.bytes().to_vec());
                    }
                });
            })
        }),
    ]
}

/// An access by message to the device.
fn region(
    server: &mut Server,
    memory: &mut dyn Memory,
    name: &str,
    region: u32,
    offset: u64,
    count: u32,
    bytes: &[u8],
) -> Vec<u8> {
    let access = RegionAccess { offset, region, count };
    let reply = ask(server, memory, name, [access.bytes(), bytes].concat());
    reply.and_then(|reply| reply.payload.get(16..).map(<[u8]>::to_vec)).unwrap_or_default()
}

/// These bytes stay what they were when the device is restored.
fn keeps(index: u32, offset: u64, count: u32) -> Faulty {
    let mut kept: Option<Vec<u8>> = None;
    around(move |step| {
        let state = wanted(&step.frame);
        if state == Some(RESUMING) {
            kept = Some(region(step.server, step.memory, "REGION_READ", index, offset, count, &[]));
        }
        step.pass_then(|server, memory| {
            if matches!(state, Some(RUNNING | STOP))
                && let Some(bytes) = kept.take()
            {
                region(server, memory, "REGION_WRITE", index, offset, count, &bytes);
            }
        });
    })
}

/// A server whose device cannot be migrated.
fn without_migration(receive: impl FnMut(Step<'_>) + 'static) -> Faulty {
    around_server(Server::with(Without::from_iter([Feature::Migration])), receive)
}
