//! A finding, with all that its server's author needs to see it again.

use super::exchange;
use super::paint::{BOLD, DIM, RED, paint};
use crate::report::Report;
use crate::report::text::{cut, harmless, wrap};
use crate::requirement::{Cite, Register, Requirement};
use crate::target::excerpt;
use crate::verdict::{Attempt, CaseRecord, Class, Evidence, Exit, Finding, Met, Observed};

/// How many names of cases are listed.
const NAMES: usize = 6;
/// How many lines of stderr are shown.
const STDERR: usize = 8;
/// How wide text may be.
const WIDTH: usize = 104;

/// The same deviation, in every case that showed it.
pub(in crate::report) struct Group<'a> {
    /// The one that is shown.
    pub(in crate::report) finding: &'a Finding,
    /// Its case.
    pub(in crate::report) case: &'a CaseRecord,
    /// The names of the other cases.
    pub(in crate::report) others: Vec<&'a str>,
}

impl Group<'_> {
    /// What is known of it, where all cases that showed it are pinned.
    pub(in crate::report) fn pin<'r>(&self, report: &'r Report) -> Option<&'r Met> {
        let comparison = report.expectations.as_ref()?;
        let pin = |case: &str| comparison.pin(case, Some(&self.finding.requirement), Observed::of(self.finding));
        let first = pin(&self.case.name)?;
        self.others.iter().all(|case| pin(case).is_some()).then_some(first)
    }
}

/// Findings of one requirement by what was expected and what came.
pub(in crate::report) fn groups<'a>(findings: impl Iterator<Item = (&'a CaseRecord, &'a Finding)>) -> Vec<Group<'a>> {
    let mut groups: Vec<Group<'a>> = Vec::new();
    for (case, finding) in findings {
        let same = |group: &&mut Group<'_>| {
            let known = group.finding;
            (&known.requirement, &known.expected, &known.actual)
                == (&finding.requirement, &finding.expected, &finding.actual)
        };
        match groups.iter_mut().find(same) {
            Some(group) if group.case.name == case.name || group.others.contains(&case.name.as_str()) => {}
            Some(group) => group.others.push(&case.name),
            None => groups.push(Group { finding, case, others: Vec::new() }),
        }
    }
    groups
}

/// How much of a finding is shown.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(in crate::report) enum Detail {
    /// With the messages.
    Full,
    /// Without them.
    Short,
}

/// A group in lines.
pub(in crate::report) fn lines(group: &Group<'_>, detail: Detail, verbose: bool) -> Vec<String> {
    let Group { finding, case, others } = group;
    let mut lines = Vec::new();
    let mut entry = |word: &str, text: &str| {
        for (n, line) in wrap(&harmless(text), WIDTH).into_iter().enumerate() {
            let word = paint(DIM, format!("{:10}", if n == 0 { word } else { "" }));
            lines.push(format!("{word}{line}"));
        }
    };
    entry("expected", &finding.expected);
    entry("got", &finding.actual);
    if let Some((seen, of)) = finding.seen {
        entry("seen", &format!("{seen} of {of} times"));
    }
    let step = if finding.step == 0 { "after its last step".to_owned() } else { format!("step {}", finding.step) };
    let line = if finding.line == 0 { case.line } else { finding.line };
    entry("case", &format!("{}, {step} ({}:{line})", case.name, case.file));
    if !others.is_empty() {
        entry("", &format!("and {} more: {}", others.len(), names(others, verbose)));
    }
    if detail == Detail::Full {
        lines.push(String::new());
        lines.extend(exchange::lines(&case.transcript, finding).into_iter().map(|line| format!("  {line}")));
        lines.push(String::new());
        lines.extend(server(finding, case));
    }
    // A command is copied: it is not broken.
    lines.push(format!("{}{}", paint(DIM, format!("{:10}", "again")), paint(BOLD, harmless(&case.replay))));
    lines
}

/// Why what deviates from a requirement is a finding: where it stands, what violates it, and the policies where the text is
/// open.
pub(in crate::report) fn why(requirement: &Requirement, register: &Register) -> Vec<String> {
    let mut lines: Vec<String> = requirement.cites.iter().map(Cite::place).collect();
    if let Some(violation) = &requirement.violation {
        lines.extend(wrap(&format!("violation: {violation}"), WIDTH));
    }
    for policy in register.policies_of(requirement) {
        lines.extend(wrap(&format!("policy: {policy}"), WIDTH));
    }
    lines
}

/// The findings of a class in one case as the terminal shows them, without its colours.
pub fn case_text(case: &CaseRecord, class: Class, register: &Register) -> String {
    let findings = case.findings.iter().filter(|finding| finding.class == class);
    let mut text = String::new();
    for group in groups(findings.map(|finding| (case, finding))) {
        let id = group.finding.requirement.as_str();
        text.push_str(&match register.get(id) {
            Some(requirement) => {
                let why: String =
                    why(requirement, register).iter().map(|line| format!("{}\n", harmless(line))).collect();
                format!("{id} {} ({}): {}\n{why}", requirement.level, requirement.clause(), requirement.text)
            }
            None => format!("{id}\n"),
        });
        for line in lines(&group, Detail::Full, true) {
            text.push_str(&anstream::adapter::strip_str(&line).to_string());
            text.push('\n');
        }
    }
    text
}

/// Some names, and how many more there are.
pub(in crate::report) fn names(names: &[&str], verbose: bool) -> String {
    let most = if verbose { names.len() } else { NAMES };
    let shown = names.iter().take(most).copied().collect::<Vec<_>>().join(", ");
    if names.len() > most { format!("{shown}, ..") } else { shown }
}

/// How the server ended, where it did, and what it wrote of that.
fn server(finding: &Finding, case: &CaseRecord) -> Vec<String> {
    let exit = case.attempts.iter().rev().find_map(|attempt: &Attempt| attempt.exit);
    let crashed = finding.evidence == Evidence::Exited && finding.class == Class::Violation;
    if exit.is_none() && !crashed {
        return Vec::new();
    }
    // One of which a sanitizer reports something may have gone on.
    let ended = exit.map_or_else(|| "printed".to_owned(), |exit| format!("ended: {exit}"));
    let bad = crashed || exit.is_some_and(|exit| exit != Exit::Status(0));
    let mut lines =
        vec![format!("{}{}", paint(DIM, format!("{:10}", "server")), if bad { paint(RED, ended) } else { ended })];
    if !bad {
        return lines;
    }
    let said = excerpt(&case.stderr, STDERR);
    if said.is_empty() {
        lines.push(format!("{:10}it wrote nothing to stderr", ""));
    }
    lines.extend(said.iter().map(|line| format!("{:10}| {}", "", cut(&harmless(line), WIDTH))));
    lines
}
