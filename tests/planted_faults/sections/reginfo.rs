//! DEVICE_GET_REGION_INFO.

use std::fs::{File, OpenOptions};
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::fs::FileExt;
use std::sync::Arc;

use nix::sys::eventfd::EventFd;
use vfio_user_reference_server::{Effect, Errno, Memory};

use vfio_user_wire::{CapabilityHeader, Frame, HEADER_SIZE, SparseArea, sparse_mmap_bytes};

use super::info::region_nine;
use crate::dma::memfd;
use crate::fault::{Fault, fault, loop_fault};
use crate::loops::{as_told, serve_by_length};
use crate::queries::{ignores, panics, refuses, repeats, small_argsz};
use crate::wrapper::{Answer, Faulty, Twist, answers, commands, effects, get, is, memory, put, replies, replies_to};

const NAME: &str = "DEVICE_GET_REGION_INFO";
/// The fixed part of the reply.
const FIXED: u64 = 32;
/// Flags of a region.
const READ: u64 = 1;
const WRITE: u64 = 1 << 1;
const MMAP: u64 = 1 << 2;
const CAPS: u64 = 1 << 3;
/// What of BAR1 can be mapped.
const AREAS: [SparseArea; 2] =
    [SparseArea { offset: 0x1000, size: 0x2000 }, SparseArea { offset: 0x8000, size: 0x4000 }];

/// No server can show these.
pub(crate) const NO_FAULT: &[(&str, &str)] = &[];

pub(crate) fn faults() -> Vec<Fault> {
    [reply(), sizes(), index(), descriptor(), flags(), chain(), areas(), cut(), mapping(), mirror(), request()]
        .into_iter()
        .flatten()
        .collect()
}

fn reply() -> Vec<Fault> {
    vec![
        fault("REGINFO-01", "no-offset", || info(|_, reply| reply.payload.truncate(24))),
        fault("REGINFO-01", "argsz-counts-the-header", || {
            info(|command, reply| {
                let room = get(command, "argsz").saturating_sub(HEADER_SIZE as u64);
                reply.payload.truncate(room as usize);
            })
        }),
        fault("REGINFO-01", "a-header-alone-for-what-is-not-there", || {
            info(|_, reply| {
                if get(reply, "size") == 0 {
                    reply.payload.clear();
                }
            })
        }),
        fault("REGINFO-02", "argsz-repeated", || info(|command, reply| put(reply, "argsz", get(command, "argsz")))),
        fault("REGINFO-02", "what-is-in-the-reply", || {
            info(|_, reply| put(reply, "argsz", reply.payload.len() as u64))
        }),
        fault("REGINFO-02", "the-capabilities-alone", || {
            info(|_, reply| {
                let argsz = get(reply, "argsz");
                put(reply, "argsz", argsz - FIXED);
            })
        }),
        fault("REGINFO-02", "with-the-header", || {
            info(|_, reply| {
                let argsz = get(reply, "argsz");
                put(reply, "argsz", argsz + HEADER_SIZE as u64);
            })
        }),
        fault("REGINFO-02", "nothing-said-of-what-is-not-there", || {
            info(|_, reply| {
                if get(reply, "size") == 0 {
                    put(reply, "argsz", 0);
                }
            })
        }),
        fault("REGINFO-03", "no-index", || info(|_, reply| put(reply, "index", 0))),
        fault("REGINFO-03", "the-index-of-the-first-question", || {
            let mut first = None;
            replies_to(NAME, move |_, reply| {
                let first = *first.get_or_insert(get(reply, "index"));
                put(reply, "index", first);
            })
        }),
        fault("REGINFO-03", "the-number-among-the-regions-that-are-there", || {
            info(|_, reply| {
                let index = get(reply, "index");
                put(reply, "index", if index == 7 { 4 } else { index });
            })
        }),
    ]
}

