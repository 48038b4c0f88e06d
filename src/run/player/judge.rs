//! From what was seen to checks and findings.

use std::time::Duration;

use super::ending::Ending;
use super::{Player, Stop};
use crate::model::Instead;
use crate::requirement::Failure;
use crate::session::Deadline;
use crate::verdict::{Check, Class, Evidence, FieldMark, Finding, Said};

/// A line of the case.
#[derive(Debug, Clone, Copy)]
pub(super) struct Line<'a> {
    /// The step, from 1; 0 for what the harness does by itself.
    pub(super) step: usize,
    /// Its number in the file, from 1; 0 for none.
    pub(super) number: usize,
    /// What it checks; nothing makes it set-up.
    pub(super) requirements: &'a [&'a str],
}

impl Line<'_> {
    /// The line, or where it checks nothing, one that a crash breaks all the same.
    pub(super) fn or_crash(self) -> Self {
        let requirements = if self.requirements.is_empty() { &["SEC-01"] } else { self.requirements };
        Line { requirements, ..self }
    }
}

/// What came instead of what is required.
#[derive(Debug, Clone)]
pub(super) struct Found {
    pub(super) expected: String,
    pub(super) actual: String,
    pub(super) evidence: Evidence,
    /// The number of the message that shows it; the last one where it is left out.
    pub(super) message: Option<usize>,
    pub(super) field: Option<FieldMark>,
    /// Which answer would have been right.
    pub(super) instead: Option<Instead>,
    /// It rests on what came before.
    pub(super) by_state: bool,
}

impl Found {
    pub(super) fn new(expected: impl Into<String>, actual: impl Into<String>, evidence: Evidence) -> Found {
        Found {
            expected: expected.into(),
            actual: actual.into(),
            evidence,
            message: None,
            field: None,
            instead: None,
            by_state: false,
        }
    }
}

