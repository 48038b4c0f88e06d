//! `run --against CMD`: the same sequences to two servers.

use std::path::Path;
use std::time::Instant;

use super::options::TargetOptions;
use super::{Failure, setup};
use crate::generate::{Against, Progress};
use crate::report::ExitCode;
use crate::run::{Context, End, Event};
use crate::target::{Launcher, probe};

/// How many sequences, where it is not said.
pub(super) const SEQUENCES: u64 = 200;

/// What is compared with what.
pub(super) struct Comparing<'a> {
    /// How to play against the target.
    pub(super) context: Context<'a>,
    /// How to reach it.
    pub(super) target: &'a TargetOptions,
    /// What it is called.
    pub(super) name: &'a str,
    /// The command of the other one.
    pub(super) against: &'a str,
    pub(super) jobs: usize,
    pub(super) fail_fast: bool,
    pub(super) seed: u64,
    pub(super) count: u64,
    pub(super) shard: Option<(usize, usize)>,
    pub(super) folder: &'a Path,
}

impl Comparing<'_> {
    /// Probes the other server, and tells where the two part.
    pub(super) fn run(&self, tell: &mut dyn FnMut(Event) -> Result<(), Failure>) -> Result<End, Failure> {
        let started = Instant::now();
        let timeouts = self.context.timeouts;
        let options = self.target.of_other(self.against);
        let (target, name) = options.target()?;
        let device = options.device()?;
        let launcher =
            Launcher::new(target, timeouts.start, self.jobs == 1).map_err(|error| Failure::ours(error.to_string()))?;
        let found = probe(self.context.profile, &launcher, device.as_ref(), timeouts, self.context.interrupt);
        let found = match found.map_err(|error| setup::probe_failure(&error)) {
            Ok(found) => found,
            Err(failure) if failure.code == ExitCode::Internal => return Err(failure),
            Err(failure) => {
                let interrupted = failure.code == ExitCode::Interrupted;
                let lost = (!interrupted).then(|| format!("--against: {}", failure.sentence));
                let seconds = started.elapsed().as_secs_f64();
                return Ok(End { interrupted, lost, seconds, ..End::default() });
            }
        };
        let replay = |options: &TargetOptions| format!("vfio-user-conformance replay {{file}}{}", options.again());
        let (replay_a, replay_b) = (replay(self.target), replay(&options));
        let against = Against {
            a: self.context,
            b: Context { launcher: &launcher, discovered: &found, device: device.as_ref(), ..self.context },
            names: [self.name, &name],
            jobs: self.jobs,
            fail_fast: self.fail_fast,
            seed: self.seed,
            count: self.count,
            shard: self.shard,
            folder: self.folder,
            replay: [&replay_a, &replay_b],
        };
        let mut failed = None;
        let compared = against
            .run(|progress| {
                let event = match progress {
                    Progress::Played(played) => Event::Generating { played, count: self.count },
                    Progress::Shrinking(number, count) => Event::Shrinking { number, count },
                };
                if let Err(failure) = tell(event) {
                    failed.get_or_insert(failure);
                }
            })
            .map_err(|error| Failure::ours(error.to_string()))?;
        if let Some(failure) = failed {
            return Err(failure);
        }
        tell(Event::Compared(Box::new(compared.differential)))?;
        Ok(End {
            complete: compared.complete && !compared.stopped,
            stopped: compared.stopped,
            interrupted: self.context.interrupt.raised(),
            lost: compared.lost,
            seconds: started.elapsed().as_secs_f64(),
            ..End::default()
        })
    }
}