fn sizes() -> Vec<Fault> {
    vec![
        fault("REGINFO-04", "config-space-as-pci-express-has-it", || of(7, |reply| put(reply, "size", 4096))),
        fault("REGINFO-04", "the-last-offset-for-the-size", || {
            info(|_, reply| {
                let size = get(reply, "size");
                put(reply, "size", size.saturating_sub(1));
            })
        }),
        fault("REGINFO-04", "half-of-a-region-that-is-scratch", || of(0, |reply| put(reply, "size", 0x8000))),
        // offset + count >= size, in place of >.
        fault("REGINFO-04", "the-last-byte-is-refused", || {
            answers(|command| {
                let last = matches!((get(command, "region"), get(command, "offset")), (7, 0xff) | (0, 0x2fff));
                (is(command, "REGION_READ") && last).then_some(Answer::Error(Errno::EINVAL))
            })
        }),
        fault("REGINFO-04", "another-size-each-time", || {
            let mut asked = 0;
            replies_to(NAME, move |_, reply| {
                asked += u64::from(get(reply, "index") == 7);
                if get(reply, "index") == 7 && asked == 2 {
                    put(reply, "size", 4096);
                }
            })
        })
        .noted(),
        fault("REGINFO-17", "flags-of-what-is-not-there", || of(3, |reply| put(reply, "flags", READ | WRITE))),
        fault("REGINFO-18", "config-space-that-cannot-be-read", || of(7, |reply| put(reply, "flags", 0))),
        fault("REGINFO-18", "the-header-of-config-space", || of(7, |reply| put(reply, "size", 64))),
        fault("REGINFO-18", "config-space-somewhere-else", || {
            of(7, |reply| {
                put(reply, "size", 0);
                put(reply, "flags", 0);
            })
        }),
        fault("REGINFO-18", "config-space-of-an-odd-size", || of(7, |reply| put(reply, "size", 0x500))).noted(),
        fault("REGINFO-19", "a-flag-of-another-kernel", || of(0, |reply| put(reply, "flags", READ | WRITE | 1 << 4))),
    ]
}

fn index() -> Vec<Fault> {
    vec![
        fault("REGINFO-12", "one-behind-the-last", || region_nine(0x1000)),
        fault("REGINFO-12", "nothing-for-an-index-that-is-not-there", || region_nine(0)).noted(),
        fault("REGINFO-12", "three-bits-of-the-index", || {
            commands(|frame, _| {
                let index = get(frame, "index");
                if is(frame, NAME) && index > 8 {
                    put(frame, "index", index & 7);
                }
            })
        })
        .also("REGINFO-03", "it tells which it is"),
        // A negative index is less than the number.
        fault("REGINFO-12", "a-signed-index", || {
            replies(|command, reply| {
                if is(command, NAME) && reply.header.is_error() && get(command, "index") >= 1 << 31 {
                    *reply = Frame::reply(&command.header, command.payload.clone());
                    put(reply, "argsz", FIXED);
                    put(reply, "size", 0x7f00_0000);
                }
            })
        })
        .also("REGINFO-13", "and no type"),
        fault("REGINFO-12", "where-the-index-stands-in-the-table", || {
            panics(NAME, |command| get(command, "index") >= 1 << 31, "attempt to multiply with overflow")
        })
        .by_process(),
        fault("REGINFO-12", "no-answer-for-an-index-that-is-not-there", || {
            ignores(NAME, |command| get(command, "index") >= 9)
        }),
        fault("REGINFO-13", "a-device-region-of-no-type", || device_region(Vec::new)),
        fault("REGINFO-13", "a-device-region-with-another-capability", || device_region(|| header(3, 0))),
    ]
}

