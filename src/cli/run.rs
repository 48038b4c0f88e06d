//! `run`.

use std::path::{Path, PathBuf};

use clap::Args;

use super::against::{Comparing, SEQUENCES};
use super::chosen::Choice;
use super::failed::{self, Failed, Memory};
use super::merge::not_an_input;
use super::options::TargetOptions;
use super::reports::{Reports, unwritten, whole};
use super::{Failure, limits, setup};
use crate::Profile;
use crate::certificate::Settings;
use crate::generate::{Found, Offer, Progress, Search};
use crate::report::{self, Collector, ExitCode, Report, Reporter, Shard, Terminal};
use crate::run::{Context, End, Event, Generated, Library, Planned, Runner, Selection, Start, quoted};
use crate::target::{Discovered, Launcher, Spoken, probe};
use crate::verdict::{Draft, Expectations, Scope};

/// Where sequences that fail are written to, where it is not said.
const KEEP: &str = "vfio-user-conformance-generated";

/// Run cases against a server.
#[derive(Debug, Args)]
pub(super) struct Run {
    #[command(flatten)]
    target: TargetOptions,
    /// Case names or requirement ids, with globs.
    #[arg(value_name = "FILTER")]
    filters: Vec<String>,
    /// Case files of this folder instead of those that are compiled in.
    #[arg(long, value_name = "DIR", env = "VFIO_USER_CONFORMANCE_CASES")]
    cases: Option<PathBuf>,
    /// How many servers at once, four for each core where it is left out: most wait; 1: never two servers alive.
    #[arg(long, value_name = "N", env = "VFIO_USER_CONFORMANCE_JOBS", value_parser = clap::value_parser!(u16).range(1..=256))]
    pub(super) jobs: Option<u16>,
    /// Run again what failed, was inconclusive or in error when it last ran against this target, as --spawn, --socket, --device,
    /// --profile and --cases name it, from this folder; or what was, or never ran, by a JSON report. With --strict, also what was noted. Each
    /// FILTER, and the part of --shard, takes its share of that; sequences that were drawn run again from the files that they
    /// were written to. Where nothing failed, nothing runs (exit code 5).
    #[arg(long, value_name = "REPORT", num_args = 0..=1, require_equals = true, conflicts_with_all = ["against", "generate"])]
    failed: Option<Option<PathBuf>>,
    /// Run only part I of N, both from 1. A case's name alone says which part it is in; `merge` makes one report of those of
    /// all parts.
    #[arg(long, value_name = "I/N", value_parser = shard, env = "VFIO_USER_CONFORMANCE_SHARD")]
    shard: Option<(usize, usize)>,
    /// Stop after the first failure that is not pinned; no sequences are drawn then.
    #[arg(long)]
    fail_fast: bool,
    /// Notes fail the run, too.
    #[arg(long, env = "VFIO_USER_CONFORMANCE_STRICT", value_parser = clap::builder::BoolishValueParser::new(), num_args = 0..=1, default_missing_value = "true", default_value = "false", require_equals = true)]
    strict: bool,
    /// Pinned expectations: fail only where the run differs from them.
    #[arg(long, value_name = "FILE", env = "VFIO_USER_CONFORMANCE_EXPECT")]
    expect: Option<PathBuf>,
    /// Write a draft of pinned expectations from this run.
    #[arg(long, value_name = "FILE")]
    expect_write: Option<PathBuf>,
    /// After the cases, judge N sequences that nobody wrote, drawn from what the target offers. `generated` as the only
    /// FILTER leaves the cases out.
    #[arg(long, value_name = "N", env = "VFIO_USER_CONFORMANCE_GENERATE")]
    generate: Option<u64>,
    /// Play the sequences of --generate (200 where that is left out) against this server as well, started with this
    /// command as --spawn is, and tell where the two part. No case is played. --device then speaks of both.
    #[arg(long, value_name = "CMD", conflicts_with_all = ["filters", "cases", "expect", "expect_write"])]
    against: Option<String>,
    /// Which sequences: the same seed draws the same ones from the same target. Any number where it is left out.
    #[arg(long, value_name = "S", env = "VFIO_USER_CONFORMANCE_SEED")]
    seed: Option<u64>,
    /// Where a sequence that fails is written to, shrunk to the steps that matter, for `replay`.
    #[arg(long, value_name = "DIR", default_value = KEEP)]
    pub(super) keep: PathBuf,
    #[command(flatten)]
    reports: Reports,
    /// Leave nothing out for brevity.
    #[arg(long, short)]
    pub(super) verbose: bool,
    /// Case files in place of all others.
    #[arg(skip)]
    files: Vec<PathBuf>,
}

