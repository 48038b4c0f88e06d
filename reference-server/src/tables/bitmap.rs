//! The structure before each bitmap of a reply (665-683).

use vfio_user_wire::legacy::Bitmap;
use vfio_user_wire::tables::Table;

/// Its bytes: that of version 8 has a field more, which is unused.
pub(super) fn structure(table: Table, bitmap: Bitmap) -> Vec<u8> {
    let mut bytes = bitmap.bytes().to_vec();
    bytes.resize(table.bitmap_structure(), 0);
    bytes
}
