//! The cases: those without a verdict, those that were skipped, by reason, those that were not run, and a table of all.

use std::collections::BTreeMap;

use maud::{Markup, html};

use super::exchange::Room;
use super::finding::{stderr, word};
use super::findings::list;
use super::links::{Links, told};
use crate::report::Report;
use crate::report::frame::{Select, command, filter, foreign, foreign_cut, foreign_lines};
use crate::report::text::count;
use crate::verdict::{CaseRecord, CaseResult};

/// So many characters of a reason stand in a cell.
const CELL: usize = 300;

const NO_REASON: &str = "no reason is known";

/// Each result, as people say it, with its colour and sign.
const RESULTS: [(CaseResult, &str, &str, &str); 5] = [
    (CaseResult::Fail, "fail", "bad", "\u{2715}"),
    (CaseResult::Error, "error", "bad", "\u{2715}"),
    (CaseResult::Inconclusive, "inconclusive", "doubt", "?"),
    (CaseResult::Pass, "pass", "good", "\u{2713}"),
    (CaseResult::Skip, "skip", "none", "\u{2013}"),
];

fn result_word(result: CaseResult) -> &'static str {
    RESULTS.iter().find(|(known, ..)| *known == result).map_or("", |(_, word, ..)| word)
}

/// All of them.
pub(super) fn cases(report: &Report, links: &Links<'_>, room: &mut Room) -> Markup {
    let results = RESULTS.iter().map(|(result, word, ..)| (*word, *word, report.with_result(*result).count()));
    let options = results.filter(|(.., number)| *number > 0).collect();
    let result = Select { name: "status", label: "result", options, chosen: None };
    let undecided = [
        (
            CaseResult::Inconclusive,
            "inconclusive",
            "Inconclusive",
            "They came to no verdict, for the reason that is told.",
        ),
        (CaseResult::Error, "in-error", "In error", "The fault of the harness, not of the server."),
    ];
    html! {
        section aria-labelledby="cases" {
            h2 #cases { "Cases" }
            @for (result, id, title, meaning) in undecided {
                @let of_result: Vec<(usize, &CaseRecord)> = with_result(report, result).collect();
                @if !of_result.is_empty() {
                    h3 id=(id) { (title) " " span.number { (of_result.len()) } }
                    p.hint { (meaning) }
                    @for (n, case) in of_result { (self::undecided(n, case, links, room)) }
                }
            }
            (skipped(report, links))
            @if !report.not_run.is_empty() {
                h3 #not-run { "Not run " span.number { (report.not_run.len()) } }
                p.hint { "They were selected, and the run ended before." }
                ul.names { @for name in &report.not_run { li { code { (foreign(name)) } } } }
            }
            h3 #every-case { "All cases " span.number { (report.cases.len()) } }
            @if report.cases.is_empty() {
                p { "None has a result." }
            } @else {
                (filter("case", "all-cases", &[result], report.cases.len()))
                div #all-cases { (groups(report, links)) }
            }
        }
    }
}

fn with_result(report: &Report, result: CaseResult) -> impl Iterator<Item = (usize, &CaseRecord)> {
    report.cases.iter().enumerate().filter(move |(_, case)| case.result == result)
}

/// A case that came to no verdict, with all that is known of it.
fn undecided(n: usize, case: &CaseRecord, links: &Links<'_>, room: &mut Room) -> Markup {
    let heading = format!("undecided-{n}");
    let finding = case.findings.first();
    html! {
        article.finding.undecided aria-labelledby=(heading) {
            h4 id=(heading) { (badge(case.result)) " " (links.case(&case.name)) }
            p.says { (foreign_lines(case.reason.as_deref().unwrap_or(NO_REASON))) }
            p { code { (foreign(&case.file)) ":" (case.line) } }
            @if !case.findings.is_empty() {
                p { "What one of its attempts saw:" }
                ul {
                    @for finding in &case.findings {
                        li {
                            (word(finding.class)) " of " (links.requirement(&finding.requirement)) ": expected "
                            (foreign_lines(&finding.expected)) "; got " (foreign_lines(&finding.actual))
                        }
                    }
                }
            }
            h5 { "Exchange" }
            (room.exchange(&case.transcript, finding))
            @if let Some(stderr) = room.take(stderr(case, false)).filter(|_| !case.stderr.trim().is_empty()) {
                h5 { "The server" }
                (stderr)
            }
            h5 { "Run it again" }
            (command(&case.replay))
        }
    }
}

