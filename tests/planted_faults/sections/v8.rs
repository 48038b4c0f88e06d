//! Version 8: tables in the DMA commands, other numbers, and what it alone has.

use std::os::fd::OwnedFd;

use vfio_user_conformance::Profile as Spoken;
use vfio_user_reference_server::{Effect, Errno, Machine, Profile};
use vfio_user_wire::message::{IrqSet, RegionAccess, RegionInfo};
use vfio_user_wire::tables::{DirtyPages, DmaMap, DmaUnmap};
use vfio_user_wire::{ERROR, Frame, HEADER_SIZE, V8, dirty_pages_flags, irq_set_flags};

use crate::fault::{Fault, fault};
use crate::wrapper::{Answer, Faulty, around_server, capabilities, send, server_of, set_capabilities};

const PERMITS: &str = "it permits something, and no remark is ever made of a permission";

/// No server can show these.
pub(crate) const NO_FAULT: &[(&str, &str)] = &[("DISC-13", PERMITS), ("V8-07", PERMITS)];

/// The index of the migration region.
const MIGRATION: u32 = 9;

pub(crate) fn faults() -> Vec<Fault> {
    [version(), maps(), unmaps(), queries(), accesses(), device(), dirty_pages(), migration()]
        .into_iter()
        .flatten()
        .collect()
}

fn version() -> Vec<Fault> {
    vec![
        fault("V8-01", "get-irq-info-has-the-number-of-later-versions", || {
            answers(|command| (command.header.command == 6).then_some(Answer::Error(Errno::ENOTSUP)))
        }),
        fault("V8-02", "what-the-client-takes-is-not-looked-at", || {
            commands(|frame, _| {
                let mut stated = capabilities(frame);
                if is(frame, "VERSION") && stated.contains_key("max_msg_size") {
                    stated.insert("max_msg_size".to_owned(), (1 << 20).into());
                    set_capabilities(frame, stated);
                }
            })
        }),
        fault("L-UNM-14", "whatever-the-bitmap-takes-in-version-8", || {
            commands(|frame, _| {
                let mut stated = capabilities(frame);
                // The client of the other cases does not state it.
                if is(frame, "VERSION") && stated.contains_key("migration") && stated.contains_key("max_msg_size") {
                    stated.insert("max_msg_size".to_owned(), (1 << 20).into());
                    set_capabilities(frame, stated);
                }
            })
        })
        .of(Spoken::V8),
        fault("VER-14", "descriptors-for-a-client-that-takes-none", || {
            commands(|frame, _| {
                let mut stated = capabilities(frame);
                if is(frame, "VERSION") && stated.insert("max_fds".to_owned(), 8.into()).is_some() {
                    set_capabilities(frame, stated);
                }
            })
        })
        .of(Spoken::V8),
        // The table prints 22, and the header has 16 bytes.
        fault("V8-03", "data-where-the-table-has-it", || {
            replies(|command, reply| {
                if is(command, "VERSION") && !reply.header.is_error() {
                    reply.payload.splice(4..4, [0, 0]);
                }
            })
        })
        .also("VER-10", "the data begin with what is none"),
    ]
}

