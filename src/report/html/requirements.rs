//! The matrix of requirements: by section and status, each with what it says and the cases that check it.

use std::collections::BTreeMap;

use maud::{Markup, html};

use super::findings::list;
use super::links::{Links, place_of_requirement, place_of_section};
use crate::report::Report;
use crate::report::frame::{Select, filter, foreign, mark, sign, word};
use crate::report::terminal::requirements::STATUSES;
use crate::report::text::count;
use crate::requirement::{Register, Section};
use crate::verdict::{RequirementStatus, Status};

/// The requirements of one section, by id.
struct Part<'a> {
    id: &'a str,
    section: Option<&'a Section>,
    requirements: Vec<(&'a str, &'a RequirementStatus)>,
}

impl Part<'_> {
    fn with(&self, status: Status) -> usize {
        self.requirements.iter().filter(|(_, requirement)| requirement.status == status).count()
    }
}

/// All of them.
pub(super) fn requirements(report: &Report, register: &Register, links: &Links<'_>) -> Markup {
    let parts = parts(report, register);
    let statuses = STATUSES.iter().map(|(status, word)| (*word, *word, report.with_status(*status)));
    let options = statuses.filter(|(.., number)| *number > 0).collect();
    let status = Select { name: "status", label: "status", options, chosen: None };
    html! {
        section aria-labelledby="requirements" {
            h2 #requirements { "Requirements" }
            p.hint {
                "The status of a requirement is the worst of its checks: violated, noted, verified (a check was reached and held), "
                "observed (only reported), or not exercised, with the reason."
            }
            @if report.requirements.is_empty() {
                p { "The report has none." }
            } @else {
                (matrix(&parts))
                (filter("requirement", "all-requirements", &[status], report.requirements.len()))
                div #all-requirements {
                    @for part in &parts { (self::part(part, register, links)) }
                }
            }
        }
    }
}

/// The prefix of an id is its section; a report that is read may have ids that the register has not.
fn parts<'a>(report: &'a Report, register: &'a Register) -> Vec<Part<'a>> {
    let mut by_section: BTreeMap<&str, Vec<(&str, &RequirementStatus)>> = BTreeMap::new();
    for (id, requirement) in &report.requirements {
        let section = id.rsplit_once('-').map_or("", |(section, _)| section);
        by_section.entry(section).or_default().push((id, requirement));
    }
    let part = |(id, requirements)| Part { id, section: register.section(id), requirements };
    by_section.into_iter().map(part).collect()
}

fn title(part: &Part<'_>) -> Markup {
    html! {
        @match part.section {
            Some(section) => (foreign(&section.title)),
            None if part.id.is_empty() => "Others",
            None => (foreign(part.id)),
        }
    }
}

fn matrix(parts: &[Part<'_>]) -> Markup {
    html! {
        div.scroll tabindex="0" role="group" aria-label="Requirements by section and status" {
            table.matrix {
                caption { "Requirements by section and status" }
                thead { tr {
                    th scope="col" { "section" }
                    @for (status, word) in STATUSES { th scope="col" { (mark(status)) " " (word) } }
                } }
                tbody {
                    @for part in parts {
                        tr {
                            th scope="row" { a href={ "#" (place_of_section(part.id)) } { (title(part)) } }
                            @for (status, _) in STATUSES {
                                @let number = part.with(status);
                                td.number.(if number > 0 { sign(status).0 } else { "empty" }) { (number) }
                            }
                        }
                    }
                }
            }
        }
    }
}

fn part(part: &Part<'_>, register: &Register, links: &Links<'_>) -> Markup {
    let counted: Vec<String> = STATUSES
        .iter()
        .filter(|(status, _)| part.with(*status) > 0)
        .map(|(status, word)| format!("{} {word}", part.with(*status)))
        .collect();
    html! {
        div.group {
            h3 id=(place_of_section(part.id)) { (title(part)) " " span.number { (foreign(part.id)) } }
            p.hint {
                @if let Some(section) = part.section { "Lines " (section.lines) " of the specification. " }
                (counted.join(", ")) "."
            }
            @for (id, requirement) in &part.requirements { (row(id, requirement, register, links)) }
        }
    }
}

fn row(id: &str, requirement: &RequirementStatus, register: &Register, links: &Links<'_>) -> Markup {
    let style = sign(requirement.status).0;
    let word = word(requirement.status);
    html! {
        details.row id=(place_of_requirement(id)) data-status=(word) {
            summary {
                span.id { (foreign(id)) }
                span.{ "status " (style) } { (mark(requirement.status)) " " (word) }
                span.level { (requirement.level) }
                span.text { (foreign(&requirement.text)) }
            }
            (inside(id, requirement, register, links))
        }
    }
}

fn inside(id: &str, requirement: &RequirementStatus, register: &Register, links: &Links<'_>) -> Markup {
    // Another register may say something else by the same id.
    let known = register.get(id).filter(|known| known.text == requirement.text);
    let has_findings = links.against(id).next().is_some();
    html! {
        dl.facts {
            @if let Some(reason) = &requirement.reason { div { dt { "why not exercised" } dd { (foreign(reason)) } } }
            @if has_findings { div { dt { "findings" } dd { (list(links.against(id))) } } }
            @if !requirement.clauses.is_empty() {
                div { dt { "clause" } dd { ul.plain { @for clause in &requirement.clauses { li { (foreign(clause)) } } } } }
            }
            @if let Some(known) = known {
                div { dt { "stimulus" } dd { (known.stimulus) } }
                div { dt { "conforms" } dd { (known.conforms) } }
                @if let Some(note) = &known.note { div { dt { "note" } dd { (note) } } }
                @if let Some(violation) = &known.violation { div { dt { "violation" } dd { (violation) } } }
            }
            @for policy in &requirement.policies { div { dt { "policy" } dd { (foreign(policy)) } } }
            @if !requirement.cases.is_empty() {
                div { dt { (count(requirement.cases.len(), "case")) } dd {
                    ul.names { @for name in &requirement.cases { li { (links.case(name)) } } }
                } }
            }
        }
    }
}
