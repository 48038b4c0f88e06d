//! A server that was asked what it offers, and is not judged.

use serde::Serialize;

use super::options::TargetOptions;
use super::{Failure, limits, setup};
use crate::report::{Profile, SCHEMA};
use crate::target::{DeviceFile, Discovered, Launcher, Spoken, probe};

/// A server that was asked what it offers.
pub(super) struct Asked {
    /// What it is called.
    pub(super) name: String,
    /// The version of the protocol that was asked for.
    profile_asked: String,
    /// The version that it was asked in.
    pub(super) spoken: Spoken,
    /// What it answered.
    pub(super) found: Discovered,
}

/// What a JSON document of such a server begins with, as the report of a run has it.
#[derive(Serialize)]
pub(super) struct Head<'a> {
    schema: &'static str,
    target: How<'a>,
    profile: Profile,
}

#[derive(Serialize)]
struct How<'a> {
    how: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    discovered: Option<&'a Discovered>,
}

impl Asked {
    /// Asks the server.
    pub(super) fn of(options: &TargetOptions, device: Option<&DeviceFile>) -> Result<Asked, Failure> {
        let (target, name) = options.target()?;
        let timeouts = options.timeouts();
        limits::prepare(options.starts_servers())?;
        let interrupt = setup::interrupt()?;
        let launcher = Launcher::new(target, timeouts.start, options.one_at_a_time())
            .map_err(|error| Failure::ours(error.to_string()))?;
        let spoken = options.spoken(&launcher, &interrupt)?;
        let found = probe(spoken.profile, &launcher, device, timeouts, &interrupt)
            .map_err(|error| setup::probe_failure(&error))?;
        Ok(Asked { name, profile_asked: options.profile().to_string(), spoken, found })
    }

    /// The beginning of a document, with all that was found or without.
    pub(super) fn head(&self, whole: bool) -> Head<'_> {
        let Spoken { profile, why } = &self.spoken;
        Head {
            schema: SCHEMA,
            target: How { how: &self.name, discovered: whole.then_some(&self.found) },
            profile: Profile { asked: self.profile_asked.clone(), used: profile.to_string(), why: why.clone() },
        }
    }
}
