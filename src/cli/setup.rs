//! What several subcommands begin with.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use signal_hook::iterator::Signals;

use super::Failure;
use crate::Profile;
use crate::report::ExitCode;
use crate::requirement::Register;
use crate::run::{Library, LibraryError, Plan, Planned};
use crate::session::Interrupt;
use crate::target::{ProbeError, abandon, ending_signals};

/// The register that is compiled in.
pub(super) fn register() -> Result<Register, Failure> {
    Register::bundled().map_err(|error| Failure::ours(error.to_string()))
}

/// The cases of a folder, or those that are compiled in.
pub(super) fn library(directory: Option<&Path>, register: &Register) -> Result<Library, Failure> {
    let library = match directory {
        Some(directory) => Library::from_directory(directory, register),
        None => Library::bundled(register),
    };
    library.map_err(|error| complaint(&error))
}

/// The cases of these files alone.
pub(super) fn files(paths: &[PathBuf], register: &Register) -> Result<Library, Failure> {
    Library::from_files(paths, register).map_err(|error| complaint(&error))
}

fn complaint(error: &LibraryError) -> Failure {
    match error {
        LibraryError::Cases(diagnostics) => {
            let colour = anstream::AutoStream::choice(&std::io::stderr()) != anstream::ColorChoice::Never;
            let rendered: Vec<String> =
                diagnostics.iter().map(|(source, diagnostic)| diagnostic.render(source, colour)).collect();
            Failure::usage(format!("{error}\n{}", rendered.join("\n")))
        }
        LibraryError::Read { error: why, .. } => Failure::file(error.to_string(), why),
    }
}

/// The plan of all cases for a version of the protocol.
pub(super) fn plan(library: &Library, profile: Profile, register: &Register) -> Result<Plan, Failure> {
    library.plan(profile, register).map_err(Failure::usage)
}

/// The cases of all other versions, with their versions.
pub(super) fn plans_but(
    profile: Profile,
    library: &Library,
    register: &Register,
) -> Result<Vec<(Planned, Profile)>, Failure> {
    let mut others = Vec::new();
    for other in Profile::ALL.into_iter().filter(|other| *other != profile) {
        others.extend(plan(library, other, register)?.cases.into_iter().map(|case| (case, other)));
    }
    Ok(others)
}

/// What is said where a filter, or where there is none the folder, selects no case.
pub(super) fn nothing_selected(idle: &[&str], names: &[String], directory: Option<&Path>) -> String {
    match directory {
        Some(directory) if idle.is_empty() => format!("{} has no case files (*.case)", directory.display()),
        _ => {
            let similar: Vec<&str> = idle.iter().filter_map(|idle| meant(idle, names)).collect();
            let hint =
                if similar.is_empty() { String::new() } else { format!("; did you mean {}?", similar.join(", ")) };
            let idle = idle.join(" ");
            format!("no case is selected by {idle}{hint}; `vfio-user-conformance list` shows them all")
        }
    }
}

/// The case, without its parameters, whose name is most like what was typed.
fn meant<'n>(typed: &str, names: &'n [String]) -> Option<&'n str> {
    let bare: BTreeSet<&str> = names.iter().map(|name| name.split('/').next().unwrap_or(name)).collect();
    crate::case::similar(typed, bare)
}

/// Prints a document, for programs.
pub(super) fn say_json(document: &impl serde::Serialize) -> Result<ExitCode, Failure> {
    let text = serde_json::to_string_pretty(document).map_err(|error| Failure::ours(error.to_string()))?;
    say!("{text}");
    Ok(ExitCode::Conforming)
}

/// An interrupt that Ctrl-C, SIGTERM, or the end of the terminal raises; a second one ends the program at once.
pub(super) fn interrupt() -> Result<Interrupt, Failure> {
    static HANDLED: OnceLock<Interrupt> = OnceLock::new();
    if let Some(interrupt) = HANDLED.get() {
        return Ok(interrupt.clone());
    }
    let interrupt = Interrupt::new().map_err(|error| Failure::ours(format!("no eventfd: {error}")))?;
    let raised = interrupt.clone();
    let ours = |error: std::io::Error| Failure::ours(format!("signals cannot be handled: {error}"));
    let mut signals = Signals::new(ending_signals()).map_err(ours)?;
    std::thread::Builder::new()
        .name("signals".to_owned())
        .spawn(move || {
            for (times, _) in signals.forever().enumerate() {
                if times > 0 {
                    abandon();
                    std::process::exit(i32::from(ExitCode::Interrupted.number()));
                }
                raised.raise();
            }
        })
        .map_err(ours)?;
    Ok(HANDLED.get_or_init(|| interrupt).clone())
}

/// The failure that a probe's error is.
pub(super) fn probe_failure(error: &ProbeError) -> Failure {
    match error {
        ProbeError::Interrupted => Failure { code: ExitCode::Interrupted, sentence: error.to_string() },
        ProbeError::Ours(_) | ProbeError::Start(crate::target::StartError::Ours(_)) => Failure::ours(error.to_string()),
        ProbeError::Start(_) | ProbeError::NoVersion(_) | ProbeError::Keeps => Failure::unreachable(error.to_string()),
    }
}
