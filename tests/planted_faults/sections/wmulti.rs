//! REGION_WRITE_MULTI.

use serde_json::Value;
use vfio_user_reference_server::{Effect, Errno};
use vfio_user_wire::message::{MultiWrite, SingleWrite};
use vfio_user_wire::{Frame, HEADER_SIZE, NO_REPLY};

use crate::fault::{Fault, fault};
use crate::wrapper::{
    Answer, Faulty, answers, around, capabilities, commands, effects, get, is, put, replies_to, set_capabilities,
};

/// No server can show these.
pub(crate) const NO_FAULT: &[(&str, &str)] = &[];

const MULTI: &str = "REGION_WRITE_MULTI";

pub(crate) fn faults() -> Vec<Fault> {
    [offered(), done(), numbers(), failing(), posted()].into_iter().flatten().collect()
}

fn offered() -> Vec<Fault> {
    vec![
        fault("WMULTI-01", "dropped-where-it-was-not-agreed-on", || {
            effects(|message, effects| {
                if is(message, MULTI) {
                    let unknown = |frame: &Frame| frame.header.error == Errno::ENOSYS as u32;
                    effects.retain(|effect| !matches!(effect, Effect::Send { frame, .. } if unknown(frame)));
                }
            })
        }),
        fault("WMULTI-01", "served-whatever-was-agreed-on", || {
            around(|mut step| {
                if !is(&step.frame, "VERSION") {
                    return step.pass();
                }
                let mut stated = capabilities(&step.frame);
                let proposed = stated.get("write_multiple") == Some(&Value::Bool(true));
                stated.insert("write_multiple".to_owned(), Value::Bool(true));
                if step.frame.payload.len() > 4 {
                    set_capabilities(&mut step.frame, stated);
                }
                step.pass_and(|effects| {
                    for effect in effects.iter_mut().filter(|_| !proposed) {
                        let Effect::Send { frame, .. } = effect else { continue };
                        let mut selected = capabilities(frame);
                        selected.remove("write_multiple");
                        if frame.payload.len() > 4 {
                            set_capabilities(frame, selected);
                        }
                    }
                });
            })
        })
        .noted(),
    ]
}

fn done() -> Vec<Fault> {
    vec![
        fault("WMULTI-02", "from-the-last-to-the-first", || writes(|writes| writes.reverse())),
        fault("WMULTI-02", "the-first-one-alone", || writes(|writes| writes.truncate(1))),
        fault("WMULTI-02", "all-into-the-region-of-the-first", || {
            writes(|writes| {
                let region = writes.first().map_or(0, |first| first.region);
                writes.iter_mut().for_each(|write| write.region = region);
            })
        }),
        fault("WMULTI-05", "always-8-bytes", || {
            writes(|writes| writes.iter_mut().filter(|write| write.count < 8).for_each(|write| write.count = 8))
        }),
        // The data as long as count says, as in REGION_WRITE.
        fault("WMULTI-05", "the-next-one-right-behind-the-data", || {
            commands(|frame, _| {
                if !is(frame, MULTI) {
                    return;
                }
                let (mut at, mut found) =
                    (MultiWrite::LAYOUT.size, frame.payload.get(..8).unwrap_or_default().to_vec());
                while let Some((write, _)) = frame.payload.get(at..).and_then(SingleWrite::parse) {
                    found.extend_from_slice(write.bytes());
                    at += 16 + write.count.min(8) as usize;
                }
                found.resize(frame.payload.len(), 0);
                frame.payload = found;
            })
        })
        .also("VER-21", "which says that it works"),
        fault("WMULTI-10", "128-and-no-more", || {
            answers(|command| {
                let many = is(command, MULTI) && get(command, "wr_cnt") > 128;
                (many && command.header.flags & NO_REPLY == 0).then_some(Answer::Error(Errno::E2BIG))
            })
        }),
        fault("WMULTI-10", "a-page-of-them", || writes(|writes| writes.truncate(4080 / 24))),
    ]
}

