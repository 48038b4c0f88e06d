//! The query for dirty pages by page number, in the migration region of older protocols.

use vfio_user_reference_server::Errno;
use vfio_user_wire::legacy::dirty_pfns;
use vfio_user_wire::legacy::migration_state::{PRE_COPY, STOP_AND_COPY};

use crate::fault::{Fault, fault};
use crate::region_access::{Access, DATA, PLACE, accesses, answered, numbers, panics, read};
use crate::wrapper::Answer;

/// No server can show these.
pub(crate) const NO_FAULT: &[(&str, &str)] = &[];

const INPUTS: [u64; 3] = [32, 40, 48];
const PAGE_SIZE: u64 = 40;
const COPIED: u64 = 56;
/// Where the reference server has its bitmaps.
const BITMAP: u64 = 0x11000;

fn is_saving(state: u32) -> bool {
    matches!(state, PRE_COPY | STOP_AND_COPY)
}

/// The number that is written.
fn value(access: &Access) -> u64 {
    access.data.as_slice().try_into().map_or(0, u64::from_ne_bytes)
}

fn is_odd(access: &Access) -> bool {
    (32..64).contains(&access.offset) && !access.is_whole()
}

/// There is a bitmap, of so many pages.
fn is_count(value: u64) -> bool {
    value != dirty_pfns::NONE && value != dirty_pfns::ALL
}

pub(crate) fn faults() -> Vec<Fault> {
    [registers(), answers()].into_iter().flatten().collect()
}

fn registers() -> Vec<Fault> {
    vec![
        fault("L-PFN-01", "pages-of-one-size", || {
            answered(|_, access| access.writes(PAGE_SIZE).then_some(Answer::Error(Errno::EINVAL)))
        }),
        fault("L-PFN-01", "while-it-is-stopped-alone", || {
            answered(|state, access| {
                let input = access.writes && INPUTS.contains(&access.offset);
                (input && state == PRE_COPY).then_some(Answer::Error(Errno::EBUSY))
            })
        }),
        fault("L-PFN-06", "any-width", || {
            answered(|_, access| is_odd(access).then(|| access.ok(&vec![0; access.count])))
        })
        .noted(),
        fault("L-PFN-06", "eight-bytes-are-taken-for-granted", || panics(|_, access| is_odd(access))).by_process(),
        fault("L-PFN-07", "so-many-pages-in-so-many-bytes", || {
            let mut empty = false;
            panics_if(move |access| {
                if access.writes(PAGE_SIZE) {
                    empty = value(access) == 0;
                }
                empty && access.reads(COPIED)
            })
        })
        .by_process(),
        fault("L-PFN-07", "pages-of-any-size", || {
            let mut odd = false;
            answered(move |_, access| {
                if access.writes(PAGE_SIZE) {
                    odd = !value(access).is_power_of_two();
                }
                (odd && access.reads(COPIED)).then(|| access.ok(&dirty_pfns::ALL.to_ne_bytes()))
            })
        }),
        fault("L-PFN-08", "the-outcome-of-nothing", || {
            let mut told = false;
            answered(move |state, access| {
                told |= access.writes && INPUTS.contains(&access.offset);
                (!told && is_saving(state) && access.reads(COPIED)).then(|| access.ok(&1u64.to_ne_bytes()))
            })
        })
        .noted(),
        // All of it, to be on the safe side.
        fault("L-PFN-09", "what-is-not-logged-is-dirty", || {
            answered(|state, access| {
                (!is_saving(state) && access.reads(COPIED)).then(|| access.ok(&dirty_pfns::ALL.to_ne_bytes()))
            })
        }),
    ]
}

/// An access that the server does not survive, of which earlier ones decide.
fn panics_if(mut when: impl FnMut(&Access) -> bool + 'static) -> crate::wrapper::Faulty {
    answered(move |_, access| {
        assert!(!when(access), "attempt to divide by zero");
        None
    })
}

fn answers() -> Vec<Fault> {
    vec![
        fault("L-PFN-02", "not-implemented", || {
            answered(|_, access| access.reads(COPIED).then_some(Answer::Error(Errno::ENOTSUP)))
        }),
        fault("L-PFN-03", "never-dirty", || {
            numbers(|_, access, value| if access.reads(COPIED) { dirty_pfns::NONE } else { value })
        }),
        fault("L-PFN-04", "the-data-stand-there", || {
            numbers(|_, access, value| if access.reads(PLACE) && value == BITMAP { DATA } else { value })
        }),
        fault("L-PFN-04", "the-highest-bit-first", || {
            accesses(|_, access, step| {
                if access.writes || access.offset != BITMAP {
                    return step.pass();
                }
                match read(step.server, step.memory, BITMAP, access.count) {
                    Some(bits) => {
                        let turned: Vec<u8> = bits.into_iter().map(u8::reverse_bits).collect();
                        step.answer(access.ok(&turned));
                    }
                    None => step.answer(Answer::Error(Errno::EINVAL)),
                }
            })
        }),
        fault("L-PFN-05", "nothing-of-the-rest", || {
            let (mut start, mut rest) = (0, None);
            accesses(move |_, access, step| {
                if access.writes(INPUTS[0]) {
                    start = value(access);
                }
                if !access.reads(COPIED) || !access.is_whole() {
                    return step.pass();
                }
                let told = read(step.server, step.memory, COPIED, 8).and_then(|told| told.try_into().ok());
                let told = told.map_or(dirty_pfns::NONE, u64::from_ne_bytes);
                let told = if rest == Some(start) { dirty_pfns::NONE } else { told };
                rest = is_count(told).then(|| start + told);
                step.answer(access.ok(&told.to_ne_bytes()));
            })
        }),
        fault("L-PFN-05", "the-pages-of-a-whole-word", || {
            numbers(
                |_, access, value| {
                    if access.reads(COPIED) && is_count(value) { value.next_multiple_of(64) } else { value }
                },
            )
        }),
        fault("L-PFN-05", "the-pages-that-were-asked-for-and-one", || {
            numbers(|_, access, value| if access.reads(COPIED) && is_count(value) { value + 1 } else { value })
        }),
    ]
}