fn maps() -> Vec<Fault> {
    vec![
        fault("V8-04", "the-first-region-alone", || {
            commands(|frame, fds| {
                if is(frame, "DMA_MAP") && frame.payload.len() >= 64 {
                    shorten(frame, 32);
                    fds.truncate(mappable(frame));
                }
            })
        }),
        fault("V8-04", "what-is-left-over-is-left-out", || {
            commands(|frame, _| {
                if is(frame, "DMA_MAP") && frame.payload.len() > 32 {
                    let whole = frame.payload.len() / 32 * 32;
                    shorten(frame, whole);
                }
            })
        })
        .noted(),
        fault("V8-04", "what-is-cut-off-is-zero", || {
            commands(|frame, _| {
                if is(frame, "DMA_MAP") {
                    frame.payload.resize(frame.payload.len().next_multiple_of(32), 0);
                    frame.header.size = (HEADER_SIZE + frame.payload.len()) as u32;
                }
            })
        }),
        fault("V8-05", "the-last-descriptor-first", || {
            commands(|frame, fds| {
                if is(frame, "DMA_MAP") {
                    fds.reverse();
                }
            })
        }),
        // What has no descriptor is reached by message.
        fault("V8-05", "a-region-need-not-have-its-descriptor", || {
            commands(|frame, fds| {
                if is(frame, "DMA_MAP") && mappable(frame) > fds.len() {
                    let mut left = fds.len();
                    for entry in frame.payload.chunks_exact_mut(32) {
                        if entry[28] & 1 != 0 && left == 0 {
                            entry[28] = 0;
                        }
                        left = left.saturating_sub(1);
                    }
                }
            })
        })
        .noted(),
        fault("V8-06", "invalid-where-there-is-a-region", || {
            replies(|command, reply| {
                if is(command, "DMA_MAP") && reply.header.error == Errno::EEXIST as u32 {
                    reply.header.error = Errno::EINVAL as u32;
                }
            })
        }),
        fault("V8-06", "what-is-mapped-makes-room", || {
            answers(|command| {
                let table = is(command, "DMA_MAP") && command.payload.len() >= 64;
                table.then_some(Answer::Ok(Vec::new()))
            })
        }),
        // What a table that fails has added is taken away again, and with it what was there before.
        fault("V8-06", "rolled-back-too-far", || {
            around_server(server_of(Profile::V8), |mut step| {
                let (command, mut done) = (step.frame.clone(), Vec::new());
                step.server.receive(step.frame, std::mem::take(&mut step.fds), &mut *step.memory, &mut done);
                let refused = |effect: &Effect| matches!(effect, Effect::Send { frame, .. } if { frame.header.error } == Errno::EEXIST as u32);
                if is(&command, "DMA_MAP") && done.iter().any(refused) {
                    let number = V8.command("DMA_UNMAP").map_or(0, |(number, _)| number);
                    for entry in command.payload.chunks_exact(32) {
                        let unmap = [&entry[..28], &[0; 4]].concat();
                        let unmap = Frame::command(1, number, unmap);
                        step.server.receive(unmap, Vec::new(), &mut *step.memory, &mut Vec::new());
                    }
                }
                step.effects.append(&mut done);
            })
        }),
        fault("V8-08", "ignored-without-a-word", || {
            around_server(server_of(Profile::V8), |step| {
                let ignored = is(&step.frame, "DMA_MAP") && step.fds.is_empty();
                if ignored { step.answer(Answer::Nothing) } else { step.pass() }
            })
        }),
    ]
}

fn unmaps() -> Vec<Fault> {
    vec![
        fault("V8-09", "the-first-region-alone", || {
            commands(|frame, _| {
                if plain_unmap(frame) && frame.payload.len() >= 64 {
                    shorten(frame, 32);
                }
            })
        }),
        fault("V8-09", "what-is-left-over-is-left-out", || {
            commands(|frame, _| {
                if plain_unmap(frame) && frame.payload.len() > 32 {
                    let whole = frame.payload.len() / 32 * 32;
                    shorten(frame, whole);
                }
            })
        })
        .noted(),
        fault("V8-09", "refused-and-gone-all-the-same", || {
            around_server(server_of(Profile::V8), |step| {
                let part = is(&step.frame, "DMA_UNMAP").then(|| step.frame.payload.clone());
                let part = part.filter(|payload| payload.len() == 32 && payload[8..16] == 0x1000u64.to_ne_bytes());
                if let Some(mut whole) = part {
                    whole[8..16].copy_from_slice(&0x2000u64.to_ne_bytes());
                    let command = Frame::command(1, step.frame.header.command, whole);
                    step.server.receive(command, Vec::new(), &mut *step.memory, &mut Vec::new());
                    return step.answer(Answer::Error(Errno::EINVAL));
                }
                step.pass();
            })
        }),
        fault("V8-11", "all-of-a-region-for-a-part-of-it", || {
            let mut whole = Vec::new();
            commands(move |frame, _| {
                if is(frame, "DMA_MAP") {
                    whole = frame.payload.get(..16).unwrap_or_default().to_vec();
                }
                if plain_unmap(frame) && whole.len() == 16 && frame.payload[..8] == whole[..8] {
                    frame.payload[..16].copy_from_slice(&whole);
                }
            })
        }),
        fault("V8-10", "the-next-page", || {
            replies(|command, reply| {
                if is(command, "DMA_UNMAP") && reply.payload.len() == 32 {
                    let bits = u64::from_ne_bytes(reply.payload[24..].try_into().unwrap_or_default());
                    reply.payload[24..].copy_from_slice(&(bits << 1).to_ne_bytes());
                }
            })
        }),
        // As in later versions.
        fault("V8-10", "the-entries-come-back", || {
            replies(|command, reply| {
                if is(command, "DMA_UNMAP") && !reply.header.is_error() {
                    reply.payload = command.payload.clone();
                }
            })
        }),
        fault("V8-10", "the-bits-without-their-structure", || {
            replies(|command, reply| {
                if is(command, "DMA_UNMAP") && reply.payload.len() == 32 {
                    reply.payload.drain(..24);
                }
            })
        }),
        fault("V8-10", "unmapped-and-then-looked-at", || {
            replies(|command, reply| {
                if is(command, "DMA_UNMAP") && reply.payload.len() == 32 {
                    reply.payload[24..].fill(0);
                }
            })
        }),
    ]
}

