//! A matrix for people at a terminal.

use super::{CaseChange, Change, Column, Direction, Matrix, Row, Section};
use crate::report::frame::word;
use crate::report::terminal::paint::{BOLD, DIM, GREEN, RED, YELLOW, paint};
use crate::report::terminal::requirements::STATUSES;
use crate::report::text::{count, cut, harmless, wrap};
use crate::verdict::{CaseResult, Status};

/// How wide text may be.
const WIDTH: usize = 108;
/// How wide a column of the matrix may be.
const COLUMN: usize = 24;
/// Where the first column of the matrix stands.
const INDENT: usize = 24;

/// A result, as the totals of a run say it.
pub(super) fn result(result: Option<CaseResult>) -> &'static str {
    match result {
        Some(CaseResult::Pass) => "pass",
        Some(CaseResult::Fail) => "fail",
        Some(CaseResult::Skip) => "skip",
        Some(CaseResult::Inconclusive) => "inconclusive",
        Some(CaseResult::Error) => "error",
        None => "not there",
    }
}

/// Each direction, with its heading.
pub(super) const DIRECTIONS: [(Direction, &str); 3] = [
    (Direction::Worse, "worse"),
    (Direction::Better, "better"),
    (Direction::Neither, "changed, neither better nor worse"),
];

impl Matrix {
    /// All of it with colours, or with `all` every requirement, be it that all reports say the same of it.
    pub fn terminal(&self, all: bool) -> String {
        let mut lines = Vec::new();
        self.head(&mut lines);
        let widths: Vec<usize> = self.columns.iter().map(|column| width(&column.name)).collect();
        for section in &self.sections {
            self.section(&mut lines, section, &widths, all);
        }
        self.changed(&mut lines);
        self.ending(&mut lines);
        let mut text = lines.join("\n");
        text.push('\n');
        text
    }

    fn head(&self, lines: &mut Vec<String>) {
        for Column { name, file, target, profile, harness, totals, .. } in &self.columns {
            lines.push(paint(BOLD, harmless(name)));
            let version = if profile.is_empty() { "no version known" } else { profile };
            hanging(lines, "target", &format!("{target}, judged by {version}"));
            hanging(lines, "report", &format!("{file}, of harness {harness}"));
            let results = format!(
                "{}: {} pass, {} fail, {} skip, {} inconclusive, {} error; {}",
                count(totals.selected, "case"),
                totals.pass,
                totals.fail,
                totals.skip,
                totals.inconclusive,
                totals.error,
                count(totals.notes, "note")
            );
            hanging(lines, "results", &results);
        }
        for remark in &self.remarks {
            for (n, line) in wrap(&harmless(remark), WIDTH - 8).into_iter().enumerate() {
                let word = if n == 0 { "but" } else { "" };
                lines.push(format!("{}{line}", paint(YELLOW, format!("{word:8}"))));
            }
        }
        lines.push(String::new());
    }

    /// A section in one line where nothing differs in it; otherwise its totals, and the requirements that differ.
    fn section(&self, lines: &mut Vec<String>, section: &Section, widths: &[usize], all: bool) {
        let title = format!("{}  {}", paint(BOLD, format!("{:8}", section.id)), section.title);
        let alike = section.is_alike();
        if alike && !all {
            let totals: Vec<String> = STATUSES
                .iter()
                .filter_map(|(status, word)| Some(format!("{} {word}", section.totals.first()?.get(status)?)))
                .collect();
            lines.push(format!("{title}{}", paint(DIM, format!("  alike: {}", totals.join(", ")))));
            return;
        }
        lines.push(title);
        let names = self.columns.iter().map(|column| (DIM, cut(&harmless(&column.name), COLUMN)));
        lines.push(row("", names, widths));
        for (status, word) in STATUSES {
            let numbers = section.totals.iter().map(|totals| totals.get(&status).copied().unwrap_or_default());
            if numbers.clone().any(|number| number > 0) {
                lines.push(row(word, numbers.map(|number| (style(status, number), number.to_string())), widths));
            }
        }
        for requirement in section.rows.iter().filter(|row| all || row.differs()) {
            self.requirement(lines, requirement, widths);
        }
        lines.push(String::new());
    }

