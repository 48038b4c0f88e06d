//! A connection from command to command: what may be answered follows from what was answered.

use std::sync::Arc;

use nix::errno::Errno;
use vfio_user_wire::message::{DeviceInfo, DmaMap, DmaUnmap, IrqSet, RegionAccess};
use vfio_user_wire::{Frame, HEADER_SIZE, Header, Limits, NO_REPLY, V0_9_2};

use super::samples::{self, command, judged};
use super::{
    Command, FdKind, Instead, Kind, Offer, OfferedIrq, OfferedRegion, PassedFd, Permits, Released, Reply, ScratchRange,
    Session,
};
use crate::verdict::Class::{self, Note, Violation};

fn offer() -> Offer {
    Offer {
        num_regions: Some(9),
        num_irqs: Some(5),
        reset: Some(true),
        limits: Limits { max_msg_fds: 8, ..Limits::default() },
        regions: vec![OfferedRegion { index: 0, size: 0x1000, flags: 3, argsz: 32 }],
        irqs: vec![OfferedIrq { index: 2, flags: 1, count: 4 }],
        dma: true,
        dma_table: true,
        scratch: vec![ScratchRange { region: 0, offset: 0, length: 0x1000 }],
        ..Offer::default()
    }
}

/// A session with what was sent so far.
struct Client {
    session: Session,
    sent: Vec<Command>,
}

enum Answer {
    Ok(Vec<u8>),
    Error(Errno),
}
use Answer::{Error, Ok};

impl Client {
    fn new() -> Client {
        let mut client = Client { session: Session::new(&V0_9_2, Arc::new(offer())), sent: Vec::new() };
        let version = client.send("VERSION", vec![0; 4], &[]);
        client.answer(version, Ok(samples::states(offer().limits)));
        client
    }

    fn send(&mut self, name: &str, payload: Vec<u8>, fds: &[PassedFd]) -> usize {
        self.send_command(command(&V0_9_2, self.sent.len(), name, payload, fds))
    }

    /// Sends what needs no reply.
    fn post(&mut self, name: &str, payload: Vec<u8>) -> usize {
        let mut posted = command(&V0_9_2, self.sent.len(), name, payload, &[]);
        posted.header.flags |= NO_REPLY;
        self.send_command(posted)
    }

    fn send_command(&mut self, command: Command) -> usize {
        self.session.sent(self.sent.len(), command.clone());
        self.sent.push(command);
        self.sent.len() - 1
    }

    /// What an answer breaks: of which command, what, how much.
    fn answer(&mut self, ticket: usize, answer: Answer) -> Vec<(usize, &'static str, Class)> {
        let command = self.sent[ticket].clone();
        let frame = match answer {
            Ok(payload) => Frame::reply(&command.header, payload),
            Error(errno) => Frame::error(&command.header, errno as u32),
        };
        let reply = Reply { header: &frame.header, payload: &frame.payload, fds: 0 };
        let said = self.session.answered(ticket, &command, &reply);
        said.into_iter()
            .filter_map(|(ticket, judgement)| Some((ticket, judgement.requirement, judgement.broken?.class)))
            .collect()
    }

    /// Sends, takes the answer, and says what that breaks.
    fn ask(&mut self, name: &str, payload: Vec<u8>, answer: Answer) -> Vec<(&'static str, Class)> {
        let ticket = self.send(name, payload, &[]);
        self.answer(ticket, answer).into_iter().map(|(_, requirement, class)| (requirement, class)).collect()
    }

    fn map(&mut self, address: u64, size: u64, answer: Answer) -> Vec<(&'static str, Class)> {
        self.ask("DMA_MAP", map(address, size), answer)
    }

    fn unmap(&mut self, address: u64, size: u64, ok: bool) -> Vec<(&'static str, Class)> {
        let payload = unmap(address, size);
        let answer = if ok { Ok(payload.clone()) } else { Error(Errno::ENOENT) };
        self.ask("DMA_UNMAP", payload, answer)
    }
}

