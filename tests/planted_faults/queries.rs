//! What faults of DEVICE_GET_INFO, DEVICE_GET_REGION_INFO and DEVICE_GET_IRQ_INFO have in common.

use vfio_user_reference_server::{Effect, Errno};
use vfio_user_wire::Frame;

use crate::fault::{Fault, fault};
use crate::loops::structure;
use crate::wrapper::{Answer, Faulty, answers, around, get, is, put, replies_to};

/// Such commands are refused.
pub(crate) fn refuses(name: &'static str, which: fn(&Frame) -> bool) -> Faulty {
    answers(move |command| (is(command, name) && which(command)).then_some(Answer::Error(Errno::EINVAL)))
}

/// Such commands are not answered.
pub(crate) fn ignores(name: &'static str, which: fn(&Frame) -> bool) -> Faulty {
    answers(move |command| (is(command, name) && which(command)).then_some(Answer::Nothing))
}

/// The server panics at such commands.
pub(crate) fn panics(name: &'static str, which: fn(&Frame) -> bool, what: &'static str) -> Faulty {
    answers(move |command| {
        assert!(!is(command, name) || !which(command), "{what}");
        None
    })
}

/// Where a field of the request is not 0, the reply, which is filled into it, has that too.
pub(crate) fn repeats(name: &'static str, field: &'static str) -> Faulty {
    replies_to(name, move |command, reply| {
        if get(command, field) != 0 {
            put(reply, field, get(command, field));
        }
    })
}

/// An argsz below the fixed part of the reply; `length` is the requirement for the reply's length.
pub(crate) fn small_argsz(requirement: &'static str, name: &'static str, length: &'static str) -> Vec<Fault> {
    let below = |command: &Frame| get(command, "argsz") < structure(&command.header) as u64;
    vec![
        fault(requirement, "cut-down-to-argsz", move || cut(name, |argsz| argsz)).noted(),
        fault(requirement, "a-header-alone-where-argsz-is-too-small", move || cut(name, |_| 0))
            .also(length, "another length"),
        fault(requirement, "the-fields-that-fit", move || cut(name, |argsz| argsz & !3)).also(length, "another length"),
        fault(requirement, "argsz-less-the-structure", move || {
            panics(name, below, "attempt to subtract with overflow")
        })
        .by_process(),
        fault(requirement, "no-answer-where-argsz-is-too-small", move || ignores(name, below)),
    ]
}

/// Where argsz is below the fixed part, the reply has so many bytes of it.
fn cut(name: &'static str, length: fn(usize) -> usize) -> Faulty {
    around(move |mut step| {
        let (argsz, fixed) = (get(&step.frame, "argsz") as usize, structure(&step.frame.header));
        if !is(&step.frame, name) || argsz >= fixed {
            return step.pass();
        }
        put(&mut step.frame, "argsz", fixed as u64);
        step.pass_and(|effects| {
            for effect in effects {
                let Effect::Send { frame, .. } = effect else { continue };
                if frame.header.is_error() {
                    continue;
                }
                frame.payload.truncate(length(argsz));
                *frame = Frame::reply(&frame.header, std::mem::take(&mut frame.payload));
            }
        });
    })
}
