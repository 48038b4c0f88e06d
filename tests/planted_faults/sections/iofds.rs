//! DEVICE_GET_REGION_IO_FDS.

use std::os::fd::OwnedFd;
use std::sync::Arc;

use nix::sys::eventfd::EventFd;
use serde_json::json;
use vfio_user_reference_server::{Effect, Memory};
use vfio_user_wire::{Frame, IoEventFd, io_fd_type};

use crate::fault::{Fault, fault};
use crate::queries::{ignores, panics, refuses, small_argsz};
use crate::wrapper::{
    Answer, Faulty, Twist, answers, around, capabilities, commands, effects, get, is, memory, put, replies_to,
    set_capabilities,
};

const NAME: &str = "DEVICE_GET_REGION_IO_FDS";
/// Bytes of the fixed part.
const FIXED: usize = 16;

/// No server can show these.
pub(crate) const NO_FAULT: &[(&str, &str)] = &[];

pub(crate) fn faults() -> Vec<Fault> {
    [reply(), entries(), cut(), request(), descriptors(), doorbells()].into_iter().flatten().collect()
}

fn reply() -> Vec<Fault> {
    vec![
        fault("IOFDS-01", "no-answer-to-what-is-not-there", || ignores(NAME, |_| true)),
        fault("IOFDS-02", "no-count", || info(|_, reply| reply.payload.truncate(12))),
        fault("IOFDS-02", "an-empty-success-for-what-is-not-there", || {
            answers(|command| is(command, NAME).then(|| Answer::Ok(Vec::new())))
        }),
        fault("IOFDS-03", "the-array-alone", || full(|reply| add(reply, "argsz", -16))),
        fault("IOFDS-03", "argsz-repeated", || info(|command, reply| put(reply, "argsz", get(command, "argsz")))),
        fault("IOFDS-03", "one-sub-region-too-many", || full(|reply| add(reply, "count", 1))),
        fault("IOFDS-03", "the-last-sub-region-is-left-out", || {
            full(|reply| reply.payload.truncate(FIXED + 2 * IoEventFd::LAYOUT.size))
        }),
        // 998-999, taken at its word.
        fault("IOFDS-03", "by-the-letter", || {
            info(|_, reply| {
                let count = get(reply, "count");
                put(reply, "argsz", 32 + count * IoEventFd::LAYOUT.size as u64);
            })
        })
        .noted(),
        fault("IOFDS-04", "those-of-the-region", || info(|_, reply| put(reply, "flags", 3))),
        fault("IOFDS-05", "index-by-one-more", || info(|_, reply| add(reply, "index", 1))),
        fault("IOFDS-05", "what-was-in-the-buffer", || info(|_, reply| put(reply, "index", 0xa5a5_a5a5))),
    ]
}

fn entries() -> Vec<Fault> {
    vec![
        fault("IOFDS-08", "a-type-of-its-own", || sub_regions(|entry| entry.kind = 2)),
        fault("IOFDS-09", "without-padding", || {
            array(|entry| {
                let datamatch: [u8; 8] = entry[32..40].try_into().unwrap();
                entry[28..36].copy_from_slice(&datamatch);
                entry[36..40].fill(0);
            })
        }),
        fault("IOFDS-09", "size-before-offset", || {
            sub_regions(|entry| (entry.offset, entry.size) = (entry.size, entry.offset))
        }),
        fault("IOFDS-09", "the-value-of-another-write", || sub_regions(|entry| entry.datamatch += 1)),
        fault("IOFDS-09", "no-flag-for-the-value", || sub_regions(|entry| entry.flags = 0)),
        fault("IOFDS-10", "with-deassign", || sub_regions(|entry| entry.flags |= 4)),
        fault("IOFDS-10", "flags-of-the-region-info", || sub_regions(|entry| entry.flags |= 0x10)),
        fault("IOFDS-11", "nobody-is-told-that-nobody-waits", || {
            sub_regions(|entry| {
                if { entry.size } == 0 {
                    entry.kind = io_fd_type::IOREGIONFD;
                }
            })
        }),
        fault("IOFDS-12", "addresses-of-the-guest", || sub_regions(|entry| entry.offset += 0xfeb0_0000)),
        fault("IOFDS-12", "the-last-one-is-behind-the-end", || {
            sub_regions(|entry| {
                if { entry.offset } == 0x44 {
                    entry.offset = 0xffff;
                    entry.size = 4;
                }
            })
        }),
    ]
}

