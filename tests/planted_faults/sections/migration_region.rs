//! The migration region of older protocols: its type, its registers and its states.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::time::Duration;

use vfio_user_reference_server::{Errno, Profile};
use vfio_user_wire::Frame;
use vfio_user_wire::legacy::migration_state::{ERROR, PRE_COPY, RESUMING, RUNNING, STOP_AND_COPY, STOPPED};

use crate::fault::{Fault, fault};
use crate::region_access::{
    Access, DATA, PENDING, PLACE, REGION, SIZE, accesses, answered, numbers, panics, state_of, write,
};
use crate::wrapper::{Answer, Faulty, around_server, get, is, put, server_of};

/// No server can show these.
pub(crate) const NO_FAULT: &[(&str, &str)] = &[];

/// A number that no state has.
const NONE: u32 = 7;

pub(crate) fn faults() -> Vec<Fault> {
    [kind(), states(), refused(), registers()].into_iter().flatten().collect()
}

/// Changes what is said of the region.
fn info(mut change: impl FnMut(&mut Frame) + 'static) -> Faulty {
    around_server(server_of(Profile::V0_9_1), move |step| {
        let ours = is(&step.frame, "DEVICE_GET_REGION_INFO") && get(&step.frame, "index") == u64::from(REGION);
        step.pass_and(|effects| {
            for effect in effects {
                if let (true, vfio_user_reference_server::Effect::Send { frame, .. }) = (ours, effect) {
                    change(frame);
                    frame.header.size = (vfio_user_wire::HEADER_SIZE + frame.payload.len()) as u32;
                }
            }
        });
    })
}

/// Where the capability of that id stands in the reply.
fn capability(reply: &Frame, id: u16) -> Option<usize> {
    let mut at = get(reply, "cap_offset") as usize;
    while let Some(head) = reply.payload.get(at..at + 8).filter(|_| at != 0) {
        if head.starts_with(&id.to_ne_bytes()) {
            return Some(at);
        }
        at = u32::from_ne_bytes([head[4], head[5], head[6], head[7]]) as usize;
    }
    None
}

/// Puts bytes into a capability.
fn patch(reply: &mut Frame, id: u16, offset: usize, bytes: &[u8]) {
    if let Some(at) = capability(reply, id)
        && let Some(to) = reply.payload.get_mut(at + offset..at + offset + bytes.len())
    {
        to.copy_from_slice(bytes);
    }
}

fn kind() -> Vec<Fault> {
    let (sparse, kind) = (1, 2);
    vec![
        fault("L-REG-01", "another-version-of-the-type", move || {
            info(move |reply| patch(reply, kind, 2, &2u16.to_ne_bytes()))
        }),
        fault("L-REG-01", "known-by-its-index-alone", move || {
            info(move |reply| patch(reply, kind, 0, &0x4711u16.to_ne_bytes()))
        }),
        // As the kernel counted them for another purpose.
        fault("L-REG-02", "subtype-0", move || info(move |reply| patch(reply, kind, 12, &[0; 4]))),
        fault("L-REG-02", "a-type-of-its-own", move || info(move |reply| patch(reply, kind, 8, &[9, 0, 0, 0]))),
        fault("L-MR-01", "registers-are-not-counted", || info(|reply| put(reply, "size", 16))),
        fault("L-MR-27", "mapped-from-the-start", move || info(move |reply| patch(reply, sparse, 16, &[0; 8]))),
    ]
}

/// What becomes of a write of the state in a server that has a mind of its own.
enum Does {
    /// What it should.
    Right,
    /// Success; the state is this one then.
    Goes(u32),
    /// A refusal; the state is this one then.
    Fails(u32),
}

