//! The states of migration, where it is the data that shows what is wrong.

use vfio_user_reference_server::Errno;
use vfio_user_wire::device_state::{ERROR, PRE_COPY, RESUMING, RUNNING, STOP, STOP_COPY};

use crate::fault::{Fault, fault};
use crate::migration::{GET_STATE, WRITE, ask, set_state, state, wanted};
use crate::wrapper::{Answer, answers, around, get, is, replies, replies_to};

/// No server can show these.
pub(crate) const NO_FAULT: &[(&str, &str)] = &[];

pub(crate) fn faults() -> Vec<Fault> {
    [restored(), refused(), saved()].into_iter().flatten().collect()
}

fn restored() -> Vec<Fault> {
    vec![
        fault("MIGFSM-05", "resuming-ends-in-running-alone", || {
            let mut state = RUNNING;
            answers(move |command| {
                let wanted = wanted(command)?;
                let stuck = state == RESUMING && wanted == STOP;
                state = if stuck { state } else { wanted };
                stuck.then_some(Answer::Error(Errno::EBUSY))
            })
        }),
        fault("MIGFSM-05", "still-resuming-when-it-answers", || {
            let mut state = RUNNING;
            replies_to("DEVICE_FEATURE", move |command, reply| match wanted(command) {
                Some(to) if state == RESUMING && to == STOP => {
                    reply.payload[8..12].copy_from_slice(&state.to_ne_bytes())
                }
                Some(to) => state = to,
                None => {}
            })
        })
        .also("FEAT-05", "the reply is not the request's")
        .also("MIGFSM-32", "the same"),
        fault("MIGFSM-10", "the-stream-begins-again", || {
            let mut state = RUNNING;
            around(move |step| {
                let wanted = wanted(&step.frame);
                if state == PRE_COPY && wanted == Some(STOP_COPY) {
                    set_state(step.server, step.memory, RUNNING);
                }
                state = wanted.unwrap_or(state);
                step.pass();
            })
        })
        .also("MIGDATA-14", "what was read of both is no state"),
        fault("MIGFSM-10", "pre-copy-must-be-read-to-its-end", || {
            let (mut state, mut read) = (RUNNING, 0);
            answers(move |command| {
                read = if is(command, "MIG_DATA_READ") { read + 1 } else { read };
                let wanted = wanted(command)?;
                let early = state == PRE_COPY && wanted == STOP_COPY && read < 2;
                (state, read) = (wanted, 0);
                early.then_some(Answer::Error(Errno::EAGAIN))
            })
        }),
    ]
}

fn refused() -> Vec<Fault> {
    vec![
        fault("MIGFSM-25", "the-state-that-was-asked-for", || {
            let mut asked = RUNNING;
            replies(move |command, reply| {
                asked = wanted(command).unwrap_or(asked);
                if get(command, "flags") == u64::from(GET_STATE) && !reply.header.is_error() {
                    reply.payload[8..12].copy_from_slice(&asked.to_ne_bytes());
                }
            })
        }),
        fault("MIGFSM-26", "any-change-is-a-reset", || {
            around(|step| {
                if wanted(&step.frame).is_some() && state(step.server, step.memory) == Some(ERROR) {
                    ask(step.server, step.memory, "DEVICE_RESET", Vec::new());
                }
                step.pass();
            })
        }),
        fault("MIGFSM-26", "not-even-by-a-reset", || {
            let mut failed = false;
            around(move |step| {
                if is(&step.frame, "DEVICE_RESET") {
                    failed |= state(step.server, step.memory) == Some(ERROR);
                }
                if wanted(&step.frame).is_some() && failed {
                    step.answer(Answer::Error(Errno::EIO))
                } else {
                    step.pass()
                }
            })
        }),
        fault("MIGFSM-27", "whatever-came-will-do", || {
            around(|step| {
                let wanted = wanted(&step.frame);
                if let Some(to) = wanted.filter(|to| matches!(*to, STOP | RUNNING))
                    && state(step.server, step.memory) == Some(RESUMING)
                    && !set_state(step.server, step.memory, to)
                {
                    ask(step.server, step.memory, "DEVICE_RESET", Vec::new());
                }
                step.pass();
            })
        })
        .noted(),
        fault("MIGFSM-27", "stuck-where-the-data-break-off", || {
            let mut written = 0;
            answers(move |command| {
                written += if is(command, WRITE) { get(command, "size") } else { 0 };
                (wanted(command) == Some(STOP) && (1..100).contains(&written)).then_some(Answer::Nothing)
            })
        }),
    ]
}

fn saved() -> Vec<Fault> {
    vec![
        fault("MIGFSM-31", "what-was-saved-is-gone", || {
            let mut saving = false;
            around(move |step| {
                let wanted = wanted(&step.frame);
                let before = saving;
                saving = wanted.map_or(saving, |to| to == STOP_COPY);
                if before && wanted == Some(RUNNING) {
                    ask(step.server, step.memory, "DEVICE_RESET", Vec::new());
                }
                step.pass();
            })
        }),
        fault("MIGFSM-31", "once-saved-it-takes-no-writes", || {
            let (mut state, mut saved) = (RUNNING, false);
            answers(move |command| {
                state = wanted(command).unwrap_or(state);
                saved |= state == STOP_COPY;
                (saved && state == RUNNING && is(command, "REGION_WRITE")).then_some(Answer::Error(Errno::EIO))
            })
        }),
    ]
}
