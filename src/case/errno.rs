//! Errnos by the names that cases use.

use nix::errno::Errno;

macro_rules! errnos {
    ($($name:ident),* $(,)?) => {
        /// Names and numbers, the usual name of a number first.
        const ERRNOS: &[(&str, u32)] = &[$((stringify!($name), Errno::$name as u32)),*];
    };
}

errnos! {
    EPERM, ENOENT, ESRCH, EINTR, EIO, ENXIO, E2BIG, ENOEXEC, EBADF, ECHILD, EAGAIN, ENOMEM, EACCES, EFAULT, ENOTBLK, EBUSY,
    EEXIST, EXDEV, ENODEV, ENOTDIR, EISDIR, EINVAL, ENFILE, EMFILE, ENOTTY, ETXTBSY, EFBIG, ENOSPC, ESPIPE, EROFS, EMLINK,
    EPIPE, EDOM, ERANGE, EDEADLK, ENAMETOOLONG, ENOLCK, ENOSYS, ENOTEMPTY, ELOOP, ENOMSG, ENODATA, ETIME, ENOSR, EPROTO,
    EBADMSG, EOVERFLOW, EILSEQ, EUSERS, ENOTSOCK, EDESTADDRREQ, EMSGSIZE, EPROTOTYPE, ENOPROTOOPT, EPROTONOSUPPORT,
    ESOCKTNOSUPPORT, EOPNOTSUPP, EPFNOSUPPORT, EAFNOSUPPORT, EADDRINUSE, EADDRNOTAVAIL, ENETDOWN, ENETUNREACH, ENETRESET,
    ECONNABORTED, ECONNRESET, ENOBUFS, EISCONN, ENOTCONN, ESHUTDOWN, ETIMEDOUT, ECONNREFUSED, EHOSTDOWN, EHOSTUNREACH,
    EALREADY, EINPROGRESS, ESTALE, EREMOTEIO, EDQUOT, ECANCELED,
}

/// Second names of the same numbers.
const ALIASES: &[(&str, &str)] = &[("EWOULDBLOCK", "EAGAIN"), ("ENOTSUP", "EOPNOTSUPP"), ("EDEADLOCK", "EDEADLK")];

/// The number of that name.
pub fn errno(name: &str) -> Option<u32> {
    let name = ALIASES.iter().find(|(alias, _)| *alias == name).map_or(name, |(_, usual)| usual);
    ERRNOS.iter().find(|(known, _)| *known == name).map(|(_, number)| *number)
}

/// The usual name of that number.
pub fn errno_name(number: u32) -> Option<&'static str> {
    ERRNOS.iter().find(|(_, known)| *known == number).map(|(name, _)| *name)
}

/// Every name, for suggestions.
pub(super) fn names() -> impl Iterator<Item = &'static str> {
    ERRNOS.iter().map(|(name, _)| *name)
}

/// An errno by name and number.
pub fn error_text(number: u32) -> String {
    match (number, errno_name(number)) {
        (0, _) => "errno 0".to_owned(),
        (_, Some(name)) => format!("{name} ({number})"),
        (_, None) => format!("errno {number}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_numbers_agree() {
        assert_eq!(errno("EINVAL"), Some(22));
        assert_eq!(errno("ENOTSUP"), errno("EOPNOTSUPP"));
        assert_eq!(errno("EWHAT"), None);
        for (name, number) in ERRNOS {
            assert_eq!(errno_name(*number), Some(*name));
        }
    }
    #[test]
    fn a_number_is_told_with_its_name_where_it_has_one() {
        assert_eq!(error_text(0), "errno 0");
        assert_eq!(error_text(22), "EINVAL (22)");
        assert_eq!(error_text(95), "EOPNOTSUPP (95)");
        assert_eq!(error_text(4000), "errno 4000");
    }
}
