//! The golden messages of DEVICE_FEATURE: a pair for each feature, and the data of each by its own table.

use pretty_assertions::assert_eq;
use vfio_user_wire::feature::{
    DMA_LOGGING_REPORT, DMA_LOGGING_START, DMA_LOGGING_STOP, DmaLoggingRange, DmaLoggingReport, DmaLoggingStart,
    Exchange, FEATURES, MIG_DEVICE_STATE, MIGRATION, MigDeviceState, Migration, dirty_pages, feature,
};
use vfio_user_wire::feature_flags::{GET, PROBE, SET};
use vfio_user_wire::message::{DEVICE_FEATURE, DeviceFeature};
use vfio_user_wire::{Body, Frame, HEADER_SIZE, Layout, device_state, feature_index, migration_flags};

use crate::file::{Golden, command, joined};

/// Where the data of a feature stands in a message.
const DATA: usize = HEADER_SIZE + DeviceFeature::LAYOUT.size;

const NOTHING: &[u8] = &[];

fn head(data: usize, index: u16, operation: u32) -> DeviceFeature {
    DeviceFeature { argsz: (DeviceFeature::LAYOUT.size + data) as u32, flags: operation | u32::from(index) }
}

fn request(id: [u8; 2], head: &DeviceFeature, data: &[u8]) -> Frame {
    command(id, &DEVICE_FEATURE, &joined(&[head.bytes(), data]))
}

fn reply(request: &Frame, head: &DeviceFeature, data: &[u8]) -> Frame {
    Frame::reply(&request.header, joined(&[head.bytes(), data]))
}

