//! Reports side by side: what differs, what became better and worse, and how it is told.

use pretty_assertions::assert_eq;

use super::*;
use crate::report::{Report, Shard, Totals, sample};
use crate::run::Generated;
use crate::verdict::{CaseRecord, CaseResult, Check, Said};

/// The sample's report, changed.
fn source(name: Option<&str>, change: impl FnOnce(&mut Report)) -> Source {
    let mut report = sample::report(sample::cases(), sample::ended());
    change(&mut report);
    Source { name: name.map(str::to_owned), file: "report.json".to_owned(), report }
}

const IDS: [&str; 3] = ["HDR-19", "HDR-20", "HDR-21"];

/// The case that checks a requirement, where that has this status.
fn checking(id: &str, status: Status) -> CaseRecord {
    let said = match status {
        Status::Violated => Some(Said::Violated),
        Status::Noted => Some(Said::Noted),
        Status::Verified | Status::Observed => Some(Said::Held),
        Status::NotExercised => None,
    };
    let (result, reason) = match status {
        Status::Violated => (CaseResult::Fail, None),
        Status::NotExercised => (CaseResult::Skip, Some("it has no scratch range")),
        _ => (CaseResult::Pass, None),
    };
    let check = |said| Check { requirement: id.to_owned(), line: 2, said };
    let requirements = vec![id.to_owned()];
    let checks = said.map(check).into_iter().collect();
    CaseRecord { requirements, checks, ..sample::case(&format!("check.{id}"), result, reason) }
}

/// The sample's report where HDR-19, HDR-20 and HDR-21 have these statuses, each by the case that is named after it.
fn with(statuses: [Status; 3]) -> Source {
    source(None, |report| {
        for (id, status) in IDS.iter().zip(statuses) {
            let known = report.requirements.get_mut(*id).unwrap();
            known.status = status;
            known.reason = (status == Status::NotExercised).then(|| "it has no scratch range".to_owned());
        }
        let cases = IDS.iter().zip(statuses).map(|(id, status)| checking(id, status));
        report.cases = cases.chain([sample::case("version.plain", CaseResult::Pass, None)]).collect();
        report.totals = Totals::of(&report.cases);
    })
}

/// Another report, with something else in the case that checks HDR-19.
fn but(mut source: Source, change: impl FnOnce(&mut CaseRecord)) -> Source {
    let case = source.report.cases.iter_mut().find(|case| case.name == "check.HDR-19").unwrap();
    change(case);
    source
}

/// Another report that has no such case.
fn without(mut source: Source) -> Source {
    source.report.cases.retain(|case| case.name != "check.HDR-19");
    source.report.totals = Totals::of(&source.report.cases);
    source
}

/// Which way HDR-19 went, and what is told of it.
fn went(before: Source, after: Source) -> (Direction, Option<String>) {
    let changes = matrix(vec![before, after]).changes.unwrap();
    let [change] = changes.requirements.try_into().unwrap();
    assert_eq!(change.id, "HDR-19");
    (change.direction, change.why)
}

/// HDR-19 with this status, all else verified.
fn one(status: Status) -> Source {
    with([status, Status::Verified, Status::Verified])
}

const APART: &str = "no case that shows it came as far in both";

fn matrix(sources: Vec<Source>) -> Matrix {
    Matrix::new(sources, &sample::register())
}

fn names(matrix: &Matrix) -> Vec<&str> {
    matrix.columns.iter().map(|column| column.name.as_str()).collect()
}

fn plain(text: &str) -> String {
    anstream::adapter::strip_str(text).to_string()
}

#[test]
fn columns_are_called_by_target_and_version_and_each_otherwise() {
    let how = |how: &'static str| source(None, move |report| report.target.how = how.to_owned());
    let v8 = source(None, |report| report.profile.used = "v8".to_owned());
    let three = matrix(vec![how("./target/gpio --socket-path {socket}"), how("/tmp/gpio"), v8]);
    assert_eq!(names(&three), ["gpio 0.9.2", "gpio 0.9.2 (2)", "gpio v8"]);
    let bundled = matrix(vec![how("the bundled reference server"), how("'a quote")]);
    assert_eq!(names(&bundled), ["reference-server 0.9.2", "'a quote 0.9.2"]);
    // What the user has named so keeps its name, wherever it stands.
    let given = |name| source(Some(name), |_| ());
    assert_eq!(names(&matrix(vec![source(None, |_| ()), given("gpio 0.9.2")])), ["gpio 0.9.2 (2)", "gpio 0.9.2"]);
    assert_eq!(names(&matrix(vec![given("x"), given("x"), given("x (2)")])), ["x", "x (2)", "x (2) (2)"]);
}

