//! Faults of the harness and of its set-up, real ones: each is 70 or 4 with a sentence, and never the server's failure.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test, helpers included")]

mod support;

use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use std::{fs, io};

use support::{Bench, Ended, PASSES, RESETS, Standing, server};
use vfio_user_conformance::Profile;
use vfio_user_conformance::requirement::Register;
use vfio_user_conformance::run::{Context, Event, Library, Runner, Timeouts};
use vfio_user_conformance::session::{Direct, Interrupt};
use vfio_user_conformance::target::{DirectServer, DirectTarget, Discovered, Launcher, Target};
use vfio_user_conformance::verdict::CaseResult;

/// Eventfds, memory, a second client: what takes descriptors of the harness.
const TAKES: &str = "case take.fds
let one = eventfd
let two = socketpair
let ram = memfd 0x1000
client b connected
> DEVICE_RESET fds=one,two,ram
< error or closed                                       [RESET-01]
";
const PROGRAM: &str = env!("CARGO_BIN_EXE_vfio-user-conformance");

/// Runs the program behind a shell that sets its limits first; `words` may have a `$0` and `$@` of its own.
fn limited(bench: &Bench, limit: &str, arguments: &[&str]) -> Ended {
    let script = format!("{limit} && exec \"$@\"");
    let (cases, report) = (bench.word("cases"), format!("json={}", bench.word("report.json")));
    // What an earlier run left is not this one's.
    let _ = fs::remove_file(bench.path("report.json"));
    let words = ["-c", &script, "sh", PROGRAM, "run", "--cases", &cases, "--report", &report];
    bench.start_other("sh", &[&words[..], arguments].concat()).end()
}

/// Each case's result.
fn results(ended: &Ended) -> BTreeMap<String, String> {
    let cases = ended.report()["cases"].as_array().unwrap().iter();
    cases.map(|case| (case["name"].to_string(), case["result"].to_string())).collect()
}

/// Either nothing has changed, or the fault is told as one: no violation, no panic, and what lacked has a name.
#[track_caller]
fn is_sound(ended: &Ended, whole: &BTreeMap<String, String>, lacks: &[&str]) {
    assert!(!ended.stderr.contains("panicked"), "{}", ended.stderr);
    if ended.code == 0 {
        assert_eq!(&results(ended), whole);
        return;
    }
    assert!([4, 70].contains(&ended.code), "{}\n{}\n{}", ended.code, ended.stdout, ended.stderr);
    let said = format!("{}{}", ended.stdout, ended.stderr);
    assert!(!said.contains("VIOLATIONS"), "{said}");
    assert!(lacks.iter().any(|words| said.contains(words)), "{said}");
    if let Some(report) = &ended.report {
        assert_eq!(report["totals"]["fail"], 0, "{said}");
    }
}

#[test]
fn few_descriptors_are_told_as_that_and_never_as_the_servers() {
    let bench = Bench::new(&[("a.case", PASSES), ("b.case", TAKES)]);
    let path = bench.word("standing.sock");
    // This one has all that it wants: only the program lacks something.
    let standing = Standing::start("good", &path);
    standing.wait_for(&path);
    let run = |limit: usize| limited(&bench, &format!("ulimit -n {limit}"), &["--socket", &path, "--timeout", "5s"]);
    let whole = results(run(256).has_code(0));
    for limit in 4..24 {
        is_sound(&run(limit), &whole, &["Too many open files", "cannot open shared object file"]);
    }
}

#[test]
fn few_descriptors_for_servers_are_no_ground_to_judge_them() {
    let bench = Bench::new(&[("a.case", PASSES)]);
    let good = server("good");
    let run = |limit: &str| limited(&bench, limit, &["--spawn", &good]);
    run("ulimit -n 127").has_code(70).says("the limit is 127 open descriptors").says("ulimit -n");
    run("ulimit -n 128").has_code(0);
    // Nobody is to read what an earlier run left.
    let left = format!("junit={}", bench.write("earlier.xml", "green"));
    limited(&bench, "ulimit -n 127", &["--spawn", &good, "--report", &left]).has_code(70);
    assert!(!bench.path("earlier.xml").exists());
    // What is a limit of the program alone is raised.
    run("ulimit -Sn 128").has_code(0);
}

