//! What failed when it last ran, for `run --failed`: remembered for each target, or read from a report.
//!
//! A run takes out what passes and adds what does not, so that a run of a part forgets nothing of the rest. What a target is known
//! by are the options that name it and the folder of the run: two checkouts have a memory each.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use xdg::BaseDirectories;

use super::Failure;
use super::merge::read;
use super::options::TargetOptions;
use crate::report::{self, SCHEMA, harmless};
use crate::run::{Planned, quoted};
use crate::verdict::{CaseRecord, CaseResult, Class};

/// So many names are told.
const NAMES: usize = 10;
/// What the names of sequences that were drawn begin with.
const GENERATED: &str = "generated.";
/// How long another run may have the memory: it reads and writes a small file.
const PATIENCE: Duration = Duration::from_secs(2);

/// Where it is remembered what failed of a target.
#[derive(Debug)]
pub(super) struct Memory {
    /// `None` where this user has no home.
    path: Option<PathBuf>,
}

/// The file of a memory.
#[derive(Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Remembered {
    schema: String,
    /// By the names of cases; of a sequence that was drawn, the file that it was written to.
    failed: BTreeMap<String, Option<PathBuf>>,
}

/// What failed.
#[derive(Debug, Default)]
pub(super) struct Failed {
    failed: BTreeMap<String, Option<PathBuf>>,
    /// Where that is known from, for people.
    from: String,
}

impl Memory {
    /// That of this target.
    pub(super) fn of(target: &TargetOptions, cases: Option<&Path>) -> Memory {
        let folder = std::env::current_dir().unwrap_or_default();
        let mut digest = Sha256::new();
        for part in [folder.as_path(), Path::new(&target.named()), cases.unwrap_or(Path::new(""))] {
            digest.update(part.as_os_str().as_encoded_bytes());
            digest.update([0]);
        }
        let digest: String = digest.finalize().iter().take(8).map(|byte| format!("{byte:02x}")).collect();
        let directories = BaseDirectories::with_prefix(env!("CARGO_PKG_NAME"));
        Memory { path: directories.get_state_file(format!("failed/{digest}.json")) }
    }

    /// What is remembered.
    pub(super) fn failed(&self) -> Result<Failed, Failure> {
        let Some(path) = &self.path else { return Ok(Failed::default()) };
        let from = path.display().to_string();
        match self.read() {
            Ok(remembered) => Ok(Failed { failed: remembered.failed, from }),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Failed { from, ..Failed::default() }),
            Err(error) => Err(Failure::file(
                format!(
                    "--failed: what failed last cannot be read from {from}: {error}; without that file, nothing is remembered"
                ),
                &error,
            )),
        }
    }

    fn read(&self) -> io::Result<Remembered> {
        let path = self.path.as_ref().ok_or(io::ErrorKind::NotFound)?;
        let remembered: Remembered = serde_json::from_slice(&std::fs::read(path)?)?;
        if remembered.schema == SCHEMA { Ok(remembered) } else { Err(io::ErrorKind::InvalidData.into()) }
    }

    /// Remembers what these cases came to, and forgets those that are `gone`. Where that cannot be written, the run is none the
    /// worse.
    pub(super) fn update<'c>(&self, cases: impl IntoIterator<Item = &'c CaseRecord>, gone: &[String], strict: bool) {
        let Some(path) = &self.path else { return };
        let cases: Vec<_> = cases.into_iter().map(|case| (case, fails(case, strict))).collect();
        if !path.exists() && !cases.iter().any(|(_, fails)| *fails) {
            return;
        }
        // Another run may be at the same, a part of --shard beside this one.
        let _lock = locked(path);
        let before = self.read().unwrap_or_default();
        let mut failed = before.failed.clone();
        failed.retain(|name, _| !gone.contains(name));
        for (case, fails) in cases {
            match fails {
                true => failed.insert(case.name.clone(), file_of(case)),
                false => failed.remove(&case.name),
            };
        }
        if failed == before.failed {
            return;
        }
        let written = match failed.is_empty() {
            true => std::fs::remove_file(path),
            false => write(path, &Remembered { schema: SCHEMA.to_owned(), failed }),
        };
        // A home that cannot be written is no matter of the server's, and `--failed` says where it looked.
        drop(written);
    }
}

/// The folder of the file, which one run holds at a time. One that holds it for long was stopped, and is not waited for.
fn locked(path: &Path) -> io::Result<File> {
    let folder = path.parent().ok_or(io::ErrorKind::NotFound)?;
    std::fs::create_dir_all(folder)?;
    let folder = File::open(folder)?;
    let until = Instant::now() + PATIENCE;
    while let Err(error) = folder.try_lock() {
        match error {
            TryLockError::WouldBlock if Instant::now() < until => std::thread::sleep(Duration::from_millis(5)),
            error => return Err(error.into()),
        }
    }
    Ok(folder)
}

