//! What a run plays of all that there is for a version of the protocol.

use std::path::PathBuf;

use super::failed::{self, Failed};
use super::options::TargetOptions;
use super::{Failure, setup};
use crate::Profile;
use crate::report::Shard;
use crate::requirement::Register;
use crate::run::{Library, Planned, Selection};

/// What there is to choose from, and by what.
pub(super) struct Choice<'a> {
    pub(super) register: &'a Register,
    /// The version that the server speaks; `None` where it was never spoken to.
    pub(super) profile: Option<Profile>,
    pub(super) library: &'a Library,
    /// Of sequences that were drawn, those that failed.
    pub(super) kept: &'a Library,
    pub(super) selection: &'a Selection,
    pub(super) again: Option<&'a Failed>,
    pub(super) shard: Option<(usize, usize)>,
    /// Sequences are drawn, which `generated` among the filters stands for.
    pub(super) draws: bool,
    /// Sequences are all that is played.
    pub(super) compares: bool,
    /// There are expectations, which may be of cases that other versions have.
    pub(super) pinned: bool,
}

/// What was chosen.
pub(super) struct Chosen {
    /// The names of all cases of the version.
    pub(super) all: Vec<String>,
    /// The cases, of this part.
    pub(super) cases: Vec<Planned>,
    /// The sequences that are played once more.
    pub(super) sequences: Vec<Planned>,
    /// The files of those that belong to no part.
    left: Vec<PathBuf>,
    /// The names of what failed and is there no more.
    pub(super) gone: Vec<String>,
    /// The part, and what was selected in all.
    pub(super) part: Option<Shard>,
    /// The cases of other versions, where they are asked for.
    pub(super) elsewhere: Vec<(String, Profile)>,
    /// That a filter selects nothing.
    pub(super) idle: Option<String>,
}

impl Choice<'_> {
    pub(super) fn chosen(&self) -> Result<Chosen, Failure> {
        // Of a server that was never spoken to, the report says what could not be run.
        let profile = self.profile.unwrap_or(Profile::V0_9_2);
        let plan = setup::plan(self.library, profile, self.register)?;
        let kept = setup::plan(self.kept, profile, self.register)?.cases;
        let all: Vec<String> = plan.cases.iter().map(|case| case.name.clone()).collect();
        let gone = self.again.map_or_else(Vec::new, |again| again.gone(&all, &kept));

        let mut idle = self.selection.unmatched(plan.cases.iter().chain(&kept));
        idle.retain(|filter| !self.draws || *filter != "generated");
        let others = match idle.is_empty() && !self.pinned {
            true => Vec::new(),
            false => setup::plans_but(profile, self.library, self.register)?,
        };
        let of_others = self.selection.unmatched(others.iter().map(|(case, _)| case));
        if self.profile.is_none() {
            idle.retain(|filter| of_others.contains(filter));
        }
        let idle = (!idle.is_empty()).then(|| {
            let hint = match idle.iter().any(|filter| !of_others.contains(filter)) {
                true => " (another version of the protocol has such cases: see --profile)",
                false => "",
            };
            format!("{}{hint}", setup::nothing_selected(&idle, &all, None))
        });

        let admitted = plan.cases.into_iter().filter(|case| !self.compares && self.selection.admits(case));
        let mut cases: Vec<Planned> = admitted.collect();
        if let Some(again) = self.again {
            cases = again.among(cases);
        }
        let part =
            self.shard.map(|(index, count)| Shard::of(index, count, cases.iter().map(|case| case.name.as_str())));
        cases.retain(|case| part.is_none_or(|part| part.has(&case.name)));
        let mut sequences: Vec<Planned> = kept.into_iter().filter(|case| self.selection.admits(case)).collect();
        let left = if part.is_some() { std::mem::take(&mut sequences) } else { Vec::new() };
        let left = left.iter().map(|case| PathBuf::from(&case.source.name)).collect();
        let elsewhere = others.into_iter().map(|(case, profile)| (case.name, profile)).collect();
        Ok(Chosen { all, cases, sequences, left, gone, part, elsewhere, idle })
    }
}

impl Chosen {
    /// The names of what is played.
    pub(super) fn names(&self) -> Vec<String> {
        self.cases.iter().chain(&self.sequences).map(|case| case.name.clone()).collect()
    }

    /// What is said of that which failed and is not played.
    pub(super) fn left_out(&self, target: &TargetOptions) -> impl Iterator<Item = String> {
        [failed::said_of_gone(&self.gone), failed::said_of_files(&self.left, target)].into_iter().flatten()
    }
}
