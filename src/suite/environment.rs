//! Environment variables, which mirror options of `run`.

use std::env;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use super::Suite;
use crate::Profile;
use crate::run::quoted;
use crate::target::Target;

/// What the names of all of them begin with.
const PREFIX: &str = "VFIO_USER_CONFORMANCE_";
/// Those that mean something here.
const NAMES: [&str; 8] = ["SPAWN", "SOCKET", "DEVICE", "EXPECT", "CASES", "PROFILE", "TIMEOUT", "STRICT"];

impl Suite {
    /// What it is by the environment.
    pub(super) fn aimed(self) -> Result<Suite, String> {
        let mut suite = match target()? {
            // What is known of one server is not known of another.
            Some(target) => Suite { cases: self.cases, timeouts: self.timeouts, ..Suite::of(target) },
            None => self,
        };
        suite.device = path("DEVICE").or(suite.device);
        suite.expect = path("EXPECT").or(suite.expect);
        suite.cases = path("CASES").or(suite.cases);
        match text("PROFILE")?.as_deref() {
            None => {}
            Some("auto") => suite.profile = None,
            Some(name) => {
                let known = || format!("one of auto, {}", Profile::ALL.map(Profile::name).join(", "));
                let profile = name.parse().map_err(|error| format!("{PREFIX}PROFILE: {error}; {}", known()))?;
                suite.profile = Some(profile);
            }
        }
        if let Some(timeout) = text("TIMEOUT")? {
            suite.timeouts = timeout.parse().map_err(|error| format!("{PREFIX}TIMEOUT: {error}"))?;
        }
        if let Some(strict) = text("STRICT")? {
            suite.strict =
                yes(&strict).ok_or_else(|| format!("{PREFIX}STRICT: `{strict}` is neither true nor false"))?;
        }
        Ok(suite)
    }
}

/// The server, if it is another one.
fn target() -> Result<Option<Target>, String> {
    let socket = path("SOCKET");
    let Some(command) = text("SPAWN")? else { return Ok(socket.map(Target::Socket)) };
    let wrong = |why: &str| Err(format!("{PREFIX}SPAWN {command:?}: {why}"));
    let Some(words) = shlex::split(&command) else { return wrong("a quote is not closed") };
    if words.is_empty() {
        return wrong("it needs a command");
    }
    if socket.is_some() && words.iter().any(|word| word.contains("{socket}") || word.contains("{fd}")) {
        return wrong(
            "{socket} and {fd} say where the server shall listen, and _SOCKET says where it does: use one of them",
        );
    }
    Ok(Some(Target::Spawn { command: words, socket }))
}

/// The words that set again, before a command, what is set of them.
pub(super) fn again() -> String {
    let set = NAMES.iter().filter_map(|name| Some((name, env::var(format!("{PREFIX}{name}")).ok()?)));
    set.map(|(name, value)| format!("{PREFIX}{name}={} ", quoted(&value))).collect()
}

/// The command that runs one test of this program again; its name goes where `{case}` stands.
pub(super) fn command() -> String {
    let program = env::current_exe().unwrap_or_else(|_| PathBuf::from("test"));
    let words = match (env::var("CARGO_PKG_NAME"), target_name(&program)) {
        (Ok(package), Some(target)) => format!("cargo test -p {} --test {}", quoted(&package), quoted(&target)),
        _ => return format!("{}{} --exact {{case}}", again(), quoted(&program.to_string_lossy())),
    };
    format!("{}{words} -- --exact {{case}}", again())
}

/// The name of a test target by that of its program: cargo puts a hash behind it.
fn target_name(program: &Path) -> Option<String> {
    let (name, hash) = program.file_name().and_then(OsStr::to_str)?.rsplit_once('-')?;
    let is_hash = hash.len() == 16 && hash.bytes().all(|byte| byte.is_ascii_hexdigit());
    is_hash.then(|| name.to_owned())
}

fn path(name: &str) -> Option<PathBuf> {
    env::var_os(format!("{PREFIX}{name}")).map(PathBuf::from)
}

fn text(name: &str) -> Result<Option<String>, String> {
    match env::var(format!("{PREFIX}{name}")) {
        Ok(text) => Ok(Some(text)),
        Err(env::VarError::NotPresent) => Ok(None),
        Err(error) => Err(format!("{PREFIX}{name}: {error}")),
    }
}

/// The words that the command line takes for yes and no.
fn yes(text: &str) -> Option<bool> {
    match text.to_lowercase().as_str() {
        "y" | "yes" | "t" | "true" | "on" | "1" => Some(true),
        "n" | "no" | "f" | "false" | "off" | "0" => Some(false),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_test_target_is_known_by_the_name_of_its_program() {
        let name = |program: &str| target_name(Path::new(program));
        assert_eq!(name("/t/debug/deps/in-thread-0123456789abcdef").as_deref(), Some("in-thread"));
        assert_eq!(name("/t/debug/deps/in-thread"), None);
        assert_eq!(name("/usr/bin/conformance"), None);
    }

    #[test]
    fn yes_and_no_are_told_apart_from_other_words() {
        assert_eq!(
            (yes("1"), yes("True"), yes("off"), yes(""), yes("maybe")),
            (Some(true), Some(true), Some(false), None, None)
        );
    }
}
