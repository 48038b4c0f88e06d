//! Messages that are to be refused, and what count 0 means.

use std::os::fd::OwnedFd;
use std::os::unix::net::UnixListener;

use vfio_user_wire::message::IrqSet;
use vfio_user_wire::{Frame, HEADER_SIZE};

use crate::fault::{Fault, fault, loop_fault};
use crate::irqs::{
    ACTIONS, BOOL, COUNTS, DATA, EVENTFD, MASK, NONE, Set, TRIGGER, UNMASK, copies, crashes, nothing_done, sets,
    taken_as,
};
use crate::loops::{as_told, serve_messages};
use crate::wrapper::{Faulty, commands, get, is, put};

pub(super) fn faults() -> Vec<Fault> {
    [data(), actions(), neither(), unknown(), range(), index(), short_arrays(), argsz(), zero(), errors()]
        .into_iter()
        .flatten()
        .collect()
}

fn data() -> Vec<Fault> {
    vec![
        fault("SETIRQS-06", "none-before-all", || first_of(several_data, DATA, NONE)),
        fault("SETIRQS-06", "the-array-before-all", || first_of(several_data, DATA, BOOL)),
        fault("SETIRQS-06", "descriptors-before-all", || first_of(several_data, DATA, EVENTFD)),
        fault("SETIRQS-06", "one-after-the-other", || {
            sets(|mut step, set| {
                if !several_data(&set) || !set.fits() {
                    return step.pass();
                }
                let (action, fds) = (set.flags & ACTIONS, copies(&step.fds));
                if set.flags & EVENTFD != 0 {
                    step.set_irqs(Set { flags: EVENTFD | action, ..set }, fds);
                }
                for data in [NONE, BOOL].into_iter().filter(|data| set.flags & data != 0) {
                    step.set_irqs(Set { flags: data | action, ..set }, Vec::new());
                }
                step.succeed();
            })
        }),
        fault("SETIRQS-06", "triggered-and-refused", || done_and_refused(several_data, NONE | TRIGGER)),
        fault("SETIRQS-06", "taken-back-and-refused", || done_and_refused(several_data, EVENTFD | TRIGGER)),
    ]
}

fn actions() -> Vec<Fault> {
    vec![
        fault("SETIRQS-07", "trigger-before-all", || first_of(several_actions, ACTIONS, TRIGGER)),
        fault("SETIRQS-07", "mask-before-all", || first_of(several_actions, ACTIONS, MASK)),
        fault("SETIRQS-07", "unmask-before-all", || first_of(several_actions, ACTIONS, UNMASK)),
        fault("SETIRQS-07", "one-after-the-other", || {
            sets(|mut step, set| {
                if !several_actions(&set) || !set.fits() {
                    return step.pass();
                }
                for action in [MASK, UNMASK, TRIGGER].into_iter().filter(|action| set.flags & action != 0) {
                    step.set_irqs(Set { flags: set.flags & DATA | action, ..set }, Vec::new());
                }
                step.succeed();
            })
        }),
        fault("SETIRQS-07", "triggered-and-refused", || done_and_refused(several_actions, NONE | TRIGGER)),
        fault("SETIRQS-07", "masked-and-refused", || done_and_refused(several_actions, NONE | MASK)),
    ]
}

fn neither() -> Vec<Fault> {
    vec![
        fault("SETIRQS-08", "no-data-is-none", || {
            taken_as(
                |set| set.flags & DATA == 0 && set.flags & ACTIONS != 0,
                |set| Set { flags: set.flags | NONE, ..set },
            )
        }),
        fault("SETIRQS-08", "no-action-is-a-trigger", || {
            taken_as(
                |set| set.flags & ACTIONS == 0 && set.flags & DATA != 0,
                |set| Set { flags: set.flags | TRIGGER, ..set },
            )
        }),
        fault("SETIRQS-08", "no-flags-no-work", || nothing_done(|set| set.flags == 0 && set.fits())),
        fault("SETIRQS-08", "triggered-and-refused-without-data", || {
            done_and_refused(|set| set.flags == TRIGGER, NONE | TRIGGER)
        }),
        fault("SETIRQS-08", "triggered-and-refused-without-an-action", || {
            done_and_refused(|set| set.flags == NONE, NONE | TRIGGER)
        }),
        fault("SETIRQS-08", "triggered-by-an-array-and-refused", || {
            done_and_refused(|set| set.flags == BOOL, BOOL | TRIGGER)
        }),
        fault("SETIRQS-08", "taken-back-and-refused", || done_and_refused(|set| set.flags == 0, EVENTFD | TRIGGER)),
    ]
}

