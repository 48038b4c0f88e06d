//! The registers of the migration region of 0.9.1.

use vfio_user_wire::legacy::MigrationInfo;

use crate::case::Bytes;

use super::draw::{Draft, Edge};
use super::message::{Message, integer};
use super::weights;

/// An access to the registers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) enum Register {
    /// To a state that there is.
    State,
    /// To a value that is none.
    NoState,
    /// Which state it is in.
    Ask,
    /// How much there is still to come.
    Pending,
    /// Where the data is, which puts it there.
    Offset,
    /// How much of it there is.
    Size,
    /// What can only be read is written.
    WriteReadOnly,
    /// Bytes that stand for nothing.
    Reserved,
    /// A register in another width than its own, or not at its start.
    Width,
}

impl Draft<'_> {
    /// An access to the registers of the migration region.
    pub(super) fn migration_register(&mut self, region: u32) -> Message {
        let access = self.dice.row(weights::REGISTER).unwrap_or(Register::Ask);
        // A device that gives its data is asked for them.
        let access = if self.shadow.saving && self.dice.chance(50) {
            self.dice.one([Register::Pending, Register::Pending, Register::Offset, Register::Size])
        } else {
            access
        };
        self.edges.push(Edge::Register(access));
        let read = |field: &str| {
            let field = MigrationInfo::LAYOUT.field(field);
            let (offset, width) = field.map_or((0, 4), |field| (field.offset as u64, field.width as u64));
            reading(region, offset, width)
        };
        match access {
            Register::State => {
                let state = self.dice.one([0, 1, 1, 1, 2, 3, 3, 4]);
                self.shadow.halted |= state & 1 == 0;
                self.shadow.saving = state & 2 != 0;
                writing(region, 0, Bytes::Integer(4, integer(state)))
            }
            Register::NoState => {
                self.shadow.halted = true;
                let value = self.dice.one([5, 6, 7, 8, 9, 33, 0xff, 0xffff_ffff]);
                writing(region, 0, Bytes::Integer(4, integer(value)))
            }
            Register::Ask => read("device_state"),
            Register::Pending => read("pending_bytes"),
            Register::Offset => read("data_offset"),
            Register::Size => read("data_size"),
            Register::WriteReadOnly => {
                let offset = self.dice.one([8, 16]);
                writing(region, offset, Bytes::Integer(8, integer(0x5a5a)))
            }
            Register::Reserved => {
                if self.dice.chance(50) {
                    reading(region, 4, 4)
                } else {
                    writing(region, 4, Bytes::Integer(4, integer(0x5a5a)))
                }
            }
            Register::Width => {
                let (offset, count) = self.dice.one([(0, 1), (0, 2), (0, 8), (1, 4), (8, 4), (9, 8), (28, 8)]);
                reading(region, offset, count)
            }
        }
    }
}

fn reading(region: u32, offset: u64, count: u64) -> Message {
    let message = Message::command("register", "REGION_READ").integer("region", u64::from(region));
    message.integer("offset", offset).integer("count", count)
}

fn writing(region: u32, offset: u64, bytes: Bytes) -> Message {
    let message = Message::command("register", "REGION_WRITE").integer("region", u64::from(region));
    message.integer("offset", offset).data(bytes)
}
