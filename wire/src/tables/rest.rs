//! Entries of several sizes, one right behind the other, read one at a time.

use zerocopy::FromBytes;

/// What of some bytes is still to be read.
#[derive(Debug, Clone)]
pub(crate) struct Rest<'a> {
    bytes: &'a [u8],
    offset: usize,
}

/// An entry that is not there as a whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("what starts at byte {offset} takes {needed} bytes, and {left} are left")]
pub struct CutOff {
    /// Where it starts in the bytes that were given.
    pub offset: usize,
    /// Bytes that it takes.
    pub needed: u64,
    /// Bytes that there are.
    pub left: usize,
}

impl<'a> Rest<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Rest<'a> {
        Rest { bytes, offset: 0 }
    }

    /// The next `size` bytes.
    pub(crate) fn take(&mut self, size: u64) -> Result<&'a [u8], CutOff> {
        let left = self.bytes.get(self.offset..).unwrap_or_default();
        let taken = usize::try_from(size).ok().and_then(|size| left.get(..size));
        let taken = taken.ok_or(CutOff { offset: self.offset, needed: size, left: left.len() })?;
        self.offset += taken.len();
        Ok(taken)
    }

    /// The structure with which the next `size` bytes begin, which are at the least as many as it has.
    pub(crate) fn structure<T: FromBytes>(&mut self, size: usize) -> Result<T, CutOff> {
        let cut_off = CutOff { offset: self.offset, needed: size as u64, left: self.bytes.len() - self.offset };
        T::read_from_prefix(self.take(size as u64)?).map(|(structure, _)| structure).map_err(|_| cut_off)
    }

    /// The next entry, as `read` takes it; `None` at the end, and behind an entry that was cut off.
    pub(crate) fn entry<T>(&mut self, read: impl FnOnce(&mut Self) -> Result<T, CutOff>) -> Option<Result<T, CutOff>> {
        if self.offset == self.bytes.len() {
            return None;
        }
        let entry = read(self);
        if entry.is_err() {
            self.offset = self.bytes.len();
        }
        Some(entry)
    }
}
