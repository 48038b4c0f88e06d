//! Migration data from command to command: how they are read, and what the device is that gets them back.

use std::sync::Arc;

use nix::errno::Errno;
use vfio_user_wire::device_state::{PRE_COPY, RESUMING, RUNNING, STOP, STOP_COPY};
use vfio_user_wire::message::{DeviceInfo, MigrationData, RegionAccess};
use vfio_user_wire::{NO_REPLY, V0_9_2, feature_flags, feature_index};

use super::samples::{Said, command, exchange, judged};
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
        assert_eq!(client.is(RUNNING), NOTHING);
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

    fn sets(&mut self, state: u32, answer: Result<(), Errno>) -> Said {
        let flags = feature_flags::SET | u32::from(feature_index::MIG_DEVICE_STATE);
        let payload = words(&[16, flags, state, 0]);
        self.ask("DEVICE_FEATURE", payload.clone(), answer.map(|()| payload))
    }

    /// Its state is asked for, and is this.
    fn is(&mut self, state: u32) -> Said {
        let flags = feature_flags::GET | u32::from(feature_index::MIG_DEVICE_STATE);
        self.ask("DEVICE_FEATURE", words(&[16, flags]), Ok(words(&[16, flags, state, 0])))
    }

    fn set(&mut self, states: &[u32]) {
        for state in states {
            assert_eq!(self.sets(*state, Ok(())), NOTHING, "{state}");
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
        self.restore(|client| client.writes(&[1; 16]));
    }

    fn save(&mut self, save: &[u32], between: impl FnOnce(&mut Client)) {
        self.scratch(7);
        self.set(save);
        assert_eq!(self.reads(&[1; 16]), NOTHING);
        between(self);
        assert_eq!(self.reads(&[2; 3]), NOTHING);
        self.set(&[STOP, RUNNING]);
    }

    /// Its data are given back, the first of them as told.
    fn restore(&mut self, first: impl FnOnce(&mut Client)) {
        self.scratch(8);
        self.set(&[STOP, RESUMING]);
        first(self);
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
    client.restore(|client| client.writes(&[1; 16]));
    assert_eq!(client.scratch_is(8), NOTHING);
}

/// Saved from PRE_COPY on, with this in the middle of it, and given back: what its scratch bytes are not.
fn pre_copied(between: impl FnOnce(&mut Client)) -> Said {
    let mut client = Client::new();
    client.scratch(7);
    client.set(&[PRE_COPY]);
    assert_eq!(client.reads(&[1; 16]), NOTHING);
    between(&mut client);
    client.set(&[STOP_COPY]);
    assert_eq!(client.reads(&[2; 3]), NOTHING);
    client.set(&[STOP, RUNNING]);
    client.restore(|client| client.writes(&[1; 16]));
    client.scratch_is(8)
}

#[test]
fn what_a_device_does_in_pre_copy_goes_into_its_data() {
    let owed = [("MIGDATA-14", Violation)];
    assert_eq!(pre_copied(|client| drop(client.ask("REGION_READ", access(&[]), Ok(access(&[7]))))), owed);
    assert_eq!(pre_copied(|client| client.scratch(9)), owed);
    assert_eq!(pre_copied(|client| client.scratch(8)), NOTHING);
    // Of what failed, nobody knows what is in the data.
    let error = Err(Errno::EIO);
    assert_eq!(pre_copied(|client| drop(client.ask("MIG_DATA_READ", words(&[24, 16]), error.clone()))), NOTHING);
    assert_eq!(pre_copied(|client| drop(client.ask("DEVICE_RESET", vec![], error.clone()))), NOTHING);
    let stays = |client: &mut Client| {
        assert_eq!(client.sets(STOP_COPY, Err(Errno::EIO)), [("MIGFSM-10", Violation)]);
        assert_eq!(client.is(PRE_COPY), NOTHING);
    };
    assert_eq!(pre_copied(stays), NOTHING);
}

#[test]
fn data_are_restored_as_they_were_saved_or_nothing_is_owed() {
    let restored = |first: &dyn Fn(&mut Client)| {
        let mut client = Client::new();
        client.save(&[STOP_COPY], |_| {});
        client.restore(first);
        client.scratch_is(8)
    };
    let whole = |client: &mut Client| client.writes(&[1; 16]);
    assert_eq!(restored(&whole), [("MIGDATA-14", Violation)]);
    let refused = |client: &mut Client| {
        client.ask("MIG_DATA_WRITE", portion(&[1; 16]), Err(Errno::EIO));
        whole(client);
    };
    let surplus = |client: &mut Client| {
        let data = [words(&[23, 15]), vec![1; 16]].concat();
        client.ask("MIG_DATA_WRITE", data, Ok(vec![]));
    };
    let posted = |client: &mut Client| {
        let info = DeviceInfo { argsz: 16, ..DeviceInfo::default() };
        let mut sent = command(&V0_9_2, client.sent, "DEVICE_GET_INFO", info.bytes().to_vec(), &[]);
        sent.header.flags |= NO_REPLY;
        client.session.sent(client.sent, sent);
        client.sent += 1;
        whole(client);
    };
    let odd: [&dyn Fn(&mut Client); 3] = [&refused, &surplus, &posted];
    for first in odd {
        assert_eq!(restored(first), NOTHING);
    }
}

#[test]
fn a_device_that_got_all_its_data_back_takes_them() {
    let refused = |to, written: &[u8]| {
        let mut client = Client::new();
        client.save(&[STOP_COPY], |_| {});
        client.set(&[STOP, RESUMING]);
        client.writes(&[1; 16]);
        client.writes(written);
        client.sets(to, Err(Errno::EINVAL))
    };
    for to in [STOP, RUNNING] {
        assert_eq!(refused(to, &[2; 3]), [("MIGDATA-14", Violation)]);
        assert_eq!(refused(to, &[2; 2]), NOTHING);
    }
    assert_eq!(refused(STOP_COPY, &[2; 3]), NOTHING);
}

#[test]
fn what_is_loaded_takes_the_place_of_scratch_bytes() {
    let mut client = Client::new();
    client.scratch(7);
    client.set(&[STOP, RESUMING]);
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
fn asking_for_the_state_begins_no_data_anew() {
    let in_stop_copy = || {
        let mut client = Client::new();
        client.set(&[STOP, STOP_COPY]);
        assert_eq!(client.is(STOP_COPY), NOTHING);
        client
    };
    assert_eq!(in_stop_copy().reads(&[1]), NOTHING);
    let mut client = in_stop_copy();
    assert_eq!(client.reads(&[1]), NOTHING);
    assert_eq!(client.is(STOP_COPY), NOTHING);
    assert_eq!(client.reads(&[1]), [("MIGDATA-04", Violation)]);
    // What it is to enter a state once more, no text says (MIGFSM-23).
    client.set(&[STOP_COPY]);
    assert_eq!(client.reads(&[1]), NOTHING);
}

#[test]
fn data_are_read_where_they_are_saved() {
    let mut client = Client::new();
    assert_eq!(client.reads(&[]), [("MIGDATA-01", Note)]);
    assert_eq!(client.ask("MIG_DATA_READ", words(&[24, 16]), Err(Errno::EINVAL)), NOTHING);
    assert!(client.reads(&[1]).contains(&("MIGDATA-01", Violation)));
    // Of a change that failed it is in RUNNING still, or in ERROR.
    client.sets(STOP, Err(Errno::EIO));
    assert!(client.reads(&[1]).contains(&("MIGDATA-01", Violation)));
    client.is(STOP);
    client.set(&[STOP_COPY]);
    assert_eq!(client.ask("MIG_DATA_READ", words(&[24, 16]), Err(Errno::EINVAL)), [("MIGDATA-19", Violation)]);
    assert_eq!(client.ask("MIG_DATA_READ", words(&[23, 16]), Err(Errno::EINVAL)), NOTHING);
    assert_eq!(client.ask("MIG_DATA_READ", words(&[8, 0]), Err(Errno::EINVAL)), NOTHING);
    // It is being saved still, or not.
    client.sets(STOP, Err(Errno::EIO));
    assert_eq!(client.ask("MIG_DATA_READ", words(&[24, 16]), Err(Errno::EINVAL)), NOTHING);
    assert_eq!(client.reads(&[1; 16]), NOTHING);
}

#[test]
fn a_portion_says_how_large_it_is() {
    // What is broken, and where: of a reply with this argsz, size and so many bytes to a request for 16 bytes.
    let said = |room, argsz, size, came| {
        let mut client = Client::new();
        client.set(&[STOP, STOP_COPY]);
        let sent = command(&V0_9_2, 50, "MIG_DATA_READ", words(&[room, 16]), &[]);
        let judged = judged(&mut client.session, 50, sent, Ok([words(&[argsz, size]), vec![1; came]].concat()));
        let broken = judged.into_iter().filter_map(|said| Some((said.requirement, said.broken?.field?.name)));
        broken.map(|(requirement, field)| format!("{requirement} {field}")).collect::<Vec<_>>()
    };
    let right: [&str; 0] = [];
    assert_eq!(said(24, 24, 16, 16), right);
    assert_eq!(said(24, 23, 15, 15), right);
    assert_eq!(said(24, 24, 15, 15), ["MIGDATA-03 argsz"]);
    assert_eq!(said(24, 23, 16, 15), ["MIGDATA-03 size"]);
    assert_eq!(said(32, 25, 17, 17), ["MIGDATA-04 size"]);
    // The head alone is of a reply that has no room for more.
    assert_eq!(said(24, 24, 16, 0), ["MIGDATA-03 size"]);
    assert_eq!(said(23, 24, 16, 0), right);
    assert_eq!(said(23, 8, 16, 0), ["MIGDATA-03 size"]);
    assert_eq!(said(23, 23, 15, 15), right);
    assert_eq!(said(23, 24, 16, 16), ["MIGDATA-07 argsz"]);
    assert_eq!(said(23, 24, 16, 15), ["MIGDATA-03 size"]);
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
