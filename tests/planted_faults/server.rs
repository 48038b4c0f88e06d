//! A faulty server in a thread, or in a process that is this program once more.

use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixListener;
use std::process::ExitCode;
use std::sync::Arc;

use nix::sys::signal::{SigSet, Signal};
use nix::sys::signalfd::SignalFd;
use vfio_user_conformance::target::Serve;
use vfio_user_reference_server::{Endpoint, HostMemory, Machine, serve_with};

use crate::fault::{Fault, Kind};

/// Stands before the fault's title where this program is to be its server.
const SERVE: &str = "serve-planted-fault";

/// A faulty server in a thread.
pub(crate) struct Planted(pub(crate) Arc<Fault>);

impl std::fmt::Debug for Planted {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0.title())
    }
}

impl Serve for Planted {
    fn serve(&self, listener: UnixListener, stop: OwnedFd) {
        match &self.0.kind {
            Kind::Machine(machine) => serve_machine(machine().as_mut(), listener, &stop),
            Kind::Loop(serve) => serve(listener, stop),
            Kind::Program(_) => {}
        }
    }
}

/// Serves a machine as the reference server's own loop does.
pub(crate) fn serve_machine(machine: &mut dyn Machine, listener: UnixListener, stop: &OwnedFd) {
    let endpoint = Endpoint::Fd(listener.into());
    // A server that cannot serve is one that does not answer: the case says so.
    let _ = HostMemory::new()
        .map(|mut memory| serve_with(machine, &mut memory, endpoint, Some(stop.as_fd())).map_err(|e| eprintln!("{e}")));
}

/// The words that start this program as that fault's server.
pub(crate) fn command_line(title: &str) -> Result<Vec<String>, String> {
    let program = std::env::current_exe().map_err(|error| error.to_string())?;
    Ok(vec![program.to_string_lossy().into_owned(), SERVE.to_owned(), title.to_owned()])
}

/// Serves one of `faults` and ends, where this program was started to do so.
pub(crate) fn serve_if_asked(faults: &[Arc<Fault>]) -> Option<ExitCode> {
    let mut arguments = std::env::args().skip(1);
    if arguments.next()? != SERVE {
        return None;
    }
    let title = arguments.next()?;
    let arguments: Vec<String> = arguments.collect();
    let Some(fault) = faults.iter().find(|fault| fault.title() == title) else {
        eprintln!("no fault {title}");
        return Some(ExitCode::FAILURE);
    };
    let served = match &fault.kind {
        Kind::Program(main) => return Some(main(&arguments)),
        Kind::Machine(machine) => endpoint(&arguments).and_then(|endpoint| run(machine().as_mut(), endpoint)),
        Kind::Loop(serve) => listener(&arguments).and_then(|listener| {
            serve(listener, termination()?);
            Ok(())
        }),
    };
    Some(match served {
        Ok(()) => ExitCode::SUCCESS,
        Err(sentence) => {
            eprintln!("{sentence}");
            ExitCode::FAILURE
        }
    })
}

/// Serves until SIGTERM, as a program of its own does.
pub(crate) fn run(machine: &mut dyn Machine, endpoint: Endpoint) -> Result<(), String> {
    let stop = termination()?;
    let mut memory = HostMemory::new().map_err(|error| error.to_string())?;
    serve_with(machine, &mut memory, endpoint, Some(stop.as_fd())).map_err(|error| error.to_string())
}

/// Becomes readable when SIGTERM arrives.
pub(crate) fn termination() -> Result<OwnedFd, String> {
    let signals = SigSet::from(Signal::SIGTERM);
    let stop = signals.thread_block().and_then(|()| SignalFd::new(&signals));
    stop.map(OwnedFd::from).map_err(|error| error.to_string())
}

/// A socket that listens where the arguments say.
pub(crate) fn listener(arguments: &[String]) -> Result<UnixListener, String> {
    let path = arguments.first().and_then(|argument| argument.strip_prefix("--socket-path="));
    UnixListener::bind(path.ok_or("--socket-path=PATH is needed")?).map_err(|error| error.to_string())
}

/// What `--socket-path=PATH` or `--fd=N` name; both are an error.
pub(crate) fn endpoint(arguments: &[String]) -> Result<Endpoint, String> {
    match arguments {
        [argument] => match argument.split_once('=') {
            Some(("--socket-path", path)) => Ok(Endpoint::SocketPath(path.into())),
            Some(("--fd", number)) => {
                let number = number.parse().map_err(|_| format!("{argument}: no number"))?;
                Endpoint::inherited(number).map_err(|error| error.to_string())
            }
            _ => Err(format!("unknown argument {argument}")),
        },
        _ => Err("one of --socket-path=PATH and --fd=N is needed".to_owned()),
    }
}
