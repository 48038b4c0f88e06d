//! Our numbers against the kernel's, as bindgen read them from `linux/vfio.h`.
#![allow(clippy::unwrap_used, reason = "a test, helpers included")]

use pretty_assertions::assert_eq;
use vfio_bindings::bindings::vfio;
use vfio_user_wire::{
    IoEventFd, IoRegionFd, Layout, device_info_flags, device_state, device_state_v1, dirty_pages_flags,
    dma_unmap_flags, feature, feature_flags, feature_index, io_event_fd_flags, io_fd_type, io_region_fd_flags, irq,
    irq_info_flags, irq_set_flags, legacy, message, migration_flags, region, region_capability, region_info_flags,
    region_subtype, region_type, tables,
};

/// Every constant of `wire/src/constants.rs`: its module and name, our value, the kernel's.
const CONSTANTS: &[(&str, &str, u32, u32)] = &[
    ("region", "BAR0", region::BAR0, vfio::VFIO_PCI_BAR0_REGION_INDEX),
    ("region", "BAR5", region::BAR5, vfio::VFIO_PCI_BAR5_REGION_INDEX),
    ("region", "ROM", region::ROM, vfio::VFIO_PCI_ROM_REGION_INDEX),
    ("region", "CONFIG", region::CONFIG, vfio::VFIO_PCI_CONFIG_REGION_INDEX),
    ("region", "VGA", region::VGA, vfio::VFIO_PCI_VGA_REGION_INDEX),
    ("region", "COUNT", region::COUNT, vfio::VFIO_PCI_NUM_REGIONS),
    ("irq", "INTX", irq::INTX, vfio::VFIO_PCI_INTX_IRQ_INDEX),
    ("irq", "MSI", irq::MSI, vfio::VFIO_PCI_MSI_IRQ_INDEX),
    ("irq", "MSIX", irq::MSIX, vfio::VFIO_PCI_MSIX_IRQ_INDEX),
    ("irq", "ERR", irq::ERR, vfio::VFIO_PCI_ERR_IRQ_INDEX),
    ("irq", "REQ", irq::REQ, vfio::VFIO_PCI_REQ_IRQ_INDEX),
    ("irq", "COUNT", irq::COUNT, vfio::VFIO_PCI_NUM_IRQS),
    ("device_info_flags", "RESET", device_info_flags::RESET, vfio::VFIO_DEVICE_FLAGS_RESET),
    ("device_info_flags", "PCI", device_info_flags::PCI, vfio::VFIO_DEVICE_FLAGS_PCI),
    ("region_info_flags", "READ", region_info_flags::READ, vfio::VFIO_REGION_INFO_FLAG_READ),
    ("region_info_flags", "WRITE", region_info_flags::WRITE, vfio::VFIO_REGION_INFO_FLAG_WRITE),
    ("region_info_flags", "MMAP", region_info_flags::MMAP, vfio::VFIO_REGION_INFO_FLAG_MMAP),
    ("region_info_flags", "CAPS", region_info_flags::CAPS, vfio::VFIO_REGION_INFO_FLAG_CAPS),
    ("region_capability", "SPARSE_MMAP", region_capability::SPARSE_MMAP as u32, vfio::VFIO_REGION_INFO_CAP_SPARSE_MMAP),
    ("region_capability", "TYPE", region_capability::TYPE as u32, vfio::VFIO_REGION_INFO_CAP_TYPE),
    ("region_type", "MIGRATION", region_type::MIGRATION, vfio::VFIO_REGION_TYPE_MIGRATION_DEPRECATED),
    ("region_subtype", "MIGRATION", region_subtype::MIGRATION, vfio::VFIO_REGION_SUBTYPE_MIGRATION_DEPRECATED),
    ("irq_info_flags", "EVENTFD", irq_info_flags::EVENTFD, vfio::VFIO_IRQ_INFO_EVENTFD),
    ("irq_info_flags", "MASKABLE", irq_info_flags::MASKABLE, vfio::VFIO_IRQ_INFO_MASKABLE),
    ("irq_info_flags", "AUTOMASKED", irq_info_flags::AUTOMASKED, vfio::VFIO_IRQ_INFO_AUTOMASKED),
    ("irq_info_flags", "NORESIZE", irq_info_flags::NORESIZE, vfio::VFIO_IRQ_INFO_NORESIZE),
    ("irq_set_flags", "DATA_NONE", irq_set_flags::DATA_NONE, vfio::VFIO_IRQ_SET_DATA_NONE),
    ("irq_set_flags", "DATA_BOOL", irq_set_flags::DATA_BOOL, vfio::VFIO_IRQ_SET_DATA_BOOL),
    ("irq_set_flags", "DATA_EVENTFD", irq_set_flags::DATA_EVENTFD, vfio::VFIO_IRQ_SET_DATA_EVENTFD),
    ("irq_set_flags", "ACTION_MASK", irq_set_flags::ACTION_MASK, vfio::VFIO_IRQ_SET_ACTION_MASK),
    ("irq_set_flags", "ACTION_UNMASK", irq_set_flags::ACTION_UNMASK, vfio::VFIO_IRQ_SET_ACTION_UNMASK),
    ("irq_set_flags", "ACTION_TRIGGER", irq_set_flags::ACTION_TRIGGER, vfio::VFIO_IRQ_SET_ACTION_TRIGGER),
    ("irq_set_flags", "DATA_MASK", irq_set_flags::DATA_MASK, vfio::VFIO_IRQ_SET_DATA_TYPE_MASK),
    ("irq_set_flags", "ACTION_MASK_ALL", irq_set_flags::ACTION_MASK_ALL, vfio::VFIO_IRQ_SET_ACTION_TYPE_MASK),
    ("feature_index", "MIGRATION", feature_index::MIGRATION as u32, vfio::VFIO_DEVICE_FEATURE_MIGRATION),
    (
        "feature_index",
        "MIG_DEVICE_STATE",
        feature_index::MIG_DEVICE_STATE as u32,
        vfio::VFIO_DEVICE_FEATURE_MIG_DEVICE_STATE,
    ),
    (
        "feature_index",
        "DMA_LOGGING_START",
        feature_index::DMA_LOGGING_START as u32,
        vfio::VFIO_DEVICE_FEATURE_DMA_LOGGING_START,
    ),
    (
        "feature_index",
        "DMA_LOGGING_STOP",
        feature_index::DMA_LOGGING_STOP as u32,
        vfio::VFIO_DEVICE_FEATURE_DMA_LOGGING_STOP,
    ),
    (
        "feature_index",
        "DMA_LOGGING_REPORT",
        feature_index::DMA_LOGGING_REPORT as u32,
        vfio::VFIO_DEVICE_FEATURE_DMA_LOGGING_REPORT,
    ),
    ("feature_flags", "MASK", feature_flags::MASK, vfio::VFIO_DEVICE_FEATURE_MASK),
    ("feature_flags", "GET", feature_flags::GET, vfio::VFIO_DEVICE_FEATURE_GET),
    ("feature_flags", "SET", feature_flags::SET, vfio::VFIO_DEVICE_FEATURE_SET),
    ("feature_flags", "PROBE", feature_flags::PROBE, vfio::VFIO_DEVICE_FEATURE_PROBE),
    ("migration_flags", "STOP_COPY", migration_flags::STOP_COPY as u32, vfio::VFIO_MIGRATION_STOP_COPY),
    ("migration_flags", "P2P", migration_flags::P2P as u32, vfio::VFIO_MIGRATION_P2P),
    ("migration_flags", "PRE_COPY", migration_flags::PRE_COPY as u32, vfio::VFIO_MIGRATION_PRE_COPY),
    ("device_state", "ERROR", device_state::ERROR, vfio::vfio_device_mig_state_VFIO_DEVICE_STATE_ERROR),
    ("device_state", "STOP", device_state::STOP, vfio::vfio_device_mig_state_VFIO_DEVICE_STATE_STOP),
    ("device_state", "RUNNING", device_state::RUNNING, vfio::vfio_device_mig_state_VFIO_DEVICE_STATE_RUNNING),
    ("device_state", "STOP_COPY", device_state::STOP_COPY, vfio::vfio_device_mig_state_VFIO_DEVICE_STATE_STOP_COPY),
    ("device_state", "RESUMING", device_state::RESUMING, vfio::vfio_device_mig_state_VFIO_DEVICE_STATE_RESUMING),
    (
        "device_state",
        "RUNNING_P2P",
        device_state::RUNNING_P2P,
        vfio::vfio_device_mig_state_VFIO_DEVICE_STATE_RUNNING_P2P,
    ),
    ("device_state", "PRE_COPY", device_state::PRE_COPY, vfio::vfio_device_mig_state_VFIO_DEVICE_STATE_PRE_COPY),
    (
        "device_state",
        "PRE_COPY_P2P",
        device_state::PRE_COPY_P2P,
        vfio::vfio_device_mig_state_VFIO_DEVICE_STATE_PRE_COPY_P2P,
    ),
    ("device_state", "COUNT", device_state::COUNT, vfio::vfio_device_mig_state_VFIO_DEVICE_STATE_NR),
    ("device_state_v1", "STOP", device_state_v1::STOP, vfio::VFIO_DEVICE_STATE_V1_STOP),
    ("device_state_v1", "RUNNING", device_state_v1::RUNNING, vfio::VFIO_DEVICE_STATE_V1_RUNNING),
    ("device_state_v1", "SAVING", device_state_v1::SAVING, vfio::VFIO_DEVICE_STATE_V1_SAVING),
    ("device_state_v1", "RESUMING", device_state_v1::RESUMING, vfio::VFIO_DEVICE_STATE_V1_RESUMING),
    (
        "dma_unmap_flags",
        "GET_DIRTY_BITMAP",
        dma_unmap_flags::GET_DIRTY_BITMAP,
        vfio::VFIO_DMA_UNMAP_FLAG_GET_DIRTY_BITMAP,
    ),
    ("dma_unmap_flags", "ALL", dma_unmap_flags::ALL, vfio::VFIO_DMA_UNMAP_FLAG_ALL),
    ("dirty_pages_flags", "START", dirty_pages_flags::START, vfio::VFIO_IOMMU_DIRTY_PAGES_FLAG_START),
    ("dirty_pages_flags", "STOP", dirty_pages_flags::STOP, vfio::VFIO_IOMMU_DIRTY_PAGES_FLAG_STOP),
    ("dirty_pages_flags", "GET_BITMAP", dirty_pages_flags::GET_BITMAP, vfio::VFIO_IOMMU_DIRTY_PAGES_FLAG_GET_BITMAP),
];

