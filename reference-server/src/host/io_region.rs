//! ioregionfds: sockets on which the client, or KVM for it, says what is written to a part of a region.

use std::os::fd::{AsRawFd, OwnedFd};
use std::sync::Arc;

use nix::errno::Errno;
use nix::sys::socket::{AddressFamily, MsgFlags, SockFlag, SockType, recv, socketpair};

/// Bytes of a message, as it was proposed for KVM: 8 that say what is done, `user_data`, the offset and the data, 8 each.
const MESSAGE: usize = 32;
/// A client that writes without end is not listened to any longer than this.
const MOST: usize = 4096;

/// An ioregionfd that nobody has written to: our end, and the client's. Each write is a message of its own.
pub(super) fn new() -> Result<(Arc<OwnedFd>, Arc<OwnedFd>), Errno> {
    let (ours, clients) = socketpair(AddressFamily::Unix, SockType::SeqPacket, None, SockFlag::SOCK_CLOEXEC)?;
    Ok((Arc::new(ours), Arc::new(clients)))
}

/// How many writes have come since this was asked last. What is no message is dropped.
pub(super) fn written(ours: &OwnedFd) -> u64 {
    const WRITE: u8 = 1;
    let mut written = 0;
    for _ in 0..MOST {
        // A byte more than a message, so that a longer one is seen to be none.
        let mut message = [0; MESSAGE + 1];
        match recv(ours.as_raw_fd(), &mut message, MsgFlags::MSG_DONTWAIT) {
            Ok(MESSAGE) if message[0] & 0xf == WRITE => written += 1,
            Ok(_) => {}
            Err(_) => break,
        }
    }
    written
}
