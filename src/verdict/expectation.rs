//! Pinned expectations: what is known to be wrong with a server and what it offers, so that a run fails only where something changes.

use globset::{Glob, GlobMatcher};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::{Class, Drift, Evidence, Finding};
use crate::case::{NEEDS, similar};

/// What was observed, as an expectation names it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Observed {
    /// A violation that shows in what was received.
    Violation,
    /// Pinned, a violation whatever it shows in: for what comes out now so and now otherwise.
    Any,
    /// A note.
    Note,
    /// The server's process ended.
    Crashed,
    /// Nothing came before the deadline.
    Silent,
    /// The server closed the connection.
    Closed,
    /// What the case is about could not be told.
    Inconclusive,
}

impl Observed {
    /// What a finding is, in the words of expectations.
    pub fn of(finding: &Finding) -> Observed {
        match (finding.class, finding.evidence) {
            (Class::Note, _) => Observed::Note,
            (Class::Violation, Evidence::Received) => Observed::Violation,
            (Class::Violation, Evidence::Closed) => Observed::Closed,
            (Class::Violation, Evidence::Exited) => Observed::Crashed,
            (Class::Violation, Evidence::Deadline) => Observed::Silent,
        }
    }

    /// Whether `seen` is what this one, pinned, stands for.
    pub fn admits(self, seen: Observed) -> bool {
        use Observed::{Any, Closed, Crashed, Silent, Violation};
        self == seen || self == Any && matches!(seen, Violation | Crashed | Silent | Closed)
    }
}

impl std::fmt::Display for Observed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(match self {
            Observed::Violation => "violation",
            Observed::Any => "any",
            Observed::Note => "note",
            Observed::Crashed => "crashed",
            Observed::Silent => "silent",
            Observed::Closed => "closed",
            Observed::Inconclusive => "inconclusive",
        })
    }
}

/// One entry: what is known of some cases and one requirement.
#[derive(Debug, Clone)]
pub struct Expectation {
    /// The cases' name, with globs.
    pub case: String,
    /// The requirement's id; `None` only for an inconclusive case.
    pub requirement: Option<String>,
    /// What was observed.
    pub outcome: Observed,
    /// Why this is known.
    pub reason: String,
    /// Where more is written of it.
    pub link: Option<String>,
    /// What it speaks of is looked at in part only: cases of it exist that were not selected.
    pub(super) partial: bool,
    /// Which one of its file it is, from 1.
    pub(super) number: usize,
    /// How many cases there are of which it speaks.
    pub(super) cases: usize,
    matcher: GlobMatcher,
}

impl Expectation {
    /// The entry that says this; its cases' name may be no glob.
    pub(super) fn of(entry: Entry, number: usize) -> Result<Expectation, globset::Error> {
        let matcher = Glob::new(&entry.case)?.compile_matcher();
        let Entry { case, requirement, outcome, reason, link } = entry;
        Ok(Expectation { case, requirement, outcome, reason, link, partial: false, number, cases: 0, matcher })
    }

    /// Whether the entry speaks of this case.
    pub fn covers(&self, case: &str) -> bool {
        self.case == case || self.matcher.is_match(case)
    }

    /// It is about what generation wrote, among others or alone.
    pub(super) fn may_be_generated(&self) -> bool {
        let id = self.requirement.as_deref().unwrap_or("any").to_lowercase();
        self.case.starts_with("generated.") || self.covers(&format!("generated.{id}"))
    }
}

/// A file of pinned expectations.
#[derive(Debug, Clone, Default)]
pub struct Expectations {
    /// Which target it is about, for people.
    pub target: Option<String>,
    /// What the run is to be able to test: words of `needs`.
    pub offers: Vec<String>,
    /// The entries, in the order of the file.
    pub entries: Vec<Expectation>,
    /// SHA-256 of the file, in hexadecimal.
    pub(super) sha256: String,
    pub(super) strict: bool,
    pub(super) cut_short: bool,
    /// The entries that nothing in the run can meet.
    pub(super) misfits: Vec<Drift>,
}