fn descriptor() -> Vec<Fault> {
    vec![
        fault("REGINFO-05", "no-descriptor", || descriptors(|_, _, fds| fds.clear())),
        fault("REGINFO-05", "one-descriptor-for-each-region", || {
            let mut sent = Vec::new();
            descriptors(move |_, reply, fds| {
                let index = get(reply, "index");
                if sent.contains(&index) {
                    fds.clear();
                }
                sent.push(index);
            })
        }),
        fault("REGINFO-05", "with-sparse-areas-only", || {
            descriptors(|_, reply, fds| {
                if get(reply, "argsz") == FIXED {
                    fds.clear();
                }
            })
        }),
        fault("REGINFO-05", "with-room-for-capabilities-only", || {
            descriptors(|_, reply, fds| {
                if get(reply, "argsz") > reply.payload.len() as u64 {
                    fds.clear();
                }
            })
        })
        .noted(),
        fault("REGINFO-06", "a-descriptor-with-every-region", || {
            let file = Arc::new(memfd(0x1000));
            descriptors(move |_, reply, fds| {
                if get(reply, "flags") & MMAP == 0 {
                    fds.push(Arc::clone(&file));
                }
            })
        }),
        fault("REGINFO-06", "mapped-and-not-said", || of(2, |reply| put(reply, "flags", READ | WRITE))),
    ]
}

fn flags() -> Vec<Fault> {
    vec![
        fault("REGINFO-07", "no-cap-offset", || full(|reply| put(reply, "cap_offset", 0))),
        fault("REGINFO-07", "cap-offset-in-words", || full(|reply| put(reply, "cap_offset", FIXED / 4))),
        fault("REGINFO-07", "cap-offset-is-the-end", || full(|reply| put(reply, "cap_offset", get(reply, "argsz")))),
        fault("REGINFO-07", "the-flag-without-capabilities", || {
            info(|_, reply| {
                let flags = get(reply, "flags");
                put(reply, "flags", flags | CAPS);
            })
        }),
        fault("REGINFO-07", "capabilities-without-the-flag", || full(|reply| put(reply, "flags", READ | WRITE | MMAP)))
            .noted(),
        fault("REGINFO-07", "the-flag-whatever-the-room", || {
            of(1, |reply| put(reply, "flags", READ | WRITE | MMAP | CAPS))
        })
        .noted(),
        fault("REGINFO-07", "where-they-would-be", || {
            of(1, |reply| {
                put(reply, "flags", READ | WRITE | MMAP | CAPS);
                put(reply, "cap_offset", FIXED);
            })
        })
        .noted(),
    ]
}

fn chain() -> Vec<Fault> {
    let two = |next| [sparse_mmap_bytes(&AREAS, next), header(3, 0)].concat();
    vec![
        fault("REGINFO-08", "the-last-one-is-its-own-next", || capable(FIXED, || sparse_mmap_bytes(&AREAS, 32))),
        fault("REGINFO-08", "next-where-another-would-be", || capable(FIXED, || sparse_mmap_bytes(&AREAS, 80))),
        fault("REGINFO-08", "next-counts-from-the-capability", move || capable(FIXED, move || two(48))),
        fault("REGINFO-08", "next-counts-from-the-message", move || capable(FIXED, move || two(96))),
        fault("REGINFO-08", "the-last-leads-back-to-the-first", || {
            capable(FIXED, || [sparse_mmap_bytes(&AREAS, 80), header(3, 32)].concat())
        }),
        fault("REGINFO-08", "half-a-header-at-the-end", || {
            capable(FIXED, || [sparse_mmap_bytes(&AREAS, 80), vec![3, 0, 1, 0]].concat())
        }),
        fault("REGINFO-08", "four-bytes-apart", || {
            capable(FIXED, || [sparse_mmap_bytes(&AREAS, 84), vec![0; 4], header(3, 0)].concat())
        })
        .noted(),
        fault("REGINFO-08", "put-in-front", || capable(40, || [header(3, 0), sparse_mmap_bytes(&AREAS, 32)].concat()))
            .noted(),
    ]
}