/// Run case files again: those that `run --generate` wrote, or any others.
#[derive(Debug, Args)]
pub(super) struct Replay {
    #[command(flatten)]
    target: TargetOptions,
    /// The case files.
    #[arg(value_name = "FILE", required = true)]
    files: Vec<PathBuf>,
    #[command(flatten)]
    reports: Reports,
    /// Leave nothing out for brevity.
    #[arg(long, short)]
    verbose: bool,
}

impl Replay {
    pub(super) fn main(self) -> Result<ExitCode, Failure> {
        let Replay { target, files, reports, verbose } = self;
        let run = Run { reports, verbose, files, ..Run::of(target) };
        run.main()
    }
}

fn shard(text: &str) -> Result<(usize, usize), String> {
    let numbers = text.split_once('/').and_then(|(index, count)| Some((index.parse().ok()?, count.parse().ok()?)));
    match numbers {
        Some((index, count)) if 1 <= index && index <= count => Ok((index, count)),
        _ => Err("I/N, with 1 <= I <= N".to_owned()),
    }
}

/// What a run came to.
#[derive(Debug)]
pub(super) struct Judged {
    /// What was found, with the messages of the cases in which something was.
    pub(super) report: Report,
    /// What the program ends with.
    pub(super) code: ExitCode,
}

impl Run {
    /// All cases against this target, with no option that changes what is played or how it is judged: nothing is taken from the
    /// environment.
    pub(super) fn of(target: TargetOptions) -> Run {
        Run {
            target,
            filters: Vec::new(),
            cases: None,
            jobs: None,
            failed: None,
            shard: None,
            fail_fast: false,
            strict: false,
            expect: None,
            expect_write: None,
            generate: None,
            against: None,
            seed: None,
            keep: PathBuf::from(KEEP),
            reports: Reports::default(),
            verbose: false,
            files: Vec::new(),
        }
    }

    /// All cases and the sequences of a certification.
    pub(super) fn certifying(target: TargetOptions, settings: &Settings) -> Run {
        let Settings { sequences, seed, strict, .. } = *settings;
        Run { strict, generate: Some(sequences), seed: Some(seed), ..Run::of(target) }
    }

    pub(super) fn main(&self) -> Result<ExitCode, Failure> {
        self.judge().map(|judged| judged.code)
    }

