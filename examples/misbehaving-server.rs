//! A vfio-user server that does one thing wrongly, for the tests of the harness.
//!
//! `misbehaving-server --mode MODE --socket-path PATH [--on COMMAND] [--marker PATH] [--announce PATH]`
//!
//! It answers VERSION and DEVICE_GET_INFO as a PCI device that has nothing, and everything else with ENOTSUP. What it
//! does otherwise, [`Mode`] says; `--on` names the command at which it does it, DEVICE_RESET where nothing is said.

use std::cell::Cell;
use std::ffi::OsString;
use std::io::{self, IoSlice, Read, Write};
use std::os::fd::{AsFd, AsRawFd, RawFd};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::PathBuf;
use std::process::{Command, ExitCode, Stdio};
use std::time::Duration;

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::socket::{ControlMessage, MsgFlags, UnixAddr, sendmsg};
use vfio_user_wire::message::{DEVICE_GET_INFO, DeviceInfo, VERSION, Version};
use vfio_user_wire::{Frame, HEADER_SIZE, Header, TYPE_REPLY, V0_9_2, VersionData, device_info_flags};

/// The largest message that it takes.
const LIMIT: usize = 2 << 20;
/// Descriptors that one message can carry on Linux (SCM_MAX_FD).
const MOST_FDS: usize = 253;

/// What it does wrongly. The first group happens before any message or at VERSION, the second at the command of `--on`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mode {
    /// Nothing: it serves one client after the other.
    Good,
    /// Never listens.
    NeverListens,
    /// Ends before it listens, and says why.
    EndsAtOnce,
    /// Accepts, and never reads or writes.
    NeverAnswers,
    /// Closes each connection as soon as it is there.
    ClosesAtOnce,
    /// Sends bytes that are no message, as soon as a client is there.
    RandomBytes,
    /// Sends a header that says 4 GiB, and bytes without end.
    FourGibMessage,
    /// Sends descriptors without end, each with one byte of a message that never becomes whole.
    FdFlood,
    /// Answers VERSION with an error.
    RefusesVersion,
    /// Panics at VERSION.
    PanicsAtVersion,
    /// Sends replies without end that nobody asked for, once VERSION is answered.
    EndlessReplies,
    /// Closes the connection on a VERSION that does not propose `max_msg_fds`, as it may (specification 478-479).
    Requires,
    /// Answers VERSION and nothing else.
    Mute,
    /// Answers VERSION, and closes the connection on everything else.
    Leaves,
    /// Answers VERSION, and refuses everything else.
    RefusesAll,
    /// Ends in good order when its client is gone.
    ExitsAfterClose,
    /// Panics when its client is gone.
    PanicsAfterClose,
    /// Aborts where it is asked to end.
    AbortsAtSigterm,
    /// Takes 15 milliseconds for each client before it accepts the next one.
    SlowAccept,
    /// Holds the lock on `--marker` for as long as it lives, and ends at once where another one holds it.
    Exclusive,

    /// Never answers, and blocks until it is killed. With `--announce`, says so.
    Silent,
    /// As `Silent`, by a server that ignores SIGTERM and has a child that does.
    SilentStubborn,
    /// Never answers the first time, as `--marker` tells later processes; answers from then on.
    SilentOnce,
    /// Panics.
    Panics,
    /// Panics after a long log.
    PanicsLate,
    /// Is said by a sanitizer to be at fault, and goes on.
    Reported,
    /// Ends by SIGABRT.
    Aborts,
    /// Ends with status 0.
    ExitsZero,
    /// Closes the connection, and ends with status 0 as soon as a further client is in its queue.
    ExitsWithAClient,
    /// Ends with status 7, and says why.
    ExitsSeven,
    /// Closes the connection, and goes on serving.
    Closes,
    /// Sends bytes that are no message.
    Garbage,
    /// Answers with a header that says 4 GiB.
    FourGibReply,
    /// Answers with another message ID.
    WrongId,
    /// Answers a command that nobody sent, as one does that has lost its place in the stream; the process after the first one, as
    /// `--marker` tells, does so at the next DEVICE_GET_INFO only.
    OutOfStep,
    /// Answers three times.
    Thrice,
    /// Succeeds, with a surplus of payload.
    Surplus,
    /// Answers, and creates `--marker`; where that exists, no such server starts any more.
    LastOne,
}

