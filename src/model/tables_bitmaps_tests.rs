//! Bitmaps of the protocols with tables: DIRTY_PAGES, and unmaps that ask for one.

use nix::errno::Errno;
use pretty_assertions::assert_eq;
use vfio_user_wire::dirty_pages_flags::{GET_BITMAP, START, STOP};
use vfio_user_wire::message::RegionAccess;
use vfio_user_wire::tables::{DirtyPages, DmaMap, WideBitmap, WideBitmapRange};
use vfio_user_wire::{Dialect, V8, V8C};

use super::legacy_tests::version;
use super::samples::{Said, command, judged};
use super::tables_tests::{Client, NOTHING, map, unmap};
use super::{FdKind, Offer, PassedFd};
use crate::verdict::Class::{Note, Violation};

impl Client {
    /// START or STOP.
    fn log(&mut self, action: u32, succeeds: bool) -> Said {
        let answer = if succeeds { Ok(Vec::new()) } else { Err(Errno::EINVAL) };
        self.ask("DIRTY_PAGES", head(action), &[], answer)
    }

    /// GET_BITMAP for some pages, each by itself.
    fn get(&mut self, pages: &[u64], reply: Vec<u8>) -> Said {
        self.ask("DIRTY_PAGES", get(pages), &[], Ok(reply))
    }
}

/// The head of DIRTY_PAGES.
fn head(flags: u32) -> Vec<u8> {
    DirtyPages { argsz: DirtyPages::LAYOUT.size as u32, flags, data: 0 }.bytes().to_vec()
}

/// A range of DIRTY_PAGES of version 8.
fn range(iova: u64, size: u64, pgsize: u64, bitmap_size: u64) -> Vec<u8> {
    WideBitmapRange { iova, size, bitmap_pgsize: pgsize, bitmap_size, bitmap_data: 0 }.bytes().to_vec()
}

fn get(pages: &[u64]) -> Vec<u8> {
    let ranges = pages.iter().flat_map(|page| range(page << 12, 0x1000, 0x1000, 8));
    head(GET_BITMAP).into_iter().chain(ranges).collect()
}

/// A bitmap structure of version 8.
fn bitmap(pgsize: u64, size: u64) -> Vec<u8> {
    WideBitmap { pgsize, size, data: 0 }.bytes().to_vec()
}

/// The bitmap of one page, behind its structure: it was written or not.
fn bit(written: bool) -> Vec<u8> {
    [bitmap(0x1000, 8), u64::from(written).to_ne_bytes().to_vec()].concat()
}

/// Logging is on, and two pages are mapped.
fn logging(dialect: &'static Dialect) -> Client {
    let mut client = Client::new(dialect);
    let fd = |id| PassedFd { id, kind: FdKind::Memory { size: 0x1000, writable: true } };
    let table = [map(1, 1), map(2, 1)].concat();
    assert_eq!(client.ask("DMA_MAP", table, &[fd(1), fd(2)], Ok(vec![])), NOTHING);
    assert_eq!(client.log(START, true), NOTHING);
    client
}

/// Besides, the device has written page 1.
fn written() -> Client {
    let mut client = logging(&V8);
    client.session.device_writes(0x1000, 16);
    client.session.device_finished(true);
    client
}

#[test]
fn an_unmap_answers_with_the_bitmaps_and_nothing_else() {
    let mut client = Client::new(&V8);
    client.map(&[1, 2], Ok(()));
    assert_eq!(client.ask("DMA_UNMAP", unmap(&V8, 1, 0), &[], Ok(unmap(&V8, 1, 0))), [("V8-10", Violation)]);
    let request = [unmap(&V8, 2, 1), bitmap(0x1000, 8)].concat();
    assert_eq!(client.ask("DMA_UNMAP", request.clone(), &[], Ok(bit(false))), NOTHING);
    let mut again = Client::new(&V8);
    again.map(&[2], Ok(()));
    let other = [bitmap(0x1000, 16), vec![0; 8]].concat();
    assert_eq!(again.ask("DMA_UNMAP", request.clone(), &[], Ok(other)), [("V8-10", Violation)]);
    let entry = [unmap(&V8, 2, 1), bit(false)].concat();
    assert_eq!(client.ask("DMA_UNMAP", request, &[], Ok(entry)), [("V8-10", Violation)]);
}

