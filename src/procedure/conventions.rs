//! The backend program conventions (specification 1961-1980).

use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::net::UnixListener;
use std::path::PathBuf;

use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::sys::socket::{AddressFamily, SockFlag, SockType, socketpair};
use vfio_user_wire::message::{DEVICE_GET_INFO, DeviceInfo, VERSION};
use vfio_user_wire::{Frame, Header};

use super::{Bench, Outcome};
use crate::session::{Connection, Conversation, Deadline, Effect, Origin, Passed, usual_proposal, version_payload};
use crate::target::{Instance, StartError};
use crate::verdict::Evidence;

/// `--fd=N`: the server must serve a client on that socket, be it connected or listening (policy A-26).
pub(super) fn start_with_fd(bench: &Bench<'_>, instance: &mut Instance) -> Result<Outcome, StartError> {
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

    let (ours, theirs) = connected()?;
    let command = with_fd(theirs.as_fd());
    match bench.launcher.start_words(&command, path.clone(), Some(theirs)) {
        Ok(mut instance) => {
            instance.let_go();
            let served = negotiates_on(bench, Connection::over(ours))?;
            bench.launcher.end(instance);
            if served.is_ok() {
                return Ok(Outcome::Held);
            }
        }
        Err(error @ (StartError::Ours(_) | StartError::Interrupted)) => return Err(error),
        Err(error) => return Ok(not_started(error)),
    }

    let listener = OwnedFd::from(UnixListener::bind(&path)?);
    let command = with_fd(listener.as_fd());
    serves(bench, &command, path, Some(listener), expected)
}

/// Two sockets, connected; the first one does not wait.
fn connected() -> io::Result<(OwnedFd, OwnedFd)> {
    let (ours, theirs) = socketpair(AddressFamily::Unix, SockType::Stream, None, SockFlag::SOCK_CLOEXEC)?;
    fcntl(&ours, FcntlArg::F_SETFL(OFlag::O_NONBLOCK))?;
    Ok((ours, theirs))
}

/// `--socket-path=PATH`, whatever PATH is: here it holds what separates options elsewhere.
pub(super) fn start_with_socket_path(bench: &Bench<'_>, instance: &mut Instance) -> Result<Outcome, StartError> {
    let Some((mut words, path)) = bench.launcher.plain_command() else {
        return Ok(Outcome::Skip("the harness did not start the server".to_owned()));
    };
    instance.process = None;
    let name = path.file_stem().map(|stem| format!("{}=a b,c.sock", stem.to_string_lossy()));
    let path = path.with_file_name(name.unwrap_or_default());
    words.push(format!("--socket-path={}", path.display()));
    let expected = format!("a server that listens at {}", path.display());
    serves(bench, &words, path, None, expected)
}

