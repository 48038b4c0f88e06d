//! The summary: the verdict, the totals, and what was found, by cause, as far as there is room.

use std::collections::{BTreeMap, BTreeSet};

use maud::html;

use super::block::{block, code, folded};
use crate::report::terminal::finding::{Detail, Group, groups, lines, names, why};
use crate::report::terminal::requirements::STATUSES;
use crate::report::text::{count, cut, harmless, wrap};
use crate::report::{ExitCode, Report};
use crate::requirement::Register;
use crate::run::joined;
use crate::verdict::{CaseRecord, CaseResult, Cause, Class, Finding, Met, Observed};

/// Bytes of a summary: a comment on GitHub may have 65,536, and the summary of one of its steps a MiB.
const MOST: usize = 64_000;
/// Of these for what stands at the end.
const END: usize = 9_000;
/// In less room nothing is begun.
const LEAST: usize = 1_000;
/// So many characters of the sentence that is the verdict.
const SENTENCE: usize = 300;
/// So many different findings of one requirement are shown.
const SHOWN: usize = 2;
/// So many lines of each.
const LINES: usize = 22;
/// How wide text is.
const WIDTH: usize = 104;

/// A summary that grows while there is room.
struct Page<'a> {
    report: &'a Report,
    register: &'a Register,
    text: String,
}

/// A run in Markdown: never more than 65,536 bytes, and nothing in it that others wrote is more than text.
pub fn summary(report: &Report, register: &Register) -> String {
    let mut page = Page { report, register, text: String::new() };
    page.verdict();
    page.totals();
    page.faults();
    page.drift();
    page.violations();
    page.undecided();
    page.notes();
    page.pinned();
    page.skipped();
    page.run();
    page.text
}

