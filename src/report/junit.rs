//! `--report junit=FILE`.

use std::collections::BTreeMap;
use std::io;
use std::path::PathBuf;
use std::time::Duration;

use quick_junit::{NonSuccessKind, TestCase, TestCaseStatus, TestSuite};

use super::collector::Collector;
use super::terminal::case_text;
use super::text::harmless;
use super::{Context, Report, Reporter, file};
use crate::run::{End, Event};
use crate::target::excerpt;
use crate::verdict::{CaseRecord, CaseResult, Class, Drift, Finding, Observed};

/// How many lines of a server's stderr are kept.
const STDERR: usize = 100;

/// Writes the report as JUnit XML when the run has ended, be it early: one test suite per section, one test per case. It has
/// a failure or an error exactly where the exit code is not 0.
#[derive(Debug)]
pub struct Junit<'a> {
    path: PathBuf,
    context: Context<'a>,
    collector: Collector<'a>,
}

impl<'a> Junit<'a> {
    /// Writes to this file.
    pub fn new(path: impl Into<PathBuf>, context: Context<'a>) -> Junit<'a> {
        Junit { path: path.into(), context, collector: Collector::of_findings(context) }
    }
}

impl Reporter for Junit<'_> {
    fn event(&mut self, event: &Event) -> io::Result<()> {
        match (self.collector.event(event), event) {
            (Some(report), Event::Ended(end)) => self.report(&report, end),
            _ => Ok(()),
        }
    }

    fn report(&mut self, report: &Report, _: &End) -> io::Result<()> {
        let text = document(report, &self.context).to_string().map_err(io::Error::other)?;
        file::write(&self.path, text.as_bytes())
    }
}

fn document(report: &Report, context: &Context<'_>) -> quick_junit::Report {
    let mut sections: BTreeMap<&str, Vec<&CaseRecord>> = BTreeMap::new();
    for case in &report.cases {
        let section = case.name.split(['.', '/']).next().unwrap_or_default();
        sections.entry(section).or_default().push(case);
    }
    let mut document = quick_junit::Report::new(report.harness.name.as_str());
    for (section, cases) in sections {
        let mut suite = TestSuite::new(section);
        suite.add_property(("target", harmless(&report.target.how).as_str()));
        suite.add_property(("profile", report.profile.used.as_str()));
        suite.add_test_cases(cases.into_iter().map(|case| test(case, section, report, context)));
        suite.set_time(suite.test_cases.iter().filter_map(|test| test.time).sum());
        document.add_test_suite(suite);
    }
    let pinned = report.expectations.iter().flat_map(|comparison| &comparison.drift);
    // What is not pinned is told by its case.
    let drift = pinned.filter(|drift| !matches!(drift, Drift::Unexpected { .. }));
    let drift = drift.map(|drift| failure(&drift.about(), "drift", &format!("{drift}: {}", drift.advice())));
    add(&mut document, "expectations", drift.collect());
    let parted = report.differential.iter().flat_map(|found| &found.divergences);
    let parted = parted.filter(|divergence| fails(divergence.class(), context));
    let parted = parted.map(|divergence| failure(&divergence.file, "divergence", &divergence.to_string()));
    add(&mut document, "against", parted.collect());
    let not_run = report.not_run.iter().map(|name| {
        let mut status = TestCaseStatus::skipped();
        status.set_type("not-run").set_message("the run ended before");
        TestCase::new(name.as_str(), status)
    });
    add(&mut document, "not-run", not_run.collect());
    let mut faults: Vec<&str> = report.faults.iter().map(String::as_str).collect();
    let red = document.test_suites.iter().flat_map(|suite| &suite.test_cases);
    let red = red.clone().any(|test| matches!(test.status, TestCaseStatus::NonSuccess { .. }));
    if report.exit_code != 0 && faults.is_empty() && !red {
        // A run of nothing would read as a run without failures.
        faults.push(&report.said);
    }
    let faults = faults.into_iter().map(|fault| {
        let mut status = TestCaseStatus::non_success(NonSuccessKind::Error);
        status.set_message(harmless(fault)).set_type("fault");
        TestCase::new("come to its end", status)
    });
    add(&mut document, "run", faults.collect());
    document.set_time(document.test_suites.iter().filter_map(|suite| suite.time).sum());
    document
}