#[test]
fn a_file_may_be_mapped_where_it_was_sent() {
    let mut client = Client::new();
    let fd = PassedFd { id: 3, kind: FdKind::Memory { size: 0x1000, writable: true } };
    let sent = client.send("DMA_MAP", map(0x1000, 0x1000), &[fd]);
    client.answer(sent, Ok(vec![]));
    assert!(client.session.may_map(3) && !client.session.may_map(4));
    client.unmap(0x1000, 0x1000, true);
    assert!(!client.session.may_map(3));
}

fn map(address: u64, size: u64) -> Vec<u8> {
    DmaMap { argsz: 32, flags: 3, offset: 0, address, size }.bytes().to_vec()
}

fn unmap(address: u64, size: u64) -> Vec<u8> {
    DmaUnmap { argsz: 24, flags: 0, address, size }.bytes().to_vec()
}

fn access(offset: u64, count: u32, data: &[u8]) -> Vec<u8> {
    [RegionAccess { offset, region: 0, count }.bytes(), data].concat()
}

fn set_irqs(flags: u32, start: u32, count: u32) -> Vec<u8> {
    IrqSet { argsz: 20, flags, index: 2, start, count }.bytes().to_vec()
}

const EVENTFD_TRIGGER: u32 = 4 | 32;
const NONE_TRIGGER: u32 = 1 | 32;

fn eventfd(id: u64) -> PassedFd {
    PassedFd { id, kind: FdKind::Eventfd }
}

const NOTHING: [(&str, Class); 0] = [];

#[test]
fn a_legal_map_succeeds_and_one_over_it_is_refused_with_eexist() {
    let mut client = Client::new();
    assert_eq!(client.map(0x10000, 0x2000, Ok(vec![])), NOTHING);
    assert_eq!(client.map(0x11000, 0x1000, Error(Errno::EEXIST)), NOTHING);
    assert_eq!(client.map(0x11000, 0x1000, Error(Errno::EINVAL)), [("DMAP-05", Violation)]);
    assert_eq!(client.map(0x11000, 0x1000, Ok(vec![])), [("DMAP-05", Violation)]);
}

#[test]
fn what_was_accepted_over_another_leaves_what_follows_open() {
    let mut client = Client::new();
    client.map(0x10000, 0x2000, Ok(vec![]));
    client.map(0x11000, 0x2000, Ok(vec![]));
    for (address, size) in [(0x10000, 0x2000), (0x11000, 0x2000)] {
        for ok in [true, false] {
            assert_eq!(client.unmap(address, size, ok), NOTHING);
        }
    }
}

#[test]
fn a_refusal_of_a_legal_map_names_what_it_contradicts() {
    let mut client = Client::new();
    let refused = || Error(Errno::EINVAL);
    assert_eq!(client.map(0x10000, 0x1000, refused()), [("DMAP-03", Violation)]);
    client.map(0x10000, 0x1000, Ok(vec![]));
    assert_eq!(client.map(0x11000, 0x1000, refused()), [("DMAP-07", Violation)]);
    client.unmap(0x10000, 0x1000, true);
    assert_eq!(client.map(0x10000, 0x1000, refused()), [("DUNMAP-08", Violation)]);
}

#[test]
fn an_odd_map_may_be_refused_and_where_it_is_taken_can_be_unmapped() {
    for (address, size, requirement) in
        [(0x10000, 0, "DMAP-15"), (u64::MAX - 0xfff, 0x2000, "DMAP-16"), (0x10800, 0x1000, "DMAP-27")]
    {
        let mut client = Client::new();
        assert_eq!(client.map(address, size, Error(Errno::EINVAL)), NOTHING);
        assert_eq!(client.map(address, size, Ok(vec![])), NOTHING);
        assert_eq!(client.unmap(address, size, false), [(requirement, Note)]);
    }
}

