//! Runs the program as its users do, against examples/misbehaving-server.rs, and looks at what it leaves behind.
#![allow(clippy::unwrap_used, clippy::panic, dead_code, reason = "helpers of tests, of which each uses some")]

use std::io::Read;
use std::os::fd::{FromRawFd, OwnedFd};
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};
use std::{env, fs};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;
use tempfile::TempDir;

/// A run that takes longer than this hangs, however slow the machine.
const HANGS: Duration = Duration::from_secs(120);
/// What was sent SIGKILL and is still there after this was not sent it.
const KILLED: Duration = Duration::from_secs(10);

/// A case that every server of the tests passes.
pub(crate) const PASSES: &str =
    "case good.info\n> DEVICE_GET_INFO\n< ok num_regions>=9                                      [INFO-01]\n";
/// A case that ends well where DEVICE_RESET is refused, and meets what the server does at it.
pub(crate) const RESETS: &str =
    "case reset.refused\n> DEVICE_RESET\n< error                                                 [RESET-01]\n";

/// Folders for one test: case files, the program's temporary files, and the rest.
#[derive(Debug)]
pub(crate) struct Bench {
    folder: TempDir,
}

/// How a run of the program ended.
#[derive(Debug)]
pub(crate) struct Ended {
    /// Its exit code.
    pub(crate) code: i32,
    /// What it told.
    pub(crate) stdout: String,
    /// What it complained of.
    pub(crate) stderr: String,
    /// The JSON report, if it wrote one.
    pub(crate) report: Option<Value>,
}

/// The program while it runs.
#[derive(Debug)]
pub(crate) struct Running<'b> {
    bench: &'b Bench,
    child: Child,
    output: [JoinHandle<String>; 2],
}

impl Bench {
    /// With these case files in one folder.
    pub(crate) fn new(cases: &[(&str, &str)]) -> Bench {
        let bench = Bench { folder: tempfile::Builder::new().prefix("vuc-test-").tempdir().unwrap() };
        for folder in ["tmp", "cases/samples"] {
            fs::create_dir_all(bench.path(folder)).unwrap();
        }
        // A sample of its own: otherwise those that are compiled in would be taken.
        fs::write(bench.path("cases/samples/info.case"), "case sample.info\n> DEVICE_GET_INFO\n< ok\n").unwrap();
        for (name, text) in cases {
            fs::write(bench.path("cases").join(name), text).unwrap();
        }
        bench
    }

    /// A path in the test's folder.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// A path in the test's folder, as a word of a command line.
    pub(crate) fn word(&self, name: &str) -> String {
        self.path(name).to_str().unwrap().to_owned()
    }

    /// Writes a file into the test's folder; its path as a word.
    pub(crate) fn write(&self, name: &str, text: &str) -> String {
        fs::write(self.path(name), text).unwrap();
        self.word(name)
    }

    /// Runs the program with exactly these arguments.
    pub(crate) fn program(&self, arguments: &[&str]) -> Ended {
        self.start(arguments, &[]).end()
    }

    /// Starts the program with exactly these arguments and environment.
    pub(crate) fn start(&self, arguments: &[&str], environment: &[(&str, &str)]) -> Running<'_> {
        self.start_command(env!("CARGO_BIN_EXE_vfio-user-conformance"), arguments, environment)
    }

    /// Starts another program, which becomes the one that is tested.
    pub(crate) fn start_other(&self, program: &str, arguments: &[&str]) -> Running<'_> {
        self.start_command(program, arguments, &[])
    }

    fn start_command(&self, program: &str, arguments: &[&str], environment: &[(&str, &str)]) -> Running<'_> {
        let mut command = Command::new(program);
        for (name, _) in env::vars_os() {
            if name.to_string_lossy().starts_with("VFIO_USER_CONFORMANCE_") {
                command.env_remove(name);
            }
        }
        command.env("TMPDIR", self.path("tmp")).env("RUST_BACKTRACE", "0").env("NO_COLOR", "1");
        command.env("XDG_STATE_HOME", self.path("state"));
        command.envs(environment.iter().copied()).args(arguments);
        let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let (stdout, stderr) = (child.stdout.take().unwrap(), child.stderr.take().unwrap());
        Running { bench: self, child, output: [reader(stdout), reader(stderr)] }
    }

    /// `run` with the test's cases and a JSON report, and these arguments besides.
    pub(crate) fn run(&self, arguments: &[&str]) -> Ended {
        self.start_run(arguments).end()
    }

    /// As [`Bench::run`], without waiting for the end.
    pub(crate) fn start_run(&self, arguments: &[&str]) -> Running<'_> {
        let (cases, report) = (self.word("cases"), format!("json={}", self.word("report.json")));
        let junit = format!("junit={}", self.word("every.xml"));
        let mut all = vec!["run", "--cases", &cases, "--report", &report, "--report", &junit];
        all.extend(arguments);
        self.start(&all, &[])
    }

    /// `run` against the misbehaving server in a mode, with more of its arguments behind it.
    pub(crate) fn against(&self, mode: &str, arguments: &[&str]) -> Ended {
        self.run(&[&["--spawn", &server(mode)], arguments].concat())
    }

    /// Nothing of the run is left: no temporary file, no socket, no process that was started for it.
    fn assert_nothing_left(&self) {
        let left: Vec<PathBuf> = fs::read_dir(self.path("tmp")).unwrap().map(|entry| entry.unwrap().path()).collect();
        assert!(left.is_empty(), "left in TMPDIR: {left:?}");
        for (pid, command) in self.processes() {
            // A server's child was killed with its group, and is nobody's to wait for: a moment may pass until it is gone.
            let gone = pidfd(Pid::from_raw(pid)).is_none_or(|pidfd| readable(&pidfd, KILLED));
            assert!(gone, "left running: {pid} {command}");
        }
    }

    /// The processes that have the run's temporary folder in their command lines.
    fn processes(&self) -> Vec<(i32, String)> {
        let folder = self.word("tmp");
        let all = fs::read_dir("/proc").unwrap().filter_map(|entry| {
            let entry = entry.ok()?;
            let pid = entry.file_name().to_str()?.parse::<i32>().ok()?;
            // It may have ended by now; the command line of a zombie is empty.
            let command = fs::read(entry.path().join("cmdline")).ok()?;
            Some((pid, String::from_utf8_lossy(&command).replace('\0', " ")))
        });
        all.filter(|(_, command)| command.contains(&folder)).collect()
    }
}