impl Player<'_> {
    /// Turns what the model said into checks and findings. The case goes on: what it asks for is another matter.
    pub(super) fn take_judged(&mut self) {
        for judged in std::mem::take(&mut self.talk.judged) {
            let id = judged.judgement.requirement;
            // What one model says of all versions is no clause of each; and what nobody has compared with the text accuses
            // nobody.
            let profile = self.context.profile;
            if self.context.register.get(id).is_some_and(|known| !known.is_of(profile) || !known.reviewed) {
                continue;
            }
            let Some(broken) = judged.judgement.broken else {
                self.held(id, 0);
                continue;
            };
            let (message, field, by_state) = (Some(judged.entry), broken.field, broken.by_state);
            let instead = broken.instead;
            let found = Found {
                message,
                field,
                instead,
                by_state,
                ..Found::new(broken.expected, broken.actual, Evidence::Received)
            };
            self.find(id, broken.class, (judged.step, judged.line), found);
        }
    }

    pub(super) fn held(&mut self, requirement: &str, line: usize) {
        let known = |check: &Check| (check.line, check.said) == (line, Said::Held) && check.requirement == requirement;
        if !self.checks.iter().any(known) {
            self.checks.push(Check { requirement: requirement.to_owned(), line, said: Said::Held });
        }
    }

    /// Every requirement of the line held.
    pub(super) fn hold(&mut self, line: Line<'_>) {
        line.requirements.iter().for_each(|requirement| self.held(requirement, line.number));
    }

    /// Notes a finding at a step and a line.
    pub(super) fn find(&mut self, requirement: &str, class: Class, (step, line): (usize, usize), found: Found) {
        let said = if class == Class::Violation { Said::Violated } else { Said::Noted };
        self.checks.push(Check { requirement: requirement.to_owned(), line, said });
        // One step gives at most one finding per requirement, and so does one message.
        let message = found.message.or_else(|| Some(self.talk.last_entry()).filter(|entry| *entry > 0));
        let known = |known: &Finding| {
            known.requirement == requirement
                && known.class == class
                && (known.step == step || (known.message == message && found.evidence == Evidence::Received))
        };
        if let Some(at) = self.findings.iter().position(known) {
            // What was received, a close or an exit says more than a silence at the same place.
            let more = |known: &Finding| known.evidence == Evidence::Deadline && found.evidence != Evidence::Deadline;
            if !self.findings.get(at).is_some_and(more) {
                return;
            }
            self.findings.remove(at);
        }
        let policy = self.context.register.get(requirement).map(|known| known.policy.clone()).unwrap_or_default();
        let Found { expected, actual, evidence, field, instead, by_state, .. } = found;
        let requirement = requirement.to_owned();
        self.findings.push(Finding {
            requirement,
            class,
            policy,
            expected,
            actual,
            step,
            line,
            message,
            field,
            evidence,
            instead,
            by_state,
            seen: None,
        });
    }

    /// What a miss of a requirement weighs; `None` where it is only reported.
    fn class_of(&self, requirement: &str) -> Option<Class> {
        match self.context.register.get(requirement).map(|requirement| requirement.failure) {
            Some(Failure::Note) => Some(Class::Note),
            Some(Failure::Info) => None,
            Some(Failure::Violation) | None => Some(Class::Violation),
        }
    }

    /// A finding for each requirement of a line: of `class` where it is given, of the requirement's own otherwise.
    pub(super) fn break_line(&mut self, line: Line<'_>, class: Option<Class>, found: &Found) -> Result<(), Stop> {
        let mut violated = false;
        for requirement in line.requirements {
            match class.or_else(|| self.class_of(requirement)) {
                Some(class) => {
                    violated |= class == Class::Violation;
                    self.find(requirement, class, (line.step, line.number), found.clone());
                }
                None => self.held(requirement, line.number),
            }
        }
        if violated { Err(Stop::Violated) } else { Ok(()) }
    }

    /// What the model says of an answer by what came before gives way to the line that finds the same answer wrong. What
    /// it says of later ones goes as well: the case ends here, and whether they have come yet is a matter of chance.
    pub(super) fn give_way(&mut self, line: Line<'_>, message: Option<usize>) {
        let gives_way = |finding: &Finding| {
            finding.by_state
                && message.is_some()
                && finding.message >= message
                && !line.requirements.contains(&finding.requirement.as_str())
        };
        for gone in self.findings.extract_if(.., |finding| gives_way(finding)) {
            let same = |check: &Check| check.requirement == gone.requirement && check.line == gone.line;
            self.checks.retain(|check| check.said == Said::Held || !same(check));
        }
    }

    /// A server that died meanwhile explains everything else.
    pub(super) fn after_crash(&mut self, line: Line<'_>, expected: &str) -> Result<(), Stop> {
        self.talk.pump(0, Deadline::after(Duration::ZERO), &|_| false)?;
        let crash = (0..self.talk.ends.len()).find_map(|end| self.ending(end).filter(Ending::is_crash));
        let Some(crash) = crash else { return Ok(()) };
        let found = Found::new(expected, crash.to_string(), Evidence::Exited);
        self.break_line(line.or_crash(), Some(Class::Violation), &found)
    }

    /// Ends a check that is not about an answer: held, a finding for each requirement, or a skip for a set-up line.
    pub(super) fn conclude(
        &mut self,
        line: Line<'_>,
        held: bool,
        expected: &str,
        actual: impl FnOnce() -> String,
        evidence: Evidence,
    ) -> Result<(), Stop> {
        if self.context.interrupt.raised() {
            return Err(Stop::Interrupted);
        }
        if held {
            self.hold(line);
            return Ok(());
        }
        self.after_crash(line, expected)?;
        if line.requirements.is_empty() {
            return Err(Stop::Skip(format!("set-up: expected {expected}, but {}", actual())));
        }
        self.break_line(line, None, &Found::new(expected, actual(), evidence))
    }
}