#[test]
fn little_address_space_is_told_as_that() {
    let bench = Bench::new(&[("a.case", PASSES)]);
    let good = server("good");
    let run = |kib: u64| limited(&bench, &format!("ulimit -v {kib}"), &["--spawn", &good, "--timeout", "5s"]);
    let whole = results(run(4 << 20).has_code(0));
    for mib in [48, 96, 512, 2047, 2048] {
        is_sound(&run(mib << 10), &whole, &["bytes of address space", "memory allocation of"]);
    }
}

#[test]
fn small_files_are_told_as_that() {
    let large = "case take.gigabyte\nlet ram = memfd 0x60000000\n> DEVICE_RESET fds=ram\n< error or closed                                       [RESET-01]\n";
    let bench = Bench::new(&[("a.case", PASSES), ("b.case", large)]);
    let good = server("good");
    let run = |limit: &str| limited(&bench, limit, &["--spawn", &good, "--timeout", "5s"]);
    run("ulimit -f 1").has_code(70).says("1073741824 are needed").says("ulimit -f");
    // Blocks of 512 bytes for some shells, of 1024 for others: above what is needed, and below what the case takes.
    let ended = run("ulimit -f $((1 << $(if [ -n \"$BASH\" ]; then echo 20; else echo 21; fi)))");
    ended.has_code(70).says("File too large");
    assert_eq!(ended.case("good.info")["result"], "pass");
    assert_eq!(ended.case("take.gigabyte")["result"], "error");
}

/// What the program ends with, and complains of, where nobody reads its standard output any more.
fn unread(bench: &Bench, arguments: &[&str]) -> (i32, String) {
    let (reader, writer) = io::pipe().unwrap();
    drop(reader);
    let mut command = std::process::Command::new("timeout");
    command.args(["120", PROGRAM]).args(arguments).env("TMPDIR", bench.path("tmp")).stdout(writer);
    command.env("XDG_STATE_HOME", bench.path("state"));
    let output = command.output().unwrap();
    (output.status.code().unwrap(), String::from_utf8(output.stderr).unwrap())
}

#[test]
fn a_reader_that_has_seen_enough_changes_no_exit_code() {
    let bench = Bench::new(&[("a.case", PASSES), ("b.case", RESETS)]);
    let (cases, good, bad) = (bench.word("cases"), server("good"), server("wrong-id"));
    let wrong = bench.write("wrong.case", "case wrong\n> NOTHING\n");
    let commands: [(&[&str], i32); 7] = [
        (&["list"], 0),
        (&["explain", "DMAP-05"], 0),
        (&["check"], 0),
        (&["check", &wrong], 1),
        (&["probe", "--spawn", &good], 0),
        (&["run", "--cases", &cases, "--spawn", &good, "--timeout", "5s"], 0),
        (&["run", "--cases", &cases, "--spawn", &bad, "--timeout", "5s"], 2),
    ];
    for (command, code) in commands {
        let (ended, said) = unread(&bench, command);
        assert_eq!(ended, code, "{command:?} {said}");
        assert!(!said.contains("ipe") && !said.contains("written"), "{command:?} {said}");
    }
    // A report is not for who looks at the beginning of it.
    let report = ["run", "--cases", &cases, "--spawn", &good, "--report", "json=/dev/stdout"];
    assert_eq!(unread(&bench, &report).0, 70);
}

#[test]
fn standard_output_that_takes_nothing_is_70() {
    let bench = Bench::new(&[("a.case", PASSES)]);
    let (cases, good) = (bench.word("cases"), server("good"));
    let commands: [&[&str]; 6] = [
        &["run", "--cases", &cases, "--spawn", &good],
        &["list"],
        &["list", "--requirements"],
        &["explain", "DMAP-05"],
        &["check", &cases],
        &["probe", "--spawn", &good],
    ];
    for command in commands {
        for script in
            ["exec \"$@\" > /dev/full", "exec \"$@\" >&-", "(sleep 0; exec \"$@\"; echo $? >&3) 3>&1 | exec true"]
        {
            let words = [&["-c", script, "sh", PROGRAM], command].concat();
            let ended = bench.start_other("sh", &words).end();
            assert!(!ended.stderr.contains("panicked"), "{command:?} {}", ended.stderr);
            if script.contains("/dev/full") {
                ended.has_code(70).says("No space left on device");
            }
        }
    }
}

