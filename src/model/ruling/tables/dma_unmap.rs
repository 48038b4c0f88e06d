//! DMA_UNMAP with a table of regions (version 8 at 595dff9, 593-698; 0.9.1 at cda5e5f^, 597-681).

use vfio_user_wire::tables::{CutOff, DmaUnmapEntries, Table, Unmapping};

use super::super::super::judgement::header_mark;
use super::super::super::maps::Map;
use super::super::super::permits::Permits;
use super::super::super::session::{Given, State};
use super::super::super::spans::span;
use super::super::super::tables::Asked;
use super::super::super::{Command, Judgements, LetGo};
use super::bitmaps;
use super::table;
use crate::verdict::Class::{Note, Violation};

fn regions(state: &State, command: &Command) -> Result<Vec<Unmapping>, CutOff> {
    DmaUnmapEntries::new(&command.payload, table(state)).collect()
}

pub(super) fn permits(state: &State, command: &Command) -> Permits {
    if !state.offer.dma {
        return Permits::either().testing("V8-08");
    }
    let Ok(regions) = regions(state, command) else {
        return Permits::refusal("V8-09", Note, "a refusal: the payload is no table of whole entries");
    };
    let flagged = regions.iter().filter(|region| region.bitmap.is_some()).count();
    if flagged > 0 {
        let mixed = flagged < regions.len() && table(state) == Table::V8;
        return if mixed { Permits::either() } else { Permits::either().testing("V8-10") };
    }
    let twice = |(at, region): (usize, &Unmapping)| {
        let same = |other: &&Unmapping| { other.region.address } == { region.region.address };
        regions.iter().skip(at + 1).any(|other| same(&other))
    };
    let sure = |region: &Unmapping| {
        let map = state.maps.exact(region.region.address, region.region.size);
        let told = (region.region.offset, region.region.protections);
        let right = |map: &Map| if table(state) == Table::V8 { map.told == told } else { told == (0, 0) };
        map.is_some_and(|map| map.sure && map.odd.is_none() && right(map))
    };
    let usual = |region: &Unmapping| { region.region.flags } == 0;
    if !state.offer.dma_table || regions.is_empty() || !command.fds.is_empty() || !regions.iter().all(usual) {
        return Permits::either();
    }
    if regions.iter().enumerate().any(twice) || !regions.iter().all(sure) {
        return Permits::either().testing("V8-11");
    }
    Permits::success("V8-09", Violation, "success: these are regions as they were mapped")
}

/// Judges the bitmaps of a successful reply.
pub(super) fn judge(state: &State, command: &Command, payload: &[u8], out: &mut Judgements) {
    let Ok(regions) = regions(state, command) else { return };
    let asked = |region: &Unmapping| {
        let (iova, size) = (region.region.address, region.region.size);
        region.bitmap.map(|bitmap| Asked { iova, size, bitmap })
    };
    let asked: Vec<Asked> = regions.iter().filter_map(asked).collect();
    if state.offer.dma_table && !asked.is_empty() {
        let expected = format!("{} bitmaps, each behind its structure as in the request", asked.len());
        let none = || "no payload".to_owned();
        out.must("V8-10", !payload.is_empty(), &expected, none, header_mark("size"));
    }
    bitmaps::judge(state, table(state), &asked, payload, "V8-10", out);
}

pub(super) fn apply(state: &mut State, command: &Command, given: Given<'_>) {
    state.refuse_fds(command, LetGo::Stray);
    let whole = regions(state, command).is_ok();
    let regions = DmaUnmapEntries::new(&command.payload, table(state)).map_while(Result::ok);
    let regions: Vec<(u64, u64)> = regions.map(|entry| (entry.region.address, entry.region.size)).collect();
    for (address, size) in &regions {
        match given {
            Given::Ok(_) if state.maps.exact(*address, *size).is_some() => state.maps.remove(*address, *size),
            // The texts do not say that a table which is cut off is refused before its first region is gone.
            Given::Error if regions.len() == 1 && whole => {}
            Given::Ok(_) | Given::Error | Given::Unknown => state.maps.doubt(*address, *size),
        }
        state.log.lose(span(*address, *size));
    }
}
