//! From a sequence that fails to the steps that matter, with the smallest values that still fail.

use std::collections::BTreeSet;

use super::labels;
use super::message::hexadecimal;
use super::pairs::{memory, message, pairs, whole};
use super::tables;
use vfio_user_wire::message::{REGION_WRITE, REGION_WRITE_MULTI};

use crate::case::{Case, Expect, Expression, Name, Send, Step, StepKind, Subject, Value};

/// What says whether a smaller case fails in the same way.
pub(super) trait Trial {
    /// It does; `false`, too, where nothing more is to be tried.
    fn fails(&mut self, case: &Case) -> bool;
    /// Nothing more is to be tried.
    fn is_over(&self) -> bool;
}

/// The smallest case that could be found to fail in the same way.
pub(super) fn shrink(case: &Case, trial: &mut dyn Trial) -> Case {
    let mut shrinking = Shrinking { best: case.clone(), trial };
    loop {
        let before = shrinking.best.clone();
        shrinking.fewer_steps();
        shrinking.one_client();
        shrinking.one_by_one();
        shrinking.plainer_messages();
        shrinking.lower_addresses();
        shrinking.smaller_numbers();
        shrinking.smaller_memory();
        if shrinking.best == before || shrinking.trial.is_over() {
            break;
        }
    }
    let mut best = shrinking.best;
    if !best.steps.iter().any(|step| matches!(step.kind, StepKind::Client(..))) {
        best.needs.retain(|need| need.value != "reconnect");
    }
    if !best.steps.iter().any(acts) {
        best.needs.retain(|need| !need.value.starts_with("device-"));
    }
    best
}

/// The device is made to act.
fn acts(step: &Step) -> bool {
    match &step.kind {
        StepKind::Device(..) => true,
        StepKind::If(_, then) => then.iter().any(acts),
        _ => false,
    }
}

struct Shrinking<'a> {
    best: Case,
    trial: &'a mut dyn Trial,
}

