//! `--report json=FILE`.

use std::io;
use std::path::PathBuf;

use super::collector::Collector;
use super::{Context, Report, Reporter, file};
use crate::run::{End, Event};

/// Writes the report as JSON when the run has ended, be it early.
#[derive(Debug)]
pub struct Json<'a> {
    path: PathBuf,
    collector: Collector<'a>,
}

impl<'a> Json<'a> {
    /// Writes to this file.
    pub fn new(path: impl Into<PathBuf>, context: Context<'a>) -> Json<'a> {
        Json { path: path.into(), collector: Collector::of_everything(context) }
    }
}

impl Reporter for Json<'_> {
    fn event(&mut self, event: &Event) -> io::Result<()> {
        match (self.collector.event(event), event) {
            (Some(report), Event::Ended(end)) => self.report(&report, end),
            _ => Ok(()),
        }
    }

    fn report(&mut self, report: &Report, _: &End) -> io::Result<()> {
        let mut text = serde_json::to_vec_pretty(report)?;
        text.push(b'\n');
        file::write(&self.path, &text)
    }
}

#[cfg(test)]
#[path = "json_tests.rs"]
mod tests;
