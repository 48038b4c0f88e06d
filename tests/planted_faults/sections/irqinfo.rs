//! DEVICE_GET_IRQ_INFO.

use vfio_user_reference_server::Errno;
use vfio_user_wire::Frame;
use vfio_user_wire::message::IrqSet;

use super::info::irq_five;
use crate::fault::{Fault, fault};
use crate::queries::{ignores, panics, refuses, repeats, small_argsz};
use crate::wrapper::{Answer, Faulty, answers, around, get, is, put, replies, replies_to};

const NAME: &str = "DEVICE_GET_IRQ_INFO";
const SET: &str = "DEVICE_SET_IRQS";
/// Flags of an interrupt type.
const EVENTFD: u64 = 1;
const MASKABLE: u64 = 1 << 1;
const NORESIZE: u64 = 1 << 3;
/// Flags of DEVICE_SET_IRQS: the data and the action.
const DATA_NONE: u64 = 1;
const DATA_EVENTFD: u64 = 1 << 2;
const MASK: u64 = 1 << 3;
const UNMASK: u64 = 1 << 4;
const TRIGGER: u64 = 1 << 5;

/// No server can show these.
pub(crate) const NO_FAULT: &[(&str, &str)] = &[];

pub(crate) fn faults() -> Vec<Fault> {
    [reply(), absent(), flags(), automasked(), request()].into_iter().flatten().collect()
}

fn reply() -> Vec<Fault> {
    vec![
        fault("IRQINFO-01", "no-count", || info(|_, reply| reply.payload.truncate(12))),
        fault("IRQINFO-01", "a-whole-buffer", || info(|_, reply| reply.payload.resize(64, 0))),
        fault("IRQINFO-01", "no-argsz", || info(|_, reply| put(reply, "argsz", 0))),
        fault("IRQINFO-01", "the-size-of-the-message", || info(|_, reply| put(reply, "argsz", 32))),
        fault("IRQINFO-01", "argsz-repeated", || info(|command, reply| put(reply, "argsz", get(command, "argsz")))),
        fault("IRQINFO-01", "filled-up-to-argsz", || {
            info(|command, reply| reply.payload.resize(get(command, "argsz").clamp(16, 4096) as usize, 0))
        }),
        fault("IRQINFO-02", "no-index", || info(|_, reply| put(reply, "index", 0))),
        fault("IRQINFO-02", "index-by-one-more", || {
            info(|_, reply| {
                let index = get(reply, "index");
                put(reply, "index", index + 1);
            })
        }),
        // The structure on the stack is filled in once.
        fault("IRQINFO-02", "the-index-of-the-first-question", || {
            let mut first = None;
            replies_to(NAME, move |_, reply| {
                let first = *first.get_or_insert(get(reply, "index"));
                put(reply, "index", first);
            })
        }),
        fault("IRQINFO-09", "a-flag-of-another-kernel", || {
            info(|_, reply| {
                let flags = get(reply, "flags");
                put(reply, "flags", flags | 1 << 4);
            })
        }),
        fault("IRQINFO-09", "all-flags-for-msi", || {
            info(|_, reply| {
                if get(reply, "index") == 1 {
                    put(reply, "flags", 0xffff_ffff);
                }
            })
        }),
    ]
}

fn absent() -> Vec<Fault> {
    vec![
        fault("IRQINFO-03", "taken-where-there-is-none", || replies(no_err)),
        fault("IRQINFO-03", "a-trigger-of-what-is-not-there", || {
            taken_for_err(|command| get(command, "flags") == DATA_NONE | TRIGGER)
        }),
        fault("IRQINFO-03", "a-mask-of-what-is-not-there", || {
            taken_for_err(|command| get(command, "flags") & (MASK | UNMASK) != 0)
        }),
        // Nothing is to be taken away, and it is taken away all the same.
        fault("IRQINFO-03", "the-first-of-none-is-disabled", || {
            replies(|command, reply| {
                let disables = is(command, SET) && is_err(command) && get(command, "count") == 0;
                assert!(!disables, "index out of bounds: the len is 0 but the index is 0");
                no_err(command, reply);
            })
        })
        .by_process(),
        fault("IRQINFO-04", "one-behind-the-last", || irq_five(1)),
        fault("IRQINFO-04", "none-for-an-index-that-is-not-there", || irq_five(0)).noted(),
        // A negative index is less than the number.
        fault("IRQINFO-04", "a-signed-index", || {
            replies(|command, reply| {
                if is(command, NAME) && reply.header.is_error() && get(command, "index") >= 1 << 31 {
                    *reply = Frame::reply(&command.header, vec![0; 16]);
                    put(reply, "argsz", 16);
                    put(reply, "index", get(command, "index"));
                    put(reply, "count", 0x7fff);
                }
            })
        }),
        fault("IRQINFO-04", "where-the-index-stands-in-the-table", || {
            panics(NAME, |command| get(command, "index") >= 1 << 31, "attempt to multiply with overflow")
        })
        .by_process(),
        fault("IRQINFO-04", "no-answer-for-an-index-that-is-not-there", || {
            ignores(NAME, |command| get(command, "index") >= 5)
        }),
    ]
}

