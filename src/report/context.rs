//! What a report needs to know and no event tells.

use super::Shard;
use crate::requirement::Register;
use crate::verdict::Expectations;

/// What a report needs to know and no event tells.
#[derive(Debug, Clone, Copy)]
pub struct Context<'a> {
    /// Texts, levels and clauses of the requirements.
    pub register: &'a Register,
    /// The names of the cases that were selected: each has one result in the end, or was not played.
    pub selected: &'a [String],
    /// SHA-256 of the cases, in hexadecimal.
    pub cases_sha256: &'a str,
    /// What is pinned (`--expect`).
    pub expectations: Option<&'a Expectations>,
    /// The seed of the run, if it has one.
    pub seed: Option<u64>,
    /// Which part of the cases was selected (`--shard`).
    pub shard: Option<Shard>,
    /// Notes fail the run, too (`--strict`).
    pub strict: bool,
    /// How long the target may take for a reply, as `--timeout` takes it.
    pub timeout: &'a str,
    /// No two servers are alive at once (`--jobs 1`).
    pub one_at_a_time: bool,
    /// The command line: a run whose target could not be started tells it by no event.
    pub command: &'a [String],
    /// How the target is reached, for people; for the same reason.
    pub target: &'a str,
    /// The profile that was asked for; for the same reason.
    pub profile: &'a str,
}
