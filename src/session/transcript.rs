//! Every message of a session, as it was on the wire and as its tables read it.

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};
use vfio_user_wire::feature::dirty_pages;
use vfio_user_wire::legacy::DirtyPagesGet;
use vfio_user_wire::message::{MultiWrite, RegionIoFds, SingleWrite};
use vfio_user_wire::{Body, Dialect, HEADER_SIZE, Header, IoEventFd, IoRegionFd, SubRegion, SubRegions, Tail};

use super::pages::{page_numbers, ranges_text};

/// How many bytes of a message are kept.
pub const KEPT_BYTES: usize = 4096;

/// So many sub-regions are shown by their fields; where there are more, none is.
const SHOWN_SUB_REGIONS: usize = 16;

/// Which way a message went.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Way {
    /// Client to server.
    #[serde(rename = ">")]
    Sent,
    /// Server to client.
    #[serde(rename = "<")]
    Received,
}

/// On which socket something happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// Whose: `a`, `b`, ..
    pub client: String,
    /// `main` or `twin`.
    pub channel: &'static str,
}

impl Place {
    /// The main socket of a client.
    pub fn main(client: &str) -> Place {
        Place { client: client.to_owned(), channel: "main" }
    }

    /// The twin socket of a client.
    pub fn twin(client: &str) -> Place {
        Place { client: client.to_owned(), channel: "twin" }
    }
}

/// One field of a message, decoded.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EntryField {
    /// Its name; `header.` before those of the header.
    pub name: String,
    /// Its value, for people.
    pub value: String,
    /// Bytes from the start of the message.
    pub offset: usize,
    /// Bytes.
    pub length: usize,
}

/// One message, or one thing that happened on the socket.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// Its number in the transcript, from 1.
    pub n: usize,
    /// On which client's connection: `a`, `b`, ..
    pub client: String,
    /// `main` or `twin`.
    pub channel: String,
    /// Which way it went.
    pub direction: Way,
    /// The command's name with ` reply` or ` error` behind it for replies; or `closed`, `bytes`, `cut at 8`.
    pub message: String,
    /// Bytes of it, header included.
    pub length: usize,
    /// The first [`KEPT_BYTES`] of them, in hexadecimal.
    pub bytes: String,
    /// Its fields by the tables.
    pub fields: Vec<EntryField>,
    /// How many descriptors came or went with it.
    pub fds: usize,
    /// Where it was cut into pieces that were sent one by one, in bytes from its start.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub cuts: Vec<usize>,
}

impl Entry {
    /// Bytes of text.
    fn weight(&self) -> usize {
        self.bytes.len() + self.fields.iter().map(|field| field.name.len() + field.value.len()).sum::<usize>()
    }

    /// Leaves the beginnings of its texts.
    fn shorten(&mut self) {
        self.bytes.truncate(SHORT);
        for EntryField { value, .. } in self.fields.iter_mut().filter(|field| field.value.len() > SHORT) {
            let end = (0..=SHORT).rev().find(|end| value.is_char_boundary(*end));
            value.truncate(end.unwrap_or_default());
            value.push_str("..");
        }
    }
}

/// How many messages are kept from the start of an attempt, and how many from its end.
const KEPT_FIRST: usize = 100;
const KEPT_LAST: usize = 400;
/// So many bytes of text are kept of an attempt's messages: a report holds those of thousands of cases.
const MOST_TEXT: usize = 128 << 10;
/// Characters that are left of a text that is cut, and of the bytes of its message.
const SHORT: usize = 64;
/// How many writes of a REGION_WRITE_MULTI are told one by one.
const WRITES_SHOWN: usize = 8;

/// The messages of one attempt: the first and the last ones, where there were many. What their tables say of them is
/// worked out when it is asked for: of most attempts nobody asks.
#[derive(Debug, Clone, Default)]
pub struct Transcript {
    first: Vec<Kept>,
    last: VecDeque<Kept>,
    count: usize,
}

#[derive(Debug, Clone)]
enum Kept {
    /// A message, all of whose bytes are here.
    Message {
        n: usize,
        place: Place,
        direction: Way,
        dialect: &'static Dialect,
        bytes: Vec<u8>,
        fds: usize,
        cuts: Vec<usize>,
    },
    /// Anything else.
    Entry(Entry),
}

impl Transcript {
    /// Notes a message; returns its number.
    pub fn message(&mut self, dialect: &'static Dialect, place: &Place, way: Way, bytes: &[u8], fds: usize) -> usize {
        let n = self.count + 1;
        self.push(if bytes.len() <= KEPT_BYTES {
            Kept::Message {
                n,
                place: place.clone(),
                direction: way,
                dialect,
                bytes: bytes.to_vec(),
                fds,
                cuts: Vec::new(),
            }
        } else {
            Kept::Entry(entry(n, place.clone(), way, dialect, bytes, fds))
        })
    }

