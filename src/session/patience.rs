//! How long a reply is waited for.

use std::io;
use std::ops::RangeInclusive;
use std::time::Duration;

use super::{Connection, Conversation, Deadline, End, Waited, wait};

/// How long a server may take for what.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Patience {
    /// To read a reply of the client, or to answer where nothing else is said.
    pub reply: Duration,
    /// To read the first message on a connection: it may have to accept it, and to be done with the client before.
    pub first: Duration,
    /// To be done with all that it has to do before an answer, while it answers nothing.
    pub most: Duration,
}

impl Conversation<'_> {
    /// Waits until a command is answered, its connection ends, or the server had `time` for it. A server carries out
    /// commands in the order of their coming (specification 245-250): its time for this one begins when it is done with
    /// those before. So it begins anew with all that comes, and where some of them have no answer, and perhaps never get
    /// one, there is time for them as well.
    ///
    /// # Errors
    /// Faults of ours.
    pub fn wait_for(&mut self, index: usize, mut time: Duration) -> io::Result<Waited> {
        let Some(end) = self.sent.get(index).map(|sent| sent.end) else { return Ok(Waited::Ready) };
        if self.ends.get(end).is_some_and(|end| !end.heard) {
            let first = self.time_to_be_read(end);
            if self.connection(end).is_some_and(|connection| connection.spoken()) {
                let waited = self.wait_until_read_of(end..=end, first)?;
                if waited != Waited::Ready {
                    return Ok(waited);
                }
            } else {
                // Nothing shows that the server has accepted it.
                time = time.max(first);
            }
        }
        let most = self.patience.most.max(time);
        let mut last = Deadline::after(most);
        let mut deadline = if self.is_behind(index) { last } else { Deadline::after(time) };
        let is_answered = |talk: &Conversation<'_>| talk.sent.get(index).is_none_or(|sent| sent.answer.is_some());
        loop {
            let (before, answers) = (self.progress(), self.answers);
            let waited = self.pump(end, deadline, &|talk| is_answered(talk) || talk.progress() != before)?;
            if waited != Waited::Ready || is_answered(self) || self.is_over(end) {
                return Ok(waited);
            }
            // Commands of the server's own and bytes without end are no answer.
            if self.answers != answers {
                last = Deadline::after(most);
            }
            deadline = if self.is_behind(index) { last } else { last.or_after(time) };
        }
    }

    /// A server that answers another client now is there, and need not be done with it first.
    fn time_to_be_read(&self, end: usize) -> Duration {
        let server = self.ends.get(end).map(|end| end.server);
        let goes_on = |other: &End| other.connection.as_ref().is_some_and(Connection::goes_on);
        let answers = |other: &End| Some(other.server) == server && other.heard && goes_on(other);
        if self.ends.iter().any(answers) { self.patience.reply } else { self.patience.first }
    }

    /// A command before this one on its end has no answer, and none behind it has one.
    fn is_behind(&self, index: usize) -> bool {
        let end = self.sent.get(index).map(|sent| sent.end);
        let before = self.sent.get(..index).unwrap_or_default().iter().rev().find(|sent| Some(sent.end) == end);
        before.is_some_and(|sent| sent.answer.is_none())
    }

    /// A command was sent that may be under way: it has no answer, and nothing that was sent behind it has one.
    pub fn is_under_way(&self) -> bool {
        let last = |end: usize| self.sent.iter().rev().find(|sent| sent.end == end);
        let mut open = self.ends.iter().enumerate().filter(|(_, end)| end.is_open_client());
        open.any(|(end, _)| last(end).is_some_and(|sent| sent.answer.is_none()))
    }

    /// Until the server has read all that was sent to it, or had the time for a reply to do so: what does not come in the
    /// moment after that is not on its way to a server that nobody lets run.
    ///
    /// # Errors
    /// Faults of ours.
    pub fn wait_until_read(&mut self) -> io::Result<Waited> {
        let waited = self.wait_until_read_of(0..=usize::MAX, self.patience.reply)?;
        Ok(if waited == Waited::Deadline { Waited::Ready } else { waited })
    }

    fn wait_until_read_of(&mut self, ends: RangeInclusive<usize>, time: Duration) -> io::Result<Waited> {
        let deadline = Deadline::after(time);
        loop {
            let mut read = true;
            let known = self.ends.iter().enumerate().filter(|(number, _)| ends.contains(number));
            for connection in known.filter_map(|(_, end)| end.connection.as_ref()) {
                read &= connection.is_read()?;
            }
            if read || deadline.passed() || self.time_is_up() {
                return Ok(if read { Waited::Ready } else { Waited::Deadline });
            }
            // The kernel has no event for that. What comes meanwhile is taken, and served.
            let before = self.progress();
            let waited = self.pump(0, Deadline::after(Duration::from_millis(1)), &|talk| talk.progress() != before)?;
            if waited == Waited::Interrupted {
                return Ok(waited);
            }
            if self.is_over(0) {
                // Without a first client to wait for, nothing is waited for above.
                let (waited, _) = wait(&[], Deadline::after(Duration::from_millis(1)), self.interrupt)?;
                if waited == Waited::Interrupted {
                    return Ok(waited);
                }
            }
        }
    }
}
