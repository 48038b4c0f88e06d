//! What the server offers, as far as asking has shown: the ground on which its answers are judged.

use vfio_user_wire::Limits;
use vfio_user_wire::legacy::RangeLayout;

/// One region.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OfferedRegion {
    /// Its index.
    pub index: u32,
    /// Bytes.
    pub size: u64,
    /// READ, WRITE, MMAP, CAPS.
    pub flags: u32,
    /// Bytes of a full DEVICE_GET_REGION_INFO reply's payload.
    pub argsz: u32,
}

/// One interrupt type.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OfferedIrq {
    /// Its index.
    pub index: u32,
    /// EVENTFD, MASKABLE, AUTOMASKED, NORESIZE.
    pub flags: u32,
    /// How many interrupts it has.
    pub count: u32,
}

/// The sub-regions of a region by DEVICE_GET_REGION_IO_FDS.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OfferedIoFds {
    /// The region's index.
    pub region: u32,
    /// Bytes of the full reply's payload.
    pub argsz: u32,
    /// How many descriptors come with it.
    pub fds: usize,
}

/// The region with the registers of migration.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OfferedMigrationRegion {
    /// Its index.
    pub index: u32,
    /// It has the registers by which dirty pages are asked for by page number, too.
    pub pfn_query: bool,
}

/// Bytes of a region that hold what is written to them and do nothing else.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ScratchRange {
    /// The region's index.
    pub region: u32,
    /// First byte.
    pub offset: u64,
    /// Bytes.
    pub length: u64,
}

impl ScratchRange {
    /// All of `count` bytes at `offset` are in it.
    pub fn covers(&self, region: u32, offset: u64, count: u64) -> bool {
        self.region == region
            && offset >= self.offset
            && offset.checked_add(count).is_some_and(|end| end <= self.offset.saturating_add(self.length))
    }
}

/// What the server offers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Offer {
    /// `num_regions` of DEVICE_GET_INFO; `None` where it was not answered.
    pub num_regions: Option<u32>,
    /// `num_irqs` of DEVICE_GET_INFO.
    pub num_irqs: Option<u32>,
    /// Whether `flags` of DEVICE_GET_INFO has RESET.
    pub reset: Option<bool>,
    /// The regions that answered.
    pub regions: Vec<OfferedRegion>,
    /// The regions that have sub-regions with descriptors.
    pub io_fds: Vec<OfferedIoFds>,
    /// The interrupt types that answered.
    pub irqs: Vec<OfferedIrq>,
    /// What the server takes: what it stated, and the defaults for the rest.
    pub limits: Limits,
    /// The smallest page that it maps, in bytes.
    pub page_size: u64,
    /// It takes maps.
    pub dma: bool,
    /// It remembers them.
    pub dma_table: bool,
    /// The flags of MIGRATION; `None` where it has no migration.
    pub migration_flags: Option<u64>,
    /// It logs DMA.
    pub dma_logging: bool,
    /// Bytes that a bit of its bitmaps stands for, where its `migration` capability of 0.9.1 says so.
    pub pgsize: Option<u64>,
    /// It serves DIRTY_PAGES (0.9.1 and version 8).
    pub dirty_pages: bool,
    /// How many bytes a range takes in its DIRTY_PAGES, where a reply has told.
    pub range_layout: Option<RangeLayout>,
    /// Its migration region (0.9.1 and version 8); `None` where it has none.
    pub migration_region: Option<OfferedMigrationRegion>,
    /// What the device file names as scratch.
    pub scratch: Vec<ScratchRange>,
}

impl Offer {
    /// The migration region is there for clients that can migrate; whether others see it no text says (0.9.1, 523-525).
    pub(super) fn hide_migration(&mut self) {
        let Some(hidden) = self.migration_region.take() else { return };
        self.num_regions = None;
        self.regions.retain(|region| region.index < hidden.index);
    }
}

impl Default for Offer {
    /// Nothing is known, so that next to nothing is asked for.
    fn default() -> Self {
        Offer {
            num_regions: None,
            num_irqs: None,
            reset: None,
            regions: Vec::new(),
            io_fds: Vec::new(),
            irqs: Vec::new(),
            limits: Limits::default(),
            page_size: vfio_user_wire::DEFAULT_PGSIZES,
            dma: false,
            migration_flags: None,
            dma_logging: false,
            dma_table: false,
            pgsize: None,
            dirty_pages: false,
            range_layout: None,
            migration_region: None,
            scratch: Vec::new(),
        }
    }
}

impl Offer {
    /// A region that answered.
    pub fn region(&self, index: u64) -> Option<&OfferedRegion> {
        self.regions.iter().find(|region| u64::from(region.index) == index)
    }

    /// What is known of a region's sub-regions; `None` where it has none.
    pub fn io_fds(&self, region: u64) -> Option<&OfferedIoFds> {
        self.io_fds.iter().find(|known| u64::from(known.region) == region)
    }

    /// An interrupt type that answered.
    pub fn irq(&self, index: u64) -> Option<&OfferedIrq> {
        self.irqs.iter().find(|irq| u64::from(irq.index) == index)
    }

    /// All of `count` bytes at `offset` are scratch.
    pub fn is_scratch(&self, region: u32, offset: u64, count: u64) -> bool {
        self.scratch.iter().any(|range| range.covers(region, offset, count))
    }
}
