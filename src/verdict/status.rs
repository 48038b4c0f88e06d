//! What a whole run says of each requirement.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{CaseRecord, CaseResult, Said};
use crate::Profile;
use crate::requirement::{Cite, Level, Register};

/// Why a requirement was not exercised whose cases were not selected.
pub const NOT_SELECTED: &str = "no selected case checks it";

/// The status of a requirement: the worst of its checks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Status {
    /// No check was reached; the reason says why.
    NotExercised,
    /// A check was reached; the requirement is a MAY, or only reported.
    Observed,
    /// A check was reached and held.
    Verified,
    /// A note.
    Noted,
    /// A violation.
    Violated,
}

/// A requirement, what a run says of it, and by which cases.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RequirementStatus {
    /// MUST, SHOULD, MAY or implied.
    pub level: Level,
    /// What the server must, should or may do.
    #[serde(default)]
    pub text: String,
    /// The clauses where it stands, with their lines.
    #[serde(default)]
    pub clauses: Vec<String>,
    /// The policies that decide where the text is open: id, topic and ruling.
    #[serde(default)]
    pub policies: Vec<String>,
    /// The status.
    pub status: Status,
    /// Why it was not exercised.
    pub reason: Option<String>,
    /// The cases that check it.
    pub cases: Vec<String>,
}

