//! DMA_LOGGING_REPORT: what the device wrote by DMA, as a bitmap of pages (specification 1803-1841).

use super::{Exchange, Feature, fields, with_data};
use crate::bitmap;
use crate::field::{Body, Field, Layout, Tail};
use crate::layout;

layout! {
    /// The data of the request of DMA_LOGGING_REPORT; in the reply the bitmap follows it.
    pub struct DmaLoggingReport: 24 {
        /// First IOVA of the range.
        iova: u64 @ 0,
        /// Bytes of the range.
        length: u64 @ 8,
        /// Bytes of memory for each bit, a power of two; it need not be the one that the logging started with.
        page_size: u64 @ 16,
    }
}

const FIELDS: [Field; 5] = fields(&DmaLoggingReport::LAYOUT);
const PAYLOAD: Layout = with_data("DeviceFeatureDmaLoggingReport", &DmaLoggingReport::LAYOUT, &FIELDS);

/// Tells which pages of a range the device wrote to since the logging started. Refused where it did not start. It
/// cannot be set.
pub const DMA_LOGGING_REPORT: Feature = Feature {
    name: "DMA_LOGGING_REPORT",
    get: Some(Exchange { request: Body::fixed(&PAYLOAD), reply: Body::with_tail(&PAYLOAD, Tail::Bitmap) }),
    set: None,
    clause: "DMA_LOGGING_REPORT 1803-1841",
};

impl DmaLoggingReport {
    /// How many pages the range has, a last one that it does not fill included; `None` for a `page_size` of 0.
    pub fn pages(&self) -> Option<u64> {
        bitmap::pages(self.length, self.page_size)
    }

    /// Bytes of the bitmap: whole u64s with a bit for each page; `None` for a `page_size` of 0.
    pub fn bitmap_size(&self) -> Option<u64> {
        bitmap::bitmap_size(self.length, self.page_size)
    }
}
