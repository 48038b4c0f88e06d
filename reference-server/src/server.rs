//! The server: which command is answered by what, and what the device does on its own account.

use std::os::fd::OwnedFd;

use nix::errno::Errno;
use vfio_user_wire::message::MultiWrite;
use vfio_user_wire::{Frame, Header, TYPE_COMMAND, TYPE_REPLY};

use crate::answer::{Answer, Refusal, error_field};
use crate::command::device_feature::device_feature;
use crate::command::device_get_info::device_get_info;
use crate::command::device_get_irq_info::device_get_irq_info;
use crate::command::device_get_region_info::device_get_region_info;
use crate::command::device_get_region_io_fds::device_get_region_io_fds;
use crate::command::device_set_irqs::device_set_irqs;
use crate::command::dma_map::dma_map;
use crate::command::dma_unmap::dma_unmap;
use crate::command::mig_data_read::mig_data_read;
use crate::command::mig_data_write::mig_data_write;
use crate::command::region_read::region_read;
use crate::command::region_write::region_write;
use crate::command::region_write_multi::{region_write_multi, write_one};
use crate::command::version::version;
use crate::device::{Device, MAX_DMA_READ, MAX_DMA_WRITE, Registers, Rung, status};
use crate::dma_table::Map;
use crate::effect::{Channel, Effect};
use crate::irq_table::irq_type;
use crate::machine::Machine;
use crate::memory::Memory;
use crate::session::{Agreed, Session, Twin};
use crate::settings::{Profile, Settings};
use crate::transfer::{Direction, Progress, Transfer};
use crate::without::Feature;

/// A vfio-user server with the conformance device, for one client after the other.
#[derive(Debug, Default)]
pub struct Server {
    pub(crate) device: Device,
    pub(crate) session: Session,
    pub(crate) settings: Settings,
}

impl Server {
    /// A device as it is after a reset, and no client.
    pub fn new() -> Server {
        Server::default()
    }

    /// The server that is wanted: a [`Without`](crate::Without) is enough where a device shall only lack something.
    pub fn with(settings: impl Into<Settings>) -> Server {
        let settings = settings.into();
        Server { device: Device::new(settings), session: Session::default(), settings }
    }

    /// Executes a command.
    fn execute(
        &mut self,
        frame: &Frame,
        fds: Vec<OwnedFd>,
        memory: &mut dyn Memory,
        effects: &mut Vec<Effect>,
    ) -> Result<Answer, Refusal> {
        let payload = frame.payload.as_slice();
        let name = self.settings.profile.dialect().message(frame.header.command).map_or("", |message| message.name);
        let Some(agreed) = self.session.agreed else {
            // 466-470: VERSION is the first message.
            return if name == "VERSION" { self.negotiate(frame) } else { Err(Errno::EINVAL.into()) };
        };
        // What rang before the message was sent is done before it; on a device that is stopped it waits.
        if self.device.is_running() {
            self.device.count_events(self.session.doorbells.rung(memory));
        }
        match self.settings.profile {
            Profile::V0_9_2 => self.current(name, &agreed, payload, fds, memory, effects),
            Profile::V0_9_1 => self.legacy(name, &agreed, payload, fds, memory, effects),
            Profile::V8C | Profile::V8 => self.tables(name, &agreed, payload, fds, memory, effects),
        }
    }

