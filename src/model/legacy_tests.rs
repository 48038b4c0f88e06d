//! Protocol 0.9.1 from command to command: what is agreed on, what is mapped, and what DIRTY_PAGES tells.

use std::sync::Arc;

use nix::errno::Errno;
use vfio_user_wire::legacy::{BitmapRange, DirtyPages, DmaMap, DmaUnmap};
use vfio_user_wire::{Limits, V0_9_1};

use super::rulings_tests::breaks;
use super::samples::{Said, command, exchange, judged};
use super::{FdKind, Offer, PassedFd, Permits, Session};
use crate::verdict::Class::{self, Note, Violation};

pub(super) const NOTHING: [(&str, Class); 0] = [];
pub(super) const BASE: u64 = 0x10_0000;
/// 66 pages: a bitmap of two u64s.
pub(super) const SIZE: u64 = 66 * 0x1000;

/// A session of 0.9.1 in which every command is answered at once.
pub(super) struct Client {
    pub(super) session: Session,
    sent: usize,
}

impl Client {
    pub(super) fn new(offer: Offer) -> Client {
        let migration = r#"{"capabilities":{"max_msg_fds":8,"migration":{"pgsize":4096}}}"#;
        Client::with_versions(offer, migration, migration)
    }

    pub(super) fn with_versions(offer: Offer, client: &str, server: &str) -> Client {
        let mut client_ = Client { session: Session::new(&V0_9_1, Arc::new(offer)), sent: 0 };
        assert_eq!(client_.ask("VERSION", version(client), Some(version(server))), NOTHING);
        client_
    }

    /// What a successful reply with that payload breaks, or an error where there is none.
    pub(super) fn ask(&mut self, name: &str, payload: Vec<u8>, answer: Option<Vec<u8>>) -> Said {
        self.pass(name, payload, &[], answer.ok_or(Errno::EINVAL))
    }

    fn pass(&mut self, name: &str, payload: Vec<u8>, fds: &[PassedFd], answer: Result<Vec<u8>, Errno>) -> Said {
        let command = command(&V0_9_1, self.sent, name, payload, fds);
        let said = exchange(&mut self.session, self.sent, command, answer);
        self.sent += 1;
        said
    }

    /// What a success of a request breaks, and what its refusal breaks.
    pub(super) fn breaks(&self, name: &str, payload: Vec<u8>) -> (Said, Said) {
        self.breaks_with(name, payload, &[])
    }

    /// The same with descriptors.
    pub(super) fn breaks_with(&self, name: &str, payload: Vec<u8>, fds: &[PassedFd]) -> (Said, Said) {
        breaks(&self.session, command(&V0_9_1, self.sent, name, payload, fds))
    }

    /// What a request puts to the test.
    pub(super) fn tests(&self, name: &str, payload: Vec<u8>) -> Option<&'static str> {
        let mut session = self.session.clone();
        session.sent(self.sent, command(&V0_9_1, self.sent, name, payload, &[]));
        session.permits(self.sent).tests
    }

    /// Another client of the server comes.
    pub(super) fn meet_another(&mut self) {
        self.session.meet(&mut Client::new(offer()).session);
    }

    /// Maps memory with a file behind it.
    pub(super) fn map(&mut self, answer: Result<(), Errno>) -> Said {
        self.map_range((BASE, SIZE), answer)
    }

    /// The same of another range.
    pub(super) fn map_range(&mut self, (address, size): (u64, u64), answer: Result<(), Errno>) -> Said {
        let payload = DmaMap { argsz: 32, flags: 3, offset: 0, address, size }.bytes().to_vec();
        let fd = PassedFd { id: 7, kind: FdKind::Memory { size, writable: true } };
        self.pass("DMA_MAP", payload, &[fd], answer.map(|()| Vec::new()))
    }

    pub(super) fn unmap(&mut self, flags: u32, range: (u64, u64), succeeds: bool) -> Said {
        let payload = DmaUnmap { argsz: 24, flags, address: range.0, size: range.1 }.bytes().to_vec();
        self.ask("DMA_UNMAP", payload.clone(), succeeds.then_some(payload))
    }

    pub(super) fn dirty(&mut self, argsz: u32, flags: u32, succeeds: bool) -> Said {
        self.ask("DIRTY_PAGES", DirtyPages { argsz, flags }.bytes().to_vec(), succeeds.then(Vec::new))
    }

    /// GET_BITMAP of the map.
    pub(super) fn get(&mut self, argsz: u32, answer: Option<Vec<u8>>) -> Said {
        self.ask("DIRTY_PAGES", get(argsz, BASE, SIZE, 16), answer)
    }

    /// The device writes one byte of a page, and says that it has.
    pub(super) fn write(&mut self, page: u64) {
        self.session.device_writes(BASE + page * 0x1000, 1);
        self.session.device_finished(true);
    }

    /// One that maps, and whose server logs.
    pub(super) fn logging() -> Client {
        let mut client = Client::new(offer());
        assert_eq!(client.map(Ok(())), NOTHING);
        assert_eq!(client.dirty(8, 1, true), NOTHING);
        client
    }
}

