//! What this machine has no more of: never the server's fault.

use nix::errno::Errno;

/// The error, by its number, says that this process or this machine has no more descriptors, memory or room.
pub fn is_want(number: Option<i32>) -> bool {
    let wants = [Errno::EMFILE, Errno::ENFILE, Errno::ENOMEM, Errno::ENOBUFS, Errno::ENOSPC, Errno::EFBIG];
    number.is_some_and(|number| wants.contains(&Errno::from_raw(number)))
}
