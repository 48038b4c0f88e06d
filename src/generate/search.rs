//! Sequences drawn, played, and what fails among them shrunk into case files.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use vfio_user_wire::message::VERSION;

use super::plain::plain;
use super::shrink::{Trial, shrink};
use super::{Offer, draw};
use crate::case::{Case, Source, StepKind, errno, print};
use crate::run::{Event, Planned, Play, Runner, Timeouts, play, quoted};
use crate::session::Way;
use crate::verdict::{CaseRecord, CaseResult, Class, Evidence, Finding};

/// So many sequences are drawn and played before the next ones are drawn.
const BATCH: u64 = 256;
/// So many plays shrink one failure, at the most.
const TRIALS: usize = 400;
/// So many where each waits for a deadline.
const SLOW_TRIALS: usize = 40;
/// So many characters of a crash tell it from others: the place stands at their start.
const CRASH_TOLD: usize = 200;
/// What the names of cases that are written begin with.
pub const GENERATED: &str = "generated.";
/// What is said of sequences that fail for one cause, behind their number.
const FAIL_SO: &str = " sequences fail so";
/// How often a failure is played before it is shrunk.
const REPLAYS: usize = 3;

/// What to draw, and where to keep what fails.
#[derive(Debug)]
pub struct Search<'a> {
    /// Plays them.
    pub runner: &'a Runner<'a>,
    /// What the target offers.
    pub offer: &'a Offer,
    /// Which sequences: the same seed draws the same ones.
    pub seed: u64,
    /// How many.
    pub count: u64,
    /// `(index, count)`, from 1: only every so manieth of them.
    pub shard: Option<(usize, usize)>,
    /// The folder for the case files; it is made where something fails.
    pub folder: &'a Path,
    /// The words that run a case file again; its path, quoted for a shell, goes where `{file}` stands.
    pub replay: &'a str,
}

/// What a search came to.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Found {
    /// How many sequences were played.
    pub sequences: u64,
    /// How many messages they sent.
    pub steps: u64,
    /// How many of them were answered.
    pub answered: u64,
    /// How many of them failed.
    pub failed: u64,
    /// All that were asked for were played, and what failed was shrunk.
    pub complete: bool,
    /// It was stopped at the first failure.
    pub stopped: bool,
    /// The server was lost: the sentence for it.
    pub lost: Option<String>,
    /// What was found, each cause once, by the file that was written for it.
    pub records: Vec<CaseRecord>,
}

/// What a search tells while it runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Progress {
    /// So many sequences were played.
    Played(u64),
    /// A failure is being shrunk: which one, of how many.
    Shrinking(usize, usize),
}

/// What cannot be done for faults of ours.
#[derive(Debug, thiserror::Error)]
pub enum SearchError {
    /// A case file cannot be written.
    #[error("could not write {}: {error}", .path.display())]
    Write {
        /// Which.
        path: PathBuf,
        /// What the kernel said.
        error: std::io::Error,
    },
    /// Anything else.
    #[error("{0}")]
    Fault(String),
}

/// Failures that look alike: what they break, and how.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Cause {
    pub(super) requirement: String,
    /// What was due and what came, without their numbers and the names of errnos.
    words: String,
}

impl Cause {
    pub(super) fn of(finding: &Finding) -> Cause {
        let requirement = finding.requirement.clone();
        if finding.evidence == Evidence::Exited {
            // Where it crashed says it all, whatever was sent.
            let words = finding.actual.lines().next().unwrap_or_default().chars().take(CRASH_TOLD).collect();
            return Cause { requirement, words };
        }
        let words: String = [finding.expected.as_str(), finding.actual.lines().next().unwrap_or_default()]
            .join("; ")
            .split(|c: char| !c.is_alphanumeric())
            .filter(|word| !word.is_empty() && !word.contains(|c: char| c.is_ascii_digit()) && errno(word).is_none())
            .collect::<Vec<_>>()
            .join(" ");
        Cause { requirement, words }
    }

    /// What the case that shows it is called, where it is the only one of its requirement.
    pub(super) fn name(&self) -> String {
        format!("{GENERATED}{}", self.requirement.to_lowercase())
    }
}

/// What is said of so many sequences.
pub(super) fn told(count: u64) -> String {
    format!("{count}{FAIL_SO}")
}

/// How many sequences a record stands for.
pub(super) fn count(record: &CaseRecord) -> u64 {
    let counted = record.reason.as_deref().and_then(|reason| reason.strip_suffix(FAIL_SO));
    counted.and_then(|count| count.parse().ok()).unwrap_or(1)
}

