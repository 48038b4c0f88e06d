//! DEVICE_SET_IRQS.

use vfio_user_wire::irq_info_flags;

use crate::case::{Bytes, Descriptor};
use crate::target::Irq;

use super::draw::{Draft, Edge};
use super::message::{Message, integer};
use super::shadow::Watched;
use super::weights;

/// A DEVICE_SET_IRQS.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) enum Irqs {
    /// Descriptors for some vectors.
    Assign,
    /// A descriptor for the last vector.
    AssignLast,
    /// Another descriptor for a vector that has one.
    Replace,
    /// One descriptor for two vectors.
    SameFd,
    /// A vector's descriptor taken back.
    Deassign,
    /// All of an index.
    Disable,
    /// One vector.
    Trigger,
    /// Several.
    TriggerRange,
    /// Those whose byte is not 0.
    TriggerBool,
    Mask,
    Unmask,
    MaskBool,
    UnmaskBool,
    /// A descriptor that unmasks.
    UnmaskEventfd,
    /// A descriptor that masks.
    MaskEventfd,
    /// The vector behind the last one.
    PastEnd,
    /// The last vector and one more.
    OverEnd,
    /// A range over 2^32.
    Wrap,
    /// 2^32 - 1 vectors.
    CountHuge,
    /// No vectors, from the second one on.
    CountZero,
    /// Fewer descriptors than vectors.
    FewFds,
    /// More.
    ManyFds,
    /// A descriptor with what takes none.
    StrayFd,
    /// Fewer bytes than vectors.
    BoolShort,
    /// More.
    BoolLong,
    /// Two kinds of data.
    SeveralData,
    /// No kind of data.
    NoData,
    /// Two actions.
    SeveralActions,
    /// No action.
    NoAction,
    /// Bits without a meaning.
    UnknownFlags,
    /// An index that is not there.
    WrongIndex,
    /// An index without vectors.
    AbsentIndex,
    /// A descriptor that cannot be signalled.
    WrongFd,
    /// An argsz that is wrong.
    Argsz,
}

