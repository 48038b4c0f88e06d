//! The states of migration, and the ways between them.

use vfio_user_reference_server::{Errno, Feature, Memory, Server, Without};
use vfio_user_wire::device_state::{ERROR, PRE_COPY, RESUMING, RUNNING, STOP, STOP_COPY};

use crate::fault::{Fault, fault};
use crate::migration::{GET_STATE, set_state, state, wanted, while_stopped};
use crate::wrapper::{Answer, Faulty, Step, answers, around, around_server, get, is, replies};

const NAME: &str = "DEVICE_FEATURE";
const RUNNING_P2P: u32 = 5;

/// No server can show these.
pub(crate) const NO_FAULT: &[(&str, &str)] = &[];

pub(crate) fn faults() -> Vec<Fault> {
    [start(), arcs(), paths(), refused(), stays(), form(), stopped(), runs()].into_iter().flatten().collect()
}

/// What becomes of a SET in a server that has a mind of its own.
enum Does {
    /// What it should.
    Right,
    /// Success; the state is this one then.
    Goes(u32),
    /// A refusal; the state is this one then.
    Fails(u32),
}

/// A server that tells another state than it has: `change` sees the state that was told last, and what is asked for.
fn machine(change: impl FnMut(u32, u32) -> Does + 'static) -> Faulty {
    machine_of(Server::new(), change)
}

fn machine_of(server: Server, mut change: impl FnMut(u32, u32) -> Does + 'static) -> Faulty {
    let (mut told, mut pretended) = (RUNNING, None);
    around_server(server, move |step| {
        if is(&step.frame, "DEVICE_RESET") {
            (told, pretended) = (RUNNING, None);
        }
        let payload = step.frame.payload.clone();
        if let Some(to) = wanted(&step.frame) {
            match change(told, to) {
                Does::Right => {
                    pretended = None;
                    step.pass_then(|server, memory| told = state(server, memory).unwrap_or(told));
                }
                Does::Goes(state) => {
                    (told, pretended) = (state, Some(state));
                    step.answer(Answer::Ok(payload));
                }
                Does::Fails(state) => {
                    (told, pretended) = (state, Some(state));
                    step.answer(Answer::Error(Errno::EINVAL));
                }
            }
        } else if is(&step.frame, NAME) && get(&step.frame, "flags") == u64::from(GET_STATE) && pretended.is_some() {
            let words = [16, GET_STATE, told, 0];
            step.answer(Answer::Ok(words.iter().flat_map(|word| word.to_ne_bytes()).collect()));
        } else {
            step.pass();
        }
    })
}

/// One way is not there.
fn lacks(from: u32, to: u32) -> Faulty {
    machine(move |is, wanted| if (is, wanted) == (from, to) { Does::Fails(from) } else { Does::Right })
}

/// One way leads elsewhere, and nobody says so.
fn strays(from: u32, to: u32, ends: u32) -> Faulty {
    machine(move |is, wanted| if (is, wanted) == (from, to) { Does::Goes(ends) } else { Does::Right })
}

/// What should be refused succeeds.
fn takes(which: impl Fn(u32, u32) -> Option<u32> + 'static) -> Faulty {
    machine(move |is, wanted| which(is, wanted).map_or(Does::Right, Does::Goes))
}

fn start() -> Vec<Fault> {
    vec![
        fault("MIGFSM-01", "stopped-until-somebody-starts-it", || {
            let mut started = false;
            replies(move |command, reply| {
                started |= wanted(command).is_some();
                if !started && is(command, NAME) && get(command, "flags") == u64::from(GET_STATE) {
                    reply.payload[8..12].copy_from_slice(&STOP.to_ne_bytes());
                }
            })
        })
        .noted()
        .by_process(),
        // The change is begun, the reply sent, and a thread does the rest.
        fault("MIGFSM-02", "the-state-changes-after-the-reply", || {
            let (mut before, mut now, mut late) = (RUNNING, RUNNING, false);
            replies(move |command, reply| {
                if let Some(to) = wanted(command) {
                    (before, now, late) = (now, to, true);
                } else if late && is(command, NAME) && get(command, "flags") == u64::from(GET_STATE) {
                    reply.payload[8..12].copy_from_slice(&before.to_ne_bytes());
                    late = false;
                }
            })
        }),
    ]
}

