//! Reports of several servers, or of several versions of one, side by side: what each says of every requirement.
//!
//! A [`Matrix`] is all that is told of them; [`Matrix::terminal`], [`Matrix::markdown`] and
//! [`Matrix::html`] say it, [`Matrix::page`] to those who choose a server.

mod change;
mod column;
mod html;
mod markdown;
mod page;
mod terminal;

use std::collections::{BTreeMap, BTreeSet};

pub use change::{CaseChange, Change, Changes, Direction};
pub use column::{Column, Source};

use super::text::count;
use crate::requirement::{Cite, Register};
use crate::verdict::{RequirementStatus, Status};

/// Where requirements stand that the register of this program does not have.
const ELSEWHERE: &str = "other";

/// What several reports say of every requirement.
#[derive(Debug, Clone)]
pub struct Matrix {
    /// The reports, in the order in which they were given.
    pub columns: Vec<Column>,
    /// What must be known before they are compared, as sentences: that one is incomplete, or was judged by another harness.
    pub remarks: Vec<String>,
    /// The requirements, by section of the specification.
    pub sections: Vec<Section>,
    /// What is compared, in that order.
    pub sources: Vec<Source>,
    /// What became better and worse, where two reports of one version of the protocol are compared.
    pub changes: Option<Changes>,
}

/// The requirements of one section.
#[derive(Debug, Clone)]
pub struct Section {
    /// Its id: what the ids of its requirements begin with.
    pub id: String,
    /// What it is about.
    pub title: String,
    /// For each report, how many of its requirements have which status.
    pub totals: Vec<BTreeMap<Status, usize>>,
    /// Its requirements.
    pub rows: Vec<Row>,
}

/// One requirement.
#[derive(Debug, Clone)]
pub struct Row {
    /// Its id.
    pub id: String,
    /// MUST, SHOULD, MAY or implied.
    pub level: String,
    /// What the server must, should or may do.
    pub text: String,
    /// The clauses where it stands, with their lines.
    pub clauses: Vec<String>,
    /// What each report says of it; `None` where its version of the protocol has no such requirement.
    pub cells: Vec<Option<Status>>,
}

impl Row {
    /// Reports that know of it say different things.
    pub fn differs(&self) -> bool {
        let mut known = self.cells.iter().flatten();
        known.next().is_some_and(|first| known.any(|other| other != first))
    }
}

impl Section {
    /// All reports say the same of it.
    pub fn is_alike(&self) -> bool {
        self.rows.iter().all(|row| !row.differs()) && self.totals.windows(2).all(|pair| pair.first() == pair.last())
    }
}

impl Matrix {
    /// Puts reports side by side; texts are those of the register, or where that has none, of the reports.
    pub fn new(sources: Vec<Source>, register: &Register) -> Matrix {
        let changes = match sources.as_slice() {
            [before, after] if before.is_of_the_version_of(after) => Some(Changes::between(before, after)),
            _ => None,
        };
        let sections = sections(&sources, register);
        let columns = column::named(&sources);
        Matrix { remarks: remarks(&columns, &sources), columns, sections, sources, changes }
    }
}

fn sections(sources: &[Source], register: &Register) -> Vec<Section> {
    let ids: BTreeSet<&String> = sources.iter().flat_map(|source| source.report.requirements.keys()).collect();
    let mut by_section: BTreeMap<&str, Vec<Row>> = BTreeMap::new();
    for id in ids {
        let known: Vec<Option<&RequirementStatus>> =
            sources.iter().map(|source| source.report.requirements.get(id)).collect();
        let of_report = known.iter().flatten().next();
        let of_report = of_report.map(|status| (status.level.to_string(), status.text.clone(), status.clauses.clone()));
        let places = |cites: &[Cite]| cites.iter().map(Cite::place).collect();
        let of_register =
            register.get(id).map(|known| (known.level.to_string(), known.text.clone(), places(&known.cites)));
        let (level, text, clauses) = of_register.or(of_report).unwrap_or_default();
        let cells = known.iter().map(|status| status.map(|status| status.status)).collect();
        let section = register.get(id).map_or(ELSEWHERE, |known| known.section.as_str());
        by_section.entry(section).or_default().push(Row { id: id.clone(), level, text, clauses, cells });
    }
    let titles = register.sections().map(|section| (section.id.as_str(), section.title.as_str()));
    let titles = titles.chain([(ELSEWHERE, "Requirements that this program's register does not have")]);
    let section = |(id, title): (&str, &str)| {
        let rows = by_section.remove(id)?;
        let totals = (0..sources.len()).map(|column| totals(&rows, column)).collect();
        Some(Section { id: id.to_owned(), title: title.to_owned(), totals, rows })
    };
    titles.filter_map(section).collect()
}

fn totals(rows: &[Row], column: usize) -> BTreeMap<Status, usize> {
    let mut totals = BTreeMap::new();
    for status in rows.iter().filter_map(|row| row.cells.get(column).copied().flatten()) {
        *totals.entry(status).or_default() += 1;
    }
    totals
}

/// What a reader must know before the columns are compared.
fn remarks(columns: &[Column], sources: &[Source]) -> Vec<String> {
    let mut remarks = Vec::new();
    for (column, source) in columns.iter().zip(sources) {
        if let Some(why) = &column.incomplete {
            remarks.push(format!("{} is incomplete: {why}", column.name));
        }
        if column.unselected > 0 {
            let requirements = count(column.unselected, "requirement");
            remarks.push(format!("{}: no selected case checks {requirements}", column.name));
        }
        let missing = source.lacks_of(sources);
        if missing > 0 {
            let cases = count(missing, "case");
            remarks.push(format!(
                "{} has not played or skipped {cases} that another report of its version has",
                column.name
            ));
        }
    }
    let mut differ = |what: &str, of: fn(&Column) -> &str| {
        let each: BTreeSet<&str> = columns.iter().map(of).collect();
        if each.len() > 1 {
            let word = |column| Some(of(column)).filter(|word| !word.is_empty()).unwrap_or("none");
            let told: Vec<String> = columns.iter().map(|column| format!("{} {}", column.name, word(column))).collect();
            remarks.push(format!("they were judged by different {what}: {}", told.join(", ")));
        }
    };
    differ("versions of the harness", |column| &column.harness);
    differ("cases (SHA-256)", |column| &column.cases_sha256);
    differ("registers (SHA-256)", |column| &column.register_sha256);
    differ("versions of the protocol", |column| &column.profile);
    let strict = |strict: bool| -> Vec<&str> {
        let of = |source: &Source| source.report.strict == strict;
        columns.iter().zip(sources).filter(|(_, source)| of(source)).map(|(column, _)| column.name.as_str()).collect()
    };
    if !strict(true).is_empty() && !strict(false).is_empty() {
        let names = strict(true).join(", ");
        remarks.push(format!("notes count as violations for the exit code of {names} alone (--strict); what is told here is the same with it"));
    }
    remarks
}

#[cfg(test)]
#[path = "matrix_tests.rs"]
mod tests;
