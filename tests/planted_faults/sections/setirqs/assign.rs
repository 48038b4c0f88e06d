//! Descriptors that are assigned, replaced and taken back.

use std::os::fd::OwnedFd;

use vfio_user_reference_server::{Effect, Errno, IrqEvent};

use crate::fault::{Fault, fault};
use crate::irqs::{BOOL, COUNTS, EVENTFD, Lines, MASK, NONE, Set, TRIGGER, copies, keeps, sets, taken_as, with_lines};
use crate::wrapper::{Answer, Faulty, Step, around, capabilities, commands, effects, is, replies_to, set_capabilities};

pub(super) fn faults() -> Vec<Fault> {
    [reply(), order(), chunks(), take_back(), replace(), number(), stray(), limit(), types()]
        .into_iter()
        .flatten()
        .collect()
}

fn reply() -> Vec<Fault> {
    vec![
        fault("SETIRQS-01", "the-request-in-the-reply", || {
            replies_to("DEVICE_SET_IRQS", |command, reply| reply.payload = command.payload.clone())
        }),
        fault("SETIRQS-01", "how-many-were-triggered", || says_count(|set| set.triggers())),
        fault("SETIRQS-01", "how-many-were-assigned", || says_count(|set| set.assigns())),
        fault("SETIRQS-01", "how-many-were-disabled", || says_count(|set| set.disables())),
    ]
}

fn order() -> Vec<Fault> {
    vec![
        fault("SETIRQS-02", "from-the-last-to-the-first", || given(|_, fds| fds.reverse())),
        fault("SETIRQS-02", "start-is-not-looked-at", || taken_as(Set::assigns, |set| Set { start: 0, ..set })),
        // fds[vector] instead of fds[vector - start].
        fault("SETIRQS-02", "the-array-begins-at-vector-0", || {
            given(|set, fds| {
                let first = set.start as usize % fds.len();
                fds.rotate_left(first);
            })
        }),
        fault("SETIRQS-02", "all-get-the-first", || {
            given(|_, fds| *fds = fds.iter().map(|_| fds[0].try_clone().unwrap()).collect())
        }),
        fault("SETIRQS-02", "signalled-twice", || {
            effects(|_, effects| {
                let twice = |effect: Effect| {
                    let signal = matches!(effect, Effect::Signal { .. });
                    std::iter::repeat_n(effect, if signal { 2 } else { 1 })
                };
                *effects = effects.drain(..).flat_map(twice).collect();
            })
        })
        .also("SETIRQS-30", "which says the same of what the device raises"),
        fault("SETIRQS-02", "a-bit-for-each-vector", || {
            effects(|_, effects| {
                effects.retain(|effect| {
                    let Effect::Signal { vector, fd, .. } = effect else { return true };
                    let _ = nix::unistd::write(fd, &(1u64 << vector).to_ne_bytes());
                    false
                });
            })
        })
        .also("SETIRQS-30", "which says the same of what the device raises"),
        fault("SETIRQS-02", "with-the-next-command", || {
            let mut late: Vec<Effect> = Vec::new();
            effects(move |_, effects| {
                let signals = effects.extract_if(.., |effect| matches!(effect, Effect::Signal { .. })).collect();
                effects.splice(0..0, std::mem::replace(&mut late, signals));
            })
        }),
        fault("SETIRQS-02", "never", || {
            effects(|_, effects| effects.retain(|effect| !matches!(effect, Effect::Signal { .. })))
        }),
        // MSI's data register, whose lowest bits are the vector's, with too few of them.
        fault("SETIRQS-02", "two-vectors-share-a-descriptor", || {
            hears(|lines, index, vector| lines.signal(index, vector & !1).into_iter().collect())
        }),
        fault("SETIRQS-02", "the-one-above-hears-it-too", || {
            hears(|lines, index, vector| {
                lines.signal(index, vector).into_iter().chain(lines.signal(index, vector + 1)).collect()
            })
        }),
    ]
}