fn queries() -> Vec<Fault> {
    vec![
        // As libvfio-user had it. It says nothing about message IDs.
        fault("RREAD-01", "neither-offset-nor-region-in-version-8", || {
            replies(|command, reply| {
                if is(command, "REGION_READ") && !reply.header.is_error() {
                    reply.payload[..12].fill(0);
                }
            })
        })
        .noted()
        .of(Spoken::V8),
        fault("V8-12", "a-request-as-in-later-versions", || {
            answers(|command| {
                let bare = is(command, "DEVICE_GET_INFO") && command.payload.is_empty();
                bare.then_some(Answer::Error(Errno::EINVAL))
            })
        })
        .noted(),
        fault("V8-13", "room-for-some-of-the-capabilities-is-refused", || {
            answers(|command| {
                let (request, _) = RegionInfo::parse(&command.payload)?;
                let refused = is(command, "DEVICE_GET_REGION_INFO") && (33..80).contains(&{ request.argsz });
                refused.then_some(Answer::Error(Errno::ENOSPC))
            })
        }),
    ]
}

fn accesses() -> Vec<Fault> {
    vec![
        fault("V8-14", "a-count-of-zero", || {
            replies(|command, reply| {
                if is(command, "REGION_READ") && !reply.header.is_error() {
                    reply.payload[12..16].fill(0);
                }
            })
        })
        .also("RREAD-02", "which says the same"),
        // As in later versions.
        fault("V8-15", "the-bytes-that-were-written", || {
            replies(|command, reply| {
                if is(command, "REGION_WRITE") && !reply.header.is_error() {
                    reply.payload[12..16].copy_from_slice(&command.payload[12..16]);
                }
            })
        }),
        fault("V8-16", "a-count-of-8-bytes", || {
            own_commands(|command| {
                if is(command, "DMA_READ") || is(command, "DMA_WRITE") {
                    command.payload.splice(12..12, [0; 4]);
                    command.header.size += 4;
                }
            })
        })
        .also("V8-17", "the client takes a part of the count for data"),
        fault("DMARW-07", "every-region-is-for-both", || {
            commands(|frame, _| {
                if is(frame, "DMA_MAP") {
                    frame.payload.chunks_exact_mut(32).for_each(|entry| entry[24] = 3);
                }
            })
        })
        .of(Spoken::V8),
        fault("V8-16", "data-behind-a-count-of-8-bytes", || {
            around_server(server_of(Profile::V8), |mut step| {
                let frame = &mut step.frame;
                if frame.header.is_reply() && is(frame, "DMA_READ") && !frame.header.is_error() {
                    frame.payload[12..].rotate_left(4);
                }
                step.pass();
            })
        }),
        fault("V8-17", "nothing-counted-is-nothing-written", || {
            around_server(server_of(Profile::V8), |mut step| {
                let reply = step.frame.header.is_reply() && is(&step.frame, "DMA_WRITE");
                if reply && step.frame.payload.get(8..12) == Some(&[0; 4]) {
                    step.frame.header.flags |= ERROR;
                    step.frame.header.error = Errno::EIO as u32;
                    shorten(&mut step.frame, 0);
                }
                step.pass();
            })
        }),
    ]
}

