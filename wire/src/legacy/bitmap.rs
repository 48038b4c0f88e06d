//! The VFIO bitmap structure: what a bitmap behind it looks like (0.9.1 at 190f85b^, 718-730).

use crate::layout;

layout! {
    /// A VFIO bitmap, as it is asked for and as it comes; in replies its bits follow. The kernel's has a pointer behind.
    pub struct Bitmap: 16 {
        /// Bytes of memory for each bit.
        pgsize: u64 @ 0,
        /// Bytes of the bits that follow in a reply, this structure not counted.
        size: u64 @ 8,
    }
}

impl Bitmap {
    /// The bits in `tail`, and what follows them; `None` where `tail` has fewer bytes than `size` says.
    pub fn bits<'a>(&self, tail: &'a [u8]) -> Option<(&'a [u8], &'a [u8])> {
        tail.split_at_checked(usize::try_from(self.size).ok()?)
    }
}
