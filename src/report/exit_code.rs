//! What the program's exit says.

use std::collections::BTreeSet;

use super::Report;
use super::text::count;
use crate::run::End;
use crate::verdict::{Class, Divergence, Side};

/// The exit codes: an interface that CI depends on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum ExitCode {
    /// No violation was seen.
    Conforming = 0,
    /// Wrong usage, or a case file in error.
    Usage = 1,
    /// The server violates a requirement.
    Violations = 2,
    /// No violation, but inconclusive cases.
    Inconclusive = 3,
    /// The target could not be started or reached, never negotiates, or was lost.
    Unreachable = 4,
    /// Nothing was selected, or every selected case was skipped.
    NothingRan = 5,
    /// The run differs from the pinned expectations.
    Drift = 6,
    /// A fault of ours.
    Internal = 70,
    /// It was interrupted.
    Interrupted = 130,
}

impl ExitCode {
    /// The code of a run. With `strict`, notes count as violations do.
    pub fn of(report: &Report, end: &End, strict: bool) -> ExitCode {
        let totals = &report.totals;
        // The order is that of the interface: the first that applies wins.
        if end.interrupted {
            return ExitCode::Interrupted;
        }
        if totals.error > 0 || end.fault.is_some() || !report.accounts() {
            return ExitCode::Internal;
        }
        if end.lost.is_some() {
            return ExitCode::Unreachable;
        }
        if end.nothing.is_some() {
            return ExitCode::NothingRan;
        }
        let class = report.differential.as_ref().and_then(|found| found.class());
        let parts = class == Some(Class::Violation) || strict && class == Some(Class::Note);
        match &report.expectations {
            Some(comparison) if !comparison.drift.is_empty() => return ExitCode::Drift,
            Some(_) => {}
            None if totals.fail > 0 || strict && totals.notes > 0 => return ExitCode::Violations,
            None if parts => return ExitCode::Violations,
            None if totals.inconclusive > 0 => return ExitCode::Inconclusive,
            None => {}
        }
        if totals.played() == 0 && report.sequences() == 0 {
            return ExitCode::NothingRan;
        }
        // Whatever ended it early has a code of its own: what is left is a fault of ours.
        if report.complete { ExitCode::Conforming } else { ExitCode::Internal }
    }

    /// The code of this number, as a report has it.
    pub fn of_number(number: u8) -> Option<ExitCode> {
        let all = [
            ExitCode::Conforming,
            ExitCode::Usage,
            ExitCode::Violations,
            ExitCode::Inconclusive,
            ExitCode::Unreachable,
            ExitCode::NothingRan,
            ExitCode::Drift,
            ExitCode::Internal,
            ExitCode::Interrupted,
        ];
        all.into_iter().find(|code| code.number() == number)
    }

    /// The number that the process ends with.
    pub fn number(self) -> u8 {
        self as u8
    }

    /// One sentence for people: what the code says of this run.
    pub fn sentence(self, report: &Report) -> String {
        let totals = &report.totals;
        let said = match self {
            ExitCode::Conforming | ExitCode::Violations if report.differential.is_some() => &parted(report),
            ExitCode::Conforming if report.expectations.is_some() => "nothing differs from the pinned expectations",
            ExitCode::Conforming if totals.notes > 0 => {
                let do_not = if totals.notes == 1 { "does not" } else { "do not" };
                &format!("no violation was seen; {} {do_not} count without --strict", count(totals.notes, "note"))
            }
            ExitCode::Conforming => "no violation was seen",
            ExitCode::Usage => "wrong usage, or a case file in error",
            ExitCode::Violations => {
                let violations = report.findings(Class::Violation);
                let violated: BTreeSet<&str> = violations.map(|(_, finding)| finding.requirement.as_str()).collect();
                match violated.len() {
                    0 => &format!("no violation was seen, but {} with --strict", count(totals.notes, "note")),
                    n => &format!("the server violates {}", count(n, "requirement")),
                }
            }
            ExitCode::Inconclusive => {
                let cases = count(totals.inconclusive, "case");
                &format!("no violation was seen, but {cases} came to no verdict, for the reasons that are told")
            }
            ExitCode::Unreachable => "the server could not be started or reached, never negotiates, or was lost",
            ExitCode::NothingRan if report.generated.is_some() || report.differential.is_some() => {
                "nothing was judged: no sequence was played of which a message was answered"
            }
            ExitCode::NothingRan if totals.skip > 0 => "nothing was judged: every selected case was skipped",
            ExitCode::NothingRan => "nothing was judged: no case was selected",
            ExitCode::Drift => "the run differs from the pinned expectations",
            ExitCode::Internal if totals.error > 0 => {
                "a case is in error, which is a fault of this program and says nothing of the server"
            }
            ExitCode::Internal if report.accounts() => {
                "a fault of this program, or of what it was given, ended the run"
            }
            ExitCode::Internal => "the run did not account for every case, which is a fault of this program",
            ExitCode::Interrupted => "the run was interrupted; what is told here is what was known by then",
        };
        format!("Exit code {}: {said}.", self.number())
    }
}

