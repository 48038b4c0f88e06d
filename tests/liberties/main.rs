//! What is right is not accused: servers that take liberties, each of which the specification permits and the reference
//! server does not take. The suite and generated sequences must find no violation in any of them, and note no more than
//! is listed beside the liberty.
//!
//! Each is tried by itself, with the cases that have to do with it, and several together in one server, with every case. To add
//! one to a file in `sections/`:
//!
//! ```ignore
//! liberty("errors-without-an-errno", "447-448", |served| error_replies(served, |_, reply| reply.header.error = 0))
//! ```
//!
//! `cargo test --test liberties -- --ignored` plays every case against each.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test, helpers included")]

#[path = "../support/direct.rs"]
mod direct;
mod layer;
mod liberty;
#[allow(dead_code, reason = "planted faults use the rest")]
#[path = "../planted_faults/loops.rs"]
mod loops;
#[path = "../support/probed.rs"]
mod probed;
mod sections;
mod suite;
#[allow(dead_code, reason = "planted faults use the rest")]
#[path = "../planted_faults/wrapper.rs"]
mod wrapper;

use std::process::ExitCode;

use libtest_mimic::{Arguments, Failed, Trial};

use crate::suite::{Put, nobody_is_accused};

/// What each liberty is put to.
const BRIEFLY: Put = Put { every_case: false, sequences: 50 };
/// What several together are put to, and each on demand.
const AT_LENGTH: Put = Put { every_case: true, sequences: 400 };

fn main() -> ExitCode {
    let mut arguments = Arguments::from_args();
    arguments.test_threads.get_or_insert(2);
    let liberties = sections::liberties();
    let mut trials = Vec::new();
    for liberty in liberties.clone() {
        let alone = [liberty];
        let name = alone[0].name;
        let everything = alone.clone();
        trials.push(Trial::test(name, move || nobody_is_accused(&alone, BRIEFLY).map_err(Failed::from)));
        let trial = move || nobody_is_accused(&everything, AT_LENGTH).map_err(Failed::from);
        trials.push(Trial::test(format!("every case against {name}"), trial).with_ignored_flag(true));
    }
    for (name, together) in sections::together(&liberties) {
        trials.push(Trial::test(format!("together: {name}"), move || {
            nobody_is_accused(&together, AT_LENGTH).map_err(Failed::from)
        }));
    }
    libtest_mimic::run(&arguments, trials).exit_code()
}
