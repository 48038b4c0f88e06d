//! Interrupts that are triggered by the client or raised by the device, and types that are disabled.

use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::{SigHandler, Signal, signal};
use vfio_user_reference_server::{Effect, Errno, IrqEvent};
use vfio_user_wire::Frame;

use crate::fault::{Fault, fault};
use crate::irqs::{BOOL, EVENTFD, Set, TRIGGER, keeps, nothing_done, refused, sets, taken_as, with_lines};
use crate::wrapper::{Answer, Faulty, Step, answers, commands, effects, get, hang, is};

/// The doorbell of BAR0 that raises an interrupt.
const IRQ_RAISE: u64 = 0x30;

pub(super) fn faults() -> Vec<Fault> {
    [ranges(), arrays(), disabled(), by_the_device(), unassigned(), full(), no_eventfd()]
        .into_iter()
        .flatten()
        .collect()
}

fn ranges() -> Vec<Fault> {
    vec![
        fault("SETIRQS-03", "the-first-of-the-range", || taken_as(Set::triggers, |set| Set { count: 1, ..set })),
        fault("SETIRQS-03", "from-vector-0", || {
            taken_as(|set| set.triggers() && set.count > 1 && set.fits(), |set| Set { start: 0, ..set })
        }),
        fault("SETIRQS-03", "from-vector-0-to-the-end", || {
            taken_as(|set| set.triggers() && set.count > 1, |set| Set { start: 0, count: set.start + set.count, ..set })
        }),
        fault("SETIRQS-03", "one-too-many", || {
            taken_as(
                |set| set.triggers() && set.fits() && set.start + set.count < set.there(),
                |set| Set { count: set.count + 1, ..set },
            )
        }),
        // for vector in start..count
        fault("SETIRQS-03", "count-is-the-end", || {
            sets(|mut step, set| {
                if !set.triggers() || !set.fits() || set.count == 1 {
                    return step.pass();
                }
                for start in set.start..set.count {
                    step.set_irqs(Set { start, count: 1, ..set }, Vec::new());
                }
                step.succeed();
            })
        }),
        fault("SETIRQS-03", "all-of-the-type", || {
            taken_as(Set::triggers, |set| Set { start: 0, count: set.there(), ..set })
        }),
        fault("SETIRQS-03", "the-first-twice", || {
            sets(|mut step, set| {
                if set.triggers() && set.fits() && set.count > 1 {
                    step.set_irqs(Set { count: 1, ..set }, Vec::new());
                }
                step.pass();
            })
        }),
        fault("SETIRQS-03", "nothing-where-there-are-several", || {
            nothing_done(|set| set.triggers() && set.count > 1 && set.fits())
        }),
        fault("SETIRQS-03", "one-at-a-time", || refused(|set| set.triggers() && set.count > 1)).noted(),
    ]
}

