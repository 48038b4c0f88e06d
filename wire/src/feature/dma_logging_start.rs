//! DMA_LOGGING_START: the device begins to log what it writes by DMA (specification 1754-1801).

use super::{Exchange, Feature, fields, with_data};
use crate::entries::entries;
use crate::field::{Body, Field, Layout, Tail};
use crate::layout;

layout! {
    /// The fixed part of the data of DMA_LOGGING_START, both ways; the ranges follow it.
    pub struct DmaLoggingStart: 16 {
        /// Bytes of memory that one entry of the log should stand for; in the reply those that the device chose.
        page_size: u64 @ 0,
        /// How many ranges follow; with 0 every write is logged.
        num_ranges: u32 @ 8,
        /// 0.
        reserved: u32 @ 12,
    }
}

layout! {
    /// A range that is to be logged.
    pub struct DmaLoggingRange: 16 {
        /// First IOVA.
        iova: u64 @ 0,
        /// Bytes.
        length: u64 @ 8,
    }
}

const FIELDS: [Field; 5] = fields(&DmaLoggingStart::LAYOUT);
const PAYLOAD: Layout = with_data("DeviceFeatureDmaLoggingStart", &DmaLoggingStart::LAYOUT, &FIELDS);

/// Starts to log the device's DMA writes, at the least in the ranges given. The reply repeats the request but for
/// `page_size`. It cannot be read.
pub const DMA_LOGGING_START: Feature = Feature {
    name: "DMA_LOGGING_START",
    get: None,
    set: Some(Exchange {
        request: Body::with_tail(&PAYLOAD, Tail::Ranges),
        reply: Body::with_tail(&PAYLOAD, Tail::Ranges),
    }),
    clause: "DMA_LOGGING_START 1754-1801",
};

impl DmaLoggingStart {
    /// The ranges in `tail`, and what follows them: `num_ranges` ranges, or fewer where `tail` holds fewer whole ones.
    pub fn ranges<'a>(&self, tail: &'a [u8]) -> (&'a [DmaLoggingRange], &'a [u8]) {
        entries(tail, u64::from(self.num_ranges))
    }
}
