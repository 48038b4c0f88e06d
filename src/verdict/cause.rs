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

#[cfg(test)]
mod tests {
    use pretty_assertions::assert_eq;

    use super::*;
    use crate::session::{Entry, Way};
    use crate::verdict::Evidence;
    use crate::verdict::samples::{case, found};

    /// A case that breaks `requirements` by the message that the transcript calls `message`.
    fn breaks(name: &str, message: &str, requirements: &[&str]) -> CaseRecord {
        let broken = requirements.iter().map(|requirement| Finding {
            message: Some(2),
            ..found(requirement, Class::Violation, Evidence::Received)
        });
        let entry = |n, message: &str| Entry {
            n,
            client: "a".to_owned(),
            channel: "main".to_owned(),
            direction: Way::Received,
            message: message.to_owned(),
            length: 16,
            bytes: String::new(),
            fields: Vec::new(),
            fds: 0,
            cuts: Vec::new(),
        };
        let transcript = vec![entry(1, "VERSION reply"), entry(2, message), entry(3, "DEVICE_GET_INFO")];
        CaseRecord { transcript, ..case(name, CaseResult::Fail, broken.collect()) }
    }

    fn told(cases: &[CaseRecord]) -> Vec<(String, usize, String)> {
        causes(cases).into_iter().map(|cause| (cause.command, cause.cases, cause.requirements.join(" "))).collect()
    }

    #[test]
    fn what_breaks_many_requirements_in_one_way_has_one_cause() {
        let cases = [
            breaks("a", "DEVICE_RESET reply", &["RESET-01"]),
            breaks("b", "DEVICE_RESET error", &["RESET-02", "RESET-03"]),
            breaks("c", "DMA_MAP reply", &["DMAP-01", "DMAP-02"]),
        ];
        assert_eq!(told(&cases), [("DEVICE_RESET".to_owned(), 2, "RESET-01 RESET-02 RESET-03".to_owned())]);
        assert_eq!(causes(&cases).first().unwrap().actual, "something else");
    }

    #[test]
    fn what_shows_in_most_cases_comes_first() {
        let cases = [
            breaks("a", "DEVICE_RESET reply", &["RESET-01", "RESET-02", "RESET-03"]),
            breaks("b", "DMA_MAP reply", &["DMAP-01", "DMAP-02"]),
            breaks("c", "DMA_MAP", &["DMAP-03"]),
        ];
        let commands: Vec<String> = told(&cases).into_iter().map(|(command, ..)| command).collect();
        assert_eq!(commands, ["DMA_MAP", "DEVICE_RESET"]);
    }

    #[test]
    fn other_ways_and_notes_and_what_is_no_command_have_none() {
        let three = &["RESET-01", "RESET-02", "RESET-03"];
        let otherwise = |mut case: CaseRecord| {
            case.findings.iter_mut().for_each(|finding| finding.actual.push_str(&finding.requirement));
            case
        };
        let noted = |mut case: CaseRecord| {
            case.findings.iter_mut().for_each(|finding| finding.class = Class::Note);
            case
        };
        let passed = CaseRecord { result: CaseResult::Pass, ..breaks("c", "DEVICE_RESET reply", three) };
        let nowhere = |mut case: CaseRecord| {
            case.findings.iter_mut().for_each(|finding| finding.message = None);
            case
        };
        let cases = [
            otherwise(breaks("a", "DEVICE_RESET reply", three)),
            noted(breaks("b", "DEVICE_RESET reply", three)),
            passed,
            breaks("d", "closed", three),
            nowhere(breaks("e", "DEVICE_RESET reply", three)),
        ];
        assert_eq!(told(&cases), []);
    }
}
