//! `merge`.

use std::path::{Path, PathBuf};

use clap::Args;

use super::reports::{Reports, unwritten};
use super::{Failure, setup};
use crate::report::{Context, ExitCode, ReadError, Report, Reporter, Share, Terminal, harmless, merge};

/// Make one report of those that the parts of a run wrote.
#[derive(Debug, Args)]
pub(super) struct Merge {
    /// The reports of `run --shard 1/N --report json=FILE` to `N/N`, in any order.
    #[arg(value_name = "SHARD.json", required = true)]
    shards: Vec<PathBuf>,
    #[command(flatten)]
    reports: Reports,
    /// Leave nothing out for brevity.
    #[arg(long, short)]
    verbose: bool,
}

impl Merge {
    pub(super) fn main(&self) -> Result<ExitCode, Failure> {
        for path in self.reports.paths() {
            not_an_input(path, &self.shards)?;
        }
        self.reports.make_way(None)?;
        let register = setup::register()?;
        let read = |path: &PathBuf| -> Result<Share, Failure> {
            Ok(Share { file: path.display().to_string(), report: read(path)? })
        };
        let shares = self.shards.iter().map(read).collect::<Result<Vec<Share>, Failure>>()?;
        let command: Vec<String> = std::env::args().collect();
        let merged =
            merge(shares, &register, &command).map_err(|error| Failure::usage(harmless(&error.to_string())))?;
        let report = &merged.report;
        let context = Context {
            register: &register,
            selected: &[],
            cases_sha256: &report.harness.cases_sha256,
            expectations: None,
            seed: report.seed,
            shard: None,
            strict: report.strict,
            timeout: &report.timeout,
            one_at_a_time: report.one_at_a_time,
            command: &command,
            target: &report.target.how,
            profile: &report.profile.asked,
        };
        let mut reporters: Vec<Box<dyn Reporter>> = vec![Box::new(Terminal::stdout(context, self.verbose))];
        reporters.extend(self.reports.reporters(context));
        // One report that cannot be written keeps no other from being written.
        let told = reporters.iter_mut().map(|reporter| reporter.report(report, &merged.end)).fold(Ok(()), Result::and);
        told.map_err(|error| unwritten(&error))?;
        Ok(ExitCode::of(report, &merged.end, report.strict))
    }
}

/// The report in a file.
pub(super) fn read(path: &Path) -> Result<Report, Failure> {
    Report::read(path).map_err(|error| match &error {
        ReadError::Unreadable { error: why, .. } => Failure::file(error.to_string(), why),
        _ => Failure::usage(error.to_string()),
    })
}

/// What is written takes the place of nothing that is read.
pub(super) fn not_an_input<'p>(output: &Path, inputs: impl IntoIterator<Item = &'p PathBuf>) -> Result<(), Failure> {
    let Ok(same) = output.canonicalize() else { return Ok(()) };
    match inputs.into_iter().find(|input| input.canonicalize().is_ok_and(|input| input == same)) {
        None => Ok(()),
        Some(input) => Err(Failure::usage(format!(
            "{} would take the place of {}, which is read: write to another file",
            harmless(&output.display().to_string()),
            harmless(&input.display().to_string())
        ))),
    }
}
