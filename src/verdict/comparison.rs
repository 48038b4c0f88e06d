//! A run against its pinned expectations: what was met, and what drifted.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{CaseRecord, CaseResult, Expectation, Expectations, Observed, Pins};

/// What a run says of its pinned expectations.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Comparison {
    /// What was observed as it is pinned.
    pub met: Vec<Met>,
    /// What was not.
    pub drift: Vec<Drift>,
    /// What is pinned, in the report of a part (`--shard`): all parts together show whether it is met.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pins: Option<Pins>,
}

/// Something that was observed as it is pinned.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Met {
    /// The case.
    pub case: String,
    /// The requirement's id; `None` for an inconclusive case.
    pub requirement: Option<String>,
    /// What was observed.
    pub observed: Observed,
    /// Why it is known.
    pub reason: String,
    /// Where more is written of it.
    pub link: Option<String>,
}

/// One difference between a run and its pinned expectations; it prints as a sentence.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum Drift {
    /// Something was found that is not pinned.
    Unexpected {
        /// The case.
        case: String,
        /// The requirement's id; `None` for a case that is inconclusive or in error.
        requirement: Option<String>,
        /// What was found; `None` for a case in error.
        observed: Option<Observed>,
        /// What is known of it.
        detail: String,
    },
    /// Something else was found than what is pinned.
    OtherOutcome {
        /// The case.
        case: String,
        /// The requirement's id; `None` for an inconclusive case.
        requirement: Option<String>,
        /// What is pinned.
        pinned: Observed,
        /// What was found.
        observed: Observed,
        /// What is known of it.
        detail: String,
    },
    /// What is pinned was looked for and not found.
    Passes {
        /// The cases, as the entry names them.
        case: String,
        /// The requirement's id; `None` for an inconclusive case.
        requirement: Option<String>,
        /// What is pinned.
        pinned: Observed,
    },
    /// What is pinned was not looked for: every case of the entry was skipped.
    Skipped {
        /// The cases, as the entry names them.
        case: String,
        /// The requirement's id; `None` for an inconclusive case.
        requirement: Option<String>,
        /// Why the first of them was skipped.
        reason: String,
    },
    /// No case has the name that is pinned.
    NoCase {
        /// The cases, as the entry names them.
        case: String,
        /// The requirement's id; `None` for an inconclusive case.
        requirement: Option<String>,
        /// The version of the protocol that has such a case, where another one does.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        of: Option<String>,
    },
    /// The version that the run judges by has no such requirement.
    NoRequirement {
        /// The cases, as the entry names them.
        case: String,
        /// The requirement's id.
        requirement: String,
        /// What is known of that id.
        detail: String,
    },
    /// The run could not test something that it is pinned to test.
    Lacks {
        /// The words of `needs`.
        needs: Vec<String>,
        /// Why cases with these needs were skipped.
        reason: String,
    },
}

impl Drift {
    /// The case, or the cases as the entry names them; or the words of `needs`.
    pub fn about(&self) -> String {
        match self {
            Drift::Lacks { needs, .. } => needs.join(", "),
            Drift::Unexpected { case, .. }
            | Drift::OtherOutcome { case, .. }
            | Drift::Passes { case, .. }
            | Drift::Skipped { case, .. }
            | Drift::NoCase { case, .. }
            | Drift::NoRequirement { case, .. } => case.clone(),
        }
    }

    /// What there is to do about it.
    pub fn advice(&self) -> &'static str {
        match self {
            Drift::Unexpected { observed: None, .. } => "see why the case is in error: the server has no part in it",
            Drift::Unexpected { observed: Some(Observed::Inconclusive), .. } => {
                "see why, and run it again (with a longer --timeout where a deadline passed); pin it only if it is so each time"
            }
            Drift::Unexpected { .. } => "mend the server, or pin it with its reason (--expect-write drafts the entry)",
            Drift::OtherOutcome { .. } => {
                "see what has changed; if it is to stay, write the new outcome into the entry"
            }
            Drift::Passes { .. } => "take the entry out",
            Drift::Skipped { .. } => "offer again what the case needs, or take the entry out",
            Drift::NoCase { .. } => "mend the name (`list` shows all), or take the entry out",
            Drift::NoRequirement { .. } => "mend the id, or take the entry out",
            Drift::Lacks { .. } => "offer it again, or run it as it was pinned; or take it out of `offers`",
        }
    }
}

