//! 0.9.1 while its DMA commands carried tables.

use std::os::fd::OwnedFd;

use vfio_user_conformance::Profile as Spoken;
use vfio_user_reference_server::{Effect, Errno, Profile};
use vfio_user_wire::legacy::{Bitmap, RangeLayout};
use vfio_user_wire::message::RegionInfo;
use vfio_user_wire::tables::{DirtyPages, DmaUnmap, DmaUnmapEntries, Table};
use vfio_user_wire::{Frame, HEADER_SIZE, V8C, dirty_pages_flags};

use super::v8::{action, answers_of, commands_of, plain_unmap, replies_of, shorten};
use crate::fault::{Fault, fault};
use crate::wrapper::{Answer, Faulty, around_server, capabilities, server_of, set_capabilities};

/// Each has one.
pub(crate) const NO_FAULT: &[(&str, &str)] = &[];

const STRUCTURE: usize = Bitmap::LAYOUT.size;
const HEAD: usize = DirtyPages::LAYOUT.size;

pub(crate) fn faults() -> Vec<Fault> {
    let faults = [messages(), maps(), unmaps(), dirty_pages()];
    faults.into_iter().flatten().map(|fault| fault.of(Spoken::V8C)).collect()
}

fn messages() -> Vec<Fault> {
    vec![
        fault("V8-25", "get-irq-info-has-the-number-of-version-8", || {
            answers(|command| (command.header.command == 7).then_some(Answer::Error(Errno::EINVAL)))
        }),
        // In version 8 argsz could be read to count the header, too.
        fault("V8-25", "no-room-for-header-and-info", || {
            answers(|command| {
                let (request, _) = RegionInfo::parse(&command.payload)?;
                let refused = is(command, "DEVICE_GET_REGION_INFO") && request.index == 1 && request.argsz < 48;
                refused.then_some(Answer::Error(Errno::EINVAL))
            })
        }),
        fault("V8-02", "what-the-client-of-early-0.9.1-takes-is-not-looked-at", || {
            commands(|frame, _| {
                let mut stated = capabilities(frame);
                if is(frame, "VERSION") && stated.contains_key("max_msg_size") {
                    stated.insert("max_msg_size".to_owned(), (1 << 20).into());
                    set_capabilities(frame, stated);
                }
            })
        }),
    ]
}

fn maps() -> Vec<Fault> {
    let every_region_is_for_both = || {
        commands(|frame, _| {
            if is(frame, "DMA_MAP") {
                frame.payload.chunks_exact_mut(32).for_each(|entry| entry[24] = 3);
            }
        })
    };
    vec![
        fault("DMAP-11", "every-region-is-for-both-in-a-table", every_region_is_for_both),
        fault("DMAP-12", "every-region-is-for-both-in-a-table", every_region_is_for_both),
        // As libvfio-user had it at the end of its tables.
        fault("V8-04", "a-table-of-one", || {
            answers(|command| {
                (is(command, "DMA_MAP") && command.payload.len() > 32).then_some(Answer::Error(Errno::EINVAL))
            })
        }),
    ]
}

fn unmaps() -> Vec<Fault> {
    vec![
        // And this.
        fault("V8-09", "a-table-of-one", || {
            commands(|frame, _| {
                if plain_unmap(frame) && frame.payload.len() > 32 {
                    shorten(frame, 32);
                }
            })
        })
        .also("V8-10", "a region behind that asks for its bitmap is not seen either"),
        fault("V8-09", "protections-are-those-of-the-map", || {
            answers(|command| {
                let (entry, _) = DmaUnmap::parse(&command.payload).filter(|_| is(command, "DMA_UNMAP"))?;
                ({ entry.protections } == 0).then_some(Answer::Error(Errno::EINVAL))
            })
        }),
        fault("V8-10", "the-structure-of-version-8", || {
            replies(|command, reply| {
                if is(command, "DMA_UNMAP") && !reply.payload.is_empty() {
                    reply.payload.splice(STRUCTURE..STRUCTURE, [0; 8]);
                }
            })
        }),
        // In version 8 all ask, or none does.
        fault("V8-10", "all-are-as-the-first", || {
            commands(|frame, _| {
                let entries = DmaUnmapEntries::new(&frame.payload, Table::V8c);
                let entries: Vec<_> = entries.map_while(Result::ok).collect();
                let plain = |bitmap: Option<Bitmap>| bitmap.is_none();
                if is(frame, "DMA_UNMAP") && entries.first().is_some_and(|entry| plain(entry.bitmap)) {
                    let regions = entries.iter().map(|entry| DmaUnmap { flags: 0, ..entry.region }.bytes().to_vec());
                    let length = entries.iter().map(|entry| if plain(entry.bitmap) { 32 } else { 48 }).sum::<usize>();
                    let rest = frame.payload.split_off(length);
                    frame.payload = regions.flatten().chain(rest).collect();
                    shorten(frame, usize::MAX);
                }
            })
        }),
        fault("V8-10", "never-dirty", || {
            replies(|command, reply| {
                if is(command, "DMA_UNMAP") && reply.payload.len() == STRUCTURE + 8 {
                    reply.payload[STRUCTURE..].fill(0);
                }
            })
        }),
        fault("L-UNM-14", "whatever-the-bitmap-takes-in-a-table", || {
            commands(|frame, _| {
                let mut stated = capabilities(frame);
                if is(frame, "VERSION") && stated.contains_key("migration") && stated.contains_key("max_msg_size") {
                    stated.insert("max_msg_size".to_owned(), (1 << 20).into());
                    set_capabilities(frame, stated);
                }
            })
        }),
    ]
}

