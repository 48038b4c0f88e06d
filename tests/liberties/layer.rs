//! Layers around a machine, each of which takes one liberty. A layer stands around any machine, so that several can be
//! taken by one server.

use std::cell::Cell;
use std::os::fd::OwnedFd;

use vfio_user_reference_server::{Channel, Effect, Errno, Machine, Memory};
use vfio_user_wire::{Frame, HEADER_SIZE, Header};

use crate::wrapper::{Twist, Twisted, send};

/// A machine, with whatever layers there are around it.
pub(crate) type Served = Box<dyn Machine>;

thread_local! {
    static TAKEN: Cell<u64> = const { Cell::new(0) };
}

/// How often servers that were called by this thread took a liberty since this was asked last.
pub(crate) fn times_taken() -> u64 {
    TAKEN.take()
}

/// A liberty was taken.
pub(crate) fn taken() {
    TAKEN.set(TAKEN.get() + 1);
}

/// A message that arrived at a layer.
pub(crate) struct Message<'a> {
    /// Where.
    pub(crate) channel: Channel,
    /// The machine that would have got it.
    pub(crate) served: &'a mut dyn Machine,
    /// The message.
    pub(crate) frame: Frame,
    /// What came with it.
    pub(crate) fds: Vec<OwnedFd>,
    pub(crate) memory: &'a mut dyn Memory,
    /// What will be done, in this order.
    pub(crate) effects: &'a mut Vec<Effect>,
}

impl Message<'_> {
    /// Lets the machine deal with it.
    pub(crate) fn pass(self) {
        match self.channel {
            Channel::Main => self.served.receive(self.frame, self.fds, self.memory, self.effects),
            Channel::Twin => self.served.receive_on_twin(self.frame, self.memory, self.effects),
        }
    }

    /// The same, with a change to what it does.
    pub(crate) fn pass_and(self, change: impl FnOnce(&mut Vec<Effect>)) {
        let mut done = Vec::new();
        let Message { channel, served, frame, fds, memory, effects } = self;
        Message { channel, served, frame, fds, memory, effects: &mut done }.pass();
        change(&mut done);
        effects.append(&mut done);
    }

    /// Lets the machine deal with a command, and has it answered, whether the client wants to hear of it or not: tells `then`
    /// whether it succeeded, and what else was done.
    pub(crate) fn pass_and_learn(mut self, then: impl FnOnce(bool, &mut Vec<Effect>)) {
        let no_reply = self.is_command() && self.frame.header.no_reply();
        if no_reply {
            self.frame.header.flags &= !vfio_user_wire::NO_REPLY;
        }
        self.pass_and(|effects| {
            let is_answer = |effect: &Effect| matches!(effect, Effect::Send { frame, .. } if frame.header.is_reply());
            let failed = |effect: &Effect| matches!(effect, Effect::Send { frame, .. } if frame.header.is_reply() && frame.header.is_error());
            let succeeded = effects.iter().any(is_answer) && !effects.iter().any(failed);
            if no_reply {
                effects.retain(|effect| !is_answer(effect));
            }
            then(succeeded, effects);
        });
    }

    /// It is a command of the client's.
    pub(crate) fn is_command(&self) -> bool {
        self.channel == Channel::Main && self.frame.header.message_type() == 0
    }

    /// Refuses it in the machine's place.
    pub(crate) fn refuse(self, errno: Errno) {
        taken();
        if !self.frame.header.no_reply() {
            self.effects.push(send(Frame::error(&self.frame.header, errno as u32)));
        }
    }

    /// Answers it in the machine's place.
    pub(crate) fn answer(self, payload: Vec<u8>) {
        taken();
        if !self.frame.header.no_reply() {
            self.effects.push(send(Frame::reply(&self.frame.header, payload)));
        }
    }

    /// Closes the connection in place of an answer.
    pub(crate) fn close(self) {
        taken();
        self.effects.push(Effect::Close);
    }
}

struct Layer<M, F> {
    served: Served,
    make: M,
    receive: F,
}

impl<M: FnMut() -> F, F: FnMut(Message<'_>)> Machine for Layer<M, F> {
    fn connect(&mut self) {
        self.receive = (self.make)();
        self.served.connect();
    }

    fn receive(&mut self, frame: Frame, fds: Vec<OwnedFd>, memory: &mut dyn Memory, effects: &mut Vec<Effect>) {
        let served = self.served.as_mut();
        (self.receive)(Message { channel: Channel::Main, served, frame, fds, memory, effects });
    }

    fn receive_on_twin(&mut self, frame: Frame, memory: &mut dyn Memory, effects: &mut Vec<Effect>) {
        let (served, fds) = (self.served.as_mut(), Vec::new());
        (self.receive)(Message { channel: Channel::Twin, served, frame, fds, memory, effects });
    }

    fn refuse(&mut self, header: &Header, effects: &mut Vec<Effect>) {
        self.served.refuse(header, effects);
    }

    fn twin_ended(&mut self) {
        self.served.twin_ended();
    }

    fn disconnect(&mut self, memory: &mut dyn Memory) {
        self.served.disconnect(memory);
        self.receive = (self.make)();
    }
}

