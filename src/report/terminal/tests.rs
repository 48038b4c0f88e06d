use pretty_assertions::assert_eq;

use super::*;
use crate::report::sample;
use crate::run::End;
use crate::verdict::{CaseRecord, CaseResult};

fn told(cases: Vec<CaseRecord>, end: Event, verbose: bool, change: impl Fn(&mut Context<'_>)) -> String {
    let register = sample::register();
    let mut context = sample::context(&register);
    context.selected = sample::names(&cases);
    change(&mut context);
    let mut out = Vec::new();
    sample::play(&mut Terminal::new(&mut out, context, verbose), cases, end);
    let text = anstream::adapter::strip_str(std::str::from_utf8(&out).unwrap()).to_string();
    for line in text.lines() {
        assert!(line.chars().count() <= 120, "{line}");
        assert_eq!(line.trim_end(), line, "space at the end of a line");
    }
    text
}

fn end(interrupted: bool, lost: Option<&str>) -> Event {
    let complete = !interrupted && lost.is_none();
    Event::Ended(End { complete, interrupted, lost: lost.map(str::to_owned), seconds: 1.0, ..End::default() })
}

fn last_line(text: &str) -> &str {
    text.lines().last().unwrap_or_default()
}

/// The terminal is what a server's author reads: any change of it should be looked at. Run with `BLESS=1` to take it.
fn assert_snapshot(name: &str, text: &str) {
    let text = text.replace(&format!("conformance {}\n", env!("CARGO_PKG_VERSION")), "conformance VERSION\n");
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("src/report/terminal/snapshots").join(name);
    if std::env::var_os("BLESS").is_some() {
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, &text).unwrap();
    }
    assert_eq!(text, std::fs::read_to_string(&path).unwrap());
}

#[test]
fn a_run_with_every_kind_of_result() {
    assert_snapshot("every-result.txt", &told(sample::cases(), sample::ended(), false, |_| ()));
}

#[test]
fn a_run_with_pinned_expectations_told_at_length() {
    let pins = Box::leak(Box::new(sample::expectations()));
    assert_snapshot(
        "pinned-verbose.txt",
        &told(sample::cases(), sample::ended(), true, |context| context.expectations = Some(pins)),
    );
}

#[test]
fn a_run_without_a_finding_is_short() {
    let text = told(vec![sample::case("version.plain", CaseResult::Pass, None)], sample::ended(), false, |_| ());
    assert_snapshot("conforming.txt", &text);
}

#[test]
fn a_target_that_could_not_be_started_is_told_with_its_sentence() {
    let register = sample::register();
    let mut out = Vec::new();
    let lost = end(false, Some("\u{1b}[2Jgpio: No such file or directory"));
    Terminal::new(&mut out, sample::context(&register), false).event(&lost).unwrap();
    let text = anstream::adapter::strip_str(std::str::from_utf8(&out).unwrap()).to_string();
    assert_snapshot("not-started.txt", &text);
}

#[test]
fn a_trouble_of_the_probe_is_told_in_a_few_lines() {
    let register = sample::register();
    let Event::Started(mut start) = sample::start() else { panic!() };
    let trouble =
        format!("DMA_MAP: the server ended; it printed:\npanicked at x.rs\n{}\n1\n2\n3\n4", "x".repeat(70_000));
    start.discovered.troubles = vec![trouble];
    let mut out = Vec::new();
    Terminal::new(&mut out, sample::context(&register), false).event(&Event::Started(start)).unwrap();
    let text = anstream::adapter::strip_str(std::str::from_utf8(&out).unwrap()).to_string();
    assert!(text.contains("probe     DMA_MAP: the server ended; it printed:\n          panicked at x.rs\n"), "{text}");
    assert!(text.lines().all(|line| line.chars().count() <= 120), "{text}");
    assert!(text.lines().count() <= 10, "{text}");
}

#[test]
fn a_panic_is_shown_before_its_backtrace() {
    let mut case = sample::crash("header.surplus/DMA_MAP");
    let trace: String = (0..30).map(|n| format!("  {n}: frame\n")).collect();
    case.stderr.push_str(&format!("{}\nstack backtrace:\n{trace}", "x".repeat(70_000)));
    let text = told(vec![case], sample::ended(), false, |_| ());
    let start = "| .. 1 line before\n              | thread 'main' panicked at src/lib.rs:41:9:\n              | range end index 36";
    assert!(text.contains(start), "{text}");
    assert!(text.contains("| .. 26 lines after"), "{text}");
}

#[test]
fn findings_that_are_many_are_told_shortly_after_the_first_three() {
    let cases: Vec<CaseRecord> = (0..5)
        .map(|n| {
            let mut case = sample::wrong_errno();
            case.name = format!("dma-map.overlap/{n}");
            case.findings[0].actual = format!("error {n}");
            case.findings[0].seen = Some((1, 3));
            case
        })
        .collect();
    let text = told(cases, sample::ended(), false, |_| ());
    assert_eq!(text.matches("header.error = 22").count(), 3);
    assert_eq!(text.matches("seen      1 of 3 times").count(), 5);
    assert_eq!(text.matches("    again     ").count(), 5);
}

