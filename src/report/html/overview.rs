//! What was tested and what came of it: the head of the page.

use maud::{Markup, html};

use super::target::target;
use crate::report::frame::{command, foreign, foreign_lines, sign, tally};
use crate::report::terminal::requirements::STATUSES;
use crate::report::text::count;
use crate::report::{ExitCode, Report};
use crate::run::joined;

/// Sentence and exit code, and loudly what is missing.
pub(super) fn verdict(report: &Report) -> Markup {
    let (style, sign) = match report.exit_code {
        code if code == ExitCode::Conforming.number() => ("verdict good", "\u{2713}"),
        code if [ExitCode::Inconclusive, ExitCode::NothingRan, ExitCode::Interrupted]
            .map(ExitCode::number)
            .contains(&code) =>
        {
            ("verdict doubt", "?")
        }
        _ => ("verdict bad", "\u{2715}"),
    };
    html! {
        p class=(style) { span.sign aria-hidden="true" { (sign) } span { (foreign(&report.said)) } }
        @if !report.complete || !report.faults.is_empty() {
            div.incomplete {
                @if report.complete {
                    p { strong { "Something kept this run from being what it should be." } }
                } @else {
                    p { strong { "This run is incomplete." } " " (missing(report)) }
                }
                ul { @for fault in &report.faults { li { (foreign_lines(fault)) } } }
            }
        }
        @if let Some(shard) = report.shard.filter(|shard| shard.count > 1) {
            p.incomplete { strong { "Part " (shard.index) " of " (shard.count) "." } " The cases of the other parts are not in this report." }
        }
    }
}

fn missing(report: &Report) -> Markup {
    let cases = count(report.totals.selected, "selected case");
    html! {
        @match report.totals.not_run {
            0 => "It ended before it should have.",
            1 => { "1 of " (cases) " has no result, and what is said here holds for the others alone." }
            n => { (n) " of " (cases) " have no result, and what is said here holds for the others alone." }
        }
    }
}

/// The run itself: target, profile, harness, seed and command.
pub(super) fn run(report: &Report) -> Markup {
    let profile = &report.profile;
    html! {
        section aria-labelledby="run" {
            h2 #run { "What was tested" }
            dl.facts {
                div { dt { "target" } dd { code { (foreign(&report.target.how)) } } }
                @if let Some(differential) = &report.differential {
                    div { dt { "compared with" } dd { code { (foreign(&differential.against)) } } }
                }
                div { dt { "profile" } dd {
                    @if profile.used.is_empty() {
                        "none: no session could be had (" (foreign(&profile.asked)) " was asked for)"
                    } @else {
                        strong { (foreign(&profile.used)) } ": " (foreign(&profile.why))
                    }
                } }
                div { dt { "harness" } dd {
                    (foreign(&report.harness.name)) " " (foreign(&report.harness.version)) " on " (foreign(&report.platform))
                } }
                @if let Some(seed) = report.seed { div { dt { "seed" } dd { (seed) } } }
                @if !report.command.is_empty() {
                    div { dt { "command" } dd { (command(&joined(&report.command))) } }
                }
                div { dt { "digests" } dd {
                    "cases " code.digest { (foreign(&report.harness.cases_sha256)) } br;
                    "register " code.digest { (foreign(&report.harness.register_sha256)) }
                } }
            }
            (target(&report.target.discovered))
        }
    }
}

/// Cases by their results, requirements by their status.
pub(super) fn totals(report: &Report) -> Markup {
    let totals = &report.totals;
    let cases = [
        ("pass", "good", totals.pass),
        ("fail", "bad", totals.fail),
        ("skip", "none", totals.skip),
        ("inconclusive", "doubt", totals.inconclusive),
        ("error", "bad", totals.error),
        ("not run", "doubt", totals.not_run),
    ];
    let requirements = STATUSES.map(|(status, word)| (word, sign(status).0, report.with_status(status)));
    html! {
        section aria-labelledby="totals" {
            h2 #totals { "Totals" }
            div.pair {
                (tally(&count(totals.selected, "case"), &cases))
                (tally(&count(report.requirements.len(), "requirement"), &requirements))
            }
            p { (count(totals.notes, "note")) ". " @if let Some(generated) = report.generated {
                (count(generated.sequences as usize, "generated sequence")) " of " (generated.steps) " messages, seed " (generated.seed)
                ": " (generated.failed) " failed."
            } }
        }
    }
}
