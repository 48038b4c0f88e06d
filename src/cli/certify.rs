//! `certify`.

use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use clap::Args;

use super::options::{Reached, TargetOptions};
use super::run::{Judged, Run};
use super::{Failure, complain, setup};
use crate::Profile;
use crate::certificate::{
    Bundle, MANIFEST, Manifest, Program, SEED, SEQUENCES, Server, Settings, Verdict, Written, moment, server_name,
    server_url, sha256_of_file,
};
use crate::report::{ExitCode, harmless};
use crate::run::Timeouts;

/// What all variables begin with that stand for options of `run`.
const PREFIX: &str = "VFIO_USER_CONFORMANCE_";
/// So many reasons for skips are told; the manifest has them all.
const REASONS: usize = 5;

/// Run everything against a server with fixed settings, and write a bundle that certifies what came of it.
///
/// All cases of the version are played, and 200 sequences of seed 1. What is violated, came to no verdict, was interrupted or did not
/// run to its end is refused, with the exit code of such a run; pinned expectations, filters and parts there are none here, and
/// nothing is taken from the environment. Without --spawn and --socket the bundled reference server is certified.
#[derive(Debug, Args)]
#[command(disable_version_flag = true)]
pub(super) struct Certify {
    #[command(flatten)]
    server: Reached,
    /// The version of the protocol: 0.9.2, 0.9.1, v8c or v8. A certificate is of one version.
    #[arg(long, value_name = "P")]
    profile: Profile,
    /// The folder for the bundle: a new one, an empty one, or one with an earlier bundle, which is replaced. Of a server that is
    /// refused it has what was found, and says so.
    #[arg(long, value_name = "FOLDER")]
    bundle: PathBuf,
    /// What the server is called.
    #[arg(long, value_name = "NAME", value_parser = server_name)]
    name: Option<String>,
    /// Which version of it this is: a release, or a commit.
    #[arg(long, value_name = "VERSION", value_parser = server_name)]
    server_version: Option<String>,
    /// Where it comes from.
    #[arg(long, value_name = "URL", value_parser = server_url)]
    url: Option<String>,
    /// The file of the server, where --spawn starts something else that starts it. Its SHA-256 is written into the certificate;
    /// where this is left out, that of the program that --spawn names.
    #[arg(long, value_name = "FILE")]
    program: Option<PathBuf>,
    /// Refuse notes, too.
    #[arg(long)]
    strict: bool,
    /// How long the server may take for a reply, as in `run`. The certificate tells it.
    #[arg(long, value_name = "D", default_value = "2s")]
    timeout: Timeouts,
    /// How many servers at once, as in `run`. 1 leaves out what needs two, and the certificate tells it.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=256))]
    jobs: Option<u16>,
    /// Leave nothing out for brevity.
    #[arg(long, short)]
    verbose: bool,
}

impl Certify {
    pub(super) fn main(self) -> Result<ExitCode, Failure> {
        heed_nothing_else("certify");
        let target = self.server.clone().with(self.profile, self.timeout);
        let (named, file) = self.identity(&target)?;
        // What is wrong with it is told before an earlier bundle is taken away.
        target.device()?;
        self.keeps_its_own(&target)?;
        let device = target.device_text()?.map(|(_, text)| text);
        let program = file.as_deref().map(program).transpose()?;
        let bundle = Bundle::prepare(&self.bundle).map_err(|(sentence, error)| match error {
            Some(error) => Failure::file(sentence, &error),
            None => Failure::usage(sentence),
        })?;
        let one_at_a_time = target.one_at_a_time() || self.jobs == Some(1);
        let settings = Settings {
            timeout: self.timeout.to_string(),
            sequences: SEQUENCES,
            seed: SEED,
            strict: self.strict,
            one_at_a_time,
        };
        let mut run = Run::certifying(target, &settings);
        run.jobs = self.jobs;
        run.verbose = self.verbose;
        run.keep = bundle.generated();
        let Judged { report, code } = run.judge()?;
        still(file.as_deref(), program.as_ref())?;
        let manifest = Manifest::of(&report, Server { program, ..named }, settings, now());
        let register = setup::register()?;
        let written = bundle
            .write(&report, manifest, device.as_deref(), &register)
            .map_err(|error| Failure::ours(format!("the bundle could not be written: {error}")))?;
        self.tell(&written)?;
        Ok(match (&written.manifest.verdict, code) {
            // What is not certified is never 0.
            (Verdict::Refused(_), ExitCode::Conforming) => ExitCode::Internal,
            (_, code) => code,
        })
    }

