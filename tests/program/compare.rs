//! `compare`: reports side by side, what became better and worse, and what it refuses to compare.

use crate::support::{Bench, Ended, PASSES, RESETS, server};
use serde_json::{Value, json};

/// Two cases, and reports of a server that passes both and of one that fails at the second.
fn bench() -> Bench {
    let bench = Bench::new(&[("a.case", PASSES), ("b.case", RESETS)]);
    run(&bench, "good", "good.json", &[]).has_code(0);
    run(&bench, "wrong-id", "bad.json", &[]).has_code(2);
    bench
}

fn run(bench: &Bench, mode: &str, name: &str, more: &[&str]) -> Ended {
    let (cases, server, report) = (bench.word("cases"), server(mode), format!("json={}", bench.word(name)));
    bench.program(
        &[&["run", "--cases", &cases, "--spawn", &server, "--timeout", "5s", "--report", &report], more].concat(),
    )
}

/// `compare` with these files of the bench; what stands before a `=` is a name.
fn compare(bench: &Bench, files: &[&str], more: &[&str]) -> Ended {
    let files: Vec<String> = files
        .iter()
        .map(|file| match file.split_once('=') {
            Some((name, file)) => format!("{name}={}", bench.word(file)),
            None => bench.word(file),
        })
        .collect();
    let words: Vec<&str> =
        ["compare"].into_iter().chain(files.iter().map(String::as_str)).chain(more.iter().copied()).collect();
    bench.program(&words)
}

/// Writes the good report with something else in it.
fn altered(bench: &Bench, name: &str, pointer: &str, value: Value) {
    let text = std::fs::read_to_string(bench.path("good.json")).unwrap();
    let mut report: Value = serde_json::from_str(&text).unwrap();
    *report.pointer_mut(pointer).unwrap() = value;
    bench.write(name, &report.to_string());
}

#[test]
fn what_became_worse_is_told_and_is_2_where_that_is_asked() {
    let bench = bench();
    let ended = compare(&bench, &["old=good.json", "new=bad.json"], &[]);
    ended.has_code(0).says("WORSE from old to new").says("reset.refused: pass became fail");
    ended.says("HDR-02 MUST verified violated");
    assert!(!ended.stdout.contains("BETTER") && !ended.stdout.contains('\u{1b}'), "{}", ended.stdout);
    compare(&bench, &["good.json", "bad.json"], &["--fail-on-worse"]).has_code(2);
    // The other way round.
    let ended = compare(&bench, &["bad.json", "good.json"], &["--fail-on-worse"]);
    ended.has_code(0).says("BETTER").says("reset.refused: fail became pass");
    compare(&bench, &["good.json", "good.json"], &["--fail-on-worse"])
        .has_code(0)
        .says("no report differs from another");
}

#[test]
fn nothing_that_was_not_compared_is_no_worse() {
    let bench = bench();
    run(&bench, "good", "first.json", &["good.info"]).has_code(0);
    run(&bench, "good", "second.json", &["reset.refused"]).has_code(0);
    for more in [&["--fail-on-worse"][..], &["--fail-on-worse", "--incomplete"]] {
        let ended = compare(&bench, &["first.json", "second.json"], more);
        ended.has_code(5).says("nothing was compared: there is no case on which both reports have a verdict");
        assert_eq!(ended.stdout, "");
    }
    compare(&bench, &["first.json", "second.json"], &[]).has_code(0);
    // The case that would show it was left out.
    let ended = compare(&bench, &["good.json", "first.json"], &["--fail-on-worse"]);
    ended
        .has_code(1)
        .says("first.json is incomplete: it has no verdict on 1 case that the first report played (reset.refused)");
    compare(&bench, &["good.json", "first.json"], &["--fail-on-worse", "--incomplete"]).has_code(0);
    compare(&bench, &["good.json", "first.json"], &[]).has_code(0);
    // One that looks at more is no worse for it.
    compare(&bench, &["first.json", "good.json"], &["--fail-on-worse"]).has_code(0);
}