fn numbers() -> Vec<Fault> {
    vec![
        fault("WMULTI-03", "a-bare-header", || replies_to(MULTI, |_, reply| reply.payload.clear())),
        fault("WMULTI-03", "the-reply-of-a-write", || {
            replies_to(MULTI, |command, reply| {
                reply.payload = command.payload.get(8..24).unwrap_or_default().to_vec();
            })
        }),
        fault("WMULTI-03", "the-number-is-forgotten", || replies_to(MULTI, |_, reply| put(reply, "wr_cnt", 0))),
        fault("WMULTI-03", "the-bytes-are-counted", || {
            replies_to(MULTI, |command, reply| put(reply, "wr_cnt", command.payload.len() as u64))
        }),
        fault("WMULTI-06", "the-payload-counts", || {
            around(|mut step| {
                let tail = step.frame.payload.len().saturating_sub(8);
                if !is(&step.frame, MULTI) || get(&step.frame, "wr_cnt") == 0 {
                    return step.pass();
                }
                put(&mut step.frame, "wr_cnt", (tail / 24) as u64);
                step.pass();
            })
        }),
        fault("WMULTI-06", "missing-ones-are-zero", || {
            commands(|frame, _| {
                let wanted = 8 + 24 * get(frame, "wr_cnt").min(1024) as usize;
                if is(frame, MULTI) && frame.payload.len() < wanted && frame.payload.len() >= 8 {
                    frame.payload.resize(wanted, 0);
                    frame.header.size = (HEADER_SIZE + wanted) as u32;
                }
            })
        }),
        // In 64 bits, 24 * 2^61 is 0: the loop then runs off the end.
        fault("WMULTI-06", "the-product-overflows", || {
            commands(|frame, _| {
                let count = get(frame, "wr_cnt");
                if !is(frame, MULTI) || count == 0 || frame.payload.len() < 8 {
                    return;
                }
                let bytes = count.wrapping_mul(24);
                let there = (frame.payload.len() - 8) as u64;
                assert!(bytes > there || count * 24 <= there, "the index is {count}, but the length is {there}");
            })
        })
        .also("SEC-01", "which says that no message crashes the server")
        .by_process(),
        fault("WMULTI-09", "at-least-one", || {
            around(|mut step| {
                if !is(&step.frame, MULTI) || get(&step.frame, "wr_cnt") != 0 || step.frame.payload.len() < 32 {
                    return step.pass();
                }
                put(&mut step.frame, "wr_cnt", 1);
                step.pass_and(|effects| {
                    for effect in effects {
                        if let Effect::Send { frame, .. } = effect {
                            put(frame, "wr_cnt", 0);
                        }
                    }
                });
            })
        }),
    ]
}

fn failing() -> Vec<Fault> {
    vec![
        fault("WMULTI-04", "cut-to-8-bytes", || {
            writes(|writes| writes.iter_mut().for_each(|write| write.count = write.count.min(8)))
        }),
        fault("WMULTI-04", "left-out-and-counted", || writes(|writes| writes.retain(|write| write.count <= 8))),
        fault("WMULTI-07", "what-fails-is-left-out-and-counted", || {
            writes(|writes| {
                let known = |write: &SingleWrite| write.region < 9 && !matches!(write.region, 3 | 5 | 6 | 8);
                writes.retain(|write| known(write) && write.offset < 1 << 32);
            })
        }),
        fault("WMULTI-07", "what-is-read-only-is-left-out-and-counted", || {
            writes(|writes| writes.retain(|write| write.region != 4))
        })
        .noted(),
    ]
}

fn posted() -> Vec<Fault> {
    let is_posted = |frame: &Frame| is(frame, MULTI) && frame.header.flags & NO_REPLY != 0;
    vec![
        fault("WMULTI-08", "nobody-waits-for-it", move || {
            around(move |step| {
                if !is_posted(&step.frame) {
                    step.pass()
                }
            })
        })
        .also("WMULTI-10", "whose message is QEMU's: posted"),
        fault("WMULTI-08", "answered-all-the-same", move || {
            around(move |mut step| {
                if is_posted(&step.frame) {
                    step.frame.header.flags &= !NO_REPLY;
                }
                step.pass();
            })
        })
        .also("CONC-03", "which says the same of every command"),
    ]
}

/// The server does these writes in place of those that came, and says that it did all that came.
fn writes(mut change: impl FnMut(&mut Vec<SingleWrite>) + 'static) -> Faulty {
    around(move |mut step| {
        if !is(&step.frame, MULTI) {
            return step.pass();
        }
        let asked = get(&step.frame, "wr_cnt");
        let Some((request, tail)) = MultiWrite::parse(&step.frame.payload) else { return step.pass() };
        let (entries, rest) = request.writes(tail);
        if entries.len() as u64 != asked {
            return step.pass();
        }
        let mut entries = entries.to_vec();
        change(&mut entries);
        let rest = rest.to_vec();
        let mut payload = MultiWrite { wr_cnt: entries.len() as u64 }.bytes().to_vec();
        entries.iter().for_each(|write| payload.extend_from_slice(write.bytes()));
        payload.extend(rest);
        step.frame.header.size = (HEADER_SIZE + payload.len()) as u32;
        step.frame.payload = payload;
        step.pass_and(|effects| {
            for effect in effects {
                if let Effect::Send { frame, .. } = effect
                    && !frame.header.is_error()
                {
                    put(frame, "wr_cnt", asked);
                }
            }
        });
    })
}