fn device() -> Vec<Fault> {
    vec![
        fault("V8-19", "no-map-over-what-the-last-client-left", || {
            replies(|command, reply| {
                if is(command, "DMA_MAP") && reply.header.error == Errno::EEXIST as u32 {
                    reply.header.error = Errno::EBUSY as u32;
                }
            })
        })
        .also("V8-06", "its own map is refused so, too")
        .noted(),
        fault("V8-18", "an-interrupt-with-its-type", || {
            around_server(server_of(Profile::V8), |step| {
                let bare = is(&step.frame, "DEVICE_SET_IRQS") && step.fds.is_empty();
                step.pass_and(|effects| {
                    if let Some((number, _)) = V8.command("VM_INTERRUPT").filter(|_| bare) {
                        effects.push(send(Frame::command(0x7a, number, vec![0; 8])));
                    }
                });
            })
        }),
        fault("V8-23", "no-descriptor-and-no-answer", || {
            around_server(server_of(Profile::V8), |step| {
                let request = IrqSet::parse(&step.frame.payload).filter(|_| is(&step.frame, "DEVICE_SET_IRQS"));
                let asks = request.is_some_and(|(request, _)| { request.flags } & irq_set_flags::DATA_EVENTFD != 0);
                if asks && step.fds.is_empty() { step.answer(Answer::Nothing) } else { step.pass() }
            })
        }),
    ]
}

fn dirty_pages() -> Vec<Fault> {
    vec![
        // As in later versions.
        fault("V8-20", "the-head-before-the-bitmaps", || {
            replies(|command, reply| {
                if action(command) == Some(dirty_pages_flags::GET_BITMAP) && !reply.header.is_error() {
                    reply.payload.splice(..0, command.payload[..12].iter().copied());
                }
            })
        }),
        fault("V8-20", "the-bits-alone-and-none-set", || {
            replies(|command, reply| {
                if action(command) == Some(dirty_pages_flags::GET_BITMAP) && !reply.header.is_error() {
                    reply.payload = vec![0; reply.payload.len() - 24];
                }
            })
        }),
        fault("V8-20", "the-next-page", || {
            replies(|command, reply| {
                if action(command) == Some(dirty_pages_flags::GET_BITMAP) && reply.payload.len() == 32 {
                    let bits = u64::from_ne_bytes(reply.payload[24..].try_into().unwrap_or_default());
                    reply.payload[24..].copy_from_slice(&(bits << 1).to_ne_bytes());
                }
            })
        }),
        fault("V8-20", "the-first-range-alone", || {
            commands(|frame, _| {
                if action(frame) == Some(dirty_pages_flags::GET_BITMAP) && frame.payload.len() > 52 {
                    shorten(frame, 52);
                }
            })
        })
        .noted(),
        fault("V8-20", "the-structure-without-its-bits", || {
            replies(|command, reply| {
                if action(command) == Some(dirty_pages_flags::GET_BITMAP) && !reply.header.is_error() {
                    reply.payload.truncate(24);
                }
            })
        }),
        fault("V8-21", "what-argsz-says-is-waited-for", || {
            answers(|command| {
                let (request, _) = DirtyPages::parse(&command.payload).filter(|_| is(command, "DIRTY_PAGES"))?;
                ({ request.argsz } as usize > command.payload.len()).then_some(Answer::Nothing)
            })
        }),
        fault("V8-26", "the-head-comes-back", || {
            replies(|command, reply| {
                if action(command) == Some(dirty_pages_flags::START) && !reply.header.is_error() {
                    reply.payload = command.payload.clone();
                }
            })
        }),
    ]
}

