//! `save` and `restore`: a device's migration data, read and written piece by piece as a client does that carries it from
//! one server to another.

use vfio_user_wire::Frame;
use vfio_user_wire::message::{MIG_DATA_READ, MIG_DATA_WRITE, MigrationData};

use crate::case::{Argument, Name, Outcome, Outcomes, Span, Spanned};
use crate::session::{Deadline, Effect, Origin, Passed};
use crate::verdict::{Class, Evidence};

use super::expect::Actual;
use super::judge::{Found, Line};
use super::portions::{MOST_PORTIONS, Portions};
use super::{Fault, Player, Stop};

/// No more migration data is read: nobody knows whether there would be an end.
pub(super) const MOST_BYTES: u64 = 8 << 20;
/// So many pieces are of the size that the line says; the rest of a long stream goes in large ones.
const MOST_PIECES: usize = 4096;
/// The largest piece: what the client of every case proposes as max_data_xfer_size.
const LARGEST: u64 = 1 << 20;
/// The most commands that wait for their replies at one time.
const MOST_AHEAD: u64 = 64;
/// What is done to a byte that is to be another one.
const CHANGE: u8 = 0x10;

/// Numbers of a line.
struct Options(Vec<(String, u64)>);

impl Options {
    fn get(&self, key: &str) -> Option<u64> {
        self.0.iter().find(|(known, _)| known == key).map(|(_, value)| *value)
    }
}

