//! Files that are no reports, and what is said of each.

use pretty_assertions::assert_eq;
use serde_json::{Value, json};

use super::*;
use crate::report::sample;

/// The sample's report, as JSON.
fn sample() -> Value {
    serde_json::to_value(sample::report(sample::cases(), sample::ended())).unwrap()
}

/// What is said of a file with these bytes, after its name.
fn said(bytes: &[u8], most: u64) -> String {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("report.json");
    std::fs::write(&path, bytes).unwrap();
    let error = super::read(&path, most).unwrap_err().to_string();
    error.replace(&path.display().to_string(), "FILE")
}

fn of_text(text: &str) -> String {
    said(text.as_bytes(), MOST)
}

/// What is said of the sample where one thing is another.
fn of_sample(pointer: &str, value: Value) -> String {
    let mut report = sample();
    *report.pointer_mut(pointer).unwrap_or_else(|| panic!("nothing at {pointer}")) = value;
    of_text(&report.to_string())
}

#[test]
fn a_report_is_read_as_it_was_written() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("report.json");
    let report = sample::report(sample::cases(), sample::ended());
    std::fs::write(&path, serde_json::to_vec(&report).unwrap()).unwrap();
    let read = Report::read(&path).unwrap();
    assert_eq!(serde_json::to_value(&read).unwrap(), serde_json::to_value(&report).unwrap());
}

#[test]
fn a_file_that_cannot_be_read_is_named_with_the_reason() {
    let error = Report::read(Path::new("/nonexistent/a.json")).unwrap_err().to_string();
    assert_eq!(error, "could not read /nonexistent/a.json: No such file or directory (os error 2)");
    let error = Report::read(Path::new("/")).unwrap_err().to_string();
    assert!(error.starts_with("could not read /: Is a directory"), "{error}");
}

#[test]
fn a_file_without_an_end_is_not_read_for_ever() {
    let error = super::read(Path::new("/dev/zero"), 1000).unwrap_err().to_string();
    assert_eq!(error, "/dev/zero has more than 1000 bytes, and no report has: is it the right file?");
    assert!(said(b"{}   ", 5).starts_with("FILE is no report"), "five bytes are not too many of five");
}

#[test]
fn a_file_that_is_empty_or_cut_short_says_so() {
    let empty = "FILE is empty: the run that was to write it did not come to its end";
    assert_eq!([of_text(""), of_text(" \n")], [empty, empty]);
    let whole = serde_json::to_string_pretty(&sample()).unwrap();
    let lines: Vec<&str> = whole.lines().collect();
    let end = "in the middle of the report; copy it again, or run again what wrote it";
    for kept in [1, 10, lines.len() - 1] {
        let said = of_text(&lines[..kept].join("\n"));
        assert_eq!(said, format!("FILE is cut short: it ends at line {kept}, {end}"));
    }
}

#[test]
fn what_is_no_report_says_what_shows_it() {
    let no_report = |why: &str| format!("FILE is no report of `run --report json=FILE`: {why}");
    assert_eq!(of_text("<testsuites/>"), no_report("it is no JSON object"));
    assert_eq!(of_text("[1, 2]"), no_report("it is no JSON object"));
    assert!(of_text("{]").starts_with(&no_report("key must be a string at line 1 column 2")));
    assert_eq!(of_text("{\"cases\": []}"), no_report("it names no `schema`"));
    assert_eq!(of_text("{\"schema\": null}"), no_report("it names no `schema`"));
    assert!(of_text("{\"schema\": \"1\"}").starts_with(&no_report("missing field `command`")));
    assert!(of_text(&format!("{} 1", sample())).starts_with(&no_report("trailing characters")));
    assert!(said(b"{\"schema\": \"\xff\"}", MOST).starts_with(&no_report("invalid unicode")));
    let result = of_sample("/cases/0/result", json!("fine\u{1b}[2J"));
    assert!(result.starts_with(&no_report("unknown variant `fine\\u{1b}[2J`")), "{result}");
    let mut deep = sample();
    deep["target"]["discovered"]["capabilities"] = json!("DEEP");
    let deep = deep.to_string().replace("\"DEEP\"", &format!("{}{}", "[".repeat(100_000), "]".repeat(100_000)));
    assert!(of_text(&deep).starts_with(&no_report("recursion limit exceeded")), "{}", of_text(&deep));
}

#[test]
fn another_schema_is_named() {
    let end = "and this program reads schema \"1\": use the version that wrote it";
    assert_eq!(of_sample("/schema", json!("2")), format!("FILE is a report of schema \"2\", {end}"));
    assert_eq!(of_sample("/schema", json!(1)), format!("FILE is a report of schema 1, {end}"));
    // Whatever else stands in it.
    assert_eq!(of_text("{\"schema\": \"0\"}"), format!("FILE is a report of schema \"0\", {end}"));
}

#[test]
fn names_that_would_steer_the_terminal_are_no_names() {
    let places = [
        "/cases/1/name",
        "/cases/1/file",
        "/cases/1/requirements/0",
        "/cases/1/findings/0/requirement",
        "/cases/1/findings/0/policy/0",
        "/cases/1/findings/0/field/name",
        "/cases/1/checks/0/requirement",
        "/cases/1/transcript/0/client",
        "/cases/1/transcript/0/channel",
        "/cases/1/transcript/0/bytes",
        "/cases/1/transcript/0/fields/0/name",
        "/platform",
        "/harness/version",
        "/profile/asked",
    ];
    for place in places {
        let said = of_sample(place, json!("x\u{1b}[2J"));
        assert!(said.ends_with("it has the name \"x\\u{1b}[2J\", with characters that no name has"), "{place}: {said}");
    }
    let mut report = sample();
    report["not_run"] = json!(["a\nb"]);
    assert!(of_text(&report.to_string()).contains("it has the name \"a\\nb\""));
    report["not_run"] = json!([]);
    report["requirements"]["HDR-19\r"] = report["requirements"]["HDR-19"].clone();
    assert!(of_text(&report.to_string()).contains("it has the name \"HDR-19\\r\""));
}

#[test]
fn numbers_and_versions_that_no_run_writes_are_told() {
    for seconds in [json!(-1.0), json!(1e300)] {
        let said = of_sample("/cases/0/attempts/0/seconds", seconds);
        assert!(said.contains(" took ") && said.ends_with(" seconds"), "{said}");
    }
    let said = of_sample("/profile/used", json!("0.9.3"));
    assert!(said.contains("no profile `0.9.3`"), "{said}");
    let many = u64::MAX;
    let drawn = json!({ "sequences": 1, "steps": many, "answered": 1, "failed": 0, "seed": many });
    for (place, number) in [("/totals/pass", json!(many)), ("/totals/notes", json!(many)), ("/generated", drawn)] {
        let said = of_sample(place, number);
        assert!(said.ends_with("it counts more than any run has"), "{place}: {said}");
    }
    assert!(of_sample("/totals/pass", json!(-1)).contains("invalid value: integer `-1`"));
}