fn write(path: &Path, remembered: &Remembered) -> io::Result<()> {
    report::write_whole(path, &serde_json::to_vec_pretty(remembered)?)
}

/// It is to be run again: with `strict`, a note is enough.
fn fails(case: &CaseRecord, strict: bool) -> bool {
    let noted = || case.findings.iter().any(|finding| finding.class == Class::Note);
    match case.result {
        CaseResult::Fail | CaseResult::Inconclusive | CaseResult::Error => true,
        CaseResult::Pass => strict && noted(),
        CaseResult::Skip => false,
    }
}

/// The file of a sequence that was drawn.
pub(super) fn file_of(case: &CaseRecord) -> Option<PathBuf> {
    case.name.starts_with(GENERATED).then(|| PathBuf::from(&case.file))
}

impl Failed {
    /// What failed by a report, or was not run.
    pub(super) fn of_report(path: &Path, strict: bool) -> Result<Failed, Failure> {
        let report =
            read(path).map_err(|error| Failure { sentence: format!("--failed: {}", error.sentence), ..error })?;
        let failed =
            report.cases.iter().filter(|case| fails(case, strict)).map(|case| (case.name.clone(), file_of(case)));
        // Of what was selected and never ran nobody knows that it passes; where a sequence was kept, the report does not say.
        let not_run = report.not_run.iter().filter(|name| !name.starts_with(GENERATED));
        let not_run = not_run.map(|name| (name.clone(), None));
        Ok(Failed { failed: failed.chain(not_run).collect(), from: path.display().to_string() })
    }

    /// The files of sequences that are still there.
    pub(super) fn files(&self) -> Vec<PathBuf> {
        let is_case = |path: &&PathBuf| path.extension().is_some_and(|extension| extension == "case") && path.is_file();
        self.failed.values().flatten().filter(is_case).cloned().collect()
    }

    /// Those of the cases that failed.
    pub(super) fn among(&self, cases: Vec<Planned>) -> Vec<Planned> {
        cases.into_iter().filter(|case| self.failed.contains_key(&case.name)).collect()
    }

    /// The names of what failed, and is neither among all cases of this version nor kept in a file.
    pub(super) fn gone(&self, all: &[String], kept: &[Planned]) -> Vec<String> {
        let known: BTreeSet<&str> = all.iter().chain(kept.iter().map(|case| &case.name)).map(String::as_str).collect();
        self.failed.keys().filter(|name| !known.contains(name.as_str())).cloned().collect()
    }

    /// Why there is nothing to run again.
    pub(super) fn nothing(&self, gone: &[String]) -> String {
        let all = "`run` without --failed runs all";
        if !self.failed.is_empty() {
            let gone = said_of_gone(gone).map_or_else(String::new, |said| format!("; {said}"));
            return format!("--failed: nothing of what failed by {} is selected here{gone}; {all}", self.from);
        }
        if self.from.is_empty() {
            return format!("--failed: there is no home to remember in what failed (HOME, XDG_STATE_HOME); {all}");
        }
        format!(
            "--failed: no failure is known by {}: nothing failed when it last ran against this target, as --spawn, --socket, --device, \
             --profile and --cases name it, from this folder; or nothing of it ran yet; {all}",
            self.from
        )
    }
}

/// What is said of cases that failed and are there no more.
pub(super) fn said_of_gone(gone: &[String]) -> Option<String> {
    let names: Vec<String> = gone.iter().take(NAMES).map(|name| harmless(name)).collect();
    let more = if gone.len() > NAMES { ", .." } else { "" };
    let of = if gone.len() == 1 { "1 case is" } else { &format!("{} cases are", gone.len()) };
    (!gone.is_empty())
        .then(|| format!("{of} gone from the cases of this version, or from the disk: {}{more}", names.join(", ")))
}

/// What is said of sequences that are kept in files and were left out.
pub(super) fn said_of_files(files: &[PathBuf], target: &TargetOptions) -> Option<String> {
    let words: Vec<String> = files.iter().map(|path| quoted(&path.display().to_string())).collect();
    let again = target.again();
    (!files.is_empty()).then(|| {
        format!("sequences that were drawn belong to no part of --shard; to run them again: vfio-user-conformance replay {}{again}", words.join(" "))
    })
}

#[cfg(test)]
#[path = "failed_tests.rs"]
mod tests;
