//! The query of dirty pages by page number, in the registers that the kernel's proposal of January 2020 has behind those of
//! migration. No text of vfio-user has it.

use vfio_user_wire::legacy::dirty_pfns;

use super::super::super::Judgements;
use super::super::super::dirty_bits::{self, Bits, Names};
use super::super::super::dirty_log::Logging;
use super::super::super::judgement::bytes_mark;
use super::super::super::migration_region::{Copied, Transfer};
use super::super::super::permits::Permits;
use super::super::super::session::{Given, State};
use super::migration_region::Access;
use crate::verdict::Class::{Note, Violation};

/// Where the data of a REGION_READ's reply begin.
const DATA: usize = 16;
/// More pages than a server need copy at once, and more than fit into its region.
const MANY: u64 = 1 << 20;

/// What a wrong bit breaks.
const NAMES: Names = Names {
    missing: "L-PFN-04",
    unwritten: "L-PFN-04",
    other_pages: "L-PFN-04",
    read: "L-PFN-04",
    told: "L-PFN-04",
    before: "L-PFN-04",
};

/// The registers of the inputs.
const PAGE_SIZE: usize = 1;
const TOTAL: usize = 2;

/// A write of `start_pfn`, `page_size` or `total_pfns`.
pub(super) fn permits_input(state: &State, access: &Access<'_>) -> Permits {
    let value = access.value();
    if state.migration.is_saving() != Some(true) {
        return Permits::either().testing("L-PFN-09");
    }
    let usual = match (access.offset as usize - 32) / 8 {
        PAGE_SIZE => value == 4096,
        TOTAL => (1..=MANY).contains(&value),
        _ => value <= u64::MAX >> 12,
    };
    if usual {
        Permits::success("L-PFN-01", Violation, "success: the register can be written while the state is saved")
    } else {
        Permits::either().testing("L-PFN-07")
    }
}

/// A read of `copied_pfns`.
pub(super) fn permits_read(state: &State) -> Permits {
    if state.migration.is_saving() != Some(true) {
        return Permits::either().testing("L-PFN-09");
    }
    match (state.transfer.is_askable(), state.transfer.asked()) {
        (None, _) => Permits::either().testing("L-PFN-08"),
        (Some(false), _) => {
            Permits::refusal("L-PFN-07", Note, "a refusal: no pages of a size that there is, or none at all")
        }
        (Some(true), Some(asked)) if asked.pages <= MANY && asked.page_size == 4096 => {
            Permits::success("L-PFN-02", Violation, "success: start_pfn, page_size and total_pfns were written")
        }
        _ => Permits::either(),
    }
}

pub(super) fn judge_copied(state: &State, value: u64, out: &mut Judgements) {
    let transfer = &state.transfer;
    let actual = || match value {
        dirty_pfns::ALL => "all of them".to_owned(),
        _ => format!("copied_pfns {value}"),
    };
    let mark = || bytes_mark("copied_pfns", DATA, 8);
    let nothing = "an error, or copied_pfns 0";
    // Where nobody knows the state, either holds.
    if state.migration.is_saving() == Some(false) {
        return out.must("L-PFN-09", value == 0, nothing, actual, mark());
    }
    match (transfer.is_askable(), transfer.asked()) {
        (Some(true), Some(asked)) => {
            let right = value == dirty_pfns::ALL || value <= asked.pages;
            let expected = format!("copied_pfns of at most {}, the total_pfns that was written", asked.pages);
            out.must("L-PFN-05", right, &expected, actual, mark());
            let dirty =
                state.log.logging == Logging::Surely && state.log.surely(asked.span()).any(|(_, loss)| loss.is_none());
            let missing = value == dirty_pfns::NONE && dirty && state.alone;
            let expected = "some page of the range: the device wrote there, and it was not told";
            out.must("L-PFN-03", !missing, expected, || "that none is dirty".to_owned(), mark());
        }
        (Some(false), _) => out.must("L-PFN-07", value == 0, nothing, actual, mark()),
        // What another connection has written may stand there still.
        (None, _) | (_, None) if transfer.is_untold => out.should("L-PFN-08", value == 0, nothing, actual, mark()),
        (None, _) | (_, None) => {}
    }
}

