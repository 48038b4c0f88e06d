//! The interrupt types, and whether the client can trigger them.

use std::os::fd::BorrowedFd;

use vfio_user_wire::irq_set_flags::{ACTION_TRIGGER, DATA_EVENTFD, DATA_NONE};
use vfio_user_wire::message::{DEVICE_GET_IRQ_INFO, DEVICE_SET_IRQS, IrqInfo, IrqSet};
use vfio_user_wire::{irq, irq_info_flags};

use super::ProbeError;
use super::asker::{Asked, Asker, Question, Trouble};
use crate::session::{Deadline, Held, Interrupt};
use crate::target::{Discovered, Irq};

const MOST: u32 = 64;

/// Every interrupt type.
pub(super) fn ask(question: &mut Question<'_>, found: &mut Discovered) -> Asked<()> {
    for index in 0..found.num_irqs.min(MOST) {
        let request = IrqInfo { argsz: 16, index, ..IrqInfo::default() };
        let Ok(reply) = question.ask(DEVICE_GET_IRQ_INFO.name, request.bytes(), &[])? else { continue };
        let Some((info, _)) = IrqInfo::parse(&reply.payload) else {
            return Err(Trouble::Answer(format!(
                "DEVICE_GET_IRQ_INFO of index {index} was answered with {} bytes of payload",
                reply.payload.len()
            )));
        };
        found.irqs.push(Irq { index, flags: info.flags, count: info.count });
    }
    Ok(())
}

/// Which types can be assigned and triggered, each asked with a server of its own.
pub(super) fn ask_triggers(asker: &Asker<'_>, found: &mut Discovered) -> Result<(), ProbeError> {
    let usable: Vec<Irq> = found
        .irqs
        .iter()
        .filter(|irq| irq.count > 0 && irq.flags & irq_info_flags::EVENTFD != 0 && irq.index <= irq::MSIX)
        .cloned()
        .collect();
    let names = |prefix: &str, irq: &Irq| {
        [(format!("{prefix}.index"), u64::from(irq.index)), (format!("{prefix}.count"), u64::from(irq.count))]
    };
    let yes = |found: &mut Discovered, need: &str, prefix: &str, irq: &Irq| {
        let names = names(prefix, irq);
        let names: Vec<(&str, u64)> = names.iter().map(|(name, value)| (name.as_str(), *value)).collect();
        found.yes(need, &names);
    };
    let (mut triggered, mut triggered_multi, mut socket) = (None, None, None);
    for irq in &usable {
        let mut works = false;
        asker.group(&format!("triggering interrupt type {}", irq.index), found, |question, found| {
            let (triggered, surplus) = triggers(question, irq, asker.interrupt, &Held::eventfd(0)?)?;
            works = triggered;
            found.restless |= surplus;
            Ok(())
        })?;
        if works {
            triggered.get_or_insert(irq.clone());
            if irq.count >= 3 && irq.flags & irq_info_flags::NORESIZE == 0 {
                triggered_multi.get_or_insert(irq.clone());
            }
        }
        if socket.is_none() {
            asker.group(&format!("a socket for interrupt type {}", irq.index), found, |question, _| {
                let pair = Held::socketpair(false)?;
                let Some(fd) = pair.descriptor() else { return Ok(()) };
                socket = assign(question, irq, fd)?.then(|| irq.clone());
                Ok(())
            })?;
        }
    }
    // One that can be triggered makes the better example of the others.
    let multi = triggered_multi
        .clone()
        .or_else(|| usable.iter().find(|irq| irq.count >= 3 && irq.flags & irq_info_flags::NORESIZE == 0).cloned());
    let one = triggered.clone().or_else(|| usable.first().cloned());
    let uses = [
        ("irq", "irq", &one),
        ("irq-multi", "multi", &multi),
        ("irq-trigger", "irq", &triggered),
        ("irq-multi-trigger", "multi", &triggered_multi),
        ("irq-socket", "irq", &socket),
    ];
    for (need, prefix, irq) in uses {
        if let Some(irq) = irq {
            yes(found, need, prefix, irq);
        }
    }
    if let Some(other) = one.as_ref().and_then(|one| usable.iter().find(|irq| irq.index != one.index)) {
        yes(found, "irq-two", "second", other);
    }
    Ok(())
}

fn set(question: &mut Question<'_>, irq: &Irq, flags: u32, fds: &[BorrowedFd<'_>]) -> Asked<bool> {
    let request = IrqSet { argsz: 20, flags, index: irq.index, start: 0, count: 1 };
    Ok(question.ask(DEVICE_SET_IRQS.name, request.bytes(), fds)?.is_ok())
}

fn assign(question: &mut Question<'_>, irq: &Irq, fd: BorrowedFd<'_>) -> Asked<bool> {
    set(question, irq, DATA_EVENTFD | ACTION_TRIGGER, &[fd])
}

/// Whether the client can trigger the type, and whether an interrupt came before anybody asked for one.
fn triggers(question: &mut Question<'_>, irq: &Irq, interrupt: &Interrupt, held: &Held) -> Asked<(bool, bool)> {
    let Some(fd) = held.descriptor() else { return Ok((false, false)) };
    let signals = |deadline| held.signals(deadline, interrupt).map(|signals| signals.count);
    if !assign(question, irq, fd)? {
        return Ok((false, false));
    }
    let surplus = signals(Deadline::after(question.time_to_settle()))? > 0;
    if !set(question, irq, DATA_NONE | ACTION_TRIGGER, &[])? {
        return Ok((false, surplus));
    }
    Ok((signals(Deadline::after(question.time_to_signal()))? > 0, surplus))
}
