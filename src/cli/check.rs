//! `check`.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::Args;

use super::{Failure, setup};
use crate::Profile;
use crate::case::{self, Case, Diagnostic, Source};
use crate::report::{ExitCode, count};
use crate::requirement::Register;
use crate::run::{File, PaperTarget, Plan, check};
use crate::session::Interrupt;

/// Check case files, and with --fix bring them into printed form.
#[derive(Debug, Args)]
pub(super) struct Check {
    /// Rewrite files that are not in printed form.
    #[arg(long)]
    fix: bool,
    /// The files, or folders of them; the cases that are compiled in where there is none.
    #[arg(value_name = "FILE")]
    files: Vec<PathBuf>,
}

impl Check {
    pub(super) fn main(&self) -> Result<ExitCode, Failure> {
        let register = setup::register()?;
        if self.files.is_empty() {
            let library = setup::library(None, &register)?;
            let cases = rehearse(&library.cases, &library.samples, &register)?;
            say!("{cases} cases in {} files: no error", library.cases.len());
            return Ok(ExitCode::Conforming);
        }
        let mut paths = Vec::new();
        for path in &self.files {
            files_below(path, &mut paths)?;
        }
        let mut parsed: Vec<(Arc<Source>, Vec<Case>)> = Vec::new();
        let mut errors: Vec<(Arc<Source>, Diagnostic)> = Vec::new();
        let (mut unprinted, mut cases) = (Vec::new(), 0);
        for path in paths {
            let text = std::fs::read_to_string(&path)
                .map_err(|error| Failure::file(format!("could not read {}: {error}", path.display()), &error))?;
            let source = Arc::new(Source { name: path.display().to_string(), text });
            match case::parse(&source) {
                Ok(found) => {
                    errors.extend(
                        check(&found, is_sample(&source.name), &register)
                            .into_iter()
                            .map(|error| (Arc::clone(&source), error)),
                    );
                    if case::print(&found) != source.text {
                        unprinted.push((path, case::print(&found)));
                    }
                    cases += found.len();
                    parsed.push((source, found));
                }
                Err(found) => errors.extend(found.into_iter().map(|error| (Arc::clone(&source), error))),
            }
        }
        let files: Vec<(&Source, &[Case])> =
            parsed.iter().map(|(source, cases)| (&**source, cases.as_slice())).collect();
        let errors_of = case::duplicates(&files);
        let files = files.len();
        for (file, error) in errors_of {
            errors.extend(parsed.get(file).map(|(source, _)| (Arc::clone(source), error)));
        }
        complain(&errors)?;
        let (samples, cases_of) = parsed.into_iter().partition::<Vec<_>, _>(|(source, _)| is_sample(&source.name));
        let samples = if samples.is_empty() { setup::library(None, &register)?.samples } else { samples };
        rehearse(&cases_of, &samples, &register)?;
        for (path, printed) in &unprinted {
            if self.fix {
                std::fs::write(path, printed)
                    .map_err(|error| Failure::ours(format!("could not write {}: {error}", path.display())))?;
                say!("{}: brought into printed form", path.display());
            } else {
                say!("{}: not in printed form; `check --fix {}` rewrites it", path.display(), path.display());
            }
        }
        if !unprinted.is_empty() && !self.fix {
            return Err(Failure::usage(format!("{} not in printed form", count(unprinted.len(), "file"))));
        }
        say!("{} in {}: no error", count(cases, "case"), count(files, "file"));
        Ok(ExitCode::Conforming)
    }
}

/// Plays the cases against the model alone, in each version that they are for, and complains of what is wrong; returns how many
/// there are for the versions together.
fn rehearse(cases: &[File], samples: &[File], register: &Register) -> Result<usize, Failure> {
    let interrupt = Interrupt::new().map_err(|error| Failure::ours(error.to_string()))?;
    let mut count = 0;
    for profile in Profile::ALL {
        let target = PaperTarget::bundled(profile).map_err(|error| Failure::ours(error.to_string()))?;
        let plan = Plan::new(cases, samples, profile, register).map_err(Failure::usage)?;
        count += plan.cases.len();
        complain(&target.rehearse(&plan, &interrupt))?;
    }
    Ok(count)
}

/// Shows what is wrong, if anything is.
fn complain(errors: &[(Arc<Source>, Diagnostic)]) -> Result<(), Failure> {
    let colour = anstream::AutoStream::choice(&std::io::stdout()) != anstream::ColorChoice::Never;
    for (source, error) in errors {
        say!("{}", error.render(source, colour));
    }
    match errors.len() {
        0 => Ok(()),
        errors => Err(Failure::usage(format!("{} in the case files", count(errors, "error")))),
    }
}

fn is_sample(path: &str) -> bool {
    Path::new(path).parent().is_some_and(|parent| parent.ends_with("samples"))
}

fn files_below(path: &Path, found: &mut Vec<PathBuf>) -> Result<(), Failure> {
    if !path.is_dir() {
        found.push(path.to_path_buf());
        return Ok(());
    }
    let failed = |error: std::io::Error| Failure::file(format!("could not read {}: {error}", path.display()), &error);
    let mut entries: Vec<PathBuf> = std::fs::read_dir(path)
        .map_err(failed)?
        .map(|entry| entry.map(|entry| entry.path()))
        .collect::<Result<_, _>>()
        .map_err(failed)?;
    entries.sort();
    for entry in entries {
        if entry.is_dir() || entry.extension().is_some_and(|extension| extension == "case") {
            files_below(&entry, found)?;
        }
    }
    Ok(())
}
