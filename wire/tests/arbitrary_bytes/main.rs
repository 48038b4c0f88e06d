//! All that a peer sends is untrusted: whatever the bytes are, parsing them ends, does not panic, reads nothing that is
//! not there and takes memory in proportion to what was received.
#![allow(clippy::unwrap_used, reason = "a test, helpers included")]

mod entries;
mod legacy;
mod memory;
mod tables;

use arbitrary::{Arbitrary, Unstructured};
use pretty_assertions::assert_eq;
use proptest::prelude::*;
use vfio_user_wire::feature::{
    DmaLoggingRange, DmaLoggingReport, DmaLoggingStart, FEATURES, MigDeviceState, Migration,
};
use vfio_user_wire::message::{
    DeviceFeature, DeviceInfo, DmaAccess, DmaMap, DmaUnmap, DmaWriteReply, IrqInfo, IrqSet, MigrationData, MultiWrite,
    RegionAccess, RegionInfo, RegionIoFds, SingleWrite, Version,
};
use vfio_user_wire::{
    Body, Capability, CapabilityBody, CapabilityError, CapabilityHeader, Field, Frame, FrameError, HEADER_SIZE, Header,
    IoEventFd, IoRegionFd, SparseArea, SparseHeader, Tail, V0_9_1, V0_9_2, V8, V8C, VersionData, VersionDataError,
    capabilities, sparse_mmap_bytes, type_bytes,
};

use memory::measured;

/// Any number, most often one at an edge of something.
pub(crate) fn edgy() -> impl Strategy<Value = u32> {
    prop_oneof![
        Just(0),
        Just(1),
        Just(u32::MAX),
        Just(u32::MAX - 15),
        Just(1 << 31),
        0..64u32,
        any::<u32>(),
        (0..32u32).prop_map(|shift| 1 << shift),
    ]
}

/// Bytes that may start with a header whose size is likely to be near their length.
fn stream() -> impl Strategy<Value = Vec<u8>> {
    let bytes = || proptest::collection::vec(any::<u8>(), 0..200);
    let sized = (bytes(), -20i64..20).prop_map(|(mut bytes, slack)| {
        let size = u32::try_from(bytes.len() as i64 + slack).unwrap_or(0);
        Header::LAYOUT.field("size").unwrap().write(&mut bytes, u64::from(size));
        bytes
    });
    let odd = (bytes(), edgy()).prop_map(|(mut bytes, size)| {
        Header::LAYOUT.field("size").unwrap().write(&mut bytes, u64::from(size));
        bytes
    });
    prop_oneof![1 => bytes(), 4 => sized, 2 => odd]
}

fn split_is_sound(stream: &[u8], limit: usize) {
    let (split, most) = measured(|| Frame::split(stream, limit));
    assert!(most <= stream.len(), "{most} bytes for a stream of {}", stream.len());
    let size = Header::LAYOUT.field("size").unwrap().read(stream);
    match split {
        Ok(Some((frame, used))) => {
            assert!((HEADER_SIZE..=stream.len().min(limit)).contains(&used));
            assert_eq!(frame.bytes(), &stream[..used]);
            assert_eq!(u64::from(frame.header.size), used as u64);
            // Not one byte earlier, and no byte of the next message.
            assert_eq!(Frame::split(&stream[..used - 1], limit), Ok(None));
            assert_eq!(Frame::split(&stream[..used], limit), Ok(Some((frame, used))));
        }
        Ok(None) => assert!(stream.len() < HEADER_SIZE || (stream.len() as u64) < size.unwrap()),
        Err(FrameError::TooSmall(said)) => {
            assert_eq!(Some(u64::from(said)), size);
            assert!(said < 16);
        }
        Err(FrameError::TooLarge { size: said, limit: taken }) => {
            assert_eq!((Some(u64::from(said)), taken), (size, limit));
            assert!(said as usize > limit);
        }
    }
}