fn areas() -> Vec<Fault> {
    vec![
        fault("REGINFO-09", "no-version", || sparse(|bytes| bytes[2] = 0)),
        fault("REGINFO-09", "version-2", || sparse(|bytes| bytes[2] = 2)),
        fault("REGINFO-09", "areas-in-bytes", || sparse(|bytes| bytes[8] = 32))
            .also("REGINFO-08", "so they leave the payload"),
        fault("REGINFO-09", "one-area-too-many", || sparse(|bytes| bytes[8] = 3))
            .also("REGINFO-08", "so they leave the payload"),
        fault("REGINFO-09", "the-last-area-is-not-counted", || sparse(|bytes| bytes[8] = 1)),
        fault("REGINFO-09", "reserved-is-what-was-there", || sparse(|bytes| bytes[12..16].fill(0xa5))).noted(),
        fault("REGINFO-10", "an-area-as-large-as-the-region", || laid_out((0x1000, 0x2000), (0x8000, 0x1_0000))),
        fault("REGINFO-10", "an-area-behind-the-region", || laid_out((0x1_1000, 0x2000), (0x8000, 0x4000))),
        fault("REGINFO-10", "the-end-for-the-size", || laid_out((0x1000, 0x3000), (0x8000, 0xc000))),
        fault("REGINFO-10", "a-sum-that-wraps", || laid_out((0x1000, 0x2000), (u64::MAX - 0xfff, 0x2000))),
        fault("REGINFO-10", "areas-in-part-of-a-page", || laid_out((0x1000, 0x2000), (0x8000, 0x800))).noted(),
        fault("REGINFO-10", "areas-that-overlap", || laid_out((0x1000, 0x2000), (0x2000, 0x4000))).noted(),
        fault("REGINFO-10", "a-descriptor-for-reading", || handed(1, for_reading)),
        fault("REGINFO-10", "a-descriptor-of-something-else", || handed(1, something_else)),
        fault("REGINFO-10", "a-file-of-the-first-area", || handed(1, |_| memfd(0x7000))),
        fault("REGINFO-10", "a-file-that-begins-with-the-region", || handed(1, |_| memfd(0x5000))),
    ]
}

fn cut() -> Vec<Fault> {
    vec![
        fault("REGINFO-16", "too-little-room-is-an-error", || {
            replies(|command, reply| {
                if is(command, NAME) && get(reply, "argsz") > reply.payload.len() as u64 {
                    *reply = Frame::error(&command.header, Errno::ENOSPC as u32);
                }
            })
        }),
        fault("REGINFO-16", "all-of-it-whatever-the-room", || {
            commands(|frame, _| {
                if is(frame, NAME) && get(frame, "argsz") >= FIXED {
                    put(frame, "argsz", 4096);
                }
            })
        })
        .also("MSZ-01", "which says the same"),
        fault("REGINFO-16", "argsz-alone", || left_out(|reply| put(reply, "size", 0))),
        fault("REGINFO-16", "no-offset-yet", || left_out(|reply| put(reply, "offset", 0))),
        fault("REGINFO-16", "filled-up-with-zeroes", || {
            info(|command, reply| {
                if get(reply, "argsz") > reply.payload.len() as u64 {
                    reply.payload.resize(get(command, "argsz").max(FIXED) as usize, 0);
                }
            })
        }),
    ]
}

fn mapping() -> Vec<Fault> {
    vec![
        fault("REGINFO-11", "no-offset", || of(1, |reply| put(reply, "offset", 0))),
        fault("REGINFO-11", "the-offset-of-the-first-area", || of(1, |reply| put(reply, "offset", 0x5000))),
        fault("REGINFO-11", "a-copy-of-the-bytes", || handed(1, copy)),
        fault("REGINFO-11", "a-file-that-is-a-page-short", || handed(1, |_| memfd(0x4000 + 0x2000))),
        fault("REGINFO-11", "one-area-behind-the-other-in-the-file", || memory(Packed)),
        fault("REGINFO-11", "messages-have-bytes-of-their-own", || memory(Own(Vec::new()))),
        fault("REGINFO-22", "a-descriptor-for-reading", || handed(2, for_reading)),
        fault("REGINFO-22", "a-descriptor-of-something-else", || handed(2, something_else)),
        fault("REGINFO-22", "a-file-of-its-first-half", || handed(2, |_| memfd(1 << 20))),
        fault("REGINFO-22", "an-address-for-the-offset", || of(2, |reply| put(reply, "offset", 0x7f3a_1240_0000))),
        fault("REGINFO-22", "sparse-areas-left-out", || {
            info(|_, reply| {
                reply.payload.truncate(FIXED as usize);
                put(reply, "argsz", FIXED);
                let flags = get(reply, "flags");
                put(reply, "flags", flags & !CAPS);
                put(reply, "cap_offset", 0);
                if get(reply, "index") == 1 {
                    // Mapped from its first area on.
                    put(reply, "offset", 0x5000);
                }
            })
        }),
    ]
}

