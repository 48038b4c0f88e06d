//! Whether a report agrees with itself, with its manifest, and with the cases and the register that it is by.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use nix::sys::signal::Signal;

use super::bundle::{self, DEVICE};
use super::manifest::{self, Manifest};
use super::{Coverage, SEED, SEQUENCES, Settings, Verdict};
use crate::Profile;
use crate::case::{Step, StepKind};
use crate::generate::GENERATED;
use crate::report::{ExitCode, Report, Totals};
use crate::requirement::Register;
use crate::run::{End, Planned, Timeouts};
use crate::target::{DeviceFile, Has, NO_DEVICE_FILE};
use crate::verdict::{CaseRecord, CaseResult, Check, Class, Exit, Finding, Outcome, Said, Status, causes, statuses};

/// What no server has without a device file.
const OF_DEVICE_FILE: &str = "scratch";

/// What is wrong with a report, and with what a manifest says of it, whoever judged: sentences.
pub(super) fn with_itself(manifest: &Manifest, report: &Report) -> Vec<String> {
    let mut wrong: Vec<String> = report.cases.iter().filter_map(contradiction).collect();
    let mut names = BTreeSet::new();
    let twice = scripted(report).chain(report.not_run.iter().map(String::as_str)).filter(|name| !names.insert(*name));
    wrong.extend(twice.map(|name| format!("{name} is there twice")));
    let counted = Totals {
        selected: report.cases.len().saturating_add(report.not_run.len()),
        not_run: report.not_run.len(),
        ..Totals::of(&report.cases)
    };
    if counted != report.totals {
        wrong.push(format!(
            "the totals of the report are not those of its cases: {:?}, not {:?}",
            report.totals, counted
        ));
    }
    let violated: Vec<&str> = (report.requirements.iter())
        .filter(|(_, requirement)| requirement.status == Status::Violated)
        .map(|(id, _)| id.as_str())
        .collect();
    if !violated.is_empty() && report.totals.fail == 0 {
        wrong.push(format!("{} are violated, and no case failed", violated.join(", ")));
    }
    let code = ExitCode::of(report, &End { complete: report.complete, ..End::default() }, report.strict);
    if report.faults.is_empty() && report.exit_code != code.number() {
        wrong.push(format!("the report has exit code {}, and its cases come to {}", report.exit_code, code.number()));
    }
    wrong.extend(drawn(report));
    wrong.extend(stray(manifest, report));
    wrong.extend(manifest.server.wrong());
    wrong.extend(differences(manifest, report));
    wrong
}

/// What is wrong with what stands there as drawn: a sequence is told where it failed, and those of one cause once.
fn drawn(report: &Report) -> Option<String> {
    let mut told = report.cases.iter().filter(|case| case.name.starts_with(GENERATED));
    if let Some(case) = told.clone().find(|case| matches!(case.result, CaseResult::Pass | CaseResult::Skip)) {
        return Some(format!("{} did not fail, and is told all the same", case.name));
    }
    let failed = report.generated.map_or(0, |generated| generated.failed);
    (failed > 0 && told.next().is_none()).then(|| format!("{failed} sequences failed, and none of them is told"))
}

/// The files of sequences that no record names. A search that broke off may have left some.
fn stray(manifest: &Manifest, report: &Report) -> Vec<String> {
    if !report.complete {
        return Vec::new();
    }
    let of_case = |case: &CaseRecord| Path::new(&case.file).file_name().map(|name| name.to_string_lossy().into_owned());
    let told = report.cases.iter().filter(|case| case.name.starts_with(GENERATED));
    let told: BTreeSet<String> = told.filter_map(of_case).collect();
    let files = manifest.files.keys().filter_map(|name| Some((name, name.strip_prefix(bundle::GENERATED)?)));
    let stray = files.filter(|(_, name)| !told.contains(name.trim_start_matches('/')));
    stray.map(|(name, _)| format!("`{name}` is of no case of the report")).collect()
}