/// The frame is the golden one, its data is what the feature's table says; gives back what follows the fixed part of both.
fn data_is<'a>(golden: &Golden, frame: &'a Frame, body: &Body, layout: Option<(&'static Layout, &str)>) -> &'a [u8] {
    let (_, data) = DeviceFeature::parse(&frame.payload).unwrap();
    golden.is(frame, &DEVICE_FEATURE.request, data);
    let decoded = body.decode(&frame.payload);
    assert!(!decoded.short);
    let head = DeviceFeature::LAYOUT;
    assert_eq!(
        (decoded.get("argsz"), decoded.get("flags")),
        (Some(golden.value("argsz")), Some(golden.value("flags")))
    );
    let Some((layout, prefix)) = layout else {
        assert_eq!(body.fixed, Some(&head));
        return decoded.tail;
    };
    golden.has_the_fields_of(layout, DATA, prefix);
    assert_eq!(body.fixed_size(), head.size + layout.size);
    assert_eq!(decoded.fields.len(), head.fields.len() + layout.fields.len());
    for (field, known) in layout.fields.iter().zip(&decoded.fields[head.fields.len()..]) {
        assert_eq!(known.value, golden.value(&format!("{prefix}{}", field.name)));
        assert_eq!(known.field.offset, head.size + field.offset);
    }
    decoded.tail
}

#[test]
fn probe() {
    let head = head(0, feature_index::MIGRATION, GET | PROBE);
    let request = request([29, 30], &head, &[]);
    Golden::load("device-feature.request.hex").is(&request, &DEVICE_FEATURE.request, &[]);
    Golden::load("device-feature.reply.hex").is(&reply(&request, &head, &[]), &DEVICE_FEATURE.reply, &[]);
    assert_eq!(DeviceFeature::parse(&request.payload), Some((head, &[][..])));
    assert_eq!((head.index(), head.operation()), (feature_index::MIGRATION, GET | PROBE));
}

#[test]
fn migration() {
    let get = MIGRATION.get.unwrap();
    let head = head(8, feature_index::MIGRATION, GET);
    let request = request([31, 32], &head, &[]);
    assert_eq!(data_is(&Golden::load("device-feature-migration.request.hex"), &request, &get.request, None), NOTHING);

    let migration = Migration { flags: migration_flags::STOP_COPY | migration_flags::PRE_COPY };
    let reply = reply(&request, &head, migration.bytes());
    let golden = Golden::load("device-feature-migration.reply.hex");
    assert_eq!(data_is(&golden, &reply, &get.reply, Some((&Migration::LAYOUT, "migration."))), NOTHING);
}

#[test]
fn mig_device_state() {
    let layout = Some((&MigDeviceState::LAYOUT, "state."));
    let set = MIG_DEVICE_STATE.set.unwrap();
    let setting = head(8, feature_index::MIG_DEVICE_STATE, SET);
    let state = MigDeviceState { device_state: device_state::STOP_COPY, data_fd: u32::MAX };
    let set_request = request([33, 34], &setting, state.bytes());
    let golden = Golden::load("device-feature-mig-device-state.request.hex");
    assert_eq!(data_is(&golden, &set_request, &set.request, layout), NOTHING);
    let set_reply = reply(&set_request, &setting, state.bytes());
    let golden = Golden::load("device-feature-mig-device-state.reply.hex");
    assert_eq!(data_is(&golden, &set_reply, &set.reply, layout), NOTHING);

    let get = MIG_DEVICE_STATE.get.unwrap();
    let getting = head(8, feature_index::MIG_DEVICE_STATE, GET);
    let get_request = request([35, 36], &getting, &[]);
    let golden = Golden::load("device-feature-mig-device-state-get.request.hex");
    assert_eq!(data_is(&golden, &get_request, &get.request, None), NOTHING);
    let state = MigDeviceState { device_state: device_state::RUNNING, data_fd: 0 };
    let get_reply = reply(&get_request, &getting, state.bytes());
    let golden = Golden::load("device-feature-mig-device-state-get.reply.hex");
    assert_eq!(data_is(&golden, &get_reply, &get.reply, layout), NOTHING);
}

#[test]
fn dma_logging_start_with_two_ranges_and_another_page_size() {
    let layout = Some((&DmaLoggingStart::LAYOUT, "start."));
    let set = DMA_LOGGING_START.set.unwrap();
    let ranges = [
        DmaLoggingRange { iova: 0x10_0000, length: 0x20_0000 },
        DmaLoggingRange { iova: 0x1_4000_0000, length: 0x8000_0000 },
    ];
    let array = joined(&[ranges[0].bytes(), ranges[1].bytes()]);
    let head = head(48, feature_index::DMA_LOGGING_START, SET);
    let start = DmaLoggingStart { page_size: 0x1000, num_ranges: 2, reserved: 0 };
    let request = request([37, 38], &head, &joined(&[start.bytes(), &array]));
    let golden = Golden::load("device-feature-dma-logging-start.request.hex");
    let tail = data_is(&golden, &request, &set.request, layout);
    assert_eq!(start.ranges(tail), (&ranges[..], &[][..]));
    golden.has_the_fields_of(&DmaLoggingRange::LAYOUT, 40, "range0.");
    golden.has_the_fields_of(&DmaLoggingRange::LAYOUT, 56, "range1.");

    let chosen = DmaLoggingStart { page_size: 0x2000, ..start };
    let reply = reply(&request, &head, &joined(&[chosen.bytes(), &array]));
    let golden = Golden::load("device-feature-dma-logging-start.reply.hex");
    assert_eq!(chosen.ranges(data_is(&golden, &reply, &set.reply, layout)), (&ranges[..], &[][..]));
}

#[test]
fn dma_logging_stop() {
    let set = DMA_LOGGING_STOP.set.unwrap();
    let head = head(0, feature_index::DMA_LOGGING_STOP, SET);
    let request = request([39, 40], &head, &[]);
    let golden = Golden::load("device-feature-dma-logging-stop.request.hex");
    assert_eq!(data_is(&golden, &request, &set.request, None), NOTHING);
    let reply = reply(&request, &head, &[]);
    assert_eq!(data_is(&Golden::load("device-feature-dma-logging-stop.reply.hex"), &reply, &set.reply, None), NOTHING);
}

#[test]
fn dma_logging_report_of_70_pages() {
    let layout = Some((&DmaLoggingReport::LAYOUT, "report."));
    let get = DMA_LOGGING_REPORT.get.unwrap();
    let report = DmaLoggingReport { iova: 0x10_0000, length: 70 * 0x1000, page_size: 0x1000 };
    assert_eq!((report.pages(), report.bitmap_size()), (Some(70), Some(16)));
    let head = head(40, feature_index::DMA_LOGGING_REPORT, GET);
    let request = request([41, 42], &head, report.bytes());
    let golden = Golden::load("device-feature-dma-logging-report.request.hex");
    assert_eq!(data_is(&golden, &request, &get.request, layout), NOTHING);

    let bitmap = [1 << 0 | 1 << 9 | 1 << 63, 1 << (64 - 64) | 1 << (69 - 64)].map(u64::to_ne_bytes).concat();
    let reply = reply(&request, &head, &joined(&[report.bytes(), &bitmap]));
    let golden = Golden::load("device-feature-dma-logging-report.reply.hex");
    let tail = data_is(&golden, &reply, &get.reply, layout);
    assert_eq!(tail, bitmap);
    assert_eq!(dirty_pages(tail).collect::<Vec<u64>>(), [0, 9, 63, 64, 69]);
}

#[test]
fn what_a_payload_is_follows_from_its_feature_and_operation() {
    let asks = |index: u16, operation: u32| {
        let head = head(0, index, operation);
        (DEVICE_FEATURE.request_of(head.bytes()), DEVICE_FEATURE.reply_of(head.bytes()))
    };
    let unknown = (DEVICE_FEATURE.request, DEVICE_FEATURE.reply);
    for (index, known) in FEATURES {
        for (operation, exchange) in [(GET, known.get), (SET, known.set)] {
            let bodies = exchange.map_or(unknown, |exchange| (exchange.request, exchange.reply));
            assert_eq!(asks(*index, operation), bodies, "{}", known.name);
        }
        for operation in [0, GET | SET, PROBE, PROBE | GET, PROBE | SET, SET | 1 << 31] {
            assert_eq!(asks(*index, operation), unknown, "{}", known.name);
        }
    }
    assert_eq!(asks(3, GET), unknown);
    assert_eq!(DEVICE_FEATURE.request_of(&[0; 7]), DEVICE_FEATURE.request);
}

#[test]
fn the_features_are_those_of_the_table() {
    let known: Vec<(u16, &str)> = FEATURES.iter().map(|(index, feature)| (*index, feature.name)).collect();
    let table = [
        (1, "MIGRATION"),
        (2, "MIG_DEVICE_STATE"),
        (6, "DMA_LOGGING_START"),
        (7, "DMA_LOGGING_STOP"),
        (8, "DMA_LOGGING_REPORT"),
    ];
    assert_eq!(known, table);
    for (index, known) in FEATURES {
        assert_eq!(feature(*index), Some(*known));
        assert!(known.get.is_some() || known.set.is_some(), "{}", known.name);
    }
    for index in [0, 3, 4, 5, 9, u16::MAX] {
        assert_eq!(feature(index), None);
    }
    // What SET is answered with is the request again.
    let mirrored = |exchange: Exchange| exchange.request == exchange.reply;
    assert!(FEATURES.iter().filter_map(|(_, feature)| feature.set).all(mirrored));
}
