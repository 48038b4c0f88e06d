//! What holds for every sequence that is drawn, whatever the offer.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test, helpers included")]

use std::collections::BTreeMap;

use proptest::prelude::{Strategy, any, prop, prop_assert, proptest};
use serde_json::json;
use vfio_user_wire::V0_9_2;

use super::dice::Mood;
use super::draw::{Draft, Edge};
use super::{MOST_SENDS, Offer, draw, weights};
use crate::Profile;
use crate::case::{self, Bytes, Case, Expression, Outcome, Send, Source, StepKind, Subject, Value};
use crate::case::{Expect, Step};
use crate::run::Planned;
use crate::target::{DeviceFile, Discovered, Irq, Region};

const CONFORMANCE: &str = include_str!("../../fixtures/devices/conformance.toml");
const SEED: u64 = 7;

fn conformance() -> DeviceFile {
    DeviceFile::parse("conformance.toml", CONFORMANCE).unwrap()
}

/// The conformance device, as the probe finds it.
fn discovered() -> Discovered {
    let region = |index, size, flags, argsz| Region { index, size, flags, argsz, ..Region::default() };
    let irq = |index, count, flags| Irq { index, flags, count };
    let mut found = Discovered {
        capabilities: json!({"capabilities": {"max_msg_fds": 8, "pgsizes": 4096, "max_data_xfer_size": 1 << 20}}),
        num_regions: 9,
        num_irqs: 5,
        dma_logging: true,
        regions: vec![
            region(0, 0x1_0000, 3, 32),
            region(1, 0x1_0000, 15, 80),
            region(2, 0x20_0000, 7, 32),
            region(3, 0, 0, 32),
            region(4, 0x1000, 1, 32),
            region(7, 256, 3, 32),
            region(8, 0, 0, 32),
        ],
        irqs: vec![irq(0, 1, 7), irq(1, 4, 9), irq(2, 8, 3), irq(3, 1, 1), irq(4, 0, 0)],
        ..Discovered::default()
    };
    for need in [
        "pci",
        "dma",
        "dma-table",
        "device-dma",
        "device-dma-read",
        "device-irq-any",
        "reconnect",
        "irq-socket",
        "twin-socket",
        "dma-logging",
        "device-status",
        "write-multi",
    ] {
        found.yes(need, &[]);
    }
    found
}

fn offers() -> [(Offer, Option<DeviceFile>); 3] {
    let found = discovered();
    let offer = Offer::new(&found, Some(&conformance()));
    [(offer.clone(), Some(conformance())), (Offer::new(&found, None), None), (of_version_8(offer), Some(conformance()))]
}

/// The same device, as a server of version 8 has it.
fn of_version_8(offer: Offer) -> Offer {
    Offer {
        profile: Profile::V8,
        dma_logging: false,
        features: false,
        write_multiple: false,
        twin_socket: false,
        dirty_pages: true,
        migration_region: Some(9),
        ..offer
    }
}

fn sends(steps: &[Step]) -> Vec<&Send> {
    let mut found = Vec::new();
    for step in steps {
        match &step.kind {
            StepKind::Send(send) => found.push(send),
            StepKind::If(_, inner) => found.extend(sends(inner)),
            _ => {}
        }
    }
    found
}

/// Everything wrong with the cases, but that they name no requirement.
fn complaints(case: &Case) -> Vec<String> {
    let context = case::Context {
        dialect: case.profiles.first().map_or(&V0_9_2, |profile| profile.dialect()),
        requirement: &|_| Some(true),
        similar_requirement: &|_| None,
        procedure: &|_| false,
        similar_procedure: &|_| None,
        samples: false,
    };
    let source = Source { name: "drawn".to_owned(), text: case::print(std::slice::from_ref(case)) };
    let cases = case::parse(&source).unwrap_or_else(|errors| panic!("{}", errors[0].render(&source, false)));
    assert_eq!(cases, std::slice::from_ref(case), "{}", source.text);
    let wrong = case::check(&cases, &context).into_iter();
    wrong.filter(|error| !error.message.contains("checks nothing")).map(|error| error.render(&source, false)).collect()
}

#[test]
fn the_same_seed_gives_the_same_case() {
    for (offer, _) in offers() {
        for number in 0..50 {
            assert_eq!(draw(&offer, SEED, number), draw(&offer, SEED, number));
        }
        let distinct: std::collections::HashSet<String> = (0..500)
            .map(|number| case::print(&[draw(&offer, SEED, number)]).lines().skip(1).collect::<Vec<_>>().join("\n"))
            .collect();
        assert!(distinct.len() >= 495, "{} of 500 differ", distinct.len());
        assert_ne!(draw(&offer, 1, 0).steps, draw(&offer, 2, 0).steps);
    }
}

