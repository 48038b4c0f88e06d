//! The register and the cases belong together: what can be checked is checked.

use pretty_assertions::assert_eq;
use vfio_user_conformance::Profile;
use vfio_user_conformance::case;
use vfio_user_conformance::requirement::Register;
use vfio_user_conformance::run::{Coverage, Library};

/// What `list --requirements` prints, kept so that a review shows what a change covers, or no longer does.
const SNAPSHOT: &str = "docs/coverage.txt";

#[test]
fn the_register_holds_567_requirements_and_54_policies() {
    let register = Register::bundled().unwrap();
    assert_eq!(register.requirements().count(), 567);
    assert_eq!(register.policies().count(), 54);
}

#[test]
fn every_requirement_of_a_version_has_a_case_or_a_reason() {
    let register = Register::bundled().unwrap();
    let library = Library::bundled(&register).unwrap();
    for (profile, count) in [(Profile::V0_9_2, 440), (Profile::V0_9_1, 401), (Profile::V8C, 326), (Profile::V8, 216)] {
        let plan = library.plan(profile, &register).unwrap();
        let coverage = Coverage::new(&register, &plan);
        assert_eq!(register.requirements().filter(|requirement| requirement.is_of(profile)).count(), count);
        let missing = coverage.missing().filter(|requirement| requirement.is_of(profile));
        let missing: Vec<&str> = missing.map(|requirement| requirement.id.as_str()).collect();
        assert_eq!(missing, [""; 0], "no case of {profile}, and no reason");
        for requirement in register.requirements().filter(|requirement| requirement.is_of(profile)) {
            let checked = coverage.cases(&requirement.id).next().is_some();
            let id = &requirement.id;
            assert!(requirement.reviewed, "{id} was never compared with the specification");
            assert!(!(checked && requirement.untestable.is_some()), "{id} has a case and is said to be untestable");
        }
    }
    let with_a_reason_only = register.requirements().filter(|requirement| requirement.untestable.is_some()).count();
    assert!(with_a_reason_only <= 20, "{with_a_reason_only} requirements have no case but a reason");
}

#[test]
fn the_coverage_is_what_was_reviewed() {
    let register = Register::bundled().unwrap();
    let library = Library::bundled(&register).unwrap();
    let plan = library.plan_of_all(&register).unwrap();
    let coverage = Coverage::new(&register, &plan).to_string();
    if std::env::var_os("UPDATE_DOCS").is_some() {
        std::fs::write(SNAPSHOT, &coverage).unwrap();
    }
    let known = std::fs::read_to_string(SNAPSHOT).unwrap();
    assert_eq!(known, coverage, "{SNAPSHOT} differs; UPDATE_DOCS=1 writes it anew");
}

#[test]
fn the_case_files_are_in_printed_form() {
    let register = Register::bundled().unwrap();
    let library = Library::bundled(&register).unwrap();
    for (source, cases) in library.cases.iter().chain(&library.samples) {
        assert_eq!(case::print(cases), source.text, "{}: `check --fix` brings it into printed form", source.name);
    }
}
