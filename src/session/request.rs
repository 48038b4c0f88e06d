//! The commands of the server: they are judged, and answered from the memory that is lent.

use std::io;

use nix::errno::Errno;
use vfio_user_wire::message::{DMA_READ, DMA_WRITE, DmaAccess};
use vfio_user_wire::tables::VM_INTERRUPT;
use vfio_user_wire::{Frame, Header};

use super::conversation::MOST_KEPT;
use super::dma_command;
use super::{ClientMemory, Conversation, Deadline, Judged, Serving, Way};
use crate::model::{Channel, Negotiated, judge_request};

/// How many commands of a server are read, in a conversation, that nobody asked it for.
pub(super) const MOST_REQUESTS: usize = 10_000;
/// How many are, at most, for what the device was told to transfer: it may do so line by line.
pub(super) const MOST_LINES: usize = 50_000;

/// A command of the server.
#[derive(Debug)]
pub struct Request {
    /// On which end it came.
    pub end: usize,
    /// Its header.
    pub header: Header,
    /// Its payload.
    pub payload: Vec<u8>,
    /// Its number in the transcript.
    pub entry: usize,
    /// An `await` line has seen it.
    pub claimed: bool,
}

impl Conversation<'_> {
    pub(super) fn requested(&mut self, end: usize, frame: Frame, entry: usize) -> io::Result<()> {
        let main = self.main(end);
        let channel = match self.twin(main) {
            None => Channel::Only,
            Some(twin) if twin == end => Channel::Twin,
            Some(_) => Channel::Main,
        };
        let (nothing, nowhere) = (Negotiated::default(), ClientMemory::default());
        let negotiated = self.ends.get(main).map_or(&nothing, |end| end.session.negotiated());
        let dialect = self.dialect;
        let memory = self.ends.get(end).and_then(|end| self.memory.get(&end.server)).unwrap_or(&nowhere);
        let mapped = |address, count| memory.access(address, count);
        let mut judgements =
            judge_request(dialect, &self.offer, &frame.header, &frame.payload, negotiated, channel, &mapped);
        let name = dialect.name_of(frame.header.command);
        // What comes on a twin socket may have been sent before the reply on the main one that says that the device is stopped.
        let in_order = channel != Channel::Twin;
        judgements.extend(self.ends.get(main).filter(|_| in_order).and_then(|end| end.session.requested(&name)));
        self.judged.extend(judgements.into_iter().map(|judgement| Judged { judgement, step: 0, line: 0, entry }));
        let (header, payload) = (frame.header, frame.payload);
        let writes = self.dialect.message(header.command).is_some_and(|message| message.name == DMA_WRITE.name);
        if let (true, Some((access, _)), Some(end)) =
            (writes, dma_command::parse(dialect, &payload), self.ends.get_mut(main))
        {
            end.session.device_sends(access.address, access.count);
            self.by_message |= end.session.has_file(access.address, access.count);
        }
        self.held += payload.len();
        self.requests.push(Request { end, header, payload, entry, claimed: false });
        let count = self.held;
        if let Some(connection) = self.connection(end).filter(|_| count > MOST_KEPT) {
            connection.flooded("bytes of commands without an answer", count);
        }
        let (count, most) = (self.requests.len(), self.most_requests());
        if let Some(connection) = self.connection(end).filter(|_| count >= most) {
            connection.flooded("commands of the server", count);
        }
        self.serve()
    }

    /// Answers what the server asked for, as far as it is to be answered now.
    ///
    /// # Errors
    /// Faults of ours.
    pub fn serve(&mut self) -> io::Result<()> {
        while self.serving != Serving::Hold {
            let Some(request) = self.requests.get_mut(self.served) else { return Ok(()) };
            self.served += 1;
            let (end, header) = (request.end, request.header);
            let payload = std::mem::take(&mut request.payload);
            self.held = self.held.saturating_sub(payload.len());
            // What an `await` line may still ask about; the data would only take memory.
            request.payload = payload.get(..DmaAccess::LAYOUT.size.min(payload.len())).unwrap_or_default().to_vec();
            let unanswered = header.no_reply() || self.ends.get(end).is_none_or(|end| end.torn);
            // Megabytes that nobody gets are not read: there can be thousands of such commands.
            let reads = self.dialect.message(header.command).is_some_and(|message| message.name == DMA_READ.name);
            if unanswered && reads {
                continue;
            }
            let reply = self.reply_to(end, &header, &payload);
            if unanswered {
                continue;
            }
            let bytes = reply.bytes();
            let place = self.place(end);
            self.transcript.message(self.dialect, &place, Way::Sent, &bytes, 0);
            let taken = self.send(end, &bytes, &[], &[], Deadline::after(self.patience.reply))?;
            if let Some(end) = self.ends.get_mut(end) {
                end.torn |= !taken;
            }
        }
        Ok(())
    }

    fn reply_to(&mut self, end: usize, header: &Header, payload: &[u8]) -> Frame {
        if let Serving::Error(errno) = self.serving {
            return Frame::error(header, errno);
        }
        let name = self.dialect.message(header.command).map(|message| message.name);
        if name == Some(VM_INTERRUPT.name) {
            return Frame::reply(header, Vec::new());
        }
        let Some((access, data)) = dma_command::parse(self.dialect, payload) else {
            return Frame::error(header, Errno::EINVAL as u32);
        };
        let read = name == Some(DMA_READ.name);
        if !read && name != Some(DMA_WRITE.name) {
            return Frame::error(header, Errno::ENOSYS as u32);
        }
        let memory = self.memory_at(end);
        let served = if read { memory.read(&access).map(Some) } else { memory.write(&access, data).map(|()| None) };
        let payload = match served {
            Ok(data) => dma_command::reply(self.dialect, &access, data),
            Err(errno) => return Frame::error(header, errno as u32),
        };
        let reply = Frame::reply(header, payload);
        match self.alteration.take() {
            Some(alteration) => alteration.apply(dma_command::layout(self.dialect), reply),
            None => reply,
        }
    }
}
