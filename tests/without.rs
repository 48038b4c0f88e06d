//! The reference server without some of what it has: whatever a server leaves out, no case fails for it, and each that
//! does not apply says why.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test, helpers included")]

#[allow(unused_imports, reason = "its own helpers use them")]
mod support;

use std::process::ExitCode;

use libtest_mimic::{Arguments, Trial};
use support::Bench;
use vfio_user_conformance::target::DeviceFile;
use vfio_user_reference_server::Feature;

const DEVICE: &str = include_str!("../fixtures/devices/conformance.toml");
const DEVICE_WITHOUT_DMA: &str = include_str!("../fixtures/devices/conformance-without-dma.toml");

fn main() -> ExitCode {
    let words = Feature::ALL.map(|(word, _)| word);
    let trials = words.iter().map(|word| (*word).to_owned()).chain([words.join(",")]);
    let mut trials: Vec<Trial> = trials
        .map(|words| {
            Trial::test(words.clone(), move || {
                whole_run(&words);
                Ok(())
            })
        })
        .collect();
    trials.push(Trial::test("the_device_file_without_dma_differs_in_dma_alone", || {
        device_files();
        Ok(())
    }));
    libtest_mimic::run(&Arguments::from_args(), trials).exit_code()
}

/// All cases and some generated sequences.
fn whole_run(words: &str) {
    let bench = Bench::new(&[]);
    let device = if words.split(',').any(|word| word == "dma") { DEVICE_WITHOUT_DMA } else { DEVICE };
    let device = bench.write("device.toml", device);
    let report = bench.word("report.json");
    let server = format!("{} reference-server --without {words}", env!("CARGO_BIN_EXE_vfio-user-conformance"));
    let report_to = format!("json={report}");
    let generate = ["--generate", "100", "--seed", "1", "--keep", &bench.word("kept")];
    // It is recommended, for a server that does DMA, to have a twin socket: TWIN-09 is a note.
    let strict = if words == "twin-socket" { "--verbose" } else { "--strict" };
    let ended = bench.program(
        &[["run", strict, "--spawn", &server, "--device", &device, "--report", &report_to].as_slice(), &generate]
            .concat(),
    );
    assert_eq!(ended.code, 0, "{}{}", ended.stdout, ended.stderr);
    let report: serde_json::Value = serde_json::from_str(&std::fs::read_to_string(report).unwrap()).unwrap();
    let cases = report["cases"].as_array().unwrap();
    let of = |result: &'static str| cases.iter().filter(move |case| case["result"] == result);
    assert!(of("pass").count() > cases.len() / 3, "{}", ended.stdout);
    assert_eq!(of("pass").count() + of("skip").count(), cases.len(), "{}", ended.stdout);
    for skipped in of("skip") {
        assert!(skipped["reason"].as_str().is_some_and(|reason| !reason.is_empty()), "{skipped:#}");
    }
}

fn device_files() {
    let whole = DeviceFile::parse("conformance.toml", DEVICE).unwrap();
    let mut without = DeviceFile::parse("conformance-without-dma.toml", DEVICE_WITHOUT_DMA).unwrap();
    without.summary.clone_from(&whole.summary);
    assert_eq!(without, DeviceFile { dma_write: None, dma_read: None, ..whole });
}
