//! One report among others.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use super::super::{Report, Shard, Totals};
use crate::generate::GENERATED;
use crate::verdict::{NOT_SELECTED, Status};

/// So many characters of a digest tell it from others.
const DIGEST: usize = 12;
/// How the target is called that is started where none is given.
const BUNDLED: &str = "the bundled reference server";

/// A report that is to be compared.
#[derive(Debug, Clone)]
pub struct Source {
    /// What its column is called; `None` where the target says it.
    pub name: Option<String>,
    /// The file, for people.
    pub file: String,
    /// What it says.
    pub report: Report,
}

/// What is told of one report.
#[derive(Debug, Clone)]
pub struct Column {
    /// What it is called: no other one is called so.
    pub name: String,
    /// The file, for people.
    pub file: String,
    /// How the target was reached.
    pub target: String,
    /// The version of the protocol; empty where the target was never spoken to.
    pub profile: String,
    /// The version of the harness.
    pub harness: String,
    /// The first characters of the digest of the cases.
    pub cases_sha256: String,
    /// The first characters of the digest of the register.
    pub register_sha256: String,
    /// Cases by their result.
    pub totals: Totals,
    /// Requirements by their status.
    pub statuses: BTreeMap<Status, usize>,
    /// How many requirements no selected case checks.
    pub unselected: usize,
    /// Why it does not tell of a whole run, if it does not.
    pub incomplete: Option<String>,
}

impl Source {
    /// Why the report does not tell of a whole run, if it does not.
    pub fn incomplete(&self) -> Option<String> {
        let report = &self.report;
        if let Some(Shard { index, count, .. }) = report.shard.filter(|shard| shard.count > 1) {
            return Some(format!("it is part {index} of {count} of a run"));
        }
        if !report.accounts() {
            return Some("it does not account for every case".to_owned());
        }
        let fault = report.faults.first().map_or("it does not say why", String::as_str);
        (!report.complete).then(|| format!("the run did not come to its end ({fault})"))
    }

    /// Both are of one version of the protocol.
    pub(super) fn is_of_the_version_of(&self, other: &Source) -> bool {
        let used = &self.report.profile.used;
        !used.is_empty() && *used == other.report.profile.used
    }

    /// How many cases another report of the same version of the protocol has and this one has not; generated ones aside.
    pub(super) fn lacks_of(&self, others: &[Source]) -> usize {
        let names = |source: &Source| -> BTreeSet<String> {
            let report = &source.report;
            let names = report.cases.iter().map(|case| &case.name).chain(&report.not_run);
            names.filter(|name| !name.starts_with(GENERATED)).cloned().collect()
        };
        let others = others.iter().filter(|other| self.is_of_the_version_of(other));
        let all: BTreeSet<String> = others.flat_map(names).collect();
        all.difference(&names(self)).count()
    }

    /// The target and the version: `gpio 0.9.2`.
    fn called(&self) -> String {
        if let Some(name) = &self.name {
            return name.clone();
        }
        let how = self.report.target.how.as_str();
        let program = match how {
            BUNDLED => Some("reference-server".to_owned()),
            _ => shlex::split(how).and_then(|words| words.into_iter().next()),
        };
        let program = program.unwrap_or_else(|| how.to_owned());
        let bare = Path::new(&program).file_name().map_or(program.clone(), |name| name.to_string_lossy().into_owned());
        format!("{bare} {}", self.report.profile.used).trim().to_owned()
    }
}

/// Columns, of which each has a name of its own.
pub(super) fn named(sources: &[Source]) -> Vec<Column> {
    let mut columns: Vec<Column> = Vec::new();
    // What the user has named so keeps its name.
    let given: Vec<String> = sources.iter().filter_map(|source| source.name.clone()).collect();
    for source in sources {
        let base = source.called();
        let is_given = source.name.is_some();
        let taken = |name: &str| {
            columns.iter().any(|column| column.name == name) || !is_given && given.iter().any(|given| given == name)
        };
        let numbered = (2..).map(|number| format!("{base} ({number})"));
        let name = std::iter::once(base.clone()).chain(numbered).find(|name| !taken(name)).unwrap_or(base.clone());
        columns.push(column(source, name));
    }
    columns
}

fn column(source: &Source, name: String) -> Column {
    let incomplete = source.incomplete();
    let report = &source.report;
    let mut statuses = BTreeMap::new();
    for requirement in report.requirements.values() {
        *statuses.entry(requirement.status).or_default() += 1;
    }
    let unselected = report.requirements.values().filter(|known| known.reason.as_deref() == Some(NOT_SELECTED)).count();
    let short = |digest: &str| digest.chars().take(DIGEST).collect();
    Column {
        name,
        file: source.file.clone(),
        target: report.target.how.clone(),
        profile: report.profile.used.clone(),
        harness: report.harness.version.clone(),
        cases_sha256: short(&report.harness.cases_sha256),
        register_sha256: short(&report.harness.register_sha256),
        totals: report.totals,
        statuses,
        unselected,
        incomplete,
    }
}
