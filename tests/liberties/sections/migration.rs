//! Features, migration, the log of DMA writes, and resets.

use vfio_user_reference_server::{Effect, Errno, Feature, Memory, Without};
use vfio_user_wire::device_state::{RESUMING, RUNNING, STOP, STOP_COPY};
use vfio_user_wire::feature::DmaLoggingReport;
use vfio_user_wire::message::{DeviceFeature, DmaUnmap, IrqSet, MigrationData};
use vfio_user_wire::{Frame, V0_9_2, feature_flags as flags, feature_index as index, irq_set_flags};

use crate::layer::{Message, Served, around, around_each, refuses, replies_to, taken};
use crate::liberty::{Liberty, liberty, set};
use crate::wrapper::{get, is, put};

const FEATURE: &str = "DEVICE_FEATURE";
const STATES: [&str; 8] = ["MIGFSM-*", "MIGDATA-*", "FEAT-*", "RESET-*", "DISC-*", "DLOG-28", "HDR-33", "migration.*"];
const LOG: [&str; 4] = ["DLOG-*", "FEAT-*", "migration.*", "DISC-11"];

/// Feature and operation that a DEVICE_FEATURE names.
fn feature(frame: &Frame) -> Option<(u16, u32)> {
    let (head, _) = DeviceFeature::parse(&frame.payload).filter(|_| is(frame, FEATURE))?;
    Some((head.index(), head.operation()))
}

/// The state that is asked for.
fn wanted(frame: &Frame) -> Option<u32> {
    let set = feature(frame) == Some((index::MIG_DEVICE_STATE, flags::SET));
    let state = frame.payload.get(8..12).filter(|_| set)?;
    Some(u32::from_ne_bytes(state.try_into().ok()?))
}

fn ask(
    served: &mut dyn vfio_user_reference_server::Machine,
    memory: &mut dyn Memory,
    name: &str,
    payload: Vec<u8>,
) -> Option<Frame> {
    let number = V0_9_2.command(name)?.0;
    let mut effects = Vec::new();
    served.receive(Frame::command(0x7777, number, payload), Vec::new(), memory, &mut effects);
    effects.into_iter().find_map(|effect| match effect {
        Effect::Send { frame, .. } if !frame.header.is_error() => Some(frame),
        _ => None,
    })
}

fn state(served: &mut dyn vfio_user_reference_server::Machine, memory: &mut dyn Memory) -> Option<u32> {
    let get = [16, flags::GET | u32::from(index::MIG_DEVICE_STATE)];
    let reply = ask(served, memory, FEATURE, get.iter().flat_map(|word| word.to_ne_bytes()).collect())?;
    Some(u32::from_ne_bytes(reply.payload.get(8..12)?.try_into().ok()?))
}

fn set_state(served: &mut dyn vfio_user_reference_server::Machine, memory: &mut dyn Memory, to: u32) {
    let set = [16, flags::SET | u32::from(index::MIG_DEVICE_STATE), to, 0];
    ask(served, memory, FEATURE, set.iter().flat_map(|word| word.to_ne_bytes()).collect());
}