fn cut() -> Vec<Fault> {
    let left_out = |command: &Frame, reply: &Frame| get(command, "argsz") < get(reply, "argsz");
    vec![
        fault("IOFDS-13", "too-little-room-is-an-error", || {
            refuses(NAME, |command| (16..136).contains(&get(command, "argsz")))
        })
        .noted(),
        fault("IOFDS-13", "all-of-it-whatever-the-room", || {
            commands(|frame, _| {
                if is(frame, NAME) && get(frame, "argsz") >= FIXED as u64 {
                    put(frame, "argsz", 4096);
                }
            })
        })
        .also("MSZ-01", "which says the same"),
        fault("IOFDS-13", "argsz-of-what-is-there", move || {
            info(move |command, reply| {
                if left_out(command, reply) {
                    put(reply, "argsz", FIXED as u64);
                }
            })
        })
        .also("IOFDS-03", "for an array that does not fit it"),
        fault("IOFDS-13", "filled-up-with-zeroes", move || {
            info(move |command, reply| {
                if left_out(command, reply) {
                    reply.payload.resize(get(reply, "argsz") as usize, 0);
                }
            })
        })
        .also("MSZ-01", "which says the same"),
        fault("IOFDS-19", "no-more-room-than-a-transfer", || refuses(NAME, |command| get(command, "argsz") > 1 << 20)),
        fault("IOFDS-19", "a-negative-argsz", || refuses(NAME, |command| get(command, "argsz") > i32::MAX as u64)),
    ]
}

fn request() -> Vec<Fault> {
    let mut faults = small_argsz("IOFDS-14", NAME, "IOFDS-02");
    faults.extend([
        fault("IOFDS-15", "the-flags-of-the-request", || takes_over("flags")).also("IOFDS-04", "so they are not 0"),
        fault("IOFDS-15", "no-more-than-the-count-of-the-request", || {
            around(|mut step| {
                let count = if is(&step.frame, NAME) { get(&step.frame, "count") as usize } else { 0 };
                if count == 0 {
                    return step.pass();
                }
                put(&mut step.frame, "count", 0);
                step.pass_and(|effects| {
                    for effect in effects {
                        let Effect::Send { frame, .. } = effect else { continue };
                        let wanted = FIXED + count * IoEventFd::LAYOUT.size;
                        if frame.payload.len() > wanted {
                            frame.payload.truncate(wanted);
                            frame.header.size = (16 + wanted) as u32;
                            put(frame, "count", count as u64);
                            put(frame, "argsz", wanted as u64);
                        }
                    }
                });
            })
        }),
        fault("IOFDS-15", "no-answer-to-flags", || ignores(NAME, |command| get(command, "flags") != 0)),
        fault("IOFDS-15", "room-for-as-many-as-asked-for", || {
            panics(NAME, |command| get(command, "count") > 1 << 20, "capacity overflow")
        })
        .by_process(),
        fault("IOFDS-16", "the-first-for-any-other", || {
            around(|mut step| {
                let index = get(&step.frame, "index");
                if !is(&step.frame, NAME) || index <= 8 {
                    return step.pass();
                }
                put(&mut step.frame, "index", 0);
                step.pass_and(|effects| {
                    for effect in effects {
                        let Effect::Send { frame, .. } = effect else { continue };
                        put(frame, "index", index);
                    }
                });
            })
        }),
        fault("IOFDS-16", "no-answer", || ignores(NAME, |command| get(command, "index") > 8)),
        fault("IOFDS-16", "as-an-index-into-a-table", || {
            panics(NAME, |command| get(command, "index") > 8, "index out of bounds")
        })
        .by_process(),
        fault("IOFDS-16", "nothing-for-what-is-not-there", || nothing(|command| get(command, "index") > 8)).noted(),
    ]);
    faults
}

fn descriptors() -> Vec<Fault> {
    vec![
        fault("IOFDS-06", "no-descriptors", || sent(|fds| fds.clear())),
        fault("IOFDS-06", "nothing-for-a-region-without", || {
            nothing(|command| (1..9).contains(&get(command, "index")))
        })
        .noted(),
        fault("IOFDS-07", "counted-from-one", || sub_regions(|entry| entry.fd_index += 1)),
        fault("IOFDS-07", "as-the-server-numbers-them", || sub_regions(|entry| entry.fd_index += 37)),
        fault("IOFDS-07", "those-that-are-shared-are-left-out", || {
            sent(|fds| {
                fds.pop();
            })
        }),
        fault("IOFDS-07", "none", || sub_regions(|entry| entry.fd_index = u32::MAX)).noted(),
        fault("IOFDS-17", "whatever-the-client-takes", || {
            commands(|frame, _| {
                if is(frame, "VERSION") {
                    let mut named = capabilities(frame);
                    named.insert("max_msg_fds".to_owned(), json!(16));
                    set_capabilities(frame, named);
                }
            })
        })
        .also("VER-14", "which says the same"),
    ]
}

