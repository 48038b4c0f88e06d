//! The DMA maps that the server should have now.

use std::collections::{BTreeMap, HashMap};

use super::spans::{Span, common, span};

/// One map.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Map {
    /// First IOVA.
    pub(super) address: u64,
    /// Bytes.
    pub(super) size: u64,
    /// The file behind it, by its number.
    pub(super) file: Option<u64>,
    /// It is there for sure: the server said so, and nothing since has left it open.
    pub(super) sure: bool,
    /// The server need not have taken it; what a refusal to unmap it breaks then, as a note.
    pub(super) odd: Option<&'static str>,
    /// What a DMA_UNMAP of version 8 says of it again: the offset in the file, and what the device may do.
    pub(super) told: (u64, u32),
    /// A command that was refused might have harmed it; what it breaks if it did.
    pub(super) disturbed: Option<&'static str>,
}

impl Map {
    fn last(&self) -> u128 {
        u128::from(self.address) + u128::from(self.size) - u128::from(self.size != 0)
    }

    /// It has a byte in common with `size` bytes at `address`.
    fn overlaps(&self, address: u64, size: u64) -> bool {
        let end = u128::from(address) + u128::from(size);
        self.size > 0 && size > 0 && u128::from(self.address) < end && u128::from(address) <= self.last()
    }
}

/// Why a file has no map any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Released {
    /// Its last map was unmapped.
    Unmapped,
    /// The map was refused.
    Refused,
    /// The client is gone.
    Disconnected,
}

/// What a range of addresses meets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Meets {
    /// No map at all.
    Nothing,
    /// One that may be there.
    Perhaps,
    /// One that is there.
    Surely,
}

/// The DMA maps that the server should have now.
#[derive(Debug, Clone, Default)]
pub(super) struct Maps {
    /// By address; those that are sure and regular overlap nothing.
    regular: BTreeMap<u64, Map>,
    /// Those that are not sure, or odd.
    others: Vec<Map>,
    /// What was unmapped since, and what it breaks if it cannot be mapped again.
    gone: HashMap<(u64, u64), &'static str>,
    released: HashMap<u64, Released>,
    /// What was mapped when the client left: address and size.
    left: Vec<(u64, u64)>,
}

impl Maps {
    /// How many there are for sure.
    pub(super) fn len(&self) -> usize {
        self.regular.len() + self.others.iter().filter(|map| map.sure).count()
    }

    /// How many there may be.
    pub(super) fn most(&self) -> usize {
        self.regular.len() + self.others.len()
    }

    /// What a new map of this range would meet.
    pub(super) fn meets(&self, address: u64, size: u64) -> Meets {
        if self.regular_overlapping(address, size).next().is_some() {
            return Meets::Surely;
        }
        let mut meets = Meets::Nothing;
        for map in self.others.iter().filter(|map| map.overlaps(address, size)) {
            if map.sure && map.odd.is_none() {
                return Meets::Surely;
            }
            meets = Meets::Perhaps;
        }
        meets
    }

    fn regular_overlapping(&self, address: u64, size: u64) -> impl Iterator<Item = &Map> {
        let last = address.saturating_add(size.saturating_sub(1));
        self.regular.range(..=last).rev().map(|(_, map)| map).take_while(move |map| map.overlaps(address, size))
    }

    /// The map of exactly this range.
    pub(super) fn exact(&self, address: u64, size: u64) -> Option<&Map> {
        let regular = self.regular.get(&address).filter(|map| map.size == size);
        regular.or_else(|| self.others.iter().find(|map| map.address == address && map.size == size))
    }

    /// All that may be there are some whole pages.
    pub(super) fn are_of_pages(&self, page: u64) -> bool {
        self.all()
            .all(|map| map.size > 0 && [map.address, map.size].iter().all(|number| number.is_multiple_of(page.max(1))))
    }

    /// Nothing is in doubt.
    pub(super) fn are_sure(&self) -> bool {
        self.others.iter().all(|map| map.sure && map.odd.is_none())
    }

    /// A map ends where this range begins, or begins where it ends.
    pub(super) fn touches(&self, address: u64, size: u64) -> bool {
        let before = self.regular.range(..address).next_back();
        before.is_some_and(|(_, map)| map.last() + 1 == u128::from(address))
            || address.checked_add(size).is_some_and(|end| self.regular.contains_key(&end))
    }

    /// A map of the same file is there.
    pub(super) fn has_file(&self, file: u64) -> bool {
        self.all().any(|map| map.file == Some(file))
    }

    /// The range was mapped before, and unmapped.
    pub(super) fn was_unmapped(&self, address: u64, size: u64) -> bool {
        self.gone.contains_key(&(address, size))
    }

