//! What DIRTY_PAGES of 0.9.1 may be answered with, and what becomes of the log.

use pretty_assertions::assert_eq;
use vfio_user_wire::dirty_pages_flags::{GET_BITMAP, START, STOP};
use vfio_user_wire::legacy::{DirtyPages, RangeLayout};

use super::legacy_tests::{BASE, Client, NOTHING, SIZE, bitmap, get, offer, told, unmap_get};
use super::rulings_tests::{EITHER, refused, succeeds};
use super::samples::Said;
use super::{FdKind, Offer, PassedFd};
use crate::verdict::Class::{Note, Violation};

fn head(argsz: u32, flags: u32) -> Vec<u8> {
    DirtyPages { argsz, flags }.bytes().to_vec()
}

/// GET_BITMAP in the wide layout, as a request and as the beginning of a reply.
fn wide(argsz: u32) -> Vec<u8> {
    [get(argsz, BASE, SIZE, 16), vec![0; 8]].concat()
}

/// A server that logs one range that is mapped, and is known to have ranges of that layout.
fn logs(layout: RangeLayout, range: (u64, u64)) -> Client {
    let mut client = Client::new(Offer { range_layout: Some(layout), ..offer() });
    assert_eq!(client.map_range(range, Ok(())), NOTHING);
    assert_eq!(client.dirty(8, START, true), NOTHING);
    client
}

fn narrow() -> Client {
    logs(RangeLayout::Narrow, (BASE, SIZE))
}

#[test]
fn a_start_is_due_of_a_server_that_can_log() {
    let started = |offer: Offer, size: u64| {
        let mut client = Client::new(offer);
        client.map_range((BASE, size), Ok(()));
        let start = || head(8, START);
        (client.breaks("DIRTY_PAGES", start()), client.tests("DIRTY_PAGES", start()))
    };
    assert_eq!(started(offer(), SIZE), (succeeds("L-DP-05", Violation), Some("L-DP-05")));
    // It is optional.
    for unable in [Offer { dirty_pages: false, ..offer() }, Offer { dma: false, ..offer() }] {
        assert_eq!(started(unable, SIZE), (EITHER, Some("L-DP-01")));
    }
    // Which pages of a part of a page are dirty nobody can say.
    assert_eq!(started(offer(), SIZE + 0x800), (EITHER, None));
}

#[test]
fn a_stop_is_due_where_logging_was_started() {
    let stopped = |client: &Client| {
        let stop = || head(8, STOP);
        (client.breaks("DIRTY_PAGES", stop()), client.tests("DIRTY_PAGES", stop()))
    };
    assert_eq!(stopped(&Client::logging()), (succeeds("L-DP-07", Violation), Some("L-DP-07")));
    let mut client = Client::new(offer());
    assert_eq!(stopped(&client), (EITHER, Some("L-DP-26")));
    // It tells what nobody has asked it to log.
    assert_eq!(client.get(56, told(&[])), [("L-DP-10", Violation)]);
    assert_eq!(stopped(&client), (EITHER, None));
    let with_payload = Client::logging().ask("DIRTY_PAGES", head(8, STOP), Some(head(8, STOP)));
    assert_eq!(with_payload, [("L-DP-07", Violation)]);
}

#[test]
fn nothing_is_told_before_a_start() {
    let asked = |client: &Client, argsz, size| client.breaks("DIRTY_PAGES", get(argsz, BASE, size, 16));
    let mut never = Client::new(offer());
    assert_eq!(asked(&never, 56, SIZE), refused("L-DP-10", Violation));
    assert_eq!(asked(&never, 57, SIZE), refused("L-DP-10", Violation));
    // A reply that is cut tells of no page, and neither does one of no bytes.
    assert_eq!(asked(&never, 55, SIZE), refused("L-DP-10", Note));
    assert_eq!(asked(&never, 56, 0), refused("L-DP-10", Note));
    let mut failed = Client::new(offer());
    assert_eq!(failed.dirty(8, START, false), [("L-DP-05", Violation)]);
    assert_eq!(asked(&failed, 56, SIZE), refused("L-DP-10", Note));
    // The log may be another client's.
    for client in [&mut never, &mut failed] {
        client.meet_another();
        assert_eq!(asked(client, 56, SIZE), EITHER);
    }
    // What has been told once may be told again.
    let mut tells = Client::new(offer());
    assert_eq!(tells.get(56, told(&[])), [("L-DP-10", Violation)]);
    assert_eq!(asked(&tells, 56, SIZE), EITHER);
}

#[test]
fn another_client_may_have_begun_or_ended_the_log() {
    for done in [None, Some((START, false)), Some((START, true)), Some((STOP, true))] {
        let mut client = Client::new(offer());
        client.map(Ok(()));
        if let Some((flags, succeeds)) = done {
            client.dirty(8, flags, succeeds);
        }
        client.meet_another();
        for flags in [START, STOP] {
            assert_eq!(client.breaks("DIRTY_PAGES", head(8, flags)), EITHER, "{done:?}");
        }
        if done != Some((START, true)) {
            assert_eq!(client.breaks("DIRTY_PAGES", get(56, BASE, SIZE, 16)), EITHER, "{done:?}");
        }
    }
}

