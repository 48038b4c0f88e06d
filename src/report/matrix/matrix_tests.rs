//! Reports side by side: what differs, what became better and worse, and how it is told.

use pretty_assertions::assert_eq;

use super::*;
use crate::report::{Report, Shard, sample};
use crate::verdict::CaseResult;

/// The sample's report, changed.
fn source(name: Option<&str>, change: impl FnOnce(&mut Report)) -> Source {
    let mut report = sample::report(sample::cases(), sample::ended());
    change(&mut report);
    Source { name: name.map(str::to_owned), file: "report.json".to_owned(), report }
}

/// The sample's report where HDR-19, HDR-20 and HDR-21 have these statuses.
fn with(statuses: [Status; 3]) -> Source {
    source(None, |report| {
        for (id, status) in ["HDR-19", "HDR-20", "HDR-21"].iter().zip(statuses) {
            let known = report.requirements.get_mut(*id).unwrap();
            known.status = status;
            known.reason = (status == Status::NotExercised).then(|| "it has no scratch range".to_owned());
        }
    })
}

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
        (NotExercised, Violated, Worse),
        (NotExercised, Noted, Worse),
        (Violated, Noted, Better),
        (Violated, Verified, Better),
        (Noted, Verified, Better),
        (NotExercised, Verified, Better),
        (NotExercised, Observed, Better),
        (Violated, NotExercised, Neither),
        (Noted, NotExercised, Neither),
        (Verified, Observed, Neither),
    ];
    for (from, to, direction) in expected {
        let changes = matrix(vec![with([from; 3]), with([to; 3])]).changes.unwrap();
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
        source
            .report
            .requirements
            .values_mut()
            .for_each(|known| known.reason = Some(crate::verdict::NOT_SELECTED.to_owned()));
        source
    };
    for (one, two) in
        [(with([Verified; 3]), unasked()), (unasked(), with([Violated; 3])), (unasked(), with([Verified; 3]))]
    {
        let matrix = matrix(vec![one, two]);
        assert_eq!(matrix.changes.as_ref().unwrap().count(Direction::Neither).0, 3);
        assert!(!matrix.changes.as_ref().unwrap().has_worse());
        assert!(matrix.remarks.iter().any(|remark| remark.ends_with(": no selected case checks 3 requirements")));
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
        (Skip, Fail, Worse),
        (Inconclusive, Fail, Worse),
        (Fail, Pass, Better),
        (Skip, Pass, Better),
        (Inconclusive, Pass, Better),
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
    assert_eq!((generated.from, generated.to, generated.direction), (None, Some(CaseResult::Fail), Direction::Worse));
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
fn a_report_that_tells_of_no_whole_run_says_why() {
    let why = |change: fn(&mut Report)| source(None, change).incomplete();
    assert_eq!(why(|_| ()), None);
    assert_eq!(
        why(|report| report.shard = Some(Shard { index: 1, count: 3, selected: 10 })),
        Some("it is part 1 of 3 of a run".to_owned())
    );
    // One part of one is the whole.
    assert_eq!(why(|report| report.shard = Some(Shard { index: 1, count: 1, selected: 10 })), None);
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
  version.plain: pass became fail
";
    assert!(text.contains(worse), "{text}");
    assert!(
        text.contains("BETTER  from old to new | <b>\\u{1b}[2J\n  HDR-20      violated became verified\n"),
        "{text}"
    );
    let end = "3 requirements: the reports differ on 2.\nWorse: 1 requirement and 1 case. Better: 1 requirement and 0 cases.\n";
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
        text.contains("## Worse\n\n- **HDR-19** verified became violated\n- case version.plain: pass became fail\n\n"),
        "{text}"
    );
    assert!(text.contains("## Better\n\n- **HDR-20** violated became verified\n\n"), "{text}");
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
