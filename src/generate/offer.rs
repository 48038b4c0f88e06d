//! What a target offers to those who draw.

use vfio_user_wire::{Limits, region, region_info_flags};

use crate::Profile;
use crate::target::{DeviceFile, Discovered, Fill, Has, IoFds, Irq, Range, Region};

/// What a target offers, as far as drawing depends on it.
#[derive(Debug, Clone, PartialEq)]
pub struct Offer {
    /// The version of the protocol that it speaks.
    pub profile: Profile,
    /// Its regions, absent ones included.
    pub regions: Vec<Region>,
    /// The regions that have sub-regions with descriptors.
    pub io_fds: Vec<IoFds>,
    /// Its interrupt types, absent ones included.
    pub irqs: Vec<Irq>,
    /// How many region indexes it says that there are.
    pub num_regions: u32,
    /// How many interrupt types it says that there are.
    pub num_irqs: u32,
    /// What it takes at the most.
    pub limits: Limits,
    /// The smallest page, bytes.
    pub page: u64,
    /// It keeps a table of DMA maps, so that overlaps and unmaps mean something.
    pub dma_table: bool,
    /// It is a PCI device: region 7 is the configuration space.
    pub pci: bool,
    /// It takes another client after one has left.
    pub reconnect: bool,
    /// The device can be migrated.
    pub migration: bool,
    /// Its migration has PRE_COPY.
    pub pre_copy: bool,
    /// It takes several writes in one message.
    pub write_multiple: bool,
    /// It takes a socket in place of an eventfd.
    pub sockets: bool,
    /// Bytes that may be written: ranges of the device file that lie in a region that can be written.
    pub scratch: Vec<Range>,
    /// There is a device file, and it names something that may be written.
    pub device_file: bool,
    /// The device can be made to write client memory: most bytes in one go, and whether it fills them with a byte.
    pub dma_write: Option<(u64, bool)>,
    /// The device can be made to read client memory: most bytes in one go.
    pub dma_read: Option<u64>,
    /// The device can be made to raise any interrupt.
    pub raise_irq: bool,
    /// Its own commands can travel on a twin socket.
    pub twin_socket: bool,
    /// The device has some feature that DEVICE_FEATURE tells of.
    pub features: bool,
    /// The device logs what it writes.
    pub dma_logging: bool,
    /// It serves DIRTY_PAGES (0.9.1).
    pub dirty_pages: bool,
    /// The index of its migration region (0.9.1).
    pub migration_region: Option<u32>,
    /// The device says when its DMA is done.
    pub device_status: bool,
    /// What several targets offer, where it is what they have in common: what is written must be harmless to each.
    pub(super) each: Vec<Offer>,
}

impl Offer {
    /// What the probe found, with what the device file says.
    pub fn new(discovered: &Discovered, device: Option<&DeviceFile>) -> Offer {
        let has = |need: &str| matches!(discovered.has.get(need), Some(Has::Yes(_)));
        let scratch = device.map(|file| file.scratch.as_slice()).unwrap_or_default();
        let written = |range: &&Range| {
            discovered.regions.iter().any(|region| {
                region.index == range.region
                    && region.flags & region_info_flags::WRITE != 0
                    && range.end() <= region.size
            })
        };
        let action = |need, action: Option<crate::target::Action>| action.filter(|_| has(need));
        Offer {
            profile: discovered.profile,
            regions: discovered.regions.clone(),
            io_fds: discovered.io_fds.clone(),
            irqs: discovered.irqs.clone(),
            num_regions: discovered.num_regions,
            num_irqs: discovered.num_irqs,
            limits: discovered.limits(),
            // A page of 2^63 bytes leaves no room for two of them.
            page: discovered.page_size().clamp(1, 1 << 32),
            dma_table: has("dma-table"),
            pci: has("pci"),
            reconnect: has("reconnect"),
            migration: has("migration"),
            pre_copy: has("pre-copy"),
            write_multiple: has("write-multi"),
            sockets: has("irq-socket"),
            scratch: scratch.iter().filter(written).copied().collect(),
            device_file: device.is_some_and(DeviceFile::lets_write),
            dma_write: action("device-dma", device.and_then(|file| file.dma_write.clone()))
                .map(|action| (action.max_length, action.fill == Some(Fill::Pattern))),
            dma_read: action("device-dma-read", device.and_then(|file| file.dma_read.clone()))
                .map(|action| action.max_length),
            raise_irq: action("device-irq-any", device.and_then(|file| file.raise_irq.clone())).is_some(),
            twin_socket: has("twin-socket"),
            features: discovered.migration_flags.is_some() || discovered.dma_logging,
            dma_logging: discovered.dma_logging,
            dirty_pages: has("dirty-pages"),
            migration_region: discovered.migration_region(),
            device_status: has("device-status"),
            each: Vec::new(),
        }
    }

