//! The payloads of DMA_READ and DMA_WRITE, whose count has 4 bytes (1341-1357, 1413-1465).

use vfio_user_wire::tables::DmaAccess;

/// How a payload begins. A message has room for less than 4 GiB.
pub(crate) fn head(address: u64, count: u64) -> Vec<u8> {
    DmaAccess { address, count: count as u32 }.bytes().to_vec()
}

/// The address and the count in a payload, and what is behind them.
pub(crate) fn parse(payload: &[u8]) -> Option<(u64, u64, &[u8])> {
    DmaAccess::parse(payload).map(|(access, data)| (access.address, u64::from(access.count), data))
}

/// Whether this is the reply to a write there. Its count is 0 (1464-1465); a client may repeat what was written.
pub(crate) fn confirms(address: u64, count: u64, payload: &[u8]) -> bool {
    parse(payload).is_some_and(|(at, written, _)| at == address && (written == 0 || written == count))
}
