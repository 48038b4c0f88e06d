//! Options that several subcommands take.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use clap::Args;

use super::{Failure, setup};
use crate::run::{Timeouts, quoted};
use crate::session::Interrupt;
use crate::target::{DeviceFile, Launcher, Spoken, Target, spoken};
use crate::{Profile, UnknownProfile};

/// How to reach the server.
#[derive(Debug, Clone, Default, Args)]
pub(super) struct TargetOptions {
    /// Start the server with this command, a process for each case. It is split like a shell does and runs without one;
    /// {socket} is a fresh path, {fd} a listening descriptor; with neither, --socket-path={socket} is appended.
    #[arg(long, value_name = "CMD", env = "VFIO_USER_CONFORMANCE_SPAWN")]
    spawn: Option<String>,
    /// Connect to this socket; with --spawn, the socket on which that server listens.
    #[arg(long, value_name = "PATH", env = "VFIO_USER_CONFORMANCE_SOCKET")]
    socket: Option<PathBuf>,
    /// What a black box cannot say of the device: a TOML file.
    #[arg(long, value_name = "FILE", env = "VFIO_USER_CONFORMANCE_DEVICE")]
    device: Option<PathBuf>,
    /// The version of the protocol to judge by: 0.9.2, 0.9.1, v8c, v8; auto finds out what the server speaks.
    #[arg(long, value_name = "P", default_value = "auto", env = "VFIO_USER_CONFORMANCE_PROFILE")]
    profile: AskedProfile,
    /// How long a server may take for a reply: `2`, `500ms`, `1.5s`. All other deadlines of a case follow it: five times as long for what may
    /// take long (a start, the reading of the first message on a connection, DEVICE_RESET, DMA_MAP and DMA_UNMAP, DEVICE_FEATURE, migration
    /// data, DIRTY_PAGES, what is done when a client has left), an eighth for what need not come.
    #[arg(long, value_name = "D", default_value = "2s", env = "VFIO_USER_CONFORMANCE_TIMEOUT")]
    timeout: Timeouts,
}

/// How to reach the server that is certified: by the command line alone, nothing of it is taken from the environment.
#[derive(Debug, Clone, Args)]
pub(super) struct Reached {
    /// Start the server with this command, a process for each case, as `run` does.
    #[arg(long, value_name = "CMD")]
    spawn: Option<String>,
    /// Connect to this socket; with --spawn, the socket on which that server listens.
    #[arg(long, value_name = "PATH")]
    socket: Option<PathBuf>,
    /// What a black box cannot say of the device: a TOML file. Without one, what needs it is not covered.
    #[arg(long, value_name = "FILE")]
    device: Option<PathBuf>,
}

impl Reached {
    /// One of its options was given.
    pub(super) fn names_anything(&self) -> bool {
        self.spawn.is_some() || self.socket.is_some() || self.device.is_some()
    }

    /// A server was named.
    pub(super) fn names_server(&self) -> bool {
        self.spawn.is_some() || self.socket.is_some()
    }

    /// The options of a run that judges by this version, with these deadlines.
    pub(super) fn with(self, profile: Profile, timeout: Timeouts) -> TargetOptions {
        let Reached { spawn, socket, device } = self;
        TargetOptions { spawn, socket, device, profile: AskedProfile::This(profile), timeout }
    }
}

/// What `--format` says.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, clap::ValueEnum)]
pub(super) enum Format {
    /// For people.
    #[default]
    Text,
    /// For programs.
    Json,
}

/// What `--profile` says.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) enum AskedProfile {
    /// Whichever the server speaks.
    #[default]
    Auto,
    /// This one.
    This(Profile),
}

impl FromStr for AskedProfile {
    type Err = String;

    fn from_str(text: &str) -> Result<AskedProfile, String> {
        if text == "auto" {
            return Ok(AskedProfile::Auto);
        }
        let names = Profile::ALL.map(Profile::name).join(", ");
        text.parse().map(AskedProfile::This).map_err(|error: UnknownProfile| format!("{error}; one of auto, {names}"))
    }
}

impl fmt::Display for AskedProfile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            AskedProfile::Auto => f.pad("auto"),
            AskedProfile::This(profile) => profile.fmt(f),
        }
    }
}

/// The device file of the bundled reference server.
const BUNDLED_DEVICE: &str = include_str!("../../fixtures/devices/conformance.toml");

impl TargetOptions {
    /// The target, and its name for people.
    pub(super) fn target(&self) -> Result<(Target, String), Failure> {
        match (&self.spawn, &self.socket) {
            (None, Some(path)) => Ok((Target::Socket(path.clone()), path.display().to_string())),
            (Some(command), socket) => {
                let words = shlex::split(command)
                    .ok_or_else(|| Failure::usage(format!("--spawn {command:?}: a quote is not closed")))?;
                if words.is_empty() {
                    return Err(Failure::usage("--spawn needs a command"));
                }
                if socket.is_some() && words.iter().any(|word| word.contains("{socket}") || word.contains("{fd}")) {
                    return Err(Failure::usage(
                        "--socket says where the server listens, {socket} and {fd} say where it shall listen: use one of them",
                    ));
                }
                Ok((Target::Spawn { command: words, socket: socket.clone() }, command.clone()))
            }
            (None, None) => {
                let program = std::env::current_exe()
                    .map_err(|error| Failure::ours(format!("where this program is, is not known: {error}")))?;
                let mut command = vec![program.to_string_lossy().into_owned(), "reference-server".to_owned()];
                if let AskedProfile::This(profile) = self.profile {
                    command.extend(["--profile".to_owned(), profile.to_string()]);
                    if profile != Profile::V0_9_2 {
                        command.extend(["--with".to_owned(), "pfn-query".to_owned()]);
                    }
                }
                Ok((Target::Spawn { command, socket: None }, "the bundled reference server".to_owned()))
            }
        }
    }

