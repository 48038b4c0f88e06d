//! Each finding says why it is one, in each report, and `explain` tells the reasoning.

use crate::support::{Bench, server};
use vfio_user_conformance::requirement::{Failure, Register, Requirement, explain};

/// Text as it reads without its line breaks and columns.
fn flat(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

fn with_a_check(register: &Register) -> impl Iterator<Item = &Requirement> {
    register.requirements().filter(|requirement| requirement.untestable.is_none())
}

#[test]
fn every_requirement_that_is_checked_is_explained() {
    let register = Register::bundled().unwrap();
    assert!(with_a_check(&register).count() > 500);
    for requirement in with_a_check(&register) {
        let text = flat(&explain(requirement, &register));
        let has = |words: &str| assert!(text.contains(&flat(words)), "{}: not in it: {words}\n{text}", requirement.id);
        assert!(!requirement.cites.is_empty(), "{} stands nowhere", requirement.id);
        for cite in &requirement.cites {
            assert!(
                !cite.lines.is_empty() || cite.text.is_some(),
                "{}: {} without lines",
                requirement.id,
                cite.section
            );
            has(&cite.place());
            has(cite.document());
        }
        has(&format!("{} {}", requirement.id, requirement.level));
        has(&register.section(&requirement.section).unwrap().title);
        has(&requirement.text);
        has(&requirement.stimulus);
        has(&format!("conforms {}", requirement.conforms));
        match (&requirement.violation, requirement.failure) {
            (Some(violation), _) => has(&format!("violation {violation}")),
            (None, Failure::Violation) => panic!("{}: nothing violates it, and a miss is a violation", requirement.id),
            (None, Failure::Note) => has("violation Nothing: what is none of that is a note."),
            (None, Failure::Info) => has("violation Nothing: what the server does is only reported."),
        }
        requirement.note.iter().for_each(|note| has(&format!("note {note}")));
        for id in &requirement.policy {
            let policy = register.policy(id).unwrap_or_else(|| panic!("{}: no policy {id}", requirement.id));
            has(&format!("policy {id}, {}", policy.topic));
            has(&format!("The text: {}", policy.text));
            has(&format!("The ruling: {}", policy.ruling));
        }
    }
}

/// What no server of the tests needs a session for: a wrong ID, a close, a crash, a reply where none is due.
const CASES: &str = "case reset.refused
> DEVICE_RESET
< error                                                 [RESET-01]

case read.posted
> quiet: DEVICE_RESET no_reply
> info: DEVICE_GET_INFO
< info: ok num_irqs=5                                   [INFO-01]
< quiet: silent                                         [CONC-04]
";

#[test]
fn a_finding_says_why_it_is_one_in_each_report() {
    let register = Register::bundled().unwrap();
    let bench = Bench::new(&[("a.case", CASES)]);
    for mode in ["wrong-id", "closes", "panics", "garbage", "surplus", "good"] {
        let ended = bench.against(mode, &["--timeout", "5s"]);
        ended.has_code(2);
        let (terminal, junit) = (flat(&ended.stdout), std::fs::read_to_string(bench.path("every.xml")).unwrap());
        let junit = flat(
            &junit
                .replace("&quot;", "\"")
                .replace("&apos;", "'")
                .replace("&lt;", "<")
                .replace("&gt;", ">")
                .replace("&amp;", "&"),
        );
        let mut findings = 0;
        for case in ended.report()["cases"].as_array().unwrap() {
            for finding in case["findings"].as_array().unwrap() {
                findings += 1;
                let id = finding["requirement"].as_str().unwrap();
                let requirement = register.get(id).unwrap();
                let told = &ended.report()["requirements"][id];
                assert_eq!(told["level"], requirement.level.to_string());
                assert_eq!(told["text"], requirement.text.as_str());
                assert_eq!(told["clauses"].as_array().unwrap().len(), requirement.cites.len());
                assert_eq!(told["policies"].as_array().unwrap().len(), requirement.policy.len());
                if finding["class"] == "note" {
                    assert!(terminal.contains(&flat(&requirement.clause())), "{mode} {id}\n{terminal}");
                    continue;
                }
                let mut why: Vec<String> = requirement.cites.iter().map(|cite| cite.place()).collect();
                why.push(format!("{id} {}", requirement.level));
                why.push(requirement.text.clone());
                why.extend(requirement.violation.as_ref().map(|text| format!("violation: {text}")));
                why.extend(register.policies_of(requirement).iter().map(|policy| format!("policy: {policy}")));
                for words in why {
                    assert!(terminal.contains(&flat(&words)), "{mode}: not in the terminal: {words}\n{terminal}");
                    assert!(junit.contains(&flat(&words)), "{mode}: not in the JUnit report: {words}\n{junit}");
                }
            }
        }
        assert!(findings > 0, "{mode}");
    }
}

#[test]
fn a_case_is_explained_by_its_lines_and_requirements() {
    let bench = Bench::new(&[]);
    let ended = bench.program(&["explain", "dma-map.overlap-noticed"]);
    ended.has_code(0).says("case dma-map.overlap-noticed").says("> DMA_MAP address=").says("`explain ID` tells how");
    bench.program(&["explain", "header.split/15"]).has_code(0).says("HDR-27 ");
    bench.program(&["explain", "dma-map.overlap-notised"]).has_code(1).says("did you mean dma-map.overlap-noticed?");
    bench.program(&["explain", "a-36"]).has_code(0).says("The ruling:");
    bench.program(&["run", "--spawn", &server("good"), "--strict=perhaps"]).has_code(1);
}
