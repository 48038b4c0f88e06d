//! Interrupts.

use std::collections::BTreeMap;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::sync::Arc;

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use vfio_user_reference_server::{Effect, Errno, IrqEvent};
use vfio_user_wire::irq_set_flags::{
    ACTION_MASK, ACTION_TRIGGER, ACTION_UNMASK, DATA_BOOL, DATA_EVENTFD, DATA_MASK, DATA_NONE,
};
use vfio_user_wire::message::IrqSet;
use vfio_user_wire::{Frame, irq_info_flags as flags};

use crate::layer::{Message, Served, around, around_each, effects, refuses, replies_to, taken};
use crate::liberty::{Liberty, liberty};
use crate::wrapper::{get, is, put};

const INFO: &str = "DEVICE_GET_IRQ_INFO";
const SET: &str = "DEVICE_SET_IRQS";
const ABOUT: [&str; 4] = ["SETIRQS-*", "IRQINFO-*", "VER-15", "DISC-03"];
/// A signal more than was asked for is worth a note to these, where the device is restless.
const SIGNALLED: [&str; 21] = [
    "SETIRQS-02",
    "SETIRQS-03",
    "SETIRQS-04",
    "SETIRQS-05",
    "SETIRQS-06",
    "SETIRQS-07",
    "SETIRQS-08",
    "SETIRQS-09",
    "SETIRQS-10",
    "SETIRQS-11",
    "SETIRQS-12",
    "SETIRQS-14",
    "SETIRQS-15",
    "SETIRQS-17",
    "SETIRQS-23",
    "SETIRQS-24",
    "SETIRQS-25",
    "SETIRQS-28",
    "SETIRQS-30",
    "SETIRQS-33",
    "VER-15",
];
const RESTLESS: &str = "the device was found to interrupt of its own accord";

fn set(frame: &Frame) -> Option<(IrqSet, Vec<u8>)> {
    IrqSet::parse(&frame.payload).filter(|_| is(frame, SET)).map(|(set, data)| (set, data.to_vec()))
}

