//! What many violations have in common: most likely one bug each.

use maud::{Markup, html};

use super::links::Links;
use crate::report::Report;
use crate::report::frame::foreign;
use crate::report::text::count;

/// They stand at the head of the findings.
pub(super) fn causes(report: &Report, links: &Links<'_>) -> Markup {
    html! {
        @if !report.causes.is_empty() {
            section.causes aria-labelledby="causes" {
                h3 #causes { "Causes" }
                p.hint { "One thing that the server does, and all that it breaks by it: most likely one bug each." }
                ul {
                    @for cause in &report.causes {
                        li {
                            p { strong {
                                (count(cause.cases, "case")) " for one cause: at " code { (foreign(&cause.command)) } ", "
                                (foreign(&cause.actual))
                            } }
                            p.ids {
                                @for (n, id) in cause.requirements.iter().enumerate() {
                                    @if n > 0 { " " }
                                    (links.requirement(id))
                                }
                            }
                        }
                    }
                }
            }
        }
    }
}
