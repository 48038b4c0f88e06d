//! The backend program conventions (specification 1961-1980).

use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::net::UnixListener;

use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::sys::socket::{AddressFamily, SockFlag, SockType, socketpair};
use vfio_user_wire::Frame;
use vfio_user_wire::message::VERSION;

use super::{Bench, Outcome};
use crate::session::{Connection, Conversation, Deadline, Effect, Origin, Passed};
use crate::target::{Instance, StartError};
use crate::verdict::Evidence;

/// `--fd=N`: the server must serve a client on that socket, be it connected or listening (policy A-26).
pub(super) fn start_with_fd(bench: &Bench<'_>, instance: &mut Instance) -> io::Result<Outcome> {
    let Some((words, path)) = bench.launcher.plain_command() else {
        return Ok(Outcome::Skip("the harness did not start the server".to_owned()));
    };
    // The case's own server has no part in this, and may hold what the other one needs.
    instance.process = None;
    let with_fd = |fd: BorrowedFd<'_>| {
        let option = format!("--fd={}", fd.as_raw_fd());
        words.iter().cloned().chain([option]).collect::<Vec<String>>()
    };
    let expected = "a server that serves the socket of --fd=N".to_owned();
    let not_started = |error: StartError| Outcome::Broken {
        expected: expected.clone(),
        actual: error.to_string(),
        evidence: Evidence::Exited,
    };

    let (ours, theirs) = socketpair(AddressFamily::Unix, SockType::Stream, None, SockFlag::SOCK_CLOEXEC)?;
    let command = with_fd(theirs.as_fd());
    match bench.launcher.start_words(&command, path.clone(), Some(theirs)) {
        Ok(mut instance) => {
            instance.let_go();
            fcntl(&ours, FcntlArg::F_SETFL(OFlag::O_NONBLOCK))?;
            let served = negotiates_on(bench, Connection::over(ours))?;
            bench.launcher.end(instance);
            if served.is_ok() {
                return Ok(Outcome::Held);
            }
        }
        Err(StartError::Ours(error)) => return Err(error),
        Err(error) => return Ok(not_started(error)),
    }

    let listener = OwnedFd::from(UnixListener::bind(&path)?);
    let command = with_fd(listener.as_fd());
    let mut instance = match bench.launcher.start_words(&command, path, Some(listener)) {
        Ok(instance) => instance,
        Err(StartError::Ours(error)) => return Err(error),
        Err(error) => return Ok(not_started(error)),
    };
    let answered = negotiates(bench, &mut instance)?;
    let exit = instance.process.as_mut().and_then(|process| process.ended());
    bench.launcher.end(instance);
    Ok(match answered {
        Ok(()) => Outcome::Held,
        Err(why) => {
            let evidence = if exit.is_some() { Evidence::Exited } else { Evidence::Deadline };
            let how = exit.map_or_else(String::new, |exit| format!("; it ended with {exit}"));
            Outcome::Broken { expected, actual: format!("{why}{how}"), evidence }
        }
    })
}

/// `--fd=N` and `--socket-path=PATH` together: incompatible.
pub(super) fn start_with_both(bench: &Bench<'_>, instance: &mut Instance) -> io::Result<Outcome> {
    let Some((mut words, path)) = bench.launcher.plain_command() else {
        return Ok(Outcome::Skip("the harness did not start the server".to_owned()));
    };
    let (_, other) = bench.launcher.plain_command().unwrap_or_default();
    instance.process = None;
    let listener = OwnedFd::from(UnixListener::bind(&path)?);
    words.push(format!("--fd={}", listener.as_raw_fd()));
    words.push(format!("--socket-path={}", other.display()));
    let expected = "a non-zero exit: --fd is incompatible with --socket-path".to_owned();
    let mut instance = match bench.launcher.start_words(&words, path, Some(listener)) {
        Ok(instance) => instance,
        Err(error) => return Err(io::Error::other(error.to_string())),
    };
    let exit = instance
        .process
        .as_mut()
        .and_then(|process| process.wait(Deadline::after(bench.timeouts.reply), bench.interrupt));
    bench.launcher.end(instance);
    Ok(match exit {
        Some(crate::verdict::Exit::Status(0)) => {
            Outcome::Broken { expected, actual: "exit status 0".to_owned(), evidence: Evidence::Exited }
        }
        Some(crate::verdict::Exit::Status(_)) => Outcome::Held,
        Some(crash) => Outcome::Broken { expected, actual: crash.to_string(), evidence: Evidence::Exited },
        None => Outcome::Broken { expected, actual: "the server runs".to_owned(), evidence: Evidence::Deadline },
    })
}

