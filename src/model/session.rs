//! One connection as a state machine: what was sent, what it did, and what may be answered now.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use vfio_user_wire::device_state::{STOP, STOP_COPY};
use vfio_user_wire::message::VERSION;
use vfio_user_wire::tables::{Table, VM_INTERRUPT};
use vfio_user_wire::{Dialect, HEADER_SIZE, Limits, NO_REPLY, TYPE_COMMAND, VersionData};

use super::carried::Carried;
use super::dirty_log::DirtyLog;
use super::edition::Edition;
use super::irqs::{Irqs, LetGo, Signals};
use super::judgement::header_mark;
use super::maps::{Maps, Released};
use super::migration::Migration;
use super::migration_region::{Transfer, names, register_of};
use super::permits::{Kind, Permits, Rule};
use super::scratch::Scratch;
use super::spans::span;
use super::{
    Broken, Command, Instead, Judgement, Judgements, Negotiated, Offer, Reply, judge_order, judge_reply, migration,
    negotiated, ruling,
};
use crate::verdict::Class;

/// How far a connection is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Phase {
    /// Nothing was negotiated.
    Connected,
    /// What was sent so far was refused: the server may wait for another VERSION, or go.
    Refused,
    /// A VERSION went out that needs no answer.
    Perhaps,
    /// VERSION was answered with success.
    Negotiated,
    /// The client sent what is no message: there is no telling what the server makes of the stream.
    Lost,
}

/// What the server knows of its client, as far as the client can tell.
#[derive(Debug, Clone)]
pub(super) struct State {
    pub(super) dialect: &'static Dialect,
    pub(super) offer: Arc<Offer>,
    pub(super) phase: Phase,
    /// The server said `write_multiple` in its reply to VERSION.
    pub(super) write_multiple: bool,
    /// What the client takes.
    pub(super) client_limits: Limits,
    /// What VERSION of 0.9.1 has settled about migration.
    pub(super) migrating: Migrating,
    pub(super) maps: Maps,
    pub(super) irqs: Irqs,
    pub(super) log: DirtyLog,
    pub(super) scratch: Scratch,
    pub(super) migration: Migration,
    /// What goes through the migration region of 0.9.1.
    pub(super) transfer: Transfer,
    pub(super) carried: Carried,
    /// The full DEVICE_GET_REGION_INFO replies that came, by index.
    pub(super) region_infos: BTreeMap<u64, Vec<u8>>,
    /// What other clients of this server have mapped, or asked it to map: address and size.
    pub(super) elsewhere: Vec<(u64, u64)>,
    /// What clients that are gone had mapped.
    pub(super) left: Vec<(u64, u64)>,
    /// No other client was ever connected.
    pub(super) alone: bool,
}

/// What VERSION of 0.9.1 has settled about migration.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Migrating {
    /// The client has said that it can.
    pub(super) client: bool,
    /// The server has said that it can.
    pub(super) server: bool,
    /// Bytes that a bit of a bitmap stands for: the smaller number of the two peers'. `None` where the server states none.
    pub(super) page_size: Option<u64>,
    /// The peers have stated different numbers.
    pub(super) differ: bool,
    /// The server states `max_msg_size`: it is of a text before commit 57684de.
    pub(super) early: bool,
    /// The longest message that the client takes, of a server of such a text or of version 8. Bytes.
    pub(super) most: Option<u64>,
}

impl Migrating {
    /// A reply with that payload is longer than the client takes: nobody can say what the server does instead.
    pub(super) fn too_long(&self, payload: u64) -> bool {
        self.most.is_some_and(|most| HEADER_SIZE as u64 + payload > most)
    }
}

/// What became of a command.
#[derive(Debug, Clone, Copy)]
pub(super) enum Given<'a> {
    /// It succeeded, with this payload.
    Ok(&'a [u8]),
    /// It failed.
    Error,
    /// Nobody knows.
    Unknown,
}

#[derive(Debug, Clone)]
enum Answer {
    Ok(Vec<u8>),
    Error(u32),
}

#[derive(Debug, Clone)]
struct Pending {
    ticket: usize,
    command: Command,
    answer: Option<Answer>,
    /// Nothing that was sent before it can have put the server out of step.
    in_step: bool,
}

