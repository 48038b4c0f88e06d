//! A whole message, and cutting a stream of bytes into messages.

use crate::header::{HEADER_SIZE, Header, TYPE_COMMAND, message_size};

/// One message: a header and its payload.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Frame {
    /// The header as it was, or will be, on the wire.
    pub header: Header,
    /// What follows it.
    pub payload: Vec<u8>,
}

/// Why bytes are no message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum FrameError {
    /// The size field counts fewer bytes than the header has.
    #[error("the size field says {0} bytes, less than the header's 16")]
    TooSmall(u32),
    /// The size field counts more bytes than the receiver takes.
    #[error("the size field says {size} bytes, more than the {limit} that the receiver takes")]
    TooLarge {
        /// What the field says.
        size: u32,
        /// What the receiver takes.
        limit: usize,
    },
}

impl Frame {
    /// A command with a truthful size.
    pub fn command(id: u16, command: u16, payload: Vec<u8>) -> Frame {
        Frame {
            header: Header { id, command, size: message_size(payload.len()), flags: TYPE_COMMAND, error: 0 },
            payload,
        }
    }

    /// A successful reply to `request`.
    pub fn reply(request: &Header, payload: Vec<u8>) -> Frame {
        Frame { header: request.reply(payload.len()), payload }
    }

    /// A failing reply to `request`: the header alone (specification 454).
    pub fn error(request: &Header, errno: u32) -> Frame {
        Frame { header: request.error_reply(errno), payload: Vec::new() }
    }

    /// The message's bytes.
    pub fn bytes(&self) -> Vec<u8> {
        let mut bytes = self.header.bytes().to_vec();
        bytes.extend_from_slice(&self.payload);
        bytes
    }

    /// The first message of `stream` and how many bytes it takes; `Ok(None)` where more bytes must come first.
    ///
    /// Nothing is allocated before all of the message is there.
    ///
    /// # Errors
    /// Where the size field is below 16 or above `limit`: there is no telling then where the next message starts.
    pub fn split(stream: &[u8], limit: usize) -> Result<Option<(Frame, usize)>, FrameError> {
        let Some((header, rest)) = Header::parse(stream) else { return Ok(None) };
        let size = header.size as usize;
        if size < HEADER_SIZE {
            return Err(FrameError::TooSmall(header.size));
        }
        if size > limit {
            return Err(FrameError::TooLarge { size: header.size, limit });
        }
        let Some(payload) = rest.get(..size - HEADER_SIZE) else { return Ok(None) };
        Ok(Some((Frame { header, payload: payload.to_vec() }, size)))
    }
}
