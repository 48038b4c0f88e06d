//! DEVICE_FEATURE by itself: what can be asked of any feature, and what of none.

use crate::case::Bytes;

use super::draw::{Draft, Edge};
use super::message::Message;
use super::weights;

/// A request about features that changes nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) enum Feature {
    /// What migration the device supports.
    Migration,
    /// The same with an argsz around what the reply takes.
    MigrationArgsz,
    /// The state of migration.
    State,
    /// PROBE of what some device has.
    Probe,
    /// The same with an argsz around what the reply takes.
    ProbeArgsz,
    /// The same with data, which are not used.
    ProbeData,
    /// PROBE of what no device has.
    ProbeLacking,
    /// An index that no feature has.
    Unknown,
    /// Neither GET nor SET nor PROBE.
    Nothing,
    /// GET and SET.
    Both,
    /// Bits that mean nothing.
    Bits,
    /// SET of MIGRATION.
    Set,
    /// Less than the fixed part, or SET without all of its data.
    Short,
}

const GET: u64 = 0x1_0000;
const SET: u64 = 0x2_0000;
const PROBE: u64 = 0x4_0000;
const MIGRATION: u64 = 1;
const STATE: u64 = 2;

impl Draft<'_> {
    /// A request about features.
    pub(super) fn feature(&mut self) -> Message {
        let feature = self.dice.row(weights::FEATURE).unwrap_or(Feature::Migration);
        self.edges.push(Edge::Feature(feature));
        match feature {
            Feature::Migration => asks(GET | MIGRATION).integer("argsz", 16),
            Feature::MigrationArgsz => {
                let argsz = self.dice.one([0, 7, 8, 9, 15, 17, 24, 4096, 0xffff_ffff]);
                asks(GET | MIGRATION).integer("argsz", argsz)
            }
            Feature::State => asks(GET | STATE).integer("argsz", 16),
            Feature::Probe => {
                let flags = self.probed();
                asks(flags).integer("argsz", 8)
            }
            Feature::ProbeArgsz => {
                let flags = self.probed();
                let argsz = self.dice.one([0, 4, 7, 9, 16, 0xffff_ffff]);
                asks(flags).integer("argsz", argsz)
            }
            Feature::ProbeData => {
                let flags = self.probed();
                asks(flags).integer("argsz", 16).data(Bytes::Hex(vec![1, 0, 0, 0, 0, 0, 0, 0]))
            }
            Feature::ProbeLacking => {
                let flags = self.dice.one([SET | 1, GET | SET | 1, GET | 6, GET | 7, SET | 8, GET | SET | 8]);
                asks(PROBE | flags).integer("argsz", 8)
            }
            Feature::Unknown => {
                let operation = self.dice.one([GET, PROBE, PROBE | GET]);
                let index = self.dice.one([0, 3, 4, 5, 9, 10, 0x100, 0xffff]);
                asks(operation | index).integer("argsz", 64)
            }
            Feature::Nothing => {
                let index = self.dice.one([0, MIGRATION, STATE, 8]);
                asks(index).integer("argsz", 16)
            }
            // The state that is set, where it is, is the one that most devices are in.
            Feature::Both => {
                asks(GET | SET | STATE).integer("argsz", 16).data(Bytes::Hex(vec![2, 0, 0, 0, 0, 0, 0, 0]))
            }
            Feature::Bits => {
                let bit = self.dice.range(19, 31);
                let flags = self.dice.one([GET | MIGRATION, GET | STATE, PROBE | STATE]);
                asks(flags | 1 << bit).integer("argsz", 16)
            }
            Feature::Set => asks(SET | MIGRATION).integer("argsz", 16).data(Bytes::Hex(vec![1, 0, 0, 0, 0, 0, 0, 0])),
            Feature::Short => {
                let (flags, length) =
                    self.dice.one([(GET | MIGRATION, 4), (GET | STATE, 7), (SET | STATE, 8), (SET | STATE, 11)]);
                asks(flags).integer("argsz", 16).integer("payload", length)
            }
        }
    }

    /// PROBE of a feature that some device has, with some of its methods.
    fn probed(&mut self) -> u64 {
        let flags =
            [MIGRATION, GET | MIGRATION, STATE, GET | STATE, SET | STATE, GET | SET | STATE, SET | 6, 7, GET | 8];
        PROBE | self.dice.one(flags)
    }
}

fn asks(flags: u64) -> Message {
    Message::command("feature", "DEVICE_FEATURE").hex("flags", flags)
}