fn bodies() -> Vec<(String, Body)> {
    let dialects = [V0_9_2, V0_9_1, V8, V8C];
    let messages = dialects.iter().flat_map(|dialect| dialect.commands).flat_map(|(_, message)| {
        let variants = message.variants.iter().map(|variant| (variant.request, variant.reply));
        variants.chain([(message.request, message.reply)]).flat_map(|(request, reply)| {
            [(format!("{} request", message.clause), request), (format!("{} reply", message.clause), reply)]
        })
    });
    let features = FEATURES.iter().flat_map(|(_, feature)| {
        feature.get.into_iter().chain(feature.set).flat_map(|exchange| {
            [
                (format!("{} request", feature.name), exchange.request),
                (format!("{} reply", feature.name), exchange.reply),
            ]
        })
    });
    messages.chain(features).collect()
}

fn end(field: &Field) -> usize {
    field.offset + field.width
}

fn decoding_is_sound(payload: &[u8]) {
    for (name, body) in bodies() {
        let decoded = body.decode(payload);
        let fields = body.fixed.map_or(&[][..], |layout| layout.fields);
        let whole: Vec<&Field> = fields.iter().filter(|field| end(field) <= payload.len()).collect();
        assert_eq!(decoded.fields.iter().map(|decoded| decoded.field).collect::<Vec<_>>(), whole, "{name}");
        assert_eq!(decoded.short, payload.len() < body.fixed_size(), "{name}");
        assert_eq!(decoded.tail, &payload[payload.len().min(body.fixed_size())..], "{name}");
        for field in decoded.fields {
            assert!(field.value <= field.field.max(), "{name}");
            // What the table reads it writes, and touches nothing else.
            let mut written = payload.to_vec();
            field.field.write(&mut written, !field.value);
            assert_eq!(field.field.read(&written), Some(!field.value & field.field.max()), "{name}");
            field.field.write(&mut written, field.value);
            assert_eq!(written, payload, "{name}");
        }
    }
}

/// The struct takes exactly the bytes that its table counts, and gives them back.
macro_rules! sound {
    ($bytes:ident: $($name:ident),+) => {$(
        match $name::parse($bytes) {
            Some((parsed, rest)) => {
                assert_eq!(parsed.bytes(), &$bytes[..$name::LAYOUT.size]);
                assert_eq!(rest, &$bytes[$name::LAYOUT.size..]);
            }
            None => assert!($bytes.len() < $name::LAYOUT.size),
        }
    )+};
}
pub(crate) use sound;

fn structs_are_sound(bytes: &[u8]) {
    sound!(bytes: Header, Version, DmaMap, DmaUnmap, DeviceInfo, RegionInfo, IrqInfo, IrqSet, RegionAccess, DmaAccess);
    sound!(bytes: DmaWriteReply, CapabilityHeader, SparseHeader, SparseArea, RegionIoFds, IoEventFd, IoRegionFd, MultiWrite);
    sound!(bytes: SingleWrite, DeviceFeature, Migration, MigDeviceState, DmaLoggingStart, DmaLoggingRange, DmaLoggingReport);
    sound!(bytes: MigrationData);
    legacy::structs_are_sound(bytes);
    tables::structs_are_sound(bytes);
}

/// Bytes that a capability takes, as far as this protocol defines it.
fn extent(capability: &Capability) -> usize {
    match &capability.body {
        CapabilityBody::SparseMmap { areas, .. } => 16 + 16 * areas.len(),
        CapabilityBody::Type { .. } => 16,
        CapabilityBody::Unknown => 8,
    }
}

