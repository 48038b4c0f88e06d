//! DEVICE_GET_INFO.

use nix::errno::Errno;
use vfio_user_wire::Frame;

use crate::fault::{Fault, fault};
use crate::queries::{ignores, panics, refuses, repeats, small_argsz};
use crate::wrapper::{Answer, Faulty, answers, get, is, put, replies, replies_to};

const NAME: &str = "DEVICE_GET_INFO";

/// No server can show these.
pub(crate) const NO_FAULT: &[(&str, &str)] = &[];

pub(crate) fn faults() -> Vec<Fault> {
    [reply(), promises(), again(), request()].into_iter().flatten().collect()
}

fn reply() -> Vec<Fault> {
    vec![
        fault("INFO-01", "no-num-irqs", || info(|_, reply| reply.payload.truncate(12))),
        // The structure of newer kernels.
        fault("INFO-01", "with-a-cap-offset", || {
            info(|_, reply| {
                reply.payload.resize(24, 0);
                put(reply, "argsz", 24);
            })
        })
        .also("INFO-02", "argsz says so, too"),
        // Of this no case asks: it shows where the session is asked whether it goes on.
        fault("INFO-01", "refused-after-an-unmap-of-nothing", || {
            let mut refused = false;
            answers(move |command| {
                refused &= !is(command, "VERSION");
                refused |= is(command, "DMA_UNMAP") && get(command, "address") == 0x765_4000;
                (refused && is(command, NAME)).then_some(Answer::Error(Errno::EINVAL))
            })
        }),
        fault("INFO-01", "a-whole-buffer", || info(|_, reply| reply.payload.resize(256, 0))),
        fault("INFO-02", "no-argsz", || info(|_, reply| put(reply, "argsz", 0))),
        fault("INFO-02", "the-size-of-the-message", || info(|_, reply| put(reply, "argsz", 32))),
        fault("INFO-04", "the-reset-flag-alone", || info(|_, reply| put(reply, "flags", 1))),
        fault("INFO-04", "a-platform-device", || info(|_, reply| put(reply, "flags", 1 | 1 << 2))),
        fault("INFO-07", "the-kernel-s-capability-flag", || info(|_, reply| put(reply, "flags", 3 | 1 << 7))),
        fault("INFO-11", "as-many-regions-as-an-index-of-a-byte-names", || {
            info(|_, reply| put(reply, "num_regions", 256))
        }),
        fault("INFO-11", "vectors-in-place-of-types", || info(|_, reply| put(reply, "num_irqs", 2048 + 5))),
    ]
}

fn promises() -> Vec<Fault> {
    vec![
        fault("INFO-03", "the-flag-without-the-command", || refuses("DEVICE_RESET", |_| true))
            .also("RESET-05", "which says the same"),
        fault("INFO-03", "the-command-without-the-flag", || info(|_, reply| put(reply, "flags", 2))).noted(),
        fault("INFO-05", "regions-that-are-there", || info(|_, reply| put(reply, "num_regions", 5)))
            .also("INFO-01", "a PCI device has nine regions")
            .also("REGINFO-12", "regions behind the last are there")
            .also("RREAD-04", "regions behind the last can be read"),
        fault("INFO-05", "the-last-index-for-the-number", || info(|_, reply| put(reply, "num_regions", 8)))
            .also("INFO-01", "a PCI device has nine regions"),
        fault("INFO-05", "no-answer-for-a-bar-that-is-not-there", || {
            refuses("DEVICE_GET_REGION_INFO", |command| get(command, "index") == 3)
        }),
        fault("INFO-05", "no-answer-for-the-rom", || {
            refuses("DEVICE_GET_REGION_INFO", |command| get(command, "index") == 6)
        }),
        fault("INFO-05", "no-answer-for-vga", || {
            refuses("DEVICE_GET_REGION_INFO", |command| get(command, "index") == 8)
        })
        .noted(),
        fault("INFO-05", "one-more-than-there-are", || info(|_, reply| put(reply, "num_regions", 10))),
        // One of the device's own, which is answered for and not counted.
        fault("INFO-05", "one-less-than-there-are", || region_nine(0x1000))
            .also("REGINFO-12", "an index past the last"),
        fault("INFO-05", "one-more-is-answered", || region_nine(0)).noted(),
        fault("INFO-06", "no-answer-for-msi", || refuses("DEVICE_GET_IRQ_INFO", |command| get(command, "index") == 1)),
        fault("INFO-06", "no-answer-for-err-and-req", || {
            refuses("DEVICE_GET_IRQ_INFO", |command| get(command, "index") > 2)
        })
        .noted(),
        fault("INFO-06", "one-more-than-there-are", || info(|_, reply| put(reply, "num_irqs", 6))),
        fault("INFO-06", "err-and-req-are-not-counted", || info(|_, reply| put(reply, "num_irqs", 3)))
            .also("IRQINFO-04", "an index past the last")
            .also("SETIRQS-13", "an index past the last"),
        fault("INFO-06", "one-more-is-answered", || irq_five(0)).noted(),
    ]
}