/// What the manifest says and the report does not.
fn differences(manifest: &Manifest, report: &Report) -> Vec<String> {
    let settings = &manifest.settings;
    let mut wrong = Vec::new();
    let mut same = |what: &str, same: bool| {
        if !same {
            wrong.push(format!("the manifest has another {what} than the report"));
        }
    };
    same("harness", manifest.harness == report.harness);
    same("command", manifest.command == report.command);
    let begun = !report.profile.used.is_empty();
    same("version of the protocol", manifest.profile == report.profile.asked);
    same("version of the protocol", !begun || manifest.profile == report.profile.used);
    same("seed", report.seed == Some(settings.seed));
    same("`strict`", report.strict == settings.strict);
    same("deadline", report.timeout == settings.timeout);
    same("`one_at_a_time`", report.one_at_a_time == settings.one_at_a_time);
    same("coverage", manifest.coverage == Coverage::of(report));
    if !begun && (report.complete || !report.cases.is_empty()) {
        wrong.push("the server was never spoken to, and cases have results".to_owned());
    }
    let verdict = Verdict::of(report, settings);
    if verdict != manifest.verdict {
        wrong.push(format!(
            "the manifest says {}, and the report comes to {}",
            told(&manifest.verdict),
            told(&verdict)
        ));
    }
    if settings.timeout.parse::<Timeouts>().is_err() {
        wrong.push(format!("`{}` is no timeout", settings.timeout));
    }
    if !manifest::is_moment(&manifest.when) {
        wrong.push(format!("`{}` is no moment", manifest.when));
    }
    wrong
}

fn told(verdict: &Verdict) -> String {
    match verdict {
        Verdict::Certified(level) => format!("certified, {level}"),
        Verdict::Refused(reasons) => format!("refused ({})", reasons.join("; ")),
    }
}

/// Where a case says two things.
fn contradiction(case: &CaseRecord) -> Option<String> {
    let violation = case.findings.iter().any(|finding| finding.class == Class::Violation)
        || case.checks.iter().any(|check| check.said == Said::Violated);
    let has_note = |check: &Check| {
        let of_check = |finding: &Finding| finding.class == Class::Note && finding.requirement == check.requirement;
        case.findings.iter().any(of_check)
    };
    let wrong = match case.result {
        _ if case.checks.iter().any(|check| check.said == Said::Noted && !has_note(check)) => {
            "has a note of which it does not say what it is"
        }
        CaseResult::Pass if violation => "passed, and has a violation",
        CaseResult::Pass if case.attempts.is_empty() => "passed, and was never played",
        // A crash is a violation, in whatever attempt it was seen.
        CaseResult::Pass if case.attempts.iter().any(|attempt| attempt.outcome == Outcome::Crashed) => {
            "passed, and the server crashed in it"
        }
        CaseResult::Skip if violation => "was skipped, and has a violation",
        CaseResult::Fail if !violation => "failed, and has no violation",
        CaseResult::Skip | CaseResult::Inconclusive | CaseResult::Error if case.reason.is_none() => {
            "neither passed nor failed, and does not say why"
        }
        _ => return None,
    };
    Some(format!("{} {wrong}", case.name))
}

/// The cases that somebody wrote.
fn scripted(report: &Report) -> impl Iterator<Item = &str> {
    report.cases.iter().map(|case| case.name.as_str()).filter(|name| !name.starts_with(GENERATED))
}

