//! A matrix in Markdown, as for the summary of a CI job or a page of documentation.

use super::terminal::{DIRECTIONS, result};
use super::{CaseChange, Change, Column, Matrix};
use crate::report::frame::word;
use crate::report::terminal::requirements::STATUSES;
use crate::report::text::harmless;

impl Matrix {
    /// All of it, or with `all` every requirement, be it that all reports say the same of it.
    pub fn markdown(&self, all: bool) -> String {
        let mut text = String::from("# Conformance to vfio-user, side by side\n\n");
        self.columns_table(&mut text);
        for remark in &self.remarks {
            text.push_str(&format!("- **But** {}\n", escaped(remark)));
        }
        if !self.remarks.is_empty() {
            text.push('\n');
        }
        text.push_str(&format!("{}\n\n", escaped(&self.said().join(" "))));
        self.changes_lists(&mut text);
        self.sections_table(&mut text);
        self.requirements_table(&mut text, all);
        text
    }

    fn columns_table(&self, text: &mut String) {
        head(text, ["Report", "Target", "Version", "Harness", "Cases", "Notes"].map(str::to_owned));
        for Column { name, target, profile, harness, totals, .. } in &self.columns {
            let parts = [
                (totals.pass, "pass"),
                (totals.fail, "fail"),
                (totals.skip, "skip"),
                (totals.inconclusive, "inconclusive"),
                (totals.error, "error"),
                (totals.not_run, "not run"),
            ];
            let cases: Vec<String> =
                parts.iter().filter(|part| part.0 > 0).map(|(n, word)| format!("{n} {word}")).collect();
            let cells = [name.clone(), target.clone(), profile.clone(), harness.clone(), cases.join(", ")];
            row(text, cells.into_iter().chain([totals.notes.to_string()]));
        }
        text.push('\n');
    }

    fn changes_lists(&self, text: &mut String) {
        let Some(changes) = &self.changes else { return };
        for (way, heading) in DIRECTIONS {
            if changes.count(way) == (0, 0) {
                continue;
            }
            let (first, rest) = heading.split_at(1);
            text.push_str(&format!("## {}{rest}\n\n", first.to_uppercase()));
            for Change { id, from, to, why, .. } in changes.of(way) {
                let why = why.as_ref().map_or(String::new(), |why| format!(": {why}"));
                let said = format!("{} became {}{why}", word(*from), word(*to));
                text.push_str(&format!("- **{}** {}\n", escaped(id), escaped(&said)));
            }
            for CaseChange { name, from, to, .. } in changes.cases.iter().filter(|change| change.direction == way) {
                let said = format!("case {name}: {} became {}", result(*from), result(*to));
                text.push_str(&format!("- {}\n", escaped(&said)));
            }
            text.push('\n');
        }
    }

    pub(super) fn sections_table(&self, text: &mut String) {
        text.push_str("## Requirements by section\n\n");
        head(text, std::iter::once("Section".to_owned()).chain(self.columns.iter().map(|column| column.name.clone())));
        for section in &self.sections {
            let cells = section.totals.iter().map(|totals| {
                let parts: Vec<String> = STATUSES
                    .iter()
                    .filter_map(|(status, word)| totals.get(status).map(|number| format!("{number} {word}")))
                    .collect();
                if parts.is_empty() { "-".to_owned() } else { parts.join(", ") }
            });
            row(text, std::iter::once(format!("{} {}", section.id, section.title)).chain(cells));
        }
        let of_all = self.columns.iter().map(|column| {
            let parts =
                STATUSES.iter().filter_map(|(status, word)| Some(format!("{} {word}", column.statuses.get(status)?)));
            parts.collect::<Vec<_>>().join(", ")
        });
        row(text, std::iter::once("all".to_owned()).chain(of_all));
        text.push('\n');
    }

    fn requirements_table(&self, text: &mut String, all: bool) {
        let rows: Vec<_> =
            self.sections.iter().flat_map(|section| &section.rows).filter(|row| all || row.differs()).collect();
        if rows.is_empty() {
            return;
        }
        let title = if all { "All requirements" } else { "Requirements that differ" };
        text.push_str(&format!("## {title}\n\n"));
        let names = self.columns.iter().map(|column| column.name.clone());
        let words = ["Requirement", "Level"].map(str::to_owned);
        head(text, words.into_iter().chain(names).chain(["Text".to_owned()]));
        for requirement in rows {
            let cells = requirement.cells.iter().map(|cell| cell.map_or("-", word).to_owned());
            let about = [requirement.id.clone(), requirement.level.clone()];
            row(text, about.into_iter().chain(cells).chain([requirement.text.clone()]));
        }
        let absent = self.sections.iter().flat_map(|section| &section.rows).any(|row| row.cells.contains(&None));
        if absent {
            text.push_str("\n\\- : that version of the protocol has no such requirement.\n");
        }
    }
}

pub(super) fn head(text: &mut String, cells: impl IntoIterator<Item = String>) {
    let cells: Vec<String> = cells.into_iter().collect();
    let columns = cells.len();
    row(text, cells);
    text.push_str(&format!("|{}\n", " --- |".repeat(columns)));
}

pub(super) fn row(text: &mut String, cells: impl IntoIterator<Item = String>) {
    let cells: String = cells.into_iter().map(|cell| format!(" {} |", escaped(&cell))).collect();
    text.push_str(&format!("|{cells}\n"));
}

/// Text, and nothing but text: in Markdown each of these characters may be the beginning of something else, and so may HTML.
pub(super) fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in harmless(text).chars() {
        match c {
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '&' => out.push_str("&amp;"),
            // What follows would be told, by GitHub, that it was named.
            '@' => out.push_str("&#64;"),
            '\\' | '`' | '*' | '_' | '{' | '}' | '[' | ']' | '#' | '|' | '~' | '!' | '$' => {
                out.push('\\');
                out.push(c);
            }
            _ => out.push(c),
        }
    }
    out
}
