//! The process of the hostile servers.

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixListener;
use std::process::{Command, ExitCode, Stdio};

use crate::hostile::{Hostile, Remote, Script, serve, serve_hostile, served, unhex};

/// The word that stands for it.
pub(crate) const SERVE: &str = "serve-hostile";

/// The word for the process of one server.
pub(crate) const SERVE_ONE: &str = "serve-one-hostile";

/// Starts it; it ends when nobody has the way to it any more.
pub(crate) fn start() -> io::Result<Remote> {
    let (remote, theirs) = Remote::pair()?;
    Command::new(std::env::current_exe()?).arg(SERVE).stdin(Stdio::from(theirs)).spawn()?;
    Ok(remote)
}

/// Serves what comes on standard input.
pub(crate) fn main() -> ExitCode {
    let way = io::stdin().as_fd().try_clone_to_owned();
    match way.and_then(|way| serve(&way)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

/// `VERSION TEMPER SCRIPT PATH`: one server, until it is killed.
pub(crate) fn main_of_one(words: &[String]) -> ExitCode {
    let [version, temper, script, path] = words else { return ExitCode::FAILURE };
    let (Ok(version), Ok(temper), Some(script)) = (version.parse(), temper.parse(), unhex(script)) else {
        return ExitCode::FAILURE;
    };
    let serve = || -> io::Result<()> {
        let mut hostile = Hostile::new(served(version), temper, Script::new(&script), usize::MAX)?;
        let listener = UnixListener::bind(path)?;
        // Nobody writes into it, and nobody closes it.
        let (stop, _running) = io::pipe()?;
        serve_hostile(&mut hostile, &listener, &OwnedFd::from(stop));
        Ok(())
    };
    if serve().is_ok() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
