//! DMA_MAP and DMA_UNMAP of 0.9.1.

use vfio_user_reference_server::Errno;
use vfio_user_wire::Frame;
use vfio_user_wire::dma_unmap_flags::{ALL, GET_DIRTY_BITMAP};
use vfio_user_wire::legacy::{DmaMap, DmaUnmap, DmaUnmapGet};

use super::{
    BITS, Log, PAGE, answers, around, ask, clear, is, replies, taken_as, turned, unmap, unmap_get, unmap_gets,
};
use crate::fault::{Fault, fault};
use crate::wrapper::{Answer, Faulty, Step};

/// No server can show these.
pub(crate) const NO_FAULT: &[(&str, &str)] = &[];

pub(crate) fn faults() -> Vec<Fault> {
    [maps(), bitmaps(), refused(), flags()].into_iter().flatten().collect()
}

/// The entry of a request, with the argsz of its own reply.
fn entry(unmap: DmaUnmap) -> Answer {
    Answer::Ok(DmaUnmap { argsz: 24, ..unmap }.bytes().to_vec())
}

/// Unmaps behind the client's back.
fn take(step: &mut Step<'_>, address: u64, size: u64) {
    ask(step, "DMA_UNMAP", DmaUnmap { argsz: 24, flags: 0, address, size }.bytes());
}

fn take_all(step: &mut Step<'_>) {
    ask(step, "DMA_UNMAP", DmaUnmap { argsz: 24, flags: ALL, address: 0, size: 0 }.bytes());
}

fn maps() -> Vec<Fault> {
    vec![
        fault("L-DMAP-01", "a-descriptor-need-not-come", || {
            taken_as(|frame| {
                let (map, _) = DmaMap::parse(&frame.payload).filter(|_| is(frame, "DMA_MAP"))?;
                Some(DmaMap { flags: map.flags & 3, ..map }.bytes().to_vec())
            })
        })
        .noted(),
        fault("L-DMAP-02", "in-use", || {
            replies(|command, reply| {
                if is(command, "DMA_MAP") && reply.header.error == Errno::EEXIST as u32 {
                    reply.header.error = Errno::EBUSY as u32;
                }
            })
        }),
    ]
}

fn bitmaps() -> Vec<Fault> {
    vec![
        fault("L-UNM-02", "the-bits-follow-the-entry", || {
            unmap_gets(|_, payload| {
                payload.drain(24..40);
            })
        }),
        fault("L-UNM-02", "the-entry-alone", || unmap_gets(|_, payload| payload.truncate(24))),
        fault("L-UNM-02", "no-bitmap-is-told", || {
            answers(|command| unmap_get(command).map(|_| Answer::Error(Errno::ENOTSUP)))
        }),
        fault("L-UNM-03", "unmapped-and-then-looked-at", || unmap_gets(|_, payload| clear(payload))),
        fault("L-UNM-04", "the-highest-bit-first", || unmap_gets(|_, payload| turned(payload))),
        fault("L-UNM-12", "no-unmap-while-it-logs", || {
            let mut log = Log::default();
            answers(move |command| {
                let on = log.before(command);
                (on && unmap(command)?.flags == 0).then_some(Answer::Error(Errno::EBUSY))
            })
        }),
        // The size of the message says what is wanted.
        fault("L-UNM-13", "whoever-sends-a-structure-wants-a-bitmap", || {
            taken_as(|frame| {
                let plain = unmap(frame)?.flags == 0;
                let (get, _) = DmaUnmapGet::parse(&frame.payload).filter(|_| plain)?;
                Some(DmaUnmapGet { flags: GET_DIRTY_BITMAP, ..get }.bytes().to_vec())
            })
        }),
        fault("L-UNM-14", "whatever-the-bitmap-takes", super::version::any_size),
    ]
}

/// A bitmap that the server refuses is refused, and the region is gone.
fn gone_although_refused(which: fn(&DmaUnmapGet) -> bool) -> Faulty {
    around(move |mut step| {
        if let Some(get) = unmap_get(&step.frame).filter(&which) {
            take(&mut step, get.address, get.size);
        }
        step.pass();
    })
}

