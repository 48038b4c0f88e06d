//! What became of the server while it was asked what it offers.

use std::io;

use super::{Bench, Outcome};
use crate::target::Instance;
use crate::verdict::Evidence;

/// No server crashed of what the harness asked before the cases: those that need what it then does not know to be there skip, and no
/// other one may come to the same question.
pub(super) fn survives_questions(bench: &Bench<'_>, _: &mut Instance) -> io::Result<Outcome> {
    Ok(match bench.crashes {
        [] => Outcome::Held,
        crashes => Outcome::Broken {
            expected: "an answer, or an orderly end, at each question of the probe".to_owned(),
            actual: crashes.join("; "),
            evidence: Evidence::Exited,
        },
    })
}
