//! The states of migration, and the data that are read and written in them.

use super::draw::{Draft, Edge};
use super::message::Message;
use super::weights;

/// What is done about the device's migration.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) enum Migrate {
    /// To a state that one step leads to.
    Step,
    /// To a state that some way leads to.
    Way,
    /// To a state that no way leads to.
    NoWay,
    /// Which state it is in.
    Ask,
    /// Data.
    Read,
    /// No data.
    ReadNothing,
    /// An argsz below what the data take.
    ReadArgsz,
    /// More than any message may carry.
    ReadLarge,
    /// Bytes that may be no data.
    Write,
    /// A size above or below that of the data.
    WriteSize,
}

/// States by their names; the device is probably in one of them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) enum DeviceState {
    #[default]
    Running,
    Stop,
    StopCopy,
    PreCopy,
    Resuming,
}

use DeviceState::{PreCopy, Resuming, Running, Stop, StopCopy};

impl DeviceState {
    fn word(self) -> &'static str {
        match self {
            Running => "running",
            Stop => "stop",
            StopCopy => "stop_copy",
            PreCopy => "pre_copy",
            Resuming => "resuming",
        }
    }

    /// Where one step leads.
    fn steps(self) -> &'static [DeviceState] {
        match self {
            Running => &[Stop, PreCopy],
            Stop => &[Running, StopCopy, Resuming],
            StopCopy | Resuming => &[Stop],
            PreCopy => &[Running, StopCopy],
        }
    }
}

impl Draft<'_> {
    /// A command about migration.
    pub(super) fn migrate(&mut self) -> Message {
        let drawn = self.dice.row(weights::MIGRATE).unwrap_or(Migrate::Ask);
        // What a device becomes that is given any bytes is nothing to try out on one that is of use.
        let drawn = match drawn {
            Migrate::Write | Migrate::WriteSize if !self.offer.device_file => Migrate::Read,
            drawn => drawn,
        };
        self.needs.insert("migration");
        self.edges.push(Edge::Migrate(drawn));
        let state = self.shadow.state;
        match drawn {
            Migrate::Step => self.go(state.steps()),
            Migrate::Way => self.go(&[Running, Stop, StopCopy, PreCopy, Resuming]),
            Migrate::NoWay => {
                let number = self.dice.one([0, 5, 7, 8, 0xffff_ffff]);
                set_state().integer("device_state", number)
            }
            Migrate::Ask => Message::command("state", "DEVICE_FEATURE").words("flags", "get|mig_device_state"),
            Migrate::Read => {
                let size = self.dice.one([1, 7, 64, 4096, 65536]);
                read().integer("size", size)
            }
            Migrate::ReadNothing => read().integer("size", 0),
            Migrate::ReadArgsz => {
                let argsz = self.dice.one([0, 7, 8, 9, 71]);
                read().integer("size", 64).integer("argsz", argsz)
            }
            Migrate::ReadLarge => {
                let above = self.offer.limits.max_data_xfer_size.saturating_add(1).min(0xffff_0000);
                let size = self.dice.one([above, 0x8000_0000, 0xffff_fff0]);
                read().hex("size", size)
            }
            Migrate::Write => {
                let length = self.dice.one([1, 16, 64]);
                let bytes = self.bytes(length);
                write().data(bytes)
            }
            Migrate::WriteSize => {
                let size = self.dice.one([0, 1, 65, 0x1_0000, 0xffff_ffff]);
                let length = self.dice.one([1, 16, 64]);
                let bytes = self.bytes(length);
                write().data(bytes).hex("size", size)
            }
        }
    }

    fn go(&mut self, states: &[DeviceState]) -> Message {
        let (offer, file) = (self.offer, self.offer.device_file);
        let open = |state: &&DeviceState| (**state != PreCopy || offer.pre_copy) && (**state != Resuming || file);
        let open: Vec<DeviceState> = states.iter().filter(open).copied().collect();
        let to = self.dice.pick(&open).unwrap_or(Running);
        self.shadow.state = to;
        // Nobody knows whether it runs again once it is told to.
        self.shadow.halted |= !matches!(to, Running | PreCopy);
        set_state().words("device_state", to.word())
    }
}

fn set_state() -> Message {
    Message::command("state", "DEVICE_FEATURE").words("flags", "set|mig_device_state")
}

fn read() -> Message {
    Message::command("data", "MIG_DATA_READ")
}

fn write() -> Message {
    Message::command("data", "MIG_DATA_WRITE")
}
