//! `<` lines about the answer to a command.

use vfio_user_wire::message::{DEVICE_GET_INFO, DeviceInfo, REGION_READ, RegionAccess};
use vfio_user_wire::tables::Table;
use vfio_user_wire::{Field, HEADER_SIZE, Header, NO_REPLY, TYPE_MASK};

use crate::case::{Condition, ConditionValue, Name, Outcome as Wanted, Outcomes, Pages, Relation, errno, error_text};
use crate::model::{Command, Kind};
use crate::session::{Answer, Origin};
use crate::verdict::{Class, Evidence, Exit, FieldMark, Outcome};

use super::ending::Ending;
use super::judge::{Found, Line};
use super::pages::{PageSet, bits_in};
use super::{Fault, Player, Stop};

/// What became of a command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Actual {
    Ok,
    Error(u32),
    Silent,
    Ended(Ending),
}

/// Why what came is not what a line wants.
pub(super) struct Miss {
    pub(super) expected: String,
    pub(super) actual: String,
    pub(super) field: Option<FieldMark>,
}

impl Player<'_> {
    /// Does a `<` line about an answer.
    pub(super) fn expect_answer(
        &mut self,
        line: Line<'_>,
        end: Option<&Name>,
        label: Option<&Name>,
        outcomes: &Outcomes,
    ) -> Result<(), Stop> {
        let at = self.end(end)?;
        let mut indexes = self.talk.asked_for(at, label.map(|label| label.value.as_str()));
        if indexes.is_empty() && label.is_some() {
            return Err(Fault::new("a `<` line for which nothing was sent").into());
        }
        if indexes.is_empty() {
            // `< closed` with nothing outstanding: the end of the connection itself is asked for.
            indexes.push(self.talk.expect_raw(at, Origin { step: line.step, line: line.number, label: None }, &[]));
        }
        for index in indexes {
            self.expect_one(line, index, outcomes)?;
        }
        Ok(())
    }

    pub(super) fn expect_one(&mut self, line: Line<'_>, index: usize, outcomes: &Outcomes) -> Result<(), Stop> {
        let quiet =
            |outcomes: &[crate::case::Spanned<Wanted>]| outcomes.iter().any(|outcome| outcome.value == Wanted::Silent);
        let quiet_conforms = quiet(&outcomes.conforms);
        let quiet_known = quiet_conforms || quiet(&outcomes.note);
        let free = outcomes.conforms.iter().any(|outcome| outcome.value == Wanted::Conforms);
        let later_answered = |player: &Self| {
            let end = player.talk.sent.get(index).map(|sent| sent.end);
            player.talk.sent.iter().skip(index + 1).any(|sent| Some(sent.end) == end && sent.answer.is_some())
        };
        let unanswered = |player: &Self| player.talk.sent.get(index).is_some_and(|sent| sent.answer.is_none());
        if unanswered(self) && !(quiet_known && later_answered(self)) {
            if quiet_conforms || free && self.talk.permits(index).breaks(Kind::Silent).is_empty() {
                self.wait_a_little_for(index)?;
            } else {
                self.wait_for(index)?;
            }
        }
        self.take_judged();
        if let Some(sent) = self.talk.sent.get_mut(index) {
            sent.claimed = true;
        }
        let actual = self.actual(index);
        if free {
            return self.answer_conforms(index, line, &actual);
        }
        let asks_pages = |outcome: &crate::case::Spanned<Wanted>| {
            let pages = |condition: &Condition| matches!(condition.value.value, ConditionValue::Pages(_));
            matches!(&outcome.value, Wanted::Ok(conditions) if conditions.iter().any(pages))
        };
        let by_message = actual == Actual::Ok && self.talk.by_message && outcomes.conforms.iter().any(asks_pages);
        let mut miss = None;
        for (class, wanted) in outcomes
            .conforms
            .iter()
            .map(|wanted| (None, wanted))
            .chain(outcomes.note.iter().map(|wanted| (Some(Class::Note), wanted)))
        {
            match self.meets(index, &actual, &wanted.value)? {
                None => {
                    return match class {
                        None => {
                            self.hold(line);
                            Ok(())
                        }
                        Some(_) if by_message => Err(by_message_alone()),
                        Some(_) => {
                            let expected = self.describe(&outcomes.conforms);
                            let said = self.say(index, &actual);
                            let miss = Miss { expected, actual: said, field: None };
                            self.report(index, line, Some(Class::Note), miss, &actual)
                        }
                    };
                }
                Some(why) => {
                    // The miss of a condition says more than the miss of an outcome.
                    let better = why.field.is_some() || miss.is_none();
                    if better {
                        miss = Some(why);
                    }
                }
            }
        }
        let expected = self.describe(&outcomes.conforms);
        let mut miss =
            miss.unwrap_or_else(|| Miss { expected: expected.clone(), actual: self.say(index, &actual), field: None });
        if miss.field.is_none() {
            miss.expected = expected;
        }
        if line.requirements.is_empty() {
            return self.set_up(index, line, &actual, &miss);
        }
        if self.says_nothing_more(index, line, &actual) {
            return self.set_up(index, Line { requirements: &[], ..line }, &actual, &miss);
        }
        if by_message {
            return Err(by_message_alone());
        }
        self.report(index, line, None, miss, &actual)
    }

    /// A line looks by DEVICE_GET_INFO whether the server still serves, and this server did not answer that with success when
    /// it was asked for nothing else: what the line is about has no part in it.
    fn says_nothing_more(&self, index: usize, line: Line<'_>, actual: &Actual) -> bool {
        // One that leaves in good order may do so for what it was started with.
        let leaves = matches!(actual, Actual::Ended(Ending::Closed(_)));
        let about_it = |id: &&str| id.starts_with("INFO-") || leaves && *id == "BACKEND-03";
        let plain = self.talk.sent.get(index).is_some_and(|sent| {
            let asks = sent.command.message.is_some_and(|message| message.name == DEVICE_GET_INFO.name);
            let argsz = DeviceInfo::parse(&sent.command.payload).map_or(16, |(info, _)| info.argsz);
            asks && argsz >= 16 && sent.command.header.flags & NO_REPLY == 0
        });
        self.context.discovered.device_flags.is_none() && plain && !line.requirements.iter().any(about_it)
    }

    /// What became of a command, as far as it is known now.
    pub(super) fn actual(&mut self, index: usize) -> Actual {
        let Some(sent) = self.talk.sent.get(index) else { return Actual::Silent };
        if let Some(answer) = &sent.answer {
            return if answer.header.is_error() { Actual::Error(answer.header.error) } else { Actual::Ok };
        }
        let end = sent.end;
        match self.ending(end) {
            Some(ending) => {
                if matches!(ending, Ending::Closed(_)) && self.outcome == Outcome::Answered {
                    self.outcome = Outcome::Closed;
                }
                Actual::Ended(ending)
            }
            None => Actual::Silent,
        }
    }

    /// `None` where the outcome is as wanted.
    fn meets(&self, index: usize, actual: &Actual, wanted: &Wanted) -> Result<Option<Miss>, Stop> {
        let miss = |field| Some(Miss { expected: String::new(), actual: self.say(index, actual), field });
        Ok(match (wanted, actual) {
            (Wanted::Ok(conditions), Actual::Ok) => {
                let Some(answer) = self.talk.sent.get(index).and_then(|sent| sent.answer.as_ref()) else {
                    return Ok(miss(None));
                };
                for condition in conditions {
                    if let Some(miss) = self.condition(index, answer, condition)? {
                        return Ok(Some(miss));
                    }
                }
                None
            }
            (Wanted::Error(None), Actual::Error(_))
            | (Wanted::Silent, Actual::Silent)
            | (Wanted::Closed, Actual::Ended(Ending::Closed(_) | Ending::Refused(_))) => None,
            (Wanted::Error(Some(name)), Actual::Error(got)) => {
                let wanted = errno(&name.value).ok_or_else(|| Fault::new(format!("no errno `{}`", name.value)))?;
                if wanted == *got {
                    None
                } else {
                    miss(Some(FieldMark { name: "header.error".to_owned(), offset: 12, length: 4 }))
                        .map(|miss| Miss { expected: format!("an error reply with {}", name.value), ..miss })
                }
            }
            _ => miss(None),
        })
    }

    fn condition(&self, index: usize, answer: &Answer, condition: &Condition) -> Result<Option<Miss>, Stop> {
        let name = condition.field.value.as_str();
        let layout = self.talk.sent.get(index).and_then(|sent| sent.command.reply_body().fixed);
        let tail = answer.payload.get(layout.map_or(0, |layout| layout.size)..).unwrap_or_default();
        if let ConditionValue::Bytes(bytes) = &condition.value.value {
            let wanted = self.environment.bytes(bytes, &self.talk)?;
            let same = tail == wanted.as_slice();
            if !same
                && condition.relation == Relation::Equal
                && self.is_short(index, answer)
                && wanted.starts_with(tail)
            {
                // As far as it goes it is right (policy A-41).
                let (got, all) = (tail.len(), wanted.len());
                return Err(Stop::Skip(format!("the server reads {got} of {all} bytes at one time")));
            }
            let held = if condition.relation == Relation::Unequal { !same } else { same };
            let at = tail
                .iter()
                .zip(&wanted)
                .position(|(got, wanted)| got != wanted)
                .unwrap_or(tail.len().min(wanted.len()));
            let offset = HEADER_SIZE + answer.payload.len() - tail.len();
            return Ok((!held).then(|| Miss {
                expected: format!("data {}", brief(&wanted, at)),
                actual: format!("data {} ({} bytes, the first difference at {at})", brief(tail, at), tail.len()),
                field: Some(FieldMark {
                    name: "data".to_owned(),
                    offset: offset + at,
                    length: 1.max(tail.len() - at.min(tail.len())).min(8),
                }),
            }));
        }
        if let ConditionValue::Pages(pages) = &condition.value.value {
            let wanted = self.pages(index, pages)?;
            let command = self.talk.sent.get(index).map(|sent| &sent.command);
            let bits = command.map(|command| bits_in(command, &answer.payload)).unwrap_or_default();
            return Ok(wanted.misses(condition.relation, bits, answer.payload.len() - bits.len()));
        }
        let header_field = name.strip_prefix("header.").and_then(|name| Header::LAYOUT.field(name));
        let field: Option<&Field> = header_field.or_else(|| layout.and_then(|layout| layout.field(name)));
        let header = answer.header;
        let value = match name {
            "payload" => Some(answer.payload.len() as u64),
            "data.length" => Some(tail.len() as u64),
            "fds" => Some(answer.passed as u64),
            "written" => self.written(index, answer),
            "header.type" => Some(u64::from(header.flags & TYPE_MASK)),
            "header.no_reply" => Some(u64::from(header.flags & NO_REPLY != 0)),
            _ => match (header_field, field) {
                (Some(field), _) => field.read(header.bytes()),
                (None, Some(field)) => field.read(&answer.payload),
                (None, None) => return Err(Fault::new(format!("a reply has no field `{name}`")).into()),
            },
        };
        let wanted = self.environment.compared(field, &condition.value.value, &self.talk)?.unwrap_or(0);
        let held = value.is_some_and(|value| condition.relation.holds(value, wanted));
        let mark = field.map(|field| FieldMark {
            name: name.to_owned(),
            offset: if header_field.is_some() { field.offset } else { HEADER_SIZE + field.offset },
            length: field.width,
        });
        let mark = mark.or_else(|| Some(FieldMark { name: "header.size".to_owned(), offset: 4, length: 4 }));
        let said = value.map_or_else(
            || format!("no {name}: the payload has {} bytes", answer.payload.len()),
            |value| format!("{name} {}", number(value)),
        );
        Ok((!held).then(|| Miss {
            expected: format!("{name}{}{}", condition.relation, number(wanted)),
            actual: said,
            field: mark,
        }))
    }

    /// A reply to REGION_READ that says that it has less than was asked for.
    fn is_short(&self, index: usize, answer: &Answer) -> bool {
        let Some(command) = self.talk.sent.get(index).map(|sent| &sent.command) else { return false };
        let counts = RegionAccess::parse(&command.payload).zip(RegionAccess::parse(&answer.payload));
        command.message.is_some_and(|message| message.name == REGION_READ.name)
            && counts.is_some_and(|((asked, _), (got, data))| {
                got.count > 0 && got.count < asked.count && got.count as usize == data.len()
            })
    }

    /// What a reply to REGION_WRITE says was written: its count, or in version 8, where that is 0, all that was asked for.
    fn written(&self, index: usize, answer: &Answer) -> Option<u64> {
        let (answered, _) = RegionAccess::parse(&answer.payload)?;
        let asked = self.talk.sent.get(index).and_then(|sent| RegionAccess::parse(&sent.command.payload));
        let all = answered.count == 0 && self.talk.dialect.table == Some(Table::V8);
        Some(u64::from(if all { asked?.0.count } else { answered.count }))
    }

    fn pages(&self, index: usize, pages: &[Pages]) -> Result<PageSet, Fault> {
        let command = self.talk.sent.get(index).map(|sent| &sent.command);
        PageSet::new(pages, command, &|value| self.environment.u64(value, &self.talk))
    }

    pub(super) fn report(
        &mut self,
        index: usize,
        line: Line<'_>,
        class: Option<Class>,
        miss: Miss,
        actual: &Actual,
    ) -> Result<(), Stop> {
        // What a server said that it does not take, it may refuse, whatever the line is about.
        if matches!(actual, Actual::Error(_) | Actual::Ended(Ending::Closed(_)))
            && let Some(why) = self.talk.exceeds(index)
        {
            let name = self.talk.sent.get(index).map(|sent| sent.command.name()).unwrap_or_default();
            return Err(Stop::Skip(format!("the server does not take this {name}: {why}")));
        }
        let evidence = match actual {
            Actual::Silent => Evidence::Deadline,
            Actual::Ended(Ending::Crashed(..)) => Evidence::Exited,
            Actual::Ended(Ending::Closed(_)) => Evidence::Closed,
            Actual::Ended(Ending::Unserved(evidence)) => *evidence,
            _ => Evidence::Received,
        };
        if *actual == Actual::Silent && class.is_none() && self.outcome == Outcome::Answered {
            self.outcome = Outcome::Silent;
        }
        let always_fails = matches!(actual, Actual::Ended(Ending::Crashed(..) | Ending::Garbage(_)) | Actual::Silent);
        let class = class.or(always_fails.then_some(Class::Violation));
        let sent = self.talk.sent.get(index);
        let nothing = |command: &Command| command.header == Header::default() && command.payload.is_empty();
        let command = match sent {
            Some(sent) if !nothing(&sent.command) => sent.command.name(),
            _ => "the connection".to_owned(),
        };
        let message = sent.map(|sent| sent.answer.as_ref().map_or(sent.entry, |answer| answer.entry));
        let found = Found {
            message,
            field: miss.field,
            ..Found::new(format!("{command}: {}", miss.expected), miss.actual, evidence)
        };
        let broken = self.break_line(line, class, &found);
        if broken.is_err() {
            self.give_way(line, message);
        }
        broken
    }

    /// A set-up line that did not come out as wanted.
    fn set_up(&mut self, index: usize, line: Line<'_>, actual: &Actual, miss: &Miss) -> Result<(), Stop> {
        let name = self.talk.sent.get(index).map(|sent| sent.command.name()).unwrap_or_default();
        match actual {
            Actual::Ok if miss.field.is_some() => Err(Stop::Skip(format!(
                "it is for servers whose {name} gives {}; here it gives {}",
                miss.expected, miss.actual
            ))),
            Actual::Ok => {
                Err(Stop::Skip(format!("set-up: expected {}, but {name} got {}", miss.expected, miss.actual)))
            }
            Actual::Error(_) => Err(Stop::Skip(format!("set-up refused: {name} was answered with {}", miss.actual))),
            _ => self.set_up_failed(index, line.step, line.number),
        }
    }

    /// A set-up command that got no reply: a skip where the server closed in an orderly way, else a finding.
    pub(super) fn set_up_failed(&mut self, index: usize, step: usize, number: usize) -> Result<(), Stop> {
        let name = self.talk.sent.get(index).map(|sent| sent.command.name()).unwrap_or_default();
        let actual = self.actual(index);
        let requirement = match &actual {
            Actual::Silent => "HDR-14",
            Actual::Ended(Ending::Crashed(..)) => "SEC-01",
            // A failure's exit status where nothing had failed is a crash as well.
            Actual::Ended(Ending::Closed(Some(Exit::Status(status)))) if *status != 0 => {
                self.outcome = Outcome::Crashed;
                "SEC-01"
            }
            Actual::Ended(Ending::Garbage(_)) => "HDR-05",
            Actual::Ended(Ending::Refused(why)) => return Err(Stop::Skip(format!("set-up: no connection: {why}"))),
            Actual::Ended(ending @ Ending::Unserved(_)) => return Err(Stop::Skip(format!("set-up: {ending}"))),
            Actual::Ended(Ending::Closed(_)) => {
                return Err(Stop::Skip(format!("set-up: the server closed the connection on {name}")));
            }
            Actual::Ok | Actual::Error(_) => return Ok(()),
        };
        let said = self.say(index, &actual);
        let line = Line { step, number, requirements: &[requirement] };
        self.report(index, line, None, Miss { expected: "an answer".to_owned(), actual: said, field: None }, &actual)
    }

    /// What is said of a command without an answer, and what that rests on.
    pub(super) fn no_answer(&mut self, index: usize) -> (String, Evidence) {
        let actual = self.actual(index);
        let evidence = match &actual {
            Actual::Silent => {
                self.outcome = Outcome::Silent;
                Evidence::Deadline
            }
            Actual::Ended(Ending::Crashed(..)) => Evidence::Exited,
            _ => Evidence::Closed,
        };
        (self.say(index, &actual), evidence)
    }

    /// What came, for people.
    pub(super) fn say(&self, index: usize, actual: &Actual) -> String {
        match actual {
            Actual::Ok => match self.talk.sent.get(index).and_then(|sent| sent.answer.as_ref()) {
                Some(answer) if answer.payload.is_empty() => "a successful reply".to_owned(),
                Some(answer) => format!("a successful reply with {} bytes of payload", answer.payload.len()),
                None => "a successful reply".to_owned(),
            },
            Actual::Error(number) => format!("an error reply with {}", error_text(*number)),
            Actual::Silent => {
                match self.talk.sent.get(index).and_then(|sent| Some((sent.end, self.talk.ends.get(sent.end)?))) {
                    Some((_, end)) => match end.connection.as_ref().map(|connection| connection.rest().len()) {
                        Some(0) | None => "silence past the deadline".to_owned(),
                        Some(partial) => format!("silence past the deadline, after {partial} bytes of a message"),
                    },
                    None => "silence past the deadline".to_owned(),
                }
            }
            Actual::Ended(ending) => ending.to_string(),
        }
    }

    /// What would have been right, for people.
    fn describe(&self, outcomes: &[crate::case::Spanned<Wanted>]) -> String {
        let words: Vec<String> = outcomes
            .iter()
            .map(|outcome| match &outcome.value {
                Wanted::Ok(conditions) if conditions.is_empty() => "a successful reply".to_owned(),
                Wanted::Ok(conditions) => {
                    let conditions: Vec<String> =
                        conditions.iter().map(|condition| self.condition_text(condition)).collect();
                    format!("a successful reply with {}", conditions.join(", "))
                }
                Wanted::Error(None) => "an error reply".to_owned(),
                Wanted::Error(Some(name)) => format!("an error reply with {}", name.value),
                Wanted::Closed => "the connection closed".to_owned(),
                Wanted::Silent => "no reply".to_owned(),
                Wanted::Conforms => "any conforming answer".to_owned(),
            })
            .collect();
        words.join(", or ")
    }

    pub(super) fn condition_text(&self, condition: &Condition) -> String {
        let value = match (self.environment.words(&condition.value.value), &condition.value.value) {
            (Some(words), _) => words.iter().map(|word| word.value.as_str()).collect::<Vec<_>>().join("|"),
            (None, ConditionValue::Integer(expression)) => {
                self.environment.u64(expression, &self.talk).map_or_else(|fault| fault.to_string(), number)
            }
            (None, ConditionValue::Bytes(bytes)) => self
                .environment
                .bytes(bytes, &self.talk)
                .map_or_else(|fault| fault.to_string(), |bytes| brief(&bytes, 0)),
            (None, other) => other.to_string(),
        };
        format!("{}{}{value}", condition.field.value, condition.relation)
    }
}

/// What comes by message the client knows by itself (policy A-31).
fn by_message_alone() -> Stop {
    Stop::Skip("the device writes by message what it could map: that need not be in its log".to_owned())
}

fn number(value: u64) -> String {
    if value < 4096 { value.to_string() } else { format!("{value:#x}") }
}

/// Sixteen bytes around a place.
fn brief(bytes: &[u8], at: usize) -> String {
    let from = if bytes.len() <= 16 { 0 } else { at.saturating_sub(4).min(bytes.len()) };
    let to = bytes.len().min(from + 16);
    let before = if from > 0 { ".." } else { "" };
    let after = if to < bytes.len() { ".." } else { "" };
    format!("{before}{}{after}", crate::session::hex(bytes.get(from..to).unwrap_or_default()))
}
