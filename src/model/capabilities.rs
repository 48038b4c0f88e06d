//! What holds for the capability chain of a complete region info reply.

use vfio_user_wire::message::RegionInfo;
use vfio_user_wire::{Capability, CapabilityBody, CapabilityError, SparseArea, capabilities};

use super::Judgements;
use super::judgement::bytes_mark;

const PAGE: u64 = 4096;
/// Bytes of a sparse mmap capability before its areas.
const SPARSE: u64 = 16;
/// Bytes of an area.
const AREA: usize = 16;

pub(super) fn judge(info: &RegionInfo, payload: &[u8], out: &mut Judgements) {
    let chain = match capabilities(payload, info.cap_offset) {
        Ok(chain) => chain,
        Err(error) => {
            if let CapabilityError::Outside { offset, needed, .. } = error
                && needed > SPARSE
            {
                let actual = || format!("areas that take {} bytes", needed - SPARSE);
                let mark = bytes_mark("nr_areas", offset + 8, 4);
                out.must("REGINFO-09", false, "as many areas as the payload holds", actual, mark);
            }
            let mark = bytes_mark("capabilities", 32, payload.len().saturating_sub(32));
            out.must(
                "REGINFO-08",
                false,
                "a chain of capabilities that stays inside the payload and ends",
                || error.to_string(),
                mark,
            );
            return;
        }
    };
    let mut before = 0;
    for capability in &chain {
        let offset = capability.offset;
        let mark = || bytes_mark("capability", offset, 8);
        out.should(
            "REGINFO-08",
            offset > before && offset % 8 == 0,
            "capabilities one behind the other, 8-byte aligned",
            || format!("one at offset {offset} after one at {before}"),
            mark(),
        );
        before = offset;
        match &capability.body {
            CapabilityBody::SparseMmap { reserved, areas } => {
                out.must(
                    "REGINFO-09",
                    capability.version == 1,
                    "version 1 of the sparse mmap capability",
                    || format!("version {}", capability.version),
                    mark(),
                );
                out.should(
                    "REGINFO-09",
                    *reserved == 0,
                    "reserved 0",
                    || format!("reserved {reserved:#x}"),
                    bytes_mark("reserved", offset + 12, 4),
                );
                let surplus = behind(&chain, offset, areas.len(), payload);
                out.must(
                    "REGINFO-09",
                    // Less than an area may be padding that nobody has cleared: SEC-10 looks at that.
                    surplus.len() < AREA || surplus.iter().all(|byte| *byte == 0),
                    &format!("nothing behind the {} areas of nr_areas", areas.len()),
                    || format!("{} bytes more", surplus.len()),
                    bytes_mark("nr_areas", offset + 8, 4),
                );
                areas_inside(info.size, areas, offset, out);
            }
            CapabilityBody::Type { .. } | CapabilityBody::Unknown => {}
        }
    }
}

/// The bytes between a sparse mmap capability with so many areas and what comes next.
fn behind<'a>(chain: &[Capability], offset: usize, areas: usize, payload: &'a [u8]) -> &'a [u8] {
    let end = offset + SPARSE as usize + AREA * areas;
    let next = chain.iter().map(|other| other.offset).filter(|other| *other > offset).min().unwrap_or(payload.len());
    payload.get(end..next).unwrap_or_default()
}

fn areas_inside(size: u64, areas: &[SparseArea], capability: usize, out: &mut Judgements) {
    let mut ranges: Vec<(u64, u64)> = Vec::new();
    for (i, area) in areas.iter().enumerate() {
        let (start, length) = (area.offset, area.size);
        let mark = || bytes_mark("area", capability + 16 + 16 * i, 16);
        let end = start.checked_add(length);
        let inside = end.is_some_and(|end| end <= size);
        out.must(
            "REGINFO-10",
            inside,
            &format!("areas inside the region of {size:#x} bytes"),
            || format!("an area of {length:#x} bytes at {start:#x}"),
            mark(),
        );
        let aligned = start % PAGE == 0 && length % PAGE == 0;
        out.should(
            "REGINFO-10",
            aligned,
            "areas of whole pages",
            || format!("an area of {length:#x} bytes at {start:#x}"),
            mark(),
        );
        let overlaps =
            ranges.iter().any(|(other, other_end)| end.is_some_and(|end| start < *other_end && *other < end));
        out.should(
            "REGINFO-10",
            !overlaps,
            "areas that do not overlap",
            || format!("the area at {start:#x} overlaps another"),
            mark(),
        );
        ranges.push((start, end.unwrap_or(u64::MAX)));
    }
}