fn chunks() -> Vec<Fault> {
    vec![
        // As the kernel's vfio_msi_enable() would for each message.
        fault("SETIRQS-33", "each-message-begins-anew", || forgets(|set, vector| !set.vectors().contains(&vector))),
        // The table gets the size that this message asks for.
        fault("SETIRQS-33", "those-above-are-forgotten", || forgets(|set, vector| vector >= set.start + set.count)),
        fault("SETIRQS-33", "those-below-are-forgotten", || forgets(|set, vector| vector < set.start)),
        fault("SETIRQS-33", "the-one-below-is-forgotten", || forgets(|set, vector| vector + 1 == set.start)),
        fault("SETIRQS-33", "the-one-below-gets-it-too", || {
            with_lines(|mut step, lines| {
                let set = Set::of(&step.frame).filter(|set| set.assigns() && set.start > 0);
                if let (Some(set), [fd, ..]) = (set, step.fds.as_slice())
                    && lines.bound.contains_key(&(set.index, set.start - 1))
                {
                    let fds = vec![fd.try_clone().unwrap()];
                    step.set_irqs(Set { start: set.start - 1, count: 1, ..set }, fds);
                }
                step.pass();
            })
        }),
        // There is one set-up for each type.
        fault("SETIRQS-33", "a-second-message-is-refused", || {
            assigned(
                |step, set, lines| {
                    if lines.any_of(set.index) { step.answer(Answer::Error(Errno::EBUSY)) } else { step.pass() }
                },
            )
        }),
    ]
}

fn take_back() -> Vec<Fault> {
    vec![
        fault("SETIRQS-10", "all-of-the-type", || {
            taken_back_as(|set| Set { flags: NONE | TRIGGER, start: 0, count: 0, ..set })
        }),
        fault("SETIRQS-10", "the-first-of-the-range", || taken_back_as(|set| Set { count: 1, ..set })),
        fault("SETIRQS-10", "from-vector-0", || taken_back_as(|set| Set { start: 0, ..set })),
        fault("SETIRQS-10", "one-too-many", || {
            taken_back_as(|set| Set { count: (set.count + 1).min(set.there() - set.start), ..set })
        }),
        // for vector in start..count
        fault("SETIRQS-10", "count-is-the-end", || {
            sets(|mut step, set| {
                if !set.assigns() || !step.fds.is_empty() || !set.fits() || set.start == 0 {
                    return step.pass();
                }
                for start in set.start..set.count {
                    step.set_irqs(Set { start, count: 1, ..set }, Vec::new());
                }
                step.succeed();
            })
        }),
        fault("SETIRQS-10", "nothing-is-done", || {
            without_descriptors(|step, set| if set.fits() { step.succeed() } else { step.pass() })
        }),
        fault("SETIRQS-10", "a-descriptor-is-wanted", || {
            without_descriptors(|step, _| step.answer(Answer::Error(Errno::EINVAL)))
        }),
        fault("SETIRQS-10", "silent-and-open", || keeps(|set, fds| set.assigns() && fds == 0)).noted(),
        fault("SETIRQS-31", "nothing-to-take-back-is-an-error", || {
            with_lines(|step, lines| {
                let set = Set::of(&step.frame).filter(|set| set.assigns() && step.fds.is_empty());
                match set.filter(|set| !lines.any(set)) {
                    Some(_) => step.answer(Answer::Error(Errno::EINVAL)),
                    None => step.pass(),
                }
            })
        }),
        fault("SETIRQS-31", "not-to-be-assigned-afterwards", || {
            let mut broken = false;
            with_lines(move |step, lines| {
                let set = Set::of(&step.frame).filter(Set::assigns);
                broken |= step.fds.is_empty() && set.is_some_and(|set| !lines.any(&set));
                if broken && !step.fds.is_empty() && set.is_some() {
                    return step.answer(Answer::Error(Errno::EBUSY));
                }
                step.pass();
            })
        })
        .also("SETIRQS-02", "nothing is bound"),
        fault("SETIRQS-31", "called-option-unwrap-on-none", || {
            with_lines(|step, lines| {
                let set = Set::of(&step.frame).filter(|set| set.assigns() && step.fds.is_empty());
                assert!(set.is_none_or(|set| lines.any(&set)), "called `Option::unwrap()` on a `None` value");
                step.pass();
            })
        })
        .by_process(),
    ]
}

