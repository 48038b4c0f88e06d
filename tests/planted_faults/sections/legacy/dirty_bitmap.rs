//! DIRTY_PAGES of 0.9.1: the replies to GET_BITMAP.

use std::collections::BTreeMap;

use vfio_user_wire::legacy::{BitmapRange, DirtyPagesGet};
use vfio_user_wire::message::DmaMap;

use super::{BITS, PAGE, around, ask, clear, each_reply, get, gets, is, set, starts, taken_as, turned};
use crate::fault::{Fault, fault};
use crate::wrapper::Faulty;

/// No server can show these.
pub(crate) const NO_FAULT: &[(&str, &str)] = &[];

pub(crate) fn faults() -> Vec<Fault> {
    [heads(), sizes(), bits(), maps()].into_iter().flatten().collect()
}

/// Sets a field of the reply.
fn put(payload: &mut [u8], field: &str, value: u64) {
    if let Some(field) = DirtyPagesGet::LAYOUT.field(field) {
        field.write(payload, value);
    }
}

fn heads() -> Vec<Fault> {
    vec![
        fault("L-DP-16", "flags-are-left-out", || gets(|_, payload| put(payload, "flags", 0))),
        fault("L-DP-17", "the-range-is-left-out", || {
            gets(|_, payload| payload.iter_mut().take(BITS).skip(8).for_each(|byte| *byte = 0))
        }),
        fault("L-DP-17", "the-bitmap-structure-is-left-out", || {
            gets(|_, payload| payload.iter_mut().take(BITS).skip(24).for_each(|byte| *byte = 0))
        }),
    ]
}

fn sizes() -> Vec<Fault> {
    vec![
        fault("L-DP-13", "argsz-is-left-out", || gets(|_, payload| put(payload, "argsz", 0))),
        // argsz by one table, the payload by the other.
        fault("L-DP-18", "argsz-by-the-other-table", || {
            gets(|get, payload| {
                let other = payload.len() as u64 + 8;
                if u64::from(get.argsz) >= other {
                    put(payload, "argsz", other);
                }
            })
        }),
        fault("L-DP-31", "argsz-as-the-kernel-has-it", || gets(|_, payload| put(payload, "argsz", BITS as u64))),
        fault("L-DP-32", "argsz-is-that-of-the-request", || {
            gets(|get, payload| put(payload, "argsz", u64::from(get.argsz)))
        }),
        fault("L-DP-32", "as-long-as-may-be", || {
            gets(|get, payload| payload.resize(payload.len().max(get.argsz.min(1 << 20) as usize), 0))
        }),
        fault("L-DP-14", "whatever-there-is-room-for", || {
            taken_as(|frame| {
                let get = get(frame)?;
                Some(DirtyPagesGet { argsz: u32::MAX, ..get }.bytes().to_vec())
            })
        })
        .also("L-DP-15", "bits stand where nothing was to come"),
        fault("L-DP-14", "told-although-there-was-no-room", || {
            around(|mut step| {
                let short = get(&step.frame).filter(|get| u64::from(get.argsz) < BITS as u64 + get.bitmap_size);
                if let Some(get) = short {
                    ask(&mut step, "DIRTY_PAGES", DirtyPagesGet { argsz: u32::MAX, ..get }.bytes());
                }
                step.pass();
            })
        }),
        // The whole buffer goes out, of which only the start was written.
        fault("L-DP-15", "the-buffer-as-it-was", || {
            gets(|get, payload| {
                let room = get.argsz as usize;
                if (payload.len()..BITS + get.bitmap_size as usize).contains(&room) {
                    payload.resize(room, 0xa5);
                }
            })
        }),
    ]
}

fn bits() -> Vec<Fault> {
    vec![
        fault("L-DP-05", "nothing-is-ever-dirty", || gets(|_, payload| clear(payload))),
        fault("L-DP-06", "logs-until-it-is-asked", || {
            let mut asked = false;
            around(move |step| {
                let (begins, asks) = (starts(&step.frame) || is(&step.frame, "VERSION"), get(&step.frame).is_some());
                step.pass_and(|effects| {
                    if asked && asks {
                        each_reply(effects, |reply| clear(&mut reply.payload));
                    }
                });
                asked = (asked || asks) && !begins;
            })
        }),
        fault("L-DP-19", "the-highest-bit-first", || gets(|_, payload| turned(payload))),
        fault("L-DP-19", "bytes-the-other-way-round", || {
            gets(|_, payload| {
                payload
                    .get_mut(BITS..)
                    .unwrap_or_default()
                    .as_chunks_mut::<8>()
                    .0
                    .iter_mut()
                    .for_each(|word| word.reverse());
            })
        }),
        fault("L-DP-27", "told-again-and-again", || {
            let mut told: BTreeMap<(u64, u64), Vec<u8>> = BTreeMap::new();
            gets(move |get, payload| {
                let bits = payload.get_mut(BITS..).unwrap_or_default();
                let known = told.entry((get.iova, get.size)).or_insert_with(|| vec![0; bits.len()]);
                bits.iter_mut().zip(known.iter()).for_each(|(bit, known)| *bit |= known);
                known.copy_from_slice(bits);
            })
        }),
        fault("L-DP-29", "everything-is-dirty", || gets(|get, payload| set(payload, get.size / PAGE))),
    ]
}

/// Changes the bits of replies, given what is mapped, by address and size, and whether a descriptor came with it.
fn by_maps(mut change: impl FnMut(&BTreeMap<(u64, u64), bool>, &BitmapRange, &mut [u8]) + 'static) -> Faulty {
    let mut maps = BTreeMap::new();
    around(move |step| {
        if is(&step.frame, "VERSION") {
            maps.clear();
        }
        if let Some((map, _)) = DmaMap::parse(&step.frame.payload).filter(|_| is(&step.frame, "DMA_MAP")) {
            maps.insert((map.address, map.size), !step.fds.is_empty());
        }
        let asked = get(&step.frame);
        step.pass_and(|effects| {
            if let Some(get) = asked {
                each_reply(effects, |reply| change(&maps, &get.range(), &mut reply.payload));
            }
        });
    })
}

fn maps() -> Vec<Fault> {
    vec![
        // It looks for the map, and finds none.
        fault("L-DP-23", "what-is-no-map-is-clean", || {
            by_maps(|maps, range, payload| {
                if !maps.contains_key(&(range.iova, range.size)) {
                    clear(payload);
                }
            })
        }),
        fault("L-DP-24", "what-is-not-mapped-may-be-dirty", || {
            by_maps(|maps, range, payload| {
                if maps.get(&(range.iova, range.size)) == Some(&false) {
                    set(payload, range.size / PAGE);
                }
            })
        }),
    ]
}