/// What is wrong with a file of expectations.
#[derive(Debug, thiserror::Error)]
pub enum ExpectationError {
    /// It is not the TOML that it should be.
    #[error("{file}: {error}")]
    Toml {
        /// The file.
        file: String,
        /// What is wrong, with the line.
        error: Box<toml::de::Error>,
    },
    /// There is no such thing to be offered.
    #[error("{file}: offers: unknown word `{word}`{hint}; `probe` lists all")]
    Offer {
        /// The file.
        file: String,
        /// The word.
        word: String,
        /// A word that is like it.
        hint: String,
    },
    /// An entry makes no sense.
    #[error("{file}: [[expect]] number {number} ({case}): {message}")]
    Entry {
        /// The file.
        file: String,
        /// Which one, from 1.
        number: usize,
        /// Its case.
        case: String,
        /// What is wrong with it; it names the key.
        message: String,
    },
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    target: Option<String>,
    #[serde(default)]
    offers: Vec<String>,
    #[serde(default)]
    expect: Vec<Entry>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Entry {
    pub(super) case: String,
    pub(super) requirement: Option<String>,
    pub(super) outcome: Observed,
    pub(super) reason: String,
    pub(super) link: Option<String>,
}

impl Expectations {
    /// Reads the text of the file `name`.
    pub fn parse(name: &str, text: &str) -> Result<Expectations, ExpectationError> {
        let file: File = toml::from_str(text)
            .map_err(|error| ExpectationError::Toml { file: name.to_owned(), error: Box::new(error) })?;
        let words = || NEEDS.iter().map(|need| need.word);
        if let Some(word) = file.offers.iter().find(|offered| words().all(|word| word != offered.as_str())) {
            let hint = similar(word, words()).map_or(String::new(), |meant| format!(", did you mean `{meant}`?"));
            return Err(ExpectationError::Offer { file: name.to_owned(), word: word.clone(), hint });
        }
        let mut entries: Vec<Expectation> = Vec::new();
        for (n, entry) in file.expect.into_iter().enumerate() {
            let wrong = |message: String| ExpectationError::Entry {
                file: name.to_owned(),
                number: n + 1,
                case: entry.case.clone(),
                message,
            };
            if entry.reason.trim().is_empty() {
                return Err(wrong("reason: it is empty; say why this is known".to_owned()));
            }
            if entry.requirement.is_none() && entry.outcome != Observed::Inconclusive {
                return Err(wrong(format!(
                    "requirement: it is missing; only an inconclusive case goes without ({})",
                    entry.outcome
                )));
            }
            let same = |other: &Expectation| {
                (&other.case, &other.requirement, other.outcome) == (&entry.case, &entry.requirement, entry.outcome)
            };
            if let Some(first) = entries.iter().position(same) {
                return Err(wrong(format!("it says what number {} says; take one of them out", first + 1)));
            }
            let case = entry.case.clone();
            let entry = Expectation::of(entry, n + 1).map_err(|error| ExpectationError::Entry {
                file: name.to_owned(),
                number: n + 1,
                case,
                message: format!("case: {}", error.kind()),
            });
            entries.push(entry?);
        }
        let sha256 = Sha256::digest(text).iter().map(|byte| format!("{byte:02x}")).collect();
        Ok(Expectations { target: file.target, offers: file.offers, entries, sha256, ..Expectations::default() })
    }

    /// With `strict`, a note needs a pin as a violation does.
    pub fn with_strict(mut self, strict: bool) -> Expectations {
        self.strict = strict;
        self
    }

    /// Of a run that did not come to its end: what it generated is not all that it was to generate.
    pub fn of_run_cut_short(mut self, cut_short: bool) -> Expectations {
        self.cut_short = cut_short;
        self
    }
}

#[cfg(test)]
#[path = "expectation_tests.rs"]
mod tests;
