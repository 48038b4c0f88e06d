//! The migration region of the protocols before 0.9.2: what an access to it means, which states there are, and how far
//! its data are read (0.9.1 at 190f85b^, 1667-1838).
//!
//! States are counted as 0.9.2 does, so that what holds for a device that is stopped is said once.

use vfio_user_wire::device_state::{ERROR, PRE_COPY, RESUMING, RUNNING, STOP, STOP_COPY};
use vfio_user_wire::legacy::{MigrationInfo, MigrationInfoPfn, migration_state as v1};
use vfio_user_wire::tables::Table;

use super::OfferedMigrationRegion;
use super::edition::Edition;
use super::migration::{States, Way};
use super::spans::{Span, span};
use crate::verdict::Class::{Note, Violation};

/// What an access is to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Register {
    /// `device_state`.
    State,
    /// The four bytes that mean nothing.
    Reserved,
    /// `pending_bytes`.
    Pending,
    /// `data_offset`.
    DataOffset,
    /// `data_size`.
    DataSize,
    /// `start_pfn`, `page_size` or `total_pfns`, by its place.
    PfnInput(usize),
    /// `copied_pfns`.
    CopiedPfns,
    /// Registers, but not one at its own width and alignment.
    Odd,
    /// What lies behind the registers.
    Behind,
}

impl OfferedMigrationRegion {
    /// Bytes of the registers.
    pub(super) fn registers(&self) -> u64 {
        let layout = if self.pfn_query { MigrationInfoPfn::LAYOUT } else { MigrationInfo::LAYOUT };
        layout.size as u64
    }

    /// What an access of `count` bytes at `offset` is to.
    pub(super) fn register(&self, offset: u64, count: u64) -> Register {
        if offset >= self.registers() {
            return Register::Behind;
        }
        match (offset, count) {
            (0, 4) => Register::State,
            (4, 4) => Register::Reserved,
            (8, 8) => Register::Pending,
            (16, 8) => Register::DataOffset,
            (24, 8) => Register::DataSize,
            (32 | 40 | 48, 8) => Register::PfnInput((offset as usize - 32) / 8),
            (56, 8) => Register::CopiedPfns,
            _ => Register::Odd,
        }
    }
}

/// The state that 0.9.2 would call by another number; `None` where there is none.
pub(super) fn state_of(register: u32) -> Option<u32> {
    Some(match register {
        v1::STOPPED => STOP,
        v1::RUNNING => RUNNING,
        v1::STOP_AND_COPY => STOP_COPY,
        v1::PRE_COPY => PRE_COPY,
        v1::RESUMING => RESUMING,
        v1::ERROR => ERROR,
        _ => return None,
    })
}

/// What `device_state` says in a state.
pub(super) fn register_of(state: u32) -> u32 {
    match state {
        STOP => v1::STOPPED,
        STOP_COPY => v1::STOP_AND_COPY,
        PRE_COPY => v1::PRE_COPY,
        RESUMING => v1::RESUMING,
        ERROR => v1::ERROR,
        _ => v1::RUNNING,
    }
}

/// What the text calls these states.
pub(super) fn names(states: States) -> String {
    let name = |state: u32| match state {
        STOP => "stopped",
        RUNNING => "running",
        STOP_COPY => "stop-and-copy",
        PRE_COPY => "pre-copy",
        RESUMING => "resuming",
        _ => "the error state",
    };
    states.iter().map(name).collect::<Vec<_>>().join(" or ")
}

