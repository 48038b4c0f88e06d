//! The memory that clients map for the device. It does no DMA: the table is kept all the same, as a driver relies on it.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{Error, ErrorKind, Result};

/// Ranges of addresses, by their beginning: their size, and the file behind them, which is kept open for as long.
#[derive(Debug, Default)]
pub(crate) struct Maps(BTreeMap<u64, (u64, Option<File>)>);

impl Maps {
    /// Adds a range.
    pub(crate) fn add(&mut self, address: u64, size: u64, file: Option<File>) -> Result<()> {
        let last = size.checked_sub(1).and_then(|rest| address.checked_add(rest)).ok_or(ErrorKind::InvalidInput)?;
        let before = self.0.range(..=last).next_back();
        if before.is_some_and(|(begin, (size, _))| begin + (size - 1) >= address) {
            return Err(Error::from(ErrorKind::AlreadyExists));
        }
        self.0.insert(address, (size, file));
        Ok(())
    }

    /// Takes out a range that was added as it is.
    pub(crate) fn remove(&mut self, address: u64, size: u64) -> Result<()> {
        if self.0.get(&address).is_none_or(|(known, _)| *known != size) {
            return Err(Error::from(ErrorKind::NotFound));
        }
        self.0.remove(&address);
        Ok(())
    }

    /// Takes out all.
    pub(crate) fn clear(&mut self) {
        self.0.clear();
    }
}
