//! What an author reads who wrote a case wrongly: tests/diagnostics/NAME.case gives the text in NAME.txt. In the cases of
//! tests/diagnostics/right nothing is wrong, and they stand in the one form that files are kept in.
//!
//! A new .case file is a test; `UPDATE_DIAGNOSTICS=1 cargo test --test case_diagnostics` writes what is printed for it.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test, helpers included")]

use std::path::{Path, PathBuf};
use std::{env, fs};

use pretty_assertions::assert_eq;
use vfio_user_conformance::case::{Context, Source, check, duplicates, parse, print, similar};
use vfio_user_wire::V0_9_2;

const REVIEWED: [&str; 3] = ["DMAP-05", "HDR-27", "INFO-01"];
const UNREVIEWED: &str = "DMARW-01";
const PROCEDURE: &str = "map-until-refused";

fn context() -> Context<'static> {
    Context {
        dialect: &V0_9_2,
        requirement: &|id| (id == UNREVIEWED || REVIEWED.contains(&id)).then_some(id != UNREVIEWED),
        similar_requirement: &|id| similar(id, REVIEWED).map(str::to_owned),
        procedure: &|name| name == PROCEDURE,
        similar_procedure: &|name| similar(name, [PROCEDURE]).map(str::to_owned),
        samples: false,
    }
}

fn source(path: &Path) -> Source {
    let name = path.file_name().unwrap().to_string_lossy().into_owned();
    Source { name, text: fs::read_to_string(path).unwrap() }
}

fn rendered(source: &Source) -> String {
    let diagnostics = match parse(source) {
        Ok(cases) => check(&cases, &context()),
        Err(diagnostics) => diagnostics,
    };
    diagnostics.iter().map(|diagnostic| diagnostic.render(source, false) + "\n\n").collect()
}

fn cases(folder: &str) -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests").join(folder);
    let mut cases: Vec<PathBuf> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    cases.retain(|path| path.extension().is_some_and(|extension| extension == "case"));
    cases.sort();
    assert!(!cases.is_empty());
    cases
}

#[test]
fn every_bad_case_is_explained() {
    for path in cases("diagnostics") {
        let actual = rendered(&source(&path));
        let expected = path.with_extension("txt");
        if env::var_os("UPDATE_DIAGNOSTICS").is_some() {
            fs::write(&expected, &actual).unwrap();
        }
        assert!(!actual.is_empty(), "nothing is wrong with {}", path.display());
        assert_eq!(actual, fs::read_to_string(&expected).unwrap_or_default(), "{}", path.display());
    }
}

#[test]
fn what_is_right_is_left_as_it_is() {
    for path in cases("diagnostics/right") {
        let source = source(&path);
        assert_eq!(rendered(&source), "", "{}", path.display());
        assert_eq!(print(&parse(&source).unwrap()), source.text, "{}", path.display());
    }
}

#[test]
fn a_name_in_two_files_is_found_in_the_second() {
    let file = |name: &str| Source { name: name.to_owned(), text: "# first\ncase a.b\nbaseline\n".to_owned() };
    let (one, two) = (file("one.case"), file("two.case"));
    let (first, second) = (parse(&one).unwrap(), parse(&two).unwrap());
    let found = duplicates(&[(&one, &first), (&two, &second)]);
    assert_eq!(found.len(), 1);
    assert_eq!(found[0].0, 1);
    assert_eq!(found[0].1.line_column(&two), (2, 6));
    assert!(found[0].1.label.contains("one.case:2"), "{}", found[0].1.label);
}
