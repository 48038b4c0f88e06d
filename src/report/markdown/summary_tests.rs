//! What stands in a summary, that nothing of what others wrote does more than stand there, and that it is never too large.

use std::collections::BTreeSet;

use pretty_assertions::assert_eq;
use pulldown_cmark::{Event as Piece, Options, Parser, Tag};

use super::*;
use crate::report::{Report, sample};
use crate::verdict::{CaseRecord, CaseResult, Comparison, Drift};

/// What nobody may get into a summary as it is.
const HOSTILE: &str = "</pre></code></details><script>alert(1)</script>\n\n# x\n\n![a](http://x/y) [b](javascript:c) @all | `d` **e** \
                       ```\n</summary>&lt;\u{1b}[2J\u{202e}\r\n- f";

fn report(cases: Vec<CaseRecord>) -> Report {
    sample::report(cases, sample::ended())
}

fn shown(report: &Report) -> String {
    summary(report, &sample::register())
}

/// The HTML that those see who show Markdown.
fn rendered(text: &str) -> String {
    let mut html = String::new();
    pulldown_cmark::html::push_html(&mut html, Parser::new_ext(text, Options::ENABLE_TABLES | Options::ENABLE_GFM));
    html
}

/// The elements of a page, each with its attributes.
fn elements(html: &str) -> BTreeSet<&str> {
    html.split('<').skip(1).map(|rest| rest.split('>').next().unwrap().trim_start_matches('/')).collect()
}

#[test]
fn a_run_is_told_with_verdict_totals_and_each_finding() {
    let text = shown(&report(sample::cases()));
    assert!(text.starts_with("## \u{274c} Conformance to vfio-user\n\n<p><strong>Exit code 70: "), "{text}");
    assert!(text.contains("| cases | pass | fail | skip | inconclusive | error | notes |\n"), "{text}");
    assert!(text.contains("| 10 | 1 | 4 | 3 | 1 | 1 | 1 |\n"), "{text}");
    let html = rendered(&text);
    for words in [
        "<b>HDR-19</b> implied (Header 397-399; Security 315-317): <code>the server crashed</code> in 3 cases",
        "<b>HDR-20</b> MUST (DMA_MAP 653): <code>error EINVAL</code> in 1 case",
        "again     vfio-user-conformance run --spawn 'gpio --socket-path {socket}' 'header.surplus/DEVICE_RESET'",
        "&lt; DMA_MAP error id=2 size=16 errno=22 (EINVAL)",
        "   2  the target has no scratch range",
        "no reply to DEVICE_SET_IRQS within 2 s",
        "target: <code>gpio --socket-path {socket}</code>",
    ] {
        assert!(html.contains(words), "{words} is not in\n{html}");
    }
}

#[test]
fn the_command_that_runs_a_finding_again_is_there_however_much_is_told_of_it() {
    let cases = (0..2).map(|n| {
        let mut case = sample::wrong_errno();
        case.name = format!("dma-map.overlap/{n}");
        case.replay = format!("vfio-user-conformance run dma-map.overlap/{n} {}", "x".repeat(700));
        case.findings.truncate(1);
        case.findings[0].actual = format!("{n} {}", "words ".repeat(1000));
        case
    });
    let text = shown(&report(cases.collect()));
    for n in 0..2 {
        let again = format!("again     vfio-user-conformance run dma-map.overlap/{n} {}\n", "x".repeat(700));
        assert!(text.replace("</pre>", "\n").contains(&again), "{text}");
    }
    assert!(text.contains(" more lines\nagain "), "{text}");
}

#[test]
fn a_green_run_says_so_and_has_no_findings() {
    let text = shown(&report(vec![sample::case("version.plain", CaseResult::Pass, None)]));
    assert!(text.starts_with("## \u{2705} "), "{text}");
    assert!(!text.contains("<details>"), "{text}");
}

#[test]
fn findings_of_one_cause_stand_together() {
    let cause = crate::verdict::Cause {
        command: "DMA_MAP".to_owned(),
        actual: "the server crashed".to_owned(),
        cases: 3,
        requirements: vec!["HDR-20".to_owned(), "HDR-77".to_owned()],
    };
    let text = shown(&Report { causes: vec![cause], ..report(sample::cases()) });
    let at = |words: &str| text.find(words).unwrap_or_else(|| panic!("{words} is not in\n{text}"));
    let order = [at("3 cases for one cause"), at("<b>HDR-20</b>"), at("Each for itself"), at("<b>HDR-19</b>")];
    assert!(order.is_sorted(), "{order:?}");
}

