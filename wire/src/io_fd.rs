//! The numbers of sub-regions, which `linux/vfio.h` does not have: the specification (1014-1016, 1046-1050, 1086-1089)
//! gives their names alone.

/// `type` of a sub-region, as servers in use number it.
pub mod io_fd_type {
    /// An ioeventfd.
    pub const IOEVENTFD: u32 = 0;
    /// An ioregionfd.
    pub const IOREGIONFD: u32 = 1;
}

/// `flags` of an ioeventfd: KVM's of that name (`include/uapi/linux/kvm.h`).
pub mod io_event_fd_flags {
    /// Only writes of the value `datamatch`.
    pub const DATAMATCH: u32 = 1;
    /// An I/O port.
    pub const PIO: u32 = 2;
    /// A virtio-ccw device.
    pub const VIRTIO_CCW_NOTIFY: u32 = 8;
}

/// `flags` of an ioregionfd, as they were proposed for KVM, which never took them in.
pub mod io_region_fd_flags {
    /// An I/O port.
    pub const PIO: u32 = 1;
    /// Nobody waits for writes.
    pub const POSTED_WRITES: u32 = 2;
}
