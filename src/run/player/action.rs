//! One line of a case, carried out.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use nix::sys::signal::Signal;

use crate::case::{
    Argument, Condition, Expect, FdExpectation, Given, Memory, Name, SealExpectation, Serve, Step, StepKind, Value,
};
use crate::session::{Alteration, Connection, Deadline, End, Held, Serving, Way, hex, is_want};
use crate::target::{crash_report, open_descriptors};
use crate::verdict::{Class, Evidence, Exit};

use super::ending::Ending;
use super::environment::words_value;
use super::judge::{Found, Line};
use super::{Fault, Player, Stop};

impl Player<'_> {
    /// Carries out one line.
    pub(super) fn step(&mut self, number: usize, line: usize, step: &Step) -> Result<(), Stop> {
        let requirements: Vec<&str> = step.requirements.iter().map(|id| id.value.as_str()).collect();
        let here = Line { step: number, number: line, requirements: &requirements };
        match &step.kind {
            StepKind::Let(name, what) => Ok(self.environment.make(name, what, &self.talk)?),
            StepKind::Client(name, given) => self.connect_further(&name.value, *given == Given::Negotiated),
            StepKind::Server(name) => self.start_further(&name.value),
            StepKind::Close(name) => {
                let end = self.end(name.as_ref())?;
                self.talk.note(end, Way::Sent, "close");
                if let Some(end) = self.talk.ends.get_mut(end) {
                    end.connection = None;
                    end.session.disconnected();
                }
                Ok(())
            }
            StepKind::Shutdown(name) => {
                let end = self.end(name.as_ref())?;
                self.talk.note(end, Way::Sent, "shutdown");
                if let Some(connection) = self.talk.ends.get_mut(end).and_then(|end| end.connection.as_mut()) {
                    connection.shutdown();
                }
                // The server may close as soon as it has answered: no further command can be asked for.
                if let Some(end) = self.talk.ends.get_mut(end) {
                    end.unfinished = true;
                }
                Ok(())
            }
            StepKind::Send(send) => self.send(number, line, send),
            StepKind::Expect(expect) => self.expect(here, expect),
            StepKind::Device(end, action, arguments) => self.device(line, end.as_ref(), *action, arguments),
            StepKind::Save(end, stream, arguments) => self.save(here, end.as_ref(), stream, arguments),
            StepKind::Restore(end, stream, arguments) => self.restore(here, end.as_ref(), stream, arguments),
            StepKind::Truncate(name, size) => {
                let size = self.environment.file_size(size, &self.talk)?;
                match self.environment.descriptor(&name.value)?.truncate(size) {
                    // The server has the file, too, and may have sealed it.
                    Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
                        Err(Fault::of_target(format!("`{}` cannot be truncated: {error}", name.value)).into())
                    }
                    truncated => Ok(truncated?),
                }
            }
            StepKind::Baseline => {
                let pid = self.pid()?;
                self.baseline_pid = Some(pid);
                self.baseline = Some(open_descriptors(pid).map_err(Fault::from)?);
                Ok(())
            }
            StepKind::Signal(name) => self.signal(name),
            StepKind::Serve(serve) => self.serve(serve),
            StepKind::Await(name, conditions) => self.wait_for_request(here, name, conditions),
            StepKind::Ring(label, conditions) => self.ring(here, label, conditions),
            StepKind::Do(name, arguments) => self.procedure(here, name, arguments),
            StepKind::If(..) => Ok(()),
        }
    }

    fn expect(&mut self, line: Line<'_>, expect: &Expect) -> Result<(), Stop> {
        match expect {
            Expect::Answer { end, label, outcomes } => self.expect_answer(line, end.as_ref(), label.as_ref(), outcomes),
            Expect::Fd(name, what) => self.expect_fd(line, name, what),
            Expect::Memory(memory, bytes) => {
                let wanted = self.environment.bytes(bytes, &self.talk)?;
                self.expect_memory(line, memory, &wanted)
            }
            Expect::Seal(name, SealExpectation::Conforms) => self.seal_conforms(line, name),
            Expect::Seal(name, seal) => self.expect_seal(line, name, *seal == SealExpectation::Ok),
            Expect::FdsBaseline => self.expect_baseline(line),
            Expect::Exited => self.expect_exit(line),
            Expect::Device(what) => self.expect_device(line, *what),
            Expect::Same(one, two) => self.expect_same(line, one, two),
            Expect::SubRegion(label, conditions) => self.expect_sub_region(line, label, conditions),
            Expect::Counted(count) => self.expect_counted(line, count),
            Expect::Mapped(label, arguments, bytes) => self.expect_mapped(line, label, arguments, bytes.as_ref()),
        }
    }

    /// The server's end: in time, and no crash.
    fn expect_exit(&mut self, line: Line<'_>) -> Result<(), Stop> {
        let (deadline, interrupt) = (Deadline::after(self.time_to_let_go()), self.context.interrupt);
        let signalled = self.signalled;
        let Some(process) = self.instance.process.as_mut() else {
            return Err(Fault::new("no process to watch").into());
        };
        let exit = process.wait(deadline, interrupt);
        let printed = process.output(deadline);
        self.exit = exit;
        let crash = match (exit, crash_report(&printed)) {
            (_, Some(report)) => Some(report),
            // A server without a handler for the signal that was sent honours it by its default action.
            (Some(Exit::Signal(signal)), None) if signalled.is_none_or(|sent| sent as i32 != signal) => {
                Some(String::new())
            }
            _ => None,
        };
        if let Some(report) = crash {
            let found = Found::new("an orderly end", Ending::Crashed(report, exit).to_string(), Evidence::Exited);
            return self.break_line(line.or_crash(), Some(Class::Violation), &found);
        }
        self.conclude(line, exit.is_some(), "the server's end", || "it still runs".to_owned(), Evidence::Deadline)
    }

    fn expect_fd(&mut self, line: Line<'_>, name: &Name, what: &FdExpectation) -> Result<(), Stop> {
        let interrupt = self.context.interrupt;
        let now = || Deadline::after(Duration::ZERO);
        let held = Arc::clone(self.environment.descriptor(&name.value)?);
        match what {
            FdExpectation::Signalled(wanted) => {
                let wanted = wanted.as_ref().map_or(Ok(1), |wanted| self.environment.u64(wanted, &self.talk))?;
                let count = self.count_signals(&held, wanted)?;
                let evidence = if count < wanted { Evidence::Deadline } else { Evidence::Received };
                let expected =
                    format!("{wanted} {} on `{}`", if wanted == 1 { "signal" } else { "signals" }, name.value);
                if count > wanted && self.context.discovered.restless {
                    return self.one_too_many(line, &expected, count);
                }
                self.conclude(line, count == wanted, &expected, || format!("{count} came"), evidence)
            }
            FdExpectation::Quiet | FdExpectation::StaysQuiet => {
                let deadline = match what {
                    FdExpectation::Quiet => self.patience(Duration::ZERO)?,
                    _ => self.patience_to_settle()?,
                };
                let mut count = held.signals(now(), interrupt)?.count;
                while count == 0 && !deadline.passed() {
                    self.pass_time(deadline)?;
                    count = held.signals(now(), interrupt)?.count;
                }
                let expected = format!("no signal on `{}`", name.value);
                if count > 0 && self.context.discovered.restless {
                    return self.one_too_many(line, &expected, count);
                }
                self.conclude(line, count == 0, &expected, || format!("{count} came"), Evidence::Received)
            }
            FdExpectation::Conforms => {
                drop(held);
                self.fd_conforms(line, name)
            }
            FdExpectation::Closed => {
                drop(held);
                let closed = self.wait_until_closed(name)?;
                let expected = format!("the server's end of `{}` closed", name.value);
                self.conclude(line, closed, &expected, || "it is still open".to_owned(), Evidence::Deadline)
            }
        }
    }

    /// More signals than asked for, from a device that raises interrupts of its own accord: any of them may be its own.
    fn one_too_many(&mut self, line: Line<'_>, expected: &str, count: u64) -> Result<(), Stop> {
        let actual = format!("{count} came, and the device interrupts of its own accord");
        self.break_line(line, Some(Class::Note), &Found::new(expected, actual, Evidence::Received))
    }

    /// How many signals came: all that are there once it is so many, or the deadline has passed.
    pub(super) fn count_signals(&mut self, held: &Held, wanted: u64) -> Result<u64, Stop> {
        let (deadline, interrupt) = (self.patience(self.time_to_act())?, self.context.interrupt);
        let now = || Deadline::after(Duration::ZERO);
        let mut count = held.signals(now(), interrupt)?.count;
        while count < wanted && !deadline.passed() {
            self.pass_time(deadline)?;
            count = count.saturating_add(held.signals(now(), interrupt)?.count);
        }
        // What came too much is there by now, if the server did it before it answered.
        Ok(count.saturating_add(held.signals(now(), interrupt)?.count))
    }

    /// Lets go of the client's copy, so that the server's closing shows, and waits for that. No other handle of it may
    /// be about.
    pub(super) fn wait_until_closed(&mut self, name: &Name) -> Result<bool, Stop> {
        let (deadline, interrupt) = (self.patience(self.time_to_let_go())?, self.context.interrupt);
        let now = || Deadline::after(Duration::ZERO);
        if let Some(held) = self.environment.descriptors.get_mut(&name.value).and_then(Arc::get_mut) {
            held.let_go();
        }
        let held = Arc::clone(self.environment.descriptor(&name.value)?);
        // Signals that nobody has looked at stand before the end.
        let mut seen = held.signals(now(), interrupt)?;
        while !seen.closed && (seen.count > 0 || !deadline.passed()) {
            self.pass_time(deadline)?;
            seen = held.signals(now(), interrupt)?;
        }
        Ok(seen.closed)
    }

    fn expect_memory(&mut self, line: Line<'_>, memory: &Memory, wanted: &[u8]) -> Result<(), Stop> {
        let start = self.environment.u64(&memory.start, &self.talk)?;
        let end = self.environment.u64(&memory.end, &self.talk)?;
        let length = end
            .checked_sub(start)
            .and_then(|length| usize::try_from(length).ok())
            .filter(|length| *length == wanted.len());
        let length = length
            .ok_or_else(|| Fault::of_target(format!("{} bytes for a range of {start:#x}..{end:#x}", wanted.len())))?;
        let held = Arc::clone(self.environment.descriptor(&memory.name.value)?);
        let deadline = if memory.stays { self.patience_to_settle()? } else { self.patience(self.time_to_act())? };
        let mut got = vec![0; length];
        let cut_off = loop {
            let file = held.memory().ok_or_else(|| Fault::new(format!("`{}` is no memory", memory.name.value)))?;
            let whole = read_at(file, &mut got, start)?;
            // The device may write it by DMA_WRITE, which is served while waiting.
            if !whole || (got == wanted) != memory.stays || deadline.passed() {
                break !whole;
            }
            self.pass_time(deadline)?;
        };
        if cut_off {
            let (expected, actual) =
                (format!("`{}` as long as it was", memory.name.value), "it was cut off".to_owned());
            return self.conclude(line, false, &expected, || actual, Evidence::Received);
        }
        let at = got.iter().zip(wanted).position(|(got, wanted)| got != wanted).unwrap_or(0);
        let piece = |bytes: &[u8]| hex(bytes.get(at..bytes.len().min(at + 16)).unwrap_or_default());
        let expected = format!("{} at {:#x} of `{}`", piece(wanted), start + at as u64, memory.name.value);
        let held = got == wanted;
        let evidence = if memory.stays { Evidence::Received } else { Evidence::Deadline };
        self.conclude(line, held, &expected, || format!("{} is there", piece(&got)), evidence)
    }

    fn expect_seal(&mut self, line: Line<'_>, name: &Name, free: bool) -> Result<(), Stop> {
        let held = Arc::clone(self.environment.descriptor(&name.value)?);
        let (sealed, evidence) = self.seal(&held, free)?;
        let (expected, actual) = if free {
            (
                format!("no writable mapping of `{}` in the server", name.value),
                "F_SEAL_WRITE gives EBUSY: it is still mapped",
            )
        } else {
            (format!("a writable mapping of `{}` in the server", name.value), "F_SEAL_WRITE succeeds: it is not mapped")
        };
        self.conclude(line, sealed == free, &expected, || actual.to_owned(), evidence)
    }

    /// Whether F_SEAL_WRITE could be added, and what that rests on.
    pub(super) fn seal(&mut self, held: &Held, free: bool) -> Result<(bool, Evidence), Stop> {
        let deadline = self.patience(self.time_to_let_go())?;
        let mut sealed = seal(held)?;
        // After a disconnect nothing says when the server is done: it has until the deadline. After a reply it has no
        // time at all, but the first try decides there, since the mapping was to be gone before the reply.
        let open = self.talk.ends.iter().any(End::is_open_client);
        while free && !sealed && !open && !deadline.passed() {
            self.pass_time(deadline)?;
            sealed = seal(held)?;
        }
        Ok((sealed, if open { Evidence::Received } else { Evidence::Deadline }))
    }

    fn expect_baseline(&mut self, line: Line<'_>) -> Result<(), Stop> {
        let pid = self.pid()?;
        let baseline = self.baseline.ok_or_else(|| Fault::new("`< fds baseline` without `baseline`"))?;
        let deadline = Deadline::after(self.time_to_let_go());
        let mut now = open_descriptors(pid);
        while now.as_ref().is_ok_and(|now| *now > baseline) && !deadline.passed() {
            self.pass_time(deadline)?;
            now = open_descriptors(pid);
        }
        if let Some(process) = self.instance.process.as_mut()
            && let Some(exit) = process.ended()
        {
            let report = crash_report(&process.output(deadline));
            if report.is_some() || matches!(exit, Exit::Signal(_)) {
                let crash = Ending::Crashed(report.unwrap_or_default(), Some(exit)).to_string();
                let found = Found::new("a server that goes on, or an orderly end", crash, Evidence::Exited);
                return self.break_line(line.or_crash(), Some(Class::Violation), &found);
            }
            // With its process, every descriptor is gone.
            return self.conclude(line, true, "", String::new, Evidence::Received);
        }
        if let Err(error) = &now
            && is_want(error.raw_os_error())
        {
            return Err(Fault::new(format!("the server's descriptors cannot be counted: {error}")).into());
        }
        let Ok(now) = now else { return Err(Stop::Skip("the server's descriptors cannot be counted".to_owned())) };
        let expected = format!("{baseline} open descriptors in the server, as before");
        self.conclude(line, now <= baseline, &expected, || format!("{now} are open"), Evidence::Deadline)
    }

    /// The server's process, started here or known by its socket.
    fn pid(&self) -> Result<i32, Stop> {
        if let Some(pid) = self.baseline_pid {
            return Ok(pid);
        }
        let by_socket = || self.talk.ends.first()?.connection.as_ref()?.server_pid();
        self.instance
            .process
            .as_ref()
            .map(|process| process.pid())
            .or_else(by_socket)
            .ok_or_else(|| Stop::Skip("the server's process is not known".to_owned()))
    }

    fn signal(&mut self, name: &Name) -> Result<(), Stop> {
        let signal: Signal =
            format!("SIG{}", name.value).parse().map_err(|_| Fault::new(format!("no signal `{}`", name.value)))?;
        let Some(process) = &self.instance.process else {
            return Err(Stop::Skip("the harness did not start the server".to_owned()));
        };
        let by_socket = self.talk.ends.first().and_then(|end| end.connection.as_ref()).and_then(Connection::server_pid);
        if by_socket.is_some_and(|pid| pid != process.pid()) {
            return Err(Stop::Skip("another process than the one that was started serves the socket".to_owned()));
        }
        self.signalled = Some(signal);
        process.signal(signal)?;
        Ok(())
    }

    fn serve(&mut self, serve: &Serve) -> Result<(), Stop> {
        match serve {
            Serve::Memory => self.talk.serving = Serving::Memory,
            Serve::Hold => self.talk.serving = Serving::Hold,
            Serve::Error(name) => {
                self.talk.serving = Serving::Error(words_value(None, std::slice::from_ref(name))? as u32)
            }
            Serve::Next(arguments) => self.talk.alteration = Some(self.alteration(arguments)?),
        }
        self.talk.serve()?;
        Ok(())
    }

    fn alteration(&self, arguments: &[Argument]) -> Result<Alteration, Stop> {
        let mut alteration = Alteration::default();
        for argument in arguments {
            let value = match &argument.value.value {
                Value::Integer(value) | Value::Plus(value) => self.environment.integer(value, &self.talk)?,
                Value::Minus(value) => -self.environment.integer(value, &self.talk)?,
                other => return Err(Fault::new(format!("no number: {other:?}")).into()),
            };
            match argument.key.value.as_str() {
                "header.id" => alteration.id = value,
                "address" => alteration.address = value,
                "count" => alteration.count = value,
                "payload" if matches!(argument.value.value, Value::Integer(_)) && value >= 0 => {
                    let length = usize::try_from(value).ok().filter(|length| *length <= 1 << 20);
                    alteration.length =
                        Some(length.ok_or_else(|| Fault::of_target(format!("a payload of {value} bytes")))?);
                }
                "data" | "payload" => alteration.payload = value,
                "header.flags" | "header.type" => alteration.flags = Some(value as u32),
                "header.size" => alteration.size = Some(value as u32),
                other => return Err(Fault::new(format!("a reply cannot be altered in `{other}`")).into()),
            }
        }
        Ok(alteration)
    }

    /// `await`: a command of the server.
    fn wait_for_request(&mut self, line: Line<'_>, name: &Name, conditions: &[Condition]) -> Result<(), Stop> {
        let wanted = self.talk.dialect.command(&name.value).map(|(number, _)| number);
        let number = wanted.ok_or_else(|| Fault::new(format!("no command `{}`", name.value)))?;
        let deadline = Deadline::after(self.time_to_act());
        let unclaimed = |talk: &crate::session::Conversation<'_>| {
            talk.requests.iter().position(|request| !request.claimed && request.header.command == number)
        };
        self.talk.pump(0, deadline, &|talk| unclaimed(talk).is_some())?;
        if unclaimed(&self.talk).is_none() {
            self.in_time()?;
        }
        self.take_judged();
        let Some(at) = unclaimed(&self.talk) else {
            let expected = format!("{} from the server", name.value);
            return self.conclude(line, false, &expected, || "none came".to_owned(), Evidence::Deadline);
        };
        if let Some(request) = self.talk.requests.get_mut(at) {
            request.claimed = true;
        }
        for condition in conditions {
            let message = self.talk.dialect.message(number);
            let field = message
                .and_then(|message| message.request.fixed)
                .and_then(|layout| layout.field(&condition.field.value));
            let value = field.and_then(|field| field.read(&self.talk.requests.get(at)?.payload));
            let crate::case::ConditionValue::Integer(expression) = &condition.value.value else {
                return Err(Fault::new("no integer").into());
            };
            let wanted = self.environment.u64(expression, &self.talk)?;
            let held = value.is_some_and(|value| condition.relation.holds(value, wanted));
            let (field, got) = (condition.field.value.clone(), value.unwrap_or_default());
            let expected = format!("{} with {field} fitting {wanted:#x}", name.value);
            self.conclude(line, held, &expected, || format!("{field} {got:#x}"), Evidence::Received)?;
        }
        self.conclude(line, true, "", String::new, Evidence::Received)
    }

    fn procedure(&mut self, line: Line<'_>, name: &Name, arguments: &[Argument]) -> Result<(), Stop> {
        let procedure =
            crate::procedure::find(&name.value).ok_or_else(|| Fault::new(format!("no procedure `{}`", name.value)))?;
        let mut values = Vec::new();
        for argument in arguments {
            values.push((argument.key.value.clone(), self.environment.field(None, &argument.value, &self.talk)?));
        }
        let bench = crate::procedure::Bench {
            dialect: self.context.profile.dialect(),
            launcher: self.context.launcher,
            timeouts: self.context.timeouts,
            interrupt: self.context.interrupt,
            unanswered: &self.context.discovered.unanswered,
            arguments: &values,
        };
        match (procedure.run)(&bench, &mut self.instance)? {
            crate::procedure::Outcome::Held => self.conclude(line, true, "", String::new, Evidence::Received),
            crate::procedure::Outcome::Broken { expected, actual, evidence } => {
                self.conclude(line, false, &expected, || actual, evidence)
            }
            crate::procedure::Outcome::Noted { expected, actual, evidence } => {
                self.break_line(line, Some(Class::Note), &Found::new(expected, actual, evidence))
            }
            crate::procedure::Outcome::Skip(why) => Err(Stop::Skip(why)),
            crate::procedure::Outcome::Unsure(why) => Err(Stop::Unsure(why)),
        }
    }
}

/// Adds F_SEAL_WRITE, unless the server has sealed the seals: it has the file, too.
fn seal(held: &Held) -> Result<bool, Fault> {
    match held.seal() {
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
            Err(Fault::of_target("the server has sealed the memory of the client"))
        }
        sealed => Ok(sealed?),
    }
}

/// Reads all of it; `false` where the file ends before that: the server has it, too.
fn read_at(file: &std::os::fd::OwnedFd, buffer: &mut [u8], offset: u64) -> Result<bool, Fault> {
    let mut done = 0;
    while done < buffer.len() {
        let at =
            i64::try_from(offset + done as u64).map_err(|_| Fault::of_target("an offset past the end of any file"))?;
        let read = nix::sys::uio::pread(file, buffer.get_mut(done..).unwrap_or_default(), at)
            .map_err(|error| Fault::of_target(error.to_string()))?;
        if read == 0 {
            return Ok(false);
        }
        done += read;
    }
    Ok(true)
}
