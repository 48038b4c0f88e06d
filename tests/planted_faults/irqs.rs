//! What faults of interrupts have in common: what a DEVICE_SET_IRQS says, and which descriptor each interrupt has.

use std::collections::BTreeMap;
use std::os::fd::OwnedFd;
use std::sync::Arc;

use vfio_user_reference_server::{Effect, Errno, IrqEvent, Machine};
use vfio_user_wire::message::IrqSet;
use vfio_user_wire::{Frame, V0_9_2, irq};

use crate::dma::failed;
use crate::wrapper::{Answer, Faulty, Step, answers, around, commands, is, put};

pub(crate) use vfio_user_wire::irq_set_flags::{
    ACTION_MASK as MASK, ACTION_TRIGGER as TRIGGER, ACTION_UNMASK as UNMASK, DATA_BOOL as BOOL,
    DATA_EVENTFD as EVENTFD, DATA_NONE as NONE,
};

/// Every DATA flag, and every ACTION flag.
pub(crate) const DATA: u32 = NONE | BOOL | EVENTFD;
pub(crate) const ACTIONS: u32 = MASK | UNMASK | TRIGGER;
/// How many interrupts each type has.
pub(crate) const COUNTS: [u32; 5] = [1, 4, 32, 1, 1];

/// What a DEVICE_SET_IRQS says.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Set {
    pub(crate) flags: u32,
    pub(crate) index: u32,
    pub(crate) start: u32,
    pub(crate) count: u32,
}

impl Set {
    /// `None` where the message is another one, or too short.
    pub(crate) fn of(frame: &Frame) -> Option<Set> {
        let (set, _) = IrqSet::parse(&frame.payload).filter(|_| is(frame, "DEVICE_SET_IRQS"))?;
        Some(Set { flags: set.flags, index: set.index, start: set.start, count: set.count })
    }

    /// How many interrupts its type has.
    pub(crate) fn there(&self) -> u32 {
        COUNTS.get(self.index as usize).copied().unwrap_or(0)
    }

    /// All of its range is there.
    pub(crate) fn fits(&self) -> bool {
        self.start.checked_add(self.count).is_some_and(|end| end <= self.there())
    }

    /// Its type is there, and not all of its range.
    pub(crate) fn outside(&self) -> bool {
        self.there() > 0 && !self.fits()
    }

    /// Its type can be masked.
    pub(crate) fn maskable(&self) -> bool {
        matches!(self.index, irq::INTX | irq::MSIX)
    }

    /// The part of its range that is there.
    pub(crate) fn vectors(&self) -> std::ops::Range<u32> {
        self.start..self.start.saturating_add(self.count).min(self.there())
    }

    pub(crate) fn assigns(&self) -> bool {
        self.flags == EVENTFD | TRIGGER && self.count > 0
    }

    pub(crate) fn triggers(&self) -> bool {
        self.flags == NONE | TRIGGER && self.count > 0
    }

    pub(crate) fn disables(&self) -> bool {
        self.flags == NONE | TRIGGER && self.start == 0 && self.count == 0
    }

    /// Puts it into the message.
    pub(crate) fn write(&self, frame: &mut Frame) {
        let fields = [("flags", self.flags), ("index", self.index), ("start", self.start), ("count", self.count)];
        fields.iter().for_each(|(name, value)| put(frame, name, u64::from(*value)));
    }

    fn payload(&self) -> Vec<u8> {
        let Set { flags, index, start, count } = *self;
        let mut payload = IrqSet { argsz: 20, flags, index, start, count }.bytes().to_vec();
        if flags & BOOL != 0 {
            payload.resize(20 + count as usize, 1);
        }
        payload
    }
}

impl Step<'_> {
    /// Lets the server carry out a DEVICE_SET_IRQS that no client sent; what it signals is signalled.
    pub(crate) fn set_irqs(&mut self, set: Set, fds: Vec<OwnedFd>) {
        let number = V0_9_2.command("DEVICE_SET_IRQS").unwrap().0;
        let mut done = Vec::new();
        self.server.receive(Frame::command(0, number, set.payload()), fds, self.memory, &mut done);
        self.effects.extend(done.into_iter().filter(|effect| matches!(effect, Effect::Signal { .. })));
    }

    /// The same, one interrupt after the other: a range that is not all there is carried out as far as it is.
    pub(crate) fn set_each(&mut self, set: Set) {
        for start in set.vectors() {
            self.set_irqs(Set { start, count: 1, ..set }, Vec::new());
        }
    }

    /// Success, whatever the server would say, and nothing done by it.
    pub(crate) fn succeed(self) {
        self.answer(Answer::Ok(Vec::new()));
    }
}

