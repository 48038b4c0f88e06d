//! DEVICE_SET_IRQS.

use vfio_user_wire::irq_info_flags::{AUTOMASKED, EVENTFD, MASKABLE, NORESIZE};
use vfio_user_wire::irq_set_flags::{
    ACTION_MASK, ACTION_TRIGGER, ACTION_UNMASK, DATA_BOOL, DATA_EVENTFD, DATA_MASK, DATA_NONE,
};
use vfio_user_wire::message::{DEVICE_SET_IRQS, IrqSet};
use vfio_user_wire::tables::Table;

use super::super::command::FdKind;
use super::super::edition::Edition;
use super::super::permits::Permits;
use super::super::session::{Given, State};
use super::super::{Command, LetGo, Offer};
use crate::verdict::Class::{Note, Violation};

const ACTIONS: u32 = ACTION_MASK | ACTION_UNMASK | ACTION_TRIGGER;
/// Every flag that means something.
const FLAGS: u32 = DATA_MASK | ACTIONS;

/// How many of one type are followed where they are masked without being bound: a server may say that it has 2^32. A PCI device has
/// 2,048 at the most.
const MOST: u32 = 4096;

/// What a message asks for, where that is one thing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Ask {
    /// The whole type is disabled.
    Disable,
    /// Descriptors are bound.
    Assign,
    /// Nothing is bound any more.
    Deassign,
    /// In version 8, whose text does not say that nothing is bound then: perhaps interrupts by message, as it has them.
    ByMessage,
    /// Interrupts are triggered: by DATA_BOOL, or all of the range.
    Trigger { bools: bool },
    /// They are masked, or unmasked.
    Mask { unmask: bool },
    /// Descriptors are bound to masking or unmasking.
    WatchMask,
    /// The special case by its data, start and count, which are all that the text names (1255-1257), with another action.
    MayDisable,
    /// Count 0, and not the special case.
    Nothing,
    /// It contradicts itself.
    Unclear,
}

fn ask(state: &State, command: &Command, set: &IrqSet) -> Ask {
    let (flags, start, count) = (set.flags, set.start, set.count);
    match (flags & DATA_MASK, flags & ACTIONS) {
        (DATA_NONE, ACTION_TRIGGER) if count == 0 && start == 0 => Ask::Disable,
        (DATA_NONE, ACTION_MASK | ACTION_UNMASK) if count == 0 && start == 0 => Ask::MayDisable,
        (DATA_NONE | DATA_BOOL | DATA_EVENTFD, ACTION_MASK | ACTION_UNMASK | ACTION_TRIGGER) if count == 0 => {
            Ask::Nothing
        }
        (DATA_EVENTFD, ACTION_TRIGGER) if command.fds.is_empty() => match state.edition() {
            Edition::Tables(Table::V8) => Ask::ByMessage,
            _ => Ask::Deassign,
        },
        (DATA_EVENTFD, ACTION_TRIGGER) => Ask::Assign,
        (DATA_EVENTFD, ACTION_MASK | ACTION_UNMASK) => Ask::WatchMask,
        (data @ (DATA_NONE | DATA_BOOL), ACTION_TRIGGER) => Ask::Trigger { bools: data == DATA_BOOL },
        (DATA_NONE | DATA_BOOL, action @ (ACTION_MASK | ACTION_UNMASK)) => {
            Ask::Mask { unmask: action == ACTION_UNMASK }
        }
        _ => Ask::Unclear,
    }
}

