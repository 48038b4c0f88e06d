//! `--report html=FILE`: one page, which needs no network, made from the report alone.

mod cases;
mod causes;
mod differential;
mod exchange;
mod finding;
mod findings;
mod links;
mod message;
mod overview;
mod page;
mod pins;
mod requirements;
mod target;

use std::io;
use std::path::PathBuf;

pub use page::page;

use super::collector::Collector;
use super::{Context, Report, Reporter, file};
use crate::requirement::Register;
use crate::run::{End, Event};

/// Writes the report as a page when the run has ended, be it early.
#[derive(Debug)]
pub struct Html<'a> {
    path: PathBuf,
    register: &'a Register,
    collector: Collector<'a>,
}

impl<'a> Html<'a> {
    /// Writes to this file.
    pub fn new(path: impl Into<PathBuf>, context: Context<'a>) -> Html<'a> {
        Html { path: path.into(), register: context.register, collector: Collector::of_findings(context) }
    }
}

impl Reporter for Html<'_> {
    fn event(&mut self, event: &Event) -> io::Result<()> {
        match (self.collector.event(event), event) {
            (Some(report), Event::Ended(end)) => self.report(&report, end),
            _ => Ok(()),
        }
    }

    fn report(&mut self, report: &Report, _: &End) -> io::Result<()> {
        file::write(&self.path, page(report, self.register).as_bytes())
    }
}

#[cfg(test)]
mod tests;
