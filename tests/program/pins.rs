//! Pinned expectations, through the program: what differs from them is named and is 6, what does not is 0, and a run of a
//! part says nothing of the rest. The rules themselves have their tests beside them (src/verdict).

use crate::support::{Bench, PASSES, RESETS, server};
use serde_json::json;

/// For servers that answer: none of these tests waits for it.
const PATIENT: [&str; 2] = ["--timeout", "5s"];

/// A case with a note where the server closes the connection on DEVICE_RESET.
const NOTED: &str =
    "case reset.noted\n> DEVICE_RESET\n< error, note closed                                    [HDR-19]\n";

fn with<'a>(more: &[&'a str]) -> Vec<&'a str> {
    [&PATIENT[..], more].concat()
}

fn pin(case: &str, requirement: &str, outcome: &str) -> String {
    format!(
        "[[expect]]\ncase = \"{case}\"\nrequirement = \"{requirement}\"\noutcome = \"{outcome}\"\nreason = \"known\"\n"
    )
}

/// So many cases that fail where the reply has another message ID.
fn resets(count: usize) -> Bench {
    let cases: Vec<String> = (0..count).map(|n| RESETS.replace("reset.refused", &format!("reset.n{n}"))).collect();
    Bench::new(&[("a.case", PASSES), ("b.case", &cases.join("\n"))])
}

#[test]
fn fail_fast_goes_on_past_what_is_pinned() {
    let bench = resets(3);
    let pins = bench.write("pins.toml", &pin("reset.*", "HDR-02", "violation"));
    let ended = bench.against("wrong-id", &with(&["--expect", &pins, "--fail-fast", "--jobs", "1"]));
    ended.has_code(0);
    assert_eq!(ended.report()["complete"], true);
    assert_eq!(ended.report()["totals"]["fail"], 3);
}

#[test]
fn fail_fast_stops_at_what_is_not_pinned_and_says_nothing_of_the_rest() {
    let bench = resets(3);
    let text = format!("{}\n{}", pin("reset.n0", "HDR-02", "violation"), pin("reset.n2", "HDR-02", "violation"));
    let pins = bench.write("pins.toml", &text);
    let ended = bench.against("wrong-id", &with(&["--expect", &pins, "--fail-fast", "--jobs", "1"]));
    ended.has_code(6).says("reset.n1: \"violation\" on HDR-02 is not pinned").says("1 difference");
    assert_eq!(ended.report()["not_run"], json!(["reset.n2"]));
}

#[test]
fn a_part_of_the_cases_says_nothing_of_the_other_ones() {
    let bench = resets(4);
    let pins = bench.write("pins.toml", &pin("reset.*", "HDR-02", "violation"));
    for index in 1..=3 {
        let shard = format!("{index}/3");
        bench.against("wrong-id", &with(&["--expect", &pins, "--shard", &shard])).has_code(0);
    }
    bench.against("wrong-id", &with(&["--expect", &pins, "good.info"])).has_code(0);
    // What is wrong with an entry itself every part tells.
    let pins = bench.write("pins.toml", &pin("rset.*", "HDR-02", "violation"));
    bench.against("good", &with(&["--expect", &pins, "good.info"])).has_code(6).says("matches no case");
    // All that an entry names was selected, and does not show it.
    let pins = bench.write("pins.toml", &pin("reset.*", "HDR-02", "violation"));
    bench.against("good", &with(&["--expect", &pins, "reset.*"])).has_code(6).says("no longer seen");
}

#[test]
fn what_no_run_of_this_version_can_meet_is_named() {
    let bench = resets(1);
    let entries = [
        ("HDR-002", "the entry names HDR-002: no requirement has that id"),
        ("L-DP-15", "the entry names L-DP-15: it is no requirement of 0.9.2"),
    ];
    for (requirement, sentence) in entries {
        let pins = bench.write("pins.toml", &pin("reset.n0", requirement, "violation"));
        let ended = bench.against("good", &with(&["--expect", &pins]));
        ended.has_code(6).says(sentence).says("mend the id, or take the entry out");
    }
}

#[test]
fn a_pinned_crash_is_met_by_a_crash_and_by_nothing_else() {
    let bench = Bench::new(&[("b.case", RESETS)]);
    let pins = bench.write("pins.toml", &pin("reset.refused", "RESET-01", "crashed"));
    bench.against("aborts", &with(&["--expect", &pins])).has_code(0);
    let ended = bench.against("closes", &with(&["--expect", &pins]));
    ended.has_code(6).says("\"closed\" on RESET-01 where \"crashed\" is pinned");
    bench.against("good", &with(&["--expect", &pins])).has_code(6).says("no longer seen");
}

#[test]
fn one_entry_twice_is_1() {
    let bench = resets(1);
    let pins = bench.write("pins.toml", &pin("reset.*", "HDR-02", "violation").repeat(2));
    bench
        .against("good", &with(&["--expect", &pins]))
        .has_code(1)
        .says("number 2 (reset.*): it says what number 1 says");
}

#[test]
fn a_note_needs_a_pin_with_strict_alone() {
    let bench = Bench::new(&[("a.case", NOTED)]);
    let none = bench.write("none.toml", "");
    bench.against("closes", &with(&["--expect", &none])).has_code(0);
    bench
        .against("closes", &with(&["--expect", &none, "--strict"]))
        .has_code(6)
        .says("\"note\" on HDR-19 is not pinned");
    let drafted = bench.word("drafted.toml");
    bench.against("closes", &with(&["--strict", "--expect-write", &drafted])).has_code(2);
    bench.against("closes", &with(&["--strict", "--expect", &drafted])).has_code(0);
    // Without --strict the entry is about a note that is still there.
    bench.against("closes", &with(&["--expect", &drafted])).has_code(0);
}

