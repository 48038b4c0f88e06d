//! All connections of one case: what was sent, and which reply belongs to which command.

use std::collections::BTreeMap;
use std::io;
use std::os::fd::{BorrowedFd, OwnedFd};
use std::sync::Arc;
use std::time::Duration;

use nix::poll::PollFlags;
use vfio_user_wire::message::{RegionAccess, VERSION};
use vfio_user_wire::{Dialect, Frame, HEADER_SIZE, Header, TYPE_COMMAND};

use super::outstanding::Outstanding;
use super::request::{MOST_LINES, MOST_REQUESTS};
use super::serving::{Alteration, Serving};
use super::twin::KnownSockets;
use super::{
    Answer, ClientMemory, Connection, Deadline, Effect, End, Ended, Interrupt, Judged, LentRange, Origin, Passed,
    Patience, Place, Request, Sent, Transcript, Waited, Way, wait,
};
use crate::model::{Command, LetGo, Offer, Permits, Released, Reply, Session, Signals};

/// Messages that answer nothing before no more are read.
const MOST_STRAYS: usize = 1000;

/// Bytes of replies, or of commands that are not answered yet, that are kept at one time before no more are read: no case asks
/// for as much (`MOST_DATA` of the probe).
pub(super) const MOST_KEPT: usize = 20 << 20;

/// Descriptors of replies that are kept: those that come after are closed, and only counted.
const MOST_DESCRIPTORS: usize = 1024;

/// All connections of one case.
#[derive(Debug)]
pub struct Conversation<'a> {
    /// The protocol spoken.
    pub dialect: &'static Dialect,
    pub(super) offer: Arc<Offer>,
    /// The ends, in the order of their connecting.
    pub ends: Vec<End>,
    /// Every command sent.
    pub sent: Vec<Sent>,
    /// Every command of the server.
    pub requests: Vec<Request>,
    /// The memory that is lent, by server.
    pub(super) memory: BTreeMap<usize, ClientMemory>,
    /// How DMA is served.
    pub serving: Serving,
    /// How the next reply is altered.
    pub alteration: Option<Alteration>,
    /// What the model said, not yet taken up.
    pub judged: Vec<Judged>,
    /// Messages that answer nothing: end and number in the transcript.
    pub strays: Vec<(usize, usize)>,
    /// The commands without a reply, oldest first.
    unanswered: Outstanding,
    /// The sockets that the client has or had.
    pub(super) sockets: KnownSockets,
    /// How many of the requests were answered, or needed no answer.
    pub(super) served: usize,
    /// Bytes of the requests that were not served yet.
    pub(super) held: usize,
    /// How many commands were answered.
    pub(super) answers: usize,
    /// Bytes that the device was told to transfer.
    told: u64,
    /// The device wrote memory by message that it could have mapped.
    pub by_message: bool,
    /// How long the server may take.
    pub(super) patience: Patience,
    /// When nothing more is waited for, whatever a server does to keep the conversation going.
    until: Deadline,
    /// Bytes of the replies that came since they were last counted.
    kept: usize,
    /// Descriptors that came with replies, and were kept.
    descriptors: usize,
    pub(super) transcript: Transcript,
    pub(super) interrupt: &'a Interrupt,
}

