//! Backend program conventions.

use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixListener;
use std::process::ExitCode;
use std::sync::LazyLock;

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::eventfd::EventFd;
use nix::sys::prctl::set_pdeathsig;
use nix::sys::signal::Signal;
use nix::sys::wait::wait;
use nix::unistd::{ForkResult, fork, setsid};
use vfio_user_reference_server::{Effect, Endpoint, Server};

use crate::fault::{Fault, fault, loop_fault, program_fault};
use crate::loops::{Client, readable, serve_clients, serve_messages, until_stopped};
use crate::server::{endpoint, listener, run, termination};
use crate::wrapper::{answers, is};

/// No server can show these.
pub(crate) const NO_FAULT: &[(&str, &str)] = &[];

pub(crate) fn faults() -> Vec<Fault> {
    [processes(), signals(), options()].into_iter().flatten().collect()
}

fn processes() -> Vec<Fault> {
    vec![
        // As soon as there is somebody to serve.
        program_fault("BACKEND-01", "forks-and-leaves", |arguments| {
            serves(arguments, |listener| {
                let mut polled = [PollFd::new(listener.as_fd(), PollFlags::POLLIN)];
                poll(&mut polled, PollTimeout::NONE).map_err(|error| error.to_string())?;
                match forked()? {
                    ForkResult::Parent { .. } => Ok(()),
                    ForkResult::Child => run(&mut Server::new(), Endpoint::Fd(listener.into())),
                }
            })
        }),
        program_fault("BACKEND-01", "a-session-of-its-own", |arguments| match forked() {
            Ok(ForkResult::Parent { .. }) => wait().map_or(ExitCode::FAILURE, |_| ExitCode::SUCCESS),
            Ok(ForkResult::Child) => serves(arguments, |listener| {
                // Nothing stays behind.
                set_pdeathsig(Signal::SIGKILL).and_then(|()| setsid()).map_err(|error| error.to_string())?;
                run(&mut Server::new(), Endpoint::Fd(listener.into()))
            }),
            Err(_) => ExitCode::FAILURE,
        }),
        program_fault("BACKEND-03", "standard-input-is-not-needed", |arguments| {
            // SAFETY: nothing in this program uses it.
            unsafe { libc::close(0) };
            serves(arguments, |listener| run(&mut Server::new(), Endpoint::Fd(listener.into())))
        }),
        program_fault("BACKEND-03", "standard-output-is-for-an-eventfd", |arguments| {
            let eventfd = EventFd::new().map_err(|error| error.to_string());
            // SAFETY: nothing in this program uses standard output.
            let taken =
                eventfd.map(|eventfd| unsafe { libc::dup2(std::os::fd::AsRawFd::as_raw_fd(&eventfd.as_fd()), 1) });
            if taken != Ok(1) {
                return ExitCode::FAILURE;
            }
            serves(arguments, |listener| run(&mut Server::new(), Endpoint::Fd(listener.into())))
        }),
        // It can be steered from a terminal.
        fault("BACKEND-03", "leaves-when-there-is-no-more-input", || {
            answers(|command| {
                if is(command, "DEVICE_GET_INFO")
                    && std::io::stdin().read_line(&mut String::new()).is_ok_and(|n| n == 0)
                {
                    std::process::exit(0);
                }
                None
            })
        })
        .by_process(),
    ]
}

fn signals() -> Vec<Fault> {
    vec![
        loop_fault("BACKEND-04", "blocked-and-never-taken", |listener, _| {
            serve_messages(&listener, never(), |client| client.message());
        })
        .by_process(),
        loop_fault("BACKEND-04", "only-between-clients", |listener, stop| {
            serve_clients(&listener, &stop, |client| {
                serve(client, |_| never());
                true
            });
        })
        .by_process(),
        loop_fault("BACKEND-04", "only-with-a-client", |listener, stop| {
            let stop = kept(stop);
            serve_clients(&listener, never(), |client| {
                serve(client, |_| stop);
                has_left(client)
            });
        })
        .by_process(),
        loop_fault("BACKEND-04", "not-before-the-version", |listener, stop| {
            let stop = kept(stop);
            serve_clients(&listener, never(), |client| {
                let mut begun = false;
                serve(client, |_| if std::mem::replace(&mut begun, true) { stop } else { never() });
                has_left(client)
            });
        })
        .by_process(),
        loop_fault("BACKEND-04", "not-while-dma-is-under-way", |listener, stop| {
            let stop = kept(stop);
            serve_clients(&listener, stop, |client| {
                let asked = |effect: &Effect| matches!(effect, Effect::Send { frame, .. } if !frame.header.is_reply());
                serve(client, |last| if last.iter().any(asked) { never() } else { stop });
                true
            });
        })
        .by_process(),
        // The rest of a message is read to its end, and a reply is written to its end, however long the client takes.
        loop_fault("BACKEND-04", "only-between-messages", |listener, stop| {
            let stop = kept(stop);
            serve_clients(&listener, stop, |client| {
                while readable(&client.stream, stop) || is_ready(&client.stream) {
                    client.stop = never();
                    let Some(frame) = client.message() else { break };
                    let effects = client.carry_out(frame);
                    if !client.perform(effects) {
                        break;
                    }
                }
                true
            });
        })
        .by_process(),
    ]
}