fn arrays() -> Vec<Fault> {
    vec![
        fault("SETIRQS-04", "the-array-is-not-looked-at", || array(|_, bytes| bytes.fill(1))),
        fault("SETIRQS-04", "the-array-begins-at-vector-0", || {
            array(|set, bytes| {
                bytes.drain(..bytes.len().min(set.start as usize));
                bytes.resize(set.count as usize, 0);
            })
        }),
        fault("SETIRQS-04", "those-that-are-false", || {
            array(|_, bytes| bytes.iter_mut().for_each(|byte| *byte = u8::from(*byte == 0)))
        }),
        fault("SETIRQS-04", "bits-not-bytes", || {
            array(|set, bytes| {
                let bit = |n| bytes.get(n / 8).is_some_and(|byte| byte >> (n % 8) & 1 != 0);
                *bytes = (0..set.count as usize).map(|n| u8::from(bit(n))).collect();
            })
        }),
        fault("SETIRQS-04", "the-first-byte-for-all", || {
            array(|_, bytes| {
                if let Some(first) = bytes.first().copied() {
                    bytes.fill(first);
                }
            })
        }),
        fault("SETIRQS-04", "up-to-the-first-false-one", || {
            array(|_, bytes| {
                let end = bytes.iter().position(|byte| *byte == 0).unwrap_or(bytes.len());
                bytes[end..].fill(0);
            })
        }),
        fault("SETIRQS-04", "nothing-by-an-array", || nothing_done(|set| set.flags == BOOL | TRIGGER && set.fits())),
        fault("SETIRQS-04", "no-arrays", || refused(|set| set.flags == BOOL | TRIGGER)).noted(),
        fault("SETIRQS-05", "1-is-true", || true_is(|byte| byte == 1)),
        fault("SETIRQS-05", "the-lowest-bit-is-true", || true_is(|byte| byte & 1 != 0)),
        fault("SETIRQS-05", "above-0-with-a-sign", || true_is(|byte| byte as i8 > 0)),
        fault("SETIRQS-05", "neither-0-nor-1-is-an-error", || {
            answers(|command| {
                let array = Set::of(command).is_some_and(|set| set.flags == BOOL | TRIGGER);
                (array && command.payload[20..].iter().any(|byte| *byte > 1)).then_some(Answer::Error(Errno::EINVAL))
            })
        }),
    ]
}

fn disabled() -> Vec<Fault> {
    vec![
        fault("SETIRQS-09", "nothing-is-done", || nothing_done(|set| set.disables() && set.there() > 0)),
        fault("SETIRQS-09", "count-0-is-an-error", || refused(|set| set.disables())),
        fault("SETIRQS-09", "the-first-only", || disables_only(|vector, _| vector == 0)),
        fault("SETIRQS-09", "all-but-the-first", || disables_only(|vector, _| vector != 0)),
        // for vector in 0..count - 1
        fault("SETIRQS-09", "all-but-the-last", || disables_only(|vector, there| there == 1 || vector + 1 < there)),
        // Not enabled is a flag of the type, and the next assignment clears it.
        fault("SETIRQS-09", "enabled-again-with-the-next", || {
            let mut old: Vec<Effect> = Vec::new();
            with_lines(move |step, lines| {
                let frame = step.frame.clone();
                if let Some(set) = Set::of(&frame) {
                    if set.disables() {
                        let of_type = lines.bound.keys().filter(|(index, _)| *index == set.index);
                        old.extend(of_type.filter_map(|(index, vector)| lines.signal(*index, *vector)));
                    } else if set.assigns() {
                        old.retain(|old| !set.vectors().any(|vector| at(old) == Some((set.index, vector))));
                    }
                }
                step.pass_and(|effects| {
                    let Some(set) = Set::of(&frame).filter(|set| set.triggers() && lines.any_of(set.index)) else {
                        return;
                    };
                    let heard = |old: &&Effect| set.vectors().any(|vector| at(old) == Some((set.index, vector)));
                    let again: Vec<Effect> = old.iter().filter(heard).cloned().collect();
                    effects.splice(0..0, again);
                });
            })
        }),
        fault("SETIRQS-09", "silent-and-open", || keeps(|set, _| set.disables())).noted(),
        fault("SETIRQS-32", "nothing-to-disable-is-an-error", || {
            with_lines(|step, lines| match Set::of(&step.frame) {
                Some(set) if set.disables() && !lines.any_of(set.index) => step.answer(Answer::Error(Errno::EINVAL)),
                _ => step.pass(),
            })
        }),
        fault("SETIRQS-32", "not-to-be-assigned-afterwards", || {
            let mut broken = false;
            with_lines(move |step, lines| match Set::of(&step.frame) {
                Some(set) if broken && set.assigns() => step.answer(Answer::Error(Errno::EBUSY)),
                set => {
                    broken |= set.is_some_and(|set| set.disables() && !lines.any_of(set.index));
                    step.pass();
                }
            })
        })
        .also("SETIRQS-02", "nothing is bound")
        .also("IRQINFO-05", "nothing is bound"),
        fault("SETIRQS-32", "one-less-than-none", || {
            with_lines(|step, lines| {
                let set = Set::of(&step.frame).filter(Set::disables);
                assert!(set.is_none_or(|set| lines.any_of(set.index)), "attempt to subtract with overflow");
                step.pass();
            })
        })
        .by_process(),
    ]
}

