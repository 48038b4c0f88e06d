//! The program itself against servers in processes of their own: its exit code, its end and its memory.

use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use nix::sys::resource::{UsageWho, getrusage};

use crate::hostile::{hex, served};
use crate::server::SERVE_ONE;

/// What the program and its servers may take each, in KiB.
const MEMORY: i64 = 64 << 10;
/// Cases that make a server say much.
const CASES: [&str; 2] = ["client.*", "migration-data.*"];
/// What each of them may end with: all but wrong usage, a fault of the harness and an interruption.
const CODES: [i32; 5] = [0, 2, 3, 4, 5];
/// Whoever takes so long hangs, however busy the machine is.
const HANGS: Duration = Duration::from_secs(300);

/// Runs the program once for each version, against servers of a seed.
pub(crate) fn runs(seed: u64) -> Result<(), String> {
    let own = std::env::current_exe().map_err(|error| error.to_string())?;
    for version in 0..4u8 {
        // Any numbers: their order is what a seed stands for.
        let mut state = (seed << 2 | u64::from(version)).wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
        let mut script = Vec::new();
        for _ in 0..50 {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            script.extend(state.to_le_bytes());
        }
        let temper = if seed.is_multiple_of(2) { 16 } else { 64 };
        let serve = format!("{} {SERVE_ONE} {version} {temper} {} {{socket}}", own.display(), hex(&script));
        let profile = served(version).dialect().name;
        let mut command = Command::new(env!("CARGO_BIN_EXE_vfio-user-conformance"));
        command.args(["run", "--timeout", "60ms", "--jobs", "1", "--profile", profile, "--spawn", &serve]);
        command.args(CASES).env("XDG_STATE_HOME", "/dev/null").stdout(Stdio::piped()).stderr(Stdio::piped());
        let started = Instant::now();
        let ended = command.output().map_err(|error| error.to_string())?;
        let said = [ended.stdout, ended.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).concat();
        let told = || format!("seed {seed}, {profile}: {}\n{serve}\n{said}", ended.status);
        if !ended.status.code().is_some_and(|code| CODES.contains(&code)) || said.contains("panicked") {
            return Err(told());
        }
        if started.elapsed() > HANGS {
            return Err(format!("{:?}: {}", started.elapsed(), told()));
        }
    }
    let usage = getrusage(UsageWho::RUSAGE_CHILDREN).map_err(|error| error.to_string())?;
    let most = usage.max_rss();
    if most > MEMORY { Err(format!("{most} KiB of memory")) } else { Ok(()) }
}