pub(crate) fn liberties() -> Vec<Liberty> {
    vec![
        liberty("features-without-room-are-refused", "policy A-09", |served| {
            refuses(served, |frame, _| {
                let (of, operation) = feature(frame)?;
                let least = match (of, operation) {
                    (index::MIGRATION | index::MIG_DEVICE_STATE, flags::GET) => 16,
                    (index::DMA_LOGGING_REPORT, flags::GET) => {
                        let report = DmaLoggingReport::parse(frame.payload.get(8..)?)?.0;
                        32 + report.bitmap_size()?
                    }
                    _ => return None,
                };
                (get(frame, "argsz") < least).then_some(Errno::EINVAL)
            })
        })
        .seen_by(&["FEAT-*", "DLOG-16", "MSZ-*"]),
        liberty("features-with-argsz-below-the-payload-are-refused", "1566; 1595-1596", |served| {
            refuses(served, |frame, _| {
                (is(frame, FEATURE) && get(frame, "argsz") < frame.payload.len() as u64).then_some(Errno::EINVAL)
            })
        })
        .seen_by(&["FEAT-*", "DLOG-*"]),
        liberty("replies-say-what-they-need", "342-343", |served| {
            replies_to(served, FEATURE, |command, reply| {
                if let Some((_, operation)) = feature(command)
                    && (operation == flags::SET || operation & flags::PROBE != 0)
                {
                    put(reply, "argsz", command.payload.len() as u64);
                }
            })
        })
        .seen_by(&["FEAT-*", "DLOG-*", "MIGFSM-*"]),
        liberty("features-of-the-kernel-are-there-too", "1602-1604: although this may change", |served| {
            around(served, |message| {
                let probe = feature(&message.frame)
                    .is_some_and(|(of, operation)| matches!(of, 3..=5 | 9) && operation & flags::PROBE != 0);
                if message.is_command() && probe && message.frame.payload.len() == 8 {
                    let payload = message.frame.payload.clone();
                    message.answer(payload);
                } else {
                    message.pass();
                }
            })
        })
        .seen_by(&["FEAT-*"])
        .noted("FEAT-07", "a feature of the kernel's that vfio-user does not have"),
        liberty("nothing-is-probed", "1580-1583", |served| {
            refuses(served, |frame, _| (feature(frame)?.1 & flags::PROBE != 0).then_some(Errno::EINVAL))
        })
        .seen_by(&["FEAT-*", "DLOG-01"])
        .noted("FEAT-04", "PROBE is refused though the method works")
        .noted("DLOG-01", "PROBE is refused")
        .noted("FEAT-08", "PROBE is refused"),
        set("a-log-without-migration", "1602: no feature depends on another", Without::from_iter([Feature::Migration]))
            .seen_by(&STATES)
            .seen_by(&["DLOG-*"]),
        set(
            "migration-without-a-log",
            "1602: no feature depends on another",
            Without::from_iter([Feature::DmaLogging]),
        )
        .seen_by(&STATES)
        .seen_by(&["DLOG-*"]),
        set("migration-without-pre-copy", "1740", Without::from_iter([Feature::PreCopy])).seen_by(&STATES),
        liberty("the-same-state-again-is-refused", "1706-1729 have no such arc; policy A-43", |served| {
            around(served, |message| {
                let Message { channel, served, frame, fds, memory, effects } = message;
                let now = wanted(&frame).and_then(|to| state(served, memory).filter(|now| *now == to));
                let message = Message { channel, served, frame, fds, memory, effects };
                if now.is_some() { message.refuse(Errno::EINVAL) } else { message.pass() }
            })
        })
        .seen_by(&STATES),
        liberty("data-fd-is-minus-one", "1694-1696: unused", |served| {
            replies_to(served, FEATURE, |command, reply| {
                if feature(command) == Some((index::MIG_DEVICE_STATE, flags::GET)) && reply.payload.len() == 16 {
                    reply.payload[12..16].fill(0xff);
                }
            })
        })
        .seen_by(&STATES),
        liberty("p2p-is-said-to-be-there", "1640-1645; 1687, 1691: its states are not used", |served| {
            replies_to(served, FEATURE, |command, reply| {
                if feature(command) == Some((index::MIGRATION, flags::GET)) && reply.payload.len() == 16 {
                    reply.payload[8] |= 2;
                }
            })
        })
        .seen_by(&STATES)
        .noted("FEAT-13", "vfio-user does not use its states"),
        liberty("a-stopped-device-is-left-alone", "1679; policy A-27", |served| {
            around(served, |message| {
                let Message { channel, served, frame, fds, memory, effects } = message;
                let busy = ["REGION_READ", "REGION_WRITE", "REGION_WRITE_MULTI", "DEVICE_SET_IRQS", "DMA_MAP"]
                    .iter()
                    .any(|name| is(&frame, name));
                let stopped = busy && matches!(state(served, memory), Some(STOP | STOP_COPY | RESUMING));
                let message = Message { channel, served, frame, fds, memory, effects };
                if stopped && message.is_command() { message.refuse(Errno::EBUSY) } else { message.pass() }
            })
        })
        .seen_by(&STATES)
        .seen_by(&["RREAD-15"])
        .noted("MIGFSM-30", "policy A-27: other commands are refused while the device is stopped")
        .noted("RREAD-15", "policy A-27"),
        liberty("what-makes-no-sense-leaves-it-resuming", "1709-1712: optionally transition to ERROR", |served| {
            around(served, |message| {
                let Message { channel, served, frame, fds, memory, effects } = message;
                let from = wanted(&frame).and_then(|_| state(served, memory));
                let mut done = Vec::new();
                Message { channel, served: &mut *served, frame, fds, memory: &mut *memory, effects: &mut done }.pass();
                effects.append(&mut done);
                if from == Some(RESUMING) && state(served, memory) == Some(0) {
                    taken();
                    ask(served, memory, "DEVICE_RESET", Vec::new());
                    set_state(served, memory, RESUMING);
                }
            })
        })
        .seen_by(&STATES),
        liberty("reads-without-room-are-cut", "343-347; 1888: no more than argsz", |served| {
            around(served, |mut message| {
                let (argsz, size) = (get(&message.frame, "argsz"), get(&message.frame, "size"));
                if message.is_command() && is(&message.frame, "MIG_DATA_READ") && argsz >= 8 && argsz - 8 < size {
                    put(&mut message.frame, "size", argsz - 8);
                    taken();
                }
                message.pass();
            })
        })
        .seen_by(&["MIGDATA-*"]),
        liberty("reads-without-room-say-what-there-is", "343-347: the needed size, and nothing else", |served| {
            around(served, |message| {
                let (argsz, size) = (get(&message.frame, "argsz"), get(&message.frame, "size"));
                let Message { channel, served, frame, fds, memory, effects } = message;
                let read = is(&frame, "MIG_DATA_READ") && frame.payload.len() >= 8;
                let saving = read && state(served, memory) == Some(STOP_COPY);
                let message = Message { channel, served, frame, fds, memory, effects };
                if message.is_command() && saving && argsz < 8 + size && size < 1 << 20 {
                    let head = MigrationData { argsz: 8 + size as u32, size: 0 };
                    message.answer(head.bytes().to_vec());
                } else {
                    message.pass();
                }
            })
        })
        .seen_by(&["MIGDATA-*"]),
        liberty("the-log-has-pages-of-64-kib", "1778-1781: the driver's choice", |served| coarse(served, 1 << 16))
            .seen_by(&LOG),
        liberty("the-log-has-pages-of-a-gibibyte", "1778-1781: the driver's choice", |served| coarse(served, 1 << 30))
            .seen_by(&LOG),
        liberty("a-second-start-changes-nothing", "policy A-29", |served| {
            around_each(served, || {
                let mut started: Option<Vec<u8>> = None;
                move |message: Message<'_>| {
                    let asked = feature(&message.frame);
                    if asked == Some((index::DMA_LOGGING_START, flags::SET)) && message.is_command() {
                        let request = message.frame.payload.clone();
                        if let Some(first) = started
                            .as_ref()
                            .filter(|_| request.len() >= 24 && get(&message.frame, "argsz") >= request.len() as u64)
                        {
                            let mut payload = request.clone();
                            payload[8..16].copy_from_slice(&first[8..16]);
                            return message.answer(payload);
                        }
                        return message.pass_and_learn(|done, effects| {
                            let reply = effects.iter().find_map(|effect| match effect {
                                Effect::Send { frame, .. } => Some(frame.payload.clone()),
                                _ => None,
                            });
                            started = reply.or(Some(request)).filter(|_| done);
                        });
                    }
                    let stops = asked == Some((index::DMA_LOGGING_STOP, flags::SET));
                    message.pass_and_learn(|done, _| {
                        if stops && done {
                            started = None;
                        }
                    });
                }
            })
        })
        .seen_by(&LOG),
        liberty("a-stop-that-stops-nothing-is-refused", "1757", |served| {
            around_each(served, || {
                let mut started = false;
                move |message: Message<'_>| {
                    let asked = feature(&message.frame);
                    let (starts, stops) = (
                        asked == Some((index::DMA_LOGGING_START, flags::SET)),
                        asked == Some((index::DMA_LOGGING_STOP, flags::SET)),
                    );
                    if stops && !started && message.is_command() {
                        return message.refuse(Errno::EINVAL);
                    }
                    message.pass_and_learn(|done, _| started = (started || starts && done) && !(stops && done));
                }
            })
        })
        .seen_by(&LOG),
        liberty("bitmaps-are-longer-than-they-need-to-be", "1835-1836", |served| {
            replies_to(served, FEATURE, |command, reply| {
                if feature(command) == Some((index::DMA_LOGGING_REPORT, flags::GET))
                    && reply.payload.len() > 32
                    && get(command, "argsz") >= reply.payload.len() as u64 + 8
                {
                    let argsz = reply.payload.len() as u64 + 8;
                    put(reply, "argsz", argsz);
                    reply.payload.extend([0; 8]);
                }
            })
        })
        .seen_by(&LOG)
        .noted("DLOG-15", "longer, and argsz says so")
        .noted("DLOG-11", "longer, and padded with zeroes"),
        liberty("a-reset-changes-nothing-but-the-state", "1474-1478; policy A-28", |served| {
            around(served, |message| {
                if !message.is_command() || !is(&message.frame, "DEVICE_RESET") {
                    return message.pass();
                }
                let Message { channel, served, frame, fds, memory, effects } = message;
                let runs = matches!(state(served, memory), Some(RUNNING));
                let message = Message { channel, served, frame, fds, memory, effects };
                if runs { message.answer(Vec::new()) } else { message.pass() }
            })
        })
        .seen_by(&["RESET-*", "MIGFSM-*", "SETIRQS-*", "DMARW-*"]),
        liberty("a-reset-takes-maps-and-interrupts-away", "1474-1478; policy A-28", resets_all).seen_by(&[
            "RESET-*",
            "MIGFSM-*",
            "SETIRQS-*",
            "DMAP-*",
            "DUNMAP-*",
            "DLOG-*",
            "clients.*",
        ]),
        liberty("a-reset-stops-the-log", "1474-1478; policy A-28", |served| {
            around(served, |message| {
                let resets = message.is_command() && is(&message.frame, "DEVICE_RESET");
                let Message { channel, served, frame, fds, memory, effects } = message;
                if resets {
                    taken();
                    let stop = [8, flags::SET | u32::from(index::DMA_LOGGING_STOP)];
                    ask(served, memory, FEATURE, stop.iter().flat_map(|word| word.to_ne_bytes()).collect());
                }
                Message { channel, served, frame, fds, memory, effects }.pass();
            })
        })
        .seen_by(&["RESET-*", "DLOG-*", "migration.*"]),
        liberty("no-reset", "764-765: the flag says whether", |served| {
            let served = replies_to(served, "DEVICE_GET_INFO", |_, reply| {
                let flags = get(reply, "flags") & !1;
                put(reply, "flags", flags);
            });
            refuses(served, |frame, _| is(frame, "DEVICE_RESET").then_some(Errno::ENOTSUP))
        })
        .seen_by(&["RESET-*", "INFO-*", "MIGFSM-*", "HDR-*"]),
    ]
}