#[test]
fn a_row_differs_where_two_that_know_it_say_different_things() {
    use Status::{Noted, Verified, Violated};
    let row = |cells: &[Option<Status>]| Row {
        id: String::new(),
        level: String::new(),
        text: String::new(),
        clauses: Vec::new(),
        cells: cells.to_vec(),
    };
    assert!(!row(&[Some(Verified), Some(Verified)]).differs());
    assert!(!row(&[Some(Verified), None, Some(Verified)]).differs());
    assert!(!row(&[None, Some(Violated)]).differs());
    assert!(row(&[Some(Verified), None, Some(Noted)]).differs());
}

#[test]
fn sections_have_totals_for_each_report_and_texts_of_the_register() {
    use Status::{NotExercised, Verified, Violated};
    let mut one = with([Violated, Verified, Verified]);
    one.report.requirements.get_mut("HDR-19").unwrap().text = "another text".to_owned();
    let mut odd = with([Verified, Verified, NotExercised]);
    let unknown = odd.report.requirements["HDR-20"].clone();
    odd.report.requirements.insert("NEW-01".to_owned(), unknown);
    odd.report.requirements.remove("HDR-20");
    let matrix = matrix(vec![one, odd]);
    let [header, other] = matrix.sections.as_slice() else { panic!("{:?}", matrix.sections) };
    assert_eq!((header.id.as_str(), header.title.as_str()), ("HDR", "Header and message framing"));
    assert_eq!(header.totals, [[(Verified, 2), (Violated, 1)].into(), [(Verified, 1), (NotExercised, 1)].into()]);
    let row = |id: &str| header.rows.iter().find(|row| row.id == id).unwrap();
    assert!(row("HDR-19").text.starts_with("The payload of a message is what its size says"));
    assert_eq!(row("HDR-20").cells, [Some(Verified), None]);
    assert_eq!((other.id.as_str(), other.rows[0].id.as_str()), ("other", "NEW-01"));
    assert!(other.rows[0].text.starts_with("A DMA_MAP over an existing region"), "the report's own text");
}

#[test]
fn each_change_has_its_direction() {
    use Direction::{Better, Neither, Worse};
    use Status::{NotExercised, Noted, Observed, Verified, Violated};
    let expected = [
        (Verified, Violated, Worse),
        (Verified, Noted, Worse),
        (Noted, Violated, Worse),
        (Verified, NotExercised, Worse),
        (Observed, NotExercised, Worse),
        (Violated, Noted, Better),
        (Violated, Verified, Better),
        (Noted, Verified, Better),
        (NotExercised, Verified, Better),
        (NotExercised, Observed, Better),
        (Violated, NotExercised, Neither),
        (Noted, NotExercised, Neither),
        (NotExercised, Violated, Neither),
        (NotExercised, Noted, Neither),
        (Verified, Observed, Neither),
    ];
    for (from, to, direction) in expected {
        let mut changes = matrix(vec![with([from; 3]), with([to; 3])]).changes.unwrap();
        changes.cases.clear();
        let told: Vec<_> = changes.requirements.iter().map(|one| (one.from, one.to, one.direction)).collect();
        assert_eq!(told, [(from, to, direction); 3]);
        assert_eq!(changes.has_worse(), direction == Worse, "{from:?} {to:?}");
    }
    assert_eq!(matrix(vec![with([Noted; 3]), with([Noted; 3])]).changes.unwrap().requirements, []);
}

#[test]
fn what_was_not_asked_for_became_neither_better_nor_worse() {
    use Status::{NotExercised, Verified, Violated};
    let unasked = || {
        let mut source = with([NotExercised; 3]);
        let not_selected = || Some(crate::verdict::NOT_SELECTED.to_owned());
        source.report.requirements.values_mut().for_each(|known| known.reason = not_selected());
        source.report.cases.retain(|case| case.name == "version.plain");
        source.report.totals = Totals::of(&source.report.cases);
        source
    };
    for (one, two) in
        [(with([Verified; 3]), unasked()), (unasked(), with([Violated; 3])), (unasked(), with([Verified; 3]))]
    {
        let matrix = matrix(vec![one, two]);
        assert_eq!(matrix.changes.as_ref().unwrap().count(Direction::Neither).0, 3);
        assert!(!matrix.changes.as_ref().unwrap().has_worse());
        assert!(matrix.remarks.iter().any(|remark| remark.ends_with(": no selected case checks 3 requirements")));
        let missing = " has not played or skipped 3 cases that another report of its version has";
        assert!(matrix.remarks.iter().any(|remark| remark.ends_with(missing)), "{:?}", matrix.remarks);
    }
}

