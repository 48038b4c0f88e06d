//! A JSON report by anybody, and all that is made of one.

use std::sync::LazyLock;

use vfio_user_conformance::report::{Matrix, Report, Share, Source, merge, page, summary};
use vfio_user_conformance::requirement::Register;

static REGISTER: LazyLock<Register> = LazyLock::new(|| Register::bundled().unwrap());

/// What is read is written so that it is read alike; as pages, as a matrix and as a part of a run it comes to something.
pub fn report(data: &[u8]) {
    let report = match Report::parse("fuzz.json", data) {
        Ok(report) => report,
        Err(error) => return drop(error.to_string()),
    };
    let again = Report::parse("fuzz.json", &serde_json::to_vec(&report).unwrap()).unwrap();
    assert_eq!(serde_json::to_value(&again).unwrap(), serde_json::to_value(&report).unwrap());
    drop(page(&report, &REGISTER));
    drop(summary(&report, &REGISTER));
    let source = || Source { name: None, file: "fuzz.json".to_owned(), report: report.clone() };
    let matrix = Matrix::new(vec![source(), source()], &REGISTER);
    drop((matrix.terminal(true), matrix.markdown(true), matrix.html(), matrix.page()));
    drop(merge(vec![Share { file: "fuzz.json".to_owned(), report }], &REGISTER, &[]));
}
