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

/// `type` of a region with the capability TYPE.
pub mod region_type {
    /// A migration region (0.9.1 and version 8).
    pub const MIGRATION: u32 = 3;
}

/// `subtype` of a region with the capability TYPE.
pub mod region_subtype {
    /// The one of a migration region (0.9.1 and version 8).
    pub const MIGRATION: u32 = 1;
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

/// The index of a feature, in `flags` of DEVICE_FEATURE.
pub mod feature_index {
    /// What migration the device supports.
    pub const MIGRATION: u16 = 1;
    /// The state of the device's migration.
    pub const MIG_DEVICE_STATE: u16 = 2;
    /// Begins to log DMA writes.
    pub const DMA_LOGGING_START: u16 = 6;
    /// Ends the logging.
    pub const DMA_LOGGING_STOP: u16 = 7;
    /// Tells what was logged.
    pub const DMA_LOGGING_REPORT: u16 = 8;
}

/// `flags` of DEVICE_FEATURE.
pub mod feature_flags {
    /// The bits of the index.
    pub const MASK: u32 = 0xffff;
    /// Get the feature's data.
    pub const GET: u32 = 0x10000;
    /// Set the feature's data.
    pub const SET: u32 = 0x20000;
    /// Find out whether the feature is there, and can do what else is set.
    pub const PROBE: u32 = 0x40000;
}

/// `flags` of the feature MIGRATION.
pub mod migration_flags {
    /// STOP, STOP_COPY and RESUMING are there.
    pub const STOP_COPY: u64 = 1;
    /// RUNNING_P2P is there; vfio-user does not use it.
    pub const P2P: u64 = 2;
    /// PRE_COPY is there.
    pub const PRE_COPY: u64 = 4;
}

/// `device_state` of the feature MIG_DEVICE_STATE.
pub mod device_state {
    /// Failed: only a reset helps.
    pub const ERROR: u32 = 0;
    /// Stopped: nothing changes, inside or outside.
    pub const STOP: u32 = 1;
    /// Runs.
    pub const RUNNING: u32 = 2;
    /// Stopped, and its state can be read.
    pub const STOP_COPY: u32 = 3;
    /// Stopped, and takes in a state.
    pub const RESUMING: u32 = 4;
    /// Not used in vfio-user.
    pub const RUNNING_P2P: u32 = 5;
    /// Runs, and its state can be read meanwhile.
    pub const PRE_COPY: u32 = 6;
    /// Not used in vfio-user.
    pub const PRE_COPY_P2P: u32 = 7;
    /// How many states there are.
    pub const COUNT: u32 = 8;
}

/// The bits of `device_state` in a migration region (0.9.1 and version 8); the states that they make are in
/// [`migration_state`](crate::legacy::migration_state).
pub mod device_state_v1 {
    /// No bit: stopped.
    pub const STOP: u32 = 0;
    /// Runs.
    pub const RUNNING: u32 = 1;
    /// Its state can be read.
    pub const SAVING: u32 = 2;
    /// It takes in a state.
    pub const RESUMING: u32 = 4;
}

/// `flags` of DMA_UNMAP (0.9.1; version 8 has the first of them).
pub mod dma_unmap_flags {
    /// Tell which pages were dirty.
    pub const GET_DIRTY_BITMAP: u32 = 1;
    /// Unmap everything.
    pub const ALL: u32 = 2;
}

/// `flags` of DIRTY_PAGES (0.9.1 and version 8).
pub mod dirty_pages_flags {
    /// Begin to log.
    pub const START: u32 = 1;
    /// End the logging.
    pub const STOP: u32 = 2;
    /// Tell what was logged.
    pub const GET_BITMAP: u32 = 4;
}