fn replace() -> Vec<Fault> {
    vec![
        fault("SETIRQS-11", "the-first-stays", || {
            assigned(|step, set, lines| if lines.any(&set) { step.succeed() } else { step.pass() })
        }),
        fault("SETIRQS-11", "a-second-is-refused", || {
            assigned(
                |step, set, lines| {
                    if lines.any(&set) { step.answer(Answer::Error(Errno::EBUSY)) } else { step.pass() }
                },
            )
        }),
        fault("SETIRQS-11", "the-first-goes-and-the-second-is-lost", || {
            assigned(|mut step, set, lines| {
                if lines.any(&set) {
                    step.fds.clear();
                }
                step.pass();
            })
        }),
        fault("SETIRQS-11", "both-hear-it", || {
            replaced(|old, effects| {
                let heard = |old: &&Effect| effects.iter().any(|effect| same(old, effect));
                let again: Vec<Effect> = old.iter().filter(heard).cloned().collect();
                effects.splice(0..0, again);
            })
        }),
        // The device keeps the one that it used last at hand.
        fault("SETIRQS-11", "the-old-one-hears-the-next", || {
            replaced(|old, effects| {
                for effect in effects {
                    if let Some(at) = old.iter().position(|old| same(old, effect)) {
                        *effect = old.remove(at);
                    }
                }
            })
        }),
        fault("SETIRQS-11", "the-old-one-stays-open", || keeps(|set, fds| set.assigns() && fds > 0)),
        // Those of a range that have one keep it.
        fault("SETIRQS-11", "a-range-fills-the-gaps", || {
            assigned(|mut step, set, lines| {
                if set.count == 1 || set.count as usize != step.fds.len() || !lines.any(&set) {
                    return step.pass();
                }
                for (start, fd) in set.vectors().zip(std::mem::take(&mut step.fds)) {
                    if !lines.bound.contains_key(&(set.index, start)) {
                        step.set_irqs(Set { start, count: 1, ..set }, vec![fd]);
                    }
                }
                step.succeed();
            })
        }),
    ]
}

fn number() -> Vec<Fault> {
    let odd = |step: &Step<'_>, set: &Set| {
        set.assigns() && set.fits() && !step.fds.is_empty() && step.fds.len() != set.count as usize
    };
    vec![
        fault("SETIRQS-14", "fewer-will-do", || {
            commands(|frame, fds| {
                let set = Set::of(frame).filter(Set::assigns);
                if let Some(set) = set.filter(|set| !fds.is_empty() && fds.len() < set.count as usize) {
                    Set { count: fds.len() as u32, ..set }.write(frame);
                }
            })
        }),
        fault("SETIRQS-14", "more-will-do", || given(|set, fds| fds.truncate(set.count as usize))),
        fault("SETIRQS-14", "assigned-until-they-run-out", move || {
            sets(move |mut step, set| {
                if odd(&step, &set) && step.fds.len() < set.count as usize {
                    let fds = copies(&step.fds);
                    step.set_irqs(Set { count: fds.len() as u32, ..set }, fds);
                }
                step.pass();
            })
        }),
        fault("SETIRQS-14", "assigned-before-they-are-counted", move || {
            sets(move |mut step, set| {
                if odd(&step, &set) && step.fds.len() > set.count as usize {
                    let fds = copies(&step.fds[..set.count as usize]);
                    step.set_irqs(set, fds);
                }
                step.pass();
            })
        }),
        fault("SETIRQS-14", "taken-back-before-they-are-counted", move || {
            sets(move |mut step, set| {
                if odd(&step, &set) {
                    step.set_irqs(set, Vec::new());
                }
                step.pass();
            })
        }),
        fault("SETIRQS-14", "too-few-stay-open", || open(|set, fds| fds < set.count as usize)),
        fault("SETIRQS-14", "too-many-stay-open", || open(|set, fds| fds > set.count as usize)),
    ]
}

