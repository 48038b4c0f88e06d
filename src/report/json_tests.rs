use pretty_assertions::assert_eq;

use super::*;
use crate::report::collector::Collector;
use crate::report::{Report, sample};
use crate::run::End;
use crate::verdict::Status;

fn written(events: impl FnOnce(&mut Json<'_>), pinned: bool) -> (String, Report) {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("report.json");
    let (register, pins) = (sample::register(), sample::expectations());
    let expectations = pinned.then_some(&pins);
    events(&mut Json::new(&path, Context { expectations, ..sample::context(&register) }));
    let text = std::fs::read_to_string(path).unwrap();
    let report = serde_json::from_str(&text).unwrap();
    (text, report)
}

#[test]
fn the_document_has_the_keys_that_readers_depend_on() {
    let (text, _) = written(|json| sample::play(json, sample::cases(), sample::ended()), true);
    let value: serde_json::Value = serde_json::from_str(&text).unwrap();
    let keys = |value: &serde_json::Value| value.as_object().unwrap().keys().cloned().collect::<Vec<_>>().join(" ");
    assert_eq!(
        keys(&value),
        "schema command platform harness target profile seed strict timeout one_at_a_time shard complete exit_code said totals generated causes requirements \
         expectations faults not_run cases"
    );
    assert_eq!(keys(&value["harness"]), "name version cases_sha256 register_sha256");
    assert_eq!(keys(&value["target"]), "how discovered");
    assert_eq!(keys(&value["profile"]), "asked used why");
    assert_eq!(keys(&value["totals"]), "selected pass fail skip inconclusive error not_run notes");
    assert_eq!(keys(&value["expectations"]), "met drift");
    assert_eq!(keys(&value["requirements"]["HDR-19"]), "level text clauses policies status reason cases");
    for key in [
        "name",
        "parameters",
        "file",
        "line",
        "result",
        "reason",
        "attempts",
        "checks",
        "findings",
        "replay",
        "transcript",
        "stderr",
    ] {
        assert!(value["cases"][0].get(key).is_some(), "{key}");
    }
    assert_eq!(value["schema"], "1");
    assert_eq!(value["requirements"]["HDR-19"]["status"], "violated");
    assert_eq!(value["requirements"]["HDR-20"]["level"], "MUST");
    assert_eq!(value["expectations"]["drift"][0]["kind"], "unexpected");
}

#[test]
fn a_document_reads_back_as_it_was_written() {
    let (text, report) = written(|json| sample::play(json, sample::cases(), sample::ended()), true);
    assert_eq!(serde_json::to_string_pretty(&report).unwrap() + "\n", text);
    assert_eq!(report.cases.len(), 10);
    assert!(report.complete);
    assert_eq!(report.with_status(Status::Violated), 2);
}

#[test]
fn cases_stand_in_the_order_of_their_files_whatever_the_order_they_ended_in() {
    let mut reversed = sample::cases();
    reversed.reverse();
    let (_, one) = written(|json| sample::play(json, sample::cases(), sample::ended()), false);
    let (_, other) = written(|json| sample::play(json, reversed, sample::ended()), false);
    assert_eq!(one.cases, other.cases);
}

#[test]
fn an_interrupted_run_is_written_as_incomplete_and_misses_no_case() {
    let interrupted = Event::Ended(End { interrupted: true, ..End::default() });
    let (_, report) =
        written(|json| sample::play(json, vec![sample::crash("header.surplus/DMA_MAP")], interrupted), true);
    assert!(!report.complete);
    assert_eq!(report.cases.len(), 1);
    assert_eq!(report.expectations.unwrap().drift, []);
}

#[test]
fn a_target_that_could_not_be_started_is_a_fault_in_a_report_without_cases() {
    let sentence = "gpio: No such file or directory";
    let lost = Event::Ended(End { lost: Some(sentence.to_owned()), ..End::default() });
    let (_, report) = written(|json| json.event(&lost).unwrap(), false);
    assert_eq!(report.faults, [sentence]);
    assert_eq!(report.target.how, "gpio --socket-path {socket}");
    assert_eq!((report.profile.asked.as_str(), report.profile.used.as_str()), ("auto", ""));
    assert!(!report.complete);
    assert_eq!(report.with_status(Status::NotExercised), 3);
}

#[test]
fn what_was_not_exercised_of_a_target_that_could_not_be_started_is_of_the_version_that_was_asked_for() {
    let register = crate::requirement::Register::bundled().unwrap();
    let lost = Event::Ended(End { lost: Some("gone".to_owned()), ..End::default() });
    let of = |profile| {
        let context = Context { profile, ..sample::context(&register) };
        Collector::of_everything(context).event(&lost).unwrap().requirements
    };
    assert!(of("v8").contains_key("V8-01"), "of the version asked for");
    assert!(of("auto").contains_key("MIGFSM-01"), "of the newest");
    assert!(!of("auto").contains_key("V8-01"), "of none before");
}
