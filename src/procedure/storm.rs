//! Connections without end.

use std::io;

use nix::errno::Errno;

use super::{Bench, Outcome, conventions};
use crate::session::{Connection, Deadline, wait};
use crate::target::Instance;
use crate::verdict::{Evidence, Exit};

/// `count` connections that are closed at once; the server must serve the next client.
pub(super) fn connection_storm(bench: &Bench<'_>, instance: &mut Instance) -> io::Result<Outcome> {
    // The first connection waits for the server to be ready.
    if let Err(why) = conventions::negotiates(bench, instance)? {
        return Ok(Outcome::Skip(why));
    }
    let deadline = Deadline::after(bench.timeouts.long);
    for _ in 0..bench.argument("count", 1000) {
        loop {
            match Connection::connect(instance.socket()) {
                Ok(_) => break,
                // A full backlog: the server needs a moment.
                Err(error) if error.raw_os_error() == Some(Errno::EAGAIN as i32) && !deadline.passed() => {
                    wait(&[], Deadline::after(std::time::Duration::from_millis(1)), bench.interrupt)?;
                }
                Err(_) => break,
            }
        }
        if deadline.passed() || bench.interrupt.raised() {
            break;
        }
    }
    let expected = "the next client is served after the storm".to_owned();
    Ok(match conventions::negotiates(bench, instance)? {
        Ok(()) => Outcome::Held,
        Err(actual) => match instance.process.as_mut().and_then(|process| process.ended()) {
            // An orderly exit is the server's right after a disconnect (289-291).
            Some(Exit::Status(0)) => {
                let actual = "the server had ended with exit status 0".to_owned();
                Outcome::Noted { expected, actual, evidence: Evidence::Exited }
            }
            Some(exit) => {
                let actual = format!("{actual}; it had ended with {exit}");
                Outcome::Broken { expected, actual, evidence: Evidence::Exited }
            }
            None => Outcome::Broken { expected, actual, evidence: Evidence::Deadline },
        },
    })
}
