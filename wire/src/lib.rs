//! vfio-user on the wire: the header, every message as a table of fields, the dialects that map command numbers to
//! messages, and the parsing of all that is not a fixed table (version data, capability chains, sub-regions). No I/O.
//!
//! Each message is declared once, in [`mod@message`], or in [`legacy`] and [`tables`] where an earlier version of the
//! protocol has it otherwise, by the [`layout!`] macro: from it come the struct with its asserted layout and the
//! [`Layout`] that names each field with offset, width and meaning. Integers are in host byte order (specification
//! 358-361).

// What `layout!` expands to names zerocopy by this crate's name, here as in every other crate.
extern crate self as vfio_user_wire;

mod bitmap;
mod capability;
mod constants;
mod dialect;
mod entries;
pub mod feature;
mod field;
mod frame;
mod header;
mod io_fd;
pub mod legacy;
pub mod message;
mod sub_region;
pub mod tables;
mod version_data;

pub use bitmap::{bitmap_size, dirty_pages};
pub use capability::{
    Capability, CapabilityBody, CapabilityError, CapabilityHeader, RegionType, SparseArea, SparseHeader, capabilities,
    sparse_mmap_bytes, type_bytes,
};
pub use constants::{
    device_info_flags, device_state, device_state_v1, dirty_pages_flags, dma_unmap_flags, feature_flags, feature_index,
    irq, irq_info_flags, irq_set_flags, migration_flags, region, region_capability, region_info_flags, region_subtype,
    region_type,
};
pub use dialect::{Dialect, V0_9_1, V0_9_2, V8, V8C};
pub use field::{Bit, Body, Decoded, DecodedField, Direction, Field, Layout, Message, Tail, Variant};
pub use frame::{Frame, FrameError};
pub use header::{ERROR, HEADER_SIZE, Header, NO_REPLY, TYPE_COMMAND, TYPE_MASK, TYPE_REPLY};
pub use io_fd::{io_event_fd_flags, io_fd_type, io_region_fd_flags};
pub use sub_region::{IoEventFd, IoRegionFd, StrideError, SubRegion, SubRegions};
pub use version_data::{
    DEFAULT_MAX_DATA_XFER_SIZE, DEFAULT_MAX_DMA_MAPS, DEFAULT_MAX_FDS, DEFAULT_MAX_MSG_FDS, DEFAULT_MAX_MSG_SIZE,
    DEFAULT_PGSIZES, LegacyLimits, Limits, MOST_VERSION_DATA, VersionData, VersionDataError,
};
#[doc(hidden)]
pub use zerocopy;
