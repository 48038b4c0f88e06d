//! REGION_READ.

use std::collections::BTreeMap;

use vfio_user_reference_server::{Effect, Errno, Memory};
use vfio_user_wire::message::RegionAccess;
use vfio_user_wire::{Frame, HEADER_SIZE};

use crate::fault::{Fault, fault, loop_fault};
use crate::loops::{as_told, serve_by_length};
use crate::migration::while_stopped;
use crate::wrapper::{
    Answer, Faulty, Twist, answers, around, commands, get, hang, is, memory, put, replies, replies_to,
};

/// No server can show these.
pub(crate) const NO_FAULT: &[(&str, &str)] = &[];

pub(crate) fn faults() -> Vec<Fault> {
    [echo(), counts(), bounds(), odd(), contents(), stopped()].into_iter().flatten().collect()
}

/// While the device is stopped.
fn stopped() -> Vec<Fault> {
    let reads = |answer: fn() -> Answer| {
        while_stopped(move |step| if is(&step.frame, "REGION_READ") { step.answer(answer()) } else { step.pass() })
    };
    vec![
        fault("RREAD-15", "refused-while-it-is-saved", move || reads(|| Answer::Error(Errno::EINVAL))).noted(),
        fault("RREAD-15", "no-answer-before-it-runs-again", move || reads(|| Answer::Nothing)),
    ]
}

fn echo() -> Vec<Fault> {
    vec![
        fault("RREAD-01", "no-region-in-the-reply", || replies_to("REGION_READ", |_, reply| put(reply, "region", 0))),
        fault("RREAD-01", "where-the-next-read-begins", || {
            replies_to("REGION_READ", |_, reply| {
                let next = get(reply, "offset") + get(reply, "count");
                put(reply, "offset", next);
            })
        }),
        fault("RREAD-01", "the-offset-of-the-word", || {
            commands(|frame, _| {
                if is(frame, "REGION_READ") {
                    let offset = get(frame, "offset");
                    put(frame, "offset", offset & !3);
                }
            })
        }),
        fault("RREAD-01", "the-first-byte-of-the-word", || {
            around(|mut step| {
                if !is(&step.frame, "REGION_READ") {
                    return step.pass();
                }
                let sent = get(&step.frame, "offset");
                put(&mut step.frame, "offset", sent & !3);
                step.pass_and(|effects| {
                    for effect in effects {
                        let Effect::Send { frame, .. } = effect else { continue };
                        if !frame.header.is_error() {
                            put(frame, "offset", sent);
                        }
                    }
                });
            })
        }),
        fault("RREAD-01", "no-less-than-a-word", || {
            answers(|command| {
                let narrow = is(command, "REGION_READ") && (1..4).contains(&get(command, "count"));
                narrow.then_some(Answer::Error(Errno::EINVAL))
            })
        }),
        fault("RREAD-01", "no-data-after-an-error", || {
            let mut failed = false;
            replies(move |command, reply| {
                if is(command, "REGION_READ") && failed && !reply.header.is_error() {
                    reply.payload[16..].fill(0);
                }
                failed = reply.header.is_error();
            })
        }),
    ]
}

fn counts() -> Vec<Fault> {
    vec![
        fault("RREAD-02", "data-padded-to-words", || {
            replies_to("REGION_READ", |_, reply| reply.payload.resize(reply.payload.len().next_multiple_of(4), 0))
        })
        .also("RREAD-01", "which gives the payload its length"),
        fault("RREAD-02", "words-are-counted", || {
            replies_to("REGION_READ", |_, reply| {
                let count = get(reply, "count");
                put(reply, "count", count.div_ceil(4));
            })
        })
        .also("RREAD-01", "which gives the count"),
        fault("RREAD-02", "one-byte-is-left-out", || {
            replies_to("REGION_READ", |_, reply| {
                if reply.payload.len() > 16 + 64 {
                    reply.payload.pop();
                }
            })
        }),
        fault("RREAD-03", "whole-words-are-returned", || {
            replies_to("REGION_READ", |_, reply| {
                reply.payload.resize(reply.payload.len().next_multiple_of(4), 0);
                let count = reply.payload.len() - 16;
                put(reply, "count", count as u64);
            })
        }),
        fault("RREAD-03", "no-more-than-64-at-a-time", || at_most(64)).noted(),
        fault("RREAD-07", "nothing-is-a-word", || {
            replies_to("REGION_READ", |_, reply| {
                if get(reply, "count") == 0 {
                    put(reply, "count", 4);
                    reply.payload.resize(20, 0);
                }
            })
        })
        .also("RREAD-03", "more than was asked for"),
        fault("RREAD-07", "a-bare-header-for-nothing", || {
            replies_to("REGION_READ", |_, reply| {
                if get(reply, "count") == 0 {
                    reply.payload.clear();
                }
            })
        })
        .noted(),
        fault("RREAD-16", "no-more-than-64", || {
            answers(|command| {
                (is(command, "REGION_READ") && get(command, "region") == 7 && get(command, "count") > 64)
                    .then_some(Answer::Error(Errno::EINVAL))
            })
        }),
    ]
}