#[test]
fn a_violation_is_worse_only_where_the_first_report_looked_for_it() {
    use Direction::{Neither, Worse};
    use Status::{Noted, Verified, Violated};
    for status in [Noted, Violated] {
        let is = |before| went(before, one(status));
        assert_eq!(is(one(Verified)), (Worse, None));
        let apart = (Neither, Some(APART.to_owned()));
        // Another case had verified it.
        assert_eq!(is(without(one(Verified))), apart);
        for result in [CaseResult::Skip, CaseResult::Inconclusive, CaseResult::Error, CaseResult::Fail] {
            let early = |case: &mut CaseRecord| (case.result, case.checks) = (result, Vec::new());
            assert_eq!(is(but(one(Verified), early)), apart, "{result:?}");
        }
        // It failed by something else, and had looked.
        assert_eq!(is(but(one(Verified), |case| case.result = CaseResult::Fail)), (Worse, None));
        // It passed without a check of its own: the model looks at every reply.
        assert_eq!(is(but(one(Verified), |case| case.checks.clear())), (Worse, None));
    }
}

#[test]
fn a_violation_is_mended_where_each_case_that_showed_it_looked_again() {
    use Direction::{Better, Neither};
    use Status::{Verified, Violated};
    let apart = (Neither, Some(APART.to_owned()));
    assert_eq!(went(one(Violated), one(Verified)), (Better, None));
    assert_eq!(went(one(Violated), without(one(Verified))), apart);
    let skipped = |case: &mut CaseRecord| (case.result, case.checks) = (CaseResult::Skip, Vec::new());
    assert_eq!(went(one(Violated), but(one(Verified), skipped)), apart);
    // Two showed it, and one of them looks again.
    let second = |source: &mut Source, status| {
        source.report.cases.push(CaseRecord { name: "check.again".to_owned(), ..checking("HDR-19", status) });
    };
    let (mut before, mut after) = (one(Violated), one(Verified));
    second(&mut before, Violated);
    assert_eq!(went(before.clone(), after.clone()), apart);
    second(&mut after, Verified);
    assert_eq!(went(before, after), (Better, None));
}

#[test]
fn what_was_shown_is_lost_where_the_case_that_showed_it_no_longer_comes_to_it() {
    use Direction::{Better, Neither, Worse};
    use Status::{NotExercised, Verified};
    let why = || Some("it has no scratch range".to_owned());
    assert_eq!(went(one(Verified), one(NotExercised)), (Worse, why()));
    assert_eq!(went(one(Verified), without(one(NotExercised))), (Neither, why()));
    let error = |case: &mut CaseRecord| case.result = CaseResult::Error;
    assert_eq!(went(one(Verified), but(one(NotExercised), error)), (Neither, why()));
    assert_eq!(went(one(NotExercised), one(Verified)), (Better, None));
    let before = || Some("before, it has no scratch range".to_owned());
    assert_eq!(went(without(one(NotExercised)), one(Verified)), (Neither, before()));
    assert_eq!(went(but(one(NotExercised), error), one(Verified)), (Neither, before()));
    assert_eq!(went(one(NotExercised), one(Status::Violated)), (Neither, before()));
}