pub(super) fn permits(state: &State, command: &Command) -> Permits {
    let Some((set, data)) = IrqSet::parse(&command.payload) else { return Permits::either() };
    let (flags, index, start, count) = (set.flags, set.index, set.start, set.count);
    let fds = command.fds.len();
    if state.offer.num_irqs.is_some_and(|known| index >= known) {
        return Permits::refusal("SETIRQS-13", Violation, "a refusal: there is no interrupt type of this index");
    }
    let Some(irq) = state.offer.irq(u64::from(index)) else { return Permits::either() };
    if irq.count == 0 {
        return match count {
            0 => Permits::either(),
            _ => Permits::refusal("IRQINFO-03", Violation, "a refusal: the interrupt type has no interrupts"),
        };
    }
    if u64::from(start) + u64::from(count) > u64::from(irq.count) {
        let expected = format!("a refusal: the last interrupt of the type is {}", irq.count - 1);
        return Permits::refusal("SETIRQS-12", Violation, expected);
    }
    if (flags & DATA_MASK).count_ones() > 1 {
        return Permits::refusal("SETIRQS-06", Note, "a refusal: the DATA flags exclude each other");
    }
    if (flags & ACTIONS).count_ones() > 1 {
        return Permits::refusal("SETIRQS-07", Note, "a refusal: the ACTION flags exclude each other");
    }
    if flags & DATA_MASK == 0 || flags & ACTIONS == 0 {
        return Permits::refusal("SETIRQS-08", Note, "a refusal: a DATA flag or an ACTION flag is missing");
    }
    let bools = flags & DATA_BOOL != 0;
    if bools && (data.len() as u64) < u64::from(count) {
        let expected = format!("a refusal: {} bytes came for {count} sub-indexes", data.len());
        return Permits::refusal("SETIRQS-16", Violation, expected);
    }
    if { set.argsz } < 20 {
        return Permits::refusal("SETIRQS-19", Note, "a refusal: argsz is less than the structure");
    }
    let expected_data = if bools { count as usize } else { 0 };
    let right_size = data.len() == expected_data && { set.argsz } as usize == command.payload.len();
    if !right_size || flags & !FLAGS != 0 {
        return Permits::either();
    }
    let ask = ask(state, command, &set);
    if fds > 0 && ask != Ask::Assign && ask != Ask::WatchMask {
        return Permits::either();
    }
    match ask {
        Ask::Disable if state.irqs.surely_bound(index) => {
            Permits::success("SETIRQS-09", Violation, "success: every interrupt of the type is disabled")
        }
        Ask::Disable => Permits::success("SETIRQS-32", Note, "success: there may be nothing to disable"),
        Ask::Assign => permits_assign(state, command, &set),
        Ask::ByMessage => Permits::either().testing("V8-23"),
        Ask::Deassign if state.irqs.all_bound(index, start, count) && irq.flags & NORESIZE == 0 => {
            Permits::success("SETIRQS-10", Violation, "success: the sub-indexes are de-assigned")
        }
        Ask::Deassign if !state.irqs.any_bound(index) => {
            Permits::success("SETIRQS-31", Note, "success: nothing is assigned")
        }
        Ask::Trigger { bools } if state.irqs.all_bound(index, start, count) => {
            let requirement = if bools { "SETIRQS-04" } else { "SETIRQS-03" };
            Permits::success(requirement, Note, "success: every sub-index of the range is assigned")
        }
        Ask::Trigger { .. } if !state.irqs.any_bound(index) => Permits::either().testing("SETIRQS-22"),
        Ask::Mask { .. } if irq.flags & MASKABLE == 0 => {
            Permits::refusal("SETIRQS-20", Note, "a refusal: the type is not maskable")
        }
        Ask::Mask { .. } if state.irqs.all_bound(index, start, count) => {
            Permits::success("IRQINFO-06", Violation, "success: the type is maskable")
        }
        Ask::Deassign
        | Ask::Trigger { .. }
        | Ask::Mask { .. }
        | Ask::WatchMask
        | Ask::MayDisable
        | Ask::Nothing
        | Ask::Unclear => Permits::either(),
    }
}

fn permits_assign(state: &State, command: &Command, set: &IrqSet) -> Permits {
    let (index, start, count) = (set.index, set.start, set.count);
    let fds = command.fds.len();
    if fds as u64 != u64::from(count) {
        return Permits::refusal(
            "SETIRQS-14",
            Note,
            format!("a refusal: {fds} file descriptors came for {count} sub-indexes"),
        );
    }
    let Some(irq) = state.offer.irq(u64::from(index)).filter(|irq| irq.flags & EVENTFD != 0) else {
        return Permits::either();
    };
    let eventfds = command.fds.iter().all(|fd| fd.kind == FdKind::Eventfd);
    // A type may have to be set up as a whole, and a server may take one type at a time.
    let bound = irq.flags & NORESIZE != 0 && (state.irqs.any_bound(index) || start != 0);
    if !eventfds || bound || state.irqs.others_bound(index) || !state.alone {
        return Permits::either();
    }
    if fds as u64 == state.offer.limits.max_msg_fds && fds > 1 {
        return Permits::success("SETIRQS-25", Violation, "success: it brings no more than max_msg_fds");
    }
    Permits::success("IRQINFO-05", Violation, "success: the type can signal eventfds")
}