/// The log tells whole pages of that size, whatever was asked for.
fn coarse(served: Served, page: u64) -> Served {
    around(served, move |mut message| {
        let asked = feature(&message.frame);
        if !message.is_command() {
            return message.pass();
        }
        if asked == Some((index::DMA_LOGGING_START, flags::SET)) && message.frame.payload.len() >= 24 {
            let mut hint = message.frame.payload.clone();
            let wanted = u64::from_ne_bytes(hint[8..16].try_into().unwrap());
            if !wanted.is_power_of_two() || wanted >= page {
                return message.pass();
            }
            hint[8..16].copy_from_slice(&page.to_ne_bytes());
            message.pass_and(|effects| {
                for effect in effects {
                    if let Effect::Send { frame, .. } = effect
                        && !frame.header.is_error()
                        && frame.payload.len() >= 16
                    {
                        frame.payload[8..16].copy_from_slice(&page.to_ne_bytes());
                        taken();
                    }
                }
            });
            return;
        }
        let report = message.frame.payload.get(8..).and_then(DmaLoggingReport::parse).map(|(report, _)| report);
        let Some(report) = report.filter(|_| asked == Some((index::DMA_LOGGING_REPORT, flags::GET))) else {
            return message.pass();
        };
        let (iova, unit) = (report.iova, report.page_size);
        // What was written in a page of the log shows in every bit of it that there is.
        let request = message.frame.clone();
        let _ = &mut message;
        message.pass_and(|effects| {
            for effect in effects {
                let Effect::Send { frame, .. } = effect else { continue };
                if frame.header.is_error() || frame.payload.len() <= 32 || !{ unit }.is_power_of_two() || unit >= page {
                    continue;
                }
                let bits = report.length.div_ceil(unit);
                let bitmap = &mut frame.payload[32..];
                let set = |bitmap: &[u8], bit: u64| {
                    bitmap.get((bit / 8) as usize).is_some_and(|byte| byte & 1 << (bit % 8) != 0)
                };
                let dirty: std::collections::BTreeSet<u64> =
                    (0..bits).filter(|bit| set(bitmap, *bit)).map(|bit| (iova + bit * unit) / page).collect();
                for bit in 0..bits {
                    if dirty.contains(&((iova + bit * unit) / page)) && !set(bitmap, bit) {
                        bitmap[(bit / 8) as usize] |= 1 << (bit % 8);
                        taken();
                    }
                }
            }
            let _ = &request;
        });
    })
}

