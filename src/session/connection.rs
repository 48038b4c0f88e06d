//! One connection of the client: bytes and descriptors out, messages in.

use std::collections::VecDeque;
use std::io::{self, IoSlice};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::path::Path;
use std::time::Duration;

use nix::errno::Errno;
use nix::poll::PollFlags;
use nix::sys::socket::{
    AddressFamily, ControlMessage, MsgFlags, Shutdown, SockFlag, SockType, UnixAddr, connect, sendmsg, shutdown, socket,
};
use vfio_user_wire::{Frame, FrameError, HEADER_SIZE, Header};

use super::{Deadline, Direct, Interrupt, Waited, wait};

/// Descriptors that one message can carry on Linux (SCM_MAX_FD).
const MOST_FDS: usize = 253;
/// Descriptors that may lie unread on one connection before it counts as a flood: below the usual limit of 1024 for a
/// process.
const FLOOD: usize = 512;
/// Descriptors at one time that no conforming server sends: where this process can hold no more, they are why.
const MANY: usize = 64;
/// How long a cut piece waits for the server to read the one before it.
const PIECE: Duration = Duration::from_millis(50);
/// Bytes read at one time.
const CHUNK: usize = 16 * 1024;
/// Reads before somebody looks at the time again: a server can always have one more byte.
const READS: usize = 1024;

/// Why a connection gives no more messages.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ended {
    /// The server closed it; with the number of bytes of a message that was not whole.
    Closed {
        /// Bytes of an unfinished message.
        partial: usize,
    },
    /// What came is no message.
    Garbage(FrameError),
    /// More of something than anybody reads.
    Flood {
        /// What came.
        what: &'static str,
        /// How much of it.
        count: usize,
    },
}

impl std::fmt::Display for Ended {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Ended::Closed { partial: 0 } => f.write_str("closed"),
            Ended::Closed { partial } => write!(f, "closed after {partial} bytes of a message"),
            Ended::Garbage(error) => write!(f, "no message: {error}"),
            Ended::Flood { what, count } => write!(f, "{count} {what}"),
        }
    }
}

/// One message that came.
#[derive(Debug)]
pub struct Incoming {
    /// The message.
    pub frame: Frame,
    /// The descriptors that came with it.
    pub fds: Vec<OwnedFd>,
}

/// What a connection goes through.
#[derive(Debug)]
enum Channel {
    Socket(OwnedFd),
    Direct(Box<dyn Direct>),
}

/// One connection of the client.
#[derive(Debug)]
pub struct Connection {
    channel: Channel,
    /// The message that is being read.
    partial: Vec<u8>,
    /// The descriptors that came with its bytes.
    fds: Vec<OwnedFd>,
    /// Messages that nobody has taken yet.
    queue: VecDeque<Incoming>,
    /// Bytes in the queue.
    queued: usize,
    limit: usize,
    end: Option<Ended>,
    /// The client has sent something.
    spoken: bool,
    /// The client has said that nothing more comes.
    shut: bool,
    /// What comes here is there when the server's call on another connection returns: nobody waits for it.
    called: bool,
}

impl Connection {
    /// Connects to `path` once.
    ///
    /// # Errors
    /// Those of socket(2) and connect(2): ENOENT and ECONNREFUSED while the server is not ready yet.
    pub fn connect(path: &Path) -> io::Result<Connection> {
        let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
        let socket = socket(AddressFamily::Unix, SockType::Stream, flags, None)?;
        connect(socket.as_raw_fd(), &UnixAddr::new(path)?)?;
        Ok(Connection::over(socket))
    }

    /// Takes a connected stream socket.
    pub fn over(socket: OwnedFd) -> Connection {
        Connection::through(Channel::Socket(socket))
    }

    /// Takes a connection that needs no socket.
    pub fn direct(server: Box<dyn Direct>) -> Connection {
        Connection::through(Channel::Direct(server))
    }

