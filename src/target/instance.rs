//! Starting a server, and connecting to it.

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixListener;
use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use nix::errno::Errno;

use super::function::Call;
use super::leftover::{Known, Leftover};
use super::output::printed;
use super::thread::{Serve, ServerThread};
use super::{DirectServer, DirectTarget, Process, Reaper, ServerFunction};
use crate::session::{Connection, Deadline, Interrupt, is_want, wait};
use crate::verdict::Exit;

/// How to reach the server.
#[derive(Debug, Clone)]
pub enum Target {
    /// Start it, a process for each case. `{socket}` in the command is a fresh path, `{fd}` a listening descriptor;
    /// with neither, and no `socket`, `--socket-path={socket}` is appended.
    Spawn {
        /// The command, split into words.
        command: Vec<String>,
        /// Where it listens, if it chooses that itself.
        socket: Option<PathBuf>,
    },
    /// Connect to one that runs already.
    Socket(PathBuf),
    /// Start it in this process, a thread for each case.
    Thread(Arc<dyn Serve>),
    /// Call a function in this process, in a thread for each case.
    Function(ServerFunction),
    /// Call it in the thread that plays the case.
    Direct(Arc<dyn DirectTarget>),
}

/// Why a server cannot be spoken to.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The command could not be started.
    #[error("could not start `{command}`: {error}; is it installed, and is the path right?")]
    Command {
        /// Its first word.
        command: String,
        /// What the kernel said.
        error: io::Error,
    },
    /// It ended before it accepted a connection.
    #[error("`{command}` ended with {exit} before it accepted a connection on {}{}", .socket.display(), printed(.output))]
    Ended {
        /// The command line.
        command: String,
        /// How it ended.
        exit: Exit,
        /// Where it should have listened.
        socket: PathBuf,
        /// What it printed.
        output: String,
    },
    /// A function returned, or panicked, before it accepted a connection.
    #[error("the server's thread ended with {exit} before it accepted a connection on {}{}", .socket.display(), printed(.output))]
    Returned {
        /// As what it counts.
        exit: Exit,
        /// Where it should have listened.
        socket: PathBuf,
        /// What it returned, or said.
        output: String,
    },
    /// It did not accept a connection in time.
    #[error("no connection to {} within {seconds} s: {error}; does the server listen there? (with --spawn, `{{socket}}` in the command is the path that it must listen on; a longer --timeout gives it more time)", .socket.display())]
    Deadline {
        /// Where it should have listened.
        socket: PathBuf,
        /// How long was waited.
        seconds: f64,
        /// What the last try gave.
        error: io::Error,
    },
    /// A socket that nothing listens on.
    #[error("could not connect to {}: {error}; is the server running, and is this its socket?", .socket.display())]
    Socket {
        /// The path.
        socket: PathBuf,
        /// What the kernel said.
        error: io::Error,
    },
    /// It was asked without a socket, and takes no further client.
    #[error("the server takes no further client")]
    Taken,
    /// A fault of the harness or its set-up.
    #[error("could not prepare the start of a server: {0}")]
    Ours(#[from] io::Error),
    /// The user wants to stop.
    #[error("interrupted")]
    Interrupted,
}

/// Starts servers for cases, and ends them.
#[derive(Debug)]
pub struct Launcher {
    target: Target,
    directory: tempfile::TempDir,
    _folder: Known,
    next: AtomicUsize,
    reaper: Reaper,
    /// Functions that were told to end.
    leaving: Mutex<Vec<Call>>,
    start_deadline: Duration,
    one_at_a_time: bool,
}

/// How long a server that runs already may be busy with the client before.
const RUNNING: Duration = Duration::from_secs(1);
/// How many functions may go on at one time though they were told to end: each keeps memory and descriptors of this process.
const STAYING: usize = 64;
/// How long one has to end.
const GRACE: Duration = Duration::from_secs(1);
/// The longest path of a UNIX socket, in bytes.
const LONGEST_PATH: usize = 107;

/// A server for one case.
#[derive(Debug)]
pub struct Instance {
    /// Its process, where the harness started it.
    pub process: Option<Process>,
    /// Its thread, where it has no process of its own.
    thread: Option<ServerThread>,
    /// The call of its function, where it is one.
    call: Option<Call>,
    command: String,
    door: Door,
    start_deadline: Duration,
    /// Keeps the descriptor behind `{fd}` open.
    listener: Option<OwnedFd>,
}

