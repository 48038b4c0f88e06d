//! A matrix as one page of HTML, which needs no network: what changed, the reports, and requirement by report.

mod changed;
mod reports;
mod sections;
mod table;
mod told;

use maud::{Markup, html};

use self::told::Told;
use super::{Direction, Matrix};
use crate::report::frame::{Frame, foreign, slug};
use crate::report::text::count;

const STYLE: &str = include_str!("style.css");

impl Matrix {
    /// All of it, every requirement, as a page.
    pub fn html(&self) -> String {
        let told: Vec<Told<'_>> = self.columns.iter().zip(&self.sources).map(|(one, two)| Told::of(one, two)).collect();
        let requirements: usize = self.sections.iter().map(|section| section.rows.len()).sum();
        let contents = vec![
            ("changes", html! { "What changed" }),
            ("reports", html! { "Reports " span.number { (self.columns.len()) } }),
            ("sections", html! { "By section" }),
            ("requirements", html! { "Requirements " span.number { (requirements) } }),
        ];
        let frame = Frame {
            title: &self.title(),
            verdict: self.verdict(),
            contents,
            main: html! {
                (changed::changed(self, &told))
                (reports::reports(&told))
                (sections::sections(self))
                (table::table(self, &told))
            },
            origin: html! {
                "Made by " (env!("CARGO_PKG_NAME")) " " (env!("CARGO_PKG_VERSION")) " from "
                (count(self.columns.len(), "report")) "."
            },
            style: STYLE,
        };
        frame.page()
    }

    /// The names of the reports, as a sentence has them.
    fn title(&self) -> String {
        let names: Vec<&str> = self.columns.iter().map(|column| column.name.as_str()).collect();
        match names.as_slice() {
            [names @ .., last] if !names.is_empty() => format!("{} and {last}", names.join(", ")),
            names => names.join(""),
        }
    }

    /// How much differs, and loudly what must be known before.
    fn verdict(&self) -> Markup {
        let has = |way| self.changes.as_ref().is_some_and(|changes| changes.count(way) != (0, 0));
        let (style, sign) = match () {
            () if has(Direction::Worse) => ("verdict bad", "\u{2715}"),
            () if has(Direction::Better) => ("verdict good", "\u{2713}"),
            () => ("verdict none", "="),
        };
        html! {
            p class=(style) { span.sign aria-hidden="true" { (sign) } span { (self.said().join(" ")) } }
            @if !self.remarks.is_empty() {
                div.incomplete {
                    p { strong { "Before they are compared:" } }
                    ul { @for remark in &self.remarks { li { (foreign(remark)) } } }
                }
            }
        }
    }
}

/// The id of the place of a requirement.
fn place_of_requirement(id: &str) -> String {
    format!("requirement-{}", slug(id))
}

/// The id of the place of a section of the register.
fn place_of_section(id: &str) -> String {
    format!("section-{}", slug(id))
}

#[cfg(test)]
mod tests;
