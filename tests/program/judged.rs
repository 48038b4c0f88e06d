//! What a run reports as verified was judged: a line that leaves the answer to the model verifies what the model had to say
//! of just that answer, and no more.

use std::collections::BTreeSet;

use crate::support::Bench;
use pretty_assertions::assert_eq;
use serde_json::Value;
use vfio_user_conformance::Profile;
use vfio_user_conformance::requirement::Register;
use vfio_user_conformance::run::Library;

/// Lines about what the bundled servers lack: `max_msg_size` in VERSION of 0.9.1, or servers without migration.
const NOT_HERE: [&str; 3] = ["L-DP-02", "L-UNM-14", "L-VER-04"];

#[test]
fn what_the_model_did_not_judge_is_not_verified() {
    let case = "case info.two\n> DEVICE_GET_INFO\n< conforms                                              [INFO-01 RESET-01]\n";
    let bench = Bench::new(&[("a.case", case)]);
    let ended = bench.against("good", &["--timeout", "5s"]);
    ended.has_code(0);
    let requirements = &ended.report()["requirements"];
    assert_eq!(requirements["INFO-01"]["status"], "verified");
    assert_eq!(requirements["RESET-01"]["status"], "not-exercised");
    assert_eq!(requirements["RESET-01"]["reason"], "its cases were played, and no answer was one that it is about");
}

/// Each line of a case file that leaves an answer to the model: file, line and requirement.
fn left_to_the_model(library: &Library) -> BTreeSet<(String, u64, String)> {
    let mut left = BTreeSet::new();
    for (source, _) in &library.cases {
        for (number, line) in (1..).zip(source.text.lines()) {
            let Some((expected, ids)) = line.split_once('[') else { continue };
            // A descriptor is looked at, not an exchange.
            let words: Vec<&str> = expected.split_whitespace().collect();
            if words.first() == Some(&"<") && words.last() == Some(&"conforms") && words.get(1) != Some(&"fd") {
                let ids = ids.trim_end_matches(']').split_whitespace();
                left.extend(ids.map(|id| (source.name.clone(), number, id.to_owned())));
            }
        }
    }
    left
}

#[test]
fn each_line_left_to_the_model_is_about_what_it_names() {
    let register = Register::bundled().unwrap();
    let library = Library::bundled(&register).unwrap();
    let mut vacuous = left_to_the_model(&library);
    assert!(vacuous.len() > 30);
    let ids: BTreeSet<String> = vacuous.iter().map(|(_, _, id)| id.clone()).collect();
    for profile in [Profile::V0_9_2, Profile::V0_9_1, Profile::V8C, Profile::V8] {
        let known = |id: &&String| register.get(id).is_some_and(|requirement| requirement.is_of(profile));
        let bench = Bench::new(&[]);
        let report = bench.word("report.json");
        let mut words =
            vec!["run".to_owned(), "--profile".to_owned(), profile.name().to_owned(), "--report".to_owned()];
        words.push(format!("json={report}"));
        words.extend(ids.iter().filter(known).cloned());
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        bench.program(&words).has_code(0);
        let report: Value = serde_json::from_str(&std::fs::read_to_string(report).unwrap()).unwrap();
        for case in report["cases"].as_array().unwrap() {
            for check in case["checks"].as_array().unwrap() {
                let file = case["file"].as_str().unwrap().to_owned();
                let id = check["requirement"].as_str().unwrap().to_owned();
                vacuous.remove(&(file, check["line"].as_u64().unwrap(), id));
            }
        }
    }
    vacuous.retain(|(_, _, id)| !NOT_HERE.contains(&id.as_str()));
    assert_eq!(vacuous, BTreeSet::new(), "lines that say nothing of what they name");
}
