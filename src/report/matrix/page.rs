//! A matrix in Markdown for those who choose a server: of each, what it violates, and what could not be tested.
//!
//! Nothing on it changes from run to run, so that a page in a repository can be held against the next run: no message, no number of
//! cases, no time, and no path of a machine.

use std::collections::{BTreeMap, BTreeSet};

use super::markdown::{escaped, head, row};
use super::{Column, Matrix, Row};
use crate::report::Report;
use crate::report::frame::word;
use crate::report::terminal::requirements::STATUSES;
use crate::report::text::count;
use crate::target::Has;
use crate::verdict::{NOT_SELECTED, Status};

impl Matrix {
    /// The page.
    pub fn page(&self) -> String {
        let mut text = String::from("# Conformance of servers\n\n");
        for remark in &self.remarks {
            text.push_str(&format!("- **But** {}\n", escaped(remark)));
        }
        if !self.remarks.is_empty() {
            text.push('\n');
        }
        self.totals(&mut text);
        text.push_str(
            "A requirement is *violated* where a case shows that it is broken, *noted* where it deviates from what is recommended, *verified* \
             where a case looked and all was well, *observed* where the text leaves it open, and *not exercised* where no case could look, as \
             for want of a feature.\n\n",
        );
        for (column, source) in self.columns.iter().zip(&self.sources) {
            self.server(&mut text, column, &source.report);
        }
        self.violations(&mut text);
        self.sections_table(&mut text);
        text.truncate(text.trim_end().len());
        text.push('\n');
        text
    }

    fn totals(&self, text: &mut String) {
        let words = STATUSES.map(|(_, word)| word.to_owned());
        head(text, ["Server", "Version of vfio-user"].map(str::to_owned).into_iter().chain(words));
        for column in &self.columns {
            let numbers =
                STATUSES.map(|(status, _)| column.statuses.get(&status).copied().unwrap_or_default().to_string());
            row(text, [column.name.clone(), column.profile.clone()].into_iter().chain(numbers));
        }
        text.push('\n');
    }

    fn server(&self, text: &mut String, column: &Column, report: &Report) {
        text.push_str(&format!("## {}\n\n", escaped(&column.name)));
        text.push_str(&format!(
            "Judged as a server of vfio-user {}, by version {} of the harness.\n\n",
            escaped(&column.profile),
            escaped(&column.harness)
        ));
        let rows = || self.sections.iter().flat_map(|section| &section.rows);
        for (status, title) in [(Status::Violated, "Violated"), (Status::Noted, "Noted")] {
            let of_status: Vec<&Row> = rows()
                .filter(|row| report.requirements.get(&row.id).is_some_and(|known| known.status == status))
                .collect();
            if of_status.is_empty() {
                if status == Status::Violated {
                    text.push_str("No violation was seen.\n\n");
                }
                continue;
            }
            text.push_str(&format!("### {title}: {}\n\n", count(of_status.len(), "requirement")));
            for row in of_status {
                text.push_str(&requirement(row, report));
            }
            text.push('\n');
        }
        untested(text, report);
    }

    /// A row for each requirement that one of them violates.
    fn violations(&self, text: &mut String) {
        let rows: Vec<&Row> = self.sections.iter().flat_map(|section| &section.rows).collect();
        let violated = || rows.iter().filter(|row| row.cells.contains(&Some(Status::Violated)));
        if violated().next().is_none() {
            return;
        }
        text.push_str("## Requirements that one of them violates\n\n");
        let names = self.columns.iter().map(|column| column.name.clone());
        head(text, std::iter::once("Requirement".to_owned()).chain(names));
        for requirement in violated() {
            let cells = requirement.cells.iter().map(|cell| cell.map_or("-", word).to_owned());
            row(text, std::iter::once(requirement.id.clone()).chain(cells));
        }
        text.push('\n');
    }
}

/// What it says, where, and what is known of it, where it is pinned.
fn requirement(row: &Row, report: &Report) -> String {
    let mut text = format!("- **{}** ({}) {}", escaped(&row.id), escaped(&row.level), escaped(&row.text));
    if !row.clauses.is_empty() {
        text.push_str(&format!(" *{}*", escaped(&row.clauses.join("; "))));
    }
    text.push('\n');
    let met = report.expectations.iter().flat_map(|compared| &compared.met);
    let mut told: Vec<(&str, Option<&str>)> = Vec::new();
    for met in met.filter(|met| met.requirement.as_ref() == Some(&row.id)) {
        let known = (met.reason.as_str(), met.link.as_deref());
        if !told.contains(&known) {
            told.push(known);
        }
    }
    // In which order they were met depends on the order of the cases alone; what refers to another comes behind it.
    told.sort_by_key(|(reason, _)| reason.starts_with("As for "));
    for (reason, link) in told {
        let link = link.filter(|link| link.starts_with("https://") && link.bytes().all(is_of_address));
        let link = link.map_or(String::new(), |link| format!(" [More of it]({link})"));
        text.push_str(&format!("  - {}{link}\n", escaped(reason)));
    }
    text
}

/// Nothing that would end a link, or begin something else.
fn is_of_address(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-._~:/?#=&%+".contains(&byte)
}

