//! What is remembered of failures, and what is not.

use pretty_assertions::assert_eq;

use super::*;

fn record(name: &str, result: CaseResult) -> CaseRecord {
    CaseRecord {
        name: name.to_owned(),
        parameters: Vec::new(),
        file: format!("kept/{name}.case"),
        line: 1,
        result,
        reason: None,
        requirements: Vec::new(),
        attempts: Vec::new(),
        checks: Vec::new(),
        findings: Vec::new(),
        replay: String::new(),
        transcript: Vec::new(),
        stderr: String::new(),
    }
}

fn noted(name: &str) -> CaseRecord {
    let finding = serde_json::json!({
        "requirement": "HDR-19", "class": "note", "policy": [], "expected": "", "actual": "", "step": 1, "line": 1,
        "message": null, "field": null, "evidence": "received",
    });
    let finding = serde_json::from_value(finding).unwrap();
    CaseRecord { findings: vec![finding], ..record(name, CaseResult::Pass) }
}

fn memory(folder: &tempfile::TempDir) -> Memory {
    Memory { path: Some(folder.path().join("a/b/failed.json")) }
}

fn names(memory: &Memory) -> Vec<String> {
    memory.failed().unwrap().failed.into_keys().collect()
}

#[test]
fn of_a_report_what_never_ran_is_known_but_for_sequences() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("report.json");
    let mut report = report::sample::report(vec![record("a.fail", CaseResult::Fail)], report::sample::ended());
    report.not_run = ["b.case", "generated.x"].map(str::to_owned).to_vec();
    std::fs::write(&path, serde_json::to_vec(&report).unwrap()).unwrap();
    let failed = Failed::of_report(&path, false).unwrap();
    assert_eq!(failed.failed.into_keys().collect::<Vec<_>>(), ["a.fail", "b.case"]);
}

#[test]
fn what_did_not_pass_is_remembered_until_it_does() {
    let folder = tempfile::tempdir().unwrap();
    let memory = memory(&folder);
    assert!(names(&memory).is_empty());
    let first = [
        record("a.fail", CaseResult::Fail),
        record("b.pass", CaseResult::Pass),
        record("c.inconclusive", CaseResult::Inconclusive),
        record("d.error", CaseResult::Error),
        record("e.skip", CaseResult::Skip),
    ];
    memory.update(&first, &[], false);
    assert_eq!(names(&memory), ["a.fail", "c.inconclusive", "d.error"]);
    // A run of a part says nothing of the rest.
    memory.update(&[record("a.fail", CaseResult::Pass), record("b.pass", CaseResult::Fail)], &[], false);
    assert_eq!(names(&memory), ["b.pass", "c.inconclusive", "d.error"]);
    // One that does not apply any more is not run for ever.
    memory.update(&[record("c.inconclusive", CaseResult::Skip)], &["d.error".to_owned()], false);
    assert_eq!(names(&memory), ["b.pass"]);
}

#[test]
fn where_nothing_fails_no_file_is_left() {
    let folder = tempfile::tempdir().unwrap();
    let memory = memory(&folder);
    memory.update(&[record("a", CaseResult::Pass)], &[], false);
    assert!(!folder.path().join("a").exists());
    memory.update(&[record("a", CaseResult::Fail)], &[], false);
    assert!(memory.path.as_ref().unwrap().exists());
    memory.update(&[record("a", CaseResult::Pass)], &[], false);
    assert!(!memory.path.as_ref().unwrap().exists());
}

#[test]
fn a_note_is_remembered_where_it_fails_the_run() {
    let folder = tempfile::tempdir().unwrap();
    let memory = memory(&folder);
    memory.update(&[noted("a")], &[], false);
    assert!(names(&memory).is_empty());
    memory.update(&[noted("a")], &[], true);
    assert_eq!(names(&memory), ["a"]);
}

#[test]
fn of_a_sequence_that_was_drawn_the_file_is_remembered() {
    let folder = tempfile::tempdir().unwrap();
    let memory = memory(&folder);
    let file = folder.path().join("generated.hdr-02.case");
    let drawn = CaseRecord { file: file.display().to_string(), ..record("generated.hdr-02", CaseResult::Fail) };
    memory.update(&[drawn, record("a", CaseResult::Fail)], &[], false);
    let failed = memory.failed().unwrap();
    assert!(failed.files().is_empty(), "it is not there");
    assert_eq!(failed.gone(&["a".to_owned()], &[]), ["generated.hdr-02"]);
    std::fs::write(&file, "").unwrap();
    assert_eq!(failed.files(), [file]);
}

#[test]
fn a_memory_that_cannot_be_written_is_no_fault() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("file");
    std::fs::write(&file, "").unwrap();
    for path in [Some(file.join("failed.json")), Some("/proc/none/failed.json".into()), None] {
        let memory = Memory { path };
        memory.update(&[record("a", CaseResult::Fail)], &[], false);
        assert!(memory.failed().map_or(true, |failed| failed.failed.is_empty()));
    }
}

#[test]
fn a_memory_that_is_spoilt_is_an_error_and_is_written_anew() {
    let folder = tempfile::tempdir().unwrap();
    let memory = memory(&folder);
    let path = memory.path.clone().unwrap();
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    for text in
        ["", "{", "{\"schema\":\"1\"}", "{\"schema\":\"2\",\"failed\":{}}", "{\"schema\":\"1\",\"failed\":{},\"x\":1}"]
    {
        std::fs::write(&path, text).unwrap();
        let failure = memory.failed().unwrap_err();
        assert_eq!(failure.code.number(), 1, "{text}");
        assert!(failure.sentence.contains(path.to_str().unwrap()), "{}", failure.sentence);
        memory.update(&[record("a", CaseResult::Fail)], &[], false);
        assert_eq!(names(&memory), ["a"], "{text}");
    }
}