impl std::fmt::Display for Drift {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let on = |requirement: &Option<String>| requirement.as_ref().map_or(String::new(), |id| format!(" on {id}"));
        match self {
            Drift::Unexpected { case, requirement, observed: Some(observed), detail } => {
                write!(f, "{case}: \"{observed}\"{} is not pinned: {detail}", on(requirement))
            }
            Drift::Unexpected { case, detail, .. } => {
                write!(f, "{case}: the case is in error, which cannot be pinned: {detail}")
            }
            Drift::OtherOutcome { case, requirement, pinned, observed, detail } => {
                write!(f, "{case}: \"{observed}\"{} where \"{pinned}\" is pinned: {detail}", on(requirement))
            }
            Drift::Passes { case, requirement, pinned } => {
                write!(f, "{case}: \"{pinned}\"{} is pinned and no longer seen", on(requirement))
            }
            Drift::Skipped { case, requirement, reason } => {
                write!(
                    f,
                    "{case}: the entry{} could not be compared, since the case was skipped: {reason}",
                    on(requirement)
                )
            }
            Drift::NoCase { case, requirement, of: None } => {
                write!(f, "{case}: the entry{} matches no case", on(requirement))
            }
            Drift::NoCase { case, requirement, of: Some(profile) } => {
                write!(f, "{case}: the entry{} matches no case of this version, but one of {profile}", on(requirement))
            }
            Drift::NoRequirement { case, requirement, detail } => {
                write!(f, "{case}: the entry names {requirement}: {detail}")
            }
            Drift::Lacks { needs, reason } => {
                write!(f, "{}: pinned under `offers`, but what needs it was skipped: {reason}", needs.join(", "))
            }
        }
    }
}

/// One thing to be found among the pins.
pub(super) struct Observation {
    pub(super) requirement: Option<String>,
    pub(super) observed: Observed,
    pub(super) detail: String,
}

/// What a case shows. An inconclusive one shows that it is inconclusive, whatever its attempts found.
pub(super) fn observations(case: &CaseRecord) -> Vec<Observation> {
    if case.result == CaseResult::Inconclusive {
        let detail = case.reason.clone().unwrap_or_else(|| "no reason is known".to_owned());
        return vec![Observation { requirement: None, observed: Observed::Inconclusive, detail }];
    }
    let findings = case.findings.iter();
    findings
        .map(|finding| Observation {
            requirement: Some(finding.requirement.clone()),
            observed: Observed::of(finding),
            detail: format!("expected {}, got {}", finding.expected, finding.actual),
        })
        .collect()
}

impl Expectation {
    fn speaks_of(&self, case: &CaseRecord, observation: &Observation) -> bool {
        self.covers(&case.name)
            && match (&self.requirement, &observation.requirement) {
                // An inconclusive case has no finding whose requirement could be compared.
                (None, _) | (Some(_), None) => observation.observed == Observed::Inconclusive,
                (Some(pinned), Some(found)) => pinned == found,
            }
    }
}

impl Expectations {
    /// Compares a run with what is pinned; `not_run` are the selected cases that have no result, of which nothing is known.
    pub fn compare(&self, cases: &[CaseRecord], not_run: &[String]) -> Comparison {
        let mut comparison = Comparison { drift: self.misfits.clone(), ..Comparison::default() };
        let mut answered = vec![false; self.entries.len()];
        for case in cases {
            if case.result == CaseResult::Error {
                comparison.drift.push(Drift::Unexpected {
                    case: case.name.clone(),
                    requirement: None,
                    observed: None,
                    detail: case.reason.clone().unwrap_or_else(|| "no reason is known".to_owned()),
                });
                continue;
            }
            self.place_all(case, &mut comparison, &mut answered);
        }
        for (entry, answered) in self.entries.iter().zip(answered) {
            let unknown = self.cut_short && entry.may_be_generated();
            if !answered && !unknown {
                comparison.drift.extend(unanswered(entry, cases, not_run));
            }
        }
        comparison
    }