/// What it lacks, by what is said of that, and what else no case came to.
fn untested(text: &mut String, report: &Report) {
    let has = report.target.discovered.has.values();
    let lacking: BTreeSet<&str> =
        has.filter_map(|has| if let Has::No(why) = has { Some(why.as_str()) } else { None }).collect();
    let mut by_reason: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for (id, known) in report.requirements.iter().filter(|(_, known)| known.status == Status::NotExercised) {
        let reason = known.reason.as_deref().unwrap_or(NOT_SELECTED);
        // What no client can see has no case, whoever the server is.
        if known.cases.is_empty() && reason != NOT_SELECTED {
            by_reason.entry("no client can tell, of any server").or_default().push(id);
            continue;
        }
        let lacks: BTreeSet<&str> =
            reason.split("; ").filter(|part| *part == NOT_SELECTED || lacking.contains(part)).collect();
        // One that lacks several things is told with each; what else came in between may be otherwise in the next run.
        for reason in
            lacks.iter().copied().chain(lacks.is_empty().then_some("for another reason (`run --verbose` tells which)"))
        {
            by_reason.entry(reason).or_default().push(id);
        }
    }
    if by_reason.is_empty() {
        return;
    }
    let number = report.with_status(Status::NotExercised);
    text.push_str(&format!("### Not exercised: {}\n\n", count(number, "requirement")));
    let mut by_reason: Vec<(&str, Vec<&str>)> = by_reason.into_iter().collect();
    by_reason.sort_by_key(|(reason, ids)| (std::cmp::Reverse(ids.len()), *reason));
    for (reason, ids) in by_reason {
        text.push_str(&format!("- {}: {}\n", escaped(reason), escaped(&ids.join(", "))));
    }
    text.push('\n');
}

#[cfg(test)]
mod tests {
    use pretty_assertions::assert_eq;

    use crate::report::matrix::{Matrix, Source};
    use crate::report::{Report, sample};

    /// A server whose run was pinned, and which lacks an interrupt and a range.
    fn sampled() -> Report {
        let mut report = sample::report(sample::cases(), sample::ended());
        report.expectations = Some(sample::expectations().compare(&report.cases, &[]));
        report.target.discovered.no("scratch", "the target has no scratch range");
        report
    }

    fn page(reports: Vec<Report>) -> String {
        let source = |(n, report)| Source { name: Some(format!("server {n}")), file: "/tmp/x.json".to_owned(), report };
        Matrix::new(reports.into_iter().enumerate().map(source).collect(), &sample::register()).page()
    }

    #[test]
    fn each_server_is_told_with_what_it_violates_and_why_that_is_known() {
        let page = page(vec![sampled(), sampled()]);
        let expected = "\
## server 1

Judged as a server of vfio-user 0.9.2, by version 0.1.0 of the harness.

### Violated: 2 requirements

- **HDR-19** (implied) The payload of a message is what its size says, so surplus payload is consumed and never read as a new header. \
*vfio-user 0.9.2, Header, lines 397-399; vfio-user 0.9.2, Security, lines 315-317*
  - a slice out of range, fixed in 0.1.8 [More of it](https://example.org/issues/12)
- **HDR-20** (MUST) A DMA\\_MAP over an existing region must be refused with EEXIST in the error field. \
*vfio-user 0.9.2, DMA\\_MAP, line 653*

";
        assert!(page.contains(expected), "{page}");
        assert!(page.contains("| server 0 | 0.9.2 | 2 | 0 | 1 | 0 | 0 |\n"), "{page}");
        assert!(page.contains("| HDR-19 | violated | violated |\n") && !page.contains("| HDR-21 |"), "{page}");
    }

    #[test]
    fn nothing_on_it_is_otherwise_in_the_next_run_or_on_another_machine() {
        let mut later = sampled();
        later.command = vec!["/home/me/run".to_owned()];
        later.platform = "linux 9 riscv64".to_owned();
        later.target.how = "/home/me/gpio".to_owned();
        later.cases.iter_mut().flat_map(|case| &mut case.findings).for_each(|found| found.actual.push_str(" again"));
        later.cases.pop();
        later.totals = crate::report::Totals::of(&later.cases);
        later.said = "otherwise".to_owned();
        let (one, two) = (page(vec![sampled()]), page(vec![later]));
        assert_eq!(one, two);
        assert!(!one.contains("/tmp") && !one.contains("gpio"), "{one}");
    }

    #[test]
    fn what_was_not_exercised_is_told_by_what_is_lacking() {
        let mut report = sampled();
        let statuses = [
            ("HDR-19", "the target has no scratch range; the server ended", vec!["region.scratch".to_owned()]),
            ("HDR-20", "the server ended", vec!["region.scratch".to_owned()]),
            ("HDR-21", "No client sees it; none can.", Vec::new()),
        ];
        for (id, reason, cases) in statuses {
            let known = report.requirements.get_mut(id).unwrap();
            (known.status, known.reason, known.cases) =
                (crate::verdict::Status::NotExercised, Some(reason.to_owned()), cases);
        }
        let expected = "\
No violation was seen.

### Not exercised: 3 requirements

- for another reason (\\`run --verbose\\` tells which): HDR-20
- no client can tell, of any server: HDR-21
- the target has no scratch range: HDR-19
";
        let page = page(vec![report]);
        assert!(page.contains(expected), "{page}");
        assert!(!page.contains("that one of them violates"), "{page}");
    }

    #[test]
    fn what_a_report_says_is_text_and_a_link_is_an_address() {
        let mut report = sampled();
        let met = &mut report.expectations.as_mut().unwrap().met;
        for (n, link) in ["javascript:alert", "https://x.org/) <b>", "https://x.org/a_(b)"].into_iter().enumerate() {
            let mut entry = met[0].clone();
            (entry.reason, entry.link) = (format!("<b>{n}</b> [x](y)\n# no"), Some(link.to_owned()));
            met.push(entry);
        }
        let page = page(vec![report]);
        assert_eq!(page.matches("](").count(), 1 + 3, "{page}");
        assert_eq!(page.matches("[More of it](").count(), 1, "{page}");
        assert!(!page.contains("<b>") && !page.contains("\n# no"), "{page}");
    }
}
