//! The first message of a client, where it is another one than the usual VERSION.

use crate::case::{Bytes, Value};

use super::draw::{Answers, Draft, Edge};
use super::message::{Message, integer};
use super::weights;

/// How a client opens.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) enum Opening {
    /// VERSION as the others send it.
    Usual,
    /// Another minor version.
    Minor,
    /// A major version that nobody has.
    Major,
    /// No version data.
    NoData,
    /// An object without capabilities.
    NoCapabilities,
    /// Members and capabilities that nobody knows.
    Unknown,
    /// Capabilities of the wrong type.
    WrongType,
    /// Text that is no object.
    Malformed,
    /// Bytes that are no text, or text that does not end.
    Bytes,
    /// Much of it.
    Long,
    /// Less than the version itself.
    Short,
    /// It asks for no reply.
    Quiet,
    /// Another command comes first.
    Late,
}

impl Draft<'_> {
    /// The first message of the first client.
    pub(super) fn open(&mut self) {
        let opening = self.dice.row(weights::OPENING).unwrap_or(Opening::Usual);
        self.edges.push(Edge::Opening(opening));
        let version = Message::command("version", "VERSION");
        let message = match opening {
            Opening::Usual => version,
            Opening::Minor => version.integer("minor", self.dice.one([0, 1, 2, 99, 0xffff])),
            Opening::Major => version.integer("major", self.dice.one([1, 0xffff])),
            Opening::NoData => version.words("json", "none"),
            Opening::NoCapabilities => text(version, &["{}", "{\"capabilities\":{}}"], self),
            Opening::Unknown => text(
                version,
                &[
                    r#"{"capabilities":{"x_unknown":1}}"#,
                    r#"{"x_unknown":1}"#,
                    r#"{"capabilities":{"max_msg_fds":1,"x":"y"}}"#,
                ],
                self,
            ),
            Opening::WrongType => text(
                version,
                &[
                    r#"{"capabilities":[]}"#,
                    r#"{"capabilities":{"max_msg_fds":"8"}}"#,
                    r#"{"capabilities":{"max_data_xfer_size":-1}}"#,
                    r#"{"capabilities":{"pgsizes":{}}}"#,
                ],
                self,
            ),
            Opening::Malformed => text(version, &["{", "[]", "null", "{\"capabilities\":}"], self),
            Opening::Bytes => {
                let data = self.dice.one([b"{}".as_slice(), b"\0\0", b"\xff\xfe\0", b"{}\0{}\0"]);
                version.data(Bytes::Text(data.to_vec()))
            }
            Opening::Long => {
                let byte = self.dice.one([0x20, 0x22, 0x5b]);
                version.data(Bytes::Fill(integer(byte), integer(self.dice.one([4096, 0x10000]))))
            }
            Opening::Short => version.words("json", "none").integer("payload", self.dice.one([0, 1, 2, 3])),
            Opening::Quiet => version.with("no_reply", Value::Flag),
            Opening::Late => self.query(),
        };
        self.send(vec![message], Answers::InOrder);
        if matches!(opening, Opening::Late) {
            self.send(vec![Message::command("version", "VERSION")], Answers::InOrder);
        }
    }
}

fn text(version: Message, texts: &[&'static str], draft: &mut Draft<'_>) -> Message {
    let text = draft.dice.pick(texts).unwrap_or_default();
    version.with("json", Value::Bytes(Bytes::Text(text.as_bytes().to_vec())))
}
