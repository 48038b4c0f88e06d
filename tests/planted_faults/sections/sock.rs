//! Socket and serving model.

use std::collections::BTreeMap;
use std::os::fd::OwnedFd;

use serde_json::Value;
use vfio_user_reference_server::{Effect, Errno, HostMemory, Machine};

use crate::clients::{First, Guest, Turn, perform, serve_guests};
use crate::dma::Window;
use crate::fault::{Fault, fault, loop_fault};
use crate::wrapper::{Answer, Faulty, Step, around, capabilities, is};

/// No server can show these.
pub(crate) const NO_FAULT: &[(&str, &str)] = &[];

pub(crate) fn faults() -> Vec<Fault> {
    [several(), without_descriptors()].into_iter().flatten().collect()
}

fn several() -> Vec<Fault> {
    vec![
        loop_fault("SOCK-01", "who-comes-takes-over", |listener, stop| {
            serve_guests(&listener, &stop, &First::Newest, |guests, turn| {
                if matches!(turn, Turn::Came) {
                    guests.drain(..guests.len() - 1);
                }
                answer(guests, turn, &stop);
            });
        })
        .noted(),
        loop_fault("SOCK-01", "who-leaves-ends-all-sessions", |listener, stop| {
            serve_guests(&listener, &stop, &First::Newest, |guests, turn| {
                if matches!(turn, Turn::Left) {
                    guests.iter_mut().for_each(|guest| guest.server.connect());
                }
                answer(guests, turn, &stop);
            });
        }),
        loop_fault("SOCK-01", "replies-to-who-came-last", |listener, stop| {
            serve_guests(&listener, &stop, &First::Newest, |guests, turn| {
                let effects = effects_of(guests, turn);
                if let Some(last) = guests.last_mut() {
                    perform(last, effects, &stop);
                }
            });
        }),
        // One object for the session, and VERSION begins it.
        loop_fault("SOCK-01", "one-session-for-all", |listener, stop| {
            serve_guests(&listener, &stop, &First::Newest, |guests, turn| {
                let Turn::Said(at, frame, fds) = turn else { return };
                let mut effects = Vec::new();
                if let Some((session, others)) = guests.split_first_mut() {
                    if is(&frame, "VERSION") {
                        session.server.connect();
                    }
                    session.server.receive(frame, fds, &mut session.memory, &mut effects);
                    perform(if at == 0 { session } else { &mut others[at - 1] }, effects, &stop);
                }
            });
        }),
        loop_fault("SOCK-02", "one-table-of-mappings", |listener, stop| {
            let mut shared = HostMemory::new().unwrap();
            serve_guests(&listener, &stop, &First::Newest, |guests, turn| {
                if let Turn::Said(at, frame, fds) = turn {
                    let mut effects = Vec::new();
                    guests[at].server.receive(frame, fds, &mut shared, &mut effects);
                    perform(&mut guests[at], effects, &stop);
                }
            });
        }),
        // A cache of what stands behind an address.
        loop_fault("SOCK-02", "the-first-file-of-an-address", |listener, stop| {
            let mut files: BTreeMap<u64, OwnedFd> = BTreeMap::new();
            serve_guests(&listener, &stop, &First::Newest, |guests, mut turn| {
                if let Turn::Said(_, frame, fds) = &mut turn
                    && let (true, Some(fd)) = (is(frame, "DMA_MAP"), fds.first_mut())
                {
                    let own = fd.try_clone().unwrap();
                    *fd = files.entry(Window::named(frame).address).or_insert(own).try_clone().unwrap();
                }
                answer(guests, turn, &stop);
            });
        }),
    ]
}

fn without_descriptors() -> Vec<Fault> {
    vec![
        fault("SOCK-03", "clients-must-take-descriptors", || {
            without(
                |step| {
                    if is(&step.frame, "VERSION") { step.answer(Answer::Error(Errno::EINVAL)) } else { step.pass() }
                },
            )
        }),
        fault("SOCK-03", "regions-are-for-mapping", || {
            without(
                |step| {
                    if is(&step.frame, "REGION_READ") { step.answer(Answer::Error(Errno::EPERM)) } else { step.pass() }
                },
            )
        })
        .also("RREAD-01", "a region that can be read is not"),
        fault("SOCK-03", "no-dma-by-message", || {
            without(|step| {
                step.pass_and(|effects| {
                    effects.retain(|effect| matches!(effect, Effect::Send { frame, .. } if frame.header.is_reply()));
                });
            })
        }),
    ]
}

/// Lets each guest's own server deal with what it said.
fn answer(guests: &mut [Guest], turn: Turn, stop: &OwnedFd) {
    if let Turn::Said(at, frame, fds) = turn {
        let effects = effects_of(guests, Turn::Said(at, frame, fds));
        perform(&mut guests[at], effects, stop);
    }
}

fn effects_of(guests: &mut [Guest], turn: Turn) -> Vec<Effect> {
    let mut effects = Vec::new();
    if let Turn::Said(at, frame, fds) = turn {
        let Guest { server, memory, .. } = &mut guests[at];
        server.receive(frame, fds, memory, &mut effects);
    }
    effects
}

/// Messages of a client that takes no descriptors go through `receive`.
fn without(receive: fn(Step<'_>)) -> Faulty {
    let mut none = false;
    around(move |step| {
        if is(&step.frame, "VERSION") {
            none = capabilities(&step.frame).get("max_msg_fds").and_then(Value::as_u64) == Some(0);
        }
        if none { receive(step) } else { step.pass() }
    })
}
