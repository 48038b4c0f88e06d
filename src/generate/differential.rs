//! Sequences played against two servers, and where those part.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc;

use super::apart::Apart;
use super::message::word;
use super::parting::{Cause, Compared, Parting, compare, named, sends};
use super::shrink::{Trial, shrink};
use super::{Offer, Progress, SearchError, draw};
use crate::case::{Case, print};
use crate::run::{Context, Planned, Play, Timeouts, play, quoted};
use crate::verdict::{CaseResult, Class, Differential, Divergence};

/// So many plays shrink one divergence, at the most.
const TRIALS: usize = 400;
/// So many where each waits for a deadline.
const SLOW_TRIALS: usize = 40;
/// How often what is reported is played.
const REPLAYS: usize = 3;
/// After so many sequences progress is told.
const TOLD: u64 = 16;

/// Two servers, and what to tell both.
#[derive(Debug)]
pub struct Against<'a> {
    /// How to play against A, the target of the run.
    pub a: Context<'a>,
    /// How to play against B, the server that it is compared with.
    pub b: Context<'a>,
    /// How each is called in what is written for people.
    pub names: [&'a str; 2],
    /// How many sequences are played at once.
    pub jobs: usize,
    /// Stop after the first sequence in which they part and one of them may not.
    pub fail_fast: bool,
    /// Which sequences: the same seed draws the same ones, for two targets that offer the same.
    pub seed: u64,
    /// How many.
    pub count: u64,
    /// `(index, count)`, from 1: only every so manieth of them.
    pub shard: Option<(usize, usize)>,
    /// The folder for the case files; it is made where they part.
    pub folder: &'a Path,
    /// The words that play a case file against each alone; its path goes where `{file}` stands.
    pub replay: [&'a str; 2],
}

/// What a comparison came to.
#[derive(Debug, Default)]
pub struct Comparison {
    /// What was found.
    pub differential: Differential,
    /// All that was asked for was played.
    pub complete: bool,
    /// It was stopped where they first part and one of them may not.
    pub stopped: bool,
    /// A server was lost: the sentence for it.
    pub lost: Option<String>,
}

/// The shortest sequence that shows a cause, and how many do.
#[derive(Debug)]
struct Shown {
    number: u64,
    sends: usize,
    count: u64,
    parting: Parting,
    /// It was shrunk and played again.
    judged: bool,
    /// Where it stands among the divergences, if it came back.
    at: Option<usize>,
}

/// Why a sequence was not compared.
enum Stop {
    Interrupted,
    Lost(String),
    Fault(String),
    /// One of them lacks what it needs.
    Skipped,
}

impl Against<'_> {
    /// Plays all sequences against both; where they part, the sequence is shrunk and written to a file.
    ///
    /// # Errors
    /// Faults of ours.
    pub fn run(&self, mut progress: impl FnMut(Progress)) -> Result<Comparison, SearchError> {
        let apart = Apart::of(self.a.discovered, self.b.discovered);
        let offer =
            Offer::common(Offer::new(self.a.discovered, self.a.device), Offer::new(self.b.discovered, self.b.device));
        let mut found = Comparison { complete: true, ..Comparison::default() };
        found.differential.discovered = self.b.discovered.clone();
        found.differential.offers.clone_from(&apart.said);
        let [_, against] = self.names;
        against.clone_into(&mut found.differential.against);
        let (next, mut shown) = (AtomicU64::new(0), BTreeMap::new());
        loop {
            self.play_all(&offer, &apart, &next, &mut shown, &mut found, &mut progress)?;
            let fresh = || shown.values().filter(|shown| !shown.judged);
            let count = fresh().count();
            for (n, (cause, shown)) in shown.iter_mut().filter(|(_, shown)| !shown.judged).enumerate() {
                progress(Progress::Shrinking(n + 1, count));
                shown.at = self.keep(&offer, &apart, cause, shown, &mut found.differential)?;
                shown.judged = true;
            }
            found.complete &= !self.a.interrupt.raised();
            let fails = found.differential.class() == Some(Class::Violation);
            if !found.stopped || fails || !found.complete {
                break;
            }
            // It rested on a deadline and did not come back: nothing was found yet.
            found.stopped = false;
        }
        for shown in shown.values() {
            if let Some(divergence) = shown.at.and_then(|at| found.differential.divergences.get_mut(at)) {
                divergence.sequences = shown.count;
            }
        }
        Ok(found)
    }

    /// Plays the sequences from `next` on, until there are no more or one of them is a reason to stop.
    fn play_all(
        &self,
        offer: &Offer,
        apart: &Apart,
        next: &AtomicU64,
        shown: &mut BTreeMap<Cause, Shown>,
        found: &mut Comparison,
        progress: &mut impl FnMut(Progress),
    ) -> Result<(), SearchError> {
        let stop = AtomicBool::new(false);
        let (sender, receiver) = mpsc::channel();
        std::thread::scope(|scope| -> Result<(), SearchError> {
            for worker in 0..self.jobs.max(1) {
                let (sender, stop) = (sender.clone(), &stop);
                let work = move || {
                    while !stop.load(Ordering::SeqCst) {
                        let number = next.fetch_add(1, Ordering::SeqCst);
                        if number >= self.count {
                            return;
                        }
                        if !self.is_mine(number) {
                            continue;
                        }
                        let case = draw(offer, self.seed, number);
                        let compared = self.compare(&case, apart, false);
                        if matches!(compared, Err(Stop::Interrupted | Stop::Lost(_) | Stop::Fault(_))) {
                            stop.store(true, Ordering::SeqCst);
                        }
                        // The receiver lives until every worker is done.
                        drop(sender.send((number, sends(&case), compared)));
                    }
                };
                let built = std::thread::Builder::new().name(format!("comparer-{worker}")).spawn_scoped(scope, work);
                built.map_err(|error| SearchError::Fault(error.to_string()))?;
            }
            drop(sender);
            for (number, sends, compared) in receiver {
                match compared {
                    Ok(compared) => {
                        if self.fail_fast && compared.partings.iter().any(|parting| is_new_fault(parting, shown)) {
                            stop.store(true, Ordering::SeqCst);
                            found.stopped = true;
                        }
                        take(&mut found.differential, shown, number, sends, compared);
                    }
                    Err(Stop::Skipped) => {}
                    Err(Stop::Interrupted) => found.complete = false,
                    Err(Stop::Lost(why)) => {
                        found.complete = false;
                        found.lost.get_or_insert(why);
                    }
                    Err(Stop::Fault(why)) => return Err(SearchError::Fault(why)),
                }
                if found.differential.sequences.is_multiple_of(TOLD) {
                    progress(Progress::Played(found.differential.sequences));
                }
            }
            Ok(())
        })
    }

    fn is_mine(&self, number: u64) -> bool {
        self.shard.is_none_or(|(index, count)| number % count as u64 == index as u64 - 1)
    }

    /// Plays a case against both.
    fn compare(&self, case: &Case, apart: &Apart, brisk: bool) -> Result<Compared, Stop> {
        let planned = Planned::of(case).map_err(Stop::Fault)?;
        let (mut a, mut b) = (self.a, self.b);
        if brisk {
            // A deadline that passes too soon is found out when the file is played with the true one.
            a.timeouts = Timeouts::from_reply(a.timeouts.settle);
            b.timeouts = a.timeouts;
        }
        if planned.skip(a.discovered).or(planned.skip(b.discovered)).is_some() {
            return Err(Stop::Skipped);
        }
        let [name_a, name_b] = self.names;
        let in_a = played(a, &planned, name_a)?;
        let in_b = played(b, &planned, name_b)?;
        Ok(compare(case, in_a, in_b, apart))
    }

    /// Shrinks a sequence in which they part, and keeps it: where it stands then, if it came back.
    fn keep(
        &self,
        offer: &Offer,
        apart: &Apart,
        cause: &Cause,
        shown: &Shown,
        found: &mut Differential,
    ) -> Result<Option<usize>, SearchError> {
        let case = draw(offer, self.seed, shown.number);
        let late = shown.parting.late;
        let left = if late { SLOW_TRIALS } else { TRIALS };
        let mut attempt = Attempt { against: self, apart, cause, late, left, last: None };
        let small = if self.a.interrupt.raised() { case } else { shrink(&case, &mut attempt) };
        // What is shown is what the last play shows, with the true deadlines.
        attempt.late = false;
        let parting = attempt.last.take().unwrap_or_else(|| shown.parting.clone());
        let small = named(&small, &parting.divergence);
        let seen = (0..REPLAYS).filter(|_| attempt.parts_so(&small)).count();
        if late && seen < REPLAYS && !self.a.interrupt.raised() {
            found.unsure += 1;
            return Ok(None);
        }
        let mut divergence = attempt.last.take().unwrap_or(parting).divergence;
        let written =
            Case { name: word(&name(&divergence, found)), comments: self.comments(&divergence, shown.number), ..small };
        let path = self.write(&written)?;
        let file = path.display().to_string();
        let quoted = quoted(&file);
        let [replay_a, replay_b] = self.replay;
        divergence.a.replay = replay_a.replace("{file}", &quoted);
        divergence.b.replay = replay_b.replace("{file}", &quoted);
        divergence.seen = (seen < REPLAYS).then_some((seen, REPLAYS));
        divergence.file = file;
        found.divergences.push(divergence);
        Ok(Some(found.divergences.len() - 1))
    }

    fn comments(&self, divergence: &Divergence, number: u64) -> Vec<String> {
        let [name_a, name_b] = self.names;
        let of = divergence.differs.as_ref().map_or(String::new(), |what| format!(" ({what})"));
        let at = match divergence.step {
            0 => divergence.command.clone(),
            step => format!("{}, step {step}", divergence.command),
        };
        vec![
            format!("Two servers part at {at}{of}."),
            format!("A ({name_a}): {}", Parting::told(&divergence.a)),
            format!("B ({name_b}): {}", Parting::told(&divergence.b)),
            format!("Shrunk from sequence {number} of seed {}.", self.seed),
        ]
    }

    fn write(&self, case: &Case) -> Result<PathBuf, SearchError> {
        let path = self.folder.join(format!("{}.case", case.name.value));
        let text = print(std::slice::from_ref(case));
        let written = std::fs::create_dir_all(self.folder).and_then(|()| std::fs::write(&path, text));
        written.map_err(|error| SearchError::Write { path: path.clone(), error })?;
        Ok(path)
    }
}

