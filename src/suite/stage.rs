//! What the tests share: the server and what it offers, the cases, what is pinned. And the verdict of each.

use std::fs;
use std::path::Path;
use std::sync::{Mutex, PoisonError};

use libtest_mimic::{Arguments, Completion, Failed};

use super::kept::Kept;
use super::pins::Pins;
use super::{Suite, environment, filter};
use crate::Profile;
use crate::report::{case_text, harmless, tame_where_read};
use crate::requirement::Register;
use crate::run::{Context, Library, LibraryError, Planned, Runner, Timeouts};
use crate::session::Interrupt;
use crate::target::{DeviceFile, Discovered, Launcher, probe, spoken};
use crate::verdict::{CaseRecord, CaseResult, Class, Expectations};

/// What the tests share.
#[derive(Debug)]
pub(super) struct Stage {
    pub(super) launcher: Launcher,
    pub(super) discovered: Discovered,
    pub(super) pins: Option<Pins>,
    cases: Mutex<Vec<Planned>>,
    register: Register,
    device: Option<DeviceFile>,
    timeouts: Timeouts,
    interrupt: Interrupt,
    strict: bool,
    replay: String,
}

impl Stage {
    /// Plans the cases that are asked for, and finds out what the server offers; `None` where no case has such a name. No server is
    /// started then: `cargo test NAME` asks every test program.
    pub(super) fn set(suite: &Suite, arguments: &Arguments) -> Result<Option<Stage>, String> {
        let register = Register::bundled().map_err(|error| error.to_string())?;
        let device = suite.device.as_deref().map(device_file).transpose()?;
        let expectations = suite.expect.as_deref().map(expect_file).transpose()?;
        let library = library(suite, arguments, &register)?;
        if !filter::admits_any(arguments, &library, &register)? {
            return Ok(None);
        }
        let interrupt = Interrupt::new().map_err(|error| format!("no eventfd: {error}"))?;
        let launcher = Launcher::new(suite.target.clone(), suite.timeouts.start, suite.one_at_a_time())
            .map_err(|error| error.to_string())?;
        let kept = Kept::of(suite, device.as_ref());
        let discovered = match kept.as_ref().and_then(Kept::read) {
            Some(discovered) => discovered,
            None => {
                let discovered = discover(suite, &launcher, device.as_ref(), &interrupt)?;
                if let Some(kept) = kept {
                    kept.write(&discovered);
                }
                discovered
            }
        };
        let cases = library.plan(discovered.profile, &register)?.cases;
        let pins = match expectations {
            Some(expectations) => {
                Some(Pins::new(expectations.with_strict(suite.strict), &cases, &discovered, &library, &register)?)
            }
            None => None,
        };
        Ok(Some(Stage {
            launcher,
            discovered,
            cases: Mutex::new(cases),
            pins,
            register,
            device,
            timeouts: suite.timeouts,
            interrupt,
            strict: suite.strict,
            replay: environment::command(),
        }))
    }