fn unknown() -> Vec<Fault> {
    vec![
        fault("SETIRQS-24", "with-more-flags-nothing-is-done", || nothing_done(|set| unknown_flags(set) && set.fits())),
        fault("SETIRQS-24", "with-more-flags-all-of-the-type", || {
            taken_as(unknown_flags, |set| Set { flags: set.flags & (DATA | ACTIONS), start: 0, count: 0, ..set })
        }),
        fault("SETIRQS-24", "triggered-and-refused", || done_and_refused(unknown_flags, NONE | TRIGGER)),
        fault("SETIRQS-24", "disabled-and-refused", || {
            sets(|mut step, set| {
                if unknown_flags(&set) {
                    step.set_irqs(Set { flags: NONE | TRIGGER, start: 0, count: 0, ..set }, Vec::new());
                }
                step.pass();
            })
        }),
        fault("SETIRQS-24", "unreachable-code", || crashes(unknown_flags)).by_process(),
    ]
}

fn range() -> Vec<Fault> {
    vec![
        fault("SETIRQS-12", "as-far-as-there-are-some", || {
            commands(|frame, fds| {
                if let Some(set) = Set::of(frame).filter(|set| set.outside() && set.start < set.there()) {
                    let count = set.there() - set.start;
                    fds.truncate(count as usize);
                    Set { count, ..set }.write(frame);
                }
            })
        }),
        // start <= count of the type
        fault("SETIRQS-12", "one-behind-the-last", || {
            nothing_done(|set| set.outside() && set.start == set.there() && set.count == 1)
        }),
        fault("SETIRQS-12", "the-sum-has-32-bits", || {
            nothing_done(|set| set.outside() && set.start.wrapping_add(set.count) <= set.there())
        }),
        // One limit for all types.
        fault("SETIRQS-12", "what-the-largest-type-has", || {
            nothing_done(|set| set.outside() && u64::from(set.start) + u64::from(set.count) <= 32)
        }),
        fault("SETIRQS-12", "triggers-are-not-checked", || nothing_done(|set| set.outside() && set.triggers())),
        fault("SETIRQS-12", "arrays-are-not-checked", || {
            nothing_done(|set| set.outside() && set.flags == BOOL | TRIGGER)
        }),
        fault("SETIRQS-12", "masks-are-not-checked", || {
            nothing_done(|set| set.outside() && set.maskable() && set.flags & (MASK | UNMASK) != 0)
        }),
        fault("SETIRQS-12", "what-is-taken-back-is-not-checked", || {
            sets(
                |step, set| {
                    if set.outside() && set.assigns() && step.fds.is_empty() { step.succeed() } else { step.pass() }
                },
            )
        }),
        fault("SETIRQS-12", "assigned-before-it-is-checked", || {
            sets(|mut step, set| {
                if set.outside() && set.assigns() {
                    for (start, fd) in set.vectors().zip(copies(&step.fds)) {
                        step.set_irqs(Set { start, count: 1, ..set }, vec![fd]);
                    }
                }
                step.pass();
            })
        }),
        fault("SETIRQS-12", "triggered-before-it-is-checked", || {
            sets(|mut step, set| {
                if set.outside() && set.triggers() {
                    step.set_each(set);
                }
                step.pass();
            })
        }),
        fault("SETIRQS-12", "disabled-for-it", || {
            sets(|mut step, set| {
                if set.outside() {
                    step.set_irqs(Set { flags: NONE | TRIGGER, start: 0, count: 0, ..set }, Vec::new());
                }
                step.pass();
            })
        }),
        fault("SETIRQS-12", "index-out-of-bounds", || crashes(|set| set.outside())).by_process(),
    ]
}