/// One play; a server that was lost gets a second chance.
fn played(context: Context<'_>, planned: &Planned, name: &str) -> Result<Play, Stop> {
    let mut lost = String::new();
    for _ in 0..2 {
        if context.interrupt.raised() {
            return Err(Stop::Interrupted);
        }
        let instance = match context.launcher.start() {
            Ok(instance) => instance,
            Err(error) => return Err(Stop::Lost(format!("{name}: {error}"))),
        };
        let play = play(context, planned, instance);
        if play.interrupted {
            return Err(Stop::Interrupted);
        }
        if play.result == CaseResult::Error {
            return Err(Stop::Fault(format!("{}: {}", planned.name, play.reason.unwrap_or_default())));
        }
        match play.lost {
            None => return Ok(play),
            Some(why) => lost = why,
        }
    }
    Err(Stop::Lost(format!("{name}: {lost}")))
}

/// One of them breaks something where they part, in a way that was not looked into yet.
fn is_new_fault(parting: &Parting, shown: &BTreeMap<Cause, Shown>) -> bool {
    !parting.divergence.is_permitted() && shown.get(&parting.cause).is_none_or(|known| !known.judged)
}

/// Counts what a sequence shows, and keeps the shortest one of each cause.
fn take(found: &mut Differential, shown: &mut BTreeMap<Cause, Shown>, number: u64, sends: usize, compared: Compared) {
    found.sequences += 1;
    found.steps += sends as u64;
    found.parted += u64::from(!compared.partings.is_empty());
    found.alike += u64::from(compared.alike);
    found.answered += compared.answered;
    found.by_offer += compared.by_offer;
    let mut counted: Vec<Cause> = Vec::new();
    for parting in compared.partings {
        let cause = parting.cause.clone();
        if counted.contains(&cause) {
            continue;
        }
        counted.push(cause.clone());
        let known = shown.entry(cause);
        known
            .and_modify(|known| {
                known.count += 1;
                if (sends, number) < (known.sends, known.number) {
                    (known.number, known.sends, known.parting) = (number, sends, parting.clone());
                }
            })
            .or_insert(Shown { number, sends, count: 1, parting, judged: false, at: None });
    }
}

