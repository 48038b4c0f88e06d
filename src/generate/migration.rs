//! The states of migration, and the data that are read and written in them.

use crate::case::{Expect, Outcome, Outcomes, Step, StepKind};

use super::device::conforms;
use super::draw::{Answers, Draft, Edge};
use super::message::{Message, argument, integer, spanned, step, word};
use super::regions::{reading, writing};
use super::weights;

/// How many messages a device takes to be carried, besides its data.
const CARRYING: usize = 11;

/// What is done about the device's migration.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) enum Migrate {
    /// To a state that one step leads to.
    Step,
    /// To a state that some way leads to.
    Way,
    /// To the state that it is in.
    Same,
    /// To a state that no way leads to.
    NoWay,
    /// To none of them: it is reset, whatever its state.
    Reset,
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
            Migrate::Same => self.go(&[state]),
            Migrate::Reset => self.reset(),
            Migrate::NoWay => {
                let number = self.dice.one([0, 5, 7, 8, 0xffff_ffff]);
                set_state().integer("device_state", number)
            }
            Migrate::Ask => get_state(),
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

    /// The device is stopped, saved, perhaps set going again and changed, and gets back what it gave: then it is what it was.
    pub(super) fn carry(&mut self) {
        let idle = self.shadow.client.is_none() && !self.shadow.muted && !self.shadow.busy;
        if !idle || !self.offer.device_file || self.sent + CARRYING > self.goal {
            return;
        }
        self.needs.insert("migration");
        self.edges.push(Edge::Carry);
        let written = self.scratch_write();
        let runs = self.go(&[Running]);
        self.send(vec![runs], Answers::InOrder);
        let chunk = |draft: &mut Self| vec![argument("chunk", integer(draft.dice.one([64, 4096, 1 << 20])))];
        let early = self.offer.pre_copy && self.dice.chance(40);
        let begins = self.go(&[if early { PreCopy } else { StopCopy }]);
        let saved = self.label_of(begins);
        let (mut then, mut streams) = (Vec::new(), vec!["stream"]);
        if early {
            streams.insert(0, "early");
            let most = vec![argument("most", integer(self.dice.one([1, 64, 4096])))];
            then.push(step(StepKind::Save(None, word("early"), most)));
            let stops = self.go(&[StopCopy]);
            then.extend(self.surely(stops));
        }
        then.push(step(StepKind::Save(None, word("stream"), chunk(self))));
        if let (Some((region, offset, count)), true) = (written, self.dice.chance(50)) {
            let runs = self.go(&[Running]);
            let bytes = self.bytes(count);
            for message in [runs, reading(region, offset, count), writing(region, offset, bytes)] {
                then.extend(self.surely(message));
            }
        }
        let loads = self.go(&[Resuming]);
        then.extend(self.surely(loads));
        for stream in streams {
            then.push(step(StepKind::Restore(None, word(stream), chunk(self))));
        }
        self.push(step(StepKind::If(word(&saved), then)));
        let ends = self.dice.one([Running, Running, Stop]);
        for state in [ends, Running] {
            let goes = self.go(&[state]);
            self.send(vec![goes], Answers::InOrder);
        }
        if let Some((region, offset, count)) = written {
            self.send(vec![reading(region, offset, count)], Answers::InOrder);
        }
    }

    /// Sends it with a label, by which a block asks for its success.
    fn label_of(&mut self, message: Message) -> String {
        let label = self.shadow.name(message.role, 1);
        self.push(message.step(None, Some(&label), false));
        self.push(conforms(None, Some(&label)));
        self.sent += 1;
        label
    }

    /// In a block, which has no blocks: whoever refuses it has nothing to do with what follows.
    fn surely(&mut self, message: Message) -> [Step; 3] {
        let label = self.shadow.name(message.role, 1);
        let outcomes = Outcomes { conforms: vec![spanned(Outcome::Ok(Vec::new()))], note: Vec::new() };
        let ok = step(StepKind::Expect(Expect::Answer { end: None, label: Some(word(&label)), outcomes }));
        self.sent += 1;
        [message.step(None, Some(&label), false), conforms(None, Some(&label)), ok]
    }

    /// What the state has become is asked for, where something was just done about it.
    pub(super) fn ask_state(&mut self) {
        let changes = [Migrate::Step, Migrate::Way, Migrate::Same, Migrate::NoWay, Migrate::Reset];
        let changed =
            self.edges.last().is_some_and(|edge| changes.iter().any(|change| *edge == Edge::Migrate(*change)));
        if changed && self.dice.chance(weights::STATE_ASKED) {
            self.edges.push(Edge::Migrate(Migrate::Ask));
            self.send(vec![get_state()], Answers::InOrder);
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

fn get_state() -> Message {
    Message::command("state", "DEVICE_FEATURE").words("flags", "get|mig_device_state")
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