pub(super) fn offer() -> Offer {
    Offer {
        limits: Limits { max_msg_fds: 8, ..Limits::default() },
        dma: true,
        dma_table: true,
        pgsize: Some(4096),
        dirty_pages: true,
        ..Offer::default()
    }
}

pub(super) fn version(data: &str) -> Vec<u8> {
    [&[0, 0, 1, 0], data.as_bytes(), &[0]].concat()
}

/// GET_BITMAP in the narrow layout, as a request and as the beginning of a reply.
pub(super) fn get(argsz: u32, iova: u64, size: u64, bitmap_size: u64) -> Vec<u8> {
    let range = BitmapRange { iova, size, bitmap_pgsize: 0x1000, bitmap_size };
    [DirtyPages { argsz, flags: 4 }.bytes(), range.bytes()].concat()
}

/// The bits of these pages.
pub(super) fn bitmap(pages: &[u64]) -> Vec<u8> {
    let mut words = [0u64; 2];
    pages.iter().for_each(|page| words[(page / 64) as usize] |= 1 << (page % 64));
    words.iter().flat_map(|word| word.to_ne_bytes()).collect()
}

/// The reply to GET_BITMAP in the narrow layout.
pub(super) fn told(pages: &[u64]) -> Option<Vec<u8>> {
    Some([get(56, BASE, SIZE, 16), bitmap(pages)].concat())
}

pub(super) fn unmap_get(argsz: u32, bitmap_size: u64) -> Vec<u8> {
    let entry = DmaUnmap { argsz, flags: 1, address: BASE, size: SIZE };
    [entry.bytes(), &0x1000u64.to_ne_bytes(), &bitmap_size.to_ne_bytes()].concat()
}

#[test]
fn a_map_over_another_is_refused_with_eexist() {
    let mut client = Client::new(offer());
    assert_eq!(client.map(Ok(())), NOTHING);
    assert_eq!(client.map(Err(Errno::EEXIST)), NOTHING);
    assert_eq!(client.map(Err(Errno::EINVAL)), [("L-DMAP-02", Violation)]);
    assert_eq!(client.map(Ok(())), [("L-DMAP-02", Violation)]);
}

#[test]
fn a_server_may_hold_few_maps_where_it_cannot_say_how_many() {
    let mut client = Client::new(offer());
    for page in 0..16 {
        let map = DmaMap { argsz: 32, flags: 3, offset: 0, address: page * 0x2000, size: 0x1000 }.bytes().to_vec();
        assert_eq!(client.ask("DMA_MAP", map.clone(), None), [("DMAP-03", Violation)]);
        assert_eq!(client.ask("DMA_MAP", map, Some(Vec::new())), NOTHING);
    }
    let map = DmaMap { argsz: 32, flags: 3, offset: 0, address: 0x80_0000, size: 0x1000 }.bytes().to_vec();
    assert_eq!(client.ask("DMA_MAP", map, None), NOTHING);
}

#[test]
fn dirty_pages_takes_one_action_and_gives_no_payload() {
    let mut client = Client::new(offer());
    assert_eq!(client.dirty(8, 0, true), [("L-DP-09", Violation)]);
    assert_eq!(client.dirty(8, 8, true), [("L-DP-09", Note)]);
    assert_eq!(client.dirty(8, 3, true), [("L-DP-08", Violation)]);
    assert_eq!(Client::new(offer()).dirty(8, 1, false), [("L-DP-05", Violation)]);
    assert_eq!(Client::new(offer()).dirty(100, 1, false), NOTHING);
    assert_eq!(Client::new(offer()).dirty(8, 2, false), NOTHING);
    assert_eq!(Client::logging().dirty(8, 1, false), NOTHING);
    assert_eq!(Client::logging().dirty(8, 2, false), [("L-DP-07", Violation)]);
    let start = DirtyPages { argsz: 8, flags: 1 }.bytes().to_vec();
    let said = Client::new(offer()).ask("DIRTY_PAGES", start.clone(), Some(start.clone()));
    assert_eq!(said, [("L-DP-05", Violation)]);
    assert_eq!(Client::new(offer()).ask("DIRTY_PAGES", start[..4].to_vec(), Some(vec![])), [("L-DP-03", Violation)]);
    let head = DirtyPages { argsz: 56, flags: 4 }.bytes().to_vec();
    assert!(Client::logging().ask("DIRTY_PAGES", head, told(&[])).contains(&("L-DP-11", Violation)));
}