/// A server that tells another state than it has: `change` sees the state that was told last, and what is asked for.
fn machine(mut change: impl FnMut(u32, u32) -> Does + 'static) -> Faulty {
    let (mut told, mut pretended) = (RUNNING, false);
    accesses(move |_, access, step| {
        if let Some(to) = access.wanted() {
            match change(told, to) {
                Does::Right => {
                    pretended = false;
                    step.pass_then(|server, memory| told = state_of(server, memory).unwrap_or(told));
                }
                Does::Goes(state) => {
                    (told, pretended) = (state, true);
                    step.answer(access.ok(&[]));
                }
                Does::Fails(state) => {
                    (told, pretended) = (state, true);
                    step.answer(Answer::Error(Errno::EINVAL));
                }
            }
        } else if access.reads(0) && access.count == 4 && pretended {
            step.answer(access.ok(&told.to_ne_bytes()));
        } else {
            step.pass();
        }
    })
}

/// One way is not there.
fn lacks(from: u32, to: u32) -> Faulty {
    machine(move |is, wanted| if (is, wanted) == (from, to) { Does::Fails(from) } else { Does::Right })
}

/// A way is there that should not be.
fn has(from: u32, to: u32) -> Faulty {
    machine(move |is, wanted| if (is, wanted) == (from, to) { Does::Goes(to) } else { Does::Right })
}

fn states() -> Vec<Fault> {
    vec![
        fault("L-MR-03", "stopped-until-somebody-starts-it", || {
            let mut started = false;
            answered(move |_, access| {
                started |= access.writes;
                (!started && access.reads(0)).then(|| access.ok(&STOPPED.to_ne_bytes()))
            })
        }),
        // The change is begun, the reply sent, and a thread does the rest.
        fault("L-MR-04", "the-state-changes-after-the-reply", || {
            let mut late = None;
            answered(move |state, access| {
                if access.wanted().is_some() {
                    late = Some(state);
                }
                late.filter(|_| access.reads(0)).map(|before| {
                    late = None;
                    access.ok(&before.to_ne_bytes())
                })
            })
        }),
        // Garbage in the resuming state is found out, and nobody can tell.
        fault("L-MR-06", "failed-is-stopped", || {
            numbers(|state, access, value| if access.reads(0) && state == ERROR { u64::from(STOPPED) } else { value })
        }),
        fault("L-MR-07", "stopped-for-good", || lacks(STOPPED, RUNNING)),
        fault("L-MR-07", "stopped-by-way-of-the-copy-alone", || lacks(RUNNING, STOPPED)),
        fault("L-MR-07", "copied-by-way-of-pre-copy-alone", || lacks(RUNNING, STOP_AND_COPY)),
        fault("L-MR-07", "resumed-when-stopped-alone", || lacks(RUNNING, RESUMING)),
        fault("L-MR-07", "the-copy-ends-in-running-alone", || lacks(STOP_AND_COPY, STOPPED)),
        fault("L-MR-07", "the-copy-cannot-be-given-up", || lacks(STOP_AND_COPY, RUNNING)),
        fault("L-MR-07", "pre-copy-cannot-be-ended", || lacks(PRE_COPY, STOP_AND_COPY)),
        fault("L-MR-07", "resumed-and-never-run", || lacks(RESUMING, RUNNING)),
        fault("L-MR-09", "pre-copy-is-not-implemented", || lacks(RUNNING, PRE_COPY)),
        fault("L-MR-20", "pre-copy-ends-between-two-portions", || {
            let mut within = false;
            answered(move |state, access| {
                within = (within || access.reads(PLACE)) && !access.reads(PENDING);
                let refused = within && state == PRE_COPY && access.wanted() == Some(STOP_AND_COPY);
                refused.then_some(Answer::Error(Errno::EBUSY))
            })
        }),
        // A device that says so, and works on.
        fault("L-MR-30", "a-word-and-no-more", || {
            machine(|_, wanted| if wanted == STOPPED { Does::Goes(STOPPED) } else { Does::Right })
        }),
        fault("L-MR-30", "copied-while-it-works", || {
            machine(|_, wanted| if wanted == STOP_AND_COPY { Does::Goes(STOP_AND_COPY) } else { Does::Right })
        }),
        fault("L-MR-30", "what-was-begun-is-done-later", || {
            let mut memory = None;
            around_server(server_of(Profile::V0_9_1), move |step| {
                if is(&step.frame, "DMA_MAP") {
                    memory = step.fds.first().and_then(|fd| fd.try_clone().ok()).map(File::from);
                }
                let told = is(&step.frame, "REGION_WRITE") && get(&step.frame, "region") != u64::from(REGION);
                let state = state_of(step.server, step.memory);
                let stopped = told && (state == Some(STOPPED) || state == Some(STOP_AND_COPY));
                if let Some(memory) = memory.as_ref().filter(|_| stopped).and_then(|memory| memory.try_clone().ok()) {
                    // A thread of its own does the work.
                    std::thread::spawn(move || {
                        std::thread::sleep(Duration::from_millis(10));
                        memory.write_at(&[3; 16], 0)
                    });
                }
                step.pass();
            })
        }),
        // Like a library that lets only migration through.
        fault("L-MR-28", "nothing-but-migration", || {
            around_server(server_of(Profile::V0_9_1), |step| {
                let read = is(&step.frame, "REGION_READ") && get(&step.frame, "region") != u64::from(REGION);
                if read && state_of(step.server, step.memory) == Some(STOP_AND_COPY) {
                    step.answer(Answer::Error(Errno::EINVAL));
                } else {
                    step.pass();
                }
            })
        })
        .noted(),
        fault("L-MR-29", "ashamed-of-a-refusal", || {
            let mut refused = false;
            answered(move |_, access| {
                let hides = refused && access.reads(0);
                refused = access.wanted().is_some_and(|wanted| wanted > 4);
                hides.then_some(Answer::Error(Errno::EIO))
            })
        }),
    ]
}

