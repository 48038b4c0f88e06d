//! What is gone at an orderly end, and must go as well where the program ends at once.

use std::mem::MaybeUninit;
use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};

use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;

/// How often the removal of a folder is tried, into which a server may still put a socket while it dies.
const TRIES: usize = 100;

static LEFTOVERS: Mutex<Vec<Leftover>> = Mutex::new(Vec::new());

/// Something that would outlive the program.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Leftover {
    /// A process group.
    Group(i32),
    /// A temporary folder.
    Folder(PathBuf),
}

/// Keeps a leftover known until it is dropped, which says that its owner has seen to it.
#[derive(Debug)]
pub(super) struct Known(Leftover);

impl Leftover {
    pub(super) fn known(self) -> Known {
        LEFTOVERS.lock().unwrap_or_else(PoisonError::into_inner).push(self.clone());
        Known(self)
    }
}

impl Drop for Known {
    fn drop(&mut self) {
        let mut leftovers = LEFTOVERS.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(at) = leftovers.iter().position(|leftover| *leftover == self.0) {
            leftovers.swap_remove(at);
        }
    }
}

/// The signals by which people, and what people left, end this program: at each of them servers and folders must go. One that was
/// to be ignored before it began, as nohup(1) has SIGHUP ignored, is none of them.
pub fn ending_signals() -> Vec<i32> {
    let is_ignored = |signal: Signal| {
        let mut action = MaybeUninit::<libc::sigaction>::zeroed();
        // SAFETY: it asks for the action alone, which all zeroes is a value of, and the address is that of a live local.
        let action = unsafe {
            libc::sigaction(signal as i32, std::ptr::null(), action.as_mut_ptr());
            action.assume_init()
        };
        action.sa_sigaction == libc::SIG_IGN
    };
    let left = [Signal::SIGHUP, Signal::SIGQUIT].into_iter().filter(|signal| !is_ignored(*signal));
    [Signal::SIGINT, Signal::SIGTERM].into_iter().chain(left).map(|signal| signal as i32).collect()
}

/// Kills every server that was started and removes every temporary folder, without waiting for anybody: the program
/// ends next.
pub fn abandon() {
    let leftovers = LEFTOVERS.lock().unwrap_or_else(PoisonError::into_inner);
    for leftover in leftovers.iter() {
        if let Leftover::Group(group) = leftover {
            // ESRCH where it has ended by itself.
            let _ = killpg(Pid::from_raw(*group), Signal::SIGKILL);
        }
    }
    for leftover in leftovers.iter() {
        if let Leftover::Folder(folder) = leftover {
            let mut tries = 0..TRIES;
            while std::fs::remove_dir_all(folder).is_err() && folder.exists() && tries.next().is_some() {
                std::thread::yield_now();
            }
        }
    }
}
