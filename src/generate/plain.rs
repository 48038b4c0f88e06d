//! A shrunk sequence as a person would have written it: each line says what came, and the last what would have been
//! right.

use vfio_user_wire::message::DEVICE_GET_INFO;

use super::message::{Message, integer, spanned, step, word};
use super::pairs::pairs;
use crate::case::{
    Case, Expect, FdExpectation, Outcome, Outcomes, SealExpectation, Spanned, Step, StepKind, errno_name,
};
use crate::model::{Instead, Kind};
use crate::verdict::Finding;

/// The case with its `conforms` lines in plain words; `came` is what came at each, by step.
pub(super) fn plain(case: &Case, finding: &Finding, came: &[(usize, Kind)]) -> Case {
    let mut case = case.clone();
    let mut named = false;
    let numbers = numbers(&case.steps);
    let asked = pairs(&case.steps);
    let quiet: Vec<usize> =
        case.steps.iter().enumerate().filter(|(_, step)| wants_no_reply(step)).map(|(at, _)| at).collect();
    let step_of = |at: usize| numbers.get(at).copied().unwrap_or_default();
    for at in 0..case.steps.len() {
        let line = step_of(at);
        let sent = asked.get(&at).map(|sent| step_of(*sent));
        let here = finding.step == line || sent == Some(finding.step);
        let Some(Step { kind: StepKind::Expect(expect), requirements, .. }) = case.steps.get_mut(at) else { continue };
        let quiet = asked.get(&at).is_some_and(|sent| quiet.contains(sent));
        let came = came.iter().find(|(step, _)| *step == line).map(|(_, kind)| *kind);
        named |= here;
        if here {
            *requirements = vec![word(&finding.requirement)];
        }
        match expect {
            // To a command that wants no reply, silence is right: only the model can say so.
            Expect::Answer { .. } if quiet => {}
            Expect::Answer { outcomes, .. } => {
                *outcomes = answer(outcomes, came, here.then_some(finding.instead).flatten(), here)
            }
            Expect::Fd(_, what) if here => match finding.instead {
                Some(Instead::Closing) => *what = FdExpectation::Closed,
                Some(Instead::Signals(0)) => *what = FdExpectation::Quiet,
                Some(Instead::Signals(count)) => *what = FdExpectation::Signalled(Some(integer(count))),
                _ => {}
            },
            Expect::Seal(_, what) if here => *what = SealExpectation::Ok,
            _ => {}
        }
    }
    if !named {
        // What answers nothing shows behind the last answer. Where something before it is never asked for, a line without a
        // label would ask for that.
        let is_asked = |at: usize| asked.values().any(|sent| *sent == at);
        let mut steps = case.steps.iter().enumerate();
        let unasked = steps.any(|(at, step)| matches!(step.kind, StepKind::Send(_)) && !is_asked(at));
        let label = unasked.then_some("after");
        case.steps.push(Message::command("info", DEVICE_GET_INFO.name).step(None, label, false));
        let outcomes = Outcomes { conforms: vec![spanned(Outcome::Ok(Vec::new()))], note: Vec::new() };
        let mut line = step(StepKind::Expect(Expect::Answer { end: None, label: label.map(word), outcomes }));
        line.requirements = vec![word(&finding.requirement)];
        case.steps.push(line);
    }
    case
}

fn wants_no_reply(step: &Step) -> bool {
    match &step.kind {
        StepKind::Send(send) => send.arguments.iter().any(|argument| argument.key.as_str() == "no_reply"),
        _ => false,
    }
}

fn answer(outcomes: &Outcomes, came: Option<Kind>, instead: Option<Instead>, here: bool) -> Outcomes {
    let ok = || Outcome::Ok(Vec::new());
    let conforms = match (instead, came) {
        (Some(Instead::Success), _) => vec![ok()],
        (Some(Instead::Refusal(errno)), _) => vec![Outcome::Error(errno.and_then(errno_name).map(word))],
        // No answer was right that came, and one was due.
        (_, None | Some(Kind::Closed | Kind::Silent)) if here => vec![ok(), Outcome::Error(None)],
        (_, Some(Kind::Ok)) => vec![ok()],
        (_, Some(Kind::Error)) => vec![Outcome::Error(None)],
        (_, Some(Kind::Closed)) => vec![Outcome::Closed],
        (_, None | Some(Kind::Silent)) => return outcomes.clone(),
    };
    Outcomes { conforms: conforms.into_iter().map(spanned).collect::<Vec<Spanned<Outcome>>>(), note: Vec::new() }
}

/// The number of each step, as a play counts them: what is in a block counts, too.
pub(super) fn numbers(steps: &[Step]) -> Vec<usize> {
    let mut number = 0;
    steps
        .iter()
        .map(|step| {
            number += 1;
            let own = number;
            if let StepKind::If(_, then) = &step.kind {
                number += then.len();
            }
            own
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use pretty_assertions::assert_eq;
    use vfio_user_wire::V0_9_2;

    use super::*;
    use crate::case::{Context, Source, check, parse, print};
    use crate::verdict::{Class, Evidence};

    /// The case in plain words, where what was found is about none of its lines.
    fn told(lines: &str) -> String {
        let source = Source { name: "a.case".to_owned(), text: format!("case generated.a\n{lines}") };
        let finding = Finding {
            requirement: "HDR-02".to_owned(),
            class: Class::Violation,
            policy: Vec::new(),
            expected: String::new(),
            actual: String::new(),
            step: 99,
            line: 0,
            message: None,
            field: None,
            evidence: Evidence::Received,
            instead: None,
            by_state: false,
            seen: None,
        };
        let plain = plain(&parse(&source).unwrap().remove(0), &finding, &[]);
        let context = Context {
            dialect: &V0_9_2,
            requirement: &|_| Some(true),
            similar_requirement: &|_| None,
            procedure: &|_| false,
            similar_procedure: &|_| None,
            samples: false,
        };
        let text = print(std::slice::from_ref(&plain));
        assert_eq!(check(&[plain], &context), [], "{text}");
        text
    }

    #[test]
    fn what_is_asked_in_the_end_is_asked_of_itself_where_something_before_it_is_never_asked_for() {
        let after = "> DEVICE_GET_INFO\n< ok                                                    [HDR-02]\n";
        assert!(told("> DEVICE_RESET\n< ok\n").ends_with(after));
        let quiet = told("> DEVICE_RESET no_reply\n> read: DEVICE_GET_INFO\n< read: ok\n");
        assert!(
            quiet.ends_with(
                "> after: DEVICE_GET_INFO\n< after: ok                                             [HDR-02]\n"
            ),
            "{quiet}"
        );
    }
}
