//! The page: its head, which permits no network, and the parts in the order in which they are read.

use std::collections::HashMap;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use maud::{DOCTYPE, Markup, PreEscaped, html};
use sha2::{Digest, Sha256};

use super::cases::cases;
use super::differential::differential;
use super::exchange::Room;
use super::findings::{Surroundings, findings};
use super::foreign::foreign;
use super::links::Links;
use super::overview::{run, totals, verdict};
use super::pins::pins;
use super::requirements::requirements;
use crate::report::Report;
use crate::requirement::Register;

const STYLE: &str = include_str!("style.css");
const SCRIPT: &str = include_str!("script.js");

/// A report as one page of HTML that needs no network. All that it tells stands in the report, which may have been read from
/// JSON; the register adds the titles of its sections, and how a requirement is judged where it words that one alike.
pub fn page(report: &Report, register: &Register) -> String {
    let links = Links::of(report);
    let mut around = Surroundings { report, register, links: &links, printed: HashMap::new(), room: Room::default() };
    let findings = findings(&mut around);
    let mut room = around.room;
    let differential = report.differential.as_ref().map(|found| differential(found, &links, &mut room));
    let cases = cases(report, &links, &mut room);
    let markup = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta http-equiv="Content-Security-Policy" content=(policy());
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                meta name="referrer" content="no-referrer";
                title { (foreign(&report.target.how)) " \u{2013} vfio-user conformance" }
                // Without it a browser asks a server for one.
                link rel="icon" href="data:,";
                style { (PreEscaped(STYLE)) }
            }
            body {
                a.skip href="#report" { "Skip to the report" }
                header {
                    p.kind { "vfio-user conformance" }
                    h1 { (foreign(&report.target.how)) }
                    (verdict(report))
                }
                (contents(report, &links))
                main #report tabindex="-1" {
                    (run(report))
                    (totals(report))
                    @if let Some(differential) = differential { (differential) }
                    (findings)
                    (requirements(report, register, &links))
                    (cases)
                    @if let Some(comparison) = &report.expectations { (pins(comparison, &links)) }
                }
                footer {
                    p {
                        "Made by " (foreign(&report.harness.name)) " " (env!("CARGO_PKG_VERSION")) " from its report. The page is whole "
                        "as it is: it loads nothing from anywhere."
                    }
                }
                script { (PreEscaped(SCRIPT)) }
            }
        }
    };
    markup.into_string()
}

/// Our own style and our own script, by their digests, and nothing from anywhere: what a server wrote cannot run, whatever it
/// wrote.
fn policy() -> String {
    let digest = |text: &str| STANDARD.encode(Sha256::digest(text));
    format!(
        "default-src 'none'; style-src 'sha256-{}'; script-src 'sha256-{}'; img-src data:; base-uri 'none'; form-action 'none'",
        digest(STYLE),
        digest(SCRIPT)
    )
}

fn contents(report: &Report, links: &Links<'_>) -> Markup {
    html! {
        nav aria-label="Contents" {
            ul {
                li { a href="#run" { "What was tested" } }
                li { a href="#totals" { "Totals" } }
                @if report.differential.is_some() { li { a href="#differential" { "Where they part" } } }
                li { a href="#findings" { "Findings " span.number { (links.findings.len()) } } }
                li { a href="#requirements" { "Requirements " span.number { (report.requirements.len()) } } }
                li { a href="#cases" { "Cases " span.number { (report.cases.len()) } } }
                @if let Some(comparison) = &report.expectations {
                    li { a href="#expectations" { "Expectations " span.number { (comparison.drift.len()) " drift" } } }
                }
            }
        }
    }
}

/// The form that narrows a list, which the script shows: what is narrowed has a `data-status`.
pub(super) fn filter(noun: &str, list: &str, label: &str, values: &[(&str, usize)], all: usize) -> Markup {
    html! {
        form.filter role="search" aria-label={ "Narrow the " (noun) "s" } data-list=(list) hidden {
            div {
                label for={ (list) "-status" } { (label) }
                select id={ (list) "-status" } name="status" {
                    option value="" { "all (" (all) ")" }
                    @for (value, number) in values { option value=(value) { (value) " (" (number) ")" } }
                }
            }
            div.grow {
                label for={ (list) "-words" } { "search" }
                input id={ (list) "-words" } name="words" type="search" autocomplete="off" spellcheck="false";
            }
            button type="reset" { "Show all" }
            output for={ (list) "-status " (list) "-words" } { (all) " of " (all) }
        }
    }
}
