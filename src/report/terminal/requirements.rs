//! What a run says of the requirements, section by section.

use std::collections::BTreeMap;

use super::paint::{BOLD, DIM, paint};
use super::summary::{WIDTH, title};
use crate::report::text::{count, harmless, wrap};
use crate::report::{Context, Report};
use crate::verdict::{RequirementStatus, Status};

/// Each status, as people say it.
pub(in crate::report) const STATUSES: [(Status, &str); 5] = [
    (Status::Violated, "violated"),
    (Status::Noted, "noted"),
    (Status::Verified, "verified"),
    (Status::Observed, "observed"),
    (Status::NotExercised, "not exercised"),
];

/// A line for each section, then the requirements that were not exercised, by reason.
pub(super) fn lines(report: &Report, context: Context<'_>) -> Vec<String> {
    let mut lines = Vec::new();
    title(&mut lines, paint(BOLD, "REQUIREMENTS"), &count(report.requirements.len(), "requirement"));
    let widest = context.register.sections().map(|section| section.title.len()).max().unwrap_or_default();
    for section in context.register.sections() {
        let of_section: Vec<&RequirementStatus> = report
            .requirements
            .iter()
            .filter(|(id, _)| context.register.get(id).is_some_and(|requirement| requirement.section == section.id))
            .map(|(_, status)| status)
            .collect();
        // A section of another version of the protocol.
        if of_section.is_empty() {
            continue;
        }
        let number = |wanted: Status| of_section.iter().filter(|found| found.status == wanted).count();
        let parts: Vec<String> = STATUSES
            .iter()
            .filter(|(status, _)| number(*status) > 0)
            .map(|(status, word)| format!("{} {word}", number(*status)))
            .collect();
        lines.push(format!("  {:<8}  {:<widest$}  {}", section.id, section.title, parts.join(", ")));
    }
    let mut reasons: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for (id, status) in &report.requirements {
        if let Some(reason) = status.reason.as_deref().filter(|_| status.status == Status::NotExercised) {
            reasons.entry(reason).or_default().push(id);
        }
    }
    for (reason, ids) in reasons {
        lines.push(String::new());
        lines.extend(wrap(&harmless(reason), WIDTH).into_iter().map(|line| format!("  {line}")));
        lines.extend(wrap(&ids.join(" "), WIDTH - 4).into_iter().map(|line| paint(DIM, format!("      {line}"))));
    }
    lines.push(String::new());
    lines
}