#[test]
fn only_an_exact_unmap_succeeds() {
    let mut client = Client::new();
    client.map(0x10000, 0x2000, Ok(vec![]));
    assert_eq!(client.unmap(0x10000, 0x1000, false), NOTHING);
    assert_eq!(client.unmap(0x10000, 0x2000, false), [("DUNMAP-14", Violation)]);
    assert_eq!(client.unmap(0x10000, 0x2000, true), NOTHING);
    assert_eq!(client.unmap(0x10000, 0x2000, false), NOTHING);
    assert_eq!(client.unmap(0x10000, 0x2000, true), [("DUNMAP-09", Note)]);
    assert_eq!(client.unmap(0x40000, 0x2000, true), [("DUNMAP-02", Note)]);
}

#[test]
fn the_limits_of_a_posted_version_may_hold_behind_another_that_is_refused() {
    let version = |json: &str| [&[0; 4], json.as_bytes(), b"\0"].concat();
    let mut client = Client { session: Session::new(&V0_9_2, Arc::new(offer())), sent: Vec::new() };
    client.post("VERSION", version("{\"capabilities\":{\"max_msg_fds\":4}}"));
    let limits = |client: &Client| client.session.negotiated().client_limits();
    assert_eq!(limits(&client).max_msg_fds, 4);
    let again = "{\"capabilities\":{\"max_msg_fds\":2,\"max_data_xfer_size\":64}}";
    let refused = client.send("VERSION", version(again), &[]);
    assert_eq!(client.answer(refused, Error(Errno::EINVAL)), []);
    assert_eq!((limits(&client).max_msg_fds, limits(&client).max_data_xfer_size), (4, 1 << 20));
    // Once more, with the first one worked out; what is agreed on holds alone.
    let taken = client.send("VERSION", version(again), &[]);
    assert_eq!(limits(&client).max_msg_fds, 4);
    assert_eq!(client.answer(taken, Ok(vec![0; 4])), []);
    assert_eq!((limits(&client).max_msg_fds, limits(&client).max_data_xfer_size), (2, 64));
    // What is proposed behind that is none of them.
    client.send("VERSION", version("{\"capabilities\":{\"max_msg_fds\":1}}"), &[]);
    assert_eq!((limits(&client).max_msg_fds, limits(&client).max_data_xfer_size), (2, 64));
}

#[test]
fn a_posted_map_may_be_there_or_not() {
    let mut client = Client::new();
    client.post("DMA_MAP", map(0x10000, 0x1000));
    assert_eq!(client.map(0x10000, 0x1000, Error(Errno::EEXIST)), NOTHING);
    assert_eq!(client.unmap(0x10000, 0x1000, true), NOTHING);
    assert_eq!(client.map(0x10000, 0x1000, Error(Errno::EEXIST)), [("DUNMAP-08", Violation)]);
}

#[test]
fn an_odd_unmap_that_is_refused_says_nothing_of_a_map_that_may_be_there() {
    let mut client = Client::new();
    client.post("DMA_MAP", map(0x10000, 0x1000));
    let odd = DmaUnmap { argsz: 24, flags: 1, address: 0x10000, size: 0x1000 }.bytes().to_vec();
    assert_eq!(client.ask("DMA_UNMAP", odd, Error(Errno::EINVAL)), NOTHING);
    assert_eq!(client.map(0x10000, 0x1000, Error(Errno::EEXIST)), NOTHING);
}

#[test]
fn a_pipeline_is_worked_out_in_the_order_of_its_commands() {
    let mut client = Client::new();
    let first = client.send("DMA_MAP", map(0x10000, 0x1000), &[]);
    let second = client.send("DMA_MAP", map(0x10000, 0x1000), &[]);
    let third = client.send("DMA_UNMAP", unmap(0x10000, 0x1000), &[]);
    assert_eq!(client.answer(first, Ok(vec![])), []);
    assert_eq!(client.answer(second, Ok(vec![])), [(second, "DMAP-05", Violation)]);
    assert_eq!(client.answer(third, Error(Errno::ENOENT)), []);
}

