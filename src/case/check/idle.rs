//! Lines that say nothing: what cannot fail checks nothing.

use super::Checker;
use super::value::Wanted;
use crate::case::{
    Condition, ConditionValue, Diagnostic, Expect, Expression, Outcome, Outcomes, Relation, Span, Spanned, Step,
    StepKind,
};

impl Checker<'_> {
    /// A case of which no server would notice anything shows nothing of one.
    pub(super) fn acts(&mut self) {
        if !self.acts && !self.context.samples {
            let error = Diagnostic::new(self.case.name.span, "this case does nothing", "no line sends anything");
            self.push(error.help("only what a server was sent can show what it does: `> DEVICE_GET_INFO`"));
        }
    }

    /// Whether a line is something that a server can notice.
    pub(super) fn notes_act(&mut self, step: &Step) {
        self.acts |= matches!(
            step.kind,
            StepKind::Send(_)
                | StepKind::Client(..)
                | StepKind::Server(_)
                | StepKind::Close(_)
                | StepKind::Shutdown(_)
                | StepKind::Signal(_)
                | StepKind::Device(..)
                | StepKind::Save(..)
                | StepKind::Restore(..)
                | StepKind::Ring(..)
                | StepKind::Do(..)
        );
    }

    /// A line that takes each answer, and one of the answers that another one includes.
    pub(super) fn idle_answers(&mut self, step: &Step) {
        let StepKind::Expect(Expect::Answer { outcomes, .. }) = &step.kind else { return };
        if !step.requirements.is_empty() && takes_all(outcomes) {
            let error = Diagnostic::new(step.span, "this line cannot fail", "it takes whatever comes");
            self.push(error.help("without its requirement it is set-up, and nothing is counted as verified by it"));
        }
        let conforming = outcomes.conforms.len();
        let all: Vec<&Spanned<Outcome>> = outcomes.conforms.iter().chain(&outcomes.note).collect();
        for (at, outcome) in all.iter().enumerate() {
            // What is noted is looked at last: what conforms never waits for it.
            let rivals = all.iter().enumerate().take(if at < conforming { conforming } else { all.len() });
            let mut rivals = rivals.filter(|(other, _)| *other != at);
            let idle = rivals.any(|(other, rival)| {
                includes(&rival.value, &outcome.value) && (other < at || !includes(&outcome.value, &rival.value))
            });
            if idle {
                let message = "another outcome of this line includes this one";
                self.push(Diagnostic::new(outcome.span, message, "it decides nothing"));
            }
        }
    }

    /// A condition that each value of its field meets.
    pub(super) fn idle_condition(&mut self, condition: &Condition, wanted: Wanted) {
        let most = match wanted {
            Wanted::Field(field) => (1i128 << (8 * field.width.min(8))) - 1,
            Wanted::Integer(0, most) => most,
            _ => return,
        };
        let ConditionValue::Integer(value) = &condition.value.value else { return };
        // A parameter may be a word.
        if matches!(value, Expression::Name(_)) {
            return;
        }
        let Some(value) = self.constant(value, condition.value.span) else { return };
        let always = match condition.relation {
            Relation::AtLeast => value <= 0,
            Relation::Greater => value < 0,
            Relation::AtMost => value >= most,
            Relation::Less => value > most,
            Relation::Has | Relation::HasNone => value == 0,
            Relation::Equal | Relation::Unequal => false,
        };
        if always {
            let span = Span { start: condition.field.span.start, end: condition.value.span.end };
            self.push(Diagnostic::new(span, "each value meets this condition", "it checks nothing"));
        }
    }
}

/// Whether nothing that could come for a command would be wrong: a crash is, on any line.
fn takes_all(outcomes: &Outcomes) -> bool {
    let takes = |kind: &Outcome| outcomes.conforms.iter().any(|outcome| includes(&outcome.value, kind));
    [Outcome::Ok(Vec::new()), Outcome::Error(None), Outcome::Closed, Outcome::Silent].iter().all(takes)
}

/// Whether what is `narrow` is `wide`, too.
fn includes(wide: &Outcome, narrow: &Outcome) -> bool {
    match (wide, narrow) {
        (Outcome::Ok(conditions), Outcome::Ok(_)) => conditions.is_empty() || wide == narrow,
        (Outcome::Error(None), Outcome::Error(_)) => true,
        _ => wide == narrow,
    }
}
