//! The page: the parts in the order in which they are read.

use std::collections::HashMap;

use maud::{Markup, html};

use super::cases::cases;
use super::differential::differential;
use super::exchange::Room;
use super::findings::{Surroundings, findings};
use super::links::Links;
use super::overview::{run, totals, verdict};
use super::pins::pins;
use super::requirements::requirements;
use crate::report::Report;
use crate::report::frame::{Frame, foreign};
use crate::requirement::Register;

/// A report as one page of HTML that needs no network. All that it tells stands in the report, which may have been read from
/// JSON; the register adds the titles of its sections, and how a requirement is judged where it words that one alike.
pub fn page(report: &Report, register: &Register) -> String {
    let links = Links::of(report);
    let mut around = Surroundings { report, register, links: &links, printed: HashMap::new(), room: Room::default() };
    let findings = findings(&mut around);
    let mut room = around.room;
    let differential = report.differential.as_ref().map(|found| differential(found, &links, &mut room));
    let cases = cases(report, &links, &mut room);
    let frame = Frame {
        title: &report.target.how,
        verdict: verdict(report),
        contents: contents(report, &links),
        main: html! {
            (run(report))
            (totals(report))
            @if let Some(differential) = differential { (differential) }
            (findings)
            (requirements(report, register, &links))
            (cases)
            @if let Some(comparison) = &report.expectations { (pins(comparison, &links)) }
        },
        origin: html! {
            "Made by " (foreign(&report.harness.name)) " " (env!("CARGO_PKG_VERSION")) " from its report."
        },
        style: "",
    };
    frame.page()
}

fn contents(report: &Report, links: &Links<'_>) -> Vec<(&'static str, Markup)> {
    let counted = |word: &str, number: usize| html! { (word) " " span.number { (number) } };
    let mut contents = vec![("run", html! { "What was tested" }), ("totals", html! { "Totals" })];
    if report.differential.is_some() {
        contents.push(("differential", html! { "Where they part" }));
    }
    contents.push(("findings", counted("Findings", links.findings.len())));
    contents.push(("requirements", counted("Requirements", report.requirements.len())));
    contents.push(("cases", counted("Cases", report.cases.len())));
    if let Some(comparison) = &report.expectations {
        let drift = html! { "Expectations " span.number { (comparison.drift.len()) " drift" } };
        contents.push(("expectations", drift));
    }
    contents
}
