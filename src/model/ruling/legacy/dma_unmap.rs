//! DMA_UNMAP of 0.9.1, which can tell what was dirty and can unmap everything (0.9.1 at 190f85b^, 660-746).

use vfio_user_wire::dma_unmap_flags::{ALL, GET_DIRTY_BITMAP};
use vfio_user_wire::legacy::{DmaUnmap, DmaUnmapGet};
use vfio_user_wire::{bitmap_size, dirty_pages};

use super::super::super::dirty_bits::{self, Bits, Names};
use super::super::super::dirty_log::Logging;
use super::super::super::legacy::dma_unmap::{BITS, asked, bits, needed};
use super::super::super::permits::Permits;
use super::super::super::session::{Given, State};
use super::super::super::spans::{Span, span};
use super::super::super::{Command, Judgements, LetGo};
use super::super::maps::permits_its_unmap;
use super::dirty_pages::{SHORT, logging};
use crate::verdict::Class::{Note, Violation};

/// All addresses.
const EVERYTHING: Span = (0, 1 << 64);

/// What a wrong bit breaks.
const NAMES: Names = Names {
    missing: "L-UNM-03",
    unwritten: "L-DP-29",
    other_pages: "L-UNM-03",
    read: "L-DP-29",
    told: "L-DP-27",
    before: "L-DP-05",
};

pub(super) fn permits(state: &State, command: &Command) -> Permits {
    let Some((unmap, surplus)) = DmaUnmap::parse(&command.payload) else { return Permits::either() };
    let (address, size, argsz, flags) = (unmap.address, unmap.size, unmap.argsz, unmap.flags);
    if !state.offer.dma || !state.offer.dma_table {
        return Permits::either();
    }
    let usual = command.fds.is_empty() && argsz >= 24;
    match flags {
        _ if flags & !(ALL | GET_DIRTY_BITMAP) != 0 => {
            Permits::refusal("L-UNM-11", Note, "a refusal: no more than bits 0 and 1 of the flags mean something")
        }
        ALL if address != 0 || size != 0 => {
            Permits::refusal("L-UNM-06", Note, "a refusal: address and size are 0 where all regions are unmapped")
        }
        // The flag came with commit 080e664.
        ALL if state.migrating.early => Permits::either().testing("L-UNM-05"),
        ALL if usual && surplus.is_empty() && state.maps.len() > 0 && state.maps.are_sure() => {
            let class = if argsz == 24 { Violation } else { Note };
            Permits::success("L-UNM-05", class, "success: all regions are to be unmapped")
        }
        ALL => Permits::either(),
        GET_DIRTY_BITMAP => match asked(command) {
            Some(request) => permits_bitmap(state, command, &request),
            None => Permits::either(),
        },
        0 if !surplus.is_empty() => Permits::either().testing("L-UNM-13"),
        0 if argsz < 24 => Permits::either(),
        0 => permits_plain(state, command, &unmap),
        _ => Permits::refusal("L-UNM-06", Violation, "a refusal: all regions have no bitmap"),
    }
}

/// Neither a bitmap nor all regions.
fn permits_plain(state: &State, command: &Command, unmap: &DmaUnmap) -> Permits {
    let (address, size, argsz) = (unmap.address, unmap.size, unmap.argsz);
    match state.maps.exact(address, size) {
        Some(map) if map.sure => {
            let usual = if logging(state) == Logging::Surely { "L-UNM-12" } else { "DUNMAP-13" };
            permits_its_unmap(map, command, argsz, usual)
        }
        _ => permits_no_map(state, address, size),
    }
}

/// There is no such map for sure, unless it is in doubt.
fn permits_no_map(state: &State, address: u64, size: u64) -> Permits {
    if state.maps.may_overlap(address, size) {
        return Permits::either();
    }
    let again = state.maps.was_unmapped(address, size);
    let requirement = if again { "DUNMAP-09" } else { "L-UNM-07" };
    Permits::refusal(requirement, Note, "a refusal: no region of exactly this address and size is mapped")
}

