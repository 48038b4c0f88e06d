//! The moments in which fork(2) has copied this process and its copy runs nothing else yet.

use std::sync::{PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

/// A copy has every mapping of this process until its execve(2), that of a server in one of its threads, too: F_SEAL_WRITE
/// gives EBUSY then, although the server's own mapping is gone. Any number of copies can come to be at one time.
static FORK: RwLock<()> = RwLock::new(());

/// Held from before a fork(2) until the program is executed.
pub fn forking() -> RwLockReadGuard<'static, ()> {
    FORK.read().unwrap_or_else(PoisonError::into_inner)
}

/// Held where a mapping of a copy would be taken for the server's.
pub(super) fn no_fork() -> RwLockWriteGuard<'static, ()> {
    FORK.write().unwrap_or_else(PoisonError::into_inner)
}
