//! `device`: making the device act, by its device file.

use vfio_user_wire::message::{DMA_MAP, DmaMap, REGION_READ, REGION_WRITE, RegionAccess};
use vfio_user_wire::{Field, Frame, tables};

use crate::case::{Argument, DeviceAction, DeviceExpectation, Name};
use crate::model::{FdKind, PassedFd};
use crate::session::{Deadline, Effect, Origin, Passed, Serving};
use crate::target::{Action, Parameters, StatusRegister, Step};
use crate::verdict::{Class, Evidence};

use super::judge::{Found, Line};
use super::{Fault, Player, Stop};

/// Where a descriptor in client memory is mapped for the device: above anything that a case maps, and a multiple of any
/// page size.
const DESCRIPTOR_IOVA: u64 = 0x7_0000_0000;

/// What a `device` step asked for.
#[derive(Debug, Clone)]
pub(super) struct Asked {
    /// Of which device.
    end: usize,
    status: Option<StatusRegister>,
    /// The register access that started it, where its answer was not waited for.
    doorbell: Option<usize>,
}

impl Player<'_> {
    /// Does the register accesses of an action; the device may still be at work after them.
    pub(super) fn device(
        &mut self,
        line: usize,
        end: Option<&Name>,
        what: DeviceAction,
        arguments: &[Argument],
    ) -> Result<(), Stop> {
        let end = self.end(end)?;
        let file = self.context.device.ok_or_else(|| Stop::Skip("no device file".to_owned()))?;
        let action: &Action = match what {
            DeviceAction::DmaWrite => file.dma_write.as_ref(),
            DeviceAction::DmaRead => file.dma_read.as_ref(),
            DeviceAction::RaiseIrq => file.raise_irq.as_ref(),
        }
        .ok_or_else(|| Stop::Skip("the device file does not say how".to_owned()))?;
        let mut parameters = Parameters { descriptor: DESCRIPTOR_IOVA, ..Parameters::default() };
        for argument in arguments {
            let value = self.environment.field(None, &argument.value, &self.talk)?;
            match argument.key.value.as_str() {
                "iova" => parameters.iova = value,
                "length" => parameters.length = value,
                "pattern" => parameters.pattern = value,
                "index" => parameters.index = value,
                "vector" => parameters.vector = value,
                other => return Err(Fault::new(format!("no parameter `{other}` of a device")).into()),
            }
        }
        self.place(line, end, &file.descriptor_bytes(action, &parameters), file.descriptor_size)?;
        if what != DeviceAction::RaiseIrq {
            self.talk.device_transfers(parameters.length);
        }
        if let Some(end) = self.talk.ends.get_mut(end) {
            match what {
                DeviceAction::DmaWrite => end.session.device_writes(parameters.iova, parameters.length),
                DeviceAction::DmaRead => end.session.device_reads(parameters.iova, parameters.length),
                DeviceAction::RaiseIrq => {}
            }
        }
        self.asked = Some(Asked { end, status: action.status, doorbell: None });
        let last = action.steps.iter().rposition(|step| matches!(step, Step::Write { .. }));
        // What a device reads of its own accord before its doorbell rings is none of what the case is about.
        let mut alteration = self.talk.alteration.take();
        for (n, step) in action.steps.iter().enumerate() {
            let Step::Write { value, region, offset, width } = step else { continue };
            let data = value.bytes(&parameters, *width);
            let access = RegionAccess { offset: *offset, region: *region, count: *width };
            let mut payload = access.bytes().to_vec();
            payload.extend_from_slice(&data);
            if Some(n) == last {
                self.talk.alteration = alteration.take();
            }
            if Some(n) == last && (self.talk.serving == Serving::Hold || self.talk.alteration.is_some()) {
                // The device may want its DMA before it answers: its answer is asked for once it is served again.
                let index = self.command(line, end, REGION_WRITE.name, payload, Effect::None)?;
                self.asked = Some(Asked { end, status: action.status, doorbell: Some(index) });
            } else {
                self.access(line, end, REGION_WRITE.name, payload)?;
            }
        }
        self.talk.alteration = self.talk.alteration.take().or(alteration);
        if what == DeviceAction::RaiseIrq
            && let Some(end) = self.talk.ends.get_mut(end)
        {
            end.session.raised(parameters.index as u32, parameters.vector as u32);
        }
        Ok(())
    }

    /// Puts the action's descriptor into client memory of its own.
    fn place(&mut self, line: usize, end: usize, bytes: &[u8], size: Option<usize>) -> Result<(), Stop> {
        if size.is_none() || bytes.is_empty() {
            return Ok(());
        }
        let name = format!("device.descriptor.{end}");
        if !self.environment.descriptors.contains_key(&name) {
            let page = self.context.discovered.page_size();
            if i64::try_from(page).is_err() {
                return Err(Fault::of_target(format!("there is no file of {page:#x} bytes")).into());
            }
            let held = crate::session::Held::memfd(page, false)?;
            let memory = held.memory().ok_or_else(|| Fault::new("no memory"))?;
            let file = std::sync::Arc::new(memory.try_clone()?);
            let (address, offset) = (DESCRIPTOR_IOVA, 0);
            let map = match self.talk.dialect.table {
                Some(_) => tables::DmaMap { address, size: page, offset, protections: 3, flags: 1 }.bytes().to_vec(),
                None => DmaMap { argsz: 32, flags: 3, offset, address, size: page }.bytes().to_vec(),
            };
            let lent =
                crate::session::LentRange { address: DESCRIPTOR_IOVA, size: page, flags: 3, file: Some((file, 0)) };
            let index = self.command(line, end, DMA_MAP.name, map, Effect::Lend(vec![lent]))?;
            self.answered_with_success(index)?;
            self.environment.descriptors.insert(name.clone(), std::sync::Arc::new(held));
            if let Some(end) = self.talk.ends.get_mut(end) {
                end.session.device_uses(DESCRIPTOR_IOVA, page);
            }
        }
        let held = self.environment.descriptor(&name)?;
        let memory = held.memory().ok_or_else(|| Fault::new("no memory"))?;
        // The server has the file, too, and may have sealed it.
        nix::sys::uio::pwrite(memory, bytes, 0)
            .map_err(|error| Fault::of_target(format!("the descriptor of the device cannot be written: {error}")))?;
        Ok(())
    }

    /// `< device done`, `< device failed`.
    pub(super) fn expect_device(&mut self, line: Line<'_>, what: DeviceExpectation) -> Result<(), Stop> {
        let asked = self.asked.clone().ok_or_else(|| Fault::new("no `device` line before"))?;
        if let Some(index) = asked.doorbell {
            self.answered_with_success(index)?;
        }
        let Some(status) = asked.status else {
            return Err(Stop::Skip("the device file names no status register".to_owned()));
        };
        // It may have to ask for its memory message by message.
        let deadline = self.patience(self.context.timeouts.long)?;
        let field = Field { name: "status", offset: 0, width: status.width as usize, meaning: "", bits: &[] };
        let (state, value) = loop {
            let access = RegionAccess { offset: status.offset, region: status.region, count: status.width };
            let index = self.access(line.number, asked.end, REGION_READ.name, access.bytes().to_vec())?;
            let answer = self.talk.sent.get(index).and_then(|sent| sent.answer.as_ref());
            let value = answer
                .and_then(|answer| field.read(answer.payload.get(RegionAccess::LAYOUT.size..)?))
                .unwrap_or_default();
            let state = if value == status.done {
                Some(true)
            } else if Some(value) == status.failed {
                Some(false)
            } else {
                None
            };
            if state.is_some() || deadline.passed() || self.context.interrupt.raised() {
                break (state, value);
            }
            self.pass_time(deadline)?;
        };
        if let (Some(state), Some(end)) = (state, self.talk.ends.get_mut(asked.end)) {
            end.session.device_finished(state);
        }
        let done = what != DeviceExpectation::Failed;
        let expected = format!("the device says that its work is {}", if done { "done" } else { "failed" });
        let evidence = if state.is_some() { Evidence::Received } else { Evidence::Deadline };
        let actual = || match state {
            Some(true) => format!("it says that it is done (status {value:#x})"),
            Some(false) => format!("it says that it failed (status {value:#x})"),
            None => format!("it is still at work (status {value:#x})"),
        };
        if what == DeviceExpectation::DoneOrNoted && state == Some(false) {
            return self.break_line(line, Some(Class::Note), &Found::new(expected, actual(), evidence));
        }
        self.conclude(line, state == Some(done), &expected, actual, evidence)
    }

    /// A register access that must succeed for the case to go on.
    pub(super) fn access(&mut self, line: usize, end: usize, name: &str, payload: Vec<u8>) -> Result<usize, Stop> {
        let index = self.command(line, end, name, payload, Effect::None)?;
        self.answered_with_success(index)?;
        Ok(index)
    }

    fn command(
        &mut self,
        line: usize,
        end: usize,
        name: &str,
        payload: Vec<u8>,
        effect: Effect,
    ) -> Result<usize, Stop> {
        let (number, _) =
            self.talk.dialect.command(name).ok_or_else(|| Fault::new(format!("no {name} in this dialect")))?;
        let fds = match &effect {
            Effect::Lend(ranges) => {
                ranges.iter().find_map(|range| range.file.as_ref()).map(|(file, _)| std::sync::Arc::clone(file))
            }
            _ => None,
        };
        let frame = Frame::command(self.talk.fresh_id(end), number, payload);
        let passed: Vec<_> = fds.iter().map(|_| PassedFd { id: 0, kind: FdKind::Other }).collect();
        let index = self.talk.expect(
            end,
            Origin { line, ..Origin::default() },
            &frame,
            Passed { fds: &passed, cuts: &[] },
            effect,
        );
        if let Some(sent) = self.talk.sent.get_mut(index) {
            sent.claimed = true;
        }
        let attached: Vec<_> = fds.iter().map(|fd| std::os::fd::AsFd::as_fd(&**fd)).collect();
        let deadline = Deadline::after(self.context.timeouts.reply);
        self.talk.send(end, &frame.bytes(), &attached, &[], deadline)?;
        Ok(index)
    }

    /// The answer that a case cannot go on without.
    fn answered_with_success(&mut self, index: usize) -> Result<(), Stop> {
        self.wait_for(index)?;
        self.take_judged();
        match self.talk.sent.get(index).and_then(|sent| sent.answer.as_ref()) {
            Some(answer) if !answer.header.is_error() => Ok(()),
            Some(answer) => Err(Stop::Skip(format!(
                "set-up refused: a register of the device file was answered with {}",
                crate::case::error_text(answer.header.error)
            ))),
            None => {
                let line = self.talk.sent.get(index).map_or(0, |sent| sent.origin.line);
                self.set_up_failed(index, 0, line)
            }
        }
    }
}
