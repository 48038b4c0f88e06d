//! REGION_READ and REGION_WRITE.

use vfio_user_wire::message::RegionAccess;
use vfio_user_wire::region::CONFIG;
use vfio_user_wire::region_info_flags::{READ, WRITE};

use super::super::judgement::{bytes_mark, payload_mark};
use super::super::permits::Permits;
use super::super::scratch::Difference;
use super::super::session::{Given, State};
use super::super::{Command, Judgements, LetGo};
use crate::verdict::Class::{Note, Violation};

/// Where an access stands.
pub(super) enum Place {
    /// Nothing is known of the region.
    Unknown,
    /// There is no such region.
    NoRegion,
    /// The region has no bytes.
    Empty,
    /// It reaches past the end of the region.
    Outside { overflow: bool, size: u64 },
    /// Inside a region with these flags.
    Inside { flags: u32 },
}

pub(super) fn place(state: &State, access: &RegionAccess) -> Place {
    let (region, offset, count) = (access.region, access.offset, access.count);
    if state.offer.num_regions.is_some_and(|known| region >= known) {
        return Place::NoRegion;
    }
    let Some(known) = state.offer.region(u64::from(region)) else { return Place::Unknown };
    let end = offset.checked_add(u64::from(count));
    match end {
        _ if known.size == 0 => Place::Empty,
        Some(end) if end <= known.size => Place::Inside { flags: known.flags },
        _ => Place::Outside { overflow: end.is_none(), size: known.size },
    }
}

/// An access that every device takes: of 1, 2, 4 or 8 bytes, at a multiple of them.
pub(super) fn natural(access: &RegionAccess) -> bool {
    let (offset, count) = (access.offset, u64::from(access.count));
    matches!(count, 1 | 2 | 4 | 8) && offset.is_multiple_of(count)
}

pub(super) fn permits_read(state: &State, command: &Command) -> Permits {
    let Some((access, surplus)) = RegionAccess::parse(&command.payload) else { return Permits::either() };
    let (region, offset, count) = (access.region, access.offset, u64::from(access.count));
    let place = place(state, &access);
    if count == 0 || !surplus.is_empty() || !command.fds.is_empty() {
        return Permits::either();
    }
    match place {
        Place::Unknown => Permits::either(),
        Place::NoRegion => Permits::refusal("RREAD-04", Note, "a refusal: there is no such region"),
        Place::Empty => Permits::refusal("RREAD-10", Note, "a refusal: the region has no bytes"),
        Place::Outside { overflow: true, .. } => {
            Permits::refusal("RREAD-06", Note, "a refusal: offset and count go past 2^64")
        }
        Place::Outside { size, .. } => {
            let refusal = Permits::refusal("RREAD-05", Note, format!("a refusal: the region ends at {size:#x}"));
            if count > state.offer.limits.max_data_xfer_size { refusal.testing("RREAD-11") } else { refusal }
        }
        Place::Inside { flags } if flags & READ == 0 => {
            Permits::refusal("RREAD-09", Note, "a refusal: the region has no READ flag")
        }
        Place::Inside { .. } if count > state.offer.limits.max_data_xfer_size => Permits::either().testing("RREAD-11"),
        Place::Inside { .. } if region == CONFIG && offset == 0 && count == 256 => {
            Permits::success("RREAD-16", Note, "success: the first 256 bytes of the configuration space")
        }
        Place::Inside { .. } if natural(&access) && state.offer.is_scratch(region, offset, count) => {
            Permits::success("RREAD-01", Violation, "success: the device file names these bytes as scratch")
        }
        Place::Inside { .. } if natural(&access) && region == CONFIG && count <= 4 => {
            Permits::success("RREAD-01", Violation, "success: a read of the configuration space")
        }
        Place::Inside { .. } if matches!(count, 3 | 5 | 6 | 7) => Permits::either().testing("RREAD-13"),
        Place::Inside { .. } => Permits::either(),
    }
}

pub(super) fn judge_read(state: &State, command: &Command, payload: &[u8], out: &mut Judgements) {
    let Some((access, _)) = RegionAccess::parse(&command.payload) else { return };
    let Some((answer, data)) = RegionAccess::parse(payload) else { return };
    let (region, offset) = (access.region, access.offset);
    let (asked, got) = (access.count, answer.count);
    let mark = || RegionAccess::LAYOUT.field("count").and_then(payload_mark);
    let returned = || format!("{got} bytes");
    let nothing = "no data";
    match place(state, &access) {
        Place::Unknown => {}
        Place::NoRegion => out.must("RREAD-04", got == 0, nothing, returned, mark()),
        Place::Empty => out.must("RREAD-10", got == 0, nothing, returned, mark()),
        Place::Outside { size, overflow } => {
            let inside = offset.checked_add(u64::from(got)).is_some_and(|end| end <= size) || got == 0;
            let requirement = if overflow { "RREAD-06" } else { "RREAD-05" };
            out.must(requirement, inside, &format!("no byte from {size:#x} on"), returned, mark());
        }
        Place::Inside { .. } => {
            let expected = format!("the {asked} bytes that were asked for");
            out.should("RREAD-03", got >= asked, &expected, returned, mark());
            if state.alone {
                match state.scratch.differs(region, offset, data) {
                    None => {
                        for requirement in state.scratch.requirements(region, offset, data.len() as u64) {
                            out.must(requirement, true, "", String::new, None);
                        }
                    }
                    Some(Difference { at, got, right, requirement }) => {
                        let expected = format!("{right:#04x} at {:#x}, as it was written", offset + at as u64);
                        let mark = bytes_mark("data", RegionAccess::LAYOUT.size + at, 1);
                        out.must(requirement, false, &expected, || format!("{got:#04x}"), mark);
                    }
                }
            }
        }
    }
}

