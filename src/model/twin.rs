//! The twin socket: a second channel, for the server's commands and their replies (specification 206-226, 542-593).

use serde_json::Value;
use vfio_user_wire::VersionData;

use super::judgement::{bytes_mark, header_mark};
use super::{Judgement, Judgements, Negotiated, Reply};

/// Where a command of the server came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Channel {
    /// On the only socket that there is.
    Only,
    /// On the main socket, though there is a twin socket.
    Main,
    /// On the twin socket.
    Twin,
}

/// What a descriptor is that was passed as a twin socket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TwinSocket {
    /// It is a socket that has a peer.
    pub connected: bool,
    /// Its type is SOCK_STREAM.
    pub stream: bool,
    /// It is not the connection's own socket, and no other connection of the client has it.
    pub fresh: bool,
}

/// `twin_socket.supported` is true.
pub(super) fn supported(of: &VersionData) -> bool {
    of.capability("twin_socket").and_then(|twin| twin.get("supported")) == Some(&Value::Bool(true))
}

/// Which of the descriptors of the VERSION reply is the twin socket; `None` where none was agreed on.
pub(super) fn index(negotiated: &Negotiated) -> Option<usize> {
    if !supported(&negotiated.client) || !supported(&negotiated.server) {
        return None;
    }
    let index = negotiated.server.capability("twin_socket")?.get("fd_index")?.as_u64()?;
    usize::try_from(index).ok()
}

/// What a VERSION reply says of a twin socket, against what the client proposed.
pub(super) fn judge(proposed: &VersionData, answer: &VersionData, reply: &Reply<'_>, out: &mut Judgements) {
    let data = || bytes_mark("data", 4, reply.payload.len().saturating_sub(4));
    let (asked, enabled, fds) = (supported(proposed), supported(answer), reply.fds);
    let said = answer.capability("twin_socket");
    let actual = || match said {
        Some(said) => format!("twin_socket {said}, and {fds} file descriptors"),
        None => format!("no twin_socket, and {fds} file descriptors"),
    };
    if !asked {
        let expected = "no twin socket, and no descriptor of one, where the client did not propose it";
        out.must("TWIN-01", !enabled && fds == 0, expected, actual, data());
        if enabled {
            let expected = "no twin socket where the client did not propose one";
            out.must("VER-06", false, expected, || "twin_socket.supported true".to_owned(), data());
        }
        return;
    }
    out.must("TWIN-02", true, "", String::new, None);
    if proposed.limits().max_msg_fds == 0 {
        let expected = "no twin socket: a client with a max_msg_fds of 0 cannot receive its end";
        out.must("TWIN-10", !enabled, expected, actual, data());
    }
    let index = said.and_then(|said| said.get("fd_index")).and_then(Value::as_u64);
    let whole = index.is_some_and(|index| index < fds as u64);
    if enabled {
        let expected = "supported true, and an fd_index that names a descriptor of the reply";
        out.must("TWIN-03", whole, expected, actual, data());
        out.must("TWIN-04", whole, expected, actual, data());
        return;
    }
    // Without a twin socket, `supported` is false or missing (579-582), and there is nothing to pass.
    let nothing = match said {
        None => true,
        Some(Value::Object(said)) => matches!(said.get("supported"), None | Some(Value::Bool(false))),
        Some(_) => false,
    };
    let expected = "either supported true with fd_index and its descriptor, or no twin socket and no descriptor";
    out.must("TWIN-04", nothing && fds == 0, expected, actual, data());
}

/// Judges the descriptor that a VERSION reply passed as a twin socket.
pub fn judge_twin_socket(socket: TwinSocket) -> Vec<Judgement> {
    let mut out = Judgements::default();
    let expected = "an end of a fresh socket pair";
    let actual = || match socket.connected {
        false => "a descriptor that is no connected socket".to_owned(),
        true => "a socket that is in use already".to_owned(),
    };
    out.must("TWIN-05", socket.connected && socket.fresh, expected, actual, None);
    if socket.connected {
        let expected = "a socket of type SOCK_STREAM, as the main one";
        out.should("TWIN-05", socket.stream, expected, || "another type of socket".to_owned(), None);
    }
    out.into_vec()
}

/// Judges on which socket a reply to a command of the main socket came, where there are two.
pub fn judge_reply_channel(main: bool) -> Judgement {
    let mut out = Judgements::default();
    let expected = "the reply on the main socket, on which its command was sent";
    out.must("HDR-31", main, expected, || "the reply on the twin socket".to_owned(), None);
    let mut all = out.into_vec();
    all.pop().unwrap_or(Judgement { requirement: "HDR-31", broken: None })
}

/// What holds for a command of the server for where it came.
pub(super) fn judge_request(channel: Channel, negotiated: &Negotiated, out: &mut Judgements) {
    if channel != Channel::Only {
        let expected = "the server's commands on the twin socket alone";
        let actual = || "a command on the main socket".to_owned();
        out.must("TWIN-06", channel == Channel::Twin, expected, actual, header_mark("command"));
    }
    let client = &negotiated.client;
    if supported(client) && client.limits().max_msg_fds > 0 {
        let expected = "a twin socket, for a client that proposed one";
        let actual = || "it was declined, and the server sends commands on the main socket".to_owned();
        out.should("TWIN-09", supported(&negotiated.server), expected, actual, None);
    }
}
