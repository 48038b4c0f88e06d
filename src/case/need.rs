//! The words of `needs`: a closed list.

/// What a target must offer for a case to run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Need {
    /// The word.
    pub word: &'static str,
    /// What it means, for the reason of a skip: "the target has no ..".
    pub meaning: &'static str,
    /// How the harness finds out.
    pub probed: &'static str,
    /// Names that a case with this need can use in braces.
    pub names: &'static [&'static str],
}

/// Every word of `needs`. The names without a need are `target.num_regions`, `target.num_irqs`, `target.pgsize`,
/// `target.max_msg_fds`, `target.max_data_xfer_size`, `target.max_dma_maps`.
pub const NEEDS: &[Need] = &[
    need("pci", "PCI flag in DEVICE_GET_INFO", "DEVICE_GET_INFO flags", &[]),
    need("reset", "support of DEVICE_RESET", "DEVICE_GET_INFO flags", &[]),
    need("no-reset", "lack of DEVICE_RESET", "DEVICE_GET_INFO flags", &[]),
    need(
        "readable",
        "readable region",
        "the READ flag of a region with a size; config space first",
        &["readable.region", "readable.size"],
    ),
    need("absent-region", "region of size 0", "DEVICE_GET_REGION_INFO", &["absent.region"]),
    need("readonly", "region without the WRITE flag", "DEVICE_GET_REGION_INFO", &["readonly.region", "readonly.size"]),
    need("no-read", "region without the READ flag", "DEVICE_GET_REGION_INFO", &["writeonly.region", "writeonly.size"]),
    need("device-region", "region with an index of 9 or above", "DEVICE_GET_INFO", &["device.region"]),
    need(
        "capabilities",
        "region whose info has capabilities",
        "DEVICE_GET_REGION_INFO argsz",
        &["capable.region", "capable.argsz"],
    ),
    need("mmap", "region that can be mapped", "the MMAP flag", &["mmap.region", "mmap.size"]),
    need(
        "mmap-whole",
        "region that can be mapped as a whole",
        "the MMAP flag without a sparse capability",
        &["whole.region", "whole.size"],
    ),
    need(
        "mmap-sparse",
        "region with a sparse mmap capability",
        "its capability",
        &["sparse.region", "sparse.offset", "sparse.length", "sparse.areas", "last.offset", "last.length"],
    ),
    need(
        "mmap-scratch",
        "scratch range in a mappable region",
        "device file, and the MMAP flag",
        &["shared.region", "shared.offset", "shared.length"],
    ),
    need(
        "mmap-scratch-last",
        "scratch range in the last of several mappable areas of a region",
        "device file, and a sparse mmap capability",
        &["area.region", "area.offset", "area.length"],
    ),
    need(
        "mmap-scratch-whole",
        "scratch range in a region that can be mapped as a whole",
        "device file, and the MMAP flag without a sparse capability",
        &["entire.region", "entire.offset", "entire.length"],
    ),
    need(
        "scratch",
        "scratch range",
        "device file (at least 64 bytes)",
        &["scratch.region", "scratch.offset", "scratch.length"],
    ),
    need(
        "scratch-large",
        "scratch range as large as its max_data_xfer_size",
        "device file",
        &["large.region", "large.offset", "large.length"],
    ),
    need("small-limit", "max_data_xfer_size of at most 2 MiB", "VERSION", &[]),
    need(
        "io-fds",
        "region with sub-regions that have descriptors",
        "DEVICE_GET_REGION_IO_FDS",
        &["iofds.region", "iofds.argsz", "iofds.count", "iofds.fds"],
    ),
    need("no-io-fds", "lack of DEVICE_GET_REGION_IO_FDS", "it is refused for every region", &[]),
    need("irq", "interrupt type that can signal an eventfd", "DEVICE_GET_IRQ_INFO", &["irq.index", "irq.count"]),
    need(
        "irq-multi",
        "interrupt type with at least 3 interrupts that can be assigned one by one",
        "DEVICE_GET_IRQ_INFO",
        &["multi.index", "multi.count"],
    ),
    need("irq-two", "second interrupt type", "DEVICE_GET_IRQ_INFO", &["second.index", "second.count"]),
    need(
        "irq-trigger",
        "interrupt type that the client can trigger",
        "NONE|TRIGGER fires an assigned eventfd",
        &["irq.index", "irq.count"],
    ),
    need(
        "irq-multi-trigger",
        "interrupt type with at least 3 interrupts that can be assigned one by one and that the client can trigger",
        "NONE|TRIGGER fires",
        &["multi.index", "multi.count"],
    ),
    need(
        "irq-socket",
        "interrupt type that takes a socket in place of an eventfd",
        "DEVICE_SET_IRQS",
        &["irq.index", "irq.count"],
    ),
    need("irq-maskable", "maskable interrupt type", "DEVICE_GET_IRQ_INFO", &["maskable.index", "maskable.count"]),
    need("irq-unmaskable", "interrupt type that is not maskable", "DEVICE_GET_IRQ_INFO", &["unmaskable.index"]),
    need("irq-automasked", "automasked interrupt type", "DEVICE_GET_IRQ_INFO", &["automasked.index"]),
    need(
        "irq-noresize",
        "interrupt type of at least 2 with NORESIZE",
        "DEVICE_GET_IRQ_INFO",
        &["noresize.index", "noresize.count"],
    ),
    need("irq-absent", "interrupt type with a count of 0", "DEVICE_GET_IRQ_INFO", &["none.index"]),
    need("irq-err", "ERR or REQ interrupt type", "DEVICE_GET_IRQ_INFO", &["err.index"]),
    need("dma", "support of DMA maps", "a DMA_MAP without descriptor succeeds", &[]),
    need("no-dma", "lack of DMA maps", "DMA_MAP is refused", &[]),
    need(
        "dma-table",
        "table of DMA maps",
        "a seal that stays EBUSY while mapped, or the refusal to unmap what was never mapped",
        &[],
    ),
    need("no-dma-table", "server that takes DMA maps and keeps no table of them", "as dma-table", &[]),
    need("dma-mapping", "server that maps client memory", "F_SEAL_WRITE gives EBUSY while mapped", &[]),
    need("map-limit", "max_dma_maps in its VERSION reply", "VERSION", &[]),
    need("no-map-limit", "VERSION reply without max_dma_maps", "VERSION", &[]),
    need("write-multi", "write_multiple in its VERSION reply", "VERSION", &[]),
    need("no-write-multi", "VERSION reply without write_multiple", "VERSION", &[]),
    need("device-dma", "way to make the device do DMA", "device file", &["dma.max"]),
    need(
        "device-dma-read",
        "way to make the device read client memory and show what it read",
        "device file",
        &["dma.max", "result.region", "result.offset"],
    ),
    need("device-status", "status register of the device's DMA", "device file", &[]),
    need("device-irq", "way to make the device raise an interrupt", "device file", &[]),
    need(
        "device-irq-any",
        "way to make the device raise any of its interrupts",
        "device file, whose steps take `index` and `vector`",
        &[],
    ),
    need(
        "counter",
        "register of 4 bytes that clears when it is read, and a write of 4 bytes that raises it by one",
        "device file",
        &[
            "counter.region",
            "counter.offset",
            "counter.width",
            "raise.region",
            "raise.offset",
            "raise.width",
            "raise.value",
        ],
    ),
    need(
        "doorbell",
        "sub-region whose descriptor raises the counter",
        "device file, and DEVICE_GET_REGION_IO_FDS",
        &["doorbell.region", "doorbell.offset", "doorbell.size"],
    ),
    need(
        "doorbell-datamatch",
        "sub-region whose descriptor raises the counter, for one value alone",
        "device file, and DEVICE_GET_REGION_IO_FDS",
        &["doorbell.region", "doorbell.offset", "doorbell.size", "doorbell.datamatch"],
    ),
    need(
        "mirror",
        "register of 8 bytes that shows bytes of a mappable region",
        "device file, and the MMAP flag",
        &["mirror.region", "mirror.offset", "mirror.width", "shown.region", "shown.offset"],
    ),
    need("migration", "migration by DEVICE_FEATURE", "GET of MIGRATION succeeds", &[]),
    need("no-migration", "lack of migration", "GET of MIGRATION is refused", &[]),
    need("pre-copy", "migration with PRE_COPY", "the flags of MIGRATION", &[]),
    need("no-pre-copy", "migration without PRE_COPY", "the flags of MIGRATION", &[]),
    need("dma-logging", "logging of DMA", "SET of DMA_LOGGING_START succeeds", &[]),
    need("no-dma-logging", "lack of a DMA log", "SET of DMA_LOGGING_START is refused", &[]),
    need("dirty-pages", "DIRTY_PAGES", "START of DIRTY_PAGES succeeds", &["log.pgsize", "log.range"]),
    need("no-dirty-pages", "lack of DIRTY_PAGES", "START of DIRTY_PAGES is refused", &[]),
    need(
        "migration-region",
        "region for migration",
        "the TYPE capability of a region",
        &["migration.region", "migration.size"],
    ),
    need("no-migration-region", "lack of a region for migration", "no region has the type", &[]),
    need(
        "pfn-query",
        "query for dirty pages by page number in its migration region",
        "device file",
        &["migration.region", "migration.size"],
    ),
    need(
        "twin-socket",
        "twin socket for the server's own commands",
        "VERSION that proposes one is answered with one",
        &[],
    ),
    need("pid", "process whose id the harness knows", "it was started by the harness, or SO_PEERCRED", &[]),
    need("spawned", "server that the harness starts", "--spawn", &[]),
    need(
        "second-server",
        "second server of its kind beside the first",
        "--spawn without --socket, and more than one job",
        &[],
    ),
    need(
        "conventions",
        "server that follows the backend program conventions",
        "--spawn without {socket} and {fd}",
        &[],
    ),
    need(
        "reconnect",
        "server that accepts again after a disconnect",
        "a second connection in a process of its own",
        &[],
    ),
    need("exits", "server that exits after a disconnect", "a second connection in a process of its own", &[]),
];

const fn need(word: &'static str, meaning: &'static str, probed: &'static str, names: &'static [&'static str]) -> Need {
    Need { word, meaning, probed, names }
}
