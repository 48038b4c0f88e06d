//! REGION_WRITE.

use std::collections::BTreeMap;

use vfio_user_reference_server::{Effect, Errno, Machine, Memory};
use vfio_user_wire::message::RegionAccess;
use vfio_user_wire::{Frame, HEADER_SIZE, NO_REPLY};

use super::rread::{ends_behind, size};
use crate::fault::{Fault, fault};
use crate::wrapper::{
    Answer, Faulty, Step, Twist, answers, around, commands, effects, get, is, memory, put, replies, replies_to,
};

/// No server can show these.
pub(crate) const NO_FAULT: &[(&str, &str)] = &[];

/// Bytes of the server's max_data_xfer_size.
const MOST: u64 = 1 << 20;

pub(crate) fn faults() -> Vec<Fault> {
    [echo(), stored(), lengths(), bounds(), mapped(), limits(), posted(), config()].into_iter().flatten().collect()
}

fn echo() -> Vec<Fault> {
    vec![
        fault("RWRITE-01", "the-data-in-the-reply", || {
            replies_to("REGION_WRITE", |command, reply| reply.payload = command.payload.clone())
        }),
        fault("RWRITE-01", "a-bare-header", || replies_to("REGION_WRITE", |_, reply| reply.payload.clear())),
        fault("RWRITE-01", "where-the-next-write-begins", || {
            replies_to("REGION_WRITE", |_, reply| {
                let next = get(reply, "offset") + get(reply, "count");
                put(reply, "offset", next);
            })
        }),
        fault("RWRITE-01", "the-message-is-counted", || {
            replies_to("REGION_WRITE", |command, reply| put(reply, "count", command.payload.len() as u64))
        }),
        fault("RWRITE-01", "nothing-is-left-to-write", || {
            replies_to("REGION_WRITE", |_, reply| put(reply, "count", 0))
        })
        .noted(),
        fault("RWRITE-10", "the-request-in-the-refusal", || {
            replies(|command, reply| {
                if is(command, "REGION_WRITE") && reply.header.is_error() {
                    reply.payload = command.payload.iter().copied().take(16).collect();
                }
            })
        })
        .also("HDR-10", "which says the same of every error reply"),
    ]
}

fn stored() -> Vec<Fault> {
    vec![
        fault("RWRITE-02", "whole-words", || {
            changes(|access, data| {
                if access.count < 4 {
                    data.resize(4, 0);
                }
            })
        }),
        fault("RWRITE-02", "at-the-start-of-the-word", || moves(|offset| offset & !3)),
        fault("RWRITE-02", "no-more-than-8-bytes", || changes(|_, data| data.truncate(8))),
        // An address bit that nobody decodes.
        fault("RWRITE-02", "bit-12-is-not-decoded", || moves(|offset| offset & !0x1000 | 0x1000)),
        fault("RWRITE-02", "the-byte-behind-is-cleared", || changes(|_, data| data.push(0))),
        fault("RWRITE-02", "what-was-read-once-stays", || reads_are_kept(|_| false)),
        // What is not written from its start.
        fault("RWRITE-02", "what-was-read-stays-until-just-that-is-written", || reads_are_kept(|same| same)),
    ]
}

fn lengths() -> Vec<Fault> {
    vec![
        fault("RWRITE-03", "missing-data-is-zero", || missing_data(|_, missing| vec![0; missing])),
        fault("RWRITE-03", "missing-data-is-the-last-messages", || {
            missing_data(|before, missing| before.iter().copied().chain(std::iter::repeat(0)).take(missing).collect())
        }),
        fault("RWRITE-03", "all-that-came", || {
            around(|mut step| {
                let data = step.frame.payload.len().saturating_sub(16) as u64;
                let count = get(&step.frame, "count");
                if !is(&step.frame, "REGION_WRITE") || data <= count || data > MOST {
                    return step.pass();
                }
                put(&mut step.frame, "count", data);
                step.pass_and(|effects| put_count(effects, count));
            })
        }),
        fault("RWRITE-03", "missing-bytes-are-zero", || {
            commands(|frame, _| {
                if is(frame, "REGION_WRITE") && frame.payload.len() == 12 {
                    frame.payload.resize(16, 0);
                    frame.header.size = (HEADER_SIZE + 16) as u32;
                }
            })
        }),
        fault("RWRITE-08", "nothing-is-a-word", || {
            around(|mut step| {
                if !is(&step.frame, "REGION_WRITE") || get(&step.frame, "count") > 0 || step.frame.payload.len() < 16 {
                    return step.pass();
                }
                put(&mut step.frame, "count", 4);
                step.frame.payload.resize(20, 0);
                step.pass_and(|effects| put_count(effects, 0));
            })
        }),
        fault("RWRITE-08", "a-bare-header-for-nothing", || {
            replies_to("REGION_WRITE", |_, reply| {
                if get(reply, "count") == 0 {
                    reply.payload.clear();
                }
            })
        })
        .noted(),
    ]
}

