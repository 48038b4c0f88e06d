//! A bitmap of dirty pages: one bit for each page of a range, in whole u64s.

/// How many pages of `page_size` bytes `length` bytes have, a last one that they do not fill included; `None` for a
/// `page_size` of 0.
pub(crate) fn pages(length: u64, page_size: u64) -> Option<u64> {
    let pages = length.checked_div(page_size)?;
    Some(pages + u64::from(!length.is_multiple_of(page_size)))
}

/// Bytes of the bitmap of `length` bytes of memory: whole u64s with a bit for each page; `None` for a `page_size` of 0.
pub fn bitmap_size(length: u64, page_size: u64) -> Option<u64> {
    Some(pages(length, page_size)?.div_ceil(64) * 8)
}

/// The pages whose bits are set in `bitmap`, counted from the start of the range, in order. Page p has bit p % 64 of
/// u64 p / 64: the formula of the specification (1841), which is the kernel's, leaves out the division by 64 and takes
/// the bit from the address. Bytes behind the last whole u64 have no bits.
pub fn dirty_pages(bitmap: &[u8]) -> impl Iterator<Item = u64> + '_ {
    bitmap.as_chunks::<8>().0.iter().zip(0u64..).flat_map(|(word, index)| {
        let word = u64::from_ne_bytes(*word);
        (0..64).filter(move |bit| word & (1 << bit) != 0).map(move |bit| index * 64 + bit)
    })
}
