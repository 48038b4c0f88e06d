//! The connections of the clients, and the VERSION with which each begins.

use vfio_user_wire::Frame;
use vfio_user_wire::message::VERSION;

use super::ending::Ending;
use super::expect::Actual;
use super::{Fault, Player, Stop};
use crate::case::FIRST;
use crate::session::{Connection, Effect, Origin, Passed, usual_proposal, version_payload};
use crate::target::StartError;
use crate::verdict::Evidence;

/// The longest message that is taken, in bytes: twice the largest transfer of a case.
const LONGEST: usize = (4 << 20) + (64 << 10);

impl Player<'_> {
    /// Connects the first client.
    pub(super) fn connect(&mut self) -> Result<usize, Stop> {
        let connection = self.instance.connect(self.context.interrupt)?;
        Ok(self.add(0, FIRST, Some(connection)))
    }

    /// Connects a further client. Where the server does not take it, the lines that ask for its answers say so.
    pub(super) fn connect_further(&mut self, name: &str, negotiate: bool) -> Result<(), Stop> {
        let refused = match self.instance.connect_within(self.context.timeouts.reply, self.context.interrupt) {
            Ok(connection) => {
                let end = self.add(0, name, Some(connection));
                if !negotiate {
                    return Ok(());
                }
                let index = self.send_version(end, usual_proposal(self.talk.dialect))?;
                match self.actual(index) {
                    Actual::Ok => return Ok(()),
                    Actual::Ended(ending) => ending,
                    Actual::Error(_) => Ending::Unserved(Evidence::Received),
                    Actual::Silent => Ending::Unserved(Evidence::Deadline),
                }
            }
            Err(error @ (StartError::Interrupted | StartError::Ours(_))) => return Err(error.into()),
            Err(error) => {
                self.add(0, name, None);
                match self.closed_or_crashed(0) {
                    Ending::Closed(None) => Ending::Refused(error.to_string()),
                    ended => ended,
                }
            }
        };
        let at = self.talk.ends.iter().position(|end| end.name == name);
        if let Some(slot) = at.and_then(|at| self.endings.get_mut(at)) {
            *slot = Some(refused);
        }
        if let Some(end) = at.and_then(|at| self.talk.ends.get_mut(at)) {
            end.connection = None;
        }
        Ok(())
    }

    pub(super) fn add(&mut self, server: usize, name: &str, mut connection: Option<Connection>) -> usize {
        if let Some(connection) = &mut connection {
            connection.set_limit(LONGEST);
        }
        let end = self.talk.add_to(server, name, connection);
        self.endings.resize(self.talk.ends.len(), None);
        end
    }

    /// VERSION with that data, and its answer: a case that is about something else goes no further without it.
    pub(super) fn negotiate(&mut self, end: usize, data: &str) -> Result<(), Stop> {
        let index = self.send_version(end, data)?;
        match self.actual(index) {
            Actual::Ok => Ok(()),
            Actual::Error(number) => Err(Stop::Skip(format!(
                "set-up refused: VERSION was answered with {}",
                crate::case::error_text(number)
            ))),
            Actual::Silent | Actual::Ended(_) => self.set_up_failed(index, 0, self.case.line),
        }
    }

    fn send_version(&mut self, end: usize, data: &str) -> Result<usize, Stop> {
        let command = self.talk.dialect.command(VERSION.name);
        let (number, _) = command.ok_or_else(|| Fault::new("no VERSION in this dialect"))?;
        let frame = Frame::command(self.talk.fresh_id(end), number, version_payload(data));
        let origin = Origin { line: self.case.line, ..Origin::default() };
        let index = self.talk.expect(end, origin, &frame, Passed::default(), Effect::None);
        self.transmit(end, &frame)?;
        self.wait_for(index)?;
        self.take_judged();
        if let Some(sent) = self.talk.sent.get_mut(index) {
            sent.claimed = true;
        }
        Ok(index)
    }
}
