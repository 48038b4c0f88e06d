//! A session for questions.

use std::cell::RefCell;
use std::io;
use std::os::fd::{BorrowedFd, OwnedFd};
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::{Map, Value, json};
use vfio_user_wire::message::{VERSION, Version};
use vfio_user_wire::{Dialect, Frame, Message, VersionData};

use super::ProbeError;
use crate::case::error_text;
use crate::model::{FdKind, PassedFd};
use crate::run::Timeouts;
use crate::session::{Conversation, Deadline, Effect, Ended, Interrupt, Origin, Passed, Waited};
use crate::target::output::{crash_report, printed};
use crate::target::{Discovered, Instance, Launcher, StartError, Unanswered};
use crate::verdict::{Evidence, Exit};

/// Bytes of a message with 1 MiB of a region: the limit of version 8 is that of a whole message.
const MOST_IN_A_MESSAGE: u64 = (1 << 20) + 32;

/// Starts sessions for questions.
pub(super) struct Asker<'a> {
    pub(super) dialect: &'static Dialect,
    pub(super) launcher: &'a Launcher,
    pub(super) timeouts: Timeouts,
    pub(super) interrupt: &'a Interrupt,
    /// When nothing more is waited for.
    pub(super) until: Deadline,
    /// How servers left questions unanswered.
    pub(super) unanswered: &'a RefCell<Vec<Unanswered>>,
}

/// One session.
pub(super) struct Question<'a> {
    instance: Option<Instance>,
    talk: Conversation<'a>,
    launcher: &'a Launcher,
    timeouts: Timeouts,
    interrupt: &'a Interrupt,
    unanswered: &'a RefCell<Vec<Unanswered>>,
}

/// A successful reply.
pub(super) struct Reply {
    pub(super) payload: Vec<u8>,
    pub(super) fds: Vec<OwnedFd>,
}

/// Why a question has no answer.
pub(super) enum Trouble {
    /// The server's answer, or the lack of one.
    Answer(String),
    /// This version of the protocol has no such command.
    Absent,
    /// No question can be asked any more.
    Stop(ProbeError),
}

/// A question that wanted a successful reply was refused.
pub(super) fn refusal(name: &str, errno: u32) -> Trouble {
    Trouble::Answer(format!("{name} was refused with {}", error_text(errno)))
}

pub(super) type Asked<T> = Result<T, Trouble>;

impl From<io::Error> for Trouble {
    fn from(error: io::Error) -> Trouble {
        Trouble::Stop(error.into())
    }
}

impl<'a> Asker<'a> {
    /// This version of the protocol has the command.
    pub(super) fn has(&self, command: &Message) -> bool {
        self.dialect.command(command.name).is_some()
    }

    /// A connected session, nothing sent.
    pub(super) fn connect(&self) -> Result<Question<'a>, ProbeError> {
        self.again(self.launcher.start()?)
    }

    /// A further session with a server.
    pub(super) fn again(&self, mut instance: Instance) -> Result<Question<'a>, ProbeError> {
        let connection = instance.connect(self.interrupt).map_err(|error| match error {
            StartError::Interrupted => ProbeError::Interrupted,
            other => other.into(),
        })?;
        let mut talk = Conversation::new(self.dialect, Arc::default(), self.timeouts.patience(), self.interrupt);
        talk.end_at(self.until);
        talk.add("a", Some(connection));
        Ok(Question {
            instance: Some(instance),
            talk,
            launcher: self.launcher,
            timeouts: self.timeouts,
            interrupt: self.interrupt,
            unanswered: self.unanswered,
        })
    }

    /// Asks a group of questions in a session of its own; what goes wrong becomes a trouble.
    pub(super) fn group(
        &self,
        name: &str,
        found: &mut Discovered,
        ask: impl FnOnce(&mut Question<'a>, &mut Discovered) -> Asked<()>,
    ) -> Result<bool, ProbeError> {
        if self.until.passed() {
            let seconds = self.timeouts.whole().as_secs_f64();
            found.troubles.push(format!("{name}: not asked, as all before had taken {seconds:.1} s"));
            return Ok(false);
        }
        let mut question = self.connect()?;
        let asked = question.version().and_then(|_| ask(&mut question, found));
        match asked {
            Ok(()) => Ok(true),
            Err(Trouble::Answer(why)) => {
                found.troubles.push(format!("{name}: {why}"));
                Ok(false)
            }
            Err(Trouble::Absent) => Ok(false),
            Err(Trouble::Stop(error)) => Err(error),
        }
    }
}

