//! What pages of HTML have in common: a frame that permits no network, filters, bars, and how text of others is shown.

#[cfg(test)]
pub(in crate::report) mod checks;
mod filter;
mod foreign;
mod slug;
mod status;
mod tally;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use maud::{DOCTYPE, Markup, PreEscaped, html};
use sha2::{Digest, Sha256};

pub(in crate::report) use filter::{Select, filter};
pub(in crate::report) use foreign::{command, foreign, foreign_cut, foreign_lines, printed};
pub(in crate::report) use slug::slug;
pub(in crate::report) use status::{mark, sign, word};
pub(in crate::report) use tally::{bar, tally};

const STYLE: &str = include_str!("style.css");
const SCRIPT: &str = include_str!("script.js");

/// A page, without what every page has.
pub(in crate::report) struct Frame<'a> {
    /// What it is about: its heading, and the name of its window.
    pub(in crate::report) title: &'a str,
    /// What stands below the heading.
    pub(in crate::report) verdict: Markup,
    /// What can be found on it: the id of each place, and its name.
    pub(in crate::report) contents: Vec<(&'static str, Markup)>,
    /// All else.
    pub(in crate::report) main: Markup,
    /// What it was made of and by whom.
    pub(in crate::report) origin: Markup,
    /// Rules that this page needs and others do not.
    pub(in crate::report) style: &'static str,
}

impl Frame<'_> {
    /// The whole page.
    pub(in crate::report) fn page(self) -> String {
        let style = format!("{STYLE}{}", self.style);
        let markup = html! {
            (DOCTYPE)
            html lang="en" {
                head {
                    meta charset="utf-8";
                    meta http-equiv="Content-Security-Policy" content=(policy(&style));
                    meta name="viewport" content="width=device-width, initial-scale=1";
                    meta name="color-scheme" content="light dark";
                    meta name="referrer" content="no-referrer";
                    title { (foreign(self.title)) " \u{2013} vfio-user conformance" }
                    // Without it a browser asks a server for one.
                    link rel="icon" href="data:,";
                    style { (PreEscaped(&style)) }
                }
                body {
                    a.skip href="#report" { "Skip to the report" }
                    header {
                        p.kind { "vfio-user conformance" }
                        h1 { (foreign(self.title)) }
                        (self.verdict)
                    }
                    nav aria-label="Contents" {
                        ul { @for (id, name) in &self.contents { li { a href={ "#" (id) } { (name) } } } }
                    }
                    main #report tabindex="-1" { (self.main) }
                    footer { p { (self.origin) " The page is whole as it is: it loads nothing from anywhere." } }
                    script { (PreEscaped(SCRIPT)) }
                }
            }
        };
        markup.into_string()
    }
}

/// Our own style and our own script, by their digests, and nothing from anywhere: what a server wrote cannot run, whatever it
/// wrote.
fn policy(style: &str) -> String {
    let digest = |text: &str| STANDARD.encode(Sha256::digest(text));
    format!(
        "default-src 'none'; style-src 'sha256-{}'; script-src 'sha256-{}'; img-src data:; base-uri 'none'; form-action 'none'",
        digest(style),
        digest(SCRIPT)
    )
}