fn stray() -> Vec<Fault> {
    vec![
        fault("SETIRQS-15", "kept-with-a-trigger", || kept(|set| set.triggers())),
        fault("SETIRQS-15", "kept-with-an-array", || kept(|set| set.flags == BOOL | TRIGGER)),
        fault("SETIRQS-15", "kept-with-a-disable", || kept(|set| set.disables())),
        fault("SETIRQS-15", "kept-with-a-mask", || kept(|set| set.flags == NONE | MASK)),
        fault("SETIRQS-15", "bound-by-a-trigger", || bound(|set| set.triggers())),
        fault("SETIRQS-15", "bound-by-an-array", || bound(|set| set.flags == BOOL | TRIGGER)),
    ]
}

fn limit() -> Vec<Fault> {
    vec![
        fault("SETIRQS-25", "four-at-the-most", || {
            sets(|step, _| if step.fds.len() > 4 { step.answer(Answer::Error(Errno::EMFILE)) } else { step.pass() })
        }),
        // The buffer for ancillary data is too small, and MSG_CTRUNC is not looked at.
        fault("SETIRQS-25", "four-arrive", || {
            sets(|mut step, set| {
                if step.fds.len() <= 4 || step.fds.len() != set.count as usize || !set.fits() {
                    return step.pass();
                }
                let fds = step.fds.drain(..4).collect();
                step.set_irqs(Set { count: 4, ..set }, fds);
                step.succeed();
            })
        }),
        fault("SETIRQS-25", "one-less-than-is-said", || {
            around(|step| {
                if step.fds.len() >= 4 {
                    return step.answer(Answer::Error(Errno::EMFILE));
                }
                let version = is(&step.frame, "VERSION");
                step.pass_and(|effects| {
                    for effect in effects {
                        let Effect::Send { frame, .. } = effect else { continue };
                        let mut said = capabilities(frame);
                        if version && !said.is_empty() {
                            said.insert("max_msg_fds".to_owned(), 4.into());
                            set_capabilities(frame, said);
                        }
                    }
                });
            })
        }),
    ]
}

fn types() -> Vec<Fault> {
    vec![
        // The kernel has one type at a time, and says so.
        fault("SETIRQS-23", "the-other-type-is-forgotten", || {
            assigned(|mut step, set, lines| {
                for index in (0..COUNTS.len() as u32).filter(|index| *index != set.index && lines.any_of(*index)) {
                    step.set_irqs(Set { flags: NONE | TRIGGER, index, start: 0, count: 0 }, Vec::new());
                }
                step.pass();
            })
        }),
        fault("SETIRQS-23", "a-table-by-sub-index", || {
            hears(|lines, index, vector| {
                lines.signal(if lines.any_of(1) { 1 } else { index }, vector).into_iter().collect()
            })
        }),
        fault("SETIRQS-23", "all-types-are-disabled", || {
            with_lines(|mut step, lines| {
                let set = Set::of(&step.frame).filter(Set::disables);
                for index in (0..COUNTS.len() as u32).filter(|index| set.is_some() && lines.any_of(*index)) {
                    step.set_irqs(Set { flags: NONE | TRIGGER, index, start: 0, count: 0 }, Vec::new());
                }
                step.pass();
            })
        }),
    ]
}

/// A reply that says how many interrupts such a message named.
fn says_count(which: fn(&Set) -> bool) -> Faulty {
    replies_to("DEVICE_SET_IRQS", move |command, reply| {
        if let Some(set) = Set::of(command).filter(which) {
            reply.payload = set.count.to_le_bytes().to_vec();
        }
    })
}

/// Changes the descriptors that are assigned.
fn given(change: fn(&Set, &mut Vec<OwnedFd>)) -> Faulty {
    commands(move |frame, fds| {
        if let Some(set) = Set::of(frame).filter(|set| set.assigns() && !fds.is_empty()) {
            change(&set, fds);
        }
    })
}

