//! Order, No_reply, and many commands at one time.

use std::os::fd::OwnedFd;
use std::os::unix::net::UnixListener;

use vfio_user_reference_server::{Effect, FRAME_LIMIT, Machine};
use vfio_user_wire::{Frame, NO_REPLY};

use crate::fault::{Fault, fault, loop_fault};
use crate::loops::serve_clients;
use crate::wrapper::{Answer, Faulty, Step, answers, around, is, send};

/// No server can show these.
pub(crate) const NO_FAULT: &[(&str, &str)] = &[];

/// How many replies wait in a queue.
const QUEUE: usize = 48;

pub(crate) fn faults() -> Vec<Fault> {
    vec![
        fault("CONC-01", "reads-overtake-writes", || {
            late(|frame| is(frame, "REGION_WRITE") && !frame.header.no_reply())
        })
        .also("RWRITE-04", "a write that is put off is answered before it can be refused"),
        fault("CONC-02", "posted-writes-are-late", || {
            late(|frame| is(frame, "REGION_WRITE") && frame.header.no_reply())
        }),
        fault("CONC-02", "posted-maps-are-late", || late(|frame| is(frame, "DMA_MAP") && frame.header.no_reply())),
        fault("CONC-03", "no-reply-is-unknown", || answered_all_the_same(|reply| !reply.header.is_error())),
        fault("CONC-04", "failures-are-always-told", || answered_all_the_same(|reply| reply.header.is_error())),
        loop_fault("CONC-05", "a-queue-of-48", |listener, stop| {
            serve_batches(&listener, &stop, |replies| replies.truncate(QUEUE));
        }),
        // MSG_DONTWAIT, and nobody looks at what comes of it.
        loop_fault("CONC-05", "no-room-is-no-reply", |listener, stop| {
            serve_clients(&listener, &stop, |client| {
                while let Some(frame) = client.message() {
                    let effects = client.carry_out(frame);
                    if client.has_room() && !client.perform(effects) {
                        break;
                    }
                }
                true
            });
        }),
        loop_fault("CONC-06", "the-last-reply-first", |listener, stop| {
            serve_batches(&listener, &stop, |replies| replies.reverse());
        }),
        fault("CONC-07", "any-message-is-the-reply", || {
            let mut waiting = false;
            around(move |step| {
                if waiting && !step.frame.header.is_reply() {
                    return;
                }
                step.pass_and(|effects| waiting = has_command(effects));
            })
        }),
        fault("CONC-09", "reads-for-nobody-are-left-out", || {
            answers(|command| (is(command, "REGION_READ") && command.header.no_reply()).then_some(Answer::Nothing))
        }),
        // A reply that does not go out at once is a failure of the whole server.
        loop_fault("CONC-10", "no-room-is-the-end", |listener, stop| {
            serve_clients(&listener, &stop, |client| {
                while let Some(frame) = client.message() {
                    let effects = client.carry_out(frame);
                    if !client.has_room() {
                        return false;
                    }
                    if !client.perform(effects) {
                        break;
                    }
                }
                true
            });
        }),
        fault("CONC-11", "unmaps-are-late", || late(|frame| is(frame, "DMA_UNMAP"))),
    ]
}

/// Carries out all messages that one recv() brings, and changes what is to be done before it is done.
fn serve_batches(listener: &UnixListener, stop: &OwnedFd, change: fn(&mut Vec<Vec<Effect>>)) {
    serve_clients(listener, stop, |client| {
        let mut bytes = Vec::new();
        while let Some(more) = client.receive(1 << 20) {
            bytes.extend(more);
            let mut todo = Vec::new();
            while let Ok(Some((frame, size))) = Frame::split(&bytes, FRAME_LIMIT) {
                bytes.drain(..size);
                todo.push(client.carry_out(frame));
            }
            change(&mut todo);
            if !todo.into_iter().all(|effects| client.perform(effects)) {
                break;
            }
        }
        true
    });
}

/// Such commands are answered at once, with success, and carried out behind the command that comes next.
fn late(is_late: fn(&Frame) -> bool) -> Faulty {
    let mut waiting: Option<(Frame, Vec<OwnedFd>)> = None;
    around(move |Step { channel, server, frame, fds, memory, effects }| {
        let before = waiting.take();
        if is_late(&frame) {
            if !frame.header.no_reply() {
                let payload = frame.payload.iter().copied().take(if is(&frame, "DMA_UNMAP") { 24 } else { 16 });
                effects.push(send(Frame::reply(&frame.header, payload.collect())));
            }
            waiting = Some((frame, fds));
        } else {
            Step { channel, server: &mut *server, frame, fds, memory: &mut *memory, effects: &mut *effects }.pass();
        }
        if let Some((frame, fds)) = before {
            // It was answered already.
            let mut answered = Vec::new();
            server.receive(frame, fds, memory, &mut answered);
            effects.extend(answered.into_iter().filter(|effect| !matches!(effect, Effect::Send { .. })));
        }
    })
}

/// Commands with No_reply get these replies all the same.
fn answered_all_the_same(which: fn(&Frame) -> bool) -> Faulty {
    around(move |mut step| {
        let quiet = step.frame.header.no_reply();
        step.frame.header.flags &= !NO_REPLY;
        step.pass_and(|effects| {
            if quiet {
                effects.retain(|effect| !matches!(effect, Effect::Send { frame, .. } if !which(frame)));
            }
        });
    })
}

fn has_command(effects: &[Effect]) -> bool {
    effects.iter().any(|effect| matches!(effect, Effect::Send { frame, .. } if !frame.header.is_reply()))
}
