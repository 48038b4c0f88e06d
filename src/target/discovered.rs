//! What a target offers, as far as asking shows.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use vfio_user_wire::legacy::RangeLayout;
use vfio_user_wire::{Limits, VersionData, device_info_flags, region};

use super::DeviceFile;
use crate::Profile;
use crate::model::{Offer, OfferedIoFds, OfferedIrq, OfferedMigrationRegion, OfferedRegion, ScratchRange};
use crate::verdict::Evidence;

/// Bytes of a message before the data of REGION_READ, REGION_WRITE, DMA_READ or DMA_WRITE.
const MESSAGE_HEAD: u64 = 32;

/// One region, by DEVICE_GET_REGION_INFO.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Region {
    /// Its index.
    pub index: u32,
    /// Bytes.
    pub size: u64,
    /// READ, WRITE, MMAP, CAPS.
    pub flags: u32,
    /// What the reply says that a full reply's payload takes.
    pub argsz: u32,
    /// How many descriptors came with the full reply.
    pub fds: usize,
    /// Areas of its sparse mmap capability: offset and size.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sparse: Option<Vec<(u64, u64)>>,
    /// Type and subtype of a device-specific region.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kind: Option<(u32, u32)>,
}

/// A region that has sub-regions, by DEVICE_GET_REGION_IO_FDS.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct IoFds {
    /// The region's index.
    pub region: u32,
    /// Bytes of the full reply's payload.
    pub argsz: u32,
    /// How many sub-regions there are.
    pub count: u32,
    /// How many descriptors came.
    pub fds: usize,
}

/// One interrupt type, by DEVICE_GET_IRQ_INFO.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Irq {
    /// Its index.
    pub index: u32,
    /// EVENTFD, MASKABLE, AUTOMASKED, NORESIZE.
    pub flags: u32,
    /// How many interrupts it has.
    pub count: u32,
}

/// Whether the target has what a word of `needs` stands for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Has {
    /// It does; with the values of the names that the word brings.
    Yes(BTreeMap<String, u64>),
    /// It does not; the sentence for the skip.
    No(String),
}

/// A question that the server left without an answer: a command as it should be, which this version of the protocol has; of a crash,
/// any command that was tried.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Unanswered {
    /// The command.
    pub command: String,
    /// What came in place of the answer, as a sentence; of a crash, a panic's words, or a signal.
    pub how: String,
    /// What that rests on.
    pub evidence: Evidence,
}

/// What the probe found.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Discovered {
    /// The version of the protocol in which it was asked.
    #[serde(default)]
    pub profile: Profile,
    /// Major and minor version of its VERSION reply.
    pub version: Option<(u16, u16)>,
    /// The version data of that reply.
    pub capabilities: serde_json::Value,
    /// It refuses the DEVICE_GET_INFO of version 8, a header alone, and answers that of later versions.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub later_info: bool,
    /// It raises interrupts that nobody asked for: one too many says nothing.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub restless: bool,
    /// `flags` of DEVICE_GET_INFO.
    pub device_flags: Option<u32>,
    /// `num_regions` of DEVICE_GET_INFO.
    pub num_regions: u32,
    /// `num_irqs` of DEVICE_GET_INFO.
    pub num_irqs: u32,
    /// The regions that answered.
    pub regions: Vec<Region>,
    /// The regions that have sub-regions with descriptors.
    #[serde(default)]
    pub io_fds: Vec<IoFds>,
    /// The interrupt types that answered.
    pub irqs: Vec<Irq>,
    /// The flags of MIGRATION; `None` where the device cannot be migrated.
    pub migration_flags: Option<u64>,
    /// The device logs its DMA.
    pub dma_logging: bool,
    /// Every word of `needs`.
    pub has: BTreeMap<String, Has>,
    /// Questions that a server left without an answer.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub unanswered: Vec<Unanswered>,
    /// What went wrong while asking: a question and its sentence.
    pub troubles: Vec<String>,
}

impl Discovered {
    /// The server's limits: what it stated, and the defaults for the rest.
    pub fn limits(&self) -> Limits {
        let stated = self.stated();
        match self.profile {
            Profile::V0_9_1 | Profile::V0_9_2 => stated.limits(),
            Profile::V8 | Profile::V8C => {
                let max_msg_fds = stated.number("max_msg_fds").unwrap_or(stated.legacy_limits().max_fds);
                // Its limit is that of a message: the data has a header and the fixed part of an access before it.
                let max_data_xfer_size = stated.legacy_limits().max_msg_size.saturating_sub(MESSAGE_HEAD).max(1);
                Limits { max_msg_fds, max_data_xfer_size, ..Limits::default() }
            }
        }
    }

    /// The capabilities that it stated.
    pub fn stated(&self) -> VersionData {
        let capabilities = self.capabilities.get("capabilities").and_then(serde_json::Value::as_object).cloned();
        VersionData::with_capabilities(capabilities.unwrap_or_default()).with_whole_numbers()
    }

