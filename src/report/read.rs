//! A JSON report from a file, of which nothing is believed before it is looked at.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use serde::Deserialize;

use super::text::{cut, harmless};
use super::{Report, SCHEMA, Totals};
use crate::session::Entry;
use crate::verdict::{CaseRecord, Finding};

/// No report is larger, in bytes: one of thousands of cases has some 50 MB.
pub(crate) const MOST: u64 = 1 << 30;
/// There are no more of anything that is counted.
const MANY: u64 = 1 << 40;
/// So much of another schema is told, in characters.
const SCHEMA_SHOWN: usize = 60;
/// No case takes longer, in seconds.
const LONGEST: f64 = 1e9;

/// Why a file cannot be taken for a report.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// It cannot be read.
    #[error("could not read {file}: {error}")]
    Unreadable {
        /// The file.
        file: String,
        /// What the kernel said.
        error: std::io::Error,
    },
    /// There is too much of it.
    #[error("{file} has more than {most} bytes, and no report has: is it the right file?")]
    TooLarge {
        /// The file.
        file: String,
        /// So many a report may have.
        most: u64,
    },
    /// There is nothing in it.
    #[error("{file} is empty: the run that was to write it did not come to its end")]
    Empty {
        /// The file.
        file: String,
    },
    /// It ends in the middle.
    #[error(
        "{file} is cut short: it ends at line {line}, in the middle of the report; copy it again, or run again what wrote it"
    )]
    CutShort {
        /// The file.
        file: String,
        /// Where, from 1.
        line: usize,
    },
    /// It is something else.
    #[error("{file} is no report of `run --report json=FILE`: {why}")]
    NoReport {
        /// The file.
        file: String,
        /// What shows that.
        why: String,
    },
    /// It is of another version of this program.
    #[error(
        "{file} is a report of schema {found}, and this program reads schema \"{SCHEMA}\": use the version that wrote it"
    )]
    OtherSchema {
        /// The file.
        file: String,
        /// Its schema, as JSON.
        found: String,
    },
}

impl Report {
    /// Reads the report that `run --report json=FILE` or `merge` wrote.
    ///
    /// # Errors
    /// A sentence that names the file, what is wrong with it, and what to do.
    pub fn read(path: &Path) -> Result<Report, ReadError> {
        read(path, MOST)
    }

    /// As [`Report::read`], from the contents of a file of this name.
    ///
    /// # Errors
    /// As [`Report::read`].
    pub fn parse(file: &str, bytes: &[u8]) -> Result<Report, ReadError> {
        parse(harmless(file), bytes)
    }
}

/// What is looked at first: of another schema nothing else may be where it is looked for.
#[derive(Deserialize)]
struct Head {
    schema: Option<serde_json::Value>,
}

fn read(path: &Path, most: u64) -> Result<Report, ReadError> {
    let file = harmless(&path.display().to_string());
    let mut bytes = Vec::new();
    let opened = File::open(path).and_then(|open| open.take(most.saturating_add(1)).read_to_end(&mut bytes));
    if let Err(error) = opened {
        return Err(ReadError::Unreadable { file, error });
    }
    if bytes.len() as u64 > most {
        return Err(ReadError::TooLarge { file, most });
    }
    parse(file, &bytes)
}

fn parse(file: String, bytes: &[u8]) -> Result<Report, ReadError> {
    match bytes.trim_ascii_start().first() {
        None => return Err(ReadError::Empty { file }),
        Some(b'{') => {}
        Some(_) => return Err(ReadError::NoReport { file, why: "it is no JSON object".to_owned() }),
    }
    let wrong = |error: serde_json::Error| match error.is_eof() {
        true => ReadError::CutShort { file: file.clone(), line: error.line() },
        false => ReadError::NoReport { file: file.clone(), why: harmless(&error.to_string()) },
    };
    let head: Head = serde_json::from_slice(bytes).map_err(wrong)?;
    match head.schema {
        Some(schema) if schema == SCHEMA => {}
        Some(other) => {
            return Err(ReadError::OtherSchema { file, found: cut(&harmless(&other.to_string()), SCHEMA_SHOWN) });
        }
        None => return Err(ReadError::NoReport { file, why: "it names no `schema`".to_owned() }),
    }
    let report: Report = serde_json::from_slice(bytes).map_err(wrong)?;
    match unsound(&report) {
        Some(why) => Err(ReadError::NoReport { file, why }),
        None => Ok(report),
    }
}