#[test]
fn only_rows_that_differ_are_told_and_all_where_that_is_asked() {
    let bench = bench();
    let lines = |more: &[&str]| {
        let ended = compare(&bench, &["good.json", "bad.json"], more);
        ended.has_code(0);
        ended.stdout.lines().filter(|line| line.starts_with("  INFO-01 ")).map(str::to_owned).collect::<Vec<_>>()
    };
    assert_eq!(lines(&[]), [""; 0]);
    let [row] = lines(&["--all"]).try_into().unwrap();
    assert_eq!(row.split_whitespace().collect::<Vec<_>>(), ["INFO-01", "implied", "verified", "verified"]);
}

#[test]
fn columns_are_named_by_the_server_or_by_the_user() {
    let bench = bench();
    let ended = compare(&bench, &["good.json", "bad.json", "mine=good.json"], &[]);
    ended.has_code(0);
    let before = ended.stdout.split("\nbut ").next().unwrap();
    let heads: Vec<&str> = before.lines().filter(|line| !line.starts_with(' ')).collect();
    assert_eq!(heads, ["misbehaving-server 0.9.2", "misbehaving-server 0.9.2 (2)", "mine"]);
    assert!(!ended.stdout.contains("WORSE"), "of three reports: {}", ended.stdout);
}

#[test]
fn markdown_goes_to_a_file() {
    let bench = bench();
    let output = bench.word("table.md");
    let ended = compare(&bench, &["a|b=good.json", "c=bad.json"], &["--format", "markdown", "--output", &output]);
    ended.has_code(0);
    assert_eq!(ended.stdout, "");
    let text = std::fs::read_to_string(bench.path("table.md")).unwrap();
    assert!(text.contains("| Requirement | Level | a\\|b | c | Text |\n| --- | --- | --- | --- | --- |\n"), "{text}");
    assert!(text.contains("\n| HDR-02 | MUST | verified | violated | "), "{text}");
    assert!(
        text.contains("## Worse\n\n- **HDR-02** verified became violated\n- case reset.refused: pass became fail\n"),
        "{text}"
    );
    // What the terminal would be told is written without its colours.
    compare(&bench, &["good.json", "bad.json"], &["--output", &output]).has_code(0);
    let text = std::fs::read_to_string(bench.path("table.md")).unwrap();
    assert!(text.contains("WORSE") && !text.contains('\u{1b}'), "{text}");
}

#[test]
fn a_page_of_html_has_every_requirement_and_one_for_those_who_choose_has_each_server() {
    let bench = bench();
    let output = bench.word("matrix.html");
    let ended = compare(&bench, &["old=good.json", "new=bad.json"], &["--format", "html", "--output", &output]);
    ended.has_code(0);
    assert_eq!(ended.stdout, "");
    let page = std::fs::read_to_string(bench.path("matrix.html")).unwrap();
    assert!(page.starts_with("<!DOCTYPE html>") && page.ends_with("</html>"), "{page}");
    assert!(page.contains("<tr id=\"requirement-INFO-01\" data-status=\"\""), "what is alike is there, too");
    let text = compare(&bench, &["old=good.json", "new=bad.json"], &["--format", "page"]);
    text.has_code(0)
        .says("## new Judged as a server of vfio-user 0.9.2")
        .says("### Violated: ")
        .says("- **HDR-02** (MUST)");
    assert!(!text.stdout.contains(&bench.word("")), "a path of this machine: {}", text.stdout);
}

