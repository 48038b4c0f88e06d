//! A run against its pinned expectations.

use std::collections::BTreeMap;

use maud::{Markup, html};

use super::links::Links;
use crate::report::frame::foreign;
use crate::report::text::count;
use crate::verdict::{Comparison, Met};

/// What drifted, and what was met.
pub(super) fn pins(comparison: &Comparison, links: &Links<'_>) -> Markup {
    html! {
        section aria-labelledby="expectations" {
            h2 #expectations { "Pinned expectations" }
            @if comparison.drift.is_empty() {
                p { "Nothing differs from them." }
            } @else {
                h3 #drift { "Drift " span.number { (comparison.drift.len()) } }
                p.hint { "Differences from what is pinned, and what there is to do about each." }
                ul.drift {
                    @for drift in &comparison.drift {
                        li { p { strong { (foreign(&drift.to_string())) } } p.hint { (drift.advice()) } }
                    }
                }
            }
            @if !comparison.met.is_empty() { (met(&comparison.met, links)) }
        }
    }
}

fn met(met: &[Met], links: &Links<'_>) -> Markup {
    let mut known: BTreeMap<_, Vec<&str>> = BTreeMap::new();
    for met in met {
        let what = (met.requirement.as_deref(), met.observed.to_string(), met.reason.as_str(), met.link.as_deref());
        known.entry(what).or_default().push(&met.case);
    }
    html! {
        h3 #met { "As pinned " span.number { (met.len()) } }
        @for ((requirement, observed, reason, link), names) in known {
            details.row {
                summary {
                    @if let Some(id) = requirement { span.id { (foreign(id)) } }
                    span.status.none { (observed) }
                    span.level { (count(names.len(), "case")) }
                    span.text { (foreign(reason)) }
                }
                dl.facts {
                    @if let Some(id) = requirement { div { dt { "requirement" } dd { (links.requirement(id)) } } }
                    @if let Some(link) = link { div { dt { "more of it" } dd { (address(link)) } } }
                    div { dt { "cases" } dd { ul.names { @for name in names { li { (links.case(name)) } } } } }
                }
            }
        }
    }
}

/// Somebody wrote it: only what leads to a page is a link.
fn address(link: &str) -> Markup {
    html! {
        @if link.starts_with("https://") || link.starts_with("http://") {
            a href=(link) rel="noopener noreferrer" { (foreign(link)) }
        } @else {
            code { (foreign(link)) }
        }
    }
}
