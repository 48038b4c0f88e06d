//! The kernel's numbers that the protocol reuses (`include/uapi/linux/vfio.h`).

/// Region indexes of a PCI device.
pub mod region {
    /// The first BAR; BAR n is region n.
    pub const BAR0: u32 = 0;
    /// The last BAR.
    pub const BAR5: u32 = 5;
    /// Expansion ROM.
    pub const ROM: u32 = 6;
    /// PCI configuration space.
    pub const CONFIG: u32 = 7;
    /// Legacy VGA ranges.
    pub const VGA: u32 = 8;
    /// How many regions a PCI device has at the least (specification 145-146).
    pub const COUNT: u32 = 9;
}

/// Interrupt types of a PCI device.
pub mod irq {
    /// INTx.
    pub const INTX: u32 = 0;
    /// MSI.
    pub const MSI: u32 = 1;
    /// MSI-X.
    pub const MSIX: u32 = 2;
    /// Error reporting.
    pub const ERR: u32 = 3;
    /// Device request.
    pub const REQ: u32 = 4;
    /// How many types a PCI device has.
    pub const COUNT: u32 = 5;
}

/// `flags` of DEVICE_GET_INFO.
pub mod device_info_flags {
    /// DEVICE_RESET is supported.
    pub const RESET: u32 = 1;
    /// A PCI device.
    pub const PCI: u32 = 2;
}

/// `flags` of DEVICE_GET_REGION_INFO.
pub mod region_info_flags {
    /// The client may read.
    pub const READ: u32 = 1;
    /// The client may write.
    pub const WRITE: u32 = 2;
    /// The client may mmap() the descriptor in the reply.
    pub const MMAP: u32 = 4;
    /// Capabilities follow.
    pub const CAPS: u32 = 8;
}

/// `id` of a region capability.
pub mod region_capability {
    /// Areas that can be mapped.
    pub const SPARSE_MMAP: u16 = 1;
    /// Type of a device-specific region.
    pub const TYPE: u16 = 2;
}

/// `flags` of DEVICE_GET_IRQ_INFO.
pub mod irq_info_flags {
    /// Can signal an eventfd.
    pub const EVENTFD: u32 = 1;
    /// Can be masked and unmasked.
    pub const MASKABLE: u32 = 2;
    /// Masks itself when it triggers.
    pub const AUTOMASKED: u32 = 4;
    /// Is set up as a whole.
    pub const NORESIZE: u32 = 8;
}

/// `flags` of DEVICE_SET_IRQS.
pub mod irq_set_flags {
    /// No data.
    pub const DATA_NONE: u32 = 1;
    /// A boolean byte per sub-index.
    pub const DATA_BOOL: u32 = 2;
    /// Descriptors in the ancillary data.
    pub const DATA_EVENTFD: u32 = 4;
    /// Mask.
    pub const ACTION_MASK: u32 = 8;
    /// Unmask.
    pub const ACTION_UNMASK: u32 = 16;
    /// Trigger.
    pub const ACTION_TRIGGER: u32 = 32;
    /// All kinds of data.
    pub const DATA_MASK: u32 = DATA_NONE | DATA_BOOL | DATA_EVENTFD;
    /// All actions.
    pub const ACTION_MASK_ALL: u32 = ACTION_MASK | ACTION_UNMASK | ACTION_TRIGGER;
}
