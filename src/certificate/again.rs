//! Whether another run came to the same, case by case.

use std::collections::{BTreeMap, BTreeSet};

use crate::report::Report;
use crate::verdict::{CaseRecord, CaseResult, Class};

/// What a run says of a case: its result, and which requirements have a violation or a note.
#[derive(Debug, PartialEq, Eq)]
struct Said {
    result: CaseResult,
    findings: BTreeSet<(String, Class)>,
}

/// What the second run says otherwise than the first one, as sentences by the names of the cases.
pub(crate) fn differences(before: &Report, after: &Report) -> Vec<String> {
    let (before, after) = (by_name(before), by_name(after));
    let names: BTreeSet<&str> = before.keys().chain(after.keys()).copied().collect();
    let told = names.into_iter().filter_map(|name| match (before.get(name), after.get(name)) {
        (before, after) if before == after => None,
        (before, after) => Some(format!("{name}: {}, and now {}", said(before), said(after))),
    });
    told.collect()
}

/// Several cases may have the one name that sequences of one requirement get.
fn by_name(report: &Report) -> BTreeMap<&str, Vec<Said>> {
    let mut cases: BTreeMap<&str, Vec<Said>> = BTreeMap::new();
    for case in &report.cases {
        cases.entry(&case.name).or_default().push(Said::of(case));
    }
    cases
}

impl Said {
    fn of(case: &CaseRecord) -> Said {
        let findings = case.findings.iter().map(|finding| (finding.requirement.clone(), finding.class));
        Said { result: case.result, findings: findings.collect() }
    }
}

fn said(cases: Option<&Vec<Said>>) -> String {
    let Some(cases) = cases else { return "not there".to_owned() };
    let each = cases.iter().map(|said| {
        let result = match said.result {
            CaseResult::Pass => "pass",
            CaseResult::Fail => "fail",
            CaseResult::Skip => "skip",
            CaseResult::Inconclusive => "inconclusive",
            CaseResult::Error => "error",
        };
        let found = said.findings.iter().map(|(requirement, class)| match class {
            Class::Violation => format!("{requirement} violated"),
            Class::Note => format!("{requirement} noted"),
        });
        let found: Vec<String> = found.collect();
        if found.is_empty() { result.to_owned() } else { format!("{result} ({})", found.join(", ")) }
    });
    each.collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::certificate::sample::{passes, report};
    use crate::report::sample::{case, wrong_errno};

    #[test]
    fn a_run_is_like_itself_however_long_it_took() {
        let (before, mut after) = (report(), report());
        after.cases[0].attempts[0].seconds = 7.0;
        assert!(differences(&before, &after).is_empty());
    }

    #[test]
    fn each_case_that_came_out_otherwise_is_told() {
        let (mut before, mut after) = (report(), report());
        let mut noted = wrong_errno();
        noted.findings.retain(|finding| finding.class == Class::Note);
        noted.result = CaseResult::Pass;
        before.cases = vec![passes(), noted, case("a.gone", CaseResult::Skip, Some("why"))];
        after.cases = vec![CaseRecord { result: CaseResult::Inconclusive, ..passes() }, wrong_errno()];
        assert_eq!(
            differences(&before, &after),
            [
                "a.gone: skip, and now not there",
                "dma-map.overlap: pass (HDR-21 noted), and now fail (HDR-20 violated, HDR-21 noted)",
                "version.plain: pass, and now inconclusive",
            ]
        );
    }
}
