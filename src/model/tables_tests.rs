//! The protocols with tables from command to command.

use std::sync::Arc;

use nix::errno::Errno;
use vfio_user_wire::irq_set_flags::{ACTION_TRIGGER, DATA_EVENTFD};
use vfio_user_wire::message::{DeviceInfo, IrqSet, RegionAccess};
use vfio_user_wire::tables::{DmaMap, DmaUnmap, Table};
use vfio_user_wire::{Dialect, Frame, Limits, V8, V8C};

use super::legacy_tests::version;
use super::samples::{Said, command, exchange};
use super::{
    Channel, FdKind, Negotiated, Offer, OfferedIrq, OfferedMigrationRegion, OfferedRegion, PassedFd, Released, Reply,
    Session, judge_request,
};
use crate::verdict::Class::{self, Note, Violation};

pub(super) const NOTHING: [(&str, Class); 0] = [];

pub(super) struct Client {
    dialect: &'static Dialect,
    pub(super) session: Session,
    sent: usize,
}

impl Client {
    pub(super) fn new(dialect: &'static Dialect) -> Client {
        Client::of(dialect, |offer| offer)
    }

    /// Of a server that offers something else.
    pub(super) fn of(dialect: &'static Dialect, change: impl FnOnce(Offer) -> Offer) -> Client {
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
        let mut client = Client::connected(dialect, change(offer));
        let migration = version(r#"{"capabilities":{"migration":{"pgsize":4096}}}"#);
        assert_eq!(client.ask("VERSION", migration.clone(), &[], Ok(migration)), NOTHING);
        client
    }

    /// One that has said nothing yet.
    pub(super) fn connected(dialect: &'static Dialect, offer: Offer) -> Client {
        Client { dialect, session: Session::new(dialect, Arc::new(offer)), sent: 0 }
    }

    pub(super) fn ask(
        &mut self,
        name: &str,
        payload: Vec<u8>,
        fds: &[PassedFd],
        answer: Result<Vec<u8>, Errno>,
    ) -> Said {
        let command = command(self.dialect, self.sent, name, payload, fds);
        let said = exchange(&mut self.session, self.sent, command, answer);
        self.sent += 1;
        said
    }

    pub(super) fn map(&mut self, pages: &[u64], answer: Result<(), Errno>) -> Said {
        self.ask("DMA_MAP", pages.iter().flat_map(|page| map(*page, 0)).collect(), &[], answer.map(|()| Vec::new()))
    }

    fn unmap(&mut self, pages: &[u64], answer: Result<(), Errno>) -> Said {
        let payload = pages.iter().flat_map(|page| unmap(self.dialect, *page, 0)).collect();
        self.ask("DMA_UNMAP", payload, &[], answer.map(|()| Vec::new()))
    }
}

pub(super) fn map(page: u64, flags: u32) -> Vec<u8> {
    DmaMap { address: page << 12, size: 0x1000, offset: 0, protections: 3, flags }.bytes().to_vec()
}

pub(super) fn unmap(dialect: &Dialect, page: u64, flags: u32) -> Vec<u8> {
    let protections = if dialect.table == Some(Table::V8) { 3 } else { 0 };
    DmaUnmap { address: page << 12, size: 0x1000, protections, flags, ..DmaUnmap::default() }.bytes().to_vec()
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
fn what_was_refused_alone_changes_nothing() {
    let mut client = Client::new(&V8);
    for _ in 0..2 {
        assert_eq!(client.map(&[1], Err(Errno::EINVAL)), [("V8-04", Violation)]);
    }
    client.map(&[1, 2], Ok(()));
    for _ in 0..2 {
        assert_eq!(client.unmap(&[1], Err(Errno::EINVAL)), [("V8-09", Violation)]);
    }
    // Of several regions the first may be gone (V8-11).
    assert_eq!(client.unmap(&[1, 2], Err(Errno::EINVAL)), [("V8-09", Violation)]);
    assert_eq!(client.unmap(&[1], Err(Errno::EINVAL)), NOTHING);
}

#[test]
fn what_was_unmapped_can_be_mapped_again() {
    let mut client = Client::new(&V8);
    client.map(&[1], Ok(()));
    client.unmap(&[1], Ok(()));
    assert_eq!(client.map(&[1], Err(Errno::EEXIST)), [("V8-04", Violation)]);
    // Of a region that was unmapped in part, all may be gone or nothing (V8-11).
    let again = |answer| {
        let mut client = Client::new(&V8);
        let region = DmaMap { address: 0x1000, size: 0x2000, protections: 3, ..DmaMap::default() };
        assert_eq!(client.ask("DMA_MAP", region.bytes().to_vec(), &[], Ok(vec![])), NOTHING);
        assert_eq!(client.unmap(&[1], Ok(())), NOTHING);
        client.map(&[1], answer)
    };
    assert_eq!(again(Ok(())), NOTHING);
    assert_eq!(again(Err(Errno::EEXIST)), NOTHING);
}

#[test]
fn what_surely_is_mapped_is_not_mapped_again() {
    let mut client = Client::new(&V8);
    client.map(&[1], Ok(()));
    // What overlaps in the table itself as well, any errno may be for.
    assert_eq!(client.map(&[1, 1], Err(Errno::EINVAL)), [("V8-06", Note)]);
    // Either of these may be there now (V8-07).
    client.map(&[2, 3], Err(Errno::EINVAL));
    assert_eq!(client.map(&[2], Err(Errno::EEXIST)), NOTHING);
    assert_eq!(client.map(&[1, 3], Ok(())), [("V8-06", Violation)]);
}

#[test]
fn a_region_without_a_byte_overlaps_nothing() {
    let region = |address, size| DmaMap { address, size, protections: 3, ..DmaMap::default() }.bytes().to_vec();
    let (two, none) = (region(0x1000, 0x2000), region(0x2000, 0));
    for table in [[two.clone(), none.clone()], [none, two]] {
        assert_eq!(Client::new(&V8).ask("DMA_MAP", table.concat(), &[], Ok(vec![])), NOTHING);
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
    assert_eq!(client.unmap(&[], Ok(())), NOTHING);
    assert_eq!(client.unmap(&[], Err(Errno::EINVAL)), NOTHING);
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
    let mut client = Client::new(&V8);
    client.session.sent(50, command(&V8, 50, "DMA_MAP", map(1, 0), &[fd(1)]));
    assert_eq!(client.session.permits(50).tests, Some("V8-05"));
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
fn what_a_write_is_said_to_have_written_is_in_the_region() {
    let access = |count, data: &[u8]| [RegionAccess { offset: 0x4000, region: 9, count }.bytes(), data].concat();
    let said =
        |dialect, count| Client::new(dialect).ask("REGION_WRITE", access(4, &[0; 4]), &[], Ok(access(count, &[])));
    assert_eq!(said(&V8C, 4), [("RWRITE-04", Violation)]);
    // Version 8 does not say how much it was.
    assert_eq!(said(&V8, 0), [("RWRITE-04", Note)]);
}

#[test]
fn version_data_follow_the_version() {
    let said = |dialect, reply: &[u8]| {
        let ours = version(r#"{"capabilities":{}}"#);
        let said = Client::connected(dialect, Offer::default()).ask("VERSION", ours, &[], Ok(reply.to_vec()));
        said.contains(&("V8-03", Violation))
    };
    for right in [&[0, 0, 1, 0][..], &version("{}"), &version(" {}")] {
        assert!(!said(&V8, right), "{right:?}");
    }
    // Where the text prints that they begin (420-429).
    let late = [&[0, 0, 1, 0, 0, 0][..], b"{}\0"].concat();
    assert!(said(&V8, &late) && !said(&V8C, &late));
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
    assert_eq!(refused(DmaMap { address: (1 << 52) - 0x1000, ..usual }, &[]), [("V8-04", Violation)]);
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
    let refused = |dialect, payload: &[u8], fds: &[PassedFd]| {
        Client::new(dialect).ask("DEVICE_GET_INFO", payload.to_vec(), fds, Err(Errno::EINVAL))
    };
    let info = DeviceInfo { argsz: 16, ..DeviceInfo::default() };
    assert_eq!(refused(&V8, &[], &[]), [("V8-12", Note)]);
    assert_eq!(refused(&V8, &[], &[PassedFd { id: 1, kind: FdKind::Other }]), NOTHING);
    assert_eq!(refused(&V8, info.bytes(), &[]), NOTHING);
    assert_eq!(refused(&V8C, info.bytes(), &[]), [("INFO-01", Violation)]);
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
fn what_another_client_unmaps_may_be_gone() {
    let mut client = Client::new(&V8);
    assert_eq!(client.map(&[2, 4], Ok(())), NOTHING);
    client.session.overheard(&command(&V8, 9, "DMA_UNMAP", unmap(&V8, 2, 0), &[]));
    assert_eq!(client.unmap(&[2], Err(Errno::EINVAL)), NOTHING);
    assert_eq!(client.unmap(&[4], Err(Errno::EINVAL)), [("V8-09", Violation)]);
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