/// What is said of two servers that were compared.
fn parted(report: &Report) -> String {
    let divergences = report.differential.iter().flat_map(|found| &found.divergences);
    let broken = |side: fn(&Divergence) -> &Side| -> usize {
        let findings = divergences.clone().flat_map(|divergence| &side(divergence).findings);
        let violations = findings.filter(|finding| finding.class == Class::Violation);
        violations.map(|finding| finding.requirement.as_str()).collect::<BTreeSet<&str>>().len()
    };
    match (broken(|divergence| &divergence.a), broken(|divergence| &divergence.b)) {
        (0, 0) if divergences.clone().next().is_none() => "the servers do not part".to_owned(),
        (0, 0) => "the servers part, and no answer at which they do is a violation".to_owned(),
        (a, 0) => format!("the servers part, and A violates {}", count(a, "requirement")),
        (0, b) => format!("the servers part, and B violates {}", count(b, "requirement")),
        (a, b) => {
            format!("the servers part; A violates {}, B violates {}", count(a, "requirement"), count(b, "requirement"))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::Context;
    use crate::report::collector::Collector;
    use crate::report::sample;
    use crate::run::{Event, Generated};
    use crate::verdict::{CaseRecord, CaseResult};

    /// The code of a run that selected the first of the sample's passing cases, and came to this.
    fn code(cases: Vec<CaseRecord>, generated: Option<Generated>, end: End) -> u8 {
        let register = sample::register();
        let selected = ["version.plain".to_owned()];
        let context = Context { selected: &selected, ..sample::context(&register) };
        let mut collector = Collector::of_findings(context);
        collector.event(&sample::start());
        for case in cases {
            collector.event(&Event::CaseFinished(Box::new(case)));
        }
        if let Some(generated) = generated {
            collector.event(&Event::Generated(generated));
        }
        collector.event(&Event::Ended(end)).unwrap().exit_code
    }

    fn case(result: CaseResult) -> CaseRecord {
        sample::case("version.plain", result, Some("why"))
    }

    fn complete() -> End {
        End { complete: true, ..End::default() }
    }

    #[test]
    fn a_result_too_many_or_too_few_is_a_fault_of_ours() {
        assert_eq!(code(vec![case(CaseResult::Pass)], None, complete()), 0);
        assert_eq!(code(vec![case(CaseResult::Pass), case(CaseResult::Pass)], None, complete()), 70);
        assert_eq!(code(Vec::new(), None, complete()), 70);
        let other = sample::case("other.case", CaseResult::Pass, None);
        assert_eq!(code(vec![case(CaseResult::Pass), other], None, complete()), 70);
    }

    #[test]
    fn a_run_that_ended_early_for_no_reason_is_not_green() {
        assert_eq!(code(vec![case(CaseResult::Pass)], None, End::default()), 70);
    }

    #[test]
    fn sequences_of_which_no_message_was_answered_are_nothing() {
        let generated = |answered| Some(Generated { sequences: 5, steps: 40, answered, failed: 0, seed: 1 });
        assert_eq!(code(vec![case(CaseResult::Skip)], generated(0), complete()), 5);
        assert_eq!(code(vec![case(CaseResult::Skip)], generated(1), complete()), 0);
    }
}
