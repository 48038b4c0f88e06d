//! Plays the planned cases, several at once, and reports what happens.

use std::collections::{HashSet, VecDeque};
use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError, mpsc};
use std::time::Instant;

use super::command_line::{filled, quoted};
use super::player::{Context, Play, play};
use super::{End, Event, Planned};
use crate::procedure::{Bench, negotiates};
use crate::target::{Has, Instance, StartError};
use crate::verdict::{Attempt, CaseRecord, CaseResult, Check, Class, Evidence, Expectations, Finding, Outcome, Said};

/// How often a case is played where its only evidence is a deadline.
const ATTEMPTS: usize = 3;

/// A fault of ours that ends the run.
#[derive(Debug, thiserror::Error)]
#[error("could not run the cases: {0}")]
pub struct RunnerError(#[from] io::Error);

/// Plays the planned cases.
#[derive(Debug)]
pub struct Runner<'a> {
    /// What every play needs.
    pub context: Context<'a>,
    /// How many servers at once; 1 also means that no server is started before the one before it has its verdict.
    pub jobs: usize,
    /// Stop after the first failure that is not pinned.
    pub fail_fast: bool,
    /// What is pinned.
    pub pinned: Option<&'a Expectations>,
    /// The words that run one case again; its name, quoted for a shell, goes where `{case}` stands, and its file where `{file}` does.
    pub replay: String,
}