/// Where clients come in.
#[derive(Debug)]
enum Door {
    Socket(PathBuf),
    Direct(Box<dyn DirectServer>),
}

impl Launcher {
    /// For this target; a server has `start_deadline` to accept its first connection. With `one_at_a_time` a server has
    /// ended before the next one is started.
    ///
    /// # Errors
    /// Where no temporary directory or thread can be had, or its path is too long for a socket.
    pub fn new(target: Target, start_deadline: Duration, one_at_a_time: bool) -> io::Result<Launcher> {
        let directory = tempfile::Builder::new()
            .prefix("vuc-")
            .tempdir()
            .map_err(|error| io::Error::other(format!("no temporary folder: {error}")))?;
        let length = directory.path().join("100000.sock").as_os_str().len();
        if length > LONGEST_PATH {
            let path = directory.path().display();
            let why = format!(
                "a socket in {path} would have a path of {length} bytes, and {LONGEST_PATH} are possible: set TMPDIR to a shorter one"
            );
            return Err(io::Error::other(why));
        }
        Ok(Launcher {
            target,
            _folder: Leftover::Folder(directory.path().to_owned()).known(),
            directory,
            next: AtomicUsize::new(0),
            reaper: Reaper::new()?,
            leaving: Mutex::default(),
            start_deadline,
            one_at_a_time,
        })
    }

    /// The harness calls the server, which has no time of its own.
    pub fn calls(&self) -> bool {
        matches!(self.target, Target::Direct(_))
    }

    /// The harness starts the server itself.
    pub fn spawns(&self) -> bool {
        matches!(self.target, Target::Spawn { .. })
    }

    /// The server runs already, and goes on from case to case.
    pub fn runs_already(&self) -> bool {
        matches!(self.target, Target::Socket(_))
    }