impl Running<'_> {
    /// Sends it a signal.
    pub(crate) fn signal(&self, signal: Signal) {
        kill(self.pid(), signal).unwrap();
    }

    fn pid(&self) -> Pid {
        Pid::from_raw(i32::try_from(self.child.id()).unwrap())
    }

    /// Waits for its end, and sees that it left nothing.
    pub(crate) fn end(mut self) -> Ended {
        let started = Instant::now();
        // The child was not waited for, so that its number is still its own.
        let ended = readable(&pidfd(self.pid()).unwrap(), HANGS);
        if !ended {
            let _ = self.child.kill();
        }
        let status = self.child.wait().unwrap();
        let [stdout, stderr] = self.output.map(|output| output.join().unwrap());
        assert!(ended, "still running after {:?}\n{stdout}\n{stderr}", started.elapsed());
        self.bench.assert_nothing_left();
        let report = fs::read_to_string(self.bench.path("report.json")).ok();
        let report = report.map(|text| serde_json::from_str(&text).unwrap());
        let code = status.code().unwrap_or_else(|| panic!("ended by {status}\n{stdout}\n{stderr}"));
        let junit = fs::read_to_string(self.bench.path("every.xml")).ok();
        let ended = Ended { code, stdout, stderr, report };
        if let (Some(report), Some(junit)) = (&ended.report, junit) {
            ended.is_told_alike(report, &quick_junit::Report::deserialize_from_str(&junit).unwrap());
        }
        ended
    }
}

impl Ended {
    /// Both reports say what the exit code says, and each selected case has one result or was not played.
    #[track_caller]
    fn is_told_alike(&self, report: &Value, junit: &quick_junit::Report) {
        let said = format!("{}{}", self.stdout, self.stderr);
        let other_fault = self.code == 70 && self.stderr.starts_with("vfio-user-conformance: ");
        assert!(other_fault || report["exit_code"] == self.code, "{} in the report\n{said}", report["exit_code"]);
        let red = junit.failures + junit.errors > 0;
        assert_eq!(red, report["exit_code"] != 0, "a JUnit report that reads otherwise\n{junit:#?}\n{said}");
        let total = |name: &str| report["totals"][name].as_u64().unwrap();
        let results: u64 = ["pass", "fail", "skip", "inconclusive", "error"].into_iter().map(total).sum();
        assert_eq!(results + total("not_run"), total("selected"), "{:#}\n{said}", report["totals"]);
        assert_eq!(results as usize, report["cases"].as_array().unwrap().len(), "{said}");
        assert_eq!(total("not_run") as usize, report["not_run"].as_array().unwrap().len(), "{said}");
        for case in report["cases"].as_array().unwrap() {
            let checks: Vec<String> = case["checks"].as_array().unwrap().iter().map(Value::to_string).collect();
            let distinct: std::collections::HashSet<&String> = checks.iter().collect();
            assert_eq!(distinct.len(), checks.len(), "a check that is told twice: {:#}", case["checks"]);
        }
        if report["complete"] == true {
            assert_eq!(total("not_run"), 0, "{said}");
        } else {
            assert!(!report["faults"].as_array().unwrap().is_empty(), "nothing says why it is incomplete\n{said}");
        }
    }

    /// Ends the test where the code is another one.
    #[track_caller]
    pub(crate) fn has_code(&self, code: i32) -> &Ended {
        assert_eq!(self.code, code, "\n--- stdout\n{}--- stderr\n{}", self.stdout, self.stderr);
        // A panic of ours is never an answer.
        assert!(!self.stderr.contains("panicked at"), "{}", self.stderr);
        self
    }