#[test]
fn a_generated_failure_is_worse_only_where_both_drew_the_same_sequences() {
    use Direction::{Neither, Worse};
    let drew = |seed, sequences| {
        let mut source = one(Status::Verified);
        source.report.generated = Some(Generated { sequences, answered: 100, seed, ..Generated::default() });
        source
    };
    let failed = |mut source: Source| {
        let case = CaseRecord { name: "generated.hdr-19".to_owned(), ..checking("HDR-19", Status::Violated) };
        source.report.cases.push(case);
        source.report.requirements.get_mut("HDR-19").unwrap().status = Status::Violated;
        source
    };
    let other_offers = |mut source: Source| {
        source
            .report
            .target
            .discovered
            .has
            .insert("dma".to_owned(), crate::target::Has::Yes(std::collections::BTreeMap::new()));
        source
    };
    for (before, after, direction) in [
        (drew(1, 100), drew(1, 100), Worse),
        (drew(2, 100), drew(1, 100), Neither),
        (drew(1, 50), drew(1, 100), Neither),
        (one(Status::Verified), drew(1, 100), Neither),
        (other_offers(drew(1, 100)), drew(1, 100), Neither),
    ] {
        let changes = matrix(vec![before.clone(), failed(after.clone())]).changes.unwrap();
        let told: Vec<Direction> = changes.cases.iter().map(|case| case.direction).collect();
        assert_eq!((told, changes.has_worse()), (vec![direction], direction == Worse));
        assert_eq!(went(before, failed(after)).0, direction);
    }
}

#[test]
fn each_case_whose_result_changed_has_its_direction() {
    use CaseResult::{Error, Fail, Inconclusive, Pass, Skip};
    use Direction::{Better, Neither, Worse};
    let expected = [
        (Pass, Fail, Worse),
        (Pass, Skip, Worse),
        (Pass, Inconclusive, Worse),
        (Fail, Pass, Better),
        (Skip, Pass, Better),
        (Inconclusive, Pass, Better),
        (Skip, Fail, Neither),
        (Inconclusive, Fail, Neither),
        (Fail, Skip, Neither),
        (Fail, Inconclusive, Neither),
        (Pass, Error, Neither),
        (Error, Fail, Neither),
    ];
    let is = |result| {
        source(None, move |report| {
            report.cases = vec![sample::case("version.plain", result, None)];
        })
    };
    for (from, to, direction) in expected {
        let changes = matrix(vec![is(from), is(to)]).changes.unwrap();
        assert_eq!(
            changes.cases,
            [CaseChange { name: "version.plain".to_owned(), from: Some(from), to: Some(to), direction }]
        );
        assert_eq!(changes.has_worse(), direction == Worse);
    }
}

#[test]
fn cases_of_one_report_alone_are_counted_and_generated_failures_named() {
    let has = |names: &'static [&'static str]| {
        source(None, move |report| {
            report.cases = names.iter().map(|name| sample::case(name, CaseResult::Fail, None)).collect();
        })
    };
    let changes = matrix(vec![has(&["a.one", "a.two", "a.three"]), has(&["a.one", "b.four", "generated.hdr-02"])])
        .changes
        .unwrap();
    assert_eq!((changes.gone, changes.new), (2, 1));
    let [generated] = changes.cases.as_slice() else { panic!("{:?}", changes.cases) };
    assert_eq!((generated.from, generated.to, generated.direction), (None, Some(CaseResult::Fail), Direction::Neither));
}

#[test]
fn better_and_worse_are_told_of_two_reports_of_one_version_alone() {
    let plain = || source(None, |_| ());
    let version = |used: &'static str| source(None, move |report| report.profile.used = used.to_owned());
    assert!(matrix(vec![plain(), plain()]).changes.is_some());
    assert!(matrix(vec![plain(), plain(), plain()]).changes.is_none());
    assert!(matrix(vec![plain(), version("v8")]).changes.is_none());
    assert!(matrix(vec![version(""), version("")]).changes.is_none());
    assert!(!matrix(vec![plain(), version("v8")]).terminal(false).contains("BETTER"));
}

#[test]
fn a_case_without_a_verdict_is_not_compared() {
    let all = |result| {
        let mut source = one(Status::Verified);
        source.report.cases.iter_mut().for_each(|case| case.result = result);
        source
    };
    let changes = |before, after| matrix(vec![before, after]).changes.unwrap();
    let played = changes(all(CaseResult::Pass), all(CaseResult::Pass));
    assert!(!played.is_of_nothing() && played.lost.is_empty());
    for result in [CaseResult::Error, CaseResult::Inconclusive] {
        assert!(changes(all(CaseResult::Pass), all(result)).is_of_nothing(), "{result:?}");
        assert!(changes(all(result), all(result)).is_of_nothing(), "{result:?}");
    }
    let one_in_error = but(all(CaseResult::Pass), |case| case.result = CaseResult::Error);
    let changes = changes(all(CaseResult::Fail), one_in_error);
    assert!(!changes.is_of_nothing());
    assert_eq!(changes.lost, ["check.HDR-19"]);
}