fn bounds() -> Vec<Fault> {
    vec![
        fault("RWRITE-04", "no-region-is-written", || claims(|access| access.region >= 9)),
        fault("RWRITE-04", "behind-the-end-is-nothing", || {
            claims(|access| size(access.region).is_some_and(|size| ends_behind(access, size)))
        }),
        // offset > size, in place of >=.
        fault("RWRITE-04", "at-the-end", || claims(|access| size(access.region) == Some(access.offset))),
        fault("RWRITE-04", "the-start-decides", || {
            claims(|access| size(access.region).is_some_and(|size| access.offset < size && ends_behind(access, size)))
        }),
        fault("RWRITE-04", "a-sum-that-wraps", || {
            claims(|access| {
                let (sum, wraps) = access.offset.overflowing_add(access.count.into());
                wraps && size(access.region).is_some_and(|size| sum <= size)
            })
        }),
        fault("RWRITE-04", "offsets-of-32-bits", || moves(|offset| offset & 0xffff_ffff)),
        fault("RWRITE-04", "what-is-inside-and-then-refused", || {
            around(|mut step| {
                let Some((access, data)) = RegionAccess::parse(&step.frame.payload) else { return step.pass() };
                let (data, offset) = (data.to_vec(), access.offset);
                let room = size(access.region).and_then(|size| size.checked_sub(offset));
                if let (true, Some(room)) = (is(&step.frame, "REGION_WRITE"), room)
                    && room < data.len() as u64
                {
                    let mut payload = RegionAccess { count: room as u32, ..access }.bytes().to_vec();
                    payload.extend(&data[..room as usize]);
                    step.ask("REGION_WRITE", &payload, Vec::new());
                }
                step.pass();
            })
        })
        .noted(),
        fault("RWRITE-05", "written-without-the-flag", || claims(|access| access.region == 4)),
    ]
}

fn mapped() -> Vec<Fault> {
    vec![
        fault("RWRITE-06", "what-can-be-mapped-is-not-written", || {
            answers(|command| {
                let mappable = matches!(get(command, "region"), 1 | 2);
                (is(command, "REGION_WRITE") && mappable && command.payload.len() >= 16)
                    .then_some(Answer::Error(Errno::EOPNOTSUPP))
            })
        }),
        fault("RWRITE-06", "a-copy-for-messages", || memory(Copied(BTreeMap::new()))),
        fault("RWRITE-06", "words-only", || memory(WordsOnly)).noted(),
    ]
}

fn limits() -> Vec<Fault> {
    vec![
        fault("RWRITE-07", "less-than-the-limit", || {
            answers(|command| {
                (is(command, "REGION_WRITE") && get(command, "count") >= MOST).then_some(Answer::Error(Errno::EINVAL))
            })
        }),
        fault("RWRITE-07", "the-limit-with-the-header", || {
            answers(|command| {
                (is(command, "REGION_WRITE") && command.payload.len() as u64 + 16 > MOST)
                    .then_some(Answer::Error(Errno::E2BIG))
            })
        }),
        fault("RWRITE-07", "what-one-recv-brings", || changes(|_, data| data.truncate(64 << 10))),
        fault("RWRITE-07", "the-last-byte-is-lost", || {
            changes(|_, data| {
                if data.len() as u64 >= MOST {
                    data.pop();
                }
            })
        }),
        fault("RWRITE-11", "as-far-as-the-limit", || {
            around(|mut step| {
                let count = get(&step.frame, "count");
                if !is(&step.frame, "REGION_WRITE") || count <= MOST {
                    return step.pass();
                }
                put(&mut step.frame, "count", MOST);
                step.pass_and(|effects| put_count(effects, count));
            })
        }),
        fault("RWRITE-11", "above-the-limit-is-nothing", || {
            answers(|command| (is(command, "REGION_WRITE") && get(command, "count") > MOST).then_some(Answer::Nothing))
        }),
        fault("RWRITE-11", "a-buffer-of-the-limit", || {
            answers(|command| {
                let data = command.payload.len().saturating_sub(16) as u64;
                assert!(!is(command, "REGION_WRITE") || data <= MOST, "copy of {data} bytes into a buffer of {MOST}");
                None
            })
        })
        .by_process(),
    ]
}

