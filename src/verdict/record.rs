//! What is kept of one case.

use serde::{Deserialize, Serialize};

use super::Finding;
use crate::session::Entry;

/// What became of a command.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Outcome {
    /// A reply came.
    Answered,
    /// None came before the deadline.
    Silent,
    /// The server closed the connection.
    Closed,
    /// The server ended by a signal that the harness did not send, by a panic, a sanitizer's report or a non-zero exit
    /// while the session was open.
    Crashed,
    /// What came is no message.
    Garbage,
}

/// How the server's process ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Exit {
    /// With this exit status.
    Status(i32),
    /// By this signal.
    Signal(i32),
}

impl std::fmt::Display for Exit {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Exit::Status(status) => write!(f, "exit status {status}"),
            Exit::Signal(number) => match nix::sys::signal::Signal::try_from(*number) {
                Ok(signal) => write!(f, "signal {signal}"),
                Err(_) => write!(f, "signal {number}"),
            },
        }
    }
}

/// The result of a case.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum CaseResult {
    /// Every check was reached and held, notes apart.
    Pass,
    /// At least one violation.
    Fail,
    /// It does not apply to this target; the record's reason says why.
    Skip,
    /// What it is about could not be told, as where a deadline passed and did not pass again; the record's reason says why.
    Inconclusive,
    /// The harness could not play it: our fault, never the server's.
    Error,
}

/// What a check said of its requirement.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Said {
    /// Reached, and as required.
    Held,
    /// A note.
    Noted,
    /// A violation.
    Violated,
}

/// One check that was reached.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Check {
    /// The requirement's id.
    pub requirement: String,
    /// The line of the case file, from 1; 0 for the model's own checks of every reply.
    pub line: usize,
    /// What it said.
    pub said: Said,
}

/// One time that a case was played.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Attempt {
    /// The worst that became of a command.
    pub outcome: Outcome,
    /// How the server ended, if it did before the harness ended it.
    pub exit: Option<Exit>,
    /// How long it took.
    pub seconds: f64,
}

/// All that is kept of one case.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CaseRecord {
    /// Its name, with the parameters' values: `header.split/15`.
    pub name: String,
    /// Parameters and their values.
    pub parameters: Vec<(String, String)>,
    /// The case file.
    pub file: String,
    /// The line of `case` in it, from 1.
    pub line: usize,
    /// The result.
    pub result: CaseResult,
    /// Why it was skipped, is inconclusive or in error.
    pub reason: Option<String>,
    /// The requirements that its lines name, reached or not.
    pub requirements: Vec<String>,
    /// How often it was played, and what came of it.
    pub attempts: Vec<Attempt>,
    /// The checks that were reached, and what they said, each once.
    pub checks: Vec<Check>,
    /// What was found.
    pub findings: Vec<Finding>,
    /// The command that runs just this case again.
    pub replay: String,
    /// The messages of the last attempt.
    pub transcript: Vec<Entry>,
    /// What the server wrote to its standard error, up to 1 MiB.
    pub stderr: String,
}