fn refused() -> Vec<Fault> {
    vec![
        fault("L-MR-05", "refused-half-way", || {
            machine(|is, wanted| if (is, wanted) == (STOPPED, PRE_COPY) { Does::Fails(RUNNING) } else { Does::Right })
        }),
        fault("L-MR-05", "a-refusal-stops-the-device", || {
            machine(|is, wanted| if wanted > 4 && is == RUNNING { Does::Fails(STOPPED) } else { Does::Right })
        }),
        fault("L-MR-08", "copied-when-stopped", || has(STOPPED, STOP_AND_COPY)),
        fault("L-MR-08", "pre-copy-starts-the-device", || has(STOPPED, PRE_COPY)),
        fault("L-MR-08", "resumed-when-stopped", || has(STOPPED, RESUMING)),
        fault("L-MR-08", "back-to-pre-copy", || has(STOP_AND_COPY, PRE_COPY)),
        fault("L-MR-08", "resumed-out-of-the-copy", || has(STOP_AND_COPY, RESUMING)),
        // As libvfio-user does.
        fault("L-MR-08", "pre-copy-is-given-up", || has(PRE_COPY, RUNNING)),
        fault("L-MR-08", "stopped-out-of-pre-copy", || has(PRE_COPY, STOPPED)),
        fault("L-MR-08", "resumed-out-of-pre-copy", || has(PRE_COPY, RESUMING)),
        fault("L-MR-08", "resumed-and-stopped", || has(RESUMING, STOPPED)),
        fault("L-MR-08", "resumed-and-copied", || has(RESUMING, STOP_AND_COPY)),
        fault("L-MR-08", "resumed-into-pre-copy", || has(RESUMING, PRE_COPY)),
        fault("L-MR-10", "the-error-state-as-any-other", || {
            machine(|_, wanted| if wanted == ERROR { Does::Goes(ERROR) } else { Does::Right })
        }),
        fault("L-MR-10", "any-three-bits", || {
            machine(|_, wanted| if wanted == NONE { Does::Goes(NONE) } else { Does::Right })
        }),
        fault("L-MR-10", "what-is-no-state-is-nothing", || {
            machine(|is, wanted| if matches!(wanted, 5 | NONE) { Does::Goes(is) } else { Does::Right })
        }),
        // As in libvfio-user, which looks into its table of states first.
        fault("L-MR-11", "a-table-without-an-end", || {
            panics(|_, access| access.wanted().is_some_and(|wanted| wanted > 7))
        })
        .by_process(),
        fault("L-MR-11", "no-answer-to-what-is-no-state", || {
            answered(|_, access| access.wanted().filter(|wanted| *wanted > 7).map(|_| Answer::Nothing))
        }),
        fault("L-MR-11", "three-bits-of-it-count", || {
            machine(|is, wanted| if wanted > 7 { Does::Goes(is) } else { Does::Right })
        })
        .noted(),
    ]
}

