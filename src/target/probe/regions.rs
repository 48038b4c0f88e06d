//! The regions.

use vfio_user_wire::message::{DEVICE_GET_REGION_INFO, RegionInfo};
use vfio_user_wire::{CapabilityBody, capabilities};

use super::asker::{Asked, Question, Trouble};
use crate::target::{Discovered, Region};

/// More than any client in use takes.
const MOST: u32 = 256;
/// Room for a region info with its capabilities.
const ROOM: u32 = 4096;

/// Every region.
pub(super) fn ask(question: &mut Question<'_>, found: &mut Discovered) -> Asked<()> {
    for index in 0..found.num_regions.min(MOST) {
        // With room for all that a client in use takes; a region that cannot be asked about is left out.
        let request = RegionInfo { argsz: ROOM, index, ..RegionInfo::default() };
        let Ok(reply) = question.ask(DEVICE_GET_REGION_INFO.name, request.bytes(), &[])? else { continue };
        let Some((info, _)) = RegionInfo::parse(&reply.payload) else {
            let why = format!("region {index}: a reply with {} bytes of payload", reply.payload.len());
            return Err(Trouble::Answer(why));
        };
        let mut region = Region {
            index,
            size: info.size,
            flags: info.flags,
            argsz: info.argsz,
            fds: reply.fds.len(),
            sparse: None,
            kind: None,
        };
        let chain = capabilities(&reply.payload, info.cap_offset).unwrap_or_else(|error| {
            found.troubles.push(format!("region {index}: {error}"));
            // Nothing is known of what can be mapped, so nothing is taken to be mappable as a whole.
            region.sparse = Some(Vec::new());
            Vec::new()
        });
        for capability in chain {
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