#[test]
fn every_constant_has_the_kernels_value() {
    for (module, name, ours, kernel) in CONSTANTS {
        assert_eq!(ours, kernel, "{module}::{name}");
    }
}

#[test]
fn no_constant_is_left_out() {
    let mut module = "";
    let mut declared = Vec::new();
    for line in include_str!("../src/constants.rs").lines().map(str::trim) {
        if let Some(rest) = line.strip_prefix("pub mod ") {
            module = rest.trim_end_matches([' ', '{']);
        } else if let Some(rest) = line.strip_prefix("pub const ") {
            declared.push((module, rest.split(':').next().unwrap_or_default()));
        }
    }
    let compared: Vec<(&str, &str)> = CONSTANTS.iter().map(|(module, name, ..)| (*module, *name)).collect();
    assert_eq!(declared, compared);
}

/// The bits that a layout names, against the kernel's; `bits` must be all of them, but for groups of several bits.
fn bits_match(layout: &Layout, bits: &[(&str, u32)]) {
    let field = layout.field("flags").unwrap();
    let single: Vec<(&str, u64)> =
        field.bits.iter().filter(|bit| bit.mask.is_power_of_two()).map(|bit| (bit.name, bit.mask)).collect();
    let expected: Vec<(&str, u64)> = bits.iter().map(|(name, mask)| (*name, u64::from(*mask))).collect();
    assert_eq!(single, expected, "{}", layout.name);
    let all = expected.iter().fold(0, |all, (_, mask)| all | mask);
    for bit in field.bits.iter().filter(|bit| bit.mask == bit.value) {
        assert_eq!(bit.mask & !all, 0, "{}.{} has a bit that no single name stands for", layout.name, bit.name);
    }
}

