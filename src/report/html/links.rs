//! What stands on the page, and the names by which it is linked to.

use std::collections::{HashMap, HashSet};

use maud::{Markup, html};

use crate::report::Report;
use crate::report::frame::{foreign, foreign_cut, slug};
use crate::report::terminal::finding::{Group, groups};
use crate::verdict::{CaseRecord, Class, Finding, Met};

/// So many characters of a case's name are shown.
const NAME: usize = 200;

/// A finding with its place on the page.
pub(super) struct Placed<'a> {
    /// It, and the cases that showed it.
    pub(super) group: Group<'a>,
    /// The id of its place.
    pub(super) id: String,
    /// The pin that knows of it in every case that showed it.
    pub(super) pin: Option<&'a Met>,
}

/// What makes findings of several cases one.
type Same<'a> = (bool, &'a str, &'a str, &'a str);

/// Every place that can be linked to.
pub(super) struct Links<'a> {
    /// Violations, then notes, each by requirement; what is pinned comes last.
    pub(super) findings: Vec<Placed<'a>>,
    places: HashMap<Same<'a>, usize>,
    /// The id of each case's place, in the order of the report.
    cases: Vec<String>,
    case_by_name: HashMap<&'a str, usize>,
    requirements: HashSet<&'a str>,
}

impl<'a> Links<'a> {
    pub(super) fn of(report: &'a Report) -> Links<'a> {
        let mut taken = HashSet::new();
        let mut links = Links {
            findings: Vec::new(),
            places: HashMap::new(),
            cases: Vec::new(),
            case_by_name: HashMap::new(),
            requirements: report.requirements.keys().map(String::as_str).collect(),
        };
        for (n, case) in report.cases.iter().enumerate() {
            links.cases.push(free(format!("case-{}", slug(&case.name)), &mut taken));
            links.case_by_name.entry(&case.name).or_insert(n);
        }
        for class in [Class::Violation, Class::Note] {
            let mut of_class = groups(report.findings(class));
            of_class.sort_by(|a, b| a.finding.requirement.cmp(&b.finding.requirement));
            let mut placed: Vec<Placed<'_>> =
                of_class.into_iter().map(|group| Placed { id: String::new(), pin: group.pin(report), group }).collect();
            placed.sort_by_key(|placed| placed.pin.is_some());
            for mut placed in placed {
                let Group { finding, case, .. } = &placed.group;
                let id = format!("finding-{}-{}", slug(&finding.requirement), slug(&case.name));
                placed.id = free(id, &mut taken);
                links.places.insert(same(finding), links.findings.len());
                links.findings.push(placed);
            }
        }
        links
    }

    /// The id of the place of the case that is at `n` in the report.
    pub(super) fn place_of_case(&self, n: usize) -> &str {
        self.cases.get(n).map_or("", String::as_str)
    }

    /// The place where a finding is told.
    pub(super) fn place_of(&self, finding: &Finding) -> Option<&Placed<'a>> {
        self.places.get(&same(finding)).and_then(|at| self.findings.get(*at))
    }

    /// The findings against a requirement.
    pub(super) fn against<'s>(&'s self, id: &'s str) -> impl Iterator<Item = &'s Placed<'a>> {
        self.findings.iter().filter(move |placed| placed.group.finding.requirement == id)
    }

    /// The name of a case, as a link where the page has it.
    pub(super) fn case(&self, name: &str) -> Markup {
        let shown = html! { code { (foreign_cut(name, NAME)) } };
        match self.case_by_name.get(name).and_then(|n| self.cases.get(*n)) {
            Some(place) => html! { a href={ "#" (place) } { (shown) } },
            None => shown,
        }
    }

    /// The id of a requirement, as a link where the page has it.
    pub(super) fn requirement(&self, id: &str) -> Markup {
        if self.requirements.contains(id) {
            html! { a href={ "#" (place_of_requirement(id)) } { (foreign(id)) } }
        } else {
            html! { span { (foreign(id)) } }
        }
    }
}

/// The id of the place of a requirement.
pub(super) fn place_of_requirement(id: &str) -> String {
    format!("requirement-{}", slug(id))
}

/// The id of the place of a section of the register.
pub(super) fn place_of_section(id: &str) -> String {
    format!("section-{}", slug(id))
}

/// The id, or one like it that nothing has yet.
fn free(id: String, taken: &mut HashSet<String>) -> String {
    let mut free = id.clone();
    let mut n = 1;
    while !taken.insert(free.clone()) {
        n += 1;
        // No slug has this behind a `~`.
        free = format!("{id}~again-{n}");
    }
    free
}

fn same(finding: &Finding) -> Same<'_> {
    (finding.class == Class::Violation, &finding.requirement, &finding.expected, &finding.actual)
}

/// The findings of a case that are told on the page.
pub(super) fn told<'c>(case: &'c CaseRecord, links: &Links<'_>) -> Vec<&'c Finding> {
    case.findings.iter().filter(|finding| links.place_of(finding).is_some()).collect()
}
