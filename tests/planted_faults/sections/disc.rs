//! Disconnection.

use std::collections::{BTreeMap, HashMap};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixListener;
use std::process::{Command, Stdio};

use nix::fcntl::{FcntlArg, FdFlag, fcntl};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::eventfd::EventFd;
use nix::sys::signal::{SigHandler, Signal, signal};
use serde_json::{Map, Value};
use vfio_user_reference_server::{Effect, Errno, FRAME_LIMIT, Machine, Memory, Server};
use vfio_user_wire::{Frame, HEADER_SIZE, Header, NO_REPLY};

use crate::clients::Visits;
use crate::dma::{Window, failed};
use crate::fault::{Fault, fault, loop_fault};
use crate::loops::{Client, as_told, serve_clients, until_stopped};
use crate::wrapper::{Answer, Faulty, Step, capabilities, get, is, set_capabilities};

/// No server can show these.
pub(crate) const NO_FAULT: &[(&str, &str)] = &[];

/// DEVICE_SET_IRQS: the data are eventfds.
const EVENTFDS: u64 = 1 << 2;
/// DEVICE_SET_IRQS: they are for this action.
const ACTIONS: u64 = 7 << 3;
const TRIGGER: u64 = 1 << 5;

pub(crate) fn faults() -> Vec<Fault> {
    [maps(), interrupts(), states(), negotiations(), cuts(), ends(), cycles()].into_iter().flatten().collect()
}

fn maps() -> Vec<Fault> {
    vec![
        fault("DISC-01", "the-memory-stays-mapped", || {
            Visits { disconnect: |(), _, _| {}, ..Visits::new(()) }.machine()
        }),
        fault("DISC-01", "the-addresses-stay-taken", || {
            let windows = (Vec::<Window>::new(), Vec::<Window>::new());
            Visits { receive: take_once, disconnect: leave_windows, ..Visits::new(windows) }.machine()
        }),
        fault("DISC-02", "the-files-of-maps-stay-open", || files_stay_open(|_| true)).by_process(),
        // A loop that begins with 1.
        fault("DISC-02", "the-first-file-stays-open", || files_stay_open(|place| place == 0)).by_process(),
    ]
}

fn interrupts() -> Vec<Fault> {
    vec![
        fault("DISC-03", "eventfds-stay-open", || eventfds_stay_open(|_| true)),
        fault("DISC-03", "the-first-vector-only-is-let-go", || eventfds_stay_open(|event| event.vector > 0)),
        fault("DISC-03", "other-types-than-the-first-stay", || eventfds_stay_open(|event| event.index > 0)),
        fault("DISC-03", "triggers-only-are-let-go", || eventfds_stay_open(|event| event.action != TRIGGER)),
    ]
}