fn index() -> Vec<Fault> {
    vec![
        // index <= num_irqs
        fault("SETIRQS-13", "the-one-behind-the-last", || nothing_done(|set| set.index as usize == COUNTS.len())),
        fault("SETIRQS-13", "the-remainder", || {
            taken_as(|set| set.there() == 0, |set| Set { index: set.index % COUNTS.len() as u32, ..set })
        }),
        fault("SETIRQS-13", "the-last-one-for-all", || {
            taken_as(|set| set.there() == 0, |set| Set { index: COUNTS.len() as u32 - 1, ..set })
        }),
        fault("SETIRQS-13", "nothing-to-trigger", || nothing_done(|set| set.there() == 0 && set.triggers())),
        fault("SETIRQS-13", "nothing-to-disable", || nothing_done(|set| set.there() == 0 && set.disables())),
        fault("SETIRQS-13", "nothing-to-assign", || nothing_done(|set| set.there() == 0 && set.assigns())),
        fault("SETIRQS-13", "nothing-to-mask", || nothing_done(|set| set.there() == 0 && set.flags == NONE | MASK)),
        fault("SETIRQS-13", "index-out-of-bounds", || crashes(|set| set.there() == 0)).by_process(),
    ]
}

fn short_arrays() -> Vec<Fault> {
    vec![
        fault("SETIRQS-16", "what-is-missing-is-true", || filled(|_| 1)),
        fault("SETIRQS-16", "what-is-missing-is-false", || filled(|_| 0)),
        fault("SETIRQS-16", "what-is-missing-is-the-last", || filled(|bytes| bytes.last().copied().unwrap_or(0))),
        fault("SETIRQS-16", "as-far-as-it-goes", || {
            commands(|frame, _| {
                let set = Set::of(frame).filter(|set| set.flags == BOOL | TRIGGER);
                let there = frame.payload.len().saturating_sub(20) as u32;
                if let Some(set) = set.filter(|set| there > 0 && there < set.count) {
                    Set { count: there, ..set }.write(frame);
                }
            })
        }),
        fault("SETIRQS-16", "without-an-array-all", || {
            commands(|frame, _| {
                let set = Set::of(frame).filter(|set| set.flags == BOOL | TRIGGER && set.fits());
                if let Some(set) = set.filter(|_| frame.payload.len() == 20) {
                    Set { flags: NONE | TRIGGER, ..set }.write(frame);
                }
            })
        }),
        fault("SETIRQS-16", "range-end-index-out-of-range", || {
            commands(|frame, _| {
                if let Some(set) = Set::of(frame).filter(|set| set.flags == BOOL | TRIGGER && set.fits()) {
                    let _ = &frame.payload[20..][..set.count as usize];
                }
            })
        })
        .by_process(),
        loop_fault("SETIRQS-16", "an-array-is-as-long-as-count-says", |listener, stop| {
            serve_by_structure(listener, &stop, |set, _| if set.flags & BOOL != 0 { set.count as usize } else { 0 });
        })
        .perhaps("HDR-14", "what is taken for a command gets a reply"),
    ]
}

fn argsz() -> Vec<Fault> {
    vec![
        fault("SETIRQS-19", "argsz-is-not-looked-at", || {
            commands(|frame, _| {
                if Set::of(frame).is_some() {
                    put(frame, "argsz", 20);
                }
            })
        }),
        fault("SETIRQS-19", "argsz-0-is-as-good-as-20", || {
            commands(|frame, _| {
                if Set::of(frame).is_some() && get(frame, "argsz") == 0 {
                    put(frame, "argsz", 20);
                }
            })
        }),
        loop_fault("SETIRQS-19", "argsz-says-how-much-comes", |listener, stop| {
            serve_by_structure(listener, &stop, |_, argsz| argsz.saturating_sub(20).min(2 << 20));
        })
        .perhaps("HDR-14", "what is taken for a command gets a reply"),
    ]
}

