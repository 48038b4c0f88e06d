//! REGION_READ and REGION_WRITE.

use vfio_user_wire::{region, region_info_flags};

use crate::case::Bytes;
use crate::target::{Range, Region};

use super::draw::{Answers, Draft, Edge};
use super::message::{Message, hexadecimal, integer};
use super::offer::{BARS, COMMAND};
use super::weights;

/// No message that is drawn has more data than this.
const MOST_DATA: u64 = 2 << 20;

/// A REGION_READ.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) enum Read {
    /// 1, 2, 4 or 8 bytes.
    Width,
    /// What was written.
    Back,
    /// The last byte.
    LastByte,
    /// 3, 5, 7 bytes, or more.
    OddWidth,
    /// One byte less than the server transfers at the most.
    LimitBelow,
    /// As much as the server transfers at the most.
    LimitAt,
    /// One byte more.
    LimitAbove,
    /// The byte behind the last one.
    PastEnd,
    /// The last bytes and some more.
    Crossing,
    /// An offset near 2^64.
    NearTop,
    /// Over 2^64.
    Wrap,
    /// No bytes.
    CountZero,
    /// A region that is not there.
    Absent,
    /// An index that is not there.
    BadIndex,
    /// 2^32 - 1 bytes.
    CountHuge,
}

/// A REGION_WRITE.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) enum Write {
    /// 1, 2, 4 or 8 bytes of scratch.
    Scratch,
    /// The last byte of a region.
    LastByte,
    /// 3, 5, 7 bytes, or more.
    OddWidth,
    /// Configuration space's command register, or a BAR.
    Config,
    /// One byte less than the server takes at the most.
    LimitBelow,
    /// As much as the server takes at the most.
    LimitAt,
    /// One byte more.
    LimitAbove,
    /// The byte behind the last one.
    PastEnd,
    /// The last bytes and some more.
    Crossing,
    /// An offset near 2^64.
    NearTop,
    /// Over 2^64.
    Wrap,
    /// No bytes.
    CountZero,
    /// A count above the bytes that are there.
    CountAbove,
    /// A count below them.
    CountBelow,
    /// A region that is not there.
    Absent,
    /// An index that is not there.
    BadIndex,
}