/// An access is to the bitmap that `copied_pfns` has told of.
pub(super) fn is_bitmap(transfer: &Transfer, offset: u64, count: u64) -> bool {
    let Some(copied) = transfer.copied else { return false };
    let whole = [copied.bytes(), copied.bytes().div_ceil(8) * 8].contains(&count);
    whole && transfer.offset.is_some_and(|(at, _)| at == offset)
}

pub(super) fn judge_bits(state: &State, offset: u64, data: &[u8], out: &mut Judgements) {
    let Some(copied) = state.transfer.copied.filter(|_| is_bitmap(&state.transfer, offset, data.len() as u64)) else {
        return;
    };
    if !state.alone {
        return;
    }
    let mut bits = data.to_vec();
    bits.resize(data.len().div_ceil(8) * 8, 0);
    // What stands behind the last bit, nothing says.
    let pages = usize::try_from(copied.pages).unwrap_or(usize::MAX);
    for (at, byte) in bits.iter_mut().enumerate().skip(pages / 8) {
        *byte &= if at == pages / 8 { (1u16 << (pages % 8)).wrapping_sub(1) as u8 } else { 0 };
    }
    let Copied { iova, page_size, .. } = copied;
    let length = copied.pages.saturating_mul(page_size);
    dirty_bits::judge(&state.log, Bits { iova, length, page_size, bits: &bits, at: DATA }, NAMES, out);
}

/// One of the inputs was written.
pub(super) fn written(state: &mut State, index: usize, value: u64, given: Given<'_>) {
    state.transfer.is_untold = false;
    if let Some(input) = state.transfer.inputs.get_mut(index) {
        *input = matches!(given, Given::Ok(_)).then_some(value);
    }
    lose_unread(state);
}

/// `copied_pfns` was read.
pub(super) fn copied(state: &mut State, value: u64) {
    lose_unread(state);
    let Some(asked) = state.transfer.asked() else { return };
    state.transfer.offset = None;
    if state.transfer.logs && state.log.page_size.is_none() && asked.page_size.is_power_of_two() {
        state.log.page_size = Some(asked.page_size);
    }
    if value == dirty_pfns::ALL {
        state.log.told(asked.span());
    } else if value > 0 && value <= asked.pages {
        state.transfer.copied = Some(Copied { pages: value, ..asked });
    }
}

/// Data were read.
pub(super) fn was_read(state: &mut State, offset: u64, count: u64) {
    if let Some(copied) = state.transfer.copied.filter(|_| is_bitmap(&state.transfer, offset, count)) {
        state.log.told(copied.span());
        state.transfer.copied = None;
    }
}

/// A bitmap that was not read may be lost.
fn lose_unread(state: &mut State) {
    if let Some(copied) = state.transfer.copied.take() {
        state.log.endanger(copied.span(), ("L-PFN-05", Note));
    }
}

/// The device logs while its state is saved; a log that DIRTY_PAGES has begun goes on by its own rules.
pub(super) fn changed_state(state: &mut State) {
    if !state.offer.migration_region.is_some_and(|region| region.pfn_query) {
        return;
    }
    match (state.migration.is_saving(), state.transfer.logs, state.log.logging) {
        (Some(true), false, Logging::Never | Logging::Refused | Logging::Stopped) => {
            state.log.started(None, &[]);
            state.transfer.logs = true;
        }
        (Some(true), _, _) => {}
        (Some(false), true, _) => {
            state.log.stopped();
            state.transfer.logs = false;
        }
        (Some(false), false, _) => {}
        (None, _, _) => state.log.doubt(),
    }
}