#[test]
fn a_range_may_end_with_the_addresses() {
    let last = SIZE.wrapping_neg();
    let client = logs(RangeLayout::Narrow, (last, SIZE));
    assert_eq!(client.breaks("DIRTY_PAGES", get(56, last, SIZE, 16)), succeeds("L-DP-05", Violation));
}

#[test]
fn argsz_has_room_for_the_range_and_for_the_bits() {
    let narrow = |argsz| narrow().breaks("DIRTY_PAGES", get(argsz, BASE, SIZE, 16));
    let wide = |argsz| logs(RangeLayout::Wide, (BASE, SIZE)).breaks("DIRTY_PAGES", wide(argsz));
    assert_eq!((narrow(39), wide(47)), (EITHER, EITHER));
    let cut = succeeds("L-DP-14", Note);
    assert_eq!((narrow(40), wide(48)), (cut.clone(), cut.clone()));
    assert_eq!((narrow(55), wide(63)), (cut.clone(), cut));
    let whole = succeeds("L-DP-05", Violation);
    assert_eq!((narrow(56), wide(64)), (whole.clone(), whole));
    let more = succeeds("L-DP-32", Note);
    assert_eq!((narrow(57), wide(65)), (more.clone(), more));
}

#[test]
fn a_range_in_the_other_layout_may_be_refused() {
    assert_eq!(narrow().breaks("DIRTY_PAGES", wide(64)), EITHER);
    let client = logs(RangeLayout::Wide, (BASE, SIZE));
    assert_eq!(client.breaks("DIRTY_PAGES", get(56, BASE, SIZE, 16)), EITHER);
}

#[test]
fn a_bitmap_that_has_not_a_bit_for_every_page_is_refused() {
    let asked = |argsz, bitmap_size| narrow().breaks("DIRTY_PAGES", get(argsz, BASE, SIZE, bitmap_size));
    assert_eq!(asked(48, 8), refused("L-DP-20", Violation));
    assert_eq!(asked(49, 8), refused("L-DP-20", Violation));
    // A server may look at argsz first.
    assert_eq!(asked(47, 8), refused("L-DP-20", Note));
    assert_eq!(asked(49, 9), EITHER);
}

#[test]
fn a_server_may_find_a_bitmap_too_long() {
    const PAGES: u64 = (64 << 10) * 8;
    let asked = |pages: u64| {
        let (size, bitmap_size) = (pages * 0x1000, pages.div_ceil(64) * 8);
        let request = get(40 + bitmap_size as u32, BASE, size, bitmap_size);
        logs(RangeLayout::Narrow, (BASE, size)).breaks("DIRTY_PAGES", request)
    };
    assert_eq!(asked(PAGES), succeeds("L-DP-05", Violation));
    assert_eq!(asked(PAGES + 1), EITHER);
}

#[test]
fn a_descriptor_that_nobody_asked_for_may_be_refused() {
    let stray = [PassedFd { id: 1, kind: FdKind::Other }];
    assert_eq!(narrow().breaks_with("DIRTY_PAGES", get(56, BASE, SIZE, 16), &stray), EITHER);
}

#[test]
fn what_a_bitmap_puts_to_the_test() {
    let tests = |argsz, bitmap_size| Client::logging().tests("DIRTY_PAGES", get(argsz, BASE, SIZE, bitmap_size));
    assert_eq!(tests(56, 8), Some("L-DP-20"));
    assert_eq!(tests(64, 24), Some("L-DP-20"));
    assert_eq!(tests((1 << 20) + 48, 16), None);
    assert_eq!(tests((1 << 20) + 49, 16), Some("L-DP-28"));
    assert_eq!(tests(56, 1 << 20), Some("L-DP-20"));
    assert_eq!(tests(56, (1 << 20) + 8), Some("L-DP-28"));
    for (iova, size) in [(BASE + 1, SIZE), (BASE, SIZE + 1), (BASE, 0), (0x1000u64.wrapping_neg(), SIZE)] {
        let tests = Client::logging().tests("DIRTY_PAGES", get(56, iova, size, 16));
        assert_eq!(tests, Some("L-DP-23"), "{iova:#x} {size:#x}");
    }
    // One range more, by its first bytes already.
    let range = get(72, BASE, SIZE, 16)[8..].to_vec();
    assert_eq!(Client::logging().tests("DIRTY_PAGES", [get(72, BASE, SIZE, 16), range].concat()), Some("L-DP-12"));
    assert_eq!(Client::logging().tests("DIRTY_PAGES", wide(64)), None);
}