    /// What the model judges by: what was found, and what the device file says.
    pub fn offer(&self, device: Option<&DeviceFile>) -> Offer {
        let has = |need| matches!(self.has.get(need), Some(Has::Yes(_)));
        let answered = self.device_flags.is_some();
        let region = |region: &Region| OfferedRegion {
            index: region.index,
            size: region.size,
            flags: region.flags,
            argsz: region.argsz,
        };
        let io_fds = |known: &IoFds| OfferedIoFds { region: known.region, argsz: known.argsz, fds: known.fds };
        let scratch = device.map(|device| device.scratch.as_slice()).unwrap_or_default();
        Offer {
            num_regions: answered.then_some(self.num_regions),
            num_irqs: answered.then_some(self.num_irqs),
            reset: self.device_flags.map(|flags| flags & device_info_flags::RESET != 0),
            regions: self.regions.iter().map(region).collect(),
            io_fds: self.io_fds.iter().map(io_fds).collect(),
            irqs: self
                .irqs
                .iter()
                .map(|irq| OfferedIrq { index: irq.index, flags: irq.flags, count: irq.count })
                .collect(),
            limits: self.limits(),
            page_size: self.page_size(),
            dma: has("dma"),
            dma_table: has("dma-table"),
            migration_flags: self.migration_flags,
            dma_logging: self.dma_logging,
            pgsize: self.stated().legacy_limits().pgsize,
            dirty_pages: has("dirty-pages"),
            range_layout: self.range_layout(),
            migration_region: self
                .migration_region()
                .map(|index| OfferedMigrationRegion { index, pfn_query: has("pfn-query") }),
            scratch: scratch
                .iter()
                .map(|range| ScratchRange { region: range.region, offset: range.offset, length: range.length })
                .collect(),
        }
    }

    /// What a region of this index is called; `None` for one that the device has of its own accord.
    pub fn region_called(&self, index: u32) -> Option<&'static str> {
        const BARS: [&str; 6] = ["BAR0", "BAR1", "BAR2", "BAR3", "BAR4", "BAR5"];
        match index {
            _ if !self.is_pci() => None,
            region::ROM => Some("expansion ROM"),
            region::CONFIG => Some("configuration space"),
            region::VGA => Some("VGA"),
            index => BARS.get(index as usize).copied(),
        }
    }

    /// What an interrupt type of this index is called; `None` for one that the device has of its own accord.
    pub fn irq_called(&self, index: u32) -> Option<&'static str> {
        let types = ["INTx", "MSI", "MSI-X", "ERR", "REQ"];
        types.get(index as usize).copied().filter(|_| self.is_pci())
    }

    /// It says that it is a PCI device.
    pub fn is_pci(&self) -> bool {
        self.device_flags.is_some_and(|flags| flags & device_info_flags::PCI != 0)
    }

    /// The index of its migration region, which versions before 0.9.2 have.
    pub fn migration_region(&self) -> Option<u32> {
        self.named("migration-region", "migration.region").map(|index| index as u32)
    }

    /// How it has the range of DIRTY_PAGES, where it has that.
    pub fn range_layout(&self) -> Option<RangeLayout> {
        let size = self.named("dirty-pages", "log.range")?;
        [RangeLayout::Narrow, RangeLayout::Wide].into_iter().find(|layout| layout.size() as u64 == size)
    }

    /// The value of a name that a need brings, where the target has what it stands for.
    fn named(&self, need: &str, name: &str) -> Option<u64> {
        match self.has.get(need) {
            Some(Has::Yes(names)) => names.get(name).copied(),
            _ => None,
        }
    }

    /// The smallest page size that it states.
    pub fn page_size(&self) -> u64 {
        let sizes = self.limits().pgsizes;
        if sizes == 0 { vfio_user_wire::DEFAULT_PGSIZES } else { 1 << sizes.trailing_zeros() }
    }

    /// The words of what it has.
    pub fn offers(&self) -> impl Iterator<Item = &str> {
        self.has.iter().filter(|(_, has)| matches!(has, Has::Yes(_))).map(|(need, _)| need.as_str())
    }

    /// Why it has not what the word stands for; `None` where it has.
    pub fn lacks(&self, need: &str) -> Option<String> {
        match self.has.get(need) {
            Some(Has::Yes(_)) => None,
            Some(Has::No(why)) => Some(why.clone()),
            None => Some(format!("nothing is known of `{need}`")),
        }
    }

    /// It has what the word stands for, with these names.
    pub fn yes(&mut self, need: &str, names: &[(&str, u64)]) {
        let names = names.iter().map(|(name, value)| ((*name).to_owned(), *value)).collect();
        self.has.insert(need.to_owned(), Has::Yes(names));
    }

    /// It has not what the word stands for.
    pub fn no(&mut self, need: &str, why: &str) {
        self.has.insert(need.to_owned(), Has::No(why.to_owned()));
    }

    /// Neither that it has them nor that it lacks them: this version of the protocol does not have the command.
    pub fn not_in_profile(&mut self, needs: &[&str], command: &str) {
        let why = format!("profile {} has no {command}", self.profile);
        needs.iter().for_each(|need| self.no(need, &why));
    }
}