fn dirty_pages() -> Vec<Fault> {
    vec![
        // As in later texts.
        fault("V8-27", "the-head-before-the-bitmap", || {
            gets(|command, reply| {
                reply.payload.splice(..0, command.payload[..8].iter().copied());
            })
        }),
        fault("V8-27", "the-bits-without-their-structure", || {
            gets(|_, reply| {
                reply.payload.drain(..STRUCTURE);
            })
        }),
        // The one size is taken, and the other answered.
        fault("V8-27", "the-structure-of-version-8", || {
            gets(|_, reply| {
                reply.payload.splice(STRUCTURE..STRUCTURE, [0; 8]);
            })
        }),
        // The text names it for the reply, and it stands in a range of 40 bytes.
        fault("V8-27", "the-kernels-structure-as-in-the-range", || wide_with(&[0; 8])).noted(),
        fault("V8-27", "never-dirty", || gets(|_, reply| reply.payload[STRUCTURE..].fill(0))),
        fault("V8-20", "the-first-range-alone-of-two", || {
            commands(|frame, _| {
                if action(frame) == Some(dirty_pages_flags::GET_BITMAP) {
                    shorten(frame, HEAD + RangeLayout::Narrow.size());
                }
            })
        })
        .noted(),
        fault("V8-26", "a-head-of-8", || {
            answers(|command| {
                let twelve = is(command, "DIRTY_PAGES") && command.payload.len() == HEAD;
                let stop = action(command) == Some(dirty_pages_flags::STOP);
                (twelve && stop).then_some(Answer::Error(Errno::EINVAL))
            })
        }),
    ]
}

/// No fault: a server whose ranges have 40 bytes, and which takes no others.
pub(crate) fn wide() -> Faulty {
    wide_with(&[])
}

/// Such a server, with so much behind its bitmap structures.
fn wide_with(behind: &'static [u8]) -> Faulty {
    around_server(server_of(Profile::V8C), move |mut step| {
        if action(&step.frame) != Some(dirty_pages_flags::GET_BITMAP) {
            return step.pass();
        }
        let ranges = step.frame.payload.split_off(HEAD);
        if !ranges.len().is_multiple_of(RangeLayout::Wide.size()) {
            return step.answer(Answer::Error(Errno::EINVAL));
        }
        for range in ranges.chunks_exact(RangeLayout::Wide.size()) {
            step.frame.payload.extend_from_slice(&range[..RangeLayout::Narrow.size()]);
        }
        shorten(&mut step.frame, usize::MAX);
        let one = ranges.len() == RangeLayout::Wide.size();
        step.pass_and(|effects| {
            for effect in effects {
                if let Effect::Send { frame, .. } = effect
                    && one
                    && !frame.header.is_error()
                {
                    frame.payload.splice(STRUCTURE..STRUCTURE, behind.iter().copied());
                    frame.header.size = (HEADER_SIZE + frame.payload.len()) as u32;
                }
            }
        });
    })
}

fn is(frame: &Frame, name: &str) -> bool {
    V8C.message(frame.header.command).is_some_and(|message| message.name == name)
}

fn commands(change: impl FnMut(&mut Frame, &mut Vec<OwnedFd>) + 'static) -> Faulty {
    commands_of(Profile::V8C, change)
}

fn replies(change: impl FnMut(&Frame, &mut Frame) + 'static) -> Faulty {
    replies_of(Profile::V8C, change)
}

fn answers(answer: impl FnMut(&Frame) -> Option<Answer> + 'static) -> Faulty {
    answers_of(Profile::V8C, answer)
}

/// Changes successful replies to GET_BITMAP.
fn gets(mut change: impl FnMut(&Frame, &mut Frame) + 'static) -> Faulty {
    replies(move |command, reply| {
        if action(command) == Some(dirty_pages_flags::GET_BITMAP) && !reply.header.is_error() {
            change(command, reply);
        }
    })
}
