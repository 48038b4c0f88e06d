//! Cases played by calls: the reference server's state machine in the thread of the player, and no socket.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on has failed")]

#[path = "support/direct.rs"]
mod direct;
#[path = "support/probed.rs"]
mod probed;

use std::collections::BTreeSet;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixListener;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::time::{Duration, Instant};

use pretty_assertions::assert_eq;
use vfio_user_conformance::Profile;
use vfio_user_conformance::run::{Library, Plan, Planned, Play, Runner, Timeouts, play};
use vfio_user_conformance::target::{Discovered, Serve, Target};
use vfio_user_conformance::verdict::{CaseRecord, CaseResult, Evidence, Said};
use vfio_user_reference_server::{Effect, Endpoint, Machine, Memory, Server, serve};
use vfio_user_wire::{Frame, Header};

use direct::{BY_PROCESS, DirectMachine, NOT_BY_CALLS};
use probed::{Probed, REGISTER};

/// Cases that end otherwise than over a socket, and why.
const OTHERWISE: [(&str, &str); 1] =
    [("security.stalled-beside", "the second client is refused, where the backlog of a socket would let it wait")];
/// Who waits for that long is found out.
const FOR_EVER: Duration = Duration::from_secs(3600);

impl Probed {
    fn judge(&self, case: &Planned) -> CaseRecord {
        let runner = Runner { context: self.context(), jobs: 1, fail_fast: false, pinned: None, replay: String::new() };
        runner.judge(case).unwrap()
    }

    fn play(&self, case: &Planned) -> Play {
        play(self.context(), case, self.launcher.start().unwrap())
    }
}

/// The reference server, called.
fn called() -> Target {
    DirectMachine::target("the reference server", || Box::new(Server::new()))
}

/// The reference server, in a thread.
#[derive(Debug)]
struct InThread;

impl Serve for InThread {
    fn serve(&self, listener: UnixListener, stop: OwnedFd) {
        serve(Endpoint::Fd(listener.into()), Some(stop.as_fd())).unwrap();
    }
}

fn bundled() -> Vec<Planned> {
    let library = Library::bundled(&REGISTER).unwrap();
    library.plan(Profile::V0_9_2, &REGISTER).unwrap().cases
}

/// A case that is written here.
fn case(text: &str) -> Planned {
    let library = Library::from_texts(vec![("test.case".to_owned(), text.to_owned())], &REGISTER).unwrap();
    Plan::new(&library.cases, &[], Profile::V0_9_2, &REGISTER).unwrap().cases.remove(0)
}

/// What a verdict comes to. What a skip had seen before is a matter of what had come by then.
fn verdict(record: &CaseRecord) -> String {
    let checks: BTreeSet<String> = record
        .checks
        .iter()
        .filter(|_| record.result != CaseResult::Skip)
        .map(|check| format!("{}:{} {:?}", check.requirement, check.line, check.said))
        .collect();
    let found: Vec<String> =
        record.findings.iter().map(|found| format!("{}: {}", found.requirement, found.actual)).collect();
    format!("{:?} {:?} {checks:?} {found:?}", record.result, record.reason)
}

#[test]
fn every_case_ends_as_over_a_socket() {
    let sockets = Probed::new(Target::Thread(Arc::new(InThread)), Timeouts::default());
    let calls = Probed::new(called(), Timeouts::from_reply(FOR_EVER));
    let offers = |found: &Discovered| serde_json::to_string_pretty(found).unwrap();
    assert_eq!(offers(&calls.discovered), offers(&sockets.discovered));

    let (mut passed, mut skipped, mut differing) = (0, 0, BTreeSet::new());
    let mut time = Duration::ZERO;
    for case in bundled().iter().filter(|case| !NOT_BY_CALLS.contains(&case.name.as_str())) {
        let started = Instant::now();
        let record = calls.judge(case);
        time += started.elapsed();
        match record.result {
            CaseResult::Pass => passed += 1,
            CaseResult::Skip => skipped += 1,
            _ => panic!("{}: {}", case.name, verdict(&record)),
        }
        let needs_a_process = case.needs.iter().any(|need| BY_PROCESS.contains(&need.as_str()));
        assert!(!needs_a_process || record.result == CaseResult::Skip, "{} is played without a process", case.name);
        let over_a_socket = verdict(&sockets.judge(case));
        if verdict(&record) != over_a_socket {
            eprintln!("{}\n  called:        {}\n  over a socket: {over_a_socket}", case.name, verdict(&record));
            differing.insert(case.name.as_str().to_owned());
        }
    }
    eprintln!("{passed} cases passed and {skipped} were skipped in {time:.1?}");
    assert_eq!(differing, OTHERWISE.iter().map(|(name, _)| (*name).to_owned()).collect());
}

/// Wants no reply to anything but VERSION.
struct Dumb(Server);

impl Machine for Dumb {
    fn connect(&mut self) {
        self.0.connect();
    }

    fn receive(&mut self, frame: Frame, fds: Vec<OwnedFd>, memory: &mut dyn Memory, effects: &mut Vec<Effect>) {
        if frame.header.command == 1 {
            self.0.receive(frame, fds, memory, effects);
        }
    }

    fn receive_on_twin(&mut self, _: Frame, _: &mut dyn Memory, _: &mut Vec<Effect>) {}

