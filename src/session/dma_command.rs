//! The payloads of DMA_READ and DMA_WRITE, which version 8 has otherwise than all later ones.

use vfio_user_wire::message::DmaAccess;
use vfio_user_wire::tables::{self, Table};
use vfio_user_wire::{Dialect, Layout};

/// The fixed part of a command and of its reply.
pub(super) fn layout(dialect: &Dialect) -> &'static Layout {
    if dialect.table == Some(Table::V8) { &tables::DmaAccess::LAYOUT } else { &DmaAccess::LAYOUT }
}

/// What a command asks for, and the data behind that.
pub(super) fn parse<'a>(dialect: &Dialect, payload: &'a [u8]) -> Option<(DmaAccess, &'a [u8])> {
    if dialect.table != Some(Table::V8) {
        return DmaAccess::parse(payload);
    }
    let (access, data) = tables::DmaAccess::parse(payload)?;
    Some((DmaAccess { address: access.address, count: u64::from(access.count) }, data))
}

/// The payload of the reply to a DMA_READ, which has `data`, or to a DMA_WRITE.
pub(super) fn reply(dialect: &Dialect, access: &DmaAccess, data: Option<Vec<u8>>) -> Vec<u8> {
    let mut payload = if dialect.table == Some(Table::V8) {
        // In the reply to a DMA_WRITE it is 0 (version 8 at 595dff9, 1462-1465).
        let count = if data.is_some() { access.count as u32 } else { 0 };
        tables::DmaAccess { address: access.address, count }.bytes().to_vec()
    } else {
        access.bytes().to_vec()
    };
    payload.extend(data.unwrap_or_default());
    payload
}