/// Starts a server with these words, and asks it for a session.
fn serves(
    bench: &Bench<'_>,
    words: &[String],
    path: PathBuf,
    listener: Option<OwnedFd>,
    expected: String,
) -> Result<Outcome, StartError> {
    let mut instance = match bench.launcher.start_words(words, path, listener) {
        Ok(instance) => instance,
        Err(error @ (StartError::Ours(_) | StartError::Interrupted)) => return Err(error),
        Err(error) => {
            return Ok(Outcome::Broken { expected, actual: error.to_string(), evidence: Evidence::Exited });
        }
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
pub(super) fn start_with_both(bench: &Bench<'_>, instance: &mut Instance) -> Result<Outcome, StartError> {
    let Some((mut words, path)) = bench.launcher.plain_command() else {
        return Ok(Outcome::Skip("the harness did not start the server".to_owned()));
    };
    let (_, other) = bench.launcher.plain_command().unwrap_or_default();
    instance.process = None;
    let listener = OwnedFd::from(UnixListener::bind(&path)?);
    words.push(format!("--fd={}", listener.as_raw_fd()));
    words.push(format!("--socket-path={}", other.display()));
    let expected = "a non-zero exit: --fd is incompatible with --socket-path".to_owned();
    let mut instance = bench.launcher.start_words(&words, path, Some(listener))?;
    let exit = instance
        .process
        .as_mut()
        .and_then(|process| process.wait(Deadline::after(bench.timeouts.start), bench.interrupt));
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

/// The process that was started is the one at the other end of the socket, and stays while it serves.
pub(super) fn stays_in_foreground(bench: &Bench<'_>, instance: &mut Instance) -> Result<Outcome, StartError> {
    let Some(started) = instance.process.as_ref().map(|process| process.pid()) else {
        return Ok(Outcome::Skip("the harness did not start the server".to_owned()));
    };
    let connection = instance.connect(bench.interrupt)?;
    let expected = "the process that was started serves the socket".to_owned();
    let Some(serving) = connection.peer_pid() else {
        return Ok(Outcome::Skip("SO_PEERCRED gives no process".to_owned()));
    };
    let mut session = match negotiated(bench, connection)? {
        Ok(session) => session,
        Err(why) => return Ok(Outcome::Skip(why)),
    };
    // One that goes into the background may take its time over that.
    let time = Deadline::after(bench.timeouts.settle);
    let ended = instance.process.as_mut().and_then(|process| process.wait(time, bench.interrupt));
    if let Some(exit) = ended {
        let question = DeviceInfo { argsz: 16, ..DeviceInfo::default() };
        let answered = session.ask(bench, DEVICE_GET_INFO.name, question.bytes().to_vec())?;
        if !answered {
            return Ok(Outcome::Skip(format!("the server ended with {exit}")));
        }
        let actual = format!("it ended with {exit}, and another process serves the socket");
        return Ok(Outcome::Broken { expected, actual, evidence: Evidence::Exited });
    }
    // With `{fd}` the socket is the harness's own, and so is its SO_PEERCRED.
    if u32::try_from(serving).is_ok_and(|serving| serving == std::process::id()) {
        return Ok(Outcome::Held);
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

/// Descriptors 0, 1 and 2 are in a session what they were at the start: /dev/null, and a pipe.
pub(super) fn keeps_standard_descriptors(bench: &Bench<'_>, instance: &mut Instance) -> Result<Outcome, StartError> {
    let connection = instance.connect(bench.interrupt)?;
    let started = instance.process.as_ref().map(|process| process.pid());
    // A wrapper may have redirected those of the server.
    let Some(pid) = started.filter(|started| connection.server_pid().is_none_or(|serving| serving == *started)) else {
        return Ok(Outcome::Skip("another process than the one that was started serves the socket".to_owned()));
    };
    let _session = match negotiated(bench, connection)? {
        Ok(session) => session,
        Err(why) => return Ok(Outcome::Skip(why)),
    };
    let expected = "descriptors 0, 1 and 2 as they were given to the program".to_owned();
    for number in 0..3 {
        let actual = match std::fs::read_link(format!("/proc/{pid}/fd/{number}")) {
            Ok(what) => what.to_string_lossy().into_owned(),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let actual = format!("descriptor {number} is closed");
                return Ok(Outcome::Noted { expected, actual, evidence: Evidence::Received });
            }
            Err(error) => return Ok(Outcome::Skip(format!("the server's descriptors cannot be looked at: {error}"))),
        };
        // A file may be what a shell in the command has put there.
        if ["socket:", "anon_inode:", "/memfd:"].iter().any(|kind| actual.starts_with(kind)) {
            let actual = format!("descriptor {number} is {actual}");
            return Ok(Outcome::Broken { expected, actual, evidence: Evidence::Received });
        }
    }
    Ok(Outcome::Held)
}

/// A VERSION exchange on a connection of its own.
pub(crate) fn negotiates(bench: &Bench<'_>, instance: &mut Instance) -> Result<Result<(), String>, StartError> {
    match instance.connect(bench.interrupt) {
        Ok(connection) => Ok(negotiates_on(bench, connection)?),
        Err(error @ (StartError::Ours(_) | StartError::Interrupted)) => Err(error),
        Err(error) => Ok(Err(error.to_string())),
    }
}

fn negotiates_on(bench: &Bench<'_>, connection: Connection) -> io::Result<Result<(), String>> {
    Ok(negotiated(bench, connection)?.map(drop))
}

/// A session that has negotiated.
#[derive(Debug)]
pub(super) struct Talk<'a> {
    talk: Conversation<'a>,
    end: usize,
}

/// A VERSION exchange on this connection; a sentence where there is no session.
pub(super) fn negotiated<'a>(bench: &Bench<'a>, connection: Connection) -> io::Result<Result<Talk<'a>, String>> {
    let mut talk =
        Conversation::new(bench.dialect, std::sync::Arc::default(), bench.timeouts.patience(), bench.interrupt);
    talk.end_at(Deadline::after(bench.timeouts.whole()));
    let end = talk.add("a", Some(connection));
    let mut session = Talk { talk, end };
    let answer = session.answer(bench, VERSION.name, version_payload(usual_proposal(bench.dialect)))?;
    Ok(match answer {
        Some(header) if !header.is_error() => Ok(session),
        Some(_) => Err("VERSION was refused".to_owned()),
        None if session.talk.ended(end).is_some() => {
            Err("the connection was closed without an answer to VERSION".to_owned())
        }
        None => Err("no answer to VERSION".to_owned()),
    })
}

impl Talk<'_> {
    /// Sends a command; whether it was answered.
    pub(super) fn ask(&mut self, bench: &Bench<'_>, name: &str, payload: Vec<u8>) -> io::Result<bool> {
        Ok(self.answer(bench, name, payload)?.is_some())
    }

    fn answer(&mut self, bench: &Bench<'_>, name: &str, payload: Vec<u8>) -> io::Result<Option<Header>> {
        let Talk { talk, end } = self;
        let command = bench.dialect.command(name);
        let (number, message) = command.ok_or_else(|| io::Error::other(format!("no {name} in this dialect")))?;
        let frame = Frame::command(talk.fresh_id(*end), number, payload);
        let index = talk.expect(*end, Origin::default(), &frame, Passed::default(), Effect::None);
        talk.send(*end, &frame.bytes(), &[], &[], Deadline::after(bench.timeouts.reply))?;
        talk.wait_for(index, bench.timeouts.of(Some(message)))?;
        Ok(talk.sent.get(index).and_then(|sent| sent.answer.as_ref()).map(|answer| answer.header))
    }
}