/// The values that a field of a layout names; they are said by the bits of `mask`.
fn values_match(layout: &Layout, field: &str, mask: u64, values: &[(&str, u32)]) {
    let named: Vec<(&str, u64)> = layout
        .field(field)
        .unwrap()
        .bits
        .iter()
        .filter(|bit| bit.mask != bit.value)
        .inspect(|bit| assert_eq!(bit.mask, mask, "{}", bit.name))
        .map(|bit| (bit.name, bit.value))
        .collect();
    let expected: Vec<(&str, u64)> = values.iter().map(|(name, value)| (*name, u64::from(*value))).collect();
    assert_eq!(named, expected, "{}", layout.name);
}

#[test]
fn the_named_values_are_the_kernels() {
    values_match(
        &message::DeviceFeature::LAYOUT,
        "flags",
        u64::from(vfio::VFIO_DEVICE_FEATURE_MASK),
        &[
            ("migration", vfio::VFIO_DEVICE_FEATURE_MIGRATION),
            ("mig_device_state", vfio::VFIO_DEVICE_FEATURE_MIG_DEVICE_STATE),
            ("dma_logging_start", vfio::VFIO_DEVICE_FEATURE_DMA_LOGGING_START),
            ("dma_logging_stop", vfio::VFIO_DEVICE_FEATURE_DMA_LOGGING_STOP),
            ("dma_logging_report", vfio::VFIO_DEVICE_FEATURE_DMA_LOGGING_REPORT),
        ],
    );
    values_match(
        &feature::MigDeviceState::LAYOUT,
        "device_state",
        u64::from(u32::MAX),
        &[
            ("error", vfio::vfio_device_mig_state_VFIO_DEVICE_STATE_ERROR),
            ("stop", vfio::vfio_device_mig_state_VFIO_DEVICE_STATE_STOP),
            ("running", vfio::vfio_device_mig_state_VFIO_DEVICE_STATE_RUNNING),
            ("stop_copy", vfio::vfio_device_mig_state_VFIO_DEVICE_STATE_STOP_COPY),
            ("resuming", vfio::vfio_device_mig_state_VFIO_DEVICE_STATE_RESUMING),
            ("running_p2p", vfio::vfio_device_mig_state_VFIO_DEVICE_STATE_RUNNING_P2P),
            ("pre_copy", vfio::vfio_device_mig_state_VFIO_DEVICE_STATE_PRE_COPY),
            ("pre_copy_p2p", vfio::vfio_device_mig_state_VFIO_DEVICE_STATE_PRE_COPY_P2P),
        ],
    );
}