fn refused() -> Vec<Fault> {
    let room = |get: &DmaUnmapGet| (get.argsz as usize) < BITS + get.bitmap_size as usize;
    let small = |get: &DmaUnmapGet| get.size / PAGE > get.bitmap_size * 8;
    vec![
        fault("L-UNM-01", "without-the-structure-there-is-no-bitmap", || {
            taken_as(|frame| {
                let asks = unmap(frame).filter(|unmap| unmap.flags == GET_DIRTY_BITMAP)?;
                (frame.payload.len() < BITS).then(|| DmaUnmap { flags: 0, ..asks }.bytes().to_vec())
            })
        })
        .also("DUNMAP-05", "the reply is shorter than one with a bitmap"),
        fault("L-UNM-08", "argsz-is-not-looked-at", || {
            taken_as(|frame| unmap_get(frame).map(|get| DmaUnmapGet { argsz: 4096, ..get }.bytes().to_vec()))
        }),
        fault("L-UNM-08", "argsz-is-looked-at-last", move || gone_although_refused(room)),
        fault("L-UNM-09", "as-many-bits-as-there-is-room-for", move || {
            around(move |mut step| {
                let Some(get) = unmap_get(&step.frame).filter(small) else { return step.pass() };
                take(&mut step, get.address, get.size);
                let size = get.bitmap_size as usize;
                let mut payload = DmaUnmapGet { argsz: (BITS + size) as u32, ..get }.bytes().to_vec();
                payload.resize(BITS + size, 0);
                step.answer(Answer::Ok(payload));
            })
        }),
        fault("L-UNM-09", "the-size-is-looked-at-last", move || gone_although_refused(small)),
        fault("L-UNM-10", "gone-although-nothing-is-logged", || {
            let mut log = Log::default();
            around(move |mut step| {
                let on = log.before(&step.frame);
                if let Some(get) = unmap_get(&step.frame).filter(|_| !on) {
                    take(&mut step, get.address, get.size);
                }
                step.pass();
            })
        }),
        fault("L-UNM-10", "what-is-not-logged-is-dirty", || {
            let mut log = Log::default();
            around(move |mut step| {
                let on = log.before(&step.frame);
                let Some(get) = unmap_get(&step.frame).filter(|_| !on) else { return step.pass() };
                take(&mut step, get.address, get.size);
                let size = get.bitmap_size as usize;
                let mut payload = DmaUnmapGet { argsz: (BITS + size) as u32, ..get }.bytes().to_vec();
                payload.resize(BITS + size, 0xff);
                step.answer(Answer::Ok(payload));
            })
        })
        .noted(),
    ]
}

/// DMA_UNMAP of all regions, alone or not.
fn all(frame: &Frame, which: fn(&DmaUnmap) -> bool) -> Option<DmaUnmap> {
    unmap(frame).filter(|unmap| unmap.flags & ALL != 0 && which(unmap))
}

fn flags() -> Vec<Fault> {
    vec![
        fault("L-UNM-05", "no-such-flag", || {
            answers(|command| all(command, |_| true).map(|_| Answer::Error(Errno::EINVAL)))
        }),
        fault("L-UNM-05", "none-of-them", || answers(|command| all(command, |all| all.flags == ALL).map(entry))),
        fault("L-UNM-06", "all-and-no-bitmap", || {
            around(|mut step| {
                let Some(both) = all(&step.frame, |all| all.flags != ALL) else { return step.pass() };
                take_all(&mut step);
                step.answer(entry(both));
            })
        }),
        fault("L-UNM-06", "unmapped-and-then-refused", || {
            around(|mut step| {
                if all(&step.frame, |all| all.flags != ALL || all.address != 0).is_some() {
                    take_all(&mut step);
                }
                step.pass();
            })
        }),
        fault("L-UNM-06", "wherever-it-is", || {
            around(|mut step| {
                let Some(odd) = all(&step.frame, |all| all.flags == ALL && all.address != 0) else {
                    return step.pass();
                };
                take_all(&mut step);
                step.answer(entry(odd));
            })
        })
        .noted(),
        fault("L-UNM-07", "what-is-not-mapped-is-unmapped", || {
            around(|step| {
                let plain = unmap(&step.frame).filter(|unmap| unmap.flags == 0);
                step.pass_and(|effects| {
                    super::each_reply(effects, |reply| {
                        if let Some(plain) = plain.filter(|_| reply.header.error == Errno::ENOENT as u32) {
                            let mut done = reply.header;
                            done.flags &= !vfio_user_wire::ERROR;
                            done.error = 0;
                            *reply = Frame { header: done, payload: DmaUnmap { argsz: 24, ..plain }.bytes().to_vec() };
                        }
                    });
                });
            })
        }),
        fault("L-UNM-11", "the-lowest-bits-count", || {
            taken_as(|frame| {
                let unmap = unmap(frame)?;
                Some(DmaUnmap { flags: unmap.flags & 3, ..unmap }.bytes().to_vec())
            })
        }),
    ]
}
