//! The same verdicts every time, on a machine that is busy with other work: `ci/steady`.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test")]

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Debug;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;
use std::{env, fs, thread};

use vfio_user_conformance::report::Report;

/// How many reports with a change are kept; one has some 50 MB.
const KEPT: usize = 5;
/// Bytes that are written to a file again and again, so that the page cache is never at rest.
const WRITTEN: usize = 32 << 20;

/// What a run said: all that may not depend on when it ran.
#[derive(Debug, Default, PartialEq, Eq)]
struct Verdicts {
    exit: Option<i32>,
    complete: bool,
    faults: Vec<String>,
    /// By case: its result and why, and its findings.
    cases: BTreeMap<String, BTreeSet<String>>,
    /// By requirement: its status and why.
    requirements: BTreeMap<String, String>,
}

impl Verdicts {
    fn of(report: &Report, exit: Option<i32>) -> Verdicts {
        let cases = report.cases.iter().map(|case| {
            let result = format!("{:?} {}", case.result, case.reason.as_deref().unwrap_or_default());
            let findings = case.findings.iter().map(|finding| {
                let (id, class, line) = (&finding.requirement, finding.class, finding.line);
                format!("{class:?} of {id} in line {line}: {} instead of {}", finding.actual, finding.expected)
            });
            (case.name.clone(), [result.trim_end().to_owned()].into_iter().chain(findings).collect())
        });
        let requirements = report.requirements.iter().map(|(id, status)| {
            let reason = status.reason.as_deref().unwrap_or_default();
            (id.clone(), format!("{:?} {reason}", status.status).trim_end().to_owned())
        });
        Verdicts {
            exit,
            complete: report.complete,
            faults: report.faults.clone(),
            cases: cases.collect(),
            requirements: requirements.collect(),
        }
    }

    /// What is otherwise in another run, a line each.
    fn changes(&self, other: &Verdicts) -> Vec<String> {
        let mut changes = Vec::new();
        let mut compare = |what: &str, one: &dyn Debug, two: &dyn Debug| {
            let (one, two) = (format!("{one:?}"), format!("{two:?}"));
            if one != two {
                changes.push(format!("{what}: {one} became {two}"));
            }
        };
        compare("the exit code", &self.exit, &other.exit);
        compare("a result for every case", &self.complete, &other.complete);
        compare("faults", &self.faults, &other.faults);
        for name in self.cases.keys().chain(other.cases.keys()).collect::<BTreeSet<_>>() {
            let [one, two] = [self, other].map(|run| run.cases.get(name).cloned().unwrap_or_default());
            // Of a case only that is told which is otherwise.
            let (gone, came) = (one.difference(&two).collect::<Vec<_>>(), two.difference(&one).collect::<Vec<_>>());
            if !(gone.is_empty() && came.is_empty()) {
                compare(name, &gone, &came);
            }
        }
        for id in self.requirements.keys().chain(other.requirements.keys()).collect::<BTreeSet<_>>() {
            compare(id, &self.requirements.get(id), &other.requirements.get(id));
        }
        changes
    }
}

#[test]
#[ignore = "it takes hours: ci/steady"]
fn no_verdict_changes_under_load() {
    let times: usize = env::var("STEADY_TIMES").map_or(200, |text| text.parse().expect("STEADY_TIMES is a number"));
    let arguments =
        shlex::split(&env::var("STEADY_ARGUMENTS").unwrap_or_default()).expect("STEADY_ARGUMENTS are words");
    let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("steady");
    fs::create_dir_all(&folder).unwrap();
    let stop = AtomicBool::new(false);
    let changed = thread::scope(|scope| {
        let cores = thread::available_parallelism().map_or(2, usize::from);
        let busy = if env::var_os("STEADY_BUSY").is_some() { 0 } else { cores };
        for _ in 0..busy {
            scope.spawn(|| until(&stop, || (0..1_000_000u64).for_each(|n| _ = std::hint::black_box(n))));
        }
        scope.spawn(|| until(&stop, start_others));
        scope.spawn(|| until(&stop, || fs::write(folder.join("page-cache"), vec![0x5a; WRITTEN]).unwrap()));
        let changed = thread::Builder::new().spawn_scoped(scope, || repeat(times, &arguments, &folder)).unwrap().join();
        stop.store(true, Ordering::Relaxed);
        changed
    });
    let _ = fs::remove_file(folder.join("page-cache"));
    assert_eq!(changed.unwrap(), 0, "repetitions with another verdict, in {}", folder.display());
}

/// How many of the repetitions said something else than the first one.
fn repeat(times: usize, arguments: &[String], folder: &Path) -> usize {
    let mut first = None;
    let mut changed = 0;
    for number in 1..=times {
        let started = Instant::now();
        let path = folder.join(format!("{number}.json"));
        let (report, exit) = run(arguments, &path);
        let verdicts = Verdicts::of(&report, exit);
        let again = report.cases.iter().filter(|case| case.attempts.len() > 1).count();
        let changes = first.as_ref().map_or_else(Vec::new, |first: &Verdicts| first.changes(&verdicts));
        let totals = report.totals;
        println!(
            "{number} of {times}: {} cases, {} pass, {} fail, {} skip, {} inconclusive, {} error, {} notes; {again} played \
             again; {} changes; {:.0} s",
            report.cases.len(),
            totals.pass,
            totals.fail,
            totals.skip,
            totals.inconclusive,
            totals.error,
            totals.notes,
            changes.len(),
            started.elapsed().as_secs_f64(),
        );
        for case in report.cases.iter().filter(|case| case.attempts.len() > 1) {
            println!("  played again: {}", case.name);
        }
        for change in &changes {
            println!("  {change}");
        }
        changed += usize::from(!changes.is_empty());
        // The first one stays to be compared with, and of those that changed some.
        if first.is_some() && (changes.is_empty() || changed > KEPT) {
            fs::remove_file(&path).unwrap();
        }
        first.get_or_insert(verdicts);
    }
    changed
}

fn run(arguments: &[String], report: &Path) -> (Report, Option<i32>) {
    let status = Command::new(env!("CARGO_BIN_EXE_vfio-user-conformance"))
        .args(["run", "--report", &format!("json={}", report.display())])
        .args(arguments)
        .env("XDG_STATE_HOME", "/dev/null")
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .status()
        .unwrap();
    let text = fs::read(report).unwrap_or_else(|error| panic!("no report ({status}): {error}"));
    (serde_json::from_slice(&text).expect("the report is one"), status.code())
}

/// Processes that come and go.
fn start_others() {
    drop(Command::new("/bin/sh").args(["-c", "true; true"]).stdin(Stdio::null()).status());
}

fn until(stop: &AtomicBool, work: impl Fn()) {
    while !stop.load(Ordering::Relaxed) {
        work();
    }
}
