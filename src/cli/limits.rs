//! The limits of resources that the program was started with: what they forbid a server, too, would be told of it.

use std::os::raw::c_int;

use nix::sys::resource::{RLIM_INFINITY, Resource, getrlimit};
use nix::sys::signal::{SaFlags, SigAction, SigHandler, SigSet, Signal, sigaction};

use super::Failure;
use crate::report::ExitCode;

/// Descriptors that a server can open at the least; the bundled one needs 50.
const DESCRIPTORS: u64 = 128;
/// Bytes of address space: what a thread reserves is many times what it uses.
const ADDRESSES: u64 = 2 << 30;
/// Bytes of the largest file; cases lend memory of that size.
const FILE: u64 = 1 << 30;

/// Refuses to run where a limit is too low to judge a server by, and lets what exceeds one end as a fault of this program.
pub(super) fn prepare(starts_servers: bool) -> Result<(), Failure> {
    let limits = [
        (Resource::RLIMIT_NOFILE, DESCRIPTORS, "open descriptors", "-n", starts_servers),
        (Resource::RLIMIT_AS, ADDRESSES, "bytes of address space", "-v", true),
        (Resource::RLIMIT_FSIZE, FILE, "bytes in a file", "-f", true),
    ];
    for (resource, least, what, option, matters) in limits {
        let (soft, hard) = match resource {
            Resource::RLIMIT_NOFILE => crate::target::inherited_descriptor_limits(),
            other => getrlimit(other),
        }
        .map_err(|error| Failure::ours(format!("the limits of this process cannot be read: {error}")))?;
        if matters && soft != RLIM_INFINITY && soft < least {
            let raise = if hard >= least { "" } else { ", by whoever may raise the hard limit" };
            return Err(Failure::ours(format!(
                "the limit is {soft} {what}, for this program and the servers that it starts, and {least} are needed: what \
                 they cannot have would be told of the server; raise it with `ulimit {option}`{raise}"
            )));
        }
    }
    handle(Signal::SIGXFSZ, ignored)?;
    handle(Signal::SIGABRT, aborted)
}

/// A handler, in place of SIG_IGN, is no business of the programs that are started: they get the default back.
fn handle(signal: Signal, handler: extern "C" fn(c_int)) -> Result<(), Failure> {
    let action = SigAction::new(SigHandler::Handler(handler), SaFlags::SA_RESTART, SigSet::empty());
    // SAFETY: both handlers do nothing, or call _exit(2) alone, which is async-signal-safe.
    let handled = unsafe { sigaction(signal, &action) };
    handled.map(drop).map_err(|error| Failure::ours(format!("signals cannot be handled: {error}")))
}

/// The write that went too far gives EFBIG.
extern "C" fn ignored(_: c_int) {}

/// No memory could be had: Rust's own words stand on standard error, and say how much.
extern "C" fn aborted(_: c_int) {
    // SAFETY: _exit(2) takes an integer and does not return; servers go down with this process (PDEATHSIG), all but what
    // they have started themselves.
    unsafe { libc::_exit(c_int::from(ExitCode::Internal.number())) }
}
