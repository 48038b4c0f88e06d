//! The device acts, where a device file says how it is made to.

use vfio_user_wire::tables::Table;

use crate::case::{DeviceAction, DeviceExpectation, Expect, Memory, StepKind};

use super::dma_map::fill;
use super::draw::{Draft, Edge};
use super::message::{Message, argument, hexadecimal, integer, spanned, step, word};
use super::shadow::Mapped;
use super::weights;

/// What the device is made to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) enum Act {
    /// It writes a map that is there, if it was accepted: the bytes must come.
    WriteSurely,
    /// It writes where something is, was or never was.
    Write,
    /// It reads there.
    Read,
    /// It raises an interrupt.
    Raise,
}

impl Draft<'_> {
    /// The device acts. Its registers are the first client's business.
    pub(super) fn device(&mut self) {
        if self.shadow.client.is_some() || self.shadow.halted {
            return;
        }
        match self.dice.row(weights::ACT) {
            Some(Act::WriteSurely) | None => self.write_surely(),
            Some(Act::Write) => self.dma(DeviceAction::DmaWrite),
            Some(Act::Read) => self.dma(DeviceAction::DmaRead),
            Some(Act::Raise) => self.raise(),
        }
    }

    fn raise(&mut self) {
        if !self.offer.raise_irq {
            return;
        }
        let Some(irq) = self.irq() else { return };
        let (index, vector) = self.masked().unwrap_or_else(|| self.vector(&irq));
        self.needs.insert("device-irq-any");
        self.edges.push(Edge::Act(Act::Raise));
        let arguments =
            vec![argument("index", integer(u64::from(index))), argument("vector", integer(u64::from(vector)))];
        self.push(step(StepKind::Device(None, DeviceAction::RaiseIrq, arguments)));
    }

    /// `if map ok`: the device writes all of it, or its first or last bytes, and they are there.
    fn write_surely(&mut self) {
        let Some((most, true)) = self.offer.dma_write.filter(|_| !self.shadow.busy) else { return };
        let usable = |map: &&Mapped| map.sure && map.label.is_some() && map.memory.is_some();
        let maps: Vec<Mapped> = self.shadow.maps.iter().filter(usable).cloned().collect();
        let Some(map) = self.dice.pick(&maps) else { return };
        let (Some(label), Some(memory)) = (&map.label, &map.memory) else { return };
        let length = self.dice.one([1, 8, 16, 64, map.size]).min(map.size).min(most);
        let at = self.dice.one([0, map.size - length]);
        let byte = self.fresh_byte();
        self.begin_log();
        self.needs.insert("device-dma");
        self.edges.push(Edge::Act(Act::WriteSurely));
        let arguments = vec![
            argument("iova", hexadecimal(map.address + at)),
            argument("length", integer(length)),
            argument("pattern", integer(byte)),
        ];
        let start = map.offset + at;
        let (name, end) = (word(memory), hexadecimal(start.saturating_add(length)));
        let range = Memory { name, start: hexadecimal(start), end, stays: false };
        let mut seen = step(StepKind::Expect(Expect::Memory(range, fill(byte, length))));
        let table = self.offer.profile.dialect().table;
        seen.requirements.push(word(match (table, map.by_message) {
            (None, false) => "DMAP-04",
            (None, true) => "DMAP-10",
            (Some(_), false) => "V8-05",
            (Some(Table::V8), true) => "V8-16",
            (Some(Table::V8c), true) => "V8-04",
        }));
        let mut inner = vec![step(StepKind::Device(None, DeviceAction::DmaWrite, arguments)), seen];
        // What the device has done for sure is in its log for sure. In version 8 a reply counts nothing, and is none the less a
        // success.
        let counted = map.by_message && table == Some(Table::V8);
        // Of a reply on a twin socket a server may learn behind the next command.
        let late = map.by_message && self.offer.twin_socket;
        self.shadow.busy |= late && !self.offer.device_status;
        if (self.shadow.logging || counted || late) && self.offer.device_status {
            self.needs.insert("device-status");
            let mut done = step(StepKind::Expect(Expect::Device(DeviceExpectation::Done)));
            done.requirements.extend(counted.then(|| word("V8-17")));
            inner.push(done);
        }
        self.push(step(StepKind::If(word(label), inner)));
        self.ask_log((map.address, map.size));
    }

    /// A transfer that may fail.
    fn dma(&mut self, action: DeviceAction) {
        let (most, need, act) = match (action, self.offer.dma_write, self.offer.dma_read) {
            (DeviceAction::DmaWrite, Some((most, _)), _) => (most, "device-dma", Act::Write),
            (DeviceAction::DmaRead, _, Some(most)) => (most, "device-dma-read", Act::Read),
            _ => return,
        };
        let page = self.offer.page;
        let fresh = self.fresh();
        let known = self.shadow.maps.iter().chain(&self.shadow.gone).map(|map| (map.address, map.size));
        let known: Vec<(u64, u64)> = known.collect();
        let (address, size) = self.dice.pick(&known).unwrap_or(fresh);
        let end = address.saturating_add(size);
        let (iova, length) = match self.dice.range(0, 6) {
            0 => (end.saturating_sub(1), 1),
            1 => (end.saturating_sub(8), 16),
            2 => (address.saturating_sub(8), 16),
            3 => (end, 8),
            4 => (address, size.saturating_add(page)),
            _ => (address, self.dice.one([1, 8, 64])),
        };
        // A device that has to ask for the bytes is still at it when the next line is done; one that writes a memfd is not.
        self.shadow.busy |= self.shadow.maps.iter().chain(&self.shadow.gone).any(|map| map.by_message);
        self.needs.insert(need);
        self.edges.push(Edge::Act(act));
        let mut arguments =
            vec![argument("iova", hexadecimal(iova)), argument("length", integer(length.clamp(1, most.max(1))))];
        if action == DeviceAction::DmaWrite {
            arguments.push(argument("pattern", integer(self.fresh_byte())));
        }
        self.push(step(StepKind::Device(None, action, arguments)));
    }

    /// What was read from a region that cannot be written goes back to it: a server that lets it through changes
    /// nothing.
    pub(super) fn write_read_only(&mut self) {
        if !self.offer.device_file {
            return;
        }
        let Some(region) = self.read_only_region() else { return };
        let label = self.shadow.name("was", 1);
        let access = |name| Message::command("was", name).integer("region", u64::from(region.index)).hex("offset", 0);
        self.edges.push(Edge::ReadOnly);
        let client = self.shadow.client.clone();
        let read = access("REGION_READ").integer("count", region.size.min(4));
        self.push(read.step(client.as_deref(), Some(&label), false));
        self.push(conforms(client.as_deref(), Some(&label)));
        let data = crate::case::Bytes::Of(word(&format!("{label}.data")));
        let write = self.shadow.name("write", 1);
        let inner = vec![
            access("REGION_WRITE").data(data).step(client.as_deref(), Some(&write), false),
            conforms(client.as_deref(), Some(&write)),
        ];
        self.push(step(StepKind::If(word(&label), inner)));
        self.sent += 2;
    }
}

/// `< conforms`.
pub(super) fn conforms(client: Option<&str>, label: Option<&str>) -> crate::case::Step {
    let outcomes = crate::case::Outcomes { conforms: vec![spanned(crate::case::Outcome::Conforms)], note: Vec::new() };
    step(StepKind::Expect(Expect::Answer { end: client.map(word), label: label.map(word), outcomes }))
}
