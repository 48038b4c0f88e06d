//! `run --failed`: what failed runs again and nothing else does, and a run of nothing is never green.

use std::fs;

use crate::support::{Bench, Ended, PASSES, RESETS, example, server};
use serde_json::json;
use vfio_user_conformance::report::Selection;

/// For servers that answer: none of these tests waits for it.
const PATIENT: [&str; 2] = ["--timeout", "5s"];

/// One more case that meets what the server does at DEVICE_RESET.
const RESETS_TOO: &str =
    "case reset.too\n> DEVICE_RESET\n< error                                                 [RESET-01]\n";

/// A server that is mended between runs, and its command stays the same: what it does stands in a file.
struct Mended {
    bench: Bench,
    command: String,
}

impl Mended {
    fn new(mode: &str) -> Mended {
        let bench = Bench::new(&[("a.case", PASSES), ("b.case", RESETS), ("c.case", RESETS_TOO)]);
        bench.write("mode", mode);
        let script = format!("exec {} --mode \"$(cat {})\" \"$@\"", example("misbehaving-server"), bench.word("mode"));
        let command = format!("sh {}", bench.write("server.sh", &script));
        Mended { bench, command }
    }

    fn becomes(&self, mode: &str) {
        self.bench.write("mode", mode);
    }

    fn run(&self, more: &[&str]) -> Ended {
        self.bench.run(&[&["--spawn", &self.command], &PATIENT[..], more].concat())
    }
}

#[test]
fn what_failed_runs_again_until_it_passes() {
    let server = Mended::new("wrong-id");
    server.run(&["--failed"]).has_code(5).says("no failure is known by");
    server.run(&[]).has_code(2);
    let again = server.run(&["--failed"]);
    again.has_code(2);
    assert_eq!(again.names(), ["reset.refused", "reset.too"]);
    server.becomes("good");
    let mended = server.run(&["--failed"]);
    mended.has_code(0);
    assert_eq!(mended.names(), ["reset.refused", "reset.too"]);
    let nothing = server.run(&["--failed"]);
    nothing.has_code(5).says("no failure is known by").says("`run` without --failed runs all");
    assert_eq!(nothing.report()["cases"], json!([]));
}

#[test]
fn a_run_of_a_part_forgets_nothing_of_the_rest() {
    let server = Mended::new("wrong-id");
    server.run(&[]).has_code(2);
    server.becomes("good");
    server.run(&["--failed", "reset.too"]).has_code(0);
    server.run(&["good.info"]).has_code(0);
    let left = server.run(&["--failed"]);
    left.has_code(0);
    assert_eq!(left.names(), ["reset.refused"]);
}

#[test]
fn a_filter_that_takes_nothing_of_what_failed_is_5() {
    let server = Mended::new("wrong-id");
    server.run(&[]).has_code(2);
    let ended = server.run(&["--failed", "good.info"]);
    ended.has_code(5).says("nothing of what failed by").says("is selected here");
    server.run(&["--failed", "god.info"]).has_code(5).says("did you mean good.info?");
}

#[test]
fn shards_of_what_failed_are_those_of_the_whole_run() {
    let server = Mended::new("wrong-id");
    let whole: Vec<Vec<String>> = (1..=2)
        .map(|index| {
            let ended = server.run(&["--shard", &format!("{index}/2")]);
            ended.names().into_iter().filter(|name| name.starts_with("reset")).map(str::to_owned).collect()
        })
        .collect();
    let selected = Selection::of(whole.iter().flatten().map(String::as_str)).to_string();
    for (index, names) in (1..=2).zip(whole) {
        let ended = server.run(&["--failed", "--shard", &format!("{index}/2")]);
        let shard = json!({ "index": index, "count": 2, "selected": 2, "selected_sha256": selected });
        assert_eq!(ended.has_code(2).report.as_ref().unwrap()["shard"], shard);
        assert_eq!(ended.names(), names);
    }
}

#[test]
fn another_target_has_a_memory_of_its_own() {
    let server = Mended::new("wrong-id");
    server.run(&[]).has_code(2);
    let device = server.bench.write("device.toml", "name = \"x\"\n");
    server.run(&["--failed", "--device", &device]).has_code(5).says("no failure is known by");
    server.run(&["--failed", "--profile", "0.9.2"]).has_code(5);
    // How long it is waited for says nothing of the target.
    let cases = server.bench.word("cases");
    let words = ["run", "--cases", &cases, "--spawn", &server.command, "--failed", "--timeout", "6s", "--jobs", "1"];
    let report = format!("json={}", server.bench.word("report.json"));
    server.bench.program(&[&words[..], &["--report", &report]].concat()).has_code(2);
}

#[test]
fn cases_that_are_gone_are_told_and_forgotten() {
    let server = Mended::new("wrong-id");
    server.run(&[]).has_code(2);
    fs::remove_file(server.bench.path("cases/c.case")).unwrap();
    let ended = server.run(&["--failed"]);
    ended.has_code(2).says("1 case is gone from the cases of this version, or from the disk: reset.too");
    assert_eq!(ended.names(), ["reset.refused"]);
    assert!(!server.run(&["--failed"]).stderr.contains("gone"));
    fs::remove_file(server.bench.path("cases/b.case")).unwrap();
    server.run(&["--failed"]).has_code(5).says("gone").says("reset.refused");
}

#[test]
fn what_failed_by_a_report_runs_again_even_where_that_report_is_written_anew() {
    let server = Mended::new("wrong-id");
    server.run(&[]).has_code(2);
    server.becomes("good");
    let report = server.bench.word("report.json");
    let ended = server.run(&[&format!("--failed={report}")]);
    ended.has_code(0);
    assert_eq!(ended.names(), ["reset.refused", "reset.too"]);
    server.run(&[&format!("--failed={report}")]).has_code(5).says("report.json");
}