    /// The cases, for whoever comes first.
    pub(super) fn take_cases(&self) -> Vec<Planned> {
        std::mem::take(&mut *self.cases.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Plays a case, or says why not.
    ///
    /// # Errors
    /// Where there is no verdict: the server cannot be started or reached.
    fn play(&self, case: &Planned) -> Result<CaseRecord, String> {
        let context = Context {
            profile: self.discovered.profile,
            register: &self.register,
            launcher: &self.launcher,
            discovered: &self.discovered,
            device: self.device.as_ref(),
            timeouts: self.timeouts,
            interrupt: &self.interrupt,
        };
        Runner { context, jobs: 1, fail_fast: false, pinned: None, replay: self.replay.clone() }.judge(case)
    }

    /// A case that is not played, for whoever wants to know of it.
    pub(super) fn note_skipped(&self, case: &Planned) {
        if let (Some(_), Ok(record)) = (&self.pins, self.play(case)) {
            self.note(record);
        }
    }

    /// Plays a case as a test.
    pub(super) fn test(&self, case: &Planned) -> Result<Completion, Failed> {
        let record = self.play(case)?;
        let judged = match &self.pins {
            Some(pins) => pins.judge(&record),
            None => self.judge(&record),
        };
        let reason = harmless(record.reason.as_deref().unwrap_or_default());
        let result = record.result;
        if let Err(why) = judged {
            let mut text = self.text(&record);
            if text.is_empty() {
                text = format!("again     {}", record.replay);
            }
            self.note(record);
            let told = format!("{}{text}", why.iter().map(|line| format!("{line}\n")).collect::<String>());
            return Err(tame_where_read(&told).into_owned().into());
        }
        self.note(record);
        // Its set-up was refused, which nobody knew before.
        if result == CaseResult::Skip {
            return Ok(Completion::ignored_with(reason));
        }
        Ok(Completion::Completed)
    }

    /// What a case came to where nothing is pinned: sentences for what is not as it should be.
    fn judge(&self, record: &CaseRecord) -> Result<(), Vec<String>> {
        let has_note = || record.findings.iter().any(|finding| finding.class == Class::Note);
        match record.result {
            CaseResult::Fail => Err(Vec::new()),
            CaseResult::Pass | CaseResult::Skip if self.strict && has_note() => Err(Vec::new()),
            CaseResult::Pass | CaseResult::Skip => Ok(()),
            CaseResult::Inconclusive | CaseResult::Error => {
                let word = if record.result == CaseResult::Error { "in error" } else { "inconclusive" };
                Err(vec![format!("{word}: {}", harmless(record.reason.as_deref().unwrap_or_default()))])
            }
        }
    }

    /// What is found, as the command line tells it.
    fn text(&self, record: &CaseRecord) -> String {
        let mut text = case_text(record, Class::Violation, &self.register);
        if self.strict {
            text.push_str(&case_text(record, Class::Note, &self.register));
        }
        text
    }

    fn note(&self, record: CaseRecord) {
        if let Some(pins) = &self.pins {
            pins.note(record);
        }
    }
}

/// Asks the server what it speaks and offers.
fn discover(
    suite: &Suite,
    launcher: &Launcher,
    device: Option<&DeviceFile>,
    interrupt: &Interrupt,
) -> Result<Discovered, String> {
    let profile: Profile = match suite.profile {
        Some(profile) => profile,
        None => spoken(launcher, suite.timeouts, interrupt).map_err(|error| error.to_string())?.profile,
    };
    probe(profile, launcher, device, suite.timeouts, interrupt).map_err(|error| error.to_string())
}

/// The cases, or those that may be the one that is asked for.
fn library(suite: &Suite, arguments: &Arguments, register: &Register) -> Result<Library, String> {
    let wanted = |text: &str| filter::only(arguments).is_none_or(|name| filter::may_have(text, name));
    let library = match &suite.cases {
        Some(folder) => Library::from_directory(folder, register),
        None => Library::bundled_where(&wanted, register),
    };
    let library = library.map_err(|error| match error {
        LibraryError::Cases(diagnostics) => {
            diagnostics.iter().map(|(source, diagnostic)| diagnostic.render(source, false)).collect()
        }
        error @ LibraryError::Read { .. } => error.to_string(),
    })?;
    match &suite.cases {
        Some(folder) if library.cases.iter().all(|(_, cases)| cases.is_empty()) => {
            Err(format!("{} has no case files (*.case)", folder.display()))
        }
        _ => Ok(library),
    }
}

fn device_file(path: &Path) -> Result<DeviceFile, String> {
    let text = read(path, "the device file")?;
    DeviceFile::parse(&path.display().to_string(), &text).map_err(|error| error.to_string())
}

fn expect_file(path: &Path) -> Result<Expectations, String> {
    let text = read(path, "the pinned expectations")?;
    Expectations::parse(&path.display().to_string(), &text).map_err(|error| error.to_string())
}

fn read(path: &Path, what: &str) -> Result<String, String> {
    fs::read_to_string(path).map_err(|error| {
        let place =
            std::env::current_dir().map_or_else(|_| String::new(), |folder| format!(", from {}", folder.display()));
        format!("could not read {what} {}{place}: {error}", path.display())
    })
}
