//! Servers that send whatever bytes can be sent. Whatever comes: no panic of any thread, no hang, no descriptor kept, memory
//! under 64 MiB, and a verdict.
//!
//! Everything is played in a process that is this program once more, so that its memory is measured and its end is seen.
//! `HOSTILE_REPLIES` says how many replies are to be sent in all, `HOSTILE_SEED` from which seed; `ci/hostile` sets both. What
//! fails is shrunk and told in hexadecimal: `HOSTILE_INPUT` plays it again.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test, helpers included")]

mod bounds;
mod child;
mod lines;
mod parent;
mod program;
mod server;

#[path = "../support/hostile/mod.rs"]
mod hostile;

use std::process::ExitCode;

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    match words.split_first() {
        Some((word, rest)) if word == child::PLAY => child::main(rest),
        Some((word, _)) if word == server::SERVE => server::main(),
        Some((word, rest)) if word == server::SERVE_ONE => server::main_of_one(rest),
        Some((word, [seed])) if word == parent::RUN => parent::run_program(seed),
        _ => parent::main(),
    }
}
