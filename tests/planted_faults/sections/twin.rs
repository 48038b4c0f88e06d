//! The twin socket.

use std::os::fd::OwnedFd;
use std::sync::Arc;

use nix::sys::eventfd::EventFd;
use nix::sys::socket::{AddressFamily, SockFlag, SockType, socket, socketpair};
use serde_json::json;
use vfio_user_reference_server::{Channel, Effect, Errno, Feature, Server, Without};

use crate::dma::has_command;
use crate::fault::{Fault, fault};
use crate::twin::{at_the_end, passes, proposals, sends_on, twin_replies, wants_twin};
use crate::wrapper::{Answer, answers, around, capabilities, effects, hang, is};

/// No server can show these.
pub(crate) const NO_FAULT: &[(&str, &str)] =
    &[("TWIN-02", "it permits something, and no remark is ever made of a permission")];

pub(crate) fn faults() -> Vec<Fault> {
    [proposed(), whole(), sockets(), commands(), bad_input(), ends()].into_iter().flatten().collect()
}

fn proposed() -> Vec<Fault> {
    vec![
        fault("TWIN-01", "given-to-everybody", || {
            proposals(|proposed| {
                proposed.insert("twin_socket".to_owned(), json!({ "supported": true }));
            })
        })
        .also("VER-06", "which says the same"),
        fault("TWIN-01", "the-name-is-enough", || {
            proposals(|proposed| {
                if let Some(twin) = proposed.get_mut("twin_socket") {
                    *twin = json!({ "supported": true });
                }
            })
        })
        .also("VER-06", "which says the same"),
        // The pair is made before the proposal is read.
        fault("TWIN-01", "the-descriptor-all-the-same", || {
            effects(|command, effects| {
                for effect in effects {
                    if let Effect::Send { frame, fds, .. } = effect
                        && is(command, "VERSION")
                        && !frame.header.is_error()
                        && !wants_twin(command)
                    {
                        fds.push(pair(SockType::Stream));
                    }
                }
            })
        }),
        fault("TWIN-09", "no-twin-socket", || Box::new(Server::with(Without::from_iter([Feature::TwinSocket])))),
        fault("TWIN-10", "whatever-the-client-can-take", || {
            proposals(|proposed| {
                if let Some(most) = proposed.get_mut("max_msg_fds").filter(|most| **most == json!(0)) {
                    *most = json!(1);
                }
            })
        })
        .also("VER-14", "its descriptor is one more than the client can take"),
        fault("TWIN-11", "an-index-in-a-request-is-refused", || {
            answers(|command| {
                let index = capabilities(command).get("twin_socket").is_some_and(|twin| twin.get("fd_index").is_some());
                (is(command, "VERSION") && index).then_some(Answer::Error(Errno::EINVAL))
            })
        }),
        fault("TWIN-11", "an-index-in-a-request-ends-the-session", || {
            answers(|command| {
                let index = capabilities(command).get("twin_socket").is_some_and(|twin| twin.get("fd_index").is_some());
                (is(command, "VERSION") && index).then_some(Answer::Close)
            })
        }),
    ]
}

fn whole() -> Vec<Fault> {
    const SAME: &str = "which says the same of a twin socket that is claimed";
    vec![
        fault("TWIN-03", "no-index", || twin_replies(|twin, _| *twin = Some(json!({ "supported": true }))))
            .also("TWIN-04", SAME),
        fault("TWIN-03", "the-descriptor-is-forgotten", || twin_replies(|_, fds| fds.clear())).also("TWIN-04", SAME),
        fault("TWIN-03", "counted-from-1", || {
            twin_replies(|twin, fds| *twin = Some(json!({ "supported": true, "fd_index": fds.len() })))
        })
        .also("TWIN-04", SAME),
        fault("TWIN-04", "an-index-in-quotes", || {
            twin_replies(|twin, _| *twin = Some(json!({ "supported": true, "fd_index": "0" })))
        })
        .also("TWIN-03", SAME),
        fault("TWIN-04", "the-descriptor-without-a-word", || twin_replies(|twin, _| *twin = None)),
        fault("TWIN-04", "supported-is-a-number", || {
            twin_replies(|twin, _| *twin = Some(json!({ "supported": 1, "fd_index": 0 })))
        }),
        fault("TWIN-04", "supported-alone", || twin_replies(|twin, _| *twin = Some(json!(true)))),
    ]
}

