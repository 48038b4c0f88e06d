//! The socket: how replies go out, and how clients are taken.

use std::io::Write;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::net::UnixListener;

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use std::os::fd::AsFd;
use vfio_user_reference_server::{Effect, HostMemory, Machine, Server};

use vfio_user_wire::{Frame, HEADER_SIZE};

use crate::liberty::{Liberty, loop_liberty};
use crate::loops::{Client, as_told, readable, serve_clients};

pub(crate) fn liberties() -> Vec<Liberty> {
    let some = ["header.*", "version.*", "region-info.*", "io-fds.*", "order.*", "dma-write.*", "clients.*"];
    vec![
        loop_liberty("byte-by-byte", "206-212: a stream has no messages", |listener, stop| {
            serve(&listener, &stop, |client, bytes, fds| {
                let (first, rest) = bytes.split_at(1);
                let (some, rest) = rest.split_at(rest.len().min(63));
                let mut sent = client.send(first, fds);
                sent &= some.chunks(1).all(|byte| client.stream.write_all(byte).is_ok());
                sent && client.stream.write_all(rest).is_ok()
            });
        })
        .seen_by(&some)
        .noted("TWIN-09", "a twin socket is recommended"),
        loop_liberty("header-first", "206-212: a stream has no messages", |listener, stop| {
            serve(&listener, &stop, |client, bytes, fds| {
                let (header, payload) = bytes.split_at(16);
                client.send(header, fds) && (payload.is_empty() || client.send(payload, &[]))
            });
        })
        .seen_by(&some)
        .noted("TWIN-09", "a twin socket is recommended"),
        loop_liberty("descriptors-with-the-payload", "843-846: in its meta-data; policy A-46", |listener, stop| {
            serve(&listener, &stop, |client, bytes, fds| {
                let (header, payload) = bytes.split_at(16);
                client.send(header, &[]) && (payload.is_empty() || client.send(payload, fds))
            });
        })
        .seen_by(&some)
        .noted("TWIN-09", "a twin socket is recommended"),
        loop_liberty("descriptors-one-by-one", "843-846, 1007: in its meta-data; policy A-46", |listener, stop| {
            serve(&listener, &stop, |client, bytes, fds| {
                let mut rest = bytes;
                for fd in fds {
                    let (first, behind) = rest.split_at(1);
                    if !client.send(first, &[*fd]) {
                        return false;
                    }
                    rest = behind;
                }
                client.send(rest, &[])
            });
        })
        .seen_by(&some)
        .noted("TWIN-09", "a twin socket is recommended"),
        loop_liberty(
            "replies-are-reversed",
            "427-430: an id tells what a reply is to; 246 orders the processing",
            |listener, stop| {
                serve_clients(&listener, &stop, |client| {
                    while let Some(first) = next(client) {
                        let mut effects = vec![client.carry_out(first)];
                        while arrives(client) {
                            let Some(more) = next(client) else { break };
                            effects.push(client.carry_out(more));
                        }
                        effects.reverse();
                        if !client.perform(effects.into_iter().flatten().collect()) {
                            break;
                        }
                    }
                    true
                });
            },
        )
        .seen_by(&["CONC-*", "HDR-*", "RREAD-*"])
        .noted("CONC-06", "in another order than the commands"),
        loop_liberty("one-client-and-no-other", "291-293: the server can automatically exit", |listener, stop| {
            let mut listener = Some(listener);
            if !listener.as_ref().is_some_and(|listener| readable(listener, &stop)) {
                return;
            }
            let Some(Ok((stream, _))) = listener.take().map(|listener| listener.accept()) else { return };
            alone(stream, &stop);
        })
        .seen_by(&["DISC-*", "SOCK-*", "SEC-07", "SEC-04", "VER-32", "VER-24", "CONC-10"])
        .noted("DISC-05", "the server is gone with its client"),
        loop_liberty(
            "every-client-has-a-device",
            "201-204: a server can serve one or more devices, belonging to one or more clients",
            |listener, stop| {
                std::thread::scope(|scope| {
                    while readable(&listener, &stop) {
                        let Ok((stream, _)) = listener.accept() else { return };
                        let stop = &stop;
                        scope.spawn(move || alone(stream, stop));
                    }
                });
            },
        )
        .seen_by(&["DISC-*", "SOCK-*", "SEC-07", "SEC-04", "TWIN-12", "CONC-10"])
        .noted("DISC-04", "each client finds a new device")
        .noted("DISC-10", "each client finds a new device"),
        loop_liberty("a-second-client-is-turned-away", "206, 230-231: one connection per client", |listener, stop| {
            std::thread::scope(|scope| {
                let busy = std::sync::atomic::AtomicBool::new(false);
                let busy = std::sync::Arc::new(busy);
                while readable(&listener, &stop) {
                    let Ok((stream, _)) = listener.accept() else { return };
                    if busy.swap(true, std::sync::atomic::Ordering::SeqCst) {
                        continue;
                    }
                    let (stop, busy) = (&stop, std::sync::Arc::clone(&busy));
                    scope.spawn(move || {
                        alone(stream, stop);
                        busy.store(false, std::sync::atomic::Ordering::SeqCst);
                    });
                }
            });
        })
        .seen_by(&["SOCK-*", "SEC-04"])
        .noted("SEC-04", "the second client is not served"),
    ]
}

/// Serves clients one after the other; `send` sends each message.
fn serve(listener: &UnixListener, stop: &OwnedFd, send: fn(&mut Client<'_>, &[u8], &[i32]) -> bool) {
    serve_clients(listener, stop, |client| {
        while let Some(frame) = next(client) {
            for effect in client.carry_out(frame) {
                let going_on = match effect {
                    Effect::Send { frame, fds, .. } => {
                        let fds: Vec<i32> = fds.iter().map(|fd| fd.as_raw_fd()).collect();
                        send(client, &frame.bytes(), &fds)
                    }
                    other => client.perform(vec![other]),
                };
                if !going_on {
                    return true;
                }
            }
        }
        true
    });
}

/// More of the stream is there already.
fn arrives(client: &Client<'_>) -> bool {
    let mut polled = [PollFd::new(client.stream.as_fd(), PollFlags::POLLIN)];
    poll(&mut polled, PollTimeout::ZERO).is_ok_and(|ready| ready > 0)
}

/// Serves one client with a device of its own.
fn alone(stream: std::os::unix::net::UnixStream, stop: &OwnedFd) {
    let without = vfio_user_reference_server::Without::from_iter([vfio_user_reference_server::Feature::TwinSocket]);
    let (mut server, mut memory) = (Server::with(without), HostMemory::new().unwrap());
    server.connect();
    let mut client = Client { stream, stop, server: &mut server, memory: &mut memory, fds: Vec::new() };
    while let Some(frame) = next(&mut client) {
        let effects = client.carry_out(frame);
        if !client.perform(effects) {
            break;
        }
    }
    drop(client);
    server.disconnect(&mut memory);
}

/// The next message; `None` where what comes is none.
fn next(client: &mut Client<'_>) -> Option<Frame> {
    let header = client.header().filter(|header| header.size as usize >= HEADER_SIZE)?;
    Some(Frame { header, payload: client.exactly(as_told(&header))? })
}
