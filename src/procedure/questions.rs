//! What the server did while it was asked what it offers.

use std::io;

use vfio_user_wire::message::VERSION;

use super::{Bench, Outcome};
use crate::target::{Instance, Unanswered};
use crate::verdict::Evidence;

/// No server crashed of what the harness asked before the cases: those that need what it then does not know to be there skip, and no
/// other one may come to the same question.
pub(super) fn survives_questions(bench: &Bench<'_>, _: &mut Instance) -> io::Result<Outcome> {
    let crashes = of(bench, |unanswered| unanswered.evidence == Evidence::Exited);
    let told: Vec<String> = crashes.iter().map(|crash| format!("{}: {}", crash.command, crash.how)).collect();
    Ok(judged(&crashes, told, "an answer, or an orderly end, at each question of the probe"))
}

/// Each of those questions was answered. A silence was waited for once: what was not asked again decides nothing. Of VERSION, which a
/// server that has its client need not take from another one, cases tell.
pub(super) fn answers_questions(bench: &Bench<'_>, _: &mut Instance) -> io::Result<Outcome> {
    let of = |by: fn(Evidence) -> bool| {
        of(bench, |unanswered| by(unanswered.evidence) && unanswered.command != VERSION.name)
    };
    let ended = of(|evidence| matches!(evidence, Evidence::Closed | Evidence::Received));
    let silences = of(|evidence| evidence == Evidence::Deadline);
    let told = |unanswered: &[&Unanswered]| unanswered.iter().map(|unanswered| unanswered.how.clone()).collect();
    if let ([], [_, ..]) = (ended.as_slice(), silences.as_slice()) {
        let told: Vec<String> = told(&silences);
        return Ok(Outcome::Unsure(format!("{}: cases that need what was asked for are skipped", told.join("; "))));
    }
    Ok(judged(&ended, told(&ended), "an answer to each question of the probe"))
}

fn of<'b>(bench: &Bench<'b>, which: impl Fn(&Unanswered) -> bool) -> Vec<&'b Unanswered> {
    bench.unanswered.iter().filter(|unanswered| which(unanswered)).collect()
}

fn judged(unanswered: &[&Unanswered], told: Vec<String>, expected: &str) -> Outcome {
    match unanswered.first() {
        None => Outcome::Held,
        Some(first) => {
            Outcome::Broken { expected: expected.to_owned(), actual: told.join("; "), evidence: first.evidence }
        }
    }
}