fn mirror() -> Vec<Fault> {
    vec![
        fault("REGINFO-21", "what-comes-by-message-only", || mirrored(|_, _| [0; 8])),
        fault("REGINFO-21", "looked-at-once", || mirrored(|seen, now| *seen.first().unwrap_or(&now))),
        fault("REGINFO-21", "noticed-one-question-late", || {
            mirrored(|seen, _| seen.last().copied().unwrap_or_default())
        }),
        fault("REGINFO-21", "the-low-word-only", || {
            mirrored(|_, now| std::array::from_fn(|at| if at < 4 { now[at] } else { 0 }))
        }),
    ]
}

fn request() -> Vec<Fault> {
    let mut faults = small_argsz("REGINFO-14", NAME, "REGINFO-01");
    faults.extend([
        fault("REGINFO-15", "the-flags-of-the-request-are-added", || {
            info(|command, reply| {
                let flags = get(command, "flags") | get(reply, "flags");
                put(reply, "flags", flags);
            })
        }),
        fault("REGINFO-15", "cap-offset-of-the-request", || repeats(NAME, "cap_offset")),
        fault("REGINFO-15", "size-of-the-request", || repeats(NAME, "size")),
        fault("REGINFO-15", "offset-of-the-request", || repeats(NAME, "offset")),
        fault("REGINFO-15", "no-answer-to-flags", || ignores(NAME, |command| get(command, "flags") != 0)),
        fault("REGINFO-20", "missing-bytes-are-zero", || filled_up(|_| true)),
        fault("REGINFO-20", "argsz-and-index-will-do", || filled_up(|length| length >= 12)).noted(),
        loop_fault("REGINFO-20", "completed-by-the-next-message", |listener, stop| {
            serve_by_length(&listener, &stop, |header| {
                if { header.command } == 5 { as_told(header).max(32) } else { as_told(header) }
            });
        })
        .perhaps("HDR-14", "what is taken for a command gets a reply"),
        fault("REGINFO-20", "past-the-end-of-the-request", || {
            panics(NAME, |command| command.payload.len() < 32, "range end index 32 out of range")
        })
        .by_process(),
        loop_fault("REGINFO-23", "surplus-bytes-are-the-next-message", |listener, stop| {
            serve_by_length(&listener, &stop, |header| {
                if { header.command } == 5 { as_told(header).min(32) } else { as_told(header) }
            });
        })
        .also("HDR-14", "and answered")
        .perhaps("DMAP-04", "SPDK's messages all have the id 0")
        .perhaps("HDR-04", "SPDK's messages all have the id 0"),
        loop_fault("REGINFO-23", "no-more-than-1024-bytes-are-read", |listener, stop| {
            serve_by_length(&listener, &stop, |header| as_told(header).min(1024));
        })
        .also("HDR-14", "and answered")
        .perhaps("DMAP-04", "SPDK's messages all have the id 0")
        .perhaps("HDR-04", "SPDK's messages all have the id 0"),
        fault("REGINFO-23", "no-surplus", || refuses(NAME, |command| command.payload.len() != 32)).noted(),
        fault("REGINFO-23", "no-answer-to-surplus", || ignores(NAME, |command| command.payload.len() > 32)),
        fault("REGINFO-23", "copied-where-there-is-room-for-the-structure", || {
            panics(NAME, |command| command.payload.len() > 32, "source slice length does not match")
        })
        .by_process(),
    ]);
    faults
}