fn states() -> Vec<Fault> {
    vec![
        fault("DISC-10", "running-for-the-next-client", || {
            Visits {
                disconnect: |(), server, memory| {
                    let mut run = Frame::command(0, 16, vec![16, 0, 0, 0, 2, 0, 2, 0, 2, 0, 0, 0, 0, 0, 0, 0]);
                    run.header.flags |= NO_REPLY;
                    server.receive(run, Vec::new(), memory, &mut Vec::new());
                    server.disconnect(memory);
                },
                ..Visits::new(())
            }
            .machine()
        })
        .noted(),
        // Who saves or restores has the device to himself, and never gives it back.
        fault("DISC-15", "busy-with-a-client-that-is-gone", || {
            let receive: fn(&mut (bool, bool), Step<'_>) = |(moving, stuck), step| {
                let set = is(&step.frame, "DEVICE_FEATURE") && get(&step.frame, "flags") == 0x2_0002;
                if *stuck && (set || is(&step.frame, "DEVICE_RESET")) {
                    return step.answer(Answer::Error(Errno::EBUSY));
                }
                if set {
                    *moving = matches!(step.frame.payload.get(8), Some(3 | 4));
                }
                step.pass();
            };
            let disconnect: fn(&mut (bool, bool), &mut Server, &mut dyn Memory) = |(moving, stuck), server, memory| {
                *stuck |= *moving;
                server.disconnect(memory);
            };
            Visits { receive, disconnect, ..Visits::new((false, false)) }.machine()
        })
        .also("MIGFSM-19", "which says the same of the way from STOP_COPY"),
        fault("DISC-04", "a-device-for-each-client", || {
            Visits { connect: |(), server| *server = Server::new(), ..Visits::new(()) }.machine()
        }),
        fault("DISC-04", "reset-when-the-client-leaves", || {
            Visits {
                disconnect: |(), server, memory| {
                    let mut reset = Frame::command(0, 13, Vec::new());
                    reset.header.flags |= NO_REPLY;
                    server.receive(reset, Vec::new(), memory, &mut Vec::new());
                    server.disconnect(memory);
                },
                ..Visits::new(())
            }
            .machine()
        }),
        fault("DISC-05", "leaves-with-its-client", || {
            Visits { disconnect: |(), _, _| std::process::exit(0), ..Visits::new(()) }.machine()
        })
        .by_process(),
        fault("DISC-05", "fails-with-its-client", || {
            Visits { disconnect: |(), _, _| panic!("the client has left"), ..Visits::new(()) }.machine()
        })
        .by_process(),
        loop_fault("DISC-05", "one-client-in-its-life", |listener, stop| {
            let mut served = false;
            serve_clients(&listener, &stop, |client| {
                if std::mem::replace(&mut served, true) {
                    until_stopped(client.stop);
                } else {
                    serve(client);
                }
                true
            });
        }),
        loop_fault("DISC-05", "listens-no-longer", |listener, stop| {
            serve_clients(&listener, &stop, |client| {
                serve(client);
                false
            });
            drop(listener);
            until_stopped(&stop);
        }),
        // VERSION is not the first message any more.
        fault("DISC-05", "negotiated-for-life", || {
            let connect: fn(&mut bool, &mut Server) = |connected, server| {
                if !std::mem::replace(connected, true) {
                    server.connect();
                }
            };
            Visits { connect, disconnect: |_, _, _| {}, ..Visits::new(false) }.machine()
        })
        .also("VER-04", "no version at all is agreed on with the next client"),
    ]
}

fn negotiations() -> Vec<Fault> {
    vec![
        fault("DISC-06", "the-limits-of-the-first-client", || {
            let receive: fn(&mut Option<Map<String, Value>>, Step<'_>) = |first, mut step| {
                if is(&step.frame, "VERSION") {
                    let mut stated = capabilities(&step.frame);
                    let first = first.get_or_insert_with(|| stated.clone());
                    for (name, value) in &mut stated {
                        if let Some(known) = first.get(name) {
                            value.clone_from(known);
                        }
                    }
                    set_capabilities(&mut step.frame, stated);
                }
                step.pass();
            };
            Visits { receive, ..Visits::new(None) }.machine()
        }),
        fault("DISC-06", "the-smallest-transfer-of-all", || {
            let receive: fn(&mut u64, Step<'_>) = |smallest, step| {
                if is(&step.frame, "VERSION") {
                    let stated = capabilities(&step.frame).get("max_data_xfer_size").and_then(Value::as_u64);
                    *smallest = (*smallest).min(stated.unwrap_or(1 << 20));
                }
                if is(&step.frame, "REGION_READ") && get(&step.frame, "count") > *smallest {
                    step.answer(Answer::Error(Errno::EINVAL));
                } else {
                    step.pass();
                }
            };
            Visits { receive, ..Visits::new(u64::MAX) }.machine()
        }),
        fault("DISC-06", "the-smallest-transfer-of-all-is-stated", || {
            let receive: fn(&mut u64, Step<'_>) = |smallest, step| {
                let version = is(&step.frame, "VERSION");
                if version {
                    let stated = capabilities(&step.frame).get("max_data_xfer_size").and_then(Value::as_u64);
                    *smallest = (*smallest).min(stated.unwrap_or(1 << 20));
                }
                if is(&step.frame, "REGION_READ") && get(&step.frame, "count") > *smallest {
                    return step.answer(Answer::Error(Errno::EINVAL));
                }
                let smallest = *smallest;
                step.pass_and(|effects| {
                    for effect in effects {
                        if let Effect::Send { frame, .. } = effect
                            && version
                            && !frame.header.is_error()
                        {
                            let mut stated = capabilities(frame);
                            stated.insert("max_data_xfer_size".to_owned(), smallest.into());
                            set_capabilities(frame, stated);
                        }
                    }
                });
            };
            Visits { receive, ..Visits::new(1 << 20) }.machine()
        }),
        // Who is connected may speak: the first client has negotiated.
        fault("DISC-06", "negotiated-once-is-enough", || {
            let receive: fn(&mut (bool, Option<Frame>), Step<'_>) = |(begun, version), step| {
                let first = !std::mem::replace(begun, true);
                let Step { channel, server, frame, fds, memory, effects } = step;
                if is(&frame, "VERSION") {
                    version.get_or_insert_with(|| frame.clone());
                } else if let (true, Some(version)) = (first, version) {
                    server.receive(version.clone(), Vec::new(), memory, &mut Vec::new());
                }
                Step { channel, server, frame, fds, memory, effects }.pass();
            };
            Visits {
                connect: |(begun, _), server| {
                    *begun = false;
                    server.connect();
                },
                receive,
                ..Visits::new((false, None))
            }
            .machine()
        })
        // Such commands are answered by servers that do not ask for a VERSION at all, too.
        .noted(),
        fault("DISC-06", "the-version-of-the-first-client", || {
            let receive: fn(&mut Option<u16>, Step<'_>) = |agreed, step| {
                let version = is(&step.frame, "VERSION");
                step.pass_and(|effects| {
                    for effect in effects {
                        if let Effect::Send { frame, .. } = effect
                            && let (true, Some(minor)) = (version, frame.payload.get_mut(2..4))
                        {
                            let told = u16::from_ne_bytes([minor[0], minor[1]]);
                            minor.copy_from_slice(&agreed.get_or_insert(told).to_ne_bytes());
                        }
                    }
                });
            };
            Visits { receive, ..Visits::new(None) }.machine()
        })
        .also("VER-03", "what the first client agreed on may be above what the next one proposes"),
    ]
}