#[test]
fn what_the_device_wrote_is_told() {
    let unmapped = |bits: [u8; 8]| {
        let request = [unmap(&V8, 1, 1), bitmap(0x1000, 8)].concat();
        written().ask("DMA_UNMAP", request, &[], Ok([bitmap(0x1000, 8), bits.to_vec()].concat()))
    };
    assert_eq!(unmapped([0; 8]), [("V8-10", Violation)]);
    assert_eq!(unmapped([1, 0, 0, 0, 0, 0, 0, 0]), NOTHING);
    // In which order the bits stand is not said.
    assert_eq!(unmapped([0, 0, 0, 0, 0, 0, 0, 0x80]), NOTHING);
    let asked = |pages: &[u64], reply: Vec<u8>| written().get(pages, reply);
    assert_eq!(asked(&[1], bit(false)), [("V8-20", Violation)]);
    assert_eq!(asked(&[1], vec![0; 8]), [("V8-20", Violation)]);
    assert_eq!(asked(&[1], bit(true)), NOTHING);
    assert_eq!(asked(&[2, 1], [bit(false), bit(true)].concat()), NOTHING);
    assert_eq!(asked(&[2, 1], [bit(false), bit(false)].concat()), [("V8-20", Violation)]);
    // What a refusal does to the log is nowhere said.
    let refused = |pages: &[u64]| {
        let mut client = written();
        client.ask("DIRTY_PAGES", get(pages), &[], Err(Errno::EINVAL));
        client.get(&[1], bit(false))
    };
    assert_eq!(refused(&[1]), NOTHING);
    assert_eq!(refused(&[2]), [("V8-20", Violation)]);
    // What was told may be forgotten, in one reply too.
    let mut client = written();
    assert_eq!(client.get(&[1], bit(true)), NOTHING);
    assert_eq!(client.get(&[1], bit(false)), NOTHING);
    assert_eq!(asked(&[1, 1], [bit(true), bit(false)].concat()), NOTHING);
}

#[test]
fn the_first_of_several_ranges_may_be_answered_alone() {
    let asked = |pages: &[u64], reply: Vec<u8>| written().get(pages, reply);
    assert_eq!(asked(&[2, 1], bit(false)), [("V8-20", Note)]);
    assert_eq!(asked(&[2, 1], vec![0; 8]), [("V8-20", Note)]);
    // Its bits are no matter then.
    assert_eq!(asked(&[1, 2], bit(false)), [("V8-20", Note)]);
    for other in [&bitmap(0x1000, 8)[..], &[0; 12], &[bitmap(0x2000, 8), vec![0; 8]].concat()] {
        assert_eq!(asked(&[2, 1], other.to_vec()), [("V8-20", Violation)]);
    }
    // The bits without their structure are those of version 8 alone.
    let ranges = [range(0x1000, 0x1000, 0x1000, 8), range(0x2000, 0x1000, 0x1000, 8)];
    let narrow = ranges.map(|range| range[..32].to_vec()).concat();
    let said = logging(&V8C).ask("DIRTY_PAGES", [head(GET_BITMAP), narrow].concat(), &[], Ok(vec![0; 8]));
    assert!(said.contains(&("V8-20", Violation)));
}

#[test]
fn a_reply_has_the_structures_that_were_asked_for() {
    for other in [&[][..], &[0; 7], &bitmap(0x1000, 8), &[bitmap(0x2000, 8), vec![0; 8]].concat()] {
        let said = logging(&V8).get(&[1], other.to_vec());
        assert!(said.contains(&("V8-20", Violation)), "{other:?}");
    }
    let client = logging(&V8);
    let request = [unmap(&V8, 1, 1), bitmap(0x1000, 8)].concat();
    let actual = |reply: Vec<u8>| {
        let sent = command(&V8, 50, "DMA_UNMAP", request.clone(), &[]);
        let said = judged(&mut client.session.clone(), 50, sent, Ok(reply));
        said.into_iter().find_map(|said| Some(said.broken?.actual)).unwrap()
    };
    assert_eq!(actual(vec![0; 31]), "47 bytes");
    assert_eq!(actual(vec![0; 32]), "other structures");
}

