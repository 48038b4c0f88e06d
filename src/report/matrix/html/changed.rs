//! What became better and worse, and what shows it.

use std::collections::HashMap;

use maud::{Markup, html};

use super::super::terminal::{DIRECTIONS, result};
use super::super::{CaseChange, Change, Changes, Direction, Matrix, Row};
use super::place_of_requirement;
use super::told::{Told, status};
use crate::report::frame::{foreign, foreign_cut};
use crate::report::text::count;
use crate::verdict::Status;

/// So many different findings are told of a change.
const FINDINGS: usize = 2;
/// From so many cases on they are folded.
const MANY: usize = 12;
/// So many characters of a name are shown.
const NAME: usize = 200;

/// All changes; at least a sentence.
pub(super) fn changed(matrix: &Matrix, told: &[Told<'_>]) -> Markup {
    html! {
        section aria-labelledby="changes" {
            h2 #changes { "What changed" }
            @match (&matrix.changes, told) {
                (Some(changes), [before, after]) => {
                    p.hint { "From " strong { (foreign(&before.column.name)) } " to " strong { (foreign(&after.column.name)) } "." }
                    @if DIRECTIONS.iter().all(|(way, _)| changes.count(*way) == (0, 0)) { p { "Nothing." } }
                    @for (way, heading) in DIRECTIONS {
                        @if changes.count(way) != (0, 0) { (direction(matrix, changes, way, heading, [before, after])) }
                    }
                }
                _ => {
                    p {
                        "What became better or worse is told of two reports of one version of the protocol. Where these differ, "
                        a href="#requirements" { "the table of requirements" } " shows."
                    }
                }
            }
        }
    }
}

fn direction(matrix: &Matrix, changes: &Changes, way: Direction, heading: &str, told: [&Told<'_>; 2]) -> Markup {
    let (id, style) = match way {
        Direction::Worse => ("worse", "change bad"),
        Direction::Better => ("better", "change good"),
        Direction::Neither => ("neither", "change"),
    };
    let rows: HashMap<&str, &Row> =
        matrix.sections.iter().flat_map(|section| &section.rows).map(|row| (row.id.as_str(), row)).collect();
    let cases: Vec<&CaseChange> = changes.cases.iter().filter(|change| change.direction == way).collect();
    let (first, rest) = heading.split_at(1);
    html! {
        h3 id=(id) { (first.to_uppercase()) (rest) " " span.number { (changes.count(way).0) } }
        ul.plain {
            @for change in changes.of(way) {
                li class=(style) { (requirement(change, rows.get(change.id.as_str()).copied(), told)) }
            }
        }
        @if !cases.is_empty() {
            details.more open[cases.len() < MANY] {
                summary { (count(cases.len(), "case")) }
                ul.names {
                    @for CaseChange { name, from, to, .. } in cases {
                        li { code { (foreign_cut(name, NAME)) } ": " (result(*from)) " became " (result(*to)) }
                    }
                }
            }
        }
    }
}

fn requirement(change: &Change, row: Option<&Row>, [before, after]: [&Told<'_>; 2]) -> Markup {
    let Change { id, from, to, why, .. } = change;
    let is_found = |status: Status| matches!(status, Status::Violated | Status::Noted);
    html! {
        p {
            a.id href={ "#" (place_of_requirement(id)) } { (foreign(id)) }
            @if let Some(row) = row { " " span.level { (foreign(&row.level)) } }
            " " (status(*from)) " became " (status(*to))
        }
        @if let Some(row) = row { p { (foreign(&row.text)) } }
        @if let Some(why) = why { p.hint { (foreign(why)) } }
        @if is_found(*to) {
            (after.found(id, FINDINGS))
        }
        @if is_found(*from) {
            details.more { summary { "What was found before" } (before.found(id, FINDINGS)) }
        }
    }
}
