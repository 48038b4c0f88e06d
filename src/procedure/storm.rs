//! Connections without end.

use std::time::Instant;

use nix::errno::Errno;

use super::{Bench, Outcome, conventions};
use crate::run::Timeouts;
use crate::session::{Deadline, is_want, wait};
use crate::target::{Instance, StartError, crash_report};
use crate::verdict::{Evidence, Exit};

/// `count` connections that are closed at once; the server must serve the next client.
pub(super) fn connection_storm(bench: &Bench<'_>, instance: &mut Instance) -> Result<Outcome, StartError> {
    // The first connection waits for the server to be ready.
    if let Err(why) = conventions::negotiated(bench, instance.connect(bench.interrupt)?)? {
        return Ok(Outcome::Skip(why));
    }
    // Whether it stays when one client leaves like this is its own choice (289-291), with whatever exit status.
    // A knock at a server that is gone already comes out at the next.
    let started = Instant::now();
    drop(instance.knock());
    let after_one = outcome(bench, instance, |_| true)?;
    let for_one = started.elapsed();
    if !matches!(after_one, Outcome::Held) {
        return Ok(after_one);
    }
    let deadline = Deadline::after(bench.timeouts.long);
    let count = bench.argument("count", 1000);
    for _ in 0..count {
        loop {
            match instance.knock() {
                Ok(_) => break,
                // A full backlog: the server needs a moment.
                Err(error) if error.raw_os_error() == Some(Errno::EAGAIN as i32) && !deadline.passed() => {
                    wait(&[], Deadline::after(std::time::Duration::from_millis(1)), bench.interrupt)?;
                }
                Err(error) if is_want(error.raw_os_error()) => return Err(error.into()),
                Err(_) => break,
            }
        }
        if deadline.passed() || bench.interrupt.raised() {
            break;
        }
    }
    // Those that wait to be accepted come first, and each may take as long as that one did.
    let theirs = for_one.saturating_mul(u32::try_from(2 * count).unwrap_or(u32::MAX)).min(bench.timeouts.whole() / 5);
    let timeouts = Timeouts { start: bench.timeouts.start + theirs, ..bench.timeouts };
    // One that stayed then, and fails now, failed of their number.
    outcome(&Bench { timeouts, ..*bench }, instance, |status| status == 0)
}

/// Whether the next client is served; `orderly` says of an exit status that the server may end so.
fn outcome(bench: &Bench<'_>, instance: &mut Instance, orderly: fn(i32) -> bool) -> Result<Outcome, StartError> {
    let Err(actual) = conventions::negotiates(bench, instance)? else { return Ok(Outcome::Held) };
    let expected = "the next client is served after those that left at once".to_owned();
    let ended =
        instance.ended().map(|exit| (exit, crash_report(&instance.output(Deadline::after(bench.timeouts.settle)))));
    Ok(match ended {
        Some((exit @ Exit::Status(status), None)) if orderly(status) => {
            let actual = format!("the server had ended with {exit}");
            Outcome::Noted { expected, actual, evidence: Evidence::Exited }
        }
        Some((exit, report)) => {
            let actual = format!("the server had ended with {exit}: {}", report.unwrap_or(actual));
            Outcome::Broken { expected, actual, evidence: Evidence::Exited }
        }
        None => Outcome::Broken { expected, actual, evidence: Evidence::Deadline },
    })
}