pub(crate) fn liberties() -> Vec<Liberty> {
    vec![
        liberty("clients-trigger-nothing", "1264-1266: not every type supports every combination", |served| {
            refuses(served, |frame, _| {
                let (set, _) = set(frame)?;
                let fires =
                    set.flags & ACTION_TRIGGER != 0 && set.flags & (DATA_NONE | DATA_BOOL) != 0 && set.count > 0;
                fires.then_some(Errno::ENOTSUP)
            })
        })
        .seen_by(&ABOUT),
        liberty("nothing-is-maskable", "1169-1170, 1264-1266", |served| {
            let served = replies_to(served, INFO, |_, reply| {
                put(reply, "flags", get(reply, "flags") & !u64::from(flags::MASKABLE | flags::AUTOMASKED));
            });
            // Nothing masks itself: what does is unmasked at once.
            let served = unmasks(served);
            refuses(served, |frame, _| {
                (set(frame)?.0.flags & (ACTION_MASK | ACTION_UNMASK) != 0).then_some(Errno::EINVAL)
            })
        })
        .seen_by(&ABOUT),
        liberty("only-eventfds-are-taken", "1234-1237: an array of event file descriptors", |served| {
            refuses(served, |frame, fds| {
                (is(frame, SET) && fds.iter().any(|fd| !is_eventfd(fd))).then_some(Errno::EINVAL)
            })
        })
        .seen_by(&ABOUT),
        liberty("msi-x-is-set-up-as-a-whole", "1174-1176: NORESIZE", noresize).seen_by(&ABOUT),
        liberty("one-type-at-a-time", "1264-1266: the client must know the device's capabilities", one_type)
            .seen_by(&ABOUT)
            .noted("SETIRQS-23", "another type is refused, as the kernel does"),
        liberty("interrupts-are-coalesced", "1249-1251: the server may trigger it by writing 1", |served| {
            effects(served, |command, effects| {
                // What the client triggers is no business of the device's.
                if is(command, SET) {
                    return;
                }
                effects.retain(|effect| match effect {
                    Effect::Signal { fd, event: IrqEvent::Trigger, .. } if is_eventfd(fd) && is_signalled(fd) => {
                        taken();
                        false
                    }
                    _ => true,
                });
            })
        })
        .seen_by(&ABOUT),
        liberty("what-waited-comes-with-the-eventfd", "1277-1280: the server may trigger it", |served| {
            with_lines(served, |command, lines, effects| {
                let Some((set, _)) = set(command) else { return };
                if set.flags == DATA_EVENTFD | ACTION_TRIGGER
                    && set.count > 0
                    && let Some(fd) = lines.get(&({ set.index }, { set.start }))
                {
                    effects.push(Effect::Signal {
                        index: set.index,
                        vector: set.start,
                        event: IrqEvent::Trigger,
                        fd: Arc::clone(fd),
                    });
                    taken();
                }
            })
        })
        .seen_by(&ABOUT)
        .noted_each(&SIGNALLED, RESTLESS),
        liberty("interrupts-at-any-time", "1277-1280: the server may trigger it", |served| {
            with_lines(served, |command, lines, effects| {
                if is(command, "DEVICE_GET_INFO") || is(command, "REGION_READ") || is(command, SET) {
                    for ((index, vector), fd) in lines {
                        effects.push(Effect::Signal {
                            index: *index,
                            vector: *vector,
                            event: IrqEvent::Trigger,
                            fd: Arc::clone(fd),
                        });
                        taken();
                    }
                }
            })
        })
        .seen_by(&ABOUT)
        .noted_each(&SIGNALLED, RESTLESS)
        .noted_each(&["IRQINFO-07", "SETIRQS-20"], RESTLESS),
        liberty(
            "an-asserted-line-fires-when-it-is-unmasked",
            "1171-1173: the client sends UNMASK to receive new interrupts",
            asserted,
        )
        .seen_by(&ABOUT),
        liberty("masked-interrupts-are-lost", "1240-1247 does not say that they wait", |served| {
            around(served, |message| {
                let unmasks = set(&message.frame).is_some_and(|(set, _)| set.flags & ACTION_UNMASK != 0);
                if !unmasks || !message.is_command() {
                    return message.pass();
                }
                let Message { channel, served, frame, fds, memory, effects } = message;
                let again = frame.clone();
                let mut done = Vec::new();
                Message { channel, served: &mut *served, frame, fds, memory: &mut *memory, effects: &mut done }.pass();
                let fires = |effect: &Effect| matches!(effect, Effect::Signal { event: IrqEvent::Trigger, .. });
                if done.iter().any(fires) {
                    taken();
                    done.retain(|effect| !fires(effect));
                    // It masked itself as it fired.
                    served.receive(again, Vec::new(), memory, &mut Vec::new());
                }
                effects.append(&mut done);
            })
        })
        .seen_by(&ABOUT),
        liberty("masking-has-no-events", "1264-1266", |served| {
            refuses(served, |frame, _| {
                let (set, _) = set(frame)?;
                (set.flags & DATA_EVENTFD != 0 && set.flags & (ACTION_MASK | ACTION_UNMASK) != 0)
                    .then_some(Errno::EINVAL)
            })
        })
        .seen_by(&ABOUT)
        .noted("SETIRQS-18", "masking signals nothing"),
        liberty("nothing-to-take-back-is-refused", "1238-1239: previously configured interrupts", |served| {
            let mut bound: std::collections::BTreeSet<(u32, u32)> = std::collections::BTreeSet::new();
            around(served, move |message| {
                let Some((set, _)) = set(&message.frame) else {
                    if is(&message.frame, "VERSION") {
                        bound.clear();
                    }
                    return message.pass();
                };
                let range = set.start..set.start.saturating_add(set.count).min(64);
                let assigns = set.flags == DATA_EVENTFD | ACTION_TRIGGER && !message.fds.is_empty();
                let takes_back = set.flags == DATA_EVENTFD | ACTION_TRIGGER && message.fds.is_empty();
                let disables = set.flags == DATA_NONE | ACTION_TRIGGER && set.count == 0;
                let any =
                    bound.iter().any(|(index, vector)| *index == set.index && (disables || range.contains(vector)));
                if (takes_back || disables) && !any {
                    return message.refuse(Errno::EINVAL);
                }
                message.pass_and_learn(|done, _| {
                    if !done {
                        return;
                    }
                    if assigns {
                        bound.extend(range.map(|vector| (set.index, vector)));
                    } else if takes_back || disables {
                        bound.retain(|(index, vector)| *index != set.index || !(disables || range.contains(vector)));
                    }
                });
            })
        })
        .seen_by(&ABOUT)
        .noted("SETIRQS-10", "nothing is assigned")
        .noted("SETIRQS-31", "nothing is assigned")
        .noted("SETIRQS-32", "nothing is assigned"),
        liberty("three-interrupt-types", "769: how many the device supports", |served| {
            let served = replies_to(served, "DEVICE_GET_INFO", |_, reply| put(reply, "num_irqs", 3));
            refuses(served, |frame, _| {
                ((is(frame, INFO) || is(frame, SET)) && get(frame, "index") >= 3).then_some(Errno::EINVAL)
            })
        })
        .seen_by(&ABOUT),
        liberty("err-and-req-are-not-there", "769; 1178", |served| {
            refuses(served, |frame, _| {
                ((is(frame, INFO) || is(frame, SET)) && get(frame, "index") >= 3).then_some(Errno::EINVAL)
            })
        })
        .seen_by(&ABOUT)
        .noted("INFO-06", "the index is below num_irqs; QEMU takes the refusal"),
        liberty("seven-interrupt-types", "769: any number", |served| {
            let served = replies_to(served, "DEVICE_GET_INFO", |_, reply| put(reply, "num_irqs", 7));
            around(served, |message| {
                let frame = &message.frame;
                let index = get(frame, "index");
                if message.is_command()
                    && is(frame, INFO)
                    && (5..7).contains(&index)
                    && frame.payload.len() >= 16
                    && get(frame, "argsz") >= 16
                {
                    let payload =
                        [16u32, flags::EVENTFD, index as u32, 0].iter().flat_map(|word| word.to_ne_bytes()).collect();
                    message.answer(payload);
                } else {
                    message.pass();
                }
            })
        })
        .seen_by(&ABOUT),
        liberty("no-eventfds", "1167-1168: a type that has not the flag cannot", |served| {
            let served = replies_to(served, INFO, |_, reply| {
                put(reply, "flags", get(reply, "flags") & !u64::from(flags::EVENTFD));
            });
            refuses(served, |frame, _| (set(frame)?.0.flags & DATA_EVENTFD != 0).then_some(Errno::EINVAL))
        })
        .seen_by(&ABOUT),
        liberty("argsz-is-checked", "1222-1224: it is the size of the payload", |served| {
            refuses(served, |frame, _| {
                let (set, _) = set(frame)?;
                ({ set.argsz } as usize != frame.payload.len()).then_some(Errno::EINVAL)
            })
        })
        .seen_by(&ABOUT),
        liberty("booleans-are-0-or-1", "1232-1233: boolean bytes", |served| {
            refuses(served, |frame, _| {
                let (set, data) = set(frame)?;
                (set.flags & DATA_BOOL != 0 && data.iter().any(|byte| *byte > 1)).then_some(Errno::EINVAL)
            })
        })
        .seen_by(&ABOUT)
        .noted("SETIRQS-05", "a byte above 1 does not fire")
        .noted("SETIRQS-04", "a byte above 1 does not fire"),
        liberty("descriptors-stay-open-when-disabled", "1255-1257: disables; nothing is said of closing", |served| {
            around_each(served, || {
                let mut kept: BTreeMap<(u32, u32), OwnedFd> = BTreeMap::new();
                move |message: Message<'_>| {
                    let assigned = set(&message.frame).filter(|(set, _)| set.flags == DATA_EVENTFD | ACTION_TRIGGER);
                    let fds: Vec<OwnedFd> = message.fds.iter().map(|fd| fd.try_clone().unwrap()).collect();
                    message.pass_and_learn(|done, _| {
                        if let Some((set, _)) = assigned.filter(|_| done && !fds.is_empty()) {
                            taken();
                            kept.extend((set.start..).zip(fds).map(|(vector, fd)| ((set.index, vector), fd)));
                        }
                    });
                }
            })
        })
        .seen_by(&["SETIRQS-*"])
        .noted("SETIRQS-09", "the descriptor is still open")
        .noted("SETIRQS-10", "the descriptor is still open"),
        liberty("triggers-without-an-eventfd-are-refused", "1285-1287", |served| {
            let mut bound: BTreeMap<(u32, u32), ()> = BTreeMap::new();
            around(served, move |message| {
                if is(&message.frame, "VERSION") {
                    bound.clear();
                }
                let Some((set, _)) = set(&message.frame) else { return message.pass() };
                let range = set.start..set.start.saturating_add(set.count).min(64);
                let fires = set.flags & ACTION_TRIGGER != 0 && set.flags & DATA_MASK != DATA_EVENTFD && set.count > 0;
                if fires && !range.clone().all(|vector| bound.contains_key(&(set.index, vector))) {
                    return message.refuse(Errno::EINVAL);
                }
                let assigned = !message.fds.is_empty();
                message.pass_and_learn(|done, _| {
                    if !done {
                        return;
                    }
                    let flags = set.flags;
                    match flags {
                        flags if flags == DATA_EVENTFD | ACTION_TRIGGER && assigned => {
                            bound.extend(range.map(|vector| ((set.index, vector), ())))
                        }
                        flags if flags == DATA_EVENTFD | ACTION_TRIGGER => {
                            bound.retain(|(index, vector), ()| *index != set.index || !range.contains(vector))
                        }
                        flags if flags == DATA_NONE | ACTION_TRIGGER && set.count == 0 => {
                            bound.retain(|(index, _), ()| *index != set.index)
                        }
                        _ => {}
                    }
                });
            })
        })
        .seen_by(&ABOUT),
    ]
}