    /// What two targets have in common: what is drawn from it is legal for both, or for neither.
    pub fn common(a: Offer, b: Offer) -> Offer {
        let region = |a: &Region| {
            let b = b.regions.iter().find(|b| b.index == a.index)?;
            let size = a.size.min(b.size);
            let flags = if size == 0 { 0 } else { a.flags & b.flags };
            let sparse = a.sparse.clone().filter(|areas| b.sparse.as_ref() == Some(areas));
            let kind = a.kind.filter(|kind| b.kind == Some(*kind));
            Some(Region {
                index: a.index,
                size,
                flags,
                argsz: a.argsz.min(b.argsz),
                fds: a.fds.min(b.fds),
                sparse,
                kind,
            })
        };
        let irq = |a: &Irq| {
            let b = b.irqs.iter().find(|b| b.index == a.index)?;
            let count = a.count.min(b.count);
            Some(Irq { index: a.index, flags: if count == 0 { 0 } else { a.flags & b.flags }, count })
        };
        Offer {
            profile: a.profile,
            regions: a.regions.iter().filter_map(region).collect(),
            io_fds: a.io_fds.iter().filter(|known| b.io_fds.contains(known)).cloned().collect(),
            irqs: a.irqs.iter().filter_map(irq).collect(),
            // The first index that neither has.
            num_regions: a.num_regions.max(b.num_regions),
            num_irqs: a.num_irqs.max(b.num_irqs),
            limits: Limits {
                max_msg_fds: a.limits.max_msg_fds.min(b.limits.max_msg_fds),
                max_data_xfer_size: a.limits.max_data_xfer_size.min(b.limits.max_data_xfer_size),
                max_dma_maps: a.limits.max_dma_maps.min(b.limits.max_dma_maps),
                pgsizes: a.limits.pgsizes & b.limits.pgsizes,
            },
            page: a.page.max(b.page),
            dma_table: a.dma_table && b.dma_table,
            pci: a.pci && b.pci,
            reconnect: a.reconnect && b.reconnect,
            migration: a.migration && b.migration,
            pre_copy: a.pre_copy && b.pre_copy,
            write_multiple: a.write_multiple && b.write_multiple,
            sockets: a.sockets && b.sockets,
            scratch: a.scratch.iter().filter(|range| b.scratch.contains(range)).copied().collect(),
            device_file: a.device_file && b.device_file,
            dma_write: a.dma_write.zip(b.dma_write).map(|(a, b)| (a.0.min(b.0), a.1 && b.1)),
            dma_read: a.dma_read.zip(b.dma_read).map(|(a, b)| a.min(b)),
            raise_irq: a.raise_irq && b.raise_irq,
            twin_socket: a.twin_socket && b.twin_socket,
            features: a.features && b.features,
            dma_logging: a.dma_logging && b.dma_logging,
            dirty_pages: a.dirty_pages && b.dirty_pages,
            migration_region: a.migration_region.filter(|region| b.migration_region == Some(*region)),
            device_status: a.device_status && b.device_status,
            each: vec![a, b],
        }
    }

    /// The region of that index, where it is there.
    pub fn region(&self, index: u32) -> Option<&Region> {
        self.regions.iter().find(|region| region.index == index && region.size > 0)
    }

    /// Whether a REGION_WRITE of so many bytes can do no harm, whatever a faulty server makes of it: every byte that it
    /// could take to be meant is scratch, or one of configuration space's command register and BARs.
    ///
    /// A server may forget to look at the end, may wrap around at the region's size or at 2^64, and may keep 32 bits of
    /// the offset.
    pub fn is_harmless(&self, index: u32, offset: u64, length: u64) -> bool {
        if length == 0 {
            return true;
        }
        // What lies behind the end of the smaller of two regions lies inside of the larger one.
        if !self.each.iter().all(|one| one.is_harmless(index, offset, length)) {
            return false;
        }
        let Some(region) = self.region(index) else { return self.is_harmless_nowhere(index, offset) };
        touched(region.size, offset, length).into_iter().all(|(start, end)| self.may_write(index, start, end))
    }

    /// A write to a region that is not there: at an offset that is scratch elsewhere, or the command register's.
    fn is_harmless_nowhere(&self, index: u32, offset: u64) -> bool {
        let known = self.regions.iter().any(|region| region.index == index);
        (known || index >= self.num_regions)
            && (offset == COMMAND.0 || self.scratch.iter().any(|range| range.offset == offset))
    }

    fn may_write(&self, index: u32, start: u64, end: u64) -> bool {
        let config = self.pci && index == region::CONFIG;
        let registers = |(first, last): (u64, u64)| config && first <= start && end <= last;
        registers(COMMAND) || registers(BARS) || self.is_scratch(index, start, end)
    }

    /// All of these bytes are scratch; ranges that touch count as one.
    pub fn is_scratch(&self, index: u32, start: u64, end: u64) -> bool {
        let mut at = start;
        while at < end {
            let Some(range) = self.scratch.iter().find(|range| range.contains(index, at)) else { return false };
            at = range.end();
        }
        true
    }
}

/// Configuration space's command register: first byte, and one past the last.
pub(super) const COMMAND: (u64, u64) = (0x4, 0x6);
/// Configuration space's BARs.
pub(super) const BARS: (u64, u64) = (0x10, 0x28);

/// The bytes of a region of `size` bytes that some server could take an access to mean: starts and exclusive ends.
fn touched(size: u64, offset: u64, length: u64) -> Vec<(u64, u64)> {
    let mut found = Vec::new();
    let mut clip = |start: u64, length: u64| {
        let end = start.saturating_add(length).min(size);
        if start < end {
            found.push((start, end));
        }
    };
    // As it is, cut off at the end of the region.
    clip(offset, length);
    let inside = offset.checked_add(length).is_some_and(|end| end <= size);
    if inside {
        return found;
    }
    // Wrapping at 2^64.
    clip(0, offset.checked_add(length).map_or_else(|| offset.wrapping_add(length), |_| 0));
    // With 32 bits of the offset.
    clip(offset & 0xffff_ffff, length);
    // Wrapping at the size of the region.
    let start = offset % size.max(1);
    clip(start, length);
    clip(0, length.saturating_sub(size - start));
    found
}
