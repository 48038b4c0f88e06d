//! The JSON document, from which every other format can be made.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::Selection;
use crate::run::{Generated, shard_of};
use crate::target::Discovered;
use crate::verdict::{
    CaseRecord, CaseResult, Cause, Class, Comparison, Differential, Finding, RequirementStatus, Status,
};

/// The version of the document's shape. It changes where a reader of the last one would read wrongly.
pub const SCHEMA: &str = "1";

/// All that is known of a run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Report {
    /// [`SCHEMA`].
    pub schema: String,
    /// The command line, as it was given.
    pub command: Vec<String>,
    /// Operating system, its release and the machine: `linux 6.8.0 x86_64`.
    pub platform: String,
    /// What judged.
    pub harness: Harness,
    /// What was judged.
    pub target: Target,
    /// By which version of the protocol.
    pub profile: Profile,
    /// The seed of the run, if it has one.
    pub seed: Option<u64>,
    /// Notes count as violations do (`--strict`).
    #[serde(default)]
    pub strict: bool,
    /// How long the target could take for a reply, as `--timeout` takes it.
    #[serde(default)]
    pub timeout: String,
    /// No two servers were alive at once (`--jobs 1`): what needs a second one was skipped.
    #[serde(default)]
    pub one_at_a_time: bool,
    /// Which part of the cases was selected.
    pub shard: Option<Shard>,
    /// The reports of parts that this one was merged of; left out where a run made it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub parts: Vec<Part>,
    /// Every selected case has a result.
    pub complete: bool,
    /// The code that the program ends with.
    pub exit_code: u8,
    /// What that code says, as a sentence.
    pub said: String,
    /// Counts.
    pub totals: Totals,
    /// What was generated, if anything was.
    pub generated: Option<Generated>,
    /// Where the target and the server of `--against` part; left out where there was none.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub differential: Option<Box<Differential>>,
    /// What the server does that breaks several requirements each.
    #[serde(default)]
    pub causes: Vec<Cause>,
    /// Every requirement of the register, by id.
    pub requirements: BTreeMap<String, RequirementStatus>,
    /// The comparison with what is pinned, if something is.
    pub expectations: Option<Comparison>,
    /// What kept the run from its end, as sentences: no case that was selected, a target that could not be started, or was
    /// lost, an interrupt, `--fail-fast`, or a fault of the harness.
    pub faults: Vec<String>,
    /// The cases that were selected and have no result, for the run ended before.
    #[serde(default)]
    pub not_run: Vec<String>,
    /// Every case that has a result.
    pub cases: Vec<CaseRecord>,
}

/// What judged.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Harness {
    /// The program's name.
    pub name: String,
    /// Its version.
    pub version: String,
    /// SHA-256 of the cases, in hexadecimal.
    pub cases_sha256: String,
    /// SHA-256 of the register, in hexadecimal.
    pub register_sha256: String,
}

/// What was judged.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Target {
    /// How it is reached, for people.
    pub how: String,
    /// What the probe found.
    pub discovered: Discovered,
}

/// The version of the protocol that a run judges by.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Profile {
    /// The one that was asked for.
    pub asked: String,
    /// The one that was taken; empty where the target could not be started.
    pub used: String,
    /// Why that one.
    pub why: String,
}

/// A part of the cases.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Shard {
    /// Which part, from 1.
    pub index: usize,
    /// Of how many.
    pub count: usize,
    /// How many cases were selected, those of all parts together.
    #[serde(default)]
    pub selected: usize,
    /// Which ones, those of all parts together; `None` where it was written before that was told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub selected_sha256: Option<Selection>,
}

impl Shard {
    /// This part, from 1, of so many of the cases of these names.
    pub fn of<'n>(index: usize, count: usize, names: impl IntoIterator<Item = &'n str>) -> Shard {
        let names: Vec<&str> = names.into_iter().collect();
        let selected_sha256 = Some(Selection::of(names.iter().copied()));
        Shard { index, count, selected: names.len(), selected_sha256 }
    }

    /// A case of this name belongs to this part.
    pub fn has(&self, name: &str) -> bool {
        shard_of(name, self.count) == self.index
    }
}

/// The report of a part, in that of the whole.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Part {
    /// Which part, from 1.
    pub index: usize,
    /// The command line that made it.
    pub command: Vec<String>,
    /// Where it ran.
    pub platform: String,
    /// Each of its cases has a result.
    pub complete: bool,
}

/// Cases by their result, and notes. `selected` is always the sum of `pass`, `fail`, `skip`, `inconclusive`, `error` and
/// `not_run`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Totals {
    /// Cases that were selected, and those that generation wrote.
    #[serde(default)]
    pub selected: usize,
    /// Cases that passed.
    pub pass: usize,
    /// Cases with a violation.
    pub fail: usize,
    /// Cases that do not apply to the target.
    pub skip: usize,
    /// Cases that came to no verdict, as where a deadline passed and did not pass again.
    pub inconclusive: usize,
    /// Cases that the harness could not play.
    pub error: usize,
    /// Cases that were selected and have no result.
    #[serde(default)]
    pub not_run: usize,
    /// Notes, in whatever case.
    pub notes: usize,
}

impl Totals {
    /// Counts these cases as all that were selected.
    pub fn of(cases: &[CaseRecord]) -> Totals {
        let mut totals = Totals { selected: cases.len(), ..Totals::default() };
        for case in cases {
            match case.result {
                CaseResult::Pass => totals.pass += 1,
                CaseResult::Fail => totals.fail += 1,
                CaseResult::Skip => totals.skip += 1,
                CaseResult::Inconclusive => totals.inconclusive += 1,
                CaseResult::Error => totals.error += 1,
            }
            totals.notes += case.findings.iter().filter(|finding| finding.class == Class::Note).count();
        }
        totals
    }

    /// All cases with a result.
    pub fn cases(&self) -> usize {
        self.played() + self.skip
    }

    /// The cases that were played.
    pub fn played(&self) -> usize {
        self.pass + self.fail + self.inconclusive + self.error
    }
}

impl Report {
    /// Every case that was selected has one result or was not played, and only a run that ended early has those.
    pub fn accounts(&self) -> bool {
        let totals = &self.totals;
        let results = totals.pass + totals.fail + totals.skip + totals.inconclusive + totals.error;
        results == self.cases.len()
            && results + totals.not_run == totals.selected
            && totals.not_run == self.not_run.len()
            && !(self.complete && totals.not_run > 0)
    }

    /// The sequences that were drawn and played; none, where no server answered a message of them.
    pub fn sequences(&self) -> u64 {
        let generated = self.generated.filter(|generated| generated.answered > 0);
        let compared = self.differential.as_ref().filter(|found| found.answered > 0);
        generated.map_or(0, |generated| generated.sequences) + compared.map_or(0, |found| found.sequences)
    }

    /// Every finding of a class with its case. An inconclusive case has no violation, whatever one of its attempts saw.
    pub fn findings(&self, class: Class) -> impl Iterator<Item = (&CaseRecord, &Finding)> {
        self.cases
            .iter()
            .filter(move |case| class == Class::Note || case.result != CaseResult::Inconclusive)
            .flat_map(|case| case.findings.iter().map(move |finding| (case, finding)))
            .filter(move |(_, finding)| finding.class == class)
    }

    /// The cases with a result.
    pub fn with_result(&self, result: CaseResult) -> impl Iterator<Item = &CaseRecord> {
        self.cases.iter().filter(move |case| case.result == result)
    }

    /// How many requirements have a status.
    pub fn with_status(&self, status: Status) -> usize {
        self.requirements.values().filter(|requirement| requirement.status == status).count()
    }
}
