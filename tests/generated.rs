//! Sequences that nobody wrote, played against the bundled reference server: no fault of ours, no crash, no garbage, and
//! nothing that the reference server is accused of.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test, helpers included")]

use std::sync::Mutex;
use std::time::Duration;

use vfio_user_conformance::Profile;
use vfio_user_conformance::case::print;
use vfio_user_conformance::generate::{Offer, draw};
use vfio_user_conformance::report::case_text;
use vfio_user_conformance::requirement::Register;
use vfio_user_conformance::run::{Context, Event, Planned, Runner, Timeouts};
use vfio_user_conformance::session::Interrupt;
use vfio_user_conformance::target::{DeviceFile, Launcher, Target, probe};
use vfio_user_conformance::verdict::{CaseResult, Class};

const DEVICE: &str = include_str!("../fixtures/devices/conformance.toml");

/// Plays the sequences of a seed, several at once.
fn play(seed: u64, count: u64, device: Option<&DeviceFile>) {
    let register = Register::bundled().unwrap();
    let timeouts = Timeouts::from_reply(Duration::from_secs(2));
    let interrupt = Interrupt::new().unwrap();
    let command = vec![env!("CARGO_BIN_EXE_vfio-user-conformance").to_owned(), "reference-server".to_owned()];
    let launcher = Launcher::new(Target::Spawn { command, socket: None }, timeouts.start, false).unwrap();
    let discovered = probe(Profile::V0_9_2, &launcher, device, timeouts, &interrupt).unwrap();
    let offer = Offer::new(&discovered, device);
    let context = Context {
        profile: Profile::V0_9_2,
        register: &register,
        launcher: &launcher,
        discovered: &discovered,
        device,
        timeouts,
        interrupt: &interrupt,
    };
    let cases: Vec<Planned> = (0..count).map(|number| Planned::of(&draw(&offer, seed, number)).unwrap()).collect();
    let wrong = Mutex::new(Vec::new());
    let (mut passed, mut skipped) = (0, 0);
    let runner = Runner { context, jobs: 4, fail_fast: false, pinned: None, replay: "{case}".to_owned() };
    let end = runner.run(&cases, |event| {
        let Event::CaseFinished(record) = event else { return };
        let case = cases.iter().find(|case| case.name == record.name).unwrap();
        let text = || print(std::slice::from_ref(&*case.case));
        match record.result {
            CaseResult::Pass => passed += 1,
            CaseResult::Skip => {
                skipped += 1;
                eprintln!("{} skipped: {}", record.name, record.reason.clone().unwrap_or_default());
            }
            result => wrong.lock().unwrap().push(format!(
                "{result:?} {}\n{}\n{}",
                record.reason.clone().unwrap_or_default(),
                text(),
                case_text(&record, Class::Violation, &register)
            )),
        }
    });
    assert!(end.unwrap().complete);
    let wrong = wrong.into_inner().unwrap();
    assert!(wrong.is_empty(), "{} of {count}\n{}", wrong.len(), wrong.join("\n\n"));
    assert!(passed > 9 * count / 10, "{passed} of {count} passed, {skipped} were skipped");
}

#[test]
fn the_reference_server_passes_what_is_drawn_for_its_device() {
    let device = DeviceFile::parse("conformance.toml", DEVICE).unwrap();
    play(1, 500, Some(&device));
}

#[test]
fn the_reference_server_passes_what_is_drawn_without_a_device_file() {
    play(2, 100, None);
}
