//! Every case as a test: against the bundled reference server or, by the environment, any other
//! (`VFIO_USER_CONFORMANCE_SPAWN`, `_SOCKET`, `_PROFILE`, `_DEVICE`, `_CASES`, `_TIMEOUT` as the options of `run`).
//!
//! What the target lacks is listed as ignored with its reason: a skip is no pass.

use std::env::var;
use std::process::ExitCode;

use libtest_mimic::{Arguments, Conclusion, Failed, Trial};
use vfio_user_conformance::Profile;
use vfio_user_conformance::report::case_text;
use vfio_user_conformance::requirement::Register;
use vfio_user_conformance::run::{Context, Library, Planned, Runner, Timeouts};
use vfio_user_conformance::session::Interrupt;
use vfio_user_conformance::target::{DeviceFile, Launcher, Target, probe, spoken};
use vfio_user_conformance::verdict::{CaseResult, Class};

const DEVICE: &str = include_str!("../fixtures/devices/conformance.toml");

fn main() -> ExitCode {
    match run(&Arguments::from_args()) {
        Ok(conclusion) => conclusion.exit_code(),
        Err(sentence) => {
            eprintln!("the cases cannot be run as tests: {sentence}");
            ExitCode::from(101)
        }
    }
}

fn run(arguments: &Arguments) -> Result<Conclusion, String> {
    let register = Register::bundled().map_err(|error| error.to_string())?;
    let library = match var("VFIO_USER_CONFORMANCE_CASES") {
        Ok(directory) => Library::from_directory(directory.as_ref(), &register),
        Err(_) => Library::bundled(&register),
    };
    let library = library.map_err(|error| error.to_string())?;
    let asked = match var("VFIO_USER_CONFORMANCE_PROFILE") {
        Ok(name) if name != "auto" => Some(name.parse::<Profile>().map_err(|error| error.to_string())?),
        _ => None,
    };
    let (target, device) = target(asked)?;
    let seconds = var("VFIO_USER_CONFORMANCE_TIMEOUT").ok().and_then(|text| text.trim_end_matches('s').parse().ok());
    let timeouts = Timeouts::from_reply(std::time::Duration::from_secs_f64(seconds.unwrap_or(2.0)));
    let interrupt = Interrupt::new().map_err(|error| error.to_string())?;
    let launcher = Launcher::new(target, timeouts.start, false).map_err(|error| error.to_string())?;
    let profile = match asked {
        Some(profile) => profile,
        None => spoken(&launcher, timeouts, &interrupt).map_err(|error| error.to_string())?.profile,
    };
    let plan = library.plan(profile, &register)?;
    let discovered =
        probe(profile, &launcher, device.as_ref(), timeouts, &interrupt).map_err(|error| error.to_string())?;
    let context = Context {
        profile,
        register: &register,
        launcher: &launcher,
        discovered: &discovered,
        device: device.as_ref(),
        timeouts,
        interrupt: &interrupt,
    };
    let replay = "cargo test --test conformance -- --exact {case}".to_owned();
    let runner = Runner { context, jobs: 1, fail_fast: false, pinned: None, replay };

    // Trials must own what they use; the runner is alive until they have all run, since they run inside this call.
    let mut conclusion = None;
    std::thread::scope(|scope| {
        let (asking, asked) = std::sync::mpsc::channel::<(Planned, std::sync::mpsc::Sender<Result<(), Failed>>)>();
        let asked = std::sync::Arc::new(std::sync::Mutex::new(asked));
        for _ in 0..arguments.test_threads.unwrap_or(4) {
            let (asked, runner, register) = (std::sync::Arc::clone(&asked), &runner, &register);
            scope.spawn(move || {
                loop {
                    let next = asked.lock().map(|asked| asked.recv());
                    let Ok(Ok((case, answer))) = next else { return };
                    // A test that nobody waits for any more needs no answer.
                    let _ = answer.send(judge(runner, register, &case));
                }
            });
        }
        let trials = plan.cases.into_iter().map(|case| {
            let asking = asking.clone();
            let skip = case.skip(&discovered);
            let (name, ignored) = (case.name.clone(), skip.is_some());
            let trial = Trial::test(name, move || {
                if let Some(skip) = skip {
                    return Err(format!("it does not apply: {}", skip.0).into());
                }
                let (answer, answered) = std::sync::mpsc::channel();
                asking.send((case, answer)).map_err(|_| "no thread to play it")?;
                answered.recv().map_err(|_| "no verdict")?
            });
            trial.with_ignored_flag(ignored)
        });
        let trials = trials.collect();
        drop(asking);
        conclusion = Some(libtest_mimic::run(arguments, trials));
    });
    conclusion.ok_or_else(|| "no conclusion".to_owned())
}

fn judge(runner: &Runner<'_>, register: &Register, case: &Planned) -> Result<(), Failed> {
    let record = runner.judge(case)?;
    match record.result {
        CaseResult::Pass => Ok(()),
        // Its set-up was refused: the reason is shown, and nothing was judged.
        CaseResult::Skip => {
            eprintln!("{}: skipped: {}", record.name, record.reason.unwrap_or_default());
            Ok(())
        }
        CaseResult::Fail => Err(case_text(&record, Class::Violation, register).into()),
        CaseResult::Inconclusive | CaseResult::Error => Err(record.reason.unwrap_or_default().into()),
    }
}

fn target(asked: Option<Profile>) -> Result<(Target, Option<DeviceFile>), String> {
    let device = match var("VFIO_USER_CONFORMANCE_DEVICE") {
        Ok(path) => {
            let text = std::fs::read_to_string(&path).map_err(|error| format!("{path}: {error}"))?;
            Some(DeviceFile::parse(&path, &text).map_err(|error| error.to_string())?)
        }
        Err(_) => None,
    };
    if let Ok(command) = var("VFIO_USER_CONFORMANCE_SPAWN") {
        let command = shlex::split(&command).ok_or("VFIO_USER_CONFORMANCE_SPAWN: a quote is not closed")?;
        let socket = var("VFIO_USER_CONFORMANCE_SOCKET").ok().map(Into::into);
        return Ok((Target::Spawn { command, socket }, device));
    }
    if let Ok(path) = var("VFIO_USER_CONFORMANCE_SOCKET") {
        return Ok((Target::Socket(path.into()), device));
    }
    let device = match device {
        Some(device) => device,
        None => DeviceFile::parse("conformance.toml", DEVICE).map_err(|error| error.to_string())?,
    };
    let mut command = vec![env!("CARGO_BIN_EXE_vfio-user-conformance").to_owned(), "reference-server".to_owned()];
    if let Some(profile) = asked.filter(|profile| *profile != Profile::V0_9_2) {
        command.extend(["--profile", profile.name(), "--with", "pfn-query"].map(str::to_owned));
    }
    Ok((Target::Spawn { command, socket: None }, Some(device)))
}
