//! Searches among generated sequences, by calls: no socket, and no process.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test, helpers included")]

#[path = "support/direct.rs"]
mod direct;
#[path = "support/probed.rs"]
mod probed;

use std::os::fd::OwnedFd;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use vfio_user_conformance::Profile;
use vfio_user_conformance::generate::{Found, Offer, Progress, Search};
use vfio_user_conformance::report::case_text;
use vfio_user_conformance::run::{Library, Plan, Runner, Timeouts};
use vfio_user_conformance::target::Target;
use vfio_user_conformance::verdict::{CaseRecord, CaseResult, Class};
use vfio_user_reference_server::{self as served, Effect, Extra, Machine, Memory, Server, Settings};
use vfio_user_wire::{Frame, Header};

use direct::DirectMachine;
use probed::{Probed, REGISTER};

/// The state machine is called: no socket, no process, no clock. `cargo test --test search -- --nocapture steps` tells how
/// long it takes; `VFIO_USER_CONFORMANCE_SEED` begins elsewhere, and `VFIO_USER_CONFORMANCE_STEPS` is how many there are, as a
/// million.
#[test]
fn many_steps_by_calls_find_nothing() {
    let target = DirectMachine::target("the reference server", || Box::new(Server::new()));
    find_nothing(Profile::V0_9_2, target, 400_000);
}

#[test]
fn many_steps_of_0_9_1_by_calls_find_nothing() {
    find_nothing(Profile::V0_9_1, reference_server(served::Profile::V0_9_1), 50_000);
}

#[test]
fn many_steps_of_version_8_by_calls_find_nothing() {
    find_nothing(Profile::V8, reference_server(served::Profile::V8), 50_000);
}

#[test]
fn many_steps_of_0_9_1_with_tables_by_calls_find_nothing() {
    find_nothing(Profile::V8C, reference_server(served::Profile::V8C), 50_000);
}

fn reference_server(profile: served::Profile) -> Target {
    let with = (profile == served::Profile::V0_9_1).then_some(Extra::PfnQuery);
    DirectMachine::target("the reference server", move || {
        Box::new(Server::with(Settings { profile, with, ..Settings::default() }))
    })
}

fn find_nothing(profile: Profile, target: Target, wanted: u64) {
    let started = std::time::Instant::now();
    let probed = Probed::of(profile, target, Timeouts::from_reply(Duration::from_secs(2)));
    let offer = Offer::new(&probed.discovered, Some(&probed.device));
    let folder = tempfile::tempdir().unwrap();
    let runner =
        Runner { context: probed.context(), jobs: 2, fail_fast: false, pinned: None, replay: "{case}".to_owned() };
    let wanted = std::env::var("VFIO_USER_CONFORMANCE_STEPS").map_or(wanted, |steps| steps.parse().unwrap());
    let mut steps = 0;
    let first = std::env::var("VFIO_USER_CONFORMANCE_SEED").map_or(100, |seed| seed.parse().unwrap());
    for seed in first.. {
        let search = Search {
            runner: &runner,
            offer: &offer,
            seed,
            count: 4096,
            shard: None,
            folder: folder.path(),
            replay: "{file}",
        };
        let found = search.run(|_| ()).unwrap();
        let told = |record: &CaseRecord| {
            let text = std::fs::read_to_string(&record.file).unwrap_or_default();
            format!("{text}\n{}", case_text(record, Class::Violation, &REGISTER))
        };
        let said: Vec<String> = found.records.iter().map(told).collect();
        assert!(found.complete && said.is_empty(), "seed {seed}: {}", said.join("\n"));
        steps += found.steps;
        if steps >= wanted {
            break;
        }
    }
    eprintln!("{steps} steps of {profile} in {:.1} s", started.elapsed().as_secs_f64());
}

/// What becomes of a message.
type Receive = fn(&mut Server, Frame, Vec<OwnedFd>, &mut dyn Memory, &mut Vec<Effect>);

/// A server that does something else with its messages.
#[derive(Debug)]
struct Faulty(Server, Receive);

impl Machine for Faulty {
    fn connect(&mut self) {
        self.0.connect();
    }

    fn receive(&mut self, frame: Frame, fds: Vec<OwnedFd>, memory: &mut dyn Memory, effects: &mut Vec<Effect>) {
        self.1(&mut self.0, frame, fds, memory, effects);
    }

    fn receive_on_twin(&mut self, frame: Frame, memory: &mut dyn Memory, effects: &mut Vec<Effect>) {
        self.0.receive_on_twin(frame, memory, effects);
    }

    fn refuse(&mut self, header: &Header, effects: &mut Vec<Effect>) {
        self.0.refuse(header, effects);
    }

    fn twin_ended(&mut self) {
        self.0.twin_ended();
    }

    fn disconnect(&mut self, memory: &mut dyn Memory) {
        self.0.disconnect(memory);
    }
}

/// Unmaps whatever it is asked to, and says so with an address that is not quite the one.
fn careless(server: &mut Server, frame: Frame, fds: Vec<OwnedFd>, memory: &mut dyn Memory, effects: &mut Vec<Effect>) {
    server.receive(frame, fds, memory, effects);
    for effect in effects {
        if let Effect::Send { frame, .. } = effect
            && let Some(address) = frame.payload.get_mut(8).filter(|_| { frame.header.command } == 3)
        {
            *address ^= 1;
        }
    }
}

