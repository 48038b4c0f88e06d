//! A command, what goes with it, and its reply.

use std::os::fd::OwnedFd;

use vfio_user_wire::Header;

use super::LentRange;
use crate::model::{Command, Judgement, PassedFd};

/// A command that was sent, and its reply once it came.
#[derive(Debug)]
pub struct Sent {
    /// On which end.
    pub end: usize,
    /// Which line of the case sent it.
    pub origin: Origin,
    /// What was sent.
    pub command: Command,
    /// Its number in the transcript.
    pub entry: usize,
    /// The reply.
    pub answer: Option<Answer>,
    /// The requirements that the model has judged the answer by, or would have judged another one by: their ids.
    pub judged: Vec<&'static str>,
    /// A line has asked for it already.
    pub claimed: bool,
    /// What it does to the memory that is lent.
    pub effect: Effect,
}

/// Which line of a case sent a command.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Origin {
    /// The step, from 1; 0 for the harness's own commands.
    pub step: usize,
    /// The line of the case file, from 1; 0 for none.
    pub line: usize,
    /// The label that it gave.
    pub label: Option<String>,
}

/// What goes with a command.
#[derive(Debug, Clone, Copy, Default)]
pub struct Passed<'a> {
    /// The descriptors.
    pub fds: &'a [PassedFd],
    /// Where the message is cut, in bytes from its start.
    pub cuts: &'a [usize],
}

/// What a command does to the memory that is lent.
#[derive(Debug, Clone, Default)]
pub enum Effect {
    /// Nothing.
    #[default]
    None,
    /// DMA_MAP: lent from its sending on, unless it is refused.
    Lend(Vec<LentRange>),
    /// DMA_UNMAP: taken back once it succeeded. Addresses and sizes.
    TakeBack(Vec<(u64, u64)>),
    /// DMA_UNMAP of everything (policy A-04): taken back once it succeeded.
    TakeBackAll,
}

impl Effect {
    /// What is lent.
    pub(super) fn lent(&self) -> &[LentRange] {
        match self {
            Effect::Lend(ranges) => ranges,
            _ => &[],
        }
    }
}

/// A reply that came.
#[derive(Debug)]
pub struct Answer {
    /// Its header.
    pub header: Header,
    /// Its payload.
    pub payload: Vec<u8>,
    /// Descriptors that came with it, but for one that became a twin socket.
    pub fds: Vec<OwnedFd>,
    /// How many descriptors came with it.
    pub passed: usize,
    /// Its number in the transcript.
    pub entry: usize,
}

/// What the model said of a message.
#[derive(Debug)]
pub struct Judged {
    /// The judgement.
    pub judgement: Judgement,
    /// The step that it belongs to; 0 for none.
    pub step: usize,
    /// Its line.
    pub line: usize,
    /// The message's number in the transcript.
    pub entry: usize,
}