fn bounds() -> Vec<Fault> {
    vec![
        fault("RREAD-04", "zeroes-for-no-region", || zeroes(|access| access.region >= 9)),
        fault("RREAD-04", "past-the-table-of-regions", || {
            answers(|command| {
                let region = get(command, "region");
                let access = is(command, "REGION_READ") && command.payload.len() >= 16;
                assert!(!access || region < 9, "index out of bounds: the len is 9 but the index is {region}");
                None
            })
        })
        .perhaps("SEC-01", "cases about the reply to a refusal crash it as well")
        .by_process(),
        // offset > size, in place of >=.
        fault("RREAD-05", "one-byte-behind-the-end", || {
            zeroes(|access| access.count == 1 && size(access.region) == Some(access.offset))
        }),
        fault("RREAD-05", "the-start-decides", || {
            zeroes(|access| size(access.region).is_some_and(|size| access.offset < size && ends_behind(access, size)))
        }),
        fault("RREAD-05", "by-the-page", || {
            zeroes(|access| {
                let size = size(access.region).map(|size| size.next_multiple_of(4096));
                size.is_some_and(|size| !ends_behind(access, size))
            })
        }),
        fault("RREAD-05", "offsets-of-32-bits", || {
            commands(|frame, _| {
                if is(frame, "REGION_READ") {
                    let offset = get(frame, "offset");
                    put(frame, "offset", offset & 0xffff_ffff);
                }
            })
        })
        .also("RREAD-01", "the offset in the reply is another one"),
        fault("RREAD-06", "a-sum-that-wraps", || {
            zeroes(|access| {
                let (sum, wraps) = access.offset.overflowing_add(access.count.into());
                wraps && size(access.region).is_some_and(|size| sum <= size)
            })
        }),
        fault("RREAD-06", "attempt-to-add-with-overflow", || {
            answers(|command| {
                let sum = get(command, "offset").checked_add(get(command, "count"));
                assert!(!is(command, "REGION_READ") || sum.is_some(), "attempt to add with overflow");
                None
            })
        })
        .by_process(),
        fault("RREAD-10", "zeroes-for-what-is-not-there", || {
            zeroes(|access| access.region < 9 && size(access.region).is_none())
        }),
        // BAR4 says that it cannot be read, and is read.
        fault("RREAD-09", "read-without-the-flag", || {
            replies_to("DEVICE_GET_REGION_INFO", |_, reply| {
                if get(reply, "index") == 4 {
                    put(reply, "flags", 0);
                }
            })
        }),
    ]
}

fn odd() -> Vec<Fault> {
    vec![
        fault("RREAD-11", "memory-for-what-is-asked", || {
            answers(|command| {
                let count = get(command, "count");
                let read = is(command, "REGION_READ");
                assert!(!read || count < 1 << 31, "memory allocation of {count} bytes failed");
                None
            })
        })
        .by_process(),
        fault("RREAD-11", "waiting-for-memory", || {
            answers(|command| {
                if is(command, "REGION_READ") && get(command, "count") >= 1 << 31 {
                    hang();
                }
                None
            })
        }),
        fault("RREAD-11", "no-data-above-the-limit", above_the_limit),
        fault("RREAD-12", "missing-bytes-are-zero", || {
            commands(|frame, _| {
                if is(frame, "REGION_READ") && frame.payload.len() == 12 {
                    frame.payload.resize(16, 0);
                    frame.header.size = (HEADER_SIZE + 16) as u32;
                }
            })
        }),
        loop_fault("RREAD-12", "surplus-bytes-are-the-next-message", |listener, stop| {
            serve_by_length(&listener, &stop, |header| {
                if { header.command } == 9 { as_told(header).min(16) } else { as_told(header) }
            });
        })
        .perhaps("HDR-14", "what is taken for a command gets a reply"),
        loop_fault("RREAD-12", "completed-by-the-next-message", |listener, stop| {
            serve_by_length(&listener, &stop, |header| {
                if { header.command } == 9 { as_told(header).max(16) } else { as_told(header) }
            });
        })
        .perhaps("HDR-14", "what is taken for a command gets a reply"),
        fault("RREAD-13", "widths-of-pci-only", || {
            answers(|command| {
                let count = get(command, "count");
                let read = is(command, "REGION_READ") && command.payload.len() >= 16;
                assert!(!read || count > 8 || ![3, 5, 6, 7].contains(&count), "unreachable: {count} bytes");
                None
            })
        })
        .by_process(),
        fault("RREAD-13", "odd-widths-are-nothing", || {
            answers(|command| {
                let odd = is(command, "REGION_READ") && [3, 5, 7].contains(&get(command, "count"));
                odd.then_some(Answer::Nothing)
            })
        }),
        fault("RREAD-13", "rounded-up-to-a-width-of-pci", || {
            replies_to("REGION_READ", |_, reply| {
                let count = get(reply, "count");
                if count > 0 && count < 16 {
                    let width = count.next_power_of_two();
                    reply.payload.resize(16 + width as usize, 0);
                    put(reply, "count", width);
                }
            })
        })
        .also("RREAD-03", "more than was asked for"),
    ]
}

