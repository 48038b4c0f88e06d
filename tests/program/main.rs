//! The program, as whoever runs it meets it: what it prints, writes and ends with, before servers that do all kinds of things.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test, helpers included")]

mod asking;
mod bad_servers;
mod certify;
mod compare;
mod exit_codes;
mod explained;
mod interrupt;
mod judged;
mod manual;
mod merge;
mod pins;
mod rerun;
#[path = "../support/mod.rs"]
mod support;
mod templates;
mod terminal;
mod vacuous;
