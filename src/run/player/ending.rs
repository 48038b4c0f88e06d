//! How a connection ended, and whether the server did with it.

use std::time::Duration;

use super::Player;
use super::judge::Found;
use crate::session::{Deadline, Ended};
use crate::target::{Has, crash_report};
use crate::verdict::{Class, Evidence, Exit, Outcome};

/// How a connection's end was brought about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Ending {
    /// The server closed it, and may have ended in an orderly way.
    Closed(Option<Exit>),
    /// The server crashed; what it printed of that.
    Crashed(String, Option<Exit>),
    /// What came is no message.
    Garbage(String),
    /// There never was a connection: the sentence for it.
    Refused(String),
    /// There is a connection, and the server will not negotiate on it: it is there, and does not serve.
    Unserved(Evidence),
}

impl Ending {
    pub(super) fn is_crash(&self) -> bool {
        matches!(self, Ending::Crashed(..))
    }
}

impl std::fmt::Display for Ending {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Ending::Closed(None) => f.write_str("the connection was closed"),
            Ending::Closed(Some(exit)) => write!(f, "the connection was closed, and the server ended with {exit}"),
            Ending::Crashed(report, exit) => {
                f.write_str("the server crashed")?;
                if let Some(exit) = exit {
                    write!(f, " with {exit}")?;
                }
                if report.is_empty() { Ok(()) } else { write!(f, ": {report}") }
            }
            Ending::Garbage(what) => write!(f, "bytes that are no message: {what}"),
            Ending::Refused(why) => write!(f, "no connection: {why}"),
            Ending::Unserved(Evidence::Deadline) => f.write_str("no session: VERSION was not answered"),
            Ending::Unserved(_) => f.write_str("no session: VERSION was refused"),
        }
    }
}

impl Player<'_> {
    /// How a connection's end was brought about: looked into once.
    pub(super) fn ending(&mut self, end: usize) -> Option<Ending> {
        if let Some(Some(known)) = self.endings.get(end) {
            return Some(known.clone());
        }
        let ended = self.talk.ended(end)?.clone();
        let ending = match ended {
            Ended::Garbage(error) => Ending::Garbage(error.to_string()),
            Ended::Flood { .. } => Ending::Garbage(ended.to_string()),
            Ended::Closed { partial } => match self.closed_or_crashed(end) {
                // A message that breaks off is none.
                Ending::Closed(_) if partial > 0 => Ending::Garbage(ended.to_string()),
                ending => ending,
            },
        };
        self.outcome = match &ending {
            Ending::Crashed(..) => Outcome::Crashed,
            Ending::Garbage(_) => Outcome::Garbage,
            Ending::Closed(_) | Ending::Refused(_) | Ending::Unserved(_) => self.outcome,
        };
        // A twin socket came without anybody's asking.
        if self.endings.len() <= end {
            self.endings.resize(end + 1, None);
        }
        if let Some(slot) = self.endings.get_mut(end) {
            *slot = Some(ending.clone());
        }
        Some(ending)
    }

    /// Whether the server at the other side of an end went down with its connection.
    pub(super) fn closed_or_crashed(&mut self, end: usize) -> Ending {
        let stays = matches!(self.context.discovered.has.get("reconnect"), Some(Has::Yes(_)));
        let (timeouts, interrupt) = (self.context.timeouts, self.context.interrupt);
        let server = self.instance_of(end);
        if !server.is_watched() {
            return Ending::Closed(None);
        }
        // A server that is known to go on is waited for only where the kernel says that it is ending; a panic closes
        // its socket a little before that.
        let time = if stays && !server.is_ending() { timeouts.settle } else { timeouts.exit };
        let mut exit = server.wait(Deadline::after(time), interrupt);
        let mut output = server.output(Deadline::after(if exit.is_some() { timeouts.exit } else { Duration::ZERO }));
        if exit.is_none() && crash_report(&output).is_some() {
            exit = server.wait(Deadline::after(timeouts.exit), interrupt);
            output = server.output(Deadline::after(timeouts.exit));
        }
        self.exit = exit;
        match self.crash(exit, &output) {
            Some(report) => Ending::Crashed(report, exit),
            None => Ending::Closed(exit),
        }
    }

    /// What a server printed of its crash, if that is how it ended.
    fn crash(&self, exit: Option<Exit>, output: &str) -> Option<String> {
        crash_report(output).or_else(|| match exit {
            Some(Exit::Signal(signal)) if self.signalled.is_none_or(|sent| sent as i32 != signal) => {
                Some(String::new())
            }
            _ => None,
        })
    }

    /// A server that ends with its clients lets go of all that the case has left with it, and may crash over that.
    pub(super) fn see_off(&mut self) {
        if !matches!(self.context.discovered.has.get("exits"), Some(Has::Yes(_))) {
            return;
        }
        self.talk.ends.iter_mut().for_each(|end| end.connection = None);
        let (timeouts, interrupt) = (self.context.timeouts, self.context.interrupt);
        for server in 0..=self.further.len() {
            let server = self.instance(server);
            // One that printed a panic, and ends in good order, has caught it.
            let Some(exit) = server.wait(Deadline::after(timeouts.settle), interrupt) else { continue };
            let output = server.output(Deadline::after(timeouts.exit));
            let Some(report) = self.crash(Some(exit), &output).filter(|_| exit != Exit::Status(0)) else { continue };
            self.exit = Some(exit);
            self.outcome = Outcome::Crashed;
            let actual = format!("when its client had left, {}", Ending::Crashed(report, Some(exit)));
            let found =
                Found::new("a server that outlives its client, or ends in good order", actual, Evidence::Exited);
            self.find("SEC-01", Class::Violation, (0, 0), found);
        }
    }
}
