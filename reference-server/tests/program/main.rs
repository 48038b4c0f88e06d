//! The loop and the program: real sockets, memfds, eventfds and signals.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test that cannot go on has failed")]

mod client;
mod command_line;
mod connection;
mod memory;
mod twin;