/// What no run writes: names that would steer a terminal, numbers that cannot be added up, a version that there is not.
fn unsound(report: &Report) -> Option<String> {
    if let Some(name) = names(report).find(|name| harmless(name) != **name) {
        return Some(format!("it has the name \"{}\", with characters that no name has", harmless(name)));
    }
    let used = &report.profile.used;
    if !used.is_empty()
        && let Err(error) = used.parse::<crate::Profile>()
    {
        return Some(harmless(&error.to_string()));
    }
    if counted(report).any(|number| number > MANY) {
        return Some("it counts more than any run has".to_owned());
    }
    let mut attempts = report.cases.iter().flat_map(|case| case.attempts.iter().map(move |attempt| (case, attempt)));
    attempts
        .find(|(_, attempt)| !(0.0..LONGEST).contains(&attempt.seconds))
        .map(|(case, attempt)| format!("{} took {} seconds", case.name, attempt.seconds))
}

/// What is added up, or multiplied for a picture.
fn counted(report: &Report) -> impl Iterator<Item = u64> {
    let Totals { selected, pass, fail, skip, inconclusive, error, not_run, notes } = report.totals;
    let totals = [selected, pass, fail, skip, inconclusive, error, not_run, notes].map(|number| number as u64);
    let drawn = report.generated.iter().flat_map(|drawn| [drawn.sequences, drawn.steps, drawn.answered, drawn.failed]);
    let compared = report.differential.iter().map(|found| found.sequences);
    let lengths = report.cases.iter().flat_map(|case| &case.transcript).map(|entry| entry.length as u64);
    totals.into_iter().chain(drawn).chain(compared).chain(lengths)
}

/// All that is shown as it is.
fn names(report: &Report) -> impl Iterator<Item = &String> {
    let (harness, profile) = (&report.harness, &report.profile);
    let own = [&report.platform, &harness.name, &harness.version, &profile.asked, &profile.used];
    let cases = report.cases.iter().flat_map(|case: &CaseRecord| {
        let own = [&case.name, &case.file].into_iter().chain(&case.requirements);
        let checks = case.checks.iter().map(|check| &check.requirement);
        own.chain(checks).chain(findings(&case.findings)).chain(messages(&case.transcript))
    });
    let divergences = report.differential.iter().flat_map(|found| &found.divergences);
    let divergences = divergences.flat_map(|divergence| {
        let sides = [&divergence.a, &divergence.b];
        let replies = sides.into_iter().filter_map(|side| side.reply.as_ref());
        let entries = divergence.before.iter().chain(&divergence.sent).chain(replies);
        entries.flat_map(entry).chain(sides.into_iter().flat_map(|side| findings(&side.findings)))
    });
    let causes = report.causes.iter().flat_map(|cause| &cause.requirements);
    let met = report.expectations.iter().flat_map(|compared| &compared.met);
    let met = met.flat_map(|met| std::iter::once(&met.case).chain(&met.requirement));
    own.into_iter()
        .chain(report.requirements.keys())
        .chain(&report.not_run)
        .chain(cases)
        .chain(divergences)
        .chain(causes)
        .chain(met)
}

fn findings(findings: &[Finding]) -> impl Iterator<Item = &String> {
    findings.iter().flat_map(|finding| {
        let field = finding.field.as_ref().map(|field| &field.name);
        std::iter::once(&finding.requirement).chain(&finding.policy).chain(field)
    })
}

fn messages(transcript: &[Entry]) -> impl Iterator<Item = &String> {
    transcript.iter().flat_map(entry)
}

fn entry(entry: &Entry) -> impl Iterator<Item = &String> {
    let fields = entry.fields.iter().map(|field| &field.name);
    [&entry.client, &entry.channel, &entry.bytes].into_iter().chain(fields)
}

#[cfg(test)]
#[path = "read_tests.rs"]
mod tests;
