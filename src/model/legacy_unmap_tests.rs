//! What DMA_UNMAP of 0.9.1 may be answered with, and what is mapped then.

use nix::errno::Errno;
use pretty_assertions::assert_eq;
use vfio_user_wire::dma_unmap_flags::{ALL, GET_DIRTY_BITMAP};
use vfio_user_wire::legacy::{DmaMap, DmaUnmap, DmaUnmapGet};

use super::legacy_tests::{BASE, Client, NOTHING, SIZE, bitmap, offer, unmap_get};
use super::rulings_tests::{EITHER, refused, succeeds};
use super::{FdKind, Offer, PassedFd};
use crate::verdict::Class::{Note, Violation};

const RANGE: (u64, u64) = (BASE, SIZE);
const STRAY: [PassedFd; 1] = [PassedFd { id: 1, kind: FdKind::Other }];

fn unmap(argsz: u32, flags: u32, (address, size): (u64, u64)) -> Vec<u8> {
    DmaUnmap { argsz, flags, address, size }.bytes().to_vec()
}

/// One that asks for a bitmap, and has room for it.
fn unmap_for((address, size): (u64, u64), bitmap_pgsize: u64, bitmap_size: u64) -> Vec<u8> {
    let argsz = 40 + bitmap_size as u32;
    DmaUnmapGet { argsz, flags: GET_DIRTY_BITMAP, address, size, bitmap_pgsize, bitmap_size }.bytes().to_vec()
}

fn mapped() -> Client {
    let mut client = Client::new(offer());
    assert_eq!(client.map(Ok(())), NOTHING);
    client
}

/// A client whose map may be gone: its unmap had no room for the bitmap.
fn in_doubt() -> Client {
    let mut client = Client::logging();
    assert_eq!(client.ask("DMA_UNMAP", unmap_get(24, 16), Some(unmap(56, GET_DIRTY_BITMAP, RANGE))), NOTHING);
    client
}

#[test]
fn an_unmap_is_exact_and_may_be_of_everything() {
    assert_eq!(mapped().unmap(0, (BASE, 0x1000), true), [("L-UNM-07", Note)]);
    let mut client = mapped();
    assert_eq!(client.unmap(0, (BASE, 0x1000), false), NOTHING);
    assert_eq!(client.unmap(4, RANGE, true), [("L-UNM-11", Note)]);
    let both = ALL | GET_DIRTY_BITMAP;
    assert_eq!(mapped().unmap(both, (0, 0), true), [("L-UNM-06", Violation)]);
    let mut client = mapped();
    assert_eq!(client.unmap(both, (0, 0), false), NOTHING);
    assert_eq!(client.unmap(ALL, (BASE, 0), true), [("L-UNM-06", Note)]);
    // Nobody knows what that did.
    assert_eq!(client.map(Err(Errno::EEXIST)), NOTHING);
    let mut client = mapped();
    assert_eq!(client.unmap(ALL, (0, 0), false), [("L-UNM-05", Violation)]);
    assert_eq!(client.unmap(ALL, (0, 0), true), NOTHING);
    assert_eq!(client.map(Err(Errno::EEXIST)), [("L-UNM-05", Violation)]);
}

#[test]
fn an_unmap_tells_what_was_dirty() {
    let reply = |pages: &[u64]| Some([unmap_get(56, 16), bitmap(pages)].concat());
    let unmapped = |answer: Option<Vec<u8>>| {
        let mut client = Client::logging();
        client.write(65);
        client.ask("DMA_UNMAP", unmap_get(56, 16), answer)
    };
    assert_eq!(unmapped(reply(&[65])), NOTHING);
    assert_eq!(unmapped(reply(&[])), [("L-UNM-03", Violation)]);
    assert_eq!(unmapped(reply(&[1, 65])), [("L-DP-29", Violation)]);
    // The same page with the bits of each byte the other way round.
    let backwards = [unmap_get(56, 16), vec![0; 8], vec![0x40, 0, 0, 0, 0, 0, 0, 0]].concat();
    assert_eq!(unmapped(Some(backwards)), [("L-UNM-04", Note)]);
    assert_eq!(unmapped(None), [("L-UNM-02", Violation)]);
    assert_eq!(unmapped(Some(unmap_get(56, 16))), [("L-UNM-02", Violation)]);
    assert_eq!(unmapped(Some([unmap_get(24, 16), bitmap(&[65])].concat())), [("DUNMAP-06", Note)]);
}

