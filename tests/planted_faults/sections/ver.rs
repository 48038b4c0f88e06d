//! Version negotiation.

use std::os::fd::OwnedFd;
use std::sync::Arc;

use serde_json::{Value, json};
use vfio_user_reference_server::{Effect, Errno, Machine};
use vfio_user_wire::message::Version;
use vfio_user_wire::{Frame, NO_REPLY, VersionData, VersionDataError};

use crate::fault::{Fault, fault};
use crate::wrapper::{
    Answer, Faulty, answers, around, capabilities, commands, effects, get, is, put, replies_to, set_capabilities,
};

/// No server can show these.
pub(crate) const NO_FAULT: &[(&str, &str)] = &[];

pub(crate) fn faults() -> Vec<Fault> {
    [numbers(), data(), limits(), malformed(), sessions()].into_iter().flatten().collect()
}

fn numbers() -> Vec<Fault> {
    vec![
        // As long as QEMU's are: a buffer of that length.
        fault("VER-01", "a-long-proposal-is-refused", || {
            answers(|command| {
                (is(command, "VERSION") && command.payload.len() > 190).then_some(Answer::Error(Errno::ENOMEM))
            })
        })
        .also("VER-04", "what QEMU proposes is version 0.0"),
        fault("VER-02", "its-own-major", || any_major(|_| 0))
            .also("VER-05", "the major that it does not support is accepted"),
        fault("VER-03", "its-own-minor", || replies_to("VERSION", |_, reply| put(reply, "minor", 1))),
        fault("VER-04", "minor-0-is-too-old", || {
            answers(|command| {
                (is(command, "VERSION") && get(command, "minor") == 0).then_some(Answer::Error(Errno::EPROTO))
            })
        })
        .also("VER-23", "what QEMU proposes is version 0.0"),
        fault("VER-05", "any-major-will-do", || any_major(|proposed| proposed))
            .also("VER-02", "success for a major that cannot be supported"),
        fault("VER-05", "stays-after-the-refusal", || {
            effects(|command, effects| {
                if is(command, "VERSION") {
                    effects.retain(|effect| !matches!(effect, Effect::Close));
                }
            })
        })
        .noted(),
    ]
}

fn data() -> Vec<Fault> {
    vec![
        fault("VER-06", "all-limits-unasked", || {
            replies_to("VERSION", |_, reply| {
                let mut stated = capabilities(reply);
                stated.insert("max_data_xfer_size".to_owned(), json!(1 << 20));
                set_capabilities(reply, stated);
            })
        }),
        fault("VER-08", "no-nul", || {
            replies_to("VERSION", |_, reply| {
                if reply.payload.len() > 4 {
                    reply.payload.pop();
                }
            })
        }),
        fault("VER-09", "data-is-wanted", || refuses(|data| data.is_empty())),
        fault("VER-10", "a-comma-too-many", || edited_json(|json| json.replacen('}', ",}", 1))),
        fault("VER-11", "capabilities-are-wanted", || refuses(|data| !data.is_empty() && !has(data, "capabilities"))),
        fault("VER-12", "a-list-of-names", || {
            replies_to("VERSION", |_, reply| {
                let names: Vec<String> = capabilities(reply).keys().cloned().collect();
                reply.payload.truncate(4);
                reply.payload.extend(format!("{}\0", json!({ "capabilities": names })).bytes());
            })
        }),
        fault("VER-21", "write-multiple-in-name-only", || {
            answers(|command| {
                let multi = is(command, "REGION_WRITE_MULTI") && command.header.flags & NO_REPLY == 0;
                multi.then_some(Answer::Error(Errno::ENOSYS))
            })
        }),
        fault("VER-20", "pgsizes-as-a-shift", || stated("pgsizes", 12)),
        fault("VER-22", "unknown-names-are-errors", || {
            refuses(|data| String::from_utf8_lossy(data).contains("x_unknown"))
        }),
        fault("VER-23", "another-page-size-for-migration", || {
            refuses(|data| String::from_utf8_lossy(data).contains("8192"))
        })
        .noted(),
        fault("VER-33", "json-laid-out-for-people", || {
            edited_json(|json| json.replace(',', ",\n                                "))
        }),
        fault("VER-34", "room-for-64-descriptors", || stated("max_msg_fds", 64)),
    ]
}