    /// Notes something that is no message: a close, bytes that make none.
    pub fn event(&mut self, place: &Place, direction: Way, what: &str, bytes: &[u8]) -> usize {
        self.push(Kept::Entry(Entry {
            n: self.count + 1,
            client: place.client.clone(),
            channel: place.channel.to_owned(),
            direction,
            message: what.to_owned(),
            length: bytes.len(),
            bytes: hex(&bytes[..bytes.len().min(KEPT_BYTES)]),
            fields: Vec::new(),
            fds: 0,
            cuts: Vec::new(),
        }))
    }

    /// The message that was noted last goes out in pieces.
    pub fn cut_last(&mut self, at: &[usize]) {
        match self.last.back_mut().or(self.first.last_mut()) {
            Some(Kept::Message { cuts, .. } | Kept::Entry(Entry { cuts, .. })) => at.clone_into(cuts),
            None => {}
        }
    }

    /// How many there were.
    pub fn count(&self) -> usize {
        self.count
    }

    /// The kept ones, in order; where they are too large together, all of the last ones and the beginnings of those before.
    pub fn into_entries(self) -> Vec<Entry> {
        let mut room = MOST_TEXT;
        let mut entries: Vec<Entry> = Vec::new();
        for kept in self.first.into_iter().chain(self.last).rev() {
            let mut entry = kept.into_entry();
            if entry.weight() > room {
                entry.shorten();
            }
            room = room.saturating_sub(entry.weight());
            entries.push(entry);
        }
        entries.reverse();
        entries
    }

    fn push(&mut self, kept: Kept) -> usize {
        self.count += 1;
        if self.first.len() < KEPT_FIRST {
            self.first.push(kept);
        } else {
            self.last.push_back(kept);
            if self.last.len() > KEPT_LAST {
                self.last.pop_front();
            }
        }
        self.count
    }
}

impl Kept {
    fn into_entry(self) -> Entry {
        match self {
            Kept::Message { n, place, direction, dialect, bytes, fds, cuts } => {
                Entry { cuts, ..entry(n, place, direction, dialect, &bytes, fds) }
            }
            Kept::Entry(entry) => entry,
        }
    }
}

/// A message as its tables read it.
fn entry(n: usize, place: Place, direction: Way, dialect: &Dialect, bytes: &[u8], fds: usize) -> Entry {
    let header = Header::parse(bytes);
    let message = match header {
        None => format!("{} bytes", bytes.len()),
        Some((header, _)) => {
            let name = dialect.name_of(header.command);
            match (header.is_reply(), header.is_error()) {
                (false, _) => name,
                (true, false) => format!("{name} reply"),
                (true, true) => format!("{name} error"),
            }
        }
    };
    Entry {
        n,
        client: place.client,
        channel: place.channel.to_owned(),
        direction,
        message,
        length: bytes.len(),
        bytes: hex(&bytes[..bytes.len().min(KEPT_BYTES)]),
        fields: header.map_or_else(Vec::new, |(header, payload)| fields(dialect, &header, payload)),
        fds,
        cuts: Vec::new(),
    }
}

fn fields(dialect: &Dialect, header: &Header, payload: &[u8]) -> Vec<EntryField> {
    let body = match dialect.message(header.command) {
        Some(_) if header.is_reply() && header.is_error() => Body::EMPTY,
        // The reply to DEVICE_FEATURE says itself what it answers.
        Some(message) if header.is_reply() => message.reply_of(payload),
        Some(message) => message.request_of(payload),
        None => Body::EMPTY,
    };
    let header_fields =
        Body::fixed(&Header::LAYOUT).decode(header.bytes()).fields.into_iter().map(|decoded| EntryField {
            name: format!("header.{}", decoded.field.name),
            value: value_text(decoded.field, decoded.value),
            offset: decoded.field.offset,
            length: decoded.field.width,
        });
    let decoded = body.decode(payload);
    let payload_fields = decoded.fields.iter().map(|decoded| EntryField {
        name: decoded.field.name.to_owned(),
        value: value_text(decoded.field, decoded.value),
        offset: HEADER_SIZE + decoded.field.offset,
        length: decoded.field.width,
    });
    let mut all: Vec<EntryField> = header_fields.chain(payload_fields).collect();
    if body.tail == Tail::SubRegions && sub_regions(payload, &mut all) {
        return all;
    }
    let mut tail = decoded.tail;
    if body.tail == Tail::Writes {
        let (writes, rest) = MultiWrite { wr_cnt: decoded.get("wr_cnt").unwrap_or_default() }.writes(tail);
        let first = HEADER_SIZE + payload.len() - tail.len();
        for (at, write) in writes.iter().take(WRITES_SHOWN).enumerate() {
            let length = SingleWrite::LAYOUT.size;
            let value = write_text(write);
            all.push(EntryField { name: format!("wrs[{at}]"), value, offset: first + at * length, length });
        }
        // Of many writes the first ones say what they are.
        tail = if writes.len() > WRITES_SHOWN {
            tail.get(WRITES_SHOWN * SingleWrite::LAYOUT.size..).unwrap_or_default()
        } else {
            rest
        };
    }
    // In a wide range 8 bytes that nobody uses stand before the bits.
    if body.tail == Tail::RangeBitmap
        && let Some(Ok((_, bits))) = DirtyPagesGet::parse(payload).map(|(get, tail)| get.bits(tail))
    {
        tail = bits;
    }
    if !tail.is_empty() {
        let value = match body.tail {
            Tail::Json => {
                let text = tail.split(|byte| *byte == 0).next().unwrap_or_default();
                let shown = String::from_utf8_lossy(text.get(..KEPT_BYTES).unwrap_or(text));
                let more = if text.len() > KEPT_BYTES { ".." } else { "" };
                format!("{shown}{more}")
            }
            Tail::Ranges => ranges_text(tail),
            Tail::Bitmap | Tail::RangeBitmap => page_numbers(dirty_pages(tail)),
            _ => {
                let shown = &tail[..tail.len().min(32)];
                let more = if shown.len() < tail.len() { ".." } else { "" };
                format!("{}{more} ({} bytes)", hex(shown), tail.len())
            }
        };
        let offset = HEADER_SIZE + payload.len() - tail.len();
        let name = match body.tail {
            Tail::Ranges => "ranges",
            Tail::Bitmap | Tail::RangeBitmap => "pages",
            _ => "data",
        };
        all.push(EntryField { name: name.to_owned(), value, offset, length: tail.len() });
    }
    all
}

