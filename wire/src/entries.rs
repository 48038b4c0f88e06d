//! Entries of one size, one right behind the other, that a field of the fixed part counts.

use zerocopy::{FromBytes, Immutable, KnownLayout, Unaligned};

/// The entries that `bytes` start with, and what follows them: `count` entries, or fewer where `bytes` hold fewer whole
/// ones. They stay where they are; nothing is allocated, whatever the count says.
pub(crate) fn entries<T>(bytes: &[u8], count: u64) -> (&[T], &[u8])
where
    T: FromBytes + KnownLayout + Immutable + Unaligned,
{
    let whole = bytes.len().checked_div(size_of::<T>()).unwrap_or(0);
    let count = usize::try_from(count).map_or(whole, |count| count.min(whole));
    <[T]>::ref_from_prefix_with_elems(bytes, count).unwrap_or((&[], bytes))
}
