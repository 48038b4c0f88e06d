//! Text that others wrote: the server, who runs the harness, or whoever made a report that is read.

use maud::{Markup, html};

use crate::report::text::harmless;
use crate::target::excerpt;

/// So many characters of a text are shown.
const MOST: usize = 4_000;

/// A text on one line, without what steers a terminal or turns the direction of writing.
pub(in crate::report) fn foreign(text: &str) -> Markup {
    foreign_cut(text, MOST)
}

/// As [`foreign`], with at most so many characters; what was cut off is counted.
pub(in crate::report) fn foreign_cut(text: &str, most: usize) -> Markup {
    let end = text.char_indices().nth(most).map_or(text.len(), |(end, _)| end);
    let (kept, rest) = text.split_at(end);
    html! {
        (harmless(kept))
        @if !rest.is_empty() { span.left-out { " .. " (rest.chars().count()) " more characters" } }
    }
}

/// A text that may have several lines: each on its own.
pub(in crate::report) fn foreign_lines(text: &str) -> Markup {
    html! {
        @for (n, line) in text.lines().take(LINES).enumerate() {
            @if n > 0 { br; }
            (foreign(line))
        }
        @let more = text.lines().count().saturating_sub(LINES);
        @if more > 0 { br; span.left-out { ".. " (more) " more lines" } }
    }
}

/// So many lines of one text are shown.
const LINES: usize = 40;

/// What a server printed, in a box of its own: the lines that say most.
pub(in crate::report) fn printed(output: &str, label: &str) -> Markup {
    let lines: Vec<String> = excerpt(output, LINES).iter().map(|line| harmless(line)).collect();
    html! { pre.printed tabindex="0" role="group" aria-label=(label) { (lines.join("\n")) } }
}

/// A command to be copied: one click marks all of it, and with a script there is a button.
pub(in crate::report) fn command(text: &str) -> Markup {
    html! {
        div.command {
            // What is cut or changed would be another command.
            code tabindex="0" { (harmless(text)) }
            button type="button" data-copy="" hidden { "Copy" }
        }
    }
}