    /// Ends the test where these words were not told, line breaks apart.
    #[track_caller]
    pub(crate) fn says(&self, words: &str) -> &Ended {
        let said = format!("{} {}", self.stdout, self.stderr);
        let flat: Vec<&str> = said.split_whitespace().collect();
        assert!(
            flat.join(" ").contains(words),
            "not said: {words}\n--- stdout\n{}--- stderr\n{}",
            self.stdout,
            self.stderr
        );
        self
    }

    /// The JSON report.
    #[track_caller]
    pub(crate) fn report(&self) -> &Value {
        self.report.as_ref().unwrap_or_else(|| panic!("no report\n{}{}", self.stdout, self.stderr))
    }

    /// A case of the JSON report.
    #[track_caller]
    pub(crate) fn case(&self, name: &str) -> &Value {
        let cases = self.report()["cases"].as_array().unwrap();
        cases.iter().find(|case| case["name"] == name).unwrap_or_else(|| panic!("no case {name} in {cases:#?}"))
    }

    /// The names of the cases in the JSON report.
    #[track_caller]
    pub(crate) fn names(&self) -> Vec<&str> {
        self.report()["cases"].as_array().unwrap().iter().map(|case| case["name"].as_str().unwrap()).collect()
    }
}

/// The command of the misbehaving server in a mode; more arguments may follow the mode.
pub(crate) fn server(mode: &str) -> String {
    format!("{} --mode {mode}", example("misbehaving-server"))
}

/// The path of an example.
pub(crate) fn example(name: &str) -> String {
    let deps = env::current_exe().unwrap();
    let path = deps.parent().and_then(Path::parent).unwrap().join("examples").join(name);
    assert!(path.exists(), "{} is not built: cargo build --example {name}", path.display());
    path.to_str().unwrap().to_owned()
}

/// Where a server announces that its moment has come.
#[derive(Debug)]
pub(crate) struct Moment {
    listener: UnixListener,
}

impl Moment {
    /// At this path, which `--announce` takes.
    pub(crate) fn at(path: &str) -> Moment {
        Moment { listener: UnixListener::bind(path).unwrap() }
    }

    /// Waits until a server announces it.
    #[track_caller]
    pub(crate) fn wait(&self) {
        assert!(readable(&self.listener, HANGS), "the server never came to its moment");
        self.listener.accept().unwrap();
    }
}

/// A server that a test starts itself, ended with it.
#[derive(Debug)]
pub(crate) struct Standing(Child);

impl Standing {
    /// In a mode, listening on `path`.
    pub(crate) fn start(mode: &str, path: &str) -> Standing {
        let command = server(mode);
        Standing::start_words(command.split(' '), path)
    }

    /// With this command, listening on `path`.
    pub(crate) fn start_words<'a>(mut words: impl Iterator<Item = &'a str>, path: &str) -> Standing {
        let mut command = Command::new(words.next().unwrap());
        command.args(words).arg("--socket-path").arg(path);
        Standing(command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap())
    }

    /// Waits until it listens, or has ended; it is not connected to, since some servers serve one client only.
    pub(crate) fn wait_for(&self, path: &str) {
        let started = Instant::now();
        while !listens(path) {
            assert!(started.elapsed() < HANGS, "the server never listened on {path}");
            std::thread::yield_now();
        }
    }

    /// It still runs.
    pub(crate) fn runs(&mut self) -> bool {
        self.0.try_wait().unwrap().is_none()
    }
}

impl Drop for Standing {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A socket listens at this path (/proc/net/unix: the flag SO_ACCEPTCON).
fn listens(path: &str) -> bool {
    let sockets = fs::read_to_string("/proc/net/unix").unwrap();
    sockets.lines().any(|line| {
        let words: Vec<&str> = line.split_whitespace().collect();
        words.get(3) == Some(&"00010000") && words.get(7) == Some(&path)
    })
}

/// Becomes readable when the process ends; `None` where it has ended and is gone.
fn pidfd(pid: Pid) -> Option<OwnedFd> {
    // SAFETY: pidfd_open takes two integers and returns a new descriptor or -1.
    let fd = unsafe { nix::libc::syscall(nix::libc::SYS_pidfd_open, pid.as_raw(), 0) };
    if fd < 0 {
        return None;
    }
    // SAFETY: the kernel has just made this descriptor for this process, and nothing else knows it.
    Some(unsafe { OwnedFd::from_raw_fd(i32::try_from(fd).unwrap()) })
}

fn readable(fd: &impl std::os::fd::AsFd, within: Duration) -> bool {
    let timeout = PollTimeout::try_from(within).unwrap();
    poll(&mut [PollFd::new(fd.as_fd(), PollFlags::POLLIN)], timeout).is_ok_and(|ready| ready > 0)
}

fn reader(mut from: impl Read + Send + 'static) -> JoinHandle<String> {
    std::thread::spawn(move || {
        let mut bytes = Vec::new();
        from.read_to_end(&mut bytes).unwrap();
        String::from_utf8_lossy(&bytes).into_owned()
    })
}