/// One sequence that shows a cause, and how many do.
#[derive(Debug)]
struct Failure {
    number: u64,
    sends: usize,
    count: u64,
    evidence: Evidence,
    /// What it came to when it was played.
    record: Box<CaseRecord>,
    /// It was shrunk and written, or is another one's.
    judged: bool,
    /// Where it stands among what was found.
    at: Option<usize>,
}

pub(super) fn violation<'f>(mut findings: impl Iterator<Item = &'f Finding>) -> Option<&'f Finding> {
    findings.find(|finding| finding.class == Class::Violation)
}

impl Search<'_> {
    /// Plays all sequences; what fails is shrunk, written to a file, and that file is played. Where the first failure is to end
    /// it, what fails is shrunk as soon as it is seen: only then it has the name by which it may be pinned.
    ///
    /// # Errors
    /// Faults of ours.
    pub fn run(&self, mut progress: impl FnMut(Progress)) -> Result<Found, SearchError> {
        let mut found = Found { complete: true, ..Found::default() };
        let mut failures: BTreeMap<Cause, Failure> = BTreeMap::new();
        let mut next = 0;
        while next < self.count && found.complete {
            let end = self.count.min(next + self.at_once());
            self.batch(next..end, &mut found, &mut failures)?;
            next = end;
            progress(Progress::Played(found.sequences));
            if self.runner.fail_fast && self.keep_all(&mut failures, &mut found, &mut progress)? && next < self.count {
                found.stopped = true;
                found.complete = false;
            }
        }
        self.keep_all(&mut failures, &mut found, &mut progress)?;
        for failure in failures.values().filter(|failure| failure.count > 1) {
            if let Some(record) = failure.at.and_then(|at| found.records.get_mut(at)) {
                record.reason.get_or_insert_with(|| told(failure.count));
            }
        }
        Ok(found)
    }

    /// How many sequences are played before what failed among them is looked into.
    fn at_once(&self) -> u64 {
        let parts = self.shard.map_or(1, |(_, count)| count);
        if self.runner.fail_fast { (self.runner.jobs.max(1) * parts) as u64 } else { BATCH }
    }

    /// Keeps the failures that are new; whether one of them is a reason to stop.
    fn keep_all(
        &self,
        failures: &mut BTreeMap<Cause, Failure>,
        found: &mut Found,
        progress: &mut impl FnMut(Progress),
    ) -> Result<bool, SearchError> {
        let causes: BTreeSet<Cause> = failures.keys().cloned().collect();
        let count = failures.values().filter(|failure| !failure.judged).count();
        let mut fails = false;
        for (n, (cause, failure)) in failures.iter_mut().filter(|(_, failure)| !failure.judged).enumerate() {
            progress(Progress::Shrinking(n + 1, count));
            failure.judged = true;
            if let Some(record) = self.keep(cause, failure, &causes, found)? {
                fails |= self.runner.fails(&record);
                failure.at = Some(found.records.len());
                found.records.push(record);
            }
        }
        Ok(fails)
    }

    fn batch(
        &self,
        numbers: std::ops::Range<u64>,
        found: &mut Found,
        failures: &mut BTreeMap<Cause, Failure>,
    ) -> Result<(), SearchError> {
        let mut planned = Vec::new();
        let mine = |number: &u64| match self.shard {
            Some((index, count)) => number % count as u64 == index as u64 - 1,
            None => true,
        };
        let numbers: Vec<u64> = numbers.filter(mine).collect();
        for &number in &numbers {
            planned.push(Planned::of(&draw(self.offer, self.seed, number)).map_err(SearchError::Fault)?);
        }
        let number_of = |name: &str| planned.iter().position(|case| case.name == name);
        let mut faults = Vec::new();
        let ended = self.brisk().run(&planned, |event| {
            let Event::CaseFinished(record) = event else { return };
            let Some(at) = number_of(&record.name) else { return };
            let sends = planned.get(at).map_or(0, |case| sends(&case.case));
            found.sequences += 1;
            let (sent, answered) = exchanged(&record);
            // What the harness sends besides is no step.
            found.steps += sends.min(sent) as u64;
            found.answered += answered as u64;
            if record.result == CaseResult::Error {
                faults.push(format!("{}: {}", record.name, record.reason.unwrap_or_default()));
                return;
            }
            let Some(finding) = violation(record.findings.iter()) else { return };
            found.failed += 1;
            let (number, evidence) = (numbers.get(at).copied().unwrap_or_default(), finding.evidence);
            let cause = Cause::of(finding);
            let failure = Failure { number, sends, count: 1, evidence, record, judged: false, at: None };
            match failures.get_mut(&cause) {
                None => drop(failures.insert(cause, failure)),
                Some(known) => {
                    let count = known.count + 1;
                    if !known.judged && (sends, number) < (known.sends, known.number) {
                        *known = failure;
                    }
                    known.count = count;
                }
            }
        });
        let ended = ended.map_err(|error| SearchError::Fault(error.to_string()))?;
        if let Some(fault) = faults.into_iter().next() {
            return Err(SearchError::Fault(fault));
        }
        found.complete &= ended.complete;
        found.lost = found.lost.take().or(ended.lost);
        Ok(())
    }

    /// Most of what is drawn for a server that falls silent ends in silence: a deadline that passes too soon is found out
    /// when the failure is played again.
    fn brisk(&self) -> Runner<'_> {
        let Runner { mut context, jobs, ref replay, .. } = *self.runner;
        context.timeouts = Timeouts::from_reply(context.timeouts.reply / 4);
        Runner { context, jobs, fail_fast: false, pinned: None, replay: replay.clone() }
    }

    /// Shrinks a failure and writes it to a file: what it comes to then, unless another one came to the same.
    fn keep(
        &self,
        cause: &Cause,
        failure: &Failure,
        causes: &BTreeSet<Cause>,
        found: &mut Found,
    ) -> Result<Option<CaseRecord>, SearchError> {
        let case = draw(self.offer, self.seed, failure.number);
        // A server that is called has no time in which to be late.
        let slow = failure.evidence == Evidence::Deadline && !self.runner.context.launcher.calls();
        let trials = if slow { SLOW_TRIALS } else { TRIALS };
        let mut attempt = Attempt { search: self, cause, slow, wording: true, left: trials, last: None };
        let seen = (0..REPLAYS).filter(|_| attempt.plays_so(&case)).count();
        let small = if seen > 0 && !self.runner.context.interrupt.raised() {
            attempt.left = trials;
            shrink(&case, &mut attempt)
        } else {
            case
        };
        // What goes wrong in one piece as well is no matter of the pieces, and is told as what it is.
        if self.in_one_piece(&small).is_some_and(|other| other != *cause && causes.contains(&other)) {
            return Ok(None);
        }
        let mut written = Case { name: super::message::word(&self.name(cause, found)), ..small.clone() };
        written.comments = self.comments(cause, failure, attempt.last.as_ref());
        if let Some((finding, play)) = &attempt.last {
            let plainer = plain(&written, finding, &play.came);
            attempt.wording = false;
            if attempt.plays_so(&plainer) {
                written = plainer;
            }
        }
        let alike = |record: &CaseRecord| same_steps(record, &written);
        if found.records.iter().any(alike) {
            return Ok(None);
        }
        let path = self.write(&written)?;
        let shown = path.display().to_string();
        let file = quoted(&shown);
        let replay = self.replay.replace("{file}", &file);
        let mut planned = Planned::of(&written).map_err(SearchError::Fault)?;
        planned.source = Arc::new(Source { name: shown.clone(), text: planned.source.text.clone() });
        let judged = match self.runner.context.interrupt.raised() {
            true => Err(None),
            false => self.runner.judge(&planned).map_err(Some),
        };
        // As it was seen when it was drawn.
        let drawn =
            |file: String| CaseRecord { name: written.name.value.clone(), file, ..CaseRecord::clone(&failure.record) };
        let record = match judged {
            Ok(record) if !matches!(record.result, CaseResult::Pass | CaseResult::Skip) => record,
            Ok(record) if slow => {
                let why = "a deadline passed, and did not pass again".to_owned();
                CaseRecord { result: CaseResult::Inconclusive, reason: Some(why), ..record }
            }
            // What was received, a close or an exit counts, however often it came.
            Ok(_) => drawn(shown),
            Err(lost) => {
                found.complete = false;
                let interrupted = self.runner.context.interrupt.raised();
                found.lost = found.lost.take().or(lost.filter(|_| !interrupted));
                drawn(shown)
            }
        };
        Ok(Some(CaseRecord { replay, ..record }))
    }

    /// Why a case with messages in pieces fails with the same messages in one piece, if it does.
    fn in_one_piece(&self, case: &Case) -> Option<Cause> {
        let mut whole = case.clone();
        let mut cut = false;
        for step in &mut whole.steps {
            if let StepKind::Send(send) = &mut step.kind {
                let before = send.arguments.len();
                send.arguments.retain(|argument| *argument.key != "cut");
                cut |= send.arguments.len() < before;
            }
        }
        if !cut {
            return None;
        }
        let context = self.runner.context;
        let planned = Planned::of(&whole).ok()?;
        let played = play(context, &planned, context.launcher.start().ok()?);
        violation(played.findings.iter()).map(Cause::of)
    }

    fn name(&self, cause: &Cause, found: &Found) -> String {
        let base = cause.name();
        let taken = found
            .records
            .iter()
            .filter(|record| record.name == base || record.name.starts_with(&format!("{base}-")))
            .count();
        if taken == 0 { base } else { format!("{base}-{}", taken + 1) }
    }

    fn comments(&self, cause: &Cause, failure: &Failure, last: Option<&(Finding, Play)>) -> Vec<String> {
        let mut comments = Vec::new();
        let first = violation(failure.record.findings.iter());
        if let Some(finding) = last.map(|(finding, _)| finding).or(first) {
            let line = |text: &str| text.lines().next().unwrap_or_default().chars().take(200).collect::<String>();
            comments.push(format!("{}: expected {},", cause.requirement, line(&finding.expected)));
            comments.push(format!("got {}.", line(&finding.actual)));
        }
        let from = if last.is_some() { "Shrunk from sequence" } else { "Sequence" };
        comments.push(format!("{from} {} of seed {}.", failure.number, self.seed));
        comments
    }

    fn write(&self, case: &Case) -> Result<PathBuf, SearchError> {
        let path = self.folder.join(format!("{}.case", case.name.value));
        let text = print(std::slice::from_ref(case));
        let written = std::fs::create_dir_all(self.folder).and_then(|()| std::fs::write(&path, text));
        written.map_err(|error| SearchError::Write { path: path.clone(), error })?;
        Ok(path)
    }
}