    /// What is pinned under `offers` and could not be tested, by reason; `lacks` gives that for a word of `needs`.
    pub fn lacking(&self, lacks: impl Fn(&str) -> Option<String>) -> Vec<Drift> {
        let mut by_reason: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for need in &self.offers {
            lacks(need).into_iter().for_each(|reason| by_reason.entry(reason).or_default().push(need.clone()));
        }
        by_reason.into_iter().map(|(reason, needs)| Drift::Lacks { needs, reason }).collect()
    }

    /// All that a case shows is pinned as it came.
    pub fn expect(&self, case: &CaseRecord) -> bool {
        let mut comparison = Comparison::default();
        self.place_all(case, &mut comparison, &mut vec![false; self.entries.len()]);
        comparison.drift.is_empty()
    }

    fn place_all(&self, case: &CaseRecord, comparison: &mut Comparison, answered: &mut [bool]) {
        // Violations first: a note beside the violation that is pinned is no other outcome.
        let mut seen = observations(case);
        seen.sort_by_key(|observation| observation.observed == Observed::Note);
        for observation in seen {
            self.place(case, observation, comparison, answered);
        }
    }

    fn place(&self, case: &CaseRecord, observation: Observation, comparison: &mut Comparison, answered: &mut [bool]) {
        let Observation { requirement, observed, .. } = &observation;
        let entries = || self.entries.iter().enumerate().filter(|(_, entry)| entry.speaks_of(case, &observation));
        let mut met = None;
        for (n, entry) in entries().filter(|(_, entry)| entry.outcome.admits(*observed)) {
            if let Some(answered) = answered.get_mut(n) {
                *answered = true;
            }
            met = met.or(Some(entry));
        }
        let case = case.name.clone();
        if let Some(entry) = met {
            let met = Met {
                case,
                requirement: requirement.clone(),
                observed: *observed,
                reason: entry.reason.clone(),
                link: entry.link.clone(),
            };
            if !comparison.met.contains(&met) {
                comparison.met.push(met);
            }
            return;
        }
        let is_note = *observed == Observed::Note;
        if is_note && !self.strict && comparison.finds(&case, requirement.as_deref()) {
            return;
        }
        if let Some((n, entry)) = entries().next() {
            if let Some(answered) = answered.get_mut(n) {
                *answered = true;
            }
            comparison.drift.push(Drift::OtherOutcome {
                case,
                requirement: requirement.clone(),
                pinned: entry.outcome,
                observed: *observed,
                detail: observation.detail,
            });
        } else if !is_note || self.strict {
            comparison.drift.push(Drift::Unexpected {
                case,
                requirement: requirement.clone(),
                observed: Some(*observed),
                detail: observation.detail,
            });
        }
    }
}

/// What is said of an entry that nothing has met.
fn unanswered(entry: &Expectation, cases: &[CaseRecord], not_run: &[String]) -> Option<Drift> {
    // One of its cases, of which nothing is known, may be the one that shows it.
    let covered: Vec<&CaseRecord> = cases.iter().filter(|case| entry.covers(&case.name)).collect();
    if covered.is_empty() && !not_run.is_empty() || entry.partial || not_run.iter().any(|name| entry.covers(name)) {
        return None;
    }
    let (case, requirement) = (entry.case.clone(), entry.requirement.clone());
    if covered.iter().any(|case| matches!(case.result, CaseResult::Pass | CaseResult::Fail)) {
        return Some(Drift::Passes { case, requirement, pinned: entry.outcome });
    }
    // What is inconclusive or in error drifts already, by itself.
    if covered.iter().any(|case| case.result != CaseResult::Skip) {
        return None;
    }
    Some(match covered.first() {
        Some(first) => Drift::Skipped { case, requirement, reason: first.reason.clone().unwrap_or_default() },
        // No sequence came to it, of those that were generated.
        None if entry.may_be_generated() => Drift::Passes { case, requirement, pinned: entry.outcome },
        None => Drift::NoCase { case, requirement, of: None },
    })
}

impl Comparison {
    /// How a finding is pinned, if it is.
    pub fn pin(&self, case: &str, requirement: Option<&str>, observed: Observed) -> Option<&Met> {
        self.met
            .iter()
            .find(|met| met.case == case && met.requirement.as_deref() == requirement && met.observed == observed)
    }

    fn finds(&self, case: &str, requirement: Option<&str>) -> bool {
        self.met.iter().any(|met| met.case == case && met.requirement.as_deref() == requirement)
    }
}