/// A result as a badge: a sign, a word and a colour.
fn badge(result: CaseResult) -> Markup {
    let known = RESULTS.iter().find(|(known, ..)| *known == result);
    html! {
        @if let Some((_, word, style, sign)) = known {
            span.{ "status " (style) } { span aria-hidden="true" { (sign) } " " (word) }
        }
    }
}

fn skipped(report: &Report, links: &Links<'_>) -> Markup {
    let mut reasons: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for case in report.with_result(CaseResult::Skip) {
        reasons.entry(case.reason.as_deref().unwrap_or(NO_REASON)).or_default().push(&case.name);
    }
    let mut reasons: Vec<(&str, Vec<&str>)> = reasons.into_iter().collect();
    reasons.sort_by_key(|(_, names)| std::cmp::Reverse(names.len()));
    html! {
        @if !reasons.is_empty() {
            h3 #skipped { "Skipped, by reason " span.number { (report.totals.skip) } }
            p.hint { "They do not apply to this target." }
            @for (reason, names) in reasons {
                details.row.skip {
                    summary { span.number { (names.len()) } span.text { (foreign_lines(reason)) } }
                    ul.names { @for name in names { li { (links.case(name)) } } }
                }
            }
        }
    }
}

/// Tables of all cases, one for each part of the library.
fn groups(report: &Report, links: &Links<'_>) -> Markup {
    let mut groups: BTreeMap<&str, Vec<(usize, &CaseRecord)>> = BTreeMap::new();
    for (n, case) in report.cases.iter().enumerate() {
        let group = case.name.split(['.', '/']).next().unwrap_or_default();
        groups.entry(group).or_default().push((n, case));
    }
    html! {
        @for (name, cases) in groups {
            @let counted: Vec<String> = RESULTS.iter().filter_map(|(result, word, ..)| {
                let number = cases.iter().filter(|(_, case)| case.result == *result).count();
                (number > 0).then(|| format!("{number} {word}"))
            }).collect();
            details.group.cases {
                summary { strong { (foreign_cut(name, CELL)) } " " span.hint { (count(cases.len(), "case")) ": " (counted.join(", ")) } }
                table.cases {
                    caption.hidden-text { "Cases of " (foreign_cut(name, CELL)) }
                    thead { tr { th scope="col" { "case" } th scope="col" { "result" } th scope="col" { "seconds" } } }
                    tbody { @for (n, case) in cases { (row(n, case, links)) } }
                }
            }
        }
    }
}

fn row(n: usize, case: &CaseRecord, links: &Links<'_>) -> Markup {
    let seconds: f64 = case.attempts.iter().map(|attempt| attempt.seconds).sum();
    let told = told(case, links);
    html! {
        tr id=(links.place_of_case(n)) data-status=(result_word(case.result)) {
            th scope="row" {
                code { (foreign_cut(&case.name, CELL)) }
                div.about { (foreign(&case.file)) ":" (case.line) @for id in &case.requirements { " " (links.requirement(id)) } }
                @if let Some(reason) = &case.reason { div { (foreign_cut(reason, CELL)) } }
                @if !told.is_empty() { (list(told.into_iter().filter_map(|finding| links.place_of(finding)))) }
            }
            td { (badge(case.result)) }
            td.number { @if case.result != CaseResult::Skip { (format!("{seconds:.2}")) } }
        }
    }
}
