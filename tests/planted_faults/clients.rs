//! What goes wrong when clients come and go, and when there are several at one time.

use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::{UnixListener, UnixStream};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use vfio_user_reference_server::{Channel, Effect, HostMemory, Machine, Memory, Server};
use vfio_user_wire::{Frame, Header};

use crate::loops::Client;
use crate::wrapper::{Faulty, Step};

/// What happens when a client comes, when it sends a message, and when it goes: what the server does, unless a fault
/// says otherwise. `S` is what the fault remembers from one client to the next.
pub(crate) struct Visits<S> {
    pub(crate) state: S,
    pub(crate) connect: fn(&mut S, &mut Server),
    pub(crate) receive: fn(&mut S, Step<'_>),
    pub(crate) disconnect: fn(&mut S, &mut Server, &mut dyn Memory),
}

impl<S: 'static> Visits<S> {
    pub(crate) fn new(state: S) -> Visits<S> {
        Visits {
            state,
            connect: |_, server| server.connect(),
            receive: |_, step| step.pass(),
            disconnect: |_, server, memory| server.disconnect(memory),
        }
    }

    pub(crate) fn machine(self) -> Faulty {
        Box::new(Visited { server: Server::new(), visits: self })
    }
}

struct Visited<S> {
    server: Server,
    visits: Visits<S>,
}

impl<S> Machine for Visited<S> {
    fn connect(&mut self) {
        (self.visits.connect)(&mut self.visits.state, &mut self.server);
    }

    fn receive(&mut self, frame: Frame, fds: Vec<OwnedFd>, memory: &mut dyn Memory, effects: &mut Vec<Effect>) {
        (self.visits.receive)(&mut self.visits.state, Step::main(&mut self.server, frame, fds, memory, effects));
    }

    fn receive_on_twin(&mut self, frame: Frame, memory: &mut dyn Memory, effects: &mut Vec<Effect>) {
        let (channel, server, fds) = (Channel::Twin, &mut self.server, Vec::new());
        (self.visits.receive)(&mut self.visits.state, Step { channel, server, frame, fds, memory, effects });
    }

    fn refuse(&mut self, header: &Header, effects: &mut Vec<Effect>) {
        self.server.refuse(header, effects);
    }

    fn twin_ended(&mut self) {
        self.server.twin_ended();
    }

    fn disconnect(&mut self, memory: &mut dyn Memory) {
        (self.visits.disconnect)(&mut self.visits.state, &mut self.server, memory);
    }
}

/// One of several clients, with a server of its own.
pub(crate) struct Guest {
    pub(crate) stream: UnixStream,
    pub(crate) server: Server,
    pub(crate) memory: HostMemory,
}

/// What happened.
pub(crate) enum Turn {
    /// The last guest has come.
    Came,
    /// That guest said something.
    Said(usize, Frame, Vec<OwnedFd>),
    /// A guest has left, and is none any more.
    Left,
}

/// Which guest is listened to first, where several speak.
#[derive(PartialEq, Eq)]
pub(crate) enum First {
    Oldest,
    Newest,
}

/// Serves all clients at one time, one whole message after the other; new clients come before messages.
pub(crate) fn serve_guests(
    listener: &UnixListener,
    stop: &OwnedFd,
    first: &First,
    mut take: impl FnMut(&mut Vec<Guest>, Turn),
) {
    let mut guests: Vec<Guest> = Vec::new();
    loop {
        let streams = guests.iter().map(|guest| guest.stream.as_fd());
        let all = [stop.as_fd(), listener.as_fd()].into_iter().chain(streams);
        let mut polled: Vec<PollFd<'_>> = all.map(|fd| PollFd::new(fd, PollFlags::POLLIN)).collect();
        if poll(&mut polled, PollTimeout::NONE).is_err() {
            return;
        }
        let ready: Vec<bool> = polled.iter().map(|fd| fd.any() == Some(true)).collect();
        let mut speakers = 2..ready.len();
        if ready[0] {
            return;
        } else if ready[1] {
            let Ok((stream, _)) = listener.accept() else { return };
            guests.push(Guest { stream, server: Server::new(), memory: HostMemory::new().unwrap() });
            take(&mut guests, Turn::Came);
            continue;
        }
        let speaks = |at: &usize| ready[*at];
        let speaker = if *first == First::Oldest { speakers.find(speaks) } else { speakers.rfind(speaks) };
        let Some(at) = speaker.map(|at| at - 2) else { continue };
        let guest = &mut guests[at];
        let stream = guest.stream.try_clone().unwrap();
        let mut client = Client { stream, stop, server: &mut guest.server, memory: &mut guest.memory, fds: Vec::new() };
        match client.message() {
            Some(frame) => {
                let fds = std::mem::take(&mut client.fds);
                take(&mut guests, Turn::Said(at, frame, fds));
            }
            None => {
                let Guest { mut server, mut memory, .. } = guests.remove(at);
                server.disconnect(&mut memory);
                take(&mut guests, Turn::Left);
            }
        }
    }
}

/// Does for a guest what the server wants done.
pub(crate) fn perform(guest: &mut Guest, effects: Vec<Effect>, stop: &OwnedFd) {
    let Guest { stream, server, memory } = guest;
    let ends = effects.iter().any(|effect| matches!(effect, Effect::Close));
    let stream = stream.try_clone().unwrap();
    let mut client = Client { stream, stop, server, memory, fds: Vec::new() };
    if !client.perform(effects) || ends {
        // It is found to have left.
        let _ = client.stream.shutdown(std::net::Shutdown::Both);
    }
}