#[test]
fn the_bits_of_the_flags_fields_are_the_kernels() {
    bits_match(
        &message::DeviceInfo::LAYOUT,
        &[("reset", vfio::VFIO_DEVICE_FLAGS_RESET), ("pci", vfio::VFIO_DEVICE_FLAGS_PCI)],
    );
    bits_match(
        &message::RegionInfo::LAYOUT,
        &[
            ("read", vfio::VFIO_REGION_INFO_FLAG_READ),
            ("write", vfio::VFIO_REGION_INFO_FLAG_WRITE),
            ("mmap", vfio::VFIO_REGION_INFO_FLAG_MMAP),
            ("caps", vfio::VFIO_REGION_INFO_FLAG_CAPS),
        ],
    );
    bits_match(
        &message::IrqInfo::LAYOUT,
        &[
            ("eventfd", vfio::VFIO_IRQ_INFO_EVENTFD),
            ("maskable", vfio::VFIO_IRQ_INFO_MASKABLE),
            ("automasked", vfio::VFIO_IRQ_INFO_AUTOMASKED),
            ("noresize", vfio::VFIO_IRQ_INFO_NORESIZE),
        ],
    );
    bits_match(
        &message::IrqSet::LAYOUT,
        &[
            ("none", vfio::VFIO_IRQ_SET_DATA_NONE),
            ("bool", vfio::VFIO_IRQ_SET_DATA_BOOL),
            ("eventfd", vfio::VFIO_IRQ_SET_DATA_EVENTFD),
            ("mask", vfio::VFIO_IRQ_SET_ACTION_MASK),
            ("unmask", vfio::VFIO_IRQ_SET_ACTION_UNMASK),
            ("trigger", vfio::VFIO_IRQ_SET_ACTION_TRIGGER),
        ],
    );
    bits_match(
        &message::DeviceFeature::LAYOUT,
        &[
            ("get", vfio::VFIO_DEVICE_FEATURE_GET),
            ("set", vfio::VFIO_DEVICE_FEATURE_SET),
            ("probe", vfio::VFIO_DEVICE_FEATURE_PROBE),
        ],
    );
    bits_match(
        &feature::Migration::LAYOUT,
        &[
            ("stop_copy", vfio::VFIO_MIGRATION_STOP_COPY),
            ("p2p", vfio::VFIO_MIGRATION_P2P),
            ("pre_copy", vfio::VFIO_MIGRATION_PRE_COPY),
        ],
    );
}