const MODES: &[(&str, Mode)] = &[
    ("good", Mode::Good),
    ("never-listens", Mode::NeverListens),
    ("ends-at-once", Mode::EndsAtOnce),
    ("never-answers", Mode::NeverAnswers),
    ("closes-at-once", Mode::ClosesAtOnce),
    ("random-bytes", Mode::RandomBytes),
    ("four-gib-message", Mode::FourGibMessage),
    ("fd-flood", Mode::FdFlood),
    ("refuses-version", Mode::RefusesVersion),
    ("panics-at-version", Mode::PanicsAtVersion),
    ("endless-replies", Mode::EndlessReplies),
    ("requires", Mode::Requires),
    ("mute", Mode::Mute),
    ("leaves", Mode::Leaves),
    ("refuses-all", Mode::RefusesAll),
    ("exits-after-close", Mode::ExitsAfterClose),
    ("panics-after-close", Mode::PanicsAfterClose),
    ("aborts-at-sigterm", Mode::AbortsAtSigterm),
    ("slow-accept", Mode::SlowAccept),
    ("exclusive", Mode::Exclusive),
    ("silent", Mode::Silent),
    ("silent-stubborn", Mode::SilentStubborn),
    ("silent-once", Mode::SilentOnce),
    ("panics", Mode::Panics),
    ("panics-late", Mode::PanicsLate),
    ("reported", Mode::Reported),
    ("aborts", Mode::Aborts),
    ("exits-zero", Mode::ExitsZero),
    ("exits-with-a-client", Mode::ExitsWithAClient),
    ("exits-seven", Mode::ExitsSeven),
    ("closes", Mode::Closes),
    ("garbage", Mode::Garbage),
    ("four-gib-reply", Mode::FourGibReply),
    ("wrong-id", Mode::WrongId),
    ("out-of-step", Mode::OutOfStep),
    ("thrice", Mode::Thrice),
    ("surplus", Mode::Surplus),
    ("last-one", Mode::LastOne),
];

#[derive(Debug)]
struct Server {
    mode: Mode,
    socket: PathBuf,
    on: String,
    marker: Option<PathBuf>,
    announce: Option<PathBuf>,
    behind: Cell<bool>,
}

fn main() -> ExitCode {
    match Server::from_arguments(std::env::args_os().skip(1)).and_then(|server| server.run()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("misbehaving-server: {error}");
            ExitCode::from(3)
        }
    }
}

impl Server {
    fn from_arguments(arguments: impl Iterator<Item = OsString>) -> io::Result<Server> {
        let mut server = Server {
            mode: Mode::Good,
            socket: PathBuf::new(),
            on: "DEVICE_RESET".to_owned(),
            marker: None,
            announce: None,
            behind: Cell::new(false),
        };
        let words: Vec<String> = arguments
            .flat_map(|word| {
                let word = word.to_string_lossy().into_owned();
                match word.split_once('=') {
                    Some((name, value)) => vec![name.to_owned(), value.to_owned()],
                    None => vec![word],
                }
            })
            .collect();
        for pair in words.chunks(2) {
            let [name, value] = pair else { return Err(io::Error::other(format!("{pair:?} has no value"))) };
            match name.as_str() {
                "--mode" => {
                    let known = MODES.iter().find(|(known, _)| known == value);
                    server.mode = known.ok_or_else(|| io::Error::other(format!("no mode {value}")))?.1;
                }
                "--socket-path" => server.socket = value.into(),
                "--on" => server.on.clone_from(value),
                "--marker" => server.marker = Some(value.into()),
                "--announce" => server.announce = Some(value.into()),
                _ => return Err(io::Error::other(format!("no option {name}"))),
            }
        }
        Ok(server)
    }

    fn run(&self) -> io::Result<()> {
        let marked = self.marker.as_ref().is_some_and(|marker| marker.exists());
        let _lock = match (self.mode, &self.marker) {
            (Mode::Exclusive, Some(marker)) => {
                let file = std::fs::File::create(marker)?;
                file.try_lock().map_err(|_| io::Error::other("another one of us is alive"))?;
                Some(file)
            }
            _ => None,
        };
        match self.mode {
            Mode::EndsAtOnce => return Err(io::Error::other("the firmware image is missing")),
            Mode::LastOne if marked => return Err(io::Error::other("the disk is on fire")),
            Mode::NeverListens => {
                self.announce()?;
                self.block()
            }
            _ => {}
        }
        if self.mode == Mode::SilentStubborn {
            ignore_sigterm()?;
            // A child in the same process group, which only a signal to the group reaches.
            Command::new(std::env::current_exe()?)
                .args(["--mode", "never-listens", "--socket-path"])
                .arg(&self.socket)
                .stdin(Stdio::null())
                .spawn()?;
        }
        if self.mode == Mode::AbortsAtSigterm {
            abort_at_sigterm()?;
        }
        let listener = UnixListener::bind(&self.socket)?;
        loop {
            let (stream, _) = listener.accept()?;
            if self.mode == Mode::SlowAccept {
                std::thread::sleep(Duration::from_millis(15));
            }
            // Ours to forgive: a client may be gone at any time.
            let served = self.serve(stream);
            match self.mode {
                Mode::ExitsWithAClient if served.is_err_and(|error| error.kind() == io::ErrorKind::Other) => {
                    poll(&mut [PollFd::new(listener.as_fd(), PollFlags::POLLIN)], PollTimeout::NONE)?;
                    return Ok(());
                }
                Mode::ExitsAfterClose => return Ok(()),
                Mode::PanicsAfterClose => panic_now("the client is gone and so am I"),
                _ => {}
            }
        }
    }

