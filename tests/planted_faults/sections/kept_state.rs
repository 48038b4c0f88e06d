//! What a reset makes of the state of migration.

use vfio_user_reference_server::Errno;
use vfio_user_wire::device_state::ERROR;

use crate::fault::{Fault, fault};
use crate::migration::{GET_STATE, state, wanted, while_stopped};
use crate::wrapper::{Answer, Faulty, around, get, is};

/// No server can show these.
pub(crate) const NO_FAULT: &[(&str, &str)] = &[];

pub(crate) fn faults() -> Vec<Fault> {
    vec![
        fault("RESET-03", "the-state-outlives-a-reset", || kept(|state| state == ERROR)),
        fault("RESET-04", "only-error-is-reset", || kept(|state| state != ERROR)).noted(),
        fault("RESET-04", "no-reset-of-a-stopped-device", || {
            while_stopped(|step| {
                if is(&step.frame, "DEVICE_RESET") { step.answer(Answer::Error(Errno::EBUSY)) } else { step.pass() }
            })
        })
        .noted(),
    ]
}

/// A reset brings some states back.
fn kept(which: fn(u32) -> bool) -> Faulty {
    let mut pretended = None;
    around(move |step| {
        if is(&step.frame, "DEVICE_RESET") {
            pretended = state(step.server, step.memory).filter(|state| which(*state)).or(pretended);
        } else if is(&step.frame, "DEVICE_FEATURE")
            && get(&step.frame, "flags") == u64::from(GET_STATE)
            && let Some(state) = pretended
        {
            let words = [16, GET_STATE, state, 0];
            return step.answer(Answer::Ok(words.iter().flat_map(|word| word.to_ne_bytes()).collect()));
        } else if wanted(&step.frame).is_some() {
            pretended = None;
        }
        step.pass();
    })
}
