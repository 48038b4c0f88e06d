//! `>` lines: from what a line says to bytes and descriptors.

use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;
use std::time::Duration;

use vfio_user_wire::feature::DmaLoggingRange;
use vfio_user_wire::message::{
    DEVICE_FEATURE, DEVICE_GET_INFO, DEVICE_SET_IRQS, DMA_MAP, DMA_UNMAP, DeviceInfo, MIG_DATA_READ, MIG_DATA_WRITE,
    MigrationData, REGION_READ, REGION_WRITE, SingleWrite, VERSION,
};
use vfio_user_wire::tables::{DmaUnmapEntries, Table, dma_map_entries};
use vfio_user_wire::{Body, Field, Frame, HEADER_SIZE, Header, Message, NO_REPLY, TYPE_MASK, Tail};

use crate::case::{Argument, Range, Send, Subject, Value, Write};
use crate::model::PassedFd;
use crate::session::{Conversation, Deadline, Effect, Held, LentRange, Origin, Passed, usual_proposal};

use super::environment::Environment;
use super::pages::Asked;
use super::{Fault, Player, Stop};

/// The flag of a region in a table that has a descriptor.
const MAPPABLE: u32 = 1;

/// No line has more ranges than this.
const MOST_RANGES: u64 = 65_536;

/// No line does anything more often: as many maps as QEMU can have, and one more.
const MOST_TIMES: u64 = 65_536;

/// How often a line does something. Numbers of the target can be any.
fn at_most(times: u64) -> Result<u64, Fault> {
    if times <= MOST_TIMES { Ok(times) } else { Err(Fault::of_target(format!("{times} times are too many"))) }
}

/// Bytes that wait for a `>+` line, or for the next line of another kind.
#[derive(Debug, Default)]
pub(super) struct Outbox {
    end: usize,
    bytes: Vec<u8>,
    fds: Vec<Arc<Held>>,
    cuts: Vec<usize>,
}

/// A message as a line wants it.
pub(super) struct Built {
    pub(super) frame: Frame,
    pub(super) fds: Vec<Arc<Held>>,
    pub(super) cuts: Vec<usize>,
    pub(super) effect: Effect,
}

impl Player<'_> {
    /// Does a `>` line, up to the sending: that waits for lines that join it.
    pub(super) fn send(&mut self, step: usize, line: usize, send: &Send) -> Result<(), Stop> {
        let end = self.end(send.end.as_ref())?;
        if !send.joined {
            self.flush()?;
        }
        let joined_to_another = send.joined && !self.outbox.bytes.is_empty() && self.outbox.end != end;
        if joined_to_another {
            return Err(Fault::new("`>+` joins a message of another end".to_owned()).into());
        }
        self.outbox.end = end;
        if let Subject::Raw(bytes) = &send.subject {
            let bytes = self.environment.bytes(bytes, &self.talk)?;
            let label = send.label.as_ref().map(|label| label.value.clone());
            self.talk.expect_raw(end, Origin { step, line, label }, &bytes);
            if let Some(end) = self.talk.ends.get_mut(end) {
                end.unfinished = true;
            }
            self.outbox.bytes.extend_from_slice(&bytes);
            return Ok(());
        }
        let times = match send.arguments.iter().find(|argument| argument.key.value == "times") {
            Some(argument) => at_most(self.environment.field(None, &argument.value, &self.talk)?)?,
            None => 1,
        };
        for i in 0..times {
            self.environment.integers.insert("i".to_owned(), i128::from(i));
            let built = Built::new(&self.environment, &mut self.talk, end, send)?;
            let label = send.label.as_ref().map(|label| label.value.clone());
            let whole = built.frame.header.size as usize == HEADER_SIZE + built.frame.payload.len();
            if let Some(end) = self.talk.ends.get_mut(end) {
                end.unfinished |= !whole;
            }
            let fds = built.passed();
            let passed = Passed { fds: &fds, cuts: &built.cuts };
            self.talk.expect(end, Origin { step, line, label }, &built.frame, passed, built.effect);
            let start = self.outbox.bytes.len();
            self.outbox.bytes.extend_from_slice(&built.frame.bytes());
            self.outbox.cuts.extend(built.cuts.iter().map(|cut| start + cut));
            // Descriptors ride on the first byte of their message: what is queued before goes out first.
            if !built.fds.is_empty() {
                if start > 0 {
                    return Err(Fault::new("a message with descriptors cannot join another".to_owned()).into());
                }
                self.outbox.fds = built.fds;
            }
            if times > 1 && self.outbox.bytes.len() > 16 * 1024 {
                self.flush()?;
                // What came meanwhile is taken, so that it does not pile up.
                self.talk.pump(end, Deadline::after(Duration::ZERO), &|_| true)?;
                self.take_judged();
                self.in_time()?;
            }
        }
        Ok(())
    }

    /// Sends what waits.
    pub(super) fn flush(&mut self) -> Result<(), Stop> {
        let outbox = std::mem::take(&mut self.outbox);
        if outbox.bytes.is_empty() {
            return Ok(());
        }
        let fds: Vec<_> = outbox.fds.iter().filter_map(|held| held.descriptor()).collect();
        let deadline = Deadline::after(self.context.timeouts.reply);
        // A server that closed, or does not read, shows in the answers that do not come.
        let sent = self.talk.send(outbox.end, &outbox.bytes, &fds, &outbox.cuts, deadline).map_err(Fault::from)?;
        if let (false, Some(end)) = (sent, self.talk.ends.get_mut(outbox.end)) {
            end.torn = true;
        }
        Ok(())
    }
}

