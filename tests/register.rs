//! The register and the cases belong together: what can be checked with the commands so far is checked.

use std::collections::BTreeMap;

use vfio_user_conformance::case;
use vfio_user_conformance::requirement::Register;
use vfio_user_conformance::run::{Library, Plan};

/// The sections whose every row has a case, or the reason why none can be.
const COVERED: [&str; 22] = [
    "HDR", "MSZ", "VER", "CONC", "SOCK", "DMAP", "DUNMAP", "INFO", "REGINFO", "IRQINFO", "SETIRQS", "RREAD", "RWRITE",
    "DMARW", "RESET", "DISC", "SEC", "BACKEND", "WMULTI", "MIGDATA", "IOFDS", "TWIN",
];

/// Rows of these sections that only a command can reach which is not there yet.
const WAITING: [(&str, &str); 1] = [("DISC-13", "the profile v8")];

#[test]
fn the_register_holds_567_requirements_and_54_policies() {
    let register = Register::bundled().unwrap();
    assert_eq!(register.requirements().count(), 567);
    assert_eq!(register.policies().count(), 54);
}

#[test]
fn every_requirement_of_the_covered_sections_has_a_case_or_a_reason() {
    let register = Register::bundled().unwrap();
    let library = Library::bundled(&register).unwrap();
    let plan = Plan::new(&library.cases, &library.samples).unwrap();
    let mut cases: BTreeMap<String, usize> = BTreeMap::new();
    for id in plan.cases.iter().flat_map(|case| case.requirements()) {
        *cases.entry(id).or_default() += 1;
    }
    let mut missing = Vec::new();
    for requirement in register.requirements().filter(|requirement| COVERED.contains(&requirement.section.as_str())) {
        let id = requirement.id.as_str();
        let waits = WAITING.iter().any(|(waiting, _)| *waiting == id);
        let checked = cases.contains_key(id);
        if !requirement.reviewed || (!checked && !waits && requirement.untestable.is_none()) {
            missing.push(id.to_owned());
        }
        assert!(!(checked && waits), "{id} has a case and need not wait");
        assert!(!(checked && requirement.untestable.is_some()), "{id} has a case and is said to be untestable");
    }
    assert!(missing.is_empty(), "no case and no reason: {}", missing.join(", "));
}

#[test]
fn the_case_files_are_in_printed_form() {
    let register = Register::bundled().unwrap();
    let library = Library::bundled(&register).unwrap();
    for (source, cases) in library.cases.iter().chain(&library.samples) {
        assert_eq!(case::print(cases), source.text, "{}: `check --fix` brings it into printed form", source.name);
    }
}