/// Every message that assigns descriptors goes through `assign`.
fn assigned(mut assign: impl FnMut(Step<'_>, Set, &Lines) + 'static) -> Faulty {
    with_lines(move |step, lines| match Set::of(&step.frame) {
        Some(set) if set.assigns() && set.fits() && !step.fds.is_empty() => assign(step, set, lines),
        _ => step.pass(),
    })
}

/// Every message that takes descriptors back goes through `take`.
fn without_descriptors(mut take: impl FnMut(Step<'_>, Set) + 'static) -> Faulty {
    sets(
        move |step, set| {
            if set.assigns() && set.fits() && step.fds.is_empty() { take(step, set) } else { step.pass() }
        },
    )
}

/// A message that takes descriptors back takes others back.
fn taken_back_as(change: fn(Set) -> Set) -> Faulty {
    without_descriptors(move |mut step, set| {
        change(set).write(&mut step.frame);
        step.pass();
    })
}

/// With an assignment, others of the type are taken back.
fn forgets(which: fn(&Set, u32) -> bool) -> Faulty {
    assigned(move |mut step, set, lines| {
        for (_, start) in lines.bound.keys().filter(|(index, vector)| *index == set.index && which(&set, *vector)) {
            step.set_irqs(Set { start: *start, count: 1, ..set }, Vec::new());
        }
        step.pass();
    })
}

/// An interrupt is heard elsewhere.
fn hears(who: fn(&Lines, u32, u32) -> Vec<Effect>) -> Faulty {
    with_lines(move |step, lines| {
        step.pass_and(|effects| {
            let elsewhere = |effect: Effect| match effect {
                Effect::Signal { index, vector, event: IrqEvent::Trigger, .. } => who(lines, index, vector),
                other => vec![other],
            };
            *effects = effects.drain(..).flat_map(elsewhere).collect();
        });
    })
}

/// Changes effects, given the signals that replaced descriptors would have got.
fn replaced(change: fn(&mut Vec<Effect>, &mut Vec<Effect>)) -> Faulty {
    let mut old: Vec<Effect> = Vec::new();
    with_lines(move |step, lines| {
        if let Some(set) = Set::of(&step.frame).filter(|set| set.assigns() && !step.fds.is_empty()) {
            old.extend(set.vectors().filter_map(|vector| lines.signal(set.index, vector)));
        }
        step.pass_and(|effects| change(&mut old, effects));
    })
}

/// Both signal the same interrupt.
fn same(one: &Effect, other: &Effect) -> bool {
    let at = |effect: &Effect| match effect {
        Effect::Signal { index, vector, event: IrqEvent::Trigger, .. } => Some((*index, *vector)),
        _ => None,
    };
    at(one).is_some() && at(one) == at(other)
}

/// Descriptors that came with such a number of them, which is wrong, stay open.
fn open(which: fn(&Set, usize) -> bool) -> Faulty {
    let mut kept: Vec<OwnedFd> = Vec::new();
    sets(move |step, set| {
        if set.assigns() && which(&set, step.fds.len()) {
            kept.extend(copies(&step.fds));
        }
        step.pass();
    })
}

/// What comes with such a message stays open.
fn kept(which: fn(&Set) -> bool) -> Faulty {
    let mut kept: Vec<OwnedFd> = Vec::new();
    commands(move |frame, fds| {
        if Set::of(frame).as_ref().is_some_and(which) {
            kept.append(fds);
        }
    })
}

/// What comes with such a message is assigned.
fn bound(which: fn(&Set) -> bool) -> Faulty {
    sets(move |mut step, set| {
        if which(&set) && !step.fds.is_empty() {
            let fds = std::mem::take(&mut step.fds);
            step.set_irqs(Set { flags: EVENTFD | TRIGGER, count: fds.len() as u32, ..set }, fds);
        }
        step.pass();
    })
}