fn doorbells() -> Vec<Fault> {
    vec![
        fault("IOFDS-18", "nobody-listens", || rung(|_| 0)),
        fault("IOFDS-18", "counted-twice", || rung(|count| 2 * count)),
        fault("IOFDS-18", "never-taken-back", || memory(Kept(0))),
        fault("IOFDS-18", "once-more-a-little-later", || memory(Again(0))),
        fault("IOFDS-18", "a-descriptor-that-is-only-for-reading", || {
            sent(|fds| fds.iter_mut().for_each(|fd| *fd = Arc::new(std::fs::File::open("/dev/null").unwrap().into())))
        }),
        fault("IOFDS-18", "a-copy-with-a-counter-of-its-own", || {
            sent(|fds| fds.iter_mut().for_each(|fd| *fd = Arc::new(EventFd::new().unwrap().into())))
        }),
        fault("IOFDS-18", "only-until-somebody-asks-again", || {
            let mut asked = false;
            sent(move |fds| {
                if std::mem::replace(&mut asked, true) {
                    fds.iter_mut().for_each(|fd| *fd = Arc::new(EventFd::new().unwrap().into()));
                }
            })
        }),
    ]
}

/// Another successful reply.
fn info(change: impl FnMut(&Frame, &mut Frame) + 'static) -> Faulty {
    replies_to(NAME, change)
}

/// Another reply where the sub-regions are in it.
fn full(change: fn(&mut Frame)) -> Faulty {
    info(move |_, reply| {
        if reply.payload.len() > FIXED {
            change(reply);
        }
    })
}

/// Other bytes in each entry.
fn array(change: fn(&mut [u8])) -> Faulty {
    info(move |_, reply| {
        reply.payload[FIXED..].chunks_exact_mut(IoEventFd::LAYOUT.size).for_each(change);
    })
}

/// Other fields in each entry.
fn sub_regions(change: fn(&mut IoEventFd)) -> Faulty {
    info(move |_, reply| {
        for bytes in reply.payload[FIXED..].chunks_exact_mut(IoEventFd::LAYOUT.size) {
            let (mut entry, _) = IoEventFd::parse(bytes).unwrap();
            change(&mut entry);
            bytes.copy_from_slice(entry.bytes());
        }
    })
}

/// Other descriptors.
fn sent(mut change: impl FnMut(&mut Vec<Arc<OwnedFd>>) + 'static) -> Faulty {
    effects(move |command, effects| {
        for effect in effects {
            let Effect::Send { fds, .. } = effect else { continue };
            if is(command, NAME) && !fds.is_empty() {
                change(fds);
            }
        }
    })
}

/// A success without sub-regions in place of a refusal.
fn nothing(which: fn(&Frame) -> bool) -> Faulty {
    answers(move |command| {
        (is(command, NAME) && which(command)).then(|| {
            let mut reply = Frame::reply(&command.header, vec![0; FIXED]);
            put(&mut reply, "argsz", FIXED as u64);
            put(&mut reply, "index", get(command, "index"));
            Answer::Ok(reply.payload)
        })
    })
}

/// A field that must be 0 is taken for what the reply shall have.
fn takes_over(field: &'static str) -> Faulty {
    around(move |mut step| {
        let value = get(&step.frame, field);
        if !is(&step.frame, NAME) || value == 0 {
            return step.pass();
        }
        put(&mut step.frame, field, 0);
        step.pass_and(|effects| {
            for effect in effects {
                let Effect::Send { frame, .. } = effect else { continue };
                put(frame, field, value);
            }
        });
    })
}

fn add(frame: &mut Frame, field: &str, difference: i64) {
    let value = get(frame, field);
    put(frame, field, value.wrapping_add_signed(difference));
}

/// Doorbells that count otherwise.
fn rung(count: fn(u64) -> u64) -> Faulty {
    struct Rung(fn(u64) -> u64);
    impl Twist for Rung {
        fn rung(&mut self, memory: &mut dyn Memory, doorbell: &Arc<OwnedFd>) -> u64 {
            (self.0)(memory.rung(doorbell))
        }
    }
    memory(Rung(count))
}

/// A counter that is added at the next look once more.
struct Again(u64);

impl Twist for Again {
    fn rung(&mut self, memory: &mut dyn Memory, doorbell: &Arc<OwnedFd>) -> u64 {
        let now = memory.rung(doorbell);
        now + std::mem::replace(&mut self.0, now)
    }
}

/// A counter that is added again and again.
struct Kept(u64);

impl Twist for Kept {
    fn rung(&mut self, memory: &mut dyn Memory, doorbell: &Arc<OwnedFd>) -> u64 {
        self.0 += memory.rung(doorbell);
        self.0
    }
}
