//! The exit codes: an interface that CI depends on. 0 conforming, 1 wrong usage or a case file in error, 2 violations,
//! 3 inconclusive, 4 unreachable, 5 nothing ran, 6 drift, 70 a fault of ours, 130 interrupted (tests/program/interrupt.rs);
//! where several apply: 130, 70, 4, 6, 2, 3, 5, 0.

use crate::support::{Bench, PASSES, RESETS, server};
use serde_json::json;

/// For servers that answer: none of these tests waits for it.
const PATIENT: [&str; 2] = ["--timeout", "5s"];
/// For servers of whom silence is expected.
const BRISK: [&str; 2] = ["--timeout", "1s"];

/// A case that passes its check and cannot be played: one of its numbers becomes too large.
const IN_ERROR: &str = "case huge.offset\nwith n = 4\n> REGION_READ region=0 offset={n}*0x7fffffffffffffff count=4\n< error                                                 [RREAD-01]\n";
/// A case with a note where the server closes the connection on DEVICE_RESET.
const NOTED: &str =
    "case reset.noted\n> DEVICE_RESET\n< error, note closed                                    [HDR-19]\n";
/// A case for which a server may fall silent: not asked by the probe, and with the ordinary deadline.
const READS: &str = "case read.refused\n> REGION_READ region=0 offset=0 count=4\n< error                                                 [RREAD-01]\n";
/// A case that needs what the server does not have.
const SKIPPED: &str = "case reset.supported\nneeds reset\n> DEVICE_RESET\n< ok                                                    [RESET-01]\n";

fn pin(case: &str, requirement: &str, outcome: &str) -> String {
    format!(
        "[[expect]]\ncase = \"{case}\"\nrequirement = \"{requirement}\"\noutcome = \"{outcome}\"\nreason = \"known\"\n"
    )
}

