//! The findings: violations, those that are pinned, and notes, each list with a table of what is in it.

use std::collections::HashMap;

use maud::{Markup, html};

use super::causes::causes;
use super::exchange::Room;
use super::finding::{article, word};
use super::links::{Links, Placed};
use crate::report::Report;
use crate::report::frame::foreign_cut;
use crate::report::text::count;
use crate::requirement::Register;
use crate::verdict::Class;

/// From so many findings on there is a table of them.
const MANY: usize = 4;
/// So many characters of a text stand in a cell of it.
const CELL: usize = 160;

/// What is told of each finding besides itself.
pub(super) struct Surroundings<'a> {
    pub(super) report: &'a Report,
    pub(super) register: &'a Register,
    pub(super) links: &'a Links<'a>,
    /// Where the standard error of a case was told already: the id of the finding.
    pub(super) printed: HashMap<&'a str, &'a str>,
    pub(super) room: Room,
}

/// All of them; at least a sentence.
pub(super) fn findings(around: &mut Surroundings<'_>) -> Markup {
    let links = around.links;
    let of = |class: Class, pinned: bool| -> Vec<&Placed<'_>> {
        links
            .findings
            .iter()
            .filter(|placed| placed.group.finding.class == class && placed.pin.is_some() == pinned)
            .collect()
    };
    let meant = if around.report.strict {
        "They count as violations (--strict)."
    } else {
        "They are worth knowing, and fail no run without --strict."
    };
    let lists = [
        ("violations", "Violations", "They contradict the specification.", of(Class::Violation, false)),
        ("pinned", "Pinned violations", "They are known, and fail no run (--expect).", of(Class::Violation, true)),
        ("notes", "Notes", meant, of(Class::Note, false)),
        ("pinned-notes", "Pinned notes", "They are known (--expect).", of(Class::Note, true)),
    ];
    html! {
        section aria-labelledby="findings" {
            h2 #findings { "Findings" }
            @if links.findings.is_empty() { p { "No violation and no note." } }
            (causes(around.report, links))
            @for (id, title, meaning, placed) in lists {
                @if !placed.is_empty() {
                    h3 id=(id) { (title) " " span.number { (placed.len()) } }
                    p.hint { (meaning) }
                    @if placed.len() >= MANY { (table(&placed, links, title)) }
                    @for placed in placed { (article(placed, around)) }
                }
            }
        }
    }
}

fn table(placed: &[&Placed<'_>], links: &Links<'_>, title: &str) -> Markup {
    html! {
        div.scroll tabindex="0" role="group" aria-label={ (title) ", in a table" } {
            table.findings {
                caption.hidden-text { (title) ": what came and what was expected" }
                thead { tr {
                    th scope="col" { "requirement" } th scope="col" { "got" } th scope="col" { "expected" }
                    th scope="col" { "cases" }
                } }
                tbody {
                    @for placed in placed {
                        @let finding = placed.group.finding;
                        tr {
                            th scope="row" { (links.requirement(&finding.requirement)) }
                            td { a href={ "#" (placed.id) } { (foreign_cut(&finding.actual, CELL)) } }
                            td { (foreign_cut(&finding.expected, CELL)) }
                            td.number { (1 + placed.group.others.len()) }
                        }
                    }
                }
            }
        }
    }
}

/// The findings that are told of something, as links: `violation of HDR-19: the server crashed`.
pub(super) fn list<'p>(placed: impl Iterator<Item = &'p Placed<'p>>) -> Markup {
    html! {
        ul.plain {
            @for placed in placed {
                @let finding = placed.group.finding;
                li {
                    a href={ "#" (placed.id) } {
                        (word(finding.class)) " of " (foreign_cut(&finding.requirement, CELL)) ": "
                        (foreign_cut(&finding.actual, CELL))
                    }
                    " in " (count(1 + placed.group.others.len(), "case"))
                }
            }
        }
    }
}