#[test]
fn a_folder_that_takes_no_file_is_70() {
    let bench = Bench::new(&[("a.case", PASSES)]);
    let (cases, good) = (bench.word("cases"), server("good"));
    // Where not even root writes.
    let ended = bench.start(&["run", "--cases", &cases, "--spawn", &good], &[("TMPDIR", "/proc")]).end();
    ended.has_code(70).says("no temporary folder").says("/proc");
    for report in ["json=/proc/report.json", "junit=/proc/report.xml"] {
        bench.against("good", &["--report", report]).has_code(70).says("a report could not be written: /proc/report");
    }
    let ended = bench.against("good", &["--report", "json=/dev/full"]);
    ended.has_code(70).says("No space left on device");
}

#[test]
fn no_room_for_a_report_is_70_and_leaves_none() {
    let bench = Bench::new(&[("a.case", PASSES)]);
    let (cases, good, full) = (bench.word("cases"), server("good"), bench.word("full"));
    fs::create_dir(&full).unwrap();
    let mount = format!("mount -t tmpfs -o size=4k none {full}");
    let can = std::process::Command::new("unshare").args(["-rm", "sh", "-c", &mount]).output();
    if !can.is_ok_and(|done| done.status.success()) {
        eprintln!("SKIPPED: no file system can be mounted here, so that a full one was not tried");
        return;
    }
    let script = format!("{mount} && \"$@\"; code=$?; ls -A {full}; exit $code");
    let report = format!("json={full}/report.json");
    let words =
        ["-rm", "sh", "-c", &script, "sh", PROGRAM, "run", "--cases", &cases, "--spawn", &good, "--report", &report];
    let ended = bench.start_other("unshare", &words).end();
    ended.has_code(70).says("No space left on device");
    assert!(!ended.stdout.contains("report.json"), "{}", ended.stdout);
}

#[test]
fn threads_and_processes_that_cannot_be_had_are_told_as_that() {
    let bench = Bench::new(&[("a.case", PASSES), ("b.case", RESETS)]);
    let good = server("good");
    // Root has as many as it likes.
    let nobody = ["--reuid=65534", "--clear-groups"];
    let deps = std::env::current_exe().unwrap();
    let can = std::process::Command::new("setpriv").args(nobody).args([PROGRAM, "--version"]).output();
    if !nix::unistd::geteuid().is_root() || !can.is_ok_and(|done| done.status.success()) {
        eprintln!(
            "SKIPPED: {} cannot be run as another user, so that a want of processes was not tried",
            deps.display()
        );
        return;
    }
    let open = |name: &str| fs::set_permissions(bench.path(name), fs::Permissions::from_mode(0o777)).unwrap();
    [".", "tmp", "cases"].into_iter().for_each(open);
    let run = |limit: usize| {
        let _ = fs::remove_file(bench.path("report.json"));
        let limit = format!("--nproc={limit}");
        let (cases, report) = (bench.word("cases"), format!("json={}", bench.word("report.json")));
        let program = ["prlimit", &limit, PROGRAM, "run", "--cases", &cases, "--report", &report];
        let more = ["--spawn", &good, "--jobs", "2", "--timeout", "5s"];
        bench.start_other("setpriv", &[&nobody[..], &program, &more].concat()).end()
    };
    let whole = results(run(200).has_code(0));
    for limit in 1..14 {
        is_sound(&run(limit), &whole, &["Resource temporarily unavailable", "Cannot fork"]);
    }
}

/// The first attempt is silent; the second one, where there is a mode for it, is another server; then there is none any more.
fn lost_while_repeated(second: Option<&str>) -> (Bench, Ended) {
    let bench = Bench::new(&[("b.case", RESETS)]);
    let (silent, later) = (bench.word("silent"), bench.word("later"));
    let first = server(&format!("silent-once --marker {silent}"));
    let second = second.map_or("false".to_owned(), server);
    let script = format!(
        "[ -e {silent} ] || exec {first} \"$@\"\n[ -e {later} ] && exit 3\ntouch {later}\nexec {second} \"$@\"\n"
    );
    let command = format!("sh {}", bench.write("server.sh", &script));
    let more = ["--jobs", "1", "--timeout", "1s", "--generate", "2", "--keep", &bench.word("kept")];
    let ended = bench.run(&[&["--spawn", &command], &more[..]].concat());
    assert!(ended.report()["generated"].is_null(), "nothing is drawn for a server that was lost");
    (bench, ended)
}