    /// Takes a twin socket that came on this connection.
    pub fn twin(&self, socket: OwnedFd) -> Connection {
        let called = matches!(self.channel, Channel::Direct(_));
        Connection { limit: self.limit, called, ..Connection::over(socket) }
    }

    fn through(channel: Channel) -> Connection {
        let (partial, fds, queue) = (Vec::new(), Vec::new(), VecDeque::new());
        Connection {
            channel,
            partial,
            fds,
            queue,
            queued: 0,
            limit: 2 << 20,
            end: None,
            spoken: false,
            shut: false,
            called: false,
        }
    }

    pub(super) fn socket(&self) -> Option<&OwnedFd> {
        match &self.channel {
            Channel::Socket(socket) => Some(socket),
            Channel::Direct(_) => None,
        }
    }

    /// Sets the largest message that is taken, in bytes; larger ones are garbage.
    pub fn set_limit(&mut self, limit: usize) {
        self.limit = limit;
    }

    /// Why no more messages come, if none do.
    pub fn ended(&self) -> Option<&Ended> {
        self.end.as_ref()
    }

    /// The client has sent something on it.
    pub(super) fn spoken(&self) -> bool {
        self.spoken
    }

    /// Neither side has said that nothing more comes from it.
    pub(super) fn goes_on(&self) -> bool {
        self.end.is_none() && !self.shut
    }

    /// The process that listens at the other end, as the kernel knows it (SO_PEERCRED).
    pub fn peer_pid(&self) -> Option<i32> {
        nix::sys::socket::getsockopt(self.socket()?, nix::sys::socket::sockopt::PeerCredentials)
            .ok()
            .map(|peer| peer.pid())
            .filter(|pid| *pid > 0)
    }

    /// The server's process, where the socket tells it: not where this process listens itself, for a server that
    /// inherits the descriptor or one in a thread.
    pub fn server_pid(&self) -> Option<i32> {
        self.peer_pid().filter(|pid| u32::try_from(*pid).is_ok_and(|pid| pid != std::process::id()))
    }

    /// No more will be sent.
    pub fn shutdown(&mut self) {
        self.shut = true;
        match &mut self.channel {
            Channel::Socket(socket) => {
                // Fails only where the server is gone already, which reading will show.
                let _ = shutdown(socket.as_raw_fd(), Shutdown::Write);
            }
            Channel::Direct(server) => server.shutdown(),
        }
    }

