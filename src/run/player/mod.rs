//! Plays one case against one server, and keeps what was seen.

mod action;
mod conforms;
mod connect;
mod device;
mod doorbell;
mod ending;
mod environment;
mod exchange;
mod expect;
mod judge;
mod left_running;
mod mapped;
mod pages;
mod portions;
mod rehearsal;
mod send;
mod server;
mod stream;

use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;
use vfio_user_wire::Frame;
use vfio_user_wire::message::{DEVICE_GET_INFO, DeviceInfo, VERSION};

use self::ending::Ending;
use self::environment::Environment;
pub use self::exchange::Exchange;
use self::expect::Actual;
use self::judge::Found;
pub use self::rehearsal::{Rehearsal, rehearse};
use self::send::Outbox;
use super::{Planned, Timeouts};
use crate::Profile;
use crate::case::{Given, Name, Step, StepKind};
use crate::model::Kind;
use crate::requirement::Register;
use crate::session::{
    Conversation, Deadline, Effect, End, Interrupt, Origin, Passed, TWIN_PROPOSAL, Transcript, Waited, usual_proposal,
    wait,
};
use crate::target::{DeviceFile, Discovered, Instance, Launcher, StartError, sanitizer_report};
use crate::verdict::{CaseResult, Check, Class, Evidence, Exit, Finding, Outcome};

/// What a play needs besides its case.
#[derive(Debug, Clone, Copy)]
pub struct Context<'a> {
    /// The version of the protocol that is spoken, and judged by.
    pub profile: Profile,
    /// The register.
    pub register: &'a Register,
    /// Starts servers.
    pub launcher: &'a Launcher,
    /// What the target offers.
    pub discovered: &'a Discovered,
    /// What the device file says.
    pub device: Option<&'a DeviceFile>,
    /// How long to wait for what.
    pub timeouts: Timeouts,
    /// The user's wish to stop.
    pub interrupt: &'a Interrupt,
}

/// What one play of a case gave.
#[derive(Debug, Clone)]
pub struct Play {
    /// The result, before any repetition.
    pub result: CaseResult,
    /// Why it was skipped, or is in error.
    pub reason: Option<String>,
    /// The checks that were reached.
    pub checks: Vec<Check>,
    /// What was found.
    pub findings: Vec<Finding>,
    /// The worst that became of a command.
    pub outcome: Outcome,
    /// How the server ended, if it did by itself.
    pub exit: Option<Exit>,
    /// What came at each line that leaves the answer to the model: its step, and what.
    pub came: Vec<(usize, Kind)>,
    /// What became of each command, in the order of their sending.
    pub exchanges: Vec<Exchange>,
    /// The messages.
    pub transcript: Transcript,
    /// What the server printed.
    pub stderr: String,
    /// How long it took.
    pub seconds: f64,
    /// The user wants to stop: the result means nothing.
    pub interrupted: bool,
    /// No connection could be made: the sentence for it.
    pub lost: Option<String>,
}

/// A fault of the harness, or of a case; or what the target says of itself keeps a line from being carried out, which is a
/// fault of nobody.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{what}")]
pub(super) struct Fault {
    what: String,
    ours: bool,
}

impl Fault {
    fn new(what: impl Into<String>) -> Fault {
        Fault { what: what.into(), ours: true }
    }

    /// Where numbers of the target, or what it did, are the reason: numbers that a case writes itself were checked before.
    fn of_target(what: impl Into<String>) -> Fault {
        Fault { what: what.into(), ours: false }
    }
}

impl From<io::Error> for Fault {
    fn from(error: io::Error) -> Fault {
        Fault::new(format!("the harness: {error}"))
    }
}

/// Why a play ends before its last step.
#[derive(Debug)]
enum Stop {
    /// The target lacks what the case needs.
    Skip(String),
    /// A violation: what follows would only repeat it.
    Violated,
    /// What the case is about cannot be told: why.
    Unsure(String),
    /// Ours.
    Fault(Fault),
    /// The user wants to stop.
    Interrupted,
    /// No connection could be made.
    Lost(String),
}

