//! `--report markdown=FILE`: a run's summary, for the summary of a CI job or a comment.

mod block;
mod summary;

use std::io;
use std::path::PathBuf;

pub use summary::summary;

use super::collector::Collector;
use super::{Context, Report, Reporter, file};
use crate::requirement::Register;
use crate::run::{End, Event};

/// Writes the summary when the run has ended, be it early.
#[derive(Debug)]
pub struct Markdown<'a> {
    path: PathBuf,
    register: &'a Register,
    collector: Collector<'a>,
}

impl<'a> Markdown<'a> {
    /// Writes to this file.
    pub fn new(path: impl Into<PathBuf>, context: Context<'a>) -> Markdown<'a> {
        Markdown { path: path.into(), register: context.register, collector: Collector::of_findings(context) }
    }
}

impl Reporter for Markdown<'_> {
    fn event(&mut self, event: &Event) -> io::Result<()> {
        match (self.collector.event(event), event) {
            (Some(report), Event::Ended(end)) => self.report(&report, end),
            _ => Ok(()),
        }
    }

    fn report(&mut self, report: &Report, _: &End) -> io::Result<()> {
        file::write(&self.path, summary(report, self.register).as_bytes())
    }
}

#[cfg(test)]
#[path = "summary_tests.rs"]
mod tests;