#[test]
fn the_bits_of_messages_before_0_9_2_are_the_kernels() {
    let heads = [tables::DirtyPages::LAYOUT, tables::DirtyPagesGetV8::LAYOUT, tables::DirtyPagesGetV8c::LAYOUT];
    for layout in [&heads[..], &[legacy::DirtyPages::LAYOUT, legacy::DirtyPagesGet::LAYOUT]].concat() {
        bits_match(
            &layout,
            &[
                ("start", vfio::VFIO_IOMMU_DIRTY_PAGES_FLAG_START),
                ("stop", vfio::VFIO_IOMMU_DIRTY_PAGES_FLAG_STOP),
                ("get_bitmap", vfio::VFIO_IOMMU_DIRTY_PAGES_FLAG_GET_BITMAP),
            ],
        );
    }
    for layout in [legacy::DmaUnmap::LAYOUT, legacy::DmaUnmapGet::LAYOUT] {
        bits_match(
            &layout,
            &[("get_dirty_bitmap", vfio::VFIO_DMA_UNMAP_FLAG_GET_DIRTY_BITMAP), ("all", vfio::VFIO_DMA_UNMAP_FLAG_ALL)],
        );
    }
    for layout in [tables::DmaUnmap::LAYOUT, tables::DmaUnmapGetV8::LAYOUT, tables::DmaUnmapGetV8c::LAYOUT] {
        bits_match(&layout, &[("get_dirty_bitmap", vfio::VFIO_DMA_UNMAP_FLAG_GET_DIRTY_BITMAP)]);
    }
}

#[test]
fn the_structs_before_0_9_2_are_the_kernels_but_for_pointers() {
    use legacy::{Bitmap, BitmapRange, DirtyPages, DmaMap, DmaUnmap, MigrationInfo, RangeLayout};
    assert_eq!(MigrationInfo::LAYOUT.size, size_of::<vfio::vfio_device_migration_info>());
    assert_eq!(DirtyPages::LAYOUT.size, std::mem::offset_of!(vfio::vfio_iommu_type1_dirty_bitmap, data));
    assert_eq!(Bitmap::LAYOUT.size, std::mem::offset_of!(vfio::vfio_bitmap, data));
    assert_eq!(BitmapRange::LAYOUT.size, RangeLayout::Narrow.size());
    assert_eq!(RangeLayout::Wide.size(), size_of::<vfio::vfio_iommu_type1_dirty_bitmap_get>());
    assert_eq!(tables::WideBitmap::LAYOUT.size, size_of::<vfio::vfio_bitmap>());
    assert_eq!(tables::WideBitmapRange::LAYOUT.size, size_of::<vfio::vfio_iommu_type1_dirty_bitmap_get>());
    assert_eq!(DmaMap::LAYOUT.size, size_of::<vfio::vfio_iommu_type1_dma_map>());
    assert_eq!(DmaUnmap::LAYOUT.size, std::mem::offset_of!(vfio::vfio_iommu_type1_dma_unmap, data));
}

