//! The start of a program in a process of its own, without a copy of this one.
//!
//! fork(2) copies the page tables of the harness for each server, which was more than half of what a run took. The new process shares
//! its memory until it executes the program, as one of posix_spawn(3) does, which can neither let it die with its parent nor
//! set limits.

use std::ffi::CString;
use std::fs::File;
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};
use std::ptr::{null, null_mut};

use nix::errno::Errno;
use nix::sched::{CloneFlags, clone};
use nix::sys::resource::{Resource, setrlimit};
use nix::sys::signal::{SigSet, SigmaskHow, Signal};
use nix::unistd::{Pid, setpgid};

/// Bytes of the new process's stack: the path of the program and its words go there.
const STACK: usize = 256 << 10;

/// What the new process gets.
#[derive(Debug)]
pub(super) struct Setting<'a> {
    /// Its standard output and standard error.
    pub output: BorrowedFd<'a>,
    /// What stays open in it under its own number.
    pub inherit: Option<BorrowedFd<'a>>,
    /// Its limits of open descriptors, soft and hard; `None` for those of this process.
    pub descriptors: Option<(u64, u64)>,
}

/// Executes `words[0]`, looked for as execvp(3) does, in a process group of its own and with /dev/null as its standard input. The
/// process dies with the thread that called this. Nobody waits for it but who is told its id.
///
/// # Errors
/// EINVAL for no word, or one with a NUL; those of clone(2), and of execve(2): ENOENT for a command that does not exist.
pub(super) fn spawn(words: &[String], setting: &Setting<'_>) -> io::Result<Pid> {
    let words = words.iter().map(|word| CString::new(word.as_str())).collect::<Result<Vec<_>, _>>()?;
    let Some(program) = words.first() else { return Err(Errno::EINVAL.into()) };
    let arguments: Vec<_> = words.iter().map(|word| word.as_ptr()).chain([null()]).collect();
    let nothing = File::open("/dev/null")?;
    let mut stack = vec![0; STACK];
    let mut failed: Option<Errno> = None;
    // A handler of this process that ran in the other one would act on this one's memory.
    let before = SigSet::all().thread_swap_mask(SigmaskHow::SIG_BLOCK)?;
    let execute = || -> isize {
        let prepared = prepare(setting, &nothing);
        if prepared.is_ok() {
            // SAFETY: the program and the words end in NUL, their list in a null pointer, and all of them outlive the call.
            unsafe { libc::execvp(program.as_ptr(), arguments.as_ptr()) };
        }
        failed = Some(prepared.err().unwrap_or_else(Errno::last));
        // SAFETY: it only ends the process.
        unsafe { libc::_exit(127) }
    };
    // SAFETY: this thread stands still until the other process has executed the program or ended, and so do the stack and all
    // that is borrowed; what is called there allocates nothing, takes no lock and does not unwind.
    let started = unsafe {
        clone(Box::new(execute), &mut stack, CloneFlags::CLONE_VM | CloneFlags::CLONE_VFORK, Some(libc::SIGCHLD))
    };
    before.thread_set_mask()?;
    let pid = started?;
    let Some(error) = failed else { return Ok(pid) };
    // Otherwise it stays in the list of processes.
    nix::sys::wait::waitpid(pid, None)?;
    Err(error.into())
}

/// What is done in the new process before the program is executed: system calls alone.
fn prepare(setting: &Setting<'_>, nothing: &File) -> nix::Result<()> {
    nix::sys::prctl::set_pdeathsig(Signal::SIGKILL)?;
    setpgid(Pid::from_raw(0), Pid::from_raw(0))?;
    if let Some((soft, hard)) = setting.descriptors {
        setrlimit(Resource::RLIMIT_NOFILE, soft, hard)?;
    }
    for (from, to) in [(nothing.as_raw_fd(), 0), (setting.output.as_raw_fd(), 1), (setting.output.as_raw_fd(), 2)] {
        // SAFETY: dup2 takes two integers; this process has its own descriptors, and nobody owns these three.
        Errno::result(unsafe { libc::dup2(from, to) })?;
    }
    if let Some(fd) = setting.inherit {
        // SAFETY: fcntl takes three integers here; the descriptor is borrowed for as long.
        Errno::result(unsafe { libc::fcntl(fd.as_raw_fd(), libc::F_SETFD, 0) })?;
    }
    for signal in Signal::iterator() {
        forget_handler(signal)?;
    }
    SigSet::empty().thread_set_mask()
}

/// Gives a signal its default action where this process has a handler, or ignores SIGPIPE as every Rust program does.
fn forget_handler(signal: Signal) -> nix::Result<()> {
    let mut action = std::mem::MaybeUninit::<libc::sigaction>::zeroed();
    // SAFETY: the address is that of a live local, which sigaction fills; zeroes are a valid value of it.
    let action = unsafe {
        Errno::result(libc::sigaction(signal as libc::c_int, null(), action.as_mut_ptr()))?;
        action.assume_init_mut()
    };
    let ignored = action.sa_sigaction == libc::SIG_IGN && signal != Signal::SIGPIPE;
    if ignored || action.sa_sigaction == libc::SIG_DFL {
        return Ok(());
    }
    action.sa_sigaction = libc::SIG_DFL;
    // SAFETY: as above; the action is the default one, so no function is kept.
    Errno::result(unsafe { libc::sigaction(signal as libc::c_int, action, null_mut()) }).map(drop)
}
