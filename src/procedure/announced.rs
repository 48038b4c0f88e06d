//! Lengths that are announced, with nothing behind them.

use std::fs;

use vfio_user_wire::irq_set_flags;
use vfio_user_wire::message::{
    DEVICE_GET_INFO, DEVICE_GET_IRQ_INFO, DEVICE_GET_REGION_INFO, DEVICE_SET_IRQS, DeviceInfo, IrqInfo, IrqSet,
    REGION_READ, RegionAccess, RegionInfo,
};

use super::{Bench, Outcome, conventions};
use crate::session::Deadline;
use crate::target::{Instance, StartError};
use crate::verdict::{Evidence, Exit};

/// What is announced, in bytes: much more than any server has to keep for these commands, and little enough to be had.
const ANNOUNCED: u32 = 256 << 20;
/// By how much a server may grow for other reasons.
const TOLERATED: u64 = 128 << 20;

/// The server's memory does not grow by what a message announces. (Memory that is set aside and never touched does not
/// count.) `region` is one that can be read, of `size` bytes.
pub(super) fn announced_lengths(bench: &Bench<'_>, instance: &mut Instance) -> Result<Outcome, StartError> {
    let connection = instance.connect(bench.interrupt)?;
    let started = instance.process.as_ref().map(|process| process.pid());
    let Some(pid) = connection.server_pid().or(started) else {
        return Ok(Outcome::Skip("the server's process is not known".to_owned()));
    };
    let mut session = match conventions::negotiated(bench, connection)? {
        Ok(session) => session,
        Err(why) => return Ok(Outcome::Skip(why)),
    };
    let Some(before) = peak(pid) else {
        return Ok(Outcome::Skip("the server's memory cannot be looked at".to_owned()));
    };
    for (name, payload) in messages(bench) {
        let answered = session.ask(bench, name, payload)?;
        let grown = peak(pid).unwrap_or(before).saturating_sub(before);
        if grown > TOLERATED {
            let actual = format!("its memory grew by {} MiB at {name}", grown >> 20);
            let expected = format!("no memory for the {} MiB that are announced", ANNOUNCED >> 20);
            return Ok(Outcome::Broken { expected, actual, evidence: Evidence::Received });
        }
        if !answered {
            break;
        }
    }
    let settle = Deadline::after(bench.timeouts.settle);
    let crashed = instance.wait(settle, bench.interrupt);
    Ok(match crashed {
        Some(exit @ Exit::Signal(_)) => Outcome::Broken {
            expected: "a server that goes on, or an orderly end".to_owned(),
            actual: exit.to_string(),
            evidence: Evidence::Exited,
        },
        _ => Outcome::Held,
    })
}

/// Commands with a length, each a little one.
fn messages(bench: &Bench<'_>) -> Vec<(&'static str, Vec<u8>)> {
    let region = u32::try_from(bench.argument("region", 0)).unwrap_or(u32::MAX);
    let irqs = IrqSet {
        argsz: 20,
        flags: irq_set_flags::DATA_NONE | irq_set_flags::ACTION_TRIGGER,
        index: 0,
        start: 0,
        count: ANNOUNCED,
    };
    let info = RegionInfo { argsz: ANNOUNCED, index: region, ..RegionInfo::default() };
    let mut messages = vec![
        (DEVICE_GET_INFO.name, DeviceInfo { argsz: ANNOUNCED, ..DeviceInfo::default() }.bytes().to_vec()),
        (DEVICE_GET_REGION_INFO.name, info.bytes().to_vec()),
        (DEVICE_GET_IRQ_INFO.name, IrqInfo { argsz: ANNOUNCED, ..IrqInfo::default() }.bytes().to_vec()),
        (DEVICE_SET_IRQS.name, irqs.bytes().to_vec()),
    ];
    // So much of a larger region may be read.
    if bench.argument("size", 0) < u64::from(ANNOUNCED) {
        messages.push((REGION_READ.name, RegionAccess { offset: 0, region, count: ANNOUNCED }.bytes().to_vec()));
    }
    messages
}

/// The most memory that a process has used so far, in bytes.
fn peak(pid: i32) -> Option<u64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    line.trim().strip_suffix(" kB")?.trim().parse::<u64>().ok().map(|kib| kib << 10)
}
