//! What this machine has no more of: never the server's fault.

use nix::errno::Errno;

/// The error, by its number, says that this process or this machine has no more descriptors, memory or room.
pub fn is_want(number: Option<i32>) -> bool {
    let wants = [Errno::EMFILE, Errno::ENFILE, Errno::ENOMEM, Errno::ENOBUFS, Errno::ENOSPC, Errno::EFBIG];
    number.is_some_and(|number| wants.contains(&Errno::from_raw(number)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_lacks_here_is_no_word_of_the_server() {
        let is = |errno: Errno| is_want(Some(errno as i32));
        assert!(
            [Errno::EMFILE, Errno::ENFILE, Errno::ENOMEM, Errno::ENOBUFS, Errno::ENOSPC, Errno::EFBIG].map(is)
                == [true; 6]
        );
        assert!([Errno::ECONNREFUSED, Errno::ENOENT, Errno::EPIPE, Errno::ECONNRESET].map(is) == [false; 4]);
        assert!(!is_want(None));
    }
}