fn again() -> Vec<Fault> {
    vec![
        fault("INFO-08", "reset-is-offered-until-it-is-used", || {
            let mut used = false;
            replies(move |command, reply| {
                used |= is(command, "DEVICE_RESET");
                if used && is(command, "DEVICE_GET_INFO") {
                    put(reply, "flags", 2);
                }
            })
        }),
        fault("INFO-08", "what-is-mapped-is-a-region", || {
            let mut mapped = 0;
            replies(move |command, reply| {
                mapped += u64::from(is(command, "DMA_MAP"));
                if is(command, "DEVICE_GET_INFO") {
                    put(reply, "num_regions", 9 + mapped);
                }
            })
        }),
        fault("INFO-08", "no-interrupts-after-a-reset", || {
            let mut reset = false;
            replies(move |command, reply| {
                reset |= is(command, "DEVICE_RESET");
                if reset && is(command, "DEVICE_GET_INFO") {
                    put(reply, "num_irqs", 0);
                }
            })
        }),
    ]
}

fn request() -> Vec<Fault> {
    let mut faults = small_argsz("INFO-09", NAME, "INFO-01");
    faults.extend([
        fault("INFO-10", "the-flags-of-the-request-are-added", || {
            info(|command, reply| {
                let flags = get(command, "flags") | get(reply, "flags");
                put(reply, "flags", flags);
            })
        }),
        fault("INFO-10", "num-regions-of-the-request", || repeats(NAME, "num_regions")),
        fault("INFO-10", "num-irqs-of-the-request", || repeats(NAME, "num_irqs")),
        fault("INFO-10", "no-answer-to-flags", || ignores(NAME, |command| get(command, "flags") != 0)),
        fault("INFO-12", "an-argsz-of-16-only", || refuses(NAME, |command| get(command, "argsz") != 16)),
        fault("INFO-12", "filled-up-to-argsz", || {
            info(|command, reply| reply.payload.resize(get(command, "argsz").min(4096) as usize, 0))
        })
        .also("INFO-01", "another length"),
        fault("INFO-12", "argsz-repeated", || info(|command, reply| put(reply, "argsz", get(command, "argsz"))))
            .also("INFO-02", "another argsz"),
        fault("INFO-12", "memory-for-argsz", || {
            panics(NAME, |command| get(command, "argsz") >= 1 << 31, "memory allocation of 4294967295 bytes failed")
        })
        .by_process(),
        fault("INFO-12", "a-signed-argsz", || refuses(NAME, |command| get(command, "argsz") >= 1 << 31)).noted(),
    ]);
    faults
}

/// Another reply to DEVICE_GET_INFO.
fn info(change: fn(&Frame, &mut Frame)) -> Faulty {
    replies_to(NAME, change)
}

/// DEVICE_GET_REGION_INFO knows one region more than DEVICE_GET_INFO, of that size.
pub(super) fn region_nine(size: u64) -> Faulty {
    replies(move |command, reply| {
        if is(command, "DEVICE_GET_REGION_INFO") && reply.header.is_error() && get(command, "index") == 9 {
            *reply = Frame::reply(&command.header, vec![0; 32]);
            // With a type, for which the client leaves no room.
            put(reply, "argsz", 48);
            put(reply, "flags", if size > 0 { 3 } else { 0 });
            put(reply, "index", 9);
            put(reply, "size", size);
        }
    })
}

/// DEVICE_GET_IRQ_INFO knows one type more than DEVICE_GET_INFO, of so many interrupts.
pub(super) fn irq_five(count: u64) -> Faulty {
    replies(move |command, reply| {
        if is(command, "DEVICE_GET_IRQ_INFO") && reply.header.is_error() && get(command, "index") == 5 {
            *reply = Frame::reply(&command.header, vec![0; 16]);
            put(reply, "argsz", 16);
            put(reply, "flags", u64::from(count > 0));
            put(reply, "index", 5);
            put(reply, "count", count);
        }
    })
}