fn cuts() -> Vec<Fault> {
    vec![
        loop_fault("DISC-07", "the-rest-is-for-the-next-client", |listener, stop| {
            let mut bytes = Vec::new();
            serve_clients(&listener, &stop, |client| {
                while let Some(more) = client.receive(1 << 20) {
                    bytes.extend(more);
                    while let Ok(Some((frame, size))) = Frame::split(&bytes, FRAME_LIMIT) {
                        bytes.drain(..size);
                        let effects = client.carry_out(frame);
                        if !client.perform(effects) {
                            return true;
                        }
                    }
                }
                true
            });
        }),
        loop_fault("DISC-07", "what-is-missing-is-zero", |listener, stop| {
            serve_cut(&listener, &stop, |_, bytes, size| {
                bytes.resize(size, 0);
                true
            });
        }),
        loop_fault("DISC-07", "a-cut-message-is-a-panic", |listener, stop| {
            serve_cut(&listener, &stop, |_, _, _| panic!("failed to fill whole buffer"));
        })
        .by_process(),
        // read() gives 0, and is called again.
        loop_fault("DISC-07", "waiting-for-the-rest", |listener, stop| {
            serve_cut(&listener, &stop, |client, _, _| {
                until_stopped(client.stop);
                false
            });
        }),
        loop_fault("DISC-08", "dies-of-SIGPIPE", |listener, stop| {
            // SAFETY: no handler is installed.
            unsafe { signal(Signal::SIGPIPE, SigHandler::SigDfl) }.unwrap();
            serve_unread(&listener, &stop, |_| {});
        })
        .by_process()
        .also("IOFDS-06", "this loop passes no descriptors"),
        loop_fault("DISC-08", "a-failed-write-is-a-panic", |listener, stop| {
            serve_unread(&listener, &stop, |_| panic!("Broken pipe"));
        })
        .by_process()
        .perhaps("IOFDS-06", "this loop passes no descriptors"),
        loop_fault("DISC-08", "sends-until-it-works", |listener, stop| {
            serve_unread(&listener, &stop, until_stopped);
        })
        .perhaps("IOFDS-06", "this loop passes no descriptors"),
    ]
}

