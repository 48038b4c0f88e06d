use super::*;
use crate::report::sample;
use crate::run::End;

fn written(events: impl FnOnce(&mut Junit<'_>)) -> quick_junit::Report {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("junit.xml");
    let register = sample::register();
    events(&mut Junit::new(&path, sample::context(&register)));
    quick_junit::Report::deserialize_from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}

fn test<'a>(document: &'a quick_junit::Report, suite: &str, name: &str) -> &'a TestCase {
    let suite = document.test_suites.iter().find(|known| known.name.as_str() == suite).unwrap();
    suite.test_cases.iter().find(|known| known.name.as_str() == name).unwrap()
}

#[test]
fn there_is_a_suite_per_section_and_every_result_has_its_element() {
    let document = written(|junit| sample::play(junit, sample::cases(), sample::ended()));
    let suites: Vec<&str> = document.test_suites.iter().map(|suite| suite.name.as_str()).collect();
    assert_eq!(suites, ["dma-map", "header", "irq", "migration", "region", "version"]);
    assert_eq!((document.tests, document.failures, document.errors), (10, 4, 2));
    assert!(matches!(test(&document, "version", "version.plain").status, TestCaseStatus::Success { .. }));
    let TestCaseStatus::Skipped { message, .. } = &test(&document, "region", "region.scratch").status else { panic!() };
    assert_eq!(message.as_ref().unwrap().as_str(), "the target has no scratch range");
    for (suite, name, expected) in [("irq", "irq.late", "inconclusive"), ("migration", "migration.drain", "error")] {
        let TestCaseStatus::NonSuccess { kind, ty, .. } = &test(&document, suite, name).status else { panic!() };
        assert_eq!((*kind, ty.as_ref().unwrap().as_str()), (NonSuccessKind::Error, expected));
    }
}

#[test]
fn a_violation_is_a_failure_with_requirement_and_exchange() {
    let document = written(|junit| sample::play(junit, sample::cases(), sample::ended()));
    let case = test(&document, "dma-map", "dma-map.overlap");
    let TestCaseStatus::NonSuccess { kind, message, ty, description, .. } = &case.status else { panic!() };
    assert_eq!((*kind, ty.as_ref().unwrap().as_str()), (NonSuccessKind::Failure, "violation"));
    assert_eq!(message.as_ref().unwrap().as_str(), "HDR-20: expected error EEXIST, got error EINVAL");
    let description = description.as_ref().unwrap().as_str();
    assert!(description.starts_with("HDR-20 MUST (DMA_MAP 653): A DMA_MAP over an existing region"), "{description}");
    assert!(description.contains("< DMA_MAP error id=2 size=16 errno=22 (EINVAL)"), "{description}");
    assert!(description.contains("again     vfio-user-conformance run --spawn"), "{description}");
    // The note of the same case fails nothing.
    assert!(case.system_out.as_ref().unwrap().as_str().starts_with("HDR-21 SHOULD"));
    let crashed = test(&document, "header", "header.surplus/DMA_MAP");
    assert!(crashed.system_err.as_ref().unwrap().as_str().contains("range end index 36 out of range"));
    assert_eq!(crashed.extra.get("file").unwrap().as_str(), "cases/header/surplus.case");
}

#[test]
fn a_target_that_could_not_be_started_is_an_error() {
    let lost = End { lost: Some("gpio: not found".to_owned()), ..End::default() };
    let document = written(|junit| junit.event(&Event::Ended(lost)).unwrap());
    let TestCaseStatus::NonSuccess { message, .. } = &test(&document, "run", "come to its end").status else {
        panic!()
    };
    assert_eq!(message.as_ref().unwrap().as_str(), "gpio: not found");
}