fn limits() -> Vec<Fault> {
    vec![
        fault("VER-13", "a-descriptor-for-each-area", || descriptors(|_, fds| fds.extend_from_within(..)))
            .also("VER-14", "which says the same of the limit that a client states"),
        fault("VER-14", "0-is-no-limit", || {
            commands(|frame, _| {
                if is(frame, "VERSION") {
                    let mut stated = capabilities(frame);
                    if stated.get("max_msg_fds") == Some(&json!(0)) {
                        stated.remove("max_msg_fds");
                    }
                    set_capabilities(frame, stated);
                }
            })
        }),
        fault("VER-15", "room-for-4-descriptors", || commands(|_, fds| fds.truncate(4))),
        fault("VER-15", "descriptors-past-the-4th-are-lost", || {
            commands(|_, fds| {
                for place in 4..fds.len() {
                    fds[place] = fds[0].try_clone().unwrap();
                }
            })
        }),
        fault("VER-16", "more-than-16-descriptors-are-an-error", || {
            answers(|command| {
                let most = capabilities(command).get("max_msg_fds").and_then(Value::as_u64);
                (is(command, "VERSION") && most > Some(16)).then_some(Answer::Error(Errno::EINVAL))
            })
        })
        .noted(),
        fault("VER-17", "the-limit-itself-is-too-much", || {
            answers(|command| {
                let moves = is(command, "REGION_READ") || is(command, "REGION_WRITE");
                (moves && get(command, "count") >= 1 << 20).then_some(Answer::Error(Errno::EINVAL))
            })
        }),
        fault("VER-18", "room-for-256-maps", || {
            let mut maps = 0;
            answers(move |command| {
                maps += u32::from(is(command, "DMA_MAP"));
                (is(command, "DMA_MAP") && maps > 256).then_some(Answer::Error(Errno::ENOSPC))
            })
        }),
        fault("VER-18", "no-limit-stated-and-256-maps", || {
            let mut maps = 0;
            around(move |step| {
                maps += u32::from(is(&step.frame, "DMA_MAP"));
                if is(&step.frame, "DMA_MAP") && maps > 256 {
                    return step.answer(Answer::Error(Errno::ENOSPC));
                }
                step.pass_and(|effects| {
                    if let [Effect::Send { frame, .. }] = effects.as_mut_slice()
                        && is(frame, "VERSION")
                    {
                        let mut stated = capabilities(frame);
                        stated.remove("max_dma_maps");
                        set_capabilities(frame, stated);
                    }
                });
            })
        })
        .noted(),
        fault("VER-19", "pages-of-64-kib", || {
            answers(|command| {
                (is(command, "DMA_MAP") && !get(command, "address").is_multiple_of(0x10000))
                    .then_some(Answer::Error(Errno::EINVAL))
            })
        })
        .also("DMAP-05", "the errno of an overlap is that of the alignment"),
    ]
}

fn malformed() -> Vec<Fault> {
    vec![
        fault("VER-24", "data-is-unwrapped", || {
            checked(|data| {
                if let Err(VersionDataError::NoNul | VersionDataError::NotJson(_)) = VersionData::parse(data) {
                    panic!("called `Result::unwrap()` on an `Err` value");
                }
            })
        })
        .by_process(),
        fault("VER-25", "a-limit-is-a-number", || {
            checked(|data| {
                let data = VersionData::parse(data).unwrap_or_default();
                if let Some(limit) = data.capability("max_msg_fds") {
                    limit.as_u64().expect("max_msg_fds");
                }
            })
        })
        .by_process(),
        fault("VER-26", "a-limit-has-32-bits", || {
            checked(|data| {
                let data = VersionData::parse(data).unwrap_or_default();
                if let Some(limit) = data.number("max_msg_fds") {
                    u32::try_from(limit).expect("max_msg_fds");
                }
            })
        })
        .by_process(),
        fault("VER-27", "missing-numbers-are-0", || {
            commands(|frame, _| {
                if is(frame, "VERSION") && frame.payload.len() < 4 {
                    frame.payload.resize(4, 0);
                }
            })
        }),
    ]
}

