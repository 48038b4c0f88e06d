//! One annotation: what failed a run, at the line of the case that shows it.

use std::fmt;

use super::command::{data, property};
use crate::report::Report;
use crate::report::terminal::finding::groups;
use crate::report::text::{count, cut, harmless};
use crate::requirement::Register;
use crate::verdict::{CaseRecord, CaseResult, Class, Drift, Finding};

/// GitHub shows no more of one kind from one step.
const MOST: usize = 10;
/// So many characters of one text are told.
const TEXT: usize = 600;

/// One annotation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Annotation {
    /// `error` or `warning`.
    kind: &'static str,
    /// A case file and a line in it, from 1.
    place: Option<(String, usize)>,
    title: String,
    message: Vec<String>,
}

impl Annotation {
    fn error(title: String, message: Vec<String>) -> Annotation {
        Annotation { kind: "error", place: None, title, message }
    }

    fn at(self, case: Option<&CaseRecord>, line: usize) -> Annotation {
        let place = case.map(|case| (case.file.clone(), if line == 0 { case.line } else { line }));
        Annotation { place, ..self }
    }
}

impl fmt::Display for Annotation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let told = |text: &str| cut(&harmless(text), TEXT);
        write!(f, "::{} ", self.kind)?;
        if let Some((file, line)) = &self.place {
            write!(f, "file={},line={line},", property(&told(file)))?;
        }
        let message: Vec<String> = self.message.iter().map(|line| told(line)).collect();
        write!(f, "title={}::{}", property(&told(&self.title)), data(&message.join("\n")))
    }
}

/// What failed a run, ten of them at most; none, where nothing did. The last one counts those that are left out.
pub(super) fn annotations(report: &Report, register: &Register) -> Vec<Annotation> {
    if report.exit_code == 0 {
        return Vec::new();
    }
    let mut all: Vec<Annotation> = report
        .faults
        .iter()
        .map(|fault| Annotation::error("the run".to_owned(), fault.lines().map(str::to_owned).collect()))
        .collect();
    all.extend(report.with_result(CaseResult::Error).map(|case| undecided(case, "in error")));
    match &report.expectations {
        Some(comparison) => all.extend(drift(&comparison.drift, report)),
        None => {
            all.extend(findings(report, register));
            let inconclusive = report.with_result(CaseResult::Inconclusive);
            all.extend(inconclusive.map(|case| Annotation { kind: "warning", ..undecided(case, "inconclusive") }));
        }
    }
    let parted = report.differential.iter().flat_map(|found| &found.divergences);
    let parted = parted.filter(|divergence| {
        divergence.class().is_some_and(|class| class == Class::Violation || report.strict && class == Class::Note)
    });
    all.extend(parted.map(|divergence| Annotation::error("the servers part".to_owned(), vec![divergence.to_string()])));
    if all.is_empty() {
        all.push(Annotation::error("the run".to_owned(), vec![report.said.clone()]));
    }
    if all.len() > MOST {
        let left = all.len() - (MOST - 1);
        all.truncate(MOST - 1);
        let message = vec!["The summary and the other reports tell all of them.".to_owned(), report.said.clone()];
        all.push(Annotation::error(format!("and {left} more"), message));
    }
    all
}

fn undecided(case: &CaseRecord, what: &str) -> Annotation {
    let reason = case.reason.as_deref().unwrap_or("no reason is known");
    Annotation::error(format!("{}: {what}", case.name), vec![reason.to_owned(), again(case)]).at(Some(case), 0)
}

fn again(case: &CaseRecord) -> String {
    format!("again: {}", case.replay)
}

/// One for each deviation, in however many cases.
fn findings<'a>(report: &'a Report, register: &'a Register) -> impl Iterator<Item = Annotation> + 'a {
    let classes = [Some(Class::Violation), report.strict.then_some(Class::Note)];
    classes.into_iter().flatten().flat_map(|class| groups(report.findings(class))).map(|group| {
        let (finding, case): (&Finding, &CaseRecord) = (group.finding, group.case);
        let mut message = Vec::new();
        if let Some(requirement) = register.get(&finding.requirement) {
            message.push(format!("{} ({}): {}", requirement.level, requirement.clause(), requirement.text));
        }
        message.push(format!("expected {}", finding.expected));
        message.push(format!("got {}", finding.actual));
        if !group.others.is_empty() {
            message.push(format!("and in {}", count(group.others.len(), "more case")));
        }
        message.push(again(case));
        Annotation::error(format!("{}: {}", finding.requirement, case.name), message).at(Some(case), finding.line)
    })
}

/// One for each difference from what is pinned; what is not pinned is told once, in however many cases.
fn drift(drift: &[Drift], report: &Report) -> Vec<Annotation> {
    let case_of = |name: &str| report.cases.iter().find(|case| case.name == name);
    let mut told: Vec<(Annotation, &Drift, usize)> = Vec::new();
    for one in drift {
        // A case in error is told as such.
        if matches!(one, Drift::Unexpected { observed: None, .. }) {
            continue;
        }
        if let Some((_, _, more)) = told.iter_mut().find(|(_, other, _)| alike(one, other)) {
            *more += 1;
            continue;
        }
        let case = case_of(&one.about());
        let requirement = match one {
            Drift::Unexpected { requirement, .. } | Drift::OtherOutcome { requirement, .. } => requirement.as_ref(),
            _ => None,
        };
        let of_requirement = |finding: &&Finding| Some(&finding.requirement) == requirement;
        let line = case.and_then(|case| case.findings.iter().find(of_requirement)).map_or(0, |finding| finding.line);
        let mut message = vec![one.to_string(), one.advice().to_owned()];
        message.extend(case.map(again));
        told.push((Annotation::error(format!("drift: {}", one.about()), message).at(case, line), one, 0));
    }
    let counted = told.into_iter().map(|(mut annotation, _, more)| {
        if more > 0 {
            annotation.message.insert(1, format!("and in {}", count(more, "more case")));
        }
        annotation
    });
    counted.collect()
}

/// The same that is not pinned, in another case.
fn alike(one: &Drift, other: &Drift) -> bool {
    let what = |drift: &Drift| match drift {
        Drift::Unexpected { requirement, observed, detail, .. } => {
            Some((requirement.clone(), observed.map(|observed| observed.to_string()), detail.clone()))
        }
        _ => None,
    };
    what(one).is_some() && what(one) == what(other)
}

#[cfg(test)]
#[path = "annotation_tests.rs"]
mod tests;
