//! Records and findings for tests.

use super::{CaseRecord, CaseResult, Class, Evidence, Finding};

/// A case that says nothing but its name, its result and its findings.
pub(super) fn case(name: &str, result: CaseResult, findings: Vec<Finding>) -> CaseRecord {
    CaseRecord {
        name: name.to_owned(),
        parameters: Vec::new(),
        file: "cases/header/surplus.case".to_owned(),
        line: 1,
        result,
        reason: None,
        requirements: vec!["HDR-19".to_owned()],
        attempts: Vec::new(),
        checks: Vec::new(),
        findings,
        replay: String::new(),
        transcript: Vec::new(),
        stderr: String::new(),
    }
}

/// A finding of an answer to nothing.
pub(super) fn found(requirement: &str, class: Class, evidence: Evidence) -> Finding {
    Finding {
        requirement: requirement.to_owned(),
        class,
        policy: Vec::new(),
        expected: "an error".to_owned(),
        actual: "something else".to_owned(),
        step: 1,
        line: 2,
        message: None,
        field: None,
        evidence,
        instead: None,
        by_state: false,
        seen: None,
    }
}