/// The process that was started is the one at the other end of the socket.
pub(super) fn stays_in_foreground(bench: &Bench<'_>, instance: &mut Instance) -> io::Result<Outcome> {
    let Some(started) = instance.process.as_ref().map(|process| process.pid()) else {
        return Ok(Outcome::Skip("the harness did not start the server".to_owned()));
    };
    let expected = "the process that was started serves the socket".to_owned();
    let connection = match instance.connect(bench.interrupt) {
        Ok(connection) => connection,
        Err(StartError::Ours(error)) => return Err(error),
        Err(error) => return Ok(Outcome::Broken { expected, actual: error.to_string(), evidence: Evidence::Exited }),
    };
    let Some(serving) = connection.peer_pid() else {
        return Ok(Outcome::Skip("SO_PEERCRED gives no process".to_owned()));
    };
    let ended = instance.process.as_mut().and_then(|process| process.ended());
    // With `{fd}` the socket is the harness's own, and so is its SO_PEERCRED.
    let own = u32::try_from(serving).is_ok_and(|serving| serving == std::process::id());
    if own && ended.is_none() {
        return Ok(Outcome::Held);
    }
    if let Some(exit) = ended {
        let actual = format!("it ended with {exit}, and process {serving} serves the socket");
        return Ok(Outcome::Broken { expected, actual, evidence: Evidence::Exited });
    }
    // Behind a wrapper (`sh -c`, `ip netns exec`) another process of the same group may serve: that is no daemon.
    let group = nix::unistd::getpgid(Some(nix::unistd::Pid::from_raw(serving))).map(nix::unistd::Pid::as_raw);
    Ok(if serving == started || group == Ok(started) {
        Outcome::Held
    } else {
        Outcome::Broken {
            expected,
            actual: format!("process {started} was started, process {serving} serves"),
            evidence: Evidence::Received,
        }
    })
}

/// A VERSION exchange on a connection of its own.
pub(super) fn negotiates(bench: &Bench<'_>, instance: &mut Instance) -> io::Result<Result<(), String>> {
    let connection = match instance.connect(bench.interrupt) {
        Ok(connection) => connection,
        Err(StartError::Ours(error)) => return Err(error),
        Err(error) => return Ok(Err(error.to_string())),
    };
    negotiates_on(bench, connection)
}

fn negotiates_on(bench: &Bench<'_>, connection: Connection) -> io::Result<Result<(), String>> {
    let mut talk = Conversation::new(bench.dialect, std::sync::Arc::default(), bench.timeouts.reply, bench.interrupt);
    let end = talk.add("a", Some(connection));
    let Some((number, _)) = bench.dialect.command(VERSION.name) else {
        return Ok(Err("no VERSION in this dialect".to_owned()));
    };
    let frame = Frame::command(talk.fresh_id(end), number, vec![0; 4]);
    let index = talk.expect(end, Origin::default(), &frame, Passed::default(), Effect::None);
    let deadline = Deadline::after(bench.timeouts.reply);
    talk.send(end, &frame.bytes(), &[], &[], deadline)?;
    talk.pump(end, deadline, &|talk| talk.sent.get(index).is_none_or(|sent| sent.answer.is_some()))?;
    Ok(match talk.sent.get(index).and_then(|sent| sent.answer.as_ref()) {
        Some(answer) if !answer.header.is_error() => Ok(()),
        Some(_) => Err("VERSION was refused".to_owned()),
        None if talk.ended(end).is_some() => Err("the connection was closed without an answer to VERSION".to_owned()),
        None => Err("no answer to VERSION".to_owned()),
    })
}
