//! `reference-server`.

use std::path::PathBuf;

use clap::Args;
use vfio_user_reference_server::{Endpoint, Extra, Feature, Profile, Settings, run};

use super::Failure;
use crate::report::ExitCode;

/// Serve the conformance device on a socket, as the backend program conventions say.
#[derive(Debug, Args)]
pub(super) struct ReferenceServer {
    /// Path of the UNIX socket to listen on.
    #[arg(long, value_name = "PATH", required_unless_present = "fd", conflicts_with = "fd")]
    socket_path: Option<PathBuf>,
    /// Descriptor of a socket that was inherited, connected or listening.
    #[arg(long, value_name = "N")]
    fd: Option<i32>,
    /// The protocol that it speaks: 0.9.2, 0.9.1, v8c or v8.
    #[arg(long, value_name = "NAME", default_value = "0.9.2")]
    profile: Profile,
    /// What the server shall lack, between commas; an unknown word brings up the list of them.
    #[arg(long, value_name = "WORDS", value_delimiter = ',')]
    without: Vec<Feature>,
    /// What the server shall have that no text of the protocol names: pfn-query.
    #[arg(long, value_name = "WORD")]
    with: Option<Extra>,
}

impl ReferenceServer {
    pub(super) fn main(&self) -> Result<ExitCode, Failure> {
        let endpoint = match (&self.socket_path, self.fd) {
            (Some(path), _) => Endpoint::SocketPath(path.clone()),
            (None, Some(number)) => Endpoint::inherited(number).map_err(|error| Failure::usage(error.to_string()))?,
            (None, None) => return Err(Failure::usage("one of --socket-path=PATH and --fd=N is needed")),
        };
        let without = self.without.iter().copied().collect();
        let settings = Settings { profile: self.profile, without, with: self.with };
        run(endpoint, settings).map_err(|error| Failure::usage(error.to_string()))?;
        Ok(ExitCode::Conforming)
    }
}
