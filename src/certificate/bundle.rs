//! The folder of a certificate. What is in one that is read was written by anybody: nothing outside of it is opened, no link is
//! followed, and nothing is read that is larger than it may be.

use std::fs::{File, OpenOptions};
use std::io::{self, Read};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use nix::fcntl::OFlag;
use sha2::{Digest as _, Sha256};

use super::Badge;
use super::manifest::{Digest, Manifest};
use crate::report::{self, Report, harmless};
use crate::requirement::Register;

/// The manifest: the one file that it does not name itself.
pub(crate) const MANIFEST: &str = "manifest.json";
/// The report of the run.
pub(super) const REPORT: &str = "report.json";
/// The report as a page.
pub(super) const PAGE: &str = "report.html";
/// The badge.
pub(super) const BADGE: &str = "badge.json";
/// The device file that the run had.
pub(crate) const DEVICE: &str = "device.toml";
/// The folder of the sequences that failed, as case files.
pub(crate) const GENERATED: &str = "generated";

/// No manifest has more bytes.
pub(super) const MOST_MANIFEST: u64 = 16 << 20;
/// No badge, device file or case file has more bytes.
pub(super) const MOST_SMALL: u64 = 1 << 20;
/// No bundle has more files.
const MOST_FILES: usize = 10_000;
/// So many bytes are read at once.
const PIECE: usize = 64 << 10;

/// A folder for a certificate.
#[derive(Debug)]
pub(crate) struct Bundle {
    folder: PathBuf,
}

/// A certificate that was written.
#[derive(Debug)]
pub(crate) struct Written {
    /// What it says.
    pub(crate) manifest: Manifest,
    /// SHA-256 of the manifest, by which all else is known.
    pub(crate) sha256: String,
}

impl Bundle {
    /// In a folder that is not there, is empty, or has an earlier bundle, which is taken away: nobody is to take that one for
    /// this one's.
    ///
    /// # Errors
    /// A sentence where something else is in the folder, with the kernel's error where that is the reason.
    pub(crate) fn prepare(folder: &Path) -> Result<Bundle, (String, Option<io::Error>)> {
        let told = harmless(&folder.display().to_string());
        let mut problems = Vec::new();
        let found = match files(folder, &mut problems) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Vec::new(),
            Err(error) => return Err((format!("could not read {told}: {error}"), Some(error))),
            Ok(found) => found,
        };
        let foreign = found.iter().find(|name| *name != MANIFEST && most(name).is_none());
        let foreign = problems.first().cloned().or(foreign.map(|name| harmless(name)));
        let is_bundle = found.is_empty() || is_manifest(&folder.join(MANIFEST));
        let foreign = foreign.or_else(|| (!is_bundle).then(|| format!("there is no {MANIFEST} of `certify`")));
        if let Some(foreign) = foreign {
            return Err((
                format!("{told} has other things in it than a bundle ({foreign}): name a folder that is empty or new"),
                None,
            ));
        }
        let taken = found.iter().try_for_each(|name| std::fs::remove_file(folder.join(name)));
        let taken = taken.and_then(|()| match std::fs::remove_dir(folder.join(GENERATED)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        });
        // Better now than when the run is over.
        taken
            .and_then(|()| std::fs::create_dir_all(folder))
            .map_err(|error| (format!("the bundle cannot be written to {told}: {error}"), Some(error)))?;
        Ok(Bundle { folder: folder.to_owned() })
    }

    /// Where sequences that fail are to be written.
    pub(crate) fn generated(&self) -> PathBuf {
        self.folder.join(GENERATED)
    }

    /// Writes all files, the manifest as the last one: without it, a folder is no bundle.
    ///
    /// # Errors
    /// The kernel's, with the file.
    pub(crate) fn write(
        &self,
        report: &Report,
        mut manifest: Manifest,
        device: Option<&str>,
        register: &Register,
    ) -> io::Result<Written> {
        let json = with_newline(serde_json::to_vec_pretty(report)?);
        // As whoever checks it has it: a number that is written and read may be another one by its last bit.
        let read = Report::parse(REPORT, &json).map_err(|error| io::Error::other(error.to_string()))?;
        let page = report::page(&read, register).into_bytes();
        let badge = with_newline(serde_json::to_vec_pretty(&Badge::of(&manifest))?);
        let device = device.map(|text| (DEVICE, text.as_bytes().to_vec()));
        for (name, contents) in [(REPORT, json), (PAGE, page), (BADGE, badge)].into_iter().chain(device) {
            report::write_whole(&self.folder.join(name), &contents)?;
        }
        let mut foreign = Vec::new();
        for name in files(&self.folder, &mut foreign)? {
            let path = self.folder.join(&name);
            if most(&name).is_none() {
                foreign.push(format!("`{}` is no file of a bundle", harmless(&name)));
            }
            let digest = open(&path).and_then(digest).map_err(|error| named(&path, &error))?;
            manifest.files.insert(name, digest);
        }
        if let Some(foreign) = foreign.first() {
            return Err(io::Error::other(format!("something else was put into it meanwhile: {foreign}")));
        }
        let text = with_newline(serde_json::to_vec_pretty(&manifest)?);
        report::write_whole(&self.folder.join(MANIFEST), &text)?;
        Ok(Written { manifest, sha256: sha256(&text) })
    }
}

