//! A certificate that was written by hand, for the tests: one case that passes, and sequences that were all played.

use super::{Manifest, SEED, SEQUENCES, Server, Settings};
use crate::report::{Context, Report, sample};
use crate::run::Generated;
use crate::verdict::CaseRecord;

pub(super) fn settings() -> Settings {
    Settings { timeout: "2s".to_owned(), sequences: SEQUENCES, seed: SEED, strict: false, one_at_a_time: false }
}

/// The one case of the sample's that passes: it checks HDR-21.
pub(super) fn passes() -> CaseRecord {
    sample::cases().into_iter().find(|case| case.name == "version.plain").unwrap()
}

pub(super) fn report() -> Report {
    let register = sample::register();
    let cases = vec![passes()];
    let context =
        Context { selected: sample::names(&cases), seed: Some(SEED), profile: "0.9.2", ..sample::context(&register) };
    let generated = Generated { sequences: SEQUENCES, steps: 2000, answered: 1900, failed: 0, seed: SEED };
    let mut report = sample::report_in(context, cases, Some(generated), sample::ended());
    // The start of the sample asks for `auto`.
    report.profile.asked = "0.9.2".to_owned();
    report
}

/// Puts a case with a violation of HDR-20 in the place of the one that passes.
pub(super) fn fail(report: &mut Report) {
    report.cases = vec![sample::wrong_errno()];
    report.cases[0].findings.truncate(1);
    (report.totals.pass, report.totals.fail) = (0, 1);
}

pub(super) fn server() -> Server {
    Server { name: "gpio".to_owned(), version: "0.1.7".to_owned(), url: None, program: None }
}

pub(super) fn manifest() -> Manifest {
    Manifest::of(&report(), server(), settings(), "2026-11-23T01:03:03Z".to_owned())
}