impl From<Fault> for Stop {
    fn from(fault: Fault) -> Stop {
        if fault.ours { Stop::Fault(fault) } else { Stop::Skip(format!("set-up: {fault}")) }
    }
}

impl From<io::Error> for Stop {
    fn from(error: io::Error) -> Stop {
        Stop::Fault(error.into())
    }
}

/// Without the server of the case nothing can be judged.
impl From<StartError> for Stop {
    fn from(error: StartError) -> Stop {
        match error {
            StartError::Interrupted => Stop::Interrupted,
            StartError::Ours(error) => error.into(),
            other => Stop::Lost(other.to_string()),
        }
    }
}

struct Player<'a> {
    context: Context<'a>,
    case: &'a Planned,
    instance: Instance,
    /// The servers of `server` lines.
    further: Vec<Instance>,
    talk: Conversation<'a>,
    environment: Environment,
    outbox: Outbox,
    checks: Vec<Check>,
    findings: Vec<Finding>,
    outcome: Outcome,
    exit: Option<Exit>,
    /// The ending of each end, once it was looked into.
    endings: Vec<Option<Ending>>,
    /// Descriptors that the server had open at `baseline`.
    baseline: Option<usize>,
    /// Whose they were.
    baseline_pid: Option<i32>,
    /// The signal that was sent to the server: an end by that is no crash.
    signalled: Option<Signal>,
    /// What the last `device` step asked for.
    asked: Option<device::Asked>,
    /// What came at each line that leaves the answer to the model.
    came: Vec<(usize, Kind)>,
    /// All clients are there, and the server has answered all that they asked.
    at_rest: bool,
}

/// A signal by which a server is told to end, or to stop.
fn owes_nothing(signal: Signal) -> bool {
    use Signal::{SIGABRT, SIGHUP, SIGINT, SIGKILL, SIGQUIT, SIGSTOP, SIGTERM, SIGTSTP};
    matches!(signal, SIGABRT | SIGHUP | SIGINT | SIGKILL | SIGQUIT | SIGSTOP | SIGTERM | SIGTSTP)
}

/// Plays `case` against a server of its own.
pub fn play(context: Context<'_>, case: &Planned, instance: Instance) -> Play {
    let started = Instant::now();
    let offer = Arc::new(context.discovered.offer(context.device));
    let mut player = Player {
        context,
        case,
        instance,
        further: Vec::new(),
        talk: Conversation::new(context.profile.dialect(), offer, context.timeouts.patience(), context.interrupt),
        environment: Environment::new(case, context.discovered),
        outbox: Outbox::default(),
        checks: Vec::new(),
        findings: Vec::new(),
        outcome: Outcome::Answered,
        exit: None,
        endings: Vec::new(),
        baseline: None,
        baseline_pid: None,
        signalled: None,
        asked: None,
        came: Vec::new(),
        at_rest: false,
    };
    player.talk.end_at(Deadline::after(context.timeouts.whole()));
    let stop = player.run().err();
    player.leave_running();
    player.finish(stop, started)
}