/// One connection as a state machine.
///
/// Commands are numbered by the caller and told in the order of their sending; what each did is worked out in that
/// order, once the answers are there.
#[derive(Debug, Clone)]
pub struct Session {
    state: State,
    negotiated: Negotiated,
    /// What is not worked out yet, oldest first.
    pending: VecDeque<Pending>,
    /// Nothing that was sent so far can have put the server out of step.
    in_step: bool,
    /// What the commands that were worked out put to the test, not yet taken up.
    tested: Vec<(usize, &'static str)>,
    /// Why commands that were worked out were more than the server said that it takes.
    exceeding: BTreeMap<usize, String>,
    /// The client has asked for interrupts that the device would not have raised itself.
    asked: bool,
}

impl Session {
    /// A new connection to a server that speaks this dialect and offers this.
    pub fn new(dialect: &'static Dialect, offer: Arc<Offer>) -> Session {
        let (maps, irqs, scratch) = (Maps::default(), Irqs::default(), Scratch::default());
        let state = State {
            dialect,
            offer,
            phase: Phase::Connected,
            write_multiple: false,
            client_limits: Limits::default(),
            migrating: Migrating::default(),
            maps,
            irqs,
            log: DirtyLog::default(),
            scratch,
            migration: Migration::default(),
            transfer: Transfer::default(),
            carried: Carried::default(),
            region_infos: BTreeMap::new(),
            elsewhere: Vec::new(),
            left: Vec::new(),
            alone: true,
        };
        let (negotiated, pending, tested) = (Negotiated::default(), VecDeque::new(), Vec::new());
        let exceeding = BTreeMap::new();
        Session { state, negotiated, pending, in_step: true, tested, exceeding, asked: false }
    }

    /// What both sides said in VERSION.
    pub fn negotiated(&self) -> &Negotiated {
        &self.negotiated
    }

    /// Another client of the same server has come: what either does to the device, the other can see.
    pub fn meet(&mut self, other: &mut Session) {
        self.state.elsewhere.extend(other.state.maps.ranges());
        other.state.elsewhere.extend(self.state.maps.ranges());
        self.state.left.extend(other.state.maps.left());
        for state in [&mut self.state, &mut other.state] {
            state.alone = false;
            state.carried.forget();
        }
        // What one of them did to the state, the other finds.
        if self.state.migration.was_touched() || other.state.migration.was_touched() {
            self.state.migration.touch();
            other.state.migration.touch();
        }
    }

    /// A command is about to be sent.
    pub fn sent(&mut self, ticket: usize, command: Command) {
        let whole = command.header.size as usize == HEADER_SIZE + command.payload.len();
        if is_version(&command) && self.state.phase != Phase::Negotiated {
            // The client's limits hold from its proposal on: the reply itself must keep to them. What is proposed once more
            // may be refused, and what was agreed on stays.
            let proposed = negotiated(&command.payload, &[]);
            let taken_perhaps =
                self.state.phase == Phase::Perhaps || self.pending.iter().any(|pending| is_version(&pending.command));
            self.negotiated = if taken_perhaps { proposed.or_those_of(&self.negotiated) } else { proposed };
        }
        let in_step = self.in_step;
        self.in_step &= command.is_plain();
        self.asked |= ruling::may_interrupt(&command);
        if !whole {
            self.lost();
        }
        if whole || (command.header.size as usize) < HEADER_SIZE {
            self.pending.push_back(Pending { ticket, command, answer: None, in_step });
        }
    }

    /// Bytes are sent that are no message.
    pub fn lost(&mut self) {
        self.in_step = false;
        self.state.phase = Phase::Lost;
        self.state.doubt_all();
    }

    /// The client has closed the connection, or the server has.
    pub fn disconnected(&mut self) {
        while let Some(pending) = self.pending.pop_front() {
            ruling::apply(&mut self.state, &pending.command, Given::Unknown);
        }
        // A server of version 8 should take no action (at 595dff9, 269-270).
        let kept = self.state.edition() == Edition::Tables(Table::V8);
        self.state.maps.disconnect(kept);
        if kept {
            self.state.irqs.doubt_all();
        } else {
            self.state.irqs.disconnect();
        }
        self.state.phase = Phase::Lost;
    }