/// Another reply to DEVICE_GET_REGION_INFO.
fn info(change: fn(&Frame, &mut Frame)) -> Faulty {
    replies_to(NAME, change)
}

/// Another reply for one region.
fn of(index: u64, change: fn(&mut Frame)) -> Faulty {
    replies_to(NAME, move |_, reply| {
        if get(reply, "index") == index {
            change(reply);
        }
    })
}

/// Another reply where capabilities are in it.
fn full(change: fn(&mut Frame)) -> Faulty {
    replies_to(NAME, move |_, reply| {
        if reply.payload.len() as u64 > FIXED {
            change(reply);
        }
    })
}

/// Another reply where capabilities do not fit into it.
fn left_out(change: fn(&mut Frame)) -> Faulty {
    replies_to(NAME, move |_, reply| {
        if get(reply, "argsz") > reply.payload.len() as u64 {
            change(reply);
        }
    })
}

/// Other descriptors with a reply.
fn descriptors(mut change: impl FnMut(&Frame, &Frame, &mut Vec<Arc<OwnedFd>>) + 'static) -> Faulty {
    effects(move |command, effects| {
        for effect in effects {
            let Effect::Send { frame, fds, .. } = effect else { continue };
            if is(command, NAME) && !frame.header.is_error() {
                change(command, frame, fds);
            }
        }
    })
}

/// A capability of which the protocol knows nothing: a header alone.
fn header(id: u16, next: u32) -> Vec<u8> {
    CapabilityHeader { id, version: 1, next }.bytes().to_vec()
}

/// Gives a reply these capabilities, as far as there is room.
fn give(command: &Frame, reply: &mut Frame, cap_offset: u64, tail: &[u8]) {
    let (needed, flags) = (FIXED + tail.len() as u64, get(reply, "flags") & !CAPS);
    let complete = needed <= get(command, "argsz") && !tail.is_empty();
    reply.payload.truncate(FIXED as usize);
    put(reply, "argsz", needed);
    put(reply, "flags", if complete { flags | CAPS } else { flags });
    put(reply, "cap_offset", if complete { cap_offset } else { 0 });
    if complete {
        reply.payload.extend(tail);
    }
    reply.header.size = (HEADER_SIZE + reply.payload.len()) as u32;
}

/// Other capabilities for BAR1.
fn capable(cap_offset: u64, tail: impl Fn() -> Vec<u8> + 'static) -> Faulty {
    replies_to(NAME, move |command, reply| {
        if get(reply, "index") == 1 {
            give(command, reply, cap_offset, &tail());
        }
    })
}

/// BAR1's sparse mmap capability with a change.
fn sparse(change: fn(&mut Vec<u8>)) -> Faulty {
    capable(FIXED, move || {
        let mut bytes = sparse_mmap_bytes(&AREAS, 0);
        change(&mut bytes);
        bytes
    })
}

/// Other areas for BAR1.
fn laid_out(first: (u64, u64), second: (u64, u64)) -> Faulty {
    let areas = [first, second].map(|(offset, size)| SparseArea { offset, size });
    capable(FIXED, move || sparse_mmap_bytes(&areas, 0))
}

/// There is a region 9, with these capabilities.
fn device_region(tail: fn() -> Vec<u8>) -> Faulty {
    replies(move |command, reply| {
        if is(command, "DEVICE_GET_INFO") && !reply.header.is_error() {
            put(reply, "num_regions", 10);
        }
        if is(command, NAME) && reply.header.is_error() && get(command, "index") == 9 {
            *reply = Frame::reply(&command.header, vec![0; FIXED as usize]);
            put(reply, "flags", READ | WRITE);
            put(reply, "index", 9);
            put(reply, "size", 0x1000);
            give(command, reply, FIXED, &tail());
        }
    })
}

