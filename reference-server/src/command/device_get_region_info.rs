//! DEVICE_GET_REGION_INFO (specification 774-932).

use nix::errno::Errno;
use vfio_user_wire::message::RegionInfo;
use vfio_user_wire::{Limits, region_info_flags as flags, sparse_mmap_bytes, type_bytes};

use super::enough;
use crate::answer::Answer;
use crate::memory::Memory;
use crate::region::{Region, region};
use crate::settings::Settings;

/// Describes a region, and hands out the descriptor to map it by.
pub(crate) fn device_get_region_info(
    settings: Settings,
    limits: &Limits,
    payload: &[u8],
    memory: &mut dyn Memory,
) -> Result<Answer, Errno> {
    let (request, _) = RegionInfo::parse(payload).ok_or(Errno::EINVAL)?;
    let fixed = RegionInfo::LAYOUT.size;
    enough(request.argsz, fixed)?;
    let region = region(settings, request.index).ok_or(Errno::EINVAL)?;

    // A client that takes no descriptor (517-518) cannot map anything: MMAP promises one (843-844).
    let mappable = region.flags & flags::MMAP != 0 && limits.max_msg_fds > 0;
    let fd = memory.region_fd(request.index).filter(|_| mappable);
    let capabilities = capabilities(&region, fd.is_some());
    let needed = (fixed + capabilities.len()) as u32;
    // 343-347: what does not fit is left out, and argsz says what it takes. CAPS is for what is in the reply (847).
    let complete = !capabilities.is_empty() && needed <= request.argsz;
    let mut info = RegionInfo {
        argsz: needed,
        flags: region.flags,
        index: request.index,
        cap_offset: 0,
        size: region.size,
        offset: region.file_offset,
    };
    if fd.is_none() {
        info.flags &= !flags::MMAP;
        info.offset = 0;
    }
    if complete {
        info.flags |= flags::CAPS;
        info.cap_offset = fixed as u32;
    }
    let mut answer = Answer::payload(info.bytes());
    if complete {
        answer.payload.extend(capabilities);
    }
    answer.fds.extend(fd);
    Ok(answer)
}

/// What it is, and what of it can be mapped.
fn capabilities(region: &Region, mappable: bool) -> Vec<u8> {
    let sparse = mappable && !region.areas.is_empty();
    let mut chain = Vec::new();
    if let Some((kind, subtype)) = region.kind {
        let behind = RegionInfo::LAYOUT.size + type_bytes(kind, subtype, 0).len();
        chain.extend(type_bytes(kind, subtype, if sparse { behind as u32 } else { 0 }));
    }
    if sparse {
        chain.extend(sparse_mmap_bytes(region.areas, 0));
    }
    chain
}