    fn refuse(&mut self, header: &Header, effects: &mut Vec<Effect>) {
        self.0.refuse(header, effects);
    }

    fn twin_ended(&mut self) {}

    fn disconnect(&mut self, memory: &mut dyn Memory) {
        self.0.disconnect(memory);
    }
}

/// Does not answer DEVICE_GET_IRQ_INFO so often, and then it does.
struct Forgetful(Server, Arc<AtomicUsize>);

impl Machine for Forgetful {
    fn connect(&mut self) {
        self.0.connect();
    }

    fn receive(&mut self, frame: Frame, fds: Vec<OwnedFd>, memory: &mut dyn Memory, effects: &mut Vec<Effect>) {
        let forgets = |left: usize| left.checked_sub(1);
        if frame.header.command != 7 || self.1.fetch_update(Relaxed, Relaxed, forgets).is_err() {
            self.0.receive(frame, fds, memory, effects);
        }
    }

    fn receive_on_twin(&mut self, _: Frame, _: &mut dyn Memory, _: &mut Vec<Effect>) {}

    fn refuse(&mut self, header: &Header, effects: &mut Vec<Effect>) {
        self.0.refuse(header, effects);
    }

    fn twin_ended(&mut self) {}

    fn disconnect(&mut self, memory: &mut dyn Memory) {
        self.0.disconnect(memory);
    }
}

#[test]
fn a_note_by_a_deadline_must_come_back() {
    for (times, noted) in [(1, false), (2, false), (3, true)] {
        let left = Arc::new(AtomicUsize::new(0));
        let counter = Arc::clone(&left);
        let make = move || Box::new(Forgetful(Server::new(), Arc::clone(&counter))) as Box<dyn Machine>;
        let bench = Probed::new(DirectMachine::target("forgetful", make), Timeouts::from_reply(FOR_EVER));
        left.store(times, Relaxed);
        let text = "case a.b\n> DEVICE_GET_IRQ_INFO index=0\n< ok, note silent [IRQINFO-01]\n";
        let record = bench.judge(&case(text));
        assert_eq!((record.result, record.attempts.len()), (CaseResult::Pass, 3), "{}", verdict(&record));
        assert_eq!(record.findings.iter().any(|found| found.evidence == Evidence::Deadline), noted);
        // What is told of the requirement is what stays.
        let said = if noted { Said::Noted } else { Said::Held };
        let checks = record.checks.iter().filter(|check| check.requirement == "IRQINFO-01" && check.line > 0);
        assert_eq!(checks.map(|check| check.said).collect::<Vec<_>>(), [said], "{}", verdict(&record));
    }
}

#[test]
fn silence_is_seen_without_waiting() {
    let target = DirectMachine::target("dumb", || Box::new(Dumb(Server::new())));
    let bench = Probed::new(target, Timeouts::from_reply(FOR_EVER));
    let record = bench.judge(&case("case a.b\n> DEVICE_GET_INFO\n< ok [INFO-01]\n"));
    assert_eq!(record.result, CaseResult::Fail, "{}", verdict(&record));
    assert!(record.findings.iter().all(|found| found.evidence == Evidence::Deadline), "{}", verdict(&record));
    for line in ["< fd event signalled", "< ram[0..1] == hex:01"] {
        let text = format!(
            "case a.b\nlet event = eventfd\nlet ram = memfd 0x1000\n> asked: DEVICE_GET_INFO\n{line} [SETIRQS-01]\n< asked: ok\n"
        );
        let record = bench.judge(&case(&text));
        assert_eq!(record.result, CaseResult::Fail, "{line}: {}", verdict(&record));
        assert!(record.findings.iter().any(|found| found.requirement == "SETIRQS-01"), "{line}: {}", verdict(&record));
    }
}

#[test]
fn a_second_client_is_refused_until_the_first_is_gone() {
    let bench = Probed::new(called(), Timeouts::from_reply(FOR_EVER));
    let mut instance = bench.launcher.start().unwrap();
    let first = instance.connect(&bench.interrupt).unwrap();
    assert_eq!(instance.connect(&bench.interrupt).unwrap_err().to_string(), "the server takes no further client");
    drop(first);
    instance.connect(&bench.interrupt).unwrap();
    bench.launcher.end(instance);
}

/// What a generated sequence costs; `--nocapture` shows it.
#[test]
fn fifty_exchanges_take_little() {
    let bench = Probed::new(called(), Timeouts::default());
    let mut text = "case a.b\nneeds scratch\n".to_owned();
    for n in 0..25 {
        text +=
            &format!("> REGION_WRITE region={{scratch.region}} offset={{scratch.offset}} data=u32:{n}\n< ok count=4\n");
        text +=
            "> REGION_READ region={scratch.region} offset={scratch.offset} count=4\n< ok data.length=4 [RREAD-01]\n";
    }
    let case = case(&text);
    let (started, mut exchanges) = (Instant::now(), 0);
    while started.elapsed() < Duration::from_millis(1000) {
        let play = bench.play(&case);
        assert_eq!(play.result, CaseResult::Pass, "{:?} {:?}", play.reason, play.findings);
        exchanges += 50;
    }
    eprintln!("{:.0} exchanges a second", f64::from(exchanges) / started.elapsed().as_secs_f64());
}
