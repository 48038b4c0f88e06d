//! What scratch bytes of the device should read as.

use std::collections::{BTreeMap, BTreeSet};

/// Writes longer than this are not followed byte by byte.
const MOST: u64 = 4096;

/// What scratch bytes of the device should read as, where the client has written them and nothing since has left it
/// open.
#[derive(Debug, Clone, Default)]
pub(super) struct Scratch {
    bytes: BTreeMap<(u32, u64), (u8, &'static str)>,
}

impl Scratch {
    /// These bytes were written; that they read back so is what `requirement` says.
    pub(super) fn written(&mut self, requirement: &'static str, region: u32, offset: u64, data: &[u8]) {
        if data.len() as u64 > MOST {
            self.forget(region, offset, data.len() as u64);
            return;
        }
        for (at, byte) in (offset..).zip(data) {
            self.bytes.insert((region, at), (*byte, requirement));
        }
    }

    /// The same bytes, as what another requirement asks for.
    pub(super) fn owed(mut self, requirement: &'static str) -> Scratch {
        self.bytes.values_mut().for_each(|(_, by)| *by = requirement);
        self
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

    /// The first byte that is not what was written last.
    pub(super) fn differs(&self, region: u32, offset: u64, data: &[u8]) -> Option<Difference> {
        let end = offset.saturating_add(data.len() as u64);
        self.bytes.range((region, offset)..(region, end)).find_map(|((_, at), (right, requirement))| {
            let (at, right, requirement) = (usize::try_from(at - offset).ok()?, *right, *requirement);
            let got = *data.get(at)?;
            (got != right).then_some(Difference { at, got, right, requirement })
        })
    }

    /// The requirements of the writes that these bytes come from.
    pub(super) fn requirements(&self, region: u32, offset: u64, count: u64) -> BTreeSet<&'static str> {
        let end = offset.saturating_add(count);
        self.bytes.range((region, offset)..(region, end)).map(|(_, (_, requirement))| *requirement).collect()
    }
}

/// A byte that is not what was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Difference {
    /// Where in the data that were read.
    pub(super) at: usize,
    /// What it is.
    pub(super) got: u8,
    /// What it should be.
    pub(super) right: u8,
    /// Which requirement of the write says so.
    pub(super) requirement: &'static str,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_write_counts_byte_by_byte() {
        let mut scratch = Scratch::default();
        scratch.written("RWRITE-02", 2, 0x10, &[1, 2, 3, 4]);
        scratch.written("WMULTI-02", 2, 0x12, &[9]);
        assert_eq!(scratch.differs(2, 0x10, &[1, 2, 9, 4]), None);
        let different = Difference { at: 3, got: 3, right: 9, requirement: "WMULTI-02" };
        assert_eq!(scratch.differs(2, 0x0f, &[0, 1, 2, 3]), Some(different));
        assert_eq!(scratch.differs(1, 0x10, &[0, 0]), None);
        assert_eq!(scratch.requirements(2, 0x11, 2), BTreeSet::from(["RWRITE-02", "WMULTI-02"]));
        scratch.forget(2, 0x12, 1);
        assert_eq!(scratch.differs(2, 0x10, &[1, 2, 0, 4]), None);
    }

    #[test]
    fn a_write_of_a_page_is_followed_and_no_longer_one() {
        let differs = |length: u64| {
            let mut scratch = Scratch::default();
            scratch.written("RWRITE-02", 2, 0, &vec![1; length as usize]);
            scratch.differs(2, 0, &[0]).is_some()
        };
        assert!(differs(MOST) && !differs(MOST + 1));
    }
}
