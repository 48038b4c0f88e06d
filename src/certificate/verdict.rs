//! What a run is certified as, and why it is not.

use std::collections::BTreeSet;
use std::fmt;

use serde::{Deserialize, Serialize};

use super::Settings;
use crate::report::{ExitCode, Report};
use crate::verdict::Class;

/// So many requirements are named in a reason.
const NAMED: usize = 10;

/// How much is certified.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Level {
    /// No violation.
    Conforming,
    /// No violation, and no note either.
    Strict,
}

impl fmt::Display for Level {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Level::Conforming => "conforming",
            Level::Strict => "strict",
        })
    }
}

/// What a run is certified as.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Verdict {
    /// It is, at this level.
    Certified(Level),
    /// It is not, for these reasons.
    Refused(Vec<String>),
}

impl Verdict {
    /// By a report of a run that had these settings.
    pub(crate) fn of(report: &Report, settings: &Settings) -> Verdict {
        let mut reasons = of_another_run(report, settings);
        reasons.extend(unfinished(report));
        reasons.extend(found(report));
        if reasons.is_empty() && report.exit_code != ExitCode::Conforming.number() {
            reasons.push(report.said.clone());
        }
        match (reasons.is_empty(), report.totals.notes) {
            (false, _) => Verdict::Refused(reasons),
            (true, 0) => Verdict::Certified(Level::Strict),
            (true, _) => Verdict::Certified(Level::Conforming),
        }
    }
}

/// What makes it no run of a certification.
fn of_another_run(report: &Report, settings: &Settings) -> Vec<String> {
    let mut reasons = Vec::new();
    if report.shard.is_some() || !report.parts.is_empty() {
        reasons.push("a part of the cases says nothing of the rest".to_owned());
    }
    if report.differential.is_some() {
        reasons.push("the run compared two servers and played no case".to_owned());
    }
    if report.expectations.is_some() {
        reasons.push("what is pinned is no less a violation".to_owned());
    }
    let drawn = report.generated.map(|generated| (generated.sequences, generated.seed));
    if report.complete && drawn != Some((settings.sequences, settings.seed)) {
        let due = format!("{} sequences of seed {}", settings.sequences, settings.seed);
        let told = drawn.map_or("none".to_owned(), |(count, seed)| format!("{count} of seed {seed}"));
        reasons.push(format!("{due} were to be played, and {told} were"));
    }
    if let Some(drawn) = report.generated.filter(|drawn| report.complete && drawn.sequences > 0 && drawn.answered == 0)
    {
        reasons.push(format!("no message of the {} sequences was answered", drawn.sequences));
    }
    reasons
}

/// What kept it from its end.
fn unfinished(report: &Report) -> Vec<String> {
    let mut reasons = report.faults.clone();
    if !report.complete && report.faults.is_empty() {
        reasons.push("the run did not come to its end".to_owned());
    }
    if !report.accounts() {
        reasons.push("the run does not account for every case".to_owned());
    }
    let totals = &report.totals;
    if totals.not_run > 0 {
        reasons.push(cases(totals.not_run, "was not played", "were not played"));
    }
    if totals.error > 0 {
        reasons.push(format!("{}, a fault of the harness", cases(totals.error, "is in error", "are in error")));
    }
    if report.complete && totals.played() == 0 {
        reasons.push("every case was skipped".to_owned());
    }
    reasons
}

/// What speaks against the server.
fn found(report: &Report) -> Vec<String> {
    let mut reasons = Vec::new();
    let totals = &report.totals;
    if totals.fail > 0 {
        let violated: BTreeSet<&str> =
            report.findings(Class::Violation).map(|(_, finding)| finding.requirement.as_str()).collect();
        let named: Vec<&str> = violated.iter().take(NAMED).copied().collect();
        let more = if violated.len() > NAMED { ", .." } else { "" };
        let s = if violated.len() == 1 { "" } else { "s" };
        reasons.push(format!("the server violates {} requirement{s}: {}{more}", violated.len(), named.join(", ")));
    }
    if totals.inconclusive > 0 {
        reasons.push(cases(totals.inconclusive, "came to no verdict", "came to no verdict"));
    }
    if report.strict && totals.notes > 0 {
        let s = if totals.notes == 1 { "" } else { "s" };
        reasons.push(format!("{} note{s}, which --strict counts", totals.notes));
    }
    reasons
}

