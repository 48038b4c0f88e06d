//! What people see: progress while the run goes on, then what was found.

mod bytes;
mod differential;
pub(super) mod exchange;
pub(super) mod finding;
pub(super) mod paint;
mod progress;
pub(super) mod requirements;
mod summary;

use std::io::{self, Write};

pub use finding::case_text;
use paint::{BOLD, DIM, YELLOW, paint};
use progress::Progress;
use summary::Summary;

use super::collector::Collector;
use super::text::{self, cut, harmless, wrap};
use super::{Context, ExitCode, Report, Reporter, github};
use crate::Profile;
use crate::run::{End, Event, Start};

/// How wide text may be.
const WIDTH: usize = 108;
/// How many lines of one trouble of the probe's are shown.
const TROUBLE: usize = 5;

/// Tells a run to people. It writes colours; [`Terminal::stdout`] takes them out where nobody would see them. Who reads no
/// further has seen enough: that is no error, and the run goes on to its verdict.
#[derive(Debug)]
pub struct Terminal<'a, W> {
    out: W,
    context: Context<'a>,
    collector: Collector<'a>,
    progress: Progress,
    verbose: bool,
    /// A runner of GitHub Actions reads it.
    tamed: bool,
}

impl<'a> Terminal<'a, anstream::AutoStream<io::Stdout>> {
    /// To standard output; with progress on standard error.
    pub fn stdout(context: Context<'a>, verbose: bool) -> Self {
        let terminal = Terminal::new(anstream::stdout(), context, verbose);
        Terminal { progress: Progress::by_streams(), tamed: github::is_read(), ..terminal }
    }
}

impl<'a, W: Write> Terminal<'a, W> {
    /// To any writer, without progress. With `verbose`, nothing is left out for brevity.
    pub fn new(out: W, context: Context<'a>, verbose: bool) -> Self {
        let collector = Collector::of_findings(context);
        Terminal { out, context, collector, progress: Progress::silent(), verbose, tamed: false }
    }

    fn started(&mut self, start: &Start) -> io::Result<()> {
        let shard = start.shard.map_or(String::new(), |(index, count)| format!(", part {index} of {count}"));
        self.head(start, &shard)?;
        self.progress.begin(start.cases as u64)
    }

    /// What is judged, and by what; `which` says which cases those are.
    fn head(&mut self, start: &Start, which: &str) -> io::Result<()> {
        let version = start
            .discovered
            .version
            .map_or(String::new(), |(major, minor)| format!(" (speaks version {major}.{minor})"));
        let profile = ("profile", format!("{}: {}", start.profile, start.profile_why));
        let mut rows = match &start.against {
            None => vec![
                ("target", format!("{}{version}", start.target)),
                profile,
                ("cases", format!("{}{which}", start.cases)),
            ],
            Some(against) => {
                vec![("A", format!("{}{version}", start.target)), ("B", format!("{against}{which}")), profile]
            }
        };
        if start.profile != Profile::V0_9_2 {
            rows.push(("clauses", "what this version shares with 0.9.2 is cited by the lines of 0.9.2".to_owned()));
        }
        let mut lines = vec![paint(BOLD, format!("{} {}", env!("CARGO_PKG_NAME"), env!("CARGO_PKG_VERSION")))];
        for (word, text) in rows {
            lines.push(format!("{}{}", paint(DIM, format!("{word:10}")), harmless(&text)));
        }
        for trouble in &start.discovered.troubles {
            let wrapped = trouble.lines().flat_map(|line| wrap(&cut(&harmless(line), 2 * WIDTH), WIDTH));
            for (n, line) in wrapped.take(TROUBLE).enumerate() {
                let word = if n == 0 { "probe" } else { "" };
                lines.push(format!("{}{line}", paint(YELLOW, format!("{word:10}"))));
            }
        }
        self.write(&format!("{}\n\n", lines.join("\n")))
    }

    fn write(&mut self, text: &str) -> io::Result<()> {
        let text = if self.tamed { github::tame(text) } else { text.into() };
        self.out.write_all(text.as_bytes())?;
        self.out.flush()
    }
}

impl<W: Write> Reporter for Terminal<'_, W> {
    fn event(&mut self, event: &Event) -> io::Result<()> {
        let report = self.collector.event(event);
        unless_left(self.tell(event, report))
    }

    fn report(&mut self, report: &Report, end: &End) -> io::Result<()> {
        unless_left(self.whole(report, end))
    }
}

/// Who reads no further has seen enough.
fn unless_left(told: io::Result<()>) -> io::Result<()> {
    match told {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        told => told,
    }
}

impl<W: Write> Terminal<'_, W> {
    fn tell(&mut self, event: &Event, report: Option<Report>) -> io::Result<()> {
        match event {
            Event::Started(start) => self.started(start)?,
            Event::CaseStarted { name } => self.progress.case(name),
            Event::CaseFinished(case) => self.progress.finished(case),
            Event::Generating { played, count } => self.progress.sequences(*played, *count),
            Event::Shrinking { number, count } => self.progress.shrinking(*number, *count),
            Event::Generated(_) | Event::Compared(_) | Event::Ended(_) => {}
        }
        let (Some(report), Event::Ended(end)) = (report, event) else { return Ok(()) };
        self.progress.end();
        self.summary(&report, end)
    }

    fn summary(&mut self, report: &Report, end: &End) -> io::Result<()> {
        let code = ExitCode::of(report, end, report.strict);
        let summary = Summary { report, context: self.context, verbose: self.verbose };
        self.write(&summary.text(end, code))
    }

    /// A report that is finished, as its run would have told it.
    fn whole(&mut self, report: &Report, end: &End) -> io::Result<()> {
        // Of a target that was never spoken to a run tells no more than its end.
        if let Ok(profile) = report.profile.used.parse() {
            let start = Start {
                command: report.command.clone(),
                target: report.target.how.clone(),
                discovered: report.target.discovered.clone(),
                profile_asked: report.profile.asked.clone(),
                profile,
                profile_why: report.profile.why.clone(),
                cases: report.totals.selected,
                shard: None,
                against: report.differential.as_ref().map(|found| found.against.clone()),
            };
            let which = match report.parts.len() {
                0 => String::new(),
                count => format!(", merged of {}", text::count(count, "part")),
            };
            self.head(&start, &which)?;
        }
        self.summary(report, end)
    }
}

#[cfg(test)]
mod tests;
