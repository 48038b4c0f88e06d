//! The commands without a reply: 65,535 maps can be under way at one time, so none is searched for from the start.

use std::collections::{BTreeSet, HashMap};

/// The commands without a reply, by their numbers in the conversation.
#[derive(Debug, Default)]
pub(super) struct Outstanding {
    all: BTreeSet<usize>,
    by_id: HashMap<(usize, u16), BTreeSet<usize>>,
}

impl Outstanding {
    /// A command that was sent on `end` with the message ID `id`.
    pub(super) fn insert(&mut self, end: usize, id: u16, index: usize) {
        self.all.insert(index);
        self.by_id.entry((end, id)).or_default().insert(index);
    }

    /// It was answered.
    pub(super) fn remove(&mut self, end: usize, id: u16, index: usize) {
        self.all.remove(&index);
        if let Some(same) = self.by_id.get_mut(&(end, id)) {
            same.remove(&index);
        }
    }

    /// All of them, oldest first.
    pub(super) fn iter(&self) -> impl Iterator<Item = usize> {
        self.all.iter().copied()
    }

    /// Those of one end and one message ID, oldest first.
    pub(super) fn same_id(&self, end: usize, id: u16) -> impl Iterator<Item = usize> {
        self.by_id.get(&(end, id)).into_iter().flatten().copied()
    }
}