#[test]
fn the_u64_that_lacks_a_bit_is_marked() {
    let marked = |pages: &[u64], reply: Vec<u8>| {
        let said = judged(&mut written().session, 50, command(&V8, 50, "DIRTY_PAGES", get(pages), &[]), Ok(reply));
        let mark = said.into_iter().find_map(|said| said.broken?.field).unwrap();
        (mark.offset, mark.length)
    };
    // The header, the structure; a structure and its bits before.
    assert_eq!(marked(&[1], bit(false)), (16 + 24, 8));
    assert_eq!(marked(&[2, 1], [bit(false), bit(false)].concat()), (16 + 32 + 24, 8));
    assert_eq!(marked(&[1], vec![0; 8]), (16, 8));
}

#[test]
fn bits_are_missed_in_a_whole_region_in_the_pages_agreed_on() {
    let said = |client: &mut Client, iova, size, pgsize, bitmap_size: u64| {
        let request = [head(GET_BITMAP), range(iova, size, pgsize, bitmap_size)].concat();
        let reply = [bitmap(pgsize, bitmap_size), vec![0; bitmap_size as usize]].concat();
        client.ask("DIRTY_PAGES", request, &[], Ok(reply))
    };
    assert_eq!(said(&mut written(), 0x1000, 0x1000, 0x1000, 8), [("V8-20", Violation)]);
    // Smaller pages; two regions; no room for a bit.
    assert_eq!(said(&mut written(), 0x1000, 0x1000, 0x800, 8), NOTHING);
    assert_eq!(said(&mut written(), 0x1000, 0x2000, 0x1000, 8), NOTHING);
    assert_eq!(said(&mut written(), 0x1000, 0x1000, 0x1000, 0), NOTHING);
    // Another client may have asked for them.
    let mut client = written();
    client.session.meet(&mut Client::new(&V8).session);
    assert_eq!(said(&mut client, 0x1000, 0x1000, 0x1000, 8), NOTHING);
}

#[test]
fn logging_begins_and_ends() {
    for dialect in [&V8, &V8C] {
        let mut client = Client::new(dialect);
        // Nothing is to be stopped.
        assert_eq!(client.log(STOP, false), NOTHING);
        assert_eq!(client.log(START, false), [("V8-26", Violation)]);
        assert_eq!(client.log(START, true), NOTHING);
        assert_eq!(client.log(START, false), NOTHING);
        assert_eq!(client.log(STOP, true), NOTHING);
        assert_eq!(client.log(START, false), [("V8-26", Violation)]);
        assert_eq!(client.log(START, true), NOTHING);
        assert_eq!(client.log(STOP, false), [("V8-26", Violation)]);
        // It may have ended all the same.
        assert_eq!(client.log(STOP, false), NOTHING);
    }
}

#[test]
fn a_device_that_is_stopped_need_not_begin_to_log() {
    let mut client = Client::new(&V8);
    let device_state = RegionAccess { offset: 0, region: 9, count: 4 };
    let stopped = [device_state.bytes(), &0u32.to_ne_bytes()].concat();
    assert_eq!(client.ask("REGION_READ", device_state.bytes().to_vec(), &[], Ok(stopped)), NOTHING);
    assert_eq!(client.log(START, false), NOTHING);
}

#[test]
fn what_a_second_start_and_odd_ranges_leave_in_the_log_is_open() {
    let left = |flags, rest: &[u8], succeeds: bool| {
        let mut client = written();
        let answer = if succeeds { Ok(Vec::new()) } else { Err(Errno::EINVAL) };
        client.ask("DIRTY_PAGES", [&head(flags), rest].concat(), &[], answer);
        let stopped = client.session.clone();
        let missed = client.get(&[1], bit(false));
        client.session = stopped;
        (missed, client.log(STOP, false))
    };
    let goes_on = (vec![], vec![("V8-26", Violation)]);
    for succeeds in [true, false] {
        assert_eq!(left(START, &[], succeeds), goes_on);
        assert_eq!(left(GET_BITMAP, &[0; 8], succeeds), goes_on);
    }
}