/// What is wrong with a report of this harness, whose `planned` cases and whose register are given.
pub(super) fn with_harness(
    settings: &Settings,
    report: &Report,
    planned: &[Planned],
    profile: Profile,
    register: &Register,
) -> Vec<String> {
    let mut wrong = Vec::new();
    if (settings.sequences, settings.seed) != (SEQUENCES, SEED) {
        wrong.push(format!("a certification has {SEQUENCES} sequences of seed {SEED}"));
    }
    let has: BTreeSet<&str> = scripted(report).chain(report.not_run.iter().map(String::as_str)).collect();
    let due: BTreeMap<&str, &Planned> = planned.iter().map(|case| (case.name.as_str(), case)).collect();
    wrong.extend(due.keys().filter(|name| !has.contains(*name)).map(|name| format!("{name} is missing")));
    wrong.extend(
        has.iter().filter(|name| !due.contains_key(*name)).map(|name| format!("{name} is no case of {profile}")),
    );
    let known = report.cases.iter().filter_map(|case| Some((case, *due.get(case.name.as_str())?)));
    wrong.extend(known.filter_map(|(case, planned)| otherwise_planned(case, planned, report)));
    // Of a server that was never spoken to, nothing more is known.
    if !report.profile.used.is_empty() && report.requirements != statuses(register, profile, &report.cases) {
        wrong.push("the status of the requirements is not what the cases come to".to_owned());
    }
    if report.causes != causes(&report.cases) {
        wrong.push("the causes are not those of the cases".to_owned());
    }
    let said = ExitCode::of_number(report.exit_code).map(|code| code.sentence(report));
    if said.as_ref() != Some(&report.said) {
        wrong.push("what is said of the exit code is not what this program says".to_owned());
    }
    wrong
}

/// Where a record is not of the case as it was written, or of a server that offers what this one does.
fn otherwise_planned(case: &CaseRecord, planned: &Planned, report: &Report) -> Option<String> {
    let name = &case.name;
    if let Some(signal) = unsent(case, planned) {
        return Some(format!("{name} passed, and the server ended by {signal}, which the case does not send"));
    }
    if case.requirements != planned.requirements() || case.parameters != planned.parameters || case.line != planned.line
    {
        return Some(format!("{name} is not the case of that name"));
    }
    let skip = planned.skip(&report.target.discovered).map(|skip| skip.0);
    match (&skip, case.result) {
        (Some(why), CaseResult::Skip) if case.reason.as_ref() == Some(why) => None,
        (Some(why), _) => {
            Some(format!("{name} does not apply to what the server offers ({why}), and has another result"))
        }
        (None, CaseResult::Skip) if case.attempts.is_empty() => {
            Some(format!("{name} applies to what the server offers, and was skipped without having been played"))
        }
        (None, _) => None,
    }
}

/// The signal by which the server ended in a case that passed, where that is none of the case's own.
fn unsent(case: &CaseRecord, planned: &Planned) -> Option<Exit> {
    fn sends(steps: &[Step], signal: i32) -> bool {
        steps.iter().any(|step| match &step.kind {
            StepKind::Signal(name) => {
                format!("SIG{}", name.value).parse().is_ok_and(|sent: Signal| sent as i32 == signal)
            }
            StepKind::If(_, then) => sends(then, signal),
            _ => false,
        })
    }
    let exits = case.attempts.iter().filter_map(|attempt| attempt.exit);
    let mut unsent = exits.filter(|exit| matches!(exit, Exit::Signal(signal) if !sends(&planned.case.steps, *signal)));
    unsent.next().filter(|_| case.result == CaseResult::Pass)
}

/// What is wrong with the device file of a bundle, or with there being none, by a report of this harness.
pub(super) fn device(text: Option<&str>, report: &Report) -> Option<String> {
    let asked = report.command.iter().any(|word| word == "--device" || word.starts_with("--device="));
    let used = match report.target.discovered.has.get(OF_DEVICE_FILE) {
        Some(has) => Some(*has != Has::No(NO_DEVICE_FILE.to_owned())),
        // Of a server that was never spoken to nothing was found; the bundled one has a device file that nobody asks for.
        None => asked.then_some(true),
    };
    if let Some(Err(error)) = text.map(|text| DeviceFile::parse(DEVICE, text)) {
        return Some(error.to_string());
    }
    match (text, used) {
        (Some(_), Some(false)) => Some(format!("there is `{DEVICE}`, and by the report the run had no device file")),
        (None, Some(true)) => Some(format!("by the report the run had a device file, and there is no `{DEVICE}`")),
        _ => None,
    }
}

#[cfg(test)]
#[path = "sound_tests.rs"]
mod tests;
