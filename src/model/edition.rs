//! Which text of the protocol is spoken, as far as answers are judged otherwise for it.

use vfio_user_wire::tables::Table;
use vfio_user_wire::{Dialect, legacy};

use super::Negotiated;

/// The texts of the protocol, by what they ask of an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Edition {
    /// 0.9.2.
    Current,
    /// 0.9.1: DIRTY_PAGES, bitmaps in DMA_UNMAP, and migration by a region.
    Legacy,
    /// Version 8, and 0.9.1 in the beginning: the same with tables in the DMA commands.
    Tables(Table),
}

impl Edition {
    /// That of a dialect: the one place where the model tells dialects apart.
    pub(super) fn of(dialect: &Dialect) -> Edition {
        match dialect.table {
            Some(table) => Edition::Tables(table),
            None if dialect.command(legacy::DIRTY_PAGES.name).is_some() => Edition::Legacy,
            None => Edition::Current,
        }
    }

    /// The name of a requirement of 0.9.1 in this text: version 8 has rows of its own for what it shares with it.
    pub(super) fn own_name(self, requirement: &str) -> &str {
        match requirement {
            _ if self != Edition::Tables(Table::V8) => requirement,
            id if id.starts_with("L-MR-") || id.starts_with("L-REG-") => "V8-24",
            id if id.starts_with("L-VER-") => "V8-02",
            id => id,
        }
    }

    /// Descriptors that the client takes in one message: version 8 has another name for that.
    pub(super) fn client_fds(self, negotiated: &Negotiated) -> u64 {
        match self {
            Edition::Tables(Table::V8) => negotiated.client.legacy_limits().max_fds,
            Edition::Current | Edition::Legacy | Edition::Tables(Table::V8c) => negotiated.client_limits().max_msg_fds,
        }
    }
}

#[cfg(test)]
mod tests {
    use pretty_assertions::assert_eq;
    use vfio_user_wire::{V0_9_1, V8, V8C};

    use super::super::name_in;

    #[test]
    fn what_version_8_shares_with_0_9_1_has_rows_of_its_own() {
        for (requirement, own) in
            [("L-MR-01", "V8-24"), ("L-REG-01", "V8-24"), ("L-VER-02", "V8-02"), ("SEC-05", "SEC-05")]
        {
            assert_eq!(name_in(&V8, requirement), own);
            assert_eq!(name_in(&V8C, requirement), requirement);
            assert_eq!(name_in(&V0_9_1, requirement), requirement);
        }
    }
}
