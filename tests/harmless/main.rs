//! Safe on a device that matters: every byte that reaches a server, from the probe, from each case of each version, and
//! from generated sequences, is looked at. Without a device file nothing is written but configuration space's command
//! register and BARs; with one, nothing but what it names, either.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test, helpers included")]

#[path = "../support/direct.rs"]
mod direct;
mod watched;

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{File, OpenOptions};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixListener;
use std::process::ExitCode;
use std::sync::{Arc, Mutex};
use std::thread;

use libtest_mimic::{Arguments, Failed, Trial};
use nix::sys::signal::{SigSet, Signal};
use nix::sys::signalfd::SignalFd;
use vfio_user_conformance::Profile;
use vfio_user_conformance::generate::{Offer, draw};
use vfio_user_conformance::requirement::Register;
use vfio_user_conformance::run::{Context, Library, Planned, Runner, Timeouts, play};
use vfio_user_conformance::session::Interrupt;
use vfio_user_conformance::target::{DeviceFile, Discovered, Launcher, Range, Region, Serve, Step, Target, probe};
use vfio_user_reference_server as served;
use vfio_user_reference_server::{Endpoint, HostMemory, serve_with};
use vfio_user_wire::{region, region_info_flags};

use crate::direct::{BY_PROCESS, DirectMachine};
use crate::watched::{Notes, Seen, Watched};

const DEVICE: &str = include_str!("../../fixtures/devices/conformance.toml");
/// The command register, and the BARs.
const CONFIG: [(u64, u64); 2] = [(0x4, 0x6), (0x10, 0x28)];
const VENDOR: (u64, u64) = (0, 2);
/// Players at one time: most of a play is waiting.
const PLAYERS: usize = 12;
/// Sequences that are drawn for each version.
const SEQUENCES: u64 = 300;

fn main() -> ExitCode {
    if std::env::args().nth(1).as_deref() == Some("serve") {
        serve_as_process();
        return ExitCode::SUCCESS;
    }
    let arguments = Arguments::from_args();
    let profiles = [served::Profile::V0_9_2, served::Profile::V0_9_1, served::Profile::V8C, served::Profile::V8];
    let mut trials = Vec::new();
    for served in profiles {
        for device in [false, true] {
            let with = if device { "with" } else { "without" };
            let name = format!("{} {with} a device file", served.dialect().name);
            trials.push(Trial::test(format!("{name}: cases"), move || cases(served, device)));
            trials.push(Trial::test(format!("{name}: generated"), move || generated(served, device)));
        }
    }
    libtest_mimic::run(&arguments, trials).exit_code()
}

/// A watched server in a thread.
#[derive(Debug)]
struct InThread(served::Profile, Notes);

impl Serve for InThread {
    fn serve(&self, listener: UnixListener, stop: OwnedFd) {
        let mut machine = Watched::new(self.0, self.1.clone());
        // A server that cannot serve is one that does not answer: the cases say so.
        let _ = HostMemory::new().map(|mut memory| {
            serve_with(&mut machine, &mut memory, Endpoint::Fd(listener.into()), Some(stop.as_fd())).ok()
        });
    }
}

/// This program as a server: `serve PROFILE NOTES --socket-path=PATH | --fd=N`.
fn serve_as_process() {
    let arguments: Vec<String> = std::env::args().skip(2).collect();
    let [profile, notes, endpoint] = arguments.as_slice() else { panic!("serve PROFILE NOTES ENDPOINT") };
    let endpoint = match endpoint.split_once('=').expect("an option with a value") {
        ("--fd", number) => Endpoint::inherited(number.parse().unwrap()).unwrap(),
        (_, path) => Endpoint::SocketPath(path.into()),
    };
    let notes = Notes::in_file(OpenOptions::new().append(true).open(notes).unwrap());
    let signals = SigSet::from(Signal::SIGTERM);
    let stop = signals.thread_block().and_then(|()| SignalFd::new(&signals)).unwrap();
    let (mut machine, mut memory) = (Watched::new(profile.parse().unwrap(), notes), HostMemory::new().unwrap());
    serve_with(&mut machine, &mut memory, endpoint, Some(stop.as_fd())).unwrap();
}

/// What may be written.
struct Allowed {
    regions: BTreeMap<u32, u64>,
    /// Those that cannot be written. Bytes that were read there may be written back: that is to be refused.
    read_only: BTreeSet<u32>,
    device: Option<DeviceFile>,
    /// What a careless server could take a write to be about counts, too.
    strict: bool,
    /// The region by which an older version's migration is done: their bytes are the protocol's.
    protocol: Option<u32>,
}

impl Allowed {
    fn new(found: &Discovered, device: Option<&DeviceFile>, strict: bool) -> Allowed {
        let regions = found.regions.iter().map(|region| (region.index, region.size)).collect();
        let cannot = |region: &&Region| region.size > 0 && region.flags & region_info_flags::WRITE == 0;
        let read_only = found.regions.iter().filter(cannot).map(|region| region.index).collect();
        Allowed { regions, read_only, device: device.cloned(), strict, protocol: found.migration_region() }
    }

