//! REGION_WRITE_MULTI.

use crate::case::{Bytes, Value, Write as Entry};

use super::draw::{Draft, Edge};
use super::message::{Message, hexadecimal, integer};
use super::regions::Write;
use super::weights;

/// A REGION_WRITE_MULTI.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) enum Multi {
    /// One write.
    One,
    /// Two to six.
    Few,
    /// Two to one place.
    SamePlace,
    /// As many as QEMU sends at the most.
    Many,
    /// One of them cannot be done.
    Failing,
    /// None.
    Nothing,
    /// A wr_cnt above the writes that are there.
    CountAbove,
    /// A wr_cnt below them.
    CountBelow,
    /// A wr_cnt whose product with 24 is a small number.
    CountHuge,
}

impl Draft<'_> {
    /// A REGION_WRITE_MULTI that can do no harm.
    pub(super) fn write_multi(&mut self) -> Message {
        for _ in 0..8 {
            let Some(multi) = self.dice.row(weights::MULTI) else { break };
            if let Some(message) = self.write_multi_of(multi) {
                self.edges.push(Edge::Multi(multi));
                return message;
            }
        }
        self.write()
    }

    fn write_multi_of(&mut self, multi: Multi) -> Option<Message> {
        let count = match multi {
            Multi::One | Multi::SamePlace | Multi::Many | Multi::CountAbove | Multi::CountHuge => 1,
            Multi::Few | Multi::Failing | Multi::CountBelow => self.dice.range(2, 6),
            Multi::Nothing => self.dice.range(0, 1),
        };
        let mut entries = Vec::new();
        for _ in 0..count {
            let write = self.dice.one([Write::Scratch, Write::Scratch, Write::Scratch, Write::LastByte, Write::Config]);
            entries.push(self.entry(write)?);
        }
        let mut message = Message::command("multi", "REGION_WRITE_MULTI");
        match multi {
            Multi::SamePlace => {
                let again = entries.first()?.clone();
                let data = self.bytes(width(&again.data));
                entries.push(Entry { data, ..again });
            }
            Multi::Many => message = message.integer("writes", 200),
            Multi::Failing => {
                let failing = [
                    Write::OddWidth,
                    Write::PastEnd,
                    Write::Crossing,
                    Write::NearTop,
                    Write::Wrap,
                    Write::Absent,
                    Write::BadIndex,
                ];
                let write = self.dice.one(failing);
                let entry = self.entry(write)?;
                let at = self.dice.range(0, entries.len() as u64) as usize;
                entries.insert(at, entry);
            }
            Multi::Nothing => message = message.integer("wr_cnt", 0),
            Multi::CountAbove => message = message.integer("wr_cnt", entries.len() as u64 + 1),
            Multi::CountBelow => message = message.integer("wr_cnt", entries.len() as u64 - 1),
            Multi::CountHuge => {
                let huge = self.dice.one([1 << 61, 0x0aaa_aaaa_aaaa_aaab, u64::MAX, 1 << 32]);
                message = message.hex("wr_cnt", huge);
            }
            Multi::One | Multi::Few => {}
        }
        for entry in entries {
            message = message.and("write", Value::Write(Box::new(entry)));
        }
        Some(message)
    }

    /// One write, which does no harm whatever becomes of the others.
    fn entry(&mut self, write: Write) -> Option<Entry> {
        let (message, region, offset, touches) = self.write_of(write)?;
        let Some(Value::Bytes(data)) = message.value("data").cloned() else { return None };
        if !self.offer.is_harmless(region, offset, touches) {
            return None;
        }
        if matches!(write, Write::Scratch | Write::LastByte) {
            self.shadow.written.push((region, offset, touches));
        }
        Some(Entry { region: integer(u64::from(region)), offset: hexadecimal(offset), data })
    }
}

/// How many bytes a natural access writes.
fn width(bytes: &Bytes) -> u64 {
    if let Bytes::Integer(width, _) = bytes { *width as u64 } else { 1 }
}
