//! Whether every selected case has one result.

use std::collections::{BTreeMap, BTreeSet};

use crate::generate::GENERATED;
use crate::verdict::CaseRecord;

/// The cases that were selected, against the results that came.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Account {
    /// How many results there are to be: one for each selected case, and one for each that generation wrote.
    pub(super) selected: usize,
    /// The selected cases that have none.
    pub(super) not_run: Vec<String>,
    /// What should not be, as sentences: two results for one case, one that nobody asked for, or none though the run came to
    /// its end.
    pub(super) faults: Vec<String>,
}

impl Account {
    /// `complete` where the run came to its end.
    pub(super) fn of(selected: &[String], cases: &[CaseRecord], complete: bool) -> Account {
        let asked: BTreeSet<&str> = selected.iter().map(String::as_str).collect();
        let mut results: BTreeMap<&str, usize> = BTreeMap::new();
        for case in cases {
            *results.entry(&case.name).or_default() += 1;
        }
        let (mut generated, mut faults) = (0, Vec::new());
        for (name, count) in &results {
            let due = usize::from(asked.contains(name));
            if name.starts_with(GENERATED) {
                generated += count.saturating_sub(due);
            } else if *count != due {
                let due = if due == 0 { "was not selected" } else { "was selected once" };
                faults.push(format!("{name} {due} and has {count} results: a fault of this program"));
            }
        }
        let not_run: Vec<String> =
            selected.iter().filter(|name| !results.contains_key(name.as_str())).cloned().collect();
        if complete {
            faults.extend(not_run.iter().map(|name| format!("{name} has no result: a fault of this program")));
        }
        Account { selected: asked.len() + generated, not_run, faults }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::sample;
    use crate::verdict::CaseResult;

    fn account(selected: &[&str], results: &[&str], complete: bool) -> Account {
        let selected: Vec<String> = selected.iter().map(|name| (*name).to_owned()).collect();
        let cases: Vec<CaseRecord> = results.iter().map(|name| sample::case(name, CaseResult::Pass, None)).collect();
        Account::of(&selected, &cases, complete)
    }

    #[test]
    fn a_result_for_each_case_is_in_order() {
        let right = account(&["a.one", "b.two"], &["b.two", "a.one", "generated.hdr-02"], true);
        assert_eq!(right, Account { selected: 3, not_run: Vec::new(), faults: Vec::new() });
    }

    #[test]
    fn a_run_that_ended_early_has_cases_without_result() {
        let early = account(&["a.one", "b.two"], &["a.one"], false);
        assert_eq!(early, Account { selected: 2, not_run: vec!["b.two".to_owned()], faults: Vec::new() });
    }

    #[test]
    fn what_a_run_may_not_come_to_is_a_fault() {
        let faults = |selected: &[&str], results: &[&str]| account(selected, results, true).faults;
        assert_eq!(faults(&["a.one"], &[]), ["a.one has no result: a fault of this program"]);
        assert_eq!(
            faults(&["a.one"], &["a.one", "a.one"]),
            ["a.one was selected once and has 2 results: a fault of this program"]
        );
        assert_eq!(faults(&[], &["a.one"]), ["a.one was not selected and has 1 results: a fault of this program"]);
    }
}