#[test]
fn what_must_be_known_before_reports_are_compared_is_remarked() {
    assert_eq!(matrix(vec![source(Some("a"), |_| ()), source(Some("b"), |_| ())]).remarks, [""; 0]);
    let odd = source(Some("b"), |report| {
        report.harness.version = "9.9.9".to_owned();
        report.harness.cases_sha256 = "ab".repeat(32);
        report.harness.register_sha256 = "cd".repeat(32);
        report.profile.used = "v8".to_owned();
        report.complete = false;
        report.faults = vec!["the run was interrupted".to_owned()];
    });
    let mut remarks = matrix(vec![source(Some("a"), |_| ()), odd]).remarks;
    let register = remarks.remove(3);
    assert!(
        register.starts_with("they were judged by different registers (SHA-256): a ")
            && register.ends_with(", b cdcdcdcdcdcd")
    );
    let version = env!("CARGO_PKG_VERSION");
    assert_eq!(
        remarks,
        [
            "b is incomplete: the run did not come to its end (the run was interrupted)".to_owned(),
            format!("they were judged by different versions of the harness: a {version}, b 9.9.9"),
            "they were judged by different cases (SHA-256): a 0123, b abababababab".to_owned(),
            "they were judged by different versions of the protocol: a 0.9.2, b v8".to_owned(),
        ]
    );
}

#[test]
fn a_report_that_judged_by_no_version_is_said_to_have_none() {
    let none = source(Some("b"), |report| report.profile.used.clear());
    let remarks = matrix(vec![source(Some("a"), |_| ()), none]).remarks;
    assert_eq!(remarks, ["they were judged by different versions of the protocol: a 0.9.2, b none"]);
}

#[test]
fn notes_that_count_in_one_alone_are_remarked() {
    let strict = |name| source(Some(name), |report| report.strict = true);
    let remarks = matrix(vec![source(Some("a"), |_| ()), strict("b")]).remarks;
    let told =
        "notes count as violations for the exit code of b alone (--strict); what is told here is the same with it";
    assert_eq!(remarks, [told]);
    assert_eq!(matrix(vec![strict("a"), strict("b")]).remarks, [""; 0]);
}

#[test]
fn cases_that_only_another_report_of_the_version_has_are_remarked() {
    let fewer = |version: &'static str| {
        source(Some("b"), move |report| {
            report.profile.used = version.to_owned();
            report.cases.retain(|case| case.name != "dma-map.overlap");
            report.cases.push(sample::case("generated.hdr-02", CaseResult::Fail, None));
            report.totals = Totals::of(&report.cases);
        })
    };
    let whole = || source(Some("a"), |_| ());
    assert_eq!(
        matrix(vec![whole(), fewer("0.9.2")]).remarks,
        ["b has not played or skipped 1 case that another report of its version has"]
    );
    assert_eq!(matrix(vec![whole(), fewer("v8")]).remarks.len(), 1, "other versions have other cases");
    // What was selected and not played is told otherwise.
    let cut = source(Some("b"), |report| {
        report.cases.retain(|case| case.name != "dma-map.overlap");
        report.not_run = vec!["dma-map.overlap".to_owned()];
        report.totals = Totals { selected: report.cases.len() + 1, not_run: 1, ..Totals::of(&report.cases) };
        report.complete = false;
    });
    assert_eq!(matrix(vec![whole(), cut]).remarks.len(), 1);
}

#[test]
fn a_report_that_tells_of_no_whole_run_says_why() {
    let why = |change: fn(&mut Report)| source(None, change).incomplete();
    assert_eq!(why(|_| ()), None);
    assert_eq!(why(|report| report.shard = Some(Shard::of(1, 3, []))), Some("it is part 1 of 3 of a run".to_owned()));
    // One part of one is the whole.
    assert_eq!(why(|report| report.shard = Some(Shard::of(1, 1, []))), None);
    assert_eq!(why(|report| report.totals.selected += 1), Some("it does not account for every case".to_owned()));
    let early = "the run did not come to its end (it does not say why)".to_owned();
    assert_eq!(why(|report| report.complete = false), Some(early));
}