fn sessions() -> Vec<Fault> {
    vec![
        fault("VER-28", "version-can-be-left-out", || {
            let mut begun = false;
            around(move |step| {
                begun |= is(&step.frame, "VERSION");
                if !std::mem::replace(&mut begun, true) {
                    let version = Frame::command(0, 1, Version::default().bytes().to_vec());
                    step.server.receive(version, Vec::new(), step.memory, &mut Vec::new());
                }
                step.pass();
            })
        }),
        fault("VER-29", "version-begins-anew", || {
            around(|step| {
                if is(&step.frame, "VERSION") {
                    step.server.disconnect(step.memory);
                    step.server.connect();
                }
                step.pass();
            })
        }),
        fault("VER-29", "version-resets-the-device", || {
            around(|step| {
                if is(&step.frame, "VERSION") {
                    let reset = Frame::command(0, 13, Vec::new());
                    step.server.receive(reset, Vec::new(), step.memory, &mut Vec::new());
                }
                step.pass();
            })
        }),
        fault("VER-29", "another-answer-to-a-second-version", || {
            let mut negotiated = false;
            answers(move |command| {
                let again = is(command, "VERSION") && std::mem::replace(&mut negotiated, true);
                again.then(|| Answer::Ok(Version::default().bytes().to_vec()))
            })
        }),
        fault("VER-30", "waits-for-a-version-with-reply", || {
            let mut stuck = false;
            answers(move |command| {
                stuck |= is(command, "VERSION") && command.header.no_reply();
                stuck.then_some(Answer::Nothing)
            })
        }),
        fault("VER-31", "descriptors-of-version-are-kept", || {
            let mut kept = Vec::new();
            commands(move |frame, fds| {
                if is(frame, "VERSION") {
                    kept.append(fds);
                }
            })
        }),
        fault("VER-32", "once-failed-is-failed", || {
            let mut failed = false;
            around(move |step| {
                if failed {
                    return step.answer(Answer::Error(Errno::EBUSY));
                }
                step.pass_and(|effects| failed = effects.iter().any(|effect| matches!(effect, Effect::Close)));
            })
        })
        .also("VER-04", "the next proposal, of version 0.0, is refused"),
    ]
}

/// Any major is taken for 0; the reply has the one that `stated` makes of it.
fn any_major(stated: fn(u64) -> u64) -> Faulty {
    around(move |mut step| {
        if !is(&step.frame, "VERSION") {
            return step.pass();
        }
        let proposed = get(&step.frame, "major");
        put(&mut step.frame, "major", 0);
        step.pass_and(|effects| {
            if let [Effect::Send { frame, .. }] = effects.as_mut_slice() {
                put(frame, "major", stated(proposed));
            }
        });
    })
}

/// VERSION is refused for such data.
fn refuses(wrong: fn(&[u8]) -> bool) -> Faulty {
    answers(move |command| {
        let (_, data) = Version::parse(&command.payload).filter(|_| is(command, "VERSION"))?;
        wrong(data).then_some(Answer::Error(Errno::EINVAL))
    })
}

/// VERSION's data is looked at first.
fn checked(look: fn(&[u8])) -> Faulty {
    commands(move |frame, _| {
        if let Some((_, data)) =
            Version::parse(&frame.payload).filter(|(_, data)| is(frame, "VERSION") && !data.is_empty())
        {
            look(data);
        }
    })
}

fn has(data: &[u8], name: &str) -> bool {
    VersionData::parse(data).is_ok_and(|data| data.object.contains_key(name))
}

/// The text of the reply's data.
fn edited_json(edit: fn(&str) -> String) -> Faulty {
    replies_to("VERSION", move |_, reply| {
        let data = reply.payload.split_off(4);
        reply.payload.extend(edit(&String::from_utf8_lossy(&data)).bytes());
    })
}

/// A limit in the reply, where the client states it.
fn stated(name: &'static str, value: u64) -> Faulty {
    replies_to("VERSION", move |_, reply| {
        let mut stated = capabilities(reply);
        if let Some(limit) = stated.get_mut(name) {
            *limit = json!(value);
            set_capabilities(reply, stated);
        }
    })
}

/// The descriptors of region info replies.
fn descriptors(change: fn(&Frame, &mut Vec<Arc<OwnedFd>>)) -> Faulty {
    effects(move |_, effects| {
        for effect in effects {
            if let Effect::Send { frame, fds, .. } = effect
                && is(frame, "DEVICE_GET_REGION_INFO")
            {
                change(frame, fds);
            }
        }
    })
}
