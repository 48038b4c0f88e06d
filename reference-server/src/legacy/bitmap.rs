//! The bitmap that a client asks for (0.9.1, 718-730).

use nix::errno::Errno;
use vfio_user_wire::bitmap_size;
use vfio_user_wire::legacy::Bitmap;

use crate::dirty_log::MAX_BITMAP;
use crate::session::Agreed;

/// Bytes of the bitmap for `length` bytes of memory, where it is such a one that is asked for.
///
/// # Errors
/// EINVAL for pages of another size than VERSION agreed on (536-537), and for another size than the bitmap has; E2BIG for one
/// that is too long.
pub(crate) fn checked(asked: Bitmap, agreed: &Agreed, length: u64) -> Result<u64, Errno> {
    let pgsize = agreed.pgsize.filter(|pgsize| *pgsize == asked.pgsize).ok_or(Errno::EINVAL)?;
    let size = bitmap_size(length, pgsize).filter(|size| *size == asked.size).ok_or(Errno::EINVAL)?;
    if size > MAX_BITMAP { Err(Errno::E2BIG) } else { Ok(size) }
}
