//! The capability chain behind a region info reply (specification 861-932).

use std::collections::BTreeMap;

use crate::constants::region_capability;
use crate::layout;
use crate::message::RegionInfo;

layout! {
    /// What every capability starts with.
    pub struct CapabilityHeader: 8 {
        /// Which capability.
        id: u16 @ 0,
        /// Its version.
        version: u16 @ 2,
        /// Where the next one stands, from the start of the region info structure; 0 ends the chain.
        next: u32 @ 4,
    }
}

layout! {
    /// Behind the header of a sparse mmap capability; `nr_areas` areas follow.
    pub struct SparseHeader: 8 {
        /// How many areas follow.
        nr_areas: u32 @ 0,
        /// 0.
        reserved: u32 @ 4,
    }
}

layout! {
    /// One area of a region that can be mapped.
    pub struct SparseArea: 16 {
        /// Offset in the region; added to the region's offset for mmap().
        offset: u64 @ 0,
        /// Bytes.
        size: u64 @ 8,
    }
}

layout! {
    /// Behind the header of a type capability.
    pub struct RegionType: 8 {
        /// Type of a device-specific region.
        kind: u32 @ 0,
        /// Its subtype.
        subtype: u32 @ 4,
    }
}

/// One parsed capability, with where it stands from the start of the region info structure.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Capability {
    /// Bytes from the start of the region info structure.
    pub offset: usize,
    /// Which capability.
    pub id: u16,
    /// Its version.
    pub version: u16,
    /// What it says.
    pub body: CapabilityBody,
}

/// The capabilities of a region.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CapabilityBody {
    /// The parts of the region that can be mapped.
    SparseMmap {
        /// The reserved field, 0.
        reserved: u32,
        /// The areas.
        areas: Vec<SparseArea>,
    },
    /// The type of a device-specific region.
    Type {
        /// Type.
        kind: u32,
        /// Subtype.
        subtype: u32,
    },
    /// One that this protocol does not define.
    Unknown,
}

/// What is wrong with a capability chain. Offsets count from the start of the region info structure.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum CapabilityError {
    /// A capability starts inside the fixed structure.
    #[error("a capability at offset {0} lies inside the 32 bytes of the region info structure")]
    Inside(usize),
    /// A capability reaches past the payload.
    #[error("the capability at offset {offset} needs {needed} bytes, the payload ends at {end}")]
    Outside {
        /// Where it stands.
        offset: usize,
        /// What it takes.
        needed: u64,
        /// Where the payload ends.
        end: usize,
    },
    /// The chain comes back to a capability that it had.
    #[error("the chain comes back to offset {0}")]
    Loop(usize),
    /// Two capabilities share bytes.
    #[error("the capability at offset {offset} shares bytes with the one at offset {other}")]
    Overlap {
        /// The one that comes later in the chain.
        offset: usize,
        /// The one that had the bytes first.
        other: usize,
    },
}

