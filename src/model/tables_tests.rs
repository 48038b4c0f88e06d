//! The protocols with tables from command to command.

use std::sync::Arc;

use nix::errno::Errno;
use vfio_user_wire::irq_set_flags::{ACTION_TRIGGER, DATA_EVENTFD};
use vfio_user_wire::message::{IrqSet, RegionAccess};
use vfio_user_wire::tables::{DmaMap, DmaUnmap, Table};
use vfio_user_wire::{Dialect, Frame, Limits, V8, V8C};

use super::legacy_tests::version;
use super::samples::{Said, command, exchange};
use super::{
    Channel, FdKind, Negotiated, Offer, OfferedIrq, OfferedMigrationRegion, OfferedRegion, PassedFd, Released, Reply,
    Session, judge_request,
};
use crate::verdict::Class::{self, Note, Violation};

const NOTHING: [(&str, Class); 0] = [];

struct Client {
    dialect: &'static Dialect,
    session: Session,
    sent: usize,
}

impl Client {
    fn new(dialect: &'static Dialect) -> Client {
        Client::of(dialect, |offer| offer)
    }

    /// Of a server that offers something else.
    fn of(dialect: &'static Dialect, change: impl FnOnce(Offer) -> Offer) -> Client {
        let offer = Offer {
            limits: Limits { max_msg_fds: 8, ..Limits::default() },
            regions: vec![OfferedRegion { index: 9, size: 0x3000, flags: 3, argsz: 48 }],
            migration_region: Some(OfferedMigrationRegion { index: 9, pfn_query: false }),
            pgsize: Some(4096),
            dirty_pages: true,
            dma: true,
            dma_table: true,
            ..Offer::default()
        };
        let offer = change(offer);
        let mut client = Client { dialect, session: Session::new(dialect, Arc::new(offer)), sent: 0 };
        let migration = version(r#"{"capabilities":{"migration":{"pgsize":4096}}}"#);
        assert_eq!(client.ask("VERSION", migration.clone(), &[], Ok(migration)), NOTHING);
        client
    }

    fn ask(&mut self, name: &str, payload: Vec<u8>, fds: &[PassedFd], answer: Result<Vec<u8>, Errno>) -> Said {
        let command = command(self.dialect, self.sent, name, payload, fds);
        let said = exchange(&mut self.session, self.sent, command, answer);
        self.sent += 1;
        said
    }

    fn map(&mut self, pages: &[u64], answer: Result<(), Errno>) -> Said {
        self.ask("DMA_MAP", pages.iter().flat_map(|page| map(*page, 0)).collect(), &[], answer.map(|()| Vec::new()))
    }

    fn unmap(&mut self, pages: &[u64], answer: Result<(), Errno>) -> Said {
        let payload = pages.iter().flat_map(|page| unmap(self.dialect, *page, 0)).collect();
        self.ask("DMA_UNMAP", payload, &[], answer.map(|()| Vec::new()))
    }
}

fn map(page: u64, flags: u32) -> Vec<u8> {
    DmaMap { address: page << 12, size: 0x1000, offset: 0, protections: 3, flags }.bytes().to_vec()
}

fn unmap(dialect: &Dialect, page: u64, flags: u32) -> Vec<u8> {
    let protections = if dialect.table == Some(Table::V8) { 3 } else { 0 };
    DmaUnmap { address: page << 12, size: 0x1000, protections, flags, ..DmaUnmap::default() }.bytes().to_vec()
}

/// A bitmap structure of version 8.
fn bitmap(size: u64) -> Vec<u8> {
    [0x1000, size, 0].iter().flat_map(|word: &u64| word.to_ne_bytes()).collect()
}

#[test]
fn a_table_of_regions_is_mapped_and_unmapped() {
    for dialect in [&V8, &V8C] {
        let mut client = Client::new(dialect);
        assert_eq!(client.map(&[1, 2, 4], Err(Errno::EINVAL)), [("V8-04", Violation)]);
        // Some of them may be there (V8-07).
        assert_eq!(client.map(&[1], Err(Errno::EEXIST)), NOTHING);
        let mut client = Client::new(dialect);
        assert_eq!(client.map(&[1, 2, 4], Ok(())), NOTHING);
        assert_eq!(client.map(&[3, 4], Err(Errno::EEXIST)), NOTHING);
        assert_eq!(client.map(&[4], Err(Errno::EINVAL)), [("V8-06", Violation)]);
        assert_eq!(client.unmap(&[1, 4], Err(Errno::EINVAL)), [("V8-09", Violation)]);
        let mut client = Client::new(dialect);
        assert_eq!(client.map(&[1, 2, 4], Ok(())), NOTHING);
        assert_eq!(client.unmap(&[1, 4], Ok(())), NOTHING);
        assert_eq!(client.map(&[4], Ok(())), NOTHING);
        assert_eq!(client.unmap(&[9], Ok(())), NOTHING);
        assert_eq!(client.map(&[7, 7], Ok(())), [("V8-06", Violation)]);
        let mut client = Client::new(dialect);
        // Nothing was there before it.
        assert_eq!(client.map(&[7, 7], Err(Errno::EINVAL)), [("V8-06", Note)]);
    }
}

#[test]
fn a_table_has_whole_entries_and_may_have_none() {
    let mut client = Client::new(&V8);
    let cut = [map(1, 0), vec![0; 8]].concat();
    assert_eq!(client.ask("DMA_MAP", cut.clone(), &[], Err(Errno::EINVAL)), NOTHING);
    assert_eq!(client.ask("DMA_MAP", cut, &[], Ok(vec![])), [("V8-04", Note)]);
    assert_eq!(client.ask("DMA_MAP", vec![0; 8], &[], Ok(vec![])), [("V8-04", Violation)]);
    assert_eq!(client.ask("DMA_MAP", vec![], &[], Ok(vec![])), NOTHING);
    assert_eq!(client.ask("DMA_UNMAP", vec![0; 8], &[], Ok(vec![])), [("V8-09", Note)]);
}

#[test]
fn what_is_refused_for_its_end_may_have_been_begun() {
    let mut client = Client::new(&V8);
    assert_eq!(client.map(&[4], Ok(())), NOTHING);
    let cut = [unmap(&V8, 4, 0), vec![0; 8]].concat();
    assert_eq!(client.ask("DMA_UNMAP", cut, &[], Err(Errno::EINVAL)), NOTHING);
    assert_eq!(client.unmap(&[4], Err(Errno::ENOENT)), NOTHING);
}

#[test]
fn each_mappable_region_has_a_descriptor() {
    let fd = |id| PassedFd { id, kind: FdKind::Memory { size: 0x1000, writable: true } };
    let table = [map(1, 1), map(2, 0), map(3, 1)].concat();
    let said = |fds: &[PassedFd], answer| Client::new(&V8).ask("DMA_MAP", table.clone(), fds, answer);
    assert_eq!(said(&[fd(1), fd(2)], Ok(vec![])), NOTHING);
    assert_eq!(said(&[fd(1), fd(2)], Err(Errno::EINVAL)), [("V8-05", Violation)]);
    assert_eq!(said(&[fd(1)], Ok(vec![])), [("V8-05", Note)]);
    assert_eq!(said(&[fd(1), fd(2), fd(3)], Err(Errno::EINVAL)), NOTHING);
}

#[test]
fn an_unmap_answers_with_the_bitmaps_and_nothing_else() {
    let mut client = Client::new(&V8);
    client.map(&[1, 2], Ok(()));
    assert_eq!(client.ask("DMA_UNMAP", unmap(&V8, 1, 0), &[], Ok(unmap(&V8, 1, 0))), [("V8-10", Violation)]);
    let request = [unmap(&V8, 2, 1), bitmap(8)].concat();
    let whole = [bitmap(8), vec![0; 8]].concat();
    assert_eq!(client.ask("DMA_UNMAP", request.clone(), &[], Ok(whole)), NOTHING);
    let mut again = Client::new(&V8);
    again.map(&[2], Ok(()));
    let other = [bitmap(16), vec![0; 8]].concat();
    assert_eq!(again.ask("DMA_UNMAP", request.clone(), &[], Ok(other)), [("V8-10", Violation)]);
    let entry = [unmap(&V8, 2, 1), bitmap(8), vec![0; 8]].concat();
    assert_eq!(client.ask("DMA_UNMAP", request, &[], Ok(entry)), [("V8-10", Violation)]);
}

fn head(flags: u32) -> Vec<u8> {
    [12, flags, 0].iter().flat_map(|word: &u32| word.to_ne_bytes()).collect()
}

/// A range of DIRTY_PAGES of version 8.
fn range(page: u64) -> Vec<u8> {
    [page << 12, 0x1000, 0x1000, 8, 0].iter().flat_map(|word: &u64| word.to_ne_bytes()).collect()
}

/// Logging is on, and the device has written page 1 of two that are mapped.
fn written() -> Client {
    let mut client = Client::new(&V8);
    let fd = |id| PassedFd { id, kind: FdKind::Memory { size: 0x1000, writable: true } };
    let table = [map(1, 1), map(2, 1)].concat();
    assert_eq!(client.ask("DMA_MAP", table, &[fd(1), fd(2)], Ok(vec![])), NOTHING);
    assert_eq!(client.ask("DIRTY_PAGES", head(1), &[], Ok(vec![])), NOTHING);
    client.session.device_writes(0x1000, 16);
    client.session.device_finished(true);
    client
}

#[test]
fn what_the_device_wrote_is_told() {
    let unmapped = |bits: [u8; 8]| {
        let request = [unmap(&V8, 1, 1), bitmap(8)].concat();
        written().ask("DMA_UNMAP", request, &[], Ok([bitmap(8), bits.to_vec()].concat()))
    };
    assert_eq!(unmapped([0; 8]), [("V8-10", Violation)]);
    assert_eq!(unmapped([1, 0, 0, 0, 0, 0, 0, 0]), NOTHING);
    // In which order the bits stand is not said.
    assert_eq!(unmapped([0, 0, 0, 0, 0, 0, 0, 0x80]), NOTHING);
    let request =
        |pages: &[u64]| -> Vec<u8> { head(4).into_iter().chain(pages.iter().flat_map(|page| range(*page))).collect() };
    let asked = |pages: &[u64], reply: Vec<u8>| written().ask("DIRTY_PAGES", request(pages), &[], Ok(reply));
    let one = [bitmap(8), vec![1, 0, 0, 0, 0, 0, 0, 0]].concat();
    let none = [bitmap(8), vec![0; 8]].concat();
    assert_eq!(asked(&[1], none.clone()), [("V8-20", Violation)]);
    assert_eq!(asked(&[1], vec![0; 8]), [("V8-20", Violation)]);
    assert_eq!(asked(&[1], one.clone()), NOTHING);
    assert_eq!(asked(&[2, 1], [none.clone(), one.clone()].concat()), NOTHING);
    assert_eq!(asked(&[2, 1], [none.clone(), none.clone()].concat()), [("V8-20", Violation)]);
    assert_eq!(asked(&[2, 1], none.clone()), [("V8-20", Note)]);
    assert_eq!(asked(&[2, 1], none[..24].to_vec()), [("V8-20", Violation)]);
    // What was told may be forgotten, in one reply too.
    let mut client = written();
    assert_eq!(client.ask("DIRTY_PAGES", request(&[1]), &[], Ok(one.clone())), NOTHING);
    assert_eq!(client.ask("DIRTY_PAGES", request(&[1]), &[], Ok([bitmap(8), vec![0; 8]].concat())), NOTHING);
    assert_eq!(asked(&[1, 1], [one, bitmap(8), vec![0; 8]].concat()), NOTHING);
}

#[test]
fn early_0_9_1_names_two_bitmap_structures() {
    let asked = |unused: usize, reply: Vec<u8>| {
        let mut client = Client::new(&V8C);
        assert_eq!(client.map(&[1], Ok(())), NOTHING);
        assert_eq!(client.ask("DIRTY_PAGES", head(1), &[], Ok(vec![])), NOTHING);
        let request = [head(4), range(1)[..32].to_vec(), vec![0; unused]].concat();
        client.ask("DIRTY_PAGES", request, &[], Ok(reply))
    };
    let (own, kernels) = ([&bitmap(8)[..16], &[0; 8]].concat(), [bitmap(8), vec![0; 8]].concat());
    assert_eq!(asked(0, own.clone()), NOTHING);
    assert_eq!(asked(8, own), NOTHING);
    assert_eq!(asked(0, kernels.clone()), [("V8-27", Violation)]);
    assert_eq!(asked(8, kernels), [("V8-27", Note)]);
    let other = [[0x2000u64, 8, 0].iter().flat_map(|word| word.to_ne_bytes()).collect(), vec![0; 8]].concat();
    assert_eq!(asked(8, other), [("V8-27", Violation)]);
}

#[test]
fn a_server_that_does_no_dma_need_not_give_bitmaps() {
    let request = [unmap(&V8, 1, 1), bitmap(8)].concat();
    let mut client = Client::new(&V8);
    assert_eq!(client.ask("DMA_UNMAP", request.clone(), &[], Ok(vec![])), [("V8-10", Violation)]);
    let mut without = Client::of(&V8, |offer| Offer { dma_table: false, ..offer });
    assert_eq!(without.ask("DMA_UNMAP", request, &[], Ok(vec![])), NOTHING);
}

#[test]
fn interrupts_may_come_by_message() {
    let set = |flags: u32, start: u32, count: u32| IrqSet { argsz: 20, flags, index: 1, start, count }.bytes().to_vec();
    let (eventfd, trigger) = (0x4 | 0x20, 0x1 | 0x20);
    let fds = [PassedFd { id: 1, kind: FdKind::Eventfd }, PassedFd { id: 2, kind: FdKind::Eventfd }];
    let offer = |offer| Offer { irqs: vec![OfferedIrq { index: 1, flags: 1 | 8, count: 4 }], ..offer };
    let mut client = Client::of(&V8, offer);
    let access = |data: &[u8]| [RegionAccess { offset: 0, region: 9, count: 4 }.bytes(), data].concat();
    client.ask("REGION_READ", access(&[]), &[], Ok(access(&[0; 4])));
    assert!(client.session.requested("VM_INTERRUPT").is_some());
    assert_eq!(client.ask("DEVICE_SET_IRQS", set(eventfd, 3, 1), &fds[..1], Ok(vec![])), NOTHING);
    assert!(client.session.requested("VM_INTERRUPT").is_some());
    // Vector 0 may be enabled by that, and a type that is does not grow.
    assert_eq!(client.ask("DEVICE_SET_IRQS", set(eventfd, 0, 1), &[], Ok(vec![])), NOTHING);
    assert_eq!(client.ask("DEVICE_SET_IRQS", set(eventfd, 0, 2), &fds, Err(Errno::EINVAL)), NOTHING);
    client.ask("DEVICE_SET_IRQS", set(trigger, 0, 1), &[], Ok(vec![]));
    assert!(client.session.requested("VM_INTERRUPT").is_none());
    assert!(client.session.requested("DMA_WRITE").is_some());
}

#[test]
fn what_is_enabled_by_message_may_keep_other_types_from_it() {
    let flags = DATA_EVENTFD | ACTION_TRIGGER;
    let set = |index| IrqSet { argsz: 20, flags, index, start: 0, count: 1 }.bytes().to_vec();
    let irqs = [1, 2].map(|index| OfferedIrq { index, flags: 1, count: 4 }).to_vec();
    let mut client = Client::of(&V8, |offer| Offer { irqs, ..offer });
    let mut ask = |index, fds: &[PassedFd], answer| client.ask("DEVICE_SET_IRQS", set(index), fds, answer);
    let (fds, refused) = ([PassedFd { id: 1, kind: FdKind::Eventfd }], || Err(Errno::EINVAL));
    assert_eq!(ask(2, &fds, refused()), [("IRQINFO-05", Violation)]);
    // What it means without a descriptor the text does not say (V8-23).
    assert_eq!(ask(1, &[], refused()), NOTHING);
    assert_eq!(ask(1, &[], Ok(vec![])), NOTHING);
    assert_eq!(ask(2, &fds, refused()), NOTHING);
    assert_eq!(ask(1, &fds, refused()), [("IRQINFO-05", Violation)]);
}

#[test]
fn a_stray_descriptor_may_be_refused() {
    let refused = |fds: &[PassedFd]| {
        let mut client = Client::new(&V8);
        client.map(&[1], Ok(()));
        client.ask("DMA_UNMAP", unmap(&V8, 1, 0), fds, Err(Errno::EINVAL))
    };
    assert_eq!(refused(&[]), [("V8-09", Violation)]);
    assert_eq!(refused(&[PassedFd { id: 1, kind: FdKind::Other }]), NOTHING);
}

#[test]
fn nothing_is_logged_where_migration_was_not_agreed_on() {
    let offer = Offer { pgsize: Some(4096), dirty_pages: true, dma: true, dma_table: true, ..Offer::default() };
    let with = version(r#"{"capabilities":{"migration":{"pgsize":4096}}}"#);
    let without = version(r#"{"capabilities":{}}"#);
    for (ours, servers) in [(&with, &without), (&without, &with), (&without, &without)] {
        let mut client = Client { dialect: &V8, session: Session::new(&V8, Arc::new(offer.clone())), sent: 0 };
        client.ask("VERSION", ours.clone(), &[], Ok(servers.clone()));
        assert_eq!(client.ask("DIRTY_PAGES", head(1), &[], Err(Errno::EINVAL)), NOTHING);
    }
}

#[test]
fn a_client_that_is_gone_may_have_left_everything() {
    let fd = PassedFd { id: 1, kind: FdKind::Memory { size: 0x1000, writable: true } };
    let gone = |dialect| {
        let mut client = Client::new(dialect);
        assert_eq!(client.ask("DMA_MAP", map(1, 1), &[fd], Ok(vec![])), NOTHING);
        client.session.disconnected();
        client.session.released(1)
    };
    assert_eq!(gone(&V8), None);
    assert_eq!(gone(&V8C), Some(Released::Disconnected));
}

#[test]
fn dirty_pages_has_a_head_of_12_bytes() {
    let mut client = Client::new(&V8);
    assert_eq!(client.ask("DIRTY_PAGES", head(1), &[], Err(Errno::EINVAL)), [("V8-26", Violation)]);
    assert_eq!(client.ask("DIRTY_PAGES", head(1)[..8].to_vec(), &[], Err(Errno::EINVAL)), NOTHING);
    let mut odd = Client::new(&V8);
    odd.ask("DMA_MAP", DmaMap { protections: 3, ..DmaMap::default() }.bytes().to_vec(), &[], Ok(vec![]));
    assert_eq!(odd.ask("DIRTY_PAGES", head(1), &[], Err(Errno::EINVAL)), NOTHING);
    assert_eq!(client.ask("DIRTY_PAGES", head(1), &[], Ok(head(1))), [("V8-26", Violation)]);
    assert_eq!(client.ask("DIRTY_PAGES", head(3), &[], Ok(vec![])), [("V8-20", Note)]);
    // With data, which START has none of.
    let data = [head(1)[..8].to_vec(), vec![1, 0, 0, 0]].concat();
    assert_eq!(Client::new(&V8).ask("DIRTY_PAGES", data, &[], Err(Errno::EINVAL)), NOTHING);
}

#[test]
fn the_migration_region_is_that_of_later_texts_but_for_two_ways() {
    let access = |data: &[u8]| [RegionAccess { offset: 0, region: 9, count: 4 }.bytes(), data].concat();
    let done = RegionAccess { offset: 0, region: 9, count: 0 }.bytes().to_vec();
    let set = |dialect, from: u32, to: u32, answer: Result<Vec<u8>, Errno>| {
        let mut client = Client::new(dialect);
        client.ask("REGION_READ", access(&[]), &[], Ok(access(&from.to_ne_bytes())));
        client.ask("REGION_WRITE", access(&to.to_ne_bytes()), &[], answer)
    };
    assert_eq!(set(&V8, 0, 1, Ok(done.clone())), [("V8-22", Note)]);
    assert_eq!(set(&V8C, 0, 1, Ok(access(&[]))), NOTHING);
    assert_eq!(set(&V8, 0, 2, Ok(done)), [("V8-24", Violation)]);
    assert_eq!(set(&V8, 1, 3, Err(Errno::EINVAL)), [("V8-24", Violation)]);
    assert_eq!(set(&V8, 1, 3, Ok(access(&[]))), [("V8-15", Violation)]);
}

#[test]
fn a_message_is_no_larger_than_the_client_takes() {
    let mut client = Client::new(&V8);
    let request = RegionAccess { offset: 0x1000, region: 9, count: 0x1800 };
    let reply = [request.bytes(), &[0; 0x1800]].concat();
    assert_eq!(client.ask("REGION_READ", request.bytes().to_vec(), &[], Ok(reply)), [("V8-02", Violation)]);
}

#[test]
fn a_server_of_version_8_counts_in_four_bytes_and_may_interrupt_by_message() {
    let judged = |number: u16, payload: Vec<u8>| -> Said {
        let frame = Frame::command(1, number, payload);
        let mapped = |_: u64, _: u64| Some(3);
        let irqs = vec![OfferedIrq { index: 2, flags: 1, count: 4 }];
        let offer = Offer { irqs, ..Offer::default() };
        let said =
            judge_request(&V8, &offer, &frame.header, &frame.payload, &Negotiated::default(), Channel::Only, &mapped);
        said.into_iter().filter_map(|said| Some((said.requirement, said.broken?.class))).collect()
    };
    let read = [0x1000u64.to_ne_bytes().as_slice(), &4u32.to_ne_bytes()].concat();
    assert_eq!(judged(10, read.clone()), NOTHING);
    assert_eq!(judged(10, [read, vec![0; 4]].concat()), [("V8-16", Violation)]);
    // A client that says nothing takes messages of 4096 bytes.
    let write = |count: u32| [&0x1000u64.to_ne_bytes()[..], &count.to_ne_bytes(), &vec![0; count as usize]].concat();
    assert_eq!(judged(11, write(4068)), NOTHING);
    assert_eq!(judged(11, write(4069)), [("V8-02", Violation)]);
    assert_eq!(judged(12, vec![0; 4]), NOTHING);
    assert_eq!(judged(12, vec![0; 8]), [("V8-18", Violation)]);
    assert_eq!(judged(12, 3u32.to_ne_bytes().to_vec()), NOTHING);
    assert_eq!(judged(12, 4u32.to_ne_bytes().to_vec()), [("V8-18", Violation)]);
}

#[test]
fn version_8_has_its_own_name_for_how_many_descriptors_a_client_takes() {
    let judged = |dialect: &'static Dialect, client: &str| {
        let negotiated = super::negotiated(&version(client), &[]);
        let command = command(dialect, 1, "DEVICE_RESET", Vec::new(), &[]);
        let reply = Frame::reply(&command.header, Vec::new());
        let reply = Reply { header: &reply.header, payload: &[], fds: 1 };
        let said = super::judge_reply(dialect, &command, &reply, &negotiated);
        said.iter().any(|said| said.requirement == "VER-14" && said.is_violation())
    };
    let (old, new) = (r#"{"capabilities":{"max_fds":0}}"#, r#"{"capabilities":{"max_msg_fds":0}}"#);
    assert!(judged(&V8, old) && !judged(&V8, new));
    assert!(judged(&V8C, new) && !judged(&V8C, old));
}

#[test]
fn what_is_odd_in_an_entry_may_be_refused() {
    let refused = |entry: DmaMap, fds: &[PassedFd]| {
        Client::new(&V8).ask("DMA_MAP", entry.bytes().to_vec(), fds, Err(Errno::EINVAL))
    };
    let usual = DmaMap { address: 0x1000, size: 0x1000, offset: 0, protections: 3, flags: 0 };
    assert_eq!(refused(usual, &[]), [("V8-04", Violation)]);
    let odd = [
        DmaMap { address: 0x1001, ..usual },
        DmaMap { address: (1 << 52) - 0x1000, size: 0x2000, ..usual },
        DmaMap { size: 0, ..usual },
        DmaMap { offset: 0x1000, ..usual },
        DmaMap { protections: 0, ..usual },
        DmaMap { protections: 2, ..usual },
    ];
    for entry in odd {
        assert_eq!(refused(entry, &[]), NOTHING, "{entry:?}");
    }
    let mappable = DmaMap { flags: 1, ..usual };
    let file = |size, writable| [PassedFd { id: 1, kind: FdKind::Memory { size, writable } }];
    assert_eq!(refused(mappable, &file(0x1000, true)), [("V8-04", Violation)]);
    assert_eq!(refused(mappable, &file(0xfff, true)), NOTHING);
    assert_eq!(refused(mappable, &file(0x1000, false)), NOTHING);
    assert_eq!(refused(mappable, &[PassedFd { id: 1, kind: FdKind::Eventfd }]), NOTHING);
}

#[test]
fn device_info_is_asked_for_with_a_header_alone() {
    let refused = |dialect, payload| Client::new(dialect).ask("DEVICE_GET_INFO", payload, &[], Err(Errno::EINVAL));
    assert_eq!(refused(&V8, vec![]), [("V8-12", Note)]);
    assert_eq!(refused(&V8, vec![16, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]), NOTHING);
    assert_eq!(refused(&V8C, vec![16, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]), [("INFO-01", Violation)]);
}

#[test]
fn what_another_client_has_mapped_may_be_refused() {
    let mut first = Client::new(&V8);
    assert_eq!(first.map(&[2], Ok(())), NOTHING);
    let refused = |page| {
        let mut second = Client::new(&V8);
        second.session.meet(&mut first.session.clone());
        let table = [5, 7].map(|page| map(page, 0)).concat();
        second.session.overheard(&command(&V8, 9, "DMA_MAP", table, &[]));
        second.map(&[page], Err(Errno::EEXIST))
    };
    for page in [2, 5, 7] {
        assert_eq!(refused(page), NOTHING);
    }
    for page in [1, 3, 6] {
        assert_eq!(refused(page), [("V8-04", Violation)]);
    }
}

#[test]
fn a_server_that_cannot_say_so_may_hold_few_maps() {
    let mut client = Client::new(&V8);
    for page in 0..16 {
        assert_eq!(client.map(&[2 * page], Err(Errno::ENOSPC)), [("V8-04", Violation)]);
        assert_eq!(client.map(&[2 * page], Ok(())), NOTHING);
    }
    assert_eq!(client.map(&[100], Err(Errno::ENOSPC)), NOTHING);
}
