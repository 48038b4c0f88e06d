//! `reference-server`.

use std::path::PathBuf;

use clap::Args;
use vfio_user_reference_server::{Endpoint, Feature, run};

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
    /// What the server shall lack, between commas; an unknown word brings up the list of them.
    #[arg(long, value_name = "WORDS", value_delimiter = ',')]
    without: Vec<Feature>,
}

impl ReferenceServer {
    pub(super) fn main(&self) -> Result<ExitCode, Failure> {
        let endpoint = match (&self.socket_path, self.fd) {
            (Some(path), _) => Endpoint::SocketPath(path.clone()),
            (None, Some(number)) => Endpoint::inherited(number).map_err(|error| Failure::usage(error.to_string()))?,
            (None, None) => return Err(Failure::usage("one of --socket-path=PATH and --fd=N is needed")),
        };
        run(endpoint, self.without.iter().copied().collect()).map_err(|error| Failure::usage(error.to_string()))?;
        Ok(ExitCode::Conforming)
    }
}
