//! A server's process, from its start to its certain end.

use std::collections::VecDeque;
use std::io::{self, Read};
use std::os::fd::{AsFd, BorrowedFd, FromRawFd, OwnedFd};
use std::sync::{Arc, Mutex, OnceLock, PoisonError, mpsc};
use std::thread::JoinHandle;
use std::time::Duration;

use nix::errno::Errno;
use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use nix::sys::signal::{Signal, kill, killpg};
use nix::unistd::Pid;

use super::leftover::{Known, Leftover};
use super::spawn::{Setting, spawn};
use crate::session::{Deadline, Interrupt, wait};
use crate::verdict::Exit;

/// How much of what a server prints is kept of its beginning, and of its end: it may crash after a long log.
const KEPT_OUTPUT: usize = 512 << 10;
/// How long a server has to end after SIGTERM.
const GRACE: Duration = Duration::from_millis(1000);

/// The limits of open descriptors that this process started with, soft and hard.
static DESCRIPTOR_LIMITS: OnceLock<(u64, u64)> = OnceLock::new();

/// Lets this process open as many descriptors as the hard limit allows: many servers at once take many. Servers get the
/// limits that it started with.
///
/// # Errors
/// Those of getrlimit(2) and setrlimit(2).
pub fn raise_descriptor_limit() -> io::Result<()> {
    let (soft, hard) = getrlimit(Resource::RLIMIT_NOFILE)?;
    if DESCRIPTOR_LIMITS.set((soft, hard)).is_ok() {
        setrlimit(Resource::RLIMIT_NOFILE, hard, hard)?;
    }
    Ok(())
}

/// The limits of open descriptors that servers get, soft and hard.
///
/// # Errors
/// Those of getrlimit(2).
pub fn inherited_descriptor_limits() -> nix::Result<(u64, u64)> {
    DESCRIPTOR_LIMITS.get().copied().map_or_else(|| getrlimit(Resource::RLIMIT_NOFILE), Ok)
}

/// A server's process, in a process group of its own, killed when dropped.
#[derive(Debug)]
pub struct Process {
    pid: Pid,
    pidfd: OwnedFd,
    output: Arc<Mutex<Printing>>,
    /// Says that the output's end was seen.
    finished: mpsc::Receiver<()>,
    /// The thread that reads the output, and the pipe whose end tells it that nobody listens any more.
    reader: Option<(JoinHandle<()>, io::PipeWriter)>,
    exit: Option<Exit>,
    /// Until when it may end by itself.
    grace: Option<Deadline>,
    /// It is to go with the program until its number is given back.
    group: Option<Known>,
}

impl Process {
    /// Starts `arguments[0]` without a shell. `inherit` stays open in it under its own number.
    ///
    /// # Errors
    /// Those of the start itself: ENOENT for a command that does not exist.
    pub fn start(arguments: &[String], inherit: Option<BorrowedFd<'_>>) -> io::Result<Process> {
        let (reading, writing) = io::pipe()?;
        let setting = Setting { output: writing.as_fd(), inherit, descriptors: DESCRIPTOR_LIMITS.get().copied() };
        // It returns when the program is executed, or could not be.
        let pid = spawn(arguments, &setting)?;
        drop(writing);
        let pidfd = pidfd(pid).inspect_err(|_| {
            // A process that cannot be watched must not be left behind.
            let _ = kill(pid, Signal::SIGKILL);
            let _ = ending(pid, 0);
        })?;
        let group = Leftover::Group(pid.as_raw()).known();
        fcntl(&reading, FcntlArg::F_SETFL(OFlag::O_NONBLOCK))?;
        let watched = reading.try_clone()?;
        let output = Arc::new(Mutex::new(Printing {
            reading,
            first: Vec::new(),
            last: VecDeque::new(),
            left_out: 0,
            ended: false,
        }));
        let kept = Arc::clone(&output);
        let (finish, finished) = mpsc::channel();
        // From here on it is ended when it is dropped, whatever else cannot be had.
        let mut process =
            Process { pid, pidfd, output, finished, reader: None, exit: None, grace: None, group: Some(group) };
        let (dropped, listening) = io::pipe()?;
        let reader = std::thread::Builder::new().name("server-output".to_owned()).spawn(move || {
            keep(&watched, &dropped, &kept);
            // Nobody listens where the process was dropped.
            let _ = finish.send(());
        })?;
        process.reader = Some((reader, listening));
        Ok(process)
    }