/// The status of every requirement of this version of the protocol after these cases.
pub fn statuses(register: &Register, profile: Profile, cases: &[CaseRecord]) -> BTreeMap<String, RequirementStatus> {
    register
        .requirements()
        .filter(|requirement| requirement.is_of(profile))
        .map(|requirement| {
            let id = requirement.id.as_str();
            let naming: Vec<&CaseRecord> = cases
                .iter()
                .filter(|case| {
                    case.requirements.iter().any(|named| named == id)
                        || case.findings.iter().any(|finding| finding.requirement == id)
                })
                .collect();
            let worst = cases
                .iter()
                .flat_map(|case| &case.checks)
                .filter(|check| check.requirement == id)
                .map(|check| check.said);
            let status = worst.fold(Status::NotExercised, |status, said| {
                status.max(match said {
                    Said::Held if requirement.report_only() => Status::Observed,
                    Said::Held => Status::Verified,
                    Said::Noted => Status::Noted,
                    Said::Violated => Status::Violated,
                })
            });
            let reason = (status == Status::NotExercised).then(|| {
                if let Some(reason) = &requirement.untestable {
                    return reason.clone();
                }
                let mut reasons: Vec<&str> = naming.iter().filter_map(|case| case.reason.as_deref()).collect();
                reasons.sort_unstable();
                reasons.dedup();
                if naming.is_empty() {
                    NOT_SELECTED.to_owned()
                } else if naming.iter().any(|case| case.result == CaseResult::Pass) {
                    "its cases were played, and no answer was one that it is about".to_owned()
                } else if reasons.is_empty() {
                    "its cases ended before they reached it".to_owned()
                } else {
                    reasons.join("; ")
                }
            });
            let cases = naming
                .iter()
                .filter(|case| case.result != CaseResult::Skip || status == Status::NotExercised)
                .map(|case| case.name.clone())
                .collect();
            let (level, text) = (requirement.level, requirement.text.clone());
            let clauses = requirement.cites.iter().map(Cite::place).collect();
            let policies = register.policies_of(requirement);
            (id.to_owned(), RequirementStatus { level, text, clauses, policies, status, reason, cases })
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use pretty_assertions::assert_eq;

    use super::*;
    use crate::verdict::samples::{case, found};
    use crate::verdict::{Check, Class, Evidence};

    fn checked(name: &str, checks: &[(&str, Said)]) -> CaseRecord {
        let check = |(id, said): &(&str, Said)| Check { requirement: (*id).to_owned(), line: 2, said: *said };
        CaseRecord {
            requirements: checks.iter().map(|(id, _)| (*id).to_owned()).collect(),
            checks: checks.iter().map(check).collect(),
            ..case(name, CaseResult::Pass, Vec::new())
        }
    }

    fn unchecked(name: &str, result: CaseResult, reason: &str) -> CaseRecord {
        let reason = Some(reason.to_owned()).filter(|reason| !reason.is_empty());
        CaseRecord { reason, ..case(name, result, Vec::new()) }
    }

    /// What is said of HDR-19.
    fn said(cases: &[CaseRecord]) -> (Status, Option<String>, Vec<String>) {
        let RequirementStatus { status, reason, cases, .. } =
            statuses(&Register::bundled().unwrap(), Profile::V0_9_2, cases).remove("HDR-19").unwrap();
        (status, reason, cases)
    }

    fn reason(cases: &[CaseRecord]) -> String {
        said(cases).1.unwrap()
    }

    #[test]
    fn the_worst_check_is_the_status() {
        let held = checked("a", &[("HDR-19", Said::Held), ("HDR-05", Said::Violated)]);
        let noted = checked("b", &[("HDR-19", Said::Noted)]);
        let violated = checked("c", &[("HDR-19", Said::Violated)]);
        assert_eq!(said(std::slice::from_ref(&held)), (Status::Verified, None, vec!["a".to_owned()]));
        assert_eq!(said(&[noted.clone(), held.clone()]).0, Status::Noted);
        assert_eq!(said(&[held, violated, noted]).0, Status::Violated);
    }

    #[test]
    fn what_is_only_reported_is_observed() {
        let register = Register::bundled().unwrap();
        let reported = register.requirements().find(|one| one.report_only() && one.is_of(Profile::V0_9_2)).unwrap();
        let held = checked("a", &[(&reported.id, Said::Held)]);
        let statuses = statuses(&register, Profile::V0_9_2, &[held]);
        assert_eq!(statuses.get(reported.id.as_str()).unwrap().status, Status::Observed);
    }

    #[test]
    fn a_requirement_that_was_not_exercised_says_why() {
        use CaseResult::{Fail, Pass, Skip};
        let elsewhere = checked("a", &[("HDR-05", Said::Held)]);
        assert_eq!(reason(&[elsewhere]), "no selected case checks it");
        let skipped = [unchecked("a", Skip, "no dma"), unchecked("b", Skip, "no dma"), unchecked("c", Skip, "no irq")];
        assert_eq!(
            said(&skipped),
            (Status::NotExercised, Some("no dma; no irq".to_owned()), ["a", "b", "c"].map(str::to_owned).to_vec())
        );
        let ended = [unchecked("a", Fail, "")];
        assert_eq!(reason(&ended), "its cases ended before they reached it");
        let played = [unchecked("a", Skip, "no dma"), unchecked("b", Pass, "")];
        assert_eq!(reason(&played), "its cases were played, and no answer was one that it is about");
    }

    #[test]
    fn the_cases_of_a_requirement_are_those_that_were_played_and_name_it_or_found_it() {
        let held = checked("a", &[("HDR-19", Said::Held)]);
        let skipped = unchecked("b", CaseResult::Skip, "no dma");
        let mut model = case("c", CaseResult::Fail, vec![found("HDR-19", Class::Violation, Evidence::Received)]);
        model.requirements = vec!["HDR-05".to_owned()];
        let mut other = case("d", CaseResult::Fail, vec![found("HDR-05", Class::Violation, Evidence::Received)]);
        other.requirements = vec!["HDR-05".to_owned()];
        assert_eq!(said(&[held, skipped, model, other]).2, ["a", "c"]);
    }

    #[test]
    fn another_version_has_other_requirements() {
        assert!(statuses(&Register::bundled().unwrap(), Profile::V0_9_2, &[]).contains_key("MIGFSM-01"));
        assert!(!statuses(&Register::bundled().unwrap(), Profile::V8, &[]).contains_key("MIGFSM-01"));
    }
}
