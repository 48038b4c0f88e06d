//! Pinned expectations, by tests: each case is held against what is pinned of it, and a test of its own against the file.

use std::sync::{Condvar, Mutex, PoisonError};

use libtest_mimic::Failed;

use crate::Profile;
use crate::report::harmless;
use crate::requirement::Register;
use crate::run::{Library, Planned};
use crate::target::Discovered;
use crate::verdict::{CaseRecord, Drift, Expectation, Expectations, Scope, literal};

/// The name of the test that speaks of the file.
pub(super) const TEST: &str = "expectations";

/// What is pinned, and what was seen.
#[derive(Debug)]
pub(super) struct Pins {
    /// All that the file says.
    all: Expectations,
    /// What this server and version can meet of it.
    within: Expectations,
    lacking: Vec<Drift>,
    selected: Vec<String>,
    seen: Mutex<Seen>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct Seen {
    records: Vec<CaseRecord>,
    /// Tests that are to end.
    due: usize,
}

/// Says at its end, however it comes about, that one test more is over.
pub(super) struct Over<'a>(&'a Pins);

impl Drop for Over<'_> {
    fn drop(&mut self) {
        let mut seen = self.0.seen.lock().unwrap_or_else(PoisonError::into_inner);
        seen.due = seen.due.saturating_sub(1);
        self.0.changed.notify_all();
    }
}

impl Pins {
    /// For these cases of a library, of which the server lets some be played.
    pub(super) fn new(
        all: Expectations,
        cases: &[Planned],
        discovered: &Discovered,
        library: &Library,
        register: &Register,
    ) -> Result<Pins, String> {
        let profile = discovered.profile;
        let selected: Vec<String> = cases.iter().map(|case| case.name.clone()).collect();
        let has_no_case = |entry: &Expectation| !selected.iter().any(|name| entry.covers(name));
        let mut elsewhere: Vec<(String, Profile)> = Vec::new();
        if all.entries.iter().any(has_no_case) {
            for other in Profile::ALL.into_iter().filter(|other| *other != profile) {
                let cases = library.plan(other, register)?.cases;
                elsewhere.extend(cases.into_iter().map(|case| (case.name, other)));
            }
        }
        let scope = Scope {
            register,
            profile,
            all: &selected,
            selected: &selected,
            elsewhere: &elsewhere,
            generates: false,
            sharded: false,
        };
        let within = all.clone().within(&scope);
        let lacking = all.lacking(|need| discovered.lacks(need));
        Ok(Pins { all, within, lacking, selected, seen: Mutex::default(), changed: Condvar::new() })
    }

    /// So many tests will end before all is seen.
    pub(super) fn await_tests(&self, due: usize) {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner).due = due;
    }

    /// One of them.
    pub(super) fn over(&self) -> Over<'_> {
        Over(self)
    }

    /// Tells what a case shows as it is pinned.
    ///
    /// # Errors
    /// What it does not, in sentences.
    pub(super) fn judge(&self, record: &CaseRecord) -> Result<(), Vec<String>> {
        let name = record.name.as_str();
        let mut of_case = self.all.clone();
        of_case.entries.retain(|entry| entry.covers(name));
        let mut comparison = of_case.compare(std::slice::from_ref(record), &[]);
        // An entry for several cases is met by any of them.
        comparison.drift.retain(|drift| match drift {
            Drift::Passes { case, .. } | Drift::Skipped { case, .. } => names(case, name),
            _ => true,
        });
        if comparison.drift.is_empty() {
            for met in comparison.met {
                let requirement = met.requirement.map(|id| format!(" on {id}")).unwrap_or_default();
                eprintln!("{name}: \"{}\"{requirement} is pinned: {}", met.observed, harmless(&met.reason));
            }
            return Ok(());
        }
        Err(sentences(&comparison.drift))
    }

    /// Keeps what the file is held against.
    pub(super) fn note(&self, record: CaseRecord) {
        let record = CaseRecord { transcript: Vec::new(), stderr: String::new(), ..record };
        self.seen.lock().unwrap_or_else(PoisonError::into_inner).records.push(record);
    }

    /// The test of the file: what no case's own test tells. It waits for those that are played; what was not is not known.
    pub(super) fn test(&self) -> Result<(), Failed> {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        while seen.due > 0 {
            seen = self.changed.wait(seen).unwrap_or_else(PoisonError::into_inner);
        }
        let known = |name: &&String| !seen.records.iter().any(|record| record.name == **name);
        let not_run: Vec<String> = self.selected.iter().filter(known).cloned().collect();
        let mut drift = self.within.compare(&seen.records, &not_run).drift;
        drift.retain(|drift| match drift {
            Drift::Unexpected { .. } | Drift::OtherOutcome { .. } => false,
            Drift::Passes { case, .. } => !self.selected.iter().any(|name| names(case, name)),
            _ => true,
        });
        drift.extend(self.lacking.iter().cloned());
        if drift.is_empty() { Ok(()) } else { Err(sentences(&drift).join("\n").into()) }
    }
}

/// An entry's case is that one alone, whether written as a name or as a glob of nothing else.
fn names(entry: &str, name: &str) -> bool {
    entry == name || entry == literal(name)
}

/// Each with what there is to do about it.
fn sentences(drift: &[Drift]) -> Vec<String> {
    drift.iter().map(|drift| format!("{}: {}", harmless(&drift.to_string()), drift.advice())).collect()
}

#[cfg(test)]
#[path = "pins_tests.rs"]
mod tests;