#[test]
fn what_others_wrote_is_text_and_nothing_else() {
    let mut case = sample::wrong_errno();
    for finding in &mut case.findings {
        (finding.actual, finding.expected) = (HOSTILE.to_owned(), HOSTILE.to_owned());
    }
    case.replay = HOSTILE.to_owned();
    case.stderr = HOSTILE.to_owned();
    let mut skipped = sample::case("region.scratch", CaseResult::Skip, Some(HOSTILE));
    skipped.file = HOSTILE.to_owned();
    let inconclusive = sample::case("irq.late", CaseResult::Inconclusive, Some(HOSTILE));
    let mut report = report(vec![case, skipped, inconclusive]);
    // It is a sentence of ours.
    report.said = HOSTILE.replace("@all", "");
    report.target.how = HOSTILE.to_owned();
    report.command = vec![HOSTILE.to_owned()];
    report.faults = vec![HOSTILE.to_owned()];
    let cause = crate::verdict::Cause {
        command: HOSTILE.to_owned(),
        actual: HOSTILE.to_owned(),
        cases: 3,
        requirements: vec!["HDR-20".to_owned()],
    };
    report.causes = vec![cause];
    let gone = Drift::NoCase { case: HOSTILE.to_owned(), requirement: None, of: None };
    report.expectations = Some(Comparison { drift: vec![gone], ..Comparison::default() });
    let text = shown(&report);
    let parts = Parser::new_ext(&text, Options::ENABLE_TABLES | Options::ENABLE_GFM);
    for part in parts {
        let foreign = matches!(
            part,
            Piece::Start(Tag::Link { .. } | Tag::Image { .. } | Tag::CodeBlock(_) | Tag::List(_) | Tag::BlockQuote(_))
        );
        assert!(!foreign, "{part:?} in\n{text}");
    }
    let html = rendered(&text);
    let known = ["b", "br", "code", "details", "h2", "h3", "li", "p", "pre", "strong", "summary"];
    let tables = [
        "table",
        "tbody",
        "td style=\"text-align: right\"",
        "th style=\"text-align: right\"",
        "thead",
        "tr",
        "ul",
        "td",
        "th",
    ];
    let all: BTreeSet<&str> = known.into_iter().chain(tables).collect();
    let others: Vec<_> = elements(&html).difference(&all).copied().map(str::to_owned).collect();
    assert_eq!(others, [""; 0], "{html}");
    for element in ["details", "summary", "pre", "code"] {
        let count = |tag: &str| html.matches(tag).count();
        assert_eq!(count(&format!("<{element}>")), count(&format!("</{element}>")), "{element} in\n{html}");
    }
    let outside: String = html.split("<code>").map(|part| part.rsplit("</code>").next().unwrap()).collect();
    let outside: String = outside.split("<pre>").map(|part| part.rsplit("</pre>").next().unwrap()).collect();
    assert!(!outside.contains("@all"), "somebody is notified of a server's words:\n{outside}");
    assert!(!text.contains(['\u{1b}', '\u{202e}', '\r']));
}

#[test]
fn a_summary_is_never_larger_than_a_comment_may_be() {
    let cases = (0..400).map(|n| {
        let mut case = sample::wrong_errno();
        case.name = format!("dma-map.overlap/{n}");
        for finding in &mut case.findings {
            finding.requirement = format!("HDR-{n}");
            finding.actual = format!("{n} {}", "&".repeat(1000));
        }
        case.result = if n % 3 == 0 { CaseResult::Inconclusive } else { CaseResult::Fail };
        case.reason = Some(format!("{n} {}", "<".repeat(1000)));
        case
    });
    let mut report = report(cases.collect());
    report.said = "&".repeat(100_000);
    report.target.how = "&".repeat(100_000);
    report.command = vec!["&".repeat(100_000)];
    let text = shown(&report);
    assert!(text.len() <= 65_536, "{}", text.len());
    assert!(text.contains(" more are told by the other reports."), "{text}");
    // What is told of the run itself stands there all the same.
    assert!(text.contains("### The run\n\n<ul><li>target: "), "{text}");
    assert_eq!(text.matches("<details>").count(), text.matches("</details>").count());
}
