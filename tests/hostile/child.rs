//! The process that plays: so many replies by one way, or one input.

use std::process::ExitCode;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use proptest::prelude::*;
use proptest::test_runner::{Config, RngAlgorithm, TestCaseError, TestError, TestRng, TestRunner};

use crate::bounds::BOUNDS;
use crate::hostile::{Bench, Mode, hex, hostile_replies, served, unhex};
use crate::lines::LINES;
use crate::server;

/// The word that stands before what this process is to play.
pub(crate) const PLAY: &str = "play-hostile";

/// What the harness may take, in KiB.
const MEMORY: u64 = 64 << 10;
/// Nothing takes so long: whoever does hangs. Far above the bounds of a probe and of all attempts at a case, which are ten
/// seconds each, for a machine that is busy.
const HANGS: Duration = Duration::from_secs(120);
/// How long threads and descriptors of a server may take to be gone.
const GONE: Duration = Duration::from_secs(20);
/// Plays of one seed.
const PLAYS: u32 = 500;

/// Panics of any thread.
static PANICS: Mutex<Vec<String>> = Mutex::new(Vec::new());
/// When the play began that is under way, and what plays it again.
static UNDER_WAY: Mutex<Option<(Instant, String)>> = Mutex::new(None);

/// `calls|sockets replies VERSION COUNT SEED`, `calls|sockets input HEX`, or `bound NAME`.
pub(crate) fn main(words: &[String]) -> ExitCode {
    std::panic::set_hook(Box::new(|panic| {
        let thread = std::thread::current();
        let text = format!("{panic} in thread {}", thread.name().unwrap_or("?"));
        eprintln!("{text}");
        PANICS.lock().unwrap().push(text);
    }));
    let [mode, what, rest @ ..] = words else { return usage() };
    let mode = match mode.as_str() {
        "bound" => return told(bound(what)),
        "calls" => Ok(Mode::Calls),
        "sockets" => server::start().map(Mode::Sockets),
        _ => return usage(),
    };
    let done = match (mode, what.as_str(), rest) {
        (Err(error), ..) => Err(format!("no server: {error}")),
        (Ok(mode), "replies", [version, count, seed]) => match (version.parse(), count.parse(), seed.parse()) {
            (Ok(version), Ok(count), Ok(seed)) => replies(&mode, version, count, seed),
            _ => return usage(),
        },
        (Ok(mode), "input", [hex]) => input(&mode, hex),
        _ => return usage(),
    };
    told(done)
}

fn told(done: Result<String, String>) -> ExitCode {
    match done {
        Ok(said) => {
            println!("{said}");
            ExitCode::SUCCESS
        }
        Err(why) => {
            println!("{why}");
            ExitCode::FAILURE
        }
    }
}

fn usage() -> ExitCode {
    println!("{PLAY} calls|sockets replies VERSION COUNT SEED, or {PLAY} calls|sockets input HEX");
    ExitCode::FAILURE
}

fn bound(name: &str) -> Result<String, String> {
    let (_, hold) = BOUNDS.iter().chain(&LINES).find(|(known, _)| *known == name).ok_or("no such bound")?;
    watch();
    begin(name.to_owned());
    hold()?;
    if peak() > MEMORY { Err(format!("{} KiB of memory", peak())) } else { Ok(format!("{name}: {} KiB", peak())) }
}

fn input(mode: &Mode, text: &str) -> Result<String, String> {
    let bytes = unhex(text).ok_or("no hexadecimal")?;
    let bench = Bench::new(bytes.first().copied().unwrap_or_default());
    watch();
    begin(again(mode, &bytes));
    forget_peak();
    let base = peak();
    let before = descriptors();
    let played = bench.play(mode, &bytes)?;
    holds(before)?;
    Ok(format!("{played:?}, {} hostile replies, {} KiB, {base} before", sent(mode), peak()))
}