fn sockets() -> Vec<Fault> {
    vec![
        fault("TWIN-05", "an-eventfd", || passes(|_| Arc::new(EventFd::new().unwrap().into()))),
        fault("TWIN-05", "a-socket-without-a-peer", || {
            passes(|_| Arc::new(socket(AddressFamily::Unix, SockType::Stream, SockFlag::SOCK_CLOEXEC, None).unwrap()))
        }),
        fault("TWIN-05", "one-pair-for-all-clients", || {
            let mut first = None;
            passes(move |socket| Arc::clone(first.get_or_insert_with(|| Arc::clone(socket))))
        }),
        fault("TWIN-05", "packets", || passes(|_| pair(SockType::SeqPacket))).noted(),
    ]
}

fn commands() -> Vec<Fault> {
    vec![
        fault("TWIN-06", "commands-on-the-main-socket", || {
            sends_on(|frame| (!frame.header.is_reply()).then_some(Channel::Main))
        }),
        fault("TWIN-06", "writes-on-the-main-socket", || {
            sends_on(|frame| is_command(frame, "DMA_WRITE").then_some(Channel::Main))
        }),
        fault("TWIN-06", "reads-on-the-main-socket", || {
            sends_on(|frame| is_command(frame, "DMA_READ").then_some(Channel::Main))
        }),
        fault("TWIN-07", "replies-are-awaited-on-the-main-socket", || {
            around(|step| {
                if step.channel == Channel::Main {
                    step.pass();
                }
            })
        }),
        // The engine is done with the first piece, and does not wait for another.
        fault("TWIN-07", "one-reply-is-read", || {
            let mut replies = 0;
            around(move |step| {
                replies += u32::from(step.channel == Channel::Twin);
                if step.channel == Channel::Main || replies <= 1 {
                    step.pass();
                }
            })
        }),
    ]
}

fn bad_input() -> Vec<Fault> {
    vec![
        fault("TWIN-08", "a-reply-must-be-awaited", || {
            let mut asked = false;
            around(move |step| {
                assert!(asked || step.channel == Channel::Main, "a reply to nothing");
                step.pass_and(|effects| asked |= has_command(effects));
            })
        })
        .by_process(),
        fault("TWIN-08", "only-replies-can-come", || {
            around(|step| {
                let reply = step.channel == Channel::Main || step.frame.header.is_reply();
                assert!(reply, "a message of type {} on the twin socket", step.frame.header.flags & 0xf);
                step.pass();
            })
        })
        .by_process(),
        fault("TWIN-08", "the-id-is-what-was-sent", || {
            let mut sent = None;
            around(move |step| {
                let id = step.frame.header.id;
                assert!(step.channel == Channel::Main || sent.is_none_or(|sent| sent == id), "another id: {id}");
                step.pass_and(|effects| {
                    let command = effects.iter().find_map(|effect| match effect {
                        Effect::Send { frame, .. } if !frame.header.is_reply() => Some(frame.header.id),
                        _ => None,
                    });
                    sent = command.or(sent);
                });
            })
        })
        .by_process(),
        fault("TWIN-08", "its-end-is-not-expected", || at_the_end(|| panic!("the twin socket is gone"))).by_process(),
        fault("TWIN-08", "its-end-is-waited-out", || at_the_end(|| hang())),
    ]
}

fn ends() -> Vec<Fault> {
    vec![fault("TWIN-12", "its-end-is-kept", || {
        let mut kept: Vec<Arc<OwnedFd>> = Vec::new();
        effects(move |_, effects| {
            for effect in effects {
                if let Effect::Twin { socket } = effect {
                    kept.push(Arc::clone(socket));
                }
            }
        })
    })]
}

/// A command of the server's own.
fn is_command(frame: &vfio_user_wire::Frame, name: &str) -> bool {
    !frame.header.is_reply() && is(frame, name)
}

/// An end of a pair of which nobody has the other.
fn pair(kind: SockType) -> Arc<OwnedFd> {
    let (end, _) = socketpair(AddressFamily::Unix, kind, None, SockFlag::SOCK_CLOEXEC).unwrap();
    Arc::new(end)
}
