//! What is gone at an orderly end, and must go as well where the program ends at once.

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
