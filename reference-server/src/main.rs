//! `vfio-user-reference-server --socket-path=PATH | --fd=N [--profile=NAME] [--without=WORDS] [--with=WORD]` (specification 1961-1980).

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::PathBuf;
use std::process::ExitCode;

use vfio_user_reference_server::{Endpoint, Feature, Settings, run};

fn main() -> ExitCode {
    let asked = asked(std::env::args_os().skip(1));
    let served = asked.and_then(|(endpoint, settings)| run(endpoint, settings).map_err(|e| e.to_string()));
    match served {
        Ok(()) => ExitCode::SUCCESS,
        Err(sentence) => {
            eprintln!("vfio-user-reference-server: {sentence}");
            ExitCode::FAILURE
        }
    }
}

/// The endpoint that the arguments name, and which server to be.
fn asked(mut arguments: impl Iterator<Item = OsString>) -> Result<(Endpoint, Settings), String> {
    let (mut path, mut fd, mut profile, mut with, mut without) = (None, None, None, None, Vec::new());
    while let Some(argument) = arguments.next() {
        let (name, value) = split(&argument);
        let slot = match name.to_str() {
            Some("--socket-path") => Some(&mut path),
            Some("--fd") => Some(&mut fd),
            Some("--profile") => Some(&mut profile),
            Some("--with") => Some(&mut with),
            Some("--without") => None,
            _ => return Err(format!("unknown argument {}", argument.display())),
        };
        let value = value.or_else(|| arguments.next());
        let value = value.filter(|value| !value.is_empty());
        let value = value.ok_or_else(|| format!("{} needs a value", name.display()))?;
        match slot {
            None => without.extend(features(&value)?),
            Some(slot) => {
                if slot.replace(value).is_some() {
                    return Err(format!("{} is given twice", name.display()));
                }
            }
        }
    }
    let endpoint = match (path, fd) {
        (Some(path), None) => Ok(Endpoint::SocketPath(PathBuf::from(path))),
        (None, Some(fd)) => {
            let number = fd.to_str().and_then(|fd| fd.parse().ok());
            let number = number.ok_or_else(|| format!("--fd takes a number, not {}", fd.display()))?;
            Endpoint::inherited(number).map_err(|error| error.to_string())
        }
        (Some(_), Some(_)) => Err("--socket-path and --fd exclude each other".to_owned()),
        (None, None) => Err("one of --socket-path=PATH and --fd=N is needed".to_owned()),
    };
    let profile = profile.map(|name| name.to_string_lossy().parse()).transpose()?.unwrap_or_default();
    let with = with.map(|word| word.to_string_lossy().parse()).transpose()?;
    let settings = Settings { profile, without: without.into_iter().collect(), with };
    if with.is_some() && !settings.has_migration_region() {
        return Err("--with=pfn-query needs a migration region, which the older profiles have".to_owned());
    }
    Ok((endpoint?, settings))
}

/// The features of `--without`, between commas.
fn features(words: &OsStr) -> Result<Vec<Feature>, String> {
    words.to_string_lossy().split(',').map(str::parse).collect()
}

/// An option and the value behind its `=`, if it has one.
fn split(argument: &OsStr) -> (OsString, Option<OsString>) {
    let bytes = argument.as_bytes();
    match bytes.iter().position(|byte| *byte == b'=') {
        None => (argument.to_owned(), None),
        Some(at) => {
            let (name, value) = bytes.split_at(at);
            (OsString::from_vec(name.to_vec()), Some(OsString::from_vec(value.iter().skip(1).copied().collect())))
        }
    }
}