#[test]
fn an_unmap_for_a_bitmap_has_room_for_it() {
    let refused = |argsz, size, answer| Client::logging().ask("DMA_UNMAP", unmap_get(argsz, size), answer);
    assert_eq!(refused(57, 16, None), [("DUNMAP-11", Note)]);
    // Cut for its room, it may be.
    assert_eq!(refused(47, 8, Some(unmap_get(48, 8)[..24].to_vec())), [("L-UNM-09", Note)]);
    assert_eq!(refused(48, 8, Some([unmap_get(48, 8), vec![0; 8]].concat())), [("L-UNM-09", Violation)]);
    // The head alone, with the argsz that is needed.
    assert_eq!(refused(24, 16, Some(unmap(56, GET_DIRTY_BITMAP, RANGE))), NOTHING);
    assert_eq!(refused(24, 16, Some([unmap_get(56, 16), bitmap(&[])].concat())), [("L-UNM-08", Violation)]);
    // Cut to an argsz below the fixed part, and cut otherwise (policy A-01).
    let cut = |length| refused(16, 16, Some(unmap(56, GET_DIRTY_BITMAP, RANGE)[..length].to_vec()));
    assert_eq!(cut(16), [("L-UNM-08", Note)]);
    assert_eq!(cut(12), [("L-UNM-08", Violation)]);
    assert_eq!(refused(24, 16, Some(unmap(48, GET_DIRTY_BITMAP, RANGE))), [("L-UNM-08", Violation)]);
    let short = unmap_get(56, 16)[..24].to_vec();
    assert_eq!(Client::logging().ask("DMA_UNMAP", short.clone(), None), NOTHING);
    let taken = Client::logging().ask("DMA_UNMAP", short, Some([unmap_get(56, 16), bitmap(&[])].concat()));
    assert!(taken.contains(&("L-UNM-01", Violation)));
}

#[test]
fn without_its_flag_there_is_no_bitmap() {
    let unflagged = |answer: Option<Vec<u8>>| {
        let mut request = unmap_get(56, 16);
        request[4] = 0;
        Client::logging().ask("DMA_UNMAP", request, answer)
    };
    assert_eq!(unflagged(Some(unmap(24, 0, RANGE))), NOTHING);
    assert_eq!(unflagged(None), NOTHING);
    assert_eq!(unflagged(Some([unmap_get(56, 16), bitmap(&[])].concat())), [("L-UNM-13", Violation)]);
}

#[test]
fn without_logging_no_bit_is_set() {
    let unlogged =
        |pages: &[u64]| mapped().ask("DMA_UNMAP", unmap_get(56, 16), Some([unmap_get(56, 16), bitmap(pages)].concat()));
    assert_eq!(unlogged(&[]), NOTHING);
    assert_eq!(unlogged(&[3]), [("L-UNM-10", Note)]);
}

#[test]
fn what_may_be_mapped_still_is_not_where_a_plain_unmap_is_refused() {
    let mut client = in_doubt();
    assert_eq!(client.unmap(0, RANGE, false), NOTHING);
    assert_eq!(client.map(Err(Errno::EEXIST)), [("DMAP-04", Violation)]);
}

#[test]
fn all_maps_are_unmapped_at_once() {
    let all = |client: &Client, argsz| client.breaks("DMA_UNMAP", unmap(argsz, ALL, (0, 0)));
    assert_eq!(all(&mapped(), 24), succeeds("L-UNM-05", Violation));
    assert_eq!(all(&mapped(), 25), succeeds("L-UNM-05", Note));
    assert_eq!(all(&mapped(), 23), EITHER);
    // There is nothing to unmap.
    assert_eq!(all(&Client::new(offer()), 24), EITHER);
    assert_eq!(mapped().breaks_with("DMA_UNMAP", unmap(24, ALL, (0, 0)), &STRAY), EITHER);
    // The flag came after `max_msg_size` had gone.
    let migration = r#"{"capabilities":{"max_msg_size":4096,"migration":{"pgsize":4096}}}"#;
    let mut early = Client::with_versions(offer(), migration, migration);
    early.map(Ok(()));
    assert_eq!(all(&early, 24), EITHER);
    assert_eq!(early.tests("DMA_UNMAP", unmap(24, ALL, (0, 0))), Some("L-UNM-05"));
}

#[test]
fn a_server_that_keeps_no_maps_may_do_what_it_likes() {
    for careless in [Offer { dma: false, ..offer() }, Offer { dma_table: false, ..offer() }] {
        assert_eq!(Client::new(careless).breaks("DMA_UNMAP", unmap(24, 4, RANGE)), EITHER);
    }
    assert_eq!(mapped().breaks("DMA_UNMAP", unmap(24, 4, RANGE)), refused("L-UNM-11", Note));
}

#[test]
fn argsz_has_room_for_the_entry() {
    let of = |argsz| mapped().breaks("DMA_UNMAP", unmap(argsz, 0, RANGE));
    assert_eq!(of(23), EITHER);
    assert_eq!(of(24), succeeds("DUNMAP-13", Violation));
    assert_eq!(of(25), succeeds("DUNMAP-11", Note));
}

#[test]
fn what_may_be_unmapped_may_be_refused() {
    let of = |range| in_doubt().breaks("DMA_UNMAP", unmap(24, 0, range));
    assert_eq!(of(RANGE), EITHER);
    assert_eq!(of((BASE, 0x1000)), EITHER);
    assert_eq!(of((BASE - 0x1000, 0x1000)), refused("L-UNM-07", Note));
    assert_eq!(in_doubt().breaks("DMA_UNMAP", unmap_get(56, 16)), EITHER);
}