impl Draft<'_> {
    /// A REGION_READ.
    pub(super) fn read(&mut self) -> Message {
        for _ in 0..8 {
            let Some(read) = self.dice.row(weights::READ) else { break };
            if let Some(message) = self.read_of(read) {
                self.edges.push(Edge::Read(read));
                return message;
            }
        }
        self.query()
    }

    fn read_of(&mut self, read: Read) -> Option<Message> {
        let limit = self.offer.limits.max_data_xfer_size.min(u64::from(u32::MAX) - 1);
        match read {
            Read::Absent => {
                let index = self.absent()?;
                return Some(reading(index, 0, 4));
            }
            Read::BadIndex => {
                let index = self.bad_index();
                return Some(reading(index, 0, 4));
            }
            Read::Back => {
                let (region, offset, length) = self.dice.pick(&self.shadow.written)?;
                return Some(reading(region, offset, length));
            }
            _ => {}
        }
        let large = match read {
            Read::LimitBelow | Read::LimitAt | Read::LimitAbove => limit + 1,
            _ => 1,
        };
        let region = self.region(|region| region.size >= large)?;
        let (index, size) = (region.index, region.size);
        let width = self.dice.one([1, 2, 4, 8]);
        let (offset, count) = match read {
            Read::Width => (self.aligned(size, width)?, width),
            Read::LastByte => (size - 1, 1),
            Read::OddWidth => {
                let count = self.dice.one([3, 5, 6, 7, 12, 16, 64]).min(size);
                (self.dice.range(0, (size - count).min(0x100)), count)
            }
            Read::LimitBelow if limit <= MOST_DATA => (0, limit.checked_sub(1)?),
            Read::LimitAt if limit <= MOST_DATA => (0, limit),
            Read::LimitAbove => (0, limit + 1),
            Read::LimitBelow | Read::LimitAt => return None,
            Read::PastEnd => (size, width),
            Read::Crossing => (size.checked_sub(width / 2 + width % 2)?, width + width % 2),
            Read::NearTop => (u64::MAX - 7, width.min(4)),
            Read::Wrap => (u64::MAX - 3, 8),
            Read::CountZero => (self.dice.one([0, size - 1, size]), 0),
            Read::CountHuge => (0, u64::from(u32::MAX)),
            Read::Back | Read::Absent | Read::BadIndex => return None,
        };
        Some(reading(index, offset, count))
    }

    /// A REGION_WRITE that can do no harm.
    pub(super) fn write(&mut self) -> Message {
        for _ in 0..8 {
            let Some(write) = self.dice.row(weights::WRITE) else { break };
            let Some((message, region, offset, touches)) = self.write_of(write) else { continue };
            if !self.offer.is_harmless(region, offset, touches) {
                continue;
            }
            if matches!(write, Write::Scratch | Write::LastByte | Write::OddWidth) {
                self.shadow.written.push((region, offset, touches));
            }
            self.edges.push(Edge::Write(write));
            return message;
        }
        self.read()
    }

    /// The message, its region and offset, and how many bytes from there a faulty server might write.
    pub(super) fn write_of(&mut self, write: Write) -> Option<(Message, u32, u64, u64)> {
        let limit = self.offer.limits.max_data_xfer_size.min(MOST_DATA);
        let width = self.dice.one([1, 2, 4, 8]);
        let (region, offset, length, count) = match write {
            Write::Config => return self.write_config(),
            Write::Scratch => {
                let range = self.scratch(width)?;
                (range.region, range.offset + self.aligned(range.length, width)?, width, width)
            }
            Write::OddWidth => {
                let length = self.dice.one([3, 5, 6, 7, 12, 16, 64]);
                let range = self.scratch(length)?;
                let at = self.dice.range(0, (range.length - length).min(0x100));
                (range.region, range.offset + at, length, length)
            }
            Write::LimitBelow | Write::LimitAt | Write::LimitAbove => {
                let length = match write {
                    Write::LimitBelow => limit.checked_sub(1)?,
                    Write::LimitAt => limit,
                    _ => limit + 1,
                };
                let range = self.scratch(length)?;
                (range.region, range.offset, length, length)
            }
            Write::CountZero => {
                // No bytes to write, whatever the region is.
                let region = self.region(|_| true)?;
                (region.index, self.dice.one([0, region.size - 1, region.size]), 0, 0)
            }
            Write::CountAbove => {
                let range = self.scratch(2 * width)?;
                let more = self.dice.one([width + 1, 2 * width, u64::from(u32::MAX)]);
                (range.region, range.offset, width, more)
            }
            Write::CountBelow => {
                let range = self.scratch(width)?;
                (range.region, range.offset, width, self.dice.one([0, width - 1]))
            }
            Write::Absent | Write::BadIndex => {
                let index = if write == Write::Absent { self.absent()? } else { self.bad_index() };
                let scratch = self.scratch(1).map_or(COMMAND.0, |range| range.offset);
                (index, scratch, 2, 2)
            }
            Write::LastByte | Write::PastEnd | Write::Crossing | Write::NearTop | Write::Wrap => {
                let (index, size) = self.written_region()?;
                let (offset, length) = match write {
                    Write::LastByte => (size - 1, 1),
                    Write::PastEnd => (size, width),
                    Write::Crossing => (size.checked_sub(width / 2 + width % 2)?, width + width % 2),
                    Write::Wrap => (u64::MAX - 3, 8),
                    _ => (u64::MAX - 7, width.min(4)),
                };
                (index, offset, length, length)
            }
        };
        let message =
            Message::command("write", "REGION_WRITE").integer("region", u64::from(region)).hex("offset", offset);
        let message = if count == length && length > 0 { message } else { message.integer("count", count) };
        if length == 0 {
            return Some((message, region, offset, count));
        }
        let data = self.bytes(length);
        Some((message.data(data), region, offset, length.max(count)))
    }

    /// Writes scratch bytes: region, offset, how many.
    pub(super) fn scratch_write(&mut self) -> Option<(u32, u64, u64)> {
        let (message, region, offset, touches) = self.write_of(Write::Scratch)?;
        if !self.offer.is_harmless(region, offset, touches) {
            return None;
        }
        self.send(vec![message], Answers::InOrder);
        Some((region, offset, touches))
    }

    /// The command register, or a BAR: sized, or put somewhere.
    fn write_config(&mut self) -> Option<(Message, u32, u64, u64)> {
        if !self.offer.pci {
            return None;
        }
        self.offer.region(region::CONFIG)?;
        let (offset, data) = if self.dice.chance(50) {
            (COMMAND.0, Bytes::Integer(2, integer(self.dice.one([0, 2, 4, 6]))))
        } else {
            let bar = self.dice.range(0, (BARS.1 - BARS.0) / 4 - 1);
            let value = self.dice.one([0, 0xffff_ffff, 0xe000_0000]);
            (BARS.0 + 4 * bar, Bytes::Integer(4, hexadecimal(value)))
        };
        let length = if offset == COMMAND.0 { 2 } else { 4 };
        self.shadow.written.push((region::CONFIG, offset, length));
        let message = Message::command("write", "REGION_WRITE")
            .integer("region", u64::from(region::CONFIG))
            .hex("offset", offset)
            .data(data);
        Some((message, region::CONFIG, offset, length))
    }

    /// A region that is there and passes `test`; the larger ones are not favoured.
    pub(super) fn region(&mut self, test: impl Fn(&Region) -> bool) -> Option<Region> {
        let fits = self.offer.regions.iter().filter(|region| region.size > 0 && test(region));
        let fits: Vec<Region> = fits.cloned().collect();
        self.dice.pick(&fits)
    }

    /// A region that is there, can be read, and cannot be written.
    pub(super) fn read_only_region(&mut self) -> Option<Region> {
        use region_info_flags::{READ, WRITE};
        self.region(|region| region.flags & READ != 0 && region.flags & WRITE == 0)
    }

    /// A region with scratch bytes, and its size.
    fn written_region(&mut self) -> Option<(u32, u64)> {
        let range = self.scratch(1)?;
        self.offer.region(range.region).map(|region| (region.index, region.size))
    }

    fn scratch(&mut self, length: u64) -> Option<Range> {
        let fits: Vec<Range> = self.offer.scratch.iter().filter(|range| range.length >= length).copied().collect();
        self.dice.pick(&fits)
    }

    /// A multiple of `width` below `size`, mostly a small one or the last one.
    fn aligned(&mut self, size: u64, width: u64) -> Option<u64> {
        let last = (size / width).checked_sub(1)?;
        let low = self.dice.range(0, last.min(16));
        Some(self.dice.one([0, low, low, last]) * width)
    }

    fn absent(&mut self) -> Option<u32> {
        let absent = self.offer.regions.iter().filter(|region| region.size == 0).map(|region| region.index);
        let absent: Vec<u32> = absent.collect();
        self.dice.pick(&absent)
    }

    fn bad_index(&mut self) -> u32 {
        self.dice.one([self.offer.num_regions, self.offer.num_regions.saturating_add(1), u32::MAX])
    }

    /// Bytes to write, which differ from those that were written before.
    pub(super) fn bytes(&mut self, length: u64) -> Bytes {
        let seed = self.fresh_byte();
        match length {
            1 => Bytes::Integer(1, hexadecimal(seed)),
            2 => Bytes::Integer(2, hexadecimal(seed * 0x101)),
            4 => Bytes::Integer(4, hexadecimal(seed * 0x0101_0101)),
            8 => Bytes::Integer(8, hexadecimal(seed * 0x0101_0101_0101_0101)),
            _ => Bytes::Pattern(integer(seed), integer(length)),
        }
    }
}

pub(super) fn reading(region: u32, offset: u64, count: u64) -> Message {
    Message::command("read", "REGION_READ")
        .integer("region", u64::from(region))
        .hex("offset", offset)
        .integer("count", count)
}

pub(super) fn writing(region: u32, offset: u64, bytes: Bytes) -> Message {
    let message = Message::command("write", "REGION_WRITE").integer("region", u64::from(region)).hex("offset", offset);
    message.data(bytes)
}
