//! What the exit codes say, for the help and the man page.

use crate::report::ExitCode;

/// Every code, and what it says.
pub(super) const EXIT_CODES: [(ExitCode, &str); 9] = [
    (ExitCode::Conforming, "conforming"),
    (ExitCode::Usage, "wrong usage or a case file in error"),
    (ExitCode::Violations, "violations"),
    (ExitCode::Inconclusive, "inconclusive only"),
    (ExitCode::Unreachable, "the target could not be started or reached or never negotiates"),
    (ExitCode::NothingRan, "nothing selected or nothing ran"),
    (ExitCode::Drift, "differs from the pinned expectations"),
    (ExitCode::Internal, "a fault of the harness"),
    (ExitCode::Interrupted, "interrupted"),
];

/// All of them in a sentence.
pub(super) fn sentence() -> String {
    let codes: Vec<String> = EXIT_CODES.iter().map(|(code, said)| format!("{} {said}", code.number())).collect();
    format!("Exit codes: {}.", codes.join(", "))
}
