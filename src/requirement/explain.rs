//! What `explain ID` prints.

use std::fmt::Write;

use super::{Register, Requirement, wrap::wrap};

/// How wide the text may be.
const WIDTH: usize = 100;
/// How far the text of an entry stands behind its word.
const INDENT: usize = 12;

/// All that the register says of a requirement, for people.
pub fn explain(requirement: &Requirement, register: &Register) -> String {
    let mut text = format!("{}  {}\n", requirement.id, requirement.level);
    let mut entry = |word: &str, said: &str| {
        for (n, line) in wrap(said, WIDTH - INDENT).iter().enumerate() {
            let word = if n == 0 { word } else { "" };
            // Writing to a String cannot fail.
            let _ = writeln!(text, "{word:INDENT$}{line}");
        }
    };
    entry("", &requirement.text);
    if let Some(section) = register.section(&requirement.section) {
        entry("section", &format!("{} ({})", section.title, section.id));
    }
    for (n, cite) in requirement.cites.iter().enumerate() {
        entry(if n == 0 { "clause" } else { "" }, &cite.place());
        let is_last_of_document = requirement.cites.get(n + 1).is_none_or(|next| next.text != cite.text);
        if is_last_of_document && cite.document() != cite.document_name() {
            entry("", &format!("({})", cite.document()));
        }
    }
    entry("profiles", &requirement.profiles);
    if !requirement.needs.is_empty() {
        entry("needs", &requirement.needs.join(", "));
    }
    entry("stimulus", &requirement.stimulus);
    entry("conforms", &requirement.conforms);
    if let Some(note) = &requirement.note {
        entry("note", note);
    }
    entry("violation", requirement.violation.as_deref().unwrap_or(nothing_violates(requirement)));
    let class = match &requirement.failure_reason {
        None => format!("A plain miss is {}.", class_of(requirement)),
        Some(reason) => format!("A plain miss is {}: {reason}", class_of(requirement)),
    };
    entry("failure", &class);
    for id in &requirement.policy {
        match register.policy(id) {
            Some(policy) => {
                entry("policy", &format!("{id}, {}", policy.topic));
                entry("", &format!("The text: {}", policy.text));
                entry("", &format!("The ruling: {}", policy.ruling));
            }
            None => entry("policy", id),
        }
    }
    if let Some(reason) = &requirement.untestable {
        entry("untestable", reason);
    }
    if !requirement.reviewed {
        entry("reviewed", "no: the text has not been checked against the cited lines yet.");
    }
    text
}

/// Why nothing is said of what violates it.
fn nothing_violates(requirement: &Requirement) -> &'static str {
    match requirement.failure {
        super::Failure::Violation => "Whatever is none of that.",
        super::Failure::Note => "Nothing: what is none of that is a note.",
        super::Failure::Info => "Nothing: what the server does is only reported.",
    }
}

fn class_of(requirement: &Requirement) -> &'static str {
    match requirement.failure {
        super::Failure::Violation => "a violation",
        super::Failure::Note => "a note",
        super::Failure::Info => "only reported",
    }
}