#[test]
fn an_incomplete_run_is_compared_only_where_that_is_asked_and_marked() {
    let bench = bench();
    let cases: Vec<String> = (0..4).map(|n| RESETS.replace("reset.refused", &format!("reset.n{n}"))).collect();
    bench.write("cases/b.case", &cases.join("\n"));
    run(&bench, "wrong-id", "early.json", &["--fail-fast", "--jobs", "1"]).has_code(2);
    run(&bench, "good", "part.json", &["--shard", "1/2"]).has_code(0);
    let ended = compare(&bench, &["early.json", "good.json", "part.json"], &[]);
    ended.has_code(1).says("early.json is incomplete: the run did not come to its end");
    ended
        .says("part.json is incomplete: it is part 1 of 2 of a run; merge the parts first (`merge`)")
        .says("(--incomplete)");
    assert_eq!(ended.stdout, "");
    let ended = compare(&bench, &["early=early.json", "good.json"], &["--incomplete"]);
    ended.has_code(0).says("but early is incomplete: the run did not come to its end");
}

#[test]
fn other_harnesses_are_compared_and_it_is_told() {
    let bench = bench();
    altered(&bench, "old.json", "/harness/version", json!("0.0.1"));
    altered(&bench, "cases.json", "/harness/cases_sha256", json!("0123456789abcdef"));
    let ended = compare(&bench, &["a=old.json", "b=good.json"], &[]);
    ended.has_code(0).says("but they were judged by different versions of the harness: a 0.0.1, b 0.1.0");
    let ended = compare(&bench, &["a=cases.json", "b=good.json"], &[]);
    ended.has_code(0).says("but they were judged by different cases (SHA-256): a 0123456789ab, b ");
}

#[test]
fn reports_of_two_versions_say_what_only_one_has() {
    let bench = bench();
    let report = format!("json={}", bench.word("v8.json"));
    bench.program(&["run", "--profile", "v8", "info.*", "--report", &report]).has_code(0);
    let ended = compare(&bench, &["good.json", "v8.json"], &["--all"]);
    ended.has_code(0).says("MIGFSM-01").says("they were judged by different versions of the protocol");
    let row = ended.stdout.lines().find(|line| line.starts_with("  MIGFSM-01 ")).unwrap();
    assert!(row.ends_with(" -"), "{row}");
    compare(&bench, &["good.json", "v8.json"], &["--fail-on-worse"])
        .has_code(1)
        .says("--fail-on-worse needs two reports of one version of the protocol");
}

#[test]
fn what_cannot_be_compared_is_1_with_a_sentence() {
    let bench = bench();
    bench.write("cut.json", "{\"schema\": \"1\", ");
    bench.write("list.json", "[]");
    altered(&bench, "schema.json", "/schema", json!("7"));
    altered(&bench, "name.json", "/cases/0/name", json!("\u{1b}]0;title"));
    let wrong: &[(&[&str], &str)] = &[
        (&["good.json"], "2 values"),
        (&["good.json", "gone.json"], "gone.json: No such file"),
        (&["good.json", "cut.json"], "cut.json is cut short"),
        (&["good.json", "list.json"], "list.json is no report of `run --report json=FILE`: it is no JSON object"),
        (&["good.json", "schema.json"], "schema.json is a report of schema \"7\""),
        (&["good.json", "name.json"], "with characters that no name has"),
    ];
    for (files, sentence) in wrong {
        let ended = compare(&bench, files, &[]);
        ended.has_code(1).says(sentence);
        assert!(ended.stdout.is_empty() && !ended.stderr.contains('\u{1b}'), "{files:?}: {}", ended.stderr);
    }
    let good = bench.word("good.json");
    bench.program(&["compare", &good, "=x"]).has_code(1).says("NAME=FILE, or a file");
    let before = std::fs::read(bench.path("good.json")).unwrap();
    compare(&bench, &["good.json", "bad.json"], &["--output", &good]).has_code(1).says("would take the place of");
    assert_eq!(std::fs::read(bench.path("good.json")).unwrap(), before);
    compare(&bench, &["good.json", "bad.json"], &["--output", "/nonexistent/x"])
        .has_code(70)
        .says("/nonexistent/x: No such file");
}
