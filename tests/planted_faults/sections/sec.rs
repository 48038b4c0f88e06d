//! Robustness.

use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixListener;

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::resource::{Resource, setrlimit};
use nix::sys::signal::{Signal, raise};
use vfio_user_reference_server::{Access, Effect, Errno, Machine, Memory, Server};
use vfio_user_wire::{Frame, HEADER_SIZE, Header, V0_9_2};

use crate::clients::{First, Turn, Visits, perform, serve_guests};
use crate::dma::{failed, failed_with};
use crate::fault::{Fault, fault, loop_fault};
use crate::loops::{as_told, serve_clients, structure};
use crate::wrapper::{
    Answer, Faulty, Step, Twist, answers, around, commands, effects, get, hang, is, memory, put, refusals, replies_to,
};

/// No server can show these.
pub(crate) const NO_FAULT: &[(&str, &str)] = &[];

/// As much as the server says it takes, or what its author thinks of as many.
const MANY: usize = 16;

pub(crate) fn faults() -> Vec<Fault> {
    [garbage(), descriptors(), lengths(), clients(), overflows(), blocked(), foreign()].into_iter().flatten().collect()
}

fn garbage() -> Vec<Fault> {
    vec![
        fault("SEC-01", "what-kind-of-message-is-that", || {
            around(|step| {
                let kind = step.frame.header.message_type();
                assert!(kind <= 1, "internal error: entered unreachable code: type {kind}");
                step.pass();
            })
        })
        .by_process(),
        fault("SEC-01", "that-cannot-be-a-size", || {
            refusals(|_, header, _| panic!("attempt to subtract with overflow: {} - 16", { header.size }))
        })
        .by_process(),
        // An array of interrupt types, and an index that nobody checks.
        fault("SEC-01", "past-the-interrupt-types", || {
            answers(|command| {
                let index = get(command, "index");
                assert!(!is(command, "DEVICE_SET_IRQS") || index < 1000, "index out of bounds: {index}");
                None
            })
        })
        .by_process(),
        fault("SEC-01", "an-unknown-command-is-the-end", || {
            answers(|command| {
                assert!(
                    V0_9_2.message(command.header.command).is_some(),
                    "called `Option::unwrap()` on a `None` value"
                );
                None
            })
        })
        .by_process(),
        // The search for the next header goes on for ever.
        fault("SEC-01", "looking-for-a-header", || refusals(|_, _, _| hang())),
        fault("SEC-01", "who-sends-garbage-is-waited-for", || {
            around(|step| {
                if !step.frame.header.is_reply() && step.frame.header.message_type() != 0 {
                    hang();
                }
                step.pass();
            })
        }),
    ]
}

