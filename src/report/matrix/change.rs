//! What became better and worse from one report to another.

use std::collections::{BTreeMap, BTreeSet};

use super::Source;
use crate::generate::GENERATED;
use crate::verdict::{CaseResult, NOT_SELECTED, RequirementStatus, Status};

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
    /// Why it is no longer exercised, where it is not.
    pub reason: Option<String>,
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
    /// How many cases only the first report has.
    pub gone: usize,
    /// How many cases only the second report has.
    pub new: usize,
}

impl Changes {
    pub(super) fn between(before: &Source, after: &Source) -> Changes {
        let (one, two) = (&before.report.requirements, &after.report.requirements);
        let both = one.iter().filter_map(|(id, from)| Some((id, from, two.get(id)?)));
        let requirements = both.filter(|(_, from, to)| from.status != to.status).map(|(id, from, to)| Change {
            id: id.clone(),
            from: from.status,
            to: to.status,
            reason: to.reason.clone().filter(|_| to.status == Status::NotExercised),
            direction: direction(from, to),
        });
        let mut changes = Changes { requirements: requirements.collect(), ..Changes::default() };
        let results = |source: &Source| -> BTreeMap<String, CaseResult> {
            source.report.cases.iter().map(|case| (case.name.clone(), case.result)).collect()
        };
        let (one, two) = (results(before), results(after));
        for name in one.keys().chain(two.keys()).collect::<BTreeSet<_>>() {
            let (from, to) = (one.get(name).copied(), two.get(name).copied());
            match (from, to) {
                _ if from == to => {}
                (Some(_), None) if !name.starts_with(GENERATED) => changes.gone += 1,
                (None, Some(_)) if !name.starts_with(GENERATED) => changes.new += 1,
                _ => {
                    let direction = of_results(from, to);
                    changes.cases.push(CaseChange { name: name.clone(), from, to, direction });
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

/// From worst to best is violated, noted, verified or observed. What is not exercised stands beside them: to lose what was
/// shown is worse, and a violation that nobody looks at is not mended.
fn direction(from: &RequirementStatus, to: &RequirementStatus) -> Direction {
    use Status::{NotExercised, Noted, Observed, Verified, Violated};
    let not_asked = |status: &RequirementStatus| status.reason.as_deref() == Some(NOT_SELECTED);
    let rank = |status: Status| match status {
        Violated => 0,
        Noted => 1,
        Observed | Verified | NotExercised => 2,
    };
    match (from.status, to.status) {
        _ if not_asked(from) || not_asked(to) => Direction::Neither,
        (Violated | Noted, NotExercised) => Direction::Neither,
        (Observed | Verified, NotExercised) => Direction::Worse,
        (NotExercised, Observed | Verified) => Direction::Better,
        (from, to) => match rank(to).cmp(&rank(from)) {
            std::cmp::Ordering::Less => Direction::Worse,
            std::cmp::Ordering::Greater => Direction::Better,
            std::cmp::Ordering::Equal => Direction::Neither,
        },
    }
}

/// A case in error is our fault, and says nothing of the server. A generated one is there only where it failed.
fn of_results(from: Option<CaseResult>, to: Option<CaseResult>) -> Direction {
    use CaseResult::{Error, Fail, Inconclusive, Pass, Skip};
    match (from, to) {
        (Some(Error), _) | (_, Some(Error)) => Direction::Neither,
        (_, Some(Pass)) => Direction::Better,
        (Some(Pass), Some(_)) => Direction::Worse,
        (_, Some(Fail)) => Direction::Worse,
        (None, Some(Skip | Inconclusive)) | (Some(_), _) | (None, None) => Direction::Neither,
    }
}
