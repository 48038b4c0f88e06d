//! `verify`.

use std::path::PathBuf;

use clap::Args;

use super::certify::{heed_nothing_else, program, still, tell_coverage};
use super::options::Reached;
use super::run::{Judged, Run};
use super::{Failure, setup};
use crate::Profile;
use crate::certificate::{
    Checked, DEVICE, MANIFEST, Manifest, Program, SEED, SEQUENCES, Server, Verdict, check, differences, sha256,
};
use crate::report::{ExitCode, Report, harmless};
use crate::run::Timeouts;

/// So many differences are told.
const DIFFERENCES: usize = 50;

/// Check a bundle of `certify`; with --again, run it again.
///
/// Every file is compared with its digest, counts and verdict are made anew from the cases, and where this version of the program
/// judged, too, its cases and requirements are compared with those of the bundle. A bundle is not signed: who writes one can
/// forge it, and --again alone shows whether it is true.
///
/// Exit codes: 0, it certifies; 3, another version of this program judged, which can check it; 1, it is no bundle, or does not
/// agree with itself; that of its run, where the server was refused; 6, --again came to something else, or was of another program or device
/// file.
#[derive(Debug, Args)]
pub(super) struct Verify {
    /// The folder of the bundle.
    #[arg(value_name = "FOLDER")]
    folder: PathBuf,
    /// Run it again, with the settings of the bundle, against the server of --spawn or --socket, and compare case by case. Nothing
    /// that stands in a bundle is ever started.
    #[arg(long)]
    again: bool,
    #[command(flatten)]
    server: Reached,
    /// The file of the server, where --spawn starts something else that starts it, as `certify` takes it. It is to be the one that
    /// the bundle has the SHA-256 of.
    #[arg(long, value_name = "FILE", requires = "again")]
    program: Option<PathBuf>,
    /// How many servers at once.
    #[arg(long, value_name = "N", requires = "again", value_parser = clap::value_parser!(u16).range(1..=256))]
    jobs: Option<u16>,
}

impl Verify {
    pub(super) fn main(self) -> Result<ExitCode, Failure> {
        if self.again && !self.server.names_server() {
            return Err(Failure::usage(
                "--again needs the server: --spawn CMD or --socket PATH; the command in a bundle is a stranger's, and is not run",
            ));
        }
        if !self.again && self.server.names_anything() {
            return Err(Failure::usage("--spawn, --socket and --device are for --again"));
        }
        let register = setup::register()?;
        let library = setup::library(None, &register)?;
        let checked = check(&self.folder, &register, &library).map_err(|wrong| {
            let folder = harmless(&self.folder.display().to_string());
            let wrong: Vec<String> = wrong.iter().map(|sentence| format!("\n  {sentence}")).collect();
            Failure::usage(format!("{folder} certifies nothing:{}", wrong.concat()))
        })?;
        tell(&checked)?;
        let of_bundle = match &checked.manifest.verdict {
            Verdict::Certified(_) => ExitCode::Conforming,
            Verdict::Refused(_) => match ExitCode::of_number(checked.report.exit_code) {
                None | Some(ExitCode::Conforming) => ExitCode::Internal,
                Some(code) => code,
            },
        };
        if !self.again {
            // What could not be checked is no certificate.
            let unchecked = !checked.unchecked.is_empty() && of_bundle == ExitCode::Conforming;
            return Ok(if unchecked { ExitCode::Inconclusive } else { of_bundle });
        }
        self.run_again(&checked, of_bundle)
    }

    fn run_again(self, checked: &Checked, of_bundle: ExitCode) -> Result<ExitCode, Failure> {
        heed_nothing_else("verify --again");
        let manifest = &checked.manifest;
        let settings = &manifest.settings;
        let profile: Profile = manifest.profile.parse().map_err(|_| other_version("profile", &manifest.profile))?;
        let timeout: Timeouts = settings.timeout.parse().map_err(|_| other_version("timeout", &settings.timeout))?;
        if (settings.sequences, settings.seed) != (SEQUENCES, SEED) {
            return Err(other_version("number of sequences", &settings.sequences.to_string()));
        }
        let target = self.server.with(profile, timeout);
        let file = match &self.program {
            Some(file) => Some(file.clone()),
            None => target.program()?,
        };
        let program = file.as_deref().map(program).transpose()?;
        let device = target.device_text()?.map(|(_, text)| sha256(text.as_bytes()));
        let others = [another_program(manifest, program.as_ref()), another_device(manifest, device.as_deref())];
        let others: Vec<String> = others.into_iter().flatten().collect();
        let folder = self.folder.display();
        say!("\nAgain, with the settings of {folder}:\n");
        let mut run = Run::certifying(target, settings);
        run.jobs = if settings.one_at_a_time { Some(1) } else { self.jobs };
        let Judged { report, code } = run.judge()?;
        say!("");
        // What kept the run from its end says nothing of the bundle.
        if matches!(code, ExitCode::Interrupted | ExitCode::Internal | ExitCode::Unreachable) {
            say!("Not compared: this run did not come to its end");
            return Ok(code);
        }
        still(file.as_deref(), program.as_ref())?;
        if program.is_none() || manifest.server.program.is_none() {
            say!("Whether this was the program that the bundle is of is not known");
        }
        for other in &others {
            say!("NOT WHAT THE BUNDLE IS OF: {other}");
        }
        for unchecked in &checked.unchecked {
            say!("{unchecked}");
        }
        let same = told_by_case(&checked.report, &report, others.is_empty())?;
        Ok(if same && others.is_empty() { of_bundle } else { ExitCode::Drift })
    }
}