fn posted() -> Vec<Fault> {
    vec![
        fault("RWRITE-09", "without-a-reply-nothing-is-done", || {
            answers(|command| (is(command, "REGION_WRITE") && command.header.no_reply()).then_some(Answer::Nothing))
        }),
        fault("RWRITE-09", "answered-all-the-same", || {
            around(|mut step| {
                if is(&step.frame, "REGION_WRITE") {
                    step.frame.header.flags &= !NO_REPLY;
                }
                step.pass();
            })
        })
        .also("CONC-03", "which says the same of every command"),
        // There is room for one, which waits until something else comes.
        fault("RWRITE-09", "the-next-one-takes-its-place", || posted_waits(|_, _| true)),
        fault("RWRITE-09", "lost-where-another-follows-elsewhere", || {
            posted_waits(|waiting, next| get(waiting, "offset") != get(next, "offset"))
        }),
    ]
}

fn config() -> Vec<Fault> {
    vec![
        fault("RWRITE-12", "ids-can-be-written", || shadows_config(|offset| offset < 4)),
        fault("RWRITE-12", "no-upper-half", || {
            commands(|frame, _| {
                if is(frame, "REGION_WRITE") && (get(frame, "region"), get(frame, "offset")) == (7, 0x1c) {
                    frame.payload.truncate(16);
                    frame.payload.extend([0; 4]);
                }
            })
        }),
        fault("RWRITE-12", "a-bar-is-a-register", || shadows_config(|offset| (0x10..0x28).contains(&offset))),
    ]
}

/// Other bytes are written than were sent; the reply tells of those that were sent.
fn changes(change: fn(&RegionAccess, &mut Vec<u8>)) -> Faulty {
    around(move |mut step| {
        let Some((access, data)) = RegionAccess::parse(&step.frame.payload).filter(|_| is(&step.frame, "REGION_WRITE"))
        else {
            return step.pass();
        };
        let mut data = data.to_vec();
        let scratch = match access.region {
            0 => (0x1000..0x3000 - 8).contains(&{ access.offset }),
            1 | 2 => true,
            _ => false,
        };
        if !scratch || data.len() != access.count as usize || data.is_empty() {
            return step.pass();
        }
        change(&access, &mut data);
        let room = size(access.region).unwrap_or(0).saturating_sub(access.offset);
        data.truncate(room as usize);
        let mut payload = RegionAccess { count: data.len() as u32, ..access }.bytes().to_vec();
        payload.extend(data);
        step.frame.payload = payload;
        step.pass_and(|effects| put_count(effects, access.count.into()));
    })
}

/// Data is written elsewhere in scratch; the reply tells of where it should be.
fn moves(to: fn(u64) -> u64) -> Faulty {
    around(move |mut step| {
        let (region, offset) = (get(&step.frame, "region"), get(&step.frame, "offset"));
        let scratch = matches!(region, 1 | 2) || (region == 0 && offset >= 0x1000);
        if !is(&step.frame, "REGION_WRITE") || !scratch {
            return step.pass();
        }
        put(&mut step.frame, "offset", to(offset));
        step.pass_and(|effects| {
            for effect in effects {
                if let Effect::Send { frame, .. } = effect
                    && frame.header.is_reply()
                {
                    put(frame, "offset", offset);
                }
            }
        });
    })
}

fn put_count(effects: &mut [Effect], count: u64) {
    for effect in effects {
        if let Effect::Send { frame, .. } = effect
            && frame.header.is_reply()
        {
            put(frame, "count", count);
        }
    }
}

/// What the server refuses to write of these is answered with success.
fn claims(which: fn(&RegionAccess) -> bool) -> Faulty {
    replies(move |command, reply| {
        let access = RegionAccess::parse(&command.payload).filter(|_| is(command, "REGION_WRITE"));
        if let Some((access, data)) = access
            && reply.header.is_error()
            && data.len() == access.count as usize
            && which(&access)
        {
            *reply = Frame::reply(&command.header, access.bytes().to_vec());
        }
    })
}