fn registers() -> Vec<Fault> {
    let half = |access: &Access| access.offset < 32 && !access.is_whole();
    vec![
        fault("L-MR-02", "the-state-is-written-only", || {
            answered(|_, access| access.reads(0).then_some(Answer::Error(Errno::EINVAL)))
        }),
        fault("L-MR-02", "pending-is-not-implemented", || {
            answered(|_, access| access.reads(PENDING).then_some(Answer::Error(Errno::EINVAL)))
        }),
        fault("L-MR-12", "reserved-is-the-state-too", || {
            accesses(|_, access, step| {
                let data = access.writes(4).then(|| access.data.clone());
                step.pass_then(|server, memory| {
                    if let Some(data) = data {
                        write(server, memory, 0, &data);
                    }
                });
            })
        }),
        fault("L-MR-12", "reserved-is-refused", || {
            answered(|_, access| (access.offset == 4 && access.count == 4).then_some(Answer::Error(Errno::EINVAL)))
        })
        .noted(),
        fault("L-MR-13", "pending-is-what-was-written", || {
            let mut written = None;
            answered(move |_, access| match () {
                () if access.writes(PENDING) => {
                    written = Some(access.data.clone());
                    Some(access.ok(&[]))
                }
                () if access.reads(PENDING) => written.as_ref().map(|data| access.ok(data)),
                () => None,
            })
        }),
        fault("L-MR-14", "asked-for-is-taken-away", || {
            let mut asked = 0;
            numbers(move |state, access, value| {
                asked += u64::from(state == STOP_AND_COPY && access.reads(PENDING));
                if access.reads(PENDING) { value.saturating_sub(asked) } else { value }
            })
        }),
        fault("L-MR-15", "a-write-moves-the-data", || {
            let mut moved = 0;
            answered(move |state, access| {
                moved += 8 * u64::from(access.writes(PLACE));
                let place = (DATA + moved).to_ne_bytes();
                (moved > 0 && state == STOP_AND_COPY && access.reads(PLACE)).then(|| access.ok(&place))
            })
        }),
        fault("L-MR-24", "any-width", move || {
            answered(move |_, access| (half(access) && !access.writes).then(|| access.ok(&vec![0; access.count])))
        }),
        fault("L-MR-24", "the-middle-of-a-register", move || {
            panics(move |_, access| half(access) && access.offset > 0)
        })
        .by_process(),
        fault("L-MR-25", "what-is-asked-stops-the-device", || {
            accesses(|state, access, step| {
                let stops = state == RUNNING && access.reads(PLACE);
                step.pass_then(|server, memory| {
                    if stops {
                        write(server, memory, 0, &STOPPED.to_ne_bytes());
                    }
                });
            })
        }),
        fault("L-MR-25", "nothing-to-give-away", || panics(|state, access| state == RUNNING && access.reads(SIZE)))
            .by_process(),
        fault("L-MR-26", "the-gap-is-state", || {
            accesses(|_, access, step| {
                let stops = access.writes(64);
                step.pass_then(|server, memory| {
                    if stops {
                        write(server, memory, 0, &STOPPED.to_ne_bytes());
                    }
                });
            })
        }),
        fault("L-MR-26", "data-begin-before-the-gap", || panics(|_, access| (64..DATA).contains(&access.offset)))
            .by_process(),
    ]
}
