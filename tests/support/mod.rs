//! Runs the program as its users do, against examples/misbehaving-server.rs, and looks at what it leaves behind.
#![allow(clippy::unwrap_used, clippy::panic, dead_code, reason = "helpers of tests, of which each uses some")]

use std::io::Read;
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

/// A case that every server of the tests passes.
pub const PASSES: &str = "case good.info\n> DEVICE_GET_INFO\n< ok num_regions>=9                                      [INFO-01]\n";
/// A case that ends well where DEVICE_RESET is refused, and meets what the server does at it.
pub const RESETS: &str = "case reset.refused\n> DEVICE_RESET\n< error                                                 [RESET-01]\n";

/// Folders for one test: case files, the program's temporary files, and the rest.
#[derive(Debug)]
pub struct Bench {
    folder: TempDir,
}

/// How a run of the program ended.
#[derive(Debug)]
pub struct Ended {
    /// Its exit code.
    pub code: i32,
    /// What it told.
    pub stdout: String,
    /// What it complained of.
    pub stderr: String,
    /// The JSON report, if it wrote one.
    pub report: Option<Value>,
}

/// The program while it runs.
#[derive(Debug)]
pub struct Running<'b> {
    bench: &'b Bench,
    child: Child,
    output: [JoinHandle<String>; 2],
}

impl Bench {
    /// With these case files in one folder.
    pub fn new(cases: &[(&str, &str)]) -> Bench {
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
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// A path in the test's folder, as a word of a command line.
    pub fn word(&self, name: &str) -> String {
        self.path(name).to_str().unwrap().to_owned()
    }

    /// Writes a file into the test's folder; its path as a word.
    pub fn write(&self, name: &str, text: &str) -> String {
        fs::write(self.path(name), text).unwrap();
        self.word(name)
    }

    /// Runs the program with exactly these arguments.
    pub fn program(&self, arguments: &[&str]) -> Ended {
        self.start(arguments, &[]).end()
    }

    /// Starts the program with exactly these arguments and environment.
    pub fn start(&self, arguments: &[&str], environment: &[(&str, &str)]) -> Running<'_> {
        let mut command = Command::new(env!("CARGO_BIN_EXE_vfio-user-conformance"));
        for (name, _) in env::vars_os() {
            if name.to_string_lossy().starts_with("VFIO_USER_CONFORMANCE_") {
                command.env_remove(name);
            }
        }
        command.env("TMPDIR", self.path("tmp")).env("RUST_BACKTRACE", "0").env("NO_COLOR", "1");
        command.envs(environment.iter().copied()).args(arguments);
        let mut child =
            command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let (stdout, stderr) = (child.stdout.take().unwrap(), child.stderr.take().unwrap());
        Running { bench: self, child, output: [reader(stdout), reader(stderr)] }
    }

    /// `run` with the test's cases and a JSON report, and these arguments besides.
    pub fn run(&self, arguments: &[&str]) -> Ended {
        self.start_run(arguments).end()
    }

    /// As [`Bench::run`], without waiting for the end.
    pub fn start_run(&self, arguments: &[&str]) -> Running<'_> {
        let (cases, report) = (self.word("cases"), format!("json={}", self.word("report.json")));
        let mut all = vec!["run", "--cases", &cases, "--report", &report];
        all.extend(arguments);
        self.start(&all, &[])
    }

    /// `run` against the misbehaving server in a mode, with more of its arguments behind it.
    pub fn against(&self, mode: &str, arguments: &[&str]) -> Ended {
        self.run(&[&["--spawn", &server(mode)], arguments].concat())
    }

    /// Nothing of the run is left: no temporary file, no socket, no process that was started for it.
    fn assert_nothing_left(&self) {
        let left: Vec<PathBuf> =
            fs::read_dir(self.path("tmp")).unwrap().map(|entry| entry.unwrap().path()).collect();
        assert!(left.is_empty(), "left in TMPDIR: {left:?}");
        let alive = self.processes();
        assert!(alive.is_empty(), "left running: {alive:?}");
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
    pub fn signal(&self, signal: Signal) {
        kill(self.pid(), signal).unwrap();
    }

    fn pid(&self) -> Pid {
        Pid::from_raw(i32::try_from(self.child.id()).unwrap())
    }

    /// Waits for its end, and sees that it left nothing.
    pub fn end(mut self) -> Ended {
        let started = Instant::now();
        let pidfd = {
            // SAFETY: pidfd_open takes two integers; the child was not waited for, so that its number is still its own.
            let fd = unsafe { nix::libc::syscall(nix::libc::SYS_pidfd_open, self.pid().as_raw(), 0) };
            assert!(fd >= 0, "pidfd_open");
            // SAFETY: the kernel has just made this descriptor, and nothing else knows it.
            unsafe { <std::os::fd::OwnedFd as std::os::fd::FromRawFd>::from_raw_fd(i32::try_from(fd).unwrap()) }
        };
        let ended = readable(&pidfd, HANGS);
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
        Ended { code, stdout, stderr, report }
    }
}

