//! What the server did while it was asked what it offers.

use super::{Bench, Outcome};
use crate::target::{Instance, StartError, Unanswered};
use crate::verdict::Evidence;

/// No server crashed of what the harness asked before the cases: those that need what it then does not know to be there skip, and no
/// other one may come to the same question.
pub(super) fn survives_questions(bench: &Bench<'_>, _: &mut Instance) -> Result<Outcome, StartError> {
    let crashes = of(bench, &[Evidence::Exited]);
    let told = crashes.iter().map(|crash| format!("{}: {}", crash.command, crash.how));
    Ok(judged(&crashes, told, "an answer, or an orderly end, at each question of the probe"))
}

/// Each of those questions was answered. A silence was waited for once: what was not asked again decides nothing.
pub(super) fn answers_questions(bench: &Bench<'_>, _: &mut Instance) -> Result<Outcome, StartError> {
    let ended = of(bench, &[Evidence::Closed, Evidence::Received]);
    let silences = of(bench, &[Evidence::Deadline]);
    if let ([], [_, ..]) = (ended.as_slice(), silences.as_slice()) {
        let told = together(silences.iter().map(|silence| silence.how.clone()));
        return Ok(Outcome::Unsure(format!("{told}: cases that need what was asked for are skipped")));
    }
    Ok(judged(&ended, ended.iter().map(|end| end.how.clone()), "an answer to each question of the probe"))
}

fn of<'b>(bench: &Bench<'b>, evidence: &[Evidence]) -> Vec<&'b Unanswered> {
    bench.unanswered.iter().filter(|unanswered| evidence.contains(&unanswered.evidence)).collect()
}

fn together(told: impl Iterator<Item = String>) -> String {
    told.collect::<Vec<_>>().join("; ")
}

fn judged(unanswered: &[&Unanswered], told: impl Iterator<Item = String>, expected: &str) -> Outcome {
    match unanswered.first() {
        None => Outcome::Held,
        Some(first) => {
            Outcome::Broken { expected: expected.to_owned(), actual: together(told), evidence: first.evidence }
        }
    }
}
