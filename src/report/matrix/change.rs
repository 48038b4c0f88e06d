//! What became better and worse from one report to another.

use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet};

use super::Source;
use crate::generate::GENERATED;
use crate::report::Report;
use crate::verdict::{CaseRecord, CaseResult, Check, RequirementStatus, Said, Status};

/// Which way something changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Direction {
    /// For the worse: what is wrong now was not, or what was shown to be right is no longer looked at.
    Worse,
    /// For the better.
    Better,
    /// Neither can be said, as of a violation that is no longer looked at.
    Neither,
}

/// A requirement of which the two reports say different things.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// The requirement's id.
    pub id: String,
    /// What the first report says.
    pub from: Status,
    /// What the second one says.
    pub to: Status,
    /// What a reader wants to know besides: why it is not exercised, or why it is neither better nor worse.
    pub why: Option<String>,
    /// Which way it went.
    pub direction: Direction,
}

/// A case whose result is another one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CaseChange {
    /// Its name.
    pub name: String,
    /// Its result in the first report; `None` where only the second one has such a generated case.
    pub from: Option<CaseResult>,
    /// Its result in the second one; `None` where only the first one has such a generated case.
    pub to: Option<CaseResult>,
    /// Which way it went.
    pub direction: Direction,
}

/// What became better and worse between two reports of one version of the protocol.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Changes {
    /// Of requirements, by id.
    pub requirements: Vec<Change>,
    /// Of cases, by name.
    pub cases: Vec<CaseChange>,
    /// How many cases both reports have, skipped in both aside.
    pub compared: usize,
    /// Both drew the same sequences.
    pub drawn_alike: bool,
    /// How many cases only the first report has.
    pub gone: usize,
    /// The cases that only the first report has, and that were played there.
    pub lost: Vec<String>,
    /// How many cases only the second report has.
    pub new: usize,
}

/// A report whose cases can be found by their names.
struct Cases<'a> {
    report: &'a Report,
    by_name: BTreeMap<&'a str, &'a CaseRecord>,
}

impl<'a> Cases<'a> {
    fn of(source: &'a Source) -> Cases<'a> {
        let report = &source.report;
        Cases { report, by_name: report.cases.iter().map(|case| (case.name.as_str(), case)).collect() }
    }

    /// The cases that say this of a requirement, where the whole says this, too.
    fn saying(&self, id: &str, status: Status) -> impl Iterator<Item = &'a CaseRecord> {
        let says = move |said| match status {
            Status::Violated => said == Said::Violated,
            Status::Noted => said == Said::Noted,
            Status::Verified | Status::Observed => said == Said::Held,
            Status::NotExercised => false,
        };
        let checks = move |check: &Check| check.requirement == id && says(check.said);
        self.report.cases.iter().filter(move |case| case.checks.iter().any(checks))
    }

    /// It came to where a case of the other report says something of a requirement.
    fn looked(&self, name: &str, id: &str) -> bool {
        self.by_name.get(name).is_some_and(|case| {
            case.result == CaseResult::Pass || case.checks.iter().any(|check| check.requirement == id)
        })
    }

    /// It was selected, and came to nothing for a reason that is the server's, as where that has not got what it needs.
    fn has(&self, name: &str) -> bool {
        self.by_name.get(name).is_some_and(|case| case.result != CaseResult::Error)
    }

    /// Both drew the same sequences, so that a failure which one of them alone has is one that the other has not.
    fn drew_as(&self, other: &Cases<'_>) -> bool {
        let drawn = |report: &Report| {
            let generated = report.generated.filter(|generated| generated.answered > 0)?;
            Some((generated.seed, generated.sequences, report.harness.clone()))
        };
        let offers = |report: &Report| report.target.discovered.offers().map(str::to_owned).collect::<BTreeSet<_>>();
        drawn(self.report).is_some()
            && drawn(self.report) == drawn(other.report)
            && offers(self.report) == offers(other.report)
    }
}