    fn serve(&self, mut stream: UnixStream) -> io::Result<()> {
        match self.mode {
            Mode::NeverAnswers => {
                self.announce()?;
                self.block()
            }
            Mode::ClosesAtOnce => return Ok(()),
            Mode::RandomBytes => return random_bytes(&mut stream),
            Mode::FourGibMessage => {
                let header = Header { id: 1, command: 1, size: u32::MAX, flags: TYPE_REPLY, error: 0 };
                stream.write_all(header.bytes())?;
                return without_end(&mut stream, &[0; 65536]);
            }
            Mode::FdFlood => return flood(&mut stream),
            _ => {}
        }
        let mut inbox = Vec::new();
        loop {
            let mut chunk = [0; 65536];
            let read = stream.read(&mut chunk)?;
            if read == 0 {
                return Ok(());
            }
            inbox.extend_from_slice(chunk.get(..read).unwrap_or_default());
            while let Some((frame, size)) = Frame::split(&inbox, LIMIT).map_err(io::Error::other)? {
                inbox.drain(..size);
                if !self.answer(&mut stream, &frame)? {
                    return Ok(());
                }
            }
        }
    }

    /// Answers one command; `false` to close the connection.
    fn answer(&self, stream: &mut UnixStream, frame: &Frame) -> io::Result<bool> {
        let header = frame.header;
        let name = V0_9_2.name_of(header.command);
        if name == VERSION.name && self.mode == Mode::PanicsAtVersion {
            panic_now("index out of bounds: the len is 0 but the index is 3");
        }
        match self.mode {
            Mode::Requires
                if name == VERSION.name && !String::from_utf8_lossy(&frame.payload).contains("max_msg_fds") =>
            {
                return Ok(false);
            }
            Mode::Mute if name != VERSION.name => return Ok(true),
            Mode::Leaves if name != VERSION.name => return Ok(false),
            _ => {}
        }
        if name == self.on {
            match self.mode {
                Mode::Silent | Mode::SilentStubborn => {
                    self.announce()?;
                    self.block()
                }
                Mode::SilentOnce if self.mark()? => self.block(),
                Mode::Panics => panic_now("attempt to subtract with overflow"),
                Mode::PanicsLate => {
                    (0..20_000).for_each(|line| eprintln!("{line:0>100}"));
                    panic_now("attempt to subtract with overflow")
                }
                Mode::Reported => eprintln!("ring.c:7:3: runtime error: index 9 out of bounds for type 'int [8]'"),
                Mode::Aborts => {
                    eprintln!("misbehaving-server: free(): invalid pointer");
                    std::process::abort()
                }
                Mode::ExitsZero => std::process::exit(0),
                Mode::ExitsWithAClient => return Err(io::Error::other("this was the last client")),
                Mode::ExitsSeven => {
                    eprintln!("misbehaving-server: no such reset");
                    std::process::exit(7)
                }
                Mode::Closes => return Ok(false),
                Mode::Garbage => {
                    random_bytes(stream)?;
                    return Ok(false);
                }
                Mode::FourGibReply => {
                    stream.write_all(Header { size: u32::MAX, ..header.reply(0) }.bytes())?;
                    return Ok(true);
                }
                Mode::WrongId => {
                    let reply =
                        Frame::error(&Header { id: header.id.wrapping_add(7), ..header }, nix::libc::ENOTSUP as u32);
                    stream.write_all(&reply.bytes())?;
                    return Ok(true);
                }
                Mode::OutOfStep if self.mark()? => return out_of_step(stream, &header),
                Mode::OutOfStep => self.behind.set(true),
                Mode::Thrice => {
                    stream.write_all(&Frame::error(&header, nix::libc::ENOTSUP as u32).bytes().repeat(3))?;
                    return Ok(true);
                }
                Mode::Surplus => {
                    stream.write_all(&Frame::reply(&header, vec![0; 3]).bytes())?;
                    return Ok(true);
                }
                Mode::LastOne => {
                    self.mark()?;
                }
                _ => {}
            }
        }
        if name == DEVICE_GET_INFO.name && self.behind.get() {
            return out_of_step(stream, &header);
        }
        let reply = if name == VERSION.name && self.mode != Mode::RefusesVersion {
            let minor = Version::parse(&frame.payload).map_or(0, |(version, _)| version.minor.min(1));
            let mut payload = Version { major: 0, minor }.bytes().to_vec();
            payload.extend(VersionData::with_capabilities(serde_json::Map::new()).bytes());
            Frame::reply(&header, payload)
        } else if name == DEVICE_GET_INFO.name && self.mode != Mode::RefusesAll {
            let info = DeviceInfo { argsz: 16, flags: device_info_flags::PCI, num_regions: 9, num_irqs: 5 };
            Frame::reply(&header, info.bytes().to_vec())
        } else {
            Frame::error(&header, nix::libc::ENOTSUP as u32)
        };
        stream.write_all(&reply.bytes())?;
        if self.mode == Mode::EndlessReplies {
            let stray = Frame::error(&Header { id: 0x7777, command: 77, ..header }, nix::libc::EINVAL as u32).bytes();
            return without_end(stream, &stray.repeat(4096)).map(|()| false);
        }
        Ok(true)
    }