    /// Nothing that the run needs stands in the folder, which is emptied.
    fn keeps_its_own(&self, target: &TargetOptions) -> Result<(), Failure> {
        let Ok(folder) = self.bundle.canonicalize() else { return Ok(()) };
        let within = |path: &&PathBuf| path.canonicalize().is_ok_and(|path| path.starts_with(&folder));
        match target.device_path().into_iter().chain(&self.program).find(within) {
            None => Ok(()),
            Some(path) => Err(Failure::usage(format!(
                "{} stands in the folder of the bundle, which is emptied: copy it elsewhere first",
                harmless(&path.display().to_string())
            ))),
        }
    }

    /// Who the server is, and the file of its program.
    fn identity(&self, target: &TargetOptions) -> Result<(Server, Option<PathBuf>), Failure> {
        let given = (self.name.clone(), self.server_version.clone());
        let (name, version) = match (target.names_server(), given) {
            (true, (Some(name), Some(version))) => (name, version),
            (true, _) => {
                return Err(Failure::usage(
                    "a certificate says of which server it is: --name NAME and --server-version VERSION",
                ));
            }
            (false, (None, None)) => {
                (format!("{} reference-server", env!("CARGO_PKG_NAME")), env!("CARGO_PKG_VERSION").to_owned())
            }
            (false, _) => {
                return Err(Failure::usage(
                    "no server is named: --spawn or --socket; without them the bundled reference server is certified, \
                     by its own name",
                ));
            }
        };
        let file = match &self.program {
            Some(file) => Some(file.clone()),
            None => target.program()?,
        };
        Ok((Server { name, version, url: self.url.clone(), program: None }, file))
    }

    fn tell(&self, written: &Written) -> Result<(), Failure> {
        let manifest = &written.manifest;
        let Server { name, version, .. } = &manifest.server;
        let folder = self.bundle.display();
        match &manifest.verdict {
            Verdict::Certified(level) => say!("\nCertified, {level}: {name} {version}, vfio-user {}", manifest.profile),
            Verdict::Refused(reasons) => {
                say!("\nNot certified: {name} {version}, vfio-user {}", manifest.profile);
                for reason in reasons {
                    say!("  {}", harmless(reason));
                }
            }
        }
        tell_coverage(manifest)?;
        say!("Bundle: {folder}, {MANIFEST} has SHA-256 {}", written.sha256);
        Ok(())
    }
}

/// What a certificate covers.
pub(super) fn tell_coverage(manifest: &Manifest) -> Result<(), Failure> {
    let coverage = &manifest.coverage;
    let (requirements, cases) = (coverage.requirements, coverage.cases);
    say!(
        "Covered: {} of {} requirements; {} of {} cases were played",
        requirements.exercised(),
        requirements.all,
        cases.played(),
        cases.selected
    );
    if !coverage.skipped.is_empty() {
        say!("Not covered, as the server does not offer it or answered so that a case does not apply:");
        let mut reasons: Vec<(&String, &usize)> = coverage.skipped.iter().collect();
        reasons.sort_by_key(|(_, count)| std::cmp::Reverse(**count));
        for (reason, count) in reasons.iter().take(REASONS) {
            say!("{count:>6}  {}", harmless(reason));
        }
        if reasons.len() > REASONS {
            say!("        and {} more reasons, all in {MANIFEST}", reasons.len() - REASONS);
        }
    }
    let settings = &manifest.settings;
    if settings.timeout != Timeouts::default().to_string() {
        say!("Deadline for a reply: {} (--timeout)", harmless(&settings.timeout));
    }
    if settings.one_at_a_time {
        say!("No two servers were alive at once: what needs a second one is not covered");
    }
    Ok(())
}

/// Says which variables stand for options and are not heeded: neither a filter nor a deadline comes in unseen.
pub(super) fn heed_nothing_else(command: &str) {
    let mut set: Vec<String> = std::env::vars_os().map(|(name, _)| name.to_string_lossy().into_owned()).collect();
    set.retain(|name| name.starts_with(PREFIX));
    set.sort();
    if !set.is_empty() {
        complain(&format!("{command} takes nothing from the environment; not heeded: {}", harmless(&set.join(", "))));
    }
}

/// What a program's file is known by.
pub(super) fn program(path: &Path) -> Result<Program, Failure> {
    let sha256 = sha256_of_file(path).map_err(|error| {
        Failure::file(format!("could not read the program {}: {error}", harmless(&path.display().to_string())), &error)
    })?;
    let file = path.file_name().unwrap_or_default().to_string_lossy();
    Ok(Program { file: harmless(&file), sha256 })
}

/// The program is the one that it was when the run began.
pub(super) fn still(file: Option<&Path>, before: Option<&Program>) -> Result<(), Failure> {
    if file.map(program).transpose()?.as_ref() == before {
        return Ok(());
    }
    Err(Failure::ours(
        "the program was another one when the run had ended than when it began: what was judged is not known, and \
         nothing is made of it",
    ))
}

fn now() -> String {
    moment(SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs())
}