fn zero() -> Vec<Fault> {
    vec![
        fault("SETIRQS-28", "count-0-disables", || {
            taken_as(|set| set.count == 0, |set| Set { flags: NONE | TRIGGER, start: 0, ..set })
        }),
        fault("SETIRQS-28", "start-is-not-looked-at", || {
            taken_as(|set| set.flags == NONE | TRIGGER && set.count == 0, |set| Set { start: 0, ..set })
        }),
        fault("SETIRQS-28", "no-descriptors-disable", || {
            taken_as(
                |set| set.flags == EVENTFD | TRIGGER && set.count == 0,
                |set| Set { flags: NONE | TRIGGER, start: 0, ..set },
            )
        }),
        fault("SETIRQS-28", "count-0-is-all", || {
            taken_as(|set| set.count == 0 && !set.disables(), |set| Set { start: 0, count: set.there(), ..set })
        }),
    ]
}

fn errors() -> Vec<Fault> {
    vec![
        fault("SETIRQS-29", "two-of-one", || {
            nothing_done(|set| set.index > 2 && set.flags == EVENTFD | TRIGGER && set.count == 2)
        }),
        fault("SETIRQS-29", "masked", || nothing_done(|set| set.index > 2 && set.flags == NONE | MASK && set.fits()))
            .noted(),
    ]
}

fn several_data(set: &Set) -> bool {
    (set.flags & DATA).count_ones() > 1
}

fn several_actions(set: &Set) -> bool {
    (set.flags & ACTIONS).count_ones() > 1
}

fn unknown_flags(set: &Set) -> bool {
    set.flags & !(DATA | ACTIONS) != 0
}

/// Of several flags, this one counts where it is there.
fn first_of(several: fn(&Set) -> bool, all: u32, first: u32) -> Faulty {
    commands(move |frame, _| {
        if let Some(set) = Set::of(frame).filter(|set| several(set) && set.flags & first != 0) {
            Set { flags: set.flags & !all | first, ..set }.write(frame);
        }
    })
}

/// Such messages are carried out, by these flags, and then refused.
fn done_and_refused(which: fn(&Set) -> bool, flags: u32) -> Faulty {
    sets(move |mut step, set| {
        if which(&set) && set.fits() {
            step.set_irqs(Set { flags, ..set }, Vec::new());
        }
        step.pass();
    })
}

/// What an array lacks is there.
fn filled(by: fn(&[u8]) -> u8) -> Faulty {
    commands(move |frame, _| {
        if let Some(set) = Set::of(frame).filter(|set| set.flags == BOOL | TRIGGER && set.fits()) {
            let size = frame.payload.len().max(20 + set.count as usize);
            let byte = by(&frame.payload[20..]);
            frame.payload.resize(size, byte);
        }
    })
}

/// Serves messages of which DEVICE_SET_IRQS ends where `data` says, given its argsz.
fn serve_by_structure(listener: UnixListener, stop: &OwnedFd, data: fn(&Set, usize) -> usize) {
    serve_messages(&listener, stop, |client| {
        let header = client.header()?;
        let mut frame = Frame { header, payload: Vec::new() };
        if !is(&frame, "DEVICE_SET_IRQS") || as_told(&header) < IrqSet::LAYOUT.size {
            frame.payload = client.exactly(as_told(&header))?;
            return Some(frame);
        }
        frame.payload = client.exactly(IrqSet::LAYOUT.size)?;
        let set = Set::of(&frame)?;
        let length = data(&set, get(&frame, "argsz") as usize);
        frame.payload.extend(client.exactly(length)?);
        frame.header.size = (HEADER_SIZE + frame.payload.len()) as u32;
        Some(frame)
    });
}
