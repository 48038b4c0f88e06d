//! DMA_MAP with a table of regions (version 8 at 595dff9, 502-590; 0.9.1 at cda5e5f^, 522-595).

use nix::errno::Errno;
use vfio_user_wire::tables::{DmaMap, dma_map_entries};

use super::super::super::command::{FdKind, PassedFd};
use super::super::super::maps::{Map, Meets};
use super::super::super::permits::{Permits, Rule};
use super::super::super::session::{Given, State};
use super::super::super::{Command, LetGo};
use super::super::maps::MANY_UNSAID;
use crate::verdict::Class::{Note, Violation};

const READ: u32 = 1;
const READ_WRITE: u32 = 3;
const MAPPABLE: u32 = 1;
/// Every host has pages of this size.
const PAGE: u64 = 4096;

/// The regions of a request, each with its descriptor: those that are mappable have one each, in order.
fn regions<'a>(entries: &'a [DmaMap], fds: &'a [PassedFd]) -> impl Iterator<Item = (&'a DmaMap, Option<PassedFd>)> {
    let mut fds = fds.iter().copied();
    entries.iter().map(move |entry| (entry, if { entry.flags } & MAPPABLE == 0 { None } else { fds.next() }))
}

/// Nothing about it is out of the ordinary.
fn is_plain(entry: &DmaMap, fd: Option<PassedFd>) -> bool {
    let (address, size, offset, protections) = (entry.address, entry.size, entry.offset, entry.protections);
    let aligned = [address, size, offset].iter().all(|number| number.is_multiple_of(PAGE));
    let file = match fd.map(|fd| fd.kind) {
        None => entry.flags == 0 && offset == 0,
        Some(FdKind::Memory { size: file, writable }) => {
            entry.flags == MAPPABLE
                && offset.checked_add(size).is_some_and(|end| end <= file)
                && (writable || protections == READ)
        }
        Some(FdKind::Eventfd | FdKind::Other) => false,
    };
    let low = u128::from(address) + u128::from(size) <= 1 << 52;
    aligned && file && low && size > 0 && matches!(protections, READ | READ_WRITE)
}

/// Two regions have a byte in common.
fn overlap(one: &DmaMap, two: &DmaMap) -> bool {
    let end = |entry: &DmaMap| u128::from(entry.address) + u128::from(entry.size);
    one.size > 0 && two.size > 0 && u128::from(one.address) < end(two) && u128::from(two.address) < end(one)
}

pub(super) fn permits(state: &State, command: &Command) -> Permits {
    let (entries, rest) = dma_map_entries(&command.payload);
    if !state.offer.dma {
        return Permits::either().testing("V8-08");
    }
    let mappable = entries.iter().filter(|entry| { entry.flags } & MAPPABLE != 0).count();
    if !rest.is_empty() {
        // A server that does nothing with maps may not look at them, and what is behind whole entries may be left out.
        let class = if state.offer.dma_table && entries.is_empty() { Violation } else { Note };
        return Permits::refusal("V8-04", class, "a refusal: the payload is no table of whole entries");
    }
    if entries.is_empty() {
        return Permits::either();
    }
    let all_plain = regions(entries, &command.fds).all(|(entry, fd)| is_plain(entry, fd));
    let plain = all_plain && command.fds.len() == mappable;
    if state.offer.dma_table {
        let mut later = entries;
        let (mut meets, mut itself) = (Meets::Nothing, false);
        while let Some((entry, rest)) = later.split_first() {
            match state.maps.meets(entry.address, entry.size) {
                Meets::Surely => meets = Meets::Surely,
                Meets::Perhaps if meets == Meets::Nothing => meets = Meets::Perhaps,
                Meets::Perhaps | Meets::Nothing => {}
            }
            itself |= rest.iter().any(|other| overlap(entry, other));
            later = rest;
        }
        match meets {
            _ if itself || meets == Meets::Surely => {
                let expected = "an error reply with EEXIST: a region overlaps another";
                let permits = Permits::refusal("V8-06", Violation, expected);
                // EEXIST is for what was there before the command.
                let class = if meets == Meets::Surely && !itself { Violation } else { Note };
                let errno = Rule { requirement: "V8-06", class, expected: expected.to_owned() };
                return Permits { errno: plain.then_some((Errno::EEXIST as u32, errno)), ..permits };
            }
            Meets::Perhaps => return Permits::either(),
            Meets::Surely | Meets::Nothing => {}
        }
    }
    if command.fds.len() < mappable {
        // That it has is the client's duty (571-577): what is without can be reached by messages.
        let expected = "a refusal: each mappable region has a file descriptor";
        return Permits::refusal("V8-05", Note, expected);
    }
    if command.fds.len() > mappable {
        return Permits::either().testing("V8-05");
    }
    let elsewhere = entries.iter().any(|entry| {
        state
            .elsewhere
            .iter()
            // When a client leaves, the server takes no action (269-270).
            .chain(&state.left)
            .any(|(address, size)| overlap(entry, &DmaMap { address: *address, size: *size, ..DmaMap::default() }))
    });
    if !plain || elsewhere || state.maps.most() + entries.len() > MANY_UNSAID {
        return Permits::either();
    }
    let requirement = if mappable > 1 { "V8-05" } else { "V8-04" };
    Permits::success(requirement, Violation, "success: the regions are free, and nothing about them is odd")
}

pub(super) fn apply(state: &mut State, command: &Command, given: Given<'_>) {
    let (entries, _) = dma_map_entries(&command.payload);
    let maps: Vec<Map> = regions(entries, &command.fds)
        .map(|(entry, fd)| Map {
            address: entry.address,
            size: entry.size,
            file: fd.map(|fd| fd.id),
            sure: true,
            odd: None,
            told: (entry.offset, entry.protections),
            disturbed: None,
        })
        .collect();
    let kept: Vec<u64> = command.fds.iter().map(|fd| fd.id).collect();
    match given {
        Given::Ok(_) => {
            maps.into_iter().for_each(|map| state.maps.add(map));
            state.irqs.lose(&kept);
        }
        Given::Error if maps.len() == 1 => {
            maps.into_iter().for_each(|map| {
                state.maps.disturb(map.address, map.size, "V8-06");
                state.maps.refused(map.file);
            });
            state.refuse_fds(command, LetGo::Refused);
        }
        // It can have failed in part (V8-07).
        Given::Error | Given::Unknown => {
            maps.into_iter().for_each(|map| state.maps.perhaps(map));
            state.irqs.lose(&kept);
        }
    }
}
