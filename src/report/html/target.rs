//! What the probe found of a target.

use maud::{Markup, html};

use crate::report::frame::{foreign, foreign_lines};
use crate::report::text::count;
use crate::target::{Discovered, Has};

/// How many lines of one trouble are shown.
const TROUBLE: usize = 5;

/// What it offers, what it lacks, and what went wrong while it was asked.
pub(super) fn target(found: &Discovered) -> Markup {
    let lacks: Vec<(&str, &str)> = found
        .has
        .iter()
        .filter_map(|(need, has)| match has {
            Has::No(why) => Some((need.as_str(), why.as_str())),
            Has::Yes(_) => None,
        })
        .collect();
    let version = serde_json::to_string_pretty(&found.capabilities).unwrap_or_default();
    html! {
        @if !found.troubles.is_empty() {
            div.troubles {
                p { strong { "While it was asked what it offers:" } }
                ul { @for trouble in &found.troubles { li { (foreign_lines(&beginning(trouble))) } } }
            }
        }
        details.more {
            summary {
                "What it offers: " (count(found.regions.len(), "region")) ", " (count(found.irqs.len(), "interrupt type")) ", "
                (found.offers().count()) " of " (found.has.len()) " things that cases need"
            }
            dl.facts {
                @if let Some((major, minor)) = found.version { div { dt { "speaks" } dd { "version " (major) "." (minor) } } }
                @if !found.capabilities.is_null() {
                    div { dt { "version data" } dd { pre tabindex="0" role="group" aria-label="Version data" {
                        (foreign_lines(&version))
                    } } }
                }
                div { dt { "offers" } dd { @for need in found.offers() { code { (foreign(need)) } " " } } }
                @for (need, why) in lacks { div { dt { "no " code { (foreign(need)) } } dd { (foreign(why)) } } }
            }
        }
    }
}

/// The question, and the first lines of what came of it.
fn beginning(trouble: &str) -> String {
    trouble.lines().take(TROUBLE).collect::<Vec<_>>().join("\n")
}