#[test]
fn an_answer_out_of_turn_leaves_what_it_overtook_open() {
    let mut client = Client::new();
    let first = client.send("DMA_MAP", map(0x10000, 0x1000), &[]);
    let second = client.send("DMA_MAP", map(0x10000, 0x1000), &[]);
    assert_eq!(client.answer(second, Ok(vec![])), [(second, "CONC-06", Note)]);
    assert_eq!(client.answer(first, Ok(vec![])), []);
}

#[test]
fn what_a_server_may_leave_without_an_answer_is_overtaken_by_any_reply() {
    // Too short, and for the other side to send.
    for (name, payload) in [("DMA_MAP", vec![0; 8]), ("DMA_READ", vec![0; 16])] {
        let mut client = Client::new();
        client.send(name, payload, &[]);
        let reset = client.send("DEVICE_RESET", vec![], &[]);
        assert_eq!(client.answer(reset, Ok(vec![])), []);
    }
}

#[test]
fn after_a_reset_maps_and_interrupts_are_open() {
    let mut client = Client::new();
    client.map(0x10000, 0x1000, Ok(vec![]));
    assert_eq!(client.ask("DEVICE_RESET", vec![], Ok(vec![])), NOTHING);
    assert_eq!(client.map(0x10000, 0x1000, Error(Errno::EEXIST)), NOTHING);
    assert_eq!(client.unmap(0x10000, 0x1000, false), NOTHING);
}

#[test]
fn before_version_nothing_is_executed() {
    let mut client = Client { session: Session::new(&V0_9_2, Arc::new(offer())), sent: Vec::new() };
    assert_eq!(client.map(0x10000, 0x1000, Error(Errno::EINVAL)), NOTHING);
    assert_eq!(client.map(0x10000, 0x1000, Ok(vec![])), [("VER-28", Note)]);
}

#[test]
fn scratch_reads_as_it_was_written() {
    let mut client = Client::new();
    let written = access(0xffc, 4, &[1, 2, 3, 4]);
    assert_eq!(client.ask("REGION_WRITE", written, Ok(access(0xffc, 4, &[]))), NOTHING);
    assert_eq!(client.ask("REGION_READ", access(0xffc, 4, &[]), Ok(access(0xffc, 4, &[1, 2, 3, 4]))), NOTHING);
    let wrong = client.ask("REGION_READ", access(0xffe, 2, &[]), Ok(access(0xffe, 2, &[3, 0])));
    assert_eq!(wrong, [("RWRITE-02", Violation)]);
}

#[test]
fn no_byte_past_the_end_of_a_region_is_returned() {
    let mut client = Client::new();
    let past = || access(0xffe, 4, &[]);
    assert_eq!(client.ask("REGION_READ", past(), Error(Errno::EINVAL)), NOTHING);
    assert_eq!(client.ask("REGION_READ", past(), Ok(access(0xffe, 4, &[0; 4]))), [("RREAD-05", Violation)]);
    let short = client.ask("REGION_READ", past(), Ok(access(0xffe, 2, &[0; 2])));
    assert_eq!(short, [("RREAD-05", Note)]);
}