impl Runner<'_> {
    /// Plays all cases; `report` is told of each as it ends, in no fixed order.
    ///
    /// # Errors
    /// Only faults of ours; what a server does is in the events.
    pub fn run(&self, cases: &[Planned], mut report: impl FnMut(Event)) -> Result<End, RunnerError> {
        let started = Instant::now();
        let queue = Mutex::new(cases.iter().collect::<VecDeque<_>>());
        let (stop, failed) = (AtomicBool::new(false), AtomicBool::new(false));
        let (sender, receiver) = mpsc::channel::<Message>();
        let (mut finished, mut lost, mut interrupted) = (0, None, false);
        std::thread::scope(|scope| -> Result<(), RunnerError> {
            for number in 0..self.jobs.max(1) {
                let (sender, queue, stop, failed) = (sender.clone(), &queue, &stop, &failed);
                // Servers die with the thread that started them (PDEATHSIG), which lives as long as the run.
                std::thread::Builder::new()
                    .name(format!("player-{number}"))
                    .spawn_scoped(scope, move || self.work(queue, [stop, failed], &sender))
                    // Those that are there already play no more.
                    .inspect_err(|_| stop.store(true, Ordering::SeqCst))?;
            }
            drop(sender);
            for message in receiver {
                match message {
                    Message::Started(name) => report(Event::CaseStarted { name }),
                    Message::Finished(record) => {
                        finished += 1;
                        report(Event::CaseFinished(record));
                    }
                    Message::Lost(why) => {
                        lost.get_or_insert(why);
                    }
                    Message::Interrupted => interrupted = true,
                }
            }
            Ok(())
        })?;
        if finished == cases.len() && lost.is_none() && !interrupted {
            lost = self.gone();
        }
        let complete = finished == cases.len() && !interrupted && lost.is_none();
        Ok(End {
            complete,
            stopped: failed.load(Ordering::SeqCst) && !complete,
            interrupted: interrupted || self.context.interrupt.raised(),
            lost,
            seconds: started.elapsed().as_secs_f64(),
            ..End::default()
        })
    }

    /// A server that runs already and takes one client after another is there when the last one has left: why it is not. No later
    /// case would find out.
    fn gone(&self) -> Option<String> {
        let stays = matches!(self.context.discovered.has.get("reconnect"), Some(Has::Yes(_)));
        if !stays || !self.context.launcher.runs_already() {
            return None;
        }
        let Context { launcher, interrupt, timeouts, profile, .. } = self.context;
        let bench =
            Bench { dialect: profile.dialect(), launcher, timeouts, interrupt, unanswered: &[], arguments: &[] };
        // A server that is about to end may have one more client in its queue: it must answer.
        let negotiated = match launcher.start() {
            Ok(mut instance) => negotiates(&bench, &mut instance).ok()?,
            Err(StartError::Ours(_)) => return None,
            Err(error) => Err(error.to_string()),
        };
        let why = negotiated.err().filter(|_| !interrupt.raised())?;
        Some(format!("the server was gone after the last case: {why}"))
    }

    /// Plays one case, again where a deadline is all the evidence, and gives its verdict.
    ///
    /// # Errors
    /// A sentence where there is none: the user wants to stop, or the server cannot be started or reached.
    pub fn judge(&self, case: &Planned) -> Result<CaseRecord, String> {
        if let Some(skip) = case.skip(self.context.discovered) {
            return Ok(self.skipped(case, &skip.0));
        }
        match self.case(case, &mut None) {
            Verdict::Record(record) => Ok(*record),
            Verdict::Interrupted => Err("interrupted".to_owned()),
            Verdict::Lost(_, why) => Err(why),
        }
    }

    fn work(
        &self,
        queue: &Mutex<VecDeque<&Planned>>,
        [stop, failed]: [&AtomicBool; 2],
        sender: &mpsc::Sender<Message>,
    ) {
        // The receiver lives until every worker is done.
        let send = |message| drop(sender.send(message));
        let mut ready: Option<Result<Instance, StartError>> = None;
        loop {
            let next = queue.lock().unwrap_or_else(PoisonError::into_inner).pop_front();
            let Some(case) = next else { return };
            if stop.load(Ordering::SeqCst) {
                return;
            }
            if self.context.interrupt.raised() {
                send(Message::Interrupted);
                return;
            }
            send(Message::Started(case.name.clone()));
            if let Some(skip) = case.skip(self.context.discovered) {
                send(Message::Finished(Box::new(self.skipped(case, &skip.0))));
                continue;
            }
            let played = std::panic::AssertUnwindSafe(|| self.case(case, &mut ready));
            // A panic of ours is the fault of one case, and the other ones are played all the same.
            let verdict = std::panic::catch_unwind(played).unwrap_or_else(|panic| {
                Verdict::Record(Box::new(self.error(case, &format!("the harness panicked: {}", said(&*panic)))))
            });
            match verdict {
                Verdict::Record(record) => {
                    if self.fail_fast && self.fails(&record) {
                        failed.store(true, Ordering::SeqCst);
                        stop.store(true, Ordering::SeqCst);
                    }
                    send(Message::Finished(record));
                }
                Verdict::Interrupted => {
                    send(Message::Interrupted);
                    return;
                }
                Verdict::Lost(record, why) => {
                    stop.store(true, Ordering::SeqCst);
                    // What was seen before is no less true.
                    record.into_iter().for_each(|record| send(Message::Finished(record)));
                    send(Message::Lost(why));
                    return;
                }
            }
        }
    }

    /// A failure that ends a run with `--fail-fast`: one that is pinned as it came does not.
    pub(crate) fn fails(&self, record: &CaseRecord) -> bool {
        record.result == CaseResult::Fail && self.pinned.is_none_or(|pinned| !pinned.expect(record))
    }

    fn case(&self, case: &Planned, ready: &mut Option<Result<Instance, StartError>>) -> Verdict {
        let mut plays: Vec<Play> = Vec::new();
        let mut lost_before = false;
        while plays.len() < ATTEMPTS {
            let instance = match ready.take().unwrap_or_else(|| self.context.launcher.start()) {
                Ok(instance) => instance,
                Err(StartError::Interrupted) => return Verdict::Interrupted,
                Err(StartError::Ours(error)) => return Verdict::Record(Box::new(self.error(case, &error.to_string()))),
                Err(error) => return self.lost(case, plays, error.to_string()),
            };
            if self.jobs > 1 {
                // The next case's server starts up while this case is played.
                *ready = Some(self.context.launcher.start());
            }
            let played = play(self.context, case, instance);
            if played.interrupted {
                return Verdict::Interrupted;
            }
            if let Some(why) = &played.lost {
                // One that was started ahead may have waited for its client too long.
                if std::mem::replace(&mut lost_before, true) || !self.context.launcher.spawns() {
                    return self.lost(case, plays, why.clone());
                }
                continue;
            }
            let again = played.findings.iter().any(|finding| finding.evidence == Evidence::Deadline);
            let stop = !again && plays.is_empty();
            plays.push(played);
            if stop {
                break;
            }
        }
        Verdict::Record(Box::new(self.record(case, plays, true)))
    }

    /// There is no server any more: the verdict is that of the attempts before, if there are any.
    fn lost(&self, case: &Planned, plays: Vec<Play>, why: String) -> Verdict {
        let record = (!plays.is_empty()).then(|| Box::new(self.record(case, plays, false)));
        Verdict::Lost(record, why)
    }

    /// One verdict from all attempts: what rests on bytes, a close or an exit stays; what rests on a deadline alone
    /// must have come back every time, and does not count where the case was not `repeated` as often as it should have been.
    fn record(&self, case: &Planned, plays: Vec<Play>, repeated: bool) -> CaseRecord {
        let count = plays.len();
        let mut record = self.empty(case);
        record.attempts = plays
            .iter()
            .map(|play| Attempt { outcome: play.outcome, exit: play.exit, seconds: play.seconds })
            .collect();
        let seen = |finding: &Finding| {
            plays.iter().filter(|play| play.findings.iter().any(|other| same(other, finding))).count()
        };
        let mut findings: Vec<Finding> = Vec::new();
        let mut unsure = false;
        for finding in plays.iter().flat_map(|play| &play.findings) {
            if let Some(known) = findings.iter_mut().find(|known| same(known, finding)) {
                // What was received, a close or an exit says more than a silence at the same place.
                if known.evidence == Evidence::Deadline && finding.evidence != Evidence::Deadline {
                    *known = Finding { seen: known.seen, ..finding.clone() };
                }
                continue;
            }
            let times = seen(finding);
            if finding.evidence == Evidence::Deadline && (times < count || !repeated) {
                unsure |= finding.class == Class::Violation;
                continue;
            }
            let mut finding = finding.clone();
            finding.seen = (count > 1).then_some((times, count));
            findings.push(finding);
        }
        let violated = findings.iter().any(|finding| finding.class == Class::Violation);
        // The transcript, output and checks are those of the attempt that shows the most of what stays, and the least else.
        let stays = |finding: &&Finding| findings.iter().any(|known| same(known, finding));
        let shown = plays.into_iter().rev().max_by_key(|play| {
            let kept = violations(play).filter(stays).count();
            (kept, std::cmp::Reverse(play.findings.iter().filter(|finding| !stays(finding)).count()))
        });
        if let Some(play) = shown {
            record.result = play.result;
            record.reason = play.reason;
            record.checks = distinct(play.checks);
            record.transcript = play.transcript.into_entries();
            record.stderr = play.stderr;
        }
        if violated {
            record.result = CaseResult::Fail;
        } else if unsure {
            record.result = CaseResult::Inconclusive;
            let why = match repeated {
                true => "a deadline passed, and did not pass again when the case was repeated",
                false => "a deadline passed, and the server was lost before the case could be repeated",
            };
            record.reason = Some(why.to_owned());
        }
        // The checks say what the findings of all attempts say.
        let found = |check: &Check| findings.iter().any(|finding| finding.requirement == check.requirement);
        record.checks.retain(|check| check.said == Said::Held || found(check));
        for finding in &findings {
            let said = if finding.class == Class::Violation { Said::Violated } else { Said::Noted };
            let check = Check { requirement: finding.requirement.clone(), line: finding.line, said };
            if !record.checks.contains(&check) {
                record.checks.push(check);
            }
        }
        record.findings = findings;
        record
    }

    fn skipped(&self, case: &Planned, why: &str) -> CaseRecord {
        CaseRecord { result: CaseResult::Skip, reason: Some(why.to_owned()), ..self.empty(case) }
    }

    fn error(&self, case: &Planned, why: &str) -> CaseRecord {
        let attempts = vec![Attempt { outcome: Outcome::Silent, exit: None, seconds: 0.0 }];
        CaseRecord { result: CaseResult::Error, reason: Some(why.to_owned()), attempts, ..self.empty(case) }
    }

    fn empty(&self, case: &Planned) -> CaseRecord {
        CaseRecord {
            name: case.name.clone(),
            parameters: case.parameters.clone(),
            file: case.source.name.clone(),
            line: case.line,
            result: CaseResult::Pass,
            reason: None,
            requirements: case.requirements(),
            attempts: Vec::new(),
            checks: Vec::new(),
            findings: Vec::new(),
            replay: filled(&self.replay, &quoted(&case.source.name), &quoted(&case.name)),
            transcript: Vec::new(),
            stderr: String::new(),
        }
    }
}

/// What a panic said.
fn said(panic: &(dyn std::any::Any + Send)) -> &str {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("it said nothing")
}

/// Each once, in the order in which they were reached.
fn distinct(checks: Vec<Check>) -> Vec<Check> {
    let mut seen = HashSet::new();
    checks.into_iter().filter(|check| seen.insert((check.requirement.clone(), check.line, check.said))).collect()
}

fn violations(play: &Play) -> impl Iterator<Item = &Finding> {
    play.findings.iter().filter(|finding| finding.class == Class::Violation)
}

fn same(a: &Finding, b: &Finding) -> bool {
    (&a.requirement, a.step, a.line, a.class) == (&b.requirement, b.step, b.line, b.class)
}

enum Verdict {
    Record(Box<CaseRecord>),
    Interrupted,
    /// What was seen before, and why there is no server any more.
    Lost(Option<Box<CaseRecord>>, String),
}

enum Message {
    Started(String),
    Finished(Box<CaseRecord>),
    Lost(String),
    Interrupted,
}