impl Built {
    /// The message of a line, for an end.
    pub(super) fn new(
        environment: &Environment,
        talk: &mut Conversation<'_>,
        end: usize,
        send: &Send,
    ) -> Result<Built, Fault> {
        let (number, message) = match &send.subject {
            Subject::Message(name) => {
                let known = talk.dialect.command(name);
                let (number, message) = known.ok_or_else(|| Fault::new(format!("no command `{}`", name.value)))?;
                (number, Some(message))
            }
            Subject::Number(number) => {
                let number = environment.u64(number, talk)?;
                let number = u16::try_from(number)
                    .map_err(|_| Fault::of_target(format!("there is no command number {number}")))?;
                (number, talk.dialect.message(number))
            }
            Subject::Raw(_) | Subject::Sample => return Err(Fault::new("no message".to_owned())),
        };
        let id = talk.fresh_id(end);
        let arguments = Arguments { list: &send.arguments, environment, talk };
        let mut payload = arguments.payload(message)?;
        let fds = arguments.descriptors()?;
        arguments.resize(&mut payload)?;
        let effect = arguments.effect(message, &payload)?;
        let mut frame = Frame::command(id, number, payload);
        arguments.header(&mut frame.header)?;
        let cuts = arguments.cuts(HEADER_SIZE + frame.payload.len())?;
        Ok(Built { frame, fds, cuts, effect })
    }

    /// What goes with it, for the model.
    pub(super) fn passed(&self) -> Vec<PassedFd> {
        self.fds.iter().map(|held| held.passed()).collect()
    }
}

/// What a line says of a message.
struct Arguments<'a> {
    list: &'a [Argument],
    environment: &'a Environment,
    talk: &'a Conversation<'a>,
}

