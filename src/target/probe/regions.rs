//! The regions.

use vfio_user_wire::message::{DEVICE_GET_REGION_INFO, RegionInfo};
use vfio_user_wire::{CapabilityBody, capabilities};

use super::asker::{Asked, Question, Trouble};
use crate::target::{Discovered, Region};

/// More than any client in use takes.
const MOST: u32 = 256;

/// Every region, first with the fixed size, then with what the reply says that it needs.
pub(super) fn ask(question: &mut Question<'_>, found: &mut Discovered) -> Asked<()> {
    for index in 0..found.num_regions.min(MOST) {
        let request = RegionInfo { argsz: 32, index, ..RegionInfo::default() };
        let mut reply = match question.ask(DEVICE_GET_REGION_INFO.name, request.bytes(), &[])? {
            Ok(reply) => reply,
            Err(_) => continue,
        };
        let Some((mut info, _)) = RegionInfo::parse(&reply.payload) else {
            return Err(Trouble::Answer(format!(
                "DEVICE_GET_REGION_INFO of region {index} was answered with {} bytes of payload",
                reply.payload.len()
            )));
        };
        if info.argsz > 32 {
            let request = RegionInfo { argsz: info.argsz.min(1 << 16), index, ..RegionInfo::default() };
            if let Ok(full) = question.ask(DEVICE_GET_REGION_INFO.name, request.bytes(), &[])? {
                reply = full;
                if let Some((full, _)) = RegionInfo::parse(&reply.payload) {
                    info = full;
                }
            }
        }
        let mut region = Region {
            index,
            size: info.size,
            flags: info.flags,
            argsz: info.argsz,
            fds: reply.fds.len(),
            sparse: None,
            kind: None,
        };
        for capability in capabilities(&reply.payload, info.cap_offset).unwrap_or_default() {
            match capability.body {
                CapabilityBody::SparseMmap { areas, .. } => {
                    region.sparse = Some(areas.iter().map(|area| (area.offset, area.size)).collect())
                }
                CapabilityBody::Type { kind, subtype } => region.kind = Some((kind, subtype)),
                CapabilityBody::Unknown => {}
            }
        }
        found.regions.push(region);
    }
    Ok(())
}