#[test]
fn interrupts_are_assigned_in_range_and_signalled_once_for_each_trigger() {
    let mut client = Client::new();
    let assign = client.send("DEVICE_SET_IRQS", set_irqs(EVENTFD_TRIGGER, 2, 2), &[eventfd(1), eventfd(2)]);
    assert_eq!(client.answer(assign, Ok(vec![])), []);
    let outside = client.send("DEVICE_SET_IRQS", set_irqs(EVENTFD_TRIGGER, 3, 2), &[eventfd(3), eventfd(4)]);
    assert_eq!(client.answer(outside, Ok(vec![])), [(outside, "SETIRQS-12", Violation)]);
    let mut client = Client::new();
    let assign = client.send("DEVICE_SET_IRQS", set_irqs(EVENTFD_TRIGGER, 2, 2), &[eventfd(1), eventfd(2)]);
    client.answer(assign, Ok(vec![]));
    assert_eq!(client.ask("DEVICE_SET_IRQS", set_irqs(NONE_TRIGGER, 3, 1), Ok(vec![])), NOTHING);
    let count = |client: &Client, fd| client.session.signals(fd).map(|signals| (signals.least.0, signals.most.0));
    assert_eq!((count(&client, 1), count(&client, 2)), (Some((0, 0)), Some((1, 1))));
}

#[test]
fn a_finding_says_which_answer_would_have_been_right() {
    let instead = |address, answer| {
        let mut client = Client::new();
        client.map(0x10000, 0x1000, Ok(vec![]));
        let map = command(&V0_9_2, 9, "DMA_MAP", map(address, 0x1000), &[]);
        let said = judged(&mut client.session, 9, map, answer);
        said.into_iter().filter_map(|said| said.broken?.instead).collect::<Vec<_>>()
    };
    let eexist = Instead::Refusal(Some(Errno::EEXIST as u32));
    assert_eq!(instead(0x10000, Result::Ok(vec![])), [eexist]);
    assert_eq!(instead(0x10000, Err(Errno::EINVAL)), [eexist]);
    assert_eq!(instead(0x20000, Err(Errno::EINVAL)), [Instead::Success]);
}

#[test]
fn a_server_that_refused_version_may_leave() {
    let mut client = Client { session: Session::new(&V0_9_2, Arc::new(offer())), sent: Vec::new() };
    let refused = client.send("VERSION", vec![0; 2], &[]);
    assert_eq!(client.answer(refused, Error(Errno::EINVAL)), []);
    let again = client.send("VERSION", vec![0; 4], &[]);
    let permits = client.session.permits(again);
    assert!(permits.error.is_empty() && permits.closed == Permits::either().closed);
}

#[test]
fn a_close_may_be_the_answer_to_what_was_sent_before() {
    let mut client = Client::new();
    let good = client.send("DEVICE_GET_INFO", DeviceInfo { argsz: 16, ..DeviceInfo::default() }.bytes().to_vec(), &[]);
    let short = client.send("DMA_MAP", vec![0; 8], &[]);
    let after = client.send("DEVICE_GET_INFO", DeviceInfo { argsz: 16, ..DeviceInfo::default() }.bytes().to_vec(), &[]);
    assert!(!client.session.may_have_ended(good) && !client.session.may_have_ended(short));
    assert!(client.session.may_have_ended(after));
    client.answer(short, Error(Errno::EINVAL));
    assert!(!client.session.may_have_ended(after));
    // No server may end it at what is posted and right.
    for (posted, ends) in [(map(0x10000, 0x1000), false), (vec![0; 8], true)] {
        let mut client = Client::new();
        client.post("DMA_MAP", posted);
        let after = client.send("DEVICE_RESET", vec![], &[]);
        assert_eq!(client.session.may_have_ended(after), ends);
    }
}

#[test]
fn what_becomes_of_a_command_is_told_by_what_it_tests_until_one_may_have_confused_the_server() {
    let mut client = Client::new();
    client.map(0x10000, 0x1000, Ok(vec![]));
    let short = client.send("DMA_MAP", vec![0; 8], &[]);
    assert_eq!(client.session.tests(short), Some("DMAP-01"));
    client.answer(short, Error(Errno::EINVAL));
    let next = client.send("DMA_MAP", vec![0; 8], &[]);
    assert_eq!(client.session.tests(next), None);
}