#[test]
fn what_is_drawn_is_a_case_without_errors() {
    for (offer, _) in offers() {
        for number in 0..2000 {
            let case = draw(&offer, SEED, number);
            let wrong = complaints(&case);
            assert!(wrong.is_empty(), "{}\n{}", case::print(&[case]), wrong.join("\n"));
            assert!(Planned::of(&case).is_ok());
        }
    }
}

#[test]
fn sequences_have_one_to_fifty_messages_and_mostly_five_to_twenty_five() {
    for (offer, _) in offers() {
        let lengths: Vec<usize> = (0..2000).map(|number| sends(&draw(&offer, SEED, number).steps).len()).collect();
        assert!(lengths.iter().all(|length| (1..=MOST_SENDS).contains(length)));
        let middle = lengths.iter().filter(|length| (5..=25).contains(*length)).count();
        assert!(middle > 1200, "{middle} of 2000");
        assert!(lengths.iter().any(|length| *length > 40));
    }
}

#[test]
fn every_edge_is_drawn() {
    let [(offer, _), ..] = offers();
    let offer = Offer { migration: true, pre_copy: true, dirty_pages: true, migration_region: Some(9), ..offer };
    let mut counts: BTreeMap<Edge, usize> = BTreeMap::new();
    for offer in [&offer, &of_version_8(offer.clone())] {
        for number in 0..4000 {
            for edge in Draft::new(offer, SEED, number).finished().1 {
                *counts.entry(edge).or_default() += 1;
            }
        }
    }
    let mut wanted: Vec<Edge> = vec![Edge::ReadOnly, Edge::NoReply, Edge::Joined, Edge::Shuffled, Edge::Twin];
    wanted.extend(weights::MAP.iter().map(|row| Edge::Map(row.2)));
    wanted.extend(weights::UNMAP.iter().map(|row| Edge::Unmap(row.2)));
    wanted.extend(weights::MAPPED.iter().map(|row| Edge::Mapped(row.2)));
    wanted.extend(weights::UNMAPPED.iter().map(|row| Edge::Unmapped(row.2)));
    wanted.extend(weights::IRQS.iter().map(|row| Edge::Irqs(row.2)));
    wanted.extend(weights::READ.iter().map(|row| Edge::Read(row.2)));
    wanted.extend(weights::WRITE.iter().map(|row| Edge::Write(row.2)));
    wanted.extend(weights::LOG.iter().map(|row| Edge::Log(row.2)));
    wanted.extend(weights::DIRTY_PAGES.iter().map(|row| Edge::DirtyPages(row.2)));
    wanted.extend(weights::REGISTER.iter().map(|row| Edge::Register(row.2)));
    wanted.extend(weights::MULTI.iter().map(|row| Edge::Multi(row.2)));
    wanted.extend(weights::FEATURE.iter().map(|row| Edge::Feature(row.2)));
    wanted.extend(weights::QUERY.iter().map(|row| Edge::Query(row.2)));
    wanted.extend(weights::MIGRATE.iter().map(|row| Edge::Migrate(row.2)));
    wanted.extend(weights::LIE.iter().map(|row| Edge::Lie(row.2)));
    wanted.extend(weights::LEAVE.iter().map(|row| Edge::Leave(row.2)));
    let shapes = weights::SHAPE.iter().filter(|row| row.2 != super::malformed::Shape::None);
    wanted.extend(shapes.map(|row| Edge::Shape(row.2)));
    use super::device::Act::{Raise, Read, Write, WriteSurely};
    use super::observe::Look::{Fd, Seal, Socket};
    wanted.extend([Raise, Read, Write, WriteSurely].map(Edge::Act));
    wanted.extend([Fd, Seal, Socket].map(Edge::Look));
    let lacking: Vec<&Edge> = wanted.iter().filter(|edge| counts.get(edge).is_none_or(|count| *count < 3)).collect();
    assert!(lacking.is_empty(), "hardly drawn, or not at all: {lacking:?}\n{counts:#?}");
}

