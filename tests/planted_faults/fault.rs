//! A server that breaks one requirement.

use std::os::fd::OwnedFd;
use std::os::unix::net::UnixListener;
use std::process::ExitCode;
use std::sync::Arc;

use vfio_user_conformance::Profile;
use vfio_user_conformance::target::Target;
use vfio_user_reference_server::Machine;

use crate::server::{Planted, command_line};

/// A server that breaks one requirement, and what the suite must say of it.
pub(crate) struct Fault {
    /// The requirement that it breaks.
    pub(crate) requirement: &'static str,
    /// What it does wrong, in a few words with hyphens.
    pub(crate) name: &'static str,
    /// What else it cannot help breaking, each with the reason.
    pub(crate) also: Vec<(&'static str, &'static str)>,
    /// What else it may be reported for, as the messages happen to cross, each with the reason.
    pub(crate) perhaps: Vec<(&'static str, &'static str)>,
    /// A note is all that can be said of it, though other ways to break the requirement are violations.
    pub(crate) noted: bool,
    /// The version that its server speaks, where it is not the newest one that has the requirement.
    pub(crate) profile: Option<Profile>,
    /// It needs a process of its own.
    pub(crate) process: bool,
    pub(crate) kind: Kind,
}

/// What of the server is faulty.
pub(crate) enum Kind {
    /// The state machine.
    Machine(Box<dyn Fn() -> Box<dyn Machine> + Send + Sync>),
    /// The loop around it: takes clients until the descriptor becomes readable.
    Loop(fn(UnixListener, OwnedFd)),
    /// The program: takes the arguments behind its own name.
    Program(fn(&[String]) -> ExitCode),
}

/// A fault of the state machine; `machine` is called for each server that is started, and so are the states in its
/// closures fresh in each.
pub(crate) fn fault(
    requirement: &'static str,
    name: &'static str,
    machine: impl Fn() -> Box<dyn Machine> + Send + Sync + 'static,
) -> Fault {
    Fault::new(requirement, name, Kind::Machine(Box::new(machine)))
}

/// A fault of the loop: how messages are cut out of the stream, how clients are taken, how replies go out.
pub(crate) fn loop_fault(requirement: &'static str, name: &'static str, serve: fn(UnixListener, OwnedFd)) -> Fault {
    Fault::new(requirement, name, Kind::Loop(serve))
}

/// A fault of the program: its arguments, its signals, its end.
pub(crate) fn program_fault(requirement: &'static str, name: &'static str, main: fn(&[String]) -> ExitCode) -> Fault {
    Fault { process: true, ..Fault::new(requirement, name, Kind::Program(main)) }
}

impl Fault {
    fn new(requirement: &'static str, name: &'static str, kind: Kind) -> Fault {
        let (also, perhaps) = (Vec::new(), Vec::new());
        Fault { requirement, name, also, perhaps, noted: false, profile: None, process: false, kind }
    }

    /// It cannot help being reported for another requirement as well.
    pub(crate) fn also(mut self, requirement: &'static str, why: &'static str) -> Fault {
        self.also.push((requirement, why));
        self
    }

    /// It may be reported for another requirement as well, as the messages happen to cross.
    pub(crate) fn perhaps(mut self, requirement: &'static str, why: &'static str) -> Fault {
        self.perhaps.push((requirement, why));
        self
    }

    /// A note is all that can be said of it.
    pub(crate) fn noted(self) -> Fault {
        Fault { noted: true, ..self }
    }

    /// Its server speaks this version.
    pub(crate) fn of(self, profile: Profile) -> Fault {
        Fault { profile: Some(profile), ..self }
    }

    /// It shows only in a process of its own: by a crash, an exit, or descriptors left open.
    pub(crate) fn by_process(self) -> Fault {
        Fault { process: true, ..self }
    }

    /// `HDR-02/the-id-before`.
    pub(crate) fn title(&self) -> String {
        format!("{}/{}", self.requirement, self.name)
    }

    /// How the suite reaches it.
    pub(crate) fn target(self: &Arc<Self>) -> Result<Target, String> {
        if self.process {
            let command = command_line(&self.title())?;
            return Ok(Target::Spawn { command, socket: None });
        }
        Ok(Target::Thread(Arc::new(Planted(Arc::clone(self)))))
    }
}