/// The descriptor of each interrupt.
#[derive(Default)]
pub(crate) struct Lines {
    pub(crate) bound: BTreeMap<(u32, u32), Arc<OwnedFd>>,
}

impl Lines {
    /// One of the range has a descriptor.
    pub(crate) fn any(&self, set: &Set) -> bool {
        set.vectors().any(|vector| self.bound.contains_key(&(set.index, vector)))
    }

    /// One of the type has a descriptor.
    pub(crate) fn any_of(&self, index: u32) -> bool {
        self.bound.keys().any(|(other, _)| *other == index)
    }

    /// Signals what the interrupt has.
    pub(crate) fn signal(&self, index: u32, vector: u32) -> Option<Effect> {
        let fd = Arc::clone(self.bound.get(&(index, vector))?);
        Some(Effect::Signal { index, vector, event: IrqEvent::Trigger, fd })
    }

    fn learn(&mut self, set: &Set, fds: Vec<OwnedFd>) {
        if set.disables() {
            self.bound.retain(|(index, _), _| *index != set.index);
        } else if set.assigns() {
            let mut fds = fds.into_iter();
            for vector in set.vectors() {
                match fds.next() {
                    Some(fd) => drop(self.bound.insert((set.index, vector), Arc::new(fd))),
                    None => drop(self.bound.remove(&(set.index, vector))),
                }
            }
        }
    }
}

/// Every message goes through `receive`, with the descriptors that were assigned before it.
pub(crate) fn with_lines(mut receive: impl FnMut(Step<'_>, &Lines) + 'static) -> Faulty {
    let mut lines = Lines::default();
    around(move |Step { channel, server, frame, fds, memory, effects }| {
        let set = Set::of(&frame);
        if is(&frame, "VERSION") {
            lines = Lines::default();
        }
        let copies = copies(&fds);
        let mut done = Vec::new();
        receive(Step { channel, server, frame, fds, memory, effects: &mut done }, &lines);
        if let Some(set) = set.filter(|_| !failed(&done)) {
            lines.learn(&set, copies);
        }
        effects.append(&mut done);
    })
}

pub(crate) fn copies(fds: &[OwnedFd]) -> Vec<OwnedFd> {
    fds.iter().map(|fd| fd.try_clone().unwrap()).collect()
}

/// Descriptors that such a message lets go, which came with so many, stay open.
pub(crate) fn keeps(which: fn(&Set, usize) -> bool) -> Faulty {
    let mut kept = Vec::new();
    with_lines(move |step, lines| {
        if let Some(set) = Set::of(&step.frame).filter(|set| which(set, step.fds.len())) {
            let gone = |(index, vector): &(u32, u32)| {
                *index == set.index && (set.count == 0 || set.vectors().contains(vector))
            };
            kept.extend(lines.bound.iter().filter(|(at, _)| gone(at)).map(|(_, fd)| Arc::clone(fd)));
        }
        step.pass();
    })
}

/// Every DEVICE_SET_IRQS goes through `receive`.
pub(crate) fn sets(mut receive: impl FnMut(Step<'_>, Set) + 'static) -> Faulty {
    around(move |step| match Set::of(&step.frame) {
        Some(set) => receive(step, set),
        None => step.pass(),
    })
}

/// What such messages say is changed before the server sees them.
pub(crate) fn taken_as(which: fn(&Set) -> bool, change: fn(Set) -> Set) -> Faulty {
    commands(move |frame, _| {
        if let Some(set) = Set::of(frame).filter(which) {
            change(set).write(frame);
        }
    })
}

/// Such messages are answered with success, and nothing is done.
pub(crate) fn nothing_done(which: fn(&Set) -> bool) -> Faulty {
    answers(move |command| Set::of(command).filter(which).map(|_| Answer::Ok(Vec::new())))
}

/// Such messages are refused.
pub(crate) fn refused(which: fn(&Set) -> bool) -> Faulty {
    answers(move |command| Set::of(command).filter(which).map(|_| Answer::Error(Errno::EINVAL)))
}

/// Such messages crash the server.
pub(crate) fn crashes(which: fn(&Set) -> bool) -> Faulty {
    answers(move |command| {
        assert!(!Set::of(command).as_ref().is_some_and(which), "index out of bounds");
        None
    })
}
