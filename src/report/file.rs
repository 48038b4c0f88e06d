//! Files that are whole or absent.

use std::fs::File;
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use nix::fcntl::{FcntlArg, OFlag, fcntl};

/// So many links one behind the other the kernel follows.
const LINKS: usize = 40;

/// Writes a file by a temporary one beside it, which then takes its name: whoever reads sees the old file or the new
/// one, whenever the writer ends.
pub(crate) fn write(path: &Path, contents: &[u8]) -> io::Result<()> {
    // No file takes the place of a device, a pipe or /dev/stdout.
    let written = if is_open_already(path) {
        append(path, contents)
    } else if path.metadata().is_ok_and(|metadata| !metadata.is_file()) {
        File::options().append(true).open(path).and_then(|mut file| file.write_all(contents))
    } else {
        replace(path, contents)
    };
    written.map_err(|error| io::Error::new(error.kind(), format!("{}: {error}", path.display())))
}

fn replace(path: &Path, contents: &[u8]) -> io::Result<()> {
    let name = path.file_name().ok_or_else(|| io::Error::new(io::ErrorKind::InvalidInput, "the path names no file"))?;
    let mut temporary = std::ffi::OsString::from(".");
    temporary.push(name);
    temporary.push(format!(".{}", std::process::id()));
    let temporary = path.with_file_name(temporary);
    let written = File::create(&temporary).and_then(|mut file| {
        file.write_all(contents)?;
        file.sync_all()?;
        std::fs::rename(&temporary, path)
    });
    if written.is_err() {
        // What matters is the first error; the temporary file may not even be there.
        let _ = std::fs::remove_file(&temporary);
    }
    written
}

/// Writes to the end of what somebody has open. A pipe that nobody reads any more is not waited for.
fn append(path: &Path, contents: &[u8]) -> io::Result<()> {
    let mut file = File::options().append(true).custom_flags(OFlag::O_NONBLOCK.bits()).open(path)?;
    fcntl(&file, FcntlArg::F_SETFL(OFlag::O_APPEND))?;
    file.write_all(contents)
}

/// Takes away what [`write`] would replace: an earlier file, or the link to one. A device or a pipe stays, and what leads
/// there as /dev/stdout does, even where a file is behind it.
#[cfg(any(feature = "cli", test))]
pub(crate) fn take_away(path: &Path) -> io::Result<()> {
    if is_open_already(path) || !path.metadata().is_ok_and(|metadata| metadata.is_file()) {
        return Ok(());
    }
    std::fs::remove_file(path).map_err(|error| io::Error::new(error.kind(), format!("{}: {error}", path.display())))
}

/// It leads to a descriptor of a process, as /dev/stdout does: what is behind it somebody has open, and it is no name of a file.
fn is_open_already(path: &Path) -> bool {
    let mut path = path.to_owned();
    for _ in 0..LINKS {
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
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
        take_away(&link).unwrap();
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
            take_away(&link).unwrap();
            write(&link, b"report").unwrap();
            assert_eq!(link.read_link().unwrap(), Path::new(target));
            std::fs::remove_file(&link).unwrap();
        }
        take_away(Path::new(&descriptor)).unwrap();
        assert_eq!(std::fs::read(&file).unwrap(), b"report");
    }

    #[test]
    fn a_device_is_written_to() {
        write(Path::new("/dev/null"), b"x").unwrap();
        assert!(!Path::new("/dev/null").metadata().unwrap().is_file());
    }
}
