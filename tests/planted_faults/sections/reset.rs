//! DEVICE_RESET.

use std::io::Read;

use vfio_user_reference_server::{Effect, Errno};
use vfio_user_wire::Frame;

use crate::dma::with_windows;
use crate::fault::{Fault, fault, loop_fault};
use crate::loops::{as_told, serve_by_length, serve_messages};
use crate::queries::{ignores, panics, refuses};
use crate::wrapper::{Answer, Faulty, answers, around, effects, get, is, put, replies, replies_to, send};

const NAME: &str = "DEVICE_RESET";

/// No server can show these.
pub(crate) const NO_FAULT: &[(&str, &str)] = &[];

pub(crate) fn faults() -> Vec<Fault> {
    [reply(), offered(), after(), what_was_set_up(), payload(), many()].into_iter().flatten().collect()
}

fn reply() -> Vec<Fault> {
    vec![
        fault("RESET-01", "a-status-in-the-reply", || replies_to(NAME, |_, reply| reply.payload.resize(4, 0))),
        fault("RESET-01", "a-flags-field-in-the-reply", || replies_to(NAME, |_, reply| reply.payload.resize(8, 0))),
        // As all other commands have one.
        fault("RESET-01", "an-argsz-is-wanted", || refuses(NAME, |command| command.payload.len() < 4))
            .also("RESET-05", "which says the same of a reset that is offered"),
        fault("RESET-01", "no-reply", || ignores(NAME, |_| true)),
    ]
}

fn offered() -> Vec<Fault> {
    vec![
        fault("RESET-05", "the-flag-without-the-command", || {
            answers(|command| is(command, NAME).then_some(Answer::Error(Errno::ENOTTY)))
        }),
        fault("RESET-05", "busy-while-memory-is-mapped", || {
            with_windows(|step, windows| {
                if is(&step.frame, NAME) && !windows.all.is_empty() {
                    step.answer(Answer::Error(Errno::EBUSY));
                } else {
                    step.pass();
                }
            })
        }),
        fault("RESET-05", "busy-while-an-interrupt-is-assigned", || {
            let mut assigned = false;
            answers(move |command| {
                assigned |= is(command, "DEVICE_SET_IRQS") && get(command, "count") > 0;
                (is(command, NAME) && assigned).then_some(Answer::Error(Errno::EBUSY))
            })
        }),
        fault("RESET-05", "one-reset-and-no-more", || {
            let mut resets = 0;
            answers(move |command| {
                resets += u32::from(is(command, NAME));
                (is(command, NAME) && resets > 1).then_some(Answer::Error(Errno::EALREADY))
            })
        }),
        fault("RESET-05", "the-command-without-the-flag", || {
            replies_to("DEVICE_GET_INFO", |_, reply| put(reply, "flags", 2))
        })
        .noted(),
    ]
}

fn after() -> Vec<Fault> {
    vec![
        fault("RESET-02", "nothing-to-be-reset-any-more", || {
            later(|command, reply| {
                if is(command, "DEVICE_GET_INFO") {
                    put(reply, "flags", 2);
                }
            })
        }),
        fault("RESET-02", "no-interrupt-types", || {
            later(|command, reply| {
                if is(command, "DEVICE_GET_INFO") {
                    put(reply, "num_irqs", 0);
                }
            })
        }),
        fault("RESET-02", "no-answer-to-questions", || {
            after_it(|command| is(command, "DEVICE_GET_INFO"), || Answer::Nothing)
        }),
        fault("RESET-02", "regions-without-a-size", || {
            later(|command, reply| {
                if is(command, "DEVICE_GET_REGION_INFO") {
                    put(reply, "size", 0);
                }
            })
        }),
        fault("RESET-02", "no-region-can-be-read", || refused_after(|command| is(command, "REGION_READ"))),
        fault("RESET-02", "no-scratch-can-be-written", || refused_after(|command| is(command, "REGION_WRITE"))),
        // The command register is 0 again, and nobody is there.
        fault("RESET-02", "memory-is-not-decoded", || {
            later(|command, reply| {
                if is(command, "REGION_READ") && get(command, "region") < 6 && !reply.header.is_error() {
                    reply.payload[16..].fill(0xff);
                }
            })
        }),
        fault("RESET-02", "no-more-maps", || refused_after(|command| is(command, "DMA_MAP"))),
        fault("RESET-02", "no-more-unmaps", || refused_after(|command| is(command, "DMA_UNMAP"))),
        fault("RESET-02", "no-more-interrupts", || {
            refused_after(|command| is(command, "DEVICE_SET_IRQS") && get(command, "count") > 0)
        }),
        fault("RESET-02", "interrupts-that-never-come", || {
            let mut reset = false;
            effects(move |command, effects| {
                reset |= is(command, NAME);
                if reset {
                    effects.retain(|effect| !matches!(effect, Effect::Signal { .. }));
                }
            })
        }),
        // It is no bus master until the driver says so, and nobody told the device when it came up.
        fault("RESET-02", "no-more-dma", || {
            let mut reset = false;
            around(move |mut step| {
                reset |= is(&step.frame, NAME);
                if reset && step.doorbell().is_some() {
                    let payload = step.frame.payload[..16].to_vec();
                    return step.answer(Answer::Ok(payload));
                }
                step.pass();
            })
        }),
        fault("RESET-02", "busy-for-ever", || after_it(|_| true, || Answer::Nothing)),
        fault("RESET-02", "a-new-connection-is-wanted", || after_it(|_| true, || Answer::Close)),
    ]
}