    /// Runs, tells what happens, and gives what it came to.
    pub(super) fn judge(&self) -> Result<Judged, Failure> {
        let memory = Memory::of(&self.target, self.cases.as_deref());
        // Before a report is taken away: it may be that one.
        let again = self.failed.as_ref().map(|report| match report {
            Some(path) => Failed::of_report(path, self.strict),
            None => memory.failed(),
        });
        self.outputs()?;
        let again = again.transpose()?;
        limits::prepare(self.target.starts_servers())?;
        let register = setup::register()?;
        let library = if self.files.is_empty() {
            setup::library(self.cases.as_deref(), &register)?
        } else {
            setup::files(&self.files, &register)?
        };
        let kept = match &again {
            Some(again) => setup::files(&again.files(), &register)?,
            None => Library::default(),
        };
        let (target, name) = self.target.target()?;
        let device = self.target.device()?;
        let expectations = self.expectations()?;
        if let Some(command) = &self.against {
            // What is wrong with it is told before anything is started.
            self.target.of_other(command).target().map_err(|failure| Failure {
                sentence: failure.sentence.replacen("--spawn", "--against", 1),
                ..failure
            })?;
        }
        let selection = Selection::new(&self.filters, &register).map_err(Failure::usage)?;
        let interrupt = setup::interrupt()?;
        let launcher = Launcher::new(target, self.target.timeouts().start, self.jobs() == 1)
            .map_err(|error| Failure::ours(error.to_string()))?;
        let (spoken, unreachable) = match self.target.spoken(&launcher, &interrupt) {
            Ok(spoken) => (spoken, None),
            Err(failure) if failure.code == ExitCode::Internal => return Err(failure),
            // The report says what could not be run.
            Err(failure) => (Spoken { profile: Profile::V0_9_2, why: "nothing is known".to_owned() }, Some(failure)),
        };
        let chosen = Choice {
            register: &register,
            profile: unreachable.is_none().then_some(spoken.profile),
            library: &library,
            kept: &kept,
            selection: &selection,
            again: again.as_ref(),
            shard: self.shard,
            draws: self.generate.is_some(),
            compares: self.against.is_some(),
            pinned: expectations.is_some(),
        }
        .chosen()?;
        chosen.left_out(&self.target).for_each(|said| super::complain(&format!("--failed: {said}")));
        let seed = self.sequences().map(|_| self.seed.unwrap_or_else(any_seed));
        let only_generated = self.against.is_some() || self.generate.is_some() && self.filters == ["generated"];
        let names = chosen.names();
        let scope = Scope {
            register: &register,
            profile: spoken.profile,
            all: &chosen.all,
            selected: &names,
            elsewhere: &chosen.elsewhere,
            generates: self.generate.is_some_and(|count| count > 0),
            sharded: self.shard.is_some_and(|(_, count)| count > 1),
        };
        // What a server that was never spoken to would show is not known.
        let expectations = expectations.filter(|_| unreachable.is_none());
        let expectations = expectations.map(|pinned| pinned.with_strict(self.strict).within(&scope));
        let command: Vec<String> = std::env::args().collect();
        let asked = self.target.profile().to_string();
        let timeout = self.target.timeouts().to_string();
        let context = report::Context {
            register: &register,
            selected: &names,
            cases_sha256: &library.sha256,
            expectations: expectations.as_ref(),
            seed,
            shard: chosen.part,
            strict: self.strict,
            timeout: &timeout,
            one_at_a_time: self.jobs() == 1,
            command: &command,
            target: &name,
            profile: &asked,
        };
        // A part without a case may still have sequences.
        let has_sequences =
            chosen.part.is_some_and(|part| part.selected > 0) && self.generate.is_some_and(|count| count > 0);
        let nothing = names.is_empty() && !only_generated && !has_sequences;
        if let Some(sentence) = chosen.idle.clone().or(nothing.then(|| match &again {
            Some(again) => again.nothing(&chosen.gone),
            None => self.nothing_selected(chosen.part),
        })) {
            return Err(self.not_begun(report::Context { selected: &[], ..context }, sentence));
        }
        let mut reporters: Vec<Box<dyn Reporter>> = vec![Box::new(Terminal::stdout(context, self.verbose))];
        reporters.extend(self.reports.reporters(context));
        let mut collector = Collector::of_findings(context);
        let mut judged = None;
        let mut tell = |event: Event| -> Result<(), Failure> {
            // One report that cannot be written keeps no other from being written.
            let mut failed = None;
            for reporter in &mut reporters {
                if let Err(error) = reporter.event(&event) {
                    failed.get_or_insert(unwritten(&error));
                }
            }
            if let Some(report) = collector.event(&event) {
                judged = Some(report);
            }
            failed.map_or(Ok(()), Err)
        };
        let probed = match unreachable {
            Some(failure) => Err(failure),
            None => probe(spoken.profile, &launcher, device.as_ref(), self.target.timeouts(), &interrupt)
                .map_err(|error| setup::probe_failure(&error)),
        };
        let end = match probed {
            Ok(found) => {
                tell(Event::Started(Box::new(self.start(&command, &name, &spoken, &found, names.len()))))?;
                let context = Context {
                    profile: spoken.profile,
                    register: &register,
                    launcher: &launcher,
                    discovered: &found,
                    device: device.as_ref(),
                    timeouts: self.target.timeouts(),
                    interrupt: &interrupt,
                };
                self.play(context, &name, [&chosen.cases, &chosen.sequences], expectations.as_ref(), seed, &mut tell)?
            }
            Err(failure) if failure.code == ExitCode::Internal => return Err(failure),
            Err(failure) => {
                let interrupted = failure.code == ExitCode::Interrupted;
                End { interrupted, lost: (!interrupted).then_some(failure.sentence), ..End::default() }
            }
        };
        let told = tell(Event::Ended(end.clone()));
        // Every process has ended, and every socket and folder is gone, before the program is.
        drop(launcher);
        let report = judged.ok_or_else(|| Failure::ours("the run ended without a report"))?;
        self.remember(&memory, &report, &chosen.gone)?;
        let code = ExitCode::of(&report, &end, self.strict);
        // A report that could not be written takes neither the memory nor the draft along; of an interrupted run nobody expects one.
        if code != ExitCode::Interrupted {
            told?;
        }
        Ok(Judged { report, code })
    }

