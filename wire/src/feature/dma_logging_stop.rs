//! DMA_LOGGING_STOP: the end of a DMA_LOGGING_START (specification 1754-1801).

use super::{Exchange, Feature};
use crate::field::{Body, Tail};
use crate::message::DeviceFeature;

/// With whatever data the client reads the section to ask for.
const PAYLOAD: Body = Body::with_tail(&DeviceFeature::LAYOUT, Tail::Feature);

/// Ends the logging. It has no data, as in the kernel: the table in the section that it shares with DMA_LOGGING_START
/// describes a start alone, though a client may read it as being for both. It cannot be read.
pub const DMA_LOGGING_STOP: Feature = Feature {
    name: "DMA_LOGGING_STOP",
    get: None,
    set: Some(Exchange { request: PAYLOAD, reply: PAYLOAD }),
    clause: "DMA_LOGGING_STOP 1754-1801",
};
