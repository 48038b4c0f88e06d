//! Capability chains that loop or point anywhere.

use vfio_user_wire::message::RegionInfo;
use vfio_user_wire::{CapabilityHeader, SparseHeader};

use super::Script;

/// A region info with a chain behind it.
pub(crate) fn region_info(script: &mut Script, honest: &[u8]) -> Vec<u8> {
    let mut payload = honest.to_vec();
    payload.resize(payload.len().max(RegionInfo::LAYOUT.size), 0);
    payload.truncate(RegionInfo::LAYOUT.size);
    let mut offsets = vec![0, RegionInfo::LAYOUT.size as u64];
    let count = *script.pick(&[1, 2, 3, 8, 200, 40_000]);
    for _ in 0..count {
        let id = *script.pick(&[1u16, 2, 0, 3, 0xffff]);
        let next = payload.len() as u64;
        offsets.push(next);
        let next = if script.byte() < 40 { lie(script, &offsets, payload.len()) } else { 0 };
        payload.extend_from_slice(CapabilityHeader { id, version: 1, next: next as u32 }.bytes());
        let areas = usize::from(id == 1) * script.below(4);
        let told = if script.byte() < 40 { script.edgy(areas as u64, payload.len()) } else { areas as u64 };
        payload.extend_from_slice(SparseHeader { nr_areas: told as u32, reserved: 0 }.bytes());
        for _ in 0..areas * 2 {
            payload.extend(script.edgy(0x1000, 0x10000).to_ne_bytes());
        }
        // The one before points here, but where it lied.
        if let Some([before, here]) = offsets.last_chunk::<2>().filter(|_| offsets.len() > 3) {
            let at = *before as usize + 4;
            if payload.get(at..at + 4).is_some_and(|next| next == [0; 4]) {
                payload[at..at + 4].copy_from_slice(&(*here as u32).to_ne_bytes());
            }
        }
    }
    let lied = script.byte() < 60;
    let cap_offset = if lied { lie(script, &offsets, payload.len()) } else { RegionInfo::LAYOUT.size as u64 };
    let argsz = if script.byte() < 60 { script.edgy(payload.len() as u64, 32) } else { payload.len() as u64 };
    for (name, value) in [("argsz", argsz), ("cap_offset", cap_offset)] {
        if let Some(field) = RegionInfo::LAYOUT.field(name) {
            field.write(&mut payload, value);
        }
    }
    if let Some(flags) = RegionInfo::LAYOUT.field("flags") {
        let bits = flags.read(&payload).unwrap_or_default() | u64::from(script.byte() & 0xf);
        flags.write(&mut payload, bits);
    }
    payload
}

fn lie(script: &mut Script, offsets: &[u64], length: usize) -> u64 {
    if script.byte() < 128 { *script.pick(offsets) } else { script.edgy(32, length) }
}
