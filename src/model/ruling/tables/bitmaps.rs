//! The bits of the bitmaps in replies to DMA_UNMAP and to DIRTY_PAGES: what the device wrote is told.
//!
//! A page too many is nothing that these texts speak of, and neither is the order of the bits.

use vfio_user_wire::bitmap_size;
use vfio_user_wire::legacy::Bitmap;
use vfio_user_wire::tables::{Bitmaps, Table};

use super::super::super::Judgements;
use super::super::super::dirty_bits::{Bits, missing_in_any_order};
use super::super::super::session::State;
use super::super::super::spans::{common, span};
use super::super::super::tables::Asked;

/// Judges the bits of a payload that has just these bitmaps, each behind its structure.
pub(super) fn judge(
    state: &State,
    table: Table,
    all: &[Asked],
    payload: &[u8],
    requirement: &'static str,
    out: &mut Judgements,
) {
    let mut at = 0;
    for (asked, came) in all.iter().zip(Bitmaps::new(payload, table)) {
        let Ok((structure, bits)) = came else { return };
        if structure != asked.bitmap {
            return;
        }
        at += table.bitmap_structure();
        // What is asked for twice may be told once.
        let same = |other: &&Asked| common(span(other.iova, other.size), span(asked.iova, asked.size)).is_some();
        if all.iter().filter(same).count() == 1 {
            judge_bits(state, asked, bits, at, requirement, out);
        }
        at += bits.len();
    }
}

/// Judges the bits of one region, which begin there in the payload.
pub(super) fn judge_bits(
    state: &State,
    asked: &Asked,
    bits: &[u8],
    at: usize,
    requirement: &'static str,
    out: &mut Judgements,
) {
    let Asked { iova, size, bitmap: Bitmap { pgsize: page_size, .. } } = *asked;
    let enough = bitmap_size(size, page_size).is_some_and(|needed| bits.len() as u64 >= needed);
    let whole = state.maps.exact(iova, size).is_some_and(|map| map.sure);
    let usual = state.log.page_size == Some(page_size) && iova.is_multiple_of(page_size);
    if !enough || !whole || !usual || !state.alone {
        return;
    }
    let bits = Bits { iova, length: size, page_size, bits, at };
    let missing = missing_in_any_order(&state.log, bits);
    let expected = match missing {
        Some(page) => format!("the bit of page {page} set: the device wrote it, and no reply has told it"),
        None => "the bits of all pages that the device wrote".to_owned(),
    };
    out.must(requirement, missing.is_none(), &expected, || "it is clear".to_owned(), bits.mark(missing.unwrap_or(0)));
}
