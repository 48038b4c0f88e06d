//! The clauses that only 0.9.1 has: each fault is of a server of that version.

pub(super) mod dirty_bitmap;
pub(super) mod dirty_pages;
pub(super) mod dma;
pub(super) mod version;

use vfio_user_reference_server::{Effect, Errno, Machine, Profile};
use vfio_user_wire::legacy::{DirtyPages, DirtyPagesGet, DmaUnmap, DmaUnmapGet};
use vfio_user_wire::{Frame, HEADER_SIZE, V0_9_1, dirty_pages_flags, dma_unmap_flags};

use crate::wrapper::{Answer, Faulty, Step, around_server, server_of};

/// Bytes before the bits, both in DIRTY_PAGES and in DMA_UNMAP, as the reference server has them.
const BITS: usize = 40;

/// The client's page size.
const PAGE: u64 = 4096;

/// Every message goes through `receive`.
fn around(receive: impl FnMut(Step<'_>) + 'static) -> Faulty {
    around_server(server_of(Profile::V0_9_1), receive)
}

/// Changes replies, given the command that they answer.
fn replies(mut change: impl FnMut(&Frame, &mut Frame) + 'static) -> Faulty {
    around(move |step| {
        let command = step.frame.clone();
        step.pass_and(|effects| each_reply(effects, |reply| change(&command, reply)));
    })
}

/// Answers some commands in the server's place.
fn answers(mut answer: impl FnMut(&Frame) -> Option<Answer> + 'static) -> Faulty {
    around(move |step| match answer(&step.frame).filter(|_| step.frame.header.message_type() == 0) {
        Some(answer) => step.answer(answer),
        None => step.pass(),
    })
}

/// The server gets another payload than the client sent, where `change` has one; a reply that succeeds and has a payload
/// repeats the client's flags.
fn taken_as(mut change: impl FnMut(&Frame) -> Option<Vec<u8>> + 'static) -> Faulty {
    around(move |mut step| {
        let Some(payload) = change(&step.frame) else { return step.pass() };
        let sent = step.frame.payload.clone();
        step.frame.payload = payload;
        step.frame.header.size = (HEADER_SIZE + step.frame.payload.len()) as u32;
        step.pass_and(|effects| {
            each_reply(effects, |reply| {
                if let (Some(flags), Some(sent)) = (reply.payload.get_mut(4..8), sent.get(4..8)) {
                    flags.copy_from_slice(sent);
                }
            });
        });
    })
}

/// No fault: a server whose ranges have 40 bytes, and which takes no others.
pub(crate) fn wide() -> Faulty {
    around(|mut step| {
        if dirty(&step.frame) != Some(dirty_pages_flags::GET_BITMAP) {
            return step.pass();
        }
        let (wide, payload) = (BITS + 8, &mut step.frame.payload);
        let argsz = u32::from_ne_bytes(payload[..4].try_into().unwrap());
        if payload.len() < wide || (argsz as usize) < wide {
            return step.answer(Answer::Error(Errno::EINVAL));
        }
        payload.drain(BITS..wide);
        payload[..4].copy_from_slice(&(argsz - 8).to_ne_bytes());
        step.frame.header.size -= 8;
        step.pass_and(|effects| {
            each_reply(effects, |reply| {
                if let Some((&argsz, _)) = reply.payload.split_first_chunk().filter(|_| !reply.header.is_error()) {
                    reply.payload[..4].copy_from_slice(&(u32::from_ne_bytes(argsz) + 8).to_ne_bytes());
                    reply.payload.splice(BITS..BITS, [0; 8]);
                }
            });
        });
    })
}

/// Calls `change` for every reply among the effects, and sets its size.
fn each_reply(effects: &mut [Effect], mut change: impl FnMut(&mut Frame)) {
    for effect in effects {
        if let Effect::Send { frame, .. } = effect
            && frame.header.is_reply()
        {
            change(frame);
            frame.header.size = (HEADER_SIZE + frame.payload.len()) as u32;
        }
    }
}

/// Lets the server carry out a command that no client sent; its reply.
fn ask(step: &mut Step<'_>, name: &str, payload: &[u8]) -> Option<Frame> {
    let mut effects = Vec::new();
    let (number, _) = V0_9_1.command(name)?;
    step.server.receive(Frame::command(0, number, payload.to_vec()), Vec::new(), step.memory, &mut effects);
    effects.into_iter().find_map(|effect| match effect {
        Effect::Send { frame, .. } => Some(frame),
        _ => None,
    })
}

fn is(frame: &Frame, name: &str) -> bool {
    V0_9_1.command(name).is_some_and(|(number, _)| number == frame.header.command)
}

/// The flags of a DIRTY_PAGES.
fn dirty(frame: &Frame) -> Option<u32> {
    DirtyPages::parse(&frame.payload).filter(|_| is(frame, "DIRTY_PAGES")).map(|(head, _)| head.flags)
}

fn starts(frame: &Frame) -> bool {
    dirty(frame) == Some(dirty_pages_flags::START)
}

fn stops(frame: &Frame) -> bool {
    dirty(frame) == Some(dirty_pages_flags::STOP)
}

/// A GET_BITMAP with its range.
fn get(frame: &Frame) -> Option<DirtyPagesGet> {
    dirty(frame).filter(|flags| *flags == dirty_pages_flags::GET_BITMAP)?;
    DirtyPagesGet::parse(&frame.payload).map(|(get, _)| get)
}

fn unmap(frame: &Frame) -> Option<DmaUnmap> {
    DmaUnmap::parse(&frame.payload).filter(|_| is(frame, "DMA_UNMAP")).map(|(unmap, _)| unmap)
}

/// A DMA_UNMAP that asks for a bitmap and says which.
fn unmap_get(frame: &Frame) -> Option<DmaUnmapGet> {
    unmap(frame).filter(|unmap| unmap.flags == dma_unmap_flags::GET_DIRTY_BITMAP)?;
    DmaUnmapGet::parse(&frame.payload).map(|(get, _)| get)
}

/// Changes successful replies to GET_BITMAP, with their bits.
fn gets(mut change: impl FnMut(&DirtyPagesGet, &mut Vec<u8>) + 'static) -> Faulty {
    replies(move |command, reply| {
        if let Some(get) = get(command).filter(|_| !reply.header.is_error()) {
            change(&get, &mut reply.payload);
        }
    })
}

/// Changes successful replies to DMA_UNMAP with a bitmap.
fn unmap_gets(mut change: impl FnMut(&DmaUnmapGet, &mut Vec<u8>) + 'static) -> Faulty {
    replies(move |command, reply| {
        if let Some(get) = unmap_get(command).filter(|_| !reply.header.is_error()) {
            change(&get, &mut reply.payload);
        }
    })
}

/// Whether the log is on, after a message and before the next.
#[derive(Default)]
struct Log {
    on: bool,
}

impl Log {
    /// Whether it is on as this message comes.
    fn before(&mut self, frame: &Frame) -> bool {
        let before = self.on && !is(frame, "VERSION");
        self.on = (before || starts(frame)) && !stops(frame);
        before
    }
}

/// The bits of a reply, the first bit of each byte the highest.
fn turned(payload: &mut [u8]) {
    payload.iter_mut().skip(BITS).for_each(|byte| *byte = byte.reverse_bits());
}

/// The bits of so many pages.
fn set(payload: &mut [u8], pages: u64) {
    for page in 0..pages as usize {
        if let Some(byte) = payload.get_mut(BITS + page / 8) {
            *byte |= 1 << (page % 8);
        }
    }
}

/// No bit is set any more.
fn clear(payload: &mut [u8]) {
    payload.iter_mut().skip(BITS).for_each(|byte| *byte = 0);
}

/// The payload of the reply to a GET_BITMAP, without any bit.
fn nothing_dirty(get: &DirtyPagesGet) -> Vec<u8> {
    let size = get.bitmap_size as usize;
    let mut payload = DirtyPagesGet { argsz: (BITS + size) as u32, ..*get }.bytes().to_vec();
    payload.resize(BITS + size, 0);
    payload
}