impl Ended {
    /// Ends the test where the code is another one.
    #[track_caller]
    pub fn has_code(&self, code: i32) -> &Ended {
        assert_eq!(self.code, code, "\n--- stdout\n{}--- stderr\n{}", self.stdout, self.stderr);
        // A panic of ours is never an answer.
        assert!(!self.stderr.contains("panicked at"), "{}", self.stderr);
        self
    }

    /// Ends the test where these words were not told, line breaks apart.
    #[track_caller]
    pub fn says(&self, words: &str) -> &Ended {
        let said = format!("{} {}", self.stdout, self.stderr);
        let flat: Vec<&str> = said.split_whitespace().collect();
        assert!(flat.join(" ").contains(words), "not said: {words}\n--- stdout\n{}--- stderr\n{}", self.stdout, self.stderr);
        self
    }

    /// The JSON report.
    #[track_caller]
    pub fn report(&self) -> &Value {
        self.report.as_ref().unwrap_or_else(|| panic!("no report\n{}{}", self.stdout, self.stderr))
    }

    /// A case of the JSON report.
    #[track_caller]
    pub fn case(&self, name: &str) -> &Value {
        let cases = self.report()["cases"].as_array().unwrap();
        cases.iter().find(|case| case["name"] == name).unwrap_or_else(|| panic!("no case {name} in {cases:#?}"))
    }

    /// The names of the cases in the JSON report.
    #[track_caller]
    pub fn names(&self) -> Vec<&str> {
        self.report()["cases"].as_array().unwrap().iter().map(|case| case["name"].as_str().unwrap()).collect()
    }
}

/// The command of the misbehaving server in a mode; more arguments may follow the mode.
pub fn server(mode: &str) -> String {
    let deps = env::current_exe().unwrap();
    let path = deps.parent().and_then(Path::parent).unwrap().join("examples/misbehaving-server");
    assert!(path.exists(), "{} is not built: cargo build --example misbehaving-server", path.display());
    format!("{} --mode {mode}", path.to_str().unwrap())
}

/// Where a server announces that its moment has come.
#[derive(Debug)]
pub struct Moment {
    listener: UnixListener,
}

impl Moment {
    /// At this path, which `--announce` takes.
    pub fn at(path: &str) -> Moment {
        Moment { listener: UnixListener::bind(path).unwrap() }
    }

    /// Waits until a server announces it.
    #[track_caller]
    pub fn wait(&self) {
        assert!(readable(&self.listener, HANGS), "the server never came to its moment");
        self.listener.accept().unwrap();
    }
}

/// A server that a test starts itself, ended with it.
#[derive(Debug)]
pub struct Standing(Child);

impl Standing {
    /// In a mode, listening on `path`.
    pub fn start(mode: &str, path: &str) -> Standing {
        let command = server(mode);
        let mut words = command.split(' ');
        let mut command = Command::new(words.next().unwrap());
        command.args(words).arg("--socket-path").arg(path);
        Standing(command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap())
    }

    /// It still runs.
    pub fn runs(&mut self) -> bool {
        self.0.try_wait().unwrap().is_none()
    }
}

impl Drop for Standing {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
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