#[test]
fn early_0_9_1_names_two_bitmap_structures() {
    let asked = |unused: usize, ranges: usize, reply: &[u8]| {
        let range = [&range(0x1000, 0x1000, 0x1000, 8)[..32], &vec![0; unused]].concat();
        logging(&V8C).ask("DIRTY_PAGES", [head(GET_BITMAP), range.repeat(ranges)].concat(), &[], Ok(reply.to_vec()))
    };
    let (own, kernels) = ([&bitmap(0x1000, 8)[..16], &[0; 8]].concat(), bit(false));
    assert_eq!(asked(0, 1, &own), NOTHING);
    assert_eq!(asked(8, 1, &own), NOTHING);
    assert_eq!(asked(0, 1, &kernels), [("V8-27", Violation)]);
    assert_eq!(asked(8, 1, &kernels), [("V8-27", Note)]);
    let other = [bitmap(0x2000, 8), vec![0; 8]].concat();
    assert_eq!(asked(8, 1, &other), [("V8-27", Violation)]);
    // Of several ranges, for all of them or for the first.
    assert_eq!(asked(8, 2, &kernels.repeat(2)), [("V8-20", Note)]);
    assert_eq!(asked(8, 2, &kernels), [("V8-20", Note)]);
    assert_eq!(asked(8, 2, &[kernels, other].concat()), [("V8-20", Violation)]);
}

#[test]
fn a_server_that_does_no_dma_need_not_give_bitmaps() {
    let request = [unmap(&V8, 1, 1), bitmap(0x1000, 8)].concat();
    let mut client = Client::new(&V8);
    assert_eq!(client.ask("DMA_UNMAP", request.clone(), &[], Ok(vec![])), [("V8-10", Violation)]);
    let mut without = Client::of(&V8, |offer| Offer { dma_table: false, ..offer });
    assert_eq!(without.ask("DMA_UNMAP", request, &[], Ok(vec![])), NOTHING);
}

#[test]
fn nothing_is_logged_where_migration_was_not_agreed_on() {
    let offer = Offer { pgsize: Some(4096), dirty_pages: true, dma: true, dma_table: true, ..Offer::default() };
    let with = version(r#"{"capabilities":{"migration":{"pgsize":4096}}}"#);
    let without = version(r#"{"capabilities":{}}"#);
    for (ours, servers) in [(&with, &without), (&without, &with), (&without, &without)] {
        let mut client = Client::connected(&V8, offer.clone());
        client.ask("VERSION", ours.clone(), &[], Ok(servers.clone()));
        assert_eq!(client.log(START, false), NOTHING);
    }
}

#[test]
fn dirty_pages_has_a_head_of_12_bytes() {
    let mut client = Client::new(&V8);
    assert_eq!(client.ask("DIRTY_PAGES", head(START)[..8].to_vec(), &[], Err(Errno::EINVAL)), NOTHING);
    assert_eq!(client.ask("DIRTY_PAGES", head(START), &[], Ok(head(START))), [("V8-26", Violation)]);
    assert_eq!(client.log(START | STOP, true), [("V8-20", Note)]);
    // With data, which START has none of.
    let data = DirtyPages { argsz: 12, flags: START, data: 1 }.bytes().to_vec();
    assert_eq!(Client::new(&V8).ask("DIRTY_PAGES", data, &[], Err(Errno::EINVAL)), NOTHING);
    // Of a map that has no pages nobody can say which of them are dirty.
    let mut odd = Client::new(&V8);
    odd.ask("DMA_MAP", DmaMap { protections: 3, ..DmaMap::default() }.bytes().to_vec(), &[], Ok(vec![]));
    assert_eq!(odd.log(START, false), NOTHING);
}