impl Player<'_> {
    fn run(&mut self) -> Result<(), Stop> {
        match self.case.case.given {
            Given::Nothing => {}
            Given::Connected => {
                self.connect()?;
            }
            Given::Negotiated => {
                let end = self.connect()?;
                self.negotiate(end, usual_proposal(self.talk.dialect))?;
            }
            Given::Twin => {
                let end = self.connect()?;
                self.negotiate(end, TWIN_PROPOSAL)?;
                if self.talk.twin(end).is_none() {
                    return Err(Stop::Skip("set-up: VERSION was answered without a twin socket".to_owned()));
                }
            }
        }
        let case = Arc::clone(&self.case.case);
        self.steps(&case.steps, &mut 0)?;
        self.flush()?;
        self.take_judged();
        self.at_rest = self.still_in_step()?;
        Ok(())
    }

    fn steps(&mut self, steps: &[Step], number: &mut usize) -> Result<(), Stop> {
        for step in steps {
            *number += 1;
            if self.context.interrupt.raised() {
                return Err(Stop::Interrupted);
            }
            self.in_time()?;
            if !matches!(step.kind, StepKind::Send(_)) {
                self.flush()?;
            }
            let line = self.case.line_of(step);
            if let StepKind::If(label, then) = &step.kind {
                if self.answered_ok(&label.value) {
                    self.steps(then, number)?;
                } else {
                    // A step has the same number in every attempt.
                    *number += then.len();
                }
                continue;
            }
            self.step(*number, line, step)?;
            self.take_judged();
        }
        Ok(())
    }

    fn transmit(&mut self, end: usize, frame: &Frame) -> Result<(), Stop> {
        let deadline = Deadline::after(self.context.timeouts.reply);
        self.talk.send(end, &frame.bytes(), &[], &[], deadline)?;
        Ok(())
    }

    /// Waits until a command is answered, its connection ends, or its time is over.
    fn wait_for(&mut self, index: usize) -> Result<(), Stop> {
        let message = self.talk.sent.get(index).and_then(|sent| sent.command.message);
        let waited = self.talk.wait_for(index, self.context.timeouts.of(message))?;
        if waited == Waited::Interrupted { Err(Stop::Interrupted) } else { self.in_time_for(index) }
    }

    /// What has not come while there is no more time need not be the server's silence.
    fn in_time_for(&self, index: usize) -> Result<(), Stop> {
        let sent = self.talk.sent.get(index);
        let due = sent.is_some_and(|sent| sent.answer.is_none() && self.talk.ended(sent.end).is_none());
        if due { self.in_time() } else { Ok(()) }
    }

    /// The same for a reply that need not come.
    fn wait_a_little_for(&mut self, index: usize) -> Result<(), Stop> {
        let end = self.talk.sent.get(index).map_or(0, |sent| sent.end);
        let deadline = self.patience_to_settle()?;
        let answered = |talk: &Conversation<'_>| talk.sent.get(index).is_none_or(|sent| sent.answer.is_some());
        let waited = self.talk.pump(end, deadline, &answered)?;
        if waited == Waited::Interrupted { Err(Stop::Interrupted) } else { self.in_time_for(index) }
    }

    /// Until when something may happen that need not, once the server has read what was sent.
    pub(super) fn patience_to_settle(&mut self) -> Result<Deadline, Stop> {
        if !self.instance.is_direct() && self.talk.wait_until_read()? == Waited::Interrupted {
            return Err(Stop::Interrupted);
        }
        self.patience(self.context.timeouts.settle)
    }

    /// How long to wait for what a server does besides answering: longer where it may have commands to carry out before it.
    fn time_to_act(&self) -> Duration {
        let Timeouts { reply, long, .. } = self.context.timeouts;
        if self.talk.is_under_way() { long.max(reply) } else { reply }
    }

    /// How long to wait for what a server does when all clients have left, or while they have not.
    fn time_to_let_go(&self) -> Duration {
        let open = self.talk.ends.iter().any(End::is_open_client);
        let Timeouts { reply, long, .. } = self.context.timeouts;
        if open { self.time_to_act() } else { long.max(reply) }
    }

    /// A server that is slow in everything, or always has something to say, is no server that anything can be said of.
    pub(super) fn in_time(&self) -> Result<(), Stop> {
        if !self.talk.time_is_up() {
            return Ok(());
        }
        let seconds = self.context.timeouts.whole().as_secs_f64();
        Err(Stop::Unsure(format!("the case was not over after {seconds:.1} s: a play takes no longer")))
    }

    /// Until when something other than a reply may happen. Where the server is called directly, it has happened: now.
    pub(super) fn patience(&mut self, time: Duration) -> Result<Deadline, Stop> {
        if !self.instance.is_direct() {
            return Ok(Deadline::after(time));
        }
        let now = Deadline::after(Duration::ZERO);
        // All but what comes of the DMA that the server still asks for.
        self.talk.pump(0, now, &|_| false)?;
        Ok(now)
    }

    /// A moment in which something other than a reply may happen; what the server asks for meanwhile is served.
    pub(super) fn pass_time(&mut self, deadline: Deadline) -> Result<(), Stop> {
        let moment = Deadline::after(Duration::from_millis(2)).or_after(deadline.left());
        let open = self.talk.ended(0).is_none() && self.talk.ends.first().is_some_and(|end| end.connection.is_some());
        if open {
            self.talk.pump(0, moment, &|_| false)?;
        } else {
            wait(&[], moment, self.context.interrupt)?;
        }
        if self.context.interrupt.raised() { Err(Stop::Interrupted) } else { self.in_time() }
    }

    /// VERSION was answered with success on this end.
    fn is_negotiated(&self, end: usize) -> bool {
        self.talk.sent.iter().any(|sent| {
            sent.end == end
                && sent.command.message.is_some_and(|message| message.name == VERSION.name)
                && sent.answer.as_ref().is_some_and(|answer| !answer.header.is_error())
        })
    }

    /// After the last step, a session that is still open and in step must answer DEVICE_GET_INFO. Where all of them do, the server
    /// has nothing left to do for any client.
    fn still_in_step(&mut self) -> Result<bool, Stop> {
        if self.signalled.is_some_and(owes_nothing) {
            // A server that was told to end answers nothing more, and its last message may lack a part.
            return Ok(false);
        }
        let mut all = !self.talk.ends.is_empty();
        for end in 0..self.talk.ends.len() {
            let open =
                self.talk.ends.get(end).is_some_and(|end| end.connection.is_some() && !end.unfinished && !end.torn);
            if !open
                || !self.is_negotiated(end)
                || self.talk.ended(end).is_some()
                || self.talk.serving == crate::session::Serving::Hold
            {
                all &= self.talk.ends.get(end).is_some_and(|end| end.twin_of.is_some());
                continue;
            }
            let Some((number, message)) = self.talk.dialect.command(DEVICE_GET_INFO.name) else { continue };
            let bare = message.request.fixed.is_none() && !self.environment.later_info;
            let info = DeviceInfo { argsz: 16, ..DeviceInfo::default() };
            let payload = if bare { Vec::new() } else { info.bytes().to_vec() };
            let frame = Frame::command(self.talk.fresh_id(end), number, payload);
            let index = self.talk.expect(end, Origin::default(), &frame, Passed::default(), Effect::None);
            self.transmit(end, &frame)?;
            self.wait_for(index)?;
            self.take_judged();
            let requirement = match self.actual(index) {
                Actual::Ok | Actual::Error(_) => {
                    self.held("HDR-14", 0);
                    continue;
                }
                // A close, even one behind the last answer, is what a server may do after much that cases send.
                Actual::Ended(Ending::Closed(_) | Ending::Refused(_) | Ending::Unserved(_)) => {
                    all = false;
                    continue;
                }
                Actual::Silent => "HDR-14",
                Actual::Ended(Ending::Garbage(_)) => "HDR-05",
                Actual::Ended(Ending::Crashed(..)) => "SEC-01",
            };
            let expected = "the session still answers DEVICE_GET_INFO after the last step";
            let (actual, evidence) = self.no_answer(index);
            self.find(requirement, Class::Violation, (0, 0), Found::new(expected, actual, evidence));
        }
        Ok(all)
    }

    /// The end of that name; the first one where there is none.
    fn end(&self, name: Option<&Name>) -> Result<usize, Stop> {
        let Some(name) = name else { return Ok(0) };
        self.talk
            .ends
            .iter()
            .position(|end| end.name == name.value)
            .ok_or_else(|| Fault::new(format!("no client `{}`", name.value)).into())
    }

    fn answered_ok(&self, label: &str) -> bool {
        self.talk.sent.iter().any(|sent| {
            sent.origin.label.as_deref() == Some(label)
                && sent.answer.as_ref().is_some_and(|answer| !answer.header.is_error())
        })
    }

    /// What came and was not asked for by the time that the play ended.
    fn take_rest(&mut self) {
        self.take_judged();
        // A message that answers nothing that was sent; where bytes were sent that are no message, nobody can tell.
        for (end, entry) in std::mem::take(&mut self.talk.strays) {
            if self.talk.ends.get(end).is_none_or(|end| end.unfinished) {
                continue;
            }
            let found = Found::new(
                "exactly one reply for each command",
                "a message that answers no command",
                Evidence::Received,
            );
            self.find("HDR-14", Class::Violation, (0, 0), Found { message: Some(entry), ..found });
        }
        self.take_twins();
    }

    /// What is no message on a twin socket, or a crash that its end alone shows, where no line needs to ask for anything.
    fn take_twins(&mut self) {
        let mut told = self.findings.iter().any(|finding| finding.evidence == Evidence::Exited);
        for end in 0..self.talk.ends.len() {
            let twin = self.talk.ends.get(end).is_some_and(|end| end.twin_of.is_some() && !end.unfinished && !end.torn);
            let Some(ending) = twin.then(|| self.ending(end)).flatten() else { continue };
            let (requirement, expected, evidence) = match ending {
                Ending::Garbage(_) => ("HDR-05", "messages on the twin socket", Evidence::Received),
                Ending::Crashed(..) if !told => {
                    told = true;
                    ("SEC-01", "a server that goes on", Evidence::Exited)
                }
                _ => continue,
            };
            self.find(requirement, Class::Violation, (0, 0), Found::new(expected, ending.to_string(), evidence));
        }
    }

    /// What a sanitizer reports of a server that goes on.
    fn take_report(&mut self, printed: &str) {
        let told = self.findings.iter().any(|finding| finding.evidence == Evidence::Exited);
        if let Some(report) = sanitizer_report(printed).filter(|_| !told) {
            self.outcome = Outcome::Crashed;
            let actual = format!("the server printed: {report}");
            let found = Found::new("a server without a fault of its own", actual, Evidence::Exited);
            self.find("SEC-01", Class::Violation, (0, 0), found);
        }
    }

    /// A line of the case that names a requirement had something to say; one that names none leaves all to the model.
    fn has_checked(&self) -> bool {
        self.case.case.requirements().next().is_none() || self.checks.iter().any(|check| check.line > 0)
    }

    fn has_violated(&self) -> bool {
        self.findings.iter().any(|finding| finding.class == Class::Violation)
    }

    fn finish(mut self, stop: Option<Stop>, started: Instant) -> Play {
        // After a violation they would only repeat it.
        if matches!(stop, None | Some(Stop::Skip(_))) {
            self.take_rest();
            if self.at_rest && !self.has_violated() {
                self.see_off();
            }
        }
        let (mut interrupted, mut lost, mut reason, mut error, mut unsure) = (false, None, None, false, false);
        match stop {
            None | Some(Stop::Violated) => {}
            Some(Stop::Skip(why)) => reason = Some(why),
            Some(Stop::Unsure(why)) => {
                reason = Some(why);
                unsure = true;
            }
            Some(Stop::Fault(fault)) => {
                reason = Some(fault.to_string());
                error = true;
            }
            Some(Stop::Interrupted) => interrupted = true,
            Some(Stop::Lost(why)) => lost = Some(why),
        }
        let stderr = self.printed();
        self.take_report(&stderr);
        let violated = self.has_violated();
        // A case whose lines that check were all left out by a condition, or found nothing to look at, has checked nothing.
        if !error && !violated && reason.is_none() && !self.has_checked() {
            reason = Some("nothing that its lines check was seen".to_owned());
        }
        let result = match (error, violated, &reason) {
            (true, ..) => CaseResult::Error,
            (false, true, _) => CaseResult::Fail,
            (false, false, Some(_)) if unsure => CaseResult::Inconclusive,
            (false, false, Some(_)) => CaseResult::Skip,
            (false, false, None) => CaseResult::Pass,
        };
        if result == CaseResult::Fail {
            reason = None;
        }
        let exchanges = self.exchanges();
        let transcript = self.talk.take_transcript();
        drop(self.talk);
        for instance in self.further.into_iter().chain([self.instance]) {
            self.context.launcher.end(instance);
        }
        Play {
            result,
            reason,
            checks: self.checks,
            findings: self.findings,
            outcome: self.outcome,
            exit: self.exit,
            came: self.came,
            exchanges,
            transcript,
            stderr,
            seconds: started.elapsed().as_secs_f64(),
            interrupted,
            lost,
        }
    }
}
