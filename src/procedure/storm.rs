//! Connections without end.

use std::io;

use nix::errno::Errno;

use super::{Bench, Outcome, conventions};
use crate::session::{Deadline, wait};
use crate::target::{Instance, crash_report};
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
            match instance.knock() {
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
        Err(actual) => {
            let ended = instance.process.as_mut().and_then(|process| {
                let exit = process.ended()?;
                Some((exit, crash_report(&process.output(Deadline::after(bench.timeouts.settle)))))
            });
            match ended {
                // An orderly exit is the server's right after a disconnect (289-291).
                Some((exit @ Exit::Status(_), None)) => {
                    let actual = format!("the server had ended with {exit}");
                    Outcome::Noted { expected, actual, evidence: Evidence::Exited }
                }
                Some((exit, report)) => {
                    let actual = format!("the server had ended with {exit}: {}", report.unwrap_or(actual));
                    Outcome::Broken { expected, actual, evidence: Evidence::Exited }
                }
                None => Outcome::Broken { expected, actual, evidence: Evidence::Deadline },
            }
        }
    })
}