    /// Creates the marker; `true` for the first one.
    fn mark(&self) -> io::Result<bool> {
        let Some(marker) = &self.marker else { return Err(io::Error::other("this mode needs --marker")) };
        match std::fs::File::create_new(marker) {
            Ok(_) => Ok(true),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Tells the test that the moment has come.
    fn announce(&self) -> io::Result<()> {
        match &self.announce {
            Some(path) => UnixStream::connect(path).map(drop),
            None => Ok(()),
        }
    }

    fn block(&self) -> ! {
        loop {
            nix::unistd::pause();
        }
    }
}

#[allow(clippy::panic, reason = "what this server is for")]
fn panic_now(message: &str) -> ! {
    panic!("{message}")
}

fn abort_at_sigterm() -> io::Result<()> {
    extern "C" fn abort(_: i32) {
        std::process::abort()
    }
    let handler = nix::sys::signal::SigHandler::Handler(abort);
    // SAFETY: the handler does nothing but abort(3), which is safe in one.
    unsafe { nix::sys::signal::signal(nix::sys::signal::Signal::SIGTERM, handler) }.map(|_| ()).map_err(Into::into)
}

fn ignore_sigterm() -> io::Result<()> {
    // SAFETY: no handler is installed; SIG_IGN runs no code.
    unsafe { nix::sys::signal::signal(nix::sys::signal::Signal::SIGTERM, nix::sys::signal::SigHandler::SigIgn) }
        .map(|_| ())
        .map_err(Into::into)
}

fn out_of_step(stream: &mut UnixStream, header: &Header) -> io::Result<bool> {
    stream.write_all(&Frame::error(&Header { id: 0x48, command: 0, ..*header }, 0).bytes())?;
    Ok(true)
}

/// The same bytes in each run, which look like nothing.
fn random_bytes(stream: &mut UnixStream) -> io::Result<()> {
    let mut state: u64 = 0x9e37_79b9_7f4a_7c15;
    let bytes: Vec<u8> = std::iter::repeat_with(|| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()
    })
    .take(512)
    .flatten()
    .collect();
    debug_assert!(bytes.len() > HEADER_SIZE);
    stream.write_all(&bytes)?;
    until_closed(stream)
}

/// Reads, and throws away, until the client is gone.
fn until_closed(stream: &mut UnixStream) -> io::Result<()> {
    io::copy(stream, &mut io::sink()).map(|_| ())
}

/// The same bytes until the client is gone.
fn without_end(stream: &mut UnixStream, bytes: &[u8]) -> io::Result<()> {
    loop {
        stream.write_all(bytes)?;
    }
}

/// As many descriptors as fit, with each byte.
fn flood(stream: &mut UnixStream) -> io::Result<()> {
    let null = std::fs::File::open("/dev/null")?;
    let fds: Vec<RawFd> = vec![null.as_raw_fd(); MOST_FDS];
    // The header of a message that is long, but not too long.
    let header = Header { id: 1, command: 1, size: 1 << 20, flags: TYPE_REPLY, error: 0 };
    let mut bytes = header.bytes().iter().copied().chain(std::iter::repeat(0));
    loop {
        let byte = [bytes.next().unwrap_or(0)];
        sendmsg::<UnixAddr>(
            stream.as_raw_fd(),
            &[IoSlice::new(&byte)],
            &[ControlMessage::ScmRights(&fds)],
            MsgFlags::MSG_NOSIGNAL,
            None,
        )?;
    }
}