pub(super) fn permits_write(state: &State, command: &Command) -> Permits {
    let Some((access, data)) = RegionAccess::parse(&command.payload) else { return Permits::either() };
    let (region, offset, count) = (access.region, access.offset, u64::from(access.count));
    if count > data.len() as u64 {
        let expected = format!("a refusal: {} bytes came where count says {count}", data.len());
        return Permits::refusal("RWRITE-03", Violation, expected);
    }
    if count == 0 || count < data.len() as u64 || !command.fds.is_empty() {
        return Permits::either();
    }
    let most = state.offer.limits.max_data_xfer_size;
    match place(state, &access) {
        Place::Unknown => Permits::either(),
        Place::NoRegion => Permits::refusal("RWRITE-04", Note, "a refusal: there is no such region"),
        Place::Empty => Permits::refusal("RWRITE-04", Note, "a refusal: the region has no bytes"),
        Place::Outside { overflow: true, .. } => {
            Permits::refusal("RWRITE-04", Note, "a refusal: offset and count go past 2^64")
        }
        Place::Outside { size, .. } => {
            let refusal = Permits::refusal("RWRITE-04", Note, format!("a refusal: the region ends at {size:#x}"));
            if count > most { refusal.testing("RWRITE-11") } else { refusal }
        }
        Place::Inside { flags } if flags & WRITE == 0 => {
            Permits::refusal("RWRITE-05", Note, "a refusal: the region has no WRITE flag")
        }
        Place::Inside { .. } if count > most => Permits::either().testing("RWRITE-11"),
        Place::Inside { .. } if state.offer.is_scratch(region, offset, count) && count == most => {
            Permits::success("RWRITE-07", Violation, "success: the server takes max_data_xfer_size")
        }
        Place::Inside { .. } if natural(&access) && state.offer.is_scratch(region, offset, count) => {
            Permits::success("RWRITE-01", Note, "success: the device file names these bytes as scratch")
        }
        Place::Inside { .. } => Permits::either(),
    }
}

pub(super) fn judge_write(state: &State, command: &Command, payload: &[u8], out: &mut Judgements) {
    let Some((access, _)) = RegionAccess::parse(&command.payload) else { return };
    let Some((answer, _)) = RegionAccess::parse(payload) else { return };
    let (asked, got) = (access.count, answer.count);
    let mark = || RegionAccess::LAYOUT.field("count").and_then(payload_mark);
    let written = || format!("{got} bytes are said to be written");
    match place(state, &access) {
        Place::Unknown => {}
        Place::NoRegion | Place::Empty => out.must("RWRITE-04", got == 0, "no byte written", written, mark()),
        Place::Outside { size, .. } => {
            let inside = access.offset.checked_add(u64::from(got)).is_some_and(|end| end <= size) || got == 0;
            out.must("RWRITE-04", inside, &format!("no byte from {size:#x} on"), written, mark());
        }
        Place::Inside { .. } => {
            out.should("RWRITE-01", got >= asked, &format!("count {asked}"), written, mark());
        }
    }
}

pub(super) fn apply_write(state: &mut State, command: &Command, given: Given<'_>) {
    state.refuse_fds(command, LetGo::Stray);
    let Some((access, data)) = RegionAccess::parse(&command.payload) else { return };
    let (region, offset, count) = (access.region, access.offset, access.count);
    let all = usize::try_from(count).ok().and_then(|count| data.get(..count));
    let written = match given {
        Given::Ok(payload) => RegionAccess::parse(payload).is_some_and(|(answer, _)| { answer.count } == count),
        Given::Error => false,
        // A posted write has been done where any server must do it (RWRITE-09).
        Given::Unknown => command.header.no_reply() && !permits_write(state, command).error.is_empty(),
    };
    match all {
        // What is written while the device is stopped may stay or not (1679).
        Some(data)
            if written
                && state.offer.is_scratch(region, offset, u64::from(count))
                && !state.migration.may_be_stopped() =>
        {
            state.scratch.written("RWRITE-02", region, offset, data);
        }
        _ => state.scratch.forget(region, offset, u64::from(count).max(data.len() as u64)),
    }
}
