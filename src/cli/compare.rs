//! `compare`.

use std::path::{Path, PathBuf};
use std::str::FromStr;

use clap::{Args, ValueEnum};

use super::merge::{not_an_input, read};
use super::{Failure, setup, write_out};
use crate::report::{ExitCode, Matrix, Source, count, harmless, write_whole};

/// So many cases are named that a run lacks.
const NAMED: usize = 5;

/// Compare reports of several servers, or of several versions of one, requirement by requirement.
#[derive(Debug, Args)]
pub(super) struct Compare {
    /// The reports of `run --report json=FILE`, or of `merge`. NAME= before one names its column, which is otherwise
    /// called by the target and the version of the protocol. Of two, the second is what the first has become.
    #[arg(value_name = "[NAME=]FILE", required = true, num_args = 2..)]
    reports: Vec<Named>,
    /// How it is told.
    #[arg(long, value_name = "FORMAT", value_enum, default_value_t = Format::Terminal)]
    format: Format,
    /// Write to this file in place of standard output.
    #[arg(long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Tell of every requirement, and not only of those that differ; a page of HTML has all of them.
    #[arg(long)]
    all: bool,
    /// Compare runs, too, that did not come to their end, or are parts of one; it is told which. With --fail-on-worse, a second run, too,
    /// that lacks cases which the first one played.
    #[arg(long)]
    incomplete: bool,
    /// End with exit code 2 where something became worse from the first report to the second, and with 5 where they have nothing
    /// in common.
    #[arg(long)]
    fail_on_worse: bool,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Format {
    Terminal,
    Markdown,
    Html,
    /// Markdown for those who choose a server: of each, what it violates, and what could not be tested.
    Page,
}

/// A file, and how its column is called.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Named {
    name: Option<String>,
    file: PathBuf,
}

impl FromStr for Named {
    type Err = String;

    fn from_str(text: &str) -> Result<Named, String> {
        match text.split_once('=') {
            // A file may have that sign in its name.
            Some(_) if Path::new(text).exists() => {}
            Some((name, file)) if name.trim().is_empty() || file.is_empty() => {
                return Err("NAME=FILE, or a file".to_owned());
            }
            Some((name, file)) => return Ok(Named { name: Some(name.trim().to_owned()), file: file.into() }),
            None => {}
        }
        Ok(Named { name: None, file: text.into() })
    }
}

impl Compare {
    pub(super) fn main(&self) -> Result<ExitCode, Failure> {
        if let Some(output) = &self.output {
            not_an_input(output, self.reports.iter().map(|named| &named.file))?;
        }
        let register = setup::register()?;
        let source = |named: &Named| -> Result<Source, Failure> {
            let report = read(&named.file)?;
            Ok(Source { name: named.name.clone(), file: named.file.display().to_string(), report })
        };
        let sources = self.reports.iter().map(source).collect::<Result<Vec<Source>, Failure>>()?;
        if !self.incomplete {
            whole(&sources)?;
        }
        let matrix = Matrix::new(sources, &register);
        if self.fail_on_worse {
            self.can_be_worse(&matrix)?;
        }
        let text = match self.format {
            Format::Terminal => matrix.terminal(self.all),
            Format::Markdown => matrix.markdown(self.all),
            Format::Html => matrix.html(),
            Format::Page => matrix.page(),
        };
        match &self.output {
            None => write_out(&text)?,
            Some(path) => {
                let bare = anstream::adapter::strip_str(&text).to_string();
                write_whole(path, bare.as_bytes())
                    .map_err(|error| Failure::ours(format!("the comparison could not be written: {error}")))?;
            }
        }
        let worse = matrix.changes.as_ref().is_some_and(|changes| changes.has_worse());
        Ok(if self.fail_on_worse && worse { ExitCode::Violations } else { ExitCode::Conforming })
    }

    /// That nothing became worse can be said: the second run looked at what the first one did.
    fn can_be_worse(&self, matrix: &Matrix) -> Result<(), Failure> {
        let Some(changes) = &matrix.changes else {
            return Err(Failure::usage(
                "--fail-on-worse needs two reports of one version of the protocol: only of these it is known what became worse",
            ));
        };
        if changes.is_of_nothing() {
            let sentence = "nothing was compared: there is no case on which both reports have a verdict, and what became \
                            worse is not known (--fail-on-worse)";
            return Err(Failure { code: ExitCode::NothingRan, sentence: sentence.to_owned() });
        }
        let Some(after) = matrix.sources.last().filter(|_| !self.incomplete && !changes.lost.is_empty()) else {
            return Ok(());
        };
        let named: Vec<&str> = changes.lost.iter().take(NAMED).map(String::as_str).collect();
        let more = if changes.lost.len() > NAMED { ", .." } else { "" };
        Err(Failure::usage(harmless(&format!(
            "{} is incomplete: it has no verdict on {} that the first report played ({}{more}), and whether they became worse is not \
             known; run them again, or compare it all the same (--incomplete)",
            after.file,
            count(changes.lost.len(), "case"),
            named.join(", ")
        ))))
    }
}

/// None of them is of a part, or of a run that did not come to its end: what it did not play would read as not exercised.
fn whole(sources: &[Source]) -> Result<(), Failure> {
    let told: Vec<String> = sources
        .iter()
        .filter_map(|source| Some((source, source.incomplete()?)))
        .map(|(source, why)| {
            let todo = match source.report.shard {
                Some(_) => "merge the parts first (`merge`)",
                None => "run it again",
            };
            harmless(&format!(
                "{} is incomplete: {why}; {todo}, or compare it all the same (--incomplete)",
                source.file
            ))
        })
        .collect();
    if told.is_empty() { Ok(()) } else { Err(Failure::usage(told.join("\n"))) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_column_is_named_before_its_file() {
        let named = |text: &str| text.parse::<Named>().map(|named| (named.name, named.file.display().to_string()));
        assert_eq!(named("a.json"), Ok((None, "a.json".to_owned())));
        assert_eq!(named("old=a.json"), Ok((Some("old".to_owned()), "a.json".to_owned())));
        assert_eq!(named("old=a=b.json"), Ok((Some("old".to_owned()), "a=b.json".to_owned())));
        for text in ["=a.json", "old="] {
            assert_eq!(named(text), Err("NAME=FILE, or a file".to_owned()));
        }
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("old=a.json");
        std::fs::write(&path, "").unwrap();
        let text = path.display().to_string();
        assert_eq!(named(&text), Ok((None, text.clone())));
    }
}