/// A write of REGION_WRITE_MULTI, as a case would have it.
fn write_text(write: &SingleWrite) -> String {
    let (offset, region, count) = (write.offset, write.region, write.count);
    match write.written() {
        Some(data) => format!("{region}:{offset:#x}:hex:{}", hex(data)),
        None => format!("{region}:{offset:#x}:hex:{}.. (count {count})", hex(&write.data.to_ne_bytes())),
    }
}

/// The sub-regions of a reply to DEVICE_GET_REGION_IO_FDS, field by field; whether nothing else follows the fixed part.
fn sub_regions(payload: &[u8], all: &mut Vec<EntryField>) -> bool {
    let Some((info, array)) = RegionIoFds::parse(payload) else { return false };
    let whole = info.argsz as usize == payload.len();
    let Some(stride) = info.stride().ok().filter(|_| whole && info.count as usize <= SHOWN_SUB_REGIONS) else {
        return false;
    };
    let known = SubRegions::new(array, stride, info.count);
    for (at, known) in known.enumerate() {
        let layout = match known {
            SubRegion::IoRegionFd(_) => &IoRegionFd::LAYOUT,
            SubRegion::IoEventFd(_) | SubRegion::Unknown { .. } => &IoEventFd::LAYOUT,
        };
        let entry = array.get(at * stride..).unwrap_or_default();
        all.extend(Body::fixed(layout).decode(entry).fields.iter().map(|decoded| EntryField {
            name: format!("sub_regions[{at}].{}", decoded.field.name),
            value: value_text(decoded.field, decoded.value),
            offset: HEADER_SIZE + RegionIoFds::LAYOUT.size + at * stride + decoded.field.offset,
            length: decoded.field.width,
        }));
    }
    true
}

/// A field's value for people: bits by name, small numbers in decimal, others in hexadecimal.
pub fn value_text(field: &vfio_user_wire::Field, value: u64) -> String {
    if !field.bits.is_empty() {
        let mut rest = value;
        let mut names = Vec::new();
        for bit in field.bits.iter().filter(|bit| bit.is_single() && bit.is_in(value)) {
            names.push(bit.name);
            rest &= !bit.mask;
        }
        let mut text = format!("{value:#x}");
        if !names.is_empty() {
            let unknown = if rest != 0 { format!("|{rest:#x}") } else { String::new() };
            text = format!("{text} ({}{unknown})", names.join("|"));
        }
        return text;
    }
    if value < 4096 { value.to_string() } else { format!("{value:#x}") }
}

/// Bytes in hexadecimal.
pub fn hex(bytes: &[u8]) -> String {
    let digit = |nibble: u8| char::from(if nibble < 10 { b'0' + nibble } else { b'a' + nibble - 10 });
    let mut text = String::with_capacity(2 * bytes.len());
    for byte in bytes {
        text.push(digit(byte >> 4));
        text.push(digit(byte & 0xf));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_many_large_messages_the_last_ones_stay_whole() {
        let place = Place { client: "main".to_owned(), channel: "main" };
        let mut transcript = Transcript::default();
        let many = KEPT_FIRST + KEPT_LAST;
        for _ in 0..many {
            transcript.event(&place, Way::Received, "bytes", &[7; KEPT_BYTES]);
        }
        let entries = transcript.into_entries();
        assert_eq!(entries.iter().map(|entry| entry.n).collect::<Vec<_>>(), (1..=many).collect::<Vec<_>>());
        let text: usize = entries.iter().map(|entry| entry.bytes.len()).sum();
        assert!(text <= MOST_TEXT + many * 4 * SHORT, "{text} bytes");
        assert_eq!(entries.last().map(|entry| entry.bytes.len()), Some(hex(&[7; KEPT_BYTES]).len()));
        assert!(entries.first().is_some_and(|entry| entry.bytes.len() <= 4 * SHORT));
    }
}
