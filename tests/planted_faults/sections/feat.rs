//! DEVICE_FEATURE.

use vfio_user_reference_server::{Effect, Errno, Feature, Server, Without};
use vfio_user_wire::message::DeviceFeature;
use vfio_user_wire::{Frame, feature_flags as flags, feature_index as index};

use crate::fault::{Fault, fault};
use crate::queries::{ignores, panics};
use crate::wrapper::{Answer, Faulty, answers, around, around_server, commands, error_replies, get, is, put, replies};

const NAME: &str = "DEVICE_FEATURE";

/// No server can show these.
pub(crate) const NO_FAULT: &[(&str, &str)] = &[];

pub(crate) fn faults() -> Vec<Fault> {
    [request(), operations(), data(), probe(), repeated(), got(), migration(), without(), errors()]
        .into_iter()
        .flatten()
        .collect()
}

/// What a command asks for: the operation and the feature.
fn asks(command: &Frame) -> Option<(u32, u16)> {
    let head = DeviceFeature::parse(&command.payload).filter(|_| is(command, NAME))?.0;
    Some((head.operation(), head.index()))
}

/// Changes the successful replies to GET of MIGRATION and MIG_DEVICE_STATE.
fn gets(change: impl Fn(&Frame, &mut Frame) + 'static) -> Faulty {
    replies(move |command, reply| {
        if matches!(asks(command), Some((flags::GET, index::MIGRATION | index::MIG_DEVICE_STATE)))
            && !reply.header.is_error()
        {
            change(command, reply);
        }
    })
}

/// Changes the flags of MIGRATION.
fn migration_flags(change: fn(u64) -> u64) -> Faulty {
    gets(move |command, reply| {
        if matches!(asks(command), Some((_, index::MIGRATION))) && reply.payload.len() == 16 {
            let flags = u64::from_ne_bytes(reply.payload[8..].try_into().unwrap());
            reply.payload[8..].copy_from_slice(&change(flags).to_ne_bytes());
        }
    })
}

/// Changes the successful replies to PROBE.
fn probes(change: impl Fn(&Frame, &mut Frame) + 'static) -> Faulty {
    replies(move |command, reply| {
        if asks(command).is_some_and(|(operation, _)| operation & flags::PROBE != 0) && !reply.header.is_error() {
            change(command, reply);
        }
    })
}

/// Such commands succeed, and the payload is repeated.
fn agrees(which: impl Fn(u32, u16) -> bool + 'static) -> Faulty {
    answers(move |command| {
        let (operation, feature) = asks(command)?;
        which(operation, feature).then(|| Answer::Ok(command.payload.clone()))
    })
}

/// Such commands are refused.
fn refuses(which: impl Fn(u32, u16) -> bool + 'static) -> Faulty {
    answers(move |command| {
        let (operation, feature) = asks(command)?;
        which(operation, feature).then_some(Answer::Error(Errno::ENOTTY))
    })
}

fn short(command: &Frame) -> bool {
    command.payload.len() < 8
}

fn request() -> Vec<Fault> {
    vec![
        fault("FEAT-01", "what-is-missing-is-zero", || {
            answers(|command| (is(command, NAME) && short(command)).then(|| Answer::Ok(vec![0; 8])))
        }),
        fault("FEAT-01", "a-slice-past-the-end", || {
            panics(NAME, short, "range end index 8 out of range for slice of length 4")
        })
        .by_process(),
        fault("FEAT-01", "no-answer-to-a-short-request", || ignores(NAME, short)),
    ]
}

fn operations() -> Vec<Fault> {
    vec![
        fault("FEAT-02", "set-comes-before-get", || {
            masked(|flags| if flags & 0x7_0000 == flags::GET | flags::SET { flags & !flags::GET } else { flags })
        })
        .noted(),
        fault("FEAT-03", "nothing-is-done-with-success", || agrees(|operation, _| operation == 0)).noted(),
        fault("FEAT-07", "every-feature-is-known", || {
            agrees(|operation, feature| {
                operation & flags::PROBE != 0 && vfio_user_wire::feature::feature(feature).is_none()
            })
        })
        .noted(),
        fault("FEAT-07", "features-of-the-kernel", || {
            agrees(|operation, feature| operation == flags::SET && feature == 4)
        })
        .noted(),
        fault("FEAT-10", "bits-without-a-meaning", || masked(|flags| flags & 0x7_ffff)).noted(),
    ]
}