impl Arguments<'_> {
    fn get(&self, key: &str) -> Option<&Value> {
        self.list
            .iter()
            .find(|argument| argument.key.value == key)
            .map(|argument| self.environment.resolve(&argument.value))
    }

    /// The payload: fields as given, others as QEMU would send them.
    fn payload(&self, message: Option<&Message>) -> Result<Vec<u8>, Fault> {
        let data = [self.several()?, self.data(message)?].concat();
        let Some(message) = message else { return Ok(data) };
        let mut payload = Vec::new();
        self.fields(message, message.request, &mut payload, data.len())?;
        let whole = message.request_of(&payload);
        if whole != message.request {
            self.fields(message, whole, &mut payload, data.len())?;
            // The bytes of a bitmap are counted by fields before them.
            self.fields(message, whole, &mut payload, data.len())?;
        }
        if message.reply_of(&payload).tail == Tail::RangeBitmap {
            let size = payload.len() + self.environment.range_layout.unused();
            payload.resize(size, 0);
        }
        if message.name == DEVICE_GET_INFO.name && payload.is_empty() && self.environment.later_info {
            payload.extend_from_slice(DeviceInfo { argsz: 16, ..DeviceInfo::default() }.bytes());
        }
        payload.extend_from_slice(&data);
        Ok(payload)
    }

    /// The fixed part of a payload.
    fn fields(&self, message: &Message, body: Body, payload: &mut Vec<u8>, data: usize) -> Result<(), Fault> {
        payload.resize(body.fixed_size(), 0);
        // From the last on: argsz stands first, and counts what the others announce.
        for field in body.fixed.iter().flat_map(|layout| layout.fields).rev() {
            let value = match self.get(field.name) {
                Some(value) => self.environment.field(Some(field), value, self.talk)?,
                None => self.usual(message, field, payload, data),
            };
            if value > field.max() && (value as i64) >= 0 {
                return Err(Fault::of_target(format!("{value:#x} does not fit in `{}`", field.name)));
            }
            field.write(payload, value);
        }
        Ok(())
    }

    /// What the client would send in a field that the line leaves out.
    fn usual(&self, message: &Message, field: &Field, payload: &[u8], data: usize) -> u64 {
        // In a table the flag says that a descriptor comes along, and another field what the device may do.
        if message.name == DMA_MAP.name && field.name == "flags" && message.request.tail == Tail::Entries {
            return u64::from(self.get("fd").or(self.get("fds")).is_some());
        }
        // Those of the map; later texts want 0 here.
        if message.name == DMA_UNMAP.name && field.name == "protections" && self.talk.dialect.table == Some(Table::V8) {
            return 3;
        }
        usual(message, field, payload, data, self.environment)
    }

    /// The writes of REGION_WRITE_MULTI, or the further entries of a table, all of them as often as the line says; `{i}` counts
    /// the times.
    fn several(&self) -> Result<Vec<u8>, Fault> {
        let times = match self.get("writes").or(self.get("entries")) {
            Some(times) => at_most(self.environment.field(None, times, self.talk)?)?,
            None => return self.once(self.environment),
        };
        let mut environment = self.environment.clone();
        let mut bytes = Vec::new();
        for i in 0..times {
            environment.integers.insert("i".to_owned(), i128::from(i));
            bytes.extend(self.once(&environment)?);
        }
        Ok(bytes)
    }

    fn once(&self, environment: &Environment) -> Result<Vec<u8>, Fault> {
        let mut bytes = Vec::new();
        for argument in self.list {
            match &argument.value.value {
                Value::Write(write) => bytes.extend(self.write(environment, write)?),
                Value::Bytes(entry) if argument.key.value == "entry" => {
                    bytes.extend(environment.bytes(entry, self.talk)?);
                }
                _ => {}
            }
        }
        Ok(bytes)
    }

    fn write(&self, environment: &Environment, write: &Write) -> Result<Vec<u8>, Fault> {
        let data = environment.bytes(&write.data, self.talk)?;
        let mut wide = [0; 8];
        wide.iter_mut().zip(&data).for_each(|(to, from)| *to = *from);
        let entry = SingleWrite {
            offset: environment.u64(&write.offset, self.talk)?,
            region: environment.u64(&write.region, self.talk)? as u32,
            count: data.len() as u32,
            data: u64::from_ne_bytes(wide),
        };
        Ok(entry.bytes().to_vec())
    }

    fn data(&self, message: Option<&Message>) -> Result<Vec<u8>, Fault> {
        if let Some(Value::Ranges(ranges)) = self.get("ranges") {
            return self.ranges(ranges);
        }
        match self.get("data") {
            Some(Value::Bytes(bytes)) => return self.environment.bytes(bytes, self.talk),
            // A field of DIRTY_PAGES has that name, too.
            Some(Value::Integer(_)) if message.is_some_and(|message| message.request.tail != Tail::Data) => {}
            Some(other) => return Err(Fault::new(format!("no bytes: {other:?}"))),
            None => {}
        }
        if message.is_none_or(|message| message.name != VERSION.name) {
            return Ok(Vec::new());
        }
        let mut text = match self.get("json") {
            None => usual_proposal(self.talk.dialect).as_bytes().to_vec(),
            Some(Value::Words(words)) if words.iter().any(|word| word.value == "none") => return Ok(Vec::new()),
            Some(Value::Bytes(bytes)) => self.environment.bytes(bytes, self.talk)?,
            Some(other) => return Err(Fault::new(format!("no JSON: {other:?}"))),
        };
        text.push(0);
        Ok(text)
    }

    fn ranges(&self, ranges: &[Range]) -> Result<Vec<u8>, Fault> {
        let value = |expression| self.environment.u64(expression, self.talk);
        let mut data = Vec::new();
        for Range { iova, length, repeated } in ranges {
            let (mut iova, length) = (value(iova)?, value(length)?);
            let (count, distance) = match repeated {
                Some((count, distance)) => (value(count)?, value(distance)?),
                None => (1, 0),
            };
            for _ in 0..count.min(MOST_RANGES) {
                data.extend_from_slice(DmaLoggingRange { iova, length }.bytes());
                iova = iova.wrapping_add(distance);
            }
        }
        Ok(data)
    }

    fn descriptors(&self) -> Result<Vec<Arc<Held>>, Fault> {
        self.descriptors_of(&["fd", "fds"])
    }

    fn descriptors_of(&self, keys: &[&str]) -> Result<Vec<Arc<Held>>, Fault> {
        let mut fds = Vec::new();
        for key in keys {
            match self.get(key) {
                None => {}
                Some(Value::Names(names)) => {
                    for (name, times) in names {
                        let held = self.environment.descriptor(&name.value)?;
                        let times = times.as_ref().map_or(Ok(1), |times| self.environment.integer(times, self.talk))?;
                        fds.extend((0..times.clamp(0, 253)).map(|_| Arc::clone(held)));
                    }
                }
                Some(Value::Words(words)) => {
                    for word in words {
                        fds.push(Arc::clone(self.environment.descriptor(&word.value)?));
                    }
                }
                Some(other) => return Err(Fault::new(format!("no descriptors: {other:?}"))),
            }
        }
        Ok(fds)
    }

    /// What the message does to the memory that is lent, if the server accepts it.
    fn effect(&self, message: Option<&Message>, payload: &[u8]) -> Result<Effect, Fault> {
        let Some(message) = message else { return Ok(Effect::None) };
        if let Some(table) = self.talk.dialect.table {
            return self.effect_of_table(table, message, payload);
        }
        let request = message.request_of(payload).decode(payload);
        let get = |name| request.get(name).unwrap_or_default();
        if message.name == DMA_UNMAP.name {
            // Bit 1 of the flags with nothing else is the older protocol's unmap of everything (policy A-04).
            let all = get("flags") & 2 != 0 && get("address") == 0 && get("size") == 0;
            return Ok(if all { Effect::TakeBackAll } else { Effect::TakeBack(vec![(get("address"), get("size"))]) });
        }
        if message.name != DMA_MAP.name {
            return Ok(Effect::None);
        }
        let backing = match (self.get("memory"), self.get("fd")) {
            (Some(Value::Names(names)), _) | (None, Some(Value::Names(names))) => {
                names.first().map(|(name, _)| name.value.clone())
            }
            (Some(Value::Words(words)), _) | (None, Some(Value::Words(words))) => {
                words.first().map(|word| word.value.clone())
            }
            _ => None,
        };
        let file = match backing {
            Some(name) => file(self.environment.descriptor(&name)?, get("offset"))?,
            None => None,
        };
        let flags = get("flags") as u32;
        Ok(Effect::Lend(vec![LentRange { address: get("address"), size: get("size"), flags, file }]))
    }

    /// The same of a table: a region that is mappable has the next of the descriptors, another one the next of `memory`.
    fn effect_of_table(&self, table: Table, message: &Message, payload: &[u8]) -> Result<Effect, Fault> {
        if message.name == DMA_UNMAP.name {
            let regions = DmaUnmapEntries::new(payload, table).map_while(Result::ok).map(|entry| entry.region);
            return Ok(Effect::TakeBack(regions.map(|region| (region.address, region.size)).collect()));
        }
        if message.name != DMA_MAP.name {
            return Ok(Effect::None);
        }
        let (fds, memory) = (self.descriptors_of(&["fd", "fds"])?, self.descriptors_of(&["memory"])?);
        let (mut fds, mut memory) = (fds.iter(), memory.iter());
        let mut lent = Vec::new();
        for region in dma_map_entries(payload).0 {
            let held = if { region.flags } & MAPPABLE == 0 { memory.next() } else { fds.next() };
            let file = held.map_or(Ok(None), |held| file(held, region.offset))?;
            lent.push(LentRange { address: region.address, size: region.size, flags: region.protections, file });
        }
        Ok(Effect::Lend(lent))
    }

    fn resize(&self, payload: &mut Vec<u8>) -> Result<(), Fault> {
        let now = payload.len() as i128;
        let size = match self.get("payload") {
            None => return Ok(()),
            Some(Value::Integer(size)) => self.environment.integer(size, self.talk)?,
            Some(Value::Plus(more)) => now + self.environment.integer(more, self.talk)?,
            Some(Value::Minus(less)) => now - self.environment.integer(less, self.talk)?,
            Some(other) => return Err(Fault::new(format!("no size: {other:?}"))),
        };
        if !(0..=(16 << 20)).contains(&size) {
            return Err(Fault::of_target(format!("there is no payload of {size} bytes")));
        }
        payload.resize(size as usize, 0);
        Ok(())
    }

    fn header(&self, header: &mut Header) -> Result<(), Fault> {
        if self.get("no_reply").is_some() {
            header.flags |= NO_REPLY;
        }
        for field in Header::LAYOUT.fields {
            let Some(value) = self.get(&format!("header.{}", field.name)) else { continue };
            let value = self.environment.field(Some(field), value, self.talk)?;
            let mut bytes = header.bytes().to_vec();
            field.write(&mut bytes, value);
            if let Some((changed, _)) = Header::parse(&bytes) {
                *header = changed;
            }
        }
        if let Some(value) = self.get("header.type") {
            header.flags =
                (header.flags & !TYPE_MASK) | (self.environment.field(None, value, self.talk)? as u32 & TYPE_MASK);
        }
        Ok(())
    }

    /// Where the message is cut, from its start; negative cuts count from its end.
    fn cuts(&self, length: usize) -> Result<Vec<usize>, Fault> {
        let cuts = match self.get("cut") {
            None => return Ok(Vec::new()),
            Some(Value::Integer(cut)) => vec![self.environment.integer(cut, self.talk)?],
            Some(Value::Integers(cuts)) => {
                cuts.iter().map(|cut| self.environment.integer(cut, self.talk)).collect::<Result<_, _>>()?
            }
            Some(other) => return Err(Fault::new(format!("no cut: {other:?}"))),
        };
        let length = length as i128;
        Ok(cuts
            .into_iter()
            .map(|cut| if cut < 0 { length + cut } else { cut })
            .filter(|cut| (1..length).contains(cut))
            .map(|cut| cut as usize)
            .collect())
    }
}