impl Player<'_> {
    /// Migration data goes through a region: there are no commands for it.
    fn by_region(&self) -> bool {
        self.talk.dialect.command(MIG_DATA_READ.name).is_none()
    }

    /// Reads migration data until there is no more.
    pub(super) fn save(
        &mut self,
        line: Line<'_>,
        end: Option<&Name>,
        name: &Name,
        arguments: &[Argument],
    ) -> Result<(), Stop> {
        let (end, options) = (self.end(end)?, self.options(arguments)?);
        let largest = self.largest_piece();
        let chunk = options.get("chunk").unwrap_or(largest).min(largest);
        let ahead = options.get("ahead").unwrap_or(1).clamp(1, MOST_AHEAD);
        let most = options.get("most");
        if self.by_region() {
            let Portions { bytes, lengths } = self.save_portions(line, end, most)?;
            // Where nothing came, nothing was seen of how it comes.
            if !bytes.is_empty() {
                self.hold(line);
            }
            self.environment.streams.insert(name.value.clone(), bytes);
            self.environment.portions.insert(name.value.clone(), lengths);
            return Ok(());
        }
        let (mut stream, mut pieces) = (Vec::new(), 0);
        loop {
            let read = stream.len() as u64;
            let size = if pieces < MOST_PIECES { chunk } else { largest };
            let size = most.map_or(size, |most| size.min(most.saturating_sub(read)));
            if size == 0 {
                break;
            }
            if pieces >= MOST_PIECES + MOST_PORTIONS {
                return Err(Stop::Unsure(format!("after {pieces} pieces of migration data there still is more")));
            }
            if read >= MOST_BYTES {
                let why = format!("after {} MiB of migration data there still is more", MOST_BYTES >> 20);
                return Err(Stop::Unsure(why));
            }
            let before = stream.len();
            for index in self.read_pieces(line, end, size, ahead)? {
                self.expect_one(line, index, &success())?;
                let answer = self.talk.sent.get_mut(index).and_then(|sent| sent.answer.as_mut());
                // The transcript has what is shown of it; here it would only take memory.
                let payload = answer.map(|answer| std::mem::take(&mut answer.payload)).unwrap_or_default();
                if let Some((head, data)) = MigrationData::parse(&payload) {
                    stream.extend_from_slice(data.get(..head.size as usize).unwrap_or(data));
                }
                pieces += 1;
            }
            if stream.len() == before {
                break;
            }
        }
        self.environment.streams.insert(name.value.clone(), stream);
        Ok(())
    }

    /// Sends several reads in one write.
    fn read_pieces(&mut self, line: Line<'_>, end: usize, size: u64, count: u64) -> Result<Vec<usize>, Stop> {
        let (mut bytes, mut indexes) = (Vec::new(), Vec::new());
        for _ in 0..count {
            let (index, frame) = self.piece(line, end, MIG_DATA_READ.name, size, &[])?;
            bytes.extend(frame.bytes());
            indexes.push(index);
        }
        self.pass_on(end, &bytes)?;
        Ok(indexes)
    }

    /// Writes as migration data what was read. What lacks a part or was changed may be refused at any piece, and then
    /// nothing more is written.
    pub(super) fn restore(
        &mut self,
        line: Line<'_>,
        end: Option<&Name>,
        name: &Name,
        arguments: &[Argument],
    ) -> Result<(), Stop> {
        let (end, options) = (self.end(end)?, self.options(arguments)?);
        let largest = self.largest_piece();
        let chunk = options.get("chunk").unwrap_or(largest).min(largest);
        let mut stream = self.stream(name)?.to_vec();
        if let Some(byte) = options.get("changed").and_then(|at| stream.get_mut(usize::try_from(at).ok()?)) {
            *byte ^= CHANGE;
        }
        if let Some(length) = options.get("upto") {
            stream.truncate(usize::try_from(length).unwrap_or(usize::MAX));
        }
        let refusable = options.get("changed").or(options.get("upto")).is_some();
        let nothing = stream.is_empty();
        if self.by_region() {
            let lengths = self.environment.portions.get(&name.value).cloned().unwrap_or_default();
            self.restore_portions(line, end, &Portions { bytes: stream, lengths }, refusable)?;
            if !nothing {
                self.hold(line);
            }
            return Ok(());
        }
        let (mut rest, mut pieces) = (stream.as_slice(), 0);
        while !rest.is_empty() {
            let size = if pieces < MOST_PIECES { chunk } else { largest };
            let (now, later) = rest.split_at(rest.len().min(size as usize));
            rest = later;
            pieces += 1;
            let (index, frame) = self.piece(line, end, MIG_DATA_WRITE.name, now.len() as u64, now)?;
            self.pass_on(end, &frame.bytes())?;
            self.wait_for(index)?;
            if refusable && matches!(self.actual(index), Actual::Error(_)) {
                break;
            }
            self.expect_one(line, index, &success())?;
            if let Some(sent) = self.talk.sent.get_mut(index) {
                sent.command.payload.truncate(MigrationData::LAYOUT.size);
            }
        }
        if !nothing {
            self.hold(line);
        }
        Ok(())
    }

    /// `< same one two`. Two streams may differ and restore alike; one that is empty where the other is not is no stream of
    /// the same device.
    pub(super) fn expect_same(&mut self, line: Line<'_>, one: &Name, two: &Name) -> Result<(), Stop> {
        let (first, second) = (self.stream(one)?, self.stream(two)?);
        if first == second {
            self.hold(line);
            return Ok(());
        }
        let expected = format!("the {} bytes of `{}` once more", first.len(), one.value);
        let at = first.iter().zip(second).position(|(one, two)| one != two);
        let actual = match at {
            _ if second.is_empty() => "no migration data".to_owned(),
            Some(at) if first.len() == second.len() => format!("other bytes from {at:#x} on"),
            _ => format!("{} bytes", second.len()),
        };
        let class = (!second.is_empty()).then_some(Class::Note);
        self.break_line(line, class, &Found::new(expected, actual, Evidence::Received))
    }

    fn stream(&self, name: &Name) -> Result<&[u8], Fault> {
        let stream = self.environment.streams.get(&name.value);
        stream.map(Vec::as_slice).ok_or_else(|| Fault::new(format!("no migration data `{}`", name.value)))
    }

    fn options(&self, arguments: &[Argument]) -> Result<Options, Fault> {
        let value = |argument: &Argument| {
            let value = self.environment.field(None, &argument.value, &self.talk)?;
            Ok((argument.key.value.clone(), value))
        };
        arguments.iter().map(value).collect::<Result<_, Fault>>().map(Options)
    }

    /// What every server must take in one message.
    pub(super) fn largest_piece(&self) -> u64 {
        self.context.discovered.limits().max_data_xfer_size.clamp(1, LARGEST)
    }

    fn piece(
        &mut self,
        line: Line<'_>,
        end: usize,
        name: &str,
        size: u64,
        data: &[u8],
    ) -> Result<(usize, Frame), Stop> {
        let size = u32::try_from(size).map_err(|_| Fault::new(format!("a piece of {size} bytes")))?;
        let head = MigrationData { argsz: size.saturating_add(MigrationData::LAYOUT.size as u32), size };
        self.transfer(line, end, name, [head.bytes(), data].concat())
    }

    /// A command of the line's own, which is yet to be sent.
    pub(super) fn transfer(
        &mut self,
        line: Line<'_>,
        end: usize,
        name: &str,
        payload: Vec<u8>,
    ) -> Result<(usize, Frame), Stop> {
        let command = self.talk.dialect.command(name);
        let (number, _) = command.ok_or_else(|| Fault::new(format!("no {name} in this dialect")))?;
        let frame = Frame::command(self.talk.fresh_id(end), number, payload);
        let origin = Origin { step: line.step, line: line.number, label: None };
        let index = self.talk.expect(end, origin, &frame, Passed::default(), Effect::None);
        if let Some(sent) = self.talk.sent.get_mut(index) {
            sent.claimed = true;
        }
        Ok((index, frame))
    }

    /// Sends what [`Player::transfer`] made.
    pub(super) fn pass_on(&mut self, end: usize, bytes: &[u8]) -> Result<(), Stop> {
        let deadline = Deadline::after(self.context.timeouts.reply);
        let sent = self.talk.send(end, bytes, &[], &[], deadline)?;
        if let (false, Some(end)) = (sent, self.talk.ends.get_mut(end)) {
            end.torn = true;
        }
        Ok(())
    }
}

pub(super) fn success() -> Outcomes {
    let span = Span { start: 0, end: 0 };
    Outcomes { conforms: vec![Spanned::new(Outcome::Ok(Vec::new()), span)], note: Vec::new() }
}
