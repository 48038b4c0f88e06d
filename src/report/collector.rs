//! Events into one report.

use super::account::Account;
use super::document::{Harness, Profile, Report, SCHEMA, Target, Totals};
use super::{Context, ExitCode};
use crate::run::{End, Event, Generated, Start};
use crate::target::Discovered;
use crate::verdict::{CaseRecord, CaseResult, Differential, causes, statuses};

/// Gathers the events of a run.
#[derive(Debug)]
pub(crate) struct Collector<'a> {
    context: Context<'a>,
    start: Option<Box<Start>>,
    cases: Vec<CaseRecord>,
    generated: Option<Generated>,
    differential: Option<Box<Differential>>,
    everything: bool,
}

impl<'a> Collector<'a> {
    /// Keeps all of every case.
    pub(crate) fn of_everything(context: Context<'a>) -> Collector<'a> {
        Collector { context, start: None, cases: Vec::new(), generated: None, differential: None, everything: true }
    }

    /// Keeps transcript and stderr only where something was found: a run may have thousands of cases that pass.
    pub(crate) fn of_findings(context: Context<'a>) -> Collector<'a> {
        Collector { everything: false, ..Collector::of_everything(context) }
    }

    /// Takes an event; the last one gives the report.
    pub(crate) fn event(&mut self, event: &Event) -> Option<Report> {
        match event {
            Event::Started(start) => self.start = Some(start.clone()),
            Event::CaseStarted { .. } | Event::Generating { .. } | Event::Shrinking { .. } => {}
            Event::Generated(generated) => self.generated = Some(*generated),
            Event::Compared(differential) => self.differential = Some(differential.clone()),
            Event::CaseFinished(case)
                if self.everything || !case.findings.is_empty() || case.result != CaseResult::Pass =>
            {
                self.cases.push(CaseRecord::clone(case));
            }
            Event::CaseFinished(case) => self.cases.push(without_messages(case)),
            Event::Ended(end) => return Some(self.report(end)),
        }
        None
    }

    /// The report of what was gathered.
    fn report(&mut self, end: &End) -> Report {
        let context = self.context;
        let start = self.start.take();
        let mut cases = std::mem::take(&mut self.cases);
        // Cases end in an order of their own where several run at once.
        in_order(&mut cases);
        let complete = end.complete && end.nothing.is_none() && !end.interrupted && !end.stopped && end.lost.is_none();
        let account = Account::of(context.selected, &cases, complete);
        let (not_run, mut faults) = (account.not_run, account.faults);
        let expectations = context.expectations.map(|expectations| {
            let expectations = expectations.clone().with_strict(context.strict).of_run_cut_short(!complete);
            let mut comparison = expectations.compare(&cases, &not_run);
            comparison.pins = context.shard.map(|_| expectations.pins());
            // A run that was never begun knows nothing of the target.
            if let Some(start) = &start {
                comparison.drift.extend(expectations.lacking(|need| start.discovered.lacks(need)));
            }
            comparison
        });
        faults.extend(end.nothing.iter().chain(&end.lost).chain(&end.fault).cloned());
        if end.interrupted {
            faults.push("the run was interrupted".to_owned());
        } else if end.stopped {
            faults.push("the run was stopped at the first failure, as --fail-fast asks".to_owned());
        }
        let started = start.as_deref();
        let used = started.map(|start| start.profile);
        let asked = started.map_or(context.profile, |start| &start.profile_asked);
        let report = Report {
            schema: SCHEMA.to_owned(),
            command: started.map_or_else(|| context.command.to_vec(), |start| start.command.clone()),
            platform: platform(),
            harness: Harness {
                name: env!("CARGO_PKG_NAME").to_owned(),
                version: env!("CARGO_PKG_VERSION").to_owned(),
                cases_sha256: context.cases_sha256.to_owned(),
                register_sha256: context.register.sha256().to_owned(),
            },
            target: Target {
                how: started.map_or_else(|| context.target.to_owned(), |start| start.target.clone()),
                discovered: started.map_or_else(Discovered::default, |start| start.discovered.clone()),
            },
            profile: Profile {
                asked: asked.to_owned(),
                used: used.map_or_else(String::new, |profile| profile.to_string()),
                why: started.map_or_else(String::new, |start| start.profile_why.clone()),
            },
            seed: context.seed,
            strict: context.strict,
            timeout: context.timeout.to_owned(),
            one_at_a_time: context.one_at_a_time,
            shard: context.shard,
            parts: Vec::new(),
            complete,
            exit_code: 0,
            said: String::new(),
            totals: Totals { selected: account.selected, not_run: not_run.len(), ..Totals::of(&cases) },
            generated: self.generated,
            differential: self.differential.take(),
            causes: causes(&cases),
            requirements: statuses(context.register, judged_by(used, asked), &cases),
            expectations,
            faults,
            not_run,
            cases,
        };
        report.ended(end)
    }
}

/// By which version requirements are told of: where the target was never spoken to, the one that was asked for, or the newest.
pub(super) fn judged_by(used: Option<crate::Profile>, asked: &str) -> crate::Profile {
    used.or_else(|| asked.parse().ok()).unwrap_or(crate::Profile::V0_9_2)
}

/// The order of cases in a report: that of their files.
pub(super) fn in_order(cases: &mut [CaseRecord]) {
    cases.sort_by(|a, b| (&a.file, a.line, &a.name).cmp(&(&b.file, b.line, &b.name)));
}

impl Report {
    /// With what the end of its run says of it.
    pub(super) fn ended(mut self, end: &End) -> Report {
        let code = ExitCode::of(&self, end, self.strict);
        self.exit_code = code.number();
        self.said = code.sentence(&self);
        self
    }
}

fn without_messages(case: &CaseRecord) -> CaseRecord {
    CaseRecord {
        name: case.name.clone(),
        parameters: case.parameters.clone(),
        file: case.file.clone(),
        line: case.line,
        result: case.result,
        reason: case.reason.clone(),
        requirements: case.requirements.clone(),
        attempts: case.attempts.clone(),
        checks: case.checks.clone(),
        findings: Vec::new(),
        replay: case.replay.clone(),
        transcript: Vec::new(),
        stderr: String::new(),
    }
}

fn platform() -> String {
    let release = std::fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    let words = [std::env::consts::OS, release.trim(), std::env::consts::ARCH];
    words.into_iter().filter(|word| !word.is_empty()).collect::<Vec<_>>().join(" ")
}
