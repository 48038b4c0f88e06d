//! The cases as tests of a server's own package: this program is such a test program once more, for servers that are functions and
//! have a fault each, and looks at what that tells.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test, helpers included")]

use std::env;
use std::fs;
use std::os::fd::OwnedFd;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitCode, Stdio};
use std::time::{Duration, Instant};

use libtest_mimic::{Arguments, Trial};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tempfile::TempDir;
use vfio_user_conformance::suite::Suite;
use vfio_user_reference_server::{
    Channel, Effect, Endpoint, HostMemory, Machine, Memory, ServeError, Server, serve, serve_with,
};
use vfio_user_wire::{Frame, Header};

/// Says that this program is the one that is tested, and of which server.
const SERVER: &str = "SUITE_OF_SERVER";
/// The file that a server makes when it hangs.
const MARKER: &str = "SUITE_MARKER";
/// A run that takes longer than this hangs, however slow the machine.
const HANGS: Duration = Duration::from_secs(300);
/// The number of DEVICE_RESET.
const DEVICE_RESET: u16 = 13;

const CASES: [(&str, &str); 4] = [
    ("samples/info.case", "case sample.info\n> DEVICE_GET_INFO\n< ok\n"),
    ("good.case", "case good.info\n> DEVICE_GET_INFO\n< ok num_regions>=9 [INFO-01]\n"),
    ("reset.case", "case reset.plain\nneeds reset\n> DEVICE_RESET\n< ok [RESET-01]\n"),
    ("absent.case", "case absent.reset\nneeds no-reset\n> DEVICE_RESET\n< error [RESET-01]\n"),
];
/// The test of what the server lacks, as it is listed.
const ABSENT: &str = "[ignored: the target has DEVICE_RESET] absent.reset";

const TESTS: [(&str, fn()); 17] = [
    ("what_does_not_apply_is_listed_as_ignored_with_its_reason", listed),
    ("what_does_not_apply_is_ignored_and_its_reason_told", ignored),
    ("nextest_never_takes_what_does_not_apply_for_a_pass", no_pass_by_nextest),
    ("a_function_of_a_path_is_a_server_too", path),
    ("a_wrong_answer_makes_a_red_test_that_explains_it", wrong),
    ("a_panic_is_told_as_the_servers_crash", panics),
    ("a_server_that_never_ends_hangs_nobody_and_is_told", hangs),
    ("a_server_that_goes_on_when_its_client_has_left_is_told", goes_on),
    ("a_server_that_does_not_start_is_told_with_what_it_said", fails),
    ("what_is_pinned_passes_with_its_reason", pinned),
    ("a_pin_that_is_no_longer_seen_fails_its_case", stale_pin),
    ("a_glob_that_is_no_longer_seen_fails_the_test_of_the_file", stale_glob),
    ("what_the_file_says_wrongly_fails_the_test_of_the_file", wrong_file),
    ("another_server_is_aimed_at_by_the_environment", aimed),
    ("a_wrong_variable_is_told", wrong_variables),
    ("one_run_of_nextest_asks_the_server_once", asked_once),
    ("a_signal_leaves_nothing", signalled),
];

fn main() -> ExitCode {
    if let Ok(server) = env::var(SERVER) {
        return suite(&server).main();
    }
    let trials = TESTS.map(|(name, test)| {
        Trial::test(name, move || {
            test();
            Ok(())
        })
    });
    libtest_mimic::run(&Arguments::from_args(), trials.into()).exit_code()
}

/// The test program of one of the servers.
fn suite(server: &str) -> Suite {
    let faulty = |fault: Fault| {
        Suite::listener(move |listener| {
            let mut machine = Faulty(Server::new(), fault);
            let mut memory = HostMemory::new()?;
            Ok(serve_with(&mut machine, &mut memory, Endpoint::Fd(listener.into()), None)?)
        })
    };
    let suite = match server {
        "good" => faulty(Fault::None),
        "path" => Suite::path(|path| ended(serve(Endpoint::SocketPath(path.to_owned()), None))),
        "wrong" => faulty(Fault::Wrong),
        "panics" => faulty(Fault::Panics),
        // What is waited for takes five times as long.
        "hangs" => faulty(Fault::Hangs).timeout(Duration::from_millis(500)),
        "fails" => Suite::listener(|_| Err("this machine has no such device".into())),
        _ => panic!("no server {server}"),
    };
    if let Ok(pins) = env::var("SUITE_PINS") { suite.expect_file(pins) } else { suite }
}

