//! `--report github=FILE`, with /dev/stdout as FILE in a job of GitHub Actions.

use std::io;
use std::path::PathBuf;

use super::annotation::annotations;
use crate::report::collector::Collector;
use crate::report::{Context, Report, Reporter, file};
use crate::requirement::Register;
use crate::run::{End, Event};

/// Writes what failed a run as annotations, ten at most, when the run has ended, be it early.
#[derive(Debug)]
pub struct Github<'a> {
    path: PathBuf,
    register: &'a Register,
    collector: Collector<'a>,
}

impl<'a> Github<'a> {
    /// Writes to this file.
    pub fn new(path: impl Into<PathBuf>, context: Context<'a>) -> Github<'a> {
        Github { path: path.into(), register: context.register, collector: Collector::of_findings(context) }
    }
}

impl Reporter for Github<'_> {
    fn event(&mut self, event: &Event) -> io::Result<()> {
        match (self.collector.event(event), event) {
            (Some(report), Event::Ended(end)) => self.report(&report, end),
            _ => Ok(()),
        }
    }

    fn report(&mut self, report: &Report, _: &End) -> io::Result<()> {
        let lines: String =
            annotations(report, self.register).iter().map(|annotation| format!("{annotation}\n")).collect();
        file::write(&self.path, lines.as_bytes())
    }
}