fn by_the_device() -> Vec<Fault> {
    vec![
        // The device has a copy of its own, which only another descriptor overwrites.
        fault("SETIRQS-21", "the-device-knows-of-no-disabling", || still_hears(|set, _| set.disables())),
        fault("SETIRQS-21", "the-device-knows-of-no-taking-back", || still_hears(|set, fds| set.assigns() && fds == 0)),
        fault("SETIRQS-30", "twice-for-one", || raises(|signal, _| vec![signal.clone(), signal]))
            .also("SETIRQS-02", "which says the same of every signal"),
        fault("SETIRQS-30", "every-second-is-lost", || {
            raises(|signal, count| if count % 2 == 1 { vec![signal] } else { Vec::new() })
        }),
        // An edge that nobody takes back.
        fault("SETIRQS-30", "once-and-never-again", || {
            raises(|signal, count| if count == 1 { vec![signal] } else { Vec::new() })
        }),
        fault("SETIRQS-30", "as-often-as-there-were-any", || {
            raises(|signal, count| std::iter::repeat_n(signal, count).collect())
        }),
    ]
}

fn unassigned() -> Vec<Fault> {
    vec![
        fault("SETIRQS-22", "called-option-unwrap-on-none", || {
            without_descriptor(|_| panic!("called `Option::unwrap()` on a `None` value"))
        })
        .by_process(),
        fault("SETIRQS-22", "waits-for-one", || without_descriptor(|_| hang())),
        fault("SETIRQS-22", "no-answer", || without_descriptor(|step| step.answer(Answer::Nothing))),
        fault("SETIRQS-22", "left", || without_descriptor(|step| step.answer(Answer::Close))).noted(),
    ]
}

fn full() -> Vec<Fault> {
    vec![
        // write() of a blocking eventfd.
        fault("SETIRQS-26", "waits-for-the-reader", || {
            writes(|fd| {
                let _ = nix::unistd::write(fd, &1u64.to_ne_bytes());
            })
        }),
        fault("SETIRQS-26", "waits-for-ever", || {
            writes(|fd| {
                if !has_room(fd) {
                    hang();
                }
                let _ = nix::unistd::write(fd, &1u64.to_ne_bytes());
            })
        }),
    ]
}

fn no_eventfd() -> Vec<Fault> {
    vec![
        fault("SETIRQS-27", "killed-by-sigpipe", || {
            writes(|fd| {
                // SAFETY: the default action is no handler.
                unsafe { signal(Signal::SIGPIPE, SigHandler::SigDfl) }.unwrap();
                let _ = nix::unistd::write(fd, &1u64.to_ne_bytes());
            })
        })
        .by_process(),
        fault("SETIRQS-27", "a-write-that-fails-is-a-bug", || {
            writes(|fd| assert_eq!(nix::unistd::write(fd, &1u64.to_ne_bytes()), Ok(8)))
        })
        .by_process(),
        fault("SETIRQS-27", "until-it-works", || {
            writes(|fd| {
                if nix::unistd::write(fd, &1u64.to_ne_bytes()).is_err() {
                    hang();
                }
            })
        }),
        fault("SETIRQS-27", "left-for-it", || {
            effects(|_, effects| {
                let broken = |effect: &Effect| match effect {
                    Effect::Signal { fd, .. } => nix::unistd::write(fd, &1u64.to_ne_bytes()).is_err(),
                    _ => false,
                };
                if effects.iter().any(broken) {
                    effects.push(Effect::Close);
                }
                effects.retain(|effect| !matches!(effect, Effect::Signal { .. }));
            })
        })
        .noted(),
    ]
}