fn ends() -> Vec<Fault> {
    vec![
        loop_fault("DISC-09", "open-until-both-are-closed", |listener, stop| {
            serve_clients(&listener, &stop, |client| {
                serve(client);
                until_hung_up(client);
                true
            });
        }),
        loop_fault("DISC-09", "no-end-before-the-version", |listener, stop| {
            serve_clients(&listener, &stop, |client| {
                let Some(version) = client.message() else {
                    until_hung_up(client);
                    return true;
                };
                let effects = client.carry_out(version);
                if client.perform(effects) {
                    serve(client);
                }
                true
            });
        }),
        loop_fault("DISC-09", "no-end-inside-a-message", |listener, stop| {
            serve_cut(&listener, &stop, |client, _, _| {
                until_hung_up(client);
                false
            });
        }),
        // A program that it starts, for the device's sake, has all of its descriptors.
        loop_fault("DISC-14", "a-child-holds-the-connection", |listener, stop| {
            serve_clients(&listener, &stop, |client| {
                fcntl(&client.stream, FcntlArg::F_SETFD(FdFlag::empty())).unwrap();
                let nothing = Stdio::null;
                let child =
                    Command::new("sleep").arg("20").stdin(nothing()).stdout(nothing()).stderr(nothing()).spawn();
                serve(client);
                child.and_then(|mut child| child.kill().and_then(|()| child.wait())).unwrap();
                true
            });
        })
        .by_process()
        // The command may be a wrapper of the server's, which can die alone.
        .noted(),
    ]
}

fn cycles() -> Vec<Fault> {
    vec![
        fault("DISC-12", "an-eventfd-for-each-client", || {
            let connect: fn(&mut Vec<EventFd>, &mut Server) = |eventfds, server| {
                eventfds.push(EventFd::new().unwrap());
                server.connect();
            };
            Visits { connect, ..Visits::new(Vec::new()) }.machine()
        })
        .by_process(),
        loop_fault("DISC-12", "connections-stay-open", |listener, stop| {
            let mut connections = Vec::new();
            serve_clients(&listener, &stop, |client| {
                connections.push(client.stream.try_clone().unwrap());
                serve(client);
                true
            });
        })
        .by_process(),
        fault("DISC-12", "the-eventfds-of-each-client", || {
            let receive: fn(&mut Vec<OwnedFd>, Step<'_>) = |kept, step| {
                if is(&step.frame, "DEVICE_SET_IRQS") {
                    kept.extend(step.fds.iter().map(|fd| fd.try_clone().unwrap()));
                }
                step.pass();
            };
            Visits { receive, ..Visits::new(Vec::new()) }.machine()
        })
        .by_process(),
    ]
}

/// Serves a client to its end.
fn serve(client: &mut Client<'_>) {
    while let Some(frame) = client.message() {
        let effects = client.carry_out(frame);
        if !client.perform(effects) {
            break;
        }
    }
}

