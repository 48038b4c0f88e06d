//! Files that are whole or absent.

use std::fs::{File, Permissions};
use std::io::{self, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::Path;

use nix::fcntl::{FcntlArg, OFlag, fcntl};
use tempfile::NamedTempFile;

/// So many links one behind the other the kernel follows.
const LINKS: usize = 40;

/// Writes a file by a temporary one beside it, which then takes its name: whoever reads sees the old file or the new
/// one, whenever the writer ends.
pub(crate) fn write(path: &Path, contents: &[u8]) -> io::Result<()> {
    let written = if is_replaced(path) { replace(path, contents) } else { append(path, contents) };
    written.map_err(|error| named(path, &error))
}

/// An error that names the file.
fn named(path: &Path, error: &io::Error) -> io::Error {
    io::Error::new(error.kind(), format!("{}: {error}", path.display()))
}

/// A file, or nothing yet: no file takes the place of a device, a pipe, a folder or /dev/stdout.
pub(crate) fn is_replaced(path: &Path) -> bool {
    !is_open_already(path) && path.metadata().map_or(true, |metadata| metadata.is_file())
}

fn replace(path: &Path, contents: &[u8]) -> io::Result<()> {
    let mut file = temporary(path)?;
    file.write_all(contents)?;
    file.as_file().sync_all()?;
    file.persist(path).map(drop).map_err(|error| error.error)
}

/// A file beside this one, which goes with the value.
fn temporary(path: &Path) -> io::Result<NamedTempFile> {
    path.file_name().ok_or_else(|| io::Error::new(io::ErrorKind::InvalidInput, "the path names no file"))?;
    // As open(2) makes files: the umask takes away what nobody else may do.
    let permissions = Permissions::from_mode(0o666);
    tempfile::Builder::new().prefix(".").permissions(permissions).tempfile_in(folder_of(path))
}

fn folder_of(path: &Path) -> &Path {
    path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// Writes to the end of what is there. A pipe that nobody reads is not waited for.
fn append(path: &Path, contents: &[u8]) -> io::Result<()> {
    let mut file = File::options().append(true).custom_flags(OFlag::O_NONBLOCK.bits()).open(path)?;
    fcntl(&file, FcntlArg::F_SETFL(OFlag::O_APPEND))?;
    file.write_all(contents)
}

/// Makes way for [`write`]: takes away what it would replace, an earlier file or the link to one, and finds out whether a file can
/// be made there. A device or a pipe stays, and what leads there as /dev/stdout does, even where a file is behind it.
#[cfg(any(feature = "cli", test))]
pub(crate) fn make_way(path: &Path) -> io::Result<()> {
    let made = if path.is_dir() {
        Err(io::ErrorKind::IsADirectory.into())
    } else if !is_replaced(path) {
        return Ok(());
    } else if path.symlink_metadata().is_ok() {
        std::fs::remove_file(path).and_then(|()| temporary(path))
    } else {
        temporary(path)
    };
    made.map(drop).map_err(|error| named(path, &error))
}

/// It leads to a descriptor of a process, as /dev/stdout does: what is behind it somebody has open, and it is no name of a file.
fn is_open_already(path: &Path) -> bool {
    let mut path = path.to_owned();
    for _ in 0..LINKS {
        let folder = folder_of(&path);
        if folder.canonicalize().is_ok_and(|folder| folder.starts_with("/proc")) {
            return true;
        }
        let Ok(next) = path.read_link() else { return false };
        path = folder.join(next);
    }
    false
}

#[cfg(test)]
mod tests {
    use std::os::fd::AsRawFd;
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn a_file_takes_the_place_of_the_old_one_and_leaves_nothing_beside_it() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("report.json");
        write(&path, b"old").unwrap();
        write(&path, b"new").unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), b"new");
        assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_folder_that_is_not_there_is_named() {
        let error = write(Path::new("/nonexistent/report.json"), b"").unwrap_err();
        assert!(error.to_string().starts_with("/nonexistent/report.json: No such file"), "{error}");
    }

    #[test]
    fn a_link_is_replaced_and_taken_away_as_a_file_is() {
        let directory = tempfile::tempdir().unwrap();
        let [file, link] = ["file.json", "report.json"].map(|name| directory.path().join(name));
        std::fs::write(&file, b"old").unwrap();
        symlink(&file, &link).unwrap();
        make_way(&link).unwrap();
        assert!(link.symlink_metadata().is_err(), "an earlier report would be read");
        symlink("file.json", &link).unwrap();
        write(&link, b"new").unwrap();
        assert_eq!((std::fs::read(&link).unwrap(), std::fs::read(&file).unwrap()), (b"new".into(), b"old".into()));
    }

    #[test]
    fn what_leads_to_a_device_or_a_descriptor_stays_and_is_written_to() {
        let directory = tempfile::tempdir().unwrap();
        let [file, link] = ["output.txt", "report.json"].map(|name| directory.path().join(name));
        let output = File::create(&file).unwrap();
        let descriptor = format!("/proc/self/fd/{}", output.as_raw_fd());
        for target in ["/dev/null", &descriptor] {
            symlink(target, &link).unwrap();
            make_way(&link).unwrap();
            write(&link, b"report").unwrap();
            assert_eq!(link.read_link().unwrap(), Path::new(target));
            std::fs::remove_file(&link).unwrap();
        }
        make_way(Path::new(&descriptor)).unwrap();
        assert_eq!(std::fs::read(&file).unwrap(), b"report");
    }

    #[test]
    fn what_cannot_be_written_is_found_before() {
        let directory = tempfile::tempdir().unwrap();
        for path in [directory.path(), &directory.path().join("none/report.json")] {
            let error = make_way(path).unwrap_err();
            assert!(error.to_string().starts_with(&format!("{}: ", path.display())), "{error}");
        }
        make_way(&directory.path().join("report.json")).unwrap();
        assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 0);
    }

    #[test]
    fn a_pipe_that_nobody_reads_is_an_error_and_no_wait() {
        let directory = tempfile::tempdir().unwrap();
        let pipe = directory.path().join("report.json");
        nix::unistd::mkfifo(&pipe, nix::sys::stat::Mode::S_IRWXU).unwrap();
        assert_eq!(write(&pipe, b"x").unwrap_err().kind(), io::Error::from_raw_os_error(nix::libc::ENXIO).kind());
    }

    #[test]
    fn a_report_may_be_read_by_whom_the_umask_lets() {
        let directory = tempfile::tempdir().unwrap();
        let [report, other] = ["report.json", "other"].map(|name| directory.path().join(name));
        write(&report, b"x").unwrap();
        File::create(&other).unwrap();
        let [report, other] = [report, other].map(|path| path.metadata().unwrap().permissions().mode());
        assert_eq!(report, other);
    }

    #[test]
    fn a_device_is_written_to() {
        write(Path::new("/dev/null"), b"x").unwrap();
        assert!(!Path::new("/dev/null").metadata().unwrap().is_file());
    }
}
