//! Searches among generated sequences, by calls: no socket, and no process, whose fork(2) would hold for a moment the
//! mappings that a seal asks about.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test, helpers included")]

#[path = "support/direct.rs"]
mod direct;
#[path = "support/probed.rs"]
mod probed;

use std::os::fd::OwnedFd;
use std::path::Path;
use std::time::Duration;

use vfio_user_conformance::Profile;
use vfio_user_conformance::generate::{Found, Offer, Progress, Search};
use vfio_user_conformance::report::case_text;
use vfio_user_conformance::run::{Runner, Timeouts};
use vfio_user_conformance::target::Target;
use vfio_user_conformance::verdict::{CaseRecord, CaseResult, Class};
use vfio_user_reference_server::{self as served, Effect, Extra, Machine, Memory, Server, Settings};
use vfio_user_wire::{Frame, Header};

use direct::DirectMachine;
use probed::{Probed, REGISTER};

/// The state machine is called: no socket, no process, no clock. `cargo test --test search -- --nocapture steps` tells how
/// long it takes.
#[test]
fn a_million_steps_by_calls_find_nothing() {
    let target = DirectMachine::target("the reference server", || Box::new(Server::new()));
    find_nothing(Profile::V0_9_2, target, 1_000_000);
}

#[test]
fn many_steps_of_0_9_1_by_calls_find_nothing() {
    let target = DirectMachine::target("the reference server", || {
        let (profile, with) = (served::Profile::V0_9_1, Some(Extra::PfnQuery));
        Box::new(Server::with(Settings { profile, with, ..Settings::default() }))
    });
    find_nothing(Profile::V0_9_1, target, 300_000);
}

fn find_nothing(profile: Profile, target: Target, wanted: u64) {
    let started = std::time::Instant::now();
    let probed = Probed::of(profile, target, Timeouts::from_reply(Duration::from_secs(2)));
    let offer = Offer::new(&probed.discovered, Some(&probed.device));
    let folder = tempfile::tempdir().unwrap();
    let runner = Runner { context: probed.context(), jobs: 2, fail_fast: false, replay: "{case}".to_owned() };
    let mut steps = 0;
    for seed in 100.. {
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

/// Unmaps whatever it is asked to, and says so with an address that is not quite the one.
#[derive(Debug, Default)]
struct Careless(Server);

impl Machine for Careless {
    fn connect(&mut self) {
        self.0.connect();
    }

    fn receive(&mut self, frame: Frame, fds: Vec<OwnedFd>, memory: &mut dyn Memory, effects: &mut Vec<Effect>) {
        self.0.receive(frame, fds, memory, effects);
        for effect in effects {
            if let Effect::Send { frame, .. } = effect
                && let Some(address) = frame.payload.get_mut(8).filter(|_| { frame.header.command } == 3)
            {
                *address ^= 1;
            }
        }
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

/// Searches for what is wrong with [`Careless`], and is interrupted behind the first sequences if asked to.
fn search_careless(folder: &Path, stop: bool) -> Found {
    let target = DirectMachine::target("careless", || Box::new(Careless::default()));
    let probed = Probed::new(target, Timeouts::default());
    let runner = Runner { context: probed.context(), jobs: 1, fail_fast: false, replay: "{case}".to_owned() };
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

#[test]
fn what_fails_is_shrunk_to_a_case_that_a_person_could_have_written() {
    let folder = tempfile::tempdir().unwrap();
    let found = search_careless(folder.path(), false);
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

#[test]
fn a_search_that_is_interrupted_writes_what_it_has() {
    let folder = tempfile::tempdir().unwrap();
    let found = search_careless(folder.path(), true);
    assert!(!found.complete && found.sequences < 1000 && !found.records.is_empty(), "{}", found.sequences);
    for record in &found.records {
        assert_eq!(record.result, CaseResult::Fail);
        assert!(std::fs::read_to_string(&record.file).unwrap().contains(&format!("case {}", record.name)));
    }
}