    /// Executes a command of 0.9.2, or one that has not changed since.
    pub(crate) fn current(
        &mut self,
        name: &str,
        agreed: &Agreed,
        payload: &[u8],
        fds: Vec<OwnedFd>,
        memory: &mut dyn Memory,
        effects: &mut Vec<Effect>,
    ) -> Result<Answer, Refusal> {
        let settings = self.settings;
        let Session { maps, irqs, doorbells, .. } = &mut self.session;
        let answer = match name {
            "DMA_MAP" => dma_map(settings, maps, payload, fds, memory)?,
            "DMA_UNMAP" => {
                let (answer, map) = dma_unmap(maps, payload, memory)?;
                self.stop_touching(&map);
                answer
            }
            "DEVICE_GET_INFO" => device_get_info(settings, payload)?,
            "DEVICE_GET_REGION_INFO" => device_get_region_info(settings, &agreed.limits, payload, memory)?,
            "DEVICE_GET_REGION_IO_FDS" => {
                device_get_region_io_fds(settings, &agreed.limits, doorbells, payload, memory)?
            }
            "DEVICE_GET_IRQ_INFO" => device_get_irq_info(settings, payload)?,
            "DEVICE_SET_IRQS" => device_set_irqs(settings, irqs, &mut self.device, payload, fds, effects)?,
            "REGION_READ" => region_read(settings, &mut self.device, payload, memory)?,
            "REGION_WRITE" => {
                let (answer, rung) = region_write(settings, &mut self.device, payload, memory)?;
                Answer { then: self.ring(rung, memory, effects), ..answer }
            }
            "REGION_WRITE_MULTI" if agreed.write_multiple => {
                let writes = region_write_multi(settings, payload)?;
                let mut answer = Answer::default();
                let mut wr_cnt = 0;
                for write in &writes {
                    // 1531: the client learns how many were done before one failed.
                    let Ok(rung) = write_one(&mut self.device, write, memory) else { break };
                    // While one DMA is under way no other starts, so that there is one command at the most.
                    answer.then = self.ring(rung, memory, effects).or(answer.then);
                    wr_cnt += 1;
                }
                Answer { payload: MultiWrite { wr_cnt }.bytes().to_vec(), ..answer }
            }
            "DEVICE_FEATURE" => {
                let answer = device_feature(settings, &mut self.device, &mut self.session.log, payload, memory)?;
                if !self.device.is_running() {
                    self.stop_transfer();
                }
                answer
            }
            "MIG_DATA_READ" => mig_data_read(&mut self.device, payload, memory)?,
            "MIG_DATA_WRITE" => mig_data_write(&mut self.device, payload)?,
            "DEVICE_RESET" => {
                self.session.transfer = None;
                self.session.irqs.reset();
                self.device.reset(memory)?;
                Answer::default()
            }
            // A second VERSION, and the commands that only a server sends.
            "VERSION" | "DMA_READ" | "DMA_WRITE" => return Err(Errno::EINVAL.into()),
            _ => return Err(Errno::ENOSYS.into()),
        };
        Ok(answer)
    }

    fn negotiate(&mut self, frame: &Frame) -> Result<Answer, Refusal> {
        let (answer, agreed) = version(self.settings, frame).map_err(|errno| Refusal { errno, close: true })?;
        self.session.agreed = Some(agreed);
        if answer.then.is_some() {
            self.session.twin = Twin::Open;
        }
        Ok(answer)
    }

    /// Does what the doorbells ask for; a DMA that needs a message returns it.
    fn ring(&mut self, rung: Rung, memory: &mut dyn Memory, effects: &mut Vec<Effect>) -> Option<Effect> {
        // 1679: a device that is stopped changes nothing.
        if !self.device.is_running() {
            return None;
        }
        self.device.count_events(u32::from(rung.event != 0) + rung.kicks);
        // There is one DMA engine: while it is busy, its doorbell is dead.
        let mut command = None;
        if rung.dma != 0 && self.session.transfer.is_none() && !self.settings.lacks(Feature::Dma) {
            self.start_transfer(rung.dma);
            command = self.drive_transfer(memory);
        }
        if rung.irq != 0 {
            self.raise(effects);
        }
        command
    }

    /// Raises the interrupt that the IRQ registers name.
    fn raise(&mut self, effects: &mut Vec<Effect>) {
        let registers = &mut self.device.registers;
        let Registers { irq_index: index, irq_vector: vector, .. } = *registers;
        let there = irq_type(self.settings, index).is_some_and(|kind| vector < kind.count);
        let raised = there && self.session.irqs.trigger(index, vector, effects).is_ok();
        registers.irq_status = if raised { status::DONE } else { status::FAILED };
        registers.triggers = registers.triggers.wrapping_add(u32::from(raised));
    }

    /// Takes up the operation that the DMA registers describe.
    fn start_transfer(&mut self, command: u32) {
        let registers = &mut self.device.registers;
        let (iova, length) = (registers.dma_iova, registers.dma_length);
        let [pattern, ..] = registers.dma_pattern.to_le_bytes();
        let (profile, maps) = (self.settings.profile, &self.session.maps);
        self.session.transfer = match command {
            1 if length <= MAX_DMA_WRITE => {
                Transfer::new(profile, maps, Direction::Write(pattern), iova, u64::from(length))
            }
            2 if length <= MAX_DMA_READ => Transfer::new(profile, maps, Direction::Read, iova, u64::from(length)),
            _ => None,
        };
        let started = self.session.transfer.is_some();
        registers.dma_status = if started { status::BUSY } else { status::FAILED };
    }

