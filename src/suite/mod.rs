//! The cases as tests of a server that is written in Rust, for `cargo test` and `cargo nextest`.
//!
//! A test program of the server's own package, with `harness = false` in its `Cargo.toml`, is a few lines:
//!
//! ```no_run
//! use std::process::ExitCode;
//!
//! use vfio_user_conformance::suite::Suite;
//!
//! fn main() -> ExitCode {
//!     // Where the package has a program: env!("CARGO_BIN_EXE_my-server")
//!     Suite::spawn(["my-server", "--socket-path={socket}"])
//!         .device_file("tests/device.toml")
//!         .expect_file("tests/known.toml")
//!         .main()
//! }
//! ```
//!
//! Each case is a test of its own name. What the server does not offer is found out before: its cases are ignored, with the reason.
//! A test that fails says what the command line would.
//!
//! A server need not be a program: [`Suite::listener`] and [`Suite::path`] call a function in a thread for each case. A panic is told
//! as the server's crash, and an error that is returned as the exit status 1. What shows in a process alone is not judged then:
//! descriptors that are left open, memory that is set aside, the conventions of programs; and what ends a process ends the
//! test program: `exit`, `abort`, a signal.
//!
//! Environment variables aim the program at another server, and mirror options of `run`:
//!
//! | variable | |
//! | --- | --- |
//! | `VFIO_USER_CONFORMANCE_SPAWN`, `_SOCKET` | another server; what the program says of its own does not apply to it: device file, expectations, profile, strictness |
//! | `VFIO_USER_CONFORMANCE_DEVICE`, `_EXPECT`, `_PROFILE`, `_STRICT` | in place of what the program says |
//! | `VFIO_USER_CONFORMANCE_CASES`, `_TIMEOUT` | the same, for whichever server |

mod environment;
mod filter;
mod kept;
mod pins;
mod stage;
mod trials;

use std::io;
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use libtest_mimic::{Arguments, Conclusion};
use signal_hook::iterator::Signals;
use signal_hook::low_level::emulate_default_handler;

use self::stage::Stage;
use crate::Profile;
use crate::run::Timeouts;
pub use crate::target::Served;
use crate::target::{ServerFunction, Target, abandon, ending_signals, raise_descriptor_limit};

/// How libtest ends where tests fail.
const FAILED: u8 = 101;

/// A test program that runs the cases against one server.
#[derive(Debug, Clone)]
#[must_use = "`main` runs it"]
pub struct Suite {
    target: Target,
    device: Option<PathBuf>,
    expect: Option<PathBuf>,
    cases: Option<PathBuf>,
    profile: Option<Profile>,
    timeouts: Timeouts,
    strict: bool,
}

impl Suite {
    /// A server that is started as a process for each case, by the words of its command line. As with `run --spawn`, `{socket}` in
    /// a word is a fresh path to listen on, `{fd}` the number of a listening descriptor; with neither,
    /// `--socket-path={socket}` is appended, and the conventions of backend programs are judged.
    pub fn spawn<W: Into<String>>(command: impl IntoIterator<Item = W>) -> Suite {
        Suite::of(Target::Spawn { command: command.into_iter().map(Into::into).collect(), socket: None })
    }

    /// A server that is a function of a listening socket, called in a thread for each case. It serves the client that connects, or
    /// one after the other, and returns when a client has left, or when accept(2) fails: that it does when the case is over.
    pub fn listener(serve: impl Fn(UnixListener) -> Served + Send + Sync + 'static) -> Suite {
        Suite::of(Target::Function(ServerFunction::Listener(Arc::new(serve))))
    }

    /// A server that is a function of a path, called in a thread for each case. It makes its socket there, and returns when its
    /// client has left.
    pub fn path(serve: impl Fn(&Path) -> Served + Send + Sync + 'static) -> Suite {
        Suite::of(Target::Function(ServerFunction::Path(Arc::new(serve))))
    }

