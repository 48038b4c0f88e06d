//! `merge`: the reports of a run's parts make the report of the whole run, and reports that are no such parts are refused.

use std::collections::BTreeSet;
use std::path::Path;

use crate::support::{Bench, Ended, PASSES, RESETS, server};
use pretty_assertions::assert_eq;
use serde_json::{Value, json};
use vfio_user_conformance::report::Report;
use vfio_user_conformance::run::Generated;
use vfio_user_conformance::verdict::CaseResult;

/// For servers that answer: none of these tests waits for it.
const PATIENT: [&str; 2] = ["--timeout", "5s"];

/// Takes away what an earlier merge wrote: `support` would compare it with what comes next.
fn take_away(bench: &Bench) {
    for name in ["report.json", "every.xml"] {
        let _ = std::fs::remove_file(bench.path(name));
    }
}

/// Runs a part, or the whole, with a report in a file of that name.
fn run(bench: &Bench, name: &str, words: &[&str], shard: Option<&str>) -> Ended {
    let report = format!("json={}", bench.word(name));
    take_away(bench);
    let mut all = vec!["run", "--report", &report];
    all.extend(words);
    all.extend(shard.iter().flat_map(|part| ["--shard", part]));
    bench.program(&all)
}

/// Runs three parts and merges them, the last one first.
fn parts(bench: &Bench, words: &[&str], more: &[&str]) -> Ended {
    for index in 1..=3 {
        run(bench, &format!("{index}.json"), words, Some(&format!("{index}/3")));
    }
    merge(bench, &["3.json", "1.json", "2.json"], more)
}

fn merge(bench: &Bench, files: &[&str], more: &[&str]) -> Ended {
    take_away(bench);
    merge_again(bench, files, more)
}

/// Merges where an earlier merge may have left its reports.
fn merge_again(bench: &Bench, files: &[&str], more: &[&str]) -> Ended {
    let files: Vec<String> = files.iter().map(|name| bench.word(name)).collect();
    let words: Vec<&str> = ["merge"].into_iter().chain(files.iter().map(String::as_str)).collect();
    let (json, junit) = (format!("json={}", bench.word("report.json")), format!("junit={}", bench.word("every.xml")));
    // What the reports say of the exit code, `support` looks at.
    bench.program(&[&words[..], &["--report", &json, "--report", &junit], more].concat())
}

fn read(path: &Path) -> Report {
    Report::read(path).unwrap()
}

/// A report without what no two runs have in common: when it ran, how long it took, what the kernel counted, and how it was
/// asked for.
fn comparable(mut report: Report) -> Report {
    report.command = Vec::new();
    report.parts = Vec::new();
    for case in &mut report.cases {
        case.transcript = Vec::new();
        case.stderr = String::new();
        case.attempts.iter_mut().for_each(|attempt| attempt.seconds = 0.0);
        // A case ends with the line that is broken: whether what was sent behind it has got its reply by then is a matter of
        // moments.
        if case.result == CaseResult::Fail {
            case.checks.retain(|check| check.line > 0);
        }
        // Which answer comes first may depend on how messages cross.
        case.checks.sort_by_key(|check| (check.line, check.requirement.clone(), check.said as u8));
    }
    report
}

/// Whole and parts say the same, to the last requirement.
fn assert_same(bench: &Bench) {
    let (whole, merged) = (read(&bench.path("whole.json")), read(&bench.path("report.json")));
    assert_eq!(merged.parts.len(), 3);
    let parts: Vec<usize> = (1..=3).map(|index| read(&bench.path(&format!("{index}.json"))).cases.len()).collect();
    assert!(parts.iter().all(|count| *count > 0), "a part without a case: {parts:?}");
    let (whole, merged) = (comparable(whole), comparable(merged));
    for (one, other) in whole.cases.iter().zip(&merged.cases) {
        assert_eq!(one, other);
    }
    assert_eq!(whole, merged);
}