    /// A reply has come: what it says of this command, and of others that waited for it.
    pub fn answered(&mut self, ticket: usize, command: &Command, reply: &Reply<'_>) -> Vec<(usize, Judgement)> {
        let mut said = judge_reply(self.state.dialect, command, reply, &self.negotiated);
        let overtaken = self.pending.iter().take_while(|pending| pending.ticket < ticket);
        let overtaken = overtaken.filter(|pending| pending.answer.is_none() && pending.command.wants_reply());
        said.extend(judge_order(command, overtaken.map(|pending| &pending.command).next()));
        if let Some(requirement) = command.cut_breaks() {
            // What is wrong with the answer to a message in pieces is that it came in pieces.
            for judgement in said.iter_mut().filter(|said| said.is_violation()) {
                judgement.requirement = requirement;
            }
        }
        let mut all: Vec<(usize, Judgement)> = said.into_iter().map(|judgement| (ticket, judgement)).collect();
        if is_version(command) && !reply.header.is_error() {
            self.negotiated = negotiated(&command.payload, reply.payload);
        }
        // Pending commands are in the order of their numbers.
        let at = self.pending.partition_point(|pending| pending.ticket < ticket);
        if let Some(pending) = self.pending.get_mut(at).filter(|pending| pending.ticket == ticket) {
            let error = reply.header.is_error();
            pending.answer =
                Some(if error { Answer::Error(reply.header.error) } else { Answer::Ok(reply.payload.to_vec()) });
        }
        self.work_out(ticket, &mut all);
        all
    }

    /// Works out what every command up to `ticket` did. What was overtaken may have been answered by silence, and what
    /// needs no reply gets none: what those did is open.
    fn work_out(&mut self, ticket: usize, said: &mut Vec<(usize, Judgement)>) {
        while self.pending.front().is_some_and(|pending| pending.ticket <= ticket || pending.answer.is_some()) {
            let Some(Pending { ticket, command, answer, .. }) = self.pending.pop_front() else { return };
            let given = match &answer {
                Some(Answer::Ok(payload)) => Given::Ok(payload),
                Some(Answer::Error(_)) => Given::Error,
                None => Given::Unknown,
            };
            if let Some(why) = ruling::exceeded(&self.state, &command) {
                self.exceeding.insert(ticket, why);
            }
            if let Some(answer) = &answer {
                let permits = ruling::permits(&self.state, &command);
                self.tested.extend(permits.tests.map(|requirement| (ticket, requirement)));
                let mut judgements = Judgements::default();
                if let Answer::Ok(payload) = answer {
                    ruling::judge(&self.state, &command, payload, &mut judgements);
                }
                rule(&permits, answer, &mut judgements);
                said.extend(judgements.into_vec().into_iter().map(|mut judgement| {
                    if let Some(broken) = &mut judgement.broken {
                        broken.by_state = true;
                    }
                    (ticket, judgement)
                }));
            }
            ruling::apply(&mut self.state, &command, given);
        }
    }

    /// The requirements that answered commands have put to the test since this was last asked, each with its command: a crash
    /// or silence instead of the answer would have broken them.
    pub fn take_tested(&mut self) -> Vec<(usize, &'static str)> {
        std::mem::take(&mut self.tested)
    }

    /// What may be answered to a command that was sent and not answered yet; what was sent before it and was not
    /// answered either may have done anything.
    pub fn permits(&self, ticket: usize) -> Permits {
        let mut state = self.state.clone();
        for pending in &self.pending {
            if pending.ticket == ticket {
                return ruling::permits(&state, &pending.command);
            }
            ruling::apply(&mut state, &pending.command, Given::Unknown);
        }
        Permits::anything()
    }

    /// Why a command is more than the server said that it takes, where it is.
    pub fn exceeds(&self, ticket: usize) -> Option<String> {
        let waiting = || self.pending.iter().find(|pending| pending.ticket == ticket);
        let known = self.exceeding.get(&ticket).cloned();
        known.or_else(|| ruling::exceeded(&self.state, &waiting()?.command))
    }

    /// A command before this one, which has no answer either, is one that a server may end the connection at.
    pub fn may_have_ended(&self, ticket: usize) -> bool {
        let mut state = self.state.clone();
        for pending in self.pending.iter().take_while(|pending| pending.ticket < ticket) {
            // What a posted command would be answered with, if it wanted an answer.
            let mut command = pending.command.clone();
            command.header.flags &= !NO_REPLY;
            let closed = ruling::permits(&state, &command).closed;
            if pending.answer.is_none() && closed.iter().all(|rule| rule.class != Class::Violation) {
                return true;
            }
            ruling::apply(&mut state, &pending.command, Given::Unknown);
        }
        false
    }

    /// The requirement that a command puts to the test, where it is the oldest one without an answer and nothing before
    /// it can have confused the server: then what becomes of it is to be told by that.
    pub fn tests(&self, ticket: usize) -> Option<&'static str> {
        let oldest = self.pending.iter().find(|pending| pending.answer.is_none())?;
        (oldest.ticket == ticket && oldest.in_step).then(|| self.permits(ticket).tests).flatten()
    }