fn contents() -> Vec<Fault> {
    vec![
        fault("RREAD-08", "what-can-be-mapped-is-not-read", || {
            answers(|command| {
                let mappable = matches!(get(command, "region"), 1 | 2);
                (is(command, "REGION_READ") && mappable && command.payload.len() >= 16)
                    .then_some(Answer::Error(Errno::EOPNOTSUPP))
            })
        })
        .also("RREAD-01", "the device file names bytes of such a region as scratch"),
        fault("RREAD-08", "a-copy-for-messages", || memory(Copied(BTreeMap::new()))),
        fault("RREAD-14", "nobody-there", || {
            replies_to("REGION_READ", |_, reply| {
                if get(reply, "region") == 7 && get(reply, "offset") == 0 && reply.payload.len() >= 18 {
                    reply.payload[16..18].fill(0xff);
                }
            })
        }),
        fault("RREAD-14", "the-bytes-change-by-reading", || {
            let mut reads = 0;
            replies_to("REGION_READ", move |_, reply| {
                if get(reply, "region") == 7 && reply.payload.len() >= 16 + 64 {
                    reads += 1;
                    reply.payload[16 + 32] = reads;
                }
            })
        }),
    ]
}

/// A region's size; `None` for one that is not there.
pub(super) fn size(region: u32) -> Option<u64> {
    match region {
        0 | 1 => Some(64 << 10),
        2 => Some(2 << 20),
        4 => Some(4 << 10),
        7 => Some(256),
        _ => None,
    }
}

pub(super) fn ends_behind(access: &RegionAccess, end: u64) -> bool {
    access.offset.checked_add(access.count.into()).is_none_or(|last| last > end)
}

/// What the server refuses to read of these is answered with zeroes.
fn zeroes(which: fn(&RegionAccess) -> bool) -> Faulty {
    replies(move |command, reply| {
        let Some((access, _)) = RegionAccess::parse(&command.payload).filter(|_| is(command, "REGION_READ")) else {
            return;
        };
        if reply.header.is_error() && access.count <= 1 << 20 && which(&access) {
            let mut payload = access.bytes().to_vec();
            payload.resize(16 + access.count as usize, 0);
            *reply = Frame::reply(&command.header, payload);
        }
    })
}

/// Longer reads are cut.
fn at_most(most: u64) -> Faulty {
    commands(move |frame, _| {
        if is(frame, "REGION_READ") {
            let count = get(frame, "count");
            put(frame, "count", count.min(most));
        }
    })
}

/// A read that is longer than the limit is served up to the limit; the bytes behind it are zero.
fn above_the_limit() -> Faulty {
    around(|mut step| {
        let count = get(&step.frame, "count") as usize;
        let most = 1 << 20;
        if !is(&step.frame, "REGION_READ") || !(most..2 << 20).contains(&count) {
            return step.pass();
        }
        put(&mut step.frame, "count", most as u64);
        step.pass_and(|effects| {
            for effect in effects {
                let Effect::Send { frame, .. } = effect else { continue };
                if !frame.header.is_error() {
                    put(frame, "count", count as u64);
                    frame.payload.resize(16 + count, 0);
                    frame.header.size = (HEADER_SIZE + frame.payload.len()) as u32;
                }
            }
        });
    })
}

/// What was written by message is read by message, whatever the memory that clients map shows.
struct Copied(BTreeMap<(u32, u64), u8>);

impl Twist for Copied {
    fn region_read(&mut self, _: &mut dyn Memory, region: u32, offset: u64, bytes: &mut [u8]) -> Result<(), Errno> {
        for (at, byte) in (offset..).zip(bytes) {
            *byte = self.0.get(&(region, at)).copied().unwrap_or(0);
        }
        Ok(())
    }

    fn region_write(&mut self, memory: &mut dyn Memory, region: u32, offset: u64, bytes: &[u8]) -> Result<(), Errno> {
        self.0.extend((offset..).zip(bytes).map(|(at, byte)| ((region, at), *byte)));
        memory.region_write(region, offset, bytes)
    }
}
