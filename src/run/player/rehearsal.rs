//! A case played against the model alone: what its lines expect must be what the model permits.

use std::sync::Arc;
use std::time::Duration;

use nix::errno::Errno;
use serde_json::Value;
use vfio_user_wire::legacy::migration_state;
use vfio_user_wire::message::{
    DEVICE_FEATURE, DEVICE_GET_INFO, DEVICE_GET_IRQ_INFO, DEVICE_GET_REGION_INFO, DeviceInfo, IrqInfo, REGION_READ,
    RegionInfo, VERSION,
};
use vfio_user_wire::{Dialect, Frame, Tail, VersionData, device_state};

use super::Fault;
use super::environment::{Environment, words_value};
use super::pages::{Asked, PageSet};
use super::send::Built;
use crate::case::{
    ConditionValue, Diagnostic, Expect, FIRST, Given, Name, Outcome, Outcomes, Relation, Send, Span, Spanned, Step,
    StepKind, Subject, errno,
};
use crate::model::{Command, Kind, Offer, OfferedMigrationRegion, Permits, Rule, is_known};
use crate::run::Planned;
use crate::session::{Conversation, Effect, Interrupt, Origin, Passed, Patience};
use crate::target::{DeviceFile, Discovered};
use crate::verdict::Class;

/// A message is sent so often at the most, however often a line says.
const MOST_TIMES: u64 = 4;
/// Nobody is waited for.
const NO_TIME: Patience = Patience { reply: Duration::ZERO, first: Duration::ZERO, most: Duration::ZERO };
/// So many bytes of migration data are taken to have come.
const STREAM: usize = 1024;

/// What a case is played against.
#[derive(Debug, Clone, Copy)]
pub struct Rehearsal<'a> {
    /// The protocol spoken.
    pub dialect: &'static Dialect,
    /// What the server is taken to offer.
    pub discovered: &'a Discovered,
    /// Its device file.
    pub device: Option<&'a DeviceFile>,
    /// The user's wish to stop.
    pub interrupt: &'a Interrupt,
}

/// Plays a case against the model alone, each answer being the first that its line wants. What the model does not
/// permit, and a line takes as conforming or as a note, is an error of the case or of the model.
///
/// # Errors
/// Faults of the case, or of the machine.
pub fn rehearse(rehearsal: Rehearsal<'_>, case: &Planned) -> Result<Vec<Diagnostic>, String> {
    let offer = Arc::new(rehearsal.discovered.offer(rehearsal.device));
    let mut actor = Actor {
        talk: Conversation::new(rehearsal.dialect, Arc::clone(&offer), NO_TIME, rehearsal.interrupt),
        environment: Environment::new(case, rehearsal.discovered),
        offer,
        stated: rehearsal.discovered.stated(),
        errors: Vec::new(),
        skipped: false,
    };
    let played = match case.case.given {
        Given::Nothing => Ok(()),
        Given::Connected => actor.connect(0, FIRST, false),
        Given::Negotiated => actor.connect(0, FIRST, true),
        Given::Twin => actor.connect(0, FIRST, true).map(|()| {
            actor.talk.add_twin(0, None);
        }),
    };
    played.and_then(|()| actor.steps(&case.case.steps, &mut 0)).map_err(|fault| fault.to_string())?;
    Ok(actor.errors)
}

struct Actor<'a> {
    talk: Conversation<'a>,
    environment: Environment,
    offer: Arc<Offer>,
    /// The version data of its reply to QEMU's proposal.
    stated: VersionData,
    errors: Vec<Diagnostic>,
    /// A set-up line wants another server than this: the case would be skipped.
    skipped: bool,
}