#[test]
fn a_bitmap_is_due_of_what_is_logged() {
    let of = |request| Client::logging().breaks("DMA_UNMAP", request);
    assert_eq!(of(unmap_for(RANGE, 0x1000, 16)), succeeds("L-UNM-02", Violation));
    assert_eq!(of([unmap_for(RANGE, 0x1000, 16), vec![0; 8]].concat()), EITHER);
    assert_eq!(Client::logging().breaks_with("DMA_UNMAP", unmap_get(56, 16), &STRAY), EITHER);
    // Of other pages, and of what is written by messages (policy A-31).
    assert_eq!(of(unmap_for(RANGE, 0x2000, 8)), EITHER);
    let mut client = Client::logging();
    let map = DmaMap { argsz: 32, flags: 3, offset: 0, address: 0, size: 0x1000 };
    assert_eq!(client.ask("DMA_MAP", map.bytes().to_vec(), Some(vec![])), NOTHING);
    assert_eq!(client.breaks("DMA_UNMAP", unmap_for((0, 0x1000), 0x1000, 8)), EITHER);
}

#[test]
fn a_server_may_find_a_bitmap_too_long() {
    const PAGES: u64 = (64 << 10) * 8;
    let of = |pages: u64| {
        let mut client = Client::logging();
        let range = (1 << 40, pages * 0x1000);
        assert_eq!(client.map_range(range, Ok(())), NOTHING);
        client.breaks("DMA_UNMAP", unmap_for(range, 0x1000, pages.div_ceil(64) * 8))
    };
    assert_eq!(of(PAGES), succeeds("L-UNM-02", Violation));
    assert_eq!(of(PAGES + 1), EITHER);
}

#[test]
fn a_bitmap_that_has_not_a_bit_for_every_page_is_refused() {
    let of = |bitmap_size| Client::logging().breaks("DMA_UNMAP", unmap_for(RANGE, 0x1000, bitmap_size));
    assert_eq!(of(8), refused("L-UNM-09", Violation));
    assert_eq!(of(9), EITHER);
    assert_eq!(of(24), EITHER);
}

#[test]
fn bits_are_judged_of_what_was_mapped_and_logged_for_one_client() {
    let said = |mut client: Client, range: (u64, u64), bits: &[u8]| {
        let request = unmap_for(range, 0x1000, bits.len() as u64);
        client.ask("DMA_UNMAP", request.clone(), Some([&request, bits].concat()))
    };
    assert_eq!(said(Client::logging(), RANGE, &bitmap(&[5])), [("L-DP-29", Violation)]);
    let mut met = Client::logging();
    met.meet_another();
    assert_eq!(said(met, RANGE, &bitmap(&[5])), NOTHING);
    assert_eq!(said(Client::logging(), (BASE, 0x8000), &bitmap(&[5])[..8]), [("L-UNM-07", Note)]);
}

#[test]
fn the_reply_is_the_entry_and_says_what_it_takes() {
    let longer = [unmap(24, 0, RANGE), vec![0; 8]].concat();
    assert_eq!(mapped().ask("DMA_UNMAP", unmap(24, 0, RANGE), Some(longer)), [("DUNMAP-05", Violation)]);
    let said = |argsz| {
        let reply = [unmap_get(argsz, 16), bitmap(&[])].concat();
        Client::logging().ask("DMA_UNMAP", unmap_get(64, 16), Some(reply))
    };
    assert_eq!((said(56), said(64)), (vec![], vec![]));
    assert_eq!(said(60), [("DUNMAP-06", Note)]);
}

#[test]
fn what_is_unmapped_can_be_mapped_again() {
    let mut client = mapped();
    assert_eq!(client.unmap(0, RANGE, true), NOTHING);
    assert_eq!(client.map(Err(Errno::EEXIST)), [("DUNMAP-08", Violation)]);
    // What was accepted of a part may have unmapped the whole.
    let mut client = mapped();
    assert_eq!(client.unmap(0, (BASE, 0x1000), true), [("L-UNM-07", Note)]);
    assert_eq!(client.map(Ok(())), NOTHING);
}

#[test]
fn what_is_refused_leaves_the_map() {
    assert_eq!(Client::logging().unmap(0, RANGE, false), [("L-UNM-12", Violation)]);
    let left = |mut client: Client, request| {
        client.ask("DMA_UNMAP", request, None);
        client.unmap(0, RANGE, false)
    };
    assert_eq!(left(mapped(), unmap(23, 0, RANGE)), [("DUNMAP-14", Violation)]);
    assert_eq!(left(mapped(), unmap_get(56, 16)), [("L-UNM-10", Violation)]);
    assert_eq!(left(Client::logging(), unmap_get(56, 16)), [("DUNMAP-14", Violation)]);
    for argsz in [24, 55] {
        assert_eq!(left(Client::logging(), unmap_get(argsz, 16)), [("L-UNM-08", Violation)]);
    }
    assert_eq!(left(Client::logging(), unmap_get(64, 24)), [("L-UNM-09", Violation)]);
    // It may have been refused for its argsz, and tells nothing of the map.
    let mut client = in_doubt();
    assert_eq!(client.ask("DMA_UNMAP", unmap(23, 0, RANGE), None), NOTHING);
    assert_eq!(client.map(Err(Errno::EEXIST)), NOTHING);
}