fn is_eventfd(fd: &impl AsFd) -> bool {
    let path = format!("/proc/self/fdinfo/{}", fd.as_fd().as_raw_fd());
    std::fs::read_to_string(path).is_ok_and(|info| info.contains("eventfd-count"))
}

fn is_signalled(fd: &impl AsFd) -> bool {
    let mut polled = [PollFd::new(fd.as_fd(), PollFlags::POLLIN)];
    poll(&mut polled, PollTimeout::ZERO).is_ok_and(|ready| ready > 0)
}

/// The descriptors that are assigned, by type and sub-index.
type Lines = BTreeMap<(u32, u32), Arc<OwnedFd>>;

/// Lets something be done behind each message of the client's, with the descriptors that are assigned then.
fn with_lines(served: Served, also: impl Fn(&Frame, &Lines, &mut Vec<Effect>) + 'static) -> Served {
    let also = std::rc::Rc::new(also);
    around_each(served, move || {
        let also = std::rc::Rc::clone(&also);
        let mut lines = Lines::new();
        move |message: Message<'_>| {
            let command = message.frame.clone();
            let is_command = message.is_command();
            let fds: Vec<OwnedFd> = message.fds.iter().map(|fd| fd.try_clone().unwrap()).collect();
            message.pass_and_learn(|done, effects| {
                if let Some((set, _)) = set(&command).filter(|_| is_command && done) {
                    let (index, start, count) = (set.index, set.start, set.count);
                    if set.flags == DATA_EVENTFD | ACTION_TRIGGER {
                        lines.retain(|(other, vector), _| *other != index || !(start..start + count).contains(vector));
                        lines.extend((start..).zip(fds).map(|(vector, fd)| ((index, vector), Arc::new(fd))));
                    } else if set.flags == DATA_NONE | ACTION_TRIGGER && count == 0 {
                        lines.retain(|(other, _), _| *other != index);
                    }
                }
                if is_command {
                    also(&command, &lines, effects);
                }
            });
        }
    })
}