#[test]
fn without_migration_there_is_no_logging() {
    let with = r#"{"capabilities":{"migration":{"pgsize":4096}}}"#;
    let mut client = Client::with_versions(offer(), with, r#"{"capabilities":{}}"#);
    assert_eq!(client.dirty(8, 1, false), NOTHING);
    assert_eq!(client.dirty(8, 1, true), [("L-DP-02", Note)]);
}

#[test]
fn pages_are_told_while_logging_lasts() {
    let mut client = Client::new(offer());
    client.map(Ok(()));
    assert_eq!(client.get(56, told(&[])), [("L-DP-10", Violation)]);
    let mut client = Client::logging();
    assert_eq!(client.get(56, None), NOTHING);
    client.write(0);
    client.write(64);
    assert_eq!(client.get(56, told(&[0, 64])), NOTHING);
    // Its layout is known now.
    assert_eq!(client.get(56, None), [("L-DP-06", Violation)]);
    assert_eq!(client.get(60, None), [("L-DP-32", Note)]);
    assert_eq!(client.get(56, told(&[0])), [("L-DP-27", Note)]);
    client.write(8);
    assert_eq!(client.get(56, told(&[])), [("L-DP-06", Violation)]);
    client.session.device_reads(BASE + 0x2000, 1);
    assert_eq!(client.get(56, told(&[2])), [("L-DP-29", Violation)]);
    client.write(9);
    assert_eq!(client.dirty(8, 1, true), NOTHING);
    assert_eq!(client.get(56, told(&[])), [("L-DP-25", Note)]);
    assert_eq!(client.dirty(8, 2, true), NOTHING);
    assert_eq!(client.get(56, told(&[])), [("L-DP-07", Note)]);
}

#[test]
fn what_was_written_is_told_by_the_first_reply() {
    let said = |pages: &[u64]| {
        let mut client = Client::logging();
        client.write(7);
        client.get(56, told(pages))
    };
    assert_eq!(said(&[7]), NOTHING);
    assert_eq!(said(&[]), [("L-DP-05", Violation)]);
    assert_eq!(said(&[7, 66]), [("L-DP-19", Note)]);
    let mut client = Client::logging();
    client.write(7);
    let part = [get(48, BASE, 0x8000, 8), vec![0; 8]].concat();
    assert_eq!(client.ask("DIRTY_PAGES", get(48, BASE, 0x8000, 8), Some(part)), [("L-DP-23", Violation)]);
}

#[test]
fn a_range_has_one_of_two_layouts_and_argsz_counts_all() {
    let said = |argsz: u32, answer: Vec<u8>| Client::logging().get(argsz, Some(answer));
    let reply = |argsz: u32, bytes: usize| {
        let mut reply = get(argsz, BASE, SIZE, 16);
        reply.resize(bytes, 0);
        reply
    };
    assert_eq!(said(64, reply(56, 56)), NOTHING);
    assert_eq!(said(64, reply(64, 64)), NOTHING);
    assert_eq!(said(64, reply(64, 56)), [("L-DP-18", Violation)]);
    assert_eq!(said(64, reply(56, 64)), [("L-DP-18", Violation)]);
    assert_eq!(said(64, reply(40, 56)), [("L-DP-31", Violation)]);
    assert_eq!(said(64, reply(50, 56)), [("L-DP-13", Violation)]);
    assert_eq!(said(100, reply(100, 56)), [("L-DP-32", Violation)]);
    assert_eq!(said(100, reply(100, 100)), [("L-DP-32", Violation)]);
    assert_eq!(said(100, reply(90, 100)), [("L-DP-13", Violation)]);
    // Cut to an argsz below the fixed part, and cut otherwise (policy A-01).
    assert_eq!(said(4, vec![0; 4]), [("L-DP-13", Note)]);
    assert_eq!(said(5, vec![0; 4]), [("L-DP-13", Violation)]);
    // Less than any bitmap takes, and no argsz that says so.
    assert_eq!(said(40, reply(40, 40)), [("L-DP-14", Violation)]);
    assert_eq!(said(100, reply(56, 100)), [("L-DP-32", Violation)]);
    let mut flags = reply(56, 56);
    flags[4] = 0;
    assert_eq!(said(56, flags), [("L-DP-16", Violation)]);
    let mut range = reply(56, 56);
    range[8] = 1;
    assert!(said(56, range).contains(&("L-DP-17", Violation)));
}

#[test]
fn what_has_no_room_is_cut_and_not_lost() {
    let mut client = Client::logging();
    client.write(3);
    let head = DirtyPages { argsz: 56, flags: 4 }.bytes().to_vec();
    assert_eq!(client.get(40, Some(head.clone())), NOTHING);
    assert_eq!(client.get(56, told(&[])), [("L-DP-14", Violation)]);
    let cut = |answer: Vec<u8>| Client::logging().get(48, Some(answer));
    let echo = get(56, BASE, SIZE, 16);
    assert_eq!(cut(echo.clone()), NOTHING);
    assert_eq!(cut([echo.clone(), vec![0; 8]].concat()), NOTHING);
    assert_eq!(cut([echo, vec![0, 9]].concat()), [("L-DP-15", Violation)]);
    assert_eq!(cut(DirtyPages { argsz: 57, flags: 4 }.bytes().to_vec()), [("L-DP-14", Violation)]);
    assert_eq!(cut(told(&[]).unwrap()), [("L-DP-14", Violation)]);
}

#[test]
fn a_bitmap_has_a_bit_for_every_page_at_the_least() {
    let mut client = Client::logging();
    let short = [get(48, BASE, SIZE, 8), vec![0; 8]].concat();
    assert_eq!(client.ask("DIRTY_PAGES", get(48, BASE, SIZE, 8), Some(short)), [("L-DP-20", Violation)]);
    let longer = |last: u8| {
        let reply = [get(64, BASE, SIZE, 24), bitmap(&[]), vec![0, 0, 0, 0, 0, 0, 0, last]].concat();
        Client::logging().ask("DIRTY_PAGES", get(64, BASE, SIZE, 24), Some(reply))
    };
    assert_eq!(longer(0), NOTHING);
    assert_eq!(longer(1), [("L-DP-20", Violation)]);
    let odd = |answer: Option<Vec<u8>>| {
        let mut request = get(56, BASE, SIZE, 16);
        request[24..32].copy_from_slice(&3u64.to_ne_bytes());
        Client::logging().ask("DIRTY_PAGES", request, answer)
    };
    assert_eq!(odd(None), NOTHING);
    assert!(odd(told(&[])).contains(&("L-DP-22", Note)));
}

#[test]
fn two_ranges_are_refused_or_the_first_is_answered() {
    let request = [get(72, BASE, SIZE, 16), get(72, BASE, SIZE, 16)[8..].to_vec()].concat();
    let said = |answer| Client::logging().ask("DIRTY_PAGES", request.clone(), answer);
    assert_eq!(said(None), NOTHING);
    assert_eq!(said(told(&[])), NOTHING);
    let both = [get(72, BASE, SIZE, 16), bitmap(&[]), bitmap(&[])].concat();
    assert_eq!(said(Some(both)), [("L-DP-12", Violation)]);
}

#[test]
fn the_smaller_page_size_counts() {
    let said = |capabilities: &str, answer: Option<&str>| {
        let mut client = Client { session: Session::new(&V0_9_1, Arc::new(offer())), sent: 0 };
        client.ask("VERSION", version(capabilities), answer.map(version))
    };
    let pgsize = |pgsize: &str| format!(r#"{{"capabilities":{{"migration":{{"pgsize":{pgsize}}}}}}}"#);
    let usual = pgsize("4096");
    assert_eq!(said(&pgsize("65536"), Some(&usual)), NOTHING);
    assert_eq!(said(&pgsize("65536"), None), [("L-VER-02", Violation)]);
    assert_eq!(said(&pgsize("2048"), None), [("L-VER-02", Note)]);
    assert_eq!(said(&pgsize("6000"), None), NOTHING);
    assert_eq!(said(r#"{"capabilities":{"migration":{}}}"#, None), NOTHING);
    assert_eq!(said(r#"{"capabilities":{"max_msg_fds":8}}"#, None), [("L-VER-03", Violation)]);
    for none in ["\"4096\"", "0"] {
        assert_eq!(said(&usual, Some(&pgsize(none))), [("L-VER-02", Violation)].as_slice(), "{none}");
    }
    assert_eq!(said(&usual, Some(r#"{"capabilities":{"migration":true}}"#)), [("L-VER-01", Violation)]);
    let mut client = Client::with_versions(offer(), &pgsize("65536"), &usual);
    client.map(Ok(()));
    client.dirty(8, 1, true);
    client.write(1);
    assert_eq!(client.get(56, told(&[])), [("L-VER-02", Violation)]);
}

#[test]
fn no_reply_is_larger_than_the_client_takes_where_the_server_knows_of_that() {
    let (client, server) = (r#"{"capabilities":{"max_msg_size":64}}"#, r#"{"capabilities":{"max_msg_size":4096}}"#);
    let mut client = Client::with_versions(offer(), client, server);
    client.map(Ok(()));
    let reply = Some([unmap_get(56, 16), bitmap(&[])].concat());
    assert!(client.ask("DMA_UNMAP", unmap_get(56, 16), reply).contains(&("L-UNM-14", Violation)));
}

#[test]
fn more_room_than_is_needed_is_seen_to_be_left() {
    let held = |argsz| {
        let mut client = Client::logging();
        let sent = command(&V0_9_1, client.sent, "DIRTY_PAGES", get(argsz, BASE, SIZE, 16), &[]);
        let said = judged(&mut client.session, client.sent, sent, Ok(told(&[]).unwrap()));
        said.iter().any(|said| said.requirement == "L-DP-32" && said.broken.is_none())
    };
    assert!(held(60) && !held(56));
}

#[test]
fn a_stop_that_was_refused_changes_nothing() {
    let mut client = Client::new(offer());
    client.map(Ok(()));
    assert_eq!(client.dirty(8, 2, false), NOTHING);
    assert_eq!(client.get(56, told(&[])), [("L-DP-10", Violation)]);
}

#[test]
fn no_argsz_tells_what_a_bitmap_of_4_gib_takes() {
    let said = |argsz: u32, bytes: usize| {
        let request = get(48, 0, 1 << 47, 1 << 32);
        let mut reply = DirtyPages { argsz, flags: 4 }.bytes().to_vec();
        reply.resize(bytes, 0);
        Client::logging().ask("DIRTY_PAGES", request, Some(reply))
    };
    assert_eq!(said(u32::MAX, 8), NOTHING);
    assert_eq!(said(u32::MAX, 48), NOTHING);
    assert_eq!(said(u32::MAX, 49), [("L-DP-28", Violation)]);
    assert_eq!(said(48, 48), [("L-DP-28", Violation)]);
}

#[test]
fn a_byte_behind_the_bits_is_pointed_at() {
    let mut client = Client::logging();
    let request = get(64, BASE, SIZE, 24);
    let reply = [request.clone(), bitmap(&[]), vec![0, 0, 0, 1, 0, 0, 0, 0]].concat();
    let sent = command(&V0_9_1, client.sent, "DIRTY_PAGES", request, &[]);
    let said = judged(&mut client.session, client.sent, sent, Ok(reply));
    let mark = said.into_iter().find_map(|said| said.broken?.field).unwrap();
    // The header, the structure, the range and 16 bytes of bitmap; then three.
    assert_eq!((mark.name.as_str(), mark.offset, mark.length), ("bitmap", 16 + 8 + 32 + 16 + 3, 1));
}

#[test]
fn a_server_need_not_take_smaller_pages_than_its_own() {
    let permits = |pgsize: u64| {
        let migration = format!(r#""migration":{{"pgsize":{pgsize}}}"#);
        let usual = format!(r#"{{"capabilities":{{"max_msg_fds":8,"max_data_xfer_size":65536,{migration}}}}}"#);
        let mut session = Session::new(&V0_9_1, Arc::new(offer()));
        session.sent(0, command(&V0_9_1, 0, "VERSION", version(&usual), &[]));
        let Permits { error, closed, .. } = session.permits(0);
        [error, closed].map(|rules| rules.iter().map(|rule| (rule.requirement, rule.class)).collect::<Said>())
    };
    assert_eq!(permits(2048), [[("L-VER-02", Note)], [("L-VER-02", Note)]]);
    assert_eq!(permits(8192), [[("L-VER-02", Violation)], [("HDR-14", Violation)]]);
    assert_eq!(permits(4096), [[("VER-03", Note)], [("HDR-14", Violation)]]);
}
