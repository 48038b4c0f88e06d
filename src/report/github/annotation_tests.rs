//! Annotations: which there are, how many, and that none is more than one line.

use pretty_assertions::assert_eq;

use super::*;
use crate::report::sample;
use crate::run::End;
use crate::verdict::Comparison;

fn report(cases: Vec<CaseRecord>) -> Report {
    sample::report(cases, sample::ended())
}

fn told(report: &Report) -> Vec<String> {
    annotations(report, &sample::register()).iter().map(Annotation::to_string).collect()
}

#[test]
fn a_deviation_is_told_once_at_the_line_that_shows_it() {
    let told = told(&report(vec![sample::crash("header.surplus/DMA_MAP"), sample::crash("header.surplus/DMA_UNMAP")]));
    let [only] = &told[..] else { panic!("{told:#?}") };
    let (head, message) = only.rsplit_once("DMA_MAP::").unwrap();
    assert_eq!(head, "::error file=cases/header/surplus.case,line=7,title=HDR-19%3A header.surplus/");
    let lines: Vec<&str> = message.split("%0A").collect();
    assert_eq!(
        lines,
        [
            "implied (Header 397-399; Security 315-317): The payload of a message is what its size says, so surplus payload \
             is consumed and never read as a new header.",
            "expected an error reply, a reply as if the surplus were not there, or a close",
            "got the server crashed",
            "and in 1 more case",
            "again: vfio-user-conformance run --spawn 'gpio --socket-path {socket}' 'header.surplus/DMA_MAP'",
        ]
    );
}

#[test]
fn of_everything_that_is_not_green_something_is_told_and_of_green_nothing() {
    assert_eq!(told(&report(vec![sample::case("version.plain", CaseResult::Pass, None)])), [""; 0]);
    let inconclusive = told(&report(vec![sample::case("irq.late", CaseResult::Inconclusive, Some("no reply"))]));
    assert!(
        inconclusive[0]
            .starts_with("::warning file=cases/irq/late.case,line=3,title=irq.late%3A inconclusive::no reply%0A"),
        "{inconclusive:?}"
    );
    let error = told(&report(vec![sample::case("irq.late", CaseResult::Error, Some("no such word"))]));
    assert!(
        error[0].starts_with("::error file=cases/irq/late.case,line=3,title=irq.late%3A in error::no such word%0A"),
        "{error:?}"
    );
    let nothing = told(&report(vec![sample::case("irq.late", CaseResult::Skip, Some("absent"))]));
    assert_eq!(nothing, ["::error title=the run::Exit code 5: nothing was judged: every selected case was skipped."]);
    let lost = End { lost: Some("gpio: not found\nand more".to_owned()), ..End::default() };
    let lost = told(&sample::report(Vec::new(), crate::run::Event::Ended(lost)));
    assert_eq!(lost, ["::error title=the run::gpio: not found%0Aand more"]);
}

#[test]
fn a_note_is_told_where_it_counts() {
    let mut noted = sample::wrong_errno();
    noted.findings.retain(|finding| finding.class == Class::Note);
    noted.result = CaseResult::Pass;
    let mut strict = report(vec![noted]);
    assert_eq!(told(&strict), [""; 0]);
    (strict.strict, strict.exit_code) = (true, 2);
    assert_eq!(told(&strict).len(), 1);
}

#[test]
fn there_are_ten_at_most_and_the_last_one_counts_the_rest() {
    let many = |count: usize| {
        let cases = (0..count).map(|n| {
            let mut case = sample::wrong_errno();
            case.name = format!("dma-map.overlap/{n}");
            case.findings.truncate(1);
            case.findings[0].actual = format!("error {n}");
            case
        });
        told(&report(cases.collect()))
    };
    assert_eq!(many(10).len(), 10);
    assert!(many(10).iter().all(|line| line.contains("HDR-20")));
    let eleven = many(11);
    assert_eq!(eleven.len(), 10);
    assert!(eleven[9].starts_with("::error title=and 2 more::"), "{eleven:#?}");
    assert!(many(500)[9].starts_with("::error title=and 491 more::"));
}

#[test]
fn drift_is_told_in_place_of_what_is_pinned() {
    let mut pinned = report(vec![sample::crash("header.surplus/DMA_MAP"), sample::wrong_errno()]);
    pinned.exit_code = 6;
    let unexpected = |case: &str| Drift::Unexpected {
        case: case.to_owned(),
        requirement: Some("HDR-20".to_owned()),
        observed: Some(crate::verdict::Observed::Violation),
        detail: "expected error EEXIST, got error EINVAL".to_owned(),
    };
    let gone = Drift::NoCase { case: "header.gone".to_owned(), requirement: None, of: None };
    let drift = vec![unexpected("dma-map.overlap"), gone, unexpected("dma-map.other")];
    pinned.expectations = Some(Comparison { drift, ..Comparison::default() });
    let told = told(&pinned);
    assert_eq!(told.len(), 2, "{told:#?}");
    assert!(told[0].starts_with("::error file=cases/dma.case,line=7,title=drift%3A dma-map.overlap::dma-map.overlap: \"violation\" on HDR-20 is not pinned"), "{}", told[0]);
    assert!(told[0].contains("%0Aand in 1 more case%0A"), "{}", told[0]);
    assert!(
        told[1].starts_with("::error title=drift%3A header.gone::header.gone: the entry matches no case"),
        "{}",
        told[1]
    );
}

#[test]
fn what_a_server_says_ends_neither_line_nor_property() {
    let hostile = "x\n::add-mask::y\r::error::z,line=1::%0A::\u{1b}[2J";
    let mut case = sample::wrong_errno();
    case.findings.truncate(1);
    case.findings[0].actual = hostile.to_owned();
    case.file = format!("cases/{hostile}");
    let told = told(&report(vec![case]));
    assert_eq!(told.len(), 1);
    assert!(!told[0].contains(['\n', '\r', '\u{1b}']), "{}", told[0]);
    let properties = told[0].strip_prefix("::error ").unwrap();
    let properties = &properties[..properties.find("::").unwrap()];
    let names: Vec<&str> = properties.split(',').map(|one| one.split('=').next().unwrap()).collect();
    assert_eq!(names, ["file", "line", "title"]);
    assert!(told[0].contains("got x\\n::add-mask::y\\r::error::z,line=1::%250A::\\u{1b}[2J%0A"), "{}", told[0]);
}
