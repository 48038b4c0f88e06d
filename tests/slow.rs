//! The same verdicts of a server that takes its time as of a quick one: it takes up to 80% of the deadline for each answer
//! (`examples/slow-server.rs`), and as long to accept a client, and to notice that one has left.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test, helpers included")]

#[allow(unused_imports, reason = "its own helpers use them")]
mod support;

use std::collections::BTreeMap;
use std::thread;
use std::time::Duration;

use support::example;
use vfio_user_conformance::Profile;
use vfio_user_conformance::requirement::Register;
use vfio_user_conformance::run::{Context, Event, Library, Planned, Runner, Selection, Timeouts};
use vfio_user_conformance::session::Interrupt;
use vfio_user_conformance::target::{DeviceFile, Discovered, Launcher, Target, probe};
use vfio_user_conformance::verdict::{CaseRecord, CaseResult, statuses};

const DEVICE: &str = include_str!("../fixtures/devices/conformance.toml");

/// Those that lean on deadlines most: what is awaited and must come, what must not come, and what one server, client or
/// socket has to be done with before the next.
const CHOSEN: [&str; 24] = [
    "disconnect.half-closed-first",
    "disconnect.irq-descriptors-mask",
    "disconnect.killed",
    "disconnect.map-descriptors",
    "disconnect.next",
    "dma-map.short-file",
    "dma-read.command",
    "dma-write.held",
    "dma-write.mappable",
    "dma-write.reply-lost*",
    "header.type-reply",
    "mig-data.source",
    "migration.restored",
    "no-reply.map-fails",
    "no-reply.unmap",
    "order.posted-map",
    "program.fd",
    "program.sigterm-idle",
    "reset.posted-writes",
    "security.noise/8",
    "set-irqs.disable-closes",
    "set-irqs.raise-full",
    "socket.second-client",
    "twin.dma-write",
];

/// The ways of being slow: the whole delay, or by a seed a part of it that differs from answer to answer, before a command
/// is carried out or after that.
const WAYS: [&str; 3] = ["--when before", "--when after", "--when both --seed 1"];

/// What is said: by case, its result with the reason and the findings; by requirement, its status.
type Verdicts = BTreeMap<String, String>;

/// The cases of a version, and the server that they are played against.
struct Bench {
    profile: Profile,
    register: Register,
    device: DeviceFile,
    interrupt: Interrupt,
    cases: Vec<Planned>,
}

impl Bench {
    fn new(profile: Profile, filters: &[&str]) -> Bench {
        let register = Register::bundled().unwrap();
        let plan = Library::bundled(&register).unwrap().plan(profile, &register).unwrap();
        let filters: Vec<String> = filters.iter().map(|filter| (*filter).to_owned()).collect();
        let selection = Selection::new(&filters, &register).unwrap();
        let cases = plan.cases.into_iter().filter(|case| selection.admits(case)).collect();
        let device = DeviceFile::parse("conformance.toml", DEVICE).unwrap();
        Bench { profile, register, device, interrupt: Interrupt::new().unwrap(), cases }
    }

    /// Starts servers that take 80% of that deadline for an answer, or no time.
    fn launcher(&self, slow: bool, way: &str, timeouts: Timeouts) -> Launcher {
        self.launcher_with(way, if slow { timeouts.reply.as_millis() * 8 / 10 } else { 0 }, timeouts)
    }

    /// Starts servers that are slow in that way, by so many milliseconds.
    fn launcher_with(&self, way: &str, delay: u128, timeouts: Timeouts) -> Launcher {
        let words = format!("{} --delay {delay} {way} --profile {}", example("slow-server"), self.profile);
        let command = words.split_whitespace().map(str::to_owned).collect();
        Launcher::new(Target::Spawn { command, socket: None }, timeouts.start, false).unwrap()
    }

    fn probe(&self, launcher: &Launcher, timeouts: Timeouts) -> Discovered {
        probe(self.profile, launcher, Some(&self.device), timeouts, &self.interrupt).unwrap()
    }

    /// Plays cases, all side by side: they wait.
    fn play(&self, launcher: &Launcher, found: &Discovered, timeouts: Timeouts, cases: &[Planned]) -> Vec<CaseRecord> {
        let Bench { profile, register, interrupt, device, .. } = self;
        let device = Some(device);
        let context = Context { profile: *profile, register, launcher, discovered: found, device, timeouts, interrupt };
        let runner = Runner { context, jobs: 100, fail_fast: false, pinned: None, replay: String::new() };
        let mut records = Vec::new();
        let report = |event| {
            if let Event::CaseFinished(record) = event {
                records.push(*record);
            }
        };
        assert!(runner.run(cases, report).unwrap().complete);
        records
    }

    fn verdicts(&self, records: &[CaseRecord]) -> Verdicts {
        let cases = records.iter().map(|record| {
            let found = record.findings.iter();
            let found = found.map(|found| format!("{:?} of {}: {}", found.class, found.requirement, found.actual));
            let reason = record.reason.as_deref().unwrap_or_default();
            let said = format!("{:?} {reason} {}", record.result, found.collect::<Vec<_>>().join("; "));
            (record.name.clone(), said)
        });
        let requirements = statuses(&self.register, self.profile, records).into_iter();
        cases.chain(requirements.map(|(id, status)| (id, format!("{:?}", status.status)))).collect()
    }

