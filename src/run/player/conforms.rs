//! `< conforms`: what is left to the model, which knows what came before.

use std::sync::Arc;

use crate::case::Name;
use crate::model::{Instead, Kind, LetGo, Released, Signals};
use crate::verdict::{Class, Evidence, Finding};

use super::ending::Ending;
use super::expect::{Actual, Miss};
use super::judge::{Found, Line};
use super::{Player, Stop};

impl Player<'_> {
    /// `< conforms`: the model has judged a reply when it came, and judges here that there is none.
    pub(super) fn answer_conforms(&mut self, index: usize, line: Line<'_>, actual: &Actual) -> Result<(), Stop> {
        let kind = match actual {
            Actual::Ok | Actual::Error(_) => {
                let kind = if *actual == Actual::Ok { Kind::Ok } else { Kind::Error };
                self.came.push((line.step, kind));
                let step = self.talk.sent.get(index).map_or(0, |sent| sent.origin.step);
                let broken = |finding: &Finding| finding.step == step && finding.class == Class::Violation;
                if self.findings.iter().any(broken) {
                    return Err(Stop::Violated);
                }
                let judged = self.talk.sent.get(index).map(|sent| sent.judged.clone()).unwrap_or_default();
                self.hold_judged(line, |requirement| judged.contains(&requirement));
                return Ok(());
            }
            Actual::Ended(Ending::Crashed(..)) => return self.not_survived(index, line, actual),
            Actual::Ended(Ending::Garbage(_) | Ending::Unserved(_)) => {
                return self.set_up_failed(index, line.step, line.number);
            }
            Actual::Ended(Ending::Closed(_) | Ending::Refused(_)) => Kind::Closed,
            Actual::Silent => Kind::Silent,
        };
        let permits = self.talk.permits(index);
        // A refusal that never comes is told by what asks for the refusal.
        let due = permits.silent.iter().any(|rule| rule.class == Class::Violation);
        if kind == Kind::Silent && due && !permits.ok.is_empty() && self.talk.tests(index).is_some() {
            return self.not_survived(index, line, actual);
        }
        // What was sent before may have been the reason.
        let excused = kind == Kind::Closed && self.talk.may_have_ended(index);
        let rules = if excused { &[] } else { permits.breaks(kind) };
        if kind == Kind::Closed
            && let Some(end) = self.talk.sent.get(index).map(|sent| sent.end)
            && let Some(end) = self.talk.ends.get_mut(end)
        {
            // What else is asked of this connection is answered by its end.
            end.session.disconnected();
        }
        self.came.push((line.step, kind));
        if rules.is_empty() {
            let judged = |requirement: &str| {
                permits.tests == Some(requirement) || permits.rules().any(|rule| rule.requirement == requirement)
            };
            self.hold_judged(line, judged);
            return Ok(());
        }
        let mut violated = false;
        let (said, evidence) = self.no_answer(index);
        let message = self.talk.sent.get(index).map(|sent| sent.entry);
        for rule in rules {
            violated |= rule.class == Class::Violation;
            let found = Found { message, ..Found::new(&rule.expected, &said, evidence) };
            self.find(rule.requirement, rule.class, (line.step, line.number), found);
        }
        if violated { Err(Stop::Violated) } else { Ok(()) }
    }

    /// Those requirements of the line held that the model has judged here: of others this exchange says nothing. That there
    /// is no crash it always says.
    fn hold_judged(&mut self, line: Line<'_>, judged: impl Fn(&str) -> bool) {
        for requirement in
            line.requirements.iter().filter(|requirement| **requirement == "SEC-01" || judged(requirement))
        {
            self.held(requirement, line.number);
        }
    }

    /// A crash, or silence: told by the requirement that the command puts to the test, where nothing before it can be the
    /// reason.
    fn not_survived(&mut self, index: usize, line: Line<'_>, actual: &Actual) -> Result<(), Stop> {
        let Some(requirement) = self.talk.tests(index) else {
            return self.set_up_failed(index, line.step, line.number);
        };
        let permits = self.talk.permits(index);
        let right = permits.ok.iter().chain(&permits.error).find(|rule| rule.requirement == requirement);
        let expected = right.map_or_else(|| "an answer".to_owned(), |rule| rule.expected.clone());
        let said = self.say(index, actual);
        let line = Line { requirements: &[requirement], ..line };
        self.report(index, line, None, Miss { expected, actual: said, field: None }, actual)
    }

    /// `< fd NAME conforms`: as many signals as the interrupts that fired, and closed where the server should have let
    /// go of it.
    pub(super) fn fd_conforms(&mut self, line: Line<'_>, name: &Name) -> Result<(), Stop> {
        let held = Arc::clone(self.environment.descriptor(&name.value)?);
        let fd = held.passed().id;
        if let Some(Signals { least: (least, too_few), most: (most, too_many) }) = self.talk.signals(fd) {
            let count = self.count_signals(&held, least)?;
            self.talk.ends.iter_mut().for_each(|end| end.session.looked_at(fd));
            let (requirement, evidence) =
                if count < least { (too_few, Evidence::Deadline) } else { (too_many, Evidence::Received) };
            let right = (least..=most).contains(&count);
            let expected = match (least, most) {
                (0, 0) => format!("no signal on `{}`", name.value),
                _ if least == most => format!("{least} signals on `{}`", name.value),
                _ => format!("{least} to {most} signals on `{}`", name.value),
            };
            let instead = Some(Instead::Signals(if count < least { least } else { most }));
            let came = format!("{count} came");
            // Of a device that interrupts of its own accord, too many say nothing.
            if count <= most || !self.context.discovered.restless {
                let found = Found { instead, ..Found::new(expected, came, evidence) };
                self.by_rule(line, (requirement, Class::Violation), right, &found)?;
            }
        }
        let Some(why) = self.talk.let_go(fd).filter(|_| held.shows_closing()) else { return Ok(()) };
        drop(held);
        let closed = self.wait_until_closed(name)?;
        let expected = format!("the server's end of `{}` closed: {}", name.value, reason(why));
        let found = Found::new(expected, "it is still open", Evidence::Deadline);
        self.by_rule(line, why.held_breaks(), closed, &Found { instead: Some(Instead::Closing), ..found })
    }

    /// `< seal NAME conforms`: no writable mapping of it, where the server should have none.
    pub(super) fn seal_conforms(&mut self, line: Line<'_>, name: &Name) -> Result<(), Stop> {
        let held = Arc::clone(self.environment.descriptor(&name.value)?);
        let (why, rule) = match self.talk.released(held.passed().id) {
            None => return Ok(()),
            Some(Released::Unmapped) => ("its last map is gone", ("DUNMAP-03", Class::Violation)),
            Some(Released::Refused) => ("its map was refused", ("DMAP-06", Class::Violation)),
            Some(Released::Disconnected) => ("the client is gone", ("DISC-01", Class::Note)),
        };
        let (sealed, evidence) = self.seal(&held, true)?;
        let expected = format!("no writable mapping of `{}` in the server: {why}", name.value);
        let found = Found::new(expected, "F_SEAL_WRITE gives EBUSY: it is still mapped", evidence);
        self.by_rule(line, rule, sealed, &found)
    }

    /// Ends a check that the model asks for; the line's own requirements, if it has any, stand for the model's.
    fn by_rule(
        &mut self,
        line: Line<'_>,
        (requirement, class): (&str, Class),
        held: bool,
        found: &Found,
    ) -> Result<(), Stop> {
        let own = [requirement];
        let line = if line.requirements.is_empty() { Line { requirements: &own, ..line } } else { line };
        if held {
            return self.conclude(line, true, "", String::new, found.evidence);
        }
        self.after_crash(line, &found.expected)?;
        self.break_line(line, Some(class), found)
    }
}

fn reason(why: LetGo) -> &'static str {
    match why {
        LetGo::Replaced => "another descriptor took its place",
        LetGo::Deassigned => "its interrupt was de-assigned",
        LetGo::Disabled => "its interrupt type was disabled",
        LetGo::Refused => "the command that brought it was refused",
        LetGo::Stray => "the command that brought it takes none",
        LetGo::Disconnected => "the client is gone",
    }
}
