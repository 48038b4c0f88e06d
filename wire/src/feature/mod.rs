//! The features of DEVICE_FEATURE, one file each (specification 1599-1841): what stands behind its fixed part.

mod dma_logging_report;
mod dma_logging_start;
mod dma_logging_stop;
mod mig_device_state;
mod migration;

pub use dma_logging_report::{DMA_LOGGING_REPORT, DmaLoggingReport, dirty_pages};
pub use dma_logging_start::{DMA_LOGGING_START, DmaLoggingRange, DmaLoggingStart};
pub use dma_logging_stop::DMA_LOGGING_STOP;
pub use mig_device_state::{MIG_DEVICE_STATE, MigDeviceState};
pub use migration::{MIGRATION, Migration};

use crate::constants::feature_index;
use crate::field::Body;

/// What one operation on a feature carries behind the fixed part of DEVICE_FEATURE.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Exchange {
    /// The data of the request.
    pub request: Body,
    /// The data of a successful reply.
    pub reply: Body,
}

/// A feature, declared once; which index it has, [`FEATURES`] says. PROBE needs no data for any feature.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Feature {
    /// The specification's name without its VFIO_DEVICE_FEATURE_ prefix.
    pub name: &'static str,
    /// Its GET; `None` where it has none.
    pub get: Option<Exchange>,
    /// Its SET; `None` where it has none.
    pub set: Option<Exchange>,
    /// Section and lines of specification 0.9.2.
    pub clause: &'static str,
}

/// The features of version 0.9.2, by index (specification 1606-1618).
pub const FEATURES: &[(u16, &Feature)] = &[
    (feature_index::MIGRATION, &MIGRATION),
    (feature_index::MIG_DEVICE_STATE, &MIG_DEVICE_STATE),
    (feature_index::DMA_LOGGING_START, &DMA_LOGGING_START),
    (feature_index::DMA_LOGGING_STOP, &DMA_LOGGING_STOP),
    (feature_index::DMA_LOGGING_REPORT, &DMA_LOGGING_REPORT),
];

/// The feature of that index.
pub fn feature(index: u16) -> Option<&'static Feature> {
    FEATURES.iter().find(|(known, _)| *known == index).map(|(_, feature)| *feature)
}
