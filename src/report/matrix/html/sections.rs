//! How many requirements of each section have which status, by report.

use std::collections::BTreeMap;

use maud::{Markup, html};

use super::super::Matrix;
use super::place_of_section;
use crate::report::frame::{bar, foreign, mark, sign};
use crate::report::terminal::requirements::STATUSES;
use crate::verdict::Status;

/// A row for each section.
pub(super) fn sections(matrix: &Matrix) -> Markup {
    html! {
        section aria-labelledby="sections" {
            h2 #sections { "By section" }
            div.scroll tabindex="0" role="group" aria-label="Sections by report" {
                table.side.sections {
                    caption.hidden-text { "How many requirements of each section have which status, by report" }
                    thead { tr {
                        th scope="col" { "section" }
                        @for column in &matrix.columns { th scope="col" { (foreign(&column.name)) } }
                    } }
                    tbody {
                        @for section in &matrix.sections {
                            tr {
                                th scope="row" {
                                    a href={ "#" (place_of_section(&section.id)) } { (foreign(&section.title)) }
                                }
                                @for totals in &section.totals { td { (cell(totals)) } }
                            }
                        }
                    }
                }
            }
        }
    }
}

fn cell(totals: &BTreeMap<Status, usize>) -> Markup {
    let parts: Vec<(Status, &str, usize)> =
        STATUSES.iter().filter_map(|(status, word)| Some((*status, *word, *totals.get(status)?))).collect();
    let bars: Vec<(&str, usize)> = parts.iter().map(|(status, _, number)| (sign(*status).0, *number)).collect();
    html! {
        @if parts.is_empty() {
            span.hint { "no such requirement" }
        } @else {
            (bar(&bars))
            ul.plain.counts {
                @for (status, word, number) in parts {
                    li { span.{ "status " (sign(status).0) } { (mark(status)) " " (number) } " " (word) }
                }
            }
        }
    }
}
