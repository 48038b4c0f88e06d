//! What one report tells of each requirement.

use std::collections::HashMap;

use maud::{Markup, html};

use super::super::{Column, Source};
use crate::report::Report;
use crate::report::frame::{foreign, foreign_cut, mark, sign, word};
use crate::report::terminal::finding::{Group, groups};
use crate::report::text::count;
use crate::verdict::{Class, Status};

/// So many different findings of a requirement are told.
const FINDINGS: usize = 5;
/// So many characters of a text stand in a cell.
const TEXT: usize = 400;
/// So many names of cases are told.
const NAMES: usize = 6;

/// A report, and what it found, by requirement.
pub(super) struct Told<'a> {
    pub(super) column: &'a Column,
    pub(super) report: &'a Report,
    findings: HashMap<&'a str, Vec<Group<'a>>>,
}

impl<'a> Told<'a> {
    pub(super) fn of(column: &'a Column, source: &'a Source) -> Told<'a> {
        let report = &source.report;
        let mut findings: HashMap<&str, Vec<Group<'_>>> = HashMap::new();
        for class in [Class::Violation, Class::Note] {
            for group in groups(report.findings(class)) {
                findings.entry(&group.finding.requirement).or_default().push(group);
            }
        }
        Told { column, report, findings }
    }

    /// The findings against a requirement, violations first.
    fn against(&self, id: &str) -> &[Group<'a>] {
        self.findings.get(id).map_or(&[], Vec::as_slice)
    }

    /// What it says of a requirement, folded where there is more to it than a word.
    pub(super) fn cell(&self, id: &str) -> Markup {
        let Some(known) = self.report.requirements.get(id) else {
            return html! { td.none { "not in " (foreign(&self.column.profile)) } };
        };
        let findings = self.against(id);
        let is_pinned = !findings.is_empty() && findings.iter().all(|found| found.pin(self.report).is_some());
        html! {
            td.(sign(known.status).0) {
                @if findings.is_empty() && known.reason.is_none() {
                    (status(known.status)) @if !known.cases.is_empty() { " " span.hint { (count(known.cases.len(), "case")) } }
                } @else {
                    details {
                        summary { (status(known.status)) @if is_pinned { " " span.hint { "pinned" } } }
                        @if let Some(reason) = &known.reason { p { (foreign_cut(reason, TEXT)) } }
                        (self.found(id, FINDINGS))
                    }
                }
            }
        }
    }

    /// What was found against a requirement: at most so many things.
    pub(super) fn found(&self, id: &str, most: usize) -> Markup {
        let findings = self.against(id);
        html! {
            @for found in findings.iter().take(most) {
                div.found {
                    p { strong { "got " } (foreign_cut(&found.finding.actual, TEXT)) }
                    p.hint { "expected " (foreign_cut(&found.finding.expected, TEXT)) }
                    p.hint {
                        "in " code { (foreign_cut(&found.case.name, TEXT)) }
                        @for name in found.others.iter().take(NAMES) { ", " code { (foreign_cut(name, TEXT)) } }
                        @let more = found.others.len().saturating_sub(NAMES);
                        @if more > 0 { " and " (count(more, "more case")) }
                    }
                    @if let Some(met) = found.pin(self.report) { p.hint { strong { "Pinned: " } (foreign_cut(&met.reason, TEXT)) } }
                }
            }
            @let more = findings.len().saturating_sub(most);
            @if more > 0 { p.left-out { (count(more, "more finding")) } }
        }
    }
}

/// A status: a sign, a word and a colour.
pub(super) fn status(status: Status) -> Markup {
    html! { span.{ "status " (sign(status).0) } { (mark(status)) " " (word(status)) } }
}