fn options() -> Vec<Fault> {
    vec![
        program_fault("BACKEND-05", "a-path-ends-before-an-equals-sign", |arguments| {
            let cut: Vec<String> =
                arguments.iter().map(|argument| argument.split('=').take(2).collect::<Vec<_>>().join("=")).collect();
            conventional(&cut)
        }),
        program_fault("BACKEND-06", "only-a-path", |arguments| {
            serves(arguments, |listener| run(&mut Server::new(), Endpoint::Fd(listener.into())))
        }),
        // inetd(8) would have it so.
        program_fault("BACKEND-06", "the-descriptor-is-0", |arguments| {
            let arguments = arguments
                .iter()
                .map(|argument| if argument.starts_with("--fd=") { "--fd=0".to_owned() } else { argument.clone() });
            conventional(&arguments.collect::<Vec<_>>())
        }),
        program_fault("BACKEND-06", "taken-and-not-served", |arguments| {
            if arguments.iter().any(|argument| argument.starts_with("--fd=")) {
                return termination().map_or(ExitCode::FAILURE, |stop| {
                    until_stopped(&stop);
                    ExitCode::SUCCESS
                });
            }
            conventional(arguments)
        }),
        program_fault("BACKEND-07", "the-first-option-counts", |arguments| {
            conventional(arguments.get(..1).unwrap_or_default())
        }),
        program_fault("BACKEND-07", "the-path-counts", |arguments| {
            let path = arguments.iter().find(|argument| argument.starts_with("--socket-path="));
            conventional(path.map_or(arguments, std::slice::from_ref))
        }),
        program_fault("BACKEND-07", "refused-and-ended-well", |arguments| {
            if arguments.len() > 1 {
                eprintln!("--fd and --socket-path exclude each other");
                return ExitCode::SUCCESS;
            }
            conventional(arguments)
        }),
    ]
}

/// A program as it should be.
fn conventional(arguments: &[String]) -> ExitCode {
    ended(endpoint(arguments).and_then(|endpoint| run(&mut Server::new(), endpoint)))
}

/// Serves the socket of `--socket-path`, and knows no other option.
fn serves(arguments: &[String], serve: impl FnOnce(UnixListener) -> Result<(), String>) -> ExitCode {
    ended(listener(arguments).and_then(serve))
}

fn ended(served: Result<(), String>) -> ExitCode {
    match served {
        Ok(()) => ExitCode::SUCCESS,
        Err(sentence) => {
            eprintln!("{sentence}");
            ExitCode::FAILURE
        }
    }
}

fn forked() -> Result<ForkResult, String> {
    // SAFETY: this process has one thread.
    unsafe { fork() }.map_err(|error| error.to_string())
}

/// Serves a client; `stop` says what ends the wait for the next message, given what was done at the last one. What has
/// come before the signal comes first, so that it is not chance which of both is seen.
fn serve(client: &mut Client<'_>, mut stop: impl FnMut(&[Effect]) -> &'static OwnedFd) {
    let mut last = Vec::new();
    loop {
        let stop = stop(&last);
        client.stop = if is_ready(&client.stream) { never() } else { stop };
        let Some(frame) = client.message() else { return };
        last = client.carry_out(frame);
        if !client.perform(last.clone()) {
            return;
        }
    }
}

/// Never becomes readable.
fn never() -> &'static OwnedFd {
    static NEVER: LazyLock<OwnedFd> = LazyLock::new(|| EventFd::new().unwrap().into());
    &NEVER
}

/// Open until the process ends.
fn kept(fd: OwnedFd) -> &'static OwnedFd {
    Box::leak(Box::new(fd))
}

/// What ended the service is not the signal.
fn has_left(client: &Client<'_>) -> bool {
    is_ready(&client.stream)
}

fn is_ready(fd: &impl AsFd) -> bool {
    poll(&mut [PollFd::new(fd.as_fd(), PollFlags::POLLIN)], PollTimeout::ZERO).is_ok_and(|ready| ready > 0)
}