/// Data that never came is filled in, from what the write before brought.
fn missing_data(fill: fn(&[u8], usize) -> Vec<u8>) -> Faulty {
    let mut before: Vec<u8> = Vec::new();
    commands(move |frame, _| {
        let data = frame.payload.len().saturating_sub(16);
        let count = get(frame, "count") as usize;
        if !is(frame, "REGION_WRITE") || frame.payload.len() < 16 {
            return;
        }
        if data < count && count <= 4096 {
            let stale = before.get(data..).unwrap_or(&[]).to_vec();
            frame.payload.extend(fill(&stale, count - data));
            frame.header.size = (HEADER_SIZE + frame.payload.len()) as u32;
        }
        before = frame.payload[16..].to_vec();
    })
}

/// Reads of scratch are answered with what the same read brought before, until a write for which `forgotten` holds; it
/// is told whether the write is to just these bytes.
fn reads_are_kept(forgotten: fn(bool) -> bool) -> Faulty {
    let mut kept: Option<(Vec<u8>, Vec<u8>)> = None;
    effects(move |command, effects| {
        let Some(head) = command.payload.get(..16) else { return };
        let scratch = matches!(get(command, "region"), 1 | 2)
            || (get(command, "region") == 0 && (0x1000..0x3000).contains(&get(command, "offset")));
        let writes = is(command, "REGION_WRITE");
        if is(command, "DEVICE_RESET") || (writes && kept.as_ref().is_some_and(|(read, _)| forgotten(read == head))) {
            kept = None;
        } else if is(command, "REGION_READ") && scratch {
            let Some(Effect::Send { frame, .. }) = effects.first_mut().filter(|_| get(command, "count") > 0) else {
                return;
            };
            if frame.header.is_error() {
                return;
            }
            match &kept {
                Some((read, data)) if read == head => frame.payload[16..].copy_from_slice(data),
                _ => kept = Some((head.to_vec(), frame.payload[16..].to_vec())),
            }
        }
    })
}

/// A posted write waits for the next message, and is lost where that is another one for which `lost` holds.
fn posted_waits(lost: fn(&Frame, &Frame) -> bool) -> Faulty {
    let mut waiting: Option<Frame> = None;
    around(move |step| {
        let Step { channel, server, frame, fds, memory, effects } = step;
        let posted = is(&frame, "REGION_WRITE") && frame.header.no_reply();
        if let Some(before) = waiting.take()
            && !(posted && lost(&before, &frame))
        {
            server.receive(before, Vec::new(), memory, effects);
        }
        if posted {
            waiting = Some(frame);
        } else {
            Step { channel, server, frame, fds, memory, effects }.pass();
        }
    })
}

/// Such bytes of configuration space read as they were written.
fn shadows_config(which: fn(u64) -> bool) -> Faulty {
    let mut written: BTreeMap<u64, u8> = BTreeMap::new();
    replies(move |command, reply| {
        let Some((access, data)) = RegionAccess::parse(&command.payload).filter(|(access, _)| { access.region } == 7)
        else {
            return;
        };
        let offset = access.offset;
        if reply.header.is_error() {
        } else if is(command, "REGION_WRITE") {
            written.extend((offset..).zip(data.iter().copied()).filter(|(at, _)| which(*at)));
        } else if is(command, "REGION_READ") {
            for (at, byte) in (offset..).zip(&mut reply.payload[16..]) {
                *byte = written.get(&at).copied().unwrap_or(*byte);
            }
        }
    })
}

/// What is written by message shows by message, and not in the memory that clients map.
struct Copied(BTreeMap<(u32, u64), u8>);

impl Twist for Copied {
    fn region_read(
        &mut self,
        memory: &mut dyn Memory,
        region: u32,
        offset: u64,
        bytes: &mut [u8],
    ) -> Result<(), Errno> {
        memory.region_read(region, offset, bytes)?;
        for (at, byte) in (offset..).zip(bytes) {
            *byte = self.0.get(&(region, at)).copied().unwrap_or(*byte);
        }
        Ok(())
    }

    fn region_write(&mut self, _: &mut dyn Memory, region: u32, offset: u64, bytes: &[u8]) -> Result<(), Errno> {
        self.0.extend((offset..).zip(bytes).map(|(at, byte)| ((region, at), *byte)));
        Ok(())
    }
}

/// Refuses what is no word.
struct WordsOnly;

impl Twist for WordsOnly {
    fn region_write(&mut self, memory: &mut dyn Memory, region: u32, offset: u64, bytes: &[u8]) -> Result<(), Errno> {
        if bytes.len() == 4 { memory.region_write(region, offset, bytes) } else { Err(Errno::EINVAL) }
    }
}