impl Actor<'_> {
    fn connect(&mut self, server: usize, name: &str, negotiate: bool) -> Result<(), Fault> {
        let end = self.talk.add_to(server, name, None);
        if negotiate {
            let span = Span { start: 0, end: 0 };
            let subject = Subject::Message(Spanned { value: VERSION.name.to_owned(), span });
            let version = Send { joined: false, end: None, label: None, subject, arguments: Vec::new() };
            let index = self.send(end, 0, &version)?;
            self.suppose(index, &Outcome::Ok(Vec::new()))?;
            self.claim(index);
        }
        Ok(())
    }

    fn steps(&mut self, steps: &[Step], number: &mut usize) -> Result<(), Fault> {
        for step in steps {
            if self.skipped {
                return Ok(());
            }
            *number += 1;
            match &step.kind {
                StepKind::Let(name, what) => self.environment.make(name, what, &self.talk)?,
                StepKind::Client(name, given) => self.connect(0, &name.value, *given == Given::Negotiated)?,
                StepKind::Server(name) => {
                    let servers = self.talk.ends.iter().map(|end| end.server + 1).max().unwrap_or(1);
                    self.connect(servers, &name.value, true)?;
                }
                StepKind::Save(_, stream, _) => {
                    self.environment.streams.insert(stream.value.clone(), vec![0; STREAM]);
                }
                StepKind::Close(name) => {
                    let end = self.end(name.as_ref())?;
                    self.disconnect(end);
                }
                StepKind::Send(send) => {
                    let end = self.end(send.end.as_ref())?;
                    self.send(end, *number, send)?;
                }
                StepKind::Expect(Expect::Answer { end, label, outcomes }) => {
                    let end = self.end(end.as_ref())?;
                    self.expect(end, label.as_ref(), outcomes, &step.requirements)?;
                }
                StepKind::If(label, then) => {
                    let answered = |sent: &crate::session::Sent| {
                        sent.origin.label.as_deref() == Some(&label.value)
                            && sent.answer.as_ref().is_some_and(|answer| !answer.header.is_error())
                    };
                    if self.talk.sent.iter().any(answered) {
                        self.steps(then, number)?;
                    } else {
                        *number += then.len();
                    }
                }
                // What the device, the descriptors and the process show is not the model's.
                StepKind::Expect(_)
                | StepKind::Shutdown(_)
                | StepKind::Device(..)
                | StepKind::Restore(..)
                | StepKind::Truncate(..)
                | StepKind::Baseline
                | StepKind::Signal(_)
                | StepKind::Serve(_)
                | StepKind::Await(..)
                | StepKind::Ring(..)
                | StepKind::Do(..) => {}
            }
        }
        Ok(())
    }

    fn end(&self, name: Option<&Name>) -> Result<usize, Fault> {
        let Some(name) = name else { return Ok(0) };
        let at = self.talk.ends.iter().position(|end| end.name == name.value);
        at.ok_or_else(|| Fault::new(format!("no client `{}`", name.value)))
    }

    fn disconnect(&mut self, end: usize) {
        if let Some(end) = self.talk.ends.get_mut(end) {
            end.session.disconnected();
        }
    }

    /// Sends what a line says to nobody; the number of the last message.
    fn send(&mut self, end: usize, step: usize, send: &Send) -> Result<usize, Fault> {
        let label = send.label.as_ref().map(|label| label.value.clone());
        let origin = Origin { step, line: 0, label };
        if let Subject::Raw(bytes) = &send.subject {
            let bytes = self.environment.bytes(bytes, &self.talk)?;
            return Ok(self.talk.expect_raw(end, origin, &bytes));
        }
        let times = match send.arguments.iter().find(|argument| argument.key.value == "times") {
            Some(argument) => self.environment.field(None, &argument.value, &self.talk)?.clamp(1, MOST_TIMES),
            None => 1,
        };
        let mut index = 0;
        for i in 0..times {
            self.environment.integers.insert("i".to_owned(), i128::from(i));
            let built = Built::new(&self.environment, &mut self.talk, end, send)?;
            let passed = Passed { fds: &built.passed(), cuts: &built.cuts };
            self.must_be_known(built.frame.header.command, send);
            index = self.talk.expect(end, origin.clone(), &built.frame, passed, Effect::None);
        }
        Ok(index)
    }

    /// A message of the dialect whose answers the model has no ruling for would be taken for right whatever comes.
    fn must_be_known(&mut self, number: u16, send: &Send) {
        let Some(message) = self.talk.dialect.message(number).filter(|message| !is_known(self.talk.dialect, message))
        else {
            return;
        };
        let Subject::Message(name) = &send.subject else { return };
        let said = format!("the model has no ruling for {} ({})", message.name, message.clause);
        self.errors.push(Diagnostic::new(name.span, said, "whatever comes would be taken for right"));
    }

    fn expect(
        &mut self,
        end: usize,
        label: Option<&Name>,
        outcomes: &Outcomes,
        requirements: &[Spanned<String>],
    ) -> Result<(), Fault> {
        for index in self.talk.asked_for(end, label.map(|label| label.value.as_str())) {
            let permits = self.talk.permits(index);
            self.check(&permits, outcomes, requirements);
            if let Some(first) = outcomes.conforms.first() {
                let outcome = match &first.value {
                    Outcome::Conforms if permits.ok.is_empty() => Outcome::Ok(Vec::new()),
                    Outcome::Conforms => Outcome::Error(None),
                    outcome => outcome.clone(),
                };
                self.suppose(index, &outcome)?;
                self.skipped |= requirements.is_empty() && !self.is_met(index, &outcome);
            }
            self.claim(index);
        }
        Ok(())
    }

    /// Holds what a line takes against what the model permits.
    fn check(&mut self, permits: &Permits, outcomes: &Outcomes, requirements: &[Spanned<String>]) {
        let checks = |rule: &&Rule| requirements.iter().any(|id| id.value == rule.requirement);
        // Set-up may be refused, and then the case is skipped; but it must have a chance.
        if requirements.is_empty() {
            let quiet = |outcome: &Outcome| *outcome == Outcome::Silent || broken(permits, outcome).is_empty();
            let mut chances = outcomes.conforms.iter().filter(|outcome| quiet(&outcome.value));
            if let (None, Some(first)) = (chances.next(), outcomes.conforms.first())
                && let Some(rule) = broken(permits, &first.value).first()
            {
                self.errors.push(diagnostic(first.span, rule, "this set-up cannot conform"));
            }
            return;
        }
        for outcome in &outcomes.conforms {
            // What the answer breaks besides is reported besides; the line speaks of its own requirements.
            if let Some(rule) = broken(permits, &outcome.value).into_iter().find(checks) {
                self.errors.push(diagnostic(outcome.span, rule, "the line takes this as conforming"));
            }
        }
        for outcome in &outcomes.note {
            let broken = broken(permits, &outcome.value).into_iter();
            let mut broken = broken.filter(|rule| rule.class == Class::Violation && checks(rule));
            if let Some(rule) = broken.next() {
                self.errors.push(diagnostic(outcome.span, rule, "the line takes this as a note"));
            }
        }
    }

    fn claim(&mut self, index: usize) {
        if let Some(sent) = self.talk.sent.get_mut(index) {
            sent.claimed = true;
        }
    }

    /// Takes the outcome to have come.
    fn suppose(&mut self, index: usize, outcome: &Outcome) -> Result<(), Fault> {
        let Some(sent) = self.talk.sent.get(index) else { return Ok(()) };
        let header = sent.command.header;
        match outcome {
            Outcome::Ok(conditions) => {
                let state = self.talk.ends.get(sent.end).and_then(|end| end.session.device_state());
                let register = self.talk.ends.get(sent.end).and_then(|end| end.session.migration_register());
                let register = register.unwrap_or(migration_state::RUNNING);
                let mut payload = usual_reply(&sent.command, &self.offer, &self.stated, state, register);
                for condition in conditions.iter().filter(|condition| condition.relation == Relation::Equal) {
                    self.meet(index, condition.field.value.as_str(), &condition.value.value, &mut payload)?;
                }
                self.talk.suppose(index, Frame::reply(&header, payload));
            }
            Outcome::Error(name) => {
                let number = name.as_ref().and_then(|name| errno(&name.value)).unwrap_or(Errno::EINVAL as u32);
                self.talk.suppose(index, Frame::error(&header, number));
            }
            Outcome::Closed => self.disconnect(sent.end),
            Outcome::Silent | Outcome::Conforms => {}
        }
        self.talk.judged.clear();
        Ok(())
    }

    /// Whether the reply that was supposed meets the conditions that cannot be written into it.
    fn is_met(&self, index: usize, outcome: &Outcome) -> bool {
        let (Outcome::Ok(conditions), Some(sent)) = (outcome, self.talk.sent.get(index)) else { return true };
        let Some(answer) = &sent.answer else { return true };
        let body = sent.command.reply_body();
        let reply = body.decode(&answer.payload);
        conditions.iter().all(|condition| {
            let field = body.fixed.and_then(|layout| layout.field(&condition.field.value));
            let wanted = self.environment.compared(field, &condition.value.value, &self.talk).ok().flatten();
            match (reply.get(&condition.field.value), wanted) {
                (Some(value), Some(wanted)) => condition.relation.holds(value, wanted),
                _ => true,
            }
        })
    }

    /// Writes into a reply what a condition asks for.
    fn meet(&self, index: usize, field: &str, value: &ConditionValue, payload: &mut Vec<u8>) -> Result<(), Fault> {
        let Some(body) = self.talk.sent.get(index).map(|sent| sent.command.reply_body()) else { return Ok(()) };
        let known = body.fixed.and_then(|layout| layout.field(field));
        if let (Some(words), Some(field)) = (self.environment.words(value), known) {
            field.write(payload, words_value(Some(field), words)?);
            return Ok(());
        }
        match (value, known) {
            (ConditionValue::Bytes(bytes), _) => {
                payload.truncate(body.fixed_size());
                payload.extend(self.environment.bytes(bytes, &self.talk)?);
            }
            (ConditionValue::Pages(pages), _) => {
                let command = self.talk.sent.get(index).map(|sent| &sent.command);
                let pages = PageSet::new(pages, command, &|value| self.environment.u64(value, &self.talk))?;
                pages.set_in(payload.get_mut(body.fixed_size()..).unwrap_or_default());
            }
            (ConditionValue::Integer(value), None) if field == "payload" => {
                if let Ok(size) = self.environment.u64(value, &self.talk) {
                    payload.resize(size.min(1 << 20) as usize, 0);
                }
            }
            (ConditionValue::Integer(value), Some(field)) => {
                // A condition may refer to this very reply.
                if let Ok(value) = self.environment.u64(value, &self.talk) {
                    field.write(payload, value);
                }
            }
            (ConditionValue::Words(_), _) | (_, None) => {}
        }
        Ok(())
    }
}

