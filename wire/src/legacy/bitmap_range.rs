//! The range that a bitmap is asked for (0.9.1 at 190f85b^, 1612-1632), of which the text knows two sizes.

use super::Bitmap;
use crate::layout;

layout! {
    /// A range of IOVAs and its bitmap, as the narrow layout has them; the wide one has 8 unused bytes behind.
    pub struct BitmapRange: 32 {
        /// First IOVA.
        iova: u64 @ 0,
        /// Bytes of the range.
        size: u64 @ 8,
        /// Bytes of memory for each bit.
        bitmap_pgsize: u64 @ 16,
        /// Bytes of the bits.
        bitmap_size: u64 @ 24,
    }
}

impl BitmapRange {
    /// Its bitmap.
    pub fn bitmap(&self) -> Bitmap {
        Bitmap { pgsize: self.bitmap_pgsize, size: self.bitmap_size }
    }
}

/// How many bytes a range takes. Its table gives 24 of them to the bitmap structure, which by its own table has 16.
/// Servers may take either; one that mixes both is wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum RangeLayout {
    /// 32 bytes, as libvfio-user has it: the bitmap structure by its own table.
    #[default]
    Narrow,
    /// 40 bytes, as the range's table and the kernel have it: 8 unused bytes more.
    Wide,
}

/// Why a reply to GET_BITMAP has neither layout.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum RangeLayoutError {
    /// `argsz` has not the value that it has in either.
    #[error("argsz is {argsz}, and with a bitmap of {bitmap_size} bytes neither 8 + 32 nor 8 + 40 more than that")]
    Neither {
        /// The reply's `argsz`.
        argsz: u32,
        /// Bytes of the bits, as the range says.
        bitmap_size: u64,
    },
    /// `argsz` tells the layout, but not as many bytes came.
    #[error("argsz is {argsz}, but the payload has {payload} bytes")]
    Length {
        /// The reply's `argsz`.
        argsz: u32,
        /// Bytes of the payload.
        payload: usize,
    },
}

impl RangeLayout {
    /// Bytes of a range.
    pub const fn size(self) -> usize {
        match self {
            RangeLayout::Narrow => 32,
            RangeLayout::Wide => 40,
        }
    }

    /// Bytes of a range behind those of [`BitmapRange`].
    pub const fn unused(self) -> usize {
        self.size() - BitmapRange::LAYOUT.size
    }

    /// The layout that a server uses whose reply to GET_BITMAP has this `argsz`, asked for a bitmap of `bitmap_size`
    /// bytes: `argsz` tells it even where the reply had no room for the range.
    ///
    /// # Errors
    /// `Neither`.
    pub fn told_by(argsz: u32, bitmap_size: u64) -> Result<RangeLayout, RangeLayoutError> {
        let needs = |layout: RangeLayout| bitmap_size.checked_add(8 + layout.size() as u64);
        [RangeLayout::Narrow, RangeLayout::Wide]
            .into_iter()
            .find(|layout| needs(*layout) == Some(u64::from(argsz)))
            .ok_or(RangeLayoutError::Neither { argsz, bitmap_size })
    }
}
