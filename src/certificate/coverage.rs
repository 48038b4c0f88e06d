//! What a certificate covers, and what it does not.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::report::{Report, Totals};
use crate::verdict::{CaseResult, Status};

/// What was looked at, and what was not: a server is certified for what it offers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Coverage {
    /// Requirements of this version of the protocol, by status.
    pub(crate) requirements: Counts,
    /// Cases, by result.
    pub(crate) cases: Totals,
    /// What the server offers, in the words of `probe`.
    pub(crate) offers: BTreeSet<String>,
    /// Why cases do not apply to it, and how many.
    pub(crate) skipped: BTreeMap<String, usize>,
    /// The requirements of which no check was reached, each with the reason.
    pub(crate) not_exercised: BTreeMap<String, String>,
}

/// Requirements by their status.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Counts {
    /// All of this version of the protocol.
    pub(crate) all: usize,
    /// Those that were checked, and held.
    pub(crate) verified: usize,
    /// Those that were reached and are only reported, as a MAY is.
    pub(crate) observed: usize,
    /// Those with a note.
    pub(crate) noted: usize,
    /// Those that are violated.
    pub(crate) violated: usize,
    /// Those of which no check was reached.
    pub(crate) not_exercised: usize,
}

impl Counts {
    /// Those of which a check was reached.
    pub(crate) fn exercised(&self) -> usize {
        self.all.saturating_sub(self.not_exercised)
    }
}

impl Coverage {
    /// By a report.
    pub(crate) fn of(report: &Report) -> Coverage {
        let mut skipped = BTreeMap::new();
        for case in report.with_result(CaseResult::Skip) {
            *skipped.entry(case.reason.clone().unwrap_or_default()).or_default() += 1;
        }
        let not_exercised =
            report.requirements.iter().filter(|(_, requirement)| requirement.status == Status::NotExercised);
        Coverage {
            requirements: Counts {
                all: report.requirements.len(),
                verified: report.with_status(Status::Verified),
                observed: report.with_status(Status::Observed),
                noted: report.with_status(Status::Noted),
                violated: report.with_status(Status::Violated),
                not_exercised: report.with_status(Status::NotExercised),
            },
            cases: report.totals,
            offers: report.target.discovered.offers().map(str::to_owned).collect(),
            skipped,
            not_exercised: not_exercised
                .map(|(id, requirement)| (id.clone(), requirement.reason.clone().unwrap_or_default()))
                .collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::certificate::sample;
    use crate::report::sample::case;

    #[test]
    fn what_was_skipped_is_listed_with_its_reason() {
        let mut report = sample::report();
        report.cases.push(case("a.one", CaseResult::Skip, Some("no dma")));
        report.cases.push(case("a.two", CaseResult::Skip, Some("no dma")));
        report.target.discovered.yes("reset", &[]);
        report.target.discovered.no("dma", "no dma");
        let coverage = Coverage::of(&report);
        assert_eq!(coverage.skipped, BTreeMap::from([("no dma".to_owned(), 2)]));
        assert_eq!(coverage.offers, BTreeSet::from(["reset".to_owned()]));
        // Of the sample's three requirements the passing case checks HDR-21 alone.
        assert_eq!(coverage.requirements, Counts { all: 3, verified: 1, not_exercised: 2, ..Counts::default() });
        assert_eq!(coverage.requirements.exercised(), 1);
        let ids: Vec<&String> = coverage.not_exercised.keys().collect();
        assert_eq!(ids, ["HDR-19", "HDR-20"]);
        assert!(coverage.not_exercised.values().all(|reason| !reason.is_empty()));
    }
}
