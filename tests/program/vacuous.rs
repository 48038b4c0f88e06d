//! No green of nothing: whatever selects, plays, reaches or compares nothing has its own answer. What the reports say of
//! every run in these tests and others, `support` compares with the exit code.

use crate::support::{Bench, PASSES, RESETS, server};
use serde_json::{Value, json};
use vfio_user_conformance::Profile;
use vfio_user_conformance::requirement::Register;
use vfio_user_conformance::run::Library;
use vfio_user_conformance::target::{Discovered, Has};
use vfio_user_reference_server::Feature;

/// For servers that answer: none of these tests waits for it.
const PATIENT: [&str; 2] = ["--timeout", "5s"];

fn with<'a>(more: &[&'a str]) -> Vec<&'a str> {
    [&PATIENT[..], more].concat()
}

#[test]
fn one_filter_with_a_typo_beside_a_right_one_is_5() {
    let bench = Bench::new(&[("a.case", PASSES), ("b.case", RESETS)]);
    let ended = bench.against("good", &with(&["good.*", "reset.refusd"]));
    ended.has_code(5).says("no case is selected by reset.refusd; did you mean reset.refused?");
    assert_eq!(ended.report()["cases"], json!([]));
    let listed = bench.program(&["list", "--cases", &bench.word("cases"), "good.*", "reset.refusd"]);
    listed.has_code(5).says("did you mean reset.refused?");
    // A requirement that no case of this version checks.
    let ended = Bench::new(&[]).program(&["run", "--spawn", &server("good"), "DMAP-05", "L-DP-15"]);
    ended.has_code(5).says("no case is selected by L-DP-15").says("another version of the protocol has such cases");
}

#[test]
fn no_sequence_at_all_is_5() {
    let bench = Bench::new(&[("a.case", PASSES)]);
    let ended = bench.against("good", &with(&["generated", "--generate", "0"]));
    ended.has_code(5).says("no sequence was played");
    // With a case that was played it is another matter.
    bench.against("good", &with(&["--generate", "0"])).has_code(0);
}

#[test]
fn two_servers_of_which_none_answers_are_not_alike() {
    let bench = Bench::new(&[]);
    let mute = server("mute");
    let keep = bench.word("kept");
    let against = ["--against", &mute, "--generate", "2", "--seed", "1", "--keep", &keep, "--timeout", "200ms"];
    let junit = format!("junit={}", bench.word("junit.xml"));
    let ended = bench.program(&[&["run", "--spawn", &mute, "--report", &junit], &against[..]].concat());
    ended.has_code(5).says("no sequence was played of which a message was answered");
}

#[test]
fn a_report_of_an_earlier_run_is_never_read_as_this_ones() {
    let bench = Bench::new(&[("a.case", PASSES)]);
    let broken = bench.write("device.toml", "scratch = 3\n");
    let wrong: [&[&str]; 3] = [&["--device", &broken], &["--cases", "/nonexistent"], &["INFO-77"]];
    for arguments in wrong {
        bench.against("good", &PATIENT).has_code(0);
        assert!(bench.path("report.json").exists() && bench.path("every.xml").exists());
        let (json, junit) =
            (format!("json={}", bench.word("report.json")), format!("junit={}", bench.word("every.xml")));
        let good = server("good");
        let words = ["run", "--spawn", &good, "--report", &json, "--report", &junit];
        bench.program(&[&words[..], arguments].concat()).has_code(1);
        assert!(!bench.path("report.json").exists() && !bench.path("every.xml").exists(), "{arguments:?}");
    }
}

#[test]
fn a_case_whose_checks_are_all_left_out_has_not_passed() {
    let text = "case reset.if\n> reset: DEVICE_RESET\n< reset: ok or error\nif reset ok\n  > DEVICE_GET_INFO\n  < ok num_irqs=5                                       [DMAP-05]\nend\n";
    let bench = Bench::new(&[("a.case", text)]);
    let ended = bench.against("good", &PATIENT);
    ended.has_code(5).says("nothing that its lines check was seen");
    assert_eq!(ended.case("reset.if")["result"], "skip");
    let status = &ended.report()["requirements"]["DMAP-05"];
    assert_eq!(status["status"], "not-exercised");
    assert_eq!(status["reason"], "nothing that its lines check was seen");
}

#[test]
fn a_line_that_is_left_to_a_model_with_nothing_to_say_has_not_passed() {
    let text = "case reset.left\n> DEVICE_RESET\n< conforms                                              [RESET-01]\n";
    let bench = Bench::new(&[("a.case", text)]);
    let ended = bench.against("good", &PATIENT);
    ended.has_code(5).says("nothing that its lines check was seen");
    assert_eq!(ended.case("reset.left")["attempts"][0]["outcome"], "answered");
}

