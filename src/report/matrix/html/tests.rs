//! What stands on the page, and that nothing of what others wrote does more than stand there.

use base64::Engine;
use pretty_assertions::assert_eq;
use sha2::Digest;

use super::super::{Matrix, Source};
use crate::report::frame::checks::{
    self, HOSTILE, assert_is_ours, assert_links_lead_somewhere, between, poison, values,
};
use crate::report::{Report, sample};
use crate::verdict::{CaseRecord, Status};

fn source(name: &str, report: Report) -> Source {
    Source { name: Some(name.to_owned()), file: format!("{name}.json"), report }
}

/// The sample's run, as it was pinned.
fn sampled() -> Report {
    let mut report = sample::report(sample::cases(), sample::ended());
    let pins = sample::expectations();
    report.expectations = Some(pins.compare(&report.cases, &[]));
    report
}

/// The sample's run, had nothing been found and no range been there.
fn clean() -> Report {
    let cases = sample::cases().into_iter().map(|case| CaseRecord {
        findings: Vec::new(),
        checks: case
            .checks
            .into_iter()
            .map(|check| crate::verdict::Check { said: crate::verdict::Said::Held, ..check })
            .collect(),
        ..case
    });
    sample::report(cases.collect(), sample::ended())
}

fn matrix(sources: Vec<Source>) -> Matrix {
    Matrix::new(sources, &sample::register())
}

fn two() -> String {
    matrix(vec![source("old", clean()), source("new", sampled())]).html()
}

/// The words of a part of a page: what stands in two elements is two words.
fn words(part: &str) -> String {
    checks::words(&part.replace('<', " <"))
}

/// The row of a requirement.
fn row<'p>(page: &'p str, id: &str) -> &'p str {
    between(page, &format!("<tr id=\"requirement-{id}\""), "</tr>")
}

#[test]
fn what_became_worse_stands_first_with_what_shows_it() {
    let page = two();
    let head = words(between(&page, "<body>", "<h2 id=\"reports\""));
    for said in [
        "old and new",
        "3 requirements: the reports differ on 2. Worse: 2 requirements",
        "From old to new .",
        "Worse 2",
        "HDR-19 implied \u{2713} verified became \u{2715} violated",
        "The payload of a message is what its size says",
        "got the server crashed expected an error reply, a reply as if the surplus were not there, or a close",
        "in header.surplus/DEVICE_RESET , header.surplus/DMA_MAP , header.surplus/DMA_UNMAP",
        "Pinned: a slice out of range, fixed in 0.1.8",
        "HDR-20 MUST \u{2713} verified became \u{2715} violated",
        "got error EINVAL expected error EEXIST in dma-map.overlap",
    ] {
        assert!(head.contains(said), "{said}\n{head}");
    }
    assert!(!page.contains("id=\"better\""), "{head}");
    // The other way round it is better, and what was found before is still told.
    let page = matrix(vec![source("old", sampled()), source("new", clean())]).html();
    let head = words(between(&page, "<body>", "<h2 id=\"reports\""));
    assert!(head.contains("\u{2713} 3 requirements") && !head.contains("Worse 2"), "{head}");
    assert!(head.contains("\u{2715} violated became \u{2713} verified"), "{head}");
    assert!(head.contains("What was found before got error EINVAL"), "{head}");
}

#[test]
fn each_cell_tells_a_status_and_what_was_found() {
    let page = two();
    let violated = words(row(&page, "HDR-19"));
    for said in [
        "HDR-19 implied The payload",
        "2 clauses: vfio-user 0.9.2, Header, lines 397-399",
        "\u{2713} verified",
        "\u{2715} violated pinned",
    ] {
        assert!(violated.contains(said), "{said}\n{violated}");
    }
    assert!(violated.contains("got the server crashed"), "{violated}");
    // One of its two is pinned no more.
    assert!(!words(row(&page, "HDR-20")).contains("pinned"), "{page}");
    assert!(
        page.contains(
            "<tr id=\"requirement-HDR-19\" data-status=\"differs|worse|violated|violated-1\" data-section=\"HDR\">"
        ),
        "{page}"
    );
    // All that is folded opens by itself.
    assert_eq!(page.matches("<details").count(), page.matches("<summary").count());
}

#[test]
fn a_requirement_that_was_not_exercised_tells_why_in_its_cell() {
    let mut report = clean();
    let known = report.requirements.get_mut("HDR-21").unwrap();
    (known.status, known.reason) = (Status::NotExercised, Some("it has no scratch range".to_owned()));
    let page = matrix(vec![source("a", clean()), source("b", report)]).html();
    let row = words(row(&page, "HDR-21"));
    assert!(row.ends_with("\u{2013} not exercised it has no scratch range"), "{row}");
}

#[test]
fn a_requirement_that_a_version_does_not_have_is_said_to_be_none_of_it() {
    let mut v8 = clean();
    v8.profile.used = "v8".to_owned();
    v8.requirements.remove("HDR-20");
    let page = matrix(vec![source("a", clean()), source("b", v8)]).html();
    assert!(words(row(&page, "HDR-20")).ends_with("not in v8"), "{page}");
    let changes = words(between(&page, "<h2 id=\"changes\"", "<h2"));
    assert!(changes.contains("is told of two reports of one version of the protocol"), "{changes}");
}