fn arcs() -> Vec<Fault> {
    vec![
        fault("MIGFSM-03", "stopped-by-stop-copy-alone", || lacks(RUNNING, STOP)),
        fault("MIGFSM-04", "stop-copy-ends-in-running-alone", || lacks(STOP_COPY, STOP)),
        fault("MIGFSM-04", "stop-is-taken-for-running", || strays(STOP_COPY, STOP, RUNNING)),
        fault("MIGFSM-06", "no-way-back-from-pre-copy", || lacks(PRE_COPY, RUNNING)),
        fault("MIGFSM-07", "once-stopped-stopped", || lacks(STOP, RUNNING)),
        fault("MIGFSM-08", "pre-copy-is-offered-and-not-there", || {
            machine(|is, wanted| if wanted == PRE_COPY { Does::Fails(is) } else { Does::Right })
        }),
        fault("MIGFSM-09", "stop-copy-from-running-alone", || lacks(STOP, STOP_COPY)),
        fault("MIGFSM-10", "pre-copy-cannot-be-ended", || lacks(PRE_COPY, STOP_COPY)),
        fault("MIGFSM-11", "resuming-from-running-alone", || lacks(STOP, RESUMING)),
    ]
}

fn paths() -> Vec<Fault> {
    let two_steps = "combined-arcs-are-refused";
    vec![
        fault("MIGFSM-16", two_steps, || lacks(RUNNING, STOP_COPY)),
        fault("MIGFSM-16", "one-step-of-the-way", || strays(RUNNING, STOP_COPY, STOP))
            .also("MIGDATA-19", "nothing is saved where it ends"),
        fault("MIGFSM-17", two_steps, || lacks(RUNNING, RESUMING)),
        fault("MIGFSM-18", two_steps, || lacks(STOP, PRE_COPY)),
        fault("MIGFSM-18", "one-step-of-the-way", || strays(STOP, PRE_COPY, RUNNING)),
        fault("MIGFSM-19", two_steps, || lacks(STOP_COPY, RUNNING)),
        fault("MIGFSM-20", two_steps, || lacks(STOP_COPY, RESUMING)),
        fault("MIGFSM-21", two_steps, || lacks(RESUMING, RUNNING)),
        fault("MIGFSM-21", "saved-again-only-after-running", || lacks(RESUMING, STOP_COPY)),
        fault("MIGFSM-21", "three-steps-are-one-too-many", || lacks(RESUMING, PRE_COPY)),
        fault("MIGFSM-21", "one-step-of-the-way", || strays(RESUMING, RUNNING, STOP))
            .also("MIGFSM-02", "the state is another one than was set"),
        fault("MIGFSM-22", two_steps, || lacks(PRE_COPY, STOP)),
        fault("MIGFSM-22", "ends-in-stop-copy", || strays(PRE_COPY, STOP, STOP_COPY)),
        fault("MIGFSM-22", "resuming-is-refused-in-pre-copy", || lacks(PRE_COPY, RESUMING)),
    ]
}