/// Writes other bytes into the client's memory than the device was told.
fn miswriting(
    server: &mut Server,
    mut frame: Frame,
    fds: Vec<OwnedFd>,
    memory: &mut dyn Memory,
    effects: &mut Vec<Effect>,
) {
    let pattern = frame.payload.starts_with(&[0x1c, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
    if let Some(byte) = frame.payload.get_mut(16).filter(|_| pattern && { frame.header.command } == 10) {
        *byte ^= 0xff;
    }
    server.receive(frame, fds, memory, effects);
}

/// Is careless once, long after it was asked what it offers.
fn careless_once(
    server: &mut Server,
    frame: Frame,
    fds: Vec<OwnedFd>,
    memory: &mut dyn Memory,
    effects: &mut Vec<Effect>,
) {
    static UNMAPS: AtomicUsize = AtomicUsize::new(0);
    let hundredth = { frame.header.command } == 3 && UNMAPS.fetch_add(1, Ordering::Relaxed) == 100;
    let receive = if hundredth { careless } else { Server::receive };
    receive(server, frame, fds, memory, effects);
}

/// Searches for what is wrong with a server, and is interrupted behind the first sequences if asked to.
fn search_faulty(receive: Receive, folder: &Path, stop: bool) -> Found {
    let target = DirectMachine::target("faulty", move || Box::new(Faulty(Server::new(), receive)));
    let probed = Probed::new(target, Timeouts::default());
    let runner =
        Runner { context: probed.context(), jobs: 1, fail_fast: false, pinned: None, replay: "{case}".to_owned() };
    let offer = Offer::new(&probed.discovered, Some(&probed.device));
    let (runner, offer, replay) = (&runner, &offer, "replay {file}");
    let search = Search { runner, offer, seed: 1, count: 1000, shard: None, folder, replay };
    search
        .run(|progress| {
            if stop && matches!(progress, Progress::Played(_)) {
                probed.interrupt.raise();
            }
        })
        .unwrap()
}

/// What the block behind a map expects was worked out from all that the map says: a shrunk case still holds of a server that
/// is right.
#[test]
fn what_was_shrunk_accuses_nobody_else() {
    let folder = tempfile::tempdir().unwrap();
    let found = search_faulty(miswriting, folder.path(), false);
    assert!(!found.records.is_empty());
    let right =
        Probed::new(DirectMachine::target("the reference server", || Box::new(Server::new())), Timeouts::default());
    let runner =
        Runner { context: right.context(), jobs: 1, fail_fast: false, pinned: None, replay: "{case}".to_owned() };
    for record in &found.records {
        let text = std::fs::read_to_string(&record.file).unwrap();
        let library = Library::from_texts(vec![("shrunk.case".to_owned(), text.clone())], &REGISTER).unwrap();
        for case in Plan::new(&library.cases, &[], Profile::V0_9_2, &REGISTER).unwrap().cases {
            assert_eq!(runner.judge(&case).unwrap().result, CaseResult::Pass, "{text}");
        }
    }
}

#[test]
fn what_fails_is_shrunk_to_a_case_that_a_person_could_have_written() {
    let folder = tempfile::tempdir().unwrap();
    let found = search_faulty(careless, folder.path(), false);
    assert!(found.complete && found.sequences == 1000 && found.failed > 100, "{} failed", found.failed);
    let [record] = found.records.as_slice() else { panic!("{} causes", found.records.len()) };
    assert_eq!((record.name.as_str(), record.result), ("generated.dunmap-05", CaseResult::Fail));
    assert_eq!(record.replay, format!("replay {}", record.file));
    let text = std::fs::read_to_string(&record.file).unwrap();
    let lines: Vec<&str> = text.lines().filter(|line| !line.starts_with('#')).collect();
    let tag = |line: &str, id: &str| format!("{line:<56}[{id}]");
    let [case, map, ok, unmap, wrong] = lines.as_slice() else { panic!("{text}") };
    assert_eq!(*case, "case generated.dunmap-05");
    assert!(map.starts_with("> DMA_MAP address=0x") && unmap.starts_with("> DMA_UNMAP address=0x"), "{text}");
    assert_eq!((*ok, *wrong), ("< ok", tag("< ok", "DUNMAP-05").as_str()));
}

/// What was received counts, however often it came.
#[test]
fn what_came_once_is_told_as_it_was_drawn() {
    let folder = tempfile::tempdir().unwrap();
    let found = search_faulty(careless_once, folder.path(), false);
    let [record] = found.records.as_slice() else { panic!("{} causes", found.records.len()) };
    assert_eq!((found.failed, record.result), (1, CaseResult::Fail));
    let found: Vec<_> = record.findings.iter().map(|finding| finding.requirement.as_str()).collect();
    assert!(found.contains(&"DUNMAP-05"), "{found:?}");
    assert!(Path::new(&record.file).exists());
}

#[test]
fn a_search_that_is_interrupted_writes_what_it_has() {
    let folder = tempfile::tempdir().unwrap();
    let found = search_faulty(careless, folder.path(), true);
    assert!(!found.complete && found.sequences < 1000 && !found.records.is_empty(), "{}", found.sequences);
    for record in &found.records {
        assert_eq!(record.result, CaseResult::Fail);
        assert!(std::fs::read_to_string(&record.file).unwrap().contains(&format!("case {}", record.name)));
    }
}
