//! Requirement by report: a cell for what each says, with what it found.

use std::collections::BTreeMap;

use maud::{Markup, html};

use super::super::{Direction, Matrix, Row, Section};
use super::told::Told;
use super::{place_of_requirement, place_of_section};
use crate::report::frame::{Select, filter, foreign};
use crate::report::text::{count, harmless};
use crate::verdict::Status;

/// All of it, and the form that narrows it; with a script, only what differs is shown in the beginning.
pub(super) fn table(matrix: &Matrix, told: &[Told<'_>]) -> Markup {
    let ways = ways(matrix);
    let rows = || matrix.sections.iter().flat_map(|section| &section.rows);
    let kinds: Vec<Kind> = kinds(told).into_iter().filter(|kind| rows().any(|row| kind.has(row, &ways))).collect();
    let number = |kind: &Kind| rows().filter(|row| kind.has(row, &ways)).count();
    let status = Select {
        name: "status",
        label: "show",
        options: kinds.iter().map(|kind| (kind.value.as_str(), kind.word.as_str(), number(kind))).collect(),
        chosen: kinds.iter().any(|kind| kind.value == DIFFERS).then_some(DIFFERS),
    };
    let sections = matrix.sections.iter();
    let section = Select {
        name: "section",
        label: "section",
        options: sections.map(|one| (one.id.as_str(), one.title.as_str(), one.rows.len())).collect(),
        chosen: None,
    };
    html! {
        section aria-labelledby="requirements" {
            h2 #requirements { "Requirements" }
            p.hint {
                "The status of a requirement is the worst of its checks. What stands behind it unfolds: what was found and in which case, or "
                "why no case looked."
            }
            (filter("requirement", "all-requirements", &[status, section], rows().count()))
            div.scroll.high tabindex="0" role="group" aria-label="Requirements by report" {
                table.side #all-requirements {
                    caption.hidden-text { "What each report says of each requirement" }
                    thead { tr {
                        th scope="col" { "requirement" }
                        @for told in told { th scope="col" { (foreign(&told.column.name)) } }
                    } }
                    @for section in &matrix.sections { (self::section(section, &kinds, &ways, told)) }
                }
            }
        }
    }
}

const DIFFERS: &str = "differs";

/// What a row can be narrowed by.
struct Kind {
    /// As the page has it.
    value: String,
    /// As people say it.
    word: String,
    has: Has,
}

enum Has {
    Differs,
    Changed(Direction),
    /// In any report.
    Any(Status),
    /// In the report at this place.
    In(usize, Status),
}

impl Kind {
    fn has(&self, row: &Row, ways: &BTreeMap<&str, Direction>) -> bool {
        match self.has {
            Has::Differs => row.differs(),
            Has::Changed(way) => ways.get(row.id.as_str()) == Some(&way),
            Has::Any(status) => row.cells.contains(&Some(status)),
            Has::In(column, status) => row.cells.get(column) == Some(&Some(status)),
        }
    }
}

fn kinds(told: &[Told<'_>]) -> Vec<Kind> {
    let kind = |value: &str, word: &str, has| Kind { value: value.to_owned(), word: word.to_owned(), has };
    let mut kinds = vec![
        kind(DIFFERS, "where they differ", Has::Differs),
        kind("worse", "worse", Has::Changed(Direction::Worse)),
        kind("better", "better", Has::Changed(Direction::Better)),
        kind("violated", "violated in any", Has::Any(Status::Violated)),
    ];
    kinds.extend(told.iter().enumerate().map(|(n, told)| Kind {
        value: format!("violated-{n}"),
        word: format!("violated in {}", harmless(&told.column.name)),
        has: Has::In(n, Status::Violated),
    }));
    kinds.push(kind("noted", "noted in any", Has::Any(Status::Noted)));
    kinds.push(kind("not-exercised", "not exercised in any", Has::Any(Status::NotExercised)));
    kinds
}

fn ways(matrix: &Matrix) -> BTreeMap<&str, Direction> {
    let changes = matrix.changes.iter().flat_map(|changes| &changes.requirements);
    changes.map(|change| (change.id.as_str(), change.direction)).collect()
}

fn section(section: &Section, kinds: &[Kind], ways: &BTreeMap<&str, Direction>, told: &[Told<'_>]) -> Markup {
    html! {
        tbody.group id=(place_of_section(&section.id)) {
            tr.section {
                th scope="rowgroup" colspan=(1 + told.len()) {
                    span { (foreign(&section.title)) " " span.number { (foreign(&section.id)) } }
                }
            }
            @for row in &section.rows {
                @let values: Vec<&str> =
                    kinds.iter().filter(|kind| kind.has(row, ways)).map(|kind| kind.value.as_str()).collect();
                tr id=(place_of_requirement(&row.id)) data-status=(values.join("|")) data-section=(section.id) {
                    th scope="row" { (head(row)) }
                    @for told in told { (told.cell(&row.id)) }
                }
            }
        }
    }
}

fn head(row: &Row) -> Markup {
    let said = html! {
        span.id { (foreign(&row.id)) } " " span.level { (foreign(&row.level)) } " " span.text { (foreign(&row.text)) }
    };
    html! {
        @if row.clauses.is_empty() {
            (said)
        } @else {
            details {
                summary { (said) }
                p.hint { (count(row.clauses.len(), "clause")) ":" }
                ul.clauses { @for clause in &row.clauses { li { (foreign(clause)) } } }
            }
        }
    }
}