fn chain_is_sound(payload: &[u8], cap_offset: u32) -> Result<Vec<Capability>, CapabilityError> {
    let (parsed, most) = measured(|| capabilities(payload, cap_offset));
    // A list of capabilities takes some times what 8 bytes on the wire take, and grows by doubling.
    assert!(most <= 32 * payload.len() + 1024, "{most} bytes held for a payload of {}", payload.len());
    match &parsed {
        Ok(found) => {
            let mut taken: Vec<(usize, usize)> =
                found.iter().map(|capability| (capability.offset, capability.offset + extent(capability))).collect();
            taken.sort_unstable();
            assert!(taken.iter().all(|(start, end)| *start >= 32 && *end <= payload.len()));
            assert!(taken.windows(2).all(|pair| pair[0].1 <= pair[1].0), "capabilities share bytes: {taken:?}");
            // Each says what stands where it says it stands, and the chain goes the way that the bytes go.
            let mut next = cap_offset;
            for capability in found {
                assert_eq!(capability.offset, next as usize);
                let (header, rest) = CapabilityHeader::parse(&payload[capability.offset..]).unwrap();
                assert_eq!({ header.id }, capability.id);
                assert_eq!({ header.version }, capability.version);
                let again = match &capability.body {
                    CapabilityBody::SparseMmap { reserved, areas } => {
                        let mut bytes = sparse_mmap_bytes(areas, header.next);
                        SparseHeader::LAYOUT.field("reserved").unwrap().write(&mut bytes[8..], u64::from(*reserved));
                        bytes
                    }
                    CapabilityBody::Type { kind, subtype } => type_bytes(*kind, *subtype, header.next),
                    CapabilityBody::Unknown => header.bytes().to_vec(),
                };
                assert_eq!(again[8..], rest[..again.len() - 8]);
                next = header.next;
            }
            assert_eq!(next, 0);
        }
        Err(CapabilityError::Inside(offset)) => assert!((1..32).contains(offset)),
        Err(CapabilityError::Outside { offset, needed, end }) => {
            assert_eq!(*end, payload.len());
            assert!(*offset as u64 + needed > *end as u64);
        }
        Err(CapabilityError::Loop(offset)) => assert!((32..payload.len()).contains(offset)),
        Err(CapabilityError::Overlap { offset, .. }) => assert!((32..payload.len()).contains(offset)),
    }
    parsed
}

/// A capability to be built.
#[derive(Debug, Clone, Arbitrary)]
enum Piece {
    Sparse { areas: Vec<(u64, u64)> },
    Type { kind: u32, subtype: u32 },
    Unknown { id: u16, version: u16, body: Vec<u8> },
}

/// A valid chain, and one field of it that may lie.
#[derive(Debug, Clone, Arbitrary)]
struct Chain {
    pieces: Vec<Piece>,
    /// Bytes between one piece and the next.
    gaps: [u8; 4],
    lie: Option<Lie>,
}

#[derive(Debug, Clone, Copy, Arbitrary)]
struct Lie {
    piece: u8,
    field: LyingField,
    value: LyingValue,
}

#[derive(Debug, Clone, Copy, Arbitrary)]
enum LyingField {
    CapOffset,
    Id,
    Next,
    NrAreas,
}

#[derive(Debug, Clone, Copy, Arbitrary)]
enum LyingValue {
    Any(u32),
    Small(u8),
    Largest,
    /// The offset of a piece, and a little more.
    Piece {
        piece: u8,
        more: u8,
    },
    /// The end of the payload, and a little more or less.
    End(i8),
}