#[test]
fn calm_sequences_only_do_what_a_client_may() {
    let [(offer, _), ..] = offers();
    for number in 0..500 {
        let mut draft = Draft::new(&offer, SEED, number);
        draft.dice.mood = Mood::Calm;
        let (_, edges) = draft.finished();
        let odd = |edge: &&Edge| {
            let is = |rows: &[(u32, weights::Kind, super::dma_map::Map)], map| {
                rows.iter().any(|row| row.1 == weights::Kind::Odd && row.2 == map)
            };
            matches!(edge, Edge::Lie(_) | Edge::ReadOnly) || matches!(edge, Edge::Map(map) if is(weights::MAP, *map))
        };
        assert_eq!(edges.iter().find(odd), None);
    }
}

/// An argument of a message, where it is an integer.
fn integer(send: &Send, key: &str) -> Option<u64> {
    send.arguments.iter().find(|argument| *argument.key == key).and_then(|argument| match &argument.value.value {
        Value::Integer(Expression::Number { value, .. }) => Some(*value),
        _ => None,
    })
}

fn data(send: &Send) -> Option<&Bytes> {
    send.arguments.iter().find(|argument| *argument.key == "data").and_then(|argument| match &argument.value.value {
        Value::Bytes(bytes) => Some(bytes),
        _ => None,
    })
}

fn length(bytes: &Bytes) -> u64 {
    let number = |expression: &Expression| u64::try_from(expression.evaluate(&|_| None).unwrap()).unwrap();
    match bytes {
        Bytes::Hex(bytes) | Bytes::Text(bytes) => bytes.len() as u64,
        Bytes::Integer(width, _) => *width as u64,
        Bytes::Fill(_, length) | Bytes::Pattern(_, length) => number(length),
        Bytes::Of(_) => panic!("nobody knows how long a reply is"),
        Bytes::Joined(parts) => parts.iter().map(length).sum(),
    }
}

/// Byte by byte: whatever a server makes of the offset, it writes nothing that is not scratch.
fn assert_harmless(send: &Send, found: &Discovered, device: Option<&DeviceFile>) {
    let Subject::Message(name) = &send.subject else {
        let written =
            matches!(&send.subject, Subject::Number(number) if (9..=18).contains(&number.evaluate(&|_| None).unwrap()));
        return assert!(!written, "a number that may be a write");
    };
    assert!(!send.arguments.iter().any(|argument| *argument.key == "header.command"));
    if !name.starts_with("REGION_WRITE") {
        return;
    }
    for key in ["payload", "header.size", "header.type"] {
        assert!(!send.arguments.iter().any(|argument| *argument.key == key), "a write with {key}");
    }
    for argument in &send.arguments {
        let Value::Write(write) = &argument.value.value else { continue };
        let number = |expression: &Expression| u64::try_from(expression.evaluate(&|_| None).unwrap()).unwrap();
        let place = (number(&write.region) as u32, number(&write.offset), length(&write.data));
        assert_harmless_write(send, place, &write.data, found, device);
    }
    if name.as_str() == "REGION_WRITE" {
        let none = Bytes::Hex(Vec::new());
        let data = data(send).unwrap_or(&none);
        let place = (integer(send, "region").unwrap() as u32, integer(send, "offset").unwrap());
        let count = integer(send, "count").unwrap_or(0);
        let bytes = if let Bytes::Of(_) = data { count } else { length(data).max(count) };
        assert_harmless_write(send, (place.0, place.1, bytes), data, found, device);
    }
}

fn assert_harmless_write(
    send: &Send,
    (index, offset, bytes): (u32, u64, u64),
    data: &Bytes,
    found: &Discovered,
    device: Option<&DeviceFile>,
) {
    let region = found.regions.iter().find(|region| region.index == index && region.size > 0);
    if let Bytes::Of(label) = data {
        assert!(device.is_some() && label.starts_with("was") && region.is_some_and(|region| region.flags & 2 == 0));
        return;
    }
    let Some(region) = region else { return };
    let inside = offset.checked_add(bytes).is_some_and(|end| end <= region.size);
    let allowed = |at: u64| {
        let config = index == 7 && ((0x4..0x6).contains(&at) || (0x10..0x28).contains(&at));
        config || device.is_some_and(|device| device.may_write(index, at, 1))
    };
    let most = bytes.min(2 * region.size);
    for i in (0..most.min(300)).chain((0..most).step_by(997)).chain(most.saturating_sub(50)..most) {
        let places = [
            offset.saturating_add(i),
            offset.wrapping_add(i),
            if inside { offset + i } else { (offset & 0xffff_ffff).wrapping_add(i) },
            offset.wrapping_add(i) % region.size,
        ];
        for place in places.into_iter().filter(|place| *place < region.size) {
            assert!(allowed(place), "byte {i} of {send:?} may be written to {place:#x}");
        }
    }
}

