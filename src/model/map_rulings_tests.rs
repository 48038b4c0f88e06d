//! What DMA_MAP and DMA_UNMAP may be answered with, and which maps may be there then.

use nix::errno::Errno;
use pretty_assertions::assert_eq;
use vfio_user_wire::dma_unmap_flags::ALL;
use vfio_user_wire::message::{DmaMap, DmaUnmap};
use vfio_user_wire::{Limits, NO_REPLY, TYPE_REPLY};

use super::rulings_tests::{EITHER, after, breaks, command, offer, refused, succeeds};
use super::{Command, FdKind, Offer, PassedFd, Session, samples};
use crate::verdict::Class::{Note, Violation};

const PAGE: u64 = 0x1000;
const BASE: u64 = 0x1_0000;
/// Far from it.
const AFAR: u64 = 0x8_0000;
/// Not page-aligned: a server may refuse it.
const ODD: u64 = BASE + PAGE / 2;

fn map(address: u64, size: u64) -> Command {
    command("DMA_MAP", DmaMap { argsz: 32, flags: 3, offset: 0, address, size }.bytes(), &[])
}

fn unmap(address: u64, size: u64) -> Command {
    command("DMA_UNMAP", DmaUnmap { argsz: 24, flags: 0, address, size }.bytes(), &[])
}

/// A session in which nobody knows what became of a command.
fn posted(mut command: Command) -> Session {
    let mut session = after(offer(), &[]);
    command.header.flags |= NO_REPLY;
    session.sent(10, command);
    session
}

/// The same session with this command answered.
fn then(mut session: Session, command: Command, answer: Result<(), Errno>) -> Session {
    samples::exchange(&mut session, 20, command, answer.map(|()| Vec::new()));
    session
}

#[test]
fn a_file_that_is_opened_for_reading_can_be_mapped_for_that() {
    let file = PassedFd { id: 1, kind: FdKind::Memory { size: PAGE, writable: false } };
    let said = |flags| {
        let map = DmaMap { argsz: 32, flags, offset: 0, address: BASE, size: PAGE };
        breaks(&after(offer(), &[]), command("DMA_MAP", map.bytes(), &[file]))
    };
    assert_eq!(said(1), succeeds("DMAP-04", Violation));
    assert_eq!(said(3), EITHER);
}

#[test]
fn what_another_client_has_mapped_may_be_refused_and_its_neighbours_are_free() {
    let (mut other, mut session) = (after(offer(), &[map(BASE, PAGE)]), after(offer(), &[]));
    session.meet(&mut other);
    assert_eq!(breaks(&session, map(BASE, PAGE)), EITHER);
    // So may what it maps from now on (SOCK-02).
    assert_eq!(breaks(&session, map(AFAR, PAGE)), succeeds("DMAP-03", Violation));
    session.overheard(&map(AFAR, PAGE));
    assert_eq!(breaks(&session, map(AFAR, PAGE)), EITHER);
    session.overheard(&unmap(AFAR + PAGE, PAGE));
    for address in [BASE - PAGE, BASE + PAGE, AFAR - PAGE, AFAR + PAGE] {
        assert_eq!(breaks(&session, map(address, PAGE)), succeeds("DMAP-03", Violation), "{address:#x}");
    }
}

#[test]
fn what_another_client_unmaps_may_be_gone() {
    let after_unmap = |unmap: Command| {
        let mut session = after(offer(), &[map(BASE, PAGE)]);
        session.overheard(&unmap);
        session
    };
    let all = DmaUnmap { argsz: 24, flags: ALL, address: 0, size: 0 };
    for gone in [unmap(BASE, PAGE), command("DMA_UNMAP", all.bytes(), &[])] {
        let session = after_unmap(gone);
        assert_eq!(breaks(&session, unmap(BASE, PAGE)), EITHER);
        assert_eq!(breaks(&session, map(BASE, PAGE)), EITHER);
    }
    let looks_alike = command("REGION_WRITE", &unmap(BASE, PAGE).payload, &[]);
    for other in [unmap(AFAR, PAGE), command("DMA_UNMAP", &[], &[]), looks_alike] {
        assert_eq!(breaks(&after_unmap(other), unmap(BASE, PAGE)), succeeds("DUNMAP-13", Violation));
    }
}

#[test]
fn unmaps_of_what_is_mapped() {
    let session = |offer| after(offer, &[map(BASE, PAGE)]);
    let said = |unmap: DmaUnmap, rest: &[u8], fds: &[PassedFd]| {
        breaks(&session(offer()), command("DMA_UNMAP", &[unmap.bytes(), rest].concat(), fds))
    };
    let exact = DmaUnmap { argsz: 24, flags: 0, address: BASE, size: PAGE };
    let fd = PassedFd { id: 1, kind: FdKind::Other };
    assert_eq!(said(exact, &[], &[]), succeeds("DUNMAP-13", Violation));
    assert_eq!(said(DmaUnmap { argsz: 25, ..exact }, &[], &[]), succeeds("DUNMAP-11", Note));
    assert_eq!(said(exact, &[], &[fd]), succeeds("DUNMAP-15", Note));
    assert_eq!(said(DmaUnmap { argsz: 23, ..exact }, &[], &[]), EITHER);
    assert_eq!(said(DmaUnmap { flags: 1, ..exact }, &[], &[]), EITHER);
    assert_eq!(said(exact, &[0], &[]), EITHER);
    // Of a server that does no DMA, or keeps no table of its maps.
    assert_eq!(breaks(&session(Offer { dma: false, ..offer() }), unmap(BASE, PAGE)), EITHER);
    assert_eq!(breaks(&session(Offer { dma_table: false, ..offer() }), unmap(BASE, PAGE)), EITHER);
}