    /// Why there is never a second server beside one that runs; `None` where there can be.
    pub fn one_alone(&self) -> Option<&'static str> {
        match &self.target {
            Target::Socket(_) => Some("the harness did not start the server"),
            Target::Spawn { socket: Some(_), .. } => Some("every server of the command listens at the same path"),
            _ if self.one_at_a_time => Some("servers run one at a time (--jobs 1)"),
            _ => None,
        }
    }

    /// The backend program conventions are judged: `--socket-path` was appended by the harness.
    pub fn conventions(&self) -> bool {
        match &self.target {
            Target::Spawn { command, socket: None } => {
                !command.iter().any(|word| word.contains("{socket}") || word.contains("{fd}"))
            }
            _ => false,
        }
    }

    /// A server that accepts connections soon: started, or the one that runs.
    ///
    /// # Errors
    /// Where the command cannot be started at all; whether it listens, [`Instance::connect`] finds out.
    pub fn start(&self) -> Result<Instance, StartError> {
        let (command, socket) = match &self.target {
            Target::Socket(path) => {
                return Ok(self.running(Door::Socket(path.clone()), None));
            }
            Target::Thread(server) => {
                let path = self.fresh_path();
                let thread = ServerThread::start(server, UnixListener::bind(&path)?)?;
                return Ok(self.running(Door::Socket(path), Some(thread)));
            }
            Target::Function(function) => return self.call(function),
            Target::Direct(server) => {
                return Ok(self.running(Door::Direct(server.start()?), None));
            }
            Target::Spawn { command, socket } => (command, socket),
        };
        let fresh = self.fresh_path();
        let mut words: Vec<String> =
            command.iter().map(|word| word.replace("{socket}", &fresh.to_string_lossy())).collect();
        if self.conventions() {
            words.push(format!("--socket-path={}", fresh.display()));
        }
        let listening = words.iter().any(|word| word.contains("{fd}"));
        let listener = if listening { Some(OwnedFd::from(UnixListener::bind(&fresh)?)) } else { None };
        if let Some(listener) = &listener {
            let number = std::os::fd::AsRawFd::as_raw_fd(listener).to_string();
            words.iter_mut().for_each(|word| *word = word.replace("{fd}", &number));
        }
        self.start_words(&words, socket.clone().unwrap_or(fresh), listener)
    }

    /// A server started with other words than the target's, listening on `socket`; `listener` stays open in it under its
    /// own number.
    ///
    /// # Errors
    /// Where the command cannot be started at all.
    pub fn start_words(
        &self,
        words: &[String],
        socket: PathBuf,
        listener: Option<OwnedFd>,
    ) -> Result<Instance, StartError> {
        let process = Process::start(words, listener.as_ref().map(AsFd::as_fd)).map_err(|error| {
            // What this machine has no more of, processes too, says nothing of the command.
            if is_want(error.raw_os_error()) || error.raw_os_error() == Some(Errno::EAGAIN as i32) {
                StartError::Ours(error)
            } else {
                StartError::Command { command: words.first().cloned().unwrap_or_default(), error }
            }
        })?;
        Ok(Instance {
            process: Some(process),
            thread: None,
            call: None,
            command: words.join(" "),
            door: Door::Socket(socket),
            start_deadline: self.start_deadline,
            listener,
        })
    }

    /// The command's words without placeholders, and a fresh socket path.
    pub fn plain_command(&self) -> Option<(Vec<String>, PathBuf)> {
        match &self.target {
            Target::Spawn { command, .. } => Some((command.clone(), self.fresh_path())),
            Target::Socket(_) | Target::Thread(_) | Target::Function(_) | Target::Direct(_) => None,
        }
    }

    /// Ends it; off the critical path, unless servers run one at a time.
    pub fn end(&self, instance: Instance) {
        match instance.process {
            Some(process) if self.one_at_a_time => drop(process),
            Some(mut process) => {
                process.terminate();
                self.reaper.end(process);
            }
            None => drop(instance.thread),
        }
        if let Some(call) = instance.call {
            call.stop();
            let mut leaving = self.leaving.lock().unwrap_or_else(PoisonError::into_inner);
            leaving.retain(|call| call.ended().is_none());
            leaving.push(call);
        }
        // A path may be left behind by a server that was killed; the next one has another, but disks are finite.
        if let Door::Socket(socket) = &instance.door
            && socket.starts_with(self.directory.path())
        {
            let _ = std::fs::remove_file(socket);
        }
    }

    /// One that listens already.
    fn running(&self, door: Door, thread: Option<ServerThread>) -> Instance {
        let start_deadline = self.start_deadline.min(RUNNING);
        Instance { process: None, thread, call: None, command: String::new(), door, start_deadline, listener: None }
    }

    fn call(&self, function: &ServerFunction) -> Result<Instance, StartError> {
        let staying = if self.leaving() < STAYING { 0 } else { self.still_running() };
        if staying >= STAYING {
            let why = format!(
                "{staying} servers run in threads of this process though their clients have left: a server must return then, or \
                 be started as a process, which can be killed"
            );
            return Err(StartError::Ours(io::Error::other(why)));
        }
        let path = self.fresh_path();
        let call = Call::start(function, &path)?;
        let instance = self.running(Door::Socket(path), None);
        Ok(Instance { call: Some(call), start_deadline: self.start_deadline, ..instance })
    }

    /// How many functions were told to end and had not when last looked at.
    fn leaving(&self) -> usize {
        self.leaving.lock().unwrap_or_else(PoisonError::into_inner).len()
    }

    /// How many servers that are functions go on though they were told to end, and have had time for that.
    pub fn still_running(&self) -> usize {
        let deadline = Deadline::after(GRACE);
        let mut leaving = self.leaving.lock().unwrap_or_else(PoisonError::into_inner);
        leaving.retain(|call| call.outlasts(deadline));
        leaving.len()
    }

    fn fresh_path(&self) -> PathBuf {
        self.directory.path().join(format!("{}.sock", self.next.fetch_add(1, Ordering::Relaxed)))
    }
}

impl Drop for Launcher {
    /// The folder goes by itself; where no descriptor is to be had for looking into it, it goes like this if it is empty.
    fn drop(&mut self) {
        let _ = std::fs::remove_dir(self.directory.path());
    }
}

impl Instance {
    /// Closes our copy of the descriptor that the server inherited.
    pub fn let_go(&mut self) {
        self.listener = None;
    }