    /// Its process id.
    pub fn pid(&self) -> i32 {
        self.pid.as_raw()
    }

    /// How it ended, if it has, without waiting. Its number, which is that of its group, is not given back before all of that is gone.
    pub fn ended(&mut self) -> Option<Exit> {
        if self.exit.is_none() {
            self.exit = ending(self.pid, libc::WNOHANG | libc::WNOWAIT).ok().flatten();
        }
        self.exit
    }

    /// The kernel is taking it down already (PF_EXITING): its descriptors are closed before its end shows.
    pub fn is_ending(&self) -> bool {
        const PF_EXITING: u64 = 0x4;
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.pid())).unwrap_or_default();
        // Behind the name in parentheses, which may hold anything: state, ppid, pgrp, session, tty, tpgid, flags.
        let mut fields = stat.rsplit(')').next().unwrap_or_default().split_whitespace();
        let state = fields.next().unwrap_or_default();
        let flags = fields.nth(5).and_then(|flags| flags.parse::<u64>().ok()).unwrap_or(0);
        matches!(state, "Z" | "X") || flags & PF_EXITING != 0
    }

    /// How it ended, waiting until it does or the deadline passes.
    pub fn wait(&mut self, deadline: Deadline, interrupt: &Interrupt) -> Option<Exit> {
        if self.ended().is_none() {
            // An error of poll(2) here would show in the next wait as well, which reports it.
            let _ = wait(&[(self.pidfd.as_fd(), PollFlags::POLLIN)], deadline, interrupt);
        }
        self.ended()
    }

    /// What it printed, to standard output and standard error, up to the output's end or the deadline; what it printed
    /// before the call is there in any case.
    pub fn output(&mut self, deadline: Deadline) -> String {
        // The end, a passed deadline, and a thread that sent before: what is there is all there is to have.
        let _ = self.finished.recv_timeout(deadline.left());
        let mut output = self.output.lock().unwrap_or_else(PoisonError::into_inner);
        // The thread that reads it may not have come to that.
        output.take_in();
        output.kept()
    }

    /// Sends a signal to it.
    ///
    /// # Errors
    /// Those of kill(2).
    pub fn signal(&self, signal: Signal) -> io::Result<()> {
        kill(self.pid, signal).map_err(Into::into)
    }

    /// Asks it to end, and starts its time of grace.
    pub fn terminate(&mut self) {
        if self.grace.is_none() && self.ended().is_none() {
            // ESRCH where it ended meanwhile.
            let _ = killpg(self.pid, Signal::SIGTERM);
        }
        self.grace.get_or_insert_with(|| Deadline::after(GRACE));
    }

    /// SIGTERM, what is left of its grace, SIGKILL for its whole group, and the wait for its end.
    fn finish(&mut self) {
        self.terminate();
        let deadline = self.grace.unwrap_or_else(|| Deadline::after(GRACE));
        while self.ended().is_none() && !deadline.passed() {
            let mut fds = [PollFd::new(self.pidfd.as_fd(), PollFlags::POLLIN)];
            if poll(&mut fds, deadline.poll_timeout()).is_err_and(|error| error != Errno::EINTR) {
                break;
            }
        }
        // Whatever it left behind in its group goes as well.
        let _ = killpg(self.pid, Signal::SIGKILL);
        while ending(self.pid, libc::WNOWAIT) == Err(Errno::EINTR) {}
        self.group = None;
        while ending(self.pid, 0) == Err(Errno::EINTR) {}
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.finish();
        // What left the group may still hold the other end of the output.
        if let Some((reader, listening)) = self.reader.take() {
            drop(listening);
            let _ = reader.join();
        }
    }
}

/// Ends processes off the critical path.
#[derive(Debug)]
pub struct Reaper {
    sender: Option<mpsc::Sender<Process>>,
    thread: Option<JoinHandle<()>>,
}