/// What stands there is a manifest, of whatever version.
fn is_manifest(path: &Path) -> bool {
    let text = read(path, MOST_MANIFEST).unwrap_or_default();
    let manifest = serde_json::from_slice::<serde_json::Value>(&text).unwrap_or_default();
    ["schema", "verdict", "files"].iter().all(|field| manifest.get(field).is_some())
}

/// How many bytes a file of this name may have; `None` where no bundle has one of this name. No such name leads out of the folder.
pub(super) fn most(name: &str) -> Option<u64> {
    match name {
        REPORT | PAGE => Some(report::MOST),
        BADGE | DEVICE => Some(MOST_SMALL),
        _ => {
            let stem = name.strip_prefix(GENERATED)?.strip_prefix('/')?.strip_suffix(".case")?;
            let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_');
            (stem.starts_with(|c: char| c.is_ascii_alphanumeric()) && stem.chars().all(plain)).then_some(MOST_SMALL)
        }
    }
}

/// The names of the regular files in a folder and in its folder [`GENERATED`]; all else that is there is a problem.
///
/// # Errors
/// The kernel's.
pub(super) fn files(folder: &Path, problems: &mut Vec<String>) -> io::Result<Vec<String>> {
    let (mut names, has_generated) = list(folder, "", problems)?;
    if has_generated {
        names.extend(list(&folder.join(GENERATED), &format!("{GENERATED}/"), problems)?.0);
    }
    names.sort();
    Ok(names)
}

/// The regular files, with what stands before their names, and whether there is a folder [`GENERATED`].
fn list(folder: &Path, before: &str, problems: &mut Vec<String>) -> io::Result<(Vec<String>, bool)> {
    let (mut names, mut has_generated) = (Vec::new(), false);
    for (number, entry) in std::fs::read_dir(folder)?.enumerate() {
        if number == MOST_FILES {
            problems.push(format!("there are more than {MOST_FILES} files, and no bundle has so many"));
            break;
        }
        let entry = entry?;
        let name = format!("{before}{}", entry.file_name().to_string_lossy());
        let kind = entry.file_type()?;
        if kind.is_file() {
            names.push(name);
        } else if kind.is_dir() && name == GENERATED {
            has_generated = true;
        } else {
            let is = if kind.is_symlink() { "a symbolic link" } else { "no regular file" };
            problems.push(format!("`{}` is {is}, and a bundle has regular files alone", harmless(&name)));
        }
    }
    Ok((names, has_generated))
}

/// Opens a regular file, and waits for nobody who is to write into a pipe.
///
/// # Errors
/// The kernel's; ELOOP for a link.
pub(super) fn open(path: &Path) -> io::Result<File> {
    let flags = (OFlag::O_NOFOLLOW | OFlag::O_NONBLOCK).bits();
    let file = OpenOptions::new().read(true).custom_flags(flags).open(path)?;
    match file.metadata()?.is_file() {
        true => Ok(file),
        false => Err(io::Error::new(io::ErrorKind::InvalidInput, "it is no regular file")),
    }
}

/// The contents of a file of at most so many bytes.
///
/// # Errors
/// The kernel's, or that there are more.
pub(super) fn read(path: &Path, most: u64) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    open(path)?.take(most.saturating_add(1)).read_to_end(&mut bytes)?;
    match bytes.len() as u64 <= most {
        true => Ok(bytes),
        false => Err(io::Error::new(io::ErrorKind::FileTooLarge, format!("it has more than {most} bytes"))),
    }
}

/// The digest of all that can be read.
///
/// # Errors
/// The kernel's.
pub(super) fn digest(mut from: impl Read) -> io::Result<Digest> {
    let (mut hash, mut bytes) = (Sha256::new(), 0);
    let mut piece = vec![0; PIECE];
    loop {
        match from.read(&mut piece) {
            Ok(0) => return Ok(Digest { bytes, sha256: hexadecimal(hash) }),
            Ok(count) => {
                hash.update(piece.get(..count).unwrap_or_default());
                bytes += count as u64;
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

/// SHA-256 of these bytes, in hexadecimal.
pub(crate) fn sha256(bytes: &[u8]) -> String {
    hexadecimal(Sha256::new_with_prefix(bytes))
}

/// SHA-256 of a file, in hexadecimal.
///
/// # Errors
/// The kernel's.
pub(crate) fn sha256_of_file(path: &Path) -> io::Result<String> {
    digest(File::open(path)?).map(|digest| digest.sha256)
}

fn hexadecimal(hash: Sha256) -> String {
    hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
}

fn with_newline(mut text: Vec<u8>) -> Vec<u8> {
    text.push(b'\n');
    text
}

fn named(path: &Path, error: &io::Error) -> io::Error {
    io::Error::new(error.kind(), format!("{}: {error}", path.display()))
}

#[cfg(test)]
#[path = "bundle_tests.rs"]
mod tests;