/// Leaves messages that end too early to `cut`, with what there is of them and how much there should be; it says whether
/// there is a message all the same.
fn serve_cut(listener: &UnixListener, stop: &OwnedFd, cut: fn(&mut Client<'_>, &mut Vec<u8>, usize) -> bool) {
    fn fill(
        client: &mut Client<'_>,
        bytes: &mut Vec<u8>,
        size: usize,
        cut: fn(&mut Client<'_>, &mut Vec<u8>, usize) -> bool,
    ) -> bool {
        while bytes.len() < size {
            match client.receive(size - bytes.len()) {
                Some(more) => bytes.extend(more),
                None => return !bytes.is_empty() && cut(client, bytes, size),
            }
        }
        true
    }
    serve_clients(listener, stop, |client| {
        loop {
            let mut bytes = Vec::new();
            if !fill(client, &mut bytes, HEADER_SIZE, cut) {
                return true;
            }
            let Some((header, _)) = Header::parse(&bytes) else { return true };
            if !fill(client, &mut bytes, HEADER_SIZE + as_told(&header), cut) {
                return true;
            }
            let effects = client.carry_out(Frame { header, payload: bytes.split_off(HEADER_SIZE) });
            if !client.perform(effects) {
                return true;
            }
        }
    });
}

/// Writes replies as to a file; `failed` is called where a client does not take one.
fn serve_unread(listener: &UnixListener, stop: &OwnedFd, failed: fn(&OwnedFd)) {
    serve_clients(listener, stop, |client| {
        while let Some(frame) = client.message() {
            for effect in client.carry_out(frame) {
                let Effect::Send { frame, .. } = effect else { continue };
                let bytes = frame.bytes();
                let mut sent = 0;
                while sent < bytes.len() {
                    match nix::unistd::write(&client.stream, &bytes[sent..]) {
                        Ok(count) => sent += count,
                        Err(_) => {
                            failed(client.stop);
                            return true;
                        }
                    }
                }
            }
        }
        true
    });
}

/// Waits until the client has closed altogether.
fn until_hung_up(client: &Client<'_>) {
    let stream = std::os::fd::AsFd::as_fd(&client.stream);
    let stop = std::os::fd::AsFd::as_fd(client.stop);
    // POLLHUP comes unasked.
    let mut polled = [PollFd::new(stream, PollFlags::empty()), PollFd::new(stop, PollFlags::POLLIN)];
    let _ = poll(&mut polled, PollTimeout::NONE);
}

/// DMA_MAP over addresses that a client before had is refused.
fn take_once((mine, old): &mut (Vec<Window>, Vec<Window>), step: Step<'_>) {
    let named = Window::named(&step.frame);
    let (map, unmap) = (is(&step.frame, "DMA_MAP"), is(&step.frame, "DMA_UNMAP"));
    if map && old.iter().any(|window| window.overlaps(&named)) {
        return step.answer(Answer::Error(Errno::EEXIST));
    }
    step.pass_and(|effects| {
        if map && !failed(effects) {
            mine.push(named);
        } else if unmap && !failed(effects) {
            mine.retain(|window| !window.is(&named));
        }
    });
}

fn leave_windows(
    (mine, old): &mut (Vec<Window>, Vec<Window>),
    server: &mut Server,
    memory: &mut dyn vfio_user_reference_server::Memory,
) {
    old.append(mine);
    server.disconnect(memory);
}

/// The files of maps are kept until DMA_UNMAP; of those that are left when the client leaves, some are kept for good.
fn files_stay_open(stays: fn(usize) -> bool) -> Faulty {
    type Files = (BTreeMap<u64, OwnedFd>, Vec<OwnedFd>, fn(usize) -> bool);
    let receive: fn(&mut Files, Step<'_>) = |(files, _, _), step| {
        let named = Window::named(&step.frame);
        let (map, unmap) = (is(&step.frame, "DMA_MAP"), is(&step.frame, "DMA_UNMAP"));
        let file = step.fds.first().map(|fd| fd.try_clone().unwrap());
        step.pass_and(|effects| {
            if unmap && !failed(effects) {
                files.remove(&named.address);
            } else if let (true, false, Some(file)) = (map, failed(effects), file) {
                files.insert(named.address, file);
            }
        });
    };
    Visits {
        receive,
        disconnect: |(files, kept, stays), server, memory| {
            let left = std::mem::take(files).into_values().enumerate();
            kept.extend(left.filter(|(place, _)| stays(*place)).map(|(_, file)| file));
            server.disconnect(memory);
        },
        ..Visits::new((BTreeMap::new(), Vec::new(), stays))
    }
    .machine()
}

/// What a descriptor of DEVICE_SET_IRQS is assigned to.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
struct Event {
    index: u64,
    vector: u64,
    action: u64,
}

/// Some of the descriptors that are assigned when the client leaves stay open.
fn eventfds_stay_open(stays: fn(&Event) -> bool) -> Faulty {
    type Assigned = (HashMap<Event, OwnedFd>, Vec<OwnedFd>, fn(&Event) -> bool);
    let receive: fn(&mut Assigned, Step<'_>) = |(assigned, _, _), step| {
        if !is(&step.frame, "DEVICE_SET_IRQS") {
            return step.pass();
        }
        let field = |name| get(&step.frame, name);
        let (index, start, count, flags) = (field("index"), field("start"), field("count"), field("flags"));
        let fds: Vec<OwnedFd> = step.fds.iter().map(|fd| fd.try_clone().unwrap()).collect();
        step.pass_and(|effects| {
            if failed(effects) {
                return;
            }
            if count == 0 {
                assigned.retain(|event, _| event.index != index);
            }
            if flags & EVENTFDS != 0 {
                for vector in start..start + count {
                    assigned.remove(&Event { index, vector, action: flags & ACTIONS });
                }
                for (vector, fd) in (start..).zip(fds) {
                    assigned.insert(Event { index, vector, action: flags & ACTIONS }, fd);
                }
            }
        });
    };
    Visits {
        receive,
        disconnect: |(assigned, kept, stays), server, memory| {
            kept.extend(assigned.drain().filter(|(event, _)| stays(event)).map(|(_, fd)| fd));
            server.disconnect(memory);
        },
        ..Visits::new((HashMap::new(), Vec::new(), stays))
    }
    .machine()
}
