use pcap_file::pcapng::{Block, PcapNgReader};
use pretty_assertions::assert_eq;

use super::*;
use crate::report::sample;
use crate::session::{Place, Transcript};

/// An interface's name, or a packet: by which interface, its direction, what stands before the message, the message, how long
/// it was with what stands before it, and its comments.
#[derive(Debug, PartialEq)]
enum Read {
    Interface(String),
    Packet { interface: u32, flags: u32, before: Vec<u8>, message: Vec<u8>, length: u32, comments: Vec<String> },
}

fn read(capture: &[u8]) -> Vec<Read> {
    let mut reader = PcapNgReader::new(capture).unwrap();
    let mut all = Vec::new();
    while let Some(block) = reader.next_block() {
        match block.unwrap() {
            Block::InterfaceDescription(block) => {
                assert_eq!(block.linktype, DataLink::USER0);
                let name = block.options.iter().find_map(|option| match option {
                    InterfaceDescriptionOption::IfName(name) => Some(name.to_string()),
                    _ => None,
                });
                all.push(Read::Interface(name.unwrap()));
            }
            Block::EnhancedPacket(block) => {
                let event = usize::from(u16::from_be_bytes([block.data[6], block.data[7]]));
                let (before, message) = block.data.split_at(8 + event);
                let (mut flags, mut comments) = (0, Vec::new());
                for option in &block.options {
                    match option {
                        EnhancedPacketOption::Flags(found) => flags = *found,
                        EnhancedPacketOption::Comment(comment) => comments.push(comment.to_string()),
                        other => panic!("{other:?}"),
                    }
                }
                let (interface, length) = (block.interface_id, block.original_len);
                all.push(Read::Packet {
                    interface,
                    flags,
                    before: before.to_vec(),
                    message: message.to_vec(),
                    length,
                    comments,
                });
            }
            other => panic!("{other:?}"),
        }
    }
    all
}

fn written(cases: Vec<CaseRecord>, everything: bool) -> Vec<Read> {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("capture.pcapng");
    let register = sample::register();
    let context = Context { selected: sample::names(&cases), ..sample::context(&register) };
    let mut pcapng =
        if everything { Pcapng::of_everything(&path, context) } else { Pcapng::of_findings(&path, context) };
    sample::play(&mut pcapng, cases, sample::ended());
    read(&std::fs::read(path).unwrap())
}

fn interfaces(read: &[Read]) -> Vec<&str> {
    read.iter().filter_map(|read| if let Read::Interface(name) = read { Some(name.as_str()) } else { None }).collect()
}

fn passed() -> CaseRecord {
    CaseRecord {
        result: CaseResult::Pass,
        findings: Vec::new(),
        name: "dma-map.plain".to_owned(),
        ..sample::wrong_errno()
    }
}

#[test]
fn only_cases_in_which_something_was_found_are_kept_where_not_all_are_asked_for() {
    let cases = || vec![sample::wrong_errno(), passed()];
    assert_eq!(interfaces(&written(cases(), false)), ["dma-map.overlap a"]);
    assert_eq!(interfaces(&written(cases(), true)), ["dma-map.overlap a", "dma-map.plain a"]);
}

#[test]
fn a_message_is_a_packet_behind_what_it_does_not_say_itself() {
    let all = written(vec![sample::wrong_errno()], false);
    let Some(Read::Packet { interface: 0, flags: 2, before, message, length, comments }) = all.get(3) else {
        panic!("{all:#?}")
    };
    // Version 1 of the header, 0.9.2, to the server, the main socket, one descriptor, no text.
    assert_eq!(before, &[1, 3, 0, 0, 0, 1, 0, 0]);
    // A DMA_MAP of 48 bytes, id 1.
    assert_eq!(
        message[..8],
        [1u16.to_ne_bytes(), 2u16.to_ne_bytes()].concat().into_iter().chain(48u32.to_ne_bytes()).collect::<Vec<_>>()
    );
    assert_eq!((message.len(), *length), (48, 56));
    assert_eq!(comments, &Vec::<String>::new());
}

#[test]
fn a_finding_stands_at_the_message_that_shows_it() {
    let all = written(vec![sample::wrong_errno()], false);
    let found: Vec<(u32, &[String])> = all
        .iter()
        .filter_map(|read| match read {
            Read::Packet { flags, comments, .. } if !comments.is_empty() => Some((*flags, comments.as_slice())),
            _ => None,
        })
        .collect();
    assert_eq!(
        found,
        [
            (1, &["HDR-21 a note: got a reply; expected an error reply".to_owned()][..]),
            (1, &["HDR-20 violated in header.error: got error EINVAL; expected error EEXIST".to_owned()][..]),
        ]
    );
}

#[test]
fn what_is_no_message_is_told_in_words() {
    let all = written(vec![sample::crash("header.surplus/DMA_MAP")], false);
    let Some(Read::Packet { flags: 1, before, message, length, .. }) = all.last() else { panic!("{all:#?}") };
    assert_eq!(before[..8], [1, 3, 1, 0, 0, 0, 0, 6]);
    assert_eq!((&before[8..], message.as_slice(), *length), (&b"closed"[..], &b""[..], 14));
}

#[test]
fn each_socket_of_each_client_has_an_interface() {
    let mut transcript = Transcript::default();
    for place in [Place::main("a"), Place::twin("a"), Place::main("b"), Place::main("a")] {
        transcript.event(&place, Way::Received, "closed", &[]);
    }
    let case = CaseRecord { transcript: transcript.into_entries(), ..sample::wrong_errno() };
    let all = written(vec![case], false);
    assert_eq!(interfaces(&all), ["dma-map.overlap a", "dma-map.overlap a twin", "dma-map.overlap b"]);
    let of = |read: &Read| {
        if let Read::Packet { interface, before, .. } = read { Some((*interface, before[3])) } else { None }
    };
    assert_eq!(all.iter().filter_map(of).collect::<Vec<_>>(), [(0, 0), (1, 1), (2, 0), (0, 0)]);
}

#[test]
fn what_a_server_wrote_can_neither_break_the_file_nor_steer_a_terminal() {
    let mut transcript = Transcript::default();
    transcript.event(&Place::main("a"), Way::Received, "bytes", &[0xff; 100_000]);
    let mut case = CaseRecord { transcript: transcript.into_entries(), ..sample::wrong_errno() };
    case.findings.truncate(1);
    case.findings[0].message = Some(1);
    case.findings[0].actual = "\u{202e}\u{10348}".repeat(50_000);
    let all = written(vec![case], false);
    let Some(Read::Packet { message, length, comments, .. }) = all.last() else { panic!("{all:#?}") };
    // The first 4096 bytes are kept; 8 and `bytes` stand before them.
    assert_eq!((message.len(), *length), (4096, 100_013));
    assert!(comments[0].len() <= usize::from(u16::MAX), "{}", comments[0].len());
    assert!(!comments[0].contains('\u{202e}'));
}