    /// What is wrong with it, if something is.
    fn objects_to(&self, seen: &Seen) -> bool {
        match seen.what.as_str() {
            // Commands of the protocol that change the device, and the documentation tells.
            "DEVICE_RESET" | "MIG_DATA_WRITE" => false,
            "made-up-migration-data" => self.device.is_none(),
            "doorbell" => self.device.as_ref().is_none_or(|device| device.counter.is_none()),
            _ => {
                let size = self.regions.get(&seen.region).copied().unwrap_or_default();
                meant(self.strict, size, seen.offset, seen.length)
                    .into_iter()
                    .any(|(start, end)| !self.may_write(seen.region, start, end))
            }
        }
    }

    fn may_write(&self, index: u32, start: u64, end: u64) -> bool {
        let inside = |first: u64, last: u64| first <= start && end <= last;
        if index == region::CONFIG && CONFIG.iter().any(|(first, last)| inside(*first, *last))
            || self.protocol == Some(index)
        {
            return true;
        }
        let Some(device) = &self.device else { return false };
        // The vendor is what PCI has read-only, and so it is to stay.
        if self.read_only.contains(&index) || index == region::CONFIG && inside(VENDOR.0, VENDOR.1) {
            return true;
        }
        let in_range = |range: &Range| range.region == index && inside(range.offset, range.offset + range.length);
        let step = |step: &Step| match step {
            Step::Write { region, offset, width, .. } => {
                *region == index && inside(*offset, offset + u64::from(*width))
            }
            Step::Place { .. } => false,
        };
        let actions = [&device.dma_write, &device.dma_read, &device.raise_irq];
        let raises = device.counter.as_ref().is_some_and(|counter| {
            let raise = &counter.raise;
            raise.region == index && inside(raise.offset, raise.offset + u64::from(raise.width))
        });
        let shown = device.mirror.as_ref().is_some_and(|mirror| {
            mirror.shows.region == index
                && inside(mirror.shows.offset, mirror.shows.offset + u64::from(mirror.register.width))
        });
        raises
            || shown
            || device.scratch.iter().any(in_range)
            || actions.into_iter().flatten().flat_map(|action| &action.steps).any(step)
    }
}

/// The bytes of a region that a write is about, and those that a careless server could take it to be about: one that keeps
/// 32 bits of the offset, goes on at the region's start, or does not look at the end.
fn meant(strict: bool, size: u64, offset: u64, length: u64) -> BTreeSet<(u64, u64)> {
    let mut meant = BTreeSet::new();
    let mut clip = |start: u64, length: u64| {
        let end = start.saturating_add(length).min(size);
        if start < end {
            meant.insert((start, end));
        }
    };
    clip(offset, length);
    if strict && offset.checked_add(length).is_none_or(|end| end > size) {
        clip(offset & 0xffff_ffff, length);
        clip(offset % size.max(1), length);
        if let (None, end) = (offset.checked_add(length), offset.wrapping_add(length)) {
            clip(0, end);
        }
    }
    meant
}

/// What a play needs that is the same for all.
struct Bench {
    profile: Profile,
    register: Register,
    interrupt: Interrupt,
    timeouts: Timeouts,
    device: Option<DeviceFile>,
}

impl Bench {
    fn new(served: served::Profile, device: bool) -> Bench {
        Bench {
            profile: served.dialect().name.parse().unwrap(),
            register: Register::bundled().unwrap(),
            interrupt: Interrupt::new().unwrap(),
            timeouts: Timeouts::default(),
            device: device.then(|| DeviceFile::parse("conformance.toml", DEVICE).unwrap()),
        }
    }

    fn launcher(&self, target: Target) -> Launcher {
        Launcher::new(target, self.timeouts.start, false).unwrap()
    }

    fn probe(&self, launcher: &Launcher) -> Discovered {
        probe(self.profile, launcher, self.device.as_ref(), self.timeouts, &self.interrupt).unwrap()
    }

    fn context<'a>(&'a self, launcher: &'a Launcher, discovered: &'a Discovered) -> Context<'a> {
        let Bench { profile, register, interrupt, timeouts, device } = self;
        let (profile, timeouts, device) = (*profile, *timeouts, device.as_ref());
        Context { profile, register, launcher, discovered, device, timeouts, interrupt }
    }
}

/// Ends a trial: nothing that is not allowed was seen, and something that is.
fn judge(seen: &[(String, Seen)], allowed: &Allowed) -> Result<(), Failed> {
    let wrong: Vec<String> = seen
        .iter()
        .filter(|(_, seen)| allowed.objects_to(seen))
        .map(|(by, seen)| format!("{by}: {seen}"))
        .collect::<BTreeSet<_>>()
        .into_iter()
        .collect();
    let of = |what: &str| seen.iter().filter(|(_, seen)| seen.what == what).count();
    let whats: BTreeSet<&str> = seen.iter().map(|(_, seen)| seen.what.as_str()).collect();
    let counts: Vec<String> = whats.iter().map(|what| format!("{} {what}", of(what))).collect();
    eprintln!("seen: {}", counts.join(", "));
    if !wrong.is_empty() {
        return Err(format!("{} writes that are not allowed:\n{}", wrong.len(), wrong.join("\n")).into());
    }
    if of("REGION_WRITE") == 0 { Err("nothing was seen at all".into()) } else { Ok(()) }
}

