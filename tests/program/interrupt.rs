//! Ctrl-C, SIGTERM and SIGHUP: exit code 130, nothing left behind (which `support` looks at after every run), a report that says
//! that it is incomplete.

use std::process::{Command, Stdio};

use crate::support::{Bench, Ended, Moment, PASSES, RESETS, Standing, server};
use nix::sys::signal::{SigHandler, Signal, kill, signal};
use nix::unistd::Pid;
use serde_json::json;

/// Far longer than a test takes: whatever ends before it was interrupted.
const LONG: [&str; 2] = ["--timeout", "8s"];

const IN_ERROR: &str = "case huge.offset\nwith n = 4\n> REGION_READ region=0 offset={n}*0x7fffffffffffffff count=4\n< error                                                 [RREAD-01]\n";
const VIOLATED: &str =
    "case info.refused\n> DEVICE_GET_INFO\n< error                                                 [INFO-01]\n";

/// Runs against a server in `mode`, and sends the signal at the moment that the server announces.
fn interrupted(bench: &Bench, mode: &str, signal: Signal, arguments: &[&str]) -> Ended {
    let moment = Moment::at(&bench.word("announce.sock"));
    let command = server(&format!("{mode} --announce {}", bench.word("announce.sock")));
    let running = bench.start_run(&[&["--spawn", &command], &LONG[..], arguments].concat());
    moment.wait();
    running.signal(signal);
    running.end()
}

#[track_caller]
fn is_interrupted(ended: &Ended) {
    ended.has_code(130).says("Exit code 130: the run was interrupted");
    assert_eq!(ended.report()["complete"], false);
}

#[test]
fn in_the_middle_of_a_case() {
    let bench = Bench::new(&[("a.case", PASSES), ("b.case", RESETS), ("c.case", VIOLATED)]);
    let ended = interrupted(&bench, "silent", Signal::SIGINT, &["--jobs", "1"]);
    is_interrupted(&ended);
    assert_eq!(ended.names(), ["good.info"], "what has a result is reported, what was interrupted has none");
}

#[test]
fn by_sigterm() {
    let bench = Bench::new(&[("a.case", RESETS)]);
    is_interrupted(&interrupted(&bench, "silent", Signal::SIGTERM, &[]));
}

#[test]
fn by_the_end_of_the_terminal() {
    // SAFETY: it sets no handler. What the tests were started by may have had the signal ignored, and the program would inherit that.
    unsafe { signal(Signal::SIGHUP, SigHandler::SigDfl) }.unwrap();
    let bench = Bench::new(&[("a.case", RESETS)]);
    is_interrupted(&interrupted(&bench, "silent-stubborn", Signal::SIGHUP, &[]));
}

#[test]
fn under_nohup_the_end_of_the_terminal_is_none_of_a_run() {
    let bench = Bench::new(&[("a.case", RESETS)]);
    let (announce, cases) = (bench.word("announce.sock"), bench.word("cases"));
    let moment = Moment::at(&announce);
    let command = server(&format!("silent --announce {announce}"));
    let program = ["-c", "trap '' HUP; exec \"$@\"", "sh", env!("CARGO_BIN_EXE_vfio-user-conformance")];
    let run = ["run", "--cases", &cases, "--spawn", &command, "--timeout", "500ms"];
    let running = bench.start_other("sh", &[&program[..], &run[..]].concat());
    moment.wait();
    running.signal(Signal::SIGHUP);
    running.end().has_code(2);
}

#[test]
fn with_many_servers_at_once() {
    let cases: Vec<String> = (0..12).map(|n| RESETS.replace("reset.refused", &format!("reset.n{n}"))).collect();
    let bench = Bench::new(&[("a.case", &cases.join("\n"))]);
    let ended = interrupted(&bench, "silent", Signal::SIGINT, &["--jobs", "8"]);
    is_interrupted(&ended);
    assert_eq!(ended.report()["cases"], json!([]));
}

#[test]
fn with_a_server_that_ignores_sigterm_and_has_a_child() {
    let bench = Bench::new(&[("a.case", RESETS)]);
    is_interrupted(&interrupted(&bench, "silent-stubborn", Signal::SIGINT, &[]));
}

#[test]
fn a_second_signal_ends_it_at_once_and_leaves_nothing_either() {
    let bench = Bench::new(&[("a.case", RESETS)]);
    let moment = Moment::at(&bench.word("announce.sock"));
    // It ignores SIGTERM, so that an orderly end would take a second.
    let command = server(&format!("silent-stubborn --announce {}", bench.word("announce.sock")));
    let running = bench.start_run(&[&["--spawn", &command], &LONG[..]].concat());
    moment.wait();
    // Two signals of one kind could be seen as one.
    running.signal(Signal::SIGINT);
    running.signal(Signal::SIGTERM);
    let ended = running.end();
    ended.has_code(130);
    assert!(ended.report.is_none(), "it did not end at once");
}