impl Draft<'_> {
    /// A DEVICE_SET_IRQS.
    pub(super) fn irqs(&mut self) -> Message {
        for _ in 0..8 {
            let Some(irqs) = self.dice.row(weights::IRQS) else { break };
            if let Some(message) = self.irqs_of(irqs) {
                self.edges.push(Edge::Irqs(irqs));
                return message;
            }
        }
        self.query()
    }

    fn irqs_of(&mut self, irqs: Irqs) -> Option<Message> {
        match irqs {
            Irqs::WrongIndex => {
                let index = self.dice.one([self.offer.num_irqs, self.offer.num_irqs.saturating_add(1), u32::MAX]);
                return Some(set(index, 0, 1).words("flags", "none|trigger"));
            }
            Irqs::AbsentIndex => {
                let absent: Vec<u32> =
                    self.offer.irqs.iter().filter(|irq| irq.count == 0).map(|irq| irq.index).collect();
                let index = self.dice.pick(&absent)?;
                return Some(set(index, 0, 1).words("flags", "none|trigger"));
            }
            _ => {}
        }
        let irq = self.irq()?;
        let (index, count) = (irq.index, irq.count);
        let message = match irqs {
            Irqs::Assign => {
                let most = u64::from(count.min(4)).min(self.offer.limits.max_msg_fds);
                let number = self.dice.range(1, most.max(1)) as u32;
                let start = self.dice.range(0, u64::from(count - number)) as u32;
                self.assign(index, start, number)
            }
            Irqs::AssignLast => self.assign(index, count - 1, 1),
            Irqs::Replace => {
                let (index, vector) = self.assigned()?;
                self.assign(index, vector, 1)
            }
            Irqs::SameFd => {
                if count < 2 || self.offer.limits.max_msg_fds < 2 {
                    return None;
                }
                let start = self.dice.range(0, u64::from(count - 2)) as u32;
                let name = self.event();
                self.given(index, start, &[name.clone(), name])
            }
            Irqs::Deassign => {
                let anywhere = self.dice.chance(20);
                let (index, vector) = self.assigned().filter(|_| !anywhere).unwrap_or_else(|| self.vector(&irq));
                self.shadow.vectors.remove(&(index, vector));
                set(index, vector, 1).words("flags", "eventfd|trigger")
            }
            Irqs::Disable => {
                self.shadow.vectors.retain(|(other, _), _| *other != index);
                set(index, 0, 0).words("flags", "none|trigger")
            }
            Irqs::Trigger => {
                let (index, vector) = self.vector(&irq);
                set(index, vector, 1).words("flags", "none|trigger")
            }
            Irqs::TriggerRange => {
                let (start, count) = self.vectors(&irq);
                set(index, start, count).words("flags", "none|trigger")
            }
            Irqs::TriggerBool => self.bools(&irq, "bool|trigger"),
            Irqs::Mask => self.masking(&irq, false),
            Irqs::Unmask => self.masking(&irq, true),
            Irqs::MaskBool => self.bools(&irq, "bool|mask"),
            Irqs::UnmaskBool => self.bools(&irq, "bool|unmask"),
            Irqs::UnmaskEventfd => {
                let name = self.event();
                set(index, 0, 1).words("flags", "eventfd|unmask").fds(&[name])
            }
            Irqs::MaskEventfd => {
                let name = self.event();
                set(index, 0, 1).words("flags", "eventfd|mask").fds(&[name])
            }
            Irqs::PastEnd => self.odd_range(index, count, 1),
            Irqs::OverEnd => self.odd_range(index, count - 1, 2),
            Irqs::Wrap => {
                let (start, count) = self.dice.one([(u32::MAX, 2), (1, u32::MAX), (1 << 31, 1 << 31)]);
                set(index, start, count).words("flags", "none|trigger")
            }
            Irqs::CountHuge => {
                let flags = self.dice.one(["none|trigger", "none|mask", "none|unmask"]);
                set(index, 0, u32::MAX).words("flags", flags)
            }
            Irqs::CountZero => {
                let flags = self.dice.one(["none|trigger", "eventfd|trigger", "none|mask", "bool|trigger"]);
                let start = u32::from(self.dice.chance(50));
                self.shadow.vectors.retain(|(other, _), _| *other != index);
                set(index, start, 0).words("flags", flags)
            }
            Irqs::FewFds => {
                if count < 2 {
                    return None;
                }
                let number = self.dice.range(2, u64::from(count.min(4))) as u32;
                let names: Vec<String> = (1..number).map(|_| self.event()).collect();
                set(index, 0, number).words("flags", "eventfd|trigger").fds(&names)
            }
            Irqs::ManyFds => {
                let number = self.dice.range(1, u64::from(count.min(3))) as u32;
                let names: Vec<String> = (0..=number).map(|_| self.event()).collect();
                set(index, 0, number).words("flags", "eventfd|trigger").fds(&names)
            }
            Irqs::StrayFd => {
                let (index, vector) = self.vector(&irq);
                // What becomes of an eventfd nobody sees.
                let name = if self.dice.chance(50) { self.new_event(true) } else { self.event() };
                let flags = self.dice.one(["none|trigger", "bool|trigger", "none|mask", "none|unmask"]);
                let message = set(index, vector, 1).words("flags", flags).fds(&[name]);
                if flags.starts_with("bool") { message.data(ones(1)) } else { message }
            }
            Irqs::BoolShort => {
                let number = count.min(4);
                let bytes = self.dice.range(0, u64::from(number) - 1);
                let message = set(index, 0, number).words("flags", "bool|trigger");
                if bytes == 0 { message } else { message.data(ones(bytes)) }
            }
            Irqs::BoolLong => {
                let number = count.min(4);
                set(index, 0, number).words("flags", "bool|trigger").data(ones(u64::from(number) + 1))
            }
            Irqs::SeveralData => {
                let flags = self.dice.one(["none|bool|trigger", "none|eventfd|trigger", "none|bool|eventfd|trigger"]);
                set(index, 0, 1).words("flags", flags).data(ones(1))
            }
            Irqs::NoData => {
                let flags = self.dice.one(["trigger", "mask", "unmask"]);
                set(index, 0, 1).words("flags", flags)
            }
            Irqs::SeveralActions => {
                let flags = self.dice.one(["none|mask|trigger", "none|mask|unmask", "none|mask|unmask|trigger"]);
                set(index, 0, 1).words("flags", flags)
            }
            Irqs::NoAction => {
                let flags = self.dice.one(["none", "bool", "eventfd"]);
                set(index, 0, 1).words("flags", flags).data(ones(1))
            }
            Irqs::UnknownFlags => {
                let flags = self.dice.one([0x61, 0x8000_0021, 0, 0xffff_ffff]);
                set(index, 0, 1).hex("flags", flags)
            }
            Irqs::WrongFd => {
                let name = self.wrong_descriptor();
                set(index, 0, 1).words("flags", "eventfd|trigger").fds(&[name])
            }
            Irqs::Argsz => {
                let (index, vector) = self.vector(&irq);
                let argsz = self.dice.one([0, 19, 21, 4096, u32::MAX]);
                set(index, vector, 1).words("flags", "none|trigger").integer("argsz", u64::from(argsz))
            }
            Irqs::WrongIndex | Irqs::AbsentIndex => return None,
        };
        Some(message)
    }

    /// An interrupt type that is there: mostly one with several vectors, which can signal.
    pub(super) fn irq(&mut self) -> Option<Irq> {
        let there: Vec<Irq> = self.offer.irqs.iter().filter(|irq| irq.count > 0).cloned().collect();
        let is = |irq: &&Irq| irq.count > 1 && irq.flags & irq_info_flags::EVENTFD != 0;
        let several: Vec<Irq> = there.iter().filter(is).cloned().collect();
        let several = if several.is_empty() || self.dice.chance(30) { there } else { several };
        self.dice.pick(&several)
    }

    /// A vector that probably has a descriptor.
    fn assigned(&mut self) -> Option<(u32, u32)> {
        let assigned: Vec<(u32, u32)> = self.shadow.vectors.keys().copied().collect();
        self.dice.pick(&assigned)
    }

    /// Mostly the one before, or a vector that has a descriptor, or had one; else any, its type's first and last before
    /// others.
    pub(super) fn vector(&mut self, irq: &Irq) -> (u32, u32) {
        let vector = self.a_vector(irq);
        self.shadow.latest = Some(vector);
        vector
    }

    fn a_vector(&mut self, irq: &Irq) -> (u32, u32) {
        if self.dice.chance(40)
            && let Some(vector) = self.shadow.latest
        {
            return vector;
        }
        if self.dice.chance(75)
            && let Some(vector) = self.assigned()
        {
            return vector;
        }
        let once: Vec<(u32, u32)> = self.shadow.once.iter().copied().collect();
        if self.dice.chance(50)
            && let Some(vector) = self.dice.pick(&once)
        {
            return vector;
        }
        let last = irq.count.saturating_sub(1);
        let any = self.dice.range(0, u64::from(last)) as u32;
        (irq.index, self.dice.one([0, last, any]))
    }

    fn vectors(&mut self, irq: &Irq) -> (u32, u32) {
        let last = u64::from(irq.count.saturating_sub(1));
        let start = self.dice.range(0, last);
        let count = self.dice.range(1, (last - start + 1).min(8));
        if self.dice.chance(40) { (0, irq.count) } else { (start as u32, count as u32) }
    }

    /// Mostly of one vector; what is unmasked was mostly masked.
    fn masking(&mut self, irq: &Irq, unmask: bool) -> Message {
        let (index, start, count) = match self.masked().filter(|_| unmask) {
            Some((index, vector)) => {
                self.shadow.latest = Some((index, vector));
                (index, vector, 1)
            }
            None if self.dice.chance(30) => {
                let (start, count) = self.vectors(irq);
                (irq.index, start, count)
            }
            None => {
                let (index, vector) = self.vector(irq);
                (index, vector, 1)
            }
        };
        // A type may have 2^32 of them.
        for vector in (start..start.saturating_add(count.min(16))).map(|vector| (index, vector)) {
            if unmask {
                self.shadow.masked.remove(&vector);
            } else {
                self.shadow.masked.insert(vector);
            }
        }
        set(index, start, count).words("flags", if unmask { "none|unmask" } else { "none|mask" })
    }

    /// Mostly, where there is one, a vector that is probably masked.
    pub(super) fn masked(&mut self) -> Option<(u32, u32)> {
        let masked: Vec<(u32, u32)> = self.shadow.masked.iter().copied().collect();
        if masked.is_empty() || self.dice.chance(40) { None } else { self.dice.pick(&masked) }
    }

    fn bools(&mut self, irq: &Irq, flags: &str) -> Message {
        let (start, count) = self.vectors(irq);
        let count = count.min(16);
        let bytes = (0..count).map(|_| self.dice.one([0, 1, 1, 0xff])).collect();
        set(irq.index, start, count).words("flags", flags).data(Bytes::Hex(bytes))
    }

    /// A range that is not all there.
    fn odd_range(&mut self, index: u32, start: u32, count: u32) -> Message {
        match self.dice.range(0, 3) {
            0 => {
                let name = self.event();
                let names = vec![name; count as usize];
                set(index, start, count).words("flags", "eventfd|trigger").fds(&names)
            }
            1 => set(index, start, count).words("flags", "bool|trigger").data(ones(u64::from(count))),
            2 => set(index, start, count).words("flags", "none|mask"),
            _ => set(index, start, count).words("flags", "none|trigger"),
        }
    }

    fn assign(&mut self, index: u32, start: u32, count: u32) -> Message {
        let names: Vec<String> = (0..count).map(|_| self.event()).collect();
        self.given(index, start, &names)
    }

    fn given(&mut self, index: u32, start: u32, names: &[String]) -> Message {
        for (vector, name) in (0..).zip(names) {
            self.shadow.vectors.insert((index, start.saturating_add(vector)), name.clone());
            self.shadow.once.insert((index, start.saturating_add(vector)));
        }
        set(index, start, names.len() as u32).words("flags", "eventfd|trigger").fds(names)
    }

    /// A descriptor that can be signalled: a new one, or one that was given before.
    fn event(&mut self) -> String {
        let usable = |watched: &&Watched| !watched.spent && !watched.socket;
        let known: Vec<String> =
            self.shadow.watched.iter().filter(usable).map(|watched| watched.name.clone()).collect();
        let reuse = if known.len() > 7 { 90 } else { 15 };
        if self.dice.chance(reuse)
            && let Some(name) = self.dice.pick(&known)
        {
            return name;
        }
        let socket = self.dice.chance(if self.offer.sockets { 30 } else { 3 });
        self.new_event(socket)
    }

    fn new_event(&mut self, socket: bool) -> String {
        let name = self.shadow.name("irq", 0);
        self.make(&name, if socket { Descriptor::Socketpair } else { Descriptor::Eventfd(None) });
        self.shadow.watched.push(Watched { name: name.clone(), socket, given: true, spent: false });
        name
    }
}

fn set(index: u32, start: u32, count: u32) -> Message {
    Message::command("irqs", "DEVICE_SET_IRQS")
        .integer("index", u64::from(index))
        .integer("start", u64::from(start))
        .integer("count", u64::from(count))
}

/// So many bytes of 1.
fn ones(count: u64) -> Bytes {
    Bytes::Fill(integer(1), integer(count))
}
