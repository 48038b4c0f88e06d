//! Migration data in the region of older protocols.

use vfio_user_reference_server::Errno;
use vfio_user_wire::legacy::migration_state::{PRE_COPY, RESUMING, RUNNING, STOP_AND_COPY};

use crate::fault::{Fault, fault};
use crate::region_access::{DATA, PENDING, PLACE, REGION, SIZE, accesses, answered, numbers, write};
use crate::wrapper::Answer;

/// No server can show these.
pub(crate) const NO_FAULT: &[(&str, &str)] = &[];

pub(crate) fn faults() -> Vec<Fault> {
    [read(), written()].into_iter().flatten().collect()
}

fn is_saving(state: u32) -> bool {
    matches!(state, PRE_COPY | STOP_AND_COPY)
}

fn read() -> Vec<Fault> {
    vec![
        fault("L-MR-16", "data-over-the-registers", || {
            numbers(|_, access, value| if access.reads(PLACE) { value - DATA + 16 } else { value })
        }),
        fault("L-MR-16", "counted-from-the-end-of-the-registers", || {
            numbers(|_, access, value| if access.reads(PLACE) { value - DATA } else { value })
        }),
        fault("L-MR-16", "more-than-the-region-holds", || {
            numbers(|state, access, value| if access.reads(SIZE) && is_saving(state) { 1 << 20 } else { value })
        }),
        // It has begun to collect them, and the client is to try again.
        fault("L-MR-17", "not-ready-yet", || {
            let mut asked = false;
            answered(move |state, access| {
                asked &= !access.reads(PENDING);
                let first = is_saving(state) && access.reads(PLACE) && !asked;
                asked |= first;
                first.then_some(Answer::Error(Errno::EAGAIN))
            })
        }),
        fault("L-MR-17", "nobody-asks-for-the-size", || {
            answered(|state, access| (is_saving(state) && access.reads(SIZE)).then_some(Answer::Error(Errno::EINVAL)))
        }),
        fault("L-MR-17", "data-only-by-a-mapping", || {
            answered(|_, access| (!access.writes && access.offset >= DATA).then_some(Answer::Error(Errno::EINVAL)))
        }),
        // The message has them from where they were made, and the mapping shows nothing of it.
        fault("L-MR-17", "a-mapping-without-data", || {
            let mut staged = Vec::new();
            accesses(move |state, access, step| {
                let (stages, count) = (is_saving(state) && access.reads(PLACE), access.count);
                if !access.writes && access.offset == DATA && staged.len() >= count {
                    return step.answer(access.ok(staged.get(..count).unwrap_or_default()));
                }
                step.pass_then(|_, memory| {
                    if stages {
                        staged = vec![0; 0x10000];
                        let _ = memory.region_read(REGION, DATA, &mut staged);
                        let _ = memory.region_write(REGION, DATA, &[0; 0x10000]);
                    }
                });
            })
        }),
        fault("L-MR-17", "another-place-each-time", || {
            let mut places = 0;
            numbers(move |state, access, value| {
                places += u64::from(is_saving(state) && access.reads(PLACE));
                if access.reads(PLACE) { value + 8 * (places & 1) } else { value }
            })
        })
        .noted(),
        fault("L-MR-18", "a-portion-of-nothing", || {
            numbers(|state, access, value| if access.reads(SIZE) && is_saving(state) { 0 } else { value })
        }),
        fault("L-MR-18", "a-portion-is-always-as-large", || {
            numbers(|state, access, value| if access.reads(SIZE) && is_saving(state) { 0x10000 } else { value })
        }),
        fault("L-MR-19", "something-is-always-pending", || {
            numbers(
                |state, access, value| {
                    if access.reads(PENDING) && state == STOP_AND_COPY { value.max(1) } else { value }
                },
            )
        }),
        fault("L-MR-31", "what-has-ended-once-has-ended", || {
            let mut ended = false;
            numbers(move |state, access, value| {
                ended |= state == PRE_COPY && access.reads(PENDING) && value == 0;
                if ended && state == STOP_AND_COPY && access.reads(PENDING) { 0 } else { value }
            })
        }),
        fault("L-MR-32", "right-behind-the-registers-of-a-mapping", || {
            numbers(|state, access, value| if access.reads(PLACE) && is_saving(state) { value + 64 } else { value })
        }),
    ]
}

fn written() -> Vec<Fault> {
    vec![
        fault("L-MR-21", "data-are-read-only", || {
            answered(|_, access| (access.writes && access.offset >= DATA).then_some(Answer::Error(Errno::EACCES)))
        }),
        fault("L-MR-21", "no-place-to-write-to", || {
            answered(|state, access| (state == RESUMING && access.reads(PLACE)).then_some(Answer::Error(Errno::EINVAL)))
        }),
        fault("L-MR-21", "the-first-data-run", || {
            accesses(|state, access, step| {
                let runs = state == RESUMING && access.writes(SIZE);
                step.pass_then(|server, memory| {
                    if runs {
                        write(server, memory, 0, &RUNNING.to_ne_bytes());
                    }
                });
            })
        }),
        fault("L-MR-22", "taken-and-forgotten", || {
            answered(|state, access| {
                let data = access.writes && (access.offset >= DATA || access.offset == SIZE);
                (state == RESUMING && data).then(|| access.ok(&[]))
            })
        }),
        fault("L-MR-22", "the-first-portion-is-all", || {
            let mut portions = 0;
            answered(move |state, access| {
                portions += u32::from(state == RESUMING && access.writes(SIZE));
                let data = access.writes && (access.offset >= DATA || access.offset == SIZE);
                (state == RESUMING && data && portions > 1).then(|| access.ok(&[]))
            })
        }),
        fault("L-MR-23", "runs-with-whatever-it-got", || {
            let mut runs = false;
            answered(move |state, access| {
                runs |= state == RESUMING && access.wanted() == Some(RUNNING);
                match () {
                    () if runs && access.wanted().is_some() => Some(access.ok(&[])),
                    () if runs && access.reads(0) => Some(access.ok(&RUNNING.to_ne_bytes())),
                    () => None,
                }
            })
        }),
    ]
}
