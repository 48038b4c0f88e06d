//! Every case by calls, in each version, against the reference server that `ci/mutants` has altered: what differs by that shows
//! here sooner than with servers that are processes (`reference-server/tests/conformance.rs`).
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on has failed")]

#[path = "support/direct.rs"]
mod direct;
#[path = "support/probed.rs"]
mod probed;

use std::path::Path;
use std::time::Duration;

use vfio_user_conformance::Profile;
use vfio_user_conformance::run::{Library, Runner, Timeouts};
use vfio_user_conformance::target::DeviceFile;
use vfio_user_conformance::verdict::{CaseResult, Expectations};
use vfio_user_reference_server::{self as server, Extra, Feature, Settings, Without};

use direct::{BY_PROCESS, DirectMachine, NOT_BY_CALLS};
use probed::{Probed, REGISTER};

/// Who waits for that long is found out.
const FOR_EVER: Duration = Duration::from_secs(3600);

/// Every case passes or is skipped, none with a note, and what is pinned as offered is.
fn conforms(profile: Profile, settings: impl Into<Settings>, device: &str, pins: &str) {
    let (fixtures, settings) = (Path::new("fixtures"), settings.into());
    let device = std::fs::read_to_string(fixtures.join("devices").join(device)).unwrap();
    let device = DeviceFile::parse("device.toml", &device).unwrap();
    let pins = std::fs::read_to_string(fixtures.join("expectations").join(pins)).unwrap();
    let pins = Expectations::parse("pins.toml", &pins).unwrap();
    let target = DirectMachine::target("the altered server", move || Box::new(server::Server::with(settings)));
    let probed = Probed::with(profile, target, Timeouts::from_reply(FOR_EVER), device);
    let lacks = |need: &str| if BY_PROCESS.contains(&need) { None } else { probed.discovered.lacks(need) };
    assert_eq!(pins.lacking(lacks), []);
    let runner = Runner { context: probed.context(), jobs: 1, fail_fast: true, pinned: None, replay: String::new() };
    let cases = Library::bundled(&REGISTER).unwrap().plan(profile, &REGISTER).unwrap().cases;
    for case in cases.iter().filter(|case| !NOT_BY_CALLS.contains(&case.name.as_str())) {
        let record = runner.judge(case).unwrap();
        let good = matches!(record.result, CaseResult::Pass | CaseResult::Skip) && record.findings.is_empty();
        assert!(good, "{}: {:?} {:?} {:#?}", record.name, record.result, record.reason, record.findings);
    }
}

#[test]
#[ignore = "for ci/mutants"]
fn an_altered_server_is_told() {
    let device = "conformance.toml";
    conforms(Profile::V0_9_2, server::Profile::V0_9_2, device, "reference-0.9.2.toml");
    let with_query = Settings { with: Some(Extra::PfnQuery), ..server::Profile::V0_9_1.into() };
    conforms(Profile::V0_9_1, with_query, device, "reference-0.9.1.toml");
    conforms(Profile::V8, server::Profile::V8, device, "reference-v8.toml");
    conforms(Profile::V8C, server::Profile::V8C, device, "reference-v8c.toml");
    let some = [Feature::PreCopy, Feature::DmaLogging, Feature::WriteMulti, Feature::IoFds];
    conforms(Profile::V0_9_2, without(some), device, "reference-without-some.toml");
    let all = Feature::ALL.map(|(_, feature)| feature);
    conforms(Profile::V0_9_2, without(all), "conformance-without-dma.toml", "reference-without-all.toml");
}

fn without(features: impl IntoIterator<Item = Feature>) -> Without {
    features.into_iter().collect()
}