fn two() -> Matrix {
    use Status::{NotExercised, Verified, Violated};
    let mut one = with([Verified, Violated, NotExercised]);
    one.name = Some("old".to_owned());
    let mut two = with([Violated, Verified, NotExercised]);
    (two.name, two.file) = (Some("new | <b>\u{1b}[2J".to_owned()), "new.json".to_owned());
    two.report.cases.iter_mut().for_each(|case| {
        if case.name == "version.plain" {
            case.result = CaseResult::Fail;
        }
    });
    two.report.target.how = "a@b_c `x` #1".to_owned();
    matrix(vec![one, two])
}

#[test]
fn the_terminal_shows_what_differs() {
    let text = plain(&two().terminal(false));
    assert!(!text.contains('\u{1b}'), "{text:?}");
    assert!(text.lines().all(|line| line.chars().count() <= 108 && line.trim_end() == line), "{text}");
    let expected = "\
  HDR-19 implied        verified       violated
      The payload of a message is what its size says, so surplus payload is consumed and never read as a new
      header.
  HDR-20 MUST           violated       verified
      A DMA_MAP over an existing region must be refused with EEXIST in the error field.
";
    assert!(text.contains(expected), "{text}");
    assert!(!text.contains("HDR-21"), "{text}");
    let worse = "\
WORSE  from old to new | <b>\\u{1b}[2J
  HDR-19      verified became violated
  check.HDR-19: pass became fail
  version.plain: pass became fail
";
    assert!(text.contains(worse), "{text}");
    assert!(
        text.contains("BETTER  from old to new | <b>\\u{1b}[2J\n  HDR-20      violated became verified\n  check.HDR-20: fail became pass\n"),
        "{text}"
    );
    let end = "3 requirements: the reports differ on 2.\nWorse: 1 requirement and 2 cases. Better: 1 requirement and 1 case.\n";
    assert!(text.ends_with(end), "{text}");
    assert!(plain(&two().terminal(true)).contains("  HDR-21 SHOULD         not exercised  not exercised\n"));
}

#[test]
fn a_section_that_is_alike_takes_one_line() {
    let matrix = matrix(vec![with([Status::Verified; 3]), with([Status::Verified; 3])]);
    let text = plain(&matrix.terminal(false));
    assert!(text.contains("\nHDR       Header and message framing  alike: 3 verified\n"), "{text}");
    assert!(text.contains("no report differs from another."), "{text}");
    assert!(plain(&matrix.terminal(true)).contains("  HDR-19 implied        verified       verified\n"));
}

#[test]
fn a_requirement_that_a_version_does_not_have_is_marked() {
    let mut v8 = with([Status::Verified; 3]);
    v8.report.profile.used = "v8".to_owned();
    v8.report.requirements.remove("HDR-20");
    let matrix = matrix(vec![with([Status::Violated; 3]), v8]);
    assert!(plain(&matrix.terminal(true)).contains("  HDR-20 MUST           violated       -\n"));
    let markdown = matrix.markdown(true);
    assert!(markdown.contains("| HDR-20 | MUST | violated | - |"), "{markdown}");
    assert!(markdown.ends_with("\n\\- : that version of the protocol has no such requirement.\n"), "{markdown}");
}

#[test]
fn in_markdown_no_text_is_more_than_text() {
    let text = two().markdown(false);
    assert!(text.contains("| new \\| &lt;b&gt;\\\\u\\{1b\\}\\[2J | a&#64;b\\_c \\`x\\` \\#1 | 0.9.2 |"), "{text}");
    assert!(!text.contains("<b>") && !text.contains('\u{1b}'), "{text}");
    assert!(
        text.contains("## Worse\n\n- **HDR-19** verified became violated\n- case check.HDR-19: pass became fail\n- case version.plain: pass became fail\n\n"),
        "{text}"
    );
    assert!(
        text.contains("## Better\n\n- **HDR-20** violated became verified\n- case check.HDR-20: fail became pass\n\n"),
        "{text}"
    );
    assert!(text.contains("| HDR-19 | implied | verified | violated | The payload of a message"), "{text}");
    assert!(!text.contains("| HDR-21 |"), "{text}");
    // Each line of a table has the cells of its head.
    let mut columns = None;
    for line in text.lines() {
        let cells = line.replace("\\|", "").matches('|').count();
        match columns {
            Some(expected) if line.starts_with('|') => assert_eq!(cells, expected, "{line}"),
            _ => columns = line.starts_with('|').then_some(cells),
        }
    }
}
