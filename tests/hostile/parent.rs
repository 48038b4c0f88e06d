//! The tests: each starts a process that plays.

use std::process::{Command, ExitCode};

use libtest_mimic::{Arguments, Failed, Trial};

use crate::bounds::BOUNDS;
use crate::child::PLAY;
use crate::hostile::served;
use crate::lines::LINES;
use crate::program;

/// The word that stands before the seed of runs of the program.
pub(crate) const RUN: &str = "run-the-program";

/// Replies in `cargo test`, by calls and over sockets.
const REPLIES: u64 = 6000;

pub(crate) fn main() -> ExitCode {
    let mut trials = Vec::new();
    if let Ok(input) = std::env::var("HOSTILE_INPUT") {
        trials.push(Trial::test("an input", move || {
            let (mode, hex) = input.split_once(':').ok_or("MODE:HEX is needed")?;
            play(&[mode.to_lowercase(), "input".to_owned(), hex.to_owned()])
        }));
        return libtest_mimic::run(&Arguments::from_args(), trials).exit_code();
    }
    let number = |name: &str, otherwise| match std::env::var(name) {
        Ok(number) => number.parse().map_err(|_| format!("{name} is no number: {number}")),
        Err(_) => Ok(otherwise),
    };
    let (replies, seed) = match (number("HOSTILE_REPLIES", REPLIES), number("HOSTILE_SEED", 1)) {
        (Ok(replies), Ok(seed)) => (replies, seed),
        (Err(why), _) | (_, Err(why)) => {
            eprintln!("{why}");
            return ExitCode::FAILURE;
        }
    };
    // Most by calls, where nothing waits.
    for (mode, replies) in [("calls", replies - replies / 20), ("sockets", replies / 20)] {
        for version in 0..4u8 {
            let name = served(version).dialect().name;
            let words = [
                mode.to_owned(),
                "replies".to_owned(),
                version.to_string(),
                (replies / 4).to_string(),
                seed.to_string(),
            ];
            trials.push(Trial::test(format!("hostile replies of {name} by {mode}"), move || play(&words)));
        }
    }
    let runs = 1 + replies / 50_000;
    trials.push(Trial::test("the program against hostile servers", move || {
        // In a process of its own, whose children are these alone.
        for seed in seed..seed + runs {
            start(&[RUN.to_owned(), seed.to_string()])?;
        }
        Ok(())
    }));
    for (name, _) in BOUNDS.into_iter().chain(LINES) {
        trials.push(Trial::test(name, move || play(&["bound".to_owned(), name.to_owned()])));
    }
    libtest_mimic::run(&Arguments::from_args(), trials).exit_code()
}

/// The process that runs the program.
pub(crate) fn run_program(seed: &str) -> ExitCode {
    let done = seed.parse().map_err(|_| "no seed".to_owned()).and_then(program::runs);
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            println!("{why}");
            ExitCode::FAILURE
        }
    }
}

/// Lets a process of its own play.
fn play(words: &[String]) -> Result<(), Failed> {
    start(&[&[PLAY.to_owned()], words].concat())
}

/// This program once more, with these words; what it says is told.
fn start(words: &[String]) -> Result<(), Failed> {
    let program = std::env::current_exe().map_err(|error| error.to_string())?;
    let ended = Command::new(program).args(words).output().map_err(|error| error.to_string())?;
    let said = String::from_utf8_lossy(&ended.stdout);
    eprint!("{said}");
    if ended.status.success() {
        return Ok(());
    }
    Err(format!("{}\n{said}{}", ended.status, String::from_utf8_lossy(&ended.stderr)).into())
}