impl Shrinking<'_> {
    /// Takes these steps, where they still fail.
    fn take(&mut self, mut steps: Vec<Step>) -> bool {
        whole(&mut steps);
        let unneeded = unneeded_labels(&steps);
        labels::tidy(&mut steps, &unneeded);
        if steps == self.best.steps || self.trial.is_over() {
            return false;
        }
        let smaller = Case { steps, ..self.best.clone() };
        let fails = self.trial.fails(&smaller);
        if fails {
            self.best = smaller;
        }
        fails
    }

    /// Leaves out as many steps as it can, large parts first.
    fn fewer_steps(&mut self) {
        let mut size = self.best.steps.len().div_ceil(2);
        while size > 0 && !self.trial.is_over() {
            let mut at = self.best.steps.len();
            while at > 0 {
                let from = at.saturating_sub(size);
                let mut gone: BTreeSet<usize> = (from..at).collect();
                // A message goes with the line that asks for its answer.
                for (line, asked) in pairs(&self.best.steps) {
                    if gone.contains(&line) || gone.contains(&asked) {
                        gone.extend([line, asked]);
                    }
                }
                let kept = self.best.steps.iter().enumerate().filter(|(place, _)| !gone.contains(place));
                let kept = kept.map(|(_, step)| step.clone()).collect();
                self.take(kept);
                at = from.min(self.best.steps.len());
            }
            size /= 2;
        }
    }

    /// Lets the first client do what others did.
    fn one_client(&mut self) {
        let mut steps = self.best.steps.clone();
        steps.retain(|step| !matches!(step.kind, StepKind::Client(..) | StepKind::Close(_)));
        for step in &mut steps {
            match &mut step.kind {
                StepKind::Send(Send { end, .. }) | StepKind::Expect(Expect::Answer { end, .. }) => *end = None,
                _ => {}
            }
        }
        self.take(steps);
    }

    /// Asks for each answer before the next message is sent.
    fn one_by_one(&mut self) {
        let mut at = 0;
        while at < self.best.steps.len() {
            let asked = pairs(&self.best.steps).get(&at).copied();
            if let Some(asked) = asked.filter(|asked| asked + 1 < at) {
                let mut steps = self.best.steps.clone();
                let line = steps.remove(at);
                steps.insert(asked + 1, line);
                self.take(steps);
            }
            at += 1;
        }
    }

    /// Leaves out what is said of a message, one thing after the other.
    fn plainer_messages(&mut self) {
        for at in 0..self.best.steps.len() {
            self.change(at, |send| send.joined = false);
            self.fewer_regions(at);
            for argument in self.changeable(at).into_iter().rev() {
                self.change(at, |send| {
                    if argument < send.arguments.len() {
                        send.arguments.remove(argument);
                    }
                });
            }
            // Fewer descriptors, and a file that is there already.
            if self.send(at).is_none_or(|send| self.is_relied_on(send)) {
                continue;
            }
            self.change(at, |send| {
                for argument in &mut send.arguments {
                    if let Value::Names(names) = &mut argument.value.value {
                        names.truncate(1);
                        names.iter_mut().for_each(|(_, times)| *times = None);
                    }
                }
            });
        }
    }

    /// Leaves out regions of a table, each with its descriptor.
    fn fewer_regions(&mut self, at: usize) {
        let Some(send) = self.send(at).filter(|send| !self.is_relied_on(send)) else { return };
        for entry in (0..tables::entries(send)).rev() {
            self.change(at, |send| tables::leave_out(send, entry));
        }
    }

    fn send(&self, at: usize) -> Option<&Send> {
        match &self.best.steps.get(at)?.kind {
            StepKind::Send(send) => Some(send),
            _ => None,
        }
    }

    /// The arguments of a message that may be changed: what a write writes, and where, was weighed when it was drawn.
    fn changeable(&self, at: usize) -> Vec<usize> {
        let Some(send) = self.send(at).filter(|send| !self.is_relied_on(send)) else { return Vec::new() };
        let is = |name: &str| matches!(&send.subject, Subject::Message(subject) if subject.as_str() == name);
        let (one, several) = (is(REGION_WRITE.name), is(REGION_WRITE_MULTI.name));
        let fixed = |key: &str| {
            one && matches!(key, "region" | "offset" | "count" | "data" | "payload") || several && key == "writes"
        };
        let arguments = send.arguments.iter().enumerate();
        arguments.filter(|(_, argument)| !fixed(&argument.key)).map(|(at, _)| at).collect()
    }

    /// An `if` block follows from it: what the block expects was worked out from all that the message says.
    fn is_relied_on(&self, send: &Send) -> bool {
        self.blocks().any(|label| send.label.as_ref().is_some_and(|own| own.value == label.value))
    }

    /// The labels that `if` blocks are about.
    fn blocks(&self) -> impl Iterator<Item = &Name> {
        self.best.steps.iter().filter_map(|step| match &step.kind {
            StepKind::If(label, _) => Some(label),
            _ => None,
        })
    }

    /// Tries a change to one message.
    fn change(&mut self, at: usize, change: impl FnOnce(&mut Send)) -> bool {
        let mut steps = self.best.steps.clone();
        let Some(send) = steps.get_mut(at).and_then(message) else { return false };
        change(send);
        self.take(steps)
    }

    /// Moves all addresses down together.
    fn lower_addresses(&mut self) {
        const FIRST: u64 = 0x10000;
        // What the device is told in a block would have to move as well.
        if self.blocks().next().is_some() {
            return;
        }
        let addresses = |steps: &mut Vec<Step>, act: &mut dyn FnMut(&mut u64)| {
            for argument in steps.iter_mut().filter_map(message).flat_map(|send| &mut send.arguments) {
                if let ("address", Value::Integer(Expression::Number { value, .. })) =
                    (argument.key.as_str(), &mut argument.value.value)
                {
                    act(value);
                }
            }
        };
        let mut steps = self.best.steps.clone();
        let mut lowest = u64::MAX;
        addresses(&mut steps, &mut |value| lowest = lowest.min(*value));
        let Some(by) = lowest.checked_sub(FIRST).map(|by| by & !0xfff).filter(|by| *by > 0) else { return };
        addresses(&mut steps, &mut |value| *value = value.wrapping_sub(by));
        self.take(steps);
    }

    /// Tries smaller numbers in the messages, the smallest first.
    fn smaller_numbers(&mut self) {
        for at in 0..self.best.steps.len() {
            for argument in self.changeable(at) {
                let number = |send: &Send| match send.arguments.get(argument).map(|found| &found.value.value) {
                    Some(Value::Integer(Expression::Number { value, hex })) => Some((*value, *hex)),
                    _ => None,
                };
                let Some((now, hex)) = self.send(at).and_then(number) else { continue };
                for smaller in smaller(now) {
                    let taken = self.change(at, |send| {
                        if let Some(found) = send.arguments.get_mut(argument) {
                            found.value.value = Value::Integer(Expression::Number { value: smaller, hex });
                        }
                    });
                    if taken {
                        break;
                    }
                }
            }
        }
    }

    /// Tries smaller files.
    fn smaller_memory(&mut self) {
        // What a block expects lies somewhere in it.
        if self.blocks().next().is_some() {
            return;
        }
        for at in 0..self.best.steps.len() {
            let mut steps = self.best.steps.clone();
            let Some(Expression::Number { value: now, .. }) = steps.get_mut(at).and_then(memory).cloned() else {
                continue;
            };
            for smaller in smaller(now).into_iter().filter(|size| *size > 0) {
                let mut steps = self.best.steps.clone();
                if let Some(size) = steps.get_mut(at).and_then(memory) {
                    *size = hexadecimal(smaller);
                }
                if self.take(steps) {
                    break;
                }
            }
        }
    }
}

/// Numbers that are plainer than this one, the plainest first.
fn smaller(now: u64) -> Vec<u64> {
    let mut numbers = vec![
        0,
        1,
        0x1000,
        0x2000,
        (now / 2) & !0xfff,
        now & !0xfff,
        now / 2,
        now.saturating_sub(0x1000),
        now - now.min(1),
    ];
    let mut seen = BTreeSet::new();
    numbers.retain(|number| *number < now && seen.insert(*number));
    numbers
}

/// Labels without which every `<` line would still ask for the same message.
fn unneeded_labels(steps: &[Step]) -> BTreeSet<String> {
    let labelled = pairs(steps);
    let bare: Vec<Step> = steps
        .iter()
        .cloned()
        .map(|mut step| {
            match &mut step.kind {
                StepKind::Expect(Expect::Answer { label, .. }) => *label = None,
                StepKind::Send(send) => send.label = None,
                _ => {}
            }
            step
        })
        .collect();
    if pairs(&bare) != labelled {
        return BTreeSet::new();
    }
    let labels = steps.iter().filter_map(|step| match &step.kind {
        StepKind::Send(send) => send.label.as_ref().map(|label| label.value.clone()),
        _ => None,
    });
    labels.collect()
}