/// The chain's payload, its `cap_offset`, where its pieces stand.
fn built(chain: &Chain) -> (Vec<u8>, u32, Vec<usize>) {
    let mut payload = vec![0; RegionInfo::LAYOUT.size];
    let mut offsets: Vec<usize> = Vec::new();
    let next = CapabilityHeader::LAYOUT.field("next").unwrap();
    for (piece, gap) in chain.pieces.iter().zip(chain.gaps.iter().cycle()) {
        payload.resize(payload.len() + usize::from(gap % 16), 0xee);
        let offset = payload.len();
        if let Some(last) = offsets.last() {
            next.write(&mut payload[*last..], offset as u64);
        }
        offsets.push(offset);
        match piece {
            Piece::Sparse { areas } => {
                let areas: Vec<SparseArea> =
                    areas.iter().map(|(offset, size)| SparseArea { offset: *offset, size: *size }).collect();
                payload.extend(sparse_mmap_bytes(&areas, 0));
            }
            Piece::Type { kind, subtype } => payload.extend(type_bytes(*kind, *subtype, 0)),
            Piece::Unknown { id, version, body } => {
                let id = (*id).max(3);
                payload.extend_from_slice(CapabilityHeader { id, version: *version, next: 0 }.bytes());
                payload.extend_from_slice(body);
            }
        }
    }
    let mut cap_offset = offsets.first().map_or(0, |offset| *offset as u32);
    if let (Some(lie), false) = (chain.lie, offsets.is_empty()) {
        let at = |piece: u8| offsets[usize::from(piece) % offsets.len()];
        let value = match lie.value {
            LyingValue::Any(value) => value,
            LyingValue::Small(value) => u32::from(value),
            LyingValue::Largest => u32::MAX,
            LyingValue::Piece { piece, more } => at(piece) as u32 + u32::from(more % 24),
            LyingValue::End(more) => (payload.len() as u32).saturating_add_signed(i32::from(more)),
        };
        let liar = &mut payload[at(lie.piece)..];
        match lie.field {
            LyingField::CapOffset => cap_offset = value,
            LyingField::Id => CapabilityHeader::LAYOUT.field("id").unwrap().write(liar, u64::from(value % 4)),
            LyingField::Next => next.write(liar, u64::from(value)),
            LyingField::NrAreas => SparseHeader::LAYOUT.fields[0].write(&mut liar[8..], u64::from(value)),
        }
    }
    (payload, cap_offset, offsets)
}

fn json() -> impl Strategy<Value = serde_json::Value> {
    let leaf = prop_oneof![
        Just(serde_json::Value::Null),
        any::<bool>().prop_map(Into::into),
        any::<u64>().prop_map(Into::into),
        any::<i64>().prop_map(Into::into),
        edgy().prop_map(Into::into),
        ".{0,8}".prop_map(Into::into),
    ];
    let name = prop_oneof![
        Just("max_msg_fds".to_owned()),
        Just("max_data_xfer_size".to_owned()),
        Just("max_dma_maps".to_owned()),
        Just("pgsizes".to_owned()),
        Just("capabilities".to_owned()),
        Just("twin_socket".to_owned()),
        Just("max_fds".to_owned()),
        Just("max_msg_size".to_owned()),
        Just("migration".to_owned()),
        Just("pgsize".to_owned()),
        ".{0,6}",
    ];
    leaf.prop_recursive(6, 48, 6, move |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..6).prop_map(serde_json::Value::Array),
            proptest::collection::vec((name.clone(), inner), 0..6)
                .prop_map(|fields| serde_json::Value::Object(fields.into_iter().collect())),
        ]
    })
}

/// One change to some text.
#[derive(Debug, Clone, Arbitrary)]
enum Edit {
    Set(u16, u8),
    Insert(u16, u8),
    Remove(u16),
    Cut(u16),
    Double(u16, u8),
}

fn edited(mut text: Vec<u8>, edits: &[Edit]) -> Vec<u8> {
    for edit in edits.iter().take(8) {
        let within = |at: &u16| usize::from(*at) % text.len().max(1);
        match edit {
            Edit::Set(at, byte) => {
                let at = within(at);
                if let Some(old) = text.get_mut(at) {
                    *old = *byte;
                }
            }
            Edit::Insert(at, byte) => text.insert(within(at), *byte),
            Edit::Remove(at) => {
                let at = within(at);
                if at < text.len() {
                    text.remove(at);
                }
            }
            Edit::Cut(at) => text.truncate(within(at)),
            Edit::Double(at, length) => {
                let at = within(at);
                let piece = text[at..text.len().min(at + usize::from(*length))].to_vec();
                text.splice(at..at, piece);
            }
        }
    }
    text
}