fn refused() -> Vec<Fault> {
    vec![
        fault("MIGFSM-12", "back-to-pre-copy-by-running", || {
            takes(|is, wanted| ((is, wanted) == (STOP_COPY, PRE_COPY)).then_some(PRE_COPY))
        }),
        fault("MIGFSM-12", "refused-half-way", || {
            machine(|is, wanted| match (is, wanted) {
                (STOP_COPY, PRE_COPY) => Does::Fails(RUNNING),
                _ => Does::Right,
            })
        }),
        fault("MIGFSM-13", "error-as-any-other-state", || takes(|_, wanted| (wanted == ERROR).then_some(ERROR))),
        fault("MIGFSM-13", "error-is-taken-for-nothing", || takes(|is, wanted| (wanted == ERROR).then_some(is))),
        fault("MIGFSM-14", "the-states-of-the-kernel", || {
            takes(|_, wanted| matches!(wanted, RUNNING_P2P | 7).then_some(wanted))
        }),
        fault("MIGFSM-14", "p2p-is-as-good-as-running", || {
            takes(|_, wanted| (wanted == RUNNING_P2P).then_some(RUNNING))
        }),
        fault("MIGFSM-14", "pre-copy-p2p-is-as-good-as-pre-copy", || {
            takes(|_, wanted| (wanted == 7).then_some(PRE_COPY))
        }),
        fault("MIGFSM-15", "three-bits-of-it-count", || {
            takes(|_, wanted| (wanted > 7 && wanted & 7 == STOP).then_some(STOP))
        }),
        fault("MIGFSM-15", "more-than-the-number-of-states", || takes(|_, wanted| (wanted == 8).then_some(ERROR))),
        fault("MIGFSM-15", "a-table-without-an-end", || {
            answers(|command| {
                assert!(wanted(command).is_none_or(|to| to < 8), "index out of bounds: the len is 8");
                None
            })
        })
        .by_process(),
        fault("MIGFSM-15", "no-answer-to-a-state-that-is-none", || {
            answers(|command| wanted(command).is_some_and(|to| to > 7).then_some(Answer::Nothing))
        }),
        fault("MIGFSM-24", "pre-copy-all-the-same", || {
            let without: Without = [Feature::PreCopy].into_iter().collect();
            machine_of(Server::with(without), |_, wanted| match wanted {
                PRE_COPY => Does::Goes(PRE_COPY),
                _ => Does::Right,
            })
        }),
        fault("MIGFSM-24", "running-instead-of-pre-copy", || {
            let without: Without = [Feature::PreCopy].into_iter().collect();
            machine_of(Server::with(without), |_, wanted| match wanted {
                PRE_COPY => Does::Goes(RUNNING),
                _ => Does::Right,
            })
        }),
    ]
}

fn stays() -> Vec<Fault> {
    vec![
        fault("MIGFSM-23", "set-again-it-runs", || {
            machine(|is, wanted| if is == wanted { Does::Fails(RUNNING) } else { Does::Right })
        }),
        fault("MIGFSM-23", "set-again-it-toggles", || {
            machine(|is, wanted| if is == wanted && is == STOP { Does::Goes(RUNNING) } else { Does::Right })
        }),
        fault("MIGFSM-25", "a-refusal-stops-the-device", || {
            machine(|is, wanted| if wanted > 7 && is == RUNNING { Does::Fails(STOP) } else { Does::Right })
        }),
        fault("MIGFSM-25", "a-refusal-starts-the-device", || {
            machine(|_, wanted| if wanted == ERROR { Does::Fails(RUNNING) } else { Does::Right })
        }),
        fault("MIGFSM-26", "running-always-helps", || {
            takes(|is, wanted| (is == ERROR && wanted == RUNNING).then_some(RUNNING))
        }),
        fault("MIGFSM-33", "a-map-starts-the-device", || {
            around(|step| {
                let starts = is(&step.frame, "DMA_MAP");
                step.pass_then(|server, memory| {
                    if starts {
                        set_state(server, memory, RUNNING);
                    }
                });
            })
        })
        .noted(),
        fault("MIGFSM-33", "a-question-ends-what-is-saved", || {
            around(|step| {
                let ends = is(&step.frame, "DEVICE_GET_INFO");
                step.pass_then(|server, memory| {
                    if ends {
                        set_state(server, memory, STOP);
                    }
                });
            })
        })
        .noted(),
    ]
}

