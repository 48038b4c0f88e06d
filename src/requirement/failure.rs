//! What a plain miss of a requirement means.

use serde::{Deserialize, Serialize};

/// What a plain miss of a requirement means.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Failure {
    /// It contradicts the specification.
    Violation,
    /// It is worth reporting, and fails no run unless asked.
    Note,
    /// It is only reported.
    Info,
}

impl std::fmt::Display for Failure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(match self {
            Failure::Violation => "violation",
            Failure::Note => "note",
            Failure::Info => "info",
        })
    }
}
