//! The suite, played against one server.

use std::collections::BTreeMap;
use std::sync::LazyLock;
use std::time::Duration;

use vfio_user_conformance::Profile;
use vfio_user_conformance::requirement::Register;
use vfio_user_conformance::run::{Context, Library, Plan, Planned, Runner, Selection, Timeouts};
use vfio_user_conformance::session::Interrupt;
use vfio_user_conformance::target::{DeviceFile, Launcher, Target, probe};
use vfio_user_conformance::verdict::{CaseResult, Class, Evidence, Finding};

const DEVICE: &str = include_str!("../../fixtures/devices/conformance.toml");
/// Each command once, with success and refused, for what the model says of every reply.
const ORDINARY: [&str; 3] = ["header.success/*", "header.error-reply-*", "version.answer"];
/// Cases that had to be repeated for a deadline, before no more are played: one, where the fault was reported.
const MOST_REPEATED: usize = 6;

/// The cases and the register.
pub(crate) struct Suite {
    pub(crate) register: Register,
    /// The cases of each version of the protocol.
    pub(crate) plans: BTreeMap<Profile, Plan>,
    device: DeviceFile,
}

/// The bundled cases.
pub(crate) static SUITE: LazyLock<Suite> = LazyLock::new(|| {
    let register = Register::bundled().expect("a register without errors");
    let library = Library::bundled(&register).expect("cases without errors");
    let plan = |profile| (profile, library.plan(profile, &register).expect("samples that fit"));
    let plans = Profile::ALL.into_iter().map(plan).collect();
    let device = DeviceFile::parse("conformance.toml", DEVICE).expect("a device file without errors");
    Suite { register, plans, device }
});

/// How long to wait for what: little, since many faults show as silence.
pub(crate) fn brisk() -> Timeouts {
    let time = Duration::from_millis;
    Timeouts { reply: time(250), long: time(500), settle: time(60), start: time(2000), exit: time(250) }
}

/// On a machine that is busy with other things.
pub(crate) fn patient() -> Timeouts {
    Timeouts { settle: Duration::from_millis(250), ..Timeouts::from_reply(Duration::from_secs(2)) }
}

/// Which cases are played.
pub(crate) enum Which<'a> {
    All,
    /// Those that name the requirement, and the ordinary ones.
    For(&'a str),
}

/// What the suite says of a server.
#[derive(Default)]
pub(crate) struct Report {
    /// What was found, by requirement, with the case's name.
    pub(crate) findings: BTreeMap<String, Vec<(String, Finding)>>,
    /// Cases that could not be played at all, with the reason.
    pub(crate) skipped: Vec<(String, String)>,
    /// Cases that were played.
    pub(crate) played: usize,
}

impl Report {
    /// The worst that was said of a requirement.
    pub(crate) fn class(&self, requirement: &str) -> Option<Class> {
        self.findings.get(requirement)?.iter().map(|(_, finding)| finding.class).max()
    }

    /// The requirements that are violated, those apart that only a deadline speaks against.
    pub(crate) fn violated(&self) -> impl Iterator<Item = (&str, &(String, Finding))> {
        self.findings.iter().filter_map(|(requirement, found)| {
            let certain = |(_, finding): &&(String, Finding)| {
                finding.class == Class::Violation && finding.evidence != Evidence::Deadline
            };
            Some((requirement.as_str(), found.iter().find(certain)?))
        })
    }
}

impl Suite {
    /// Probes the server and plays the cases, as `run` does.
    pub(crate) fn judge(
        &self,
        profile: Profile,
        target: Target,
        which: &Which<'_>,
        timeouts: Timeouts,
    ) -> Result<Report, String> {
        let interrupt = Interrupt::new().map_err(|error| error.to_string())?;
        let launcher = Launcher::new(target, timeouts.start, false).map_err(|error| error.to_string())?;
        let discovered =
            probe(profile, &launcher, Some(&self.device), timeouts, &interrupt).map_err(|error| error.to_string())?;
        let context = Context {
            profile,
            register: &self.register,
            launcher: &launcher,
            discovered: &discovered,
            device: Some(&self.device),
            timeouts,
            interrupt: &interrupt,
        };
        let runner = Runner { context, jobs: 1, fail_fast: false, pinned: None, replay: "{case}".to_owned() };
        let (mut report, mut repeated) = (Report::default(), 0);
        for case in self.cases(profile, which)? {
            let record = runner.judge(case)?;
            if record.result == CaseResult::Error {
                return Err(format!("{}: a fault of the harness: {}", record.name, record.reason.unwrap_or_default()));
            }
            if let (CaseResult::Skip, Some(reason)) = (record.result, record.reason) {
                report.skipped.push((record.name.clone(), reason));
            } else {
                report.played += 1;
            }
            for finding in record.findings {
                report.findings.entry(finding.requirement.clone()).or_default().push((record.name.clone(), finding));
            }
            repeated += usize::from(record.attempts.len() > 1 && record.result != CaseResult::Pass);
            let caught = matches!(which, Which::For(requirement) if report.class(requirement).is_some());
            if repeated >= if caught { 1 } else { MOST_REPEATED } {
                break;
            }
        }
        Ok(report)
    }

    fn cases(&self, profile: Profile, which: &Which<'_>) -> Result<Vec<&Planned>, String> {
        let cases = &self.plans.get(&profile).ok_or("no such version")?.cases;
        let Which::For(requirement) = which else { return Ok(cases.iter().collect()) };
        let ordinary = Selection::new(&ORDINARY.map(str::to_owned), &self.register)?;
        let names = |case: &&Planned| case.requirements().iter().any(|id| id == requirement);
        let (mut cases, others): (Vec<&Planned>, Vec<&Planned>) = cases.iter().partition(names);
        cases.extend(others.into_iter().filter(|case| ordinary.admits(case)));
        Ok(cases)
    }
}