/// Says how this run differs from the bundle, case by case; whether it came to the same. A run of something else shows nothing by that.
fn told_by_case(before: &Report, after: &Report, same_server: bool) -> Result<bool, Failure> {
    let differences = differences(before, after);
    if differences.is_empty() {
        let all = after.cases.len();
        match same_server {
            true => say!("The same: each of {all} cases came out as in the bundle"),
            false => say!("Each of {all} cases came out as in the bundle; what that is of was not run again"),
        }
        return Ok(true);
    }
    say!("Not the same: {} cases came out otherwise than in the bundle", differences.len());
    for difference in differences.iter().take(DIFFERENCES) {
        say!("  {}", harmless(difference));
    }
    if differences.len() > DIFFERENCES {
        say!("  and {} more", differences.len() - DIFFERENCES);
    }
    Ok(false)
}

/// That this run was of another program than the bundle, where both are known.
fn another_program(manifest: &Manifest, now: Option<&Program>) -> Option<String> {
    let (then, now) = (manifest.server.program.as_ref()?, now?);
    let told = |program: &Program| format!("{} with SHA-256 {}", harmless(&program.file), harmless(&program.sha256));
    (then.sha256 != now.sha256).then(|| {
        format!(
            "this run was of another program: {}, and that of the bundle is {}; where --spawn starts something else \
             that starts the server, name its file (--program)",
            told(now),
            told(then)
        )
    })
}

/// That this run had another device file than the bundle; none is one, too.
fn another_device(manifest: &Manifest, now: Option<&str>) -> Option<String> {
    let then = manifest.files.get(DEVICE).map(|digest| digest.sha256.as_str());
    (then != now).then(|| format!("this run had another device file than that of the bundle ({DEVICE})"))
}

fn other_version(what: &str, found: &str) -> Failure {
    Failure::usage(format!("{MANIFEST}: this program has no {what} `{}`", harmless(found)))
}

fn tell(checked: &Checked) -> Result<(), Failure> {
    let manifest = &checked.manifest;
    let Server { name, version, url, program } = &manifest.server;
    let (name, version, profile) = (harmless(name), harmless(version), harmless(&manifest.profile));
    match &manifest.verdict {
        Verdict::Certified(level) if checked.unchecked.is_empty() => {
            say!("Certified, {level}: {name} {version}, vfio-user {profile}")
        }
        Verdict::Certified(level) => {
            say!("Not checked, and by its own words certified, {level}: {name} {version}, vfio-user {profile}")
        }
        Verdict::Refused(reasons) => {
            say!("NOT CERTIFIED: {name} {version}, vfio-user {profile}");
            for reason in reasons {
                say!("  {}", harmless(reason));
            }
        }
    }
    if let Some(url) = url {
        say!("From: {}", harmless(url));
    }
    match program {
        Some(program) => say!("Program: {}, SHA-256 {}", harmless(&program.file), harmless(&program.sha256)),
        None => say!("Program: not known, the server ran already"),
    }
    let harness = &manifest.harness;
    say!("Judged: {} by {} {}", harmless(&manifest.when), harmless(&harness.name), harmless(&harness.version));
    tell_coverage(manifest)?;
    for unchecked in &checked.unchecked {
        say!("NOT CHECKED: {unchecked}");
    }
    say!("Bundle: {} files with their digests; {MANIFEST} has SHA-256 {}", manifest.files.len(), checked.sha256);
    say!(
        "The bundle agrees with itself. It is not signed: who wrote it vouches for it; `verify --again` shows whether it is true"
    );
    Ok(())
}