    /// There is no socket, process or thread: all that comes of what was sent is there at once.
    pub fn is_direct(&self) -> bool {
        matches!(self.door, Door::Direct(_))
    }

    /// The server was there before the case, and stays.
    pub fn is_shared(&self) -> bool {
        self.process.is_none() && self.thread.is_none() && self.call.is_none() && !self.is_direct()
    }

    /// How the server ended, if it has and that can be seen.
    pub fn ended(&mut self) -> Option<Exit> {
        match &mut self.process {
            Some(process) => process.ended(),
            None => self.call.as_ref()?.ended(),
        }
    }

    /// The same, waiting until it ends or the deadline passes.
    pub fn wait(&mut self, deadline: Deadline, interrupt: &Interrupt) -> Option<Exit> {
        match &mut self.process {
            Some(process) => process.wait(deadline, interrupt),
            None => self.call.as_ref()?.wait(deadline, interrupt),
        }
    }

    /// What it printed, as [`Process::output`] has it.
    pub fn output(&mut self, deadline: Deadline) -> String {
        match &mut self.process {
            Some(process) => process.output(deadline),
            None => self.call.as_ref().map(Call::output).unwrap_or_default(),
        }
    }

    /// Its end would be seen.
    pub fn is_watched(&self) -> bool {
        self.process.is_some() || self.call.is_some()
    }

    /// It is going down already, as [`Process::is_ending`] has it.
    pub fn is_ending(&self) -> bool {
        self.process.as_ref().is_some_and(Process::is_ending)
    }

    /// Tries once to connect.
    ///
    /// # Errors
    /// Those of [`Connection::connect`]; ECONNREFUSED where a server without a socket takes no further client.
    pub fn knock(&mut self) -> io::Result<Connection> {
        match &mut self.door {
            Door::Socket(socket) => Connection::connect(socket),
            Door::Direct(server) => server.connect().map(Connection::direct).ok_or_else(|| Errno::ECONNREFUSED.into()),
        }
    }

    /// Connects, trying again until it succeeds, the process ends, or the start deadline passes: the connection itself
    /// is the only sign that a server is ready.
    ///
    /// # Errors
    /// A sentence for each way in which it did not come about.
    pub fn connect(&mut self, interrupt: &Interrupt) -> Result<Connection, StartError> {
        self.connect_within(self.start_deadline, interrupt)
    }

    /// Connects a further client, to a server that was ready once.
    ///
    /// # Errors
    /// As [`Instance::connect`].
    pub fn connect_within(&mut self, time: Duration, interrupt: &Interrupt) -> Result<Connection, StartError> {
        let deadline = Deadline::after(time);
        // With `{fd}` the backlog accepts for the server; the copy here must go, or a server's end would not show.
        let listener = self.listener.take();
        loop {
            let error = match self.knock() {
                Ok(connection) => {
                    drop(listener);
                    return Ok(connection);
                }
                Err(error) => error,
            };
            if interrupt.raised() {
                return Err(StartError::Interrupted);
            }
            let Door::Socket(socket) = &self.door else { return Err(StartError::Taken) };
            let errno = error.raw_os_error().map(Errno::from_raw);
            let again = matches!(errno, Some(Errno::ENOENT | Errno::ECONNREFUSED | Errno::EAGAIN));
            if is_want(error.raw_os_error()) {
                return Err(StartError::Ours(error));
            }
            // No later try can succeed: too long a path, a socket of another type.
            if !again || (!self.is_watched() && deadline.passed()) {
                return Err(StartError::Socket { socket: socket.clone(), error });
            }
            let (socket, moment) = (socket.clone(), Deadline::after(Duration::from_millis(2)));
            if !self.is_watched() {
                wait(&[], moment, interrupt)?;
                continue;
            }
            if let Some(exit) = self.wait(moment, interrupt) {
                let output = self.output(Deadline::after(Duration::from_millis(200)));
                let command = self.command.clone();
                return Err(match self.process {
                    Some(_) => StartError::Ended { command, exit, socket, output },
                    None => StartError::Returned { exit, socket, output },
                });
            }
            if deadline.passed() {
                let seconds = time.as_secs_f64();
                return Err(StartError::Deadline { socket, seconds, error });
            }
        }
    }
}
