//! The cases as trials. What the server does not offer is ignored, and the reason stands where each of the two programs that run tests
//! shows it: `cargo test` tells it with the outcome; `cargo nextest` takes whatever was run and did not fail for a pass, so that
//! it is listed as ignored, with the reason in front of the name.

use std::sync::Arc;

use libtest_mimic::{Arguments, Completion, Failed, Trial};

use super::pins::{Pins, TEST};
use super::stage::Stage;
use crate::report::harmless;

/// What stands before a reason.
const IGNORED: &str = "ignored: ";

/// All of them, the one for pinned expectations last: it waits for the others.
pub(super) fn trials(stage: &Arc<Stage>, arguments: &Arguments) -> Vec<Trial> {
    let by_nextest = std::env::var_os("NEXTEST").is_some();
    let listed = arguments.list || by_nextest;
    let flagged = listed || arguments.ignored || arguments.include_ignored;
    let mut trials: Vec<Trial> = Vec::new();
    for case in stage.take_cases() {
        let Some(skip) = case.skip(&stage.discovered) else {
            trials.push(trial(stage, case.name.clone(), move |stage| stage.test(&case)));
            continue;
        };
        stage.note_skipped(&case);
        let reason = harmless(&skip.0);
        let kind = if listed { format!("{IGNORED}{reason}") } else { String::new() };
        let ignored = trial(stage, case.name.clone(), move |_| match by_nextest {
            true => Err(format!("it does not apply to this server: {reason}").into()),
            false => Ok(Completion::ignored_with(reason)),
        });
        trials.push(ignored.with_ignored_flag(flagged).with_kind(kind));
    }
    if let Some(pins) = &stage.pins {
        let due =
            trials.iter().filter(|trial| !arguments.is_filtered_out(trial) && !arguments.is_ignored(trial)).count();
        pins.await_tests(due);
        let stage = Arc::clone(stage);
        trials.push(Trial::test(TEST, move || stage.pins.as_ref().map_or(Ok(()), |pins| pins.test())));
    }
    trials
}

/// A test that says when it is over.
fn trial(
    stage: &Arc<Stage>,
    name: String,
    test: impl FnOnce(&Stage) -> Result<Completion, Failed> + Send + 'static,
) -> Trial {
    let stage = Arc::clone(stage);
    Trial::ignorable_test(name, move || {
        let _over = stage.pins.as_ref().map(Pins::over);
        test(&stage)
    })
}

/// The name of a test that is ignored, without the reason before it.
pub(super) fn without_reason(name: &str) -> &str {
    let reasoned = name.strip_prefix('[').filter(|rest| rest.starts_with(IGNORED));
    reasoned.and_then(|rest| rest.rsplit_once("] ")).map_or(name, |(_, name)| name)
}