/// A reset leaves nothing of what the client has set up.
fn resets_all(served: Served) -> Served {
    around_each(served, || {
        let mut maps: Vec<(u64, u64)> = Vec::new();
        move |message: Message<'_>| {
            let command = message.frame.clone();
            let named = (get(&command, "address"), get(&command, "size"));
            let (map, unmap) = (is(&command, "DMA_MAP"), is(&command, "DMA_UNMAP"));
            if !message.is_command() || !is(&command, "DEVICE_RESET") {
                return message.pass_and_learn(|done, _| {
                    if map && done {
                        maps.push(named);
                    } else if unmap && done {
                        maps.retain(|map| *map != named);
                    }
                });
            }
            let Message { channel, served, frame, fds, memory, effects } = message;
            for (address, size) in std::mem::take(&mut maps) {
                ask(served, memory, "DMA_UNMAP", DmaUnmap { argsz: 24, flags: 0, address, size }.bytes().to_vec());
                taken();
            }
            for index in 0..5 {
                let flags = irq_set_flags::DATA_NONE | irq_set_flags::ACTION_TRIGGER;
                ask(
                    served,
                    memory,
                    "DEVICE_SET_IRQS",
                    IrqSet { argsz: 20, flags, index, start: 0, count: 0 }.bytes().to_vec(),
                );
            }
            Message { channel, served, frame, fds, memory, effects }.pass();
        }
    })
}
