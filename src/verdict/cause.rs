//! What many violations have in common.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::{CaseRecord, CaseResult, Class, Finding};

/// So many requirements that are broken in one way have one cause.
const MANY: usize = 3;

/// One thing that the server does, and all that it breaks by it: most likely one bug.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cause {
    /// The command at which it does it.
    pub command: String,
    /// What it does.
    pub actual: String,
    /// In how many cases.
    pub cases: usize,
    /// The requirements that are broken by it.
    pub requirements: Vec<String>,
}

/// The cases that show something, and what they break by it.
#[derive(Debug, Default)]
struct Shared<'a> {
    cases: BTreeSet<&'a str>,
    requirements: BTreeSet<&'a str>,
}

/// The causes by which several requirements each are broken, those of the most cases first.
pub fn causes(cases: &[CaseRecord]) -> Vec<Cause> {
    let mut found: BTreeMap<(String, String), Shared<'_>> = BTreeMap::new();
    for case in cases.iter().filter(|case| case.result == CaseResult::Fail) {
        for finding in case.findings.iter().filter(|finding| finding.class == Class::Violation) {
            let Some(command) = command(case, finding) else { continue };
            let actual = finding.actual.lines().next().unwrap_or_default().to_owned();
            let shared = found.entry((command, actual)).or_default();
            shared.cases.insert(&case.name);
            shared.requirements.insert(&finding.requirement);
        }
    }
    let mut causes: Vec<Cause> = found
        .into_iter()
        .filter(|(_, shared)| shared.requirements.len() >= MANY)
        .map(|((command, actual), shared)| Cause {
            command,
            actual,
            cases: shared.cases.len(),
            requirements: shared.requirements.into_iter().map(str::to_owned).collect(),
        })
        .collect();
    causes.sort_by_key(|cause| std::cmp::Reverse(cause.cases));
    causes
}

/// The command that the message of a finding is, or answers.
fn command(case: &CaseRecord, finding: &Finding) -> Option<String> {
    let entry = case.transcript.iter().find(|entry| Some(entry.n) == finding.message)?;
    let name = entry.message.trim_end_matches(" reply").trim_end_matches(" error");
    name.starts_with(|first: char| first.is_ascii_uppercase()).then(|| name.to_owned())
}