#[test]
fn what_is_wrong_with_the_answer_to_a_message_in_pieces_is_that_it_came_in_pieces() {
    for (cut, requirement) in [(8, "HDR-27"), (HEADER_SIZE, "HDR-28"), (20, "HDR-28")] {
        let mut client = Client::new();
        client.map(0x10000, 0x1000, Ok(vec![]));
        let frame = Frame::command(9, 3, unmap(0x10000, 0x1000));
        let message = V0_9_2.message(3);
        let (header, payload) = (frame.header, frame.payload);
        let ticket = client.send_command(Command { header, payload, message, fds: vec![], cut: Some(cut) });
        assert_eq!(client.answer(ticket, Ok(unmap(0x18, 0x1000))), [(ticket, requirement, Violation)]);
    }
}

#[test]
fn what_is_a_note_of_a_whole_message_is_none_the_worse_of_one_in_pieces() {
    let mut client = Client::new();
    let message = V0_9_2.message(12);
    let frame = Frame::command(9, 12, vec![0; 16]);
    let (header, payload) = (frame.header, frame.payload);
    let ticket = client.send_command(Command { header, payload, message, fds: vec![], cut: Some(8) });
    let permits = client.session.permits(ticket);
    let closed = permits.breaks(Kind::Closed).iter().map(|rule| (rule.requirement, rule.class)).collect::<Vec<_>>();
    assert_eq!(closed, [("HDR-27", Note)]);
}

#[test]
fn a_size_that_does_not_count_the_header_is_refused() {
    let mut client = Client::new();
    let frame = Frame::command(9, 4, vec![]);
    let (header, message) = (Header { size: 8, ..frame.header }, V0_9_2.message(4));
    let ticket = client.send_command(Command { header, payload: vec![], message, fds: vec![], cut: None });
    let breaks = |client: &Client, kind| {
        let permits = client.session.permits(ticket);
        permits.breaks(kind).iter().map(|rule| (rule.requirement, rule.class)).collect::<Vec<_>>()
    };
    assert_eq!(breaks(&client, Kind::Ok), [("HDR-17", Violation)]);
    assert_eq!(breaks(&client, Kind::Silent), [("HDR-17", Note)]);
    assert_eq!(breaks(&client, Kind::Closed), []);
}

#[test]
fn what_a_server_need_not_take_is_told() {
    let mut client = Client::new();
    let info = client.send("DEVICE_GET_INFO", DeviceInfo { argsz: 16, ..DeviceInfo::default() }.bytes().to_vec(), &[]);
    assert_eq!(client.session.exceeds(info), None);
    client.answer(info, Error(Errno::EINVAL));
    let most = Limits::default().max_data_xfer_size as u32;
    let read = client.send("REGION_READ", access(0, most + 1, &[]), &[]);
    assert!(client.session.exceeds(read).is_some_and(|why| why.contains(&most.to_string())), "{most}");
}

#[test]
fn what_is_lent_is_held_until_it_is_taken_back() {
    let mut client = Client::new();
    let file = |id| PassedFd { id, kind: FdKind::Memory { size: 0x1000, writable: true } };
    let lent = client.send("DMA_MAP", map(0x10000, 0x1000), &[file(1)]);
    client.answer(lent, Ok(vec![]));
    assert!(client.session.has_file(0x10fff, 1) && client.session.may_map(1));
    assert!(!client.session.has_file(0xffff, 1) && !client.session.has_file(0x11000, 1));
    assert_eq!(client.session.released(1), None);
    client.unmap(0x10000, 0x1000, true);
    assert_eq!(client.session.released(1), Some(Released::Unmapped));
    assert!(!client.session.has_file(0x10000, 0x1000));
    let refused = client.send("DMA_MAP", map(0x20000, 0x1000), &[file(2)]);
    client.answer(refused, Error(Errno::EINVAL));
    assert_eq!(client.session.released(2), Some(Released::Refused));
}

