//! DMA_MAP and DMA_UNMAP.

use nix::errno::Errno;
use vfio_user_wire::dma_unmap_flags::ALL;
use vfio_user_wire::message::{DmaMap, DmaUnmap};

use super::super::command::FdKind;
use super::super::edition::Edition;
use super::super::maps::{Map, Meets};
use super::super::permits::Permits;
use super::super::session::{Given, State};
use super::super::spans::span;
use super::super::{Command, LetGo};
use crate::verdict::Class::{Note, Violation};

const READABLE: u32 = 1;
const WRITEABLE: u32 = 2;
/// A descriptor comes with it (0.9.1 before commit 1abe697): a later text does not have the bit.
const MAPPABLE: u32 = 4;
/// Larger regions may be more than a server can take, without a file behind them at least (DMAP-22).
const LARGE: u64 = 1 << 40;
/// So many maps may be more than the server's process can hold.
const MANY: usize = 128;
/// So many may be more than a server holds where the protocol has no `max_dma_maps` by which it could say so.
pub(super) const MANY_UNSAID: usize = 16;

/// How a map departs from what every server takes.
enum Oddity {
    /// Not at all.
    None,
    /// A server may refuse it; where it takes it, a refusal to unmap it breaks this, as a note.
    Range(&'static str),
    /// A server may refuse it.
    Other,
}

fn oddity(state: &State, command: &Command, map: &DmaMap, surplus: &[u8]) -> Oddity {
    let (address, size, offset, flags) = (map.address, map.size, map.offset, map.flags);
    let page = state.offer.page_size.max(1);
    let end = u128::from(address) + u128::from(size);
    if size == 0 {
        return Oddity::Range("DMAP-15");
    }
    if end > 1 << 64 {
        return Oddity::Range("DMAP-16");
    }
    if !address.is_multiple_of(page) || !size.is_multiple_of(page) || !offset.is_multiple_of(page) {
        // 0.9.1 says nothing of pages here.
        return if state.edition() == Edition::Current { Oddity::Range("DMAP-27") } else { Oddity::Other };
    }
    let usual_flags = flags == READABLE || flags == READABLE | WRITEABLE;
    let file = match command.fds.as_slice() {
        [] => offset == 0,
        [fd] => match fd.kind {
            FdKind::Memory { size: file, writable } => {
                offset.checked_add(size).is_some_and(|end| end <= file) && (writable || flags & WRITEABLE == 0)
            }
            _ => false,
        },
        _ => false,
    };
    let low = end <= 1 << 52 || end == 1 << 64;
    if usual_flags && file && low && size <= LARGE && { map.argsz } == 32 && surplus.is_empty() {
        Oddity::None
    } else {
        Oddity::Other
    }
}

pub(super) fn permits_map(state: &State, command: &Command) -> Permits {
    let Some((map, surplus)) = DmaMap::parse(&command.payload).filter(|_| state.offer.dma) else {
        return Permits::either();
    };
    let (address, size, argsz) = (map.address, map.size, map.argsz);
    let oddity = oddity(state, command, &map, surplus);
    let plain = matches!(oddity, Oddity::None);
    let current = state.edition() == Edition::Current;
    if state.offer.dma_table {
        match state.maps.meets(address, size) {
            Meets::Surely => {
                let expected = "an error reply with EEXIST: the range overlaps a region that is mapped";
                let requirement = if current { "DMAP-05" } else { "L-DMAP-02" };
                let permits = Permits::refusal(requirement, Violation, expected);
                return if plain { permits.errno(Errno::EEXIST as u32, requirement, expected) } else { permits };
            }
            Meets::Perhaps => return Permits::either(),
            Meets::Nothing => {}
        }
    }
    if argsz < 32 && matches!(oddity, Oddity::Other) {
        return Permits::refusal("DMAP-02", Note, "a refusal: argsz is less than the structure");
    }
    let end = |address: u64, size: u64| u128::from(address) + u128::from(size);
    let overlaps = |&(other, length): &(u64, u64)| {
        u128::from(other) < end(address, size) && u128::from(address) < end(other, length)
    };
    let elsewhere = state.elsewhere.iter().any(overlaps);
    // Of early servers the flag says whether the descriptor is for mapping; without it that is nowhere said.
    if !current && ({ map.flags } & MAPPABLE != 0 || state.migrating.early && !command.fds.is_empty()) {
        return Permits::either().testing("L-DMAP-01");
    }
    if !plain || elsewhere || state.maps.len() >= if current { MANY } else { MANY_UNSAID } {
        return Permits::either();
    }
    if current && state.maps.len() as u64 >= state.offer.limits.max_dma_maps {
        return Permits::refusal("DMAP-21", Note, "a refusal: max_dma_maps maps are there already");
    }
    // So many may be there, if those are that nobody is sure of.
    if current && state.maps.most() as u64 >= state.offer.limits.max_dma_maps {
        return Permits::either();
    }
    if state.left.iter().any(overlaps) {
        return Permits::success("DISC-01", Note, "success: the client that mapped the range is gone");
    }
    let file = command.fds.first().map(|fd| fd.id);
    if u128::from(address) + u128::from(size) == 1 << 64 {
        return Permits::success("DMAP-16", Note, "success: the region ends at 2^64 and does not go past it");
    }
    let (requirement, why) = if let Some(requirement) = state.maps.why_free(address, size) {
        (requirement, "the range was unmapped before, and is free")
    } else if state.maps.touches(address, size) {
        ("DMAP-07", "the region touches another and does not overlap it")
    } else if file.is_some_and(|file| state.maps.has_file(file)) {
        ("DMAP-28", "one file may stand behind several regions")
    } else if file.is_none() && { map.flags } == READABLE {
        ("DMAP-25", "a read-only region needs no file descriptor")
    } else if file.is_none() {
        ("DMAP-03", "a region needs no file descriptor")
    } else {
        ("DMAP-04", "the range is free, and the file holds the region")
    };
    Permits::success(requirement, Violation, format!("success: {why}"))
}

pub(super) fn apply_map(state: &mut State, command: &Command, given: Given<'_>) {
    let Some((map, surplus)) = DmaMap::parse(&command.payload) else { return };
    let odd = match oddity(state, command, &map, surplus) {
        Oddity::Range(requirement) => Some(requirement),
        Oddity::None | Oddity::Other => None,
    };
    let (address, size) = (map.address, map.size);
    let file = command.fds.first().map(|fd| fd.id);
    let told = (map.offset, map.flags);
    let map = Map { address, size, file, sure: true, odd, told, disturbed: None };
    let kept: Vec<u64> = command.fds.iter().map(|fd| fd.id).collect();
    match given {
        Given::Ok(_) => {
            state.maps.add(map);
            state.irqs.lose(&kept);
        }
        Given::Error => {
            state.maps.disturb(address, size, "DMAP-06");
            state.maps.refused(file);
            state.refuse_fds(command, LetGo::Refused);
        }
        Given::Unknown => {
            state.maps.perhaps(map);
            state.irqs.lose(&kept);
        }
    }
}

/// The unmap of a map that is there for sure; `usual` is what a refusal breaks where nothing else explains it.
pub(super) fn permits_its_unmap(map: &Map, command: &Command, argsz: u32, usual: &'static str) -> Permits {
    if let Some(odd) = map.odd {
        return Permits::success(odd, Note, "success: the server has accepted this map");
    }
    if !command.fds.is_empty() {
        return Permits::success("DUNMAP-15", Note, "success: the file descriptor does no harm");
    }
    if argsz > 24 {
        return Permits::success("DUNMAP-11", Note, "success: argsz is only a ceiling");
    }
    let requirement = map.disturbed.unwrap_or(usual);
    Permits::success(requirement, Violation, "success: a region of exactly this address and size is mapped")
}

pub(super) fn permits_unmap(state: &State, command: &Command) -> Permits {
    let Some((unmap, surplus)) = DmaUnmap::parse(&command.payload) else { return Permits::either() };
    let (address, size, argsz, flags) = (unmap.address, unmap.size, unmap.argsz, unmap.flags);
    if !state.offer.dma || !state.offer.dma_table || argsz < 24 || flags != 0 || !surplus.is_empty() {
        return Permits::either();
    }
    match state.maps.exact(address, size) {
        Some(map) if map.sure => permits_its_unmap(map, command, argsz, "DUNMAP-13"),
        Some(_) => Permits::either(),
        None if state.maps.may_overlap(address, size) => Permits::either(),
        None => {
            let again = state.maps.was_unmapped(address, size);
            let requirement = if again { "DUNMAP-09" } else { "DUNMAP-02" };
            Permits::refusal(requirement, Note, "a refusal: no region of exactly this address and size is mapped")
        }
    }
}

pub(super) fn apply_unmap(state: &mut State, command: &Command, given: Given<'_>) {
    let Some((unmap, surplus)) = DmaUnmap::parse(&command.payload) else { return };
    let (address, size) = (unmap.address, unmap.size);
    // Otherwise it may be refused for something else than that the map is not there.
    let plain = { unmap.flags } == 0 && { unmap.argsz } == 24 && surplus.is_empty() && command.fds.is_empty();
    state.refuse_fds(command, LetGo::Stray);
    // In older versions there is an unmap of everything (policy A-04).
    let all = { unmap.flags } & ALL != 0 && address == 0 && size == 0;
    state.log.endanger(if all { (0, u128::MAX) } else { span(address, size) }, ("DLOG-36", Note));
    match given {
        Given::Error if plain => state.maps.not_unmapped(address, size, "DUNMAP-14"),
        Given::Error => state.maps.disturb(address, size, "DUNMAP-14"),
        _ if all => state.maps.doubt_all(),
        Given::Ok(_) if state.maps.exact(address, size).is_some() => state.maps.remove(address, size),
        Given::Ok(_) | Given::Unknown => state.maps.doubt(address, size),
    }
}