fn descriptors() -> Vec<Fault> {
    let unknown: fn(&Frame, &[Effect]) -> bool = |frame, _| V0_9_2.message(frame.header.command).is_none();
    vec![
        fault("SEC-02", "kept-at-every-refusal", || keeps(|_, effects| failed(effects))),
        fault("SEC-02", "kept-with-unknown-commands", move || keeps(unknown)),
        fault("SEC-02", "kept-with-a-refused-version", || {
            keeps(|frame, effects| is(frame, "VERSION") && failed(effects))
        }),
        fault("SEC-02", "kept-before-the-version", || {
            let mut begun = false;
            keeps(move |frame, effects| {
                begun |= is(frame, "VERSION") && !failed(effects);
                !begun
            })
        }),
        fault("SEC-02", "kept-with-refused-interrupts", || {
            keeps(|frame, effects| is(frame, "DEVICE_SET_IRQS") && failed(effects))
        }),
        fault("SEC-02", "kept-when-it-cannot-be-mapped", || {
            keeps(|frame, effects| is(frame, "DMA_MAP") && failed(effects) && !failed_with(effects, Errno::EEXIST))
        }),
        fault("SEC-02", "kept-with-an-overlap", || {
            keeps(|frame, effects| is(frame, "DMA_MAP") && failed_with(effects, Errno::EEXIST))
        })
        .by_process(),
        fault("SEC-02", "kept-with-a-refused-unmap", || {
            keeps(|frame, effects| is(frame, "DMA_UNMAP") && failed(effects))
        }),
        fault("SEC-02", "kept-with-refused-writes", || {
            keeps(|frame, effects| is(frame, "REGION_WRITE") && failed(effects))
        }),
        fault("SEC-02", "kept-with-refused-reads", || {
            keeps(|frame, effects| is(frame, "REGION_READ") && failed(effects))
        }),
        fault("SEC-02", "kept-where-fields-are-missing", || {
            keeps(|frame, _| frame.payload.len() < structure(&frame.header))
        }),
        fault("SEC-02", "kept-with-replies", || keeps(|frame, _| frame.header.is_reply())),
        loop_fault("SEC-02", "kept-with-an-impossible-size", |listener, stop| {
            serve_cut(&listener, &stop, |header| (header.size as usize) < HEADER_SIZE);
        }),
        // The message is not whole when the client leaves.
        loop_fault("SEC-02", "kept-with-half-a-message", |listener, stop| {
            serve_cut(&listener, &stop, |_| false);
        }),
        fault("SEC-05", "an-array-for-those-that-were-promised", || {
            around(|step| {
                assert!(step.fds.len() <= MANY, "index out of bounds: the len is {MANY}");
                step.pass();
            })
        })
        .by_process(),
        fault("SEC-05", "those-that-were-not-promised-stay", || {
            let mut kept = Vec::new();
            around(move |mut step| {
                kept.extend(step.fds.drain(step.fds.len().min(MANY)..));
                step.pass();
            })
        }),
        // MSG_CTRUNC: recvmsg() is called again, and waits.
        fault("SEC-05", "cut-off-and-read-again", || {
            around(|step| {
                if step.fds.len() > 8 {
                    hang();
                }
                step.pass();
            })
        }),
    ]
}

fn lengths() -> Vec<Fault> {
    let allocates = |name: &'static str, field: &'static str, most: u64| {
        move || {
            answers(move |command| {
                let count = get(command, field);
                assert!(!is(command, name) || count < most, "memory allocation of {count} bytes failed");
                None
            })
        }
    };
    vec![
        fault("SEC-03", "no-memory-for-a-read", allocates("REGION_READ", "count", 1 << 30)).by_process(),
        fault("SEC-03", "no-memory-for-a-write", allocates("REGION_WRITE", "count", 1 << 30)).by_process(),
        fault("SEC-03", "no-memory-for-interrupts", allocates("DEVICE_SET_IRQS", "count", 1 << 30)).by_process(),
        fault("SEC-03", "no-memory-for-a-reply", allocates("DEVICE_GET_REGION_INFO", "argsz", 1 << 31)).by_process(),
        fault("SEC-03", "one-interrupt-after-the-other", || {
            answers(|command| {
                if is(command, "DEVICE_SET_IRQS") && get(command, "count") > 1 << 24 {
                    hang();
                }
                None
            })
        }),
        // Filled before the region is looked for. (Of more than that there is not enough.)
        fault("SEC-03", "a-buffer-of-what-is-announced", || {
            answers(|command| {
                let count = get(command, "count") as usize;
                if is(command, "REGION_READ") && count <= 1 << 28 {
                    std::hint::black_box(vec![0xff_u8; count]);
                }
                None
            })
        })
        .by_process(),
        fault("SEC-03", "a-reply-of-what-is-announced", || {
            answers(|command| {
                let size = get(command, "argsz") as usize;
                if is(command, "DEVICE_GET_REGION_INFO") && size <= 1 << 28 {
                    std::hint::black_box(vec![0xff_u8; size]);
                }
                None
            })
        })
        .by_process(),
    ]
}