fn migration() -> Vec<Fault> {
    vec![
        // As in later versions. A reset leads there, too.
        fault("V8-22", "stopped-leads-to-running", || {
            around_server(server_of(Profile::V8), |mut step| {
                let mut done = Vec::new();
                let (command, memory) = (step.frame.clone(), &mut *step.memory);
                step.server.receive(step.frame, std::mem::take(&mut step.fds), memory, &mut done);
                let refused = |effect: &Effect| matches!(effect, Effect::Send { frame, .. } if frame.header.is_error());
                if state_asked_for(&command) == Some(1) && done.iter().any(refused) {
                    let number = V8.command("DEVICE_RESET").map_or(0, |(number, _)| number);
                    step.server.receive(Frame::command(1, number, Vec::new()), Vec::new(), memory, &mut Vec::new());
                    done = vec![send(Frame::reply(&command.header, written(&command)))];
                }
                step.effects.append(&mut done);
            })
        })
        .noted(),
        fault("V8-22", "refused-and-running-all-the-same", || {
            around_server(server_of(Profile::V8), |mut step| {
                let (command, memory) = (step.frame.clone(), &mut *step.memory);
                let mut done = Vec::new();
                step.server.receive(step.frame, std::mem::take(&mut step.fds), memory, &mut done);
                let refused = |effect: &Effect| matches!(effect, Effect::Send { frame, .. } if frame.header.is_error());
                if state_asked_for(&command) == Some(1) && done.iter().any(refused) {
                    let number = V8.command("DEVICE_RESET").map_or(0, |(number, _)| number);
                    step.server.receive(Frame::command(1, number, Vec::new()), Vec::new(), memory, &mut Vec::new());
                }
                step.effects.append(&mut done);
            })
        })
        .also("V8-24", "the state is another one after a refusal")
        .noted(),
        fault("V8-24", "no-pre-copy", || {
            answers(|command| (state_asked_for(command) == Some(3)).then_some(Answer::Error(Errno::EINVAL)))
        }),
        fault("V8-24", "every-state-is-one", || {
            answers(|command| {
                let odd = state_asked_for(command).is_some_and(|state| state > 4);
                odd.then(|| Answer::Ok(written(command)))
            })
        }),
        fault("V8-24", "to-ask-what-is-pending-takes-away-from-it", || {
            let mut asked = 0;
            replies(move |command, reply| {
                if read_of(command) == Some(8) && !reply.header.is_error() {
                    asked += 1;
                    let pending = u64::from_ne_bytes(reply.payload[16..24].try_into().unwrap_or_default());
                    reply.payload[16..24].copy_from_slice(&pending.saturating_sub(asked).to_ne_bytes());
                }
            })
        }),
        fault("V8-24", "the-data-in-place-of-the-registers", || {
            replies(|command, reply| {
                if read_of(command) == Some(16) && !reply.header.is_error() {
                    reply.payload[16..24].fill(0);
                }
            })
        }),
        fault("V8-24", "what-is-restored-is-left-out", || {
            answers(|command| {
                let (access, _) = RegionAccess::parse(&command.payload).filter(|_| is(command, "REGION_WRITE"))?;
                let data = access.region == MIGRATION && access.offset >= 24;
                data.then(|| Answer::Ok(written(command)))
            })
        }),
        fault("V8-24", "another-version-of-the-type", || {
            replies(|command, reply| {
                if is(command, "DEVICE_GET_REGION_INFO") && reply.payload.get(8) == Some(&(MIGRATION as u8)) {
                    let at = reply.payload[12] as usize;
                    if let Some(version) = reply.payload.get_mut(at + 2).filter(|_| at >= 32) {
                        *version = 7;
                    }
                }
            })
        }),
    ]
}

/// The message has that name in version 8.
fn is(frame: &Frame, name: &str) -> bool {
    V8.message(frame.header.command).is_some_and(|message| message.name == name)
}