#[test]
fn nothing_is_written_that_may_not_be() {
    let found = discovered();
    for (offer, device) in offers() {
        let mut writes = 0;
        for number in 0..3000 {
            let case = draw(&offer, SEED, number);
            for send in sends(&case.steps) {
                assert_harmless(send, &found, device.as_ref());
                writes +=
                    usize::from(matches!(&send.subject, Subject::Message(name) if name.starts_with("REGION_WRITE")));
            }
            if device.is_none() {
                assert!(!case.steps.iter().any(|step| matches!(step.kind, StepKind::Device(..) | StepKind::If(..))));
            }
        }
        assert!(writes > 500, "{writes}");
    }
}

/// Each command that wants a reply is asked for once, unless its client leaves first; a lie is the last of its client.
#[test]
fn every_answer_is_asked_for_once() {
    for (offer, _) in offers() {
        for number in 0..1000 {
            let case = draw(&offer, SEED, number);
            let (mut open, mut lied) = (0usize, false);
            for step in flat(&case.steps) {
                match &step.kind {
                    StepKind::Send(send) => {
                        assert!(!lied, "{}", case::print(&[case]));
                        let has = |key: &str| send.arguments.iter().any(|argument| *argument.key == key);
                        open += usize::from(!has("no_reply"));
                        lied |= has("header.size") || has("header.flags");
                        lied |= matches!(send.subject, Subject::Raw(_));
                    }
                    StepKind::Expect(Expect::Answer { outcomes, .. }) => {
                        assert!(matches!(outcomes.conforms[..], [ref one] if **one == Outcome::Conforms));
                        assert!(step.requirements.is_empty());
                        open = open.checked_sub(1).unwrap();
                    }
                    StepKind::Close(_) => (open, lied) = (0, false),
                    _ => assert_eq!(open, 0, "{}", case::print(&[case])),
                }
            }
            assert_eq!(open, 0);
        }
    }
}

fn flat(steps: &[Step]) -> Vec<&Step> {
    let mut found = Vec::new();
    for step in steps {
        match &step.kind {
            StepKind::If(_, inner) => found.extend(flat(inner)),
            StepKind::Let(..) => {}
            _ => found.push(step),
        }
    }
    found
}

fn any_offer() -> impl Strategy<Value = Discovered> {
    let number = || prop::sample::select(vec![0, 1, 2, 3, 4096, 0x1_0000, 1 << 32, 1 << 63, u64::MAX]);
    let region = (0u32..12, number(), any::<u32>(), any::<u32>()).prop_map(|(index, size, flags, argsz)| Region {
        index,
        size,
        flags,
        argsz,
        ..Region::default()
    });
    let counts = prop::sample::select(vec![0, 1, 2, 2048, u32::MAX]);
    let irq = (0u32..6, any::<u32>(), counts).prop_map(|(index, flags, count)| Irq { index, flags, count });
    let lists = (prop::collection::vec(region, 0..4), prop::collection::vec(irq, 0..4));
    let has = prop::collection::vec(any::<bool>(), 8);
    (lists, [number(), number(), number()], any::<[u32; 2]>(), has).prop_map(|(lists, numbers, counts, has)| {
        let names = [
            "pci",
            "dma",
            "dma-table",
            "device-dma",
            "device-dma-read",
            "device-irq-any",
            "reconnect",
            "irq-socket",
            "twin-socket",
        ];
        let mut found = Discovered {
            regions: lists.0,
            irqs: lists.1,
            num_regions: counts[0],
            num_irqs: counts[1],
            capabilities: json!({"capabilities":
                {"max_msg_fds": numbers[0], "max_data_xfer_size": numbers[1], "pgsizes": numbers[2]}}),
            ..Discovered::default()
        };
        names.iter().zip(has).filter(|(_, has)| *has).for_each(|(name, _)| found.yes(name, &[]));
        found
    })
}

proptest! {
    #![proptest_config(proptest::test_runner::Config { failure_persistence: None, ..Default::default() })]

    #[test]
    fn any_offer_can_be_drawn_from(found in any_offer(), seed in any::<u64>(), with_file in any::<bool>()) {
        let file = conformance();
        let offer = Offer::new(&found, with_file.then_some(&file));
        for number in [0, 1, u64::MAX] {
            let case = draw(&offer, seed, number);
            let wrong = complaints(&case);
            prop_assert!(wrong.is_empty(), "{}\n{}", case::print(&[case]), wrong.join("\n"));
        }
    }
}
