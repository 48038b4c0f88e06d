//! `--report json=FILE`.

use std::io;
use std::path::PathBuf;

use super::collector::Collector;
use super::{Context, Reporter, file};
use crate::run::Event;

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
        let Some(report) = self.collector.event(event) else { return Ok(()) };
        let mut text = serde_json::to_vec_pretty(&report)?;
        text.push(b'\n');
        file::write(&self.path, &text)
    }
}

#[cfg(test)]
#[path = "json_tests.rs"]
mod tests;