fn form() -> Vec<Fault> {
    vec![
        fault("MIGFSM-28", "data-fd-is-looked-at", || {
            answers(|command| {
                wanted(command)?;
                let fd = u32::from_ne_bytes(command.payload.get(12..16)?.try_into().ok()?);
                (fd != 0 && fd != u32::MAX).then_some(Answer::Error(Errno::EBADF))
            })
        })
        .noted(),
        // As the kernel does, which gives a descriptor there.
        fault("MIGFSM-32", "a-descriptor-in-the-reply", || {
            replies(|command, reply| {
                if wanted(command).is_some() && !reply.header.is_error() {
                    reply.payload[12..16].fill(0xff);
                }
            })
        })
        .also("FEAT-05", "which says the same of every SET"),
        fault("MIGFSM-32", "no-data-in-the-reply", || {
            replies(|command, reply| {
                if wanted(command).is_some() {
                    reply.payload.truncate(8);
                }
            })
        })
        .also("FEAT-05", "which says the same of every SET"),
    ]
}

fn stopped() -> Vec<Fault> {
    vec![
        fault("MIGFSM-29", "a-word-and-no-more", || takes(|_, wanted| (wanted == STOP).then_some(STOP))),
        fault("MIGFSM-29", "saved-while-it-works", || {
            takes(|_, wanted| matches!(wanted, STOP_COPY).then_some(STOP_COPY))
        })
        .also("MIGDATA-19", "nothing is there to be read of a device that works"),
        // Like a library that lets only migration through.
        fault("MIGFSM-30", "nothing-but-migration", || {
            while_stopped(|step| {
                let through = [NAME, "REGION_READ", "REGION_WRITE", "MIG_DATA_READ"];
                if through.iter().any(|name| is(&step.frame, name)) {
                    step.pass();
                } else {
                    step.answer(Answer::Error(Errno::EINVAL));
                }
            })
        })
        .noted(),
        fault("MIGFSM-30", "maps-wait-until-it-runs", || {
            while_stopped(|step| {
                if is(&step.frame, "DMA_MAP") || is(&step.frame, "DMA_UNMAP") {
                    step.answer(Answer::Nothing);
                } else {
                    step.pass();
                }
            })
        }),
        fault("MIGFSM-31", "started-and-still", || {
            takes(|is, wanted| (is != RUNNING && wanted == RUNNING).then_some(RUNNING))
        }),
    ]
}

fn runs() -> Vec<Fault> {
    vec![
        fault("MIGFSM-34", "no-maps-in-pre-copy", || {
            while_in(PRE_COPY, |step| {
                if is(&step.frame, "DMA_MAP") { step.answer(Answer::Error(Errno::EBUSY)) } else { step.pass() }
            })
        }),
        fault("MIGFSM-34", "no-answers-in-pre-copy", || {
            while_in(PRE_COPY, |step| {
                if is(&step.frame, "DEVICE_GET_INFO") { step.answer(Answer::Error(Errno::EBUSY)) } else { step.pass() }
            })
        })
        .also("INFO-01", "a question that is refused"),
        fault("MIGFSM-34", "saved-by-stopping", || {
            around(|step| {
                let pre_copy = wanted(&step.frame) == Some(PRE_COPY);
                step.pass_then(|server, memory| {
                    if pre_copy {
                        stop(server, memory);
                    }
                });
            })
        }),
    ]
}

/// In that state, messages go through `receive`.
fn while_in(state: u32, receive: impl Fn(Step<'_>) + 'static) -> Faulty {
    let mut now = RUNNING;
    around(move |step| {
        if let Some(to) = wanted(&step.frame) {
            now = to;
        } else if is(&step.frame, "DEVICE_RESET") {
            now = RUNNING;
        }
        if now == state { receive(step) } else { step.pass() }
    })
}

fn stop(server: &mut Server, memory: &mut dyn Memory) {
    set_state(server, memory, STOP_COPY);
}
