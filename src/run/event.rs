//! What happens in a run, for those who report it.

use serde::{Deserialize, Serialize};

use crate::Profile;
use crate::target::Discovered;
use crate::verdict::{CaseRecord, Differential};

/// What a run is about to do.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Start {
    /// The command line, as it was given.
    pub command: Vec<String>,
    /// How the target is reached, for people: `bundled reference server`, `gpio --socket-path {socket}`.
    pub target: String,
    /// What the probe found.
    pub discovered: Discovered,
    /// The profile that was asked for.
    pub profile_asked: String,
    /// The profile that the target is judged by.
    pub profile: Profile,
    /// Why that one.
    pub profile_why: String,
    /// How many cases will be played or skipped.
    pub cases: usize,
    /// `(index, count)`, from 1, of `--shard`.
    pub shard: Option<(usize, usize)>,
    /// How the server that it is compared with is reached, for people; no case is played then.
    pub against: Option<String>,
}

/// How a run ended.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct End {
    /// Every selected case has a result.
    pub complete: bool,
    /// It was interrupted.
    pub interrupted: bool,
    /// It ended at the first failure, as `--fail-fast` asks.
    pub stopped: bool,
    /// No case was selected: the sentence for it.
    pub nothing: Option<String>,
    /// The server was lost (`--socket`), or could not be started or reached: the sentence for it.
    pub lost: Option<String>,
    /// A fault of ours ended it before its end: the sentence for it.
    #[serde(default)]
    pub fault: Option<String>,
    /// How long it took.
    pub seconds: f64,
}

/// Sequences that nobody wrote.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Generated {
    /// How many sequences were played.
    pub sequences: u64,
    /// How many messages they sent.
    pub steps: u64,
    /// How many of them were answered.
    #[serde(default)]
    pub answered: u64,
    /// How many of them failed.
    pub failed: u64,
    /// The seed that brings them back.
    pub seed: u64,
}

/// Something that happened in a run.
#[derive(Debug, Clone)]
pub enum Event {
    /// The target was probed and the cases selected.
    Started(Box<Start>),
    /// A case begins.
    CaseStarted {
        /// Its name.
        name: String,
    },
    /// A case has its result.
    CaseFinished(Box<CaseRecord>),
    /// Sequences are drawn and played: so many of so many.
    Generating {
        /// How many were played.
        played: u64,
        /// How many will be.
        count: u64,
    },
    /// A failing sequence is being shrunk: which one, of how many.
    Shrinking {
        /// Which, from 1.
        number: usize,
        /// Of how many.
        count: usize,
    },
    /// All sequences that will be were played. What failed comes as cases.
    Generated(Generated),
    /// All sequences that will be were played against both servers.
    Compared(Box<Differential>),
    /// No more will happen.
    Ended(End),
}