/// Flag, address and size together make it (policy A-04).
#[test]
fn only_an_unmap_of_everything_leaves_every_map_in_doubt() {
    let then = |flags, address, size| {
        let odd = DmaUnmap { argsz: 24, flags, address, size };
        let session = after(offer(), &[map(BASE, PAGE), command("DMA_UNMAP", odd.bytes(), &[])]);
        breaks(&session, unmap(BASE, PAGE))
    };
    assert_eq!(then(ALL, 0, 0), EITHER);
    for (flags, address, size) in [(0, 0, 0), (0, AFAR, 0), (ALL, AFAR, 0), (ALL, 0, PAGE), (ALL, AFAR, PAGE)] {
        assert_eq!(then(flags, address, size), succeeds("DUNMAP-13", Violation), "{flags} {address:#x} {size:#x}");
    }
}

#[test]
fn a_map_of_no_bytes_is_over_no_other() {
    let session = after(offer(), &[map(BASE, 2 * PAGE)]);
    assert_eq!(breaks(&session, map(BASE + PAGE, 0)), EITHER);
}

#[test]
fn what_was_taken_over_another_may_have_become_one() {
    let session = after(offer(), &[map(BASE, 2 * PAGE), map(BASE + PAGE, 2 * PAGE)]);
    assert_eq!(breaks(&session, unmap(BASE, 3 * PAGE)), EITHER);
    assert_eq!(breaks(&session, unmap(AFAR, PAGE)), refused("DUNMAP-02", Note));
}

#[test]
fn odd_maps_that_were_taken_are_maps_like_others() {
    let two = [map(ODD, PAGE), map(ODD + 2 * PAGE, PAGE)];
    let both = after(offer(), &two);
    assert_eq!(breaks(&both, unmap(ODD, PAGE)), succeeds("DMAP-27", Note));
    assert_eq!(breaks(&both, unmap(AFAR, PAGE)), refused("DUNMAP-02", Note));
    let first = then(both, unmap(ODD + 2 * PAGE, PAGE), Ok(()));
    assert_eq!(breaks(&first, unmap(ODD, PAGE)), succeeds("DMAP-27", Note));
    assert_eq!(breaks(&first, unmap(ODD + 2 * PAGE, PAGE)), refused("DUNMAP-09", Note));
    // They count.
    let said = |max_dma_maps| {
        let limits = Limits { max_dma_maps, ..Limits::default() };
        let session = after(Offer { limits, ..offer() }, &[map(AFAR, PAGE), map(ODD, PAGE)]);
        breaks(&session, map(AFAR + 2 * PAGE, PAGE))
    };
    assert_eq!(said(3), succeeds("DMAP-03", Violation));
    assert_eq!(said(2), refused("DMAP-21", Note));
}

#[test]
fn a_map_that_is_taken_shows_that_nothing_was_in_its_place() {
    let session = then(posted(map(BASE, PAGE)), map(BASE, 2 * PAGE), Ok(()));
    assert_eq!(breaks(&session, unmap(BASE, 2 * PAGE)), succeeds("DUNMAP-13", Violation));
    assert_eq!(breaks(&session, unmap(BASE, PAGE)), refused("DUNMAP-02", Note));
    // Elsewhere it shows nothing.
    let session = then(posted(map(AFAR, PAGE)), map(BASE, 2 * PAGE), Ok(()));
    assert_eq!(breaks(&session, unmap(AFAR, PAGE)), EITHER);
    // What a server takes an odd range for, nobody knows.
    let session = then(posted(map(ODD, PAGE)), map(BASE, 2 * PAGE), Ok(()));
    assert_eq!(breaks(&session, unmap(BASE, 2 * PAGE)), EITHER);
    assert_eq!(breaks(&session, unmap(ODD, PAGE)), EITHER);
}

#[test]
fn an_unmap_that_is_refused_shows_that_nothing_was_there_unless_the_map_is_odd() {
    let refused_once = |address| then(posted(map(address, PAGE)), unmap(address, PAGE), Err(Errno::ENOENT));
    assert_eq!(breaks(&refused_once(BASE), unmap(BASE, PAGE)), refused("DUNMAP-02", Note));
    assert_eq!(breaks(&refused_once(ODD), unmap(ODD, PAGE)), EITHER);
}

#[test]
fn an_unmap_that_should_have_been_refused_leaves_open_what_it_took() {
    let everything = DmaUnmap { argsz: 24, flags: ALL, address: 0, size: 0 };
    for taken in [unmap(BASE, 2 * PAGE), command("DMA_UNMAP", everything.bytes(), &[])] {
        let session = after(offer(), &[map(BASE, PAGE), taken]);
        assert_eq!(breaks(&session, unmap(BASE, PAGE)), EITHER);
        assert_eq!(breaks(&session, map(BASE, PAGE)), EITHER);
    }
}

#[test]
fn what_a_message_did_that_is_no_command_nobody_knows() {
    let mut reply = map(AFAR, PAGE);
    reply.header.flags = TYPE_REPLY;
    let session = after(offer(), &[map(BASE, PAGE), reply]);
    assert_eq!(breaks(&session, unmap(BASE, PAGE)), EITHER);
}

#[test]
fn after_a_reset_of_which_nobody_knows_the_end_maps_are_open() {
    let (mut posted, mut other) = (after(offer(), &[map(BASE, PAGE)]), after(offer(), &[map(BASE, PAGE)]));
    let mut reset = command("DEVICE_RESET", &[], &[]);
    other.overheard(&reset);
    reset.header.flags = NO_REPLY;
    posted.sent(10, reset);
    for session in [posted, other] {
        assert_eq!(breaks(&session, unmap(BASE, PAGE)), EITHER);
        assert_eq!(breaks(&session, map(BASE, PAGE)), EITHER);
    }
}
