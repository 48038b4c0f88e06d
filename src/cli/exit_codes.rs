//! What the exit codes say, for the help and the man page.

use crate::report::ExitCode;

/// Every code, and what it says.
pub(super) const EXIT_CODES: [(ExitCode, &str); 9] = [
    (ExitCode::Conforming, "conforming"),
    (ExitCode::Usage, "wrong usage, a case file in error, or reports or a bundle that cannot be taken"),
    (ExitCode::Violations, "violations, or something worse than before (compare)"),
    (ExitCode::Inconclusive, "inconclusive only"),
    (
        ExitCode::Unreachable,
        "the server could not be started or reached, never negotiates, was lost, or cannot be tested over --socket",
    ),
    (ExitCode::NothingRan, "nothing selected, nothing ran, nothing had failed (--failed), or nothing compared"),
    (ExitCode::Drift, "differs from the pinned expectations, or from the bundle (verify --again)"),
    (ExitCode::Internal, "a fault of the harness or of the machine"),
    (ExitCode::Interrupted, "interrupted"),
];

/// All of them in a sentence.
pub(super) fn sentence() -> String {
    let codes: Vec<String> = EXIT_CODES.iter().map(|(code, said)| format!("{} {said}", code.number())).collect();
    format!("Exit codes: {}.", codes.join(", "))
}