/// Plays inputs of one seed after the other until so many replies were sent.
fn replies(mode: &Mode, version: u8, wanted: u64, first: u64) -> Result<String, String> {
    let bench = Bench::new(version);
    let started = Instant::now();
    watch();
    let (mut plays, mut longest, mut seed, mut most) = (0, (Duration::ZERO, String::new()), first, 0);
    let mut results = std::collections::BTreeMap::<String, u64>::new();
    while sent(mode) < wanted {
        let mut wide = [0; 32];
        wide[..8].copy_from_slice(&seed.to_le_bytes());
        let config = Config { cases: PLAYS, failure_persistence: None, max_shrink_iters: 2000, ..Config::default() };
        let mut runner = TestRunner::new_with_rng(config, TestRng::from_seed(RngAlgorithm::ChaCha, &wide));
        let before = descriptors();
        let told = Mutex::new((&mut plays, &mut longest, &mut results));
        let outcome = runner.run(&inputs(version), |input| {
            if sent(mode) >= wanted {
                return Ok(());
            }
            begin(again(mode, &input));
            forget_peak();
            let played = bench.play(mode, &input);
            *UNDER_WAY.lock().unwrap() = None;
            let checked = played.and_then(|played| holds(before).map(|()| played));
            match checked {
                Ok(played) => {
                    let mut told = told.lock().unwrap();
                    *told.0 += 1;
                    if played.time > told.1.0 {
                        *told.1 = (played.time, format!("{} {}", played.what, hex(&input)));
                    }
                    *told.2.entry(format!("{:?}", played.result)).or_default() += 1;
                    Ok(())
                }
                Err(why) => Err(TestCaseError::fail(why)),
            }
        });
        most = most.max(peak());
        if let Err(error) = outcome {
            return Err(match error {
                TestError::Fail(why, input) => {
                    format!("seed {seed}: {why}\n{}", again(mode, &input))
                }
                TestError::Abort(why) => format!("seed {seed}: {why}"),
            });
        }
        seed += 1;
    }
    let results: Vec<String> = results.iter().map(|(result, count)| format!("{count} {result}")).collect();
    Ok(format!(
        "{} of {}: {} hostile replies in {plays} plays in {:.1} s from seed {first}: {}; the longest took {:.2?}: {}; at most {most} KiB",
        name(mode),
        served(version).dialect().name,
        sent(mode),
        started.elapsed().as_secs_f64(),
        results.join(", "),
        longest.0,
        longest.1,
    ))
}

/// How an input is played again.
fn again(mode: &Mode, input: &[u8]) -> String {
    format!("play it again: HOSTILE_INPUT={}:{}", name(mode), hex(input))
}

/// How many hostile replies were sent.
fn sent(mode: &Mode) -> u64 {
    match mode {
        Mode::Calls => hostile_replies(),
        Mode::Sockets(remote) => remote.replies(),
    }
}

fn name(mode: &Mode) -> &'static str {
    match mode {
        Mode::Calls => "calls",
        Mode::Sockets(_) => "sockets",
    }
}

/// What is played, and a script.
fn inputs(version: u8) -> impl Strategy<Value = Vec<u8>> {
    let temper = prop_oneof![Just(8u8), Just(24), Just(64), Just(128), Just(255), any::<u8>()];
    (any::<[u8; 4]>(), temper, prop::collection::vec(any::<u8>(), 0..600)).prop_map(
        move |([what, choice @ ..], temper, script)| {
            [[what & !3 | version & 3].as_slice(), &choice, &[temper], &script].concat()
        },
    )
}

/// Nothing is left of a play.
fn holds(before: usize) -> Result<(), String> {
    let deadline = Instant::now() + GONE;
    while descriptors() > before && Instant::now() < deadline {
        std::thread::yield_now();
    }
    let after = descriptors();
    if after > before {
        return Err(format!("{after} descriptors are open, {before} were before"));
    }
    let panics = std::mem::take(&mut *PANICS.lock().unwrap());
    if !panics.is_empty() {
        return Err(panics.join("\n"));
    }
    let peak = peak();
    if peak > MEMORY {
        return Err(format!("{peak} KiB of memory"));
    }
    Ok(())
}

/// A play begins; `what` is told if it hangs.
fn begin(what: String) {
    *UNDER_WAY.lock().unwrap() = Some((Instant::now(), what));
}

/// Ends the process where a play hangs.
fn watch() {
    std::thread::spawn(|| {
        loop {
            std::thread::sleep(Duration::from_secs(1));
            if let Some((_, what)) = UNDER_WAY.lock().unwrap().as_ref().filter(|(began, _)| began.elapsed() > HANGS) {
                println!("a play hangs\n{what}");
                std::process::abort();
            }
        }
    });
}

/// Descriptors that this process has open.
fn descriptors() -> usize {
    std::fs::read_dir("/proc/self/fd").map_or(0, Iterator::count)
}

/// The most memory that this process has had since it was last asked to forget, in KiB.
fn peak() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap_or_default();
    line.trim().trim_end_matches(" kB").parse().unwrap_or(0)
}

/// So that each play is measured by itself. Where the kernel does not know it, all of them are.
fn forget_peak() {
    let _ = std::fs::write("/proc/self/clear_refs", "5");
}
