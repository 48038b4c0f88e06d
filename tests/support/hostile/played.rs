//! What is played against a hostile server, and what must hold whatever it sends.

use std::time::{Duration, Instant};

use vfio_user_conformance::Profile;
use vfio_user_conformance::generate::{Offer, draw};
use vfio_user_conformance::report::case_text;
use vfio_user_conformance::requirement::Register;
use vfio_user_conformance::run::{Context, Library, Plan, Planned, Runner, Timeouts};
use vfio_user_conformance::session::Interrupt;
use vfio_user_conformance::target::{DeviceFile, Discovered, Launcher, ProbeError, StartError, probe, spoken};
use vfio_user_conformance::verdict::{CaseResult, Class};
use vfio_user_reference_server as served;

use super::{Called, Remote, Script};

const DEVICE: &str = include_str!("../../../fixtures/devices/conformance.toml");

/// Cases that make 65,535 maps: what they take by themselves is more than a server may make the harness take.
const LARGE: [&str; 3] = ["version.maps", "version.maps-default", "dma-map.table-full"];

/// The longest text that is written of one case, in bytes.
const LONGEST_TEXT: usize = 1 << 20;

/// How the server is reached.
#[derive(Debug, Clone)]
pub(crate) enum Mode {
    /// It is called: nothing waits for anything.
    Calls,
    /// By a socket, in another process.
    Sockets(Remote),
}

impl Mode {
    fn timeouts(&self) -> Timeouts {
        Timeouts::from_reply(Duration::from_millis(match self {
            Mode::Calls => 40,
            Mode::Sockets(_) => 8,
        }))
    }
}

/// What was played.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Played {
    /// Its name.
    pub what: String,
    /// Its result; `None` where the server was only asked what it offers.
    pub result: Option<CaseResult>,
    /// How long it took.
    pub time: Duration,
}

/// What every play of one version needs, made once.
#[derive(Debug)]
pub(crate) struct Bench {
    register: Register,
    device: DeviceFile,
    interrupt: Interrupt,
    profile: Profile,
    /// Which of the versions it is.
    number: u8,
    /// What the honest server offers.
    honest: Discovered,
    offer: Offer,
    cases: Vec<Planned>,
}

/// The version of the server by its number, which is taken modulo 4.
pub(crate) fn served(number: u8) -> served::Profile {
    match number & 3 {
        0 => served::Profile::V0_9_2,
        1 => served::Profile::V0_9_1,
        2 => served::Profile::V8C,
        _ => served::Profile::V8,
    }
}

impl Bench {
    /// For the version of that number.
    pub(crate) fn new(number: u8) -> Bench {
        let profile: Profile = served(number).dialect().name.parse().unwrap();
        let register = Register::bundled().unwrap();
        let device = DeviceFile::parse("conformance.toml", DEVICE).unwrap();
        let (interrupt, timeouts) = (Interrupt::new().unwrap(), Timeouts::default());
        let target = Called::target(served(number), 0, Script::new(&[]));
        let launcher = Launcher::new(target, timeouts.start, false).unwrap();
        let honest = probe(profile, &launcher, Some(&device), timeouts, &interrupt).unwrap();
        assert!(honest.troubles.is_empty(), "{:?}", honest.troubles);
        let offer = Offer::new(&honest, Some(&device));
        let Plan { cases } = Library::bundled(&register).unwrap().plan(profile, &register).unwrap();
        let small = |case: &Planned| !LARGE.iter().any(|large| case.name.split('/').next() == Some(large));
        let cases = cases.into_iter().filter(|case| case.skip(&honest).is_none() && small(case)).collect();
        Bench { register, device, interrupt, profile, number, honest, offer, cases }
    }

    /// Plays what the input says, against the server that it makes.
    ///
    /// Its first byte says what is played, and the version to who makes the bench, the next three which case or sequence, the fifth how many of 256
    /// messages are not honest, and the rest is the server's script.
    ///
    /// # Errors
    /// What did not hold.
    pub(crate) fn play(&self, mode: &Mode, input: &[u8]) -> Result<Played, String> {
        let started = Instant::now();
        let mut script = Script::new(input);
        let (what, choice) = (script.byte(), u64::from(script.u16()) | u64::from(script.byte()) << 16);
        let temper = script.byte();
        let timeouts = mode.timeouts();
        let target = match mode {
            Mode::Calls => Called::target(served(self.number), temper, script),
            Mode::Sockets(remote) => remote.target(self.number, temper, input.get(5..).unwrap_or_default()),
        };
        let launcher = Launcher::new(target, timeouts.start, false).map_err(|error| error.to_string())?;
        let played = |what: &str, result| Played { what: what.to_owned(), result, time: started.elapsed() };
        let (mut profile, mut asked) = (self.profile, None);
        if what >> 2 & 7 == 7 {
            profile = match spoken(&launcher, timeouts, &self.interrupt) {
                Ok(spoken) => spoken.profile,
                Err(error) => return self.unanswered(error).map(|()| played("auto", None)),
            };
        }
        if what >> 2 & 7 >= 5 {
            match probe(profile, &launcher, Some(&self.device), timeouts, &self.interrupt) {
                Ok(found) => asked = Some(found),
                Err(error) => return self.unanswered(error).map(|()| played("probe", None)),
            }
        }
        let discovered = asked.as_ref().unwrap_or(&self.honest);
        let device = Some(&self.device);
        let drawn = what >> 5 & 1 == 1;
        let case = if drawn {
            let own = asked.as_ref().map(|found| Offer::new(found, device));
            Planned::of(&draw(own.as_ref().unwrap_or(&self.offer), choice, 0))?
        } else {
            self.cases[choice as usize % self.cases.len()].clone()
        };
        let context = Context {
            profile: if drawn { discovered.profile } else { self.profile },
            register: &self.register,
            launcher: &launcher,
            discovered,
            device,
            timeouts,
            interrupt: &self.interrupt,
        };
        let runner = Runner { context, jobs: 1, fail_fast: false, pinned: None, replay: "{case}".to_owned() };
        let record = runner.judge(&case).map_err(|why| format!("{}: no verdict: {why}", case.name))?;
        let said = || format!("{}: {:?} {}", case.name, record.result, record.reason.clone().unwrap_or_default());
        if record.result == CaseResult::Error {
            return Err(said());
        }
        if record.attempts.is_empty() != (record.result == CaseResult::Skip && case.skip(discovered).is_some()) {
            return Err(format!("{}: {} attempts", said(), record.attempts.len()));
        }
        if choice & 7 == 0 {
            let text = case_text(&record, Class::Note, &self.register);
            let json = serde_json::to_string(&record).map_err(|error| error.to_string())?;
            if text.len() > LONGEST_TEXT || json.len() > 16 * LONGEST_TEXT {
                return Err(format!("{}: {} bytes of text, {} of JSON", said(), text.len(), json.len()));
            }
        }
        Ok(played(&case.name, Some(record.result)))
    }

    /// That nothing can be learnt of a server is a verdict, too, unless the fault was ours.
    fn unanswered(&self, error: ProbeError) -> Result<(), String> {
        match error {
            ProbeError::NoVersion(_) => Ok(()),
            ProbeError::Start(StartError::Socket { .. } | StartError::Taken) => Ok(()),
            other => Err(format!("the probe: {other}")),
        }
    }
}