    /// Sends all of `bytes`, cut into pieces that end at `cuts` (bytes from the start), each going out when the server
    /// has read the one before it or after 50 ms; `fds` ride on the first byte. Reads what comes meanwhile, so that two
    /// full sockets cannot block each other.
    ///
    /// # Errors
    /// `Ok(false)` where the server closed or does not read before the deadline; errors are ours.
    pub fn send(
        &mut self,
        bytes: &[u8],
        fds: &[BorrowedFd<'_>],
        cuts: &[usize],
        deadline: Deadline,
        interrupt: &Interrupt,
    ) -> io::Result<bool> {
        self.spoken |= !bytes.is_empty();
        let mut start = 0;
        let ends = cuts.iter().copied().filter(|cut| *cut > 0 && *cut < bytes.len()).chain([bytes.len()]);
        for end in ends {
            if end <= start && !bytes.is_empty() {
                continue;
            }
            if start > 0 {
                self.wait_until_read(deadline, interrupt)?;
            }
            let attached = if start == 0 { fds } else { &[] };
            if !self.send_piece(bytes.get(start..end).unwrap_or_default(), attached, deadline, interrupt)? {
                return Ok(false);
            }
            start = end;
        }
        Ok(true)
    }

    fn send_piece(
        &mut self,
        mut bytes: &[u8],
        fds: &[BorrowedFd<'_>],
        deadline: Deadline,
        interrupt: &Interrupt,
    ) -> io::Result<bool> {
        if let Channel::Direct(server) = &mut self.channel {
            let open = self.end.is_none() && !server.is_closed();
            if open {
                server.give(bytes, fds.iter().map(BorrowedFd::try_clone_to_owned).collect::<io::Result<_>>()?);
            }
            return Ok(open);
        }
        let raw: Vec<RawFd> = fds.iter().map(|fd| fd.as_raw_fd()).collect();
        let mut attached = !raw.is_empty();
        while let (Some(socket), false) = (self.socket(), bytes.is_empty()) {
            let rights = [ControlMessage::ScmRights(&raw)];
            let control: &[ControlMessage<'_>] = if attached { &rights } else { &[] };
            let flags = MsgFlags::MSG_NOSIGNAL | MsgFlags::MSG_DONTWAIT;
            match sendmsg::<UnixAddr>(socket.as_raw_fd(), &[IoSlice::new(bytes)], control, flags, None) {
                Ok(sent) => {
                    attached = false;
                    bytes = &bytes[sent.min(bytes.len())..];
                }
                Err(Errno::EAGAIN) => {
                    let flags = PollFlags::POLLIN | PollFlags::POLLOUT;
                    if self.end.is_some()
                        || deadline.passed()
                        || self.is_full()
                        || wait(&[(socket.as_fd(), flags)], deadline, interrupt)?.0 != Waited::Ready
                    {
                        return Ok(false);
                    }
                    self.fill()?;
                }
                Err(Errno::EINTR) => {}
                Err(Errno::EPIPE | Errno::ECONNRESET | Errno::ENOTCONN) => return Ok(false),
                // Too many descriptors in flight on this machine is ours to say.
                Err(error) => return Err(error.into()),
            }
        }
        Ok(true)
    }

    /// Until the server has read all that was sent (SIOCOUTQ is 0), or 50 ms.
    fn wait_until_read(&self, deadline: Deadline, interrupt: &Interrupt) -> io::Result<()> {
        let piece = deadline.or_after(PIECE);
        while !piece.passed() && !interrupt.raised() && !self.is_read()? {
            // The kernel has no event for "the peer has read": a millisecond between looks.
            wait(&[], Deadline::after(Duration::from_millis(1)).or_after(piece.left()), interrupt)?;
        }
        Ok(())
    }

    /// The server has read all that was sent (SIOCOUTQ is 0), or never will.
    pub(super) fn is_read(&self) -> io::Result<bool> {
        let Some(socket) = self.socket().filter(|_| self.end.is_none()) else { return Ok(true) };
        let mut queued: libc::c_int = 0;
        // SAFETY: SIOCOUTQ (TIOCOUTQ) writes one int to the address given, which is that of a live local.
        let result = unsafe { libc::ioctl(socket.as_raw_fd(), libc::TIOCOUTQ, &mut queued) };
        Errno::result(result)?;
        Ok(queued == 0)
    }

    /// The next message that was read.
    pub fn take_message(&mut self) -> Option<Incoming> {
        let next = self.queue.pop_front()?;
        self.queued = self.queued.saturating_sub(HEADER_SIZE + next.frame.payload.len());
        Some(next)
    }

    /// What came and is no whole message.
    pub fn rest(&self) -> &[u8] {
        &self.partial
    }

    /// Reads no more.
    fn give_up(&mut self, why: Ended) {
        self.end.get_or_insert(why);
        self.fds.clear();
    }

    /// Reads no more, and forgets what was read and not taken: there was too much of something.
    pub(super) fn flooded(&mut self, what: &'static str, count: usize) {
        (self.queue, self.queued) = (VecDeque::new(), 0);
        self.give_up(Ended::Flood { what, count });
    }

    /// What to wait for on this connection.
    pub fn interest(&self) -> Option<(BorrowedFd<'_>, PollFlags)> {
        let socket = self.socket().filter(|_| self.end.is_none() && !self.called)?;
        Some((socket.as_fd(), PollFlags::POLLIN))
    }

    /// More than this is not read before somebody takes messages.
    fn is_full(&self) -> bool {
        self.queued > self.limit
    }

    /// Reads what is there into the queue, without waiting: never more at one time than the message at hand lacks, so
    /// that descriptors belong to the message that they came with.
    ///
    /// # Errors
    /// Only faults of ours; a reset is the server's closing.
    pub fn fill(&mut self) -> io::Result<()> {
        match self.channel {
            Channel::Socket(_) => self.fill_from_socket(),
            Channel::Direct(_) => self.fill_directly(),
        }
    }

    fn fill_from_socket(&mut self) -> io::Result<()> {
        let mut chunk = [0u8; CHUNK];
        for _ in 0..READS {
            if self.end.is_some() || self.is_full() {
                break;
            }
            let Some(lacking) = self.lacking() else { return Ok(()) };
            let Some(socket) = self.socket() else { return Ok(()) };
            let room = chunk.get_mut(..lacking.min(CHUNK)).unwrap_or_default();
            match receive(socket.as_fd(), room) {
                Ok(Received { bytes: 0, .. }) => self.end = Some(Ended::Closed { partial: self.partial.len() }),
                Ok(received) => {
                    self.partial.extend_from_slice(chunk.get(..received.bytes).unwrap_or_default());
                    if !received.fds.is_empty() || received.cut_short {
                        self.fds.extend(received.fds);
                        self.check_descriptors(received.cut_short)?;
                    }
                    self.complete();
                }
                Err(Errno::EAGAIN) => return Ok(()),
                Err(Errno::EINTR) => {}
                Err(Errno::ECONNRESET | Errno::EPIPE) => {
                    self.end = Some(Ended::Closed { partial: self.partial.len() });
                }
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }

    fn fill_directly(&mut self) -> io::Result<()> {
        while let (Channel::Direct(server), None, false) = (&mut self.channel, &self.end, self.queued > self.limit) {
            let Some((bytes, fds)) = server.take() else {
                if server.is_closed() {
                    self.end = Some(Ended::Closed { partial: self.partial.len() });
                }
                return Ok(());
            };
            if !fds.is_empty() {
                self.fds.extend(fds);
                self.check_descriptors(false)?;
            }
            let mut rest = bytes.as_slice();
            while let (false, Some(lacking)) = (rest.is_empty(), self.lacking()) {
                let (now, later) = rest.split_at(lacking.min(rest.len()));
                rest = later;
                self.partial.extend_from_slice(now);
                self.complete();
            }
        }
        Ok(())
    }

    /// How many bytes the message at hand lacks: of its header first. `None` where its size field makes it no message.
    fn lacking(&mut self) -> Option<usize> {
        let have = self.partial.len();
        if have < HEADER_SIZE {
            return Some(HEADER_SIZE - have);
        }
        match Frame::split(&self.partial, self.limit) {
            Err(error) => {
                self.give_up(Ended::Garbage(error));
                None
            }
            Ok(_) => Header::parse(&self.partial).map(|(header, _)| (header.size as usize).saturating_sub(have)),
        }
    }

    /// Queues the message at hand if it is whole.
    fn complete(&mut self) {
        if let Ok(Some((frame, _))) = Frame::split(&self.partial, self.limit) {
            self.queued += HEADER_SIZE + frame.payload.len();
            self.queue.push_back(Incoming { frame, fds: std::mem::take(&mut self.fds) });
            self.partial.clear();
        }
    }

    fn check_descriptors(&mut self, cut_short: bool) -> io::Result<()> {
        let count = self.fds.len() + self.queue.iter().map(|incoming| incoming.fds.len()).sum::<usize>();
        if count > FLOOD || (cut_short && count > MANY) {
            self.give_up(Ended::Flood { what: "file descriptors that belong to no message", count });
        } else if cut_short {
            // Not the server's doing: this process can hold no more.
            return Err(Errno::EMFILE.into());
        }
        Ok(())
    }
}

/// What one recvmsg(2) gave.
struct Received {
    bytes: usize,
    fds: Vec<OwnedFd>,
    /// Descriptors were lost: this process can hold no more.
    cut_short: bool,
}

/// recvmsg(2) by hand: the library's own gives nothing where descriptors were cut off, and so leaks those that came.
fn receive(socket: BorrowedFd<'_>, chunk: &mut [u8]) -> Result<Received, Errno> {
    let mut control = nix::cmsg_space!([RawFd; MOST_FDS]);
    let mut buffer = libc::iovec { iov_base: chunk.as_mut_ptr().cast(), iov_len: chunk.len() };
    // SAFETY: msghdr is plain data for which all zeroes mean "nothing".
    let mut message: libc::msghdr = unsafe { std::mem::zeroed() };
    message.msg_iov = &mut buffer;
    message.msg_iovlen = 1;
    message.msg_control = control.as_mut_ptr().cast();
    message.msg_controllen = control.capacity();
    // SAFETY: the buffers that `message` points to are live and as long as it says.
    let result =
        unsafe { libc::recvmsg(socket.as_raw_fd(), &mut message, libc::MSG_CMSG_CLOEXEC | libc::MSG_DONTWAIT) };
    let bytes = Errno::result(result)? as usize;
    let mut fds = Vec::new();
    // SAFETY: the kernel has filled the control buffer up to msg_controllen; the CMSG macros stay inside it.
    unsafe {
        let mut header = libc::CMSG_FIRSTHDR(&message);
        while let Some(found) = header.as_ref() {
            if (found.cmsg_level, found.cmsg_type) == (libc::SOL_SOCKET, libc::SCM_RIGHTS) {
                let data = libc::CMSG_DATA(found).cast::<RawFd>();
                let count = found.cmsg_len.saturating_sub(libc::CMSG_LEN(0) as usize) / size_of::<RawFd>();
                // The kernel has just made these descriptors for this process, and nothing else knows them.
                fds.extend((0..count).map(|at| OwnedFd::from_raw_fd(data.add(at).read_unaligned())));
            }
            header = libc::CMSG_NXTHDR(&message, found);
        }
    }
    Ok(Received { bytes, fds, cut_short: message.msg_flags & libc::MSG_CTRUNC != 0 })
}

#[cfg(test)]
mod tests {
    use std::fs::File;

    use super::*;

    /// A server that never ends its first message, and passes descriptors with each byte of it.
    #[derive(Debug)]
    struct Passing(usize);

    impl Direct for Passing {
        fn give(&mut self, _: &[u8], _: Vec<OwnedFd>) {}

        fn take(&mut self) -> Option<(Vec<u8>, Vec<OwnedFd>)> {
            let fds = (0..self.0).map(|_| File::open("/dev/null").map(OwnedFd::from));
            Some((vec![0], fds.collect::<io::Result<_>>().unwrap()))
        }

        fn shutdown(&mut self) {}

        fn is_closed(&self) -> bool {
            false
        }
    }

    #[test]
    fn descriptors_of_no_message_are_a_flood_before_there_are_no_more() {
        let ended = |at_one_time| {
            let mut connection = Connection::direct(Box::new(Passing(at_one_time)));
            connection.fill().unwrap();
            connection.ended().cloned()
        };
        assert!(matches!(ended(200), Some(Ended::Flood { count: 600, .. })));
        // A message has come by then, if none that anybody could read.
        assert!(matches!(ended(30), Some(Ended::Garbage(_))));
    }

    #[test]
    fn few_that_this_process_can_hold_no_more_of_are_not_the_servers_doing() {
        let cut_short = |held: usize| {
            let mut connection = Connection::direct(Box::new(Passing(0)));
            connection.fds = (0..held).map(|_| File::open("/dev/null").unwrap().into()).collect();
            let errno = connection.check_descriptors(true).err().and_then(|error| error.raw_os_error());
            (errno, connection.ended().is_some())
        };
        assert_eq!(cut_short(1), (Some(Errno::EMFILE as i32), false));
        assert_eq!(cut_short(MANY), (Some(Errno::EMFILE as i32), false));
        assert_eq!(cut_short(MANY + 1), (None, true));
    }
}