#[test]
fn an_interrupt_that_was_replaced_or_taken_back_is_let_go() {
    let mut client = Client::new();
    let mut set = |start, count, fds: &[PassedFd], answer| {
        let ticket = client.send("DEVICE_SET_IRQS", set_irqs(EVENTFD_TRIGGER, start, count), fds);
        let said = client.answer(ticket, answer).into_iter().map(|(_, requirement, class)| (requirement, class));
        (said.collect::<Vec<_>>(), [1, 2, 3].map(|fd| client.session.let_go(fd).is_some()))
    };
    let none = || Vec::<(&str, Class)>::new();
    assert_eq!(set(0, 2, &[eventfd(1), eventfd(2)], Ok(vec![])), (none(), [false; 3]));
    assert_eq!(set(0, 1, &[eventfd(3)], Ok(vec![])), (none(), [true, false, false]));
    assert_eq!(set(0, 2, &[], Error(Errno::EINVAL)).0, [("SETIRQS-10", Violation)]);
    assert_eq!(set(0, 2, &[], Ok(vec![])), (none(), [true; 3]));
    // Nothing is assigned any more.
    assert_eq!(set(0, 2, &[], Error(Errno::EINVAL)).0, [("SETIRQS-31", Note)]);
}

#[test]
fn a_descriptor_may_be_held_from_its_sending_on() {
    let mut client = Client::new();
    let held = |client: &Client| [1, 2].map(|fd| client.session.may_hold(fd));
    let assign = client.send("DEVICE_SET_IRQS", set_irqs(EVENTFD_TRIGGER, 0, 1), &[eventfd(1)]);
    assert_eq!(held(&client), [true, false]);
    assert!(client.session.may_map(1) && !client.session.may_map(2));
    client.answer(assign, Ok(vec![]));
    assert_eq!(held(&client), [true, false]);
    let disable = set_irqs(NONE_TRIGGER, 0, 0);
    assert_eq!(client.ask("DEVICE_SET_IRQS", disable, Ok(vec![])), NOTHING);
    assert_eq!(held(&client), [false, false]);
}

#[test]
fn of_a_stream_that_is_broken_nothing_is_asked() {
    let mut client = Client::new();
    client.map(0x10000, 0x1000, Ok(vec![]));
    client.session.lost();
    let unmap = client.send("DMA_UNMAP", unmap(0x10000, 0x1000), &[]);
    assert_eq!(client.session.permits(unmap), Permits::anything());
    assert!(client.session.signals(1).is_none());
}

#[test]
fn a_message_is_as_long_as_its_size_says() {
    let most = Limits::default().max_data_xfer_size as u32;
    let exceeds = |size| {
        let read = command(&V0_9_2, 9, "REGION_READ", access(0, most + 1, &[]), &[]);
        let mut client = Client::new();
        let ticket = client.send_command(Command { header: Header { size, ..read.header }, ..read });
        client.session.exceeds(ticket).is_some()
    };
    let (header, whole) = (HEADER_SIZE as u32, (HEADER_SIZE + RegionAccess::LAYOUT.size) as u32);
    assert!(exceeds(whole));
    assert!(!exceeds(header) && !exceeds(whole - 1) && !exceeds(whole + 1));
}

#[test]
fn a_device_that_cannot_be_migrated_has_no_register_for_it() {
    assert_eq!(Client::new().session.migration_register(), None);
}

#[test]
fn what_a_client_left_behind_is_no_violation_towards_the_next() {
    let mut first = Client::new();
    first.map(0x10000, 0x1000, Ok(vec![]));
    first.session.disconnected();
    let mut next = Client::new();
    next.session.meet(&mut first.session);
    let over = next.send("DMA_MAP", map(0x10000, 0x1000), &[]);
    let said = next.answer(over, Error(Errno::EEXIST));
    assert_eq!(said, [(over, "DISC-01", Class::Note)]);
    let beside = next.send("DMA_MAP", map(0x20000, 0x1000), &[]);
    let said = next.answer(beside, Error(Errno::EEXIST));
    assert_eq!(said, [(beside, "DMAP-03", Class::Violation)]);
}