/// Walks the chain that starts at `cap_offset` in a region info payload.
///
/// # Errors
/// The first thing wrong with it. The areas of a sparse capability are allocated only after the payload is known to
/// hold them, and no byte belongs to two capabilities: so the walk ends, and all areas together take no more than the
/// payload.
pub fn capabilities(payload: &[u8], cap_offset: u32) -> Result<Vec<Capability>, CapabilityError> {
    let mut found: Vec<Capability> = Vec::new();
    // Where each capability so far starts and ends.
    let mut taken: BTreeMap<usize, usize> = BTreeMap::new();
    let mut offset = cap_offset as usize;
    while offset != 0 {
        if taken.contains_key(&offset) {
            return Err(CapabilityError::Loop(offset));
        }
        if offset < RegionInfo::LAYOUT.size {
            return Err(CapabilityError::Inside(offset));
        }
        let outside = |needed: u64| CapabilityError::Outside { offset, needed, end: payload.len() };
        let bytes = payload.get(offset..).unwrap_or_default();
        let (header, rest) = CapabilityHeader::parse(bytes).ok_or_else(|| outside(8))?;
        // Those before are disjoint, so the last one to start below `end` is the only one that may reach past `offset`.
        let alone = |size: usize| {
            let end = offset + size;
            match taken.range(..end).next_back() {
                Some((other, other_end)) if *other_end > offset => {
                    Err(CapabilityError::Overlap { offset, other: *other })
                }
                _ => Ok(end),
            }
        };
        let (body, end) = match header.id {
            region_capability::SPARSE_MMAP => {
                let (sparse, rest) = SparseHeader::parse(rest).ok_or_else(|| outside(16))?;
                let needed = u64::from(sparse.nr_areas) * SparseArea::LAYOUT.size as u64;
                if (rest.len() as u64) < needed {
                    return Err(outside(16 + needed));
                }
                let end = alone(16 + needed as usize)?;
                let areas = rest
                    .chunks_exact(SparseArea::LAYOUT.size)
                    .take(sparse.nr_areas as usize)
                    .filter_map(|area| SparseArea::parse(area).map(|(area, _)| area))
                    .collect();
                (CapabilityBody::SparseMmap { reserved: sparse.reserved, areas }, end)
            }
            region_capability::TYPE => {
                let (kind, _) = RegionType::parse(rest).ok_or_else(|| outside(16))?;
                (CapabilityBody::Type { kind: kind.kind, subtype: kind.subtype }, alone(16)?)
            }
            _ => (CapabilityBody::Unknown, alone(8)?),
        };
        taken.insert(offset, end);
        found.push(Capability { offset, id: header.id, version: header.version, body });
        offset = header.next as usize;
    }
    Ok(found)
}

/// The bytes of a sparse mmap capability, header included, for a chain that goes on at `next` (0: ends).
pub fn sparse_mmap_bytes(areas: &[SparseArea], next: u32) -> Vec<u8> {
    let mut bytes = CapabilityHeader { id: region_capability::SPARSE_MMAP, version: 1, next }.bytes().to_vec();
    let nr_areas = u32::try_from(areas.len()).unwrap_or(u32::MAX);
    bytes.extend_from_slice(SparseHeader { nr_areas, reserved: 0 }.bytes());
    for area in areas {
        bytes.extend_from_slice(area.bytes());
    }
    bytes
}

/// The bytes of a type capability, header included, for a chain that goes on at `next` (0: ends).
pub fn type_bytes(kind: u32, subtype: u32, next: u32) -> Vec<u8> {
    let mut bytes = CapabilityHeader { id: region_capability::TYPE, version: 1, next }.bytes().to_vec();
    bytes.extend_from_slice(RegionType { kind, subtype }.bytes());
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A payload whose chain begins with the first of these, each at its offset.
    fn chain(of: &[(usize, Vec<u8>)]) -> Result<usize, CapabilityError> {
        let mut payload = vec![0; 128];
        for (offset, bytes) in of {
            payload[*offset..offset + bytes.len()].copy_from_slice(bytes);
        }
        capabilities(&payload, of[0].0 as u32).map(|chain| chain.len())
    }

    #[test]
    fn capabilities_may_touch_in_any_order_and_not_overlap() {
        let (area, kind) = (|next| sparse_mmap_bytes(&[SparseArea::default()], next), |next| type_bytes(1, 1, next));
        assert_eq!(chain(&[(32, area(64)), (64, kind(0))]), Ok(2));
        assert_eq!(chain(&[(64, kind(32)), (32, area(0))]), Ok(2));
        assert_eq!(chain(&[(48, area(32)), (32, kind(0))]), Ok(2));
        assert_eq!(chain(&[(32, area(56)), (56, kind(0))]), Err(CapabilityError::Overlap { offset: 56, other: 32 }));
    }

    #[test]
    fn areas_end_within_the_payload() {
        let two = sparse_mmap_bytes(&[SparseArea::default(); 2], 0);
        assert_eq!(chain(&[(80, two.clone())]), Ok(1));
        let cut = capabilities(&[vec![0; 80], two[..40].to_vec()].concat(), 80).map(|chain| chain.len());
        assert_eq!(cut, Err(CapabilityError::Outside { offset: 80, needed: 48, end: 120 }));
    }
}
