//! A finding: which requirement, what was expected and what came, the exchange, and the command that shows it again.

use maud::{Markup, html};

use super::findings::Surroundings;
use super::links::Placed;
use crate::report::frame::{command, foreign, foreign_lines, printed};
use crate::report::terminal::finding::Group;
use crate::verdict::{Attempt, CaseRecord, Class, Evidence, Exit, Finding};

/// What a class is called.
pub(super) fn word(class: Class) -> &'static str {
    match class {
        Class::Violation => "violation",
        Class::Note => "note",
    }
}

/// A class as a badge: a sign, a word and a colour.
pub(super) fn badge(class: Class) -> Markup {
    let (style, sign) = match class {
        Class::Violation => ("badge bad", "\u{2715}"),
        Class::Note => ("badge doubt", "!"),
    };
    html! { span class=(style) { span aria-hidden="true" { (sign) } " " (word(class)) } }
}

/// All that its server's author needs to see it again.
pub(super) fn article<'a>(placed: &'a Placed<'a>, around: &mut Surroundings<'a>) -> Markup {
    let Group { finding, case, others } = &placed.group;
    let heading = format!("{}~title", placed.id);
    html! {
        article.finding.(word(finding.class)) id=(placed.id) aria-labelledby=(heading) {
            h4 id=(heading) {
                (badge(finding.class)) " "
                (around.links.requirement(&finding.requirement))
                @if let Some(requirement) = around.report.requirements.get(&finding.requirement) {
                    " " span.level { (requirement.level) }
                }
            }
            (requirement(finding, around))
            dl.facts {
                div { dt { "expected" } dd.expected { (foreign_lines(&finding.expected)) } }
                div { dt { "got" } dd.got { (foreign_lines(&finding.actual)) } }
                @if let Some((seen, of)) = finding.seen { div { dt { "seen" } dd { (seen) " of " (of) " times" } } }
                div { dt { "case" } dd {
                    (around.links.case(&case.name)) ", "
                    @if finding.step == 0 { "after its last step" } @else { "step " (finding.step) }
                    " (" (line(finding, case)) ")"
                    @if !others.is_empty() { (more(others, around)) }
                } }
                @if let Some(met) = placed.pin { div { dt { "pinned" } dd { (foreign(&met.reason)) } } }
            }
            h5 { "Exchange" }
            (around.room.exchange(&case.transcript, Some(finding)))
            (server(placed, around))
            h5 { "Run it again" }
            (command(&case.replay))
        }
    }
}

/// What the requirement says, where, and the policies where the text is open.
fn requirement(finding: &Finding, around: &Surroundings<'_>) -> Markup {
    let Some(requirement) = around.report.requirements.get(&finding.requirement) else {
        return html! { p.left-out { "The report does not say what this requirement is." } };
    };
    let known = around.register.get(&finding.requirement).filter(|known| known.text == requirement.text);
    html! {
        p.says { (foreign(&requirement.text)) }
        ul.clauses { @for clause in &requirement.clauses { li { (foreign(clause)) } } }
        @if let Some(violation) = known.and_then(|known| known.violation.as_ref()) {
            p.policy { strong { "Violation: " } (foreign(violation)) }
        }
        @for policy in &requirement.policies { p.policy { strong { "Policy: " } (foreign(policy)) } }
    }
}

fn line(finding: &Finding, case: &CaseRecord) -> Markup {
    let line = if finding.line == 0 { case.line } else { finding.line };
    html! { code { (foreign(&case.file)) ":" (line) } }
}

fn more(others: &[&str], around: &Surroundings<'_>) -> Markup {
    html! {
        details.more {
            summary { "and " (others.len()) " more" }
            ul.names { @for name in others { li { (around.links.case(name)) } } }
        }
    }
}

/// How the server ended, where it did, and what it wrote: once for each case.
fn server<'a>(placed: &'a Placed<'a>, around: &mut Surroundings<'a>) -> Markup {
    let Group { finding, case, .. } = &placed.group;
    let exit = case.attempts.iter().rev().find_map(|attempt: &Attempt| attempt.exit);
    let crashed = finding.evidence == Evidence::Exited && finding.class == Class::Violation;
    if exit.is_none() && case.stderr.trim().is_empty() {
        return html! {
            @if crashed { h5 { "The server" } p { "It wrote nothing to stderr." } }
        };
    }
    let told = around.printed.get(case.name.as_str()).copied();
    let output = match told {
        Some(place) => {
            html! { p { "Its stderr stands at " a href={ "#" (place) } { "another finding of this case" } "." } }
        }
        None => stderr(case, crashed || exit.is_some_and(|exit| exit != Exit::Status(0))),
    };
    let output = around.room.take(output);
    if output.is_some() {
        around.printed.entry(&case.name).or_insert(&placed.id);
    }
    html! {
        h5 { "The server" }
        @if let Some(exit) = exit { p { "It ended: " strong { (exit) } "." } }
        @match output {
            Some(output) => (output),
            None => p.left-out { "What it wrote to stderr is left out, for this page has so much: the JSON report has it." },
        }
    }
}

/// What a server wrote to its standard error, in a case.
pub(super) fn stderr(case: &CaseRecord, open: bool) -> Markup {
    html! {
        @if case.stderr.trim().is_empty() {
            p { "It wrote nothing to stderr." }
        } @else {
            details.output open[open] {
                summary { "What it wrote to stderr" }
                (printed(&case.stderr, "stderr of the server"))
            }
        }
    }
}