fn permits_bitmap(state: &State, command: &Command, request: &DmaUnmapGet) -> Permits {
    let (address, size, argsz) = (request.address, request.size, request.argsz);
    let (page_size, room) = (request.bitmap_pgsize, request.bitmap_size);
    if !page_size.is_power_of_two() {
        return Permits::either();
    }
    if room < size.div_ceil(page_size).div_ceil(8) {
        let expected = format!("a refusal: a bitmap of {room} bytes has not a bit for every page");
        // A server may look at argsz first, and cut its reply.
        let class = if u64::from(argsz) < needed(request) { Note } else { Violation };
        return Permits::refusal("L-UNM-09", class, expected);
    }
    if bitmap_size(size, page_size) != Some(room) {
        return Permits::either().testing("L-UNM-09");
    }
    if u64::from(argsz) < needed(request) {
        return Permits::either().testing("L-UNM-08");
    }
    let Some(map) = state.maps.exact(address, size).filter(|map| map.sure && map.odd.is_none()) else {
        return permits_no_map(state, address, size);
    };
    match logging(state) {
        Logging::Never | Logging::Refused | Logging::Stopped => return Permits::either().testing("L-UNM-10"),
        Logging::Perhaps => return Permits::either(),
        Logging::Surely => {}
    }
    // A server may keep no bitmap of what it reaches by messages (policy A-31), or of other pages than those agreed on.
    let usual = state.log.page_size == Some(page_size) && map.file.is_some() && command.fds.is_empty();
    if !usual || room > SHORT || command.payload.len() > BITS {
        return Permits::either();
    }
    if state.migrating.too_long(needed(request)) {
        return Permits::either().testing("L-UNM-14");
    }
    if u64::from(argsz) > needed(request) {
        return Permits::success("DUNMAP-11", Note, "success: argsz is only a ceiling");
    }
    Permits::success("L-UNM-02", Violation, "success: the region is mapped, and its dirty pages are logged")
}

/// Judges the bits of a successful reply.
pub(super) fn judge(state: &State, command: &Command, payload: &[u8], out: &mut Judgements) {
    let Some(request) = asked(command) else { return };
    let (iova, length, page_size) = (request.address, request.size, request.bitmap_pgsize);
    let known = state.maps.exact(iova, length).is_some() && page_size.is_power_of_two();
    let Some(bits) = bits(&request, payload).filter(|_| state.alone && known) else { return };
    if matches!(logging(state), Logging::Never | Logging::Stopped) {
        let set = dirty_pages(bits).next();
        let actual = || format!("that of page {} is set", set.unwrap_or_default());
        return out.should("L-UNM-10", set.is_none(), "no bit set: nothing is logged", actual, None);
    }
    let bits = Bits { iova, length, page_size, bits, at: BITS };
    dirty_bits::judge_in_any_order(&state.log, bits, NAMES, "L-UNM-04", out);
}

pub(super) fn apply(state: &mut State, command: &Command, given: Given<'_>) {
    let Some((unmap, surplus)) = DmaUnmap::parse(&command.payload) else { return };
    let (address, size, flags) = (unmap.address, unmap.size, unmap.flags);
    state.refuse_fds(command, LetGo::Stray);
    if flags & ALL != 0 {
        return apply_all(state, flags == ALL && address == 0 && size == 0, given);
    }
    let asked = asked(command);
    let plain = flags == 0 && { unmap.argsz } == 24 && surplus.is_empty() && command.fds.is_empty();
    match given {
        Given::Error if plain => state.maps.not_unmapped(address, size, "DUNMAP-14"),
        Given::Error => {
            let requirement = asked.map_or("DUNMAP-14", |request| refusal_leaves(state, &request));
            state.maps.disturb(address, size, requirement);
            state.log.endanger(span(address, size), ("L-UNM-03", Note));
        }
        Given::Ok(payload) if state.maps.exact(address, size).is_some() => {
            // One that had no room for its reply may ask again, and so the region may be there still (343-348).
            if asked.is_some_and(|request| bits(&request, payload).is_none()) {
                state.maps.doubt(address, size);
            } else {
                state.maps.remove(address, size);
            }
            match asked {
                Some(_) => state.log.told(span(address, size)),
                None => state.log.lose(span(address, size)),
            }
        }
        Given::Ok(_) | Given::Unknown => {
            state.maps.doubt(address, size);
            state.log.lose(span(address, size));
        }
    }
}

/// What is broken where a map is harmed by a request for its bitmap that was refused.
fn refusal_leaves(state: &State, request: &DmaUnmapGet) -> &'static str {
    if bitmap_size(request.size, request.bitmap_pgsize) != Some(request.bitmap_size) {
        "L-UNM-09"
    } else if u64::from(request.argsz) < needed(request) {
        "L-UNM-08"
    } else if matches!(logging(state), Logging::Never | Logging::Refused | Logging::Stopped) {
        "L-UNM-10"
    } else {
        "DUNMAP-14"
    }
}

fn apply_all(state: &mut State, exact: bool, given: Given<'_>) {
    match given {
        // An early server may have ignored a bit that its text does not have.
        Given::Ok(_) if exact && !state.migrating.early => {
            state.maps.remove_all("L-UNM-05");
            state.log.lose(EVERYTHING);
        }
        Given::Error => state.maps.disturb(0, u64::MAX, "L-UNM-06"),
        Given::Ok(_) | Given::Unknown => {
            state.maps.doubt_all();
            state.log.lose(EVERYTHING);
        }
    }
}
