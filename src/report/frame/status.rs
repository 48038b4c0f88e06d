//! The status of a requirement: a word, a sign and a colour.

use maud::{Markup, html};

use crate::report::terminal::requirements::STATUSES;
use crate::verdict::Status;

/// The colour and the sign of a status; the word stands beside it.
pub(in crate::report) fn sign(status: Status) -> (&'static str, &'static str) {
    match status {
        Status::Violated => ("bad", "\u{2715}"),
        Status::Noted => ("doubt", "!"),
        Status::Verified => ("good", "\u{2713}"),
        Status::Observed => ("seen", "\u{25cb}"),
        Status::NotExercised => ("none", "\u{2013}"),
    }
}

/// A status, as people say it.
pub(in crate::report) fn word(status: Status) -> &'static str {
    STATUSES.iter().find(|(known, _)| *known == status).map_or("", |(_, word)| word)
}

/// The sign with its colour.
pub(in crate::report) fn mark(status: Status) -> Markup {
    let (style, sign) = sign(status);
    html! { span.{ "sign " (style) } aria-hidden="true" { (sign) } }
}
