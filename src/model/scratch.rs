//! What scratch bytes of the device should read as.

use std::collections::BTreeMap;

/// Writes longer than this are not followed byte by byte.
const MOST: u64 = 4096;

/// What scratch bytes of the device should read as, where the client has written them and nothing since has left it
/// open.
#[derive(Debug, Clone, Default)]
pub(super) struct Scratch {
    bytes: BTreeMap<(u32, u64), u8>,
    /// Another client may write, too.
    shared: bool,
}

impl Scratch {
    /// These bytes were written.
    pub(super) fn written(&mut self, region: u32, offset: u64, data: &[u8]) {
        if self.shared || data.len() as u64 > MOST {
            self.forget(region, offset, data.len() as u64);
            return;
        }
        for (at, byte) in (offset..).zip(data) {
            self.bytes.insert((region, at), *byte);
        }
    }

    /// Nothing is known of these bytes any more.
    pub(super) fn forget(&mut self, region: u32, offset: u64, count: u64) {
        let end = offset.saturating_add(count);
        let known: Vec<(u32, u64)> = self.bytes.range((region, offset)..(region, end)).map(|(at, _)| *at).collect();
        for at in known {
            self.bytes.remove(&at);
        }
    }

    /// Nothing is known any more.
    pub(super) fn forget_all(&mut self) {
        self.bytes.clear();
    }

    /// Other clients may write from now on.
    pub(super) fn share(&mut self) {
        self.shared = true;
        self.bytes.clear();
    }

    /// The first byte that is not what was written last: where in `data`, what it is, what it should be.
    pub(super) fn differs(&self, region: u32, offset: u64, data: &[u8]) -> Option<(usize, u8, u8)> {
        let end = offset.saturating_add(data.len() as u64);
        self.bytes.range((region, offset)..(region, end)).find_map(|((_, at), right)| {
            let place = usize::try_from(at - offset).ok()?;
            let got = *data.get(place)?;
            (got != *right).then_some((place, got, *right))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_write_counts_byte_by_byte() {
        let mut scratch = Scratch::default();
        scratch.written(2, 0x10, &[1, 2, 3, 4]);
        scratch.written(2, 0x12, &[9]);
        assert_eq!(scratch.differs(2, 0x10, &[1, 2, 9, 4]), None);
        assert_eq!(scratch.differs(2, 0x0f, &[0, 1, 2, 3]), Some((3, 3, 9)));
        assert_eq!(scratch.differs(1, 0x10, &[0, 0]), None);
        scratch.forget(2, 0x12, 1);
        assert_eq!(scratch.differs(2, 0x10, &[1, 2, 0, 4]), None);
    }
}