fn flags() -> Vec<Fault> {
    vec![
        fault("IRQINFO-05", "err-is-not-implemented", || refuses_set(3, DATA_EVENTFD | TRIGGER)),
        fault("IRQINFO-05", "intx-is-not-implemented", || refuses_set(0, DATA_EVENTFD | TRIGGER)),
        fault("IRQINFO-05", "msix-as-a-whole-only", || {
            refuses(SET, |command| get(command, "index") == 2 && matches!(get(command, "count"), 1..8))
        }),
        fault("IRQINFO-06", "no-mask", || refuses_set(2, DATA_NONE | MASK)),
        fault("IRQINFO-06", "no-unmask", || refuses_set(2, DATA_NONE | UNMASK)),
        fault("IRQINFO-06", "a-type-that-is-not-maskable", || {
            info(|_, reply| {
                if get(reply, "index") == 3 {
                    put(reply, "flags", EVENTFD | MASKABLE);
                }
            })
        }),
        fault("IRQINFO-08", "a-type-that-can-grow", || {
            info(|_, reply| {
                let flags = get(reply, "flags");
                put(reply, "flags", if get(reply, "index") == 2 { flags | NORESIZE } else { flags & !NORESIZE });
            })
        }),
        fault("IRQINFO-08", "it-grows-and-nothing-comes-of-it", || {
            answers(|command| {
                let grows = is(command, SET) && get(command, "index") == 1 && get(command, "start") > 0;
                grows.then(|| Answer::Ok(Vec::new()))
            })
        }),
    ]
}

fn automasked() -> Vec<Fault> {
    vec![
        fault("IRQINFO-07", "signalled-again-before-the-unmask", || {
            around(|mut step| {
                // The doorbell that raises an interrupt.
                if is(&step.frame, "REGION_WRITE")
                    && (get(&step.frame, "region"), get(&step.frame, "offset")) == (0, 0x30)
                {
                    let unmask = IrqSet { argsz: 20, flags: (DATA_NONE | UNMASK) as u32, index: 0, start: 0, count: 1 };
                    step.ask(SET, unmask.bytes(), Vec::new());
                }
                step.pass();
            })
        }),
        fault("IRQINFO-07", "never-unmasked", || {
            answers(|command| {
                let unmask = is(command, SET) && get(command, "flags") & UNMASK != 0;
                (unmask && get(command, "index") == 0).then(|| Answer::Ok(Vec::new()))
            })
        }),
    ]
}

fn request() -> Vec<Fault> {
    let mut faults = small_argsz("IRQINFO-10", NAME, "IRQINFO-01");
    faults.extend([
        fault("IRQINFO-11", "flags-of-the-request", || repeats(NAME, "flags")),
        fault("IRQINFO-11", "the-flags-of-the-request-are-added", || {
            info(|command, reply| {
                let flags = get(command, "flags") | get(reply, "flags");
                put(reply, "flags", flags);
            })
        }),
        fault("IRQINFO-11", "count-of-the-request", || repeats(NAME, "count")),
        fault("IRQINFO-11", "no-answer-to-flags", || ignores(NAME, |command| get(command, "flags") != 0)),
    ]);
    faults
}

/// Another reply to DEVICE_GET_IRQ_INFO.
fn info(change: fn(&Frame, &mut Frame)) -> Faulty {
    replies_to(NAME, change)
}

fn is_err(command: &Frame) -> bool {
    get(command, "index") == 3
}

/// ERR is reported as not implemented.
fn no_err(command: &Frame, reply: &mut Frame) {
    if is(command, NAME) && is_err(command) && !reply.header.is_error() {
        put(reply, "flags", 0);
        put(reply, "count", 0);
    }
}

/// ERR is not implemented, and takes nothing but what `taken` finds.
fn taken_for_err(taken: fn(&Frame) -> bool) -> Faulty {
    replies(move |command, reply| {
        no_err(command, reply);
        if is(command, SET) && is_err(command) {
            *reply = if taken(command) {
                Frame::reply(&command.header, Vec::new())
            } else {
                Frame::error(&command.header, Errno::EINVAL as u32)
            };
        }
    })
}

/// A type refuses messages with these flags.
fn refuses_set(index: u64, flags: u64) -> Faulty {
    answers(move |command| {
        let is_it = is(command, SET) && get(command, "index") == index && get(command, "flags") == flags;
        (is_it && get(command, "count") > 0).then_some(Answer::Error(Errno::EOPNOTSUPP))
    })
}
