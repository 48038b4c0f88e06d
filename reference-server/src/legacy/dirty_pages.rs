//! DIRTY_PAGES (0.9.1, 1555-1665).

use nix::errno::Errno;
use vfio_user_wire::dirty_pages_flags as flags;
use vfio_user_wire::legacy::{BitmapRange, DirtyPages, DirtyPagesGet};

use super::bitmap::checked;
use crate::answer::Answer;
use crate::command::enough;
use crate::dirty_log::{DirtyLog, bounds};
use crate::session::Agreed;
use crate::settings::Settings;
use crate::without::Feature;

/// Starts or stops the log of what the device writes, or tells what is in it.
pub(super) fn dirty_pages(
    settings: Settings,
    agreed: &Agreed,
    log: &mut DirtyLog,
    payload: &[u8],
) -> Result<Answer, Errno> {
    let pgsize = pgsize(settings, agreed)?;
    let (request, _) = DirtyPages::parse(payload).ok_or(Errno::EINVAL)?;
    enough(request.argsz, DirtyPages::LAYOUT.size)?;
    if asks_for_bitmaps(request.flags, pgsize, log)? { get_bitmap(agreed, log, payload) } else { Ok(Answer::default()) }
}

/// The pages of the log (1562: the whole is optional).
pub(crate) fn pgsize(settings: Settings, agreed: &Agreed) -> Result<u64, Errno> {
    agreed.pgsize.filter(|_| !settings.lacks(Feature::DmaLogging)).ok_or(Errno::ENOTSUP)
}

/// Starts or stops the log, where the flags are for one of these; they exclude each other (1605).
pub(crate) fn asks_for_bitmaps(flags: u32, pgsize: u64, log: &mut DirtyLog) -> Result<bool, Errno> {
    match flags {
        flags::START => log.start_everywhere(pgsize)?,
        flags::STOP => log.stop(),
        flags::GET_BITMAP => return Ok(true),
        _ => return Err(Errno::EINVAL),
    }
    Ok(false)
}

/// The range's bitmap structure has 16 bytes, as its own table says; that of the range gives it 24 (1619, 721-727).
fn get_bitmap(agreed: &Agreed, log: &mut DirtyLog, payload: &[u8]) -> Result<Answer, Errno> {
    let (request, surplus) = DirtyPagesGet::parse(payload).ok_or(Errno::EINVAL)?;
    enough(request.argsz, DirtyPagesGet::LAYOUT.size)?;
    // 1598-1600: a range. The client would miss the bitmap of a second one.
    if surplus.len() >= BitmapRange::LAYOUT.size {
        return Err(Errno::EINVAL);
    }
    let (first, last) = bounds(request.iova, request.size).ok_or(Errno::EINVAL)?;
    let size = checked(request.range().bitmap(), agreed, request.size)?;
    // 1602-1603.
    if !log.is_on() {
        return Err(Errno::EINVAL);
    }
    let needed = DirtyPagesGet::LAYOUT.size + size as usize;
    let head = DirtyPagesGet { argsz: needed as u32, ..request };
    if enough(request.argsz, needed).is_err() {
        // 345-348: the client asks again with enough room; until then nothing counts as told.
        return Ok(Answer::payload(head.bytes()));
    }
    let bitmap = log.take_bitmap(first, last, request.bitmap_pgsize, size)?;
    Ok(Answer::payload(&[head.bytes(), &bitmap].concat()))
}
