//! DEVICE_GET_REGION_IO_FDS (specification 935-1097).

use nix::errno::Errno;
use vfio_user_wire::message::RegionIoFds;
use vfio_user_wire::{Limits, SubRegion};

use super::enough;
use crate::answer::Answer;
use crate::doorbells::{Doorbells, sub_regions};
use crate::memory::Memory;
use crate::region::region;
use crate::settings::Settings;
use crate::without::Feature;

/// Describes the parts of a region that have a descriptor, and hands those out.
pub(crate) fn device_get_region_io_fds(
    settings: Settings,
    limits: &Limits,
    doorbells: &mut Doorbells,
    payload: &[u8],
    memory: &mut dyn Memory,
) -> Result<Answer, Errno> {
    if settings.lacks(Feature::IoFds) {
        return Err(Errno::ENOSYS);
    }
    let (request, _) = RegionIoFds::parse(payload).ok_or(Errno::EINVAL)?;
    let fixed = RegionIoFds::LAYOUT.size;
    enough(request.argsz, fixed)?;
    // 975-978: the client must leave both 0.
    if request.flags != 0 || request.count != 0 {
        return Err(Errno::EINVAL);
    }
    let region = region(settings, request.index).ok_or(Errno::EINVAL)?;
    // What the client takes in one message (517-518) is all that it can make use of.
    let known = sub_regions(request.index, limits.max_msg_fds).filter(|_| region.size != 0);
    let entries: Vec<(&[u8], usize)> = known.collect();
    let fds = entries.iter().map(|(_, fd_index)| fd_index + 1).max();
    // A reply carries at least one descriptor (1007): without any there is nothing to say.
    let fds = fds.ok_or(Errno::ENOTSUP)?;

    let needed = fixed + entries.len() * SubRegion::SIZE;
    let info = RegionIoFds { argsz: needed as u32, flags: 0, index: request.index, count: entries.len() as u32 };
    let mut answer = Answer::payload(info.bytes());
    // 343-347: what does not fit is left out, and argsz says what it takes.
    if needed <= request.argsz as usize {
        answer.payload.extend(entries.iter().flat_map(|(entry, _)| *entry));
        answer.fds = doorbells.fds(fds, memory)?;
    }
    Ok(answer)
}
