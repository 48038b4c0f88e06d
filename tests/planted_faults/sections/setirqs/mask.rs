//! Interrupts that are masked and unmasked.

use vfio_user_reference_server::{Effect, IrqEvent};

use crate::fault::{Fault, fault};
use crate::irqs::{BOOL, EVENTFD, MASK, NONE, Set, TRIGGER, UNMASK, nothing_done, refused, sets, taken_as, with_lines};
use crate::wrapper::{Faulty, commands, effects};

pub(super) fn faults() -> Vec<Fault> {
    [masks(), ranges(), arrays(), events(), unmaskable()].into_iter().flatten().collect()
}

fn masks() -> Vec<Fault> {
    vec![
        fault("SETIRQS-17", "a-mask-is-nothing", || nothing_done(|set| masks_by(set, NONE | MASK))),
        fault("SETIRQS-17", "an-unmask-is-nothing", || nothing_done(|set| masks_by(set, NONE | UNMASK))),
        fault("SETIRQS-17", "a-mask-unmasks", || {
            taken_as(|set| masks_by(set, NONE | MASK), |set| Set { flags: NONE | UNMASK, ..set })
        }),
        fault("SETIRQS-17", "an-unmask-fires", || {
            sets(|mut step, set| {
                if masks_by(&set, NONE | UNMASK) && set.fits() {
                    step.set_irqs(set, Vec::new());
                    step.set_irqs(Set { flags: NONE | TRIGGER, ..set }, Vec::new());
                }
                step.pass();
            })
        }),
        // The interrupt is set up anew with its descriptor.
        fault("SETIRQS-17", "until-the-next-descriptor", || {
            with_lines(|mut step, lines| {
                let set = Set::of(&step.frame).filter(|set| set.assigns() && set.maskable() && set.fits());
                let Some(set) = set.filter(|set| lines.any(set) && set.count as usize == step.fds.len()) else {
                    return step.pass();
                };
                let fds = std::mem::take(&mut step.fds);
                step.set_irqs(set, fds);
                step.set_irqs(Set { flags: NONE | UNMASK, ..set }, Vec::new());
                step.succeed();
            })
        }),
    ]
}

fn ranges() -> Vec<Fault> {
    vec![
        fault("SETIRQS-17", "all-of-the-type-are-masked", || {
            taken_as(|set| masks_by(set, NONE | MASK), |set| Set { start: 0, count: set.there(), ..set })
        }),
        fault("SETIRQS-17", "all-of-the-type-are-unmasked", || {
            taken_as(|set| masks_by(set, NONE | UNMASK), |set| Set { start: 0, count: set.there(), ..set })
        }),
        fault("SETIRQS-17", "the-first-of-the-range-is-masked", || {
            taken_as(|set| masks_by(set, NONE | MASK), |set| Set { count: 1, ..set })
        }),
        fault("SETIRQS-17", "the-first-of-the-range-is-unmasked", || {
            taken_as(|set| masks_by(set, NONE | UNMASK), |set| Set { count: 1, ..set })
        }),
        fault("SETIRQS-17", "vector-0-is-masked", || {
            taken_as(|set| masks_by(set, NONE | MASK) && set.fits(), |set| Set { start: 0, ..set })
        }),
    ]
}

fn arrays() -> Vec<Fault> {
    vec![
        fault("SETIRQS-17", "a-mask-by-an-array-is-nothing", || nothing_done(|set| masks_by(set, BOOL | MASK))),
        fault("SETIRQS-17", "an-unmask-by-an-array-is-nothing", || nothing_done(|set| masks_by(set, BOOL | UNMASK))),
        fault("SETIRQS-17", "a-false-byte-masks", || all_true(BOOL | MASK)),
        fault("SETIRQS-17", "a-false-byte-unmasks", || all_true(BOOL | UNMASK)),
        // The array is what the mask shall be.
        fault("SETIRQS-17", "what-is-not-to-be-masked-is-unmasked", || {
            sets(|mut step, set| {
                let bytes = step.frame.payload[20..].to_vec();
                for (start, byte) in set.vectors().zip(bytes) {
                    if masks_by(&set, BOOL | MASK) && byte == 0 {
                        step.set_irqs(Set { flags: NONE | UNMASK, start, count: 1, ..set }, Vec::new());
                    }
                }
                step.pass();
            })
        }),
    ]
}

fn events() -> Vec<Fault> {
    vec![
        fault("SETIRQS-18", "no-event-at-a-mask", || silent(IrqEvent::Mask)),
        fault("SETIRQS-18", "no-event-at-an-unmask", || silent(IrqEvent::Unmask)),
        fault("SETIRQS-18", "a-mask-is-taken-for-an-unmask", || {
            taken_as(|set| set.flags == EVENTFD | MASK, |set| Set { flags: EVENTFD | UNMASK, ..set })
        }),
        fault("SETIRQS-18", "every-descriptor-is-for-the-trigger", || {
            taken_as(|set| set.flags & EVENTFD != 0, |set| Set { flags: EVENTFD | TRIGGER, ..set })
        }),
        fault("SETIRQS-18", "descriptors-are-for-triggers", || {
            refused(|set| set.flags == EVENTFD | MASK || set.flags == EVENTFD | UNMASK)
        }),
    ]
}

fn unmaskable() -> Vec<Fault> {
    vec![
        fault("SETIRQS-20", "what-cannot-be-masked-is-masked", || {
            nothing_done(|set| set.flags == NONE | MASK && set.fits() && !set.maskable())
        }),
        fault("SETIRQS-20", "what-cannot-be-masked-is-unmasked", || {
            nothing_done(|set| set.flags == NONE | UNMASK && set.fits() && !set.maskable())
        }),
        fault("SETIRQS-20", "disabled-for-it", || {
            sets(|mut step, set| {
                if set.flags == NONE | MASK && !set.maskable() {
                    step.set_irqs(Set { flags: NONE | TRIGGER, start: 0, count: 0, ..set }, Vec::new());
                }
                step.pass();
            })
        }),
        fault("SETIRQS-20", "triggered-for-it", || {
            sets(|mut step, set| {
                if set.flags == NONE | MASK && !set.maskable() && set.fits() {
                    step.set_irqs(Set { flags: NONE | TRIGGER, ..set }, Vec::new());
                }
                step.pass();
            })
        })
        .also("SETIRQS-02", "the signal is one too many"),
    ]
}

/// It masks or unmasks what can be masked, and by such flags.
fn masks_by(set: &Set, flags: u32) -> bool {
    set.flags == flags && set.maskable() && set.count > 0 && set.fits()
}

/// Every byte of an array is taken for true.
fn all_true(flags: u32) -> Faulty {
    commands(move |frame, _| {
        if Set::of(frame).is_some_and(|set| set.flags == flags) {
            frame.payload[20..].fill(1);
        }
    })
}

/// Nobody hears of this event.
fn silent(unheard: IrqEvent) -> Faulty {
    effects(move |_, effects| {
        effects.retain(|effect| !matches!(effect, Effect::Signal { event, .. } if *event == unheard));
    })
}