#[test]
fn a_line_that_was_never_reached_verifies_nothing() {
    let text = "case info.late\n> DEVICE_GET_INFO\n< ok num_irqs=6                                         [INFO-01]\n> DEVICE_RESET\n< error                                                 [RESET-01]\n";
    let bench = Bench::new(&[("a.case", text)]);
    let ended = bench.against("good", &PATIENT);
    ended.has_code(2);
    let requirements = &ended.report()["requirements"];
    assert_eq!(requirements["INFO-01"]["status"], "violated");
    assert_eq!(requirements["RESET-01"]["status"], "not-exercised");
    assert_eq!(requirements["RESET-01"]["reason"], "its cases ended before they reached it");
}

#[test]
fn a_server_that_refuses_or_leaves_all_but_version_is_not_green() {
    for mode in ["refuses-all", "leaves"] {
        let ended =
            Bench::new(&[]).program(&["run", "--spawn", &server(mode), "--timeout", "5s", "INFO-*", "dma-map.*"]);
        ended.has_code(2).says("INFO-01");
    }
    let ended = Bench::new(&[]).program(&["run", "--spawn", &server("mute"), "--timeout", "200ms", "INFO-01"]);
    ended.has_code(2);
}

/// Needs that no bundled server meets, and other servers do.
const MET_BY_OTHERS: [&str; 8] =
    ["exits", "irq-absent", "no-dma", "no-dma-table", "no-map-limit", "no-read", "no-reset", "device-region"];

#[test]
fn each_case_is_played_for_some_target() {
    let register = Register::bundled().unwrap();
    let library = Library::bundled(&register).unwrap();
    let words = Feature::ALL.map(|(word, _)| word);
    for profile in Profile::ALL {
        let without = [String::new(), words.join(","), "pre-copy".to_owned(), "dma-logging".to_owned()];
        let offers: Vec<Discovered> = without.iter().filter_map(|without| probed(profile, without)).collect();
        let never: Vec<String> = library
            .plan(profile, &register)
            .unwrap()
            .cases
            .into_iter()
            .filter(|case| {
                let met = |offer: &Discovered, need: &String| {
                    matches!(offer.has.get(need), Some(Has::Yes(_))) || MET_BY_OTHERS.contains(&need.as_str())
                };
                !offers.iter().any(|offer| case.needs.iter().all(|need| met(offer, need)))
            })
            .map(|case| format!("{} needs {}", case.name, case.needs.join(" ")))
            .collect();
        assert_eq!(never, Vec::<String>::new(), "cases of {profile} that no target lets run");
    }
}

/// What the bundled server offers without some of it; nothing where it does not start so.
fn probed(profile: Profile, without: &str) -> Option<Discovered> {
    let bench = Bench::new(&[]);
    let device = bench.write("device.toml", include_str!("../../fixtures/devices/conformance.toml"));
    let mut command = format!("{} reference-server --profile {profile}", env!("CARGO_BIN_EXE_vfio-user-conformance"));
    if !without.is_empty() {
        command.push_str(&format!(" --without {without}"));
    }
    if profile != Profile::V0_9_2 {
        command.push_str(" --with pfn-query");
    }
    let name = profile.to_string();
    let ended = bench.program(&["probe", "--json", "--profile", &name, "--device", &device, "--spawn", &command]);
    if ended.code != 0 {
        return None;
    }
    let found: Value = serde_json::from_str(&ended.stdout).unwrap();
    Some(serde_json::from_value(found).unwrap())
}

/// The list of all that could make a verdict a lie names tests and files that there are.
#[test]
fn the_list_of_lies_names_what_there_is() {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
    let text = std::fs::read_to_string(root.join("docs/testing.md")).unwrap();
    let list = text.split("## How it could lie").nth(1).unwrap();
    let list = list.split("\n## ").next().unwrap();
    let mut sources = String::new();
    let mut folders = vec![root.join("src"), root.join("tests")];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
            if entry.is_dir() {
                folders.push(entry);
            } else if entry.extension().is_some_and(|extension| extension == "rs") {
                sources.push_str(&std::fs::read_to_string(entry).unwrap());
            }
        }
    }
    let mut named = 0;
    for word in list.split('`').skip(1).step_by(2) {
        if word.starts_with("src/") || word.starts_with("tests/") {
            assert!(root.join(word).exists(), "no file {word}");
        } else if word.len() > 25 && word.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_') {
            assert!(sources.contains(&format!("fn {word}(")), "no test {word}");
            named += 1;
        }
    }
    assert!(named > 30, "{named}");
}