/// Some bits of flags are not seen; a reply that repeats the request has what was sent.
fn masked(seen: fn(u32) -> u32) -> Faulty {
    completed(move |command| {
        if let Some((head, _)) = DeviceFeature::parse(&command.payload).filter(|_| is(command, NAME)) {
            command.payload[4..8].copy_from_slice(&seen(head.flags).to_ne_bytes());
        }
    })
}

/// Changes what the server sees of a command; a reply that repeats that is one that repeats what was sent.
fn completed(mut change: impl FnMut(&mut Frame) + 'static) -> Faulty {
    around(move |mut step| {
        let sent = step.frame.clone();
        change(&mut step.frame);
        let seen = step.frame.payload.clone();
        step.pass_and(|effects| {
            for effect in effects {
                let Effect::Send { frame, .. } = effect else { continue };
                if frame.header.is_reply() && is(&sent, NAME) && frame.payload == seen {
                    *frame = Frame::reply(&sent.header, sent.payload.clone());
                }
            }
        });
    })
}

fn data() -> Vec<Fault> {
    vec![
        fault("FEAT-11", "the-data-of-the-request-before", || {
            let mut last = Vec::new();
            completed(move |command| {
                if !matches!(asks(command), Some((flags::SET, index::MIG_DEVICE_STATE))) {
                    return;
                }
                if command.payload.len() >= 16 {
                    last = command.payload.clone();
                } else if last.len() > command.payload.len() {
                    let at = command.payload.len();
                    command.payload.extend_from_slice(&last[at..]);
                    command.header.size = last.len() as u32 + 16;
                    put(command, "argsz", last.len() as u64);
                }
            })
        }),
        fault("FEAT-11", "four-bytes-are-enough", || {
            completed(|command| {
                if matches!(asks(command), Some((flags::SET, index::MIG_DEVICE_STATE))) {
                    if command.payload.len() < 12 {
                        command.payload.resize(8, 0);
                        command.payload.extend([1, 0, 0, 0]);
                    }
                    command.payload.resize(command.payload.len().max(16), 0);
                    put(command, "argsz", 16);
                }
            })
        }),
    ]
}

fn probe() -> Vec<Fault> {
    vec![
        fault("FEAT-04", "only-the-feature-is-looked-at", || {
            agrees(|operation, feature| operation & flags::PROBE != 0 && feature == index::MIGRATION)
        }),
        fault("FEAT-04", "probe-is-not-known", || refuses(|operation, _| operation & flags::PROBE != 0)).noted(),
        fault("FEAT-04", "one-method-at-a-time", || {
            refuses(|operation, feature| operation == 0x7_0000 && feature == index::MIG_DEVICE_STATE)
        })
        .noted(),
        fault("FEAT-08", "the-data-of-the-method-are-wanted", || {
            answers(|command| {
                let (operation, _) = asks(command)?;
                let lacks = operation == flags::PROBE | flags::SET && command.payload.len() < 16;
                lacks.then_some(Answer::Error(Errno::EINVAL))
            })
        })
        .noted(),
        fault("FEAT-08", "the-data-in-the-reply", || {
            probes(|command, reply| {
                if asks(command).is_some_and(|(_, feature)| feature == index::MIG_DEVICE_STATE) {
                    reply.payload.resize(16, 0);
                }
            })
        })
        .also("FEAT-05", "another payload than the request's"),
    ]
}

fn repeated() -> Vec<Fault> {
    vec![
        fault("FEAT-05", "the-flags-that-are-supported", || {
            probes(|_, reply| {
                let index = get(reply, "flags") & 0xffff;
                put(reply, "flags", 0x7_0000 | index);
            })
        }),
        fault("FEAT-05", "a-header-alone-for-probe", || probes(|_, reply| reply.payload.clear())),
        fault("FEAT-05", "a-header-alone-for-set", || {
            replies(|command, reply| {
                if matches!(asks(command), Some((flags::SET, _))) {
                    reply.payload.clear();
                }
            })
        })
        .also("MIGFSM-32", "which says the same of MIG_DEVICE_STATE"),
        fault("FEAT-05", "argsz-is-cleared", || probes(|_, reply| put(reply, "argsz", 0))),
        fault("FEAT-18", "cut-off-and-nothing-said", || {
            replies(|command, reply| {
                let argsz = get(command, "argsz") as usize;
                if !matches!(asks(command), Some((flags::SET, index::MIG_DEVICE_STATE))) || argsz >= 16 {
                    return;
                }
                reply.header.flags &= !0x20;
                reply.header.error = 0;
                reply.payload = command.payload[..argsz.max(8)].to_vec();
            })
        })
        .also("MIGFSM-02", "it says that it did what it refused"),
        fault("FEAT-18", "no-answer-without-room", || {
            ignores(NAME, |command| get(command, "argsz") < command.payload.len() as u64)
        }),
    ]
}