    /// Remembers what failed, and writes the draft of what is to be pinned.
    fn remember(&self, memory: &Memory, report: &Report, gone: &[String]) -> Result<(), Failure> {
        // What `replay` plays is no case of a run; of a sequence that was drawn it is remembered what became of it.
        let known = report.cases.iter().filter(|case| self.files.is_empty() || failed::file_of(case).is_some());
        memory.update(known, gone, self.strict);
        let Some(path) = &self.expect_write else { return Ok(()) };
        let (cases, known) = (report.cases.as_slice(), report.expectations.as_ref());
        let offers: Vec<&str> = report.target.discovered.offers().collect();
        let draft = Draft { cases, offers: &offers, strict: self.strict, known, incomplete: !report.complete };
        report::write_whole(path, draft.text().as_bytes())
            .map_err(|error| Failure::ours(format!("could not write the draft: {error}")))
    }

    /// Makes way for what is written; nothing of it takes the place of what is read.
    fn outputs(&self) -> Result<(), Failure> {
        let inputs = || self.files.iter().chain(self.target.device_path());
        self.reports.paths().try_for_each(|path| not_an_input(path, inputs().chain(&self.expect)))?;
        // A draft may take the place of what was pinned before.
        self.expect_write.iter().try_for_each(|path| not_an_input(path, inputs()))?;
        let cases = self.cases.as_ref().and_then(|folder| folder.canonicalize().ok());
        let is_case = |path: &Path| {
            path.extension().is_some_and(|extension| extension == "case")
                && cases.as_ref().is_some_and(|folder| whole(path).starts_with(folder))
        };
        let mut written = self.reports.paths().chain(self.expect_write.as_deref());
        if let Some(path) = written.find(|path| is_case(path)) {
            let path = path.display();
            return Err(Failure::usage(format!("{path} would be a case of --cases: write to another file")));
        }
        self.reports.make_way(self.expect_write.as_deref())
    }

    /// How many sequences are drawn.
    fn sequences(&self) -> Option<u64> {
        self.generate.or(self.against.is_some().then_some(SEQUENCES))
    }

    /// How many servers at once.
    fn jobs(&self) -> usize {
        let cores = std::thread::available_parallelism().map_or(2, std::num::NonZero::get);
        if self.target.one_at_a_time() { 1 } else { self.jobs.map_or(cores * 4, usize::from) }
    }

    fn play(
        &self,
        context: Context<'_>,
        name: &str,
        [selected, sequences]: [&[Planned]; 2],
        pinned: Option<&Expectations>,
        seed: Option<u64>,
        tell: &mut dyn FnMut(Event) -> Result<(), Failure>,
    ) -> Result<End, Failure> {
        let jobs = self.jobs();
        let replay = format!("vfio-user-conformance run{} {{case}}", self.target.again());
        let files: Vec<String> = self.files.iter().map(|path| quoted(&path.display().to_string())).collect();
        let replay = match &self.cases {
            _ if !files.is_empty() => {
                format!("vfio-user-conformance replay {}{}", files.join(" "), self.target.again())
            }
            Some(directory) => format!("{replay} --cases {}", quoted(&directory.display().to_string())),
            None => replay,
        };
        if let (Some(against), Some(count), Some(seed)) = (&self.against, self.sequences(), seed) {
            let (target, shard, folder) = (&self.target, self.shard, self.keep.as_path());
            let fail_fast = self.fail_fast;
            let comparing = Comparing { context, target, name, against, jobs, fail_fast, seed, count, shard, folder };
            return comparing.run(tell);
        }
        let runner = Runner { context, jobs, fail_fast: self.fail_fast, pinned, replay };
        let (mut unwritten, mut fails) = (None, false);
        let end = runner
            .run(selected, |event| {
                fails |= matches!(&event, Event::CaseFinished(record) if runner.fails(record));
                if let Err(failure) = tell(event) {
                    unwritten.get_or_insert(failure);
                }
            })
            .map_err(|error| Failure::ours(error.to_string()))?;
        if let Some(failure) = unwritten {
            return Err(failure);
        }
        let more = !sequences.is_empty() || self.generate.is_some_and(|count| count > 0);
        if end.complete && more && fails && self.fail_fast {
            return Ok(End { stopped: true, ..end });
        }
        if end.complete && !sequences.is_empty() {
            return self.again(runner, sequences, end, tell);
        }
        match (self.generate, seed) {
            (Some(count), Some(seed)) if end.complete => self.search(&runner, count, seed, end, tell),
            _ => Ok(end),
        }
    }