#[test]
fn what_must_be_known_before_stands_at_the_head() {
    let mut early = sampled();
    early.complete = false;
    early.faults = vec!["the run was interrupted".to_owned()];
    let page = matrix(vec![source("a", clean()), source("b", early)]).html();
    let head = words(between(&page, "<header", "</header>"));
    assert!(
        head.contains(
            "Before they are compared: b is incomplete: the run did not come to its end (the run was interrupted)"
        ),
        "{head}"
    );
    let reports = words(between(&page, "<h2 id=\"reports\"", "<h2"));
    assert!(reports.contains("Incomplete: the run did not come to its end"), "{reports}");
    assert!(!two().contains("Before they are compared"));
}

#[test]
fn each_report_is_told_with_its_totals_and_each_section_with_those_of_each() {
    let page = two();
    let reports = words(between(&page, "<h2 id=\"reports\"", "<h2"));
    for said in ["old", "target gpio --socket-path {socket}", "profile 0.9.2", "file new.json", "violated2", "10 cases"]
    {
        assert!(reports.replace(' ', "").contains(&said.replace(' ', "")), "{said}\n{reports}");
    }
    let sections = words(between(&page, "<h2 id=\"sections\"", "<h2"));
    assert!(sections.contains("\u{2715} 2 violated"), "{sections}");
}

#[test]
fn a_list_can_be_narrowed_by_what_its_rows_have() {
    let page = two();
    let form = between(&page, "<form", "</form>");
    let options = [
        "where they differ (2)",
        "worse (2)",
        "violated in any (2)",
        "violated in new (2)",
        "Header and message framing (3)",
    ];
    for option in options {
        assert!(form.contains(option), "{option}\n{form}");
    }
    assert!(form.contains("value=\"differs\" selected"), "{form}");
    assert!(!form.contains("violated in old") && !form.contains("better"), "what no row has: {form}");
    let alike = matrix(vec![source("a", clean()), source("b", clean())]).html();
    assert!(!between(&alike, "<form", "</form>").contains("selected"));
    assert!(words(between(&alike, "<h2 id=\"changes\"", "<h2")).ends_with("Nothing."));
}

#[test]
fn every_link_leads_to_one_place() {
    assert_links_lead_somewhere(&two());
    let three = matrix(vec![source("a", clean()), source("b", sampled()), source("b", sampled())]).html();
    assert_links_lead_somewhere(&three);
}

#[test]
fn its_policy_lets_in_its_own_style_and_script_alone() {
    let page = two();
    let policy = between(&page, "http-equiv", ">");
    for element in ["style", "script"] {
        let text = page.split(&format!("<{element}>")).nth(1).unwrap().split(&format!("</{element}>")).next().unwrap();
        let digest = base64::engine::general_purpose::STANDARD.encode(sha2::Sha256::digest(text));
        assert!(policy.contains(&format!("{element}-src 'sha256-{digest}';")), "{element} {digest}\n{policy}");
    }
}

#[test]
fn nothing_that_others_wrote_is_more_than_text() {
    let (poisoned, count) = poison(&serde_json::to_value(sampled()).unwrap());
    assert!(count > 200, "{count}");
    let again = poisoned.clone();
    // As another version, and as two of one.
    for sources in [
        vec![source(HOSTILE, poisoned.clone()), source("b", clean())],
        vec![source(HOSTILE, poisoned), source(HOSTILE, clean()), source("c", again)],
    ] {
        let page = matrix(sources).html();
        assert_is_ours(&page);
        assert_links_lead_somewhere(&page);
    }
    // Found against a requirement that has a row, so that it stands in its cell.
    let (mut before, mut after) = (clean(), poison(&serde_json::to_value(sampled()).unwrap()).0);
    let id = after.requirements.keys().next().unwrap().clone();
    after.requirements.get_mut(&id).unwrap().status = Status::Violated;
    after.cases.iter_mut().flat_map(|case| &mut case.findings).for_each(|found| found.requirement.clone_from(&id));
    before.profile.used.clone_from(&after.profile.used);
    before.requirements = after.requirements.clone();
    before.requirements.values_mut().for_each(|known| known.status = Status::Verified);
    let matrix = matrix(vec![source("a", before), source("b", after)]);
    assert!(!matrix.changes.as_ref().unwrap().requirements.is_empty());
    let page = matrix.html();
    assert_is_ours(&page);
    assert!(page.matches("got </strong>&lt;/pre&gt;&lt;/script&gt;&lt;script&gt;alert(1)").count() > 3, "{page}");
    assert!(values(&page, "id").len() > 5);
}

#[test]
fn a_cell_has_so_many_findings_and_counts_the_rest() {
    let mut report = sampled();
    let case = report.cases.iter_mut().find(|case| case.name == "dma-map.overlap").unwrap();
    let finding = case.findings[0].clone();
    for n in 0..9 {
        case.findings
            .push(crate::verdict::Finding { actual: format!("error {n} {}", "x".repeat(1000)), ..finding.clone() });
    }
    let page = matrix(vec![source("a", clean()), source("b", report)]).html();
    let row = words(row(&page, "HDR-20"));
    assert!(row.ends_with("5 more findings"), "{row}");
    assert!(row.contains("more characters"), "{row}");
}
