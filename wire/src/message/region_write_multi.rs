//! REGION_WRITE_MULTI: several writes to device regions in one message (specification 1480-1531).

use crate::entries::entries;
use crate::field::{Body, Direction, Message, Tail};
use crate::layout;

layout! {
    /// The fixed part of REGION_WRITE_MULTI, both ways; the writes follow it in the request.
    pub struct MultiWrite: 8 {
        /// How many writes follow; in the reply how many were completed.
        wr_cnt: u64 @ 0,
    }
}

layout! {
    /// One write of REGION_WRITE_MULTI: 24 bytes, however many of them are data.
    pub struct SingleWrite: 24 {
        /// Offset into the region, bytes.
        offset: u64 @ 0,
        /// Which region.
        region: u32 @ 8,
        /// Bytes to transfer, 8 at the most.
        count: u32 @ 12,
        /// The data, in the order of its bytes from the first byte on.
        data: u64 @ 16,
    }
}

/// Writes to regions, in order. Only a server that said `write_multiple` supports it (specification 538-539).
pub const REGION_WRITE_MULTI: Message = Message {
    name: "REGION_WRITE_MULTI",
    direction: Direction::ToServer,
    request: Body::with_tail(&MultiWrite::LAYOUT, Tail::Writes),
    reply: Body::fixed(&MultiWrite::LAYOUT),
    variants: &[],
    clause: "REGION_WRITE_MULTI 1480-1531",
};

impl MultiWrite {
    /// The writes in the `tail` of a request, and what follows them: `wr_cnt` writes, or fewer where `tail` holds fewer
    /// whole ones.
    pub fn writes<'a>(&self, tail: &'a [u8]) -> (&'a [SingleWrite], &'a [u8]) {
        entries(tail, self.wr_cnt)
    }
}

impl SingleWrite {
    /// A write of `data`; `None` for more than 8 bytes.
    pub fn of(offset: u64, region: u32, data: &[u8]) -> Option<SingleWrite> {
        let mut wide = [0; 8];
        wide.get_mut(..data.len())?.copy_from_slice(data);
        Some(SingleWrite { offset, region, count: data.len() as u32, data: u64::from_ne_bytes(wide) })
    }

    /// The bytes to write; `None` where `count` says more than 8.
    pub fn written(&self) -> Option<&[u8]> {
        self.bytes().get(16..)?.get(..self.count as usize)
    }
}