#[test]
fn a_range_that_may_be_unmapped_may_be_refused() {
    let mut client = narrow();
    // Without room for the bitmap that may have unmapped the region, or not.
    let cut = unmap_get(56, 16)[..24].to_vec();
    assert_eq!(client.ask("DMA_UNMAP", unmap_get(24, 16), Some(cut)), NOTHING);
    let request = || get(56, BASE, SIZE, 16);
    assert_eq!(
        (client.breaks("DIRTY_PAGES", request()), client.tests("DIRTY_PAGES", request())),
        (EITHER, Some("L-DP-23"))
    );
}

#[test]
fn logging_lasts_until_it_is_stopped() {
    let mut client = narrow();
    assert_eq!(client.get(56, None), [("L-DP-05", Violation)]);
    assert_eq!(client.get(56, told(&[])), NOTHING);
    assert_eq!(client.get(56, None), [("L-DP-06", Violation)]);
    let pgsize = |pgsize: u64| format!(r#"{{"capabilities":{{"migration":{{"pgsize":{pgsize}}}}}}}"#);
    let offer = Offer { range_layout: Some(RangeLayout::Narrow), ..offer() };
    let mut client = Client::with_versions(offer, &pgsize(0x1_0000), &pgsize(0x1000));
    client.map(Ok(()));
    assert_eq!(client.dirty(8, START, true), NOTHING);
    // The smaller of two page sizes counts.
    assert_eq!(client.get(56, None), [("L-VER-02", Violation)]);
}

#[test]
fn what_other_clients_have_done_explains_any_bit() {
    let mut client = Client::logging();
    assert_eq!(client.get(56, told(&[5])), [("L-DP-29", Violation)]);
    let mut client = Client::logging();
    client.meet_another();
    assert_eq!(client.get(56, told(&[5])), NOTHING);
}

/// What is said of a bitmap of the map without a bit, after the device wrote page 3, and something else was done.
fn silent_after(something: impl FnOnce(&mut Client)) -> Said {
    let mut client = Client::logging();
    client.write(3);
    something(&mut client);
    client.get(56, told(&[]))
}

#[test]
fn what_is_no_action_does_nothing_where_it_is_refused() {
    let lost = [("L-DP-05", Violation)];
    assert_eq!(silent_after(|client| assert_eq!(client.dirty(8, START | STOP, false), NOTHING)), lost);
    assert_eq!(silent_after(|client| assert_eq!(client.dirty(8, 0, false), NOTHING)), lost);
    // Which of the two has been done nobody knows.
    let both = |client: &mut Client| assert_eq!(client.dirty(8, START | STOP, true), [("L-DP-08", Violation)]);
    assert_eq!(silent_after(both), NOTHING);
}

#[test]
fn a_stop_that_should_have_succeeded_may_have_stopped_the_log() {
    assert_eq!(silent_after(|client| assert_eq!(client.dirty(8, STOP, false), [("L-DP-07", Violation)])), NOTHING);
}

#[test]
fn a_part_of_a_map_is_told_and_the_rest_is_kept() {
    let mut client = Client::logging();
    client.write(3);
    client.write(64);
    let part = get(48, BASE, 0x8000, 8);
    let first = [part.clone(), bitmap(&[3])[..8].to_vec()].concat();
    assert_eq!(client.ask("DIRTY_PAGES", part, Some(first)), NOTHING);
    assert_eq!(client.get(56, told(&[])), [("L-DP-23", Violation)]);
}

#[test]
fn argsz_counts_the_head_and_the_range_and_the_bits() {
    let said = |room: u32, argsz: u32, bytes: usize| {
        let mut reply = get(argsz, BASE, SIZE, 16);
        reply.resize(bytes, 0);
        Client::logging().get(room, Some(reply))
    };
    // The bits alone, and all but the bits.
    assert_eq!(said(64, 16, 56), [("L-DP-31", Violation)]);
    assert_eq!(said(64, 40, 56), [("L-DP-31", Violation)]);
    // Other numbers than came, though there was just room enough.
    assert_eq!(said(56, 50, 56), [("L-DP-13", Violation)]);
    assert_eq!(said(100, 56, 90), [("L-DP-13", Violation)]);
    // One range in the wide layout, its reply in both.
    let mixed = [get(64, BASE, SIZE, 16), bitmap(&[])].concat();
    assert_eq!(Client::logging().ask("DIRTY_PAGES", wide(64), Some(mixed)), [("L-DP-18", Violation)]);
}

#[test]
fn argsz_tells_what_the_longest_bitmap_takes() {
    let said = |argsz| {
        let request = get(48, BASE, SIZE, u64::from(u32::MAX - 40));
        Client::logging().ask("DIRTY_PAGES", request, Some(head(argsz, GET_BITMAP)))
    };
    assert_eq!(said(u32::MAX), NOTHING);
    assert_eq!(said(u32::MAX - 1), [("L-DP-14", Violation)]);
}
