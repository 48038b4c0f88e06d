//! Where a page's commands are run: a folder of its own, and the programs that the pages name.

use std::fs::{self, File, Permissions};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};
use std::{env, io};

use tempfile::TempDir;

use crate::support::example;

/// A command that takes longer than this, in seconds, hangs, however slow the machine.
const HANGS: &str = "300";

/// What is taken of the cases where a page runs all of them: which ones does not change what a command does.
const FEW: &[&str] = &["conc", "dmap", "hdr", "info", "reset", "samples"];

/// Servers of the pages that are nobody's: the bundled one stands in.
const SERVERS: &[&str] = &["my-server", "their-server", "other-server", "new-server", "old-server"];

/// `cargo run --release -- ..` is the program; a test builds nothing.
const CARGO: &str = r#"if [ "$1 $2 $3" = "run --release --" ]; then shift 3; exec vfio-user-conformance "$@"; fi
echo "no test runs: cargo $*" >&2; exit 101"#;

/// `gdb -ex run --args CMD` is CMD, which goes on while the next command is run.
const GDB: &str = r#"shift 3; "$@" & echo $! >> "$TMPDIR/left-running"
while ! [ -S my.sock ]; do kill -0 $! || exit 1; done"#;

/// The programs that pages name.
#[derive(Debug)]
pub(crate) struct Programs {
    folder: TempDir,
}

impl Programs {
    /// gpio, where it is there; otherwise a server stands in that has faults as gpio has.
    pub(crate) fn new(gpio: Option<&Path>) -> Programs {
        let programs = Programs { folder: tempfile::Builder::new().prefix("vuc-book-").tempdir().unwrap() };
        symlink(env!("CARGO_BIN_EXE_vfio-user-conformance"), programs.path("vfio-user-conformance")).unwrap();
        for server in SERVERS {
            programs.script(server, r#"exec vfio-user-conformance reference-server "$@""#);
        }
        match gpio {
            Some(gpio) => symlink(fs::canonicalize(gpio).unwrap(), programs.path("gpio")).unwrap(),
            None => {
                programs.script("gpio", &format!(r#"exec {} --mode exits-seven "$@""#, example("misbehaving-server")));
            }
        }
        programs.script("cargo", CARGO);
        programs.script("gdb", GDB);
        let cases = programs.path("cases");
        for folder in FEW {
            fs::create_dir_all(cases.join(folder)).unwrap();
            for entry in fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("cases").join(folder)).unwrap() {
                let entry = entry.unwrap();
                fs::copy(entry.path(), cases.join(folder).join(entry.file_name())).unwrap();
            }
        }
        programs
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn script(&self, name: &str, text: &str) {
        fs::write(self.path(name), format!("#!/bin/sh\n{text}\n")).unwrap();
        fs::set_permissions(self.path(name), Permissions::from_mode(0o755)).unwrap();
    }
}

/// The folder in which a page's commands are run one after the other.
#[derive(Debug)]
pub(crate) struct Stage<'p> {
    programs: &'p Programs,
    folder: TempDir,
}

/// How a command ended.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) status: ExitStatus,
    /// What it printed, and complained of, as it came.
    pub(crate) output: String,
}

impl Stage<'_> {
    pub(crate) fn new(programs: &Programs) -> Stage<'_> {
        let stage = Stage { programs, folder: tempfile::Builder::new().prefix("vuc-book-").tempdir().unwrap() };
        fs::create_dir(stage.path("tmp")).unwrap();
        fs::create_dir(stage.path("here")).unwrap();
        for server in SERVERS {
            symlink(programs.path(server), stage.path("here").join(server)).unwrap();
        }
        stage
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Runs a command as a shell would behind one that ended with `before`.
    pub(crate) fn run(
        &self,
        text: &str,
        before: i32,
        few_cases: bool,
        environment: &[(&str, &str)],
    ) -> io::Result<Ended> {
        let output = self.path("output");
        let file = File::create(&output)?;
        let mut command = Command::new("timeout");
        command.args([HANGS, "sh", "-c", &format!("(exit {before})\n{text}")]).current_dir(self.path("here"));
        for (name, _) in env::vars_os() {
            if name.to_string_lossy().starts_with("VFIO_USER_CONFORMANCE_") {
                command.env_remove(name);
            }
        }
        let path = env::var("PATH").unwrap_or_default();
        command.env("PATH", format!("{}:{path}", self.programs.folder.path().display()));
        command.env("TMPDIR", self.path("tmp")).env("XDG_STATE_HOME", self.path("state"));
        command.env("NO_COLOR", "1").env("RUST_BACKTRACE", "0").envs(environment.iter().copied());
        if few_cases {
            command.env("VFIO_USER_CONFORMANCE_CASES", self.programs.path("cases"));
        }
        let status = command.stdin(Stdio::null()).stdout(file.try_clone()?).stderr(file).status()?;
        Ok(Ended { status, output: String::from_utf8_lossy(&fs::read(output)?).into_owned() })
    }
}

impl Drop for Stage<'_> {
    fn drop(&mut self) {
        let left = fs::read_to_string(self.path("tmp").join("left-running")).unwrap_or_default();
        for pid in left.split_whitespace().filter_map(|word| word.parse().ok()) {
            let _ = nix::sys::signal::kill(nix::unistd::Pid::from_raw(pid), nix::sys::signal::Signal::SIGTERM);
        }
    }
}