fn what_was_set_up() -> Vec<Fault> {
    vec![
        // Both conform: that it is kept, and that it is dropped.
        fault("RESET-06", "signals-a-descriptor-that-it-dropped", || {
            let mut reset = false;
            answers(move |command| {
                reset |= is(command, NAME);
                let trigger = is(command, "DEVICE_SET_IRQS") && get(command, "flags") == 1 | 1 << 5;
                assert!(!(reset && trigger), "called `Option::unwrap()` on a `None` value");
                None
            })
        })
        .by_process(),
        fault("RESET-06", "no-answer-for-a-map-that-it-kept", || {
            after_it(|command| is(command, "DMA_MAP"), || Answer::Nothing)
        }),
    ]
}

fn payload() -> Vec<Fault> {
    vec![
        loop_fault("RESET-07", "payload-is-the-next-message", |listener, stop| {
            serve_by_length(&listener, &stop, |header| if { header.command } == 13 { 0 } else { as_told(header) });
        })
        .perhaps("HDR-14", "what is taken for a command gets a reply"),
        fault("RESET-07", "closed-at-a-payload", || {
            answers(|command| (is(command, NAME) && !command.payload.is_empty()).then_some(Answer::Close))
        })
        .noted(),
        fault("RESET-07", "no-payload-is-thought-of", || {
            panics(NAME, |command| !command.payload.is_empty(), "assertion failed: payload.is_empty()")
        })
        .by_process(),
        fault("RESET-07", "no-answer-to-payload", || ignores(NAME, |command| !command.payload.is_empty())),
    ]
}

fn many() -> Vec<Fault> {
    vec![
        // The No_reply of the message before.
        fault("RESET-08", "no-reply-is-remembered", || {
            let mut silent = false;
            around(move |step| {
                let reset = is(&step.frame, NAME);
                let skipped = reset && silent;
                silent = step.frame.header.no_reply();
                step.pass_and(|effects| {
                    if skipped {
                        effects.clear();
                    }
                });
            })
        }),
        // What is due to the posted write goes out with the next reply.
        fault("RESET-08", "posted-writes-are-answered-after-all", || {
            effects(|command, effects| {
                if is(command, "REGION_WRITE") && command.header.no_reply() {
                    effects.push(send(Frame::reply(&command.header, command.payload[..16].to_vec())));
                }
            })
        })
        .also("CONC-03", "which says the same of every posted command"),
        fault("RESET-08", "a-thread-for-each-reset", || {
            let mut resets = 0;
            answers(move |command| {
                resets += u32::from(is(command, NAME));
                assert!(resets < 64, "failed to spawn thread: Resource temporarily unavailable");
                None
            })
        })
        .by_process(),
        fault("RESET-08", "the-second-in-a-row-is-lost", || {
            let mut before = false;
            answers(move |command| {
                let twice = is(command, NAME) && before;
                before = is(command, NAME) && !twice;
                twice.then_some(Answer::Nothing)
            })
        }),
        // The queue is emptied with the device.
        loop_fault("RESET-08", "what-has-arrived-is-dropped-with-a-reset", |listener, stop| {
            serve_messages(&listener, &stop, |client| {
                let frame = client.message()?;
                if is(&frame, NAME) {
                    client.stream.set_nonblocking(true).unwrap();
                    // Nothing may be there.
                    let _ = client.stream.read(&mut [0; 1 << 12]);
                    client.stream.set_nonblocking(false).unwrap();
                }
                Some(frame)
            });
        }),
    ]
}

/// Replies are others after a reset.
fn later(change: fn(&Frame, &mut Frame)) -> Faulty {
    let mut reset = false;
    replies(move |command, reply| {
        reset |= is(command, NAME);
        if reset && !reply.header.is_error() {
            change(command, reply);
        }
    })
}

/// Such commands are refused after a reset.
fn refused_after(which: fn(&Frame) -> bool) -> Faulty {
    after_it(which, || Answer::Error(Errno::ENODEV))
}

/// Such commands are answered so after a reset.
fn after_it(which: fn(&Frame) -> bool, answer: fn() -> Answer) -> Faulty {
    let mut reset = false;
    answers(move |command| {
        let due = reset && which(command);
        reset |= is(command, NAME);
        due.then(answer)
    })
}
