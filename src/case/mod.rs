//! The case language: one conversation with a server, as lines to send (`>`) and lines that must come back (`<`).
//!
//! A case file is [parsed](parse()) into [`Case`]s whose every part knows its place in the file, [checked](check()) against
//! the message tables, the register and the list of needs, and [printed](print()) in the one form that files are kept in.

mod check;
mod diagnostic;
mod errno;
mod evaluate;
mod expression;
mod need;
mod parse;
mod print;
mod similar;
mod span;
mod step;

pub use check::{Context, TARGET_NAMES, check, duplicates};
pub use diagnostic::{Diagnostic, Source};
pub use errno::{errno, errno_name, error_text};
pub use evaluate::EvaluationError;
pub use expression::{Bytes, Expression, pattern};
pub use need::{NEEDS, Need};
pub use parse::parse;
pub use print::print;
pub use similar::similar;
pub use span::{Span, Spanned};
pub use step::{
    Argument, Condition, ConditionValue, Descriptor, DeviceAction, DeviceExpectation, Expect, FdExpectation, Given,
    Memory, Name, Outcome, Outcomes, Pages, Range, Relation, SealExpectation, Send, Serve, Step, StepKind, Subject,
    Value, With, Write,
};

use crate::Profile;

/// The client that is connected before the first step.
pub const FIRST: &str = "a";
/// The end that is the twin socket, in a case that is `given twin`.
pub const TWIN: &str = "twin";

/// One case: its head, and the steps in order.
#[derive(Debug, Clone, PartialEq)]
pub struct Case {
    /// Comment lines before `case`, without `#`.
    pub comments: Vec<String>,
    /// Its name: lower-case words joined by `-` and `.`, unique among all cases.
    pub name: Spanned<String>,
    /// What the target must offer for the case to run: words of [`NEEDS`].
    pub needs: Vec<Spanned<String>>,
    /// In what state the session starts.
    pub given: Given,
    /// Parameters; one sub-case for each combination of their values.
    pub with: Vec<With>,
    /// `for every command`: one sub-case for each sample, whose set-up runs first.
    pub every_command: bool,
    /// `for every channel`: one sub-case without a twin socket and one with it, where the target has one.
    pub every_channel: bool,
    /// The versions of the protocol that it is for; none: the current one, and each before it that has all its messages
    /// and requirements.
    pub profiles: Vec<Spanned<Profile>>,
    /// What is done, top to bottom.
    pub steps: Vec<Step>,
    /// Comment lines after the last step.
    pub trailing: Vec<String>,
}

impl Case {
    /// The requirements that its lines name, in their order.
    pub fn requirements(&self) -> impl Iterator<Item = &Spanned<String>> {
        fn of(step: &Step) -> Box<dyn Iterator<Item = &Spanned<String>> + '_> {
            match &step.kind {
                StepKind::If(_, then) => Box::new(step.requirements.iter().chain(then.iter().flat_map(of))),
                _ => Box::new(step.requirements.iter()),
            }
        }
        self.steps.iter().flat_map(of)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_case_checks_in_a_block_it_checks() {
        let text = "case a.b\n< ok [A-01]\nif a ok\n  < ok [A-02 A-03]\nend\n< ok [A-04]\n";
        let case = parse(&Source { name: "a.case".to_owned(), text: text.to_owned() }).unwrap().remove(0);
        let ids: Vec<&str> = case.requirements().map(|id| id.value.as_str()).collect();
        assert_eq!(ids, ["A-01", "A-02", "A-03", "A-04"]);
    }
}