    /// How often a descriptor should have been signalled since it was last looked at; `None` where that is open.
    pub fn signals(&self, fd: u64) -> Option<Signals> {
        (self.state.phase != Phase::Lost).then(|| self.state.irqs.signals(fd)).flatten()
    }

    /// The signals of a descriptor were looked at and taken.
    pub fn looked_at(&mut self, fd: u64) {
        self.state.irqs.looked_at(fd);
    }

    /// Why the server should hold a descriptor no longer; `None` where it may hold it.
    pub fn let_go(&self, fd: u64) -> Option<LetGo> {
        self.state.irqs.why_let_go(fd)
    }

    /// The server may hold the descriptor.
    pub fn may_hold(&self, fd: u64) -> bool {
        self.state.irqs.may_hold(fd)
            || self.pending.iter().any(|pending| pending.command.fds.iter().any(|passed| passed.id == fd))
    }

    /// Why a file should be mapped no longer; `None` where it may be.
    pub fn released(&self, file: u64) -> Option<Released> {
        self.state.maps.released(file)
    }

    /// A map of the file may be there.
    pub fn may_map(&self, file: u64) -> bool {
        self.state.maps.has_file(file)
            || self.pending.iter().any(|pending| pending.command.fds.iter().any(|passed| passed.id == file))
    }

    /// The device was made to raise an interrupt.
    pub fn raised(&mut self, index: u32, sub: u32) {
        let automasked = ruling::automasked(&self.state.offer, index);
        if !self.state.alone {
            self.state.irqs.doubt_all_masks();
        }
        if self.is_stopped() {
            let requirement = self.state.silence();
            self.state.irqs.hush(index, sub, requirement);
        } else {
            self.state.irqs.raise(index, sub, automasked, !self.may_be_stopped());
        }
    }

    /// Another client of the server sends this.
    pub fn overheard(&mut self, command: &Command) {
        ruling::overhear(&mut self.state, command);
    }

    /// The state of the device's migration, where it is known.
    pub fn device_state(&self) -> Option<u32> {
        self.state.migration.states().only()
    }

    /// What `device_state` of the migration region should say, where that is known.
    pub fn migration_register(&self) -> Option<u32> {
        self.device_state().map(register_of)
    }

    /// The device may do nothing of its own accord.
    pub fn may_be_stopped(&self) -> bool {
        self.state.migration.may_be_stopped()
    }

    /// The device does nothing of its own accord, if the server is right; nothing under way can have changed that.
    pub fn is_stopped(&self) -> bool {
        let under_way = |pending: &Pending| self.state.changes_state(&pending.command);
        self.state.is_silent() && !self.pending.iter().any(under_way)
    }

    /// Judges by the state that the server sent a command of its own.
    pub fn requested(&self, name: &str) -> Option<Judgement> {
        let interrupts = name == VM_INTERRUPT.name;
        if interrupts && (self.asked || !self.state.alone) {
            return None;
        }
        let states = self.state.migration.states();
        let actual = match self.state.edition() {
            Edition::Current => format!("{name} in {states}"),
            Edition::Legacy | Edition::Tables(_) => format!("{name} while {}", names(states)),
        };
        self.is_stopped().then(|| Judgement {
            requirement: self.state.silence(),
            broken: Some(Broken {
                class: Class::Violation,
                expected: format!("no {}: the device is stopped", if interrupts { "interrupt" } else { "DMA" }),
                actual,
                field: header_mark("command"),
                instead: None,
                by_state: true,
            }),
        })
    }

    /// The device is made to write client memory.
    pub fn device_writes(&mut self, iova: u64, length: u64) {
        self.state.log.writes(span(iova, length));
    }

    /// The device is made to read client memory.
    pub fn device_reads(&mut self, iova: u64, length: u64) {
        self.state.log.reads(span(iova, length));
    }

    /// The device may write this memory whenever it does something.
    pub fn device_uses(&mut self, iova: u64, length: u64) {
        self.state.log.uses(span(iova, length));
    }

    /// The device writes client memory by message.
    pub fn device_sends(&mut self, iova: u64, length: u64) {
        self.state.log.message(span(iova, length));
    }

    /// A file is behind some of this memory.
    pub fn has_file(&self, iova: u64, length: u64) -> bool {
        !self.state.maps.with_file(span(iova, length)).is_empty()
    }