#[test]
fn what_was_seen_before_a_server_is_lost_is_told() {
    let (_bench, ended) = lost_while_repeated(Some("wrong-id"));
    ended.has_code(4).says("1 fail").says("exit status 3");
    let case = ended.case("reset.refused");
    assert_eq!(case["attempts"].as_array().unwrap().len(), 2, "{case:#}");
    let findings: Vec<_> = case["findings"].as_array().unwrap().iter().map(|found| &found["requirement"]).collect();
    assert_eq!(findings, ["HDR-02"], "a deadline that was not waited for three times is no finding");
    assert_eq!(ended.report()["complete"], false);
}

#[test]
fn a_deadline_that_nobody_could_wait_for_again_is_inconclusive() {
    let (_bench, ended) = lost_while_repeated(None);
    ended.has_code(4).says("the server was lost before the case could be repeated");
    assert_eq!(ended.case("reset.refused")["result"], "inconclusive");
}

#[test]
fn what_a_search_has_seen_before_it_loses_its_server_is_told() {
    let bench = Bench::new(&[]);
    let (count, keep) = (bench.word("count"), bench.word("kept"));
    let good_until = |last: usize| {
        let surplus = server("surplus --on DEVICE_GET_REGION_INFO");
        let script = format!("echo >> {count}\n[ $(wc -l < {count}) -gt {last} ] && exit 3\nexec {surplus} \"$@\"\n");
        let command = format!("sh {}", bench.write("server.sh", &script));
        let generate =
            ["generated", "--generate", "1", "--seed", "1", "--jobs", "1", "--keep", &keep, "--timeout", "5s"];
        let _ = fs::remove_file(&count);
        bench.run(&[&["--spawn", &command], &generate[..]].concat())
    };
    good_until(usize::MAX >> 1).has_code(2);
    let starts = fs::read_to_string(&count).unwrap().lines().count();
    // The last one is for what is reported.
    let ended = good_until(starts - 1);
    ended.has_code(4).says("exit status 3");
    assert_eq!(ended.case("generated.reginfo-01")["result"], "fail");
    assert_eq!(ended.report()["complete"], false);
}

/// A server that is called, and panics in the harness's own thread when it is started for the second time.
#[derive(Debug, Default)]
struct Panics(AtomicU64);

#[derive(Debug)]
struct Absent;

impl DirectTarget for Panics {
    fn start(&self) -> io::Result<Box<dyn DirectServer>> {
        if self.0.fetch_add(1, Ordering::SeqCst) == 1 {
            panic!("the harness is at fault");
        }
        Ok(Box::new(Absent))
    }
}

impl DirectServer for Absent {
    fn connect(&mut self) -> Option<Box<dyn Direct>> {
        None
    }
}

#[test]
fn a_panic_of_ours_is_one_case_in_error() {
    let register = Register::bundled().unwrap();
    let text = |name: &str| {
        (
            format!("{name}.case"),
            format!(
                "case {name}\ngiven nothing\nclient b connected\n> b: DEVICE_GET_INFO\n< b: ok or error or closed                              [INFO-01]\n"
            ),
        )
    };
    let library = Library::from_texts(["a.one", "b.two", "c.three"].map(text).to_vec(), &register).unwrap();
    let plan = library.plan(Profile::V0_9_2, &register).unwrap();
    let (interrupt, discovered) = (Interrupt::new().unwrap(), Discovered::default());
    let timeouts = Timeouts::from_reply(Duration::from_secs(2));
    let launcher = Launcher::new(Target::Direct(Arc::new(Panics::default())), timeouts.start, false).unwrap();
    let context = Context {
        profile: Profile::V0_9_2,
        register: &register,
        launcher: &launcher,
        discovered: &discovered,
        device: None,
        timeouts,
        interrupt: &interrupt,
    };
    let runner = Runner { context, jobs: 1, fail_fast: false, pinned: None, replay: "{case}".to_owned() };
    let mut records = Vec::new();
    let end = runner.run(&plan.cases, |event| {
        if let Event::CaseFinished(record) = event {
            records.push(*record);
        }
    });
    assert!(end.unwrap().complete);
    let results: Vec<CaseResult> = records.iter().map(|record| record.result).collect();
    assert_eq!(results.iter().filter(|result| **result == CaseResult::Error).count(), 1, "{records:#?}");
    assert_eq!(records[1].reason.as_deref(), Some("the harness panicked: the harness is at fault"));
    assert_eq!(records.len(), 3, "the others are played all the same");
}