impl Changes {
    pub(super) fn between(before: &Source, after: &Source) -> Changes {
        let (before, after) = (Cases::of(before), Cases::of(after));
        let (one, two) = (&before.report.requirements, &after.report.requirements);
        let both = one.iter().filter_map(|(id, from)| Some((id, from, two.get(id)?)));
        let requirements = both.filter(|(_, from, to)| from.status != to.status).map(|(id, from, to)| {
            let direction = direction(id, (&before, from.status), (&after, to.status));
            Change { id: id.clone(), from: from.status, to: to.status, why: why(from, to, direction), direction }
        });
        let drawn_alike = before.drew_as(&after);
        let mut changes = Changes { requirements: requirements.collect(), drawn_alike, ..Changes::default() };
        for name in before.by_name.keys().chain(after.by_name.keys()).collect::<BTreeSet<_>>() {
            let result = |cases: &Cases<'_>| cases.by_name.get(name).map(|case| case.result);
            let (from, to) = (result(&before), result(&after));
            let skipped = |result| result == Some(CaseResult::Skip);
            let looked = |result| matches!(result, Some(CaseResult::Pass | CaseResult::Fail | CaseResult::Skip));
            // What is skipped where it was played before is a feature that is lost.
            if looked(from) && looked(to) && [from, to] != [Some(CaseResult::Skip); 2] {
                changes.compared += 1;
            }
            if matches!(from, Some(CaseResult::Pass | CaseResult::Fail)) && to == Some(CaseResult::Error) {
                changes.lost.push((*name).to_owned());
            }
            match (from, to) {
                _ if from == to => {}
                (Some(_), None) if !name.starts_with(GENERATED) => {
                    changes.gone += 1;
                    changes.lost.extend((!skipped(from)).then(|| (*name).to_owned()));
                }
                (None, Some(_)) if !name.starts_with(GENERATED) => changes.new += 1,
                _ => {
                    let direction = of_results(from, to, drawn_alike);
                    changes.cases.push(CaseChange { name: (*name).to_owned(), from, to, direction });
                }
            }
        }
        changes
    }

    /// Something became worse.
    pub fn has_worse(&self) -> bool {
        self.requirements.iter().any(|change| change.direction == Direction::Worse)
            || self.cases.iter().any(|change| change.direction == Direction::Worse)
    }

    /// Nothing that one report says can be held against the other.
    pub fn is_of_nothing(&self) -> bool {
        self.compared == 0 && !self.drawn_alike
    }

    /// The requirements that went this way.
    pub fn of(&self, direction: Direction) -> impl Iterator<Item = &Change> {
        self.requirements.iter().filter(move |change| change.direction == direction)
    }

    /// How many requirements and how many cases went this way.
    pub fn count(&self, direction: Direction) -> (usize, usize) {
        let cases = self.cases.iter().filter(|change| change.direction == direction).count();
        (self.of(direction).count(), cases)
    }
}

/// From worst to best is violated, noted, verified or observed. Only cases that both reports have show a change: a violation that
/// only the second one could see may have been there before, and one that nobody looks at any more is not mended. What is not
/// exercised stands beside them: to lose what was shown is worse.
fn direction(id: &str, (before, from): (&Cases<'_>, Status), (after, to): (&Cases<'_>, Status)) -> Direction {
    use Status::{NotExercised, Noted, Observed, Verified, Violated};
    let rank = |status: Status| match status {
        Violated => 0,
        Noted => 1,
        Observed | Verified | NotExercised => 2,
    };
    let is_so = |shown: bool, direction: Direction| if shown { direction } else { Direction::Neither };
    match (from, to) {
        (Violated | Noted, NotExercised) | (NotExercised, Violated | Noted) => Direction::Neither,
        (Observed | Verified, NotExercised) => {
            is_so(before.saying(id, from).any(|case| after.has(&case.name)), Direction::Worse)
        }
        (NotExercised, Observed | Verified) => {
            is_so(after.saying(id, to).any(|case| before.has(&case.name)), Direction::Better)
        }
        (from, to) => match rank(to).cmp(&rank(from)) {
            Ordering::Less => {
                let generated = before.drew_as(after);
                let looked = |name: &str| before.looked(name, id) || generated && name.starts_with(GENERATED);
                is_so(after.saying(id, to).any(|case| looked(&case.name)), Direction::Worse)
            }
            Ordering::Greater => {
                let mut showed = before.saying(id, from).peekable();
                let shown = showed.peek().is_some() && showed.all(|case| after.looked(&case.name, id));
                is_so(shown, Direction::Better)
            }
            Ordering::Equal => Direction::Neither,
        },
    }
}

/// What a reader wants to know besides.
fn why(from: &RequirementStatus, to: &RequirementStatus, direction: Direction) -> Option<String> {
    use Status::{NotExercised, Observed, Verified};
    match (from.status, to.status) {
        (_, NotExercised) => to.reason.clone(),
        _ if direction != Direction::Neither => None,
        (NotExercised, _) => from.reason.as_ref().map(|reason| format!("before, {reason}")),
        (Verified | Observed, Verified | Observed) => None,
        _ => Some("no case that shows it came as far in both".to_owned()),
    }
}

/// A case in error is our fault, and says nothing of the server; one that was skipped or is inconclusive had not looked. A
/// generated one is there only where it failed, and `drawn_alike` where it would have failed in the other report, too.
fn of_results(from: Option<CaseResult>, to: Option<CaseResult>, drawn_alike: bool) -> Direction {
    use CaseResult::{Error, Fail, Inconclusive, Pass, Skip};
    match (from, to) {
        (Some(Error), _) | (_, Some(Error)) => Direction::Neither,
        (Some(_), Some(Pass)) => Direction::Better,
        (Some(Pass), Some(_)) => Direction::Worse,
        (None, Some(Fail)) if drawn_alike => Direction::Worse,
        (Some(Fail | Skip | Inconclusive), _) | (_, None) | (None, _) => Direction::Neither,
    }
}