/// As where an allocation fails: a fault of ours, and no crash of anybody's. What cannot be done in a signal's handler is left: the folder.
#[test]
fn an_abort_is_70() {
    let bench = Bench::new(&[("a.case", RESETS)]);
    let (announce, home) = (bench.word("announce.sock"), tempfile::tempdir().unwrap());
    let moment = Moment::at(&announce);
    let mut run = Command::new(env!("CARGO_BIN_EXE_vfio-user-conformance"))
        .args(["run", "--cases", &bench.word("cases"), "--spawn"])
        .arg(server(&format!("silent --announce {announce}")))
        .args(LONG)
        .env("TMPDIR", home.path())
        .env("XDG_STATE_HOME", home.path())
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    moment.wait();
    kill(Pid::from_raw(run.id() as i32), Signal::SIGABRT).unwrap();
    assert_eq!(run.wait().unwrap().code(), Some(70));
}

#[test]
fn while_the_server_is_asked_what_it_offers() {
    let bench = Bench::new(&[("a.case", PASSES)]);
    let ended = interrupted(&bench, "never-answers", Signal::SIGINT, &[]);
    is_interrupted(&ended);
    assert_eq!(ended.report()["cases"], json!([]));
}

#[test]
fn while_the_server_starts() {
    let bench = Bench::new(&[("a.case", PASSES)]);
    is_interrupted(&interrupted(&bench, "never-listens", Signal::SIGINT, &[]));
}

#[test]
fn probe_is_interrupted_too() {
    let bench = Bench::new(&[]);
    let moment = Moment::at(&bench.word("announce.sock"));
    let command = server(&format!("never-answers --announce {}", bench.word("announce.sock")));
    let running = bench.start(&[&["probe", "--spawn", &command], &LONG[..]].concat(), &[]);
    moment.wait();
    running.signal(Signal::SIGINT);
    running.end().has_code(130);
}

#[test]
fn stands_over_errors_violations_and_drift() {
    let bench = Bench::new(&[("a.case", IN_ERROR), ("b.case", VIOLATED), ("c.case", RESETS)]);
    let ended = interrupted(&bench, "silent", Signal::SIGINT, &["--jobs", "1"]);
    is_interrupted(&ended);
    assert_eq!(ended.names(), ["huge.offset/4", "info.refused"]);
    assert_eq!(ended.case("huge.offset/4")["result"], "error");
    assert_eq!(ended.case("info.refused")["result"], "fail");
    let bench = Bench::new(&[("b.case", VIOLATED), ("c.case", RESETS)]);
    let pins = bench.write("pins.toml", "");
    let ended = interrupted(&bench, "silent", Signal::SIGINT, &["--jobs", "1", "--expect", &pins]);
    is_interrupted(&ended);
    ended.says("DRIFT");
}

#[test]
fn stands_over_a_report_that_is_lost() {
    let bench = Bench::new(&[("a.case", RESETS)]);
    interrupted(&bench, "silent", Signal::SIGINT, &["--report", "json=/dev/full"]).has_code(130);
}

#[test]
fn a_junit_report_is_whole() {
    let bench = Bench::new(&[("a.case", PASSES), ("b.case", RESETS)]);
    let junit = format!("junit={}", bench.word("junit.xml"));
    let ended = interrupted(&bench, "silent", Signal::SIGINT, &["--jobs", "1", "--report", &junit]);
    is_interrupted(&ended);
    let text = std::fs::read_to_string(bench.path("junit.xml")).unwrap();
    assert!(text.trim_end().ends_with("</testsuites>"), "{text}");
}

#[test]
fn a_server_that_ran_already_goes_on() {
    let bench = Bench::new(&[("a.case", RESETS)]);
    let (path, announce) = (bench.word("standing.sock"), bench.word("announce.sock"));
    let moment = Moment::at(&announce);
    let mut standing = Standing::start(&format!("silent --announce {announce}"), &path);
    standing.wait_for(&path);
    let running = bench.start_run(&[&["--socket", &path], &LONG[..]].concat());
    moment.wait();
    running.signal(Signal::SIGINT);
    is_interrupted(&running.end());
    assert!(standing.runs());
}

#[test]
fn a_search_writes_what_it_has() {
    let bench = Bench::new(&[]);
    let keep = bench.word("kept");
    let arguments = ["generated", "--generate", "100000", "--seed", "1", "--keep", &keep, "--jobs", "1"];
    let ended = interrupted(&bench, "silent", Signal::SIGINT, &arguments);
    is_interrupted(&ended);
    let report = ended.report();
    assert!(report["generated"]["sequences"].as_u64().unwrap() < 100_000);
    let written = std::fs::read_dir(bench.path("kept")).map_or(0, Iterator::count);
    assert_eq!(written, report["cases"].as_array().unwrap().len());
}