/// What comes of asking a device in the state `from` for the state `to` (1735-1747); `None` where the text does not say.
pub(super) fn way(edition: Edition, from: u32, to: u32, in_iteration: bool) -> Option<Way> {
    Some(match (from, to) {
        _ if from == to => Way::Same,
        // The table of version 8 has these as refused (at 595dff9, 1023-1037).
        (STOP | STOP_COPY, RUNNING) if edition == Edition::Tables(Table::V8) => Way::Closed("V8-22", Note),
        (ERROR, _) => return None,
        (RUNNING, PRE_COPY) => Way::Open("L-MR-09"),
        (PRE_COPY, STOP_COPY) if in_iteration => Way::Open("L-MR-20"),
        (STOP, RUNNING)
        | (RUNNING, STOP | STOP_COPY | RESUMING)
        | (STOP_COPY, STOP | RUNNING)
        | (PRE_COPY, STOP_COPY) => Way::Open("L-MR-07"),
        (RESUMING, RUNNING) => Way::Loaded("L-MR-07"),
        _ => Way::Closed("L-MR-08", Violation),
    })
}

/// What was read of a register, and what it breaks if it changes.
pub(super) type Read = (u64, &'static str);

/// A bitmap that was put into the region and not read yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Copied {
    /// First IOVA.
    pub(super) iova: u64,
    /// Bytes of a page.
    pub(super) page_size: u64,
    /// How many pages it is of.
    pub(super) pages: u64,
}

impl Copied {
    /// What it is of.
    pub(super) fn span(&self) -> Span {
        span(self.iova, self.pages.saturating_mul(self.page_size))
    }

    /// Bytes that its bits take.
    pub(super) fn bytes(&self) -> u64 {
        self.pages.div_ceil(8)
    }
}

/// What is known of the data that go through the region.
#[derive(Debug, Clone)]
pub(super) struct Transfer {
    /// `pending_bytes`, where it should be the same if read again.
    pub(super) pending: Option<Read>,
    /// What `pending_bytes` was when this iteration began.
    pub(super) announced: Option<u64>,
    /// `data_offset` of this iteration.
    pub(super) offset: Option<Read>,
    /// `data_size` of this iteration.
    pub(super) size: Option<u64>,
    /// `start_pfn`, `page_size` and `total_pfns`, as they were written last.
    pub(super) inputs: [Option<u64>; 3],
    /// None of them was ever written.
    pub(super) is_untold: bool,
    /// The bitmap that `copied_pfns` has told of.
    pub(super) copied: Option<Copied>,
    /// Pages are logged since the device's state can be read.
    pub(super) logs: bool,
}

impl Default for Transfer {
    fn default() -> Transfer {
        Transfer {
            pending: None,
            announced: None,
            offset: None,
            size: None,
            inputs: [None; 3],
            is_untold: true,
            copied: None,
            logs: false,
        }
    }
}

impl Transfer {
    /// Nothing is known of the data any more.
    pub(super) fn forget(&mut self) {
        *self = Transfer { logs: self.logs, is_untold: self.is_untold, ..Transfer::default() };
    }

    /// Data were read: behind the last of what was made available the next iteration begins.
    pub(super) fn was_read(&mut self, offset: u64, count: u64) {
        let (Some((start, _)), Some(size)) = (self.offset, self.size) else { return };
        if self.copied.is_none() && offset >= start && offset.saturating_add(count) >= start.saturating_add(size) {
            (self.announced, self.offset, self.size) = (None, None, None);
        }
    }

    /// What `copied_pfns` would be of: first IOVA, bytes of a page, pages; `None` where something was not written.
    pub(super) fn asked(&self) -> Option<Copied> {
        let [Some(start), Some(page_size), Some(pages)] = self.inputs else { return None };
        Some(Copied { iova: start.saturating_mul(page_size), page_size, pages })
    }

    /// Whether a device can be asked for that: pages of a size that there is, some of them, and none past 2^64.
    pub(super) fn is_askable(&self) -> Option<bool> {
        let [Some(start), Some(page_size), Some(pages)] = self.inputs else { return None };
        let end = (u128::from(start) + u128::from(pages)).checked_mul(u128::from(page_size));
        Some(page_size.is_power_of_two() && pages > 0 && end.is_some_and(|end| end <= 1 << 64))
    }
}