/// The file that a descriptor stands for, and an offset in it; `None` where it stands for no memory.
fn file(held: &Held, offset: u64) -> Result<Option<(Arc<OwnedFd>, u64)>, Fault> {
    let Some(memory) = held.memory() else { return Ok(None) };
    Ok(Some((Arc::new(memory.as_fd().try_clone_to_owned()?), offset)))
}

/// What QEMU would send in a field that a line leaves out; behind `payload`, the fixed part so far, come `data` bytes.
fn usual(message: &Message, field: &Field, payload: &[u8], data: usize, environment: &Environment) -> u64 {
    let reply = message.reply_of(payload);
    match field.name {
        "argsz" if message.name == DEVICE_SET_IRQS.name => (payload.len() + data) as u64,
        "argsz" if [Tail::Bitmap, Tail::RangeBitmap].contains(&reply.tail) => {
            let unused = if reply.tail == Tail::RangeBitmap { environment.range_layout.unused() } else { 0 };
            let bitmap = Asked::of(message, payload).map_or(0, |asked| asked.room());
            ((reply.fixed_size() + unused) as u64).saturating_add(bitmap).min(field.max())
        }
        "bitmap_size" => Asked::of(message, payload).map_or(0, |asked| asked.exact()),
        "argsz" if message.name == DEVICE_FEATURE.name => (payload.len() + data).max(reply.fixed_size()) as u64,
        "argsz" if message.name == MIG_DATA_READ.name || message.name == MIG_DATA_WRITE.name => {
            MigrationData::parse(payload)
                .map_or(0, |(head, _)| u64::from(head.size).saturating_add(MigrationData::LAYOUT.size as u64))
                .min(field.max())
        }
        "size" if message.name == MIG_DATA_WRITE.name => data as u64,
        // The reply has bitmaps, and no argsz.
        "argsz" if reply.tail == Tail::Bitmaps => (payload.len() + data) as u64,
        "argsz" => reply.fixed.map_or(payload.len(), |layout| layout.size) as u64,
        "wr_cnt" => (data / SingleWrite::LAYOUT.size) as u64,
        "page_size" => 4096,
        // What VERSION has settled.
        "bitmap_pgsize" => {
            environment.integers.get("log.pgsize").and_then(|size| u64::try_from(*size).ok()).unwrap_or(4096)
        }
        "num_ranges" => (data / size_of::<DmaLoggingRange>()) as u64,
        // QEMU maps RAM for reading and writing.
        "flags" | "protections" if message.name == DMA_MAP.name => 3,
        "count" if message.name == REGION_WRITE.name => data as u64,
        "count" if message.name == REGION_READ.name => 4,
        _ => 0,
    }
}