fn with<'a>(common: [&'a str; 2], more: &[&'a str]) -> Vec<&'a str> {
    [&common[..], more].concat()
}

#[test]
fn a_server_without_violations_is_0() {
    let bench = Bench::new(&[("a.case", PASSES), ("b.case", RESETS)]);
    let ended = bench.against("good", &PATIENT);
    ended.has_code(0).says("Exit code 0: no violation was seen.").says("2 pass, 0 fail");
    assert_eq!(ended.report()["complete"], true);
    assert_eq!(ended.case("good.info")["result"], "pass");
}

#[test]
fn a_note_is_0_and_with_strict_2() {
    let bench = Bench::new(&[("a.case", NOTED)]);
    bench.against("closes", &PATIENT).has_code(0).says("1 note does not count without --strict");
    bench.against("closes", &with(PATIENT, &["--strict"])).has_code(2).says("1 note with --strict");
}

#[test]
fn wrong_usage_is_1_and_says_what_is_wrong() {
    let bench = Bench::new(&[("a.case", PASSES)]);
    let cases = bench.word("cases");
    let good = server("good");
    let device = bench.write("device.toml", "scratch = 3\n");
    let pins = bench.write("pins.toml", "[[expect]]\ncase = \"good.info\"\noutcome = \"crash\"\nreason = \"known\"\n");
    let wrong: &[(&[&str], &str)] = &[
        (&["--bogus"], "unexpected argument '--bogus'"),
        (&["--timeout", "5x"], "`x` is no unit: ms, s or m"),
        (&["--timeout", "0"], "between 1ms and 60m"),
        (&["--shard", "3/2"], "I/N, with 1 <= I <= N"),
        (&["--shard", "0/2"], "I/N, with 1 <= I <= N"),
        (&["--jobs", "0"], "invalid value '0' for '--jobs"),
        (&["--profile", "1.0"], "no profile `1.0`; one of auto, v8, v8c, 0.9.1, 0.9.2"),
        (&["--report", "xml=x"], "`xml` is no report: github, html, json, junit, markdown or pcapng"),
        (&["--report", "json"], "FORMAT=FILE"),
        (&["--spawn", ""], "--spawn needs a command"),
        (&["--spawn", "server 'x"], "a quote is not closed"),
        (&["--spawn", "server {socket}", "--socket", "/x"], "use one of them"),
        (&["--spawn", &good, "INFO-77"], "no requirement `INFO-77`"),
        (&["--spawn", &good, "a[b"], "the filter `a[b`"),
        (&["--spawn", &good, "--device", "/nonexistent.toml"], "could not read the device file /nonexistent.toml"),
        (&["--spawn", &good, "--device", &device], "device.toml:1:"),
        (&["--spawn", &good, "--expect", "/nonexistent.toml"], "could not read /nonexistent.toml"),
        (&["--spawn", &good, "--expect", &pins], "unknown variant `crash`"),
    ];
    for (arguments, sentence) in wrong {
        let ended = bench.program(&[&["run", "--cases", &cases], *arguments].concat());
        ended.has_code(1).says(sentence);
        assert_eq!(ended.stdout, "", "{arguments:?}");
    }
    bench.program(&["run", "--cases", "/nonexistent"]).has_code(1).says("could not read /nonexistent");
    bench.program(&["play"]).has_code(1).says("unrecognized subcommand 'play'");
    bench.program(&[]).has_code(1);
    bench.program(&["--help"]).has_code(0).says("Exit codes: 0 conforming");
}

#[test]
fn a_case_file_in_error_is_1_and_shows_the_place() {
    let bench = Bench::new(&[("a.case", "case good.info\n> DEVICE_GET_IMFO\n< ok  [INFO-01]\n"), ("b.case", PASSES)]);
    let ended = bench.against("good", &PATIENT);
    ended.has_code(1).says("in the case files").says("a.case:2:3").says("DEVICE_GET_INFO").says("^^^^^^");
    assert!(ended.report.is_none(), "a report of a run that never began");
    let ended = bench.program(&["check", &bench.word("cases")]);
    ended.has_code(1).says("a.case:2:3");
}

#[test]
fn one_name_for_two_cases_is_1() {
    let bench = Bench::new(&[("a.case", PASSES), ("b.case", PASSES)]);
    bench.against("good", &PATIENT).has_code(1).says("b.case:1:6").says("a.case:1");
}

#[test]
fn a_violation_is_2() {
    let bench = Bench::new(&[("a.case", PASSES), ("b.case", RESETS)]);
    let ended = bench.against("wrong-id", &PATIENT);
    ended.has_code(2).says("HDR-02").says("the server violates 1 requirement");
    assert_eq!(ended.report()["requirements"]["HDR-02"]["status"], "violated");
    assert_eq!(ended.case("good.info")["result"], "pass");
}

#[test]
fn what_comes_once_and_not_again_is_3() {
    let bench = Bench::new(&[("a.case", PASSES), ("b.case", READS)]);
    let marker = bench.word("marker");
    let ended = bench.against(&format!("silent-once --on REGION_READ --marker {marker}"), &BRISK);
    ended.has_code(3).says("1 inconclusive").says("1 case came to no verdict");
    let case = ended.case("read.refused");
    assert_eq!(case["result"], "inconclusive");
    assert_eq!(case["attempts"].as_array().unwrap().len(), 3);
    assert_eq!(case["attempts"][0]["outcome"], "silent");
    assert_eq!(case["attempts"][2]["outcome"], "answered");
    assert_eq!(case["findings"], json!([]));
}

#[test]
fn sequences_that_cannot_be_kept_take_no_verdict_along() {
    let bench = Bench::new(&[("a.case", PASSES)]);
    let arguments = ["--generate", "20", "--seed", "1", "--jobs", "1", "--keep", "/proc/nope"];
    let ended = bench.against("wrong-id --on DMA_MAP", &with(PATIENT, &arguments));
    ended.has_code(70).says("/proc/nope").says("1 pass");
    assert_eq!(ended.case("good.info")["result"], "pass");
    assert_eq!(ended.report()["exit_code"], 70);
}

#[test]
fn nothing_selected_is_5_and_never_0() {
    let bench = Bench::new(&[("a.case", PASSES)]);
    bench.against("good", &["nothing.*"]).has_code(5).says("no case is selected by nothing.*");
    bench.against("good", &["RESET-01"]).has_code(5).says("no case is selected by RESET-01");
    bench.against("good", &["--shard", "2/2"]).has_code(5);
    let listed = bench.program(&["list", "--cases", &bench.word("cases"), "nothing.*"]);
    listed.has_code(5).says("no case is selected by nothing.*");
    assert_eq!(listed.stdout, "");
    let empty = Bench::new(&[]);
    empty.against("good", &PATIENT).has_code(5);
    empty.against("good", &["--expect", &empty.write("pins.toml", "")]).has_code(5);
    // Before any server is met: what is not selected needs none.
    bench.run(&["--spawn", "/nonexistent", "nothing.*"]).has_code(5);
}

#[test]
fn nothing_selected_without_a_filter_says_why() {
    let empty = Bench::new(&[]);
    let ended = empty.against("good", &PATIENT);
    ended.has_code(5).says(&empty.word("cases"));
    assert!(!ended.stderr.contains("selected by ;"), "{}", ended.stderr);
    let bench = Bench::new(&[("a.case", PASSES)]);
    let ended = bench.against("good", &["--shard", "2/2"]);
    ended.has_code(5).says("part 2 of 2");
}

#[test]
fn nothing_selected_is_reported_and_does_not_read_as_a_run_without_failures() {
    let bench = Bench::new(&[("a.case", PASSES)]);
    let junit = format!("junit={}", bench.word("junit.xml"));
    let ended = bench.against("good", &["--report", &junit, "nothing.*"]);
    ended.has_code(5);
    let report = ended.report();
    assert_eq!(report["complete"], false);
    assert_eq!(report["cases"], json!([]));
    assert!(report["faults"][0].as_str().unwrap().starts_with("no case is selected by nothing.*"), "{report:#?}");
    let text = std::fs::read_to_string(bench.path("junit.xml")).unwrap();
    assert!(text.contains("errors=\"1\"") && text.contains("no case is selected by nothing.*"), "{text}");
}

#[test]
fn requirements_are_listed_without_a_filter_only() {
    Bench::new(&[]).program(&["list", "--requirements", "INFO-01"]).has_code(1).says("cannot be used with");
}

#[test]
fn nothing_but_skipped_cases_is_5() {
    let bench = Bench::new(&[("a.case", SKIPPED)]);
    let ended = bench.against("good", &PATIENT);
    ended.has_code(5).says("every selected case was skipped").says("SKIPPED 1 case");
    assert_eq!(ended.report()["complete"], true);
    assert_eq!(ended.case("reset.supported")["result"], "skip");
}

#[test]
fn what_is_pinned_and_met_is_0() {
    let bench = Bench::new(&[("a.case", PASSES), ("b.case", RESETS)]);
    let pins = bench.write("pins.toml", &pin("reset.*", "HDR-02", "violation"));
    let ended = bench.against("wrong-id", &with(PATIENT, &["--expect", &pins]));
    ended.has_code(0).says("PINNED 1 as expected").says("nothing differs from the pinned expectations");
    assert_eq!(ended.report()["expectations"]["met"][0]["case"], "reset.refused");
}

#[test]
fn an_inconclusive_case_that_is_pinned_is_0() {
    let bench = Bench::new(&[("a.case", READS)]);
    let pins = bench.write(
        "pins.toml",
        "[[expect]]\ncase = \"read.refused\"\noutcome = \"inconclusive\"\nreason = \"a slow disk\"\n",
    );
    let mode = format!("silent-once --on REGION_READ --marker {}", bench.word("marker"));
    bench.against(&mode, &with(BRISK, &["--expect", &pins])).has_code(0);
}

#[test]
fn what_differs_from_the_pins_is_6() {
    let bench = Bench::new(&[("a.case", PASSES), ("b.case", RESETS)]);
    let drifts: &[(&str, &str, &str, &str)] = &[
        ("good", "reset.*", "HDR-02", "is pinned and no longer seen take the entry out"),
        ("wrong-id", "reset.*", "RESET-01", "is not pinned"),
        ("wrong-id", "rset.*", "HDR-02", "matches no case mend the name"),
    ];
    for (mode, case, requirement, sentence) in drifts {
        let pins = bench.write("pins.toml", &pin(case, requirement, "violation"));
        let ended = bench.against(mode, &with(PATIENT, &["--expect", &pins]));
        ended.has_code(6).says("DRIFT").says(sentence);
        assert_ne!(ended.report()["expectations"]["drift"], json!([]));
    }
    let pins = bench.write("pins.toml", &pin("reset.*", "HDR-02", "silent"));
    let ended = bench.against("wrong-id", &with(PATIENT, &["--expect", &pins]));
    ended.has_code(6).says("\"violation\" on HDR-02 where \"silent\" is pinned");
}

#[test]
fn a_draft_of_pins_makes_the_next_run_0() {
    let bench = Bench::new(&[("a.case", PASSES), ("b.case", RESETS)]);
    let pins = bench.word("draft.toml");
    bench.against("wrong-id", &with(PATIENT, &["--expect-write", &pins])).has_code(2);
    bench.against("wrong-id", &with(PATIENT, &["--expect", &pins])).has_code(0);
}

#[test]
fn a_case_that_cannot_be_played_is_70() {
    let bench = Bench::new(&[("a.case", IN_ERROR), ("b.case", PASSES)]);
    let ended = bench.against("good", &PATIENT);
    ended.has_code(70).says("IN ERROR 1 case").says("says nothing of the server");
    assert_eq!(ended.case("huge.offset/4")["result"], "error");
    assert_eq!(ended.case("good.info")["result"], "pass", "the others are played all the same");
    assert_eq!(ended.report()["complete"], true);
}

#[test]
fn a_temporary_folder_that_is_not_there_is_70() {
    let bench = Bench::new(&[("a.case", PASSES)]);
    let cases = bench.word("cases");
    let arguments = ["run", "--cases", &cases, "--spawn", &server("good")];
    let ended = bench.start(&arguments, &[("TMPDIR", "/nonexistent")]).end();
    ended.has_code(70).says("no temporary folder").says("/nonexistent");
}

#[test]
fn a_temporary_folder_whose_path_is_too_long_for_a_socket_is_70() {
    let bench = Bench::new(&[("a.case", PASSES)]);
    let (cases, deep) = (bench.word("cases"), bench.word(&format!("tmp-{}", "x".repeat(120))));
    std::fs::create_dir(&deep).unwrap();
    for placeholder in ["", " --socket-path {socket}", " {fd}"] {
        let command = format!("{}{placeholder}", server("good"));
        let arguments = ["run", "--cases", &cases, "--spawn", &command];
        let ended = bench.start(&arguments, &[("TMPDIR", &deep)]).end();
        ended.has_code(70);
        assert_eq!(std::fs::read_dir(&deep).unwrap().count(), 0, "left in TMPDIR");
    }
}

#[test]
fn a_temporary_folder_whose_path_is_too_long_is_named() {
    let bench = Bench::new(&[("a.case", PASSES)]);
    let (cases, deep) = (bench.word("cases"), bench.word(&format!("tmp-{}", "x".repeat(120))));
    std::fs::create_dir(&deep).unwrap();
    let arguments = ["run", "--cases", &cases, "--spawn", &server("good")];
    bench.start(&arguments, &[("TMPDIR", &deep)]).end().has_code(70).says("TMPDIR");
}

#[test]
fn an_error_stands_over_violations_and_inconclusive_cases_and_drift() {
    let bench = Bench::new(&[("a.case", IN_ERROR), ("b.case", RESETS), ("c.case", READS)]);
    bench.against("wrong-id", &PATIENT).has_code(70).says("1 fail, 0 skip, 0 inconclusive, 1 error");
    let pins = bench.write("pins.toml", &pin("read.*", "HDR-02", "violation"));
    bench.against("wrong-id", &with(PATIENT, &["--expect", &pins])).has_code(70).says("DRIFT");
    let mode = format!("silent-once --on REGION_READ --marker {}", bench.word("marker"));
    bench.against(&mode, &BRISK).has_code(70).says("0 fail, 0 skip, 1 inconclusive, 1 error");
}

#[test]
fn an_error_stands_over_a_lost_server() {
    let bench = Bench::new(&[("a.case", IN_ERROR), ("b.case", RESETS), ("c.case", PASSES)]);
    let mode = format!("last-one --marker {}", bench.word("marker"));
    let ended = bench.against(&mode, &with(PATIENT, &["--jobs", "1"]));
    ended.has_code(70).says("the disk is on fire");
    assert_eq!(ended.report()["complete"], false);
    assert_eq!(ended.names(), ["huge.offset/4", "reset.refused"]);
}

#[test]
fn a_lost_server_stands_over_violations_and_drift() {
    let violated =
        "case reset.granted\n> DEVICE_RESET\n< ok                                                    [RESET-01]\n";
    let bench = Bench::new(&[("a.case", violated), ("b.case", PASSES), ("c.case", READS)]);
    let marker = bench.word("marker");
    let mode = format!("last-one --marker {marker}");
    let ended = bench.against(&mode, &with(PATIENT, &["--jobs", "1"]));
    ended.has_code(4).says("1 fail").says("ended with exit status 3 before it accepted a connection");
    assert_eq!(ended.report()["complete"], false);
    let faults = ended.report()["faults"].as_array().unwrap();
    assert_eq!(faults.len(), 1, "a lost server is told once: {faults:?}");
    assert!(faults[0].as_str().unwrap().contains("the disk is on fire"), "{faults:?}");
    std::fs::remove_file(&marker).unwrap();
    let pins = bench.write("pins.toml", &pin("good.*", "HDR-02", "violation"));
    bench.against(&mode, &with(PATIENT, &["--jobs", "1", "--expect", &pins])).has_code(4).says("DRIFT");
}

#[test]
fn drift_stands_over_violations_inconclusive_cases_and_nothing_that_ran() {
    let bench = Bench::new(&[("a.case", PASSES), ("b.case", RESETS)]);
    let pins = bench.write("pins.toml", &pin("good.*", "HDR-02", "violation"));
    bench.against("wrong-id", &with(PATIENT, &["--expect", &pins])).has_code(6).says("1 fail");
    let slow = Bench::new(&[("a.case", READS)]);
    let pins = slow.write("pins.toml", "");
    let mode = format!("silent-once --on REGION_READ --marker {}", slow.word("marker"));
    slow.against(&mode, &with(BRISK, &["--expect", &pins])).has_code(6).says("1 inconclusive");
    let skipped = Bench::new(&[("a.case", SKIPPED)]);
    let pins = skipped.write("pins.toml", &pin("reset.*", "RESET-01", "violation"));
    skipped.against("good", &with(PATIENT, &["--expect", &pins])).has_code(6).says("since the case was skipped");
}

#[test]
fn violations_and_strict_notes_stand_over_inconclusive_cases() {
    let granted =
        "case reset.granted\n> DEVICE_RESET\n< ok                                                    [RESET-01]\n";
    let bench = Bench::new(&[("a.case", granted), ("b.case", READS)]);
    let mode = |bench: &Bench| format!("silent-once --on REGION_READ --marker {}", bench.word("marker"));
    bench.against(&mode(&bench), &BRISK).has_code(2).says("1 fail, 0 skip, 1 inconclusive");
    let info = "case info.noted\n> DEVICE_GET_INFO\n< error, note ok                                        [HDR-19]\n";
    let noted = Bench::new(&[("a.case", info), ("b.case", READS)]);
    noted.against(&mode(&noted), &with(BRISK, &["--strict"])).has_code(2).says("1 inconclusive, 0 error; 1 note");
}

#[test]
fn inconclusive_cases_stand_over_what_passed_and_was_skipped() {
    let bench = Bench::new(&[("a.case", PASSES), ("b.case", READS), ("c.case", SKIPPED)]);
    let mode = format!("silent-once --on REGION_READ --marker {}", bench.word("marker"));
    bench.against(&mode, &BRISK).has_code(3).says("1 pass, 0 fail, 1 skip, 1 inconclusive");
}

#[test]
fn shards_have_every_case_once() {
    let text: String = (0..5)
        .map(|n| format!("case part.n{n}\n> DEVICE_GET_INFO\n< ok                                                    [INFO-01]\n\n"))
        .collect();
    let bench = Bench::new(&[("a.case", text.trim_end())]);
    let mut all = Vec::new();
    for index in 1..=3 {
        let ended = bench.against("good", &with(PATIENT, &["--shard", &format!("{index}/3")]));
        ended.has_code(0).says(&format!("part {index} of 3"));
        let shard = &ended.report()["shard"];
        assert_eq!((&shard["index"], &shard["count"], &shard["selected"]), (&json!(index), &json!(3), &json!(5)));
        assert_eq!(ended.report()["complete"], true);
        all.extend(ended.names().into_iter().map(str::to_owned));
    }
    all.sort();
    assert_eq!(all, ["part.n0", "part.n1", "part.n2", "part.n3", "part.n4"]);
}

#[test]
fn fail_fast_stops_and_is_incomplete() {
    let cases: Vec<String> = (0..40).map(|n| RESETS.replace("reset.refused", &format!("reset.n{n}"))).collect();
    let bench = Bench::new(&[("a.case", &cases.join("\n"))]);
    let ended = bench.against("wrong-id", &with(PATIENT, &["--fail-fast", "--jobs", "2"]));
    ended.has_code(2);
    assert!(ended.names().len() < 40, "{:?}", ended.names());
    assert_eq!(ended.report()["complete"], false);
    bench.against("good", &with(PATIENT, &["--fail-fast"])).has_code(0).says("40 pass");
}

#[test]
fn fail_fast_draws_nothing_after_the_failure() {
    let bench = Bench::new(&[("a.case", RESETS)]);
    let ended = bench.against("wrong-id", &with(PATIENT, &["--fail-fast", "--generate", "5"]));
    ended.has_code(2).says("as --fail-fast asks");
    assert_eq!((ended.names(), &ended.report()["complete"]), (vec!["reset.refused"], &json!(false)));
}

#[test]
fn no_report_takes_the_place_of_what_is_read_or_of_another() {
    let bench = Bench::new(&[("a.case", PASSES)]);
    for option in ["--expect", "--device"] {
        let input = bench.write("input.toml", "");
        let ended = bench.against("good", &[option, &input, "--report", &format!("json={input}")]);
        ended.has_code(1).says("would take the place of").says("input.toml");
        assert!(bench.path("input.toml").exists());
    }
    // A draft neither.
    let input = bench.write("input.toml", "");
    bench.against("good", &["--device", &input, "--expect-write", &input]).has_code(1).says("would take the place of");
    bench
        .against(
            "good",
            &["--report", &format!("json={}", bench.word("draft")), "--expect-write", &bench.word("draft")],
        )
        .has_code(1)
        .says("is to be two files");
    let case = bench.word("cases/a.case");
    bench.against("good", &["--report", &format!("json={case}")]).has_code(1).says("would be a case of --cases");
    assert!(bench.path("cases/a.case").exists());
    let [one, same] = ["json", "html"].map(|format| format!("{format}={}", bench.word("twice")));
    let ended = bench.against("good", &["--report", &one, "--report", &same]);
    ended.has_code(1).says("is to be two files");
}

#[test]
fn a_report_that_is_lost_takes_no_draft_along() {
    let bench = Bench::new(&[("a.case", RESETS)]);
    let draft = bench.word("draft.toml");
    let ended = bench.against("wrong-id", &["--report", "json=/dev/full", "--expect-write", &draft]);
    ended.has_code(70).says("No space left on device");
    assert!(bench.path("draft.toml").exists());
}

#[test]
fn fail_fast_with_one_job_plays_nothing_after_the_failure() {
    let bench = Bench::new(&[("a.case", PASSES), ("b.case", RESETS), ("c.case", READS)]);
    for _ in 0..10 {
        let ended = bench.against("wrong-id", &with(PATIENT, &["--fail-fast", "--jobs", "1"]));
        ended.has_code(2);
        assert_eq!(ended.names(), ["good.info", "reset.refused"]);
    }
}

#[test]
fn a_report_that_cannot_be_written_is_named_and_never_0() {
    let bench = Bench::new(&[("a.case", PASSES)]);
    for format in ["html", "json", "junit"] {
        let report = format!("{format}=/nonexistent/report");
        let ended = bench.against("good", &with(PATIENT, &["--report", &report]));
        assert_ne!(ended.code, 0);
        ended.says("/nonexistent/report").says("No such file or directory");
    }
}

#[test]
fn a_report_that_cannot_be_written_keeps_no_other_from_being_written() {
    let bench = Bench::new(&[("a.case", PASSES)]);
    let (cases, junit) = (bench.word("cases"), format!("junit={}", bench.word("junit.xml")));
    let reports = ["--report", "json=/dev/full", "--report", &junit];
    let ended = bench.program(&[&["run", "--cases", &cases, "--spawn", &server("good")], &reports[..]].concat());
    assert_ne!(ended.code, 0);
    assert!(bench.path("junit.xml").exists(), "{}", ended.stderr);
}
