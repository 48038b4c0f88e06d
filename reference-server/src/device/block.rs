//! Blocks of bytes at fixed offsets in a region, and accesses that may cover several of them.

/// Copies what `block`, which stands at `start` in the region, has of the bytes from `offset` on.
pub(crate) fn load(block: &[u8], start: u64, offset: u64, bytes: &mut [u8]) {
    let (skipped, at) = meet(start, offset);
    for (to, from) in bytes.iter_mut().skip(skipped).zip(block.iter().skip(at)) {
        *to = *from;
    }
}

/// Copies what of `bytes`, written at `offset`, falls into `block`, which stands at `start` in the region.
pub(crate) fn store(block: &mut [u8], start: u64, offset: u64, bytes: &[u8]) {
    let (skipped, at) = meet(start, offset);
    for (to, from) in block.iter_mut().skip(at).zip(bytes.iter().skip(skipped)) {
        *to = *from;
    }
}

/// How many bytes of the access lie before the block, and how many bytes of the block before the access.
pub(crate) fn meet(start: u64, offset: u64) -> (usize, usize) {
    let bytes = |distance: u64| usize::try_from(distance).unwrap_or(usize::MAX);
    (bytes(start.saturating_sub(offset)), bytes(offset.saturating_sub(start)))
}
