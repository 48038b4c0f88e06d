//! Commands and their answers for tests.

use nix::errno::Errno;
use serde_json::json;
use vfio_user_wire::message::Version;
use vfio_user_wire::{Dialect, Frame, Limits, VersionData};

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

/// A reply to VERSION that states the limits.
pub(super) fn states(limits: Limits) -> Vec<u8> {
    let stated = json!({
        "max_msg_fds": limits.max_msg_fds,
        "max_data_xfer_size": limits.max_data_xfer_size,
        "max_dma_maps": limits.max_dma_maps,
        "pgsizes": limits.pgsizes,
        "write_multiple": true,
    });
    let capabilities = stated.as_object().cloned().unwrap_or_default();
    [Version::default().bytes(), &VersionData::with_capabilities(capabilities).bytes()].concat()
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
