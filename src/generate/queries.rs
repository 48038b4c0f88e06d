//! Questions about the device, VERSION again, DEVICE_RESET, and commands that nobody knows.

use crate::case::{Bytes, Value};

use super::draw::{Draft, Edge};
use super::message::Message;
use super::weights;

/// A command that asks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) enum Query {
    Info,
    RegionInfo,
    IrqInfo,
    Reset,
    /// An argsz around 16.
    InfoArgsz,
    /// An argsz around 32, and around what the full reply takes.
    RegionInfoArgsz,
    /// An argsz around 16.
    IrqInfoArgsz,
    /// An index around the number of regions.
    RegionInfoIndex,
    /// An index around the number of interrupt types.
    IrqInfoIndex,
    /// The sub-regions of a region.
    IoFds,
    /// An argsz around 16, and around what the full reply takes.
    IoFdsArgsz,
    /// An index around the number of regions.
    IoFdsIndex,
    /// Fields that must be 0.
    IoFdsFields,
    /// VERSION in the middle of a session.
    Version,
    /// The same with another version or other capabilities.
    VersionOdd,
    /// A number without a command.
    Unknown,
    /// DMA_READ, DMA_WRITE: a server's command.
    Backwards,
}

impl Draft<'_> {
    /// A question.
    pub(super) fn query(&mut self) -> Message {
        let query = self.dice.row(weights::QUERY).unwrap_or(Query::Info);
        let query = match query {
            // Version 8 has no such command.
            Query::IoFds if !self.has("DEVICE_GET_REGION_IO_FDS") => Query::RegionInfo,
            Query::IoFdsArgsz if !self.has("DEVICE_GET_REGION_IO_FDS") => Query::RegionInfoArgsz,
            Query::IoFdsIndex | Query::IoFdsFields if !self.has("DEVICE_GET_REGION_IO_FDS") => Query::RegionInfoIndex,
            query => query,
        };
        self.edges.push(Edge::Query(query));
        match query {
            Query::Info => Message::command("info", "DEVICE_GET_INFO"),
            // The request of version 8 is the header alone; its readers may know the later one.
            Query::InfoArgsz if self.bare_info() => {
                let payload = self.dice.one([4, 8, 16, 16, 20]);
                Message::command("info", "DEVICE_GET_INFO").integer("payload", payload)
            }
            Query::InfoArgsz => {
                let argsz = self.dice.one([0, 4, 15, 17, 32, 4096, 0xffff_ffff]);
                Message::command("info", "DEVICE_GET_INFO").integer("argsz", argsz)
            }
            Query::RegionInfo => {
                let index = self.region_index();
                let full = self.full(index);
                region_info(index).integer("argsz", full)
            }
            Query::RegionInfoArgsz => {
                let capable = self.offer.regions.iter().filter(|region| region.argsz > 32).map(|region| region.index);
                let capable: Vec<u32> = capable.collect();
                let index = self.region_index();
                let index = if self.dice.chance(60) { self.dice.pick(&capable).unwrap_or(index) } else { index };
                let full = self.full(index);
                let argsz = self.dice.one([0, 16, 31, 32, 33, full - 1, full + 1, 4096, 0xffff_ffff]);
                region_info(index).integer("argsz", argsz)
            }
            Query::RegionInfoIndex => {
                let count = self.offer.num_regions;
                let index = self.dice.one([count, count.saturating_sub(1), count.saturating_add(1), u32::MAX]);
                region_info(index)
            }
            Query::IrqInfo => {
                let index = self.irq_index();
                irq_info(index)
            }
            Query::IrqInfoArgsz => {
                let index = self.irq_index();
                let argsz = self.dice.one([0, 4, 15, 17, 32, 4096, 0xffff_ffff]);
                irq_info(index).integer("argsz", argsz)
            }
            Query::IrqInfoIndex => {
                let count = self.offer.num_irqs;
                let index = self.dice.one([count, count.saturating_sub(1), count.saturating_add(1), u32::MAX]);
                irq_info(index)
            }
            Query::IoFds => {
                let index = self.io_region();
                io_fds(index).integer("argsz", 4096)
            }
            Query::IoFdsArgsz => {
                let index = self.io_region();
                let full = self.offer.io_fds.iter().find(|known| known.region == index);
                let full = full.map_or(56, |known| u64::from(known.argsz.max(17)));
                let argsz = self.dice.one([0, 15, 16, 17, full - 1, full, full + 1, 0xffff_ffff]);
                io_fds(index).integer("argsz", argsz)
            }
            Query::IoFdsIndex => {
                let count = self.offer.num_regions;
                let index = self.dice.one([count, count.saturating_sub(1), count.saturating_add(1), u32::MAX]);
                io_fds(index).integer("argsz", 4096)
            }
            Query::IoFdsFields => {
                let index = self.io_region();
                let field = self.dice.one(["flags", "count"]);
                let value = self.dice.one([1, 0x8000_0000, 0xffff_ffff]);
                io_fds(index).integer("argsz", 4096).hex(field, value)
            }
            Query::Reset => self.reset(),
            Query::Version => {
                self.shadow.unsettle();
                Message::command("version", "VERSION")
            }
            Query::VersionOdd => {
                self.shadow.unsettle();
                let version = Message::command("version", "VERSION");
                match self.dice.range(0, 4) {
                    0 => version.integer("major", 1),
                    1 => version.integer("minor", self.dice.one([0, 99, 65535])),
                    2 => version.with("json", Value::Bytes(Bytes::Text(b"{}".to_vec()))),
                    3 => {
                        let text = br#"{"capabilities":{"max_msg_fds":1}}"#;
                        version.with("json", Value::Bytes(Bytes::Text(text.to_vec())))
                    }
                    _ => version.words("json", "none"),
                }
            }
            Query::Unknown => {
                // 14 to 18 are commands of this version that the dialect does not know: some of them write.
                let number = self.dice.one([0, 19, 20, 255, 999, 0x8000, 0xffff]);
                let length = self.dice.one([0, 4, 16, 32]);
                let message = Message::number(number);
                if length == 0 { message } else { message.data(Bytes::Hex(vec![0; length])) }
            }
            Query::Backwards if self.has("VM_INTERRUPT") && self.dice.chance(30) => {
                Message::command("backwards", "VM_INTERRUPT").integer("sub_index", 0)
            }
            Query::Backwards => {
                let name = self.dice.one(["DMA_READ", "DMA_WRITE"]);
                let message = Message::command("backwards", name).hex("address", 0x1_0000).integer("count", 4);
                if name == "DMA_WRITE" { message.data(Bytes::Hex(vec![0; 4])) } else { message }
            }
        }
    }

    /// The version has that command.
    fn has(&self, name: &str) -> bool {
        self.offer.profile.dialect().command(name).is_some()
    }

    /// DEVICE_GET_INFO is a header alone.
    fn bare_info(&self) -> bool {
        let message = self.offer.profile.dialect().command("DEVICE_GET_INFO");
        message.is_some_and(|(_, message)| message.request.fixed.is_none())
    }

    /// It may end what the device is doing.
    pub(super) fn reset(&mut self) -> Message {
        self.shadow.unsettle();
        self.shadow.state = super::migration::DeviceState::Running;
        Message::command("reset", "DEVICE_RESET")
    }

    fn region_index(&mut self) -> u32 {
        let indexes: Vec<u32> = self.offer.regions.iter().map(|region| region.index).collect();
        self.dice.pick(&indexes).unwrap_or(0)
    }

    /// Mostly a region that has sub-regions, where there is one.
    fn io_region(&mut self) -> u32 {
        let known: Vec<u32> = self.offer.io_fds.iter().map(|known| known.region).collect();
        let index = self.region_index();
        if self.dice.chance(70) { self.dice.pick(&known).unwrap_or(index) } else { index }
    }

    fn irq_index(&mut self) -> u32 {
        let indexes: Vec<u32> = self.offer.irqs.iter().map(|irq| irq.index).collect();
        self.dice.pick(&indexes).unwrap_or(0)
    }

    /// What the full reply about a region takes, bytes.
    fn full(&self, index: u32) -> u64 {
        let region = self.offer.regions.iter().find(|region| region.index == index);
        region.map_or(32, |region| u64::from(region.argsz.max(32)))
    }
}

fn region_info(index: u32) -> Message {
    Message::command("region-info", "DEVICE_GET_REGION_INFO").integer("index", u64::from(index))
}

fn io_fds(index: u32) -> Message {
    Message::command("io-fds", "DEVICE_GET_REGION_IO_FDS").integer("index", u64::from(index))
}

fn irq_info(index: u32) -> Message {
    Message::command("irq-info", "DEVICE_GET_IRQ_INFO").integer("index", u64::from(index))
}