fn ended(served: Result<(), ServeError>) -> vfio_user_conformance::suite::Served {
    Ok(served?)
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Fault {
    None,
    Wrong,
    Panics,
    Hangs,
}

/// The reference server, but for DEVICE_RESET.
struct Faulty(Server, Fault);

impl Machine for Faulty {
    fn connect(&mut self) {
        self.0.connect();
    }

    fn receive(&mut self, frame: Frame, fds: Vec<OwnedFd>, memory: &mut dyn Memory, effects: &mut Vec<Effect>) {
        let reset = frame.header.command == DEVICE_RESET;
        match self.1 {
            Fault::Panics if reset => panic!("there is no state to go back to"),
            Fault::Hangs if reset => {
                if let Ok(marker) = env::var(MARKER) {
                    fs::write(marker, "").unwrap();
                }
                loop {
                    std::thread::park();
                }
            }
            _ => self.0.receive(frame, fds, memory, effects),
        }
        for effect in effects.iter_mut().filter(|_| reset && self.1 == Fault::Wrong) {
            if let Effect::Send { channel: Channel::Main, frame, .. } = effect {
                frame.header.command = 4;
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

/// A folder with the cases, in which the program is run.
struct Bench(TempDir);

/// How it ended.
#[derive(Debug)]
struct Ended {
    code: Option<i32>,
    stdout: String,
    stderr: String,
}

impl Bench {
    fn new() -> Bench {
        let bench = Bench(tempfile::Builder::new().prefix("vuc-test-").tempdir().unwrap());
        for folder in ["tmp", "cases/samples"] {
            fs::create_dir_all(bench.path(folder)).unwrap();
        }
        for (name, text) in CASES {
            bench.write(&format!("cases/{name}"), text);
        }
        bench
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn write(&self, name: &str, text: &str) -> String {
        fs::write(self.path(name), text).unwrap();
        self.path(name).to_str().unwrap().to_owned()
    }

    /// Starts the test program of a server.
    fn start(&self, program: &Path, server: &str, arguments: &[&str], environment: &[(&str, &str)]) -> Child {
        let mut command = Command::new(program);
        for (name, _) in env::vars_os() {
            let name = name.to_string_lossy().into_owned();
            if name.starts_with("VFIO_USER_CONFORMANCE_") || name.starts_with("NEXTEST") {
                command.env_remove(name);
            }
        }
        command.env(SERVER, server).env("TMPDIR", self.path("tmp")).env("RUST_BACKTRACE", "0");
        command.env("VFIO_USER_CONFORMANCE_CASES", self.path("cases"));
        command.envs(environment.iter().copied()).args(arguments);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
    }

    fn run_with(&self, server: &str, arguments: &[&str], environment: &[(&str, &str)]) -> Ended {
        self.end(self.start(&env::current_exe().unwrap(), server, arguments, environment))
    }

    fn run(&self, server: &str, arguments: &[&str]) -> Ended {
        self.run_with(server, arguments, &[])
    }

    fn end(&self, child: Child) -> Ended {
        let pid = Pid::from_raw(i32::try_from(child.id()).unwrap());
        let (over, ends) = std::sync::mpsc::channel();
        let watch = std::thread::spawn(move || {
            if ends.recv_timeout(HANGS).is_err() {
                kill(pid, Signal::SIGKILL).unwrap();
            }
        });
        let output = child.wait_with_output().unwrap();
        // Nobody listens where it was killed.
        let _ = over.send(());
        watch.join().unwrap();
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        assert!(output.status.signal() != Some(Signal::SIGKILL as i32), "it hangs");
        let left: Vec<PathBuf> = fs::read_dir(self.path("tmp")).unwrap().map(|entry| entry.unwrap().path()).collect();
        assert!(left.is_empty(), "left in TMPDIR: {left:?}");
        Ended { code: output.status.code(), stdout: text(&output.stdout), stderr: text(&output.stderr) }
    }
}

impl Ended {
    #[track_caller]
    fn tells(&self, code: i32, texts: &[&str]) {
        assert_eq!(self.code, Some(code), "{self:#?}");
        let words = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
        let told = words(&format!("{}\n{}", self.stdout, self.stderr));
        for text in texts {
            assert!(told.contains(&words(text)), "`{text}` is not told\n{}\n{}", self.stdout, self.stderr);
        }
    }

    #[track_caller]
    fn does_not_tell(&self, text: &str) {
        assert!(!self.stdout.contains(text) && !self.stderr.contains(text), "{}\n{}", self.stdout, self.stderr);
    }
}

fn listed() {
    let bench = Bench::new();
    let all = bench.run("good", &["--list", "--format", "terse"]);
    assert_eq!(all.stdout, format!("{ABSENT}: test\ngood.info: test\nreset.plain: test\n"), "{}", all.stderr);
    let ignored = bench.run("good", &["--list", "--format", "terse", "--ignored"]);
    assert_eq!(ignored.stdout, format!("{ABSENT}: test\n"), "{}", ignored.stderr);
}

fn ignored() {
    let bench = Bench::new();
    let ran = bench.run("good", &[]);
    ran.tells(0, &["test absent.reset ... ignored (the target has DEVICE_RESET)", "2 passed; 0 failed; 1 ignored"]);
    ran.does_not_tell("still run");
    let only = bench.run("good", &["--ignored"]);
    only.tells(0, &["running 1 test", "ignored (the target has DEVICE_RESET)"]);
    // Another test's name asks nothing of the server, which would not start.
    bench.run("fails", &["some_unit_test"]).tells(0, &["running 0 tests"]);
}

fn no_pass_by_nextest() {
    let bench = Bench::new();
    let nextest = |name: &str, more: &[&str]| {
        bench.run_with("good", &[&["--exact", name, "--nocapture"], more].concat(), &[("NEXTEST", "1")])
    };
    nextest(ABSENT, &["--ignored"]).tells(101, &["it does not apply to this server: the target has DEVICE_RESET"]);
    nextest("good.info", &[]).tells(0, &["running 1 test", "1 passed; 0 failed"]);
}

fn path() {
    Bench::new().run("path", &["--exact", "good.info"]).tells(0, &["1 passed; 0 failed"]);
}

fn wrong() {
    let ran = Bench::new().run("wrong", &[]);
    ran.tells(
        101,
        &[
            "test reset.plain ... FAILED",
            "1 passed; 1 failed; 1 ignored",
            "HDR-",
            "expected ",
            "got ",
            "DEVICE_RESET",
            "again ",
        ],
    );
    ran.tells(101, &["--exact reset.plain", "VFIO_USER_CONFORMANCE_CASES="]);
}

fn panics() {
    Bench::new().run("panics", &[]).tells(
        101,
        &[
            "test good.info ... ok",
            "test reset.plain ... FAILED",
            "the server crashed with exit status 101: panicked at tests/suite.rs:",
            "there is no state to go back to",
            "1 passed; 1 failed; 1 ignored",
        ],
    );
}

fn hangs() {
    let bench = Bench::new();
    let ran = bench.run("hangs", &["reset.plain"]);
    ran.tells(101, &["RESET-01", "silence past the deadline", "1 failed", "of the servers still run in their threads"]);
}

fn goes_on() {
    // It makes its socket itself, so that nobody can wake it.
    let ran = Bench::new().run("path", &["good.info"]);
    ran.tells(0, &["1 passed", "of the servers still run in their threads"]);
}

fn fails() {
    Bench::new()
        .run("fails", &[])
        .tells(101, &["the cases cannot be run as tests:", "Error: this machine has no such device"]);
}

/// A file that pins what the wrong server does.
fn pins(bench: &Bench, more: &str) -> String {
    let ran = bench.run("wrong", &["reset.plain"]);
    let id = ran.stdout.lines().find_map(|line| line.split(' ').next().filter(|word| word.starts_with("HDR-")));
    let id = id.unwrap_or_else(|| panic!("{ran:?}"));
    bench.write(
        "known.toml",
        &format!(
            "{more}[[expect]]\ncase = \"reset.plain\"\nrequirement = \"{id}\"\noutcome = \"any\"\nreason = \"numbers were mixed up\"\n"
        ),
    )
}

fn pinned() {
    let bench = Bench::new();
    let pins = pins(&bench, "");
    let ran = bench.run_with("wrong", &[], &[("SUITE_PINS", &pins)]);
    ran.tells(0, &["test reset.plain ... ok", "test expectations ... ok", "is pinned: numbers were mixed up"]);
}

fn stale_pin() {
    let bench = Bench::new();
    let pins = pins(&bench, "");
    let ran = bench.run_with("good", &[], &[("SUITE_PINS", &pins)]);
    ran.tells(101, &["test reset.plain ... FAILED", "is pinned and no longer seen", "test expectations ... ok"]);
}

fn stale_glob() {
    let bench = Bench::new();
    let pins = bench.write(
        "known.toml",
        "[[expect]]\ncase = \"{good,reset}.*\"\nrequirement = \"HDR-14\"\noutcome = \"any\"\nreason = \"of old\"\n",
    );
    let ran = bench.run_with("good", &[], &[("SUITE_PINS", &pins)]);
    ran.tells(101, &["test reset.plain ... ok", "test expectations ... FAILED", "is pinned and no longer seen"]);
    // Of what was not played nothing is known.
    bench.run_with("good", &["expectations"], &[("SUITE_PINS", &pins)]).tells(0, &["test expectations ... ok"]);
}

fn wrong_file() {
    let bench = Bench::new();
    let entry = "reason = \"of old\"\nrequirement = \"HDR-14\"\noutcome = \"any\"\n";
    let text = format!(
        "offers = [\"no-reset\"]\n[[expect]]\ncase = \"goof.info\"\n{entry}[[expect]]\ncase = \"absent.*\"\n{entry}"
    );
    let pins = bench.write("known.toml", &text);
    let ran = bench.run_with("good", &["--exact", "expectations"], &[("SUITE_PINS", &pins)]);
    ran.tells(101, &["goof.info: the entry on HDR-14 matches no case", "no-reset: pinned under `offers`"]);
    ran.tells(101, &["absent.*: the entry on HDR-14 could not be compared, since the case was skipped"]);
    let missing = bench.run_with("good", &[], &[("SUITE_PINS", "nowhere.toml")]);
    missing.tells(101, &["could not read the pinned expectations nowhere.toml", "No such file"]);
}

fn bundled(arguments: &str) -> String {
    format!("{} reference-server {arguments}", env!("CARGO_BIN_EXE_vfio-user-conformance"))
}

fn aimed() {
    let bench = Bench::new();
    // What is pinned of the server that does not start is not held against this one.
    let environment =
        [("VFIO_USER_CONFORMANCE_SPAWN", bundled("--socket-path={socket}")), ("SUITE_PINS", "nowhere.toml".to_owned())];
    let environment = environment.each_ref().map(|(name, value)| (*name, value.as_str()));
    bench.run_with("fails", &[], &environment).tells(0, &["2 passed; 0 failed; 1 ignored"]);
}

fn wrong_variables() {
    let bench = Bench::new();
    for (name, value, told) in [
        ("SPAWN", "server 'x", "VFIO_USER_CONFORMANCE_SPAWN \"server 'x\": a quote is not closed"),
        ("SPAWN", "", "it needs a command"),
        ("PROFILE", "0.9.3", "VFIO_USER_CONFORMANCE_PROFILE: "),
        ("TIMEOUT", "2h", "VFIO_USER_CONFORMANCE_TIMEOUT: `h` is no unit"),
        ("STRICT", "perhaps", "VFIO_USER_CONFORMANCE_STRICT: `perhaps` is neither true nor false"),
        ("DEVICE", "nowhere.toml", "could not read the device file nowhere.toml"),
        ("CASES", "/nowhere", "could not read /nowhere"),
    ] {
        let name = format!("VFIO_USER_CONFORMANCE_{name}");
        bench.run_with("good", &["--list"], &[(&name, value)]).tells(101, &[told]);
    }
}

fn asked_once() {
    let bench = Bench::new();
    // What is kept stands beside the program.
    let program = bench.path("program");
    fs::copy(env::current_exe().unwrap(), &program).unwrap();
    let starts = bench.path("starts");
    let script = format!("echo >> {}; exec {}", starts.display(), bundled("--socket-path=\"$1\""));
    let spawn = format!("sh -c '{script}' sh {{socket}}");
    let started = |run: &str, arguments: &[&str]| {
        fs::write(&starts, "").unwrap();
        let environment = [("VFIO_USER_CONFORMANCE_SPAWN", spawn.as_str()), ("NEXTEST", "1"), ("NEXTEST_RUN_ID", run)];
        bench.end(bench.start(&program, "good", arguments, &environment)).tells(0, &[]);
        fs::read_to_string(&starts).unwrap().lines().count()
    };
    assert!(started("a", &["--list"]) > 1);
    assert_eq!(started("a", &["--exact", "good.info"]), 1);
    assert!(started("b", &["--exact", "good.info"]) > 2);
    assert_eq!(started("b", &["--exact", "reset.plain"]), 1);
    // What is no such file is no answer.
    fs::write(bench.path("program.offers"), "{\"run\": \"b\"").unwrap();
    assert!(started("b", &["--exact", "good.info"]) > 2);
}

fn signalled() {
    let bench = Bench::new();
    let marker = bench.path("hangs");
    let environment = [(MARKER, marker.to_str().unwrap()), ("VFIO_USER_CONFORMANCE_TIMEOUT", "8s")];
    let child = bench.start(&env::current_exe().unwrap(), "hangs", &["reset.plain"], &environment);
    let started = Instant::now();
    while !marker.exists() {
        assert!(started.elapsed() < HANGS, "it never came to DEVICE_RESET");
        std::thread::sleep(Duration::from_millis(5));
    }
    kill(Pid::from_raw(i32::try_from(child.id()).unwrap()), Signal::SIGTERM).unwrap();
    assert_eq!(bench.end(child).code, None);
}