fn clients() -> Vec<Fault> {
    vec![
        // One thread for all, which reads a message to its end.
        loop_fault("SEC-04", "waits-for-the-rest-of-one", |listener, stop| {
            serve_guests(&listener, &stop, &First::Oldest, |guests, turn| {
                if let Turn::Said(at, frame, fds) = turn {
                    let mut effects = Vec::new();
                    let guest = &mut guests[at];
                    guest.server.receive(frame, fds, &mut guest.memory, &mut effects);
                    perform(guest, effects, &stop);
                }
            });
        }),
        loop_fault("SEC-04", "waits-for-the-rest-of-who-is-gone", |listener, stop| {
            serve_clients(&listener, &stop, |client| {
                while let Some(mut bytes) = client.receive(HEADER_SIZE) {
                    while bytes.len() < HEADER_SIZE {
                        match client.receive(HEADER_SIZE - bytes.len()) {
                            Some(more) => bytes.extend(more),
                            None => crate::loops::until_stopped(client.stop),
                        }
                    }
                    let Some((header, _)) = Header::parse(&bytes) else { return true };
                    let Some(payload) = client.exactly(as_told(&header)) else { return true };
                    let effects = client.carry_out(Frame { header, payload });
                    if !client.perform(effects) {
                        break;
                    }
                }
                true
            });
        }),
        fault("SEC-07", "a-place-for-each-until-the-version", || strangers(|_| hang())),
        fault("SEC-07", "too-many-strangers", || strangers(|count| panic!("no place for client {count}"))).by_process(),
        // Until accept() gives EMFILE.
        fault("SEC-07", "a-descriptor-for-each-connection", || {
            setrlimit(Resource::RLIMIT_NOFILE, 256, 256).unwrap();
            let connect: fn(&mut Vec<OwnedFd>, &mut Server) = |kept, server| {
                match nix::sys::eventfd::EventFd::new() {
                    Ok(eventfd) => kept.push(eventfd.into()),
                    Err(error) => {
                        eprintln!("cannot serve a client: {error}");
                        std::process::exit(1);
                    }
                }
                server.connect();
            };
            Visits { connect, ..Visits::new(Vec::new()) }.machine()
        })
        .by_process(),
    ]
}

fn overflows() -> Vec<Fault> {
    vec![
        fault("SEC-06", "an-end-that-wraps", || {
            answers(|command| {
                let (offset, count) = (get(command, "offset"), get(command, "count"));
                let wraps = offset.checked_add(count).is_none();
                (is(command, "REGION_READ") && wraps).then(|| {
                    let mut payload = command.payload.clone();
                    payload.resize(payload.len() + count as usize, 0);
                    Answer::Ok(payload)
                })
            })
        }),
        fault("SEC-06", "offsets-of-32-bits", || {
            commands(|frame, _| {
                if is(frame, "REGION_READ") {
                    put(frame, "offset", get(frame, "offset") & 0xffff_ffff);
                }
            })
        })
        .also("RREAD-01", "the reply repeats the offset that is left"),
        fault("SEC-06", "written-where-it-wraps", || {
            commands(|frame, _| {
                if is(frame, "REGION_WRITE") {
                    let offset = get(frame, "offset");
                    put(frame, "offset", offset & (i64::MAX as u64 >> 31));
                }
            })
        })
        .also("RWRITE-01", "the reply repeats the offset that is left"),
        fault("SEC-06", "a-read-overflows", || overflows_at("REGION_READ", |_| ("offset", "count", u64::MAX)))
            .by_process(),
        fault("SEC-06", "a-write-overflows", || overflows_at("REGION_WRITE", |_| ("offset", "count", u64::MAX)))
            .by_process(),
        fault("SEC-06", "signed-offsets", || overflows_at("REGION_READ", |_| ("offset", "count", i64::MAX as u64)))
            .by_process(),
        fault("SEC-06", "interrupts-overflow", || {
            overflows_at("DEVICE_SET_IRQS", |_| ("start", "count", u64::from(u32::MAX)))
        })
        .by_process(),
        fault("SEC-06", "a-map-overflows", || overflows_at("DMA_MAP", |_| ("address", "size", u64::MAX))).by_process(),
        fault("SEC-06", "a-file-overflows", || overflows_at("DMA_MAP", |_| ("offset", "size", u64::MAX))).by_process(),
        fault("SEC-06", "an-unmap-overflows", || overflows_at("DMA_UNMAP", |_| ("address", "size", u64::MAX)))
            .by_process(),
        // for (i = start; i != start + count; i++)
        fault("SEC-06", "interrupts-without-end", || {
            answers(|command| {
                let end = get(command, "start") + get(command, "count");
                if is(command, "DEVICE_SET_IRQS") && end > u64::from(u32::MAX) {
                    hang();
                }
                None
            })
        }),
        // for (i = start; i < start + count; i++)
        fault("SEC-06", "no-interrupts-at-all", || {
            answers(|command| {
                let end = get(command, "start") + get(command, "count");
                (is(command, "DEVICE_SET_IRQS") && end > u64::from(u32::MAX)).then(|| Answer::Ok(Vec::new()))
            })
        })
        .also("SETIRQS-12", "there are no such interrupts")
        .noted(),
    ]
}