fn version_data_is_sound(data: &[u8]) {
    let parsed = VersionData::parse(data);
    if let Ok(parsed) = &parsed {
        let limits = parsed.limits();
        // No descriptors at all is a limit, too; of the rest there must be some.
        let numbers = [limits.max_data_xfer_size, limits.max_dma_maps, limits.pgsizes];
        assert!(numbers.iter().all(|number| *number > 0), "{limits:?}");
        let legacy = parsed.legacy_limits();
        assert!(legacy.max_msg_size > 0 && legacy.pgsize != Some(0), "{legacy:?}");
        assert!(legacy.migration || legacy.pgsize.is_none(), "{legacy:?}");
        let bytes = parsed.bytes();
        assert_eq!(bytes.iter().position(|byte| *byte == 0), Some(bytes.len() - 1));
        assert!(VersionData::parse(&bytes).is_ok());
        assert!(data.is_empty() || data.ends_with(&[0]));
    }
    if std::str::from_utf8(data).is_err() {
        assert!(parsed.is_err());
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_stream_is_split_soundly(stream in stream(), limit in prop_oneof![Just(usize::MAX), 0..300usize]) {
        split_is_sound(&stream, limit);
        split_is_sound(&stream, 1 << 20);
    }

    #[test]
    fn joined_messages_come_apart_as_they_were(payloads in proptest::collection::vec(
        proptest::collection::vec(any::<u8>(), 0..40), 0..6,
    )) {
        let frames: Vec<Frame> =
            payloads.into_iter().zip(0..).map(|(payload, id)| Frame::command(id, 4, payload)).collect();
        let mut stream: Vec<u8> = frames.iter().flat_map(Frame::bytes).collect();
        let mut apart = Vec::new();
        while let Some((frame, used)) = Frame::split(&stream, 1 << 20).unwrap() {
            stream.drain(..used);
            apart.push(frame);
        }
        prop_assert!(stream.is_empty());
        prop_assert_eq!(apart, frames);
    }

    #[test]
    fn any_payload_is_decoded_soundly(payload in proptest::collection::vec(any::<u8>(), 0..80)) {
        decoding_is_sound(&payload);
        structs_are_sound(&payload);
    }

    #[test]
    fn any_bytes_are_walked_soundly(
        payload in proptest::collection::vec(prop_oneof![Just(0u8), 0..100u8, any::<u8>()], 0..300),
        cap_offset in edgy(),
    ) {
        let _ = chain_is_sound(&payload, cap_offset);
    }

    #[test]
    fn a_chain_with_one_lie_is_walked_soundly(seed in proptest::collection::vec(any::<u8>(), 0..600)) {
        let mut unstructured = Unstructured::new(&seed);
        let Ok(mut chain) = Chain::arbitrary(&mut unstructured) else { return Ok(()) };
        let (payload, cap_offset, _) = built(&chain);
        let _ = chain_is_sound(&payload, cap_offset);

        chain.lie = None;
        let (payload, cap_offset, offsets) = built(&chain);
        let found = chain_is_sound(&payload, cap_offset).unwrap();
        prop_assert_eq!(found.iter().map(|capability| capability.offset).collect::<Vec<_>>(), offsets);
    }

    #[test]
    fn every_value_of_every_lying_field_is_walked_soundly(
        piece in any::<u8>(), which in 0..4u8, value in prop_oneof![edgy(), 30..200u32],
    ) {
        let field = [LyingField::CapOffset, LyingField::Id, LyingField::Next, LyingField::NrAreas][usize::from(which)];
        let chain = Chain { lie: Some(Lie { piece, field, value: LyingValue::Any(value) }), ..three() };
        let (payload, cap_offset, _) = built(&chain);
        let _ = chain_is_sound(&payload, cap_offset);
    }

    #[test]
    fn any_bytes_are_version_data_or_not(data in proptest::collection::vec(any::<u8>(), 0..100)) {
        version_data_is_sound(&data);
    }

    #[test]
    fn json_with_mutations_is_version_data_or_not(
        capabilities in json(), seed in proptest::collection::vec(any::<u8>(), 0..64),
    ) {
        let text = serde_json::json!({ "capabilities": capabilities }).to_string();
        let data = [text.as_bytes(), &[0]].concat();
        version_data_is_sound(&data);
        let as_expected = match VersionData::parse(&data) {
            Ok(data) => data.capabilities() == capabilities.as_object(),
            Err(error) => error == VersionDataError::CapabilitiesNotObject && !capabilities.is_object(),
        };
        prop_assert!(as_expected);

        let edits = Vec::<Edit>::arbitrary(&mut Unstructured::new(&seed)).unwrap_or_default();
        version_data_is_sound(&edited(data, &edits));
    }
}

fn three() -> Chain {
    Chain {
        pieces: vec![
            Piece::Sparse { areas: vec![(0, 0x1000), (0x2000, 0x1000)] },
            Piece::Unknown { id: 9, version: 1, body: vec![0; 8] },
            Piece::Type { kind: 1, subtype: 2 },
        ],
        gaps: [0; 4],
        lie: None,
    }
}

#[test]
fn each_lie_in_a_chain_has_its_error() {
    // Sparse mmap at 32..80, unknown at 80..96, type at 96..112.
    let lying = |piece, field, value| {
        let chain = Chain { lie: Some(Lie { piece, field, value: LyingValue::Any(value) }), ..three() };
        let (payload, cap_offset, offsets) = built(&chain);
        assert_eq!((offsets, payload.len()), (vec![32, 80, 96], 112));
        chain_is_sound(&payload, cap_offset)
    };
    let outside = |offset, needed| Err(CapabilityError::Outside { offset, needed, end: 112 });
    use LyingField::{CapOffset, Id, Next, NrAreas};

    assert_eq!(lying(0, CapOffset, 0), Ok(vec![]));
    assert_eq!(lying(0, CapOffset, 1), Err(CapabilityError::Inside(1)));
    assert_eq!(lying(0, CapOffset, 31), Err(CapabilityError::Inside(31)));
    assert_eq!(lying(0, CapOffset, 105), outside(105, 8));
    assert_eq!(lying(0, CapOffset, 112), outside(112, 8));
    assert_eq!(lying(0, CapOffset, u32::MAX), outside(u32::MAX as usize, 8));
    assert_eq!(lying(2, Next, 16), Err(CapabilityError::Inside(16)));
    assert_eq!(lying(2, Next, 96), Err(CapabilityError::Loop(96)));
    assert_eq!(lying(2, Next, 80), Err(CapabilityError::Loop(80)));
    assert_eq!(lying(2, Next, 32), Err(CapabilityError::Loop(32)));
    assert_eq!(lying(2, Next, 33), Err(CapabilityError::Overlap { offset: 33, other: 32 }));
    assert_eq!(lying(2, Next, 72), Err(CapabilityError::Overlap { offset: 72, other: 32 }));
    assert_eq!(lying(2, Next, 79), Err(CapabilityError::Overlap { offset: 79, other: 80 }));
    // An unknown capability is known to take 8 bytes: the next one may stand right behind them.
    assert_eq!(lying(2, Next, 87), Err(CapabilityError::Overlap { offset: 87, other: 80 }));
    assert_eq!(lying(2, Next, 88).map(|found| found.len()), Ok(4));
    // One that stands before others and reaches into them.
    assert_eq!(lying(0, Next, 96).map(|found| found.len()), Ok(2));
    assert_eq!(lying(0, NrAreas, 1).map(|found| found.len()), Ok(3));
    assert_eq!(lying(0, NrAreas, 4), Err(CapabilityError::Overlap { offset: 80, other: 32 }));
    assert_eq!(lying(0, NrAreas, 5), outside(32, 16 + 5 * 16));
    assert_eq!(lying(0, NrAreas, u32::MAX), outside(32, 16 + 16 * u64::from(u32::MAX)));
    // The body of a type, and one that is cut off.
    assert_eq!(lying(1, Id, 2).map(|found| found[1].body.clone()), Ok(CapabilityBody::Type { kind: 0, subtype: 0 }));
    // The type, read as a sparse mmap capability, counts `kind` = 1 area, for which there is no room.
    assert_eq!(lying(2, Id, 1), outside(96, 32));
}

#[test]
fn a_chain_of_overlapping_capabilities_takes_no_memory_for_each() {
    // Each sparse mmap capability starts 16 bytes behind the one before and counts all areas up to the end: n bytes
    // would become n * n / 512 areas.
    let length = 1 << 16;
    let mut payload = vec![0; length];
    let mut offset = 32;
    while offset + 16 <= length {
        let nr_areas = ((length - offset - 16) / 16) as u32;
        let next = if offset + 32 <= length { (offset + 16) as u32 } else { 0 };
        let header = CapabilityHeader { id: 1, version: 1, next };
        payload[offset..offset + 8].copy_from_slice(header.bytes());
        payload[offset + 8..offset + 16].copy_from_slice(SparseHeader { nr_areas, reserved: 0 }.bytes());
        offset += 16;
    }
    assert_eq!(chain_is_sound(&payload, 32), Err(CapabilityError::Overlap { offset: 48, other: 32 }));
}

#[test]
fn the_longest_chain_is_walked_in_no_time() {
    // As many capabilities as 4 MiB hold, each of the least size.
    let length = 1 << 22;
    let mut payload = vec![0; length];
    for offset in (32..length).step_by(8) {
        let next = if offset + 16 <= length { offset as u32 + 8 } else { 0 };
        payload[offset..offset + 8].copy_from_slice(CapabilityHeader { id: 9, version: 1, next }.bytes());
    }
    let start = std::time::Instant::now();
    assert_eq!(chain_is_sound(&payload, 32).map(|found| found.len()), Ok((length - 32) / 8));
    // Some milliseconds; more than a minute where each is looked for among all before it.
    assert!(start.elapsed() < std::time::Duration::from_secs(20), "{:?}", start.elapsed());
}

#[test]
fn nesting_ends_in_an_error_and_not_in_a_full_stack() {
    for (open, close) in [("[", "]"), ("{\"a\":", "}")] {
        for depth in [1, 64, 120, 130, 1000, 100_000] {
            for close in [close, ""] {
                let nested = format!("{}0{}", open.repeat(depth), close.repeat(depth));
                let data = format!("{{\"capabilities\":{{\"pgsizes\":{nested}}}}}\0");
                version_data_is_sound(data.as_bytes());
                let parsed = VersionData::parse(data.as_bytes());
                let readable = depth <= 120 && !close.is_empty();
                assert_eq!(parsed.is_ok(), readable, "{depth} times {open}");
                let why = matches!(parsed, Err(VersionDataError::NotJson(_) | VersionDataError::TooLong(_)));
                assert!(readable || why, "{depth} times {open}");
            }
        }
    }
}

#[test]
fn every_tail_belongs_to_some_body_that_is_decoded_here() {
    let bodies = bodies();
    use Tail::{
        Bitmap, Bitmaps, Bools, Capabilities, Data, Entries, Feature, Json, RangeBitmap, Ranges, SubRegions, Unused,
        Writes,
    };
    let fewer = [Tail::None, Data, Json, Capabilities, Bools, SubRegions, Writes, Feature, Ranges, Bitmap];
    for tail in [&fewer[..], &[Unused, RangeBitmap, Entries, Bitmaps]].concat() {
        assert!(bodies.iter().any(|(_, body)| body.tail == tail), "{tail:?}");
    }
}