#[test]
fn a_finding_without_a_message_shows_the_end_of_the_session() {
    let mut case = sample::wrong_errno();
    case.findings.truncate(1);
    case.findings[0].message = None;
    case.findings[0].step = 0;
    for n in 0..10 {
        let mut entry = case.transcript[0].clone();
        entry.n = 7 + n;
        entry.client = "b".to_owned();
        case.transcript.push(entry);
    }
    case.transcript[11].client = "a".to_owned();
    let text = told(vec![case], sample::ended(), false, |_| ());
    assert!(text.contains("      .. 10 messages before\n      > b: "), "{text}");
    assert!(text.contains("dma-map.overlap, after its last step"), "{text}");
    assert!(!text.contains("^^^"), "{text}");
}

#[test]
fn the_last_line_says_what_the_exit_code_means() {
    let pass = || sample::case("version.plain", CaseResult::Pass, None);
    let late = || sample::case("irq.late", CaseResult::Inconclusive, Some("silent"));
    let skip = || sample::case("irq.none", CaseResult::Skip, Some("the target has no interrupt"));
    let note = || {
        let mut case = sample::wrong_errno();
        case.findings.remove(0);
        CaseRecord { result: CaseResult::Pass, ..case }
    };
    let code = |cases, strict: bool| {
        let text = told(cases, sample::ended(), false, |context| context.strict = strict);
        last_line(&text).to_owned()
    };
    assert_eq!(code(vec![pass()], false), "Exit code 0: no violation was seen.");
    assert_eq!(
        code(vec![note()], false),
        "Exit code 0: no violation was seen; 1 note does not count without --strict."
    );
    assert_eq!(code(vec![note()], true), "Exit code 2: no violation was seen, but 1 note with --strict.");
    assert_eq!(code(vec![sample::wrong_errno(), late()], false), "Exit code 2: the server violates 1 requirement.");
    assert_eq!(
        code(vec![pass(), late()], false),
        "Exit code 3: no violation was seen, but 1 case came to no verdict, for the reasons that are told."
    );
    assert_eq!(code(vec![skip()], false), "Exit code 5: nothing was judged: every selected case was skipped.");
    assert_eq!(code(vec![], false), "Exit code 5: nothing was judged: no case was selected.");
    let text = told(vec![sample::wrong_errno()], end(false, Some("gpio went away")), false, |_| ());
    assert!(last_line(&text).starts_with("Exit code 4: "), "{text}");
    let text = told(sample::cases(), end(true, Some("gpio went away")), false, |_| ());
    assert!(last_line(&text).starts_with("Exit code 130: "), "{text}");
}

#[test]
fn an_inconclusive_case_need_not_have_met_a_deadline() {
    let why = "there still is more migration data after 8 MiB";
    let cases = || vec![sample::case("mig-data.whole", CaseResult::Inconclusive, Some(why))];
    let text = told(cases(), sample::ended(), false, |_| ());
    assert!(text.contains(why) && !text.contains("deadline"), "{text}");
    let pins = Box::leak(Box::new(crate::verdict::Expectations::parse("pins.toml", "").unwrap()));
    let text = told(cases(), sample::ended(), false, |context| context.expectations = Some(pins));
    assert!(text.contains("a longer --timeout where a deadline passed"), "{text}");
}

#[test]
fn with_expectations_the_code_says_whether_something_changed() {
    let text = sample::PINS.rsplit_once("[[expect]]").map(|(first, _)| first).unwrap();
    let pins = Box::leak(Box::new(crate::verdict::Expectations::parse("pins.toml", text).unwrap()));
    let crash = || vec![sample::crash("header.surplus/DMA_MAP")];
    let same = told(crash(), sample::ended(), false, |context| context.expectations = Some(pins));
    assert_eq!(last_line(&same), "Exit code 0: nothing differs from the pinned expectations.");
    assert!(!same.contains("VIOLATIONS"), "{same}");
    let mut cases = crash();
    cases.push(sample::wrong_errno());
    let other = told(cases, sample::ended(), false, |context| context.expectations = Some(pins));
    assert_eq!(last_line(&other), "Exit code 6: the run differs from the pinned expectations.");
}

#[test]
fn a_message_in_pieces_says_where_it_was_cut() {
    let mut entry = sample::wrong_errno().transcript.swap_remove(0);
    entry.cuts = vec![1, 15];
    let line = super::exchange::line(&entry, false, None);
    assert!(anstream::adapter::strip_str(&line).to_string().contains(" cut=1,15"), "{line}");
}
