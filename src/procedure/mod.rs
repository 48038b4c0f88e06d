//! What a case can `do` and a list of lines cannot, one file each.

mod announced;
mod conventions;
mod questions;
mod storm;

pub(crate) use conventions::negotiates;
use vfio_user_wire::Dialect;

use crate::run::Timeouts;
use crate::session::Interrupt;
use crate::target::{Instance, Launcher, StartError, Unanswered};
use crate::verdict::Evidence;

/// What a procedure works with.
#[derive(Debug)]
pub struct Bench<'a> {
    /// The protocol spoken.
    pub dialect: &'static Dialect,
    /// Starts servers.
    pub launcher: &'a Launcher,
    /// How long to wait for what.
    pub timeouts: Timeouts,
    /// The user's wish to stop.
    pub interrupt: &'a Interrupt,
    /// What the target left without an answer when it was asked what it offers.
    pub unanswered: &'a [Unanswered],
    /// `key=value` of its line.
    pub arguments: &'a [(String, u64)],
}

impl Bench<'_> {
    /// The value of an argument.
    pub fn argument(&self, key: &str, default: u64) -> u64 {
        self.arguments.iter().find(|(known, _)| known == key).map_or(default, |(_, value)| *value)
    }
}

/// What a procedure found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// As required.
    Held,
    /// Not as required.
    Broken {
        /// What would have been right.
        expected: String,
        /// What came.
        actual: String,
        /// What that rests on.
        evidence: Evidence,
    },
    /// Worth a note, and no more, whatever the requirement.
    Noted {
        /// What would have been right.
        expected: String,
        /// What came.
        actual: String,
        /// What that rests on.
        evidence: Evidence,
    },
    /// It does not apply; why.
    Skip(String),
    /// It cannot be told; why.
    Unsure(String),
}

/// One procedure.
#[derive(Debug, Clone, Copy)]
pub struct Procedure {
    /// Its name, as `do` takes it.
    pub name: &'static str,
    /// What it does. Errors are the harness's own, or say that the case's server cannot be reached, which no clause is about.
    pub run: fn(&Bench<'_>, &mut Instance) -> Result<Outcome, StartError>,
}

/// All of them.
pub const PROCEDURES: &[Procedure] = &[
    Procedure { name: "start-with-fd", run: conventions::start_with_fd },
    Procedure { name: "start-with-socket-path", run: conventions::start_with_socket_path },
    Procedure { name: "start-with-both", run: conventions::start_with_both },
    Procedure { name: "stays-in-foreground", run: conventions::stays_in_foreground },
    Procedure { name: "keeps-standard-descriptors", run: conventions::keeps_standard_descriptors },
    Procedure { name: "announced-lengths", run: announced::announced_lengths },
    Procedure { name: "connection-storm", run: storm::connection_storm },
    Procedure { name: "survives-questions", run: questions::survives_questions },
    Procedure { name: "answers-questions", run: questions::answers_questions },
];

/// The procedure of that name.
pub fn find(name: &str) -> Option<&'static Procedure> {
    PROCEDURES.iter().find(|procedure| procedure.name == name)
}