/// Unmasks what has masked itself, behind each message.
fn unmasks(served: Served) -> Served {
    around(served, |message| {
        if !message.is_command() || is(&message.frame, "VERSION") {
            return message.pass();
        }
        let Message { channel, served, frame, fds, memory, effects } = message;
        Message { channel, served: &mut *served, frame, fds, memory: &mut *memory, effects }.pass();
        let set = IrqSet { argsz: 20, flags: DATA_NONE | ACTION_UNMASK, index: 0, start: 0, count: 1 };
        let number = vfio_user_wire::V0_9_2.command(SET).unwrap().0;
        let mut done = Vec::new();
        served.receive(Frame::command(0, number, set.bytes().to_vec()), Vec::new(), memory, &mut done);
        effects.extend(
            done.into_iter().filter(|effect| matches!(effect, Effect::Signal { event: IrqEvent::Trigger, .. })),
        );
    })
}

/// MSI-X takes no further sub-index while one is assigned.
fn noresize(served: Served) -> Served {
    const MSIX: u32 = 2;
    let served = replies_to(served, INFO, |_, reply| {
        if get(reply, "index") == u64::from(MSIX) {
            put(reply, "flags", get(reply, "flags") | u64::from(flags::NORESIZE));
        }
    });
    let mut bound = std::collections::BTreeSet::new();
    around(served, move |message| {
        if is(&message.frame, "VERSION") {
            bound.clear();
        }
        let Some((set, _)) = set(&message.frame).filter(|(set, _)| set.index == MSIX) else { return message.pass() };
        let range = set.start..set.start.saturating_add(set.count).min(64);
        let assigned = !message.fds.is_empty();
        let assigns = set.flags == DATA_EVENTFD | ACTION_TRIGGER;
        if assigns && assigned && !bound.is_empty() && !range.clone().all(|vector| bound.contains(&vector)) {
            return message.refuse(Errno::EINVAL);
        }
        message.pass_and_learn(|done, _| {
            if !done {
            } else if assigns && assigned {
                bound.extend(range);
            } else if assigns {
                bound.retain(|vector| !range.contains(vector));
            } else if set.flags == DATA_NONE | ACTION_TRIGGER && set.count == 0 {
                bound.clear();
            }
        });
    })
}