    /// What it breaks to refuse a map of a range that was unmapped; `None` where it was not.
    pub(super) fn why_free(&self, address: u64, size: u64) -> Option<&'static str> {
        self.gone.get(&(address, size)).copied()
    }

    /// Why the file is no longer mapped; `None` where it may be, or never was to be.
    pub(super) fn released(&self, file: u64) -> Option<Released> {
        if self.has_file(file) { None } else { self.released.get(&file).copied() }
    }

    fn all(&self) -> impl Iterator<Item = &Map> {
        self.regular.values().chain(&self.others)
    }

    /// The server took it.
    pub(super) fn add(&mut self, map: Map) {
        // Where it overlaps what may be there, that was not there; where it overlaps what surely is, neither can be
        // relied on any more.
        self.others.retain(|other| other.sure || other.odd.is_some() || !other.overlaps(map.address, map.size));
        let sure = map.sure && self.meets(map.address, map.size) == Meets::Nothing;
        if !sure {
            self.doubt(map.address, map.size);
        }
        self.gone.remove(&(map.address, map.size));
        let map = Map { sure, ..map };
        if sure && map.odd.is_none() && map.size > 0 {
            self.regular.insert(map.address, map);
        } else {
            self.others.push(map);
        }
    }

    /// The server refused it.
    pub(super) fn refused(&mut self, file: Option<u64>) {
        if let Some(file) = file {
            self.released.entry(file).or_insert(Released::Refused);
        }
    }

    /// Nobody knows whether the server took it.
    pub(super) fn perhaps(&mut self, map: Map) {
        self.others.push(Map { sure: false, ..map });
    }

    /// It is gone.
    pub(super) fn remove(&mut self, address: u64, size: u64) {
        let removed = if self.regular.get(&address).is_some_and(|map| map.size == size) {
            self.regular.remove(&address)
        } else {
            let at = self.others.iter().position(|map| map.address == address && map.size == size);
            at.map(|at| self.others.remove(at))
        };
        let Some(removed) = removed else { return };
        self.gone.insert((address, size), "DUNMAP-08");
        if let Some(file) = removed.file {
            self.released.insert(file, Released::Unmapped);
        }
    }

    /// All are gone; to refuse one of their ranges later breaks `requirement`.
    pub(super) fn remove_all(&mut self, requirement: &'static str) {
        for (address, size) in self.ranges() {
            self.remove(address, size);
            self.gone.insert((address, size), requirement);
        }
    }

    /// An unmap of the range was refused: what was not sure to be there is not, and what it overlaps may have suffered.
    pub(super) fn not_unmapped(&mut self, address: u64, size: u64, requirement: &'static str) {
        self.others.retain(|map| map.sure || map.odd.is_some() || map.address != address || map.size != size);
        self.disturb(address, size, requirement);
    }

    /// A command that touches the range was refused; where that has harmed a map, it breaks `requirement`.
    pub(super) fn disturb(&mut self, address: u64, size: u64, requirement: &'static str) {
        let disturbed: Vec<u64> = self.regular_overlapping(address, size).map(|map| map.address).collect();
        for address in disturbed {
            if let Some(map) = self.regular.get_mut(&address) {
                map.disturbed = Some(requirement);
            }
        }
    }

    /// A map that is not sure to be there may overlap the range.
    pub(super) fn may_overlap(&self, address: u64, size: u64) -> bool {
        self.others.iter().any(|map| map.overlaps(address, size) || map.size == 0)
    }

    /// What of a span lies in maps that are there for sure, and have a file.
    pub(super) fn with_file(&self, asked: Span) -> Vec<Span> {
        let usual = self.all().filter(|map| map.sure && map.odd.is_none() && map.file.is_some());
        usual.filter_map(|map| common(span(map.address, map.size), asked)).collect()
    }

    /// Address and size of all that may be there.
    pub(super) fn ranges(&self) -> Vec<(u64, u64)> {
        self.all().map(|map| (map.address, map.size)).collect()
    }

    /// Of the maps that overlap the range nothing is known any more.
    pub(super) fn doubt(&mut self, address: u64, size: u64) {
        let doubted: Vec<u64> = self.regular_overlapping(address, size).map(|map| map.address).collect();
        self.others.extend(doubted.iter().filter_map(|address| self.regular.remove(address)));
        for map in self.others.iter_mut().filter(|map| map.overlaps(address, size)) {
            map.sure = false;
        }
    }

    /// Of no map anything is known any more.
    pub(super) fn doubt_all(&mut self) {
        self.others.extend(std::mem::take(&mut self.regular).into_values());
        self.others.iter_mut().for_each(|map| map.sure = false);
    }

    /// The client is gone, and with it its maps.
    pub(super) fn disconnect(&mut self, kept: bool) {
        if kept {
            self.left = self.ranges();
            return self.doubt_all();
        }
        let files: Vec<u64> = self.all().filter_map(|map| map.file).collect();
        self.released.extend(files.into_iter().map(|file| (file, Released::Disconnected)));
        self.left = self.ranges();
        self.regular.clear();
        self.others.clear();
    }

    /// What was mapped when the client left: address and size.
    pub(super) fn left(&self) -> &[(u64, u64)] {
        &self.left
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn map(address: u64, size: u64) -> Map {
        Map { address, size, file: Some(1), sure: true, odd: None, told: (0, 3), disturbed: None }
    }

    #[test]
    fn only_what_is_there_for_sure_has_a_file() {
        let files = |map| {
            let mut maps = Maps::default();
            maps.add(map);
            maps.with_file((0, 0x10000)).len()
        };
        assert_eq!(files(map(0x2000, 0x1000)), 1);
        assert_eq!(files(Map { file: None, ..map(0x2000, 0x1000) }), 0);
        assert_eq!(files(Map { odd: Some("DMAP-20"), ..map(0x2000, 0x1000) }), 0);
        assert_eq!(files(Map { sure: false, ..map(0x2000, 0x1000) }), 0);
    }

    #[test]
    fn neighbours_of_what_is_in_doubt_meet_nothing() {
        let mut maps = Maps::default();
        maps.perhaps(map(0x2000, 0x1000));
        assert_eq!(maps.meets(0x1000, 0x1000), Meets::Nothing);
        assert_eq!(maps.meets(0x3000, 0x1000), Meets::Nothing);
        assert_eq!(maps.meets(0x1000, 0x1001), Meets::Perhaps);
        assert_eq!(maps.meets(0x2fff, 0x1000), Meets::Perhaps);
    }

    #[test]
    fn neighbours_touch_and_do_not_overlap() {
        let mut maps = Maps::default();
        maps.add(map(0x2000, 0x1000));
        assert_eq!(maps.meets(0x1000, 0x1000), Meets::Nothing);
        assert_eq!(maps.meets(0x3000, 0x1000), Meets::Nothing);
        assert!(maps.touches(0x1000, 0x1000) && maps.touches(0x3000, 0x1000));
        for (address, size) in [(0x1000, 0x1001), (0x2fff, 1), (0x2000, 0x1000), (0, 0x10000), (0x2800, 0x10)] {
            assert_eq!(maps.meets(address, size), Meets::Surely, "{address:#x} {size:#x}");
        }
    }

    #[test]
    fn the_last_byte_of_the_address_space_can_be_mapped() {
        let mut maps = Maps::default();
        maps.add(map(u64::MAX - 0xfff, 0x1000));
        assert_eq!(maps.meets(u64::MAX, 1), Meets::Surely);
        assert_eq!(maps.meets(u64::MAX - 0x1fff, 0x1000), Meets::Nothing);
    }

    #[test]
    fn a_map_of_no_bytes_overlaps_nothing_and_hides_nothing() {
        let mut maps = Maps::default();
        maps.add(map(0x2000, 0x2000));
        maps.add(map(0x3000, 0));
        assert_eq!(maps.meets(0x3000, 0x1000), Meets::Surely);
        assert_eq!(maps.meets(0x3000, 0), Meets::Nothing);
        maps.remove(0x2000, 0x2000);
        assert_eq!(maps.meets(0x2000, 0x2000), Meets::Nothing);
    }

    #[test]
    fn maps_that_are_odd_or_in_doubt_are_not_sure_and_need_not_be_of_pages() {
        let odd = |address, size| Map { odd: Some("DMAP-27"), ..map(address, size) };
        let mut maps = Maps::default();
        maps.add(map(0x2000, 0x1000));
        assert!(maps.are_sure() && maps.are_of_pages(0x1000) && !maps.are_of_pages(0x2000));
        for other in [odd(0x4000, 0), odd(0x4800, 0x1000), odd(0x4000, 0x800)] {
            let mut maps = maps.clone();
            maps.add(other);
            assert!(!maps.are_sure() && !maps.are_of_pages(0x1000));
        }
        maps.perhaps(map(0x4000, 0x1000));
        assert!(!maps.are_sure() && maps.are_of_pages(0x1000));
    }

    #[test]
    fn what_was_accepted_over_another_leaves_both_in_doubt() {
        let mut maps = Maps::default();
        maps.add(map(0x2000, 0x1000));
        maps.add(map(0x2800, 0x1000));
        assert_eq!(maps.meets(0x2000, 0x100), Meets::Perhaps);
        assert_eq!(maps.len(), 0);
        assert!(maps.exact(0x2000, 0x1000).is_some_and(|map| !map.sure));
    }

    #[test]
    fn a_file_is_released_with_its_last_map() {
        let mut maps = Maps::default();
        maps.add(map(0x1000, 0x1000));
        maps.add(map(0x3000, 0x1000));
        maps.remove(0x1000, 0x1000);
        assert_eq!(maps.released(1), None);
        maps.remove(0x3000, 0x1000);
        assert_eq!(maps.released(1), Some(Released::Unmapped));
    }
}
