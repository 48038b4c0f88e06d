//! Twin sockets: an end of a conversation beside the connection that brought it.

use std::collections::BTreeSet;
use std::os::fd::{AsRawFd, OwnedFd};
use std::sync::Arc;

use nix::sys::socket::{SockType, SockaddrStorage, UnixAddr, getpeername, getsockname, getsockopt, sockopt};
use nix::sys::stat::fstat;

use super::{Connection, Conversation, End, Judged, Origin, Place};
use crate::model::{Session, TwinSocket, judge_reply_channel, judge_twin_socket};

/// The sockets that the client has or had, by their inodes: a fresh one is none of them.
#[derive(Debug, Default)]
pub(super) struct KnownSockets {
    inodes: BTreeSet<u64>,
}

impl KnownSockets {
    /// The client has this one.
    pub(super) fn insert(&mut self, socket: &OwnedFd) {
        self.inodes.extend(inode(socket));
    }

    /// What a descriptor is that came on `main` as a twin socket.
    pub(super) fn look_at(&self, socket: &OwnedFd, main: &Connection) -> TwinSocket {
        let raw = socket.as_raw_fd();
        // What the server accepted the connection on has the name of the socket that it listens at.
        let is_other_end = path_of(getsockname(raw)).is_some_and(|path| {
            main.socket().is_some_and(|main| path_of(getpeername(main.as_raw_fd())).as_ref() == Some(&path))
        });
        TwinSocket {
            connected: getpeername::<SockaddrStorage>(raw).is_ok(),
            stream: getsockopt(socket, sockopt::SockType) == Ok(SockType::Stream),
            fresh: !is_other_end && inode(socket).is_some_and(|inode| !self.inodes.contains(&inode)),
        }
    }
}

impl Conversation<'_> {
    /// The twin socket of an end, if it has one.
    pub fn twin(&self, of: usize) -> Option<usize> {
        self.ends.iter().position(|end| end.twin_of == Some(of))
    }

    /// Adds the twin socket of an end; returns its number. Nothing is answered there that the client sends.
    pub fn add_twin(&mut self, of: usize, connection: Option<Connection>) -> usize {
        let mut session = Session::new(self.dialect, Arc::clone(&self.offer));
        session.lost();
        let (client, server) = self.ends.get(of).map(|end| (end.name.clone(), end.server)).unwrap_or_default();
        let name = if of == 0 { "twin".to_owned() } else { format!("{client}.twin") };
        let mut end = End::new(&name, server, Place::twin(&client), connection, session);
        end.twin_of = Some(of);
        self.push(end)
    }

    /// Takes a descriptor that came as a twin socket, if it can be one.
    pub(super) fn take_twin(&mut self, index: usize, of: usize, socket: OwnedFd, entry: usize) {
        let Some(main) = self.ends.get(of).and_then(|end| end.connection.as_ref()) else { return };
        let seen = self.sockets.look_at(&socket, main);
        self.sockets.insert(&socket);
        let twin = main.twin(socket);
        let (step, line) = self.sent.get(index).map_or((0, 0), |sent| (sent.origin.step, sent.origin.line));
        let judgements = judge_twin_socket(seen).into_iter();
        self.judged.extend(judgements.map(|judgement| Judged { judgement, step, line, entry }));
        // There is one for each connection; and reading another type, or a socket of the server's own, would tell nothing.
        if seen.connected && seen.stream && seen.fresh && self.twin(of).is_none() {
            self.add_twin(of, Some(twin));
        }
    }

    /// A reply comes where its command went, which shows where there are two sockets.
    pub(super) fn judge_channel(&mut self, index: usize, end: usize, entry: usize) {
        let Some(sent) = self.sent.get(index) else { return };
        if self.twin(sent.end).is_some() {
            let Origin { step, line, .. } = sent.origin;
            self.judged.push(Judged { judgement: judge_reply_channel(sent.end == end), step, line, entry });
        }
    }
}

fn inode(socket: &OwnedFd) -> Option<u64> {
    fstat(socket).ok().map(|stat| stat.st_ino)
}

/// The name of a UNIX socket, in the file system or beside it; `None` where it has none.
fn path_of(address: nix::Result<UnixAddr>) -> Option<Vec<u8>> {
    let address = address.ok()?;
    let path = address.path().map(|path| path.as_os_str().as_encoded_bytes().to_vec());
    path.or_else(|| address.as_abstract().map(<[u8]>::to_vec))
}