/// What an outcome breaks.
fn broken<'p>(permits: &'p Permits, outcome: &Outcome) -> Vec<&'p Rule> {
    let kind = match outcome {
        Outcome::Ok(_) => Kind::Ok,
        Outcome::Error(_) => Kind::Error,
        Outcome::Closed => Kind::Closed,
        Outcome::Silent => Kind::Silent,
        Outcome::Conforms => return Vec::new(),
    };
    let wrong_errno = match (outcome, &permits.errno) {
        (Outcome::Error(Some(name)), Some((right, rule))) if errno(&name.value) != Some(*right) => Some(rule),
        _ => None,
    };
    permits.breaks(kind).iter().chain(wrong_errno).collect()
}

fn diagnostic(span: Span, rule: &Rule, label: &str) -> Diagnostic {
    let class = if rule.class == Class::Violation { "a violation" } else { "a note" };
    let message = format!("the model has this as {class} of {}: it expects {}", rule.requirement, rule.expected);
    Diagnostic::new(span, message, label)
}

/// The payload of a reply by a server that offers this, as far as that is known.
fn usual_reply(command: &Command, offer: &Offer, stated: &VersionData, state: Option<u32>, register: u32) -> Vec<u8> {
    let Some(message) = command.message else { return Vec::new() };
    let request = command.request();
    let index = request.get("index").unwrap_or_default();
    let name = message.name;
    if name == DEVICE_GET_INFO.name {
        let (num_regions, num_irqs) = (offer.num_regions.unwrap_or(9), offer.num_irqs.unwrap_or(5));
        let flags = 2 | u32::from(offer.reset.unwrap_or_default());
        return DeviceInfo { argsz: 16, flags, num_regions, num_irqs }.bytes().to_vec();
    }
    if name == DEVICE_GET_REGION_INFO.name {
        let known = offer.region(index);
        let (flags, size, argsz) = known.map_or((0, 0, 32), |known| (known.flags, known.size, known.argsz));
        let info = RegionInfo { argsz, flags, index: index as u32, cap_offset: 0, size, offset: 0 };
        return info.bytes().to_vec();
    }
    if name == DEVICE_GET_IRQ_INFO.name {
        let (flags, count) = offer.irq(index).map_or((0, 0), |known| (known.flags, known.count));
        return IrqInfo { argsz: 16, flags, index: index as u32, count }.bytes().to_vec();
    }
    let body = command.reply_body();
    let mut payload = vec![0; body.fixed_size()];
    for field in body.fixed.iter().flat_map(|layout| layout.fields) {
        if let Some(value) = request.get(field.name) {
            field.write(&mut payload, value);
        }
    }
    if name == VERSION.name && !request.tail.is_empty() {
        let proposed = VersionData::parse(request.tail).unwrap_or_default();
        let mut selected = stated.capabilities().cloned().unwrap_or_default();
        selected.retain(|name, _| proposed.capability(name).is_some_and(|value| *value != Value::Bool(false)));
        payload.extend(VersionData::with_capabilities(selected).bytes());
    }
    if name == DEVICE_FEATURE.name && request.get("device_state").is_none() {
        let values =
            [("argsz", payload.len() as u64), ("device_state", u64::from(state.unwrap_or(device_state::RUNNING)))];
        for (name, value) in values {
            if let Some(field) = body.fixed.and_then(|layout| layout.field(name)) {
                field.write(&mut payload, value);
            }
        }
    }
    if name == REGION_READ.name {
        let count = request.get("count").unwrap_or_default().min(1 << 20) as usize;
        payload.resize(payload.len() + count, 0);
        let of_migration = |known: OfferedMigrationRegion| request.get("region") == Some(u64::from(known.index));
        let is_state = request.get("offset") == Some(0) && count == size_of_val(&register);
        if is_state && offer.migration_region.is_some_and(of_migration) {
            payload.splice(body.fixed_size().., register.to_ne_bytes());
        }
    }
    if body.tail == Tail::Ranges {
        payload.extend_from_slice(request.tail);
    }
    if let Some(asked) = Asked::of(message, &command.payload) {
        payload.resize(payload.len() + asked.room().min(1 << 20) as usize, 0);
        if let Some(argsz) = body.fixed.and_then(|layout| layout.field("argsz")) {
            let needed = payload.len() as u64;
            argsz.write(&mut payload, needed);
        }
    }
    payload
}
