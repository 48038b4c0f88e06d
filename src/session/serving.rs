//! How the client answers the server's DMA commands.

use vfio_user_wire::{Field, Frame, Layout};

/// How DMA_READ and DMA_WRITE are served.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Serving {
    /// From the memory that was lent.
    #[default]
    Memory,
    /// Not at all.
    Hold,
    /// With this error.
    Error(u32),
}

/// Changes to the next reply of the client.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Alteration {
    /// Added to the message ID.
    pub id: i128,
    /// Added to the address.
    pub address: i128,
    /// Added to the count.
    pub count: i128,
    /// Added to the length of the payload.
    pub payload: i128,
    /// The length of the payload, in bytes.
    pub length: Option<usize>,
    /// The flags instead of a reply's.
    pub flags: Option<u32>,
    /// The size field instead of the true one.
    pub size: Option<u32>,
}

impl Alteration {
    pub(super) fn apply(&self, layout: &'static Layout, mut reply: Frame) -> Frame {
        let shift = |field: Option<&'static Field>, payload: &mut Vec<u8>, by: i128| {
            if let Some(field) = field
                && let Some(value) = field.read(payload)
            {
                field.write(payload, (i128::from(value) + by) as u64);
            }
        };
        shift(layout.field("address"), &mut reply.payload, self.address);
        shift(layout.field("count"), &mut reply.payload, self.count);
        let length = (reply.payload.len() as i128 + self.payload).clamp(0, 1 << 20) as usize;
        reply.payload.resize(self.length.unwrap_or(length), 0);
        reply.header.id = (i128::from(reply.header.id) + self.id) as u16;
        reply.header.size = self.size.unwrap_or(16 + reply.payload.len() as u32);
        reply.header.flags = self.flags.unwrap_or(reply.header.flags);
        reply
    }
}
