//! What a run is about: which pinned expectations it can meet.

use super::{Drift, Expectation, Expectations};
use crate::Profile;
use crate::model::name_in;
use crate::requirement::Register;

/// What a run is about.
#[derive(Debug, Clone, Copy)]
pub struct Scope<'a> {
    /// The requirements.
    pub register: &'a Register,
    /// The version of the protocol that the run judges by.
    pub profile: Profile,
    /// The names of all cases of that version.
    pub all: &'a [String],
    /// The names of those that were selected.
    pub selected: &'a [String],
    /// Names of cases of other versions, with their versions.
    pub elsewhere: &'a [(String, Profile)],
    /// Sequences are generated.
    pub generates: bool,
    /// Only a part of them, as of the cases.
    pub sharded: bool,
}

impl Expectations {
    /// Without the entries that speak only of cases that exist and were not selected: a run of a part of the cases says
    /// nothing about them. What no run of this version can meet is drift.
    pub fn within(mut self, scope: &Scope<'_>) -> Expectations {
        let mut misfits = Vec::new();
        self.entries.retain_mut(|entry| {
            if !entry.is_within(scope) {
                return false;
            }
            let misfit = entry.misfit(scope);
            let fits = misfit.is_none();
            misfits.extend(misfit);
            fits
        });
        self.misfits = misfits;
        self
    }
}

impl Expectation {
    /// The run looks at what it speaks of, or it speaks of nothing that there is.
    fn is_within(&mut self, scope: &Scope<'_>) -> bool {
        let covers = |names: &[String]| names.iter().filter(|name| self.covers(name)).count();
        let (all, selected) = (covers(scope.all), covers(scope.selected));
        self.cases = all;
        if all == 0 && self.may_be_generated() {
            self.partial = scope.sharded;
            return scope.generates;
        }
        self.partial = selected < all;
        selected > 0 || all == 0 || scope.generates && self.may_be_generated()
    }

    /// Why nothing in a run of this version can meet it.
    fn misfit(&self, scope: &Scope<'_>) -> Option<Drift> {
        let (case, requirement) = (self.case.clone(), self.requirement.clone());
        if !self.may_be_generated() && !scope.all.iter().any(|name| self.covers(name)) {
            let elsewhere = scope.elsewhere.iter().find(|(name, _)| self.covers(name));
            let of = elsewhere.map(|(_, profile)| profile.to_string());
            return Some(Drift::NoCase { case, requirement, of });
        }
        let requirement = requirement?;
        let Some(known) = scope.register.get(&requirement) else {
            let similar = scope.register.similar(&requirement);
            let hint = if similar.is_empty() { String::new() } else { format!("; is {} meant?", similar.join(" or ")) };
            let detail = format!("no requirement has that id{hint}");
            return Some(Drift::NoRequirement { case, requirement, detail });
        };
        if known.is_of(scope.profile) {
            return None;
        }
        let name = name_in(scope.profile.dialect(), &requirement);
        let detail = if name == requirement {
            format!("it is no requirement of {}, which this run judges by", scope.profile)
        } else {
            format!("{} calls it {name}", scope.profile)
        };
        Some(Drift::NoRequirement { case, requirement, detail })
    }
}
