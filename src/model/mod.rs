//! What a conforming server may answer, as a state machine without I/O: the one judge of replies.
//!
//! [`judge_reply`] says what holds for every reply: its header, its size, what its fixed fields must say, the limits that
//! were negotiated, and nothing extra. A [`Session`] follows one connection: from what was sent and what was answered it
//! knows which maps and interrupts there are, and so what may be answered next. Where the specification leaves a choice
//! it takes up what the server chose.

mod capabilities;
mod carried;
mod command;
mod device_feature;
mod device_info;
mod dirty_bitmap;
mod dirty_bits;
mod dirty_log;
mod edition;
mod io_fds;
mod irq_info;
mod irqs;
mod judgement;
mod legacy;
mod maps;
mod mig_data;
mod migration;
mod migration_region;
mod offer;
mod permits;
mod region_access;
mod region_info;
mod reply;
mod request;
mod ruling;
mod scratch;
mod session;
mod spans;
mod tables;
mod twin;
mod version;

use vfio_user_wire::Dialect;

pub use command::{Command, FdKind, Negotiated, PassedFd, Reply};
pub use irqs::{LetGo, Signals};
pub use judgement::{Broken, Instead, Judgement, Judgements};
pub use maps::Released;
pub use offer::{Offer, OfferedIoFds, OfferedIrq, OfferedMigrationRegion, OfferedRegion, ScratchRange};
pub use permits::{Kind, Permits, Rule};
pub use reply::{judge_order, judge_reply};
pub use request::judge_request;
pub use ruling::is_known;
pub use session::Session;
pub use twin::{Channel, TwinSocket, judge_reply_channel, judge_twin_socket};
pub use version::negotiated;

/// What a requirement of 0.9.1 is called in a version of the protocol that has a row of its own for it.
pub fn name_in<'a>(dialect: &Dialect, requirement: &'a str) -> &'a str {
    edition::Edition::of(dialect).own_name(requirement)
}

#[cfg(test)]
mod access_rulings_tests;
#[cfg(test)]
mod capabilities_tests;
#[cfg(test)]
mod device_feature_tests;
#[cfg(test)]
mod device_tests;
#[cfg(test)]
mod dirty_pages_rulings_tests;
#[cfg(test)]
mod dma_logging_report_tests;
#[cfg(test)]
mod dma_logging_tests;
#[cfg(test)]
mod io_fds_tests;
#[cfg(test)]
mod irq_rulings_tests;
#[cfg(test)]
mod legacy_tests;
#[cfg(test)]
mod legacy_unmap_tests;
#[cfg(test)]
mod map_rulings_tests;
#[cfg(test)]
mod migration_data_tests;
#[cfg(test)]
mod migration_region_data_tests;
#[cfg(test)]
mod migration_region_tests;
#[cfg(test)]
mod migration_tests;
#[cfg(test)]
mod pfn_query_tests;
#[cfg(test)]
mod query_rulings_tests;
#[cfg(test)]
mod reply_tests;
#[cfg(test)]
mod request_tests;
#[cfg(test)]
mod rulings_tests;
#[cfg(test)]
mod samples;
#[cfg(test)]
mod session_tests;
#[cfg(test)]
mod tables_bitmaps_tests;
#[cfg(test)]
mod tables_tests;
#[cfg(test)]
mod tested_requirements_tests;
#[cfg(test)]
mod tests;
#[cfg(test)]
mod twin_tests;
#[cfg(test)]
mod version_tests;
