//! The registers at the start of a migration region (0.9.1 at 190f85b^, 1667-1838; version 8 at 595dff9, 958-1128).

use crate::layout;

layout! {
    /// The registers, each read and written by REGION_READ and REGION_WRITE at its own width. Migration data stands
    /// somewhere behind them.
    pub struct MigrationInfo: 32 {
        /// The state that the device is in; writing it brings the device into another one before the reply. The states
        /// are those of [`migration_state`].
        device_state: u32 @ 0 { running = 0x1, saving = 0x2, resuming = 0x4 },
        /// No access to it does anything.
        reserved: u32 @ 4,
        /// Bytes of migration data that are still to come; read only.
        pending_bytes: u64 @ 8,
        /// Where in the region migration data is to be read or written; read only. Reading it while saving puts data
        /// there.
        data_offset: u64 @ 16,
        /// Bytes of migration data that are there.
        data_size: u64 @ 24,
    }
}

layout! {
    /// The registers of a region in which dirty pages can be asked for by page number. No text of vfio-user has the last
    /// four: they were proposed for the kernel, which never took them in.
    pub struct MigrationInfoPfn: 64 {
        /// The state that the device is in; writing it brings the device into another one before the reply.
        device_state: u32 @ 0 { running = 0x1, saving = 0x2, resuming = 0x4 },
        /// No access to it does anything.
        reserved: u32 @ 4,
        /// Bytes of migration data that are still to come; read only.
        pending_bytes: u64 @ 8,
        /// Where in the region migration data or a bitmap is to be read or written; read only.
        data_offset: u64 @ 16,
        /// Bytes of migration data that are there.
        data_size: u64 @ 24,
        /// First page, in pages of `page_size`; write only.
        start_pfn: u64 @ 32,
        /// Bytes of a page; write only.
        page_size: u64 @ 40,
        /// How many pages are asked for; write only.
        total_pfns: u64 @ 48,
        /// How many pages the bitmap at `data_offset` is of, which reading this puts there; or one of [`dirty_pfns`].
        /// Read only.
        copied_pfns: u64 @ 56,
    }
}

/// `copied_pfns` where there is no bitmap.
pub mod dirty_pfns {
    /// No page of the range, or of the rest of it, is dirty.
    pub const NONE: u64 = 0;
    /// Every page of the range, or of the rest of it, is dirty.
    pub const ALL: u64 = u64::MAX;
}

/// `device_state` of a migration region: the states that its bits make. 5 and 7 are none.
pub mod migration_state {
    use crate::constants::device_state_v1::{self, RESUMING as RESUMING_BIT, RUNNING as RUNNING_BIT, SAVING};

    /// Stopped.
    pub const STOPPED: u32 = device_state_v1::STOP;
    /// Runs: the state at the beginning.
    pub const RUNNING: u32 = RUNNING_BIT;
    /// Stopped, and its state can be read.
    pub const STOP_AND_COPY: u32 = SAVING;
    /// Runs, and its state can be read meanwhile.
    pub const PRE_COPY: u32 = RUNNING_BIT | SAVING;
    /// Takes in a state.
    pub const RESUMING: u32 = RESUMING_BIT;
    /// Failed; a client cannot ask for it.
    pub const ERROR: u32 = SAVING | RESUMING_BIT;
    /// All bits that a state has; the rest is reserved.
    pub const MASK: u32 = RUNNING_BIT | SAVING | RESUMING_BIT;
}
