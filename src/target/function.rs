//! A server that is a function, in a thread of this process: what becomes of it is looked into as it is of a process.

use std::any::Any;
use std::backtrace::{Backtrace, BacktraceStatus};
use std::cell::RefCell;
use std::error::Error;
use std::fmt::{self, Debug, Formatter, Write};
use std::io::{self, PipeReader};
use std::os::fd::{AsFd, AsRawFd};
use std::os::unix::net::UnixListener;
use std::panic::{self, AssertUnwindSafe, PanicHookInfo, catch_unwind};
use std::path::Path;
use std::sync::{Arc, Mutex, Once, PoisonError};

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, poll};
use nix::sys::socket::{Shutdown, shutdown};

use crate::session::{Deadline, Interrupt, wait};
use crate::verdict::Exit;

/// What a server that is a function returns. An error stands for the exit status 1 of a program whose `main` returns it, and is
/// told; it is no crash.
pub type Served = Result<(), Box<dyn Error + Send + Sync>>;

/// A server that is a function. Each call is a server of its own, in a thread of its own.
#[derive(Clone)]
pub enum ServerFunction {
    /// Serves the clients that connect to the socket. Where it waits for a further one when it is to end, accept(2) fails with
    /// EINVAL.
    Listener(Arc<dyn Fn(UnixListener) -> Served + Send + Sync>),
    /// Makes a socket at the path and serves the clients that connect to it.
    Path(Arc<dyn Fn(&Path) -> Served + Send + Sync>),
}

/// What a thread has to do.
type Work = Box<dyn FnOnce() -> Served + Send>;

/// The exit status of a program that has panicked.
const PANICKED: i32 = 101;

thread_local! {
    /// What a panic of this thread has said; `None` where it serves nobody.
    static SAID: RefCell<Option<String>> = const { RefCell::new(None) };
}

impl ServerFunction {
    /// A call of it, at `socket`; and the listener, where it is made here.
    fn at(&self, socket: &Path) -> io::Result<(Work, Option<UnixListener>)> {
        Ok(match self {
            ServerFunction::Listener(serve) => {
                let listener = UnixListener::bind(socket)?;
                let (serve, ours) = (Arc::clone(serve), listener.try_clone()?);
                (Box::new(move || serve(listener)), Some(ours))
            }
            ServerFunction::Path(serve) => {
                let (serve, socket) = (Arc::clone(serve), socket.to_owned());
                (Box::new(move || serve(&socket)), None)
            }
        })
    }
}

impl Debug for ServerFunction {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            ServerFunction::Listener(_) => "a function of a listener",
            ServerFunction::Path(_) => "a function of a path",
        })
    }
}

/// A call of it, which goes on or has ended.
#[derive(Debug)]
pub(super) struct Call {
    end: Arc<Mutex<Option<(Exit, String)>>>,
    /// Readable when there is an end.
    ended: PipeReader,
    /// The listener once more, until either side closes it.
    listener: Arc<Mutex<Option<UnixListener>>>,
}

impl Call {
    /// Calls the function in a new thread.
    ///
    /// # Errors
    /// Where no socket, pipe or thread can be had.
    pub(super) fn start(function: &ServerFunction, socket: &Path) -> io::Result<Call> {
        keep_what_panics_say();
        let (serve, listener) = function.at(socket)?;
        let (ended, running) = io::pipe()?;
        let call = Call { end: Arc::default(), ended, listener: Arc::new(Mutex::new(listener)) };
        let (end, listener) = (Arc::clone(&call.end), Arc::clone(&call.listener));
        std::thread::Builder::new().name("server".to_owned()).spawn(move || {
            let how = serve_to_the_end(serve);
            // Nobody may wait in the queue of a socket that is not served.
            close(&listener);
            *end.lock().unwrap_or_else(PoisonError::into_inner) = Some(how);
            drop(running);
        })?;
        Ok(call)
    }

    /// How it ended, if it has.
    pub(super) fn ended(&self) -> Option<Exit> {
        self.end.lock().unwrap_or_else(PoisonError::into_inner).as_ref().map(|(exit, _)| *exit)
    }

    /// How it ended, waiting until it does or the deadline passes.
    pub(super) fn wait(&self, deadline: Deadline, interrupt: &Interrupt) -> Option<Exit> {
        if self.ended().is_none() {
            // An error of poll(2) here would show in the next wait as well, which reports it.
            let _ = wait(&[(self.ended.as_fd(), PollFlags::POLLIN)], deadline, interrupt);
        }
        self.ended()
    }

    /// The error that it returned, or what it said when it panicked.
    pub(super) fn output(&self) -> String {
        let end = self.end.lock().unwrap_or_else(PoisonError::into_inner);
        end.as_ref().map(|(_, said)| said.clone()).unwrap_or_default()
    }

    /// It goes on when the deadline passes.
    pub(super) fn outlasts(&self, deadline: Deadline) -> bool {
        while self.ended().is_none() && !deadline.passed() {
            let mut polled = [PollFd::new(self.ended.as_fd(), PollFlags::POLLIN)];
            if poll(&mut polled, deadline.poll_timeout()).is_err_and(|error| error != Errno::EINTR) {
                break;
            }
        }
        self.ended().is_none()
    }

    /// Tells it to end: nobody will connect any more. No thread can be made to.
    pub(super) fn stop(&self) {
        close(&self.listener);
    }
}

/// Wakes who waits for clients; those that connect from now on are refused.
fn close(listener: &Mutex<Option<UnixListener>>) {
    if let Some(listener) = listener.lock().unwrap_or_else(PoisonError::into_inner).take() {
        // It fails only where there is nothing left to close.
        let _ = shutdown(listener.as_raw_fd(), Shutdown::Both);
    }
}

fn serve_to_the_end(serve: Work) -> (Exit, String) {
    SAID.set(Some(String::new()));
    let served = catch_unwind(AssertUnwindSafe(serve));
    let said = SAID.take().unwrap_or_default();
    match served {
        Ok(Ok(())) => (Exit::Status(0), said),
        Ok(Err(error)) => (Exit::Status(1), format!("{said}Error: {error}\n")),
        Err(panic) => (Exit::Status(PANICKED), if said.is_empty() { without_hook(&*panic) } else { said }),
    }
}

/// What a panic says whose message a hook of somebody else's has taken.
fn without_hook(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().map(String::as_str).or_else(|| panic.downcast_ref::<&str>().copied());
    format!("panicked at a place that is not known:\n{}\n", text.unwrap_or("it said nothing"))
}

/// From here on, the panics of servers are kept with what else is known of them; all others are told as before.
fn keep_what_panics_say() {
    static KEPT: Once = Once::new();
    KEPT.call_once(|| {
        let before = panic::take_hook();
        panic::set_hook(Box::new(move |panic| {
            if !SAID.try_with(|said| keep(said, panic)).unwrap_or(false) {
                before(panic);
            }
        }));
    });
}

/// Keeps it where this thread serves, in the words of a program's own panic.
fn keep(said: &RefCell<Option<String>>, panic: &PanicHookInfo<'_>) -> bool {
    let Ok(mut said) = said.try_borrow_mut() else { return false };
    let Some(said) = said.as_mut() else { return false };
    // Writing to a string cannot fail.
    let _ = writeln!(said, "thread 'server' {panic}");
    let trace = Backtrace::capture();
    if trace.status() == BacktraceStatus::Captured {
        let _ = writeln!(said, "{trace}");
    }
    true
}

#[cfg(test)]
#[path = "function_tests.rs"]
mod tests;
