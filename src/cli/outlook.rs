//! What would run against a server that was asked what it offers, and why the rest would not.

use std::collections::BTreeMap;

use serde::Serialize;

use super::asked::{Asked, Head};
use super::options::Format;
use super::{Failure, setup};
use crate::report::{ExitCode, harmless};
use crate::requirement::{Register, Requirement};
use crate::run::Planned;
use crate::target::remedy;

/// What would run, and why not.
pub(super) struct Outlook<'a> {
    asked: &'a Asked,
    cases: Vec<Case<'a>>,
    register: &'a Register,
}

/// One case.
#[derive(Serialize)]
struct Case<'a> {
    name: &'a str,
    file: &'a str,
    line: usize,
    requirements: Vec<String>,
    /// It would run.
    run: bool,
    /// Why it would not.
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
    /// The words of `needs` that the server has not.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    lacks: Vec<&'a str>,
    /// What a device file would have to say for it to run, where one can help.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    device_file: Vec<String>,
}

/// One requirement of the version that the server speaks.
#[derive(Serialize)]
struct Of<'a> {
    id: &'a str,
    level: String,
    /// A case that checks it would run.
    run: bool,
    /// How many such cases there are.
    cases: usize,
    /// Why none would run, each reason once.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    reasons: Vec<String>,
}

#[derive(Serialize)]
struct Totals {
    selected: usize,
    run: usize,
    skip: usize,
}

/// `--format json`.
#[derive(Serialize)]
struct Document<'a> {
    #[serde(flatten)]
    head: Head<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    cases: Option<&'a [Case<'a>]>,
    #[serde(skip_serializing_if = "Option::is_none")]
    requirements: Option<&'a [Of<'a>]>,
    totals: Totals,
}

impl<'a> Outlook<'a> {
    /// Of these cases.
    pub(super) fn new(asked: &'a Asked, cases: &'a [Planned], register: &'a Register) -> Outlook<'a> {
        let found = &asked.found;
        let case = |case: &'a Planned| {
            let lacks = |need: &&str| found.lacks(need).is_some();
            let mut lacks: Vec<&str> = case.needs.iter().map(String::as_str).filter(lacks).collect();
            lacks.dedup();
            // One that a device file cannot help is not helped in part, either.
            let remedies: Option<Vec<String>> = lacks.iter().map(|need| remedy(need, found)).collect();
            let reason = case.skip(found).map(|skip| skip.0);
            Case {
                name: &case.name,
                file: &case.source.name,
                line: case.line,
                requirements: case.requirements(),
                run: reason.is_none(),
                reason,
                lacks,
                device_file: remedies.unwrap_or_default(),
            }
        };
        Outlook { asked, cases: cases.iter().map(case).collect(), register }
    }

    /// Tells it, by cases or by requirements.
    pub(super) fn tell(&self, requirements: bool, format: Format) -> Result<ExitCode, Failure> {
        let of_requirements = self.requirements();
        let flags: Vec<bool> = match requirements {
            true => of_requirements.iter().map(|one| one.run).collect(),
            false => self.cases.iter().map(|case| case.run).collect(),
        };
        let run = flags.iter().filter(|run| **run).count();
        let totals = Totals { selected: flags.len(), run, skip: flags.len() - run };
        match (format, requirements) {
            (Format::Json, _) => setup::say_json(&Document {
                head: self.asked.head(false),
                cases: (!requirements).then_some(&self.cases),
                requirements: requirements.then_some(&of_requirements),
                totals,
            }),
            (Format::Text, true) => tell_requirements(&of_requirements, &totals),
            (Format::Text, false) => self.tell_cases(&totals),
        }
    }

    fn tell_cases(&self, totals: &Totals) -> Result<ExitCode, Failure> {
        let mut reasons: BTreeMap<&str, usize> = BTreeMap::new();
        for case in &self.cases {
            match &case.reason {
                None => say!("run   {}", harmless(case.name)),
                Some(reason) => {
                    say!("skip  {}  ({})", harmless(case.name), harmless(reason));
                    *reasons.entry(reason).or_default() += 1;
                }
            }
        }
        let Totals { selected, run, skip } = totals;
        say!("\n{} for {}: {run} would run, {skip} would be skipped", cases(*selected), self.against());
        let mut reasons: Vec<_> = reasons.into_iter().collect();
        reasons.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
        for (reason, count) in reasons {
            say!("  {count:>4}  {}", harmless(reason));
        }
        let helped = self.cases.iter().filter(|case| !case.device_file.is_empty()).count();
        if helped > 0 {
            say!(
                "A device file could let {helped} of {} run: `probe` tells what each needs, `probe --device-template` drafts one.",
                cases(*skip)
            );
        }
        Ok(ExitCode::Conforming)
    }

    fn against(&self) -> String {
        format!("{}, which is judged by {}", harmless(&self.asked.name), self.asked.spoken.profile)
    }

    /// Every requirement of the version.
    fn requirements(&self) -> Vec<Of<'_>> {
        let all = self.register.requirements().filter(|one| one.is_of(self.asked.spoken.profile));
        all.map(|requirement| self.requirement(requirement)).collect()
    }

    fn requirement<'r>(&self, requirement: &'r Requirement) -> Of<'r> {
        let checks = |case: &&Case<'_>| case.requirements.contains(&requirement.id);
        let cases: Vec<&Case<'_>> = self.cases.iter().filter(checks).collect();
        let run = cases.iter().filter(|case| case.run).count();
        let mut reasons: Vec<String> = Vec::new();
        if run == 0 {
            for reason in cases.iter().filter_map(|case| case.reason.as_ref()) {
                if !reasons.contains(reason) {
                    reasons.push(reason.clone());
                }
            }
            if cases.is_empty() {
                let untestable = requirement.untestable.as_ref().map(|why| format!("no case: {why}"));
                reasons.push(untestable.unwrap_or_else(|| "no case".to_owned()));
            }
        }
        Of { id: &requirement.id, level: requirement.level.to_string(), run: run > 0, cases: run, reasons }
    }
}

fn tell_requirements(requirements: &[Of<'_>], totals: &Totals) -> Result<ExitCode, Failure> {
    for one in requirements {
        match one.run {
            true => say!("run   {:<12}{}", one.id, cases(one.cases)),
            false => say!("skip  {:<12}({})", one.id, harmless(&one.reasons.join("; "))),
        }
    }
    let Totals { selected, run, skip } = totals;
    say!("\n{selected} requirements: {run} would be exercised, {skip} would not");
    Ok(ExitCode::Conforming)
}

fn cases(count: usize) -> String {
    format!("{count} case{}", if count == 1 { "" } else { "s" })
}