pub(super) fn apply(state: &mut State, command: &Command, given: Given<'_>) {
    let Some((set, data)) = IrqSet::parse(&command.payload) else { return };
    let (index, start, count) = (set.index, set.start, set.count);
    let fds: Vec<u64> = command.fds.iter().map(|fd| fd.id).collect();
    let sure = matches!(given, Given::Ok(_));
    let ask = ask(state, command, &set);
    let range = start..start.saturating_add(count);
    let inside = state
        .offer
        .irq(u64::from(index))
        .is_some_and(|irq| u64::from(start) + u64::from(count) <= u64::from(irq.count));
    // Of what is not certain to have left the masks alone, anything may have come.
    if !sure || !matches!(ask, Ask::Assign | Ask::Trigger { .. } | Ask::Mask { .. }) {
        state.irqs.doubt_masks(index);
    }
    let by = |bools| if bools { "SETIRQS-04" } else { "SETIRQS-03" };
    if matches!(given, Given::Error) {
        // What is refused binds nothing; a trigger that is refused may have fired in part.
        state.refuse_fds(command, LetGo::Refused);
        if let Ask::Trigger { bools } = ask {
            for sub in state.irqs.bound(index, range) {
                state.irqs.fire(index, sub, false, false, by(bools));
            }
        }
        return;
    }
    let contradicts = match ask {
        Ask::Unclear => true,
        Ask::Assign => fds.len() as u64 != u64::from(count),
        Ask::Trigger { bools: true } => (data.len() as u64) < u64::from(count),
        _ => false,
    };
    if contradicts || !inside {
        // It was accepted nevertheless: nobody knows what came of it.
        if matches!(ask, Ask::Trigger { .. } | Ask::Unclear) {
            for sub in state.irqs.bound(index, 0..u32::MAX) {
                state.irqs.fire(index, sub, false, false, by(false));
            }
        }
        state.irqs.lose(&fds);
        state.irqs.doubt_all();
        return;
    }
    // What is kept of them, it may hold all the same.
    state.refuse_fds(command, LetGo::Stray);
    match ask {
        Ask::Disable => state.irqs.disable(index, sure),
        Ask::MayDisable => state.irqs.disable(index, false),
        Ask::Assign => {
            state.irqs.deafen(command.fds.iter().filter(|fd| fd.kind != FdKind::Eventfd).map(|fd| fd.id));
            state.irqs.assign(index, start, &fds, sure);
        }
        Ask::Deassign => state.irqs.deassign(index, start, count, sure),
        Ask::ByMessage => {
            state.irqs.deassign(index, start, count, false);
            state.irqs.tells(index);
        }
        Ask::Trigger { bools } => {
            let automasked = automasked(&state.offer, index);
            for sub in state.irqs.bound(index, range) {
                let byte = if bools { data.get((sub - start) as usize).copied() } else { Some(1) };
                if byte == Some(0) {
                    continue;
                }
                // A byte that is neither 0 nor 1 may be read either way (SETIRQS-05).
                // A stopped device raises nothing; what the client triggers may be another matter.
                let runs = !state.migration.may_be_stopped();
                let certain = sure && runs && byte == Some(1);
                state.irqs.fire(index, sub, certain, automasked, by(bools));
            }
        }
        Ask::Mask { unmask } => {
            let (bools, many) = (set.flags & DATA_BOOL != 0, count > MOST);
            let chosen = |holds: fn(u8) -> bool| -> Vec<u32> {
                match bools {
                    true => range.clone().zip(data).filter(|(_, byte)| holds(**byte)).map(|(sub, _)| sub).collect(),
                    false if many => state.irqs.bound(index, range.clone()),
                    false => range.clone().collect(),
                }
            };
            let certain = chosen(|byte| byte == 1);
            let chosen = chosen(|byte| byte != 0);
            if many && !bools {
                state.irqs.veil(index);
            }
            if unmask {
                state.irqs.unmask(index, &chosen, automasked(&state.offer, index));
            }
            if !unmask || !sure {
                state.irqs.mask(index, &chosen);
            }
            let maskable = state.offer.irq(u64::from(index)).is_some_and(|irq| irq.flags & MASKABLE != 0);
            if !unmask && sure && maskable {
                state.irqs.silence(index, &certain);
            }
        }
        Ask::WatchMask => state.irqs.lose(&fds),
        Ask::Nothing | Ask::Unclear => {}
    }
}

/// A command after which an interrupt need not be the device's own: all but the assignment of descriptors.
pub(in super::super) fn may_interrupt(command: &Command) -> bool {
    let is_set = command.message.is_some_and(|message| message.name == DEVICE_SET_IRQS.name);
    let assigns = |set: &IrqSet| set.flags & DATA_MASK == DATA_EVENTFD;
    is_set && IrqSet::parse(&command.payload).is_none_or(|(set, _)| !assigns(&set))
}

/// The type masks itself when it fires.
pub(in super::super) fn automasked(offer: &Offer, index: u32) -> bool {
    offer.irq(u64::from(index)).is_some_and(|irq| irq.flags & AUTOMASKED != 0)
}