    /// What is otherwise of the slow server than `quick`. Cases of which something is are played once more with more time:
    /// the machine may have had better things to do than to keep to the fifth of a second that is left.
    fn differing(&self, way: &str, found: &Discovered, quick: &Verdicts, cases: &[Planned]) -> Vec<String> {
        let of = |seconds: u64, cases: &[Planned]| -> BTreeMap<String, String> {
            let timeouts = Timeouts::from_reply(Duration::from_secs(seconds));
            let slow = self.verdicts(&self.play(&self.launcher(true, way, timeouts), found, timeouts, cases));
            let differs = slow.iter().filter(|(name, said)| quick.get(*name) != Some(*said));
            differs.map(|(name, said)| (name.clone(), format!("{:?} became {said:?}", quick.get(name)))).collect()
        };
        let at_once = of(1, cases);
        let again: Vec<Planned> = cases.iter().filter(|case| at_once.contains_key(&case.name)).cloned().collect();
        for (name, said) in &at_once {
            eprintln!("{way}: once more: {name}: {said}");
        }
        // The status of a requirement is that of its cases.
        let still = if again.is_empty() { at_once } else { of(3, &again) };
        let of_case = |name: &str| again.is_empty() || again.iter().any(|case| case.name == name);
        still
            .into_iter()
            .filter(|(name, _)| of_case(name))
            .map(|(name, said)| format!("{way}: {name}: {said}"))
            .collect()
    }
}

fn facts(found: &Discovered) -> String {
    serde_json::to_string_pretty(found).unwrap()
}

/// The timeouts of a server that is in no way slow.
fn ample() -> Timeouts {
    Timeouts::from_reply(Duration::from_secs(10))
}

#[test]
fn chosen_cases_end_the_same() {
    let bench = Bench::new(Profile::V0_9_2, &CHOSEN);
    let launcher = bench.launcher(false, "", ample());
    let found = bench.probe(&launcher, ample());
    let records = bench.play(&launcher, &found, ample(), &bench.cases);
    assert!(records.len() >= CHOSEN.len());
    assert!(records.iter().all(|record| record.result == CaseResult::Pass), "{records:#?}");
    let quick = bench.verdicts(&records);
    let differing = thread::scope(|scope| {
        let (bench, found, quick) = (&bench, &found, &quick);
        let runs = WAYS.map(|way| scope.spawn(move || bench.differing(way, found, quick, &bench.cases)));
        runs.into_iter().flat_map(|run| run.join().unwrap()).collect::<Vec<_>>()
    });
    assert!(differing.is_empty(), "{}", differing.join("\n"));
}

#[test]
fn interrupts_that_come_late_are_found() {
    let bench = Bench::new(Profile::V0_9_2, &["set-irqs.mask", "set-irqs.unmask", "set-irqs.de-assign"]);
    let (quick, late) = (bench.launcher(false, "", ample()), bench.launcher_with("--when signals", 50, ample()));
    let (quick, found) = (bench.probe(&quick, ample()), bench.probe(&late, ample()));
    assert_eq!(facts(&quick), facts(&found));
    let records = bench.play(&late, &found, ample(), &bench.cases);
    assert!(records.len() >= 3);
    assert!(records.iter().all(|record| record.result == CaseResult::Pass), "{records:#?}");
}

/// No case with more messages than this: one after the other, each would be late.
const MOST_MESSAGES: usize = 100;

#[test]
#[ignore = "every case of every version, and the probe; it takes a quarter of an hour"]
fn every_case_ends_the_same() {
    let mut differing = Vec::new();
    for profile in Profile::ALL {
        let bench = Bench::new(profile, &[]);
        let launcher = bench.launcher(false, "", ample());
        let found = bench.probe(&launcher, ample());
        let timeouts = Timeouts::from_reply(Duration::from_secs(1));
        let found_slowly = bench.probe(&bench.launcher(true, "", timeouts), timeouts);
        assert_eq!(facts(&found), facts(&found_slowly));
        let records = bench.play(&launcher, &found, ample(), &bench.cases);
        let (short, long): (Vec<CaseRecord>, Vec<CaseRecord>) =
            records.into_iter().partition(|record| record.transcript.len() <= MOST_MESSAGES);
        let left_out: Vec<&str> = long.iter().map(|record| record.name.as_str()).collect();
        eprintln!("{profile}: {} cases; not played for their many messages: {}", short.len(), left_out.join(", "));
        let cases: Vec<Planned> =
            bench.cases.iter().filter(|case| !left_out.contains(&case.name.as_str())).cloned().collect();
        let quick = bench.verdicts(&short);
        for way in WAYS {
            differing.extend(bench.differing(way, &found, &quick, &cases));
        }
    }
    assert!(differing.is_empty(), "{} differ\n{}", differing.len(), differing.join("\n"));
}
