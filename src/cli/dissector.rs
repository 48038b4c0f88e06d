//! `dissector`.

use clap::Args;

use super::Failure;
use crate::report::{ExitCode, dissector};

/// Print the dissector.
#[derive(Debug, Args)]
pub(super) struct Dissector {}

impl Dissector {
    pub(super) fn main(&self) -> Result<ExitCode, Failure> {
        say!("{}", dissector().trim_end());
        Ok(ExitCode::Conforming)
    }
}