#[test]
fn a_draft_is_met_in_each_version() {
    let bench = Bench::new(&[]);
    for profile in ["0.9.2", "0.9.1", "v8c", "v8"] {
        let drafted = bench.word(&format!("{profile}.toml"));
        let server = server("refuses-all");
        let run = |more: &[&str]| {
            let words = ["run", "--profile", profile, "--spawn", &server, "--timeout", "5s", "info.*"];
            bench.program(&[&words[..], more].concat())
        };
        run(&["--expect-write", &drafted]).has_code(2);
        run(&["--expect", &drafted]).has_code(0);
    }
}

#[test]
fn what_is_offered_no_more_is_6_and_what_is_offered_besides_is_not() {
    let bench = Bench::new(&[("a.case", PASSES)]);
    let run = |without: &str, more: &[&str]| {
        let program = env!("CARGO_BIN_EXE_vfio-user-conformance");
        let server = format!("{program} reference-server {without} --socket-path={{socket}}");
        bench.run(&[&["--spawn", server.as_str()], &PATIENT[..], more].concat())
    };
    let (lost, full, less) = ("--without migration,twin-socket", bench.word("full.toml"), bench.word("less.toml"));
    run("", &["--expect-write", &full]).has_code(0);
    run("", &["--expect", &full]).has_code(0);
    run(lost, &["--expect-write", &less]).has_code(0);
    run("", &["--expect", &less]).has_code(0);
    // Whatever part of the cases it is.
    for more in [&[][..], &["--shard", "1/1"], &["good.info"]] {
        run(lost, &[&["--expect", &full], more].concat())
            .has_code(6)
            .says("migration, pre-copy: pinned under `offers`, but what needs it was skipped: GET of MIGRATION")
            .says("2 differences");
    }
}

#[test]
fn what_generation_finds_is_pinned_by_its_seed() {
    let bench = Bench::new(&[("a.case", PASSES)]);
    let (drafted, keep) = (bench.word("drafted.toml"), bench.word("kept"));
    let generate = ["--generate", "12", "--seed", "3", "--keep", &keep];
    let mode = "surplus --on DEVICE_GET_REGION_INFO";
    bench.against(mode, &with(&[&generate[..], &["--expect-write", &drafted]].concat())).has_code(2);
    assert!(std::fs::read_to_string(&drafted).unwrap().contains("case = \"generated."));
    bench.against(mode, &with(&[&generate[..], &["--expect", &drafted]].concat())).has_code(0);
    // A run that generates nothing says nothing of them; one that does, and finds nothing, does.
    bench.against("good", &with(&["--expect", &drafted])).has_code(0);
    bench.against("good", &with(&[&generate[..], &["--expect", &drafted]].concat())).has_code(6).says("no longer seen");
}

/// A bench whose server fails at what is drawn, the words for that, and what is drafted from it.
fn generated() -> (Bench, [String; 8], String) {
    let bench = Bench::new(&[("a.case", PASSES)]);
    let (drafted, keep) = (bench.word("drafted.toml"), bench.word("kept"));
    let generate = ["generated", "--generate", "12", "--seed", "4", "--jobs=1", "--keep", &keep].map(str::to_owned);
    let words: Vec<&str> = generate.iter().map(String::as_str).collect();
    bench.against(SURPLUS, &with(&[&words[..], &["--expect-write", &drafted]].concat())).has_code(2);
    (bench, generate, drafted)
}

const SURPLUS: &str = "surplus --on DEVICE_GET_REGION_INFO";

#[test]
fn fail_fast_goes_on_past_what_is_pinned_of_what_is_generated() {
    let (bench, generate, drafted) = generated();
    let generate: Vec<&str> = generate.iter().map(String::as_str).chain(["--fail-fast"]).collect();
    let ended = bench.against(SURPLUS, &with(&[&generate[..], &["--expect", &drafted]].concat()));
    ended.has_code(0);
    assert_eq!(ended.report()["complete"], true);
    assert_eq!(ended.report()["generated"]["sequences"], 12);
    // What is not pinned stops it, and nothing is said of what was not looked at.
    let pins = bench.write("pins.toml", &pin("generated.hdr-19", "HDR-19", "violation"));
    for (more, code) in [(Vec::new(), 2), (vec!["--expect", &pins], 6)] {
        let ended = bench.against(SURPLUS, &with(&[&generate[..], &more].concat()));
        ended.has_code(code).says("stopped at the first failure");
        assert_eq!(ended.report()["complete"], false);
        assert!(ended.report()["generated"]["sequences"].as_u64().unwrap() < 12);
        assert!(!ended.stdout.contains("no longer seen"), "{}", ended.stdout);
    }
}

#[test]
fn a_part_of_what_is_generated_says_nothing_of_the_rest() {
    let (bench, generate, drafted) = generated();
    let generate: Vec<&str> = generate.iter().map(String::as_str).collect();
    for part in ["1/6", "2/6", "3/6"] {
        let ended = bench.against(SURPLUS, &with(&[&generate[..], &["--expect", &drafted, "--shard", part]].concat()));
        ended.has_code(0);
    }
    // None is as good as another part.
    bench.against("good", &with(&["--generate", "0", "--expect", &drafted])).has_code(0);
    let all = bench.write("all.toml", &std::fs::read_to_string(&drafted).unwrap().replace("generated.", "*"));
    bench.against(SURPLUS, &with(&[&generate[..], &["--expect", &all]].concat())).has_code(0);
}

#[test]
fn a_draft_that_cannot_be_written_is_70() {
    let bench = resets(1);
    let ended = bench.against("good", &with(&["--expect-write", "/nonexistent/pins.toml"]));
    ended.has_code(70).says("/nonexistent/pins.toml: No such file");
}
