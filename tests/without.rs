//! The reference server without some of what it has: whatever a server leaves out, no case fails for it, and each that
//! does not apply says why.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test, helpers included")]

#[path = "support/direct.rs"]
mod direct;
#[path = "support/probed.rs"]
mod probed;
#[allow(unused_imports, reason = "its own helpers use them")]
mod support;

use std::process::ExitCode;
use std::time::Duration;

use libtest_mimic::{Arguments, Trial};
use support::Bench;
use vfio_user_conformance::Profile;
use vfio_user_conformance::generate::{Offer, Search};
use vfio_user_conformance::report::case_text;
use vfio_user_conformance::run::{Library, Runner, Timeouts};
use vfio_user_conformance::target::DeviceFile;
use vfio_user_conformance::verdict::{CaseRecord, CaseResult, Class};
use vfio_user_reference_server::{Feature, Server, Without};

use direct::{DirectMachine, NOT_BY_CALLS};
use probed::{Probed, REGISTER};

const DEVICE: &str = include_str!("../fixtures/devices/conformance.toml");
const DEVICE_WITHOUT_DMA: &str = include_str!("../fixtures/devices/conformance-without-dma.toml");
/// Who is called does not make anybody wait.
const FOR_EVER: Duration = Duration::from_secs(3600);

fn main() -> ExitCode {
    let single = |(word, feature)| {
        Trial::test(word, move || {
            by_calls(feature);
            Ok(())
        })
    };
    let mut trials: Vec<Trial> = Feature::ALL.into_iter().map(single).collect();
    trials.push(Trial::test("all_of_them", || {
        by_processes(&Feature::ALL.map(|(word, _)| word).join(","));
        Ok(())
    }));
    trials.push(Trial::test("the_device_file_without_dma_differs_in_dma_alone", || {
        device_files();
        Ok(())
    }));
    libtest_mimic::run(&Arguments::from_args(), trials).exit_code()
}

/// All cases and some generated sequences, by calls.
fn by_calls(feature: Feature) {
    let device = if feature == Feature::Dma { DEVICE_WITHOUT_DMA } else { DEVICE };
    let device = DeviceFile::parse("device.toml", device).unwrap();
    let without = Without::from_iter([feature]);
    let target = DirectMachine::target("the reference server without it", move || Box::new(Server::with(without)));
    let probed = Probed::with(Profile::V0_9_2, target, Timeouts::from_reply(FOR_EVER), device);
    let runner = Runner { context: probed.context(), jobs: 1, fail_fast: false, pinned: None, replay: String::new() };
    let mut cases = Library::bundled(&REGISTER).unwrap().plan(Profile::V0_9_2, &REGISTER).unwrap().cases;
    cases.retain(|case| !NOT_BY_CALLS.contains(&case.name.as_str()));
    let records: Vec<CaseRecord> = cases.iter().map(|case| runner.judge(case).unwrap()).collect();
    for record in &records {
        let right = match record.result {
            CaseResult::Pass => true,
            CaseResult::Skip => record.reason.as_ref().is_some_and(|reason| !reason.is_empty()),
            _ => false,
        };
        // It is recommended, for a server that does DMA, to have a twin socket.
        let noted =
            record.findings.iter().all(|found| feature == Feature::TwinSocket && found.requirement == "TWIN-09");
        assert!(
            right && noted,
            "{:?} {:?}\n{}",
            record.result,
            record.reason,
            case_text(record, Class::Note, &REGISTER)
        );
    }
    let passed = records.iter().filter(|record| record.result == CaseResult::Pass).count();
    assert!(passed > records.len() / 3, "{passed} of {}", records.len());
    let offer = Offer::new(&probed.discovered, Some(&probed.device));
    let folder = tempfile::tempdir().unwrap();
    let (runner, offer, folder) = (&runner, &offer, folder.path());
    let search = Search { runner, offer, seed: 1, count: 100, shard: None, folder, replay: "{file}" };
    let found = search.run(|_| ()).unwrap();
    assert!(found.complete && found.records.is_empty(), "{:#?}", found.records);
}

/// The same of the program, told by its option.
fn by_processes(words: &str) {
    let bench = Bench::new(&[]);
    let device = bench.write("device.toml", DEVICE_WITHOUT_DMA);
    let server = format!("{} reference-server --without {words}", env!("CARGO_BIN_EXE_vfio-user-conformance"));
    let kept = bench.word("kept");
    let generate = ["--generate", "100", "--seed", "1", "--keep", &kept];
    let ended = bench.program(&[&["run", "--strict", "--spawn", &server, "--device", &device], &generate[..]].concat());
    assert_eq!(ended.code, 0, "{}{}", ended.stdout, ended.stderr);
}

fn device_files() {
    let whole = DeviceFile::parse("conformance.toml", DEVICE).unwrap();
    let mut without = DeviceFile::parse("conformance-without-dma.toml", DEVICE_WITHOUT_DMA).unwrap();
    without.summary.clone_from(&whole.summary);
    assert_eq!(without, DeviceFile { dma_write: None, dma_read: None, ..whole });
}
