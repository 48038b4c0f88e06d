//! Migration data from command to command: how they are read, and what the device is that gets them back.

use std::sync::Arc;

use nix::errno::Errno;
use vfio_user_wire::device_state::{PRE_COPY, RESUMING, RUNNING, STOP, STOP_COPY};
use vfio_user_wire::message::{MigrationData, RegionAccess};
use vfio_user_wire::{V0_9_2, feature_flags, feature_index};

use super::samples::{Said, command, exchange};
use super::{Offer, OfferedRegion, ScratchRange, Session};
use crate::verdict::Class::{self, Note, Violation};

const NOTHING: [(&str, Class); 0] = [];

struct Client {
    session: Session,
    sent: usize,
}

impl Client {
    /// Its device runs, and has scratch bytes.
    fn new() -> Client {
        let mut client = Client::unasked();
        assert_eq!(client.state(), NOTHING);
        client
    }

    fn unasked() -> Client {
        let offer = Offer {
            num_regions: Some(9),
            migration_flags: Some(5),
            reset: Some(true),
            regions: vec![OfferedRegion { index: 0, size: 0x1000, flags: 3, argsz: 32 }],
            scratch: vec![ScratchRange { region: 0, offset: 0, length: 0x100 }],
            ..Offer::default()
        };
        let mut client = Client { session: Session::new(&V0_9_2, Arc::new(offer)), sent: 0 };
        assert_eq!(client.ask("VERSION", vec![0; 4], Ok(vec![0; 4])), NOTHING);
        client
    }

    fn ask(&mut self, name: &str, payload: Vec<u8>, answer: Result<Vec<u8>, Errno>) -> Said {
        let command = command(&V0_9_2, self.sent, name, payload, &[]);
        let said = exchange(&mut self.session, self.sent, command, answer);
        self.sent += 1;
        said
    }

    fn feature(&mut self, operation: u32, state: u32) -> Said {
        let payload = words(&[16, operation | u32::from(feature_index::MIG_DEVICE_STATE), state, 0]);
        self.ask("DEVICE_FEATURE", payload.clone(), Ok(payload))
    }

    /// It is asked for, and RUNNING.
    fn state(&mut self) -> Said {
        let flags = feature_flags::GET | u32::from(feature_index::MIG_DEVICE_STATE);
        self.ask("DEVICE_FEATURE", words(&[16, flags]), Ok(words(&[16, flags, RUNNING, 0])))
    }

    fn set(&mut self, states: &[u32]) {
        for state in states {
            assert_eq!(self.feature(feature_flags::SET, *state), NOTHING, "{state}");
        }
    }

    /// MIG_DATA_READ of up to 16 bytes that gets these.
    fn reads(&mut self, data: &[u8]) -> Said {
        self.ask("MIG_DATA_READ", words(&[24, 16]), Ok(portion(data)))
    }

    fn writes(&mut self, data: &[u8]) {
        assert_eq!(self.ask("MIG_DATA_WRITE", portion(data), Ok(vec![])), NOTHING);
    }

    fn scratch(&mut self, data: u8) {
        assert_eq!(self.ask("REGION_WRITE", access(&[data]), Ok(access(&[]))), NOTHING);
    }

    fn scratch_is(&mut self, data: u8) -> Said {
        self.ask("REGION_READ", access(&[]), Ok(access(&[data])))
    }

    /// Saves the device with 7 in its scratch byte, writes 8 there, and gives the data back.
    fn carry(&mut self, save: &[u32], between: impl FnOnce(&mut Client)) {
        self.save(save, between);
        self.restore();
    }

    fn save(&mut self, save: &[u32], between: impl FnOnce(&mut Client)) {
        self.scratch(7);
        self.set(save);
        assert_eq!(self.reads(&[1; 16]), NOTHING);
        between(self);
        assert_eq!(self.reads(&[2; 3]), NOTHING);
        self.set(&[STOP, RUNNING]);
    }

    fn restore(&mut self) {
        self.scratch(8);
        self.set(&[STOP, RESUMING]);
        self.writes(&[1; 16]);
        self.writes(&[2; 3]);
        self.set(&[STOP, RUNNING]);
    }
}

fn words(words: &[u32]) -> Vec<u8> {
    words.iter().flat_map(|word| word.to_ne_bytes()).collect()
}

fn portion(data: &[u8]) -> Vec<u8> {
    let size = data.len() as u32;
    [MigrationData { argsz: 8 + size, size }.bytes(), data].concat()
}

fn access(data: &[u8]) -> Vec<u8> {
    [RegionAccess { offset: 0x10, region: 0, count: 1 }.bytes(), data].concat()
}

#[test]
fn a_device_that_gets_its_data_back_is_what_it_was() {
    for save in [&[STOP, STOP_COPY][..], &[STOP_COPY], &[PRE_COPY, STOP_COPY]] {
        let mut client = Client::new();
        client.carry(save, |_| {});
        assert_eq!(client.scratch_is(7), NOTHING);
        assert_eq!(client.scratch_is(8), [("MIGDATA-14", Violation)]);
    }
}