    /// The device says that what it was made to do is done, or has failed.
    pub fn device_finished(&mut self, done: bool) {
        let reached = self.state.maps.with_file((0, 1 << 64));
        self.state.log.finished(done, &reached);
    }

    /// Something other than a message has changed the device's bytes.
    pub fn forget_scratch(&mut self) {
        self.state.scratch.forget_all();
        self.state.carried.leave();
    }
}

impl State {
    /// The text that is spoken.
    pub(super) fn edition(&self) -> Edition {
        Edition::of(self.dialect)
    }

    /// A server need state its limits to no client that did not state its own, and may go down to what that one stated: to another
    /// one it may have said more. What is less than both is the limit of somebody else (DISC-06).
    pub(super) fn heed(&mut self, proposed: &VersionData, stated: Limits) {
        let known = self.offer.limits;
        let least = |name, known: u64, stated: u64| match proposed.number(name) {
            Some(own) if stated < own => known,
            _ => known.min(stated),
        };
        let limits = Limits {
            max_msg_fds: least("max_msg_fds", known.max_msg_fds, stated.max_msg_fds),
            max_data_xfer_size: least("max_data_xfer_size", known.max_data_xfer_size, stated.max_data_xfer_size),
            max_dma_maps: least("max_dma_maps", known.max_dma_maps, stated.max_dma_maps),
            pgsizes: known.pgsizes,
        };
        if limits != known {
            Arc::make_mut(&mut self.offer).limits = limits;
        }
    }

    /// The command may change the state of migration.
    pub(super) fn changes_state(&self, command: &Command) -> bool {
        migration::changes_state(command) || ruling::changes_migration_region(self, command)
    }

    /// Nothing may come of the device, neither DMA nor an interrupt. In 0.9.1 that is said of a device that is stopped for
    /// the copy or for good, and of none else.
    fn is_silent(&self) -> bool {
        let of_text = |state| matches!(state, STOP | STOP_COPY);
        self.migration.is_stopped()
            && (self.edition() == Edition::Current || self.migration.states().iter().all(of_text))
    }

    /// What it breaks if something comes all the same.
    fn silence(&self) -> &'static str {
        match self.edition() {
            Edition::Current => "MIGFSM-29",
            edition @ (Edition::Legacy | Edition::Tables(_)) => edition.own_name("L-MR-30"),
        }
    }

    pub(super) fn doubt_all(&mut self) {
        self.doubt_device();
        self.migration.doubt();
        self.transfer.forget();
    }

    /// All but the state of migration.
    pub(super) fn doubt_device(&mut self) {
        self.maps.doubt_all();
        self.irqs.doubt_all();
        self.log.doubt();
        self.scratch.forget_all();
        self.carried.forget();
    }

    pub(super) fn refuse_fds(&mut self, command: &Command, why: LetGo) {
        for fd in &command.fds {
            self.irqs.let_go(fd.id, why);
        }
    }
}

/// Turns what may come and what came into judgements.
fn rule(permits: &Permits, answer: &Answer, out: &mut Judgements) {
    let (kind, actual) = match answer {
        Answer::Ok(_) => (Kind::Ok, "a successful reply".to_owned()),
        Answer::Error(errno) => (Kind::Error, format!("an error reply with {}", crate::case::error_text(*errno))),
    };
    let wrong_errno = match (&permits.errno, answer) {
        (Some((right, rule)), Answer::Error(errno)) if errno != right => Some(rule),
        _ => None,
    };
    let instead = match kind {
        Kind::Ok => Instead::Refusal(permits.errno.as_ref().map(|(errno, _)| *errno)),
        _ if wrong_errno.is_some() => Instead::Refusal(permits.errno.as_ref().map(|(errno, _)| *errno)),
        _ => Instead::Success,
    };
    let broken: Vec<&Rule> = permits.breaks(kind).iter().chain(wrong_errno).collect();
    // Of two judgements on one requirement the broken one stays.
    for rule in permits.rules().filter(|rule| rule.requirement != "HDR-14") {
        out.must(rule.requirement, true, "", String::new, None);
    }
    for rule in broken {
        let field = header_mark(if wrong_errno.is_some() { "error" } else { "flags" });
        let (class, expected, actual) = (rule.class, rule.expected.clone(), actual.clone());
        out.push(Judgement {
            requirement: rule.requirement,
            broken: Some(Broken { class, expected, actual, field, instead: Some(instead), by_state: true }),
        });
    }
}

fn is_version(command: &Command) -> bool {
    command.header.message_type() == TYPE_COMMAND && command.message.is_some_and(|message| message.name == VERSION.name)
}