/// `differential.dma-map`, and a number where that is taken.
fn name(divergence: &Divergence, found: &Differential) -> String {
    let of: String = divergence
        .command
        .chars()
        .map(|c| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '-' })
        .collect();
    let base = format!("differential.{of}");
    let same = |other: &&Divergence| other.command == divergence.command;
    match found.divergences.iter().filter(same).count() {
        0 => base,
        taken => format!("{base}-{}", taken + 1),
    }
}

/// Plays smaller cases, and says whether the servers part in the same way.
struct Attempt<'a> {
    against: &'a Against<'a>,
    apart: &'a Apart,
    cause: &'a Cause,
    /// What shows it is that nothing comes.
    late: bool,
    left: usize,
    /// Where they parted in the last case in which they did.
    last: Option<Parting>,
}

impl Attempt<'_> {
    fn parts_so(&mut self, case: &Case) -> bool {
        self.left = self.left.saturating_sub(1);
        let Ok(compared) = self.against.compare(case, self.apart, self.late) else { return false };
        let Some(parting) = compared.partings.into_iter().find(|parting| parting.cause == *self.cause) else {
            return false;
        };
        self.last = Some(parting);
        true
    }
}

impl Trial for Attempt<'_> {
    fn fails(&mut self, case: &Case) -> bool {
        !self.is_over() && self.parts_so(case)
    }

    fn is_over(&self) -> bool {
        self.left == 0 || self.against.a.interrupt.raised()
    }
}
