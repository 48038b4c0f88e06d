//! The features of DEVICE_FEATURE, one file each (specification 1599-1841): its payload for each of their operations.

mod dma_logging_report;
mod dma_logging_start;
mod dma_logging_stop;
mod mig_device_state;
mod migration;

pub use dma_logging_report::{DMA_LOGGING_REPORT, DmaLoggingReport};
pub use dma_logging_start::{DMA_LOGGING_START, DmaLoggingRange, DmaLoggingStart};
pub use dma_logging_stop::DMA_LOGGING_STOP;
pub use mig_device_state::{MIG_DEVICE_STATE, MigDeviceState};
pub use migration::{MIGRATION, Migration};

pub use crate::bitmap::dirty_pages;
use crate::constants::{feature_flags, feature_index};
use crate::field::{Body, Field, Layout, Variant};
use crate::message::DeviceFeature;

/// What one operation on a feature carries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Exchange {
    /// The payload of the request, the fixed part of DEVICE_FEATURE included.
    pub request: Body,
    /// The payload of a successful reply.
    pub reply: Body,
}

/// Only the fixed part of DEVICE_FEATURE.
const NO_DATA: Body = Body::fixed(&DeviceFeature::LAYOUT);

/// The fixed part of DEVICE_FEATURE, and data behind it.
const fn with_data(name: &'static str, data: &Layout, fields: &'static [Field]) -> Layout {
    Layout { name, size: DeviceFeature::LAYOUT.size + data.size, fields }
}

/// The fields of both; `N` is how many there are.
const fn fields<const N: usize>(data: &Layout) -> [Field; N] {
    let head = &DeviceFeature::LAYOUT;
    assert!(N == head.fields.len() + data.fields.len(), "there are more fields, or fewer");
    let mut fields = [head.fields[0]; N];
    let mut i = 1;
    while i < N {
        fields[i] = match i.checked_sub(head.fields.len()) {
            None => head.fields[i],
            Some(at) => Field { offset: head.size + data.fields[at].offset, ..data.fields[at] },
        };
        i += 1;
    }
    fields
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

/// The payloads of DEVICE_FEATURE for each operation of each feature. PROBE, an operation that a feature does not have,
/// and an unknown feature have no form of their own.
pub(crate) const VARIANTS: [Variant; 6] = [
    asked(feature_flags::GET, feature_index::MIGRATION, MIGRATION.get),
    asked(feature_flags::GET, feature_index::MIG_DEVICE_STATE, MIG_DEVICE_STATE.get),
    asked(feature_flags::SET, feature_index::MIG_DEVICE_STATE, MIG_DEVICE_STATE.set),
    asked(feature_flags::SET, feature_index::DMA_LOGGING_START, DMA_LOGGING_START.set),
    asked(feature_flags::SET, feature_index::DMA_LOGGING_STOP, DMA_LOGGING_STOP.set),
    asked(feature_flags::GET, feature_index::DMA_LOGGING_REPORT, DMA_LOGGING_REPORT.get),
];

#[expect(clippy::panic, reason = "it fails when this is compiled")]
const fn asked(operation: u32, index: u16, exchange: Option<Exchange>) -> Variant {
    let Some(Exchange { request, reply }) = exchange else { panic!("the feature does not have the operation") };
    Variant { mask: u64::MAX, flags: operation as u64 | index as u64, request, reply }
}

/// The feature of that index.
pub fn feature(index: u16) -> Option<&'static Feature> {
    FEATURES.iter().find(|(known, _)| *known == index).map(|(_, feature)| *feature)
}