/// Shorter requests are filled up with zeroes.
fn filled_up(which: fn(usize) -> bool) -> Faulty {
    commands(move |frame, _| {
        if is(frame, NAME) && frame.payload.len() < 32 && which(frame.payload.len()) {
            frame.payload.resize(32, 0);
            frame.header.size = (HEADER_SIZE + 32) as u32;
        }
    })
}

/// The register that shows bytes of BAR1 shows what `shown` makes of all that it held when it was read.
fn mirrored(shown: fn(&[[u8; 8]], [u8; 8]) -> [u8; 8]) -> Faulty {
    let mut seen: Vec<[u8; 8]> = Vec::new();
    replies_to("REGION_READ", move |_, reply| {
        if (get(reply, "region"), get(reply, "offset"), get(reply, "count")) == (0, 0x38, 8) {
            let now = reply.payload[16..].try_into().unwrap();
            reply.payload[16..].copy_from_slice(&shown(&seen, now));
            seen.push(now);
        }
    })
}

/// Clients get another descriptor for a region.
fn handed(region: u32, other: fn(&OwnedFd) -> OwnedFd) -> Faulty {
    memory(Handed(region, other))
}

struct Handed(u32, fn(&OwnedFd) -> OwnedFd);

impl Twist for Handed {
    fn region_fd(&self, memory: &dyn Memory, region: u32) -> Option<Arc<OwnedFd>> {
        let fd = memory.region_fd(region)?;
        Some(if region == self.0 { Arc::new((self.1)(&fd)) } else { fd })
    }
}

fn for_reading(fd: &OwnedFd) -> OwnedFd {
    OpenOptions::new().read(true).open(format!("/proc/self/fd/{}", fd.as_raw_fd())).unwrap().into()
}

fn something_else(_: &OwnedFd) -> OwnedFd {
    EventFd::new().unwrap().into()
}

/// What is in the file now.
fn copy(fd: &OwnedFd) -> OwnedFd {
    let file = File::from(fd.try_clone().unwrap());
    let mut bytes = vec![0; file.metadata().unwrap().len() as usize];
    file.read_exact_at(&mut bytes, 0).unwrap();
    let copy = File::from(memfd(bytes.len() as u64));
    copy.write_all_at(&bytes, 0).unwrap();
    copy.into()
}

/// BAR1 is written in two places: one is mapped, and the other is what messages read.
struct Own(Vec<u8>);

impl Twist for Own {
    fn region_read(
        &mut self,
        memory: &mut dyn Memory,
        region: u32,
        offset: u64,
        bytes: &mut [u8],
    ) -> Result<(), Errno> {
        if region != 1 {
            return memory.region_read(region, offset, bytes);
        }
        self.0.resize(0x1_0000, 0);
        bytes.copy_from_slice(&self.0[offset as usize..][..bytes.len()]);
        Ok(())
    }

    fn region_write(&mut self, memory: &mut dyn Memory, region: u32, offset: u64, bytes: &[u8]) -> Result<(), Errno> {
        self.0.resize(0x1_0000, 0);
        if region == 1 {
            self.0[offset as usize..][..bytes.len()].copy_from_slice(bytes);
        }
        memory.region_write(region, offset, bytes)
    }
}

/// By message, BAR1's second area is right behind the first one.
struct Packed;

fn packed(region: u32, offset: u64) -> u64 {
    if region == 1 && (0x8000..0xc000).contains(&offset) { offset - 0x5000 } else { offset }
}

impl Twist for Packed {
    fn region_read(
        &mut self,
        memory: &mut dyn Memory,
        region: u32,
        offset: u64,
        bytes: &mut [u8],
    ) -> Result<(), Errno> {
        memory.region_read(region, packed(region, offset), bytes)
    }

    fn region_write(&mut self, memory: &mut dyn Memory, region: u32, offset: u64, bytes: &[u8]) -> Result<(), Errno> {
        memory.region_write(region, packed(region, offset), bytes)
    }
}