impl<'a> Conversation<'a> {
    /// One without connections, with a server that offers this.
    pub fn new(
        dialect: &'static Dialect,
        offer: Arc<Offer>,
        patience: Patience,
        interrupt: &'a Interrupt,
    ) -> Conversation<'a> {
        Conversation {
            dialect,
            offer,
            ends: Vec::new(),
            sent: Vec::new(),
            requests: Vec::new(),
            memory: BTreeMap::new(),
            serving: Serving::Memory,
            alteration: None,
            judged: Vec::new(),
            strays: Vec::new(),
            unanswered: Outstanding::default(),
            sockets: KnownSockets::default(),
            served: 0,
            held: 0,
            answers: 0,
            told: 0,
            by_message: false,
            patience,
            until: Deadline::after(Duration::MAX),
            kept: 0,
            descriptors: 0,
            transcript: Transcript::default(),
            interrupt,
        }
    }

    /// Nothing is waited for after that.
    pub fn end_at(&mut self, until: Deadline) {
        self.until = until;
    }

    /// Nothing more is waited for.
    pub fn time_is_up(&self) -> bool {
        self.until.passed()
    }

    /// Adds a connection to the first server, or an end that never got one; returns its number.
    pub fn add(&mut self, name: &str, connection: Option<Connection>) -> usize {
        self.add_to(0, name, connection)
    }

    /// Adds a connection to a server, or an end that never got one; returns its number.
    pub fn add_to(&mut self, server: usize, name: &str, connection: Option<Connection>) -> usize {
        let mut session = Session::new(self.dialect, Arc::clone(&self.offer));
        self.clients_mut().filter(|end| end.server == server).for_each(|end| session.meet(&mut end.session));
        if let Some(socket) = connection.as_ref().and_then(Connection::socket) {
            self.sockets.insert(socket);
        }
        self.push(End::new(name, server, Place::main(name), connection, session))
    }

    pub(super) fn push(&mut self, end: End) -> usize {
        self.ends.push(end);
        self.ends.len() - 1
    }

    /// The ends that are clients' connections.
    fn clients(&self) -> impl DoubleEndedIterator<Item = &End> {
        self.ends.iter().filter(|end| end.twin_of.is_none())
    }

    fn clients_mut(&mut self) -> impl Iterator<Item = &mut End> {
        self.ends.iter_mut().filter(|end| end.twin_of.is_none())
    }

    /// The client's connection that an end is, or belongs to.
    pub(super) fn main(&self, end: usize) -> usize {
        self.ends.get(end).and_then(|end| end.twin_of).unwrap_or(end)
    }

    pub(super) fn place(&self, end: usize) -> Place {
        self.ends.get(end).map_or_else(|| Place::main(""), |end| end.place.clone())
    }

    /// An id that this end has not used.
    pub fn fresh_id(&mut self, end: usize) -> u16 {
        let Some(end) = self.ends.get_mut(end) else { return 0 };
        end.next_id = end.next_id.wrapping_add(1);
        end.next_id
    }

    /// Notes a command that is about to be sent.
    pub fn expect(&mut self, end: usize, origin: Origin, frame: &Frame, passed: Passed<'_>, effect: Effect) -> usize {
        let Passed { fds, cuts } = passed;
        let place = self.place(end);
        let entry = self.transcript.message(self.dialect, &place, Way::Sent, &frame.bytes(), fds.len());
        self.transcript.cut_last(cuts);
        let message = self.dialect.message(frame.header.command);
        let cut = cuts.iter().min().copied();
        let command = Command { header: frame.header, payload: frame.payload.clone(), message, fds: fds.to_vec(), cut };
        for range in effect.lent() {
            self.memory_at(end).lend(range.clone());
        }
        if let Some(end) = self.ends.get_mut(end) {
            end.session.sent(self.sent.len(), command.clone());
        }
        let server = self.ends.get(end).map_or(0, |end| end.server);
        let others = self.ends.iter_mut().enumerate().filter(|(other, known)| *other != end && known.server == server);
        others.for_each(|(_, other)| other.session.overheard(&command));
        self.remember(Sent { end, origin, command, entry, answer: None, judged: Vec::new(), claimed: false, effect })
    }

    /// Notes bytes that are about to be sent, whatever they are; a reply may come to them all the same.
    pub fn expect_raw(&mut self, end: usize, origin: Origin, bytes: &[u8]) -> usize {
        let place = self.place(end);
        let entry = match bytes {
            [] => self.transcript.count(),
            _ => self.transcript.event(&place, Way::Sent, "raw bytes", bytes),
        };
        if let (Some(end), false) = (self.ends.get_mut(end), bytes.is_empty()) {
            end.session.lost();
        }
        // What there is of a header that is cut off, a server may answer by.
        let (begun, payload) = bytes.split_at(bytes.len().min(HEADER_SIZE));
        let mut whole = [0; HEADER_SIZE];
        whole.iter_mut().zip(begun).for_each(|(to, from)| *to = *from);
        let header = Header::parse(&whole).map_or_else(Header::default, |(header, _)| header);
        let message = self.dialect.message(header.command);
        let command = Command { header, payload: payload.to_vec(), message, fds: Vec::new(), cut: None };
        self.remember(Sent {
            end,
            origin,
            command,
            entry,
            answer: None,
            judged: Vec::new(),
            claimed: false,
            effect: Effect::None,
        })
    }

    fn remember(&mut self, sent: Sent) -> usize {
        let index = self.sent.len();
        self.unanswered.insert(sent.end, sent.command.header.id, index);
        self.sent.push(sent);
        index
    }

    /// Notes something that happened on an end.
    pub fn note(&mut self, end: usize, way: Way, what: &str) {
        let place = self.place(end);
        self.transcript.event(&place, way, what, &[]);
    }

    /// Sends bytes on an end; `false` where the server closed or does not read.
    ///
    /// # Errors
    /// Faults of ours.
    pub fn send(
        &mut self,
        end: usize,
        bytes: &[u8],
        fds: &[BorrowedFd<'_>],
        cuts: &[usize],
        deadline: Deadline,
    ) -> io::Result<bool> {
        let (interrupt, deadline) = (self.interrupt, deadline.or(self.until));
        match self.ends.get_mut(end).and_then(|end| end.connection.as_mut()) {
            Some(connection) => connection.send(bytes, fds, cuts, deadline, interrupt),
            None => Ok(false),
        }
    }

    /// Why an end gives no more messages.
    pub fn ended(&self, end: usize) -> Option<&Ended> {
        self.ends.get(end)?.connection.as_ref()?.ended()
    }

    /// The number of the last message in the transcript.
    pub fn last_entry(&self) -> usize {
        self.transcript.count()
    }

    /// Takes the transcript out.
    pub fn take_transcript(&mut self) -> Transcript {
        std::mem::take(&mut self.transcript)
    }

    /// Reads what comes, matches and serves it, until `done`, an end of the connection `watch`, or the deadline.
    ///
    /// # Errors
    /// Faults of ours.
    pub fn pump(
        &mut self,
        watch: usize,
        deadline: Deadline,
        done: &dyn Fn(&Conversation<'_>) -> bool,
    ) -> io::Result<Waited> {
        let deadline = deadline.or(self.until);
        loop {
            let before = self.progress();
            self.take_in()?;
            if done(self) || self.is_over(watch) {
                return Ok(Waited::Ready);
            }
            let waiting: Vec<(BorrowedFd<'_>, PollFlags)> =
                self.ends.iter().filter_map(|end| end.connection.as_ref()?.interest()).collect();
            if waiting.is_empty() {
                // Without a socket all is there that can come, but for the answers to what was served just now.
                if self.progress() != before {
                    continue;
                }
                return Ok(if self.interrupt.raised() { Waited::Interrupted } else { Waited::Deadline });
            }
            // Only now: what was there in time counts, however late this process came to look at it.
            if deadline.passed() {
                return Ok(if self.interrupt.raised() { Waited::Interrupted } else { Waited::Deadline });
            }
            if wait(&waiting, deadline, self.interrupt)?.0 == Waited::Interrupted {
                return Ok(Waited::Interrupted);
            }
        }
    }

    /// Nothing comes from an end any more.
    pub(super) fn is_over(&self, end: usize) -> bool {
        self.ended(end).is_some() || self.ends.get(end).is_none_or(|end| end.connection.is_none())
    }

    /// How many messages there were, and how much has come of the next ones.
    pub(super) fn progress(&self) -> (usize, usize) {
        let partial = |end: &End| end.connection.as_ref().map_or(0, |connection| connection.rest().len());
        (self.transcript.count(), self.ends.iter().map(partial).sum())
    }

    /// Everything that can be had without waiting.
    fn take_in(&mut self) -> io::Result<()> {
        for end in 0..self.ends.len() {
            if let Some(connection) = self.connection(end) {
                connection.fill()?;
            }
        }
        // What the server sent on a twin socket before it answered on the main one is here by now, as the twin socket was read
        // later; so it goes first.
        let mut order: Vec<usize> = (0..self.ends.len()).collect();
        order.sort_by_key(|end| self.ends.get(*end).is_none_or(|end| end.twin_of.is_none()));
        for end in order {
            while let Some(incoming) = self.connection(end).and_then(Connection::take_message) {
                self.arrived(end, incoming.frame, incoming.fds)?;
            }
            self.note_end(end);
        }
        Ok(())
    }

    pub(super) fn connection(&mut self, end: usize) -> Option<&mut Connection> {
        self.ends.get_mut(end)?.connection.as_mut()
    }

    fn note_end(&mut self, at: usize) {
        let Some(end) = self.ends.get_mut(at).filter(|end| !end.end_noted) else { return };
        let Some(connection) = &end.connection else { return };
        let Some(ended) = connection.ended() else { return };
        let rest = connection.rest();
        self.transcript.event(&end.place, Way::Received, &ended.to_string(), rest);
        end.end_noted = true;
    }

    fn arrived(&mut self, end: usize, frame: Frame, fds: Vec<OwnedFd>) -> io::Result<()> {
        self.ends.get_mut(end).into_iter().for_each(|end| end.heard = true);
        let place = self.place(end);
        let entry = self.transcript.message(self.dialect, &place, Way::Received, &frame.bytes(), fds.len());
        // A reply with the Type of a command is taken as the reply that its id and number, or the Error bit, say it is;
        // every other message of that Type is a command of the server, whatever its number.
        let command = frame.header.message_type() == TYPE_COMMAND && !frame.header.is_error();
        if command && !self.is_reply(end, &frame.header) {
            return self.requested(end, frame, entry);
        }
        let main = self.main(end);
        match self.whose(end, &frame).or_else(|| self.whose(main, &frame)) {
            Some(index) => {
                self.judge_channel(index, end, entry);
                self.answered(index, frame, fds, entry);
            }
            None => {
                self.strays.push((end, entry));
                let count = self.strays.len();
                if let Some(connection) = self.connection(end).filter(|_| count >= MOST_STRAYS) {
                    connection.flooded("messages that answer no command", count);
                }
            }
        }
        Ok(())
    }

    fn is_reply(&self, end: usize, header: &Header) -> bool {
        let mut same_id = self.unanswered.same_id(end, header.id).filter_map(|index| self.sent.get(index));
        same_id.any(|sent| sent.command.header.command == header.command)
    }

    /// The command that a reply answers: by id, number and, among several of one id, what it echoes; else the oldest
    /// one of that number, whose id it then got wrong.
    fn whose(&self, end: usize, frame: &Frame) -> Option<usize> {
        let (id, number) = (frame.header.id, frame.header.command);
        let numbered = |index: usize| Some((index, self.sent.get(index)?));
        let same_id: Vec<(usize, &Sent)> = self.unanswered.same_id(end, id).filter_map(numbered).collect();
        let same_both: Vec<&(usize, &Sent)> =
            same_id.iter().filter(|(_, sent)| sent.command.header.command == number).collect();
        let echo = RegionAccess::parse(&frame.payload).map(|(access, _)| access.offset);
        let echoed = same_both.iter().find(|(_, sent)| {
            same_both.len() > 1 && sent.command.request().get("offset").is_some_and(|offset| Some(offset) == echo)
        });
        echoed
            // A message without an answer is more likely meant than one that wants none.
            .or_else(|| same_both.iter().find(|(_, sent)| !sent.command.header.no_reply()))
            .or(same_both.first())
            .map(|(index, _)| *index)
            .or_else(|| same_id.first().map(|(index, _)| *index))
            .or_else(|| {
                // The second reply to a command is none to another.
                let answers = |sent: &&Sent| {
                    let header = sent.command.header;
                    sent.end == end && sent.answer.is_some() && { header.id } == id && { header.command } == number
                };
                if self.sent.iter().any(|sent| answers(&sent)) {
                    return None;
                }
                let mut open = self.unanswered.iter().filter_map(numbered).filter(|(_, sent)| sent.end == end);
                open.find(|(_, sent)| sent.command.header.command == number && !sent.command.header.no_reply())
                    .map(|(index, _)| index)
            })
    }

    /// What commands lent that were sent after that one, and are not refused.
    fn lent_after(&self, index: usize) -> Vec<LentRange> {
        let later = self.sent.iter().skip(index + 1);
        let refused = |sent: &&Sent| sent.answer.as_ref().is_some_and(|answer| answer.header.is_error());
        later.filter(|sent| !refused(sent)).flat_map(|sent| sent.effect.lent().iter().cloned()).collect()
    }

    fn answered(&mut self, index: usize, frame: Frame, mut fds: Vec<OwnedFd>, entry: usize) {
        let takes_all = self.sent.get(index).is_some_and(|sent| matches!(sent.effect, Effect::TakeBackAll));
        let after = if takes_all { self.lent_after(index) } else { Vec::new() };
        let Some(sent) = self.sent.get_mut(index) else { return };
        self.unanswered.remove(sent.end, sent.command.header.id, index);
        let at = sent.end;
        let Some(end) = self.ends.get_mut(at) else { return };
        let memory = self.memory.entry(end.server).or_default();
        match (&sent.effect, frame.header.is_error()) {
            (Effect::Lend(ranges), true) => memory.refused(ranges),
            (Effect::TakeBack(ranges), false) => {
                ranges.iter().for_each(|(address, size)| memory.take_back(*address, *size));
            }
            (Effect::TakeBackAll, false) => {
                *memory = ClientMemory::default();
                after.into_iter().for_each(|range| memory.lend(range));
            }
            _ => {}
        }
        let reply = Reply { header: &frame.header, payload: &frame.payload, fds: fds.len() };
        let judgements = end.session.answered(index, &sent.command, &reply);
        let tested = end.session.take_tested();
        let is_version = sent.command.message.is_some_and(|message| message.name == VERSION.name);
        let agreed = if is_version && !frame.header.is_error() { end.session.negotiated().twin_index() } else { None };
        let passed = fds.len();
        let twin = agreed.filter(|index| *index < passed).map(|index| fds.remove(index));
        self.answers += 1;
        if self.descriptors + fds.len() > MOST_DESCRIPTORS {
            fds.clear();
        }
        self.descriptors += fds.len();
        sent.answer = Some(Answer { header: frame.header, payload: frame.payload, fds, passed, entry });
        for (ticket, requirement) in tested {
            self.sent.get_mut(ticket).into_iter().for_each(|sent| sent.judged.push(requirement));
        }
        // What was said of a command that had to wait belongs to that one.
        for (ticket, judgement) in judgements {
            let Some(sent) = self.sent.get_mut(ticket) else { continue };
            sent.judged.push(judgement.requirement);
            let entry = sent.answer.as_ref().map_or(entry, |answer| answer.entry);
            let Origin { step, line, .. } = sent.origin;
            self.judged.push(Judged { judgement, step, line, entry });
        }
        if let Some(socket) = twin {
            self.take_twin(index, at, socket, entry);
        }
        self.count_kept(index, at);
    }

    /// Ends a connection on which more came than anybody asked for.
    fn count_kept(&mut self, index: usize, end: usize) {
        let length = |sent: &Sent| sent.answer.as_ref().map_or(0, |answer| answer.payload.len());
        self.kept += self.sent.get(index).map_or(0, length);
        if self.kept > MOST_KEPT {
            // Some of it may have been taken out meanwhile.
            self.kept = self.sent.iter().map(length).sum();
        }
        let count = self.kept;
        if let Some(connection) = self.connection(end).filter(|_| count > MOST_KEPT) {
            connection.flooded("bytes of replies", count);
        }
    }

    /// How often a descriptor should have been signalled since that was last looked at; `None` where that is open.
    pub fn signals(&self, fd: u64) -> Option<Signals> {
        let all: Option<Vec<Signals>> = self.clients().map(|end| end.session.signals(fd)).collect();
        // One client's triggers, at the most: a descriptor that several sessions know is not followed.
        let mut all = all?.into_iter().filter(|signals| signals.most.0 > 0);
        match (all.next(), all.next()) {
            (Some(signals), None) => Some(signals),
            (Some(_), Some(_)) => None,
            (None, _) => self.clients().rev().find_map(|end| end.session.signals(fd)),
        }
    }

    /// Why the server should hold a descriptor no longer; `None` where it may hold it, or never had it.
    pub fn let_go(&self, fd: u64) -> Option<LetGo> {
        let may_hold = self.clients().any(|end| end.session.may_hold(fd));
        if may_hold { None } else { self.clients().find_map(|end| end.session.let_go(fd)) }
    }

    /// Why a file should be mapped no longer; `None` where it may be, or never was.
    pub fn released(&self, file: u64) -> Option<Released> {
        let may_map = self.clients().any(|end| end.session.may_map(file));
        if may_map { None } else { self.clients().find_map(|end| end.session.released(file)) }
    }

    /// The commands on an end that a line asks for: those of the label, or the oldest that no line asked for.
    pub fn asked_for(&self, end: usize, label: Option<&str>) -> Vec<usize> {
        let on_end = self.sent.iter().enumerate().filter(|(_, sent)| sent.end == end);
        if let Some(label) = label {
            let labelled = on_end.filter(|(_, sent)| sent.origin.label.as_deref() == Some(label));
            return labelled.map(|(index, _)| index).collect();
        }
        // `times` sends several commands in one step: they are asked for together.
        let origin = |sent: &Sent| (sent.origin.step, sent.origin.line);
        let oldest = on_end.clone().find(|(_, sent)| !sent.claimed).map(|(_, sent)| origin(sent));
        on_end.filter(|(_, sent)| !sent.claimed && Some(origin(sent)) == oldest).map(|(index, _)| index).collect()
    }

    /// Takes a reply that never came, as if it had.
    pub fn suppose(&mut self, index: usize, frame: Frame) {
        let entry = self.transcript.count();
        self.answered(index, frame, Vec::new(), entry);
    }

    /// The device is told to transfer so many bytes.
    pub fn device_transfers(&mut self, length: u64) {
        self.told = self.told.saturating_add(length);
    }

    /// How many commands of the server are no flood: a device may transfer what it is told to line by line of memory.
    pub(super) fn most_requests(&self) -> usize {
        /// Bytes of a line.
        const LINE: u64 = 64;
        MOST_REQUESTS + usize::try_from(self.told / LINE).unwrap_or(usize::MAX).min(MOST_LINES)
    }

    /// What may be answered to a command that has no answer yet.
    pub fn permits(&self, index: usize) -> Permits {
        let end = self.sent.get(index).and_then(|sent| self.ends.get(sent.end));
        end.map_or_else(Permits::anything, |end| end.session.permits(index))
    }

    /// Why a command is more than its server said that it takes, where it is.
    pub fn exceeds(&self, index: usize) -> Option<String> {
        let end = self.sent.get(index).and_then(|sent| self.ends.get(sent.end))?;
        end.session.exceeds(index)
    }

    /// A command before this one on its end is one that a server may end the connection at, and has no answer either.
    pub fn may_have_ended(&self, index: usize) -> bool {
        let end = self.sent.get(index).and_then(|sent| self.ends.get(sent.end));
        end.is_some_and(|end| end.session.may_have_ended(index))
    }

    /// The requirement that a command puts to the test, where nothing but it can have decided what became of it.
    pub fn tests(&self, index: usize) -> Option<&'static str> {
        let end = self.sent.get(index).and_then(|sent| self.ends.get(sent.end))?;
        end.session.tests(index)
    }

    /// What is lent to the server of an end.
    pub(super) fn memory_at(&mut self, end: usize) -> &mut ClientMemory {
        let server = self.ends.get(end).map_or(0, |end| end.server);
        self.memory.entry(server).or_default()
    }
}
