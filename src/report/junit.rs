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
use crate::run::Event;
use crate::target::excerpt;
use crate::verdict::{CaseRecord, CaseResult, Class};

/// How many lines of a server's stderr are kept.
const STDERR: usize = 100;

/// Writes the report as JUnit XML when the run has ended, be it early: one test suite per section, one test per case.
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
        let Some(report) = self.collector.event(event) else { return Ok(()) };
        let text = document(&report, &self.context).to_string().map_err(io::Error::other)?;
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
        suite.add_test_cases(cases.into_iter().map(|case| test(case, section, context)));
        suite.set_time(suite.test_cases.iter().filter_map(|test| test.time).sum());
        document.add_test_suite(suite);
    }
    // A run without cases would read as a run without failures.
    if !report.faults.is_empty() {
        let mut suite = TestSuite::new("run");
        for fault in &report.faults {
            let mut status = TestCaseStatus::non_success(NonSuccessKind::Error);
            status.set_message(harmless(fault)).set_type("fault");
            let mut test = TestCase::new("come to its end", status);
            test.set_classname("run");
            suite.add_test_case(test);
        }
        document.add_test_suite(suite);
    }
    document.set_time(document.test_suites.iter().filter_map(|suite| suite.time).sum());
    document
}

fn test(case: &CaseRecord, section: &str, context: &Context<'_>) -> TestCase {
    let mut test = TestCase::new(case.name.as_str(), status(case, context));
    let seconds: f64 = case.attempts.iter().map(|attempt| attempt.seconds).sum();
    test.set_classname(section).set_time(Duration::try_from_secs_f64(seconds).unwrap_or_default());
    test.extra.insert("file".into(), case.file.as_str().into());
    test.extra.insert("line".into(), case.line.to_string().into());
    let notes = case_text(case, Class::Note, context.register);
    if !notes.is_empty() {
        test.set_system_out(notes);
    }
    if case.result != CaseResult::Pass && !case.stderr.is_empty() {
        test.set_system_err(excerpt(&case.stderr, STDERR).join("\n"));
    }
    test
}

fn status(case: &CaseRecord, context: &Context<'_>) -> TestCaseStatus {
    let reason = harmless(case.reason.as_deref().unwrap_or("no reason is known"));
    match case.result {
        CaseResult::Pass => TestCaseStatus::success(),
        CaseResult::Skip => {
            let mut status = TestCaseStatus::skipped();
            status.set_message(reason);
            status
        }
        CaseResult::Fail => {
            let violations: Vec<_> = case.findings.iter().filter(|finding| finding.class == Class::Violation).collect();
            let message: Vec<String> = violations
                .iter()
                .map(|finding| {
                    harmless(&format!("{}: expected {}, got {}", finding.requirement, finding.expected, finding.actual))
                })
                .collect();
            let mut status = TestCaseStatus::non_success(NonSuccessKind::Failure);
            status.set_type("violation").set_message(message.join("; ")).set_description(case_text(
                case,
                Class::Violation,
                context.register,
            ));
            status
        }
        CaseResult::Inconclusive | CaseResult::Error => {
            let kind = if case.result == CaseResult::Inconclusive { "inconclusive" } else { "error" };
            let mut status = TestCaseStatus::non_success(NonSuccessKind::Error);
            status.set_type(kind).set_message(reason).set_description(format!("again     {}", harmless(&case.replay)));
            status
        }
    }
}

#[cfg(test)]
#[path = "junit_tests.rs"]
mod tests;
