//! The reference server, on a machine that takes its time: for the tests of the harness's deadlines.
//!
//! `slow-server --delay MS [--seed N] [--when before|after|both|signals] [--profile NAME] [--socket-path PATH | --fd N]`
//!
//! Every command takes `--delay` milliseconds, or with `--seed` a random part of it: before it is carried out, or after
//! that, so that only its answer is late. A client takes as long to be accepted, and its end to be noticed. With
//! `--when signals` nothing is slow but interrupts, which come so long after what they are raised by.

use std::os::fd::{AsFd, OwnedFd};
use std::process::ExitCode;
use std::time::Duration;

use nix::sys::signal::{SigSet, Signal};
use nix::sys::signalfd::SignalFd;
use vfio_user_reference_server::serve_with;
use vfio_user_reference_server::{Effect, Endpoint, Extra, HostMemory, Machine, Memory, Profile, Server, Settings};
use vfio_user_wire::{Frame, Header};

/// Where the time goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum When {
    /// A command waits until it is carried out.
    Before,
    /// It is carried out at once, and what comes of it waits.
    After,
    /// Both: a part of the delay before it and the rest after it.
    Both,
    /// Its eventfds are written by a thread of their own.
    Signals,
}

/// How slow it is.
#[derive(Debug, Clone, Copy)]
struct Pace {
    delay: Duration,
    when: When,
    /// The state of a generator of random numbers; `None` takes the whole delay every time.
    seed: Option<u64>,
}

impl Pace {
    /// Lets the time for one command pass, but for the part that comes after it, which is returned.
    fn begin(&mut self) -> Duration {
        let whole = self.part(self.delay);
        let (before, after) = match self.when {
            When::Before => (whole, Duration::ZERO),
            When::After => (Duration::ZERO, whole),
            When::Both => {
                let before = self.part(whole);
                (before, whole - before)
            }
            When::Signals => (Duration::ZERO, Duration::ZERO),
        };
        std::thread::sleep(before);
        after
    }

    fn part(&mut self, of: Duration) -> Duration {
        let Some(state) = &mut self.seed else { return of };
        // xorshift64*: the same numbers for the same seed.
        *state ^= *state >> 12;
        *state ^= *state << 25;
        *state ^= *state >> 27;
        of.mul_f64((state.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 11) as f64 / (1u64 << 53) as f64)
    }
}

/// The server, and its pace.
struct Slow {
    server: Server,
    pace: Pace,
}

impl Slow {
    fn slowly<T>(&mut self, work: impl FnOnce(&mut Server) -> T) -> T {
        let rest = self.pace.begin();
        let done = work(&mut self.server);
        std::thread::sleep(rest);
        done
    }
}

impl Machine for Slow {
    fn connect(&mut self) {
        self.slowly(Machine::connect);
    }

    fn receive(&mut self, frame: Frame, fds: Vec<OwnedFd>, memory: &mut dyn Memory, effects: &mut Vec<Effect>) {
        if frame.header.is_reply() {
            // To a command of its own: what is slow is its answers.
            return self.server.receive(frame, fds, memory, effects);
        }
        self.slowly(|server| server.receive(frame, fds, memory, effects));
        if self.pace.when == When::Signals {
            let (signals, others) = effects.drain(..).partition(|effect| matches!(effect, Effect::Signal { .. }));
            *effects = others;
            signal_later(signals, self.pace.part(self.pace.delay));
        }
    }

    fn receive_on_twin(&mut self, frame: Frame, memory: &mut dyn Memory, effects: &mut Vec<Effect>) {
        self.server.receive_on_twin(frame, memory, effects);
    }

    fn refuse(&mut self, header: &Header, effects: &mut Vec<Effect>) {
        if header.is_reply() {
            // That ends the session, which takes its own time.
            return self.server.refuse(header, effects);
        }
        self.slowly(|server| server.refuse(header, effects));
    }

    fn twin_ended(&mut self) {
        self.server.twin_ended();
    }

    fn disconnect(&mut self, memory: &mut dyn Memory) {
        self.slowly(|server| server.disconnect(memory));
    }
}

fn signal_later(signals: Vec<Effect>, delay: Duration) {
    std::thread::spawn(move || {
        std::thread::sleep(delay);
        for signal in signals {
            if let Effect::Signal { fd, .. } = signal {
                // A client may have given what is no eventfd.
                let _ = nix::unistd::write(fd, &1u64.to_ne_bytes());
            }
        }
    });
}

fn main() -> ExitCode {
    match asked(std::env::args().skip(1)).and_then(|(endpoint, slow)| serve(endpoint, slow)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(sentence) => {
            eprintln!("slow-server: {sentence}");
            ExitCode::FAILURE
        }
    }
}

fn serve(endpoint: Endpoint, mut slow: Slow) -> Result<(), String> {
    let signals = SigSet::from(Signal::SIGTERM);
    let stop = signals.thread_block().and_then(|()| SignalFd::new(&signals)).map_err(|error| error.to_string())?;
    let mut memory = HostMemory::new().map_err(|error| error.to_string())?;
    serve_with(&mut slow, &mut memory, endpoint, Some(stop.as_fd())).map_err(|error| error.to_string())
}

fn asked(mut arguments: impl Iterator<Item = String>) -> Result<(Endpoint, Slow), String> {
    let (mut endpoint, mut profile) = (None, Profile::default());
    let mut pace = Pace { delay: Duration::ZERO, when: When::Before, seed: None };
    while let Some(argument) = arguments.next() {
        let (name, value) = match argument.split_once('=') {
            Some((name, value)) => (name.to_owned(), Some(value.to_owned())),
            None => (argument, arguments.next()),
        };
        let value = value.ok_or_else(|| format!("{name} needs a value"))?;
        if matches!(name.as_str(), "--socket-path" | "--fd") && endpoint.is_some() {
            return Err("--socket-path and --fd exclude each other".to_owned());
        }
        let number = || value.parse::<u64>().map_err(|error| format!("{name} {value}: {error}"));
        match name.as_str() {
            "--socket-path" => endpoint = Some(Endpoint::SocketPath(value.into())),
            "--fd" => {
                let number = value.parse().map_err(|_| format!("--fd takes a number, not {value}"))?;
                endpoint = Some(Endpoint::inherited(number).map_err(|error| error.to_string())?);
            }
            "--delay" => pace.delay = Duration::from_millis(number()?),
            // 0 is the one state that never changes.
            "--seed" => pace.seed = Some(number()?.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1),
            "--when" => {
                pace.when = match value.as_str() {
                    "before" => When::Before,
                    "after" => When::After,
                    "both" => When::Both,
                    "signals" => When::Signals,
                    _ => return Err(format!("--when {value}: before, after, both or signals")),
                }
            }
            "--profile" => profile = value.parse()?,
            _ => return Err(format!("unknown argument {name}")),
        }
    }
    let with = (profile != Profile::V0_9_2).then_some(Extra::PfnQuery);
    let server = Server::with(Settings { profile, with, ..Settings::default() });
    Ok((endpoint.ok_or("one of --socket-path and --fd is needed")?, Slow { server, pace }))
}
