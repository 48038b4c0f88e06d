//! How far a run is: a bar on a terminal, and elsewhere a line now and then.

use std::io::{self, IsTerminal, Write};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};

use super::paint::{DIM, RED, paint};
use crate::verdict::{CaseRecord, CaseResult};

/// How long nothing is told where there is no bar.
const QUIET: Duration = Duration::from_secs(30);
/// How often a bar is drawn anew.
const TICK: Duration = Duration::from_secs(1);

/// Tells how far a run is, on standard error.
#[derive(Debug)]
pub(super) struct Progress {
    kind: Kind,
    failed: usize,
}

#[derive(Debug)]
enum Kind {
    /// Nobody is told.
    Silent,
    /// To a terminal that can move its cursor.
    Bar { bar: ProgressBar, colours: bool },
    /// To a file, a pipe, a log of CI.
    Lines(Lines),
}

/// Lines, and when the next one is due.
#[derive(Debug)]
struct Lines {
    started: Instant,
    due: Duration,
    done: u64,
    of: u64,
}

impl Progress {
    /// Nobody is told.
    pub(super) fn silent() -> Progress {
        Progress { kind: Kind::Silent, failed: 0 }
    }

    /// A bar where a person sees standard output and standard error come; a log that CI keeps has lines, even where CI makes a
    /// terminal of it.
    pub(super) fn by_streams() -> Progress {
        let terminals = io::stdout().is_terminal() && io::stderr().is_terminal();
        let is_set = |name| std::env::var_os(name).is_some_and(|value| !value.is_empty() && value != "false");
        let moves = std::env::var_os("TERM").is_some_and(|term| term != "dumb");
        let kind = if terminals && moves && !is_set("CI") {
            let colours = anstream::AutoStream::choice(&io::stderr()) != anstream::ColorChoice::Never;
            Kind::Bar { bar: ProgressBar::hidden(), colours }
        } else {
            Kind::Lines(Lines { started: Instant::now(), due: QUIET, done: 0, of: 0 })
        };
        Progress { kind, failed: 0 }
    }

    /// So many cases are to be played.
    pub(super) fn begin(&mut self, cases: u64) -> io::Result<()> {
        match &mut self.kind {
            Kind::Silent => {}
            Kind::Bar { bar, .. } => {
                let style = ProgressStyle::with_template("{bar:32} {pos}/{len}  {elapsed}  {wide_msg}")
                    .map_err(io::Error::other)?;
                *bar = ProgressBar::new(cases).with_style(style.progress_chars("=> "));
                // The time goes on while a slow case runs.
                bar.enable_steady_tick(TICK);
            }
            Kind::Lines(lines) => lines.of = cases,
        }
        Ok(())
    }

    /// A case begins.
    pub(super) fn case(&self, name: &str) {
        if let Kind::Bar { bar, .. } = &self.kind {
            let failed = if self.failed == 0 { String::new() } else { format!("{} failed  ", self.failed) };
            bar.set_message(format!("{failed}{name}"));
        }
    }

    /// A case has its result.
    pub(super) fn finished(&mut self, case: &CaseRecord) {
        let fails = case.result == CaseResult::Fail;
        self.failed += usize::from(fails);
        match &mut self.kind {
            Kind::Silent => {}
            Kind::Bar { bar, colours } => {
                if fails {
                    // One line, that a long run may be stopped at once; the rest comes at the end.
                    let line = failure(case);
                    let plain = || anstream::adapter::strip_str(&line).to_string();
                    bar.println(if *colours { line.clone() } else { plain() });
                }
                bar.inc(1);
            }
            Kind::Lines(lines) => {
                lines.done += 1;
                lines.tell("cases", self.failed);
            }
        }
    }

    /// So many of so many sequences were played.
    pub(super) fn sequences(&mut self, played: u64, count: u64) {
        match &mut self.kind {
            Kind::Silent => {}
            Kind::Bar { bar, .. } => {
                bar.set_length(count);
                bar.set_position(played);
                bar.set_message("sequences");
            }
            Kind::Lines(lines) => {
                (lines.done, lines.of) = (played, count);
                lines.tell("sequences", self.failed);
            }
        }
    }

    /// One of so many failing sequences is being shrunk.
    pub(super) fn shrinking(&mut self, number: usize, count: usize) {
        match &mut self.kind {
            Kind::Silent => {}
            Kind::Bar { bar, .. } => bar.set_message(format!("shrinking failure {number} of {count}")),
            Kind::Lines(lines) => {
                (lines.done, lines.of) = (number as u64, count as u64);
                lines.tell("failures are being shrunk", self.failed);
            }
        }
    }

    /// No more will happen.
    pub(super) fn end(&self) {
        if let Kind::Bar { bar, .. } = &self.kind {
            bar.finish_and_clear();
        }
    }
}

/// A failing case with what it violates.
fn failure(case: &CaseRecord) -> String {
    let mut violated: Vec<&str> = case.findings.iter().map(|finding| finding.requirement.as_str()).collect();
    violated.sort_unstable();
    violated.dedup();
    format!("{}  {}  {}", paint(RED, "fail"), case.name, paint(DIM, violated.join(" ")))
}

impl Lines {
    /// A line, if one is due; that standard error may be gone is no matter of the run's.
    fn tell(&mut self, what: &str, failed: usize) {
        if let Some(line) = self.line(self.started.elapsed(), what, failed) {
            drop(writeln!(io::stderr(), "{line}"));
        }
    }

    /// The line that is due after this time.
    fn line(&mut self, elapsed: Duration, what: &str, failed: usize) -> Option<String> {
        if elapsed < self.due {
            return None;
        }
        self.due = elapsed + QUIET;
        let failed = if failed == 0 { String::new() } else { format!(", {failed} failed") };
        Some(format!("after {} s: {} of {} {what}{failed}", elapsed.as_secs(), self.done, self.of))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_comes_now_and_then_and_no_more_often() {
        let mut lines = Lines { started: Instant::now(), due: QUIET, done: 3, of: 9 };
        let mut at = |seconds, failed| lines.line(Duration::from_secs(seconds), "cases", failed);
        assert_eq!(at(0, 0), None);
        assert_eq!(at(29, 0), None);
        assert_eq!(at(31, 0).unwrap(), "after 31 s: 3 of 9 cases");
        assert_eq!(at(60, 0), None);
        assert_eq!(at(61, 2).unwrap(), "after 61 s: 3 of 9 cases, 2 failed");
    }
}
