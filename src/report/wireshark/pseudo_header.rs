//! What stands before each message in a capture.

use crate::Profile;
use crate::session::{Entry, Way};

/// The version of the pseudo-header.
const VERSION: u8 = 1;

/// What a message itself does not say. Its numbers are big-endian:
///
/// | Offset | Bytes | |
/// | --- | --- | --- |
/// | 0 | 1 | the version of this header, 1 |
/// | 1 | 1 | the version of the protocol, by its place in [`Profile::ALL`] |
/// | 2 | 1 | 0: client to server, 1: server to client |
/// | 3 | 1 | 0: the main socket, 1: the twin socket |
/// | 4 | 2 | how many descriptors came with it |
/// | 6 | 2 | bytes of text that follow: what happened, where that was no message |
#[derive(Debug, Clone, Copy)]
pub(super) struct PseudoHeader<'a> {
    pub(super) profile: Profile,
    pub(super) entry: &'a Entry,
}

impl PseudoHeader<'_> {
    /// The bytes, and the text behind them.
    pub(super) fn bytes(self) -> Vec<u8> {
        let PseudoHeader { profile, entry } = self;
        let profile = Profile::ALL.iter().position(|known| *known == profile).unwrap_or_default();
        let event = event(entry).as_bytes();
        let event = event.get(..event.len().min(usize::from(u16::MAX))).unwrap_or_default();
        let mut bytes =
            vec![VERSION, profile as u8, u8::from(entry.direction == Way::Received), u8::from(entry.channel != "main")];
        bytes.extend(u16::try_from(entry.fds).unwrap_or(u16::MAX).to_be_bytes());
        bytes.extend((event.len() as u16).to_be_bytes());
        bytes.extend(event);
        bytes
    }
}

/// What happened, where it was no message.
fn event(entry: &Entry) -> &str {
    if entry.fields.is_empty() { &entry.message } else { "" }
}