#[test]
fn a_report_that_is_none_is_1_and_is_not_left_as_this_runs() {
    let server = Mended::new("good");
    for (text, sentence) in
        [("", "report.json is empty"), ("{}", "it names no `schema`"), ("[1, 2", "it is no JSON object")]
    {
        let report = server.bench.write("report.json", text);
        let (command, cases) = (server.command.as_str(), server.bench.word("cases"));
        let (failed, json) = (format!("--failed={report}"), format!("json={report}"));
        let ended = server.bench.program(&["run", "--cases", &cases, "--spawn", command, &failed, "--report", &json]);
        ended.has_code(1).says(sentence);
        assert!(!server.bench.path("report.json").exists(), "it would be read as this run's");
    }
    server.bench.program(&["run", "--failed=/nonexistent.json"]).has_code(1).says("could not read /nonexistent.json");
    server.bench.program(&["run", "--failed", "--generate", "3"]).has_code(1).says("cannot be used with");
}

#[test]
fn a_report_of_another_schema_is_1() {
    let server = Mended::new("good");
    server.run(&[]).has_code(0);
    let path = server.bench.path("report.json");
    let mut report: serde_json::Value = serde_json::from_str(&fs::read_to_string(&path).unwrap()).unwrap();
    fs::remove_file(&path).unwrap();
    report["schema"] = json!("99\u{1b}[31m");
    let other = server.bench.write("other.json", &report.to_string());
    let ended = server.bench.program(&["run", &format!("--failed={other}")]);
    ended
        .has_code(1)
        .says("--failed: ")
        .says("is a report of schema \"99\\u001b[31m\", and this program reads schema \"1\"");
}

#[test]
fn what_never_ran_by_a_report_runs() {
    let server = Mended::new("wrong-id");
    server.run(&["--fail-fast", "--jobs", "1"]).has_code(2);
    server.becomes("good");
    let report = server.bench.write("before.json", &fs::read_to_string(server.bench.path("report.json")).unwrap());
    let again = server.run(&[&format!("--failed={report}")]);
    again.has_code(0);
    assert_eq!(again.names(), ["reset.refused", "reset.too"]);
}

#[test]
fn a_home_that_cannot_be_written_keeps_no_run_from_its_verdict() {
    let bench = Bench::new(&[("b.case", RESETS)]);
    let (cases, bad) = (bench.word("cases"), server("wrong-id"));
    let run = |more: &[&str]| {
        let words = [&["run", "--cases", &cases, "--spawn", &bad], &PATIENT[..], more].concat();
        bench.start(&words, &[("XDG_STATE_HOME", "/proc/none")]).end()
    };
    let ended = run(&[]);
    ended.has_code(2);
    assert_eq!(ended.stderr, "");
    run(&["--failed"]).has_code(5).says("/proc/none/vfio-user-conformance/failed/");
}

/// A sequence of seed 1 fails against a server that answers with wrong ids.
#[test]
fn sequences_that_were_drawn_run_again_from_their_files() {
    let server = Mended::new("wrong-id");
    let keep = server.bench.word("kept");
    let drawn = server.run(&["generated", "--generate", "40", "--seed", "1", "--keep", &keep]);
    drawn.has_code(2);
    let names: Vec<String> = drawn.names().into_iter().map(str::to_owned).collect();
    assert!(!names.is_empty() && names.iter().all(|name| name.starts_with("generated.")), "{names:?}");
    let again = server.run(&["--failed"]);
    again.has_code(2);
    assert_eq!(again.names(), names);
    let replay = again.case(&names[0])["replay"].as_str().unwrap();
    assert!(replay.contains(&format!("replay {keep}/{}.case --spawn", names[0])), "{replay}");
    let sharded = server.run(&["--failed", "--shard", "1/2"]);
    sharded.has_code(5).says("to run them again: vfio-user-conformance replay");
    // That server answers where no answer is wanted, too, in every mode.
    server.becomes("good");
    assert_eq!(server.run(&["--failed", "generated.hdr-02"]).has_code(0).names(), ["generated.hdr-02"]);
    let left = server.run(&["--failed"]);
    assert_eq!(left.names(), names.iter().filter(|name| *name != "generated.hdr-02").collect::<Vec<_>>());
}

#[test]
fn a_sequence_whose_file_is_gone_is_told() {
    let server = Mended::new("wrong-id");
    let keep = server.bench.word("kept");
    server.run(&["--generate", "40", "--seed", "1", "--keep", &keep]).has_code(2);
    fs::remove_dir_all(server.bench.path("kept")).unwrap();
    let ended = server.run(&["--failed"]);
    ended.has_code(2).says("gone from the cases of this version, or from the disk: generated.");
    assert_eq!(ended.names(), ["reset.refused", "reset.too"]);
}

#[test]
fn what_replay_plays_is_no_case_of_a_run() {
    let bench = Bench::new(&[("b.case", RESETS)]);
    let (file, bad, state) = (bench.word("cases/b.case"), server("wrong-id"), bench.word("state"));
    let start = |words: &[&str]| {
        let words = [words, &["--spawn", &bad], &PATIENT[..]].concat();
        bench.start(&words, &[("XDG_STATE_HOME", &state)]).end()
    };
    start(&["replay", &file]).has_code(2);
    start(&["run", "--failed"]).has_code(5).says("no failure is known by");
}