impl Page<'_> {
    /// Adds pieces under a title, in half of the room that is left, and says how many are left out.
    fn list(&mut self, title: &str, pieces: &[String]) {
        let left = (MOST - END).saturating_sub(self.text.len());
        if pieces.is_empty() || left < LEAST {
            return;
        }
        let end = self.text.len() + left / 2;
        self.text.push_str(&format!("### {title}\n\n"));
        let fitting = pieces.iter().take_while(|piece| {
            let fits = self.text.len() + piece.len() <= end;
            if fits {
                self.text.push_str(piece);
            }
            fits
        });
        let left_out = pieces.len() - fitting.count();
        if left_out > 0 {
            self.text.push_str(&format!("{left_out} more are told by the other reports.\n\n"));
        }
    }

    fn verdict(&mut self) {
        let report = self.report;
        let sign = match report.exit_code {
            code if code == ExitCode::Conforming.number() => "\u{2705}",
            code if [ExitCode::Inconclusive, ExitCode::NothingRan, ExitCode::Interrupted]
                .map(ExitCode::number)
                .contains(&code) =>
            {
                "\u{26a0}\u{fe0f}"
            }
            _ => "\u{274c}",
        };
        self.text.push_str(&format!("## {sign} Conformance to vfio-user\n\n"));
        let said = block(html! { p { strong { (cut(&harmless(&report.said), SENTENCE)) } } });
        self.text.push_str(&said);
        if !report.complete {
            let missing = count(report.totals.not_run, "selected case");
            self.text.push_str(&format!("**This run is incomplete**: {missing} without a result.\n\n"));
        }
        if let Some(shard) = report.shard.filter(|shard| shard.count > 1) {
            self.text.push_str(&format!("Part {} of {} alone.\n\n", shard.index, shard.count));
        }
    }

    fn totals(&mut self) {
        let totals = &self.report.totals;
        let cases = [
            ("cases", totals.selected),
            ("pass", totals.pass),
            ("fail", totals.fail),
            ("skip", totals.skip),
            ("inconclusive", totals.inconclusive),
            ("error", totals.error),
            ("not run", totals.not_run),
            ("notes", totals.notes),
        ];
        self.text.push_str(&table(&cases));
        let all = [("requirements", self.report.requirements.len())];
        let statuses = STATUSES.map(|(status, word)| (word, self.report.with_status(status)));
        self.text.push_str(&table(&[&all[..], &statuses[..]].concat()));
    }

    fn faults(&mut self) {
        let faults = self.report.faults.iter().flat_map(|fault| fault.lines()).map(str::to_owned).collect::<Vec<_>>();
        if !faults.is_empty() {
            self.list("What kept the run from its end", &[folded(&html! { (count(faults.len(), "line")) }, &faults)]);
        }
    }

    fn drift(&mut self) {
        let drift = self.report.expectations.iter().flat_map(|comparison| &comparison.drift);
        let pieces: Vec<String> =
            drift.map(|drift| block(html! { ul { li { (code(&drift.to_string())) br; (drift.advice()) } } })).collect();
        let title = format!("{} from the pinned expectations", count(pieces.len(), "difference"));
        self.list(&title, &pieces);
    }

    /// Violations that are not pinned: those of each cause, then the others.
    fn violations(&mut self) {
        let mut by_requirement: BTreeMap<&str, Vec<Group<'_>>> = BTreeMap::new();
        let unpinned =
            self.report.findings(Class::Violation).filter(|(case, finding)| self.pin(case, finding).is_none());
        for group in groups(unpinned) {
            by_requirement.entry(&group.finding.requirement).or_default().push(group);
        }
        let requirements = count(by_requirement.len(), "requirement");
        let mut pieces = Vec::new();
        for cause in &self.report.causes {
            let ids: Vec<&str> =
                cause.requirements.iter().map(String::as_str).filter(|id| by_requirement.contains_key(id)).collect();
            let told: Vec<String> = ids
                .iter()
                .filter_map(|id| Some((*id, by_requirement.remove(id)?)))
                .map(|(id, groups)| self.requirement(id, &groups))
                .collect();
            pieces.extend(headed(&self::cause(cause), told));
        }
        let others = by_requirement.iter().map(|(id, groups)| self.requirement(id, groups)).collect();
        let title = if pieces.is_empty() { "" } else { "**Each for itself**\n\n" };
        pieces.extend(headed(title, others));
        self.list(&format!("Violations of {requirements}"), &pieces);
    }

    fn pin(&self, case: &CaseRecord, finding: &Finding) -> Option<&Met> {
        let comparison = self.report.expectations.as_ref()?;
        comparison.pin(&case.name, Some(&finding.requirement), Observed::of(finding))
    }

    /// A requirement with what was found of it.
    fn requirement(&self, id: &str, groups: &[Group<'_>]) -> String {
        let cases: BTreeSet<&str> = groups
            .iter()
            .flat_map(|group| std::iter::once(group.case.name.as_str()).chain(group.others.iter().copied()))
            .collect();
        let known = self.register.get(id);
        let first = groups.first().map(|group| code(&group.finding.actual));
        let title = html! {
            b { (id) } " "
            @if let Some(known) = known { (known.level) " (" (known.clause()) ")" }
            ": " @if let Some(first) = first { (first) } " in " (count(cases.len(), "case"))
        };
        let mut all: Vec<String> = Vec::new();
        if let Some(known) = known {
            all.extend(wrap(&known.text, WIDTH));
            all.extend(why(known, self.register));
        }
        for group in groups.iter().take(SHOWN) {
            all.push(String::new());
            all.extend(shortened(lines(group, Detail::Full, false)));
        }
        if groups.len() > SHOWN {
            all.push(String::new());
            all.push(format!("and {} otherwise; `explain {id}` tells how it is judged", groups.len() - SHOWN));
        }
        folded(&title, &all)
    }

    fn undecided(&mut self) {
        for (result, title) in [
            (CaseResult::Error, "In error, by a fault of the harness and not of the server"),
            (CaseResult::Inconclusive, "Inconclusive"),
        ] {
            let pieces: Vec<String> = self
                .report
                .with_result(result)
                .map(|case| {
                    let title = html! { b { (case.name) } };
                    let mut all = wrap(case.reason.as_deref().unwrap_or("no reason is known"), WIDTH);
                    all.push(format!("again     {}", case.replay));
                    folded(&title, &all)
                })
                .collect();
            self.list(title, &pieces);
        }
    }

    fn notes(&mut self) {
        let mut groups = groups(self.report.findings(Class::Note));
        groups.sort_by(|a, b| a.finding.requirement.cmp(&b.finding.requirement));
        let all: Vec<String> = groups
            .iter()
            .map(|group| {
                let (finding, more) = (group.finding, count(group.others.len(), "more case"));
                let Finding { requirement, expected, actual, .. } = finding;
                format!("{requirement}  got {actual}; expected {expected}; in {} and {more}", group.case.name)
            })
            .collect();
        if !all.is_empty() {
            let counted = if self.report.strict { "they count: --strict" } else { "they fail no run without --strict" };
            let title = html! { (count(self.report.totals.notes, "note")) "; " (counted) };
            self.list("Notes", &[folded(&title, &all)]);
        }
    }

    fn pinned(&mut self) {
        let met: Vec<&Met> = self.report.expectations.iter().flat_map(|comparison| &comparison.met).collect();
        let mut by_reason: BTreeMap<_, Vec<&str>> = BTreeMap::new();
        for one in &met {
            let what = (one.requirement.as_deref().unwrap_or_default(), one.observed.to_string(), one.reason.as_str());
            by_reason.entry(what).or_default().push(&one.case);
        }
        let all: Vec<String> = by_reason
            .iter()
            .map(|((id, observed, reason), cases)| format!("{id} {observed}: {reason} ({})", names(cases, false)))
            .collect();
        if !all.is_empty() {
            self.list("As pinned", &[folded(&html! { (count(met.len(), "finding")) ", each with its reason" }, &all)]);
        }
    }

    fn skipped(&mut self) {
        let mut reasons: BTreeMap<&str, usize> = BTreeMap::new();
        for case in self.report.with_result(CaseResult::Skip) {
            *reasons.entry(case.reason.as_deref().unwrap_or("no reason is known")).or_default() += 1;
        }
        let mut reasons: Vec<_> = reasons.into_iter().collect();
        reasons.sort_by_key(|(_, number)| std::cmp::Reverse(*number));
        let all: Vec<String> = reasons.iter().map(|(reason, number)| format!("{number:>4}  {reason}")).collect();
        if !all.is_empty() {
            let title = html! { (count(self.report.totals.skip, "case")) ", by reason" };
            self.list("Skipped", &[folded(&title, &all)]);
        }
    }

    /// What was tested, and how to do it again: there is always room for that.
    fn run(&mut self) {
        let report = self.report;
        // That of a part is that of the whole, but for the part.
        let commands = match report.parts.first() {
            Some(part) => {
                html! { li { "command of each part, here of part " (part.index) ": " (code(&joined(&part.command))) } }
            }
            None => html! { li { "command: " (code(&joined(&report.command))) } },
        };
        let facts = html! {
            ul {
                li { "target: " (code(&report.target.how)) }
                @if !report.profile.used.is_empty() { li { "version of the protocol: " (code(&report.profile.used)) } }
                @if let Some(seed) = report.seed { li { "seed: " (seed) } }
                (commands)
                li { "harness: " (code(&format!("{} {}", report.harness.name, report.harness.version))) }
            }
        };
        self.text.push_str("### The run\n\n");
        self.text.push_str(&block(facts));
    }
}