    fn requirement(&self, lines: &mut Vec<String>, requirement: &Row, widths: &[usize]) {
        let cells = requirement.cells.iter().map(|cell| match cell {
            Some(status) => (style(*status, 1), word(*status).to_owned()),
            None => (DIM, "-".to_owned()),
        });
        let head = format!("{} {}", requirement.id, requirement.level);
        lines.push(row(&head, cells, widths));
        let text = wrap(&harmless(&requirement.text), WIDTH - 6);
        lines.extend(text.into_iter().map(|line| paint(DIM, format!("      {line}"))));
    }

    fn changed(&self, lines: &mut Vec<String>) {
        let (Some(changes), [before, after]) = (&self.changes, self.columns.as_slice()) else { return };
        for (way, heading) in DIRECTIONS {
            if changes.count(way) == (0, 0) {
                continue;
            }
            let style = match way {
                Direction::Worse => RED,
                Direction::Better => GREEN,
                Direction::Neither => BOLD,
            };
            let names = harmless(&format!("from {} to {}", before.name, after.name));
            if lines.last().is_some_and(|line| !line.is_empty()) {
                lines.push(String::new());
            }
            lines.push(format!("{}  {}", paint(style, heading.to_uppercase()), paint(DIM, names)));
            for Change { id, from, to, why, .. } in changes.of(way) {
                let why = why.as_ref().map_or(String::new(), |why| format!(": {why}"));
                hanging(lines, id, &format!("{} became {}{why}", word(*from), word(*to)));
            }
            for CaseChange { name, from, to, .. } in changes.cases.iter().filter(|change| change.direction == way) {
                lines.push(format!("  {name}: {} became {}", result(*from), result(*to)));
            }
        }
    }

    fn ending(&self, lines: &mut Vec<String>) {
        if lines.last().is_some_and(|line| !line.is_empty()) {
            lines.push(String::new());
        }
        lines.extend(self.said());
    }

    /// In a sentence or two, how much differs.
    pub(super) fn said(&self) -> Vec<String> {
        let rows = || self.sections.iter().flat_map(|section| &section.rows);
        let (differ, all) = (rows().filter(|row| row.differs()).count(), rows().count());
        let differ = match differ {
            0 => "no report differs from another".to_owned(),
            1 => "the reports differ on 1".to_owned(),
            number => format!("the reports differ on {number}"),
        };
        let mut said = vec![format!("{}: {differ}.", count(all, "requirement"))];
        if let Some(changes) = &self.changes {
            let told = |way| {
                let (requirements, cases) = changes.count(way);
                format!("{} and {}", count(requirements, "requirement"), count(cases, "case"))
            };
            said.push(format!("Worse: {}. Better: {}.", told(Direction::Worse), told(Direction::Better)));
            if changes.gone + changes.new > 0 {
                let (gone, new) = (count(changes.gone, "case"), count(changes.new, "case"));
                said.push(format!("Only the first report has {gone}, only the second {new}."));
            }
        } else if self.columns.len() == 2 {
            said.push("What became better or worse is told of two reports of one version of the protocol.".to_owned());
        }
        said
    }
}

fn width(name: &str) -> usize {
    let longest = STATUSES.iter().map(|(_, word)| word.len()).max().unwrap_or_default();
    harmless(name).chars().count().clamp(longest, COLUMN)
}

fn style(status: Status, number: usize) -> anstyle::Style {
    match status {
        _ if number == 0 => DIM,
        Status::Violated => RED,
        Status::Noted => YELLOW,
        Status::Verified => GREEN,
        Status::Observed => anstyle::Style::new(),
        Status::NotExercised => DIM,
    }
}

/// A line of the matrix: what it is about, and a cell for each column.
fn row(head: &str, cells: impl Iterator<Item = (anstyle::Style, String)>, widths: &[usize]) -> String {
    let mut line = format!("  {head:<indent$}", indent = INDENT - 2);
    let mut due = 0;
    for ((style, text), width) in cells.zip(widths) {
        line.push_str(&" ".repeat(due));
        due = (width + 2).saturating_sub(text.chars().count());
        line.push_str(&paint(style, text));
    }
    line.trim_end().to_owned()
}

/// A word, and a text behind it.
fn hanging(lines: &mut Vec<String>, word: &str, text: &str) {
    for (n, line) in wrap(&harmless(text), WIDTH - 12).into_iter().enumerate() {
        let word = if n == 0 { word } else { "" };
        lines.push(format!("  {}{line}", paint(DIM, format!("{word:12}"))));
    }
}