impl Question<'_> {
    /// VERSION, with all that a client can take but a twin socket; the reply's payload.
    pub(super) fn version(&mut self) -> Asked<Vec<u8>> {
        self.propose(Map::new())
    }

    /// The same from a client that wants a twin socket; whether there is one.
    pub(super) fn twin_socket(&mut self) -> Asked<bool> {
        let twin_socket = Map::from_iter([("twin_socket".to_owned(), json!({ "supported": true }))]);
        self.propose(twin_socket)?;
        Ok(self.talk.twin(0).is_some())
    }

    /// Less than cases propose ([`usual_proposal`]): a server that refuses that can still be asked, and the cases tell of it.
    ///
    /// [`usual_proposal`]: crate::session::usual_proposal
    fn propose(&mut self, mut capabilities: Map<String, Value>) -> Asked<Vec<u8>> {
        capabilities.insert("max_msg_fds".to_owned(), json!(16));
        capabilities.insert("max_data_xfer_size".to_owned(), json!(1 << 20));
        capabilities.insert("max_dma_maps".to_owned(), json!(65535));
        capabilities.insert("pgsizes".to_owned(), json!(4096));
        capabilities.insert("migration".to_owned(), json!({ "pgsize": 4096 }));
        capabilities.insert("write_multiple".to_owned(), json!(true));
        if self.talk.dialect.table.is_some() {
            capabilities.insert("max_fds".to_owned(), json!(16));
            capabilities.insert("max_msg_size".to_owned(), json!(MOST_IN_A_MESSAGE));
        }
        let mut payload = Version { major: 0, minor: 1 }.bytes().to_vec();
        payload.extend(VersionData::with_capabilities(capabilities).bytes());
        // Cases tell of it, and a server that has its client need not take another one.
        let answer = self.venture(VERSION.name, &payload, &[])?;
        answer.map(|reply| reply.payload).map_err(|errno| refusal(VERSION.name, errno))
    }

    /// Asks, and wants a successful reply.
    pub(super) fn ok(&mut self, name: &str, payload: &[u8], fds: &[BorrowedFd<'_>]) -> Asked<Reply> {
        self.ask(name, payload, fds)?.map_err(|errno| refusal(name, errno))
    }

    /// Asks; the inner error is the errno of an error reply.
    pub(super) fn ask(&mut self, name: &str, payload: &[u8], fds: &[BorrowedFd<'_>]) -> Asked<Result<Reply, u32>> {
        let Some((number, message)) = self.talk.dialect.command(name) else {
            return Err(Trouble::Absent);
        };
        let frame = Frame::command(self.talk.fresh_id(0), number, payload.to_vec());
        let passed = vec![PassedFd { id: 0, kind: FdKind::Other }; fds.len()];
        let index = self.talk.expect(0, Origin::default(), &frame, Passed { fds: &passed, cuts: &[] }, Effect::None);
        let (started, time) = (Instant::now(), self.timeouts.of(Some(message)));
        self.talk.send(0, &frame.bytes(), fds, &[], Deadline::after(time))?;
        let waited = self.talk.wait_for(index, time)?;
        if waited == Waited::Interrupted {
            return Err(Trouble::Stop(ProbeError::Interrupted));
        }
        let answer = self.talk.sent.get_mut(index).and_then(|sent| sent.answer.take());
        match answer {
            Some(answer) if answer.header.is_error() => Ok(Err(answer.header.error)),
            Some(answer) => Ok(Ok(Reply { payload: answer.payload, fds: answer.fds })),
            None if self.talk.ended(0).is_some() => Err(Trouble::Answer(self.ending(name))),
            None => {
                let time = started.elapsed().as_secs_f64();
                let how = format!("no answer to {name} within {time:.1} s");
                Err(Trouble::Answer(self.unanswered(name, how, Evidence::Deadline)))
            }
        }
    }

    /// Asks what a server need not answer: no client may send it, or the text leaves its form open. A crash is one all the same.
    pub(super) fn venture(&mut self, name: &str, payload: &[u8], fds: &[BorrowedFd<'_>]) -> Asked<Result<Reply, u32>> {
        let before = self.unanswered.borrow().len();
        let answer = self.ask(name, payload, fds);
        let mut unanswered = self.unanswered.borrow_mut();
        let crashes = unanswered.split_off(before).into_iter().filter(|one| one.evidence == Evidence::Exited);
        unanswered.extend(crashes);
        answer
    }

    /// How the connection ended on a question, and the server with it.
    fn ending(&mut self, name: &str) -> String {
        let (how, evidence) = match self.talk.ended(0) {
            Some(Ended::Closed { partial: 0 }) | None => {
                (format!("the server closed the connection on {name}"), Evidence::Closed)
            }
            Some(other) => (format!("{name} was answered with bytes that are no message: {other}"), Evidence::Received),
        };
        let deadline = Deadline::after(self.timeouts.settle);
        let ended = self.instance.as_mut().and_then(|server| {
            let exit = server.wait(deadline, self.interrupt)?;
            Some((exit, server.output(Deadline::after(self.timeouts.settle))))
        });
        let Some((exit, output)) = ended else { return self.unanswered(name, how, evidence) };
        let crash = crash_report(&output).or_else(|| matches!(exit, Exit::Signal(_)).then(|| exit.to_string()));
        match crash {
            Some(crash) => self.unanswered(name, crash, Evidence::Exited),
            None => self.unanswered(name, how.clone(), evidence),
        };
        format!("{how}, and ended with {exit}{}", printed(&output))
    }

    /// Keeps how a question was left without an answer; the same words again.
    fn unanswered(&self, name: &str, how: String, evidence: Evidence) -> String {
        self.unanswered.borrow_mut().push(Unanswered { command: name.to_owned(), how: how.clone(), evidence });
        how
    }

    /// The server's process ends in good order, after its connection did.
    pub(super) fn has_ended(&mut self) -> bool {
        if self.talk.ended(0).is_none() {
            return false;
        }
        let server = self.instance.as_mut();
        let exit = server.and_then(|server| server.wait(Deadline::after(self.timeouts.exit), self.interrupt));
        matches!(exit, Some(Exit::Status(_)))
    }

    /// What its messages look like.
    pub(super) fn dialect(&self) -> &'static Dialect {
        self.talk.dialect
    }

    /// How long a signal may take that must come.
    pub(super) fn time_to_signal(&self) -> Duration {
        if self.is_direct() { Duration::ZERO } else { self.timeouts.reply }
    }

    /// How long to look for one that need not.
    pub(super) fn time_to_settle(&self) -> Duration {
        if self.is_direct() { Duration::ZERO } else { self.timeouts.settle }
    }

    fn is_direct(&self) -> bool {
        self.instance.as_ref().is_some_and(Instance::is_direct)
    }

    /// The server; the session is closed.
    pub(super) fn into_instance(mut self) -> Option<Instance> {
        self.instance.take()
    }

    /// The server's process can be known.
    pub(super) fn has_pid(&self) -> bool {
        let by_socket = || self.talk.ends.first()?.connection.as_ref()?.server_pid();
        let pid = self
            .instance
            .as_ref()
            .and_then(|instance| instance.process.as_ref())
            .map(|process| process.pid())
            .or_else(by_socket);
        pid.is_some_and(|pid| crate::target::open_descriptors(pid).is_ok())
    }
}

impl Drop for Question<'_> {
    fn drop(&mut self) {
        if let Some(instance) = self.instance.take() {
            self.launcher.end(instance);
        }
    }
}