#[test]
fn three_parts_come_to_what_the_whole_run_comes_to() {
    let bench = Bench::new(&[]);
    let words = ["--timeout", "5s", "region-info.*", "irq-info.*", "HDR-10"];
    let whole = run(&bench, "whole.json", &words, None);
    whole.has_code(0);
    let merged = parts(&bench, &words, &[]);
    merged.has_code(0).says("merged of 3 parts").says("no violation was seen");
    assert!(read(&bench.path("report.json")).cases.len() > 50);
    assert_same(&bench);
    // The same is told at the end, but for the time.
    let last = |ended: &Ended| {
        let lines: Vec<String> = ended.stdout.lines().rev().take(3).map(str::to_owned).collect();
        lines.into_iter().map(|line| line.split(": ").last().unwrap_or_default().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(last(&whole), last(&merged));
}

#[test]
fn three_parts_of_a_run_with_findings_and_pins_come_to_the_same() {
    let bench = Bench::new(&[]);
    let server = server("surplus --on DEVICE_GET_REGION_INFO");
    let words = ["--spawn", &server, "--timeout", "5s", "region-info.*", "irq-info.*"];
    let drafted = bench.word("drafted.toml");
    run(&bench, "whole.json", &[&words[..], &["--expect-write", &drafted]].concat(), None).has_code(2);
    parts(&bench, &words, &[]).has_code(2).says("VIOLATIONS");
    assert_same(&bench);
    // What is pinned for all of them, and something that is pinned and not seen.
    let text = std::fs::read_to_string(&drafted).unwrap();
    let gone =
        "\n[[expect]]\ncase = \"*-info.*\"\nrequirement = \"HDR-02\"\noutcome = \"violation\"\nreason = \"gone\"\n";
    for (name, text, code) in [("met.toml", text.clone(), 0), ("gone.toml", text + gone, 6)] {
        let pins = bench.write(name, &text);
        let words = [&words[..], &["--expect", &pins]].concat();
        run(&bench, "whole.json", &words, None).has_code(code);
        parts(&bench, &words, &[]).has_code(code);
        assert_same(&bench);
    }
}

#[test]
fn sequences_are_shared_among_the_parts() {
    let bench = Bench::new(&[]);
    let (server, keep) = (server("surplus --on DEVICE_GET_REGION_INFO"), bench.word("kept"));
    let words = ["--spawn", &server, "--timeout", "5s", "generated", "--generate", "8", "--seed", "3", "--keep", &keep];
    run(&bench, "whole.json", &words, None).has_code(2);
    parts(&bench, &words, &[]).has_code(2).says("8 generated sequences");
    let [whole, merged] = ["whole.json", "report.json"].map(|name| read(&bench.path(name)));
    // Whether what was sent before such a server had gone astray still got its reply is a matter of moments.
    let drawn = |report: &Report| report.generated.map(|generated| Generated { answered: 0, ..generated }).unwrap();
    assert_eq!(drawn(&whole), drawn(&merged));
    assert_eq!(drawn(&merged).sequences, 8);
    let violated = |report: &Report| -> BTreeSet<String> {
        report.cases.iter().flat_map(|case| case.findings.iter().map(|finding| finding.requirement.clone())).collect()
    };
    // A part that does not know of another one's failure may tell one that the whole takes for the same.
    assert!(violated(&whole).is_subset(&violated(&merged)) && !violated(&whole).is_empty(), "{:?}", violated(&merged));
    let names: BTreeSet<&String> = merged.cases.iter().map(|case| &case.name).collect();
    assert_eq!(names.len(), merged.cases.len());
    assert!(merged.accounts());
}

/// Five cases, of which each of three parts has some.
fn five() -> Bench {
    let text: Vec<String> = (0..5).map(|n| PASSES.replace("good.info", &format!("part.n{n}"))).collect();
    Bench::new(&[("a.case", &text.join("\n"))])
}

/// Runs a part of the bench's own cases.
fn part(bench: &Bench, mode: &str, shard: &str, more: &[&str]) -> Ended {
    let (cases, server) = (bench.word("cases"), server(mode));
    let words = [&["--cases", &cases, "--spawn", &server], &PATIENT[..], more].concat();
    let (index, _) = shard.split_once('/').unwrap();
    run(bench, &format!("{index}.json"), &words, Some(shard))
}

#[test]
fn a_case_stays_in_its_part_when_others_come() {
    let names = |bench: &Bench, index: usize| -> BTreeSet<String> {
        part(bench, "good", &format!("{index}/3"), &[]).has_code(0);
        read(&bench.path(&format!("{index}.json"))).cases.into_iter().map(|case| case.name).collect()
    };
    let few = five();
    let text: Vec<String> = (0..12).map(|n| PASSES.replace("good.info", &format!("part.n{n}"))).collect();
    let many = Bench::new(&[("a.case", &text.join("\n"))]);
    for index in 1..=3 {
        let (few, many) = (names(&few, index), names(&many, index));
        assert!(few.is_subset(&many), "{few:?} {many:?}");
    }
}

#[test]
fn a_violation_of_one_part_is_that_of_the_whole() {
    let bench = Bench::new(&[("a.case", PASSES), ("b.case", RESETS)]);
    part(&bench, "wrong-id", "1/3", &[])
        .has_code(5)
        .says("part 1 of 3 has no case: the 2 that were selected are in other parts");
    part(&bench, "wrong-id", "2/3", &[]).has_code(2);
    part(&bench, "wrong-id", "3/3", &[]).has_code(0);
    let ended = merge(&bench, &["1.json", "2.json", "3.json"], &[]);
    ended.has_code(2).says("the server violates 1 requirement").says("VIOLATIONS");
    assert_eq!(ended.report()["complete"], true);
    assert_eq!(ended.report()["requirements"]["HDR-02"]["status"], "violated");
    assert_eq!(ended.names(), ["good.info", "reset.refused"]);
    let indices: Vec<&Value> = ended.report()["parts"].as_array().unwrap().iter().map(|part| &part["index"]).collect();
    assert_eq!(indices, [1, 2, 3]);
}

#[test]
fn an_empty_part_has_its_sequences_all_the_same() {
    let bench = Bench::new(&[("a.case", PASSES)]);
    let (cases, keep) = (bench.word("cases"), bench.word("kept"));
    let generate = ["--generate", "4", "--seed", "1", "--keep", &keep];
    for shard in ["1/2", "2/2"] {
        let (index, _) = shard.split_once('/').unwrap();
        let words = [&["--cases", &cases], &PATIENT[..], &generate].concat();
        run(&bench, &format!("{index}.json"), &words, Some(shard)).has_code(0).says("2 generated sequences");
    }
    merge(&bench, &["1.json", "2.json"], &[]).has_code(0).says("4 generated sequences").says("1 case: 1 pass");
}

#[test]
fn notes_of_parts_that_were_strict_count_in_the_whole() {
    let noted = "case reset.noted\n> DEVICE_RESET\n< error, note closed                                    [HDR-19]\n";
    let bench = Bench::new(&[("a.case", noted)]);
    part(&bench, "closes", "1/1", &[]).has_code(0);
    merge(&bench, &["1.json"], &[]).has_code(0);
    part(&bench, "closes", "1/1", &["--strict"]).has_code(2);
    merge(&bench, &["1.json"], &[]).has_code(2).says("1 note with --strict");
}

#[test]
fn a_part_that_could_not_be_run_makes_the_whole_incomplete() {
    let bench = five();
    for shard in ["1/3", "3/3"] {
        part(&bench, "good", shard, &[]).has_code(0);
    }
    let cases = bench.word("cases");
    let words = [&["--cases", cases.as_str(), "--spawn", "/nonexistent/server"], &PATIENT[..]].concat();
    run(&bench, "2.json", &words, Some("2/3")).has_code(4);
    let ended = merge(&bench, &["1.json", "2.json", "3.json"], &[]);
    ended.has_code(4).says("part 2 of 3").says("2.json").says("/nonexistent/server");
    assert_eq!(ended.report()["complete"], false);
    assert_eq!(ended.report()["totals"]["not_run"], 3);
    assert_eq!(ended.report()["totals"]["pass"], 2);
}

#[test]
fn a_part_that_stopped_at_its_first_failure_makes_the_whole_incomplete() {
    let text: Vec<String> = (0..6).map(|n| RESETS.replace("reset.refused", &format!("reset.n{n}"))).collect();
    let bench = Bench::new(&[("a.case", &text.join("\n"))]);
    part(&bench, "wrong-id", "1/2", &["--fail-fast", "--jobs", "1"]).has_code(2);
    part(&bench, "wrong-id", "2/2", &["--jobs", "1"]).has_code(2);
    let ended = merge(&bench, &["1.json", "2.json"], &[]);
    ended.has_code(2).says("part 1 of 2").says("as --fail-fast asks");
    assert_eq!(ended.report()["complete"], false);
    assert_eq!(ended.report()["not_run"].as_array().unwrap().len(), 2);
}

#[test]
fn what_is_no_part_of_the_run_is_1_with_a_sentence_and_writes_nothing() {
    let bench = five();
    for index in 1..=3 {
        part(&bench, "good", &format!("{index}/3"), &[]).has_code(0);
    }
    let cases = bench.word("cases");
    run(&bench, "whole.json", &["--cases", &cases, "--spawn", &server("good")], None).has_code(0);
    let text = std::fs::read_to_string(bench.path("2.json")).unwrap();
    bench.write("cut.json", &text[..text.len() / 2]);
    bench.write("empty.json", "");
    bench.write("list.json", "[]");
    bench.write("older.json", &text.replacen("\"schema\": \"1\"", "\"schema\": \"0\"", 1));
    let mut other: Value = serde_json::from_str(&text).unwrap();
    other["harness"]["cases_sha256"] = json!("0123");
    bench.write("other.json", &other.to_string());
    let wrong: &[(&[&str], &str)] = &[
        (&["1.json", "3.json"], "part 2 of 3 is missing"),
        (&["1.json", "2.json", "3.json", "2.json"], "part 2 of 3 is there twice"),
        (&["1.json", "2.json", "whole.json"], "whole.json is the report of a whole run"),
        (&["1.json", "cut.json", "3.json"], "cut.json is cut short"),
        (&["1.json", "empty.json", "3.json"], "empty.json is empty"),
        (&["1.json", "list.json", "3.json"], "list.json is no report of `run --report json=FILE`"),
        (
            &["1.json", "older.json", "3.json"],
            "older.json is a report of schema \"0\", and this program reads schema \"1\"",
        ),
        (&["1.json", "other.json", "3.json"], "1.json and "),
        (&["1.json", "other.json", "3.json"], "they differ in their cases"),
        (&["1.json", "gone.json", "3.json"], "gone.json: No such file"),
    ];
    for (files, sentence) in wrong {
        // Of an earlier merge.
        merge(&bench, &["1.json", "2.json", "3.json"], &[]).has_code(0);
        assert!(bench.path("report.json").exists() && bench.path("every.xml").exists());
        let ended = merge_again(&bench, files, &[]);
        ended.has_code(1).says(sentence);
        assert_eq!(ended.stdout, "", "{files:?}");
        assert!(ended.report.is_none() && !bench.path("every.xml").exists(), "a report of nothing: {files:?}");
    }
    bench.program(&["merge"]).has_code(1);
    bench.program(&["merge", "--report", "html", "a.json"]).has_code(1).says("FORMAT=FILE");
}

#[test]
fn parts_of_another_number_are_refused() {
    let bench = five();
    part(&bench, "good", "1/3", &[]).has_code(0);
    part(&bench, "good", "2/2", &[]).has_code(0);
    merge(&bench, &["1.json", "2.json"], &[])
        .has_code(1)
        .says("is a part of 3, ")
        .says("is a part of 2: merge the parts of one run");
}

#[test]
fn parts_of_other_filters_are_refused_though_they_are_as_many() {
    let bench = five();
    let names = |shard: &str| -> Vec<String> {
        part(&bench, "good", shard, &[]).has_code(0);
        let report = read(&bench.path(&format!("{}.json", &shard[..1])));
        report.cases.into_iter().map(|case| case.name).collect()
    };
    let (ones, twos) = (names("1/2"), names("2/2"));
    // Each part has a case of its own of two.
    part(&bench, "good", "1/2", &[&ones[0], &twos[0]]).has_code(0);
    part(&bench, "good", "2/2", &[&ones[1], &twos[1]]).has_code(0);
    merge(&bench, &["1.json", "2.json"], &[])
        .has_code(1)
        .says("1.json and ")
        .says("they differ in the cases that were selected in all (the digest of their names; give each part the same filters)");
    part(&bench, "good", "2/2", &[&ones[0], &twos[0]]).has_code(0);
    merge(&bench, &["1.json", "2.json"], &[]).has_code(0);
}

#[test]
fn no_report_takes_the_place_of_one_that_is_merged() {
    let bench = five();
    part(&bench, "good", "1/1", &[]).has_code(0);
    let before = std::fs::read(bench.path("1.json")).unwrap();
    let file = bench.word("1.json");
    let output =
        format!("junit={}/../{}/1.json", bench.word(""), bench.path("").file_name().unwrap().to_str().unwrap());
    let ended = bench.program(&["merge", &file, "--report", &output]);
    ended.has_code(1).says("would take the place of").says("write to another file");
    assert_eq!(std::fs::read(bench.path("1.json")).unwrap(), before);
}

#[test]
fn a_merged_report_that_cannot_be_written_is_named_and_keeps_no_other_from_being_written() {
    let bench = five();
    part(&bench, "good", "1/1", &[]).has_code(0);
    let ended = merge(&bench, &["1.json"], &["--report", "json=/nonexistent/report"]);
    ended.has_code(70).says("/nonexistent/report: No such file");
    let ended = merge(&bench, &["1.json"], &["--report", "json=/dev/full"]);
    ended.has_code(70).says("/dev/full: No space left");
    assert!(bench.path("every.xml").exists());
}
