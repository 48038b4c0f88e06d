//! What the model knows of a command, of its reply, and of the session.

use vfio_user_wire::message::VERSION;
use vfio_user_wire::{Body, Decoded, Direction, HEADER_SIZE, Header, Limits, Message, VersionData};

/// What kind of descriptor was passed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FdKind {
    /// Memory that can be mapped.
    Memory {
        /// Bytes.
        size: u64,
        /// It was opened for writing, too.
        writable: bool,
    },
    /// An eventfd.
    Eventfd,
    /// Anything else.
    Other,
}

/// A descriptor that was passed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PassedFd {
    /// The same for every copy of one descriptor, and for no other.
    pub id: u64,
    /// What it is.
    pub kind: FdKind,
}

/// A command that the client sent.
#[derive(Debug, Clone)]
pub struct Command {
    /// The header as it was sent.
    pub header: Header,
    /// The payload as it was sent.
    pub payload: Vec<u8>,
    /// What its number means in the dialect.
    pub message: Option<&'static Message>,
    /// The descriptors that it brings.
    pub fds: Vec<PassedFd>,
    /// Where it was first cut, in bytes from its start; `None` where it went out in one piece.
    pub cut: Option<usize>,
}

impl Command {
    /// The request's fields, as far as the payload holds them.
    pub fn request(&self) -> Decoded<'_> {
        self.message.map_or(Decoded { fields: Vec::new(), tail: &self.payload, short: false }, |message| {
            message.request_of(&self.payload).decode(&self.payload)
        })
    }

    /// What a successful reply to it looks like.
    pub fn reply_body(&self) -> Body {
        self.message.map_or(Body::EMPTY, |message| message.reply_of(&self.payload))
    }

    /// What a wrong answer breaks where the message was cut: in its header, or behind it.
    pub fn cut_breaks(&self) -> Option<&'static str> {
        self.cut.map(|cut| if cut < vfio_user_wire::HEADER_SIZE { "HDR-27" } else { "HDR-28" })
    }

    /// It is in one piece, and is what its structure takes and no more: no server can be out of step after it.
    pub fn is_plain(&self) -> bool {
        let Some(message) = self.message.filter(|message| message.direction == Direction::ToServer) else {
            return false;
        };
        let whole = self.header.size as usize == HEADER_SIZE + self.payload.len();
        let exact =
            self.payload.len() == message.request_of(&self.payload).fixed_size() || message.name == VERSION.name;
        whole && exact && self.header.flags == 0 && self.cut.is_none()
    }

    /// It is whole, known and well enough formed that a reply to it is certain to be due.
    pub fn wants_reply(&self) -> bool {
        let size = vfio_user_wire::HEADER_SIZE + self.payload.len();
        self.header.flags == 0
            && self.header.size as usize == size
            && self.message.is_some_and(|message| {
                message.direction == vfio_user_wire::Direction::ToServer
                    && self.payload.len() >= message.request_of(&self.payload).fixed_size()
            })
    }

    /// Its name, or its number.
    pub fn name(&self) -> String {
        self.message.map_or_else(|| format!("command {}", { self.header.command }), |message| message.name.to_owned())
    }
}

/// A reply that came.
#[derive(Debug, Clone, Copy)]
pub struct Reply<'a> {
    /// Its header.
    pub header: &'a Header,
    /// Its payload.
    pub payload: &'a [u8],
    /// How many descriptors came with it.
    pub fds: usize,
}

/// What both sides said in VERSION.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Negotiated {
    /// What the client proposed.
    pub client: VersionData,
    /// What the server answered; the defaults before it did.
    pub server: VersionData,
}

impl Negotiated {
    /// The client's limits: what the server must keep to.
    pub fn client_limits(&self) -> Limits {
        self.client.limits()
    }

    /// The same proposal, with the larger limits of two: it is open which one the server has taken.
    pub(super) fn or_those_of(mut self, before: &Negotiated) -> Negotiated {
        let (limits, limits_before) = (self.client_limits(), before.client_limits());
        let (legacy, legacy_before) = (self.client.legacy_limits(), before.client.legacy_limits());
        let mut capabilities = self.client.capabilities().cloned().unwrap_or_default();
        for (name, most, most_before) in [
            ("max_msg_fds", limits.max_msg_fds, limits_before.max_msg_fds),
            ("max_data_xfer_size", limits.max_data_xfer_size, limits_before.max_data_xfer_size),
            ("max_fds", legacy.max_fds, legacy_before.max_fds),
            ("max_msg_size", legacy.max_msg_size, legacy_before.max_msg_size),
        ] {
            capabilities.insert(name.to_owned(), most.max(most_before).into());
        }
        self.client = VersionData::with_capabilities(capabilities);
        self
    }

    /// Which of the descriptors of the VERSION reply is the client's end of a twin socket; `None` where none was agreed on.
    pub fn twin_index(&self) -> Option<usize> {
        super::twin::index(self)
    }
}
