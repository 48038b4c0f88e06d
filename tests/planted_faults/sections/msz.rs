//! argsz and size limits.

use vfio_user_reference_server::{Effect, Errno};
use vfio_user_wire::Frame;

use crate::fault::{Fault, fault};
use crate::loops::structure;
use crate::wrapper::{around, capabilities, commands, effects, get, is, put, replies, replies_to, set_capabilities};

/// No server can show these.
pub(crate) const NO_FAULT: &[(&str, &str)] = &[];

pub(crate) fn faults() -> Vec<Fault> {
    vec![
        fault("MSZ-01", "all-of-it-whatever-the-room", || {
            commands(|frame, _| {
                if is(frame, "DEVICE_GET_REGION_INFO") && get(frame, "argsz") >= 32 {
                    put(frame, "argsz", 4096);
                }
            })
        }),
        fault("MSZ-02", "argsz-of-what-is-sent", || {
            replies_to("DEVICE_GET_REGION_INFO", |_, reply| put(reply, "argsz", reply.payload.len() as u64))
        }),
        fault("MSZ-02", "argsz-as-it-was-asked", || {
            replies(|command, reply| {
                if is(command, "DEVICE_GET_IRQ_INFO") {
                    put(reply, "argsz", get(command, "argsz"));
                }
            })
        })
        .also("IRQINFO-01", "which gives argsz its only right value"),
        fault("MSZ-03", "padded-to-argsz", || {
            replies_to("DEVICE_GET_REGION_INFO", |command, reply| {
                let room = get(command, "argsz").min(64 << 10) as usize;
                reply.payload.resize(room.max(reply.payload.len()), 0);
            })
        }),
        fault("MSZ-04", "too-little-room-is-an-error", || {
            effects(|_, effects| {
                for effect in effects {
                    let Effect::Send { frame, .. } = effect else { continue };
                    let left_out = get(frame, "argsz") > frame.payload.len() as u64;
                    if is(frame, "DEVICE_GET_REGION_INFO") && !frame.header.is_error() && left_out {
                        *frame = Frame::error(&frame.header, Errno::ENOSPC as u32);
                    }
                }
            })
        }),
        fault("MSZ-05", "what-does-not-fit-is-left-out", || {
            around(|mut step| {
                let asks = ["DEVICE_GET_INFO", "DEVICE_GET_REGION_INFO", "DEVICE_GET_IRQ_INFO"];
                let fixed = structure(&step.frame.header) as u64;
                if !asks.iter().any(|name| is(&step.frame, name)) || get(&step.frame, "argsz") >= fixed {
                    return step.pass();
                }
                put(&mut step.frame, "argsz", fixed);
                step.pass_and(|effects| {
                    for effect in effects {
                        let Effect::Send { frame, .. } = effect else { continue };
                        *frame = Frame::reply(&frame.header, Vec::new());
                    }
                });
            })
        })
        .also("INFO-01", "which gives the payload its length")
        .also("REGINFO-01", "which gives the payload its length")
        .also("IRQINFO-01", "which gives the payload its length"),
        fault("MSZ-06", "the-clients-limit-is-not-read", || {
            commands(|frame, _| {
                if is(frame, "VERSION") {
                    let mut stated = capabilities(frame);
                    stated.remove("max_data_xfer_size");
                    set_capabilities(frame, stated);
                }
            })
        })
        .also("DMARW-03", "which says the same of DMA_READ and DMA_WRITE"),
    ]
}
