//! DEVICE_FEATURE.

use super::super::permits::Permits;
use super::super::session::{Given, State};
use super::super::{Command, Judgements, LetGo};
use super::dma_logging;

pub(super) fn permits(state: &State, command: &Command) -> Permits {
    dma_logging::permits(state, command).unwrap_or_else(Permits::either)
}

pub(super) fn judge(state: &State, command: &Command, payload: &[u8], out: &mut Judgements) {
    dma_logging::judge(state, command, payload, out);
}

pub(super) fn apply(state: &mut State, command: &Command, given: Given<'_>) {
    state.refuse_fds(command, LetGo::Stray);
    dma_logging::apply(state, command, given);
}
