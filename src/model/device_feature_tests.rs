//! DEVICE_FEATURE: what its operations may be answered with, and what their replies must say.

use pretty_assertions::assert_eq;
use vfio_user_wire::feature::{MigDeviceState, Migration};
use vfio_user_wire::message::DeviceFeature;
use vfio_user_wire::{V0_9_2, device_state, feature_flags, feature_index, migration_flags};

use super::rulings_tests::{EITHER, after, breaks, offer, refused, succeeds};
use super::tests::{N, V, answered, command, marked};
use super::{Negotiated, Offer, Reply, judge_reply};

const GET: u32 = feature_flags::GET;
const SET: u32 = feature_flags::SET;
const PROBE: u32 = feature_flags::PROBE;

fn feature(argsz: u32, operation: u32, index: u16, data: &[u8]) -> Vec<u8> {
    [DeviceFeature { argsz, flags: operation | u32::from(index) }.bytes(), data].concat()
}

#[test]
fn what_is_set_or_probed_comes_back() {
    let state = MigDeviceState { device_state: device_state::STOP, data_fd: 0 };
    let set = |argsz, state: MigDeviceState| feature(argsz, SET, feature_index::MIG_DEVICE_STATE, state.bytes());
    let sent = command("DEVICE_FEATURE", &set(16, state));
    let other = MigDeviceState { device_state: device_state::RUNNING, ..state };
    assert_eq!(answered(&sent, &set(16, state)), []);
    assert_eq!(answered(&sent, &set(16, other)), [("FEAT-05", V), ("MIGFSM-32", V)]);
    assert_eq!(answered(&sent, &set(16, state)[..8]), [("FEAT-05", V), ("MIGFSM-32", V)]);
    let first = |payload: &[u8]| {
        let reply = Reply { header: &sent.header.reply(payload.len()), payload, fds: 0 };
        let said = judge_reply(&V0_9_2, &sent, &reply, &Negotiated::default());
        said.into_iter().find_map(|said| Some(said.broken?.actual)).unwrap()
    };
    assert_eq!(first(&set(16, other)), "another byte at 8");
    assert_eq!(first(&set(16, state)[..8]), "8 bytes");
    let mark = |name: &str, offset| (name.to_owned(), offset, 4);
    assert_eq!(marked(&sent, &set(16, other), 0), vec![mark("device_state", 16 + 8); 2]);
    assert_eq!(marked(&sent, &set(16, state)[..8], 0), vec![mark("header.size", 4); 2]);
    // The size that it needs, whatever was asked for; with less room, cut or not.
    let roomy = command("DEVICE_FEATURE", &set(64, state));
    assert_eq!(answered(&roomy, &set(16, state)), []);
    assert_eq!(answered(&roomy, &set(17, state)), [("FEAT-05", V), ("MIGFSM-32", V)]);
    let narrow = command("DEVICE_FEATURE", &set(8, state));
    assert_eq!(answered(&narrow, &set(16, state)[..8]), []);
    assert_eq!(answered(&narrow, &set(8, state)), []);
    assert_eq!(answered(&narrow, &set(16, state)[..12]), [("FEAT-18", V)]);
    // PROBE of any feature; DMA_LOGGING_START has data of another form in its reply, or none.
    let probe = feature(8, PROBE | SET, feature_index::DMA_LOGGING_START, &[]);
    let sent = command("DEVICE_FEATURE", &probe);
    assert_eq!(answered(&sent, &probe), []);
    assert_eq!(answered(&sent, &feature(8, SET, feature_index::DMA_LOGGING_START, &[])), [("FEAT-05", V)]);
}

#[test]
fn what_is_got_says_how_large_it_is() {
    let get = |argsz| command("DEVICE_FEATURE", &feature(argsz, GET, feature_index::MIGRATION, &[]));
    let got =
        |argsz, operation, flags: u64| feature(argsz, operation, feature_index::MIGRATION, Migration { flags }.bytes());
    assert_eq!(answered(&get(16), &got(16, GET, 1)), []);
    assert_eq!(answered(&get(64), &got(16, GET, 5)), []);
    assert_eq!(answered(&get(64), &got(64, GET, 1)), [("FEAT-06", V), ("FEAT-16", V)]);
    assert_eq!(marked(&get(64), &got(64, GET, 1), 0), vec![("argsz".to_owned(), 16, 4); 2]);
    // The room asked for, and the size of the data once more (policy A-08).
    assert_eq!(answered(&get(64), &got(72, GET, 1)), [("FEAT-06", N), ("FEAT-16", N)]);
    assert_eq!(answered(&get(16), &got(16, SET, 1)), [("FEAT-06", N)]);
    assert_eq!(answered(&get(16), &got(16, GET, 1)[..8]), [("FEAT-06", V)]);
    assert_eq!(answered(&get(16), &[0; 7]), [("FEAT-06", V)]);
    // STOP_COPY at the least, no unknown bit, and P2P is no state of this protocol's.
    assert_eq!(answered(&get(16), &got(16, GET, 4)), [("FEAT-12", V)]);
    assert_eq!(answered(&get(16), &got(16, GET, 9)), [("FEAT-13", V)]);
    assert_eq!(answered(&get(16), &got(16, GET, 3)), [("FEAT-13", N)]);
    // Without room, the fixed part with the size that all of it needs (policy A-09).
    assert_eq!(answered(&get(8), &got(16, GET, 1)[..8]), []);
    assert_eq!(answered(&get(12), &got(16, GET, 1)[..12]), []);
    assert_eq!(answered(&get(8), &got(8, GET, 1)[..8]), [("FEAT-09", V)]);
    assert_eq!(answered(&get(8), &got(16, GET, 1)), [("FEAT-09", V)]);
}

#[test]
fn a_state_has_no_flags() {
    let state = |argsz, data: &[u8]| feature(argsz, GET, feature_index::MIG_DEVICE_STATE, data);
    let sent = command("DEVICE_FEATURE", &state(16, &[]));
    let running = MigDeviceState { device_state: device_state::RUNNING, data_fd: 0 };
    assert_eq!(answered(&sent, &state(16, running.bytes())), []);
}

#[test]
fn a_feature_is_asked_for_by_one_operation() {
    let migration = after(Offer { migration_flags: Some(migration_flags::STOP_COPY), ..offer() }, &[]);
    let said = |argsz, operation, data: &[u8]| {
        let payload = feature(argsz, operation, feature_index::MIG_DEVICE_STATE, data);
        breaks(&migration, command("DEVICE_FEATURE", &payload))
    };
    assert_eq!(said(16, GET, &[]), succeeds("FEAT-06", V));
    assert_eq!(said(16, 0, &[]), refused("FEAT-03", N));
    assert_eq!(said(16, GET | SET, &[0; 8]), refused("FEAT-02", N));
    assert_eq!(said(16, GET | 1 << 19, &[]), refused("FEAT-10", N));
    // It needs no data, and no more room than it takes itself.
    for argsz in [8, 16] {
        assert_eq!(said(argsz, PROBE, &[]), succeeds("FEAT-04", N));
    }
    assert_eq!(said(7, PROBE, &[]), EITHER);
    assert_eq!(said(16, PROBE, &[0; 8]), EITHER);
}