/// All cases of a version, and the probe before them.
fn cases(served: served::Profile, device: bool) -> Result<(), Failed> {
    let bench = Bench::new(served, device);
    let notes = Notes::here();
    let in_thread = |notes: &Notes| bench.launcher(Target::Thread(Arc::new(InThread(served, notes.clone()))));
    let found = bench.probe(&in_thread(&notes));
    let seen = Mutex::new(notes.take().into_iter().map(|seen| ("the probe".to_owned(), seen)).collect::<Vec<_>>());
    let plan = Library::bundled(&bench.register).unwrap().plan(bench.profile, &bench.register).unwrap();
    let by_process = |case: &Planned| case.needs.iter().any(|need| BY_PROCESS.contains(&need.as_str()));
    let (processes, threads): (Vec<Planned>, Vec<Planned>) = plan.cases.into_iter().partition(by_process);
    let failed = Mutex::new(Vec::new());
    let play_all =
        |cases: &[Planned], found: &Discovered, start: &(dyn Fn() -> (Launcher, Box<dyn Fn() -> Vec<Seen>>) + Sync)| {
            let next = std::sync::atomic::AtomicUsize::new(0);
            thread::scope(|scope| {
                for _ in 0..PLAYERS {
                    scope.spawn(|| {
                        let (launcher, seen_by) = start();
                        let context = bench.context(&launcher, found);
                        let runner = Runner { context, jobs: 1, fail_fast: false, pinned: None, replay: String::new() };
                        while let Some(case) = cases.get(next.fetch_add(1, std::sync::atomic::Ordering::Relaxed)) {
                            let record = runner.judge(case).unwrap();
                            for found in &record.findings {
                                let (id, line) = (&found.requirement, found.line);
                                let said = format!("{}:{line} {id}: {}; {}", record.name, found.expected, found.actual);
                                failed.lock().unwrap().push(said);
                            }
                            let by = seen_by().into_iter().map(|seen| (case.name.clone(), seen));
                            seen.lock().unwrap().extend(by);
                        }
                    });
                }
            });
        };
    play_all(&threads, &found, &|| {
        let notes = Notes::here();
        (in_thread(&notes), Box::new(move || notes.take()))
    });
    let folder = tempfile::tempdir().unwrap();
    let number = std::sync::atomic::AtomicUsize::new(0);
    let in_process = || {
        let path = folder.path().join(number.fetch_add(1, std::sync::atomic::Ordering::Relaxed).to_string());
        File::create(&path).unwrap();
        let program = std::env::current_exe().unwrap();
        let words = [program.to_str().unwrap(), "serve", served.dialect().name, path.to_str().unwrap()];
        let command = words.map(str::to_owned).to_vec();
        let launcher = bench.launcher(Target::Spawn { command, socket: None });
        let read = move || {
            let text = std::fs::read_to_string(&path).unwrap();
            File::create(&path).unwrap();
            text.lines().map(|line| line.parse().unwrap()).collect()
        };
        (launcher, Box::new(read) as Box<dyn Fn() -> Vec<Seen>>)
    };
    let (launcher, probed) = in_process();
    let found_there = bench.probe(&launcher);
    seen.lock().unwrap().extend(probed().into_iter().map(|seen| ("the probe of a process".to_owned(), seen)));
    play_all(&processes, &found_there, &in_process);
    let failed = failed.into_inner().unwrap();
    if !failed.is_empty() {
        return Err(format!("cases with findings:\n{}", failed.join("\n")).into());
    }
    // With scratch bytes, writes past their region's end are tried as well: they are to be refused.
    judge(&seen.into_inner().unwrap(), &Allowed::new(&found, bench.device.as_ref(), !device))
}

/// Sequences that nobody wrote, by calls.
fn generated(served: served::Profile, device: bool) -> Result<(), Failed> {
    let bench = Bench::new(served, device);
    let notes = Notes::here();
    let noted = notes.clone();
    let make = move || Box::new(Watched::new(served, noted.clone())) as Box<dyn served::Machine>;
    let launcher = bench.launcher(DirectMachine::target("a watched server", make));
    let found = bench.probe(&launcher);
    let offer = Offer::new(&found, bench.device.as_ref());
    let mut seen: Vec<(String, Seen)> = notes.take().into_iter().map(|seen| ("the probe".to_owned(), seen)).collect();
    for number in 0..SEQUENCES {
        let case = Planned::of(&draw(&offer, 1, number)).unwrap();
        play(bench.context(&launcher, &found), &case, launcher.start().unwrap());
        seen.extend(notes.take().into_iter().map(|seen| (case.name.clone(), seen)));
    }
    judge(&seen, &Allowed::new(&found, bench.device.as_ref(), true))
}