/// No bindings have these: KVM's `KVM_IOEVENTFD_FLAG_*` are 1 << 0, 1 << 1 and, behind a flag that a server does not
/// give, 1 << 3; the types and the flags of ioregionfds are what the implementations have agreed on.
#[test]
fn the_numbers_of_sub_regions_are_those_in_use() {
    assert_eq!((io_fd_type::IOEVENTFD, io_fd_type::IOREGIONFD), (0, 1));
    bits_match(
        &IoEventFd::LAYOUT,
        &[
            ("datamatch", io_event_fd_flags::DATAMATCH),
            ("pio", io_event_fd_flags::PIO),
            ("virtio_ccw_notify", io_event_fd_flags::VIRTIO_CCW_NOTIFY),
        ],
    );
    assert_eq!(
        [io_event_fd_flags::DATAMATCH, io_event_fd_flags::PIO, io_event_fd_flags::VIRTIO_CCW_NOTIFY],
        [1 << 0, 1 << 1, 1 << 3]
    );
    bits_match(
        &IoRegionFd::LAYOUT,
        &[("pio", io_region_fd_flags::PIO), ("posted_writes", io_region_fd_flags::POSTED_WRITES)],
    );
    assert_eq!([io_region_fd_flags::PIO, io_region_fd_flags::POSTED_WRITES], [1 << 0, 1 << 1]);
}

#[test]
fn the_structs_that_vfio_shares_with_the_protocol_have_the_kernels_sizes() {
    assert_eq!(message::DeviceInfo::LAYOUT.size, std::mem::offset_of!(vfio::vfio_device_info, cap_offset));
    assert_eq!(message::RegionInfo::LAYOUT.size, size_of::<vfio::vfio_region_info>());
    assert_eq!(message::IrqInfo::LAYOUT.size, size_of::<vfio::vfio_irq_info>());
    assert_eq!(message::IrqSet::LAYOUT.size, std::mem::offset_of!(vfio::vfio_irq_set, data));
    assert_eq!(vfio_user_wire::CapabilityHeader::LAYOUT.size, size_of::<vfio::vfio_info_cap_header>());
    assert_eq!(vfio_user_wire::SparseArea::LAYOUT.size, size_of::<vfio::vfio_region_sparse_mmap_area>());
    assert_eq!(
        vfio_user_wire::CapabilityHeader::LAYOUT.size + vfio_user_wire::RegionType::LAYOUT.size,
        size_of::<vfio::vfio_region_info_cap_type>()
    );
    use vfio_user_wire::feature::{DmaLoggingRange, DmaLoggingReport, DmaLoggingStart, MigDeviceState, Migration};
    assert_eq!(message::DeviceFeature::LAYOUT.size, std::mem::offset_of!(vfio::vfio_device_feature, data));
    assert_eq!(Migration::LAYOUT.size, size_of::<vfio::vfio_device_feature_migration>());
    assert_eq!(MigDeviceState::LAYOUT.size, size_of::<vfio::vfio_device_feature_mig_state>());
    assert_eq!(DmaLoggingRange::LAYOUT.size, size_of::<vfio::vfio_device_feature_dma_logging_range>());
    // Where the kernel has a pointer to ranges or to a bitmap, the protocol has the ranges or the bitmap.
    assert_eq!(
        DmaLoggingStart::LAYOUT.size,
        std::mem::offset_of!(vfio::vfio_device_feature_dma_logging_control, ranges)
    );
    assert_eq!(
        DmaLoggingReport::LAYOUT.size,
        std::mem::offset_of!(vfio::vfio_device_feature_dma_logging_report, bitmap)
    );
}