    /// The file of the program that is started for a server, looked for as execvp(3) does; `None` where none is started.
    pub(super) fn program(&self) -> Result<Option<PathBuf>, Failure> {
        let Target::Spawn { command, .. } = self.target()?.0 else { return Ok(None) };
        let Some(word) = command.first() else { return Ok(None) };
        let starts =
            |file: &PathBuf| file.is_file() && nix::unistd::access(file, nix::unistd::AccessFlags::X_OK).is_ok();
        let (found, place) = if word.contains('/') {
            (Some(word.into()).filter(starts), "")
        } else {
            let path = std::env::var_os("PATH").unwrap_or_default();
            (std::env::split_paths(&path).map(|folder| folder.join(word)).find(starts), " in the folders of PATH")
        };
        found.map(Some).ok_or_else(|| Failure::unreachable(format!("--spawn: `{word}` is no program{place}")))
    }

    /// The version of the protocol that was asked for.
    pub(super) fn profile(&self) -> AskedProfile {
        self.profile
    }

    /// The version to judge by; where none was asked for, the server is asked.
    pub(super) fn spoken(&self, launcher: &Launcher, interrupt: &Interrupt) -> Result<Spoken, Failure> {
        match self.profile {
            AskedProfile::This(profile) => Ok(Spoken { profile, why: "asked for".to_owned() }),
            AskedProfile::Auto => {
                spoken(launcher, self.timeouts(), interrupt).map_err(|error| setup::probe_failure(&error))
            }
        }
    }

    /// How to reach another server: started with this command, with the same device file and patience.
    pub(super) fn of_other(&self, command: &str) -> TargetOptions {
        TargetOptions { spawn: Some(command.to_owned()), socket: None, ..self.clone() }
    }

    /// What is known of the device.
    pub(super) fn device(&self) -> Result<Option<DeviceFile>, Failure> {
        let Some((name, text)) = self.device_text()? else { return Ok(None) };
        DeviceFile::parse(&name, &text).map(Some).map_err(|error| Failure::usage(error.to_string()))
    }

    /// Where the device file is.
    pub(super) fn device_path(&self) -> Option<&PathBuf> {
        self.device.as_ref()
    }

    /// The device file, and what stands in it.
    pub(super) fn device_text(&self) -> Result<Option<(String, String)>, Failure> {
        match &self.device {
            Some(path) => {
                let text = std::fs::read_to_string(path).map_err(|error| {
                    Failure::file(format!("could not read the device file {}: {error}", path.display()), &error)
                })?;
                Ok(Some((path.display().to_string(), text)))
            }
            None if !self.names_server() => Ok(Some(("conformance.toml".to_owned(), BUNDLED_DEVICE.to_owned()))),
            None => Ok(None),
        }
    }

    /// How long to wait for what.
    pub(super) fn timeouts(&self) -> Timeouts {
        self.timeout
    }

    /// A server was named; left out, `run` takes the bundled one.
    pub(super) fn names_server(&self) -> bool {
        self.spawn.is_some() || self.socket.is_some()
    }

    /// A device file was named.
    pub(super) fn names_device(&self) -> bool {
        self.device.is_some()
    }

    /// Servers are started, and have the limits of this process.
    pub(super) fn starts_servers(&self) -> bool {
        self.spawn.is_some() || self.socket.is_none()
    }

    /// A server that runs already serves one case at a time.
    pub(super) fn one_at_a_time(&self) -> bool {
        self.socket.is_some()
    }

    /// The options that tell this target from others: all but how long is waited for it.
    pub(super) fn named(&self) -> String {
        TargetOptions { timeout: Timeouts::default(), ..self.clone() }.again()
    }

    /// The options as they are typed again.
    pub(super) fn again(&self) -> String {
        let mut words = Vec::new();
        if let Some(command) = &self.spawn {
            words.extend(["--spawn".to_owned(), quoted(command)]);
        }
        if let Some(path) = &self.socket {
            words.extend(["--socket".to_owned(), quoted(&path.display().to_string())]);
        }
        if let Some(path) = &self.device {
            words.extend(["--device".to_owned(), quoted(&path.display().to_string())]);
        }
        if self.profile != AskedProfile::Auto {
            words.extend(["--profile".to_owned(), self.profile.to_string()]);
        }
        if self.timeout != Timeouts::default() {
            words.extend(["--timeout".to_owned(), self.timeout.to_string()]);
        }
        words.iter().map(|word| format!(" {word}")).collect()
    }
}
