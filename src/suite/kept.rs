//! What the server was found to offer, kept for the other processes of one nextest run: that starts a process for each test.

use std::env;
use std::fs;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::Suite;
use crate::report::write_whole;
use crate::target::{DeviceFile, Discovered};

/// Where it is kept, for which run, and of what. The file stands beside the program, and only one of the same run is taken, which
/// nextest gives a number that nobody else knows. Where there is no such file, or it cannot be written, the server is asked again.
#[derive(Debug)]
pub(super) struct Kept {
    file: PathBuf,
    run: String,
    of: String,
}

#[derive(Serialize, Deserialize)]
struct Content {
    run: String,
    of: String,
    discovered: Discovered,
}

impl Kept {
    /// `None` where nextest does not run it.
    pub(super) fn of(suite: &Suite, device: Option<&DeviceFile>) -> Option<Kept> {
        let run = env::var("NEXTEST_RUN_ID").ok()?;
        let mut file = env::current_exe().ok()?.into_os_string();
        file.push(".offers");
        let Suite { target, profile, timeouts, .. } = suite;
        Some(Kept { file: file.into(), run, of: format!("{target:?} {profile:?} {timeouts:?} {device:?}") })
    }

    pub(super) fn read(&self) -> Option<Discovered> {
        let text = fs::read_to_string(&self.file).ok()?;
        let content: Content = serde_json::from_str(&text).ok()?;
        (content.run == self.run && content.of == self.of).then_some(content.discovered)
    }

    pub(super) fn write(self, discovered: &Discovered) {
        let content = Content { run: self.run, of: self.of, discovered: discovered.clone() };
        if let Ok(text) = serde_json::to_string(&content) {
            // The next process asks the server itself where it fails.
            let _ = write_whole(&self.file, text.as_bytes());
        }
    }
}