fn blocked() -> Vec<Fault> {
    vec![
        fault("SEC-08", "an-eventfd-is-written-until-it-is-taken", || {
            signals(|fd| {
                // It waits for the client to read.
                let _ = nix::unistd::write(fd, &1u64.to_ne_bytes());
            })
        }),
        fault("SEC-08", "a-full-eventfd-is-for-ever", || {
            signals(|fd| {
                let mut polled = [PollFd::new(fd.as_fd(), PollFlags::POLLOUT)];
                if poll(&mut polled, PollTimeout::ZERO) == Ok(0) {
                    hang();
                }
                let _ = nix::unistd::write(fd, &1u64.to_ne_bytes());
            })
        }),
        fault("SEC-09", "dies-of-SIGBUS", || memory(Short(die_of_sigbus))).by_process(),
        fault("SEC-09", "looked-at-when-it-is-mapped", || memory(ShortLater)).by_process(),
        fault("SEC-09", "waits-for-the-file-to-grow", || memory(Short(|| hang()))),
    ]
}

fn foreign() -> Vec<Fault> {
    vec![
        fault("SEC-10", "capabilities-in-a-used-buffer", || {
            let mut stale = 0x5a00_u32;
            replies_to("DEVICE_GET_REGION_INFO", move |_, reply| {
                stale += 7;
                // `reserved` of the sparse areas.
                if let Some(reserved) = reply.payload.get_mut(44..48) {
                    reserved.copy_from_slice(&stale.to_ne_bytes());
                }
            })
        }),
        fault("SEC-10", "an-address-for-what-is-not-there", || {
            let mut address = 0x7f3a_10c0_u64;
            replies_to("DEVICE_GET_REGION_INFO", move |_, reply| {
                address += 0x1240;
                if get(reply, "size") == 0 {
                    put(reply, "offset", address);
                }
            })
        }),
        fault("SEC-10", "always-the-same-address", || {
            replies_to("DEVICE_GET_REGION_INFO", |_, reply| {
                if get(reply, "size") == 0 {
                    put(reply, "offset", 0x7f3a_10c0);
                }
            })
        })
        .noted(),
        fault("SEC-10", "as-long-as-argsz", || {
            replies_to("DEVICE_GET_INFO", |command, reply| {
                let size = reply.payload.len().max((get(command, "argsz") as usize).min(1 << 16));
                reply.payload.resize(size, 0x5a);
            })
        })
        .also("INFO-01", "the structure has 16 bytes"),
        fault("SEC-10", "the-data-once-more", || {
            replies_to("REGION_WRITE", |command, reply| reply.payload = command.payload.clone())
        })
        .also("RWRITE-01", "the reply has no data"),
    ]
}

/// The descriptors that come with such messages are never closed.
fn keeps(mut which: impl FnMut(&Frame, &[Effect]) -> bool + 'static) -> Faulty {
    let mut kept: Vec<OwnedFd> = Vec::new();
    around(move |step| {
        let message = step.frame.clone();
        let fds: Vec<OwnedFd> = step.fds.iter().map(|fd| fd.try_clone().unwrap()).collect();
        step.pass_and(|effects| {
            if which(&message, effects) {
                kept.extend(fds);
            }
        });
    })
}