fn got() -> Vec<Fault> {
    vec![
        fault("FEAT-06", "the-data-without-their-head", || gets(|_, reply| drop(reply.payload.drain(..8))))
            .also("FEAT-16", "the data are taken for argsz"),
        fault("FEAT-06", "a-head-without-data", || gets(|_, reply| reply.payload.truncate(8))),
        fault("FEAT-06", "the-size-of-the-data", || gets(|_, reply| put(reply, "argsz", 8)))
            .also("FEAT-16", "which says the same of argsz"),
        fault("FEAT-06", "added-to-the-request's", || {
            gets(|command, reply| put(reply, "argsz", get(command, "argsz") + 8))
        })
        .also("FEAT-16", "which says the same of argsz")
        .noted(),
        fault("FEAT-06", "flags-without-the-operation", || {
            gets(|_, reply| {
                let index = get(reply, "flags") & 0xffff;
                put(reply, "flags", index);
            })
        })
        .noted(),
        fault("FEAT-16", "argsz-of-the-request", || gets(|command, reply| put(reply, "argsz", get(command, "argsz"))))
            .also("FEAT-06", "which says the same of argsz"),
        fault("FEAT-16", "argsz-with-the-header", || gets(|_, reply| put(reply, "argsz", 32)))
            .also("FEAT-06", "which says the same of argsz"),
        fault("FEAT-09", "argsz-is-not-looked-at", || {
            commands(|command, _| {
                if matches!(asks(command), Some((flags::GET, _))) {
                    put(command, "argsz", get(command, "argsz").max(16));
                }
            })
        }),
        fault("FEAT-09", "cut-off-and-nothing-said", || {
            gets(|command, reply| {
                if get(command, "argsz") < 16 {
                    put(reply, "argsz", get(command, "argsz"));
                }
            })
        }),
        fault("FEAT-09", "argsz-less-the-structure", || {
            panics(NAME, |command| get(command, "argsz") < 8, "attempt to subtract with overflow")
        })
        .by_process(),
    ]
}

fn migration() -> Vec<Fault> {
    vec![
        fault("FEAT-12", "pre-copy-alone", || migration_flags(|flags| flags & !1)),
        fault("FEAT-13", "flags-of-its-own", || migration_flags(|flags| flags | 1 << 8)),
        fault("FEAT-13", "what-the-kernel-has", || migration_flags(|flags| flags | 2)).noted(),
        fault("FEAT-14", "set-and-forgotten", || {
            agrees(|operation, feature| operation == flags::SET && feature == index::MIGRATION)
        }),
    ]
}

fn without() -> Vec<Fault> {
    let lacking = |answer: fn(&Frame) -> Option<Answer>| {
        let without: Without = [Feature::Migration].into_iter().collect();
        around_server(Server::with(without), move |step| match answer(&step.frame) {
            Some(answer) => step.answer(answer),
            None => step.pass(),
        })
    };
    vec![
        fault("FEAT-15", "a-state-without-migration", move || {
            lacking(|command| match asks(command)? {
                (flags::GET, index::MIG_DEVICE_STATE) => {
                    let words = [16u32, flags::GET | u32::from(index::MIG_DEVICE_STATE), 2, 0];
                    Some(Answer::Ok(words.iter().flat_map(|word| word.to_ne_bytes()).collect()))
                }
                _ => None,
            })
        }),
        fault("FEAT-15", "probed-with-success", move || {
            lacking(|command| {
                let (operation, feature) = asks(command)?;
                let probed = operation & flags::PROBE != 0 && matches!(feature, 1 | 2);
                probed.then(|| Answer::Ok(command.payload.clone()))
            })
        }),
        fault("FEAT-15", "states-without-migration", move || {
            lacking(|command| match asks(command)? {
                (flags::SET, index::MIG_DEVICE_STATE) => Some(Answer::Ok(command.payload.clone())),
                _ => None,
            })
        }),
    ]
}

fn errors() -> Vec<Fault> {
    vec![
        // The reply was made before the work was done.
        fault("FEAT-17", "the-payload-of-the-request", || {
            error_replies(|command, reply| {
                if is(command, NAME) {
                    reply.payload = command.payload.clone();
                }
            })
        })
        .also("HDR-10", "which says the same of every error"),
        fault("FEAT-17", "the-head-that-would-have-been", || {
            error_replies(|command, reply| {
                if is(command, NAME) {
                    reply.payload = vec![0; 8];
                }
            })
        })
        .also("HDR-10", "which says the same of every error"),
    ]
}
