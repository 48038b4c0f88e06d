//! Sets of addresses.

use std::collections::BTreeMap;

/// Addresses as ranges that neither overlap nor touch, each by its first one, with its last one: the range at the end of
/// the address space has no end that a u64 can hold.
#[derive(Debug, Default)]
pub(crate) struct RangeSet {
    ranges: BTreeMap<u64, u64>,
}

impl RangeSet {
    /// Adds all addresses from `first` to `last`.
    pub(crate) fn insert(&mut self, mut first: u64, mut last: u64) {
        // From behind, each range that overlaps the new one or touches it becomes a part of it.
        while let Some((&start, &end)) = self.ranges.range(..=last.saturating_add(1)).next_back() {
            if end.saturating_add(1) < first {
                break;
            }
            self.ranges.remove(&start);
            (first, last) = (first.min(start), last.max(end));
        }
        self.ranges.insert(first, last);
    }

    /// Some address from `first` to `last` is in it.
    pub(crate) fn has_any(&self, first: u64, last: u64) -> bool {
        self.ranges.range(..=last).next_back().is_some_and(|(_, end)| *end >= first)
    }

    /// Takes out all addresses from `first` to `last`: the ranges that were there.
    pub(crate) fn take(&mut self, first: u64, last: u64) -> Vec<(u64, u64)> {
        let mut taken = Vec::new();
        while let Some((&start, &end)) = self.ranges.range(..=last).next_back() {
            if end < first {
                break;
            }
            self.ranges.remove(&start);
            if start < first {
                self.ranges.insert(start, first - 1);
            }
            if end > last {
                self.ranges.insert(last + 1, end);
            }
            taken.push((start.max(first), end.min(last)));
        }
        taken
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(ranges: &[(u64, u64)]) -> RangeSet {
        let mut set = RangeSet::default();
        ranges.iter().for_each(|(first, last)| set.insert(*first, *last));
        set
    }

    fn all(set: &RangeSet) -> Vec<(u64, u64)> {
        set.ranges.iter().map(|(first, last)| (*first, *last)).collect()
    }

    #[test]
    fn ranges_that_touch_become_one() {
        assert_eq!(all(&set(&[(0, 9), (20, 29), (10, 19)])), [(0, 29)]);
        assert_eq!(all(&set(&[(0, 9), (11, 19)])), [(0, 9), (11, 19)]);
        assert_eq!(all(&set(&[(5, 6), (1, 2), (0, u64::MAX), (8, 9)])), [(0, u64::MAX)]);
        assert_eq!(all(&set(&[(u64::MAX, u64::MAX), (0, 0)])), [(0, 0), (u64::MAX, u64::MAX)]);
    }

    #[test]
    fn what_is_taken_is_gone_and_nothing_else() {
        let mut ranges = set(&[(0, 9), (20, 29), (40, u64::MAX)]);
        assert_eq!(ranges.take(5, 24), [(20, 24), (5, 9)]);
        assert_eq!(all(&ranges), [(0, 4), (25, 29), (40, u64::MAX)]);
        assert_eq!(ranges.take(u64::MAX, u64::MAX), [(u64::MAX, u64::MAX)]);
        assert_eq!(ranges.take(30, 39), []);
        assert_eq!(ranges.take(0, u64::MAX), [(40, u64::MAX - 1), (25, 29), (0, 4)]);
        assert_eq!(all(&ranges), []);
    }
}