/// Keeps descriptors of messages that are not whole, and of those that are refused by their header.
fn serve_cut(listener: &UnixListener, stop: &OwnedFd, refuse: fn(&Header) -> bool) {
    let mut kept = Vec::new();
    serve_clients(listener, stop, |client| {
        while let Some(header) = client.header() {
            if refuse(&header) {
                kept.append(&mut client.fds);
                break;
            }
            let Some(payload) = client.exactly(as_told(&header)) else {
                kept.append(&mut client.fds);
                break;
            };
            let effects = client.carry_out(Frame { header, payload });
            if !client.perform(effects) {
                break;
            }
        }
        true
    });
}

/// How many there were, and what happens when they are many.
type Strangers = (usize, fn(usize));

/// Clients that leave without a VERSION are counted; `many` is called when they are many.
fn strangers(many: fn(usize)) -> Faulty {
    let connect: fn(&mut Strangers, &mut Server) = |(count, many), server| {
        *count += 1;
        if *count > 200 {
            many(*count);
        }
        server.connect();
    };
    let receive: fn(&mut Strangers, Step<'_>) = |(count, _), step| {
        *count = 0;
        step.pass();
    };
    Visits { connect, receive, ..Visits::new((0, many)) }.machine()
}

/// The sum of two fields overflows: their names, and the largest sum.
fn overflows_at(name: &'static str, sum: fn(&Frame) -> (&'static str, &'static str, u64)) -> Faulty {
    answers(move |command| {
        let (a, b, most) = sum(command);
        let fits = get(command, a).checked_add(get(command, b)).is_some_and(|sum| sum <= most);
        assert!(!is(command, name) || fits, "attempt to add with overflow");
        None
    })
}

/// Interrupts are signalled by `signal`.
fn signals(signal: fn(&OwnedFd)) -> Faulty {
    effects(move |_, effects| {
        for effect in effects.extract_if(.., |effect| matches!(effect, Effect::Signal { .. })) {
            if let Effect::Signal { fd, .. } = effect {
                signal(&fd);
            }
        }
    })
}

/// The first signal only takes the handler of the language's runtime away.
fn die_of_sigbus() {
    for _ in 0..2 {
        raise(Signal::SIGBUS).unwrap();
    }
}

/// A file that is too short is refused, and nobody expects that it becomes so.
struct ShortLater;

impl Twist for ShortLater {
    fn map(
        &mut self,
        memory: &mut dyn Memory,
        address: u64,
        fd: OwnedFd,
        offset: u64,
        size: u64,
        access: Access,
    ) -> Result<(), Errno> {
        let length = nix::sys::stat::fstat(&fd)?.st_size as u64;
        if length < offset.saturating_add(size) {
            return Err(Errno::EINVAL);
        }
        memory.map(address, fd, offset, size, access)
    }

    fn read(&mut self, memory: &mut dyn Memory, address: u64, offset: u64, bytes: &mut [u8]) -> Result<(), Errno> {
        memory.read(address, offset, bytes).inspect_err(|_| die_of_sigbus())
    }

    fn write(&mut self, memory: &mut dyn Memory, address: u64, offset: u64, bytes: &[u8]) -> Result<(), Errno> {
        memory.write(address, offset, bytes).inspect_err(|_| die_of_sigbus())
    }
}

/// What happens where the file behind a map has no such bytes.
struct Short(fn());

impl Twist for Short {
    fn read(&mut self, memory: &mut dyn Memory, address: u64, offset: u64, bytes: &mut [u8]) -> Result<(), Errno> {
        memory.read(address, offset, bytes).inspect_err(|_| (self.0)())
    }

    fn write(&mut self, memory: &mut dyn Memory, address: u64, offset: u64, bytes: &[u8]) -> Result<(), Errno> {
        memory.write(address, offset, bytes).inspect_err(|_| (self.0)())
    }
}