    fn of(target: Target) -> Suite {
        let timeouts = Timeouts::default();
        Suite { target, device: None, expect: None, cases: None, profile: None, timeouts, strict: false }
    }

    /// What a black box cannot say of the device (docs/device-file.md). A relative path begins at the package's folder.
    pub fn device_file(mut self, path: impl Into<PathBuf>) -> Suite {
        self.device = Some(path.into());
        self
    }

    /// Pinned expectations: what is found as it is pinned there makes no test fail, and is told with its reason. A pin that is no
    /// longer seen fails its case, where it names one, or the test `expectations`, which also looks for what is pinned under
    /// `offers`, and for names that do not exist.
    pub fn expect_file(mut self, path: impl Into<PathBuf>) -> Suite {
        self.expect = Some(path.into());
        self
    }

    /// The case files of this folder in place of those that are compiled in.
    pub fn cases(mut self, folder: impl Into<PathBuf>) -> Suite {
        self.cases = Some(folder.into());
        self
    }

    /// The version of the protocol to judge by; left out, the server is asked.
    pub fn profile(mut self, profile: Profile) -> Suite {
        self.profile = Some(profile);
        self
    }

    /// How long the server may take for a reply, in place of 2 s; every other deadline of a case follows it.
    pub fn timeout(mut self, reply: Duration) -> Suite {
        self.timeouts = Timeouts::from_reply(reply);
        self
    }

    /// Notes make tests fail, too.
    pub fn strict(mut self) -> Suite {
        self.strict = true;
        self
    }

    /// Runs the tests that the command line asks for, which is that of `cargo test`; the exit code of the program. Where the
    /// cases cannot be run at all, as where the server does not start, it says why.
    pub fn main(self) -> ExitCode {
        match self.run(Arguments::from_args()) {
            Ok(conclusion) => conclusion.exit_code(),
            Err(sentence) => {
                eprintln!("the cases cannot be run as tests: {sentence}");
                ExitCode::from(FAILED)
            }
        }
    }

    fn run(self, mut arguments: Arguments) -> Result<Conclusion, String> {
        let suite = self.aimed()?;
        leave_nothing_at_a_signal().map_err(|error| format!("signals cannot be handled: {error}"))?;
        // Where it cannot be raised, fewer servers fit at once; a want of descriptors is told when it comes.
        let _ = raise_descriptor_limit();
        arguments.test_threads = Some(suite.threads(&arguments));
        let Some(stage) = Stage::set(&suite, &arguments)? else {
            return Ok(libtest_mimic::run(&arguments, Vec::new()));
        };
        let stage = Arc::new(stage);
        let conclusion = libtest_mimic::run(&arguments, trials::trials(&stage, &arguments));
        let staying = stage.launcher.still_running();
        if staying > 0 {
            eprintln!(
                "{staying} of the servers still run in their threads though their clients have left and nobody listens for \
                 further ones: a server must return then; they end with this program"
            );
        }
        Ok(conclusion)
    }

    /// How many cases are played at once: most of them wait.
    fn threads(&self, arguments: &Arguments) -> usize {
        let cores = std::thread::available_parallelism().map_or(2, std::num::NonZero::get);
        if self.one_at_a_time() { 1 } else { arguments.test_threads.unwrap_or(cores * 4) }
    }

    /// Every case meets the same socket.
    fn one_at_a_time(&self) -> bool {
        matches!(self.target, Target::Socket(_) | Target::Spawn { socket: Some(_), .. })
    }
}

/// Ctrl-C, or the end of somebody's patience, ends the program as it ends others, and its servers and temporary files with it.
fn leave_nothing_at_a_signal() -> io::Result<()> {
    let mut signals = Signals::new(ending_signals())?;
    std::thread::Builder::new().name("signals".to_owned()).spawn(move || {
        for signal in signals.forever() {
            abandon();
            // It does not return: each of these signals ends a program.
            let _ = emulate_default_handler(signal);
        }
    })?;
    Ok(())
}
