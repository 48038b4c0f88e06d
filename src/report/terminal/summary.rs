//! What a run found, for people.

use std::collections::BTreeMap;

use super::finding::{self, Detail, Group};
use super::paint::{BOLD, DIM, GREEN, RED, YELLOW, paint};
use super::{differential, requirements};
use crate::generate::GENERATED;
use crate::report::text::{count, cut, harmless, wrap};
use crate::report::{Context, ExitCode, Report};
use crate::run::End;
use crate::verdict::{CaseResult, Class, Comparison, Finding, Observed};

/// How many different findings of one requirement are shown with their messages.
const FULL: usize = 3;
/// How wide text may be.
pub(super) const WIDTH: usize = 108;

/// What is told of a report.
pub(super) struct Summary<'a> {
    pub(super) report: &'a Report,
    pub(super) context: Context<'a>,
    pub(super) verbose: bool,
}

impl Summary<'_> {
    /// All of it, with colours.
    pub(super) fn text(&self, end: &End, code: ExitCode) -> String {
        let mut lines = Vec::new();
        self.violations(&mut lines);
        self.pinned(&mut lines);
        self.notes(&mut lines);
        self.skipped(&mut lines);
        if self.verbose {
            lines.extend(requirements::lines(self.report, self.context));
        }
        self.undecided(&mut lines);
        self.drift(&mut lines);
        if let Some(found) = &self.report.differential {
            lines.extend(differential::lines(found, self.verbose));
        }
        self.faults(&mut lines, end);
        self.totals(&mut lines, end);
        let style = match code {
            ExitCode::Conforming => GREEN,
            ExitCode::Inconclusive | ExitCode::NothingRan | ExitCode::Interrupted => YELLOW,
            _ => RED,
        };
        lines.push(paint(style, code.sentence(self.report)));
        let mut text = lines.join("\n");
        text.push('\n');
        text
    }

    fn pin<'r>(&'r self, case: &str, finding: &Finding) -> Option<&'r crate::verdict::Met> {
        let comparison: &Comparison = self.report.expectations.as_ref()?;
        comparison.pin(case, Some(&finding.requirement), Observed::of(finding))
    }

    fn violations(&self, lines: &mut Vec<String>) {
        let unpinned =
            || self.report.findings(Class::Violation).filter(|(case, finding)| self.pin(&case.name, finding).is_none());
        let mut by_requirement: BTreeMap<&str, Vec<Group<'_>>> = BTreeMap::new();
        for group in finding::groups(unpinned()) {
            by_requirement.entry(&group.finding.requirement).or_default().push(group);
        }
        if by_requirement.is_empty() {
            return;
        }
        title(
            lines,
            paint(RED, "VIOLATIONS"),
            &format!("{}; \"explain ID\" tells all about one", count(by_requirement.len(), "requirement")),
        );
        self.causes(lines, |id| by_requirement.contains_key(id));
        for (id, groups) in by_requirement {
            self.requirement(lines, id);
            for (n, group) in groups.iter().enumerate() {
                let detail = if n < FULL || self.verbose { Detail::Full } else { Detail::Short };
                lines.push(String::new());
                let shown = finding::lines(group, detail, self.verbose);
                lines.extend(shown.into_iter().map(|line| if line.is_empty() { line } else { format!("    {line}") }));
            }
            lines.push(String::new());
        }
    }

    /// What many of them have in common comes first: it is most likely one bug.
    fn causes(&self, lines: &mut Vec<String>, is_shown: impl Fn(&str) -> bool) {
        for cause in &self.report.causes {
            let ids: Vec<&str> = cause.requirements.iter().map(String::as_str).filter(|id| is_shown(id)).collect();
            if ids.is_empty() {
                continue;
            }
            let cases = if cause.cases == 1 { "1 case fails" } else { &format!("{} cases fail", cause.cases) };
            let text = format!("{cases} for one cause: at {}, {}", cause.command, cause.actual);
            let text = wrap(&cut(&harmless(&text), 3 * WIDTH), WIDTH - 2);
            lines.extend(text.into_iter().map(|line| format!("  {}", paint(BOLD, line))));
            lines.extend(wrap(&ids.join(" "), WIDTH - 4).into_iter().map(|line| paint(DIM, format!("      {line}"))));
            lines.push(String::new());
        }
    }

    fn requirement(&self, lines: &mut Vec<String>, id: &str) {
        let Some(requirement) = self.context.register.get(id) else {
            lines.push(format!("{}  (not in the register)", paint(RED, id)));
            return;
        };
        lines.push(format!("{}  {}", paint(RED, id), paint(BOLD, requirement.level)));
        lines.extend(wrap(&requirement.text, WIDTH).into_iter().map(|line| format!("  {}", paint(BOLD, line))));
        let why = finding::why(requirement, self.context.register);
        lines.extend(why.into_iter().map(|line| format!("  {}", paint(DIM, line))));
    }

    fn pinned(&self, lines: &mut Vec<String>) {
        let met = self.report.expectations.iter().flat_map(|comparison| &comparison.met);
        let met: Vec<_> = met.collect();
        if met.is_empty() {
            return;
        }
        title(lines, paint(BOLD, "PINNED"), &format!("{} as expected", met.len()));
        let mut by_reason: BTreeMap<_, Vec<&str>> = BTreeMap::new();
        for met in met {
            let requirement = met.requirement.as_deref().unwrap_or("");
            by_reason
                .entry((requirement, met.observed.to_string(), &met.reason, &met.link))
                .or_default()
                .push(&met.case);
        }
        for ((requirement, observed, reason, link), cases) in by_reason {
            let link = link.as_ref().map_or(String::new(), |link| format!(" <{link}>"));
            hanging(lines, &[requirement, &observed], &format!("{reason}{link}"));
            hanging(lines, &["", ""], &finding::names(&cases, self.verbose));
        }
        lines.push(String::new());
    }

    fn notes(&self, lines: &mut Vec<String>) {
        let groups = finding::groups(self.report.findings(Class::Note));
        if groups.is_empty() {
            return;
        }
        let counted =
            if self.context.strict { "counted as violations: --strict" } else { "they fail no run without --strict" };
        title(lines, paint(YELLOW, "NOTES"), &format!("{}; {counted}", self.report.totals.notes));
        let mut groups = groups;
        groups.sort_by(|a, b| a.finding.requirement.cmp(&b.finding.requirement));
        for group in groups {
            let Group { finding, case, others } = group;
            let level = self
                .context
                .register
                .get(&finding.requirement)
                .map_or(String::new(), |requirement| requirement.level.to_string());
            hanging(
                lines,
                &[&finding.requirement, &level],
                &format!("got {}; expected {}", finding.actual, finding.expected),
            );
            let all: Vec<&str> = std::iter::once(case.name.as_str()).chain(others).collect();
            hanging(lines, &["", ""], &format!("in {}", finding::names(&all, self.verbose)));
            if let Some(requirement) = self.context.register.get(&finding.requirement) {
                let policies: String = requirement.policy.iter().map(|id| format!("; policy {id}")).collect();
                hanging(lines, &["", ""], &format!("by {}{policies}", requirement.clause()));
            }
        }
        lines.push(String::new());
    }

    fn skipped(&self, lines: &mut Vec<String>) {
        let mut reasons: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
        for case in self.report.with_result(CaseResult::Skip) {
            reasons.entry(case.reason.as_deref().unwrap_or("no reason is known")).or_default().push(&case.name);
        }
        if reasons.is_empty() {
            return;
        }
        let hint = if self.verbose { "" } else { "; --verbose names them" };
        title(lines, paint(BOLD, "SKIPPED"), &format!("{}{hint}", count(self.report.totals.skip, "case")));
        let mut reasons: Vec<_> = reasons.into_iter().collect();
        reasons.sort_by_key(|(_, names)| std::cmp::Reverse(names.len()));
        for (reason, names) in reasons {
            let mut text = wrap(&harmless(reason), WIDTH - 6).into_iter();
            lines.push(format!("  {:>4}  {}", names.len(), text.next().unwrap_or_default()));
            lines.extend(text.map(|line| format!("        {line}")));
            if self.verbose {
                lines.extend(names.iter().map(|name| paint(DIM, format!("          {name}"))));
            }
        }
        lines.push(String::new());
    }

    fn undecided(&self, lines: &mut Vec<String>) {
        let kinds = [
            (CaseResult::Inconclusive, "INCONCLUSIVE", "no verdict, for the reason that is told"),
            (CaseResult::Error, "IN ERROR", "the fault of this program, not of the server"),
        ];
        for (result, word, meaning) in kinds {
            let cases: Vec<_> = self.report.with_result(result).collect();
            if cases.is_empty() {
                continue;
            }
            title(lines, paint(YELLOW, word), &format!("{}; {meaning}", count(cases.len(), "case")));
            for case in cases {
                lines.push(format!("  {}", paint(BOLD, &case.name)));
                let reason = case.reason.as_deref().unwrap_or("no reason is known");
                lines.extend(wrap(&harmless(reason), WIDTH).into_iter().map(|line| format!("      {line}")));
                lines.push(format!("      {}{}", paint(DIM, "again     "), harmless(&case.replay)));
            }
            lines.push(String::new());
        }
    }

    fn drift(&self, lines: &mut Vec<String>) {
        let Some(comparison) = self.report.expectations.as_ref().filter(|comparison| !comparison.drift.is_empty())
        else {
            return;
        };
        title(
            lines,
            paint(RED, "DRIFT"),
            &format!("{} from the pinned expectations", count(comparison.drift.len(), "difference")),
        );
        for drift in &comparison.drift {
            let mut text = wrap(&harmless(&drift.to_string()), WIDTH).into_iter();
            lines.extend(text.next().map(|line| format!("  {line}")));
            lines.extend(text.map(|line| format!("      {line}")));
            lines.extend(wrap(drift.advice(), WIDTH).into_iter().map(|line| paint(DIM, format!("      {line}"))));
        }
        lines.push(String::new());
    }

    fn faults(&self, lines: &mut Vec<String>, end: &End) {
        for fault in &self.report.faults {
            // The server's own output may follow, line by line.
            let mut text = fault.lines().flat_map(|line| wrap(&harmless(line), WIDTH));
            let whose = if end.lost.as_ref() == Some(fault) { "target:" } else { "run:" };
            lines.extend(text.next().map(|line| format!("{} {line}", paint(RED, whose))));
            lines.extend(text.map(|line| format!("        {line}")));
        }
    }

    fn totals(&self, lines: &mut Vec<String>, end: &End) {
        if let Some(found) = &self.report.differential {
            return lines.extend(differential::totals(found, self.report.seed, end));
        }
        let totals = &self.report.totals;
        let part = |number: usize, word: &str, style| {
            let text = format!("{number} {word}");
            if number == 0 { text } else { paint(style, text) }
        };
        let parts = [
            part(totals.pass, "pass", GREEN),
            part(totals.fail, "fail", RED),
            part(totals.skip, "skip", DIM),
            part(totals.inconclusive, "inconclusive", YELLOW),
            part(totals.error, "error", RED),
        ];
        let not_run = match totals.not_run {
            0 => String::new(),
            number => format!(", {}", part(number, "not run", YELLOW)),
        };
        let notes = part(totals.notes, if totals.notes == 1 { "note" } else { "notes" }, YELLOW);
        let (cases, parts) = (count(totals.selected, "case"), parts.join(", "));
        let lasted = lasted(end).map_or(String::new(), |lasted| format!(" {lasted}"));
        lines.push(format!("{cases}{lasted}: {parts}{not_run}; {notes}"));
        if let Some(generated) = self.report.generated {
            let causes = self.report.cases.iter().filter(|case| case.name.starts_with(GENERATED)).count();
            let failed = match generated.failed {
                0 => "none failed".to_owned(),
                failed => format!("{failed} failed, for {}", count(causes, "cause")),
            };
            let sequences = count(generated.sequences as usize, "generated sequence");
            lines.push(format!("{sequences} of {} messages, seed {}: {failed}", generated.steps, generated.seed));
        }
        let parts: Vec<String> = requirements::STATUSES
            .iter()
            .map(|(status, word)| format!("{} {word}", self.report.with_status(*status)))
            .collect();
        lines.push(format!("{}: {}", count(self.report.requirements.len(), "requirement"), parts.join(", ")));
    }
}

/// How long it took; of parts that were merged that is not known.
pub(super) fn lasted(end: &End) -> Option<String> {
    (end.seconds > 0.0).then(|| format!("in {:.1} s", end.seconds))
}

pub(super) fn title(lines: &mut Vec<String>, painted: String, said: &str) {
    lines.push(format!("{painted}  {}", paint(DIM, said)));
    lines.push(String::new());
}

/// Words in columns, and a text behind them.
fn hanging(lines: &mut Vec<String>, words: &[&str], text: &str) {
    let columns: String = words.iter().map(|word| format!("{word:12}")).collect();
    for (n, line) in wrap(&harmless(text), WIDTH - columns.len()).into_iter().enumerate() {
        let columns = if n == 0 { columns.clone() } else { " ".repeat(columns.len()) };
        lines.push(format!("  {columns}{line}"));
    }
}
