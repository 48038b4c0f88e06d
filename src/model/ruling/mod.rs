//! What may be answered to each command, and what it does: one file for each family.

mod dma_logging;
mod features;
mod form;
mod io_fds;
mod irqs;
mod legacy;
mod limits;
mod maps;
mod mig_data;
mod migration;
mod overheard;
mod queries;
mod region_write_multi;
mod regions;
mod tables;
mod version;

use vfio_user_wire::message::{
    DEVICE_FEATURE, DEVICE_GET_INFO, DEVICE_GET_IRQ_INFO, DEVICE_GET_REGION_INFO, DEVICE_GET_REGION_IO_FDS,
    DEVICE_RESET, DEVICE_SET_IRQS, DMA_MAP, DMA_UNMAP, MIG_DATA_READ, MIG_DATA_WRITE, REGION_READ, REGION_WRITE,
    REGION_WRITE_MULTI, VERSION,
};
use vfio_user_wire::{Dialect, Direction, Message};

pub(super) use self::irqs::{automasked, may_interrupt};
pub(super) use self::limits::exceeded;
pub(super) use self::overheard::apply as overhear;
use super::edition::Edition;
use super::permits::Permits;
use super::session::{Given, Phase, State};
use super::{Command, Judgements};

/// What is known of one command.
struct Ruling {
    message: &'static Message,
    /// What may be answered to it, well formed and after negotiation.
    permits: fn(&State, &Command) -> Permits,
    /// What its successful reply must say in this state.
    judge: fn(&State, &Command, &[u8], &mut Judgements),
    /// What it does.
    apply: fn(&mut State, &Command, Given<'_>),
}

const RULINGS: &[Ruling] = &[
    Ruling { message: &VERSION, permits: version::permits, judge: nothing, apply: version::apply },
    Ruling { message: &DMA_MAP, permits: maps::permits_map, judge: nothing, apply: maps::apply_map },
    Ruling { message: &DMA_UNMAP, permits: maps::permits_unmap, judge: nothing, apply: maps::apply_unmap },
    Ruling { message: &DEVICE_GET_INFO, permits: queries::permits_info, judge: queries::judge_info, apply: no_effect },
    Ruling {
        message: &DEVICE_GET_REGION_INFO,
        permits: queries::permits_region_info,
        judge: queries::judge_region_info,
        apply: queries::apply_region_info,
    },
    Ruling { message: &DEVICE_GET_REGION_IO_FDS, permits: io_fds::permits, judge: io_fds::judge, apply: no_effect },
    Ruling {
        message: &DEVICE_GET_IRQ_INFO,
        permits: queries::permits_irq_info,
        judge: queries::judge_irq_info,
        apply: no_effect,
    },
    Ruling { message: &DEVICE_SET_IRQS, permits: irqs::permits, judge: nothing, apply: irqs::apply },
    Ruling { message: &REGION_READ, permits: regions::permits_read, judge: regions::judge_read, apply: no_effect },
    Ruling {
        message: &REGION_WRITE,
        permits: regions::permits_write,
        judge: regions::judge_write,
        apply: regions::apply_write,
    },
    Ruling {
        message: &REGION_WRITE_MULTI,
        permits: region_write_multi::permits,
        judge: region_write_multi::judge,
        apply: region_write_multi::apply,
    },
    Ruling { message: &DEVICE_RESET, permits: queries::permits_reset, judge: nothing, apply: queries::apply_reset },
    Ruling {
        message: &MIG_DATA_READ,
        permits: mig_data::permits_read,
        judge: mig_data::judge_read,
        apply: mig_data::apply_read,
    },
    Ruling { message: &MIG_DATA_WRITE, permits: mig_data::permits_write, judge: nothing, apply: mig_data::apply_write },
    Ruling { message: &DEVICE_FEATURE, permits: features::permits, judge: features::judge, apply: features::apply },
];

/// The ruling for a message: where its text has it otherwise than 0.9.2, that stands before.
fn ruling_of(edition: Edition, message: &Message) -> Option<&'static Ruling> {
    let own = match edition {
        Edition::Current => &[],
        Edition::Legacy => legacy::RULINGS,
        Edition::Tables(_) => tables::RULINGS,
    };
    own.iter().chain(RULINGS).find(|ruling| ruling.message.name == message.name)
}

fn ruling(state: &State, command: &Command) -> Option<&'static Ruling> {
    ruling_of(state.edition(), command.message?)
}

/// Whether the model can judge the answer to a message of a dialect: it has a ruling, or what is due does not depend on what it asks
/// for.
pub fn is_known(dialect: &Dialect, message: &Message) -> bool {
    message.direction != Direction::ToServer || ruling_of(Edition::of(dialect), message).is_some()
}

/// The command may change the state that the registers of a migration region show.
pub(super) fn changes_migration_region(state: &State, command: &Command) -> bool {
    state.edition() != Edition::Current && legacy::migration_region::changes_state(state, command)
}

/// What may be answered to a command in this state.
pub(super) fn permits(state: &State, command: &Command) -> Permits {
    let permits = form::permits(state, command).unwrap_or_else(|| {
        ruling(state, command).map_or_else(Permits::anything, |ruling| (ruling.permits)(state, command))
    });
    let mut permits = match command.cut_breaks() {
        // What a whole message would have got.
        Some(requirement) => permits.refused_for(requirement),
        None => permits,
    };
    match state.edition() {
        Edition::Current => migration::stopped(state, command, &mut permits),
        Edition::Legacy | Edition::Tables(_) => legacy::migration_region::stopped(state, command, &mut permits),
    }
    permits.renamed(|requirement| state.edition().own_name(requirement))
}

/// Judges a successful reply by the state.
pub(super) fn judge(state: &State, command: &Command, payload: &[u8], out: &mut Judgements) {
    if state.phase == Phase::Negotiated
        && let Some(ruling) = ruling(state, command)
        && payload.len() >= ruling.message.reply.fixed_size()
        && command.payload.len() >= ruling.message.request.fixed_size()
    {
        let mut said = Judgements::default();
        (ruling.judge)(state, command, payload, &mut said);
        for mut judgement in said.into_vec() {
            judgement.requirement = state.edition().own_name(judgement.requirement);
            out.push(judgement);
        }
    }
}

/// Does to the state what the command did.
pub(super) fn apply(state: &mut State, command: &Command, given: Given<'_>) {
    if state.phase == Phase::Connected && !matches!(given, Given::Ok(_)) {
        state.phase = Phase::Refused;
    }
    mig_data::interrupt(state, command, given);
    let Some(ruling) = ruling(state, command) else {
        return state.refuse_fds(command, super::LetGo::Stray);
    };
    // A message that is no command, or lacks a part of its structure, should do nothing; what it did nobody knows
    // where it was not refused.
    let is_command = command.header.message_type() == vfio_user_wire::TYPE_COMMAND;
    if is_command && command.payload.len() >= ruling.message.request.fixed_size() {
        (ruling.apply)(state, command, given);
        if ruling.message.name != DEVICE_FEATURE.name && !legacy::migration_region::is_access(state, command) {
            state.migration.pass();
        }
    } else if matches!(given, Given::Ok(_)) {
        state.doubt_all();
    }
}

fn nothing(_: &State, _: &Command, _: &[u8], _: &mut Judgements) {}

fn no_effect(state: &mut State, command: &Command, _: Given<'_>) {
    state.refuse_fds(command, super::LetGo::Stray);
}