/// A suite of these tests, where there are any.
fn add(document: &mut quick_junit::Report, name: &str, tests: Vec<TestCase>) {
    if tests.is_empty() {
        return;
    }
    let mut suite = TestSuite::new(name);
    suite.add_test_cases(tests.into_iter().map(|mut test| {
        test.set_classname(name);
        test
    }));
    document.add_test_suite(suite);
}

fn failure(name: &str, kind: &str, message: &str) -> TestCase {
    let mut status = TestCaseStatus::non_success(NonSuccessKind::Failure);
    status.set_type(kind).set_message(harmless(message));
    TestCase::new(harmless(name), status)
}

/// What weighs so much fails a run.
fn fails(class: Option<Class>, context: &Context<'_>) -> bool {
    class == Some(Class::Violation) || context.strict && class == Some(Class::Note)
}

fn test(case: &CaseRecord, section: &str, report: &Report, context: &Context<'_>) -> TestCase {
    let mut test = TestCase::new(case.name.as_str(), status(case, report, context));
    let seconds: f64 = case.attempts.iter().map(|attempt| attempt.seconds).sum();
    test.set_classname(section).set_time(Duration::try_from_secs_f64(seconds).unwrap_or_default());
    test.extra.insert("file".into(), case.file.as_str().into());
    test.extra.insert("line".into(), case.line.to_string().into());
    let notes = case_text(case, Class::Note, context.register);
    if !notes.is_empty() {
        test.set_system_out(notes);
    }
    if case.result != CaseResult::Pass && !case.stderr.is_empty() {
        let lines: Vec<String> = excerpt(&case.stderr, STDERR).iter().map(|line| harmless(line)).collect();
        test.set_system_err(lines.join("\n"));
    }
    test
}

fn status(case: &CaseRecord, report: &Report, context: &Context<'_>) -> TestCaseStatus {
    let reason = harmless(case.reason.as_deref().unwrap_or("no reason is known"));
    let counted: Vec<&Finding> = match case.result {
        // What one of its attempts saw is no violation.
        CaseResult::Inconclusive => Vec::new(),
        _ => case.findings.iter().filter(|finding| fails(Some(finding.class), context)).collect(),
    };
    if let Some(known) = pinned(case, &counted, report).filter(|_| case.result != CaseResult::Error) {
        let mut status = TestCaseStatus::skipped();
        status.set_type("pinned").set_message(harmless(&known));
        return status;
    }
    match case.result {
        CaseResult::Error => undecided("error", &reason, case),
        CaseResult::Inconclusive => undecided("inconclusive", &reason, case),
        _ if !counted.is_empty() => {
            let message: Vec<String> = counted
                .iter()
                .map(|finding| {
                    harmless(&format!("{}: expected {}, got {}", finding.requirement, finding.expected, finding.actual))
                })
                .collect();
            let class = counted.iter().map(|finding| finding.class).max().unwrap_or(Class::Violation);
            let kind = if class == Class::Violation { "violation" } else { "note" };
            let mut status = TestCaseStatus::non_success(NonSuccessKind::Failure);
            let text = case_text(case, class, context.register);
            status.set_type(kind).set_message(message.join("; ")).set_description(text);
            status
        }
        CaseResult::Skip => {
            let mut status = TestCaseStatus::skipped();
            status.set_message(reason);
            status
        }
        CaseResult::Pass | CaseResult::Fail => TestCaseStatus::success(),
    }
}

fn undecided(kind: &str, reason: &str, case: &CaseRecord) -> TestCaseStatus {
    let mut status = TestCaseStatus::non_success(NonSuccessKind::Error);
    status.set_type(kind).set_message(reason).set_description(format!("again     {}", harmless(&case.replay)));
    status
}

/// Why all that would fail the case is known, where it is.
fn pinned(case: &CaseRecord, counted: &[&Finding], report: &Report) -> Option<String> {
    let comparison = report.expectations.as_ref()?;
    let pin = |requirement: Option<&str>, observed| comparison.pin(&case.name, requirement, observed);
    let known: Vec<String> = match case.result {
        CaseResult::Inconclusive => vec![pin(None, Observed::Inconclusive)?.reason.clone()],
        _ if counted.is_empty() => return None,
        _ => counted
            .iter()
            .map(|finding| {
                let observed = Observed::of(finding);
                let met = pin(Some(&finding.requirement), observed)?;
                Some(format!("{} {observed}: {}", finding.requirement, met.reason))
            })
            .collect::<Option<_>>()?,
    };
    Some(format!("pinned: {}", known.join("; ")))
}

#[cfg(test)]
#[path = "junit_tests.rs"]
mod tests;
