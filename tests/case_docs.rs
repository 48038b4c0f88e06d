//! What docs/cases.md teaches is what the program reads: every example parses, checks by the bundled
//! register, and is in printed form.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test, helpers included")]

use std::fs;
use std::path::Path;

use pretty_assertions::assert_eq;
use vfio_user_conformance::case::{Context, Diagnostic, NEEDS, Source, TARGET_NAMES, check, parse, print};
use vfio_user_conformance::requirement::Register;
use vfio_user_wire::V0_9_2;

fn guide() -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/cases.md")).unwrap()
}

/// The text of each ```case block, after as many line breaks as come before it: positions are those of the file.
fn blocks(text: &str) -> Vec<Source> {
    let mut blocks = Vec::new();
    let mut block: Option<String> = None;
    for (number, line) in text.lines().enumerate() {
        match (&mut block, line) {
            (None, "```case") => block = Some("\n".repeat(number + 1)),
            (Some(_), "```") => {
                blocks.extend(block.take().map(|text| Source { name: "docs/cases.md".to_owned(), text }));
            }
            (Some(text), line) => *text += &format!("{line}\n"),
            (None, _) => {}
        }
    }
    blocks
}

fn rendered(diagnostics: &[Diagnostic], source: &Source) -> String {
    diagnostics.iter().map(|diagnostic| diagnostic.render(source, false) + "\n").collect()
}

#[test]
fn every_example_parses_checks_and_is_in_printed_form() {
    let register = Register::bundled().unwrap();
    let context = Context {
        dialect: &V0_9_2,
        requirement: &|id| register.get(id).map(|requirement| requirement.reviewed),
        similar_requirement: &|id| register.similar(id).first().map(|id| (*id).to_owned()),
        procedure: &|_| true,
        similar_procedure: &|_| None,
        samples: false,
    };
    let blocks = blocks(&guide());
    assert!(blocks.len() > 10);
    let mut names = std::collections::HashSet::new();
    for source in &blocks {
        let cases = parse(source).unwrap_or_else(|diagnostics| panic!("{}", rendered(&diagnostics, source)));
        assert_eq!(rendered(&check(&cases, &context), source), "");
        assert_eq!(print(&cases), source.text.trim_start_matches('\n'));
        for case in &cases {
            assert!(names.insert(case.name.value.clone()), "{} stands twice", *case.name);
        }
    }
}

#[test]
fn every_need_and_name_is_explained() {
    let text = guide();
    for need in NEEDS {
        let names: Vec<String> = need.names.iter().map(|name| format!("`{name}`")).collect();
        let row = format!("| `{}` | {} | {} |", need.word, need.meaning, names.join(", "));
        assert!(text.lines().any(|line| line == row), "docs/cases.md lacks the row\n{row}");
    }
    for name in TARGET_NAMES {
        assert!(text.contains(&format!("`{{{name}}}`")), "docs/cases.md does not mention {name}");
    }
}
