//! `list`.

use std::path::PathBuf;

use clap::Args;

use super::{Failure, setup};
use crate::Profile;
use crate::report::ExitCode;
use crate::run::{Coverage, Selection};

/// List the cases.
#[derive(Debug, Args)]
pub(super) struct List {
    /// Case names or requirement ids, with globs.
    #[arg(value_name = "FILTER")]
    filters: Vec<String>,
    /// Case files of this folder instead of those that are compiled in.
    #[arg(long, value_name = "DIR", env = "VFIO_USER_CONFORMANCE_CASES")]
    cases: Option<PathBuf>,
    /// The version of the protocol whose cases are meant.
    #[arg(long, value_name = "P", default_value = "0.9.2")]
    profile: Profile,
    /// List requirements instead, of all versions, with the cases that check each.
    #[arg(long, conflicts_with_all = ["filters", "profile"])]
    requirements: bool,
}

impl List {
    pub(super) fn main(&self) -> Result<ExitCode, Failure> {
        let register = setup::register()?;
        let library = setup::library(self.cases.as_deref(), &register)?;
        if self.requirements {
            let plan = library.plan_of_all(&register).map_err(Failure::usage)?;
            say!("{}", Coverage::new(&register, &plan).to_string().trim_end());
            return Ok(ExitCode::Conforming);
        }
        let plan = setup::plan(&library, self.profile, &register)?;
        let selection = Selection::new(&self.filters, &register).map_err(Failure::usage)?;
        let chosen: Vec<_> = plan.cases.iter().filter(|case| selection.admits(case)).collect();
        let idle = selection.unmatched(plan.cases.iter());
        if chosen.is_empty() || !idle.is_empty() {
            let names: Vec<String> = plan.cases.iter().map(|case| case.name.clone()).collect();
            let sentence = setup::nothing_selected(&idle, &names, self.cases.as_deref());
            return Err(Failure { code: ExitCode::NothingRan, sentence });
        }
        for case in &chosen {
            say!("{}", case.name);
        }
        Ok(ExitCode::Conforming)
    }
}
