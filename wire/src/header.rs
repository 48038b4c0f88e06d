//! The 16-byte header of every message (specification 394-459).

use crate::layout;

/// Bytes of a header.
pub const HEADER_SIZE: usize = 16;
/// The Type bits of `flags`.
pub const TYPE_MASK: u32 = 0xf;
/// Type of a command.
pub const TYPE_COMMAND: u32 = 0;
/// Type of a reply.
pub const TYPE_REPLY: u32 = 1;
/// In a command: no reply is needed.
pub const NO_REPLY: u32 = 1 << 4;
/// In a reply: the command failed, and `error` is valid.
pub const ERROR: u32 = 1 << 5;

layout! {
    /// The header of every message, command or reply.
    pub struct Header: 16 {
        /// The sender's own identification of the message, echoed in the reply.
        id: u16 @ 0,
        /// The command's number, repeated in the reply.
        command: u16 @ 2,
        /// Bytes of the whole message, header included.
        size: u32 @ 4,
        /// Type in bits 0-3 (0 command, 1 reply), No_reply, Error.
        flags: u32 @ 8 { reply = 0x1, no_reply = 0x10, error = 0x20 },
        /// In a reply with the Error bit: an errno, or 0.
        error: u32 @ 12,
    }
}

impl Header {
    /// The Type bits.
    pub fn message_type(&self) -> u32 {
        self.flags & TYPE_MASK
    }

    /// It is a reply.
    pub fn is_reply(&self) -> bool {
        self.message_type() == TYPE_REPLY
    }

    /// The sender wants no reply.
    pub fn no_reply(&self) -> bool {
        self.flags & NO_REPLY != 0
    }

    /// The Error bit.
    pub fn is_error(&self) -> bool {
        self.flags & ERROR != 0
    }

    /// The header of a reply to this command: same id and number, type reply.
    pub fn reply(&self, payload: usize) -> Header {
        Header { flags: TYPE_REPLY, size: message_size(payload), error: 0, ..*self }
    }

    /// The header of a failing reply to this command.
    pub fn error_reply(&self, errno: u32) -> Header {
        Header { flags: TYPE_REPLY | ERROR, size: HEADER_SIZE as u32, error: errno, ..*self }
    }
}

/// The size field of a message with `payload` bytes behind its header; saturates, since a `Vec` may be larger than
/// what the field can say.
pub(crate) fn message_size(payload: usize) -> u32 {
    u32::try_from(HEADER_SIZE.saturating_add(payload)).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reply_has_no_errno_of_the_commands() {
        let command = Header { id: 7, command: 4, size: 16, flags: NO_REPLY, error: 9 };
        assert_eq!(command.reply(8), Header { size: 24, flags: TYPE_REPLY, error: 0, ..command });
        assert_eq!(command.error_reply(22), Header { flags: TYPE_REPLY | ERROR, error: 22, ..command });
    }
}