/// Every message of a client goes through what `make` makes for that client.
pub(crate) fn around_each<F: FnMut(Message<'_>) + 'static>(
    served: Served,
    mut make: impl FnMut() -> F + 'static,
) -> Served {
    let receive = make();
    Box::new(Layer { served, make, receive })
}

/// Every message goes through `receive`, whose state is that of the device.
pub(crate) fn around(served: Served, receive: impl FnMut(Message<'_>) + 'static) -> Served {
    let receive = std::rc::Rc::new(std::cell::RefCell::new(receive));
    around_each(served, move || {
        let receive = std::rc::Rc::clone(&receive);
        move |message: Message<'_>| (receive.borrow_mut())(message)
    })
}

/// Changes what the machine does at a message, in any way.
pub(crate) fn effects(served: Served, mut change: impl FnMut(&Frame, &mut Vec<Effect>) + 'static) -> Served {
    around(served, move |message| {
        let command = message.frame.clone();
        message.pass_and(|effects| change(&command, effects));
    })
}

/// Changes replies, given the command that they answer; their size stays true.
pub(crate) fn replies(served: Served, mut change: impl FnMut(&Frame, &mut Frame) + 'static) -> Served {
    effects(served, move |command, effects| {
        for effect in effects {
            let Effect::Send { frame, .. } = effect else { continue };
            if frame.header.is_reply() {
                let before = frame.bytes();
                change(command, frame);
                frame.header.size = (HEADER_SIZE + frame.payload.len()) as u32;
                if frame.bytes() != before {
                    taken();
                }
            }
        }
    })
}

/// Changes the successful replies to one command.
pub(crate) fn replies_to(
    served: Served,
    name: &'static str,
    mut change: impl FnMut(&Frame, &mut Frame) + 'static,
) -> Served {
    replies(served, move |command, reply| {
        if crate::wrapper::is(command, name) && !reply.header.is_error() {
            change(command, reply);
        }
    })
}

/// Changes error replies.
pub(crate) fn error_replies(served: Served, mut change: impl FnMut(&Frame, &mut Frame) + 'static) -> Served {
    replies(served, move |command, reply| {
        if reply.header.is_error() {
            change(command, reply);
        }
    })
}

/// Refuses commands that the machine never sees.
pub(crate) fn refuses(served: Served, mut which: impl FnMut(&Frame, &[OwnedFd]) -> Option<Errno> + 'static) -> Served {
    around(served, move |message| match which(&message.frame, &message.fds) {
        Some(errno) if message.is_command() => message.refuse(errno),
        _ => message.pass(),
    })
}

/// Changes the server's own commands.
pub(crate) fn own_commands(served: Served, mut change: impl FnMut(&mut Frame) + 'static) -> Served {
    effects(served, move |_, effects| {
        for effect in effects {
            if let Effect::Send { frame, .. } = effect
                && !frame.header.is_reply()
            {
                change(frame);
                taken();
            }
        }
    })
}

struct Twisting<T> {
    served: Served,
    twist: T,
}

impl<T: Twist> Machine for Twisting<T> {
    fn connect(&mut self) {
        self.served.connect();
    }

    fn receive(&mut self, frame: Frame, fds: Vec<OwnedFd>, memory: &mut dyn Memory, effects: &mut Vec<Effect>) {
        self.served.receive(frame, fds, &mut Twisted { memory, twist: &mut self.twist }, effects);
    }

    fn receive_on_twin(&mut self, frame: Frame, memory: &mut dyn Memory, effects: &mut Vec<Effect>) {
        self.served.receive_on_twin(frame, &mut Twisted { memory, twist: &mut self.twist }, effects);
    }

    fn refuse(&mut self, header: &Header, effects: &mut Vec<Effect>) {
        self.served.refuse(header, effects);
    }

    fn twin_ended(&mut self) {
        self.served.twin_ended();
    }

    fn disconnect(&mut self, memory: &mut dyn Memory) {
        self.served.disconnect(&mut Twisted { memory, twist: &mut self.twist });
    }
}

/// A liberty in how memory is dealt with.
pub(crate) fn memory(served: Served, twist: impl Twist + 'static) -> Served {
    Box::new(Twisting { served, twist })
}