/// A finding in lines without colours, of which the last one, the command that runs it again, is always there.
fn shortened(mut lines: Vec<String>) -> Vec<String> {
    let left_out = lines.len().saturating_sub(LINES);
    if left_out > 0 {
        let from = LINES - 2;
        lines.splice(from..=from + left_out, [format!(".. {} more lines", left_out + 1)]);
    }
    lines.iter().map(|line| anstream::adapter::strip_str(line).to_string()).collect()
}

/// Pieces of which the first one has a title.
fn headed(title: &str, mut pieces: Vec<String>) -> Vec<String> {
    if let Some(first) = pieces.first_mut() {
        first.insert_str(0, title);
    }
    pieces
}

fn cause(cause: &Cause) -> String {
    block(html! {
        p { strong { (count(cause.cases, "case")) " for one cause" } ", at " (code(&cause.command)) ": " (code(&cause.actual)) }
    })
}

/// Numbers in one row, without those that are 0 and say nothing.
fn table(columns: &[(&str, usize)]) -> String {
    let shown: Vec<_> = columns
        .iter()
        .filter(|(word, number)| {
            *number > 0 || matches!(*word, "cases" | "pass" | "fail" | "requirements" | "violated")
        })
        .collect();
    let row = |cells: Vec<String>| format!("| {} |\n", cells.join(" | "));
    let head = row(shown.iter().map(|(word, _)| (*word).to_owned()).collect());
    let rule = row(shown.iter().map(|_| "---:".to_owned()).collect());
    format!("{head}{rule}{}\n", row(shown.iter().map(|(_, number)| number.to_string()).collect()))
}