#[test]
fn questions_leave_the_data_as_they_are() {
    let mut client = Client::new();
    client.carry(&[STOP_COPY], |client| {
        let flags = feature_flags::GET | u32::from(feature_index::MIGRATION);
        let migration = [words(&[16, flags]), 5u64.to_ne_bytes().to_vec()].concat();
        assert_eq!(client.ask("DEVICE_FEATURE", words(&[16, flags]), Ok(migration)), NOTHING);
    });
    assert_eq!(client.scratch_is(8), [("MIGDATA-14", Violation)]);
}

#[test]
fn whatever_else_comes_between_leaves_the_device_open() {
    let mut client = Client::new();
    client.carry(&[STOP_COPY], |client| {
        client.ask("REGION_READ", access(&[]), Ok(access(&[7])));
    });
    assert_eq!(client.scratch_is(8), NOTHING);
    let mut client = Client::new();
    client.carry(&[STOP_COPY], |client| {
        client.ask("MIG_DATA_READ", words(&[24, 16]), Err(Errno::EIO));
    });
    assert_eq!(client.scratch_is(8), NOTHING);
}

#[test]
fn what_was_read_before_a_reset_is_owed_by_nobody() {
    let mut client = Client::new();
    client.save(&[STOP_COPY], |_| {});
    assert_eq!(client.ask("DEVICE_RESET", vec![], Ok(vec![])), NOTHING);
    client.restore();
    assert_eq!(client.scratch_is(8), NOTHING);
}

#[test]
fn a_read_that_gets_less_than_it_asked_for_was_the_last() {
    let mut client = Client::new();
    client.set(&[STOP, STOP_COPY]);
    assert_eq!(client.reads(&[1; 16]), NOTHING);
    assert_eq!(client.reads(&[1; 15]), NOTHING);
    assert_eq!(client.reads(&[]), NOTHING);
    assert_eq!(client.reads(&[1]), [("MIGDATA-04", Violation)]);
    // A device that runs may have more later.
    let mut client = Client::new();
    client.set(&[PRE_COPY]);
    assert_eq!(client.reads(&[]), NOTHING);
    assert_eq!(client.reads(&[1]), NOTHING);
}

#[test]
fn data_are_read_where_they_are_saved() {
    let mut client = Client::new();
    assert_eq!(client.reads(&[]), [("MIGDATA-01", Note)]);
    assert_eq!(client.ask("MIG_DATA_READ", words(&[24, 16]), Err(Errno::EINVAL)), NOTHING);
    assert!(client.reads(&[1]).contains(&("MIGDATA-01", Violation)));
    client.set(&[STOP, STOP_COPY]);
    assert_eq!(client.ask("MIG_DATA_READ", words(&[24, 16]), Err(Errno::EINVAL)), [("MIGDATA-19", Violation)]);
    assert_eq!(client.ask("MIG_DATA_READ", words(&[23, 16]), Err(Errno::EINVAL)), NOTHING);
    assert_eq!(client.ask("MIG_DATA_READ", words(&[8, 0]), Err(Errno::EINVAL)), NOTHING);
    // The head alone is of a reply that has no room for more, which this one has.
    let head = words(&[24, 16]);
    assert!(client.ask("MIG_DATA_READ", head.clone(), Ok(head)).contains(&("MIGDATA-03", Violation)));
    assert_eq!(client.ask("MIG_DATA_READ", words(&[23, 16]), Ok(words(&[24, 16]))), NOTHING);
}

#[test]
fn what_is_restored_changes_scratch_bytes() {
    let written = |answer: Result<Vec<u8>, Errno>| {
        let mut client = Client::unasked();
        client.scratch(7);
        client.ask("MIG_DATA_WRITE", portion(&[1]), answer);
        client.scratch_is(8)
    };
    // Nobody has asked for its state.
    assert_eq!(written(Ok(vec![])), NOTHING);
    assert_eq!(written(Err(Errno::EINVAL)), [("RWRITE-02", Violation)]);
}

#[test]
fn no_more_is_written_than_came() {
    let mut client = Client::new();
    client.set(&[STOP, RESUMING]);
    assert_eq!(client.ask("MIG_DATA_WRITE", words(&[12, 4]), Ok(vec![])), [("MIGDATA-12", Violation)]);
    assert_eq!(client.ask("MIG_DATA_WRITE", words(&[12, 4]), Err(Errno::EINVAL)), NOTHING);
    let mut client = Client::new();
    assert_eq!(client.ask("MIG_DATA_WRITE", portion(&[1]), Ok(vec![])), [("MIGDATA-02", Note)]);
    assert_eq!(client.ask("MIG_DATA_WRITE", portion(&[1]), Err(Errno::EINVAL)), NOTHING);
}
