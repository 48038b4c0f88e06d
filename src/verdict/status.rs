//! What a whole run says of each requirement.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{CaseRecord, CaseResult, Said};
use crate::Profile;
use crate::requirement::{Cite, Level, Register};

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
                    "no selected case checks it".to_owned()
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