fn cases(count: usize, one: &str, several: &str) -> String {
    if count == 1 { format!("1 case {one}") } else { format!("{count} cases {several}") }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::certificate::sample;

    fn refused(change: fn(&mut Report)) -> Vec<String> {
        let mut report = sample::report();
        change(&mut report);
        match Verdict::of(&report, &sample::settings()) {
            Verdict::Refused(reasons) => reasons,
            Verdict::Certified(level) => panic!("certified as {level}"),
        }
    }

    #[test]
    fn a_note_is_what_the_levels_differ_by() {
        let mut report = sample::report();
        assert_eq!(Verdict::of(&report, &sample::settings()), Verdict::Certified(Level::Strict));
        report.totals.notes = 1;
        assert_eq!(Verdict::of(&report, &sample::settings()), Verdict::Certified(Level::Conforming));
        report.strict = true;
        let strict = Verdict::of(&report, &sample::settings());
        assert_eq!(strict, Verdict::Refused(vec!["1 note, which --strict counts".to_owned()]));
    }

    #[test]
    fn what_is_incomplete_or_not_the_whole_is_refused() {
        let shard = crate::report::Shard { index: 1, count: 2, selected: 1, selected_sha256: None };
        assert_eq!(refused(|report| report.complete = false), ["the run did not come to its end"]);
        assert_eq!(refused(|report| report.faults.push("interrupted".to_owned())), ["interrupted"]);
        let one = refused(|report| {
            report.not_run.push("a.b".to_owned());
            report.totals.not_run = 1;
            report.totals.selected += 1;
            report.complete = false;
        });
        assert_eq!(one, ["the run did not come to its end", "1 case was not played"]);
        assert_eq!(refused(|report| report.totals.selected += 1), ["the run does not account for every case"]);
        assert_eq!(
            refused(|report| report.generated = None),
            ["200 sequences of seed 1 were to be played, and none were"]
        );
        assert!(
            refused(|report| report.generated.as_mut().unwrap().seed = 2)
                .contains(&"200 sequences of seed 1 were to be played, and 200 of seed 2 were".to_owned())
        );
        let mut report = sample::report();
        report.shard = Some(shard);
        assert_eq!(
            Verdict::of(&report, &sample::settings()),
            Verdict::Refused(vec!["a part of the cases says nothing of the rest".to_owned()])
        );
    }

    #[test]
    fn pins_make_nothing_conform() {
        let pinned = refused(|report| report.expectations = Some(crate::verdict::Comparison::default()));
        assert_eq!(pinned, ["what is pinned is no less a violation"]);
    }

    #[test]
    fn what_was_found_is_a_reason_whatever_the_exit_code_says() {
        assert_eq!(
            refused(sample::fail),
            ["the server violates 1 requirement: HDR-20"],
            "the exit code of the sample is 0"
        );
        let unsure = refused(|report| {
            report.totals.pass -= 1;
            report.totals.inconclusive = 1;
        });
        assert_eq!(unsure, ["1 case came to no verdict"]);
        let errors = refused(|report| {
            report.totals.pass -= 1;
            report.totals.error = 1;
        });
        assert_eq!(errors, ["1 case is in error, a fault of the harness"]);
        let odd = refused(|report| {
            report.exit_code = 5;
            report.said = "Exit code 5: nothing.".to_owned();
        });
        assert_eq!(odd, ["Exit code 5: nothing."]);
    }
}
