//! What faults of the twin socket have in common: where a message came, and where one goes.

use std::os::fd::OwnedFd;
use std::sync::Arc;

use serde_json::{Map, Value, json};
use vfio_user_reference_server::{Channel, Effect, Machine, Memory, Server};
use vfio_user_wire::{Frame, Header};

use crate::wrapper::{Faulty, Step, around, capabilities, commands, effects, is, set_capabilities};

/// Changes the capabilities of a client's VERSION before the server sees them.
pub(crate) fn proposals(change: fn(&mut Map<String, Value>)) -> Faulty {
    commands(move |frame, _| {
        if is(frame, "VERSION") {
            let mut proposed = capabilities(frame);
            change(&mut proposed);
            set_capabilities(frame, proposed);
        }
    })
}

/// The client wants a twin socket.
pub(crate) fn wants_twin(version: &Frame) -> bool {
    capabilities(version).get("twin_socket").and_then(|twin| twin.get("supported")) == Some(&json!(true))
}

/// Changes the replies to VERSION that bring a twin socket: what they say of it, and the descriptors.
pub(crate) fn twin_replies(mut change: impl FnMut(&mut Option<Value>, &mut Vec<Arc<OwnedFd>>) + 'static) -> Faulty {
    effects(move |command, effects| {
        for effect in effects {
            if let Effect::Send { frame, fds, .. } = effect
                && is(command, "VERSION")
                && !fds.is_empty()
            {
                let mut stated = capabilities(frame);
                let mut twin = stated.remove("twin_socket");
                change(&mut twin, fds);
                stated.extend(twin.map(|twin| ("twin_socket".to_owned(), twin)));
                set_capabilities(frame, stated);
            }
        }
    })
}

/// Another descriptor in the place of the client's end.
pub(crate) fn passes(mut other: impl FnMut(&Arc<OwnedFd>) -> Arc<OwnedFd> + 'static) -> Faulty {
    twin_replies(move |_, fds| {
        for fd in fds {
            *fd = other(fd);
        }
    })
}

/// Every message goes through `receive`, with whether there is a twin socket.
pub(crate) fn with_twin(mut receive: impl FnMut(Step<'_>, bool) + 'static) -> Faulty {
    let mut twin = false;
    around(move |step| {
        let version = is(&step.frame, "VERSION");
        let Step { channel, server, frame, fds, memory, effects } = step;
        let mut done = Vec::new();
        receive(Step { channel, server, frame, fds, memory, effects: &mut done }, twin);
        if version {
            twin = done.iter().any(|effect| matches!(effect, Effect::Twin { .. }));
        }
        effects.append(&mut done);
    })
}

/// Some messages go out on another socket, where there is a twin socket; replies of the client are taken wherever they
/// come.
pub(crate) fn sends_on(channel: impl Fn(&Frame) -> Option<Channel> + 'static) -> Faulty {
    with_twin(move |mut step, twin| {
        if twin && step.frame.header.is_reply() {
            step.channel = Channel::Twin;
        }
        step.pass_and(|effects| {
            for effect in effects {
                if let (true, Effect::Send { channel: on, frame, .. }) = (twin, effect) {
                    *on = channel(frame).unwrap_or(*on);
                }
            }
        });
    })
}

/// A server to which something happens at the end of the twin socket.
pub(crate) fn at_the_end(happens: fn()) -> Faulty {
    Box::new(AtTheEnd { server: Server::new(), happens })
}

struct AtTheEnd {
    server: Server,
    happens: fn(),
}

impl Machine for AtTheEnd {
    fn connect(&mut self) {
        self.server.connect();
    }

    fn receive(&mut self, frame: Frame, fds: Vec<OwnedFd>, memory: &mut dyn Memory, effects: &mut Vec<Effect>) {
        self.server.receive(frame, fds, memory, effects);
    }

    fn receive_on_twin(&mut self, frame: Frame, memory: &mut dyn Memory, effects: &mut Vec<Effect>) {
        self.server.receive_on_twin(frame, memory, effects);
    }

    fn refuse(&mut self, header: &Header, effects: &mut Vec<Effect>) {
        self.server.refuse(header, effects);
    }

    fn twin_ended(&mut self) {
        (self.happens)();
        self.server.twin_ended();
    }

    fn disconnect(&mut self, memory: &mut dyn Memory) {
        self.server.disconnect(memory);
    }
}