/// Changes the array of a trigger by booleans, where it is as long as it should be.
fn array(change: fn(&Set, &mut Vec<u8>)) -> Faulty {
    commands(move |frame, _| {
        let set = Set::of(frame).filter(|set| set.flags == BOOL | TRIGGER);
        if let Some(set) = set.filter(|set| frame.payload.len() == 20 + set.count as usize) {
            let mut bytes = frame.payload.split_off(20);
            change(&set, &mut bytes);
            frame.payload.append(&mut bytes);
        }
    })
}

fn true_is(holds: fn(u8) -> bool) -> Faulty {
    commands(move |frame, _| {
        if Set::of(frame).is_some_and(|set| set.flags == BOOL | TRIGGER) {
            frame.payload[20..].iter_mut().for_each(|byte| *byte = u8::from(holds(*byte)));
        }
    })
}

/// Disabling a type takes back the descriptors of these alone, of so many.
fn disables_only(which: fn(u32, u32) -> bool) -> Faulty {
    sets(move |mut step, set| {
        if !set.disables() || set.there() == 0 {
            return step.pass();
        }
        for start in (0..set.there()).filter(|vector| which(*vector, set.there())) {
            step.set_irqs(Set { flags: EVENTFD | TRIGGER, start, count: 1, ..set }, Vec::new());
        }
        step.succeed();
    })
}

/// The device signals what such a message took away, until another descriptor takes its place.
fn still_hears(which: fn(&Set, usize) -> bool) -> Faulty {
    let mut old: Vec<Effect> = Vec::new();
    with_lines(move |step, lines| {
        if let Some(set) = Set::of(&step.frame) {
            let takes_away = which(&set, step.fds.len());
            let named = |at: &(u32, u32)| at.0 == set.index && (set.count == 0 || set.vectors().contains(&at.1));
            if takes_away {
                old.extend(lines.bound.keys().filter(|at| named(at)).filter_map(|at| lines.signal(at.0, at.1)));
            } else if set.assigns() {
                old.retain(|old| !at(old).as_ref().is_some_and(named));
            }
        }
        let raised = raised(&step.frame);
        step.pass_and(|effects| {
            if raised {
                effects.splice(0..0, old.iter().cloned());
            }
        });
    })
}

/// Changes what the device signals, given how often it did.
fn raises(change: fn(Effect, usize) -> Vec<Effect>) -> Faulty {
    let mut count = 0;
    effects(move |command, effects| {
        let mut changed = Vec::new();
        for effect in effects.drain(..) {
            if raised(command) && at(&effect).is_some() {
                count += 1;
                changed.extend(change(effect, count));
            } else {
                changed.push(effect);
            }
        }
        *effects = changed;
    })
}

/// The message makes the device raise an interrupt.
fn raised(command: &Frame) -> bool {
    is(command, "REGION_WRITE") && get(command, "region") == 0 && get(command, "offset") == IRQ_RAISE
}

/// Which interrupt it signals.
fn at(effect: &Effect) -> Option<(u32, u32)> {
    match effect {
        Effect::Signal { index, vector, event: IrqEvent::Trigger, .. } => Some((*index, *vector)),
        _ => None,
    }
}

/// Triggers of what has no descriptor go through `deal`.
fn without_descriptor(deal: fn(Step<'_>)) -> Faulty {
    with_lines(move |step, lines| match Set::of(&step.frame) {
        Some(set) if set.triggers() && set.fits() && !lines.any(&set) => deal(step),
        _ => step.pass(),
    })
}

/// Signals by `write`.
fn writes(write: fn(&Arc<OwnedFd>)) -> Faulty {
    effects(move |_, effects| {
        effects.retain(|effect| match effect {
            Effect::Signal { fd, .. } => {
                write(fd);
                false
            }
            _ => true,
        });
    })
}

/// It takes something now.
fn has_room(fd: &OwnedFd) -> bool {
    let mut polled = [PollFd::new(fd.as_fd(), PollFlags::POLLOUT)];
    poll(&mut polled, PollTimeout::ZERO).is_ok_and(|ready| ready > 0)
}
