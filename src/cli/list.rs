//! `list`.

use std::path::PathBuf;

use clap::Args;
use serde::Serialize;

use super::asked::Asked;
use super::options::{AskedProfile, Format, TargetOptions};
use super::outlook::Outlook;
use super::{Failure, setup};
use crate::Profile;
use crate::report::{ExitCode, SCHEMA};
use crate::requirement::Register;
use crate::run::{Coverage, Library, Planned, Selection};

/// List the cases; with --spawn or --socket, which of them would run, and why the others would not.
///
/// The server is asked what it offers, and no case is played. Of what would run, a case may still be skipped where the server
/// refuses, with a legal reply, what the case sets up.
#[derive(Debug, Args)]
pub(super) struct List {
    #[command(flatten)]
    target: TargetOptions,
    /// Case names or requirement ids, with globs.
    #[arg(value_name = "FILTER")]
    filters: Vec<String>,
    /// Case files of this folder instead of those that are compiled in.
    #[arg(long, value_name = "DIR", env = "VFIO_USER_CONFORMANCE_CASES")]
    cases: Option<PathBuf>,
    /// List requirements instead, with the cases that check each: those of all versions, or with a server those of the version
    /// that it speaks, and why each that would not be exercised would not.
    #[arg(long, conflicts_with = "filters")]
    requirements: bool,
    /// How it is told.
    #[arg(long, value_name = "FORMAT", value_enum, default_value_t)]
    format: Format,
}

/// `--format json` without a server.
#[derive(Serialize)]
struct Document<'a> {
    schema: &'static str,
    profile: &'static str,
    cases: Vec<Listed<'a>>,
}

/// One case.
#[derive(Serialize)]
struct Listed<'a> {
    name: &'a str,
    file: &'a str,
    line: usize,
    requirements: Vec<String>,
}

impl List {
    pub(super) fn main(&self) -> Result<ExitCode, Failure> {
        let register = setup::register()?;
        let library = setup::library(self.cases.as_deref(), &register)?;
        if self.target.names_server() {
            let device = self.target.device()?;
            // What is wrong with a filter is told before any server is started.
            Selection::new(&self.filters, &register).map_err(Failure::usage)?;
            let asked = Asked::of(&self.target, device.as_ref())?;
            let chosen = self.chosen(&library, asked.spoken.profile, &register)?;
            return Outlook::new(&asked, &chosen, &register).tell(self.requirements, self.format);
        }
        if self.target.names_device() {
            let sentence = "--device: what would run depends on the server as well; name it with --spawn or --socket";
            return Err(Failure::usage(sentence));
        }
        if self.requirements {
            return self.list_requirements(&library, &register);
        }
        let profile = match self.target.profile() {
            AskedProfile::Auto => Profile::V0_9_2,
            AskedProfile::This(profile) => profile,
        };
        let chosen = self.chosen(&library, profile, &register)?;
        if self.format == Format::Json {
            let cases = chosen.iter().map(|case| Listed {
                name: &case.name,
                file: &case.source.name,
                line: case.line,
                requirements: case.requirements(),
            });
            let document = Document { schema: SCHEMA, profile: profile.name(), cases: cases.collect() };
            return setup::say_json(&document);
        }
        for case in &chosen {
            say!("{}", case.name);
        }
        Ok(ExitCode::Conforming)
    }

    fn list_requirements(&self, library: &Library, register: &Register) -> Result<ExitCode, Failure> {
        if self.target.profile() != AskedProfile::Auto {
            let sentence =
                "--requirements lists those of all versions, and takes no --profile without --spawn or --socket";
            return Err(Failure::usage(sentence));
        }
        if self.format == Format::Json {
            let sentence = "--requirements has no --format json without --spawn or --socket";
            return Err(Failure::usage(sentence));
        }
        let plan = library.plan_of_all(register).map_err(Failure::usage)?;
        say!("{}", Coverage::new(register, &plan).to_string().trim_end());
        Ok(ExitCode::Conforming)
    }

    /// The cases of a version that are selected.
    fn chosen(&self, library: &Library, profile: Profile, register: &Register) -> Result<Vec<Planned>, Failure> {
        let plan = setup::plan(library, profile, register)?;
        let selection = Selection::new(&self.filters, register).map_err(Failure::usage)?;
        let idle = selection.unmatched(plan.cases.iter());
        let any = plan.cases.iter().any(|case| selection.admits(case));
        if !any || !idle.is_empty() {
            let names: Vec<String> = plan.cases.iter().map(|case| case.name.clone()).collect();
            let sentence = setup::nothing_selected(&idle, &names, self.cases.as_deref());
            return Err(Failure { code: ExitCode::NothingRan, sentence });
        }
        Ok(plan.cases.into_iter().filter(|case| selection.admits(case)).collect())
    }
}