    /// Plays sequences that were drawn by an earlier run, each of which has a file of its own.
    fn again(
        &self,
        runner: Runner<'_>,
        sequences: &[Planned],
        end: End,
        tell: &mut dyn FnMut(Event) -> Result<(), Failure>,
    ) -> Result<End, Failure> {
        let replay = format!("vfio-user-conformance replay {{file}}{}", self.target.again());
        let mut failed = None;
        let played = Runner { replay, ..runner }
            .run(sequences, |event| {
                if let Err(failure) = tell(event) {
                    failed.get_or_insert(failure);
                }
            })
            .map_err(|error| Failure::ours(error.to_string()))?;
        failed.map_or(Ok(End { seconds: end.seconds + played.seconds, ..played }), Err)
    }

    /// Draws and judges sequences; what fails becomes a case.
    fn search(
        &self,
        runner: &Runner<'_>,
        count: u64,
        seed: u64,
        end: End,
        tell: &mut dyn FnMut(Event) -> Result<(), Failure>,
    ) -> Result<End, Failure> {
        let started = std::time::Instant::now();
        let context = runner.context;
        let offer = Offer::new(context.discovered, context.device);
        let replay = format!("vfio-user-conformance replay {{file}}{}", self.target.again());
        let search =
            Search { runner, offer: &offer, seed, count, shard: self.shard, folder: &self.keep, replay: &replay };
        let mut failed = None;
        let found = search.run(|progress| {
            let event = match progress {
                Progress::Played(played) => Event::Generating { played, count },
                Progress::Shrinking(number, count) => Event::Shrinking { number, count },
            };
            if let Err(failure) = tell(event) {
                failed.get_or_insert(failure);
            }
        });
        if let Some(failure) = failed {
            return Err(failure);
        }
        let found = match found {
            Ok(found) => found,
            // What the cases came to is told all the same.
            Err(error) => return Ok(End { complete: false, fault: Some(error.to_string()), ..end }),
        };
        for record in found.records {
            tell(Event::CaseFinished(Box::new(record)))?;
        }
        let Found { sequences, steps, answered, failed, .. } = found;
        tell(Event::Generated(Generated { sequences, steps, answered, failed, seed }))?;
        Ok(End {
            complete: found.complete,
            stopped: found.stopped,
            interrupted: end.interrupted || context.interrupt.raised(),
            lost: found.lost,
            seconds: end.seconds + started.elapsed().as_secs_f64(),
            ..End::default()
        })
    }

    fn start(&self, command: &[String], target: &str, spoken: &Spoken, found: &Discovered, cases: usize) -> Start {
        Start {
            command: command.to_vec(),
            target: target.to_owned(),
            discovered: found.clone(),
            profile_asked: self.target.profile().to_string(),
            profile: spoken.profile,
            profile_why: spoken.why.clone(),
            cases,
            shard: self.shard,
            against: self.against.clone(),
        }
    }

    fn expectations(&self) -> Result<Option<Expectations>, Failure> {
        let Some(path) = &self.expect else { return Ok(None) };
        let text = std::fs::read_to_string(path)
            .map_err(|error| Failure::file(format!("could not read {}: {error}", path.display()), &error))?;
        Expectations::parse(&path.display().to_string(), &text)
            .map(Some)
            .map_err(|error| Failure::usage(error.to_string()))
    }

    /// Why there is nothing to run, though each filter selects something.
    fn nothing_selected(&self, part: Option<Shard>) -> String {
        match part {
            Some(Shard { index, count, selected: 1, .. }) => {
                format!("part {index} of {count} has no case: the one that was selected is in another part")
            }
            Some(Shard { index, count, selected, .. }) if selected > 0 => {
                format!("part {index} of {count} has no case: the {selected} that were selected are in other parts")
            }
            _ if !self.files.is_empty() => "the files have no case".to_owned(),
            _ => setup::nothing_selected(&[], &[], self.cases.as_deref()),
        }
    }

    /// A run of nothing, in every report as well.
    fn not_begun(&self, context: report::Context<'_>, sentence: String) -> Failure {
        let end = End { nothing: Some(sentence.clone()), ..End::default() };
        for mut reporter in self.reports.reporters(context) {
            if let Err(error) = reporter.event(&Event::Ended(end.clone())) {
                return unwritten(&error);
            }
        }
        Failure { code: ExitCode::NothingRan, sentence }
    }
}

/// A seed that the last run did not have.
fn any_seed() -> u64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    // Short enough to be typed.
    u64::from(since.subsec_nanos()) % 1_000_000
}
