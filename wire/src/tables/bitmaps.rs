//! The VFIO bitmap structures of the tables, and the bitmaps of a reply, each behind its structure.

use super::rest::{CutOff, Rest};
use crate::layout;
use crate::legacy::Bitmap;

layout! {
    /// The VFIO bitmap structure of version 8, which is the kernel's (version 8 at 595dff9, 665-683). At cda5e5f^ the
    /// last field is gone: the structure is [`Bitmap`].
    pub struct WideBitmap: 24 {
        /// Bytes of memory for each bit.
        pgsize: u64 @ 0,
        /// Bytes of the bits that follow in a reply, this structure not counted.
        size: u64 @ 8,
        /// Unused.
        data: u64 @ 16,
    }
}

/// Whose tables: they differ in the size of a bitmap structure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Table {
    /// Version 8 (at 595dff9).
    V8,
    /// 0.9.1 before commit cda5e5f.
    V8c,
}

impl Table {
    /// Bytes of a bitmap structure.
    pub const fn bitmap_structure(self) -> usize {
        match self {
            Table::V8 => WideBitmap::LAYOUT.size,
            Table::V8c => Bitmap::LAYOUT.size,
        }
    }
}

/// The bitmaps in the payload of a reply to DMA_UNMAP or to DIRTY_PAGES, each with its structure. They are read as they
/// are asked for: nothing is allocated. What is cut off is the last item.
#[derive(Debug, Clone)]
pub struct Bitmaps<'a> {
    table: Table,
    rest: Rest<'a>,
}

impl<'a> Bitmaps<'a> {
    /// The bitmaps of that payload.
    pub fn new(payload: &'a [u8], table: Table) -> Bitmaps<'a> {
        Bitmaps { table, rest: Rest::new(payload) }
    }
}

impl<'a> Iterator for Bitmaps<'a> {
    type Item = Result<(Bitmap, &'a [u8]), CutOff>;

    fn next(&mut self) -> Option<Self::Item> {
        let structure = self.table.bitmap_structure();
        self.rest.entry(|rest| {
            let bitmap: Bitmap = rest.structure(structure)?;
            Ok((bitmap, rest.take(bitmap.size)?))
        })
    }
}
