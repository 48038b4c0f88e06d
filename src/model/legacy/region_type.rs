//! What holds for the type of a region (0.9.1 at 190f85b^, 976-1008), and for a migration region (1670-1672, 1797-1799).

use vfio_user_wire::legacy::MigrationInfo;
use vfio_user_wire::message::RegionInfo;
use vfio_user_wire::region_info_flags::MMAP;
use vfio_user_wire::{CapabilityBody, capabilities, region_subtype, region_type};

use super::super::Judgements;
use super::super::edition::Edition;
use super::super::judgement::{bytes_mark, payload_mark};

/// Bytes of the registers.
const REGISTERS: u64 = MigrationInfo::LAYOUT.size as u64;

/// Judges a full reply that has capabilities.
pub(in crate::model) fn judge_region(edition: Edition, info: &RegionInfo, payload: &[u8], out: &mut Judgements) {
    let own = |requirement| edition.own_name(requirement);
    // What is wrong with the chain itself is told already.
    let Ok(chain) = capabilities(payload, info.cap_offset) else { return };
    let mut migration = false;
    for capability in &chain {
        let CapabilityBody::Type { kind, subtype } = capability.body else { continue };
        let (offset, version) = (capability.offset, capability.version);
        let expected = "version 1 of the type capability";
        out.must(
            own("L-REG-01"),
            version == 1,
            expected,
            || format!("version {version}"),
            bytes_mark("version", offset + 2, 2),
        );
        let known = (kind, subtype) == (region_type::MIGRATION, region_subtype::MIGRATION);
        let actual = || format!("type {kind}, subtype {subtype}");
        let expected = "type 3, subtype 1: the only one that vfio-user has";
        out.should(own("L-REG-02"), known, expected, actual, bytes_mark("type", offset + 8, 8));
        migration |= known;
    }
    if !migration {
        return;
    }
    let (size, flags) = (info.size, info.flags);
    let mark = |name| RegionInfo::LAYOUT.field(name).and_then(payload_mark);
    let expected = format!("a region that holds the {REGISTERS} bytes of registers");
    out.must(own("L-MR-01"), size >= REGISTERS, &expected, || format!("size {size:#x}"), mark("size"));
    let areas: Vec<(u64, u64)> = chain
        .iter()
        .filter_map(|capability| match &capability.body {
            CapabilityBody::SparseMmap { areas, .. } => Some(areas),
            _ => None,
        })
        .flatten()
        .map(|area| (area.offset, area.size))
        .collect();
    let whole = flags & MMAP != 0 && areas.is_empty();
    let mapped = whole || areas.iter().any(|(start, length)| *start < REGISTERS && *length > 0);
    let expected = "the registers in no part that can be mapped";
    let actual = || if whole { "all of it can be mapped".to_owned() } else { "an area that begins in them".to_owned() };
    out.must(own("L-MR-27"), !mapped, expected, actual, mark("flags"));
}