/// Of INTx, MSI and MSI-X one is in use at a time.
fn one_type(served: Served) -> Served {
    let mut used: BTreeMap<(u32, u32), ()> = BTreeMap::new();
    around(served, move |message| {
        if is(&message.frame, "VERSION") {
            used.clear();
        }
        let Some((set, _)) = set(&message.frame).filter(|(set, _)| set.index <= 2) else { return message.pass() };
        let range = set.start..set.start.saturating_add(set.count).min(64);
        let assigned = !message.fds.is_empty();
        let assigns = set.flags == DATA_EVENTFD | ACTION_TRIGGER;
        if assigns && assigned && used.keys().any(|(index, _)| *index != set.index) {
            return message.refuse(Errno::EBUSY);
        }
        message.pass_and_learn(|done, _| {
            if !done {
            } else if assigns && assigned {
                used.extend(range.map(|vector| ((set.index, vector), ())));
            } else if assigns {
                used.retain(|(index, vector), ()| *index != set.index || !range.contains(vector));
            } else if set.flags == DATA_NONE | ACTION_TRIGGER && set.count == 0 {
                used.retain(|(index, _), ()| *index != set.index);
            }
        });
    })
}

/// INTx is a line: once the device has asserted it, it stays so, and fires whenever it is unmasked.
fn asserted(served: Served) -> Served {
    around_each(served, || {
        let mut asserted = false;
        move |message: Message<'_>| {
            let fires = |effects: &[Effect]| {
                let line =
                    |effect: &Effect| matches!(effect, Effect::Signal { index: 0, event: IrqEvent::Trigger, .. });
                effects.iter().any(line)
            };
            let asked = set(&message.frame).map(|(set, _)| set).filter(|set| set.index == 0);
            let unmasks = asked.is_some_and(|set| set.flags == DATA_NONE | ACTION_UNMASK && set.count == 1);
            asserted &= asked.is_none_or(|set| set.flags & DATA_EVENTFD == 0);
            let Message { channel, served, frame, fds, memory, effects } = message;
            let mut done = Vec::new();
            Message { channel, served: &mut *served, frame, fds, memory: &mut *memory, effects: &mut done }.pass();
            if unmasks && asserted && !fires(&done) {
                taken();
                let again = IrqSet { argsz: 20, flags: DATA_NONE | ACTION_TRIGGER, index: 0, start: 0, count: 1 };
                let number = vfio_user_wire::V0_9_2.command(SET).unwrap().0;
                let mut fired = Vec::new();
                served.receive(Frame::command(0, number, again.bytes().to_vec()), Vec::new(), memory, &mut fired);
                done.extend(fired.into_iter().filter(|effect| matches!(effect, Effect::Signal { .. })));
            }
            asserted |= fires(&done);
            effects.append(&mut done);
        }
    })
}
