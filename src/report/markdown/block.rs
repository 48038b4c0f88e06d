//! Pieces of a page that end before the next one begins, whatever others wrote into them.
//!
//! What the server, or who runs the harness, wrote stands in HTML, escaped, and within `code` or `pre`: Markdown reads no
//! HTML up to the next empty line, and those who show it neither link nor notify anybody from there.

use maud::{Markup, html};

use crate::report::text::{cut, harmless};

/// So many characters of a text on one line are shown.
const LINE: usize = 600;
/// So many of a line of a longer text, which may be a command that somebody copies.
const LONG_LINE: usize = 1_000;
/// So many lines of a longer text.
const LINES: usize = 80;

/// Text that others wrote, on one line.
pub(super) fn code(text: &str) -> Markup {
    html! { code { (cut(&harmless(text), LINE)) } }
}

/// A piece of HTML, which an empty line ends.
pub(super) fn block(markup: Markup) -> String {
    format!("{}\n\n", markup.into_string())
}

/// What opens with a click: lines, without colours, as a terminal shows them.
pub(super) fn folded(title: &Markup, lines: &[String]) -> String {
    let more = lines.len().saturating_sub(LINES);
    let mut shown: Vec<String> = lines.iter().take(LINES).map(|line| cut(&harmless(line), LONG_LINE)).collect();
    if more > 0 {
        shown.push(format!(".. {more} more lines"));
    }
    let opened = html! { details { summary { (title) } } }.into_string();
    let opened = opened.trim_end_matches("</details>");
    let pre = html! { pre { (shown.join("\n")) } }.into_string();
    // What begins with <pre> ends with it; what begins otherwise, at the first empty line.
    format!("{opened}\n\n{pre}\n\n</details>\n\n")
}