    /// Goes on with the operation under way, as far as that goes without a message.
    fn drive_transfer(&mut self, memory: &mut dyn Memory) -> Option<Effect> {
        let max_count = self.session.max_dma_count();
        let id = self.session.next_id();
        let transfer = self.session.transfer.as_mut()?;
        let logs = &mut [&mut self.session.log, &mut self.device.migration_region.dirty_pfns.log];
        match transfer.advance(&self.session.maps, logs, max_count, id, memory) {
            Progress::Waiting(command) => match self.session.command_channel() {
                Some(channel) => return Some(send(channel, command, Vec::new())),
                None => self.stop_transfer(),
            },
            Progress::Failed => self.stop_transfer(),
            Progress::Done(bytes) => {
                self.session.transfer = None;
                self.device.store_result(&bytes);
                self.device.registers.dma_status = status::DONE;
            }
        }
        None
    }

    /// 699-701: nothing that is under way touches the window after the reply.
    pub(crate) fn stop_touching(&mut self, map: &Map) {
        if self.session.transfer.as_ref().is_some_and(|transfer| transfer.touches(map)) {
            self.stop_transfer();
        }
    }

    /// Ends the operation under way, in failure.
    pub(crate) fn stop_transfer(&mut self) {
        if self.session.transfer.take().is_some() {
            self.device.registers.dma_status = status::FAILED;
        }
    }

    /// Takes a reply to a command of the server's own; any other reply answers nothing and is dropped.
    fn take_reply(&mut self, channel: Channel, reply: &Frame, memory: &mut dyn Memory) -> Option<Effect> {
        if self.session.command_channel() != Some(channel) {
            return None;
        }
        if self.session.transfer.as_mut()?.reply(reply)? {
            return self.drive_transfer(memory);
        }
        self.stop_transfer();
        None
    }
}

impl Machine for Server {
    fn connect(&mut self) {
        match self.settings.profile {
            Profile::V8 => self.session.agreed = None,
            _ => self.session = Session::default(),
        }
    }

    fn receive(&mut self, frame: Frame, fds: Vec<OwnedFd>, memory: &mut dyn Memory, effects: &mut Vec<Effect>) {
        let header = frame.header;
        match header.message_type() {
            TYPE_COMMAND => match self.execute(&frame, fds, memory, effects) {
                Ok(answer) => {
                    if !header.no_reply() {
                        effects.push(send(Channel::Main, Frame::reply(&header, answer.payload), answer.fds));
                    }
                    effects.extend(answer.then);
                }
                Err(refusal) => refuse(Channel::Main, &header, refusal, effects),
            },
            TYPE_REPLY => effects.extend(self.take_reply(Channel::Main, &frame, memory)),
            _ => refuse(Channel::Main, &header, Errno::EINVAL.into(), effects),
        }
    }

    fn receive_on_twin(&mut self, frame: Frame, memory: &mut dyn Memory, effects: &mut Vec<Effect>) {
        match frame.header.message_type() {
            TYPE_REPLY => effects.extend(self.take_reply(Channel::Twin, &frame, memory)),
            // The client's commands belong on the main socket (207-209).
            _ => refuse(Channel::Twin, &frame.header, Errno::EINVAL.into(), effects),
        }
    }

    fn refuse(&mut self, header: &Header, effects: &mut Vec<Effect>) {
        if header.is_reply() {
            // A reply to a reply could go on for ever.
            effects.push(Effect::Close);
        } else {
            refuse(Channel::Main, header, Refusal { errno: Errno::EINVAL, close: true }, effects);
        }
    }

    fn twin_ended(&mut self) {
        self.session.twin = Twin::Lost;
        // What is under way waits for a reply that cannot come.
        self.stop_transfer();
    }

    fn disconnect(&mut self, memory: &mut dyn Memory) {
        self.stop_transfer();
        // Version 8 has the server take no action (at 595dff9, 269-272).
        if self.settings.profile != Profile::V8 {
            self.device.forget_client();
            self.session.end(memory);
        }
    }
}

fn send(channel: Channel, frame: Frame, fds: Vec<std::sync::Arc<OwnedFd>>) -> Effect {
    Effect::Send { channel, frame, fds }
}

/// A failed command is answered with a header alone (454), or with nothing where no reply is wanted.
fn refuse(channel: Channel, header: &Header, refusal: Refusal, effects: &mut Vec<Effect>) {
    if !header.no_reply() {
        effects.push(send(channel, Frame::error(header, error_field(refusal.errno)), Vec::new()));
    }
    if refusal.close {
        effects.push(Effect::Close);
    }
}