/// How many regions of a DMA_MAP have a descriptor.
fn mappable(frame: &Frame) -> usize {
    frame.payload.chunks_exact(32).filter_map(DmaMap::parse).filter(|(entry, _)| { entry.flags } & 1 != 0).count()
}

/// A DMA_UNMAP that asks for no bitmap.
pub(super) fn plain_unmap(frame: &Frame) -> bool {
    is(frame, "DMA_UNMAP") && DmaUnmap::parse(&frame.payload).is_some_and(|(entry, _)| { entry.flags } == 0)
}

/// What a DIRTY_PAGES asks for.
pub(super) fn action(frame: &Frame) -> Option<u32> {
    DirtyPages::parse(&frame.payload).filter(|_| is(frame, "DIRTY_PAGES")).map(|(request, _)| request.flags)
}

/// The state that a write to `device_state` asks for.
fn state_asked_for(frame: &Frame) -> Option<u32> {
    let (access, data) = RegionAccess::parse(&frame.payload).filter(|_| is(frame, "REGION_WRITE"))?;
    let state = access.region == MIGRATION && access.offset == 0;
    state.then_some(u32::from_ne_bytes(data.get(..4)?.try_into().ok()?))
}

/// Where in the migration region a REGION_READ begins.
fn read_of(frame: &Frame) -> Option<u64> {
    let (access, _) = RegionAccess::parse(&frame.payload).filter(|_| is(frame, "REGION_READ"))?;
    (access.region == MIGRATION).then_some(access.offset)
}

/// The payload of the reply to a REGION_WRITE.
fn written(command: &Frame) -> Vec<u8> {
    [command.payload.get(..12).unwrap_or_default(), &[0; 4]].concat()
}

pub(super) fn shorten(frame: &mut Frame, payload: usize) {
    frame.payload.truncate(payload);
    frame.header.size = (HEADER_SIZE + frame.payload.len()) as u32;
}

fn commands(change: impl FnMut(&mut Frame, &mut Vec<OwnedFd>) + 'static) -> Faulty {
    commands_of(Profile::V8, change)
}

fn replies(change: impl FnMut(&Frame, &mut Frame) + 'static) -> Faulty {
    replies_of(Profile::V8, change)
}

fn answers(answer: impl FnMut(&Frame) -> Option<Answer> + 'static) -> Faulty {
    answers_of(Profile::V8, answer)
}

/// Changes commands and their descriptors before the server sees them.
pub(super) fn commands_of(profile: Profile, mut change: impl FnMut(&mut Frame, &mut Vec<OwnedFd>) + 'static) -> Faulty {
    around_server(server_of(profile), move |mut step| {
        if step.frame.header.message_type() == 0 {
            change(&mut step.frame, &mut step.fds);
        }
        step.pass();
    })
}

/// Changes replies, given the command that they answer; their size stays true.
pub(super) fn replies_of(profile: Profile, mut change: impl FnMut(&Frame, &mut Frame) + 'static) -> Faulty {
    around_server(server_of(profile), move |step| {
        let command = step.frame.clone();
        step.pass_and(|effects| {
            for effect in effects {
                if let Effect::Send { frame, .. } = effect
                    && frame.header.is_reply()
                {
                    change(&command, frame);
                    frame.header.size = (HEADER_SIZE + frame.payload.len()) as u32;
                }
            }
        });
    })
}

/// Changes the server's own commands.
fn own_commands(mut change: impl FnMut(&mut Frame) + 'static) -> Faulty {
    around_server(server_of(Profile::V8), move |step| {
        step.pass_and(|effects| {
            for effect in effects {
                if let Effect::Send { frame, .. } = effect
                    && !frame.header.is_reply()
                {
                    change(frame);
                }
            }
        });
    })
}

/// Answers some commands in the server's place.
pub(super) fn answers_of(profile: Profile, mut answer: impl FnMut(&Frame) -> Option<Answer> + 'static) -> Faulty {
    around_server(server_of(profile), move |step| match answer(&step.frame) {
        Some(answer) if step.frame.header.message_type() == 0 => step.answer(answer),
        _ => step.pass(),
    })
}
