//! DEVICE_GET_INFO, DEVICE_GET_REGION_INFO, DEVICE_GET_IRQ_INFO and DEVICE_RESET.

use vfio_user_wire::message::{DeviceInfo, IrqInfo, RegionInfo};
use vfio_user_wire::{irq, region};

use super::super::edition::Edition;
use super::super::judgement::{bytes_mark, payload_mark};
use super::super::permits::Permits;
use super::super::session::{Given, State};
use super::super::{Command, Judgements, LetGo};
use crate::verdict::Class::{Note, Violation};

/// Fields but these are 0, and nothing comes with the message that does not belong there: only then success is due.
pub(super) fn plain(command: &Command, inputs: &[&str]) -> bool {
    let request = command.request();
    request.tail.is_empty()
        && command.fds.is_empty()
        && request.fields.iter().all(|decoded| decoded.value == 0 || inputs.contains(&decoded.field.name))
}

pub(super) fn permits_info(_: &State, command: &Command) -> Permits {
    let argsz = command.request().get("argsz").unwrap_or_default();
    if !plain(command, &["argsz"]) || argsz < 16 {
        return Permits::either();
    }
    if argsz == 16 {
        Permits::success("INFO-01", Violation, "success, with the 16 bytes of device info")
    } else {
        Permits::success("INFO-12", Note, "success, with 16 bytes of payload: argsz is only a ceiling")
    }
}

pub(super) fn judge_info(state: &State, _: &Command, payload: &[u8], out: &mut Judgements) {
    let Some((info, _)) = DeviceInfo::parse(payload) else { return };
    let (Some(regions), Some(irqs)) = (state.offer.num_regions, state.offer.num_irqs) else { return };
    let (got_regions, got_irqs) = (info.num_regions, info.num_irqs);
    out.should(
        "INFO-08",
        (got_regions, got_irqs) == (regions, irqs),
        &format!("num_regions {regions} and num_irqs {irqs}, as when it was first asked"),
        || format!("num_regions {got_regions} and num_irqs {got_irqs}"),
        DeviceInfo::LAYOUT.field("num_regions").and_then(payload_mark),
    );
}

pub(super) fn permits_region_info(state: &State, command: &Command) -> Permits {
    let request = command.request();
    let (argsz, index) = (request.get("argsz").unwrap_or_default(), request.get("index").unwrap_or_default());
    if state.offer.num_regions.is_some_and(|count| index >= u64::from(count)) {
        return Permits::refusal("REGINFO-12", Note, "a refusal: there is no region of this index");
    }
    let Some(known) = state.offer.region(index).filter(|_| plain(command, &["argsz", "index"]) && argsz >= 32) else {
        return Permits::either();
    };
    let full = u64::from(known.argsz.max(32));
    if argsz < full {
        Permits::success("MSZ-04", Violation, "success, with what fits into argsz")
    } else if argsz > full {
        Permits::success("REGINFO-02", Note, "success: argsz is only a ceiling")
    } else {
        // QEMU itself asks for the VGA region of no device.
        let class = if index == u64::from(region::VGA) { Note } else { Violation };
        Permits::success("INFO-05", class, "success: the index is below num_regions")
    }
}

pub(super) fn judge_region_info(state: &State, command: &Command, payload: &[u8], out: &mut Judgements) {
    let Some((info, _)) = RegionInfo::parse(payload) else { return };
    let Some(index) = command.request().get("index") else { return };
    let size = info.size;
    let mark = || RegionInfo::LAYOUT.field("size").and_then(payload_mark);
    if state.offer.num_regions.is_some_and(|count| index >= u64::from(count)) {
        let expected = "a refusal: there is no region of this index";
        out.must("REGINFO-12", size == 0, expected, || format!("a region of {size:#x} bytes"), mark());
    } else if let Some(known) = state.offer.region(index) {
        let expected = format!("size {:#x}, as when it was first asked", known.size);
        out.should("REGINFO-04", size == known.size, &expected, || format!("size {size:#x}"), mark());
    }
    if let Some(full) = state.region_infos.get(&index).filter(|full| payload.len() < full.len()) {
        let behind = |payload: &[u8]| payload.get(RegionInfo::LAYOUT.size..).unwrap_or_default().to_vec();
        let (cut, whole) = (behind(payload), behind(full));
        out.must(
            "REGINFO-16",
            whole.starts_with(&cut),
            "behind the fixed part what the full reply has there",
            || format!("{} other bytes", cut.len()),
            bytes_mark("capabilities", RegionInfo::LAYOUT.size, cut.len()),
        );
    }
}

/// A longer region info is not kept.
const LONGEST: usize = 64 << 10;

/// Keeps the full reply, for what is cut later.
pub(super) fn apply_region_info(state: &mut State, command: &Command, given: Given<'_>) {
    state.refuse_fds(command, LetGo::Stray);
    if let Given::Ok(payload) = given
        && let Some((info, _)) = RegionInfo::parse(payload)
        && let Some(index) = command.request().get("index")
        && u64::from(info.argsz) == payload.len() as u64
        && payload.len() <= LONGEST
    {
        state.region_infos.insert(index, payload.to_vec());
    }
}

pub(super) fn permits_irq_info(state: &State, command: &Command) -> Permits {
    let request = command.request();
    let (argsz, index) = (request.get("argsz").unwrap_or_default(), request.get("index").unwrap_or_default());
    if state.offer.num_irqs.is_some_and(|count| index >= u64::from(count)) {
        return Permits::refusal("IRQINFO-04", Note, "a refusal: there is no interrupt type of this index");
    }
    if state.offer.irq(index).is_none() || !plain(command, &["argsz", "index"]) || argsz < 16 {
        return Permits::either();
    }
    if argsz > 16 {
        return Permits::success("MSZ-02", Note, "success: argsz is only a ceiling");
    }
    let pci_extra = index == u64::from(irq::ERR) || index == u64::from(irq::REQ);
    let class = if pci_extra { Note } else { Violation };
    Permits::success("INFO-06", class, "success: the index is below num_irqs")
}

pub(super) fn judge_irq_info(state: &State, command: &Command, payload: &[u8], out: &mut Judgements) {
    let Some((info, _)) = IrqInfo::parse(payload) else { return };
    let Some(index) = command.request().get("index") else { return };
    if state.offer.num_irqs.is_some_and(|count| index >= u64::from(count)) {
        let count = info.count;
        let mark = IrqInfo::LAYOUT.field("count").and_then(payload_mark);
        let expected = "a refusal: there is no interrupt type of this index";
        out.must("IRQINFO-04", count == 0, expected, || format!("{count} interrupts"), mark);
    }
}

pub(super) fn permits_reset(state: &State, command: &Command) -> Permits {
    match state.offer.reset {
        Some(true) if command.payload.is_empty() && command.fds.is_empty() => {
            Permits::success("RESET-05", Violation, "success: the device's flags have RESET")
        }
        Some(false) => Permits::refusal("RESET-05", Note, "a refusal: the device's flags have no RESET"),
        _ => Permits::either(),
    }
}

/// What a reset does to maps and interrupts is left open (policy A-28).
pub(super) fn apply_reset(state: &mut State, command: &Command, given: Given<'_>) {
    state.refuse_fds(command, LetGo::Stray);
    match given {
        Given::Error => {}
        Given::Ok(_) => {
            state.doubt_device();
            match state.edition() {
                Edition::Current => state.migration.reset(),
                Edition::Legacy | Edition::Tables(_) => state.migration.perhaps_reset(),
            }
            state.transfer.forget();
            state.irqs.resume();
        }
        Given::Unknown => state.doubt_all(),
    }
}