/// Plays smaller cases, and says whether they fail for the same cause.
struct Attempt<'a> {
    search: &'a Search<'a>,
    cause: &'a Cause,
    /// What shows it is that nothing comes.
    slow: bool,
    /// The words of the finding must be the same, too.
    wording: bool,
    left: usize,
    /// The finding of the last case that did, and its play.
    last: Option<(Finding, Play)>,
}

impl Attempt<'_> {
    fn plays_so(&mut self, case: &Case) -> bool {
        self.left = self.left.saturating_sub(1);
        let mut context = self.search.runner.context;
        if self.slow {
            // A deadline that passes too soon is found out when the file is played with the true one.
            context.timeouts = Timeouts::from_reply(context.timeouts.settle);
        }
        let Ok(planned) = Planned::of(case) else { return false };
        let Ok(instance) = context.launcher.start() else { return false };
        let played = play(context, &planned, instance);
        if played.interrupted {
            return false;
        }
        let same = |finding: &&Finding| {
            let cause = Cause::of(finding);
            let words = !self.wording || cause.words == self.cause.words;
            finding.class == Class::Violation && cause.requirement == self.cause.requirement && words
        };
        let Some(finding) = played.findings.iter().find(same).cloned() else { return false };
        self.last = Some((finding, played));
        true
    }
}

impl Trial for Attempt<'_> {
    fn fails(&mut self, case: &Case) -> bool {
        !self.is_over() && self.plays_so(case)
    }

    fn is_over(&self) -> bool {
        self.left == 0 || self.search.runner.context.interrupt.raised()
    }
}

fn sends(case: &Case) -> usize {
    case.steps.iter().filter(|step| matches!(step.kind, StepKind::Send(_))).count()
}

/// How many messages went to the server, and how many came back for them, VERSION apart.
pub(super) fn exchanged(record: &CaseRecord) -> (usize, usize) {
    let of = |way: Way| {
        let messages = record.transcript.iter().filter(move |entry| entry.direction == way);
        messages.filter(|entry| !entry.fields.is_empty() && !entry.message.starts_with(VERSION.name))
    };
    (of(Way::Sent).count(), of(Way::Received).count())
}

/// A case that was kept sends and asks for the same.
fn same_steps(record: &CaseRecord, case: &Case) -> bool {
    let lines =
        |text: &str| text.lines().filter(|line| line.starts_with(['>', '<'])).map(str::to_owned).collect::<Vec<_>>();
    std::fs::read_to_string(&record.file).is_ok_and(|text| lines(&text) == lines(&print(std::slice::from_ref(case))))
}
