//! Commands and their answers for tests.

use nix::errno::Errno;
use vfio_user_wire::{Dialect, Frame};

use super::{Command, Judgement, PassedFd, Reply, Session};
use crate::verdict::Class;

/// What an answer breaks, and how much each weighs.
pub(super) type Said = Vec<(&'static str, Class)>;

/// A command by its name, with the message id `id`.
pub(super) fn command(dialect: &'static Dialect, id: usize, name: &str, payload: Vec<u8>, fds: &[PassedFd]) -> Command {
    let (number, message) = dialect.command(name).unwrap();
    let frame = Frame::command(id as u16, number, payload);
    Command { header: frame.header, payload: frame.payload, message: Some(message), fds: fds.to_vec(), cut: None }
}

/// Sends a command and answers it: with that payload, or an error.
pub(super) fn exchange(session: &mut Session, ticket: usize, command: Command, answer: Result<Vec<u8>, Errno>) -> Said {
    let judgements = judged(session, ticket, command, answer).into_iter();
    judgements.filter_map(|said| Some((said.requirement, said.broken?.class))).collect()
}

/// The same; all that is said of it, and what held.
pub(super) fn judged(
    session: &mut Session,
    ticket: usize,
    command: Command,
    answer: Result<Vec<u8>, Errno>,
) -> Vec<Judgement> {
    session.sent(ticket, command.clone());
    let frame = match answer {
        Ok(payload) => Frame::reply(&command.header, payload),
        Err(errno) => Frame::error(&command.header, errno as u32),
    };
    let reply = Reply { header: &frame.header, payload: &frame.payload, fds: 0 };
    session.answered(ticket, &command, &reply).into_iter().map(|(_, said)| said).collect()
}