impl Reaper {
    /// Starts its thread.
    ///
    /// # Errors
    /// Where no thread can be had.
    pub fn new() -> io::Result<Reaper> {
        let (sender, receiver) = mpsc::channel::<Process>();
        let thread =
            std::thread::Builder::new().name("reaper".to_owned()).spawn(move || receiver.into_iter().for_each(drop))?;
        Ok(Reaper { sender: Some(sender), thread: Some(thread) })
    }

    /// Ends `process` soon.
    pub fn end(&self, process: Process) {
        if let Some(sender) = &self.sender {
            // Sent back and dropped here where the thread is gone, which ends it just as well.
            let _ = sender.send(process);
        }
    }
}

impl Drop for Reaper {
    /// Waits until every process has ended.
    fn drop(&mut self) {
        self.sender = None;
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// What a server prints, and who reads it.
#[derive(Debug)]
struct Printing {
    reading: io::PipeReader,
    first: Vec<u8>,
    last: VecDeque<u8>,
    /// Bytes between those.
    left_out: usize,
    ended: bool,
}

impl Printing {
    /// Reads what is there, without waiting.
    fn take_in(&mut self) {
        let mut chunk = [0u8; 8192];
        // No more at one time than is kept: there are servers that print without end.
        for _ in 0..KEPT_OUTPUT / chunk.len() {
            match self.reading.read(&mut chunk) {
                Ok(0) => self.ended = true,
                Ok(read) => {
                    let read = chunk.get(..read).unwrap_or_default();
                    let (first, last) = read.split_at(read.len().min(KEPT_OUTPUT - self.first.len()));
                    self.first.extend_from_slice(first);
                    self.last.extend(last);
                    let surplus = self.last.len().saturating_sub(KEPT_OUTPUT);
                    self.last.drain(..surplus);
                    self.left_out += surplus;
                    continue;
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => self.ended |= error.kind() != io::ErrorKind::WouldBlock,
            }
            return;
        }
    }

    fn kept(&self) -> String {
        let mut kept = self.first.clone();
        if self.left_out > 0 {
            kept.extend_from_slice(format!("\n.. {} bytes left out\n", self.left_out).as_bytes());
        }
        kept.extend(&self.last);
        String::from_utf8_lossy(&kept).into_owned()
    }
}

/// Reads what is printed until its end, so that no server waits for a reader, or until `dropped` ends.
fn keep(watched: &io::PipeReader, dropped: &io::PipeReader, output: &Mutex<Printing>) {
    loop {
        let mut fds = [watched, dropped].map(|pipe| PollFd::new(pipe.as_fd(), PollFlags::POLLIN));
        let polled = poll(&mut fds, PollTimeout::NONE);
        let [_, dropped] = &fds;
        let over = dropped.any() == Some(true);
        let mut output = output.lock().unwrap_or_else(PoisonError::into_inner);
        output.take_in();
        if output.ended || over || polled.is_err_and(|error| error != Errno::EINTR) {
            return;
        }
    }
}

/// How a process ended, if it has: waitid(2), for any signal, those of real time, too.
fn ending(pid: Pid, options: i32) -> nix::Result<Option<Exit>> {
    // SAFETY: all zeroes is a siginfo_t, the one that waitid(2) leaves where nothing has ended.
    let mut info: libc::siginfo_t = unsafe { std::mem::zeroed() };
    // SAFETY: the address is that of a live local.
    Errno::result(unsafe {
        libc::waitid(libc::P_PID, pid.as_raw() as libc::id_t, &mut info, libc::WEXITED | options)
    })?;
    // SAFETY: waitid(2) fills in these fields.
    let (ended, status) = unsafe { (info.si_pid(), info.si_status()) };
    let exit = if info.si_code == libc::CLD_EXITED { exited(status) } else { Exit::Signal(status) };
    Ok((ended != 0).then_some(exit))
}

/// A shell that has started the server ends with 128 and the number of the signal that ended it. Signals that are sent to end a
/// process are left out: programs use such a status for an end in good order.
fn exited(status: i32) -> Exit {
    use Signal::{SIGABRT, SIGBUS, SIGFPE, SIGILL, SIGSEGV, SIGSYS, SIGTRAP};
    let of_faults = [SIGILL, SIGTRAP, SIGABRT, SIGBUS, SIGFPE, SIGSEGV, SIGSYS];
    let signal = of_faults.into_iter().find(|signal| 128 + *signal as i32 == status);
    signal.map_or(Exit::Status(status), |signal| Exit::Signal(signal as i32))
}

fn pidfd(pid: Pid) -> io::Result<OwnedFd> {
    // SAFETY: pidfd_open takes two integers and returns a new descriptor or -1.
    let fd = unsafe { libc::syscall(libc::SYS_pidfd_open, libc::c_long::from(pid.as_raw()), 0 as libc::c_long) };
    let fd = Errno::result(fd)?;
    // SAFETY: the kernel has just made this descriptor for this process, and nothing else knows it.
    Ok(unsafe { OwnedFd::from_raw_fd(i32::try_from(fd).map_err(|_| io::Error::from(io::ErrorKind::Other))?) })
}

/// How many descriptors a process has open.
///
/// # Errors
/// Those of reading /proc: EACCES for a process of another user.
pub fn open_descriptors(pid: i32) -> io::Result<usize> {
    Ok(std::fs::read_dir(format!("/proc/{pid}/fd"))?.count())
}

#[cfg(test)]
mod tests {
    use std::os::fd::AsRawFd;
    use std::sync::atomic::{AtomicBool, Ordering};

    use nix::sys::mman::{MapFlags, ProtFlags, mmap, munmap};

    use super::*;
    use crate::session::Held;

    #[test]
    fn a_long_log_is_kept_from_both_its_ends() {
        let log = format!("echo first; head -c {} /dev/zero; echo last", 3 * KEPT_OUTPUT);
        let mut process = Process::start(&["sh", "-c", &log].map(str::to_owned), None).unwrap();
        let interrupt = Interrupt::new().unwrap();
        assert_eq!(process.wait(Deadline::after(Duration::from_secs(60)), &interrupt), Some(Exit::Status(0)));
        let kept = process.output(Deadline::after(Duration::from_secs(60)));
        assert!(kept.starts_with("first\n") && kept.ends_with("last\n"));
        assert!(kept.len() < 2 * KEPT_OUTPUT + 100, "{} bytes", kept.len());
        assert!(kept.contains(&format!("\n.. {} bytes left out\n", KEPT_OUTPUT + "first\nlast\n".len())));
    }

    #[test]
    fn what_leaves_the_group_holds_no_thread_of_ours() {
        let (until, over) = io::pipe().unwrap();
        let input = until.as_raw_fd();
        let folder = tempfile::tempdir().unwrap();
        let left = folder.path().join("left");
        let left = left.display();
        let leave =
            format!("mkfifo {left}; setsid sh -c 'echo > {left}; exec cat <&{input}' & read word < {left}; exit 3");
        let mut process = Process::start(&["sh", "-c", &leave].map(str::to_owned), Some(until.as_fd())).unwrap();
        let interrupt = Interrupt::new().unwrap();
        for _ in 0..2 {
            assert_eq!(process.wait(Deadline::after(Duration::from_secs(60)), &interrupt), Some(Exit::Status(3)));
        }
        let output = Arc::downgrade(&process.output);
        drop(process);
        assert!(output.upgrade().is_none());
        drop(over);
    }

    #[test]
    fn what_is_started_meanwhile_holds_no_mapping() {
        let over = AtomicBool::new(false);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                while !over.load(Ordering::Relaxed) {
                    Process::start(&["true".to_owned()], None).unwrap();
                }
            });
            let length = 0x1000.try_into().unwrap();
            let sealed = (0..20_000).all(|_| {
                let held = Held::memfd(0x1000, false).unwrap();
                // SAFETY: the kernel chooses where; nobody reads or writes there.
                unsafe {
                    let memory = held.memory().unwrap();
                    let mapped = mmap(None, length, ProtFlags::PROT_WRITE, MapFlags::MAP_SHARED, memory, 0).unwrap();
                    munmap(mapped, length.get()).unwrap();
                }
                held.seal().unwrap()
            });
            over.store(true, Ordering::Relaxed);
            assert!(sealed);
        });
    }
}
