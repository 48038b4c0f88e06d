//! One end of a conversation.

use super::{Connection, Place};
use crate::model::Session;

/// One end: a client's connection, or its twin socket.
#[derive(Debug)]
pub struct End {
    /// `a`, `b`, .., and `twin` for the twin socket of the first client.
    pub name: String,
    /// Which server it is connected to, by the order of their starting.
    pub server: usize,
    /// The end whose twin socket this is.
    pub twin_of: Option<usize>,
    /// The connection; `None` once the client closed it.
    pub connection: Option<Connection>,
    /// What the model makes of it.
    pub session: Session,
    /// Bytes were sent that are no whole message: the server rightly waits for more.
    pub unfinished: bool,
    /// A message was sent in part, because the server does not read: nothing more can be sent.
    pub torn: bool,
    /// A message came on it.
    pub(super) heard: bool,
    /// Its end was noted in the transcript.
    pub(super) end_noted: bool,
    pub(super) next_id: u16,
    pub(super) place: Place,
}

impl End {
    pub(super) fn new(
        name: &str,
        server: usize,
        place: Place,
        connection: Option<Connection>,
        session: Session,
    ) -> End {
        End {
            name: name.to_owned(),
            server,
            twin_of: None,
            connection,
            session,
            unfinished: false,
            torn: false,
            heard: false,
            end_noted: false,
            // Ids that no field of a payload is likely to hold, so that a stream out of step shows.
            next_id: 0x5a01,
            place,
        }
    }

    /// A client's connection, not its twin socket, that the client has not closed.
    pub fn is_open_client(&self) -> bool {
        self.connection.is_some() && self.twin_of.is_none()
    }
}
